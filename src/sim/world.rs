//! The world: hosts with nodes on them, the datagrams under way, and the time.

#![expect(clippy::indexing_slicing, reason = "a host ID that add_host did not give is a defect of the scenario")]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::node::Node;
use crate::node::event::Event;
use crate::node::outbox::Output;
use crate::sim::adversary::Adversary;
use crate::sim::agenda::Agenda;
use crate::sim::dice::Dice;
use crate::sim::host::Host;
use crate::sim::laws::{self, Broken, Cause, Laws, Origin, Sent, Verdict};
use crate::sim::nat::{Behaviour, Nat};
use crate::sim::network::Network;
use crate::sim::places::{NatId, Places, Segment};
use crate::sim::trace::{Happening, Trace};
use crate::wire::address::Address;
use crate::wire::datagram::Datagram;
use crate::wire::kind::Kind;

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
    seed: u64,
    /// Where virtual time began. Only differences from it are ever seen.
    epoch: Instant,
    pub(super) now: Duration,
    pub(super) hosts: Vec<Host>,
    pub(super) places: Places,
    /// Datagrams under way, by time of arrival and order of sending.
    flying: BTreeMap<(Duration, u64), Parcel>,
    sent: u64,
    /// Every datagram that was handed to the network, if that is wanted.
    wiretap: Option<Vec<Flight>>,
    adversary: Option<Adversary>,
    /// When each host that is awake wants to be woken.
    agenda: Agenda,
    /// Two hosts of which the one did not know the other when the world was last asked whether it is whole.
    pub(super) apart: Cell<(HostId, HostId)>,
    pub(super) laws: Laws,
    pub(super) trace: Trace,
    /// Whether a law was broken, and the panic says what happened before.
    broken: Cell<bool>,
    /// Room for what a node wants to be sent, kept between steps.
    outgoing: Vec<(Address, Vec<u8>)>,
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

/// A datagram under way.
struct Parcel {
    /// In which network.
    segment: Segment,
    flight: Flight,
    /// Whose node sent it; `None` if it comes from somebody else.
    origin: Option<Origin>,
}

impl World {
    /// An empty world.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "an Instant can only be had from the clock; only differences count")]
    pub fn new(seed: u64) -> Self {
        Self {
            network: Network::default(),
            dice: Dice::new(seed),
            seed,
            epoch: Instant::now(),
            now: Duration::ZERO,
            hosts: Vec::new(),
            places: Places::default(),
            flying: BTreeMap::new(),
            sent: 0,
            wiretap: None,
            adversary: None,
            agenda: Agenda::default(),
            apart: Cell::default(),
            laws: Laws::default(),
            trace: Trace::default(),
            broken: Cell::default(),
            outgoing: Vec::new(),
        }
    }

    /// Puts up a translator with this address outside: on the Internet, or behind another one.
    pub fn add_nat(&mut self, behaviour: Behaviour, ip: Ipv4Addr, outside: Option<NatId>) -> NatId {
        let nat = Nat::new(behaviour, ip, Dice::new(self.dice.roll()));
        self.places.add_nat(nat, outside.map_or(Segment::Internet, Segment::Behind))
    }

    /// A translator.
    pub fn nat(&mut self, id: NatId) -> &mut Nat {
        self.places.nat(id).expect("add_nat gave the ID")
    }

    /// Gives a translator another address outside, as a provider does that hands out a new lease.
    pub fn move_nat(&mut self, id: NatId, ip: Ipv4Addr) {
        self.places.move_nat(id, ip);
    }

    /// Lets an adversary see, and interfere with, every datagram on the Internet from now on; `None` sends it away.
    pub fn set_adversary(&mut self, adversary: Option<Adversary>) {
        self.adversary = adversary;
    }

    /// Calls a command of a host's node, which must run, and does what follows from it.
    pub fn command<T>(&mut self, host: HostId, command: impl FnOnce(&mut Node, Instant) -> T) -> T {
        let now = self.instant(host);
        let node = self.hosts[host].node.as_mut().expect("the host is switched on");
        let result = command(node, now);
        self.drain(host, Cause::Command);
        result
    }

