//! Whoever sits on the network and has no key: what it sends changes nothing.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use dddns::config::{Cluster, ClusterKey};
use dddns::node::event::Event;
use dddns::sim::adversary::{Adversary, Interference};
use dddns::sim::dice::Dice;
use dddns::sim::world::{Flight, World};
use dddns::wire::address::Address;
use dddns::wire::id::ClusterId;
use dddns::wire::kind::Kind;

use crate::cluster::{TODAY, away, config, formed, found, happened, home, join, kind, knock, place, seed_range};

const EVIL: [u8; 4] = [203, 0, 113, 66];
const SEEDS: u64 = 5;

/// Three nodes join, one moves, one restarts, one leaves and comes back. Gives every datagram that the nodes sent.
fn story(seed: u64, adversary: Option<Adversary>) -> (Vec<Flight>, World) {
    let mut world = World::new(seed);
    world.network.conditions.jitter = Duration::from_millis(10);
    world.tap();
    world.set_adversary(adversary);
    found(&mut world, TODAY);
    for n in 2..=3 {
        let host = world.add_host(config(n), &[home(n)], TODAY);
        join(&mut world, 0, host);
    }
    world.run_for(Duration::from_secs(40));
    world.move_to(1, &[away(2)]);
    world.run_for(Duration::from_secs(20));
    world.kill(2);
    world.run_for(Duration::from_secs(40));
    world.start(2);
    world.run_for(Duration::from_secs(10));
    world.stop(0);
    world.run_for(Duration::from_secs(5));
    world.start(0);
    world.run_for(Duration::from_secs(20));
    assert!(world.whole(), "seed {seed}");
    (world.tapped(), world)
}

/// Whatever this adversary sends, the nodes send what they would have sent without it, byte for byte.
fn changes_nothing(make: impl Fn(u64) -> Adversary, discarded_as: &[&str]) {
    for seed in seed_range(SEEDS) {
        let (alone, _) = story(seed, None);
        let (disturbed, world) = story(seed, Some(make(seed)));
        let first = alone.iter().zip(&disturbed).position(|(a, b)| a != b);
        assert_eq!((first, alone.len()), (None, disturbed.len()), "seed {seed}: the nodes noticed");
        for name in discarded_as {
            assert!((0..3).any(|host| world.count(host, name) > 0), "seed {seed}: nothing was discarded as {name}");
        }
    }
}

fn sends(sends: Vec<(Duration, Flight)>) -> Interference {
    Interference { drop: false, sends }
}

fn soon() -> Duration {
    Duration::from_millis(1)
}

#[test]
fn answers_held_back_for_half_a_minute_do_not_make_a_node_patient() {
    for seed in seed_range(SEEDS) {
        let mut world = formed(seed, 3);
        let release = world.now() + Duration::from_secs(25);
        // As when a machine is suspended, or somebody on the path keeps what it sends.
        world.set_adversary(Some(Box::new(move |now, flight| {
            let held = flight.from == home(2) && flight.to == home(1) && now < release;
            let sends = if held { vec![(release - now, flight.clone())] } else { Vec::new() };
            Interference { drop: held, sends }
        })));
        world.run_for(Duration::from_secs(35));
        assert!(world.knows(0, 1), "seed {seed}");
        world.kill(1);
        let killed = world.now();
        world.run_for(Duration::from_secs(60));
        let suspected = world.events(0).iter().find(|(at, event)| {
            *at >= killed && matches!(event, Event::PeerSuspect { peer } if peer.id == world.id(1))
        });
        let after = suspected.map(|(at, _)| *at - killed);
        // With two others who are heartbeated in turn an attempt is soon made, and two are enough.
        assert!(after.is_some_and(|after| after < Duration::from_secs(9)), "seed {seed}: {after:?}");
    }
}

#[test]
fn one_seed_makes_one_run() {
    let (first, _) = story(7, None);
    let (second, _) = story(7, None);
    assert!(first == second && first.len() > 100);
    let (other, _) = story(8, None);
    assert!(first != other);
}

