//! What a node starts from: its keys, its configuration and what it knew when it stopped.

use std::path::{Path, PathBuf};

use crate::auth::identity::Identity;
use crate::config::{Cluster, Config};
use crate::daemon::config_file::{ConfigError, ConfigFile, ConfigPeer};
use crate::daemon::host_name;
use crate::daemon::key_file::{self, KeyFileError};
use crate::daemon::state_dir::StateDir;
use crate::daemon::state_file::{self, Remover, State, StateFileError};
use crate::driver::{Host, Settings};
use crate::wire::id::NodeId;

/// Everything that a driver is made from.
#[derive(Debug)]
pub(crate) struct Start {
    /// For the core.
    pub(crate) config: Config,
    /// Who the node is.
    pub(crate) identity: Identity,
    /// What it knew.
    pub(crate) state: State,
    /// For the driver.
    pub(crate) settings: Settings,
    /// Whether the state file was lost, so that the node begins with the peers of its configuration.
    pub(crate) state_is_lost: bool,
}

impl Start {
    /// Reads the files of a node that belongs to a cluster.
    ///
    /// # Errors
    /// One of them is missing or of no use.
    pub(crate) fn load(dir: &StateDir, config: Option<&Path>) -> Result<Self, StartError> {
        let no_node = || StartError::NoNode { dir: dir.path().to_owned() };
        let identity = identity(dir)?.ok_or_else(no_node)?;
        let no_cluster = || StartError::NoCluster { dir: dir.path().to_owned() };
        let cluster = key_file::read_cluster(&dir.cluster_key())?.ok_or_else(no_cluster)?;
        let file = read_config(dir, config)?.unwrap_or_default();
        let state = state_file::read(&dir.state())?;
        if let Some(by) = state.as_ref().and_then(|state| state.removed_by(&identity.public_key())) {
            return Err(StartError::Removed { dir: dir.path().to_owned(), by });
        }
        // `init` and `join` both write one. Without it the node would refuse every member as a stranger.
        let state_is_lost = state.is_none();
        let config = core_config(&file, &identity, Some(cluster));
        if state_is_lost && config.peers.is_empty() {
            return Err(StartError::NoState { path: dir.state(), key: dir.cluster_key() });
        }
        Ok(Self {
            config,
            settings: settings(&file, &identity),
            identity,
            state: state.unwrap_or_default(),
            state_is_lost,
        })
    }
}

/// Reads the node's key; `None` where no node lives.
///
/// # Errors
/// It cannot be read, or it is missing beside the files of its node: whoever made another would make a stranger of it.
pub(crate) fn identity(dir: &StateDir) -> Result<Option<Identity>, StartError> {
    let path = dir.node_key();
    let identity = key_file::read_node(&path)?;
    // Also those that are links to nothing.
    let there = |path: &PathBuf| path.symlink_metadata().is_ok();
    let left: Vec<PathBuf> = [dir.state(), dir.cluster_key()].into_iter().filter(there).collect();
    if identity.is_none() && !left.is_empty() { Err(StartError::NoKey { path, left }) } else { Ok(identity) }
}

/// Reads the configuration: the file that was named, which must be there, or the one in the state directory, which need
/// not.
///
/// # Errors
/// It is missing though it was named, cannot be read, or something in it is wrong.
pub(crate) fn read_config(dir: &StateDir, named: Option<&Path>) -> Result<Option<ConfigFile>, StartError> {
    let path = named.map_or_else(|| dir.config(), Path::to_owned);
    let file = ConfigFile::read(&path)?;
    if file.is_none() && named.is_some() {
        return Err(StartError::NoConfig { path });
    }
    Ok(file)
}

/// What the core is told: what the file says, and defaults for the rest.
pub(crate) fn core_config(file: &ConfigFile, identity: &Identity, cluster: Option<Cluster>) -> Config {
    let name = file.name.as_ref().map(|set| set.value);
    let mut config = Config::new(name.unwrap_or_else(|| host_name::default_name(&identity.node_id())));
    config.cluster = cluster;
    if let Some(heartbeat) = &file.heartbeat {
        config.heartbeat = heartbeat.value;
    }
    if let Some(max_members) = &file.max_members {
        config.max_members = max_members.value;
    }
    config.peers = others(file, identity).map(|peer| peer.peer.clone()).collect();
    config
}

/// What the driver is told.
pub(crate) fn settings(file: &ConfigFile, identity: &Identity) -> Settings {
    let hosts = others(file, identity).flat_map(|peer| {
        let id = NodeId::from(&peer.peer.public_key);
        peer.hosts.iter().map(move |host| Host { peer: id, host: host.clone() })
    });
    Settings {
        listen: file.listen(),
        receive_buffer: file.receive_buffer.as_ref().map(|set| set.value),
        send_buffer: file.send_buffer.as_ref().map(|set| set.value),
        hosts: hosts.collect(),
    }
}

/// The configured peers but the node itself: a tool may give every node one and the same list.
fn others<'f>(file: &'f ConfigFile, identity: &Identity) -> impl Iterator<Item = &'f ConfigPeer> + use<'f> {
    let own = identity.public_key();
    file.peers.iter().map(|set| &set.value).filter(move |peer| peer.peer.public_key != own)
}

/// What a removed node is told.
fn removed(dir: &Path, by: &Remover) -> String {
    let what = match by {
        Remover::Itself => "has left its cluster".to_owned(),
        Remover::Member(name) => format!("was removed from its cluster by {name}"),
    };
    format!("the node in {} {what}: run  dddns join TOKEN  with a new invite to come back", dir.display())
}

/// How files are moved away.
fn moves(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| format!("  mv {0} {0}.old  and then", path.display())).collect()
}

/// Why a node cannot start from its files.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// No node lives here.
    #[error(
        "there is no node in {} yet: run  dddns init  for a new cluster, or  dddns join TOKEN  with an invite",
        dir.display()
    )]
    NoNode { dir: PathBuf },
    /// Who the node is was lost, and what it knew was not.
    #[error(
        "there is no {}, the key of the node whose files are beside it: restore it from a copy, or, to begin as another \
         node, run{}  dddns init  or  dddns join TOKEN",
        path.display(),
        moves(left)
    )]
    NoKey { path: PathBuf, left: Vec<PathBuf> },
    /// The node belongs to no cluster.
    #[error(
        "the node in {} belongs to no cluster: run  dddns join TOKEN  with an invite, or  dddns init  for a new cluster",
        dir.display()
    )]
    NoCluster { dir: PathBuf },
    /// What the node knew of its cluster is gone.
    #[error(
        "there is no {}, so this node knows no other member and would refuse them all: restore it from a copy, or run  \
         dddns join TOKEN  with a new invite; if no other member is left, run  mv {1} {1}.old  and then  dddns init",
        path.display(),
        key.display()
    )]
    NoState { path: PathBuf, key: PathBuf },
    /// The cluster removed the node, or it left.
    #[error("{}", removed(dir, by))]
    Removed { dir: PathBuf, by: Remover },
    /// The configuration that was named is not there.
    #[error(
        "there is no configuration file {}: make it (it may be empty, as every setting has a default), or do not name \
         it with --config or DDDNS_CONFIG",
        path.display()
    )]
    NoConfig { path: PathBuf },
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The state.
    #[error(transparent)]
    State(#[from] StateFileError),
}
