//! Clusters to begin a scenario with.

use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

use dddns::auth::drbg::Drbg;
use dddns::auth::handshake::{Initiator, Purpose};
use dddns::auth::identity::Identity;
use dddns::auth::invite::Token;
use dddns::config::{Cluster, ClusterKey, Config};
use dddns::node::Node;
use dddns::node::event::Event;
use dddns::sim::world::{Flight, HostId, World};
use dddns::wire::address::Address;
use dddns::wire::id::{ClusterId, Incarnation, Index};
use dddns::wire::kind::Kind;

/// 2026-01-01, as a wall clock that is right.
pub(crate) const TODAY: Duration = Duration::from_secs(1_767_225_600);

/// The address of the n-th host in its first place.
pub(crate) fn home(n: u8) -> Address {
    place([192, 0, 2, n])
}

/// Another place for the n-th host.
pub(crate) fn away(n: u8) -> Address {
    place([198, 51, 100, n])
}

pub(crate) fn place(ip: [u8; 4]) -> Address {
    Address::new(IpAddr::from(ip), 7733).unwrap()
}

pub(crate) fn config(n: u8) -> Config {
    Config::new(format!("node-{n}").parse().unwrap())
}

/// A world with a founder and `n - 1` nodes that joined through it by invite, whole.
pub(crate) fn formed(seed: u64, n: u8) -> World {
    let mut world = World::new(seed);
    let founder = found(&mut world, TODAY);
    for number in 2..=n {
        let joiner = world.add_host(config(number), &[home(number)], TODAY);
        join(&mut world, founder, joiner);
    }
    let whole = world.run_until(Duration::from_secs(60), World::whole);
    assert!(whole.is_some(), "seed {seed}: the cluster did not form");
    world.run_for(Duration::from_secs(30));
    world
}

/// The first host, with a cluster of its own, switched on.
pub(crate) fn found(world: &mut World, clock: Duration) -> HostId {
    let mut config = config(1);
    config.cluster = Some(secrets());
    let founder = world.add_host(config, &[home(1)], clock);
    world.start(founder);
    founder
}

/// Switches `joiner` on and lets it begin to join by an invite from `inviter`.
pub(crate) fn join(world: &mut World, inviter: HostId, joiner: HostId) {
    let token = invite(world, inviter, Duration::from_secs(86_400));
    join_with(world, joiner, &token);
}

/// An invite from a host that names its present addresses.
pub(crate) fn invite(world: &mut World, inviter: HostId, ttl: Duration) -> Token {
    let at = world.addresses(inviter).to_vec();
    world.command(inviter, |node, now| node.create_invite(now, ttl, &at)).unwrap()
}

/// Switches `joiner` on and lets it begin to join by an invite.
pub(crate) fn join_with(world: &mut World, joiner: HostId, token: &Token) {
    world.start(joiner);
    world.command(joiner, |node: &mut Node, now| node.join(now, token)).unwrap();
}

/// The secrets of the cluster in these scenarios.
pub(crate) fn secrets() -> Cluster {
    Cluster { id: ClusterId([7; 16]), key: ClusterKey([8; 32]) }
}

/// The type of a datagram.
pub(crate) fn kind(flight: &Flight) -> Kind {
    Kind(flight.datagram[1])
}

/// How often something happened to a host.
pub(crate) fn happened(world: &World, host: HostId, what: impl Fn(&Event) -> bool) -> usize {
    world.events(host).iter().filter(|(_, event)| what(event)).count()
}

/// Nodes that know each other from their configuration only.
pub(crate) fn configured(seed: u64, n: u8) -> World {
    let mut world = World::new(seed);
    let cluster = secrets();
    let hosts: Vec<HostId> = (1..=n).map(|k| world.add_host(config(k), &[home(k)], TODAY)).collect();
    let peers: Vec<dddns::config::Peer> = hosts
        .iter()
        .map(|&host| dddns::config::Peer {
            name: world.config(host).name,
            public_key: Identity::public_key(world.identity(host)),
            addresses: world.addresses(host).to_vec(),
        })
        .collect();
    for &host in &hosts {
        let own = world.identity(host).public_key();
        let config = world.config(host);
        config.peers = peers.iter().filter(|peer| peer.public_key != own).cloned().collect();
        config.cluster = Some(cluster.clone());
        world.set_cluster(host, cluster.clone());
        world.start(host);
    }
    world
}

/// Over how many seeds a scenario runs: `usual`, or as many as `DDDNS_SEEDS` says.
fn seeds(usual: u64) -> u64 {
    std::env::var("DDDNS_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(usual)
}

/// The seeds over which a scenario runs: as many as usual, or as `DDDNS_SEEDS` says; with `DDDNS_SEED` that one alone.
pub(crate) fn seed_range(usual: u64) -> Range<u64> {
    let one = std::env::var("DDDNS_SEED").ok().and_then(|seed| seed.parse().ok());
    one.map_or_else(|| 0..seeds(usual), |seed: u64| seed..seed + 1)
}

/// An initiation that passes mac1 and no more: all that a stranger with the public key can make.
pub(crate) fn knock(world: &World) -> Vec<u8> {
    let nobody = Cluster { id: ClusterId([1; 16]), key: ClusterKey([1; 32]) };
    let stranger = Identity::from_secret([5; 32]);
    let responder = world.identity(0).public_key();
    let mut drbg = Drbg::new([6; 32]);
    let initiator =
        Initiator::start(&stranger, &responder, Purpose::Member(&nobody), Incarnation([0; 8]), Index(9), &mut drbg);
    initiator.unwrap().datagram().to_vec()
}
