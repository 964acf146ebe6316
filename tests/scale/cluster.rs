//! Clusters of hundreds, as they are after a start with what was stored, or after joining by invite.

use std::net::IpAddr;
use std::time::Duration;

use dddns::auth::identity::Identity;
use dddns::config::{Cluster, ClusterKey, Config};
use dddns::node::saved::{Saved, SavedAddress};
use dddns::sim::world::{HostId, World};
use dddns::wire::address::Address;
use dddns::wire::id::{ClusterId, NodeId};
use dddns::wire::record::{MemberRecord, MemberState};

/// 2026-01-01, as a wall clock that is right.
pub(crate) const TODAY: Duration = Duration::from_secs(1_767_225_600);

/// The address of a host in its first place.
pub(crate) fn home(host: HostId) -> Address {
    place(18, host)
}

/// Another place for a host.
pub(crate) fn away(host: HostId) -> Address {
    place(19, host)
}

fn place(site: u8, host: HostId) -> Address {
    let [high, low] = u16::try_from(host + 1).unwrap().to_be_bytes();
    Address::new(IpAddr::from([198, site, high, low]), 7733).unwrap()
}

fn config(host: HostId) -> Config {
    let mut config = Config::new(format!("node-{host}").parse().unwrap());
    config.cluster = Some(Cluster { id: ClusterId([7; 16]), key: ClusterKey([8; 32]) });
    config
}

/// Hosts that know each other and where all were, switched off.
pub(crate) fn stored(seed: u64, hosts: usize) -> World {
    let mut world = World::new(seed);
    for host in 0..hosts {
        world.add_host(config(host), &[home(host)], TODAY);
    }
    let member = |host: HostId| MemberRecord {
        public_key: Identity::public_key(world.identity(host)),
        admitted_by: world.id(0),
        admission: u32::try_from(host).unwrap(),
        state: MemberState::Member,
        revision: 0,
        name: format!("node-{host}").parse().unwrap(),
    };
    let members: Vec<MemberRecord> = (0..hosts).map(member).collect();
    let places: Vec<(NodeId, Address)> = (0..hosts).map(|host| (world.id(host), home(host))).collect();
    for host in 0..hosts {
        let own = world.id(host);
        let others = places.iter().filter(|(id, _)| *id != own);
        let addresses = others.map(|&(id, address)| SavedAddress { id, address, seen: TODAY.as_secs() }).collect();
        *world.disk(host) = Saved { members: members.clone(), addresses, ..Saved::default() };
    }
    world
}

/// A cluster that has been started, is whole and has been so for a while.
pub(crate) fn running(seed: u64, hosts: usize) -> World {
    let mut world = stored(seed, hosts);
    (0..hosts).for_each(|host| world.start(host));
    let whole = world.run_until(Duration::from_secs(120), World::whole);
    println!("{hosts} nodes, seed {seed}: whole {whole:?} after their start");
    assert!(whole.is_some(), "seed {seed}: {hosts} nodes are not whole after their start");
    world.run_for(Duration::from_secs(30));
    world
}

/// A founder, and hosts that join by an invite each from it, `pace` apart.
pub(crate) fn joining(seed: u64, hosts: usize, pace: Duration) -> World {
    let mut world = World::new(seed);
    world.add_host(config(0), &[home(0)], TODAY);
    world.start(0);
    for host in 1..hosts {
        join(&mut world, 0, host);
        world.run_for(pace);
    }
    world
}

/// Adds a host that joins by an invite from another one.
pub(crate) fn join(world: &mut World, inviter: HostId, host: HostId) {
    let added = world.add_host(Config { cluster: None, ..config(host) }, &[home(host)], TODAY);
    assert_eq!(added, host);
    let at = world.addresses(inviter).to_vec();
    let token = world.command(inviter, |node, now| node.create_invite(now, Duration::from_secs(3600), &at)).unwrap();
    world.start(host);
    world.command(host, |node, now| node.join(now, &token)).unwrap();
}