    /// Puts a datagram on the Internet, as anybody can who writes any source address.
    pub fn inject(&mut self, flight: Flight) {
        self.hand_over(Parcel { segment: Segment::Internet, flight, origin: None });
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

    /// What happened lately, and how to see it again.
    #[must_use]
    pub fn report(&self) -> String {
        self.trace.report(self.seed, self.now)
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
            let parcel = entry.remove();
            self.deliver(parcel);
        }
        while let Some((_, host)) = self.agenda.first().filter(|(at, _)| *at <= self.now) {
            let now = self.instant(host);
            if let Some(node) = &mut self.hosts[host].node {
                node.handle_timeout(now);
            }
            self.drain(host, Cause::Timer);
            let next = self.hosts[host].node.as_ref().and_then(Node::poll_timeout);
            if next.is_some_and(|at| at <= now) {
                let what = format!("after all that was due it wants to be woken at {next:?}, and it is {now:?}");
                self.judge(host, Err(Broken { law: "the second law of driving", what }));
            }
        }
    }

    /// Notes when a host wants to be woken: not at all while it is switched off or asleep.
    pub(super) fn plan(&mut self, host: HostId) {
        let machine = &self.hosts[host];
        let timeout = machine.node.as_ref().filter(|_| !machine.clock.is_asleep()).and_then(Node::poll_timeout);
        let timeout = timeout.map(|at| machine.clock.when(at.saturating_duration_since(self.epoch)));
        self.agenda.set(host, timeout);
    }

    fn deliver(&mut self, parcel: Parcel) {
        let Parcel { segment, mut flight, origin } = parcel;
        let to = flight.to;
        let Some(host) = self.places.arrive(self.now, segment, &mut flight) else { return };
        let now = self.instant(host);
        let machine = &mut self.hosts[host];
        if machine.clock.is_asleep() {
            return;
        }
        self.laws.is_at(self.now, host, to);
        let made = self.laws.maker(&flight.datagram, origin);
        self.laws.reached(self.now, machine.id, &flight.datagram, made.as_ref());
        let from = machine.truth(flight.from);
        let Some(node) = &mut machine.node else { return };
        machine.traffic.datagrams_in += 1;
        machine.traffic.bytes_in += flight.datagram.len() as u64;
        let arrival = self.laws.arriving(host, node, from, &flight.datagram, made);
        let result = node.handle_datagram(now, from.socket_addr(), &mut flight.datagram);
        let (kind, bytes) = (arrival.kind, arrival.bytes);
        self.trace.note(self.now, host, Happening::Came { from, kind, bytes, result });
        let verdict = self.laws.arrived(self.now, node, &arrival, result);
        self.judge(host, verdict);
        self.drain(host, Cause::Datagram(&arrival, result));
    }

    /// Does what a node wants done.
    pub(super) fn drain(&mut self, host: HostId, cause: Cause<'_>) {
        let now = self.instant(host);
        let machine = &mut self.hosts[host];
        let Some(node) = &mut machine.node else { return };
        let mut verdict: Verdict = Ok(());
        loop {
            let due = node.poll_timeout();
            let Some(output) = node.poll_output() else { break };
            if due.is_none_or(|at| at > now) {
                let what = format!("it has output at {now:?}, and wants to be woken at {due:?}");
                verdict = verdict.and(Err(Broken { law: "the first law of driving", what }));
            }
            match output {
                Output::Transmit { to, datagram } => {
                    let to = Address::try_from(to).expect("a node sends to addresses only");
                    verdict = verdict.and_then(|()| laws::answered(cause, to, datagram));
                    self.outgoing.push((to, datagram.to_vec()));
                }
                Output::Event(event) => {
                    if let Event::Joined { cluster } = &event {
                        machine.disk.cluster = Some(cluster.clone());
                    }
                    if let Event::JoinRefused { .. } | Event::Left { .. } = &event {
                        machine.disk.cluster = None;
                    }
                    self.trace.note(self.now, host, Happening::Told(format!("{event:?}")));
                    verdict = verdict.and_then(|()| self.laws.told(self.now, host, node, cause, &event));
                    machine.events.push((self.now, event));
                }
            }
        }
        // What is to be stored, and no more: a change that the node does not announce is lost with the next restart.
        if node.revision() != machine.stored {
            machine.stored = node.revision();
            machine.disk.saved = node.saved();
        }
        verdict = verdict.and_then(|()| self.laws.stepped(self.now, host, node, machine.config.max_members.get()));
        self.judge(host, verdict);
        self.plan(host);
        let mut outgoing = std::mem::take(&mut self.outgoing);
        for (to, datagram) in outgoing.drain(..) {
            self.transmit(host, to, datagram);
        }
        self.outgoing = outgoing;
    }

