//! Wrong clocks: nodes that believe it is 1970 or 2040, and clocks that jump. Real processes under libfaketime.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::cluster::Cluster;
use super::lab::Lab;
use super::node::{Node, describe, peer};
use super::skip;

#[test]
fn clocks_of_1970_and_2040() {
    let scenario = "clocks_of_1970_and_2040";
    let Some(library) = faketime(scenario) else { return };
    let Some(lab) = Lab::new(scenario) else { return };
    let mut cluster = Cluster { nodes: Vec::new(), lab };
    let times = [("garage", None), ("past", Some("@1970-01-02 00:00:00")), ("future", Some("@2040-01-01 00:00:00"))];
    for (number, (name, time)) in (1..).zip(times) {
        let mut node = Node::new(&mut cluster.lab, name, &[&format!("192.0.2.{number}")]);
        if let Some(time) = time {
            fake(&mut node, &library);
            node.set_environment("FAKETIME", time);
        }
        cluster.admit(node);
    }
    cluster.report("clocks of now, 1970 and 2040: whole", cluster.expect_whole(), "seconds");

    assert!(cluster.node("past").log().contains("1970-01-0"), "the fake clock has no effect: this test proves nothing");
    assert!(
        cluster.node("future").log().contains("2040-01-0"),
        "the fake clock has no effect: this test proves nothing"
    );

    cluster.node("past").readdress(&["198.51.100.2"]);
    cluster.report("the node of 1970 moves: healed", cluster.expect_whole(), "4 s");
    cluster.node("future").readdress(&["198.51.100.3"]);
    cluster.report("the node of 2040 moves: healed", cluster.expect_whole(), "4 s");
    cluster.node("past").kill();
    cluster.node("past").start();
    cluster.report("the node of 1970 is killed and starts in 1970: up", cluster.expect_whole(), "seconds");
}

#[test]
fn a_clock_that_jumps_disturbs_nothing() {
    let scenario = "a_clock_that_jumps_disturbs_nothing";
    let Some(library) = faketime(scenario) else { return };
    let Some(lab) = Lab::new(scenario) else { return };
    let mut cluster = Cluster { nodes: Vec::new(), lab };
    let clock = tempfile::NamedTempFile::new().expect("a temporary file");
    let set = |offset: &str| fs::write(clock.path(), format!("{offset}\n")).expect("the clock can be set");
    set("+0d");
    for (number, name) in (1..).zip(["garage", "attic", "cabin"]) {
        let mut node = Node::new(&mut cluster.lab, name, &[&format!("192.0.2.{number}")]);
        if name == "attic" {
            fake(&mut node, &library);
            node.set_environment("FAKETIME_TIMESTAMP_FILE", clock.path().to_string_lossy());
            node.set_environment("FAKETIME_NO_CACHE", "1");
        }
        cluster.admit(node);
    }
    cluster.expect_whole();
    let before = peer_ages(&cluster);
    for offset in ["+3650d", "-18000d", "+40s", "-40s", "+30000d"] {
        set(offset);
        thread::sleep(Duration::from_secs(5));
        assert_eq!(cluster.flaw(), None, "after the clock jumped by {offset}");
    }
    let after = peer_ages(&cluster);
    for (before, after) in before.iter().zip(&after) {
        assert!(after > before, "a link was interrupted: up for {before} ms, then for {after} ms");
    }
    let warns = |node: &Node| {
        let ended = node.dddns(&["invite"]);
        assert!(ended.status.success(), "{}", describe(&ended));
        String::from_utf8_lossy(&ended.stderr).contains("not the system's any more")
    };
    assert!(warns(cluster.node("attic")), "whoever makes an invite is told that the node's clock is another one");
    assert!(!warns(cluster.node("garage")));
    cluster.node("attic").readdress(&["198.51.100.2"]);
    cluster.report("a node whose clock has jumped moves: healed", cluster.expect_whole(), "4 s");
}

/// For how long each node has had each of its peers in its state, in milliseconds.
fn peer_ages(cluster: &Cluster) -> Vec<u64> {
    let names = ["garage", "attic", "cabin"];
    let mut ages = Vec::new();
    for node in &cluster.nodes {
        let status = node.status().expect("the node runs");
        ages.extend(names.iter().filter_map(|name| peer(&status, name)?["since_ms"].as_u64()));
    }
    assert_eq!(ages.len(), 6, "every node tells since when each other one is up");
    ages
}

/// Puts a node under the library's clock. Only the wall clock is a fake: timers go on as they are.
fn fake(node: &mut Node, library: &Path) {
    node.set_environment("LD_PRELOAD", library.to_string_lossy());
    node.set_environment("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    node.set_environment("TZ", "UTC");
}

/// Where Debian puts libfaketime, if it is installed.
fn faketime(scenario: &str) -> Option<PathBuf> {
    let found = fs::read_dir("/usr/lib").into_iter().flatten().flatten().find_map(|entry| {
        let library = entry.path().join("faketime/libfaketimeMT.so.1");
        library.exists().then_some(library)
    });
    if found.is_none() {
        skip(scenario, "needs libfaketime (Debian package faketime)");
    }
    found
}
