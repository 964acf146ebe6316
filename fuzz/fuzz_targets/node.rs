//! A small cluster under a list of operations: the driving contract and the protocol's promises hold after every step.

#![no_main]

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use dddns::auth::identity::Identity;
use dddns::config::{Cluster, ClusterKey, Config, Peer};
use dddns::node::Node;
use dddns::node::outbox::Output;
use dddns::node::saved::Saved;
use dddns::node::status::PeerState;
use dddns::wire::address::Address;
use dddns::wire::datagram::MAX_DATAGRAM;
use dddns::wire::id::{ClusterId, NodeId};
use dddns::wire::kind::Kind;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

/// How many nodes there are.
const NODES: usize = 3;

/// How many addresses there are for them: they can swap, and take over what another one left.
const ADDRESSES: u8 = 6;

/// How long a datagram is under way.
const LATENCY: Duration = Duration::from_millis(20);

/// What passed by and can be replayed: the latest so many datagrams.
const HISTORY_MAX: usize = 128;

/// How often anything may happen within one operation. Handshakes, heartbeats and searches of three nodes within a
/// minute are some hundreds of steps; a busy loop is millions.
const STEPS_MAX: u32 = 20_000;

/// Virtual time begins here, in every run.
#[expect(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fuzz_target!(|input: Input| {
    let mut world = World::new();
    if input.formed {
        world.pass(Duration::from_secs(5));
        let up = |inhabitant: &Inhabitant| {
            inhabitant.node.status(world.now).peers.iter().all(|peer| peer.state == PeerState::Up)
        };
        assert!(world.nodes.iter().all(up), "an undisturbed cluster forms");
    }
    for operation in input.operations.into_iter().take(64) {
        world.apply(operation);
    }
});

/// What happens, and whether the nodes have met before it does.
#[derive(Arbitrary, Debug)]
struct Input {
    formed: bool,
    operations: Vec<Operation>,
}

/// What can happen.
#[derive(Arbitrary, Debug)]
enum Operation {
    /// Time passes, in milliseconds.
    Pass(u16),
    /// What becomes of the next datagram that has no fate yet.
    Next(Fate),
    /// A node gets an address that nobody has now.
    Move { node: u8, address: u8 },
    /// Two nodes swap addresses.
    Swap { one: u8, other: u8 },
    /// A node starts anew, with or without its state, believing that it is this many seconds after 1970.
    Restart { node: u8, forgetful: bool, unix: u32 },
    /// Somebody sends what passed by before, from where it came or from elsewhere.
    Replay { which: u8, to: u8, from_attacker: bool },
    /// Somebody sends anything.
    Garbage { to: u8, bytes: Vec<u8> },
    /// A node stops in order.
    Stop { node: u8 },
}

/// What becomes of a datagram under way.
#[derive(Arbitrary, Clone, Debug)]
enum Fate {
    /// It arrives.
    Arrive,
    /// It does not.
    Lose,
    /// It arrives twice.
    Double,
    /// It arrives later by some milliseconds.
    Delay(u16),
    /// One bit is wrong when it arrives.
    Flip { byte: u16, bit: u8 },
    /// Its end is missing when it arrives.
    Truncate(u16),
    /// A copy that was sent on from elsewhere arrives first.
    Race,
}

/// A datagram under way.
struct Flying {
    due: Instant,
    from: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
    /// Whether it is not what any node sent: no node may accept or answer it.
    junk: bool,
}

/// The nodes, and what is between them.
struct World {
    now: Instant,
    nodes: Vec<Inhabitant>,
    flying: Vec<Flying>,
    fates: VecDeque<Fate>,
    history: VecDeque<(SocketAddr, Vec<u8>)>,
    starts: u8,
}

/// A node and where it is.
struct Inhabitant {
    id: NodeId,
    node: Node,
    address: SocketAddr,
    ever: BTreeSet<SocketAddr>,
}

