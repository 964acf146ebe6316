//! `dddns leave`: takes the running node out of its cluster.

use std::io::Write;

use crate::cli::args::Global;
use crate::cli::failure::{Exit, Failure};
use crate::cli::node_client;
use crate::daemon::control_message::{LeftReply, Reply, Request};

/// Has the running node leave, which ends it, and says who knows.
pub(super) fn run(global: &Global) -> Result<Exit, Failure> {
    let Reply::Left(LeftReply { confirmed, others }) = node_client::ask(global, &Request::Leave)? else {
        return Err(node_client::nonsense());
    };
    writeln!(std::io::stdout().lock(), "left the cluster: {confirmed} of {others} other members have confirmed it")?;
    if confirmed == 0 && others > 0 {
        global.hint("Nobody answered: have a member run  dddns forget  with this node's name.");
    }
    global.hint(&format!(
        "The node has stopped and keeps its key. To join a cluster again:  {}",
        global.command("join TOKEN")
    ));
    Ok(Exit::Done)
}
