//! `dddns addr`: an address and nothing else, for scripts.

use std::io::Write;
use std::net::SocketAddr;

use serde_json::json;

use crate::cli::age::age;
use crate::cli::args::Global;
use crate::cli::failure::{Exit, Failure};
use crate::cli::member_name::{self, Meant};
use crate::cli::node_client;
use crate::daemon::control_client::{Client, ClientError};
use crate::daemon::control_message::Request;
use crate::daemon::status_report::{OwnAddressReport, PeerReport, StatusReport};

/// The arguments of `dddns addr`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// A peer's name, its ID or the first 8 or more characters of it; this node itself if left out
    name: Option<String>,

    /// IPv4 only
    #[arg(short = '4', conflicts_with = "v6")]
    v4: bool,

    /// IPv6 only
    #[arg(short = '6')]
    v6: bool,

    /// All addresses, with their ports, the widest scope first
    #[arg(long)]
    all: bool,

    /// Print a JSON object with all addresses
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Debug, PartialEq)]
struct Found {
    id: String,
    name: String,
    state: String,
    addresses: Vec<SocketAddr>,
    last_seen_ms: Option<u64>,
}

/// Prints the address. An unknown peer, or one without an address, is an error of its own.
pub(super) fn run(args: &Args, global: &Global) -> Result<Exit, Failure> {
    let dir = global.state_dir()?;
    let report = node_client::runtime()?.block_on(async {
        let mut client = Client::connect(&dir).await?;
        let report = node_client::status(&mut client).await?.report;
        let found = find(&report, args.name.as_deref())?;
        if found.state == "up" {
            return Ok(report);
        }
        // It has perhaps moved, or is one of hundreds with whom the node has no link.
        match client.ask(&Request::Find { id: found.id }).await {
            // The next status says what there is to say of it.
            Ok(_) | Err(ClientError::Refused(_)) => {}
            Err(error) => return Err(error.into()),
        }
        Ok::<_, Failure>(node_client::status(&mut client).await?.report)
    })?;
    let mut found = find(&report, args.name.as_deref())?;
    found.addresses.retain(|address| (!args.v4 || address.is_ipv4()) && (!args.v6 || address.is_ipv6()));
    let Some(first) = found.addresses.first() else { return Err(no_address(args, &found)) };

    let mut out = std::io::stdout().lock();
    if args.json {
        let addresses: Vec<_> = found.addresses.iter().map(|address| entry(address, &report)).collect();
        let (id, name, state) = (&found.id, &found.name, &found.state);
        let object = json!({"schema": "dddns.addr/1", "id": id, "name": name, "state": state, "addresses": addresses});
        writeln!(out, "{object:#}")?;
    } else if args.all {
        for address in &found.addresses {
            writeln!(out, "{address}")?;
        }
    } else {
        writeln!(out, "{}", first.ip())?;
    }
    if let Some(doubt) = doubt(first, &report) {
        let (name, status) = (&found.name, global.command("status"));
        global.hint(&format!("this address of {name} is {doubt}: to see who confirmed it, and when, run  {status}"));
    }
    if found.state != "up" {
        let seen = found.last_seen_ms.map_or_else(String::new, |ms| format!(", last seen {} ago", age(ms)));
        global.hint(&format!("{} is {}{seen}: this is its last known address", found.name, found.state));
    }
    Ok(Exit::Done)
}

/// What speaks against an address of this node: what its peers say of it, unless they agree.
fn doubt<'r>(address: &SocketAddr, report: &'r StatusReport) -> Option<&'r str> {
    own_entry(address, report).map(|own| own.confidence.as_str()).filter(|word| ["disputed", "stale"].contains(word))
}

fn own_entry<'r>(address: &SocketAddr, report: &'r StatusReport) -> Option<&'r OwnAddressReport> {
    let text = address.to_string();
    report.node.addresses.iter().find(|own| own.addr == text)
}

fn entry(address: &SocketAddr, report: &StatusReport) -> serde_json::Value {
    let text = address.to_string();
    let family = if address.is_ipv4() { "ipv4" } else { "ipv6" };
    if let Some(OwnAddressReport { scope, confidence, .. }) = own_entry(address, report) {
        return json!({"addr": text, "family": family, "scope": scope, "confidence": confidence});
    }
    let peer = report.peers.iter().find(|peer| peer.addr.as_deref() == Some(&text));
    json!({"addr": text, "family": family, "scope": peer.and_then(|peer| peer.scope.as_deref())})
}

fn no_address(args: &Args, found: &Found) -> Failure {
    let kind = match (args.v4, args.v6) {
        (true, _) => "IPv4 address",
        (_, true) => "IPv6 address",
        (false, false) => "address",
    };
    let name = &found.name;
    let message = if args.name.is_some() {
        format!("no {kind} of {name} is known: to see whether it is being looked for run  dddns status")
    } else {
        format!("no peer has told this node its {kind}: to see whether one answers run  dddns status")
    };
    Failure::new(Exit::Unknown, message)
}

