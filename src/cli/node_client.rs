//! How commands speak with the running node.

use crate::cli::args::Global;
use crate::cli::failure::{Exit, Failure};
use crate::daemon::control_client::Client;
use crate::daemon::control_message::{Reply, Request, StatusReply};

/// A runtime for one command.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot start: {error}")))
}

/// Asks the running node one thing.
pub(super) fn ask(global: &Global, request: &Request) -> Result<Reply, Failure> {
    let dir = global.state_dir()?;
    runtime()?.block_on(async { Ok(Client::connect(&dir).await?.ask(request).await?) })
}

/// Asks the running node what it knows.
pub(super) async fn status(client: &mut Client) -> Result<Box<StatusReply>, Failure> {
    match client.ask(&Request::Status).await? {
        Reply::Status(status) => Ok(status),
        Reply::Invite(_)
        | Reply::Sought
        | Reply::Forgotten
        | Reply::Left(_)
        | Reply::Following
        | Reply::Event(_)
        | Reply::Missed(_)
        | Reply::Error(_) => Err(nonsense()),
    }
}

/// The node answered, but not what was asked.
pub(super) fn nonsense() -> Failure {
    Failure::new(Exit::Failed, "the running node gave another answer than was asked for: restart it after an update")
}