#[test]
fn damaged_datagrams_are_noticed_by_nobody() {
    let damage = |seed| -> Adversary {
        let mut dice = Dice::new(seed);
        Box::new(move |_, flight| {
            // Outside load nobody looks at mac2, the last 16 bytes of an initiation.
            let judged = flight.datagram.len() - if kind(flight) == Kind::INITIATION { 16 } else { 0 };
            let mut copies = Vec::new();
            for _ in 0..8 {
                let mut copy = flight.clone();
                let byte = usize::try_from(dice.below(judged as u64)).unwrap();
                copy.datagram[byte] ^= 1 << dice.below(8);
                copies.push((soon(), copy));
            }
            let mut shorter = flight.clone();
            shorter.datagram.truncate(usize::try_from(dice.below(flight.datagram.len() as u64)).unwrap());
            copies.push((soon(), shorter));
            let mut longer = flight.clone();
            longer.datagram.resize(longer.datagram.len() + 1 + usize::try_from(dice.below(1300)).unwrap(), 0);
            copies.push((soon(), longer));
            sends(copies)
        })
    };
    changes_nothing(damage, &["bad-tag", "mac1", "unknown-index"]);
}

#[test]
fn noise_is_noticed_by_nobody() {
    let noise = |seed| -> Adversary {
        let mut dice = Dice::new(seed);
        Box::new(move |_, flight| {
            let mut garbage = Vec::new();
            for n in 0..20_u64 {
                let mut datagram: Vec<u8> = (0..dice.below(1300)).map(|_| dice.roll().to_le_bytes()[0]).collect();
                if n % 2 == 0 {
                    // As like a real one as can be without a key.
                    datagram = flight.datagram.clone();
                    datagram.iter_mut().skip(8).for_each(|byte| *byte = dice.roll().to_le_bytes()[0]);
                }
                garbage.push((soon(), Flight { from: place(EVIL), to: flight.to, datagram }));
            }
            sends(garbage)
        })
    };
    changes_nothing(noise, &["bad-magic", "bad-tag"]);
}

#[test]
fn what_a_node_sent_is_nothing_to_itself() {
    let reflect = |_| -> Adversary {
        Box::new(|_, flight| {
            let back = Flight { from: flight.to, to: flight.from, datagram: flight.datagram.clone() };
            sends(vec![(soon(), back)])
        })
    };
    changes_nothing(reflect, &["unknown-index", "mac1"]);
}

#[test]
fn a_tagged_datagram_means_something_once_and_in_its_place_only() {
    let splice = |_| -> Adversary {
        let mut indices: Vec<[u8; 4]> = Vec::new();
        Box::new(move |_, flight| {
            if kind(flight) < Kind::HEARTBEAT {
                return Interference::default();
            }
            let own: [u8; 4] = flight.datagram[4..8].try_into().unwrap();
            if !indices.contains(&own) {
                indices.push(own);
            }
            let mut copies = Vec::new();
            for index in indices.iter().filter(|index| **index != own) {
                let mut copy = flight.clone();
                copy.datagram[4..8].copy_from_slice(index);
                copies.push((soon(), copy));
            }
            for other in [Kind::HEARTBEAT, Kind::HEARTBEAT_ACK, Kind::PATH_CHALLENGE, Kind::PATH_RESPONSE, Kind::LEAVE]
            {
                if other != kind(flight) {
                    let mut copy = flight.clone();
                    copy.datagram[1] = other.0;
                    copies.push((soon(), copy));
                }
            }
            sends(copies)
        })
    };
    changes_nothing(splice, &["bad-tag"]);
}

#[test]
fn replayed_datagrams_of_a_session_are_noticed_by_nobody() {
    let replay = |_| -> Adversary {
        let mut past: Vec<Flight> = Vec::new();
        let mut n = 0_usize;
        Box::new(move |_, flight| {
            if kind(flight) < Kind::HEARTBEAT {
                return Interference::default();
            }
            past.push(flight.clone());
            n += 1;
            let mut copies = Vec::new();
            // Behind the original at once, and later; from where it came and from elsewhere.
            for (delay, old) in [(31, n - 1), (60, n / 2), (60, n / 3), (60, n.saturating_sub(20))] {
                for from in [past[old].from, place(EVIL)] {
                    copies.push((Duration::from_millis(delay), Flight { from, ..past[old].clone() }));
                }
            }
            sends(copies)
        })
    };
    changes_nothing(replay, &["replay", "unknown-index"]);
}

