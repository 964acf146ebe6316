//! `dddns init`: makes a key, a new cluster and a configuration.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::cli::args::Global;
use crate::cli::failure::{Exit, Failure};
use crate::cli::setup::{NodeArgs, Setup};
use crate::config::{Cluster, ClusterKey};
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
    let removed = state.as_ref().is_some_and(|state| state.removed_by(&setup.identity.public_key()).is_some());
    let present = key_file::read_cluster(&setup.dir.cluster_key())?.filter(|_| !removed);
    if let Some(present) = present.filter(|present| Some(present) != given.as_ref()) {
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
    let made = given.is_none();
    let cluster = match given {
        Some(cluster) => cluster,
        None => Cluster { id: ClusterId(clock::random()?), key: ClusterKey(clock::random()?) },
    };
    if let Some(config) = &setup.new_config {
        config.write()?;
    }
    // A join that was cut short, or refused, leaves the list of a cluster behind in which this node never was.
    let stale = state.as_ref().is_none_or(|state| state.joined_with.is_some());
    if stale || removed {
        state_file::write(&setup.dir.state(), &State::default())?;
    }
    // Last, since it is what makes this a node: an `init` that was cut short can be run again.
    key_file::write_cluster(&setup.dir.cluster_key(), &cluster)?;
    print(&setup, &cluster)?;
    hint(global, made);
    Ok(Exit::Done)
}

fn read_cluster(path: &Path) -> Result<Cluster, Failure> {
    let missing = || Failure::new(Exit::Failed, format!("there is no file {}", path.display()));
    key_file::read_cluster(path)?.ok_or_else(missing)
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
