//! `dddns init`: makes a key, a new cluster and a configuration.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::cli::args::Global;
use crate::cli::failure::{Exit, Failure};
use crate::cli::setup::{NodeArgs, Setup};
use crate::config::{Cluster, ClusterKey};
use crate::daemon::key_file::KeyFileError;
use crate::daemon::private_file::ReadError;
use crate::daemon::state_file::State;
use crate::daemon::{key_file, start, state_file};
use crate::driver::clock;
use crate::wire::id::ClusterId;

/// The arguments of `dddns init`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    node: NodeArgs,

    /// Be a member of the cluster whose cluster.key this is, instead of making a new cluster: for setting nodes up
    /// without invites, each with its peers' public keys in the configuration
    #[arg(long, value_name = "FILE")]
    cluster_key: Option<PathBuf>,
}

/// Makes what is not there yet. A node that belongs to a cluster is left as it is; one that was removed may begin its own.
pub(super) fn run(args: &Args, global: &Global) -> Result<Exit, Failure> {
    let given = args.cluster_key.as_deref().map(read_cluster).transpose()?;
    let setup = Setup::begin(&args.node, global)?;
    let state = state_file::read(&setup.dir.state())?;
    let own = setup.identity.public_key();
    let removed = state.as_ref().is_some_and(|state| state.removed_by(&own).is_some());
    let present = key_file::read_cluster(&setup.dir.cluster_key())?.filter(|_| !removed);
    if let Some(present) = present.as_ref().filter(|present| Some(*present) != given.as_ref()) {
        return Err(Failure::new(
            Exit::Failed,
            format!(
                "{} belongs to cluster {} already: start it with  {}, or give another directory with --state-dir",
                setup.dir.path().display(),
                present.id.short(),
                global.command("run")
            ),
        ));
    }
    let knows = |state: &State| state.saved.members.iter().any(|record| record.public_key != own);
    let is_list = |state: &State| !removed && !state.join_is_open(&own) && knows(state);
    if present.is_none() && state.as_ref().is_some_and(is_list) {
        return Err(Failure::new(
            Exit::Failed,
            format!(
                "there is no {0}, the key of the cluster whose members are in {1}: restore it from a copy (mode 600), or, to begin \
                 without them, run  mv {1} {1}.old  and then this command once more",
                setup.dir.cluster_key().display(),
                setup.dir.state().display(),
            ),
        ));
    }
    let made = given.is_none();
    let cluster = match given {
        Some(cluster) => cluster,
        None => Cluster { id: ClusterId(clock::random()?), key: ClusterKey(clock::random()?) },
    };
    if let Some(config) = &setup.new_config {
        config.write()?;
    }
    // Nothing of an old cluster may get into the next one, and only the key beside a state says of which cluster it is. A
    // join that was cut short leaves the list of a cluster behind in which this node never was.
    let stays = present.is_some() && state.is_some_and(|state| !state.join_is_open(&own));
    if removed {
        // First, so that the old key is never beside a state that does not say so.
        key_file::remove_cluster(&setup.dir.cluster_key())?;
    }
    if !stays {
        state_file::write(&setup.dir.state(), &State::default())?;
    }
    // Last, since it is what makes this a node: an `init` that was cut short can be run again.
    key_file::write_cluster(&setup.dir.cluster_key(), &cluster)?;
    print(&setup, &cluster)?;
    hint(global, made);
    Ok(Exit::Done)
}

/// Reads the key that was given. A wrong file is not damaged: whoever repaired it, or moved it away, could lose a key.
fn read_cluster(path: &Path) -> Result<Cluster, Failure> {
    let failed = |message| Err(Failure::new(Exit::Failed, message));
    match key_file::read_cluster(path) {
        Ok(Some(cluster)) => Ok(cluster),
        Ok(None) => failed(format!("there is no file {}", path.display())),
        Err(KeyFileError::Read(ReadError::NoFile { .. })) => failed(format!(
            "{} is not a regular file: give the file cluster.key of a member of the cluster, or a copy of it",
            path.display()
        )),
        Err(
            KeyFileError::Garbled { .. } | KeyFileError::Read(ReadError::TooLong { .. } | ReadError::NoText { .. }),
        ) => failed(format!(
            "{} holds no cluster key: give the file cluster.key of a member of the cluster",
            path.display()
        )),
        Err(error) => Err(error.into()),
    }
}

fn print(setup: &Setup, cluster: &Cluster) -> std::io::Result<()> {
    let config = start::core_config(&setup.config, &setup.identity, None);
    let mut out = std::io::stdout().lock();
    writeln!(out, "name        {}", config.name)?;
    writeln!(out, "id          {}", setup.identity.node_id())?;
    writeln!(out, "public key  {}", setup.identity.public_key())?;
    writeln!(out, "cluster     {}", cluster.id)?;
    writeln!(out, "directory   {}", setup.dir.path().display())
}

fn hint(global: &Global, made: bool) {
    let run = global.command("run");
    if made {
        let invite = global.command("invite --address ADDRESS");
        global.hint(&format!("Next: start the node with  {run}"));
        global
            .hint(&format!("then let another one in:  {invite}  (an address at which others can reach this machine)"));
    } else {
        global.hint(&format!("Next: name its peers in the configuration, then start the node with  {run}"));
    }
}
