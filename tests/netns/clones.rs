//! A copy of a node's state, started on another machine beside the node itself.

use std::process::Command;
use std::time::Duration;

use super::cluster::Cluster;
use super::node::{Node, peer};

#[test]
fn a_copied_state_directory_displaces_nobody() {
    let members: [(&str, &[&str]); 3] =
        [("garage", &["192.0.2.1"]), ("attic", &["192.0.2.2"]), ("cabin", &["192.0.2.3"])];
    let Some(mut cluster) = Cluster::formed("a_copied_state_directory", &members) else { return };
    let mut copy = Node::new(&mut cluster.lab, "cabin", &["203.0.113.9"]);
    // New addresses wait up to a minute to be stored; an orderly stop stores them, so that the copy can reach both others.
    let original = cluster.node("cabin");
    original.stop();
    let copied = Command::new("cp").arg("-a").arg(original.directory()).arg(copy.directory()).status();
    assert!(copied.is_ok_and(|status| status.success()), "the state can be copied");
    original.start();
    cluster.expect_whole();
    copy.start();
    let shown = |cluster: &Cluster, name: &str| -> Option<String> {
        for node in cluster.nodes.iter().filter(|node| node.name != name) {
            let status = node.status()?;
            let seen = peer(&status, name)?;
            if seen["state"] != "conflict" || seen["addr"] != "192.0.2.3:7733" {
                return Some(format!("{} says {seen}", node.name));
            }
        }
        None
    };
    let took = cluster.expect("both others report the conflict", |cluster| shown(cluster, "cabin"));
    cluster.report("a copy is started beside the node: reported as conflict", took, "seconds");
    for _ in 0..10 {
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!(shown(&cluster, "cabin"), None, "somebody wavers");
        let status = cluster.node("cabin").status().expect("it runs");
        assert!(["garage", "attic"].iter().all(|name| peer(&status, name).is_some_and(|peer| peer["state"] == "up")));
    }
    assert!(copy.log().contains("another machine with this node's identity"), "{}", copy.log());
    let status = copy.status().expect("it runs");
    assert!(["garage", "attic"].iter().all(|name| peer(&status, name).is_some_and(|peer| peer["state"] == "conflict")));
    copy.kill();
}