impl World {
    fn new() -> Self {
        let now = *START;
        let nodes = (0..NODES).map(|number| {
            let node = start(number, Saved::default(), 0, now, Duration::from_secs(1_800_000_000));
            let address = home(number);
            Inhabitant { id: identity(number).node_id(), node, address, ever: BTreeSet::from([address]) }
        });
        let nodes = nodes.collect();
        Self { now, nodes, flying: Vec::new(), fates: VecDeque::new(), history: VecDeque::new(), starts: 0 }
    }

    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Pass(milliseconds) => self.pass(Duration::from_millis(milliseconds.into())),
            Operation::Next(fate) => self.fates.push_back(fate),
            Operation::Move { node, address } => {
                let address = place(address % ADDRESSES);
                if self.nodes.iter().all(|other| other.address != address) {
                    self.inhabitant(node).settle(address);
                }
            }
            Operation::Swap { one, other } => {
                let (first, second) = (self.inhabitant(one).address, self.inhabitant(other).address);
                self.inhabitant(one).settle(second);
                self.inhabitant(other).settle(first);
            }
            Operation::Restart { node, forgetful, unix } => self.restart(node, forgetful, unix),
            Operation::Replay { which, to, from_attacker } => self.replay(which, to, from_attacker),
            Operation::Garbage { to, mut bytes } => {
                bytes.truncate(2 * MAX_DATAGRAM);
                let to = self.inhabitant(to).address;
                self.deliver(Flying { due: self.now, from: attacker(), to, bytes, junk: true });
            }
            Operation::Stop { node } => {
                let now = self.now;
                let number = usize::from(node) % NODES;
                self.inhabitant(node).node.shutdown(now);
                self.drain(number);
            }
        }
    }

    fn inhabitant(&mut self, number: u8) -> &mut Inhabitant {
        self.nodes.get_mut(usize::from(number) % NODES).expect("the remainder is a node")
    }

    /// Lets time pass, from one event to the next.
    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        let mut steps = 0;
        loop {
            let deadlines = self.nodes.iter().filter_map(|inhabitant| inhabitant.node.poll_timeout());
            let next = deadlines.chain(self.flying.iter().map(|flying| flying.due)).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            steps += 1;
            assert!(steps < STEPS_MAX, "a busy loop");
            self.step();
        }
        self.now = end;
    }

    fn step(&mut self) {
        let now = self.now;
        let (due, later) = std::mem::take(&mut self.flying).into_iter().partition(|flying| flying.due <= now);
        self.flying = later;
        for flying in due {
            self.deliver(flying);
        }
        for number in 0..NODES {
            let inhabitant = self.nodes.get_mut(number).expect("it is a node");
            if inhabitant.node.poll_timeout().is_some_and(|deadline| deadline <= now) {
                inhabitant.node.handle_timeout(now);
                self.drain(number);
                let next = self.nodes.get(number).and_then(|inhabitant| inhabitant.node.poll_timeout());
                assert!(next.is_none_or(|next| next > now), "handle_timeout left work that was due: a busy loop");
            }
        }
    }

    fn deliver(&mut self, mut flying: Flying) {
        let now = self.now;
        let Some(number) = self.nodes.iter().position(|inhabitant| inhabitant.address == flying.to) else { return };
        let node = &mut self.nodes.get_mut(number).expect("it was found").node;
        let revision = node.revision();
        let taken = node.handle_datagram(now, flying.from, &mut flying.bytes);
        if flying.junk {
            assert!(taken.is_err(), "junk was accepted");
        }
        if taken.is_err() {
            assert_eq!(node.revision(), revision, "a discarded datagram changed what is saved");
        }
        let sent = self.drain(number);
        if flying.junk {
            assert_eq!(sent, 0, "junk was answered");
        }
    }

    /// Takes all outputs of a node, checks them, and returns how many datagrams there were.
    fn drain(&mut self, number: usize) -> usize {
        let now = self.now;
        let inhabitant = self.nodes.get_mut(number).expect("it is a node");
        let (node, from) = (&mut inhabitant.node, inhabitant.address);
        let mut sent = 0;
        loop {
            let deadline = node.poll_timeout();
            let Some(output) = node.poll_output() else { break };
            assert!(deadline.is_some_and(|deadline| deadline <= now), "output waits, but no deadline says so");
            let Output::Transmit { to, datagram } = output else { continue };
            assert!((1..=MAX_DATAGRAM).contains(&datagram.len()), "a datagram of {} bytes", datagram.len());
            sent += 1;
            let fate = self.fates.pop_front().unwrap_or(Fate::Arrive);
            // What goes to the attacker's address is not seen by anybody who could send it on: it forwards one way.
            if to != attacker() {
                self.history.truncate(HISTORY_MAX - 1);
                self.history.push_front((from, datagram.to_vec()));
                self.flying.extend(fly(fate, now + LATENCY, from, to, datagram));
            }
        }
        self.check_peers();
        sent
    }

    /// No node believes a peer to be where it never was.
    fn check_peers(&self) {
        for inhabitant in &self.nodes {
            for peer in inhabitant.node.status(self.now).peers {
                let Some(address) = peer.address else { continue };
                let known = self.nodes.iter().find(|other| other.id == peer.id);
                let ever = known.is_some_and(|peer| peer.ever.contains(&address.socket_addr()));
                assert!(ever, "a peer is published at {address}, where it never was");
            }
        }
    }

    fn restart(&mut self, node: u8, forgetful: bool, unix: u32) {
        self.starts = self.starts.wrapping_add(1);
        let (now, starts) = (self.now, self.starts);
        let inhabitant = self.inhabitant(node);
        let saved = if forgetful { Saved::default() } else { inhabitant.node.saved() };
        inhabitant.node = start(usize::from(node) % NODES, saved, starts, now, Duration::from_secs(unix.into()));
    }

    fn replay(&mut self, which: u8, to: u8, from_attacker: bool) {
        let Some((from, bytes)) = self.history.get(usize::from(which)).cloned() else { return };
        let from = if from_attacker { attacker() } else { from };
        let to = self.inhabitant(to).address;
        self.deliver(Flying { due: self.now, from, to, bytes, junk: false });
    }
}

