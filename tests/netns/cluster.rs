//! Nodes that should know each other: forming a cluster and asking whether it is whole.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::lab::Lab;
use super::node::{Node, PORT, peer};

/// How long a condition may take before a test fails. Far above every aim, so that a busy machine decides nothing; what
/// a change really took is reported.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// How often a node exchanges heartbeats with each peer unless configured otherwise. Spec: `HEARTBEAT`.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(10);

/// Between two looks at a condition.
const POLL: Duration = Duration::from_millis(50);

/// Nodes in a lab. The nodes are dropped, and so end, before their namespaces.
pub(crate) struct Cluster {
    /// The nodes, by the order in which they came.
    pub(crate) nodes: Vec<Node>,
    /// Where they run.
    pub(crate) lab: Lab,
}

impl Cluster {
    /// A running cluster of nodes with these names and addresses: each joins by an invite from the one before it. `None`
    /// where namespaces cannot be made.
    pub(crate) fn formed(scenario: &str, members: &[(&'static str, &[&str])]) -> Option<Self> {
        let mut cluster = Self { nodes: Vec::new(), lab: Lab::new(scenario)? };
        for (name, addresses) in members {
            let node = Node::new(&mut cluster.lab, name, addresses);
            cluster.admit(node);
        }
        cluster.expect_whole();
        Some(cluster)
    }

    /// Lets a node in, by an invite from the newest member, and starts it. The first one makes the cluster.
    pub(crate) fn admit(&mut self, mut node: Node) {
        match self.nodes.last() {
            None => node.init(),
            Some(inviter) => node.join(&inviter.invite(true)),
        }
        node.start();
        self.nodes.push(node);
    }

    /// The node of this name.
    pub(crate) fn node(&mut self, name: &str) -> &mut Node {
        self.nodes.iter_mut().find(|node| node.name == name).expect("scenarios name their own nodes")
    }

    /// Waits until the cluster is whole and returns how long that took.
    pub(crate) fn expect_whole(&self) -> Duration {
        self.expect("the cluster is whole", Self::flaw)
    }

    /// Waits until `flaw` finds none and returns how long that took; fails with all that is known after [`PATIENCE`].
    pub(crate) fn expect(&self, what: &str, flaw: impl Fn(&Self) -> Option<String>) -> Duration {
        let start = Instant::now();
        loop {
            let Some(flaw) = flaw(self) else { return start.elapsed() };
            assert!(start.elapsed() < PATIENCE, "not after {PATIENCE:?}: {what}: {flaw}\n{}", self.describe());
            std::thread::sleep(POLL);
        }
    }

    /// Waits until the cluster is whole and every node has had every other one up for an interval, so that nothing is under
    /// way any more but what always is.
    pub(crate) fn settle(&self) {
        self.expect("the cluster is whole for an interval", |cluster| {
            cluster.flaw().or_else(|| {
                cluster.nodes.iter().find_map(|node| {
                    let status = node.status()?;
                    let peers = status["peers"].as_array()?;
                    let young = peers.iter().find(|peer| age(peer, "since_ms").is_none_or(|age| age < HEARTBEAT))?;
                    Some(format!("{}: {} is up since a moment ago", node.name, young["name"]))
                })
            })
        });
    }

    /// Reports what a change took, next to what it should take on a quiet machine.
    pub(crate) fn report(&self, what: &str, took: Duration, aim: &str) {
        super::report(&format!("{} nodes, {what} in {:.1} s (aim: {aim})", self.nodes.len(), took.as_secs_f64()));
    }

    /// What keeps the cluster from being whole: `None` if every node reports each other one up at its address, and its
    /// own address confirmed by as many as can.
    pub(crate) fn flaw(&self) -> Option<String> {
        let confidence = if self.nodes.len() > 2 { "agreed" } else { "single-observer" };
        for node in &self.nodes {
            let Some(status) = node.status() else { return Some(format!("{} does not answer", node.name)) };
            // A node without peers has nobody to tell it its address.
            if let Some(flaw) = own_flaw(&status, node, confidence).filter(|_| self.nodes.len() > 1) {
                return Some(format!("{}: {flaw}", node.name));
            }
            for other in self.nodes.iter().filter(|other| other.name != node.name) {
                if let Some(flaw) = peer_flaw(&status, other) {
                    return Some(format!("{}: {flaw}", node.name));
                }
            }
        }
        None
    }

    /// Waits until `observer` reports `peer` in one of these states and returns how long that took.
    pub(crate) fn expect_state(&self, observer: &str, subject: &str, states: &[&str]) -> Duration {
        self.expect(&format!("{observer} reports {subject} {}", states.join(" or ")), |cluster| {
            let node = cluster.nodes.iter().find(|node| node.name == observer).expect("the observer is a node");
            let status = node.status()?;
            let state = peer(&status, subject).and_then(|peer| peer["state"].as_str()).unwrap_or("nothing").to_owned();
            (!states.contains(&state.as_str())).then(|| format!("it reports {state}"))
        })
    }

    /// Every node's status and the end of its log.
    fn describe(&self) -> String {
        let mut text = String::new();
        for node in &self.nodes {
            let status = node.status().map_or_else(|| "no status".to_owned(), |status| format!("{status:#}"));
            let log = node.log();
            let lines: Vec<_> = log.lines().collect();
            let (_, end) = lines.split_at(lines.len().saturating_sub(40));
            let _ = writeln!(text, "--- {} at {:?}\n{status}\n{}", node.name, node.addresses, end.join("\n"));
        }
        text
    }
}

/// What is wrong with a node's view of itself.
fn own_flaw(status: &Value, node: &Node, confidence: &str) -> Option<String> {
    let own = status["node"]["addresses"].as_array().cloned().unwrap_or_default();
    let good = own
        .iter()
        .any(|entry| is_at(&entry["addr"], &node.addresses) && entry["confidence"].as_str() == Some(confidence));
    (!good).then(|| format!("its own addresses are {}, not {:?} {confidence}", Value::from(own), node.addresses))
}

/// What is wrong with a node's view of another one.
fn peer_flaw(status: &Value, other: &Node) -> Option<String> {
    let Some(peer) = peer(status, other.name) else { return Some(format!("does not know {}", other.name)) };
    let good = peer["state"] == "up" && is_at(&peer["addr"], &other.addresses);
    (!good).then(|| format!("{} is {} at {}, not up at {:?}", other.name, peer["state"], peer["addr"], other.addresses))
}

/// A time in a peer's entry of a status.
pub(crate) fn age(peer: &Value, key: &str) -> Option<Duration> {
    peer[key].as_u64().map(Duration::from_millis)
}

/// Whether a JSON address is one of these, at the port that all nodes use.
fn is_at(address: &Value, expected: &[String]) -> bool {
    let Some(address) = address.as_str().and_then(|text| text.parse::<std::net::SocketAddr>().ok()) else {
        return false;
    };
    address.port() == PORT && expected.iter().any(|ip| ip.parse() == Ok(address.ip()))
}
