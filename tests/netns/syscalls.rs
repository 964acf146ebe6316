//! A node learns its address from its peers only: it makes no system call that could tell it.

use std::fs;
use std::process::{Command, Stdio};

use super::cluster::Cluster;
use super::node::Node;
use super::skip;

/// Spec: RULE-1, RULE-2.
#[test]
fn no_system_call_asks_for_the_nodes_own_address() {
    let scenario = "no_system_call_asks_for_the_nodes_own_address";
    let strace = Command::new("strace").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !strace.is_ok_and(|status| status.success()) {
        skip(scenario, "needs strace");
        return;
    }
    let members: [(&str, &[&str]); 2] = [("garage", &["192.0.2.1"]), ("attic", &["192.0.2.2"])];
    let Some(mut cluster) = Cluster::formed(scenario, &members) else { return };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let trace = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
    let (joining, running) = (trace("join"), trace("run"));
    let traced = |file: &str| ["strace", "-f", "-qq", "-e", "trace=network,ioctl", "-o", file].map(str::to_owned);

    let mut cabin = Node::new(&mut cluster.lab, "cabin", &["192.0.2.3"]);
    let token = cluster.node("attic").invite(true);
    cabin.set_tracer(&traced(&joining).each_ref().map(String::as_str));
    cabin.join(&token);
    cabin.set_tracer(&traced(&running).each_ref().map(String::as_str));
    cabin.start();
    cluster.nodes.push(cabin);
    cluster.expect_whole();
    cluster.node("cabin").readdress(&["198.51.100.3"]);
    cluster.expect_whole();
    cluster.node("cabin").stop();

    for file in [joining, running] {
        let calls = fs::read_to_string(&file).expect("strace wrote what it saw");
        assert!(calls.contains("AF_INET") && calls.contains("sendto("), "the trace shows no datagrams:\n{calls}");
        for asking in ["AF_NETLINK", "SIOCGIF", "getsockname(", "AF_PACKET"] {
            let found: Vec<_> = calls.lines().filter(|line| line.contains(asking)).collect();
            assert!(found.is_empty(), "{file}: the node asked the system for addresses: {found:#?}");
        }
    }
}
