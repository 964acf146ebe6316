//! What homes do to servers: power cuts, pulled cables, a router that restarts, a network that falls apart.

use std::fs::File;
use std::io::Write;
use std::thread;
use std::time::Duration;

use super::cluster::Cluster;
use super::lab::Side;
use super::node::{Node, PORT, describe, peer};

/// Three nodes in one net.
const THREE: [(&str, &[&str]); 3] = [("garage", &["192.0.2.1"]), ("attic", &["192.0.2.2"]), ("cabin", &["192.0.2.3"])];

/// Not up any more, in whichever way.
const GONE: [&str; 2] = ["suspect", "lost"];

#[test]
fn killed_while_away_and_started_at_another_address() {
    let Some(mut cluster) = Cluster::formed("killed_while_away", &THREE) else { return };
    cluster.node("cabin").kill();
    cluster.expect_state("garage", "cabin", &GONE);
    cluster.node("cabin").readdress(&["203.0.113.33"]);
    cluster.node("cabin").start();
    cluster.report("kill -9, start at another address: up", cluster.expect_whole(), "seconds");
}

#[test]
fn an_orderly_stop_is_told() {
    let Some(mut cluster) = Cluster::formed("an_orderly_stop_is_told", &THREE) else { return };
    cluster.node("cabin").stop();
    for observer in ["garage", "attic"] {
        cluster.report("SIGTERM: reported as left", cluster.expect_state(observer, "cabin", &["left"]), "a second");
    }
    cluster.node("cabin").start();
    cluster.report("start after an orderly stop: up", cluster.expect_whole(), "seconds");
}

#[test]
fn the_interface_goes_down_and_up() {
    let Some(mut cluster) = Cluster::formed("the_interface_goes_down_and_up", &THREE) else { return };
    cluster.node("cabin").host.unplug();
    cluster.expect_state("garage", "cabin", &GONE);
    cluster.expect_state("cabin", "garage", &GONE);
    cluster.node("cabin").plug(&["192.0.2.3"]);
    cluster.report("cable out and in: whole", cluster.expect_whole(), "an interval");

    cluster.node("cabin").host.unplug();
    cluster.expect_state("cabin", "garage", &["lost"]);
    cluster.node("cabin").plug(&["198.51.100.3"]);
    cluster.report("cable out until lost, in at another address: whole", cluster.expect_whole(), "two intervals");
}

#[test]
fn starts_without_a_network_and_joins_when_there_is_one() {
    let Some(mut cluster) = Cluster::formed("starts_without_a_network", &THREE) else { return };
    cluster.node("cabin").stop();
    cluster.node("cabin").host.unplug();
    cluster.node("cabin").start();
    let status = cluster.node("cabin").status().expect("a node without a network answers");
    assert!(peer(&status, "garage").is_some_and(|garage| garage["state"] != "up"), "{status:#}");
    thread::sleep(Duration::from_secs(3));
    cluster.node("cabin").plug(&["192.0.2.3"]);
    cluster.report("started without a network, then there is one: whole", cluster.expect_whole(), "two intervals");
}

#[test]
fn a_partition_heals() {
    let Some(mut cluster) = Cluster::formed("a_partition_heals", &THREE) else { return };
    cluster.node("cabin").host.move_to(Side::Island);
    for observer in ["garage", "attic"] {
        cluster.report("cut off: noticed", cluster.expect_state(observer, "cabin", &GONE), "interval");
    }
    cluster.node("cabin").host.move_to(Side::Mainland);
    cluster.report("partition ends: whole", cluster.expect_whole(), "an interval");
}

#[test]
fn an_address_changes_behind_a_partition() {
    let Some(mut cluster) = Cluster::formed("an_address_changes_behind_a_partition", &THREE) else { return };
    cluster.node("cabin").host.move_to(Side::Island);
    cluster.expect_state("garage", "cabin", &["lost"]);
    cluster.node("cabin").readdress(&["198.51.100.33"]);
    cluster.node("cabin").host.move_to(Side::Mainland);
    cluster.report("moved behind a partition, which ends: whole", cluster.expect_whole(), "two intervals");
}

#[test]
fn a_dead_peer_disturbs_nobody() {
    let Some(mut cluster) = Cluster::formed("a_dead_peer_disturbs_nobody", &THREE) else { return };
    // A host that is there but has nobody at the port answers with ICMP errors; one that is gone does not.
    cluster.node("cabin").kill();
    cluster.expect_state("garage", "cabin", &["lost"]);
    let status = cluster.node("garage").status().expect("it runs");
    assert_eq!(peer(&status, "attic").expect("it knows the other")["state"], "up", "{status:#}");
    let cabin = cluster.nodes.pop().expect("it is the newest");
    cluster.node("attic").readdress(&["203.0.113.2"]);
    let took = cluster.expect("the living two find each other", |cluster| {
        let status = cluster.nodes.first()?.status()?;
        let attic = peer(&status, "attic")?.clone();
        (attic["state"] != "up" || attic["addr"] != "203.0.113.2:7733").then(|| attic.to_string())
    });
    cluster.report("one mover beside a dead peer: healed", took, "4 s");
    drop(cabin);
}

