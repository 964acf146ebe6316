//! Three simulated machines and faults of the fuzzer's choice: every law of the simulator holds meanwhile, and once the
//! network heals, all agree.

#![no_main]

use std::net::IpAddr;
use std::time::Duration;

use dddns::config::{Cluster, ClusterKey, Config, Peer};
use dddns::node::Node;
use dddns::sim::adversary::{Adversary, Interference};
use dddns::sim::network::Conditions;
use dddns::sim::world::{Flight, HostId, World};
use dddns::wire::address::Address;
use dddns::wire::id::ClusterId;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

/// How many machines there are.
const HOSTS: usize = 3;

/// How many places there are for them beside their own.
const PLACES: u8 = 6;

/// How long all may take to find each other again once nothing is in the way: the longest pause between two rounds of
/// calls (spec: `RETRY_MAX`), a few intervals, and as long once more for a peer that turned one away.
const HEALING: Duration = Duration::from_secs(600);

/// What the wall clocks show at first: 2026-01-01.
const TODAY: Duration = Duration::from_secs(1_767_225_600);

fuzz_target!(|input: Input| {
    let mut world = found(input.seed.into());
    if input.formed {
        assert!(world.run_until(Duration::from_secs(60), World::whole).is_some(), "an undisturbed cluster forms");
    }
    let mut scene = Scene { asleep: [false; HOSTS], forgotten: None, seen: Vec::new(), world };
    for fault in input.faults.into_iter().take(24) {
        scene.strike(fault);
    }
    scene.heal();
});

#[derive(Arbitrary, Debug)]
struct Input {
    seed: u8,
    formed: bool,
    faults: Vec<Fault>,
}

/// What can go wrong, and time in which it does.
#[derive(Arbitrary, Debug)]
enum Fault {
    /// Time passes, in units of 100 ms.
    Pass(u16),
    /// A machine gets another address.
    Move { host: u8, place: u8 },
    /// Two machines exchange their addresses.
    Swap { one: u8, other: u8 },
    /// Nothing passes from one machine to another, or between them.
    Wall { from: u8, to: u8, both: bool },
    /// All walls are gone.
    Open,
    /// The network is bad: loss and duplicates per mille, extra latency in milliseconds.
    Weather { loss: u16, duplicates: u16, jitter: u16 },
    /// A machine loses power.
    Kill(u8),
    /// A node stops in order.
    Stop(u8),
    /// A machine that is off is switched on.
    Start(u8),
    /// A machine sleeps.
    Sleep(u8),
    /// It wakes; its monotonic clock has gone on, or not.
    Wake { host: u8, went_on: bool },
    /// A monotonic clock runs wrong, in millionths.
    Drift { host: u8, ppm: i16 },
    /// A wall clock is set.
    WallClock { host: u8, unix: u32 },
    /// Somebody listens from now on, and drops every n-th datagram.
    Listen { every: u8 },
    /// Somebody sends on what passed by, to where it went or elsewhere.
    Replay { which: u8, to: Option<u8>, from: Option<u8> },
    /// Somebody sends anything.
    Garbage { to: u8, bytes: Vec<u8> },
    /// A machine that is on removes another one, once in a run.
    Forget { host: u8, other: u8 },
}

/// The world, and what was done to it.
struct Scene {
    world: World,
    asleep: [bool; HOSTS],
    forgotten: Option<HostId>,
    seen: Vec<Flight>,
}

impl Scene {
    fn strike(&mut self, fault: Fault) {
        self.listen();
        match fault {
            Fault::Pass(units) => self.world.run_for(Duration::from_millis(100 * u64::from(units))),
            Fault::Move { host, place } => self.relocate(host_of(host), away(place % PLACES)),
            Fault::Swap { one, other } => self.swap(host_of(one), host_of(other)),
            Fault::Wall { from, to, both } => {
                let [from, to] = [from, to].map(|host| self.ip(host_of(host)));
                self.world.network.one_way_wall(from, to);
                if both {
                    self.world.network.one_way_wall(to, from);
                }
            }
            Fault::Open => self.world.network.clear_walls(),
            Fault::Weather { loss, duplicates, jitter } => {
                self.world.network.conditions = Conditions {
                    loss_per_mille: loss % 1001,
                    duplicates_per_mille: duplicates % 1001,
                    jitter: Duration::from_millis(u64::from(jitter) % 5000),
                    ..Conditions::default()
                };
            }
            Fault::Listen { every } => self.world.set_adversary(Some(listener(every))),
            Fault::Replay { which, to, from } => self.replay(which, to, from),
            Fault::Garbage { to, bytes } => {
                let to = self.address(host_of(to));
                self.world.inject(Flight { from: away(PLACES), to, datagram: bytes });
            }
            Fault::Kill(host) => self.switch_off(host_of(host), World::kill),
            Fault::Stop(host) => self.switch_off(host_of(host), World::stop),
            Fault::Start(host) => self.start(host_of(host)),
            Fault::Sleep(host) => {
                self.world.sleep(host_of(host));
                self.asleep[host_of(host)] = true;
            }
            Fault::Wake { host, went_on } => self.wake(host_of(host), went_on),
            Fault::Drift { host, ppm } => self.world.set_drift(host_of(host), (ppm % 1001).into()),
            Fault::WallClock { host, unix } => {
                self.world.set_wall_clock(host_of(host), Duration::from_secs(unix.into()));
            }
            Fault::Forget { host, other } => self.forget(host_of(host), host_of(other)),
        }
    }