#[test]
fn all_that_was_ever_sent_may_come_again_to_nodes_that_restarted() {
    for seed in seed_range(SEEDS) {
        let (recorded, mut world) = story(seed, None);
        for host in 0..3 {
            world.kill(host);
        }
        world.run_for(Duration::from_secs(10));
        for host in 0..3 {
            world.start(host);
        }
        assert!(world.run_until(Duration::from_secs(20), World::whole).is_some(), "seed {seed}");
        world.run_for(Duration::from_secs(30));
        let before: Vec<(usize, usize)> =
            (0..3).map(|host| (changes(&world, host), world.status(host).peers.len())).collect();
        let _ = world.tapped();
        let mut given = 0;
        for old in &recorded {
            for from in [old.from, place(EVIL)] {
                if world.addresses(0).contains(&old.to) {
                    given += if from == place(EVIL) { old.datagram.len() } else { 0 };
                    world.inject(Flight { from, ..old.clone() });
                }
            }
            world.run_for(Duration::from_millis(20));
        }
        world.run_for(Duration::from_secs(30));
        let got: Vec<Flight> = world.tapped().into_iter().filter(|flight| flight.to == place(EVIL)).collect();
        assert!(got.iter().all(|flight| matches!(kind(flight), Kind::RESPONSE | Kind::COOKIE_REPLY)), "seed {seed}");
        assert!(got.iter().map(|flight| flight.datagram.len()).sum::<usize>() <= given, "seed {seed}");
        let after: Vec<(usize, usize)> =
            (0..3).map(|host| (changes(&world, host), world.status(host).peers.len())).collect();
        assert!(world.whole() && before == after, "seed {seed}: {before:?} {after:?}");
    }
}

/// How many events a host has seen: a quiet cluster has none.
fn changes(world: &World, host: usize) -> usize {
    happened(world, host, |_| true)
}

#[test]
fn a_flood_of_handshakes_keeps_nobody_out() {
    let mut world = formed(21, 3);
    let datagram = knock(&world);
    world.tap();
    world.kill(1);
    for n in 0..4000_u32 {
        if n == 1000 {
            world.start(1);
        }
        let [_, _, a, b] = n.to_be_bytes();
        world.inject(Flight { from: place([203, 0, a, b | 1]), to: home(1), datagram: datagram.clone() });
        world.run_for(Duration::from_millis(2));
        if n == 3500 {
            assert!(world.knows(0, 1) && world.knows(1, 0), "honest peers return a cookie");
        }
    }
    let to_strangers: Vec<Flight> =
        world.tapped().into_iter().filter(|f| matches!(f.to.ip(), IpAddr::V4(ip) if ip.octets()[0] == 203)).collect();
    assert!(to_strangers.iter().all(|flight| kind(flight) == Kind::COOKIE_REPLY));
    assert!(to_strangers.len() > 3000, "{}", to_strangers.len());
    assert!(world.count(0, "cookies") > 3000);
    let newcomer = world.add_host(config(4), &[home(4)], TODAY);
    join(&mut world, 0, newcomer);
    assert!(world.run_until(Duration::from_secs(20), World::whole).is_some());
}

#[test]
fn strangers_without_the_public_key_hear_nothing() {
    let mut world = formed(22, 2);
    let mut datagram = knock(&world);
    datagram[180] ^= 1;
    let before = changes(&world, 0);
    world.tap();
    for n in 0..10_000_u32 {
        let [_, _, a, b] = n.to_be_bytes();
        world.inject(Flight { from: place([203, 0, a, b | 1]), to: home(1), datagram: datagram.clone() });
    }
    world.run_for(Duration::from_secs(30));
    assert_eq!(world.count(0, "mac1"), 10_000);
    assert!(world.tapped().iter().all(|flight| [home(1), home(2)].contains(&flight.to)));
    assert_eq!(changes(&world, 0), before);
}

/// Copies every datagram that host 1 sends and is faster with the copy. Where it also forwards what comes back, it
/// forwards as fast.
fn racer(victim: Address, until: Duration, forwards: bool, seen: Rc<RefCell<(usize, usize)>>) -> Adversary {
    Box::new(move |now, flight| {
        if now >= until {
            return Interference::default();
        }
        let ahead = Duration::from_millis(15);
        if flight.from == victim {
            seen.borrow_mut().0 += flight.datagram.len();
            return sends(vec![(ahead, Flight { from: place(EVIL), ..flight.clone() })]);
        }
        if flight.to == place(EVIL) {
            seen.borrow_mut().1 += flight.datagram.len();
            if forwards {
                return sends(vec![(ahead, Flight { to: victim, ..flight.clone() })]);
            }
        }
        Interference::default()
    })
}

