//! `dddns forget`: removes a member from the cluster, everywhere and for ever.

use std::io::Write;

use crate::cli::args::Global;
use crate::cli::failure::{Exit, Failure};
use crate::cli::member_name::{self, Meant};
use crate::cli::node_client;
use crate::daemon::control_client::Client;
use crate::daemon::control_message::{Reply, Request};

/// The arguments of `dddns forget`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The member's name, its ID or the first 8 or more characters of it
    name: String,
}

/// Has the running node remove a member, and says who that was.
pub(super) fn run(args: &Args, global: &Global) -> Result<Exit, Failure> {
    let dir = global.state_dir()?;
    let (name, id) = node_client::runtime()?.block_on(async {
        let mut client = Client::connect(&dir).await?;
        let status = node_client::status(&mut client).await?;
        let peer = match member_name::find(&status.report, &args.name)? {
            Meant::Peer(peer) => peer,
            Meant::Itself => return Err(itself(global)),
        };
        match client.ask(&Request::Forget { id: peer.id.clone() }).await? {
            Reply::Forgotten => Ok((peer.name.clone(), peer.id.clone())),
            Reply::Status(_)
            | Reply::Invite(_)
            | Reply::Sought
            | Reply::Left(_)
            | Reply::Following
            | Reply::Event(_)
            | Reply::Missed(_)
            | Reply::Error(_) => Err(node_client::nonsense()),
        }
    })?;
    writeln!(std::io::stdout().lock(), "removed {name} ({id}) from the cluster")?;
    global.hint(&format!(
        "Every member refuses it from now on. Nodes that it let in stay: look at  {}\nOnly a new invite lets it back in.",
        global.command("status")
    ));
    Ok(Exit::Done)
}

fn itself(global: &Global) -> Failure {
    let message = format!("that is this node itself: to take it out of its cluster run  {}", global.command("leave"));
    Failure::new(Exit::Refused, message)
}
