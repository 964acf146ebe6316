//! A scenario: so many nodes on such a network, some of which move at once; and how long it takes until all know where
//! all are.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::time::Duration;

use crate::config::{Cluster, ClusterKey, Config, Heartbeat};
use crate::node::saved::{Saved, SavedAddress};
use crate::sim::nat::Behaviour;
use crate::sim::network::{Conditions, headers};
use crate::sim::places::NatId;
use crate::sim::world::{HostId, Traffic, World};
use crate::wire::address::Address;
use crate::wire::id::ClusterId;
use crate::wire::record::{MemberRecord, MemberState};

/// How long nodes that know each other from their last run may take to meet.
const FORMING: Duration = Duration::from_secs(300);
/// How long they are left alone before anything is measured.
const SETTLING: Duration = Duration::from_secs(30);
/// For how long traffic is measured.
const QUIET: Duration = Duration::from_secs(60);
/// 2026-01-01, since 1970.
const UNIX: Duration = Duration::from_secs(1_767_225_600);

/// What is to be found out, for any number of seeds.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// How many nodes, 2 to 1,024. They are members of one cluster that all were switched off, and know where all were.
    pub nodes: u16,
    /// The heartbeat interval of all nodes.
    pub interval: Heartbeat,
    /// The conditions of the network once the nodes have met.
    pub conditions: Conditions,
    /// What every node but the first has between itself and the Internet; `None` for public addresses. The first one,
    /// the only one that everybody can call, then never moves.
    pub nat: Option<Behaviour>,
    /// Who moves.
    pub moves: Moves,
    /// How long it may take until all are together again.
    pub patience: Duration,
}

/// Who moves to another address, all in the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moves {
    /// One node.
    One,
    /// Two nodes.
    Two,
    /// Two nodes, each to the address of the other.
    Swap,
    /// So many of a thousand nodes, one at least.
    PerMille(u16),
    /// All nodes but one.
    AllButOne,
}

/// What came out for one seed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Run {
    /// How long the nodes took to meet at the beginning; `None` if they did not.
    pub formed: Option<Duration>,
    /// What was sent and received by all nodes together while nothing happened, for a minute.
    pub quiet: Traffic,
    /// How long after the move every node had every other one, and itself, at the true address; `None` if they had not.
    pub healed: Option<Duration>,
}

/// What came out for all seeds.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How many runs there were.
    pub runs: usize,
    /// The healing times of those that healed, shortest first.
    pub healed: Vec<Duration>,
    /// Datagrams that a node sent per second while nothing happened, on average.
    pub datagrams_out: f64,
    /// Bytes that a node sent per second, with the headers of UDP and IP.
    pub bytes_out: f64,
    /// Datagrams that a node received per second.
    pub datagrams_in: f64,
    /// Bytes that a node received per second, with the headers of UDP and IP.
    pub bytes_in: f64,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            nodes: 3,
            interval: Heartbeat::default(),
            conditions: Conditions::default(),
            nat: None,
            moves: Moves::One,
            patience: Duration::from_secs(120),
        }
    }
}

impl Scenario {
    /// How many nodes are to move.
    #[must_use]
    pub fn movers(&self) -> u16 {
        match self.moves {
            Moves::One => 1,
            Moves::Two | Moves::Swap => 2,
            Moves::PerMille(part) => {
                u16::try_from(u32::from(self.nodes) * u32::from(part) / 1000).unwrap_or(u16::MAX).max(1)
            }
            Moves::AllButOne => self.nodes - 1,
        }
    }

    /// How many nodes can move. No more do, whatever is asked for.
    #[must_use]
    pub fn movable(&self) -> u16 {
        self.nodes - u16::from(self.nat.is_some())
    }

    /// Plays the scenario once for each seed.
    #[must_use]
    pub fn play_all(&self, seeds: Range<u64>) -> Outcome {
        let runs: Vec<Run> = seeds.map(|seed| self.play(seed)).collect();
        Outcome::of(self.nodes, &runs)
    }

    /// Plays the scenario once.
    #[must_use]
    pub fn play(&self, seed: u64) -> Run {
        let mut stage = self.set_up(seed);
        let world = &mut stage.world;
        let formed = world.run_until(FORMING, World::whole);
        if formed.is_none() {
            return Run::default();
        }
        world.network.conditions = self.conditions.clone();
        let phase = world.dice.pause(self.interval.get());
        world.run_for(SETTLING + phase);
        let before = total(world, self.nodes);
        world.run_for(QUIET);
        let quiet = since(before, total(world, self.nodes));
        match self.moves {
            Moves::Swap => stage.swap(),
            Moves::One | Moves::Two | Moves::PerMille(_) | Moves::AllButOne => stage.scatter(self.movers().into()),
        }
        Run { formed, quiet, healed: stage.world.run_until(self.patience, World::whole) }
    }

