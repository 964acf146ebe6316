//! Nodes whose addresses change: one after the other, and while nodes are down.

use std::time::Duration;

use super::cluster::Cluster;

/// Three nodes in three nets.
const THREE: [(&str, &[&str]); 3] =
    [("garage", &["192.0.2.1"]), ("attic", &["198.51.100.2"]), ("cabin", &["203.0.113.3"])];

#[test]
fn one_moves_after_the_other() {
    let Some(mut cluster) = Cluster::formed("one_moves_after_the_other", &THREE) else { return };
    let moves =
        [("attic", "192.0.2.22"), ("garage", "203.0.113.11"), ("cabin", "203.0.113.33"), ("attic", "192.0.2.23")];
    let mut slowest = Duration::ZERO;
    for (name, address) in moves {
        cluster.node(name).readdress(&[address]);
        let healed = cluster.expect_whole();
        cluster.report("one after the other moves: healed", healed, "4 s");
        slowest = slowest.max(healed);
    }
    cluster.report("one after the other moves: slowest of four", slowest, "4 s");

    let status = cluster.node("garage").status().expect("it runs");
    let attic = super::node::peer(&status, "attic").expect("it knows the node that moved");
    assert_eq!(attic["previous_addr"], "192.0.2.22:7733");
    assert!(attic["healed_ms"].as_u64().is_some_and(|healed| healed < 60_000), "{attic}");
}

#[test]
fn all_lose_power_soon_after_joining() {
    let Some(mut cluster) = Cluster::formed("all_lose_power_soon_after_joining", &THREE) else { return };
    for node in &mut cluster.nodes {
        node.kill();
    }
    cluster.node("cabin").readdress(&["192.0.2.222"]);
    for node in &mut cluster.nodes {
        node.start();
    }
    cluster.report("all lose power, one moved: whole", cluster.expect_whole(), "seconds");
}

#[test]
fn the_last_inviter_moves_while_two_are_down() {
    let Some(mut cluster) = Cluster::formed("the_last_inviter_moves_while_two_are_down", &THREE) else { return };
    cluster.node("attic").stop();
    cluster.node("cabin").stop();
    cluster.node("garage").readdress(&["203.0.113.111"]);
    // Garage can be told by nobody where it is now: it finds the others where they were.
    cluster.node("attic").start();
    cluster.node("cabin").start();
    cluster.report("a node moves while the others are down: whole", cluster.expect_whole(), "two intervals");
}
