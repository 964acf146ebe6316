//! What real nodes send, captured on the network: Wireshark shows it as the library reads it.

#[path = "../dissector/tshark.rs"]
mod tshark;
#[path = "../dissector/verdict.rs"]
mod verdict;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dddns::wire::kind::Kind;

use super::cluster::{Cluster, age};
use super::lab::command_in;
use super::node::{Node, peer};

/// Where hosts are plugged into the switch: all datagrams pass two of them.
const PORTS: [&str; 3] = ["p1", "p2", "p3"];

/// How long the capture program waits for a batch of packets.
const BATCH: Duration = Duration::from_millis(250);

/// What the nodes here send.
const SENT: [Kind; 7] = [
    Kind::INITIATION,
    Kind::RESPONSE,
    Kind::HEARTBEAT,
    Kind::HEARTBEAT_ACK,
    Kind::PATH_CHALLENGE,
    Kind::PATH_RESPONSE,
    Kind::LEAVE,
];

#[test]
fn what_real_nodes_send_is_shown_field_by_field() {
    let scenario = "what_real_nodes_send_is_shown_field_by_field";
    if !tshark::is_there(scenario) {
        return;
    }
    let three: [(&str, &[&str]); 3] = [
        ("garage", &["192.0.2.1", "2001:db8::1"]),
        ("attic", &["192.0.2.2"]),
        ("cabin", &["2001:db8::3", "192.0.2.3"]),
    ];
    let Some(mut cluster) = Cluster::formed(scenario, &three) else { return };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("capture.pcapng");
    let capture = start_capture(&cluster, &file);
    cluster.node("attic").readdress(&["198.51.100.2"]);
    cluster.expect_whole();
    cluster.node("cabin").kill();
    cluster.node("cabin").start();
    cluster.expect_whole();
    cluster.node("cabin").stop();
    // The capture gets what has passed in batches, some four in a second, and what is still waiting as it ends is lost.
    cluster.expect("garage has heard cabin leave, a second ago", |cluster| {
        let status = cluster.nodes.iter().find(|node| node.name == "garage").and_then(Node::status);
        let cabin = status.as_ref().and_then(|status| peer(status, "cabin"));
        let left = cabin.filter(|cabin| cabin["state"] == "left").and_then(|cabin| age(cabin, "since_ms"));
        left.is_none_or(|left| left < BATCH * 4).then(|| format!("it knows {cabin:?}"))
    });
    finish(capture);

    let seen = tshark::dissect(file);
    seen.iter().for_each(|shown| assert_eq!(verdict::check(shown), None));
    let kinds: BTreeSet<Kind> = seen.iter().filter_map(|shown| shown.payload.get(1)).map(|kind| Kind(*kind)).collect();
    for kind in SENT {
        assert!(kinds.contains(&kind), "nothing shown is a {kind}, only {kinds:?}");
    }
}

/// Captures what passes the switch, until it is told to end.
fn start_capture(cluster: &Cluster, file: &Path) -> Child {
    let mut command = command_in(&cluster.lab.switch(), "dumpcap");
    command.args(["-f", "udp", "-w"]).arg(file);
    for port in PORTS {
        command.args(["-i", port]);
    }
    let mut capture = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("dumpcap starts");
    // It names its file once it captures.
    let mut said = String::new();
    let mut lines = BufReader::new(capture.stderr.take().expect("a pipe"));
    while !said.contains("File: ") {
        let read = lines.read_line(&mut said).expect("dumpcap says UTF-8");
        assert!(read > 0, "dumpcap ended: {said}");
    }
    // It goes on to say how many packets there are, and ends once nobody can read that any more.
    capture.stderr = Some(lines.into_inner());
    capture
}

fn finish(mut capture: Child) {
    let asked = Command::new("kill").args(["-INT", &capture.id().to_string()]).status();
    assert!(asked.is_ok_and(|status| status.success()), "dumpcap cannot be asked to end");
    let ended = capture.wait().expect("dumpcap can be waited for");
    assert!(ended.success(), "dumpcap: {ended}");
}
