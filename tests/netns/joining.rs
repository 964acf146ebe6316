//! Ways into a cluster: by invite through one node and through another, by configuration, over each address family.

use super::cluster::Cluster;
use super::lab::Lab;
use super::node::{Node, describe};

#[test]
fn a_third_node_joins_through_the_second() {
    let Some(lab) = Lab::new("a_third_node_joins_through_the_second") else { return };
    let mut cluster = Cluster { nodes: Vec::new(), lab };
    let garage = Node::new(&mut cluster.lab, "garage", &["192.0.2.1"]);
    cluster.admit(garage);
    let token = cluster.node("garage").invite(true);

    let attic = Node::new(&mut cluster.lab, "attic", &["198.51.100.2"]);
    attic.join(&token);
    cluster.nodes.push(attic);
    cluster.node("attic").start();
    cluster.report("second node: whole after its start", cluster.expect_whole(), "a second");

    // The second node was told its address by the first, so its invite need not be told any.
    let token = cluster.node("attic").invite(false);
    let cabin = Node::new(&mut cluster.lab, "cabin", &["203.0.113.3"]);
    cabin.join(&token);
    cluster.nodes.push(cabin);
    cluster.node("cabin").start();
    cluster.report("third node, through the second: whole after its start", cluster.expect_whole(), "interval");

    assert_eq!(cluster.node("garage").run(&["addr", "cabin"]), "203.0.113.3");
    assert_eq!(cluster.node("cabin").run(&["addr"]), "203.0.113.3");
    assert_eq!(cluster.node("cabin").dddns(&["addr", "cellar"]).status.code(), Some(3), "an unknown peer");
}

#[test]
fn an_invite_works_once() {
    let Some(mut cluster) = Cluster::formed("an_invite_works_once", &[("garage", &["192.0.2.1"])]) else { return };
    let token = cluster.node("garage").invite(true);
    let attic = Node::new(&mut cluster.lab, "attic", &["192.0.2.2"]);
    attic.join(&token);
    cluster.nodes.push(attic);
    cluster.node("attic").start();
    cluster.expect_whole();

    let thief = Node::new(&mut cluster.lab, "thief", &["192.0.2.66"]);
    let refused = thief.dddns(&["join", &token, "--name", "thief"]);
    assert_eq!(refused.status.code(), Some(6), "{}", describe(&refused));
    assert!(describe(&refused).contains("used"), "{}", describe(&refused));
    assert_eq!(thief.dddns(&["run"]).status.code(), Some(1), "a refused node has no cluster to run in");
}

#[test]
fn an_unreachable_inviter_is_a_timeout() {
    let scenario = "an_unreachable_inviter_is_a_timeout";
    let Some(mut cluster) = Cluster::formed(scenario, &[("garage", &["192.0.2.1"])]) else { return };
    let token = cluster.node("garage").run(&["invite", "--address", "192.0.2.99"]);
    let attic = Node::new(&mut cluster.lab, "attic", &["192.0.2.2"]);
    let output = attic.dddns(&["join", &token, "--name", "attic"]);
    assert_eq!(output.status.code(), Some(5), "{}", describe(&output));
}

#[test]
fn ipv4_only_without_ipv6_in_the_kernel() {
    let Some(lab) = Lab::new("ipv4_only_without_ipv6_in_the_kernel") else { return };
    let mut cluster = Cluster { nodes: Vec::new(), lab };
    for (name, address) in [("garage", "192.0.2.1"), ("attic", "192.0.2.2"), ("cabin", "192.0.2.3")] {
        let node = Node::new(&mut cluster.lab, name, &[address]);
        node.host.disable_ipv6();
        cluster.admit(node);
    }
    cluster.expect_whole();
    cluster.node("attic").readdress(&["198.51.100.2"]);
    cluster.report("IPv4 only, one mover: healed", cluster.expect_whole(), "4 s");
}

#[test]
fn ipv6_only() {
    let members: [(&str, &[&str]); 3] =
        [("garage", &["2001:db8:1::1"]), ("attic", &["2001:db8:2::2"]), ("cabin", &["2001:db8:3::3"])];
    let Some(mut cluster) = Cluster::formed("ipv6_only", &members) else { return };
    cluster.node("attic").readdress(&["2001:db8:9::2"]);
    cluster.report("IPv6 only, one mover: healed", cluster.expect_whole(), "4 s");
}

#[test]
fn dual_stack() {
    let members: [(&str, &[&str]); 3] = [
        ("garage", &["192.0.2.1", "2001:db8:1::1"]),
        ("attic", &["198.51.100.2", "2001:db8:2::2"]),
        ("cabin", &["203.0.113.3", "2001:db8:3::3"]),
    ];
    let Some(mut cluster) = Cluster::formed("dual_stack", &members) else { return };
    cluster.node("attic").readdress(&["198.51.100.77", "2001:db8:9::77"]);
    cluster.report("dual stack, one mover: healed", cluster.expect_whole(), "4 s");
}

#[test]
fn a_dual_stack_node_reaches_both_kinds() {
    let Some(lab) = Lab::new("a_dual_stack_node_reaches_both_kinds") else { return };
    let mut cluster = Cluster { nodes: Vec::new(), lab };
    for (name, addresses) in
        [("bridge", &["192.0.2.1", "2001:db8:1::1"][..]), ("old", &["192.0.2.2"]), ("new", &["2001:db8:1::3"])]
    {
        let mut node = Node::new(&mut cluster.lab, name, addresses);
        match cluster.nodes.first() {
            None => node.init(),
            Some(bridge) => node.join(&bridge.invite(true)),
        }
        node.start();
        cluster.nodes.push(node);
    }
    for name in ["old", "new"] {
        cluster.expect_state("bridge", name, &["up"]);
        cluster.expect_state(name, "bridge", &["up"]);
    }
}
