//! `dddns status`: this node's addresses with their votes, then one row a peer.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use crate::cli::args::Global;
use crate::cli::failure::{Exit, Failure};
use crate::cli::{node_client, table};
use crate::daemon::control_client::Client;
use crate::daemon::control_message::StatusReply;

/// How often `--watch` looks.
const WATCH: Duration = Duration::from_secs(1);

/// Clears the screen, the cursor at its top.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// The arguments of `dddns status`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Print a JSON object: schema dddns.status/1
    #[arg(long)]
    json: bool,

    /// Go on every second until Ctrl-C; with --json, one object a line
    #[arg(long)]
    watch: bool,
}

/// Prints what the running node knows.
pub(super) fn run(args: &Args, global: &Global) -> Result<Exit, Failure> {
    let dir = global.state_dir()?;
    node_client::runtime()?.block_on(async {
        loop {
            // Each time anew: who was suspended for a while finds the node again.
            let status = node_client::status(&mut Client::connect(&dir).await?).await?;
            print(args, global, &status)?;
            if !args.watch {
                return Ok(Exit::Done);
            }
            tokio::time::sleep(WATCH).await;
        }
    })
}

fn print(args: &Args, global: &Global, status: &StatusReply) -> Result<(), Failure> {
    let not_json = |error: serde_json::Error| Failure::new(Exit::Failed, error.to_string());
    let mut text = match (args.json, args.watch) {
        (true, true) => serde_json::to_string(&status.report).map_err(not_json)? + "\n",
        (true, false) => serde_json::to_string_pretty(&status.report).map_err(not_json)? + "\n",
        (false, _) => table::render(status, global.stdout_style()),
    };
    let stdout = std::io::stdout();
    if args.watch && !args.json {
        if stdout.is_terminal() {
            text.insert_str(0, CLEAR);
        } else {
            text.push('\n');
        }
    }
    let mut out = stdout.lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
