//! `dddns invite`: asks the running node for a token that lets one other node in.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use serde_json::json;

use crate::auth::invite::Token;
use crate::cli::args::Global;
use crate::cli::failure::{Exit, Failure};
use crate::cli::node_client;
use crate::daemon::control_message::{Reply, Request};
use crate::daemon::duration_text;

/// The arguments of `dddns invite`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// How long the token is valid: a number and s, m, h or d
    #[arg(long, default_value = "24h", value_parser = duration_text::parse)]
    ttl: Duration,

    /// An address at which the new node can reach this one; without a port, this node's own. May be given several
    /// times; the addresses that peers see are added
    #[arg(long, value_name = "ADDR", value_parser = address)]
    address: Vec<String>,

    /// Show the token as a QR code too, on standard error
    #[arg(long)]
    qr: bool,

    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// Prints the token, and nothing else, on standard output.
pub(super) fn run(args: &Args, global: &Global) -> Result<Exit, Failure> {
    let ttl_ms = u64::try_from(args.ttl.as_millis()).unwrap_or(u64::MAX);
    let request = Request::Invite { ttl_ms, addresses: args.address.clone() };
    let Reply::Invite(invite) = node_client::ask(global, &request)? else { return Err(node_client::nonsense()) };

    let mut out = std::io::stdout().lock();
    if args.json {
        let token: Option<Token> = invite.token.parse().ok();
        let id = token.as_ref().map(|token| token.id().to_string());
        let inviter = token.as_ref().map(|token| token.inviter().to_string());
        let object = json!({
            "schema": "dddns.invite/1",
            "token": invite.token,
            "id": id,
            "inviter": inviter,
            "expires": invite.expires,
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
    Ok(Exit::Done)
}

/// An IP address, with or without a port.
fn address(text: &str) -> Result<String, String> {
    let known = text.parse::<IpAddr>().is_ok() || text.parse::<SocketAddr>().is_ok();
    known.then(|| text.to_owned()).ok_or_else(|| "expected an IP address, with or without a port".to_owned())
}
