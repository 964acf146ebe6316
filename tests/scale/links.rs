//! With whom nodes of a large cluster keep links, and what they know of the others.

use std::time::Duration;

use dddns::node::event::Event;
use dddns::node::saved::SavedAddress;
use dddns::node::status::PeerState;
use dddns::sim::world::{Flight, HostId, World};

use crate::cluster::{away, join, running, stored};
use crate::measured::cost;

const SECOND: Duration = Duration::from_secs(1);
/// More than a full mesh has.
const HOSTS: usize = 140;

fn linked(world: &World, host: HostId) -> usize {
    world.status(host).peers.iter().filter(|peer| peer.linked).count()
}

/// The n-th pair of hosts without a link.
fn strangers(world: &World, n: usize) -> (HostId, HostId) {
    let pairs = (0..HOSTS).flat_map(|a| (0..HOSTS).map(move |b| (a, b)));
    let strangers = |&(a, b): &(HostId, HostId)| a != b && !world.are_neighbours(a, b);
    pairs.filter(strangers).nth(n * 997).unwrap()
}

fn wants(world: &mut World, host: HostId, other: HostId) {
    let id = world.id(other);
    world.command(host, |node, now| node.want(now, id)).unwrap();
}

fn found_in_a_second(world: &mut World, host: HostId, other: HostId) -> bool {
    wants(world, host, other);
    world.run_until(SECOND, |world| world.knows(host, other)).is_some()
}

fn told_of(world: &World, host: HostId, other: HostId) -> usize {
    let id = world.id(other);
    let about = |event: &Event| {
        if let Event::PeerUp { peer, .. } | Event::PeerSuspect { peer } | Event::PeerLost { peer } = event {
            return peer.id == id;
        }
        false
    };
    world.events(host).iter().filter(|(_, event)| about(event)).count()
}

/// Spec: STATE-6, SCALE-2.
#[test]
fn each_has_links_with_its_neighbours_and_they_cost_little() {
    let mut world = running(1, HOSTS);
    world.run_for(SECOND * 60);
    for host in 0..HOSTS {
        let neighbours = (0..HOSTS).filter(|&other| other != host && world.are_neighbours(host, other)).count();
        assert_eq!(linked(&world, host), neighbours, "host {host}");
        assert_eq!(world.status(host).peers.len(), HOSTS - 1, "all members are shown");
    }
    let cost = cost(&mut world, HOSTS, 60);
    assert!(cost.out.0 <= 400 && cost.received.0 <= 400, "{cost:?}");
}

/// Spec: SCALE-3.
#[test]
fn any_member_is_found_within_a_second_and_left_alone_again() {
    let mut world = running(2, HOSTS);
    let pairs: Vec<(HostId, HostId)> = (0..15).map(|n| strangers(&world, n)).collect();
    for &(host, other) in &pairs {
        assert!(found_in_a_second(&mut world, host, other), "{host} wants {other}");
    }
    let (host, mover) = strangers(&world, 16);
    world.move_to(mover, &[away(mover)]);
    // Its neighbours have seen it move; hardly anybody else can have heard of it.
    let seen = |world: &World| (0..HOSTS).filter(|&h| h != mover && world.knows(h, mover)).count();
    assert!(world.run_until(SECOND * 5, |world| seen(world) >= 5).is_some());
    assert!(found_in_a_second(&mut world, host, mover), "{host} wants {mover}, which has moved");
    world.run_for(SECOND * 120);
    for (host, other) in pairs {
        let told = |a, b| world.status(a).peers.iter().find(|peer| peer.id == world.id(b)).unwrap().linked;
        assert!(!told(host, other) && !told(other, host), "{host} and {other} need no link any more");
        assert_eq!((told_of(&world, host, other), told_of(&world, other, host)), (0, 0), "nobody is told of it");
    }
}

/// Spec: SCALE-5, SCALE-6.
#[test]
fn who_knows_only_wrong_addresses_of_a_member_asks_its_neighbours() {
    let mut world = running(3, HOSTS);
    for n in 0..5 {
        let (host, other) = strangers(&world, n * 3 + 1);
        let id = world.id(other);
        world.kill(host);
        let addresses = &mut world.disk(host).addresses;
        addresses.retain(|known| known.id != id);
        addresses.push(SavedAddress { id, address: away(other), seen: SavedAddress::TOLD });
        world.start(host);
        let up = |world: &World| world.status(host).peers.iter().filter(|peer| peer.state == PeerState::Up).count();
        assert!(world.run_until(SECOND * 5, |world| up(world) >= 5).is_some());
        assert!(found_in_a_second(&mut world, host, other), "{host} wants {other}");
    }
}

