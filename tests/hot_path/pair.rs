//! Cores that talk to each other in virtual time, and a recording of what one of them was told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dddns::auth::identity::Identity;
use dddns::config::{Cluster, ClusterKey, Config, Heartbeat, Peer};
use dddns::node::Node;
use dddns::node::outbox::Output;
use dddns::node::saved::Saved;
use dddns::wire::address::Address;
use dddns::wire::id::ClusterId;
use dddns::wire::kind::Kind;

/// How long a datagram is under way.
const LATENCY: Duration = Duration::from_millis(5);

/// The wall clock at the start, since 1970.
const UNIX: Duration = Duration::from_secs(1_800_000_000);

/// What a node is told.
#[derive(Clone)]
pub(crate) enum Input {
    /// Its deadline has come.
    Timeout(Instant),
    /// A datagram from a peer.
    Datagram(Instant, SocketAddr, Vec<u8>),
}

/// Nodes and the datagrams between them. Every run of the same set-up is the same.
pub(crate) struct Net {
    /// Virtual time.
    pub(crate) now: Instant,
    nodes: Vec<Node>,
    /// How often each node has moved.
    moves: Vec<u16>,
    flying: VecDeque<(Instant, SocketAddr, SocketAddr, Vec<u8>)>,
    /// All that node 0 was told.
    journal: Vec<Input>,
}

impl Net {
    /// This many nodes, which know each other's keys and addresses from their configurations: node 0 knows all, the others
    /// know node 0.
    pub(crate) fn new(start: Instant, nodes: usize) -> Self {
        let moves = vec![0; nodes];
        let nodes = (0..nodes).map(|number| node(start, number, nodes)).collect();
        Self { now: start, nodes, moves, flying: VecDeque::new(), journal: Vec::new() }
    }

    /// The node of this number.
    pub(crate) fn node(&mut self, number: usize) -> &mut Node {
        self.nodes.get_mut(number).expect("the node exists")
    }

    /// Gives a node another address.
    fn relocate(&mut self, number: usize) {
        *self.moves.get_mut(number).expect("the node exists") += 1;
    }

    fn address(&self, number: usize) -> SocketAddr {
        let mut address = address(number);
        address.set_port(address.port() + self.moves.get(number).expect("the node exists"));
        address
    }

    /// Lets virtual time pass.
    pub(crate) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(next) = self.next().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.step();
        }
        self.now = end;
    }

    /// When something happens next.
    fn next(&self) -> Option<Instant> {
        let deadlines = self.nodes.iter().filter_map(Node::poll_timeout);
        deadlines.chain(self.flying.front().map(|flying| flying.0)).min()
    }

    fn step(&mut self) {
        let now = self.now;
        while let Some((due, from, to, datagram)) = self.flying.pop_front() {
            if due > now {
                self.flying.push_front((due, from, to, datagram));
                break;
            }
            let Some(number) = (0..self.nodes.len()).find(|number| self.address(*number) == to) else { continue };
            self.tell(number, Input::Datagram(now, from, datagram));
        }
        for number in 0..self.nodes.len() {
            if self.node(number).poll_timeout().is_some_and(|deadline| deadline <= now) {
                self.tell(number, Input::Timeout(now));
            }
        }
    }

    fn tell(&mut self, number: usize, input: Input) {
        if number == 0 {
            self.journal.push(input.clone());
        }
        let from = self.address(number);
        let node = self.nodes.get_mut(number).expect("the node exists");
        let due = self.now + LATENCY;
        tell(node, input, |to, datagram| {
            self.flying.push_back((due, from, to, datagram.to_vec()));
        });
    }
}

/// A node that was told everything up to some moment, and the heartbeats that came after it.
pub(crate) struct Recording {
    start: Instant,
    warm: Instant,
    nodes: usize,
    before: Vec<Input>,
    heartbeats: Vec<(Instant, Vec<u8>)>,
}