    /// A datagram leaves by the host's address of the same family; without one it goes nowhere.
    fn transmit(&mut self, host: HostId, to: Address, datagram: Vec<u8>) {
        let machine = &mut self.hosts[host];
        let watched = self.wiretap.is_some() || self.adversary.is_some();
        let local = machine.clock.monotonic(self.now);
        let origin = Origin { host, run: machine.run, id: machine.id, to };
        let kind = Kind(datagram.get(1).copied().unwrap_or_default());
        self.trace.note(self.now, host, Happening::Sent { to, kind, bytes: datagram.len() });
        let sessions = match (&machine.node, Datagram::parse(&datagram)) {
            (Some(node), Ok(Datagram::Tagged(header))) => node.sessions_with(header.receiver),
            _ => Vec::new(),
        };
        let sent = Sent { origin, datagram: &datagram, sessions: &sessions, local, watched };
        let verdict = self.laws.sent(self.now, &sent);
        let to = machine.truth(to);
        let from = machine.addresses.iter().copied().find(|own| own.ip().is_ipv4() == to.ip().is_ipv4());
        machine.traffic.datagrams_out += u64::from(from.is_some());
        machine.traffic.bytes_out += if from.is_some() { datagram.len() as u64 } else { 0 };
        let segment = machine.segment;
        self.judge(host, verdict);
        let Some(from) = from else { return };
        let mut flight = Flight { from, to, datagram };
        let Some(segment) = self.places.depart(self.now, segment, &mut flight) else { return };
        if let Some(copies) = &mut self.wiretap {
            copies.push(flight.clone());
        }
        self.hand_over(Parcel { segment, flight, origin: Some(origin) });
    }

    /// Hands a datagram to the network, and on the Internet to whoever sits there.
    fn hand_over(&mut self, parcel: Parcel) {
        if let Some(adversary) = self.adversary.as_mut().filter(|_| parcel.segment == Segment::Internet) {
            let interference = adversary(self.now, &parcel.flight);
            for (delay, flight) in interference.sends {
                self.fly(delay, Parcel { segment: Segment::Internet, flight, origin: None });
            }
            if interference.drop {
                return;
            }
        }
        let Flight { from, to, datagram } = &parcel.flight;
        let Some((first, second)) = self.network.carry(&mut self.dice, *from, *to, datagram.len()) else { return };
        if let Some(delay) = second {
            let copy = Parcel { segment: parcel.segment, flight: parcel.flight.clone(), origin: parcel.origin };
            self.fly(delay, copy);
        }
        self.fly(first, parcel);
    }

    /// Sends a datagram on its way; nothing happens to it any more before it arrives.
    fn fly(&mut self, delay: Duration, parcel: Parcel) {
        self.sent += 1;
        self.flying.insert((self.now + delay, self.sent), parcel);
    }

    /// Ends the run if a law is broken.
    fn judge(&self, host: HostId, verdict: Verdict) {
        if let Err(Broken { law, what }) = verdict {
            self.broken.set(true);
            panic!("host {host} breaks {law}: {what}\n{}", self.report());
        }
    }

    /// What a host's monotonic clock shows.
    pub(super) fn instant(&self, host: HostId) -> Instant {
        self.epoch + self.hosts[host].clock.monotonic(self.now)
    }
}

impl Drop for World {
    /// A run that fails by what its scenario asserts says what happened; one that breaks a law has.
    fn drop(&mut self) {
        if std::thread::panicking() && !self.broken.get() {
            eprintln!("{}", self.report());
        }
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("now", &self.now).field("hosts", &self.hosts.len()).finish_non_exhaustive()
    }
}
