//! The world: hosts with nodes on them, the datagrams under way, and the time.
#![expect(clippy::indexing_slicing, reason = "a host ID that add_host did not give is a defect of the scenario")]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::auth::identity::Identity;
use crate::config::{Cluster, Config};
use crate::node::Node;
use crate::node::event::Event;
use crate::node::outbox::Output;
use crate::node::saved::{Revision, Saved};
use crate::sim::adversary::Adversary;
use crate::sim::agenda::Agenda;
use crate::sim::dice::Dice;
use crate::sim::network::Network;
use crate::wire::address::Address;

/// More steps without time going on than any honest node causes: somebody loops.
const STEPS_MAX: u32 = 100_000;

/// A host, by its place in the world.
pub type HostId = usize;

/// A simulated world.
pub struct World {
    /// The network between the hosts.
    pub network: Network,
    /// Chance, for scenarios that need some.
    pub dice: Dice,
    /// Where virtual time began. Only differences from it are ever seen.
    epoch: Instant,
    pub(super) now: Duration,
    pub(super) hosts: Vec<Host>,
    /// Which host has an address.
    routes: BTreeMap<Address, HostId>,
    /// Datagrams under way, by time of arrival and order of sending.
    flying: BTreeMap<(Duration, u64), Flight>,
    sent: u64,
    /// Every datagram that was handed to the network, if that is wanted.
    pub(super) wiretap: Option<Vec<Flight>>,
    adversary: Option<Adversary>,
    /// When each host that is awake wants to be woken.
    agenda: Agenda,
    /// Two hosts of which the one did not know the other when the world was last asked whether it is whole.
    pub(super) apart: Cell<(HostId, HostId)>,
}

/// A machine that a node runs on.
pub(super) struct Host {
    pub(super) node: Option<Node>,
    pub(super) identity: Identity,
    pub(super) config: Config,
    pub(super) addresses: Vec<Address>,
    /// What the machine's disk holds.
    pub(super) disk: Saved,
    /// Which version of what its node wants to be stored that is.
    stored: Revision,
    /// The cluster that the disk holds.
    pub(super) cluster: Option<Cluster>,
    /// The wall clock when the world began, since 1970.
    clock: Duration,
    /// Since when the machine sleeps.
    asleep: Option<Duration>,
    /// How far its monotonic clock is behind the world's: the time for which it stood still.
    lag: Duration,
    pub(super) events: Vec<(Duration, Event)>,
    pub(super) traffic: Traffic,
}

/// What a host has sent and received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Datagrams sent.
    pub datagrams_out: u64,
    /// UDP payload bytes sent.
    pub bytes_out: u64,
    /// Datagrams received.
    pub datagrams_in: u64,
    /// UDP payload bytes received.
    pub bytes_in: u64,
}

/// A datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flight {
    /// Where it came from.
    pub from: Address,
    /// Where it goes.
    pub to: Address,
    /// The payload.
    pub datagram: Vec<u8>,
}

impl World {
    /// An empty world.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "an Instant can only be had from the clock; only differences count")]
    pub fn new(seed: u64) -> Self {
        Self {
            network: Network::default(),
            dice: Dice::new(seed),
            epoch: Instant::now(),
            now: Duration::ZERO,
            hosts: Vec::new(),
            routes: BTreeMap::new(),
            flying: BTreeMap::new(),
            sent: 0,
            wiretap: None,
            adversary: None,
            agenda: Agenda::default(),
            apart: Cell::default(),
        }
    }

    /// Adds a host, switched off. Its wall clock says `clock` (since 1970) when the world begins.
    pub fn add_host(&mut self, config: Config, addresses: &[Address], clock: Duration) -> HostId {
        let identity = Identity::from_secret(self.dice.seed());
        self.hosts.push(Host {
            node: None,
            identity,
            cluster: config.cluster.clone(),
            config,
            addresses: Vec::new(),
            disk: Saved::default(),
            stored: Revision::default(),
            clock,
            asleep: None,
            lag: Duration::ZERO,
            events: Vec::new(),
            traffic: Traffic::default(),
        });
        let host = self.hosts.len() - 1;
        self.move_to(host, addresses);
        host
    }

    /// Adds a host, switched off, whose disk is a copy of another one's as it is now: key, cluster and all.
    pub fn add_clone(&mut self, of: HostId, addresses: &[Address], clock: Duration) -> HostId {
        let host = self.add_host(self.hosts[of].config.clone(), addresses, clock);
        let original = &self.hosts[of];
        let (identity, cluster) = (original.identity.clone(), original.cluster.clone());
        let (disk, stored) = (original.disk.clone(), original.stored);
        let machine = &mut self.hosts[host];
        (machine.identity, machine.cluster, machine.disk, machine.stored) = (identity, cluster, disk, stored);
        host
    }

