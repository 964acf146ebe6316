//! Losing and finding, property by property: what ends an absence, how soon a move is known, and who waits for whom.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use dddns::node::event::Event;
use dddns::node::status::PeerState;
use dddns::sim::adversary::Interference;
use dddns::sim::world::World;
use dddns::wire::address::Address;
use dddns::wire::kind::Kind;

use crate::cluster::{away, formed, happened, home, kind, place, seed_range};

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Spec: STATE-1.
#[test]
fn p17_any_valid_datagram_ends_suspicion() {
    for of in [Kind::HEARTBEAT, Kind::HEARTBEAT_ACK, Kind::LOCATE, Kind::PATH_RESPONSE] {
        let mut heard = 0;
        for seed in seed_range(10) {
            let mut world = formed(seed, 3);
            let cut = Rc::new(RefCell::new(true));
            let open = Rc::clone(&cut);
            // Nothing comes from host 1 but, once it is suspected, datagrams of one type.
            world.set_adversary(Some(Box::new(move |_, flight| {
                let passes = flight.from != home(2) || (!*open.borrow() && kind(flight) == of);
                Interference { drop: !passes, sends: Vec::new() }
            })));
            let suspected = |world: &World| world.peer(0, 1).unwrap().state == PeerState::Suspect;
            assert!(world.run_until(seconds(20), suspected).is_some(), "seed {seed}");
            cut.replace(false);
            world.tap();
            // It sends heartbeats, answers those of the one that suspects it, and looks for it: one is enough.
            let back = |world: &World| world.peer(0, 1).unwrap().state == PeerState::Up;
            let ended = world.run_until(seconds(25), back).is_some();
            let sent = world.tapped().iter().any(|f| f.from == home(2) && f.to == home(1) && kind(f) == of);
            assert_eq!(ended, sent, "seed {seed}: {of}");
            heard += u64::from(ended);
        }
        assert!(heard > 0, "no {of} was ever sent");
    }
}

#[test]
fn p18_all_publish_the_address_of_one_mover_within_an_interval() {
    let mut times: Vec<Duration> = Vec::new();
    for nodes in [3, 10] {
        for seed in seed_range(50) {
            let mut world = formed(seed, nodes);
            world.run_for(millis(seed * 137));
            world.move_to(1, &[away(2)]);
            let all = |world: &World| (0..usize::from(nodes)).all(|host| host == 1 || world.knows(host, 1));
            let time = world.run_until(seconds(60), all).unwrap_or_else(|| panic!("seed {seed}: not known"));
            assert!(time <= seconds(11), "seed {seed}, {nodes} nodes: {time:?}");
            times.push(time);
        }
    }
    times.sort();
    let median = times[times.len() / 2];
    println!("one mover: median {median:?}, most {:?}", times[times.len() - 1]);
    assert!(median <= seconds(3) + millis(40), "{median:?}");
}

#[test]
fn p19_two_movers_meet_through_a_third_within_an_interval_or_two_where_much_is_lost() {
    for nodes in [3, 10] {
        let (mut late, mut runs) = (0, 0);
        for seed in seed_range(50) {
            for (loss, bound) in [(0, seconds(10)), (300, seconds(20))] {
                let mut world = formed(seed, nodes);
                world.network.conditions.loss_per_mille = loss;
                world.run_for(millis(seed * 137));
                world.move_to(1, &[away(2)]);
                world.move_to(2, &[away(3)]);
                let met = |world: &World| world.knows(1, 2) && world.knows(2, 1);
                let time = world.run_until(seconds(120), met).unwrap_or_else(|| panic!("seed {seed}: never"));
                assert!(time <= bound || loss > 0, "seed {seed}, {nodes} nodes: {time:?}");
                (late, runs) = (late + u64::from(time > bound), runs + u64::from(loss > 0));
            }
        }
        assert!(late * 20 <= runs, "{late} of {runs} took longer than two intervals");
    }
}

