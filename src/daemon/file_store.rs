//! What the driver stores, stored in the state directory.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::config::Cluster;
use crate::daemon::private_file::{self, WriteError};
use crate::daemon::state_dir::StateDir;
use crate::daemon::state_file::State;
use crate::daemon::{key_file, state_file};
use crate::driver::Store;
use crate::node::saved::Saved;
use crate::wire::id::{InviteId, PublicKey};

/// Writes `state.json` and, when the node is admitted to a cluster, its configuration and `cluster.key`.
#[derive(Debug)]
pub(crate) struct FileStore {
    dir: StateDir,
    own: PublicKey,
    joined_with: Option<InviteId>,
    new_config: Option<NewConfig>,
    admitted: Arc<Notify>,
}

/// A configuration file that is to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewConfig {
    /// Where.
    pub(crate) path: PathBuf,
    /// What is to be in it.
    pub(crate) text: String,
}

impl NewConfig {
    /// Makes the file.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn write(&self) -> Result<(), WriteError> {
        private_file::replace(&self.path, self.text.as_bytes())
    }
}

impl FileStore {
    /// A store for the node with this key, which came, or is about to come, into its cluster with this invite.
    pub(crate) fn new(dir: StateDir, own: PublicKey, joined_with: Option<InviteId>) -> Self {
        Self { dir, own, joined_with, new_config: None, admitted: Arc::new(Notify::new()) }
    }

    /// Is notified once it is stored that another member knows the node as a member.
    pub(crate) fn admitted(&self) -> Arc<Notify> {
        Arc::clone(&self.admitted)
    }

    /// The same store, which also makes a configuration file once the node is admitted.
    pub(crate) fn with_config(self, new_config: Option<NewConfig>) -> Self {
        Self { new_config, ..self }
    }
}

impl FileStore {
    /// Puts away the key of another cluster, which must never be beside the state of this one. If that cluster has not
    /// removed the node, it may be the last one that anybody has, so it is kept.
    fn clear_key(&self, joined: &Cluster) -> io::Result<()> {
        let path = self.dir.cluster_key();
        let present = key_file::read_cluster(&path).map_err(io::Error::other)?;
        let Some(other) = present.filter(|present| present != joined) else { return Ok(()) };
        let state = state_file::read(&self.dir.state()).map_err(io::Error::other)?;
        if state.is_some_and(|state| state.removed_by(&self.own).is_some()) {
            return key_file::remove_cluster(&path).map_err(io::Error::other);
        }
        let kept = self.dir.kept_cluster_key(other.id);
        key_file::keep_cluster(&path, &kept).map_err(io::Error::other)?;
        tracing::warn!(
            "the key of cluster {}, which this node was in, is kept in {}",
            other.id.short(),
            kept.display()
        );
        Ok(())
    }
}

impl Store for FileStore {
    /// The cluster's key goes last: a node that is cut short before it can join with the same token.
    fn joined(&mut self, cluster: &Cluster, saved: &Saved) -> io::Result<()> {
        if let Some(config) = &self.new_config {
            config.write()?;
        }
        self.clear_key(cluster)?;
        self.save(saved)?;
        Ok(key_file::write_cluster(&self.dir.cluster_key(), cluster)?)
    }

    fn left(&mut self) -> io::Result<()> {
        key_file::remove_cluster(&self.dir.cluster_key()).map_err(io::Error::other)?;
        self.joined_with = None;
        Ok(state_file::write(&self.dir.state(), &State::default())?)
    }

    fn save(&mut self, saved: &Saved) -> io::Result<()> {
        let state = State { saved: saved.clone(), joined_with: self.joined_with };
        state_file::write(&self.dir.state(), &state)?;
        tracing::debug!(members = saved.members.len(), addresses = saved.addresses.len(), "state stored");
        if state.is_admitted(&self.own) {
            self.admitted.notify_one();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ClusterKey;
    use crate::wire::id::{ClusterId, NodeId};
    use crate::wire::record::{MemberRecord, MemberState};

    #[test]
    fn a_join_leaves_the_cluster_the_invite_and_the_configuration() {
        let parent = tempfile::tempdir().unwrap();
        let dir = StateDir::locate(Some(parent.path().to_owned())).unwrap();
        let config = NewConfig { path: dir.config(), text: "name = \"attic\"".to_owned() };
        let mut store =
            FileStore::new(dir.clone(), PublicKey([7; 32]), Some(InviteId([4; 8]))).with_config(Some(config));
        let cluster = Cluster { id: ClusterId([1; 16]), key: ClusterKey([2; 32]) };

        store.joined(&cluster, &Saved::default()).unwrap();
        assert_eq!(key_file::read_cluster(&dir.cluster_key()).unwrap(), Some(cluster));
        let state = state_file::read(&dir.state()).unwrap().unwrap();
        assert_eq!(state, State { saved: Saved::default(), joined_with: Some(InviteId([4; 8])) });
        assert_eq!(std::fs::read_to_string(dir.config()).unwrap(), "name = \"attic\"");

        store.left().unwrap();
        assert_eq!(key_file::read_cluster(&dir.cluster_key()).unwrap(), None);
        assert_eq!(state_file::read(&dir.state()).unwrap(), Some(State::default()));
        assert!(dir.config().exists(), "what the owner said stays");
    }

    #[test]
    fn the_key_of_another_cluster_is_kept_and_never_replaces_one_that_was() {
        let parent = tempfile::tempdir().unwrap();
        let dir = StateDir::locate(Some(parent.path().to_owned())).unwrap();
        let mut store = FileStore::new(dir.clone(), PublicKey([7; 32]), None);
        let [first, second, third] = [1, 2, 3].map(|n| Cluster { id: ClusterId([n; 16]), key: ClusterKey([n; 32]) });
        let kept = [&first, &second].map(|cluster| dir.kept_cluster_key(cluster.id));
        let read = |path: &PathBuf| key_file::read_cluster(path).unwrap();
        let keys = || (read(&dir.cluster_key()), kept.each_ref().map(read));

        store.joined(&first, &Saved::default()).unwrap();
        store.joined(&first, &Saved::default()).unwrap();
        assert_eq!(keys(), (Some(first.clone()), [None, None]), "it is the same one");
        store.joined(&second, &Saved::default()).unwrap();
        assert_eq!(keys(), (Some(second.clone()), [Some(first.clone()), None]));
        store.joined(&third, &Saved::default()).unwrap();
        assert_eq!(keys(), (Some(third), [Some(first), Some(second)]));
    }

    #[test]
    fn the_key_of_a_cluster_that_removed_the_node_goes() {
        let parent = tempfile::tempdir().unwrap();
        let dir = StateDir::locate(Some(parent.path().to_owned())).unwrap();
        let own = PublicKey([7; 32]);
        let mut store = FileStore::new(dir.clone(), own, None);
        let [first, second] = [1, 2].map(|n| Cluster { id: ClusterId([n; 16]), key: ClusterKey([n; 32]) });
        let removed = MemberRecord {
            public_key: own,
            admitted_by: NodeId([5; 16]),
            admission: 1,
            state: MemberState::Removed,
            revision: 1,
            name: "attic".parse().unwrap(),
        };
        store.joined(&first, &Saved { members: vec![removed], ..Saved::default() }).unwrap();
        store.joined(&second, &Saved::default()).unwrap();
        assert_eq!(key_file::read_cluster(&dir.cluster_key()).unwrap(), Some(second));
        assert!(!dir.kept_cluster_key(first.id).exists());
    }
}