    /// Nodes that were members of one cluster when they were switched off, and are switched on one after the other.
    fn set_up(&self, seed: u64) -> Stage {
        let mut world = World::new(seed);
        let cluster = Cluster { id: ClusterId([1; 16]), key: ClusterKey([2; 32]) };
        let mut stage = Stage { nats: Vec::new(), hosts: Vec::new(), world: World::new(seed) };
        let mut saved = Saved::default();
        for n in 0..self.nodes {
            let name = format!("node-{n}").parse().expect("a name of letters and digits");
            let config = Config { cluster: Some(cluster.clone()), heartbeat: self.interval, ..Config::new(name) };
            let nat = self.nat.filter(|_| n > 0).map(|nat| world.add_nat(nat, place(0, n), None));
            let host = world.add_host(config, &[at(place(0, n))], UNIX);
            if nat.is_some() {
                world.move_behind(host, nat, &[at(Ipv4Addr::new(192, 168, 1, 2))]);
            } else {
                saved.addresses.push(SavedAddress {
                    id: world.id(host),
                    address: at(place(0, n)),
                    seen: UNIX.as_secs(),
                });
            }
            let record = MemberRecord {
                public_key: world.identity(host).public_key(),
                admitted_by: saved.members.first().map_or_else(|| world.id(host), MemberRecord::id),
                admission: u32::from(n),
                state: MemberState::Member,
                revision: 1,
                name,
            };
            saved.members.push(record);
            stage.nats.push(nat);
            stage.hosts.push(host);
        }
        for &host in &stage.hosts {
            *world.disk(host) = saved.clone();
            world.start(host);
            world.run_for(self.interval.get() / u32::from(self.nodes));
        }
        stage.world = world;
        stage
    }
}

/// A world with the nodes of a scenario.
struct Stage {
    world: World,
    hosts: Vec<HostId>,
    /// What stands before each of them.
    nats: Vec<Option<NatId>>,
}

impl Stage {
    /// Moves so many, chosen by chance, to addresses that nobody had.
    fn scatter(&mut self, movers: usize) {
        for n in self.choose(movers) {
            self.settle(n, place(1, u16::try_from(n).unwrap_or(u16::MAX)));
        }
    }

    /// Two exchange their addresses.
    fn swap(&mut self) {
        if let [a, b] = self.choose(2)[..] {
            let [first, second] = [a, b].map(|n| place(0, u16::try_from(n).unwrap_or(u16::MAX)));
            // Nobody has two addresses in between, and no address two owners.
            self.settle(a, place(1, 0));
            self.settle(b, first);
            self.settle(a, second);
        }
    }

    fn settle(&mut self, n: usize, ip: Ipv4Addr) {
        match (self.nats.get(n).copied().flatten(), self.hosts.get(n)) {
            (Some(nat), _) => self.world.move_nat(nat, ip),
            (None, Some(&host)) => self.world.move_to(host, &[at(ip)]),
            (None, None) => {}
        }
    }

    /// So many different nodes.
    fn choose(&mut self, movers: usize) -> Vec<usize> {
        let mut chosen = BTreeSet::new();
        let fixed = usize::from(self.nats.iter().any(Option::is_some));
        let all = self.hosts.len() - fixed;
        while chosen.len() < movers.min(all) {
            let drawn = self.world.dice.below(u64::try_from(all).unwrap_or(u64::MAX));
            chosen.insert(fixed + usize::try_from(drawn).unwrap_or(0));
        }
        chosen.into_iter().collect()
    }
}