#[test]
fn h04_whoever_copies_and_is_faster_is_never_believed() {
    for seed in seed_range(50) {
        for forwards in [false, true] {
            let mut world = formed(seed, 3);
            let end = world.now() + Duration::from_secs(300);
            let seen = Rc::new(RefCell::new((0, 0)));
            let moves: Vec<usize> = (0..3).map(|host| moved(&world, host)).collect();
            world.set_adversary(Some(racer(home(2), end, forwards, Rc::clone(&seen))));
            world.run_for(Duration::from_secs(300));
            let what = format!("seed {seed}, forwards {forwards}");
            for host in [0, 2] {
                assert_eq!(moved(&world, host), moves[host], "{what}: host {host} published a forged address");
                assert!(world.knows(host, 1), "{what}: host {host} lost it");
                assert!(world.count(host, "path-conflicts") > 3, "{what}: nobody noticed");
                let suspected = happened(&world, host, |event| matches!(event, Event::PeerSuspect { .. }));
                assert_eq!(suspected, 0, "{what}: host {host} suspected somebody");
            }
            let (given, got) = *seen.borrow();
            assert!(got <= given, "{what}: {got} bytes for {given}");
            world.run_for(Duration::from_secs(5));
            assert!(world.whole(), "{what}: not whole after the end");
        }
    }
}

fn moved(world: &World, host: usize) -> usize {
    happened(world, host, |event| matches!(event, Event::PeerMoved { .. }))
}

#[test]
fn what_was_held_back_and_comes_from_elsewhere_moves_nobody() {
    for seed in seed_range(SEEDS) {
        let mut world = formed(seed, 3);
        let mut n = 0;
        world.set_adversary(Some(Box::new(move |_, flight| {
            n += u32::from(flight.from == home(2) && kind(flight) >= Kind::HEARTBEAT);
            if flight.from != home(2) || n % 5 != 0 {
                return Interference::default();
            }
            // Genuine, never seen before, and older than what has come since.
            let late = (Duration::from_secs(8), Flight { from: place(EVIL), ..flight.clone() });
            Interference { drop: true, sends: vec![late] }
        })));
        world.tap();
        world.run_for(Duration::from_secs(300));
        assert!(world.tapped().iter().all(|flight| flight.to != place(EVIL)), "seed {seed}: it was asked");
        assert!(world.knows(0, 1) && world.knows(2, 1), "seed {seed}");
    }
}

#[test]
fn whoever_answers_handshakes_from_elsewhere_keeps_nobody_apart() {
    // Copies every Response and sends it on ahead from its own address: at the first contact there is no old path.
    for seed in seed_range(10) {
        let mut world = World::new(seed);
        world.set_adversary(Some(Box::new(|_, flight| {
            let fast = kind(flight) == Kind::RESPONSE;
            let copy = || (Duration::from_millis(5), Flight { from: place(EVIL), ..flight.clone() });
            sends(fast.then(copy).into_iter().collect())
        })));
        found(&mut world, TODAY);
        for n in 2..=3 {
            let host = world.add_host(config(n), &[home(n)], TODAY);
            join(&mut world, 0, host);
        }
        assert!(world.run_until(Duration::from_secs(15), World::whole).is_some(), "seed {seed}");
    }
}

#[test]
fn a_stranger_at_an_old_address_gets_little_and_counts_for_nothing() {
    for seed in seed_range(10) {
        let mut world = formed(seed, 3);
        world.move_to(1, &[away(2)]);
        let mut other = config(9);
        other.cluster = Some(Cluster { id: ClusterId([3; 16]), key: ClusterKey([4; 32]) });
        let stranger = world.add_host(other, &[home(2)], TODAY);
        world.start(stranger);
        world.tap();
        world.run_for(Duration::from_secs(600));
        let to_stranger: Vec<Flight> = world.tapped().into_iter().filter(|flight| flight.to == home(2)).collect();
        assert!(to_stranger.len() < 60, "seed {seed}: {} datagrams", to_stranger.len());
        assert_eq!(world.traffic(stranger).datagrams_out, 0, "seed {seed}: it has nobody to answer");
        assert!(world.status(stranger).peers.is_empty() && world.status(stranger).addresses.is_empty());
        for host in 0..3 {
            assert!((0..3).filter(|&other| other != host).all(|other| world.knows(host, other)), "seed {seed}");
        }
    }
}