impl Recording {
    /// Nodes that meet, of which all but node 0 move so often, one after the other. They talk for `warm_up`, and go on
    /// until node 0 has got this many heartbeats more.
    pub(crate) fn new(start: Instant, nodes: usize, moves: usize, warm_up: Duration, heartbeats: usize) -> Self {
        let mut net = Net::new(start, nodes);
        for number in (0..moves).flat_map(|_| 1..nodes) {
            // Long enough to be found again.
            net.run(Duration::from_secs(8));
            net.relocate(number);
        }
        net.run(warm_up);
        let warm = net.now;
        let before = net.journal.clone();
        net.journal.clear();
        let kept = |net: &Net| -> Vec<_> { net.journal.iter().filter_map(heartbeat).take(heartbeats).collect() };
        while kept(&net).len() < heartbeats {
            net.run(Duration::from_secs(60));
            assert!(net.now - start < Duration::from_secs(3000), "sessions would be renewed in the middle");
        }
        Self { start, warm, nodes, before, heartbeats: kept(&net) }
    }

    /// Node 0 as it was when the warm-up was over, and when that was: told the same, it is the same.
    pub(crate) fn node(&self) -> (Node, Instant) {
        let mut node = node(self.start, 0, self.nodes);
        for input in self.before.iter().cloned() {
            tell(&mut node, input, |_, _| ());
        }
        (node, self.warm)
    }

    /// The heartbeats that node 0 got after the warm-up, and when.
    pub(crate) fn heartbeats(&self) -> impl Iterator<Item = (Instant, Vec<u8>)> + '_ {
        self.heartbeats.iter().cloned()
    }
}

/// Lets a node receive one heartbeat and answer it: the hot path.
pub(crate) fn receive(node: &mut Node, now: Instant, datagram: &mut [u8]) {
    let taken = node.handle_datagram(now, address(1), datagram);
    assert!(taken.is_ok(), "a heartbeat was discarded: {taken:?}");
    let mut acks = 0;
    while let Some(output) = node.poll_output() {
        match output {
            Output::Transmit { to, datagram } => {
                assert_eq!((to, datagram.len(), datagram.get(1)), (address(1), 66, Some(&Kind::HEARTBEAT_ACK.0)));
                acks += 1;
            }
            Output::Event(event) => panic!("a heartbeat in steady state is no news: {event:?}"),
        }
    }
    assert_eq!(acks, 1, "a heartbeat is acknowledged once");
}

fn tell(node: &mut Node, input: Input, mut transmit: impl FnMut(SocketAddr, &[u8])) {
    match input {
        Input::Timeout(now) => node.handle_timeout(now),
        // What is discarded, while both nodes start handshakes at once for example, is the node's own business.
        Input::Datagram(now, from, mut datagram) => drop(node.handle_datagram(now, from, &mut datagram)),
    }
    while let Some(output) = node.poll_output() {
        if let Output::Transmit { to, datagram } = output {
            transmit(to, datagram);
        }
    }
}

fn heartbeat(input: &Input) -> Option<(Instant, Vec<u8>)> {
    match input {
        Input::Datagram(now, _, datagram) if datagram.get(1) == Some(&Kind::HEARTBEAT.0) => {
            Some((*now, datagram.clone()))
        }
        Input::Datagram(..) | Input::Timeout(_) => None,
    }
}

/// Node `number` of `nodes`. Node 0 knows all others, they know node 0.
fn node(start: Instant, number: usize, nodes: usize) -> Node {
    let mut config = Config::new(name(number));
    // The shortest interval: the change of keys every 30 s then hardly counts among the heartbeats.
    config.heartbeat = Heartbeat::new(Heartbeat::MIN).expect("it is in bounds");
    config.cluster = Some(Cluster { id: ClusterId([7; 16]), key: ClusterKey([9; 32]) });
    let known = if number == 0 { 1..nodes } else { 0..1 };
    config.peers = known
        .map(|other| Peer {
            name: name(other),
            public_key: identity(other).public_key(),
            addresses: vec![Address::try_from(address(other)).expect("it has a port")],
        })
        .collect();
    Node::new(config, identity(number), Saved::default(), secret(number, 2), start, UNIX)
}

fn name(number: usize) -> dddns::wire::name::Name {
    format!("node-{number}").parse().expect("a label")
}

fn identity(number: usize) -> Identity {
    Identity::from_secret(secret(number, 1))
}

/// Bytes that differ by node and purpose.
fn secret(number: usize, purpose: u8) -> [u8; 32] {
    let mut secret = [purpose; 32];
    for (byte, value) in secret.iter_mut().zip(number.to_be_bytes()) {
        *byte = value;
    }
    secret
}

/// Where node `number` is.
fn address(number: usize) -> SocketAddr {
    let host = u8::try_from(number + 1).expect("a small net");
    SocketAddr::from(([198, 51, 100, host], 7733))
}