#[test]
fn two_runs_on_one_state_directory_are_refused() {
    let scenario = "two_runs_on_one_state_directory_are_refused";
    let Some(cluster) = Cluster::formed(scenario, &[("garage", &["192.0.2.1"])]) else { return };
    for node in &cluster.nodes {
        let second = node.dddns(&["run"]);
        assert_eq!(second.status.code(), Some(1), "{}", describe(&second));
        assert!(node.status().is_some(), "the first goes on");
    }
}

#[test]
fn static_configuration_instead_of_invites() {
    let scenario = "static_configuration_instead_of_invites";
    let Some(lab) = super::lab::Lab::new(scenario) else { return };
    let mut cluster = Cluster { nodes: Vec::new(), lab };
    for (name, address) in [("garage", "192.0.2.1"), ("attic", "192.0.2.2"), ("cabin", "192.0.2.3")] {
        let node = Node::new(&mut cluster.lab, name, &[address]);
        cluster.nodes.push(node);
    }
    provision(&cluster, |node| node.addresses.iter().map(|address| format!("{address}:{PORT}")).collect());
    for node in &mut cluster.nodes {
        node.start();
    }
    cluster.report("static configuration: whole", cluster.expect_whole(), "seconds");
}

#[test]
fn both_of_two_move_and_a_host_name_brings_them_together() {
    let scenario = "both_of_two_move_and_a_host_name_brings_them_together";
    let Some(lab) = super::lab::Lab::new(scenario) else { return };
    let mut cluster = Cluster { nodes: Vec::new(), lab };
    for (name, address) in [("garage", "192.0.2.1"), ("attic", "192.0.2.2")] {
        let node = Node::new(&mut cluster.lab, name, &[address]);
        cluster.nodes.push(node);
    }
    // Each has a hosts file of its own, in which only garage has attic.
    let hosts = cluster.node("garage").directory().with_file_name("hosts");
    std::fs::write(&hosts, "192.0.2.2 attic.example\n").expect("the hosts file can be written");
    let own_hosts = format!("mount --bind {} /etc/hosts && exec \"$0\" \"$@\"", hosts.display());
    cluster.node("garage").set_tracer(&["unshare", "--mount", "sh", "-c", &own_hosts]);
    provision(&cluster, |node| match node.name {
        "attic" => vec![format!("attic.example:{PORT}")],
        _ => Vec::new(),
    });
    for node in &mut cluster.nodes {
        node.start();
    }
    cluster.expect_whole();
    cluster.settle();

    cluster.node("garage").readdress(&["198.51.100.1"]);
    cluster.node("attic").readdress(&["203.0.113.2"]);
    std::fs::write(&hosts, "203.0.113.2 attic.example\n").expect("the hosts file can be written");
    cluster.report("both move, and a host name follows: whole", cluster.expect_whole(), "a minute and a half");
}

/// Does what a provisioning tool does: one cluster key for all, every public key in every configuration, and where each
/// node can be found.
fn provision(cluster: &Cluster, found_at: impl Fn(&Node) -> Vec<String>) {
    let key = cluster.nodes.first().expect("there are nodes").directory().join("cluster.key");
    let key = key.to_string_lossy();
    let mut keys = Vec::new();
    for (number, node) in cluster.nodes.iter().enumerate() {
        let printed = match number {
            0 => node.run(&["init", "--name", node.name]),
            _ => node.run(&["init", "--name", node.name, "--cluster-key", &key]),
        };
        let public_key = printed.lines().find_map(|line| line.strip_prefix("public key"));
        keys.push(public_key.expect("init prints the public key").trim().to_owned());
    }
    for node in &cluster.nodes {
        let mut config = File::options().append(true).open(node.directory().join("dddns.toml")).expect("init wrote it");
        for (peer, key) in cluster.nodes.iter().zip(&keys).filter(|(peer, _)| peer.name != node.name) {
            let (name, addresses) = (peer.name, found_at(peer));
            writeln!(config, "[[peer]]\nname = \"{name}\"\npublic_key = \"{key}\"\naddresses = {addresses:?}")
                .expect("the configuration can be written");
        }
        node.run(&["config", "check"]);
    }
}
