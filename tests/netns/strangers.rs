//! Somebody else on the network: what it sends gets no answer and changes nothing.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::cluster::Cluster;
use super::lab::{Host, command_in};
use super::node::describe;
use super::skip;

/// Three nodes in one net.
const THREE: [(&str, &[&str]); 3] = [("garage", &["192.0.2.1"]), ("attic", &["192.0.2.2"]), ("cabin", &["192.0.2.3"])];

/// Where the three listen.
const TARGETS: [&str; 3] = ["192.0.2.1:7733", "192.0.2.2:7733", "192.0.2.3:7733"];

/// The datagram type of an initiation, `spec/formats.md` section 3.1, as hex.
const INITIATION: &str = "d101";

#[test]
fn garbage_and_replays_get_no_answer() {
    let scenario = "garbage_and_replays_get_no_answer";
    if !python(scenario) {
        return;
    }
    let Some(mut cluster) = Cluster::formed(scenario, &THREE) else { return };
    let stranger = cluster.lab.host();
    stranger.set_addresses(&["192.0.2.66"]);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let captured = directory.path().join("captured");
    // A restart in the middle puts handshakes into the capture.
    let capture = start_capture(&cluster, &captured);
    cluster.node("cabin").kill();
    cluster.node("cabin").start();
    finish(capture);
    cluster.expect_whole();

    let lines = fs::read_to_string(&captured).expect("the capture was written");
    let (initiations, others): (Vec<_>, Vec<_>) = lines.lines().partition(|line| line.starts_with(INITIATION));
    assert!(!initiations.is_empty() && others.len() > 5, "the capture holds too little:\n{lines}");

    let said = shout(&stranger, "attack", &captured);
    assert_eq!(said["answers"], Value::Array(Vec::new()), "garbage was answered");
    assert!(said["sent"].as_u64().is_some_and(|sent| sent > 5_000), "{said}");
    assert_eq!(cluster.flaw(), None, "after the garbage");

    fs::write(&captured, others.join("\n")).expect("the capture can be written");
    let said = shout(&stranger, "replay", &captured);
    assert_eq!(said["answers"], Value::Array(Vec::new()), "a replay was answered");
    assert_eq!(cluster.flaw(), None, "after the replays");

    // An initiation needs no clock and so can be answered anew: by less than it weighs, and to no effect.
    fs::write(&captured, initiations.join("\n")).expect("the capture can be written");
    let said = shout(&stranger, "replay", &captured);
    let answers = said["answers"].as_array().expect("a list of answers");
    assert!(answers.len() <= initiations.len(), "{said}");
    for answer in answers.iter().filter_map(Value::as_str) {
        assert!(answer.len() <= 2 * 216, "an initiation was answered by more than it weighs: {answer}");
    }
    thread::sleep(Duration::from_secs(5));
    assert_eq!(cluster.flaw(), None, "after the replayed initiations");
    for node in &cluster.nodes {
        assert!(!node.log().contains("192.0.2.66"), "{} let a stranger write into its log:\n{}", node.name, node.log());
    }
}

#[test]
fn a_stranger_that_inherits_an_address_counts_for_nothing() {
    let scenario = "a_stranger_that_inherits_an_address";
    if !python(scenario) {
        return;
    }
    let Some(mut cluster) = Cluster::formed(scenario, &THREE) else { return };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let captured = directory.path().join("captured");
    finish(start_capture(&cluster, &captured));

    cluster.node("cabin").readdress(&["198.51.100.3"]);
    let stranger = cluster.lab.host();
    stranger.set_addresses(&["192.0.2.3"]);
    cluster.expect_whole();
    // From the address that was the node's, with everything the node ever said.
    for _ in 0..3 {
        shout(&stranger, "replay", &captured);
        shout(&stranger, "attack", &captured);
        assert_eq!(cluster.flaw(), None, "after a replay from the node's old address");
    }
}

/// Captures what passes the switch from now on, for a while.
fn start_capture(cluster: &Cluster, file: &Path) -> Child {
    let mut capture = command_in(&cluster.lab.switch(), "python3")
        .args([script(), "capture", "12"])
        .arg(file)
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 starts");
    let mut ready = String::new();
    let output = capture.stdout.as_mut().expect("standard output is piped");
    BufReader::new(output).read_line(&mut ready).expect("the script says something");
    assert_eq!(ready, "ready\n");
    capture
}

fn finish(mut capture: Child) {
    assert!(capture.wait().expect("the capture ends").success(), "the capture failed");
}

/// Sends as the stranger and returns what came back.
fn shout(stranger: &Host, command: &str, captured: &Path) -> Value {
    let output: Output = stranger
        .command("python3")
        .args([script(), command])
        .arg(captured)
        .args(TARGETS)
        .output()
        .expect("python3 starts");
    assert!(output.status.success(), "{}", describe(&output));
    serde_json::from_slice(&output.stdout).expect("the script prints JSON")
}

fn script() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/netns/stranger.py")
}

/// Whether there is a Python to be the stranger.
fn python(scenario: &str) -> bool {
    let found = Command::new("python3").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let found = found.is_ok_and(|status| status.success());
    if !found {
        skip(scenario, "needs python3");
    }
    found
}