/// Spec: SCALE-7, SCALE-8.
#[test]
fn moves_are_told_to_all_and_what_was_told_survives_a_restart() {
    let mut world = running(4, HOSTS);
    let (host, mover) = strangers(&world, 5);
    world.move_to(mover, &[away(mover)]);
    let shown = |world: &World, host: HostId| {
        world.status(host).peers.into_iter().find(|peer| peer.id == world.id(mover)).and_then(|peer| peer.address)
    };
    world.run_for(SECOND * 30);
    for other in (0..HOSTS).filter(|&other| other != mover) {
        assert_eq!(shown(&world, other), Some(away(mover)), "host {other}");
    }
    world.run_for(SECOND * 90);
    // Something else that is worth storing: hearsay alone is not.
    let neighbour = (0..HOSTS).find(|&other| other != host && world.are_neighbours(host, other)).unwrap();
    world.move_to(neighbour, &[away(neighbour)]);
    world.run_for(SECOND * 10);
    world.kill(host);
    world.start(host);
    assert_eq!(shown(&world, host), Some(away(mover)));
}

/// Spec: SCALE-4.
#[test]
fn whoever_is_wanted_last_has_a_link_however_many_were_wanted_before() {
    let mut world = running(6, HOSTS);
    let others: Vec<HostId> = (1..HOSTS).filter(|&other| !world.are_neighbours(0, other)).collect();
    let kept = linked(&world, 0);
    assert!(others.len() > 100, "{} could be wanted", others.len());
    for &other in &others {
        wants(&mut world, 0, other);
    }
    assert_eq!(linked(&world, 0) - kept, 96);
    world.run_for(SECOND);
    for &other in others.iter().rev().take(96) {
        assert!(world.knows(0, other), "0 wants {other}");
    }
}

#[test]
fn growth_beyond_a_full_mesh_ends_links_in_silence() {
    let mut world = stored(5, 127);
    // The others are members, and switched off.
    let lives = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 127, 128];
    lives.iter().filter(|host| **host < 127).for_each(|&host| world.start(host));
    assert!(world.run_until(SECOND * 20, World::whole).is_some());
    join(&mut world, 7, 127);
    assert!(world.run_until(SECOND * 20, World::whole).is_some());
    assert_eq!((linked(&world, 5), linked(&world, 127)), (127, 127));
    join(&mut world, 7, 128);
    let members = |world: &World| lives.iter().all(|&host| world.status(host).peers.len() == 128);
    assert!(world.run_until(SECOND * 20, members).is_some());
    world.run_for(SECOND * 90);
    assert!(world.whole());
    let missed = |event: &Event| matches!(event, Event::PeerSuspect { .. } | Event::PeerLost { .. } | Event::Orphan);
    for host in lives {
        assert!((3..=64).contains(&linked(&world, host)), "host {host}: {}", linked(&world, host));
        assert!(!world.events(host).iter().any(|(_, event)| missed(event)), "host {host}");
    }
}

#[test]
fn a_wanted_member_that_becomes_a_neighbour_is_looked_for_when_it_falls_silent() {
    let mut world = running(28, HOSTS);
    world.run_for(SECOND * 60);
    let (a, b) = strangers(&world, 0);
    assert!(found_in_a_second(&mut world, a, b));
    // Nobody is left who would ask for it.
    (0..HOSTS).filter(|&other| other != a).for_each(|other| world.kill(other));
    let (id, at) = (world.id(b), world.addresses(b).to_vec());
    // To be given addresses makes it a peer of the configuration: kept for good.
    world.command(a, |node, now| node.add_candidates(now, id, &at)).unwrap();
    world.run_for(SECOND * 200);
    world.tap();
    world.run_for(SECOND * 300);
    let from = world.addresses(a).to_vec();
    let call = |flight: &&Flight| from.contains(&flight.from) && at.contains(&flight.to);
    assert!(world.tapped().iter().filter(call).count() > 0);
}