    /// One machine removes another, unless one has done so before.
    fn forget(&mut self, host: HostId, other: HostId) {
        if self.is_awake(host) && self.forgotten.is_none() {
            let id = self.world.id(other);
            if self.world.command(host, |node: &mut Node, now| node.forget(now, id)).is_ok() {
                self.forgotten = Some(other);
            }
        }
    }

    /// Nothing is in the way any more, and all that count are on: soon they agree about who is where and who is a member.
    fn heal(&mut self) {
        self.world.set_adversary(None);
        self.world.network.clear_walls();
        self.world.network.conditions = Conditions::default();
        let stays: Vec<HostId> = (0..HOSTS).filter(|host| Some(*host) != self.forgotten).collect();
        for host in 0..HOSTS {
            self.wake(host, true);
            self.start(host);
        }
        // Where each was at first is what the others are told by their configurations.
        if let Some(&first) = stays.first() {
            match (0..HOSTS).find(|host| self.address(*host) == home(first)) {
                Some(there) => self.swap(first, there),
                None => self.world.move_to(first, &[home(first)]),
            }
        }
        self.world.run_for(Duration::from_secs(1));
        if let Some(gone) = self.forgotten {
            self.world.kill(gone);
        }
        let agree = |world: &World| {
            let known = |host: HostId| world.snapshot(host).saved.members;
            world.whole() && stays.iter().all(|host| known(*host) == known(stays[0]))
        };
        let healed = self.world.run_until(HEALING, agree);
        assert!(
            healed.is_some(),
            "not healed: {:?}\n{}",
            stays.iter().map(|host| self.world.status(*host).peers).collect::<Vec<_>>(),
            self.world.report()
        );
    }

    fn is_awake(&self, host: HostId) -> bool {
        self.world.runs(host) && !self.asleep[host]
    }

    fn switch_off(&mut self, host: HostId, how: impl FnOnce(&mut World, HostId)) {
        if self.is_awake(host) {
            how(&mut self.world, host);
        }
    }

    fn start(&mut self, host: HostId) {
        if !self.world.runs(host) && !self.asleep[host] {
            self.world.start(host);
        }
    }

    fn wake(&mut self, host: HostId, went_on: bool) {
        if std::mem::take(&mut self.asleep[host]) {
            self.world.wake(host, went_on);
        }
    }

    /// Gives a machine a place, unless somebody has it.
    fn relocate(&mut self, host: HostId, address: Address) {
        if (0..HOSTS).all(|other| other == host || self.address(other) != address) {
            self.world.move_to(host, &[address]);
        }
    }

    fn swap(&mut self, one: HostId, other: HostId) {
        let (first, second) = (self.address(one), self.address(other));
        if one != other {
            // No address has two owners in between.
            self.world.move_to(one, &[away(PLACES + 1)]);
            self.world.move_to(other, &[first]);
            self.world.move_to(one, &[second]);
        }
    }

    /// Notes what has passed by lately.
    fn listen(&mut self) {
        self.seen.extend(self.world.tapped());
        let surplus = self.seen.len().saturating_sub(256);
        self.seen.drain(..surplus);
    }

    fn replay(&mut self, which: u8, to: Option<u8>, from: Option<u8>) {
        let Some(mut flight) = self.seen.iter().rev().nth(which.into()).cloned() else { return };
        if let Some(to) = to {
            flight.to = self.address(host_of(to));
        }
        if let Some(from) = from {
            flight.from = away(from % (PLACES + 1));
        }
        self.world.inject(flight);
    }

    fn address(&self, host: HostId) -> Address {
        *self.world.addresses(host).first().expect("every machine has an address")
    }

    fn ip(&self, host: HostId) -> IpAddr {
        self.address(host).ip()
    }
}

/// Drops every n-th datagram on the Internet; none for 0.
fn listener(every: u8) -> Adversary {
    let mut count: u64 = 0;
    Box::new(move |_, _| {
        count += 1;
        Interference { drop: every > 0 && count.is_multiple_of(u64::from(every)), sends: Vec::new() }
    })
}

/// Machines whose nodes know each other from their configurations, switched on.
fn found(seed: u64) -> World {
    let mut world = World::new(seed);
    let cluster = Cluster { id: ClusterId([7; 16]), key: ClusterKey([8; 32]) };
    let config = |host: usize| Config::new(format!("node-{host}").parse().expect("a label"));
    let hosts: Vec<HostId> = (0..HOSTS).map(|host| world.add_host(config(host), &[home(host)], TODAY)).collect();
    let peers: Vec<Peer> = hosts
        .iter()
        .map(|&host| Peer {
            name: world.config(host).name,
            public_key: world.identity(host).public_key(),
            addresses: vec![home(host)],
        })
        .collect();
    for &host in &hosts {
        let own = world.identity(host).public_key();
        world.config(host).peers = peers.iter().filter(|peer| peer.public_key != own).cloned().collect();
        world.set_cluster(host, cluster.clone());
        world.start(host);
    }
    world.tap();
    world
}

fn host_of(number: u8) -> HostId {
    usize::from(number) % HOSTS
}

fn home(host: HostId) -> Address {
    let last = u8::try_from(host + 1).expect("there are few");
    Address::new([192, 0, 2, last].into(), 7733).expect("it has a port")
}

fn away(place: u8) -> Address {
    Address::new([198, 51, 100, place + 1].into(), 7733).expect("it has a port")
}
