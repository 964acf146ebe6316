//! What `init` and `join` have in common: a state directory with a key and a configuration, nothing overwritten.

use std::net::SocketAddr;
use std::path::Path;

use crate::auth::identity::Identity;
use crate::cli::args::Global;
use crate::cli::failure::{Exit, Failure};
use crate::daemon::config_file::{self, ConfigFile};
use crate::daemon::file_store::NewConfig;
use crate::daemon::state_dir::{Lock, StateDir};
use crate::daemon::state_file::State;
use crate::daemon::{config_template, control_socket, host_name, key_file, start};
use crate::driver::clock;
use crate::wire::name::Name;

/// What a new node is to be.
#[derive(clap::Args)]
pub(super) struct NodeArgs {
    /// What the others call this node: letters, digits and hyphens [default: the machine's name]
    #[arg(long)]
    name: Option<Name>,

    /// Where to listen: an IP address and a UDP port, several times if need be; without it, every address, port 7733
    #[arg(long, value_name = "ADDR", value_parser = config_file::parse_listen)]
    listen: Vec<SocketAddr>,
}

/// A state directory in the hands of this process, with everything in it that needs no cluster.
#[derive(Debug)]
pub(super) struct Setup {
    /// The directory.
    pub(super) dir: StateDir,
    /// The node's key pair: read, or new and written.
    pub(super) identity: Identity,
    /// The configuration: read, or as it will be written.
    pub(super) config: ConfigFile,
    /// The file for the configuration, if there was none.
    pub(super) new_config: Option<NewConfig>,
    _lock: Lock,
}

impl Setup {
    /// Makes the directory and the key where there are none, and reads or drafts the configuration.
    pub(super) fn begin(args: &NodeArgs, global: &Global) -> Result<Self, Failure> {
        let dir = global.state_dir()?;
        control_socket::check(&dir)?;
        dir.create()?;
        let lock = dir.lock()?;
        let path = global.config().unwrap_or_else(|| dir.config());
        let present = ConfigFile::read(&path)?;
        if let Some(present) = &present {
            refuse_contradiction(args, present, &path)?;
        }
        refuse_missing_folder(&path)?;
        let identity = identity(&dir)?;
        let (config, new_config) = match present {
            Some(config) => (config, None),
            None => {
                let name = args.name.unwrap_or_else(|| host_name::default_name(&identity.node_id()));
                let text = config_template::render(&name, &args.listen);
                let config = ConfigFile::parse(&text).map_err(|mistake| Failure::new(Exit::Failed, mistake.message))?;
                (config, Some(NewConfig { path, text }))
            }
        };
        Ok(Self { dir, identity, config, new_config, _lock: lock })
    }
}

/// A configuration that is there is not changed, so flags may only say what it says.
fn refuse_contradiction(args: &NodeArgs, present: &ConfigFile, path: &Path) -> Result<(), Failure> {
    let name = args.name.is_some() && args.name != present.name.as_ref().map(|set| set.value);
    let listen = !args.listen.is_empty() && args.listen != present.listen();
    let flag = match (name, listen) {
        (true, _) => "--name",
        (false, true) => "--listen",
        (false, false) => return Ok(()),
    };
    let path = path.display();
    Err(Failure::new(
        Exit::Failed,
        format!("{path} is there already and says otherwise: change it there, or leave {flag} out"),
    ))
}

/// A file that is to be made later needs its folder: better said now than after the cluster has been asked.
fn refuse_missing_folder(path: &Path) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        Some(folder) if !folder.is_dir() => {
            Err(Failure::new(Exit::Failed, format!("there is no folder {}: make it first", folder.display())))
        }
        Some(_) | None => Ok(()),
    }
}

/// The key comes before every other file of a node, so it is made only where there is none of them.
fn identity(dir: &StateDir) -> Result<Identity, Failure> {
    if let Some(identity) = start::identity(dir)? {
        return Ok(identity);
    }
    let identity = Identity::from_secret(clock::random()?);
    key_file::write_node(&dir.node_key(), &identity)?;
    Ok(identity)
}

/// Warns where another member has the node's name: by that name the others mean the other one.
pub(super) fn warn_of_namesake(state: &State, identity: &Identity, name: Name) {
    if let Some(other) = state.namesake(&identity.public_key(), name) {
        tracing::warn!(
            "another member ({}) is called {name} as well, so all show this node as {name}-{}: give it another name in the \
             configuration, and start it again",
            other.short(),
            identity.node_id().short()
        );
    }
}