impl Inhabitant {
    fn settle(&mut self, address: SocketAddr) {
        self.address = address;
        self.ever.insert(address);
    }
}

/// What arrives of a datagram.
fn fly(fate: Fate, due: Instant, from: SocketAddr, to: SocketAddr, datagram: &[u8]) -> Vec<Flying> {
    let arrives = |from, due| Flying { due, from, to, bytes: datagram.to_vec(), junk: false };
    match fate {
        Fate::Arrive => vec![arrives(from, due)],
        Fate::Lose => Vec::new(),
        Fate::Double => vec![arrives(from, due), arrives(from, due)],
        Fate::Delay(milliseconds) => vec![arrives(from, due + Duration::from_millis(milliseconds.into()))],
        Fate::Flip { byte, bit } => {
            let byte = usize::from(byte) % datagram.len();
            // The last 16 bytes of an initiation, mac2, are not looked at without load.
            if datagram.get(1) == Some(&Kind::INITIATION.0) && byte >= datagram.len() - 16 {
                return vec![arrives(from, due)];
            }
            let mut bytes = datagram.to_vec();
            if let Some(byte) = bytes.get_mut(byte) {
                *byte ^= 1 << (bit % 8);
            }
            vec![Flying { due, from, to, bytes, junk: true }]
        }
        Fate::Truncate(length) => {
            let bytes = datagram.get(..usize::from(length) % datagram.len()).unwrap_or_default().to_vec();
            vec![Flying { due, from, to, bytes, junk: true }]
        }
        Fate::Race => vec![arrives(attacker(), due), arrives(from, due)],
    }
}

/// Starts a node. `starts` makes its random numbers differ from those of its earlier lives.
fn start(number: usize, saved: Saved, starts: u8, now: Instant, unix: Duration) -> Node {
    let mut config = Config::new(name(number));
    config.cluster = Some(Cluster { id: ClusterId([7; 16]), key: ClusterKey([9; 32]) });
    let others = (0..NODES).filter(|other| *other != number);
    config.peers = others
        .map(|other| Peer {
            name: name(other),
            public_key: identity(other).public_key(),
            addresses: vec![Address::try_from(home(other)).expect("it has a port")],
        })
        .collect();
    Node::new(config, identity(number), saved, [starts.wrapping_mul(8).wrapping_add(small(number)); 32], now, unix)
}

fn name(number: usize) -> dddns::wire::name::Name {
    format!("node-{number}").parse().expect("a label")
}

fn identity(number: usize) -> Identity {
    Identity::from_secret([small(number) + 1; 32])
}

/// Where a node is at first.
fn home(number: usize) -> SocketAddr {
    place(small(number))
}

fn place(number: u8) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, number + 1], 7733))
}

/// Where no node ever is.
fn attacker() -> SocketAddr {
    SocketAddr::from(([203, 0, 113, 66], 7733))
}

fn small(number: usize) -> u8 {
    u8::try_from(number).expect("there are few nodes")
}
