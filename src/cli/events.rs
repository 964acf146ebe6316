//! `dddns events`: follows changes, one line each.

use std::io::Write;

use crate::cli::age::measured;
use crate::cli::args::Global;
use crate::cli::failure::{Exit, Failure};
use crate::cli::node_client;
use crate::daemon::control_client::Client;
use crate::daemon::control_message::{Reply, Request};
use crate::daemon::event_report::EventReport;

/// The arguments of `dddns events`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Print one JSON object a line: schema dddns.event/1
    #[arg(long)]
    json: bool,
}

/// Prints changes until Ctrl-C, or until the node stops.
pub(super) fn run(args: &Args, global: &Global) -> Result<Exit, Failure> {
    let dir = global.state_dir()?;
    node_client::runtime()?.block_on(async {
        let mut client = Client::connect(&dir).await?;
        client.ask(&Request::Events).await?;
        loop {
            match client.next().await? {
                Reply::Event(event) => print(args, &event)?,
                Reply::Missed(count) => {
                    let status = global.command("status");
                    global.hint(&format!("{count} changes were missed: to see the present state run  {status}"))
                }
                Reply::Following => {}
                Reply::Status(_)
                | Reply::Invite(_)
                | Reply::Sought
                | Reply::Forgotten
                | Reply::Left(_)
                | Reply::Error(_) => {
                    return Err(node_client::nonsense());
                }
            }
        }
    })
}

fn print(args: &Args, event: &EventReport) -> Result<(), Failure> {
    let line = if args.json {
        serde_json::to_string(event).map_err(|error| Failure::new(Exit::Failed, error.to_string()))?
    } else {
        sentence(event)
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// The event for people: when, what, who, from where to where, and what is worth knowing.
fn sentence(event: &EventReport) -> String {
    let mut text = format!("{}  {:<15}", event.t, event.event);
    if let Some(peer) = &event.peer {
        text.push_str(&format!("  {peer}"));
    }
    match (&event.old, &event.new) {
        (Some(old), Some(new)) if old != new => text.push_str(&format!("  {old} -> {new}")),
        (_, Some(new)) => text.push_str(&format!("  {new}")),
        (_, None) => {}
    }
    if let Some(ms) = event.healed_ms {
        text.push_str(&format!("  healed in {}", measured(ms)));
    }
    if let (Some(confidence), Some(observers)) = (&event.confidence, event.observers) {
        text.push_str(&format!("  {confidence}, {observers} observers"));
    }
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_say_what_changed() {
        let event = |event: &str| EventReport { t: "T".into(), event: event.into(), ..EventReport::default() };
        let at = |text: &str| Some(text.to_owned());
        let moved = EventReport {
            peer: at("berlin"),
            old: at("192.0.2.14:7733"),
            new: at("192.0.2.99:50211"),
            healed_ms: Some(1_840),
            ..event("peer.moved")
        };
        insta::assert_snapshot!(sentence(&moved), @"T  peer.moved       berlin  192.0.2.14:7733 -> 192.0.2.99:50211  healed in 1.8 s");
        let own = EventReport {
            new: at("203.0.113.7:7733"),
            confidence: at("agreed"),
            observers: Some(3),
            ..event("node.address")
        };
        insta::assert_snapshot!(sentence(&own), @"T  node.address     203.0.113.7:7733  agreed, 3 observers");
        assert_eq!(sentence(&event("orphan")), "T  orphan");
    }
}