#[test]
fn p21_a_slow_peer_and_a_dead_one_delay_nobody() {
    let healed = |beside: bool| -> Vec<Duration> {
        let times = seed_range(20).map(|seed| {
            // Four that are well, alone or beside two others.
            let mut world = formed(seed, if beside { 6 } else { 4 });
            if beside {
                // Host 5 is dead, and host 4 answers a second and a half late.
                world.kill(5);
                world.set_adversary(Some(Box::new(|_, flight| {
                    let held = flight.from == home(5);
                    let sends = if held { vec![(millis(1520), flight.clone())] } else { Vec::new() };
                    Interference { drop: held, sends }
                })));
                world.run_for(seconds(60));
            }
            world.run_for(millis(seed * 137));
            world.move_to(1, &[away(2)]);
            let healthy = [0, 1, 2, 3];
            let all = |world: &World| healthy.iter().all(|&a| healthy.iter().all(|&b| a == b || world.knows(a, b)));
            world.run_until(seconds(30), all).unwrap_or_else(|| panic!("seed {seed}: not healed"))
        });
        let mut times: Vec<Duration> = times.collect();
        times.sort();
        times
    };
    let (alone, beside) = (healed(false), healed(true));
    let (last, middle) = (alone.len() - 1, alone.len() / 2);
    println!("median {:?} and {:?}, most {:?} and {:?}", alone[middle], beside[middle], alone[last], beside[last]);
    assert!(beside[middle] <= alone[middle] + millis(1000), "{beside:?}");
    assert!(beside[beside.len() * 19 / 20] <= seconds(4), "{beside:?}");
    // It may have been the turn of the dead one, or of the slow one, to be asked: one `EXCHANGE`.
    assert!(beside[last] <= alone[last] + seconds(2), "{beside:?}");
}

#[test]
fn p23_both_sides_of_a_meeting_probe_within_200_ms() {
    for seed in seed_range(50) {
        let mut world = formed(seed, 3);
        // Nobody has asked for anybody lately.
        world.run_for(seconds(60) + millis(seed * 137));
        // When each of the two first called the other where it is now.
        let calls: Rc<RefCell<BTreeMap<Address, Duration>>> = Rc::default();
        let seen = Rc::clone(&calls);
        world.set_adversary(Some(Box::new(move |now, flight| {
            let between = [(away(2), away(3)), (away(3), away(2))].contains(&(flight.from, flight.to));
            if between && kind(flight) != Kind::RESPONSE {
                seen.borrow_mut().entry(flight.from).or_insert(now);
            }
            // Both are behind translators: nothing passes before both have called.
            let drop = between && seen.borrow().len() < 2;
            Interference { drop, sends: Vec::new() }
        })));
        world.move_to(1, &[away(2)]);
        world.move_to(2, &[away(3)]);
        assert!(world.run_until(seconds(20), World::whole).is_some(), "seed {seed}");
        let calls = calls.borrow();
        let (first, second) = (calls[&away(2)], calls[&away(3)]);
        assert!(first.abs_diff(second) <= millis(200), "seed {seed}: {first:?} and {second:?}");
    }
}

#[test]
fn the_last_eight_addresses_of_a_peer_are_kept_and_survive_a_restart() {
    for seed in seed_range(10) {
        let mut world = formed(seed, 2);
        let past = |n: u8| place([198, 51, 100, 100 + n]);
        for n in 1..=10 {
            world.move_to(1, &[past(n)]);
            assert!(world.run_until(seconds(10), World::whole).is_some(), "seed {seed}");
            world.run_for(seconds(5));
        }
        let id = world.id(1);
        let kept: Vec<Address> =
            world.disk(0).addresses.iter().filter(|saved| saved.id == id).map(|saved| saved.address).collect();
        assert_eq!(kept, (3..=10).rev().map(past).collect::<Vec<_>>(), "seed {seed}: newest first");
        // Both are off, and the one comes back where it was seven moves ago; nobody else can tell the other.
        world.kill(1);
        world.kill(0);
        world.move_to(1, &[past(3)]);
        world.move_to(0, &[away(1)]);
        world.run_for(seconds(3600));
        world.start(1);
        world.start(0);
        assert!(world.run_until(seconds(5), World::whole).is_some(), "seed {seed}: not looked for where it was");
        // One more back, and it is an address that is not kept any more: the other has to be called.
        let orphaned = happened(&world, 0, |event| *event == Event::Orphan);
        world.kill(1);
        world.move_to(1, &[past(2)]);
        world.run_for(seconds(300));
        assert_eq!(happened(&world, 0, |event| *event == Event::Orphan), orphaned + 1, "seed {seed}");
        world.start(1);
        assert!(world.run_until(seconds(5), World::whole).is_some(), "seed {seed}");
        assert!(!world.status(0).orphan && !world.status(1).orphan, "seed {seed}");
    }
}
