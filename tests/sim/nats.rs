//! A zoo of translators (H6): who meets without a relay, and who cannot.

use std::net::Ipv4Addr;
use std::time::Duration;

use dddns::node::event::Event;
use dddns::sim::nat::{Behaviour, Dependence};
use dddns::sim::places::NatId;
use dddns::sim::world::{HostId, World};
use dddns::wire::address::Address;

use crate::cluster::{TODAY, config, found, happened, invite, join_with, place, seed_range};

const MINUTE: Duration = Duration::from_secs(60);

/// Lets in whoever is at an address that was sent to, once called "restricted cone".
const RESTRICTED: Behaviour = Behaviour { filtering: Dependence::Ip, ..Behaviour::HOME };
/// A mapping of its own for each address, and nobody else is let in.
const PER_ADDRESS: Behaviour = Behaviour { mapping: Dependence::Ip, ..Behaviour::SYMMETRIC };
const REWRITING: Behaviour = Behaviour { rewrites: true, ..Behaviour::HOME };
const IMPATIENT: Behaviour = Behaviour { timeout: Duration::from_secs(30), ..Behaviour::HOME };

fn inside(n: u8) -> Address {
    place([192, 168, 1, n])
}

fn outside(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(203, 0, 113, n)
}

/// A host behind a translator that joins through the first host, which everybody can call.
fn joined_behind(world: &mut World, nat: NatId, n: u8) -> HostId {
    let host = world.add_host(config(n), &[inside(n)], TODAY);
    world.move_behind(host, Some(nat), &[inside(n)]);
    let token = invite(world, 0, Duration::from_secs(86_400));
    join_with(world, host, &token);
    host
}

/// A host in the open, and one behind a translator of each kind.
fn zoo(seed: u64, kinds: &[Behaviour]) -> (World, Vec<NatId>) {
    let mut world = World::new(seed);
    found(&mut world, TODAY);
    let mut nats = Vec::new();
    for (n, &behaviour) in (2..).zip(kinds) {
        let nat = world.add_nat(behaviour, outside(n), None);
        joined_behind(&mut world, nat, n);
        nats.push(nat);
    }
    (world, nats)
}

#[test]
fn h06_who_meets_behind_translators_and_who_cannot() {
    let kinds = [
        ("open", Behaviour::OPEN),
        ("restricted", RESTRICTED),
        ("home", Behaviour::HOME),
        ("rewriting", REWRITING),
        ("per address", PER_ADDRESS),
        ("symmetric", Behaviour::SYMMETRIC),
    ];
    for (n, (first, a)) in kinds.into_iter().enumerate() {
        for (second, b) in kinds.into_iter().skip(n) {
            // A port that differs by destination cannot be told to anybody: one end must let in whoever comes from the
            // address that it knows.
            let differs = |kind: Behaviour| kind.mapping != Dependence::Nothing;
            let strict = |kind: Behaviour| kind.filtering == Dependence::Endpoint;
            let meet = !(differs(a) && strict(b) || differs(b) && strict(a));
            for seed in seed_range(3) {
                let what = format!("{first} and {second}, seed {seed}");
                let (mut world, _) = zoo(seed, &[a, b]);
                let met = world.run_until(2 * MINUTE, World::whole);
                assert_eq!(met.is_some(), meet, "{what}");
                assert!(!meet || met <= Some(Duration::from_secs(15)), "{what}: {met:?}");
                world.run_for(5 * MINUTE);
                assert!([1, 2].iter().all(|&n| world.knows(0, n) && world.knows(n, 0)), "{what}: the open one is lost");
                assert_eq!(world.whole(), meet, "{what}: did not last");
            }
        }
    }
}

#[test]
fn h06_a_mapping_is_kept_by_heartbeats_and_a_new_one_is_followed() {
    for seed in seed_range(50) {
        let (mut world, nats) = zoo(seed, &[IMPATIENT, Behaviour::HOME, Behaviour::OPEN]);
        assert!(world.run_until(MINUTE, World::whole).is_some(), "seed {seed}");
        world.run_for(MINUTE);
        let suspected = |world: &World| -> usize {
            (0..4).map(|host| happened(world, host, |e| matches!(e, Event::PeerSuspect { .. }))).sum()
        };
        let before = suspected(&world);
        world.run_for(10 * MINUTE);
        assert_eq!(suspected(&world), before, "seed {seed}: a mapping ended while it was in use");
        // A router restarts; another one gets a new address.
        world.nat(nats[0]).reboot();
        assert!(world.run_until(Duration::from_secs(10), World::whole).is_some(), "seed {seed}: other ports");
        world.run_for(MINUTE);
        world.move_nat(nats[1], outside(99));
        assert!(world.run_until(Duration::from_secs(10), World::whole).is_some(), "seed {seed}: another address");
        world.run_for(MINUTE);
        assert!(world.whole(), "seed {seed}: did not last");
    }
}

#[test]
fn h06_a_carrier_in_front_of_a_home_router_makes_no_difference() {
    for seed in seed_range(20) {
        let mut world = World::new(seed);
        found(&mut world, TODAY);
        let carrier = world.add_nat(Behaviour::HOME, outside(1), None);
        for n in [2, 3] {
            let router = world.add_nat(Behaviour::HOME, Ipv4Addr::new(100, 64, 0, n), Some(carrier));
            joined_behind(&mut world, router, n);
        }
        let other = world.add_nat(Behaviour::HOME, outside(4), None);
        joined_behind(&mut world, other, 4);
        // Two of them reach each other by the carrier's hairpin.
        assert!(world.run_until(MINUTE, World::whole).is_some(), "seed {seed}");
        world.run_for(5 * MINUTE);
        assert!(world.whole(), "seed {seed}: did not last");
    }
}

#[test]
fn h06_two_behind_one_router_meet_where_it_has_a_hairpin() {
    for seed in seed_range(20) {
        for hairpin in [true, false] {
            let mut world = World::new(seed);
            found(&mut world, TODAY);
            let nat = world.add_nat(Behaviour { hairpin, ..Behaviour::HOME }, outside(2), None);
            let hosts = [2, 3].map(|n| joined_behind(&mut world, nat, n));
            world.run_for(2 * MINUTE);
            assert_eq!(world.whole(), hairpin, "seed {seed}");
            assert!(hosts.iter().all(|&host| world.knows(0, host) && world.knows(host, 0)), "seed {seed}");
        }
    }
}

#[test]
fn h06_what_nodes_say_of_addresses_passes_a_rewriting_gateway_unread() {
    for seed in seed_range(20) {
        let mut world = World::new(seed);
        found(&mut world, TODAY);
        let nat = world.add_nat(REWRITING, outside(2), None);
        joined_behind(&mut world, nat, 2);
        assert!(world.run_until(MINUTE, World::whole).is_some(), "seed {seed}");
        world.run_for(30 * MINUTE);
        assert!(world.whole(), "seed {seed}");
        // Only an accident of four bytes could look like the address.
        assert_eq!(world.nat(nat).rewritten(), 0, "seed {seed}");
        assert!(world.status(1).addresses[0].address.ip() == std::net::IpAddr::from(outside(2)), "seed {seed}");
    }
}