/// Who is meant: this node itself, where nobody is named.
fn find(report: &StatusReport, name: Option<&str>) -> Result<Found, Failure> {
    let Some(asked) = name else { return Ok(own(report)) };
    Ok(match member_name::find(report, asked)? {
        Meant::Itself => own(report),
        Meant::Peer(peer) => of(peer),
    })
}

/// This node: its widest scope first, in it IPv4 first.
fn own(report: &StatusReport) -> Found {
    let rank = |scope: &str| ["global", "cgnat", "private", "link-local", "loopback"].iter().position(|s| *s == scope);
    let mut ranked: Vec<(Option<usize>, SocketAddr)> =
        report.node.addresses.iter().filter_map(|own| Some((rank(&own.scope), own.addr.parse().ok()?))).collect();
    ranked.sort();
    Found {
        id: report.node.id.clone(),
        name: report.node.name.clone(),
        state: "up".to_owned(),
        addresses: ranked.into_iter().map(|(_, address)| address).collect(),
        last_seen_ms: None,
    }
}

fn of(peer: &PeerReport) -> Found {
    Found {
        id: peer.id.clone(),
        name: peer.name.clone(),
        state: peer.state.clone(),
        addresses: peer.addr.iter().filter_map(|addr| addr.parse().ok()).collect(),
        last_seen_ms: peer.last_seen_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::status_report::tests;

    fn report() -> StatusReport {
        let mut report = StatusReport::new(&tests::status(), &[]);
        let own = |addr: &str, scope: &str| OwnAddressReport {
            addr: addr.to_owned(),
            scope: scope.to_owned(),
            ..report.node.addresses[0].clone()
        };
        report.node.addresses = vec![
            own("10.0.0.7:7733", "private"),
            own("[2001:db8::7]:7733", "global"),
            own("203.0.113.7:7733", "global"),
        ];
        report
    }

    #[test]
    fn a_peer_is_found_by_name_id_and_beginning_of_its_id() {
        let report = report();
        let berlin = &report.peers[1];
        for asked in ["berlin", "Berlin", &berlin.id, &berlin.id[..8], &berlin.id.to_uppercase()] {
            let found = find(&report, Some(asked)).unwrap();
            assert_eq!(found.addresses, ["192.0.2.99:50211".parse().unwrap()], "{asked}");
        }
        for asked in ["", "berli", "nobody", &berlin.id[..7], &format!("{}x", berlin.id)] {
            assert_eq!(find(&report, Some(asked)).unwrap_err().exit(), Exit::Unknown, "{asked}");
        }
    }

    #[test]
    fn the_shown_name_decides_between_two_that_claim_one() {
        let mut report = report();
        report.peers[0].name = format!("berlin-{}", &report.peers[0].id[..8]);
        let shown = report.peers[0].name.clone();
        assert_eq!(find(&report, Some("berlin")).unwrap().id, report.peers[1].id);
        assert_eq!(find(&report, Some(&shown)).unwrap().id, report.peers[0].id);
    }

    #[test]
    fn a_name_that_an_earlier_member_has_is_not_this_nodes() {
        let mut report = report();
        report.peers[0].name = report.node.name.clone();
        let asked = report.node.name.clone();
        assert_eq!(find(&report, Some(&asked)).unwrap().id, report.peers[0].id);
        assert_eq!(find(&report, None).unwrap().id, report.node.id);
    }

    #[test]
    fn an_ambiguous_beginning_is_refused() {
        let mut report = report();
        report.peers[0].id = format!("{}zz", &report.peers[1].id[..12]);
        let failure = find(&report, Some(&report.peers[1].id[..8])).unwrap_err();
        assert!(failure.message().unwrap().contains("several IDs"));
    }

    #[test]
    fn a_doubtful_address_of_the_node_itself_is_called_so() {
        let mut report = report();
        let address = "203.0.113.7:7733".parse().unwrap();
        for (confidence, doubtful) in
            [("agreed", false), ("single-observer", false), ("disputed", true), ("stale", true)]
        {
            report.node.addresses[2].confidence = confidence.to_owned();
            assert_eq!(doubt(&address, &report), doubtful.then_some(confidence));
            assert_eq!(entry(&address, &report)["confidence"], confidence);
        }
        let peer = "192.0.2.99:50211".parse().unwrap();
        assert_eq!((doubt(&peer, &report), entry(&peer, &report).get("confidence")), (None, None));
    }

    #[test]
    fn the_nodes_own_widest_address_comes_first() {
        for asked in [None, Some("garage")] {
            let found = find(&report(), asked).unwrap();
            let texts: Vec<String> = found.addresses.iter().map(SocketAddr::to_string).collect();
            assert_eq!(texts, ["203.0.113.7:7733", "[2001:db8::7]:7733", "10.0.0.7:7733"]);
        }
    }
}
