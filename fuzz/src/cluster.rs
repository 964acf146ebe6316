//! A small cluster in virtual time, what is between its nodes, and what must hold after every step.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use dddns::auth::identity::Identity;
use dddns::auth::invite::Token;
use dddns::config::{Cluster, ClusterKey, Config, MaxMembers, Peer};
use dddns::node::Node;
use dddns::node::outbox::Output;
use dddns::node::saved::{Revision, Saved, SavedAddress};
use dddns::node::status::PeerState;
use dddns::wire::address::Address;
use dddns::wire::datagram::MAX_DATAGRAM;
use dddns::wire::id::{ClusterId, NodeId};
use dddns::wire::name::Name;
use dddns::wire::record::MemberState;

use crate::fate::{Fate, Flying, fly};
use crate::puppet::Puppet;

/// How many nodes are members from the beginning.
pub const MEMBERS: usize = 3;

/// How many nodes there are: one more has no cluster at first.
pub const NODES: usize = MEMBERS + 1;

/// The number of the member whose keys the fuzzer has.
const PUPPET: usize = NODES;

/// How many addresses there are for nodes: they can swap, and take over what another one left.
pub const ADDRESSES: u8 = 6;

/// How many members a node keeps.
const MEMBERS_MAX: u16 = 8;

/// Spec: `REMOVED_MAX`, `INVITES_MAX`, `HISTORY_MAX`.
const REMOVED_MAX: usize = 1024;
const INVITES_MAX: usize = 64;
const HISTORY_MAX: usize = 8;

/// How long a datagram is under way.
const LATENCY: Duration = Duration::from_millis(20);

/// What passed by and can be replayed: the latest so many datagrams.
const SEEN_MAX: usize = 128;

/// How often anything may happen within one operation. Handshakes, heartbeats and searches of a few nodes within a minute
/// are some hundreds of steps; a busy loop is millions.
const STEPS_MAX: u32 = 20_000;

/// Virtual time begins here, in every run.
#[expect(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The nodes, and what is between them.
pub struct World {
    pub now: Instant,
    pub nodes: Vec<Inhabitant>,
    pub puppet: Puppet,
    /// The latest invite.
    pub token: Option<Token>,
    flying: Vec<Flying>,
    /// What becomes of the next datagrams.
    pub fates: VecDeque<Fate>,
    seen: VecDeque<(SocketAddr, Vec<u8>)>,
    starts: u8,
}

/// A node and where it is.
pub struct Inhabitant {
    id: NodeId,
    pub node: Node,
    pub address: SocketAddr,
    ever: BTreeSet<SocketAddr>,
    /// What it last wanted to be stored, and when that was, by its own count.
    stored: (Revision, Saved),
}

impl World {
    /// Three members that know each other's addresses, and a node without a cluster.
    #[must_use]
    pub fn new() -> Self {
        let now = *START;
        let nodes = (0..NODES).map(|number| {
            let node = start(number, Saved::default(), 0, now, Duration::from_secs(1_800_000_000));
            let (id, address) = (identity(number).node_id(), home(number));
            let stored = (node.revision(), node.saved());
            Inhabitant { id, node, address, ever: BTreeSet::from([address]), stored }
        });
        Self {
            now,
            nodes: nodes.collect(),
            puppet: Puppet::new(identity(PUPPET), cluster(), NODES),
            token: None,
            flying: Vec::new(),
            fates: VecDeque::new(),
            seen: VecDeque::new(),
            starts: 0,
        }
    }

    /// Whether the members, the puppet left aside, have each other up.
    #[must_use]
    pub fn is_formed(&self) -> bool {
        let members: Vec<NodeId> = (0..MEMBERS).map(|number| identity(number).node_id()).collect();
        let up = |inhabitant: &Inhabitant| {
            let status = inhabitant.node.status(self.now);
            status.peers.iter().filter(|peer| members.contains(&peer.id)).all(|peer| peer.state == PeerState::Up)
        };
        self.nodes.iter().take(MEMBERS).all(up)
    }

