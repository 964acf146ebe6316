//! Nodes whose addresses change: alone, together, while they are down.

use std::time::Duration;

use super::cluster::Cluster;
use super::report;

/// Three nodes in three nets.
const THREE: [(&str, &[&str]); 3] =
    [("garage", &["192.0.2.1"]), ("attic", &["198.51.100.2"]), ("cabin", &["203.0.113.3"])];

#[test]
fn one_mover() {
    let Some(mut cluster) = Cluster::formed("one_mover", &THREE) else { return };
    let moves =
        [("attic", "192.0.2.22"), ("garage", "203.0.113.11"), ("cabin", "203.0.113.33"), ("attic", "192.0.2.23")];
    let mut slowest = Duration::ZERO;
    for (name, address) in moves {
        cluster.node(name).readdress(&[address]);
        let healed = cluster.expect_whole();
        report("one mover: healed", healed, "4 s");
        slowest = slowest.max(healed);
    }
    report("one mover: slowest of four", slowest, "4 s");

    let status = cluster.node("garage").status().expect("it runs");
    let attic = super::node::peer(&status, "attic").expect("it knows the node that moved");
    assert_eq!(attic["previous_addr"], "192.0.2.22:7733");
    assert!(attic["healed_ms"].as_u64().is_some_and(|healed| healed < 60_000), "{attic}");
}

#[test]
fn two_movers_in_the_same_instant() {
    let Some(mut cluster) = Cluster::formed("two_movers_in_the_same_instant", &THREE) else { return };
    for round in 0..3 {
        cluster.node("attic").readdress(&[&format!("192.0.2.{}", 100 + round)]);
        cluster.node("cabin").readdress(&[&format!("198.51.100.{}", 100 + round)]);
        report("two movers of three: healed", cluster.expect_whole(), "10 s");
    }
}

#[test]
fn neighbours_swap_addresses() {
    let Some(mut cluster) = Cluster::formed("neighbours_swap_addresses", &THREE) else { return };
    // Both give their address up before either takes the other's, as two leases that run out together would.
    cluster.node("attic").readdress(&[]);
    cluster.node("cabin").readdress(&["198.51.100.2"]);
    cluster.node("attic").readdress(&["203.0.113.3"]);
    report("two swap addresses: healed", cluster.expect_whole(), "10 s");
}

#[test]
fn all_restart_after_one_moved() {
    let Some(mut cluster) = Cluster::formed("all_restart_after_one_moved", &THREE) else { return };
    for node in &mut cluster.nodes {
        node.stop();
    }
    cluster.node("attic").readdress(&["192.0.2.222"]);
    for node in &mut cluster.nodes {
        node.start();
    }
    report("all restart, one had moved: whole", cluster.expect_whole(), "seconds");
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
    report("all lose power, one moved: whole", cluster.expect_whole(), "seconds");
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
    report("a node moves while the others are down: whole", cluster.expect_whole(), "two intervals");
}