impl Outcome {
    fn of(nodes: u16, runs: &[Run]) -> Self {
        let mut healed: Vec<Duration> = runs.iter().filter_map(|run| run.healed).collect();
        healed.sort_unstable();
        let measured = runs.iter().filter(|run| run.formed.is_some());
        let sum = measured.clone().fold(Traffic::default(), |sum, run| sum.plus(run.quiet));
        let seconds =
            f64::from(nodes) * QUIET.as_secs_f64() * f64::from(u32::try_from(measured.count()).unwrap_or(u32::MAX));
        let header = u64::try_from(headers(at(place(0, 0)))).unwrap_or(0);
        let rate = |count: u64| if seconds > 0.0 { exact(count) / seconds } else { 0.0 };
        Self {
            runs: runs.len(),
            healed,
            datagrams_out: rate(sum.datagrams_out),
            bytes_out: rate(sum.bytes_out + sum.datagrams_out * header),
            datagrams_in: rate(sum.datagrams_in),
            bytes_in: rate(sum.bytes_in + sum.datagrams_in * header),
        }
    }

    /// The healing time that so many of a hundred runs did not exceed, by the nearest rank; runs that did not heal count
    /// as longer than all. `None` if it is one of those.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Option<Duration> {
        let rank = (self.runs * percent).div_ceil(100).max(1);
        self.healed.get(rank - 1).copied()
    }
}

impl Traffic {
    fn plus(self, other: Self) -> Self {
        Self {
            datagrams_out: self.datagrams_out + other.datagrams_out,
            bytes_out: self.bytes_out + other.bytes_out,
            datagrams_in: self.datagrams_in + other.datagrams_in,
            bytes_in: self.bytes_in + other.bytes_in,
        }
    }
}

/// What all hosts together have sent and received.
fn total(world: &World, nodes: u16) -> Traffic {
    (0..usize::from(nodes)).fold(Traffic::default(), |sum, host| sum.plus(world.traffic(host)))
}

fn since(before: Traffic, after: Traffic) -> Traffic {
    Traffic {
        datagrams_out: after.datagrams_out - before.datagrams_out,
        bytes_out: after.bytes_out - before.bytes_out,
        datagrams_in: after.datagrams_in - before.datagrams_in,
        bytes_in: after.bytes_in - before.bytes_in,
    }
}

/// An address for the n-th node: its first one, or the one that it moves to. From 198.18.0.0/15, which is for tests.
fn place(moved: u8, n: u16) -> Ipv4Addr {
    // No address ends in 0.
    let [a, b] = (n + n / 255 + 1).to_be_bytes();
    Ipv4Addr::new(198, 18 + moved, a, b)
}

fn at(ip: Ipv4Addr) -> Address {
    Address::new(IpAddr::V4(ip), 7733).expect("neither the IP address nor the port is zero")
}

/// A count as a number to divide; no run comes near 2^52.
#[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 52 bits")]
fn exact(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_distinct() {
        let mut all: Vec<Ipv4Addr> = (0..1024).flat_map(|n| [place(0, n), place(1, n)]).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 2048);
        assert!(all.iter().all(|ip| ip.octets()[3] != 0));
    }

    #[test]
    fn runs_that_did_not_heal_count_as_longest() {
        let run = |seconds: Option<u64>| Run { healed: seconds.map(Duration::from_secs), ..Run::default() };
        let runs: Vec<Run> = [Some(3), None, Some(1), Some(2)].map(run).to_vec();
        let outcome = Outcome::of(3, &runs);
        assert_eq!(outcome.percentile(50), Some(Duration::from_secs(2)));
        assert_eq!(outcome.percentile(75), Some(Duration::from_secs(3)));
        assert_eq!(outcome.percentile(95), None);
    }

    #[test]
    fn whoever_moves_is_found() {
        let moves = [Moves::One, Moves::Two, Moves::Swap, Moves::PerMille(400), Moves::AllButOne];
        for moves in moves {
            let outcome = Scenario { nodes: 4, moves, ..Scenario::default() }.play_all(0..3);
            assert_eq!((outcome.runs, outcome.healed.len()), (3, 3), "{moves:?}");
            assert!(outcome.healed[0] > Duration::ZERO, "{moves:?}");
            // An exchange with somebody every 2 s, and two datagrams for it.
            assert!((0.5..2.5).contains(&outcome.datagrams_out), "{outcome:?}");
            let length = outcome.bytes_out / outcome.datagrams_out;
            assert!((length - 94.0).abs() < 1.0, "{length} bytes: a heartbeat and its headers");
        }
    }

    #[test]
    fn nodes_behind_home_routers_are_found_too() {
        let scenario = Scenario { nodes: 4, nat: Some(Behaviour::HOME), moves: Moves::Two, ..Scenario::default() };
        let outcome = scenario.play_all(0..3);
        assert_eq!(outcome.healed.len(), 3, "{outcome:?}");
    }
}