    /// The node of this number; any number is one.
    pub fn inhabitant(&mut self, number: u8) -> &mut Inhabitant {
        self.nodes.get_mut(usize::from(number) % NODES).expect("the remainder is a node")
    }

    /// Calls a command of a node, and does what follows from it.
    pub fn command<T>(&mut self, number: u8, command: impl FnOnce(&mut Node, Instant) -> T) -> T {
        let now = self.now;
        let result = command(&mut self.inhabitant(number).node, now);
        self.drain(usize::from(number) % NODES);
        result
    }

    /// Lets time pass, from one event to the next.
    pub fn pass(&mut self, duration: Duration) {
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

    /// Lets time pass in which nobody runs: all machines are asleep, and what arrives waits.
    pub fn jump(&mut self, duration: Duration) {
        self.now += duration;
        self.pass(Duration::ZERO);
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

    /// A datagram arrives.
    pub fn deliver(&mut self, mut flying: Flying) {
        let now = self.now;
        if flying.to == place(PUPPET_PLACE) {
            let number = self.nodes.iter().position(|inhabitant| inhabitant.address == flying.from);
            self.puppet.hear(number.unwrap_or(NODES), now, &flying.bytes);
            return;
        }
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
    pub fn drain(&mut self, number: usize) -> usize {
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
                self.seen.truncate(SEEN_MAX - 1);
                self.seen.push_front((from, datagram.to_vec()));
                self.flying.extend(fly(fate, now + LATENCY, from, to, datagram));
            }
        }
        self.check_saved(number);
        self.check_peers(number);
        sent
    }

    /// What is to be stored changes only with the revision that tells the owner. Times, and what others told, may be older.
    pub fn check_announced(&self) {
        for Inhabitant { node, stored: (revision, saved), .. } in &self.nodes {
            let now = node.saved();
            if node.revision().members == revision.members {
                assert_eq!((&now.members, &now.invites), (&saved.members, &saved.invites), "nobody was told of it");
            }
            if node.revision() == *revision {
                assert_eq!((&now.own, visited(&now)), (&saved.own, visited(saved)), "nobody was told of it");
            }
        }
    }

    /// What is to be stored is within its bounds.
    fn check_saved(&mut self, number: usize) {
        let inhabitant = self.nodes.get_mut(number).expect("it is a node");
        let revision = inhabitant.node.revision();
        if revision == inhabitant.stored.0 {
            return;
        }
        let saved = inhabitant.node.saved();
        let members = saved.members.iter().filter(|record| record.state == MemberState::Member).count();
        assert!(members <= usize::from(MEMBERS_MAX), "{members} members");
        assert!(saved.members.len() <= members + REMOVED_MAX && saved.invites.len() <= INVITES_MAX);
        // Besides where a member was, one address that others told.
        let places = |id: NodeId| saved.addresses.iter().filter(|known| known.id == id).count();
        assert!(saved.addresses.iter().all(|known| places(known.id) <= HISTORY_MAX + 1), "{:?}", saved.addresses);
        inhabitant.stored = (revision, saved);
    }

    /// No node believes a peer to be where it never was. Where the puppet is, is its own affair, and so are members that it
    /// has made up.
    fn check_peers(&self, number: usize) {
        let inhabitant = self.nodes.get(number).expect("it is a node");
        for peer in inhabitant.node.status(self.now).peers {
            let known = self.nodes.iter().find(|other| other.id == peer.id);
            if peer.id == self.puppet.id() {
                continue;
            }
            assert!(known.is_some() || peer.state != PeerState::Up, "nobody who could be up has this key");
            let (Some(known), Some(address), PeerState::Up) = (known, peer.address, peer.state) else { continue };
            let ever = known.ever.contains(&address.socket_addr());
            assert!(ever, "a peer is up at {address}, where it never was");
        }
    }

    /// A node starts anew, with or without its state, believing that it is so long after 1970.
    pub fn restart(&mut self, number: u8, forgetful: bool, unix: Duration) {
        self.starts = self.starts.wrapping_add(1);
        let (now, starts) = (self.now, self.starts);
        let inhabitant = self.inhabitant(number);
        let saved = if forgetful { Saved::default() } else { inhabitant.node.saved() };
        inhabitant.node = start(usize::from(number) % NODES, saved, starts, now, unix);
        inhabitant.stored = (inhabitant.node.revision(), inhabitant.node.saved());
        self.drain(usize::from(number) % NODES);
    }

    /// Somebody sends what passed by before, from where it came or from elsewhere.
    pub fn replay(&mut self, which: u8, to: u8, from: Option<SocketAddr>) {
        let Some((origin, bytes)) = self.seen.get(usize::from(which)).cloned() else { return };
        let to = self.inhabitant(to).address;
        self.deliver(Flying { due: self.now, from: from.unwrap_or(origin), to, bytes, junk: false });
    }

    /// Somebody sends these bytes to a node, from this address.
    pub fn send(&mut self, to: u8, from: SocketAddr, bytes: Vec<u8>, junk: bool) {
        let to = self.inhabitant(to).address;
        self.deliver(Flying { due: self.now, from, to, bytes, junk });
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl Inhabitant {
    /// Gives the machine another address.
    pub fn settle(&mut self, address: SocketAddr) {
        self.address = address;
        self.ever.insert(address);
    }
}

/// Where members have been, newest first.
fn visited(saved: &Saved) -> Vec<(NodeId, Address)> {
    let been = saved.addresses.iter().filter(|known| known.seen != SavedAddress::TOLD);
    been.map(|known| (known.id, known.address)).collect()
}

/// Starts a node. `starts` makes its random numbers differ from those of its earlier lives.
fn start(number: usize, saved: Saved, starts: u8, now: Instant, unix: Duration) -> Node {
    let mut config = Config::new(name(number));
    config.max_members = MaxMembers::new(MEMBERS_MAX).expect("it is in bounds");
    if number < MEMBERS {
        config.cluster = Some(cluster());
        let others = (0..MEMBERS).filter(|other| *other != number).chain([PUPPET]);
        config.peers = others
            .map(|other| Peer {
                name: name(other),
                public_key: identity(other).public_key(),
                addresses: vec![Address::try_from(home(other)).expect("it has a port")],
            })
            .collect();
    }
    Node::new(config, identity(number), saved, [starts.wrapping_mul(8).wrapping_add(small(number)); 32], now, unix)
}

fn cluster() -> Cluster {
    Cluster { id: ClusterId([7; 16]), key: ClusterKey([9; 32]) }
}

fn name(number: usize) -> Name {
    format!("node-{number}").parse().expect("a label")
}

/// The key pair of a node, or of the puppet.
#[must_use]
pub fn identity(number: usize) -> Identity {
    static ALL: LazyLock<Vec<Identity>> =
        LazyLock::new(|| (0..=PUPPET).map(|number| Identity::from_secret([small(number) + 1; 32])).collect());
    ALL.get(number).cloned().expect("it is a node or the puppet")
}

/// Where a node is at first, and the puppet always.
fn home(number: usize) -> SocketAddr {
    place(if number == PUPPET { PUPPET_PLACE } else { small(number) })
}

/// The place that nobody but the puppet has.
pub const PUPPET_PLACE: u8 = ADDRESSES;

/// A place for nodes.
#[must_use]
pub fn place(number: u8) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, number + 1], 7733))
}

/// Where no node ever is.
#[must_use]
pub fn attacker() -> SocketAddr {
    SocketAddr::from(([203, 0, 113, 66], 7733))
}

fn small(number: usize) -> u8 {
    u8::try_from(number).expect("there are few nodes")
}