    /// Switches a host on: its node starts with what the disk holds.
    pub fn start(&mut self, host: HostId) {
        let seed = self.dice.seed();
        let (now, unix) = (self.instant(host), self.hosts[host].clock.saturating_add(self.now));
        let machine = &mut self.hosts[host];
        let config = Config { cluster: machine.cluster.clone(), ..machine.config.clone() };
        let node = Node::new(config, machine.identity.clone(), machine.disk.clone(), seed, now, unix);
        machine.disk = node.saved();
        machine.stored = node.revision();
        machine.node = Some(node);
        self.drain(host);
    }

    /// Switches a host off without notice. Its disk keeps what was stored last.
    pub fn kill(&mut self, host: HostId) {
        self.hosts[host].node = None;
        self.plan(host);
    }

    /// Loses what the disk of a host that is switched off holds, but for the node's key.
    pub fn erase(&mut self, host: HostId) {
        self.hosts[host].disk = Saved::default();
        self.hosts[host].cluster = None;
    }

    /// Stops a node in order: it says goodbye.
    pub fn stop(&mut self, host: HostId) {
        self.command(host, Node::shutdown);
        self.kill(host);
    }

    /// Sends a machine to sleep: its node does nothing, and what is sent to it is lost.
    pub fn sleep(&mut self, host: HostId) {
        self.hosts[host].asleep = Some(self.now);
        self.plan(host);
    }

    /// Wakes a machine. On some systems the monotonic clock has gone on in the meantime, on others it has not.
    pub fn wake(&mut self, host: HostId, clock_went_on: bool) {
        let Some(since) = self.hosts[host].asleep.take() else { return };
        if !clock_went_on {
            self.hosts[host].lag += self.now - since;
        }
        self.plan(host);
    }

    /// Lets an adversary see, and interfere with, every datagram from now on; `None` sends it away.
    pub fn set_adversary(&mut self, adversary: Option<Adversary>) {
        self.adversary = adversary;
    }

    /// Gives a host new addresses in place of its old ones, which nobody has from now on.
    pub fn move_to(&mut self, host: HostId, addresses: &[Address]) {
        self.routes.retain(|_, owner| *owner != host);
        for &address in addresses {
            self.routes.insert(address, host);
        }
        self.hosts[host].addresses = addresses.to_vec();
    }

    /// Calls a command of a host's node, which must run, and does what follows from it.
    pub fn command<T>(&mut self, host: HostId, command: impl FnOnce(&mut Node, Instant) -> T) -> T {
        let now = self.instant(host);
        let node = self.hosts[host].node.as_mut().expect("the host is switched on");
        let result = command(node, now);
        self.drain(host);
        result
    }

    /// Puts a datagram on the network, as anybody can who writes any source address.
    pub fn inject(&mut self, flight: Flight) {
        if let Some(adversary) = &mut self.adversary {
            let interference = adversary(self.now, &flight);
            for (delay, sent) in interference.sends {
                self.fly(delay, sent);
            }
            if interference.drop {
                return;
            }
        }
        let Some((first, second)) = self.network.carry(&mut self.dice, flight.from, flight.to) else { return };
        if let Some(delay) = second {
            self.fly(delay, flight.clone());
        }
        self.fly(first, flight);
    }

    /// Sends a datagram on its way; nothing happens to it any more.
    fn fly(&mut self, delay: Duration, flight: Flight) {
        self.sent += 1;
        self.flying.insert((self.now + delay, self.sent), flight);
    }

    /// Keeps a copy of every datagram from now on.
    pub fn tap(&mut self) {
        self.wiretap = Some(Vec::new());
    }

    /// The copies made since [`tap`](Self::tap), or since this was last called.
    pub fn tapped(&mut self) -> Vec<Flight> {
        self.wiretap.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Lets time go on for so long.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        self.run(end, |_| false);
    }

    /// Lets time go on until `done`, at most for `limit`. Returns how long it took, or `None` if it was not done.
    pub fn run_until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> Option<Duration> {
        let start = self.now;
        self.run(start + limit, done).then(|| self.now - start)
    }

