//! `dddns invite`: asks the running node for a token that lets one other node in.

use std::io::Write;
use std::time::Duration;

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use serde_json::json;

use crate::auth::invite::Token;
use crate::cli::args::Global;
use crate::cli::failure::{Exit, Failure};
use crate::cli::node_client;
use crate::daemon::control_message::{Reply, Request};
use crate::daemon::{control_server, duration_text};
use crate::driver::clock;
use crate::node::Node;
use crate::node::error::CommandError;

/// How far a node's clock, which it reads at its start and carries on, may be from the system's before a person is told,
/// in seconds.
const CLOCK_OFF: u64 = 60;

/// What a person is told then.
const CLOCK_WARNING: &str = "this invite ends by the node's clock, which is not the system's any more: the system's was set after the node had \
                             started, or the machine slept. Once the node restarts, the invite may end early or late: restart it \
                             first, and make another one.";

/// The arguments of `dddns invite`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// How long the token is valid: a whole number and ms, s, m, h or d, from 1s to 30d
    #[arg(long, default_value = "24h", value_parser = lifetime)]
    ttl: Duration,

    /// An address at which the new node can reach this one; without a port, this node's own. May be given several
    /// times; the addresses that peers see are added
    #[arg(long, value_name = "ADDR", value_parser = address)]
    address: Vec<String>,

    /// Show the token as a QR code too, on standard error
    #[arg(long)]
    qr: bool,

    /// Print a JSON object: schema dddns.invite/1; clock_is_off says that the node's clock, by which it expires, is not
    /// the system's
    #[arg(long)]
    json: bool,
}

/// Prints the token, and nothing else, on standard output.
pub(super) fn run(args: &Args, global: &Global) -> Result<Exit, Failure> {
    let ttl_ms = u64::try_from(args.ttl.as_millis()).unwrap_or(u64::MAX);
    let request = Request::Invite { ttl_ms, addresses: args.address.clone() };
    let Reply::Invite(invite) = node_client::ask(global, &request)? else { return Err(node_client::nonsense()) };
    let token: Option<Token> = invite.token.parse().ok();
    let clock_is_off = token.as_ref().is_some_and(|token| clock_is_off(token.expiry(), args.ttl, clock::unix()));

    let mut out = std::io::stdout().lock();
    if args.json {
        let id = token.as_ref().map(|token| token.id().to_string());
        let inviter = token.as_ref().map(|token| token.inviter().to_string());
        let object = json!({
            "schema": "dddns.invite/1",
            "token": invite.token,
            "id": id,
            "inviter": inviter,
            "expires": invite.expires,
            "clock_is_off": clock_is_off,
            "addresses": invite.addresses,
        });
        writeln!(out, "{object:#}")?;
    } else {
        writeln!(out, "{}", invite.token)?;
    }
    if args.qr {
        let code = QrCode::new(&invite.token)
            .map_err(|error| Failure::new(Exit::Failed, format!("the token makes no QR code: {error}")))?;
        let picture = code.render::<Dense1x2>().quiet_zone(true).build();
        writeln!(std::io::stderr().lock(), "{picture}")?;
    }
    global.hint(&format!(
        "Valid for one node until {}. There:  dddns join TOKEN && dddns run\nWhoever has the token can join: send it by a channel you trust.",
        invite.expires
    ));
    if clock_is_off {
        global.warn(CLOCK_WARNING);
    }
    Ok(Exit::Done)
}

/// Whether an invite that was made now, for so long, does not end when it should.
fn clock_is_off(expiry: u64, ttl: Duration, now: Duration) -> bool {
    let made = expiry.saturating_sub(ttl.as_secs());
    now.as_secs().abs_diff(made) > CLOCK_OFF
}

/// The longest and the shortest life of a token are the core's.
fn lifetime(text: &str) -> Result<Duration, String> {
    let ttl = duration_text::parse(text).map_err(|error| error.to_string())?;
    Node::INVITE_TTL.contains(&ttl).then_some(ttl).ok_or_else(|| CommandError::Lifetime.to_string())
}

/// An IP address, with or without a port; the node knows which port is its own.
fn address(text: &str) -> Result<String, String> {
    control_server::reachable(text, 1).map(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_is_told_in_either_direction() {
        let (ttl, now) = (Duration::from_secs(3600), Duration::from_secs(1_000_000));
        let expiry = (now + ttl).as_secs();
        for right in [expiry - CLOCK_OFF, expiry, expiry + CLOCK_OFF] {
            assert!(!clock_is_off(right, ttl, now), "{right}");
        }
        for off in [0, expiry - CLOCK_OFF - 1, expiry + CLOCK_OFF + 1] {
            assert!(clock_is_off(off, ttl, now), "{off}");
        }
    }
}
