//! Handshakes whose headers somebody on the path changes: a forgery has no more effect than a lost datagram.

use std::collections::BTreeMap;
use std::time::Duration;

use dddns::sim::adversary::Interference;
use dddns::sim::world::{Flight, World};
use dddns::wire::address::Address;
use dddns::wire::id::PublicKey;
use dddns::wire::initiation::Initiation;
use dddns::wire::kind::Kind;
use dddns::wire::response::Response;
use ring::{digest, hmac};

use crate::cluster::{TODAY, away, config, formed, found, home, join, kind, place, seed_range};

/// mac1 as anybody can make it who knows the receiver's public key. Spec: `spec/cryptography.md` section 5.
fn set_mac1(datagram: &mut [u8], at: usize, receiver: &PublicKey) {
    let key = digest::digest(&digest::SHA256, &[b"dddns/1 mac1".as_slice(), &receiver.0].concat());
    let mac1 = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()), &datagram[..at]);
    datagram[at..at + 16].copy_from_slice(&mac1.as_ref()[..16]);
}

/// Sends a forgery ahead of every handshake datagram: the index at offset 4 changed, mac1 right.
fn forge_indices(world: &mut World, hosts: usize) {
    let keys: BTreeMap<Address, PublicKey> =
        (0..hosts).map(|host| (world.addresses(host)[0], world.identity(host).public_key())).collect();
    world.set_adversary(Some(Box::new(move |_, flight| {
        let covered = match kind(flight) {
            Kind::INITIATION => Initiation::BEFORE_MAC1,
            Kind::RESPONSE => Response::BEFORE_MAC1,
            _ => return Interference::default(),
        };
        let mut forged = flight.clone();
        forged.datagram[7] ^= 1;
        set_mac1(&mut forged.datagram, covered, &keys[&flight.to]);
        Interference { drop: false, sends: vec![(Duration::ZERO, forged)] }
    })));
}

/// The index at offset 4 of all datagrams of a type: of whoever sent the initiation.
fn indices(flights: &[Flight], of: Kind) -> Vec<[u8; 4]> {
    flights
        .iter()
        .filter(|flight| kind(flight) == of)
        .map(|flight| flight.datagram[4..8].try_into().expect("4 bytes"))
        .collect()
}

/// What holds after handshakes between both hosts, begun by the second.
fn nothing_was_gained(world: &mut World) {
    assert_eq!(world.count(0, "mac1") + world.count(1, "mac1"), 0, "the forgeries have a right mac1");
    assert!(world.count(0, "handshake") > 0, "a forged initiation does not decrypt");
    assert!(world.count(1, "unknown-index") > 0, "a forged response meets no attempt");
    let tapped = world.tapped();
    let (asked, answered) = (indices(&tapped, Kind::INITIATION), indices(&tapped, Kind::RESPONSE));
    assert!(!answered.is_empty() && answered.iter().all(|index| asked.contains(index)), "{answered:x?}");
}

#[test]
fn a_joiner_joins_although_indices_are_forged() {
    let mut world = World::new(1);
    found(&mut world, TODAY);
    world.add_host(config(2), &[home(2)], TODAY);
    forge_indices(&mut world, 2);
    world.tap();
    join(&mut world, 0, 1);
    assert!(world.run_until(Duration::from_secs(2), World::whole).is_some());
    nothing_was_gained(&mut world);
}

#[test]
fn members_find_each_other_although_indices_are_forged() {
    let mut world = formed(2, 2);
    world.kill(1);
    forge_indices(&mut world, 2);
    world.tap();
    world.start(1);
    assert!(world.run_until(Duration::from_secs(2), |world| world.knows(0, 1) && world.knows(1, 0)).is_some());
    nothing_was_gained(&mut world);
}

/// Answers each initiation of host 1 with eight recorded ones of it, which arrive right behind it.
fn replay_behind(world: &mut World, recorded: Vec<Flight>, from: impl Fn(u8) -> Address + 'static) {
    let mut next = 0;
    world.set_adversary(Some(Box::new(move |_, flight| {
        if kind(flight) != Kind::INITIATION || flight.from != away(2) {
            return Interference::default();
        }
        let latency = Duration::from_millis(21);
        let sends = (0..8).map(|n| {
            next = (next + 1) % recorded.len();
            let at = latency + Duration::from_micros(n.into());
            (at, Flight { from: from(n), to: flight.to, ..recorded[next].clone() })
        });
        Interference { drop: false, sends: sends.collect() }
    })));
}

#[test]
fn who_replays_the_handshakes_of_a_node_does_not_delay_it() {
    for seed in seed_range(10) {
        let mut world = formed(seed, 2);
        let mut recorded = Vec::new();
        for _ in 0..10 {
            world.tap();
            world.kill(1);
            world.start(1);
            world.run_for(Duration::from_secs(60));
            let own = |flight: &Flight| kind(flight) == Kind::INITIATION && flight.from == home(2);
            recorded.extend(world.tapped().into_iter().filter(own));
        }
        assert!(recorded.len() >= 8, "seed {seed}: {} to replay", recorded.len());
        // From one place: no delay. From many places that are not the attacker's: a cookie is asked for.
        for (spoofs, bound) in [(false, Duration::from_millis(600)), (true, Duration::from_millis(2500))] {
            world.kill(1);
            world.run_for(Duration::from_secs(60));
            world.move_to(1, &[away(2)]);
            replay_behind(&mut world, recorded.clone(), move |n| {
                place([203, 0, 113, if spoofs { 10 + n } else { 66 }])
            });
            world.start(1);
            let time = world.run_until(Duration::from_secs(60), World::whole);
            let time = time.unwrap_or_else(|| panic!("seed {seed}, spoofs {spoofs}: kept out"));
            assert!(time <= bound, "seed {seed}, spoofs {spoofs}: {time:?}");
        }
    }
}