    fn run(&mut self, end: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let mut steps = 0;
        loop {
            if done(self) {
                return true;
            }
            let Some(next) = self.next_moment().filter(|next| *next <= end) else {
                self.now = end;
                return done(self);
            };
            steps = if next > self.now { 0 } else { steps + 1 };
            assert!(steps < STEPS_MAX, "time stands still at {:?}", self.now);
            self.now = next;
            self.step();
        }
    }

    /// When something happens next.
    fn next_moment(&self) -> Option<Duration> {
        let timeout = self.agenda.first().map(|(at, _)| at.max(self.now));
        let arrival = self.flying.keys().next().map(|&(at, _)| at);
        timeout.into_iter().chain(arrival).min()
    }

    /// Everything that happens at this moment: arrivals first, then timers.
    fn step(&mut self) {
        while let Some(entry) = self.flying.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let flight = entry.remove();
            self.deliver(flight);
        }
        while let Some((_, host)) = self.agenda.first().filter(|(at, _)| *at <= self.now) {
            let now = self.instant(host);
            if let Some(node) = &mut self.hosts[host].node {
                node.handle_timeout(now);
            }
            self.drain(host);
            let next = self.hosts[host].node.as_ref().and_then(Node::poll_timeout);
            assert!(next.is_none_or(|at| at > now), "host {host} is never done at {:?}", self.now);
        }
    }

    /// Notes when a host wants to be woken: not at all while it is switched off or asleep.
    fn plan(&mut self, host: HostId) {
        let machine = &self.hosts[host];
        let timeout = machine.node.as_ref().filter(|_| machine.asleep.is_none()).and_then(Node::poll_timeout);
        self.agenda.set(host, timeout.map(|at| at.saturating_duration_since(self.epoch) + machine.lag));
    }

    fn deliver(&mut self, mut flight: Flight) {
        let Some(&host) = self.routes.get(&flight.to) else { return };
        if self.hosts[host].asleep.is_some() {
            return;
        }
        let now = self.instant(host);
        let machine = &mut self.hosts[host];
        let Some(node) = &mut machine.node else { return };
        machine.traffic.datagrams_in += 1;
        machine.traffic.bytes_in += flight.datagram.len() as u64;
        // A discarded datagram changes nothing, which is what the network expects of it.
        let _ = node.handle_datagram(now, flight.from.socket_addr(), &mut flight.datagram);
        self.drain(host);
    }

    /// Does what a node wants done.
    fn drain(&mut self, host: HostId) {
        let now = self.instant(host);
        let mut transmits: Vec<(SocketAddr, Vec<u8>)> = Vec::new();
        let machine = &mut self.hosts[host];
        let Some(node) = &mut machine.node else { return };
        loop {
            let due = node.poll_timeout();
            let Some(output) = node.poll_output() else { break };
            assert!(due.is_some_and(|at| at <= now), "host {host} has output that waits for {due:?}");
            match output {
                Output::Transmit { to, datagram } => transmits.push((to, datagram.to_vec())),
                Output::Event(event) => {
                    if let Event::Joined { cluster } = &event {
                        machine.cluster = Some(cluster.clone());
                    }
                    if let Event::JoinRefused { .. } = &event {
                        machine.cluster = None;
                    }
                    machine.events.push((self.now, event));
                }
            }
        }
        // What is to be stored, and no more: a change that the node does not announce is lost with the next restart.
        if node.revision() != machine.stored {
            machine.stored = node.revision();
            machine.disk = node.saved();
        }
        self.plan(host);
        for (to, datagram) in transmits {
            self.transmit(host, to, datagram);
        }
    }

    /// A datagram leaves by the host's address of the same family; without one it goes nowhere.
    fn transmit(&mut self, host: HostId, to: SocketAddr, datagram: Vec<u8>) {
        let machine = &mut self.hosts[host];
        let to = Address::try_from(to).expect("a node sends to addresses only");
        let from = machine.addresses.iter().copied().find(|own| own.ip().is_ipv4() == to.ip().is_ipv4());
        let Some(from) = from else { return };
        machine.traffic.datagrams_out += 1;
        machine.traffic.bytes_out += datagram.len() as u64;
        let flight = Flight { from, to, datagram };
        if let Some(copies) = &mut self.wiretap {
            copies.push(flight.clone());
        }
        self.inject(flight);
    }

    /// What a host's monotonic clock shows.
    pub(super) fn instant(&self, host: HostId) -> Instant {
        self.epoch + (self.now - self.hosts[host].lag)
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("now", &self.now).field("hosts", &self.hosts.len()).finish_non_exhaustive()
    }
}
