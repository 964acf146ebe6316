//! What the driver stores, stored in the state directory.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::config::Cluster;
use crate::daemon::state_dir::StateDir;
use crate::daemon::state_file::{Join, State};
use crate::daemon::{key_file, state_file};
use crate::driver::Store;
use crate::node::saved::Saved;
use crate::wire::id::InviteId;

/// Writes `state.json` and, when the node is admitted to a cluster, `cluster.key`.
#[derive(Debug)]
pub(crate) struct FileStore {
    dir: StateDir,
    invite: Option<InviteId>,
    confirmed: Arc<AtomicBool>,
}

impl FileStore {
    /// A store for a node that came, or is about to come, into its cluster in this way. The flag says that a member
    /// has answered since; it may be set while the node runs.
    pub(crate) fn new(dir: StateDir, join: Option<Join>) -> (Self, Arc<AtomicBool>) {
        let confirmed = Arc::new(AtomicBool::new(join.is_some_and(|join| join.confirmed)));
        let store = Self { dir, invite: join.map(|join| join.invite), confirmed: Arc::clone(&confirmed) };
        (store, confirmed)
    }

    fn join(&self) -> Option<Join> {
        self.invite.map(|invite| Join { invite, confirmed: self.confirmed.load(Ordering::Relaxed) })
    }
}

impl Store for FileStore {
    /// The state goes first: it says that the join is not confirmed, so a crash between the two writes leaves a node
    /// that may join with the same token.
    fn joined(&mut self, cluster: &Cluster, saved: &Saved) -> io::Result<()> {
        self.save(saved)?;
        Ok(key_file::write_cluster(&self.dir.cluster_key(), cluster)?)
    }

    fn save(&mut self, saved: &Saved) -> io::Result<()> {
        let state = State { saved: saved.clone(), join: self.join() };
        Ok(state_file::write(&self.dir.state(), &state)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ClusterKey;
    use crate::wire::id::ClusterId;

    #[test]
    fn a_join_is_open_until_a_member_has_answered() {
        let parent = tempfile::tempdir().unwrap();
        let dir = StateDir::locate(Some(parent.path().to_owned())).unwrap();
        let invite = InviteId([4; 8]);
        let (mut store, confirmed) = FileStore::new(dir.clone(), Some(Join { invite, confirmed: false }));
        let cluster = Cluster { id: ClusterId([1; 16]), key: ClusterKey([2; 32]) };

        store.joined(&cluster, &Saved::default()).unwrap();
        assert_eq!(key_file::read_cluster(&dir.cluster_key()).unwrap(), Some(cluster));
        let join = || state_file::read(&dir.state()).unwrap().unwrap().join;
        assert_eq!(join(), Some(Join { invite, confirmed: false }));

        confirmed.store(true, Ordering::Relaxed);
        store.save(&Saved::default()).unwrap();
        assert_eq!(join(), Some(Join { invite, confirmed: true }));
    }
}
