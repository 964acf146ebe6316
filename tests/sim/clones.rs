//! Two machines with one identity: the first stays, nobody wavers, and both owners are told.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use dddns::node::event::Event;
use dddns::node::status::PeerState;
use dddns::sim::adversary::Interference;
use dddns::sim::world::{Flight, HostId, World};
use dddns::wire::address::Address;
use dddns::wire::kind::Kind;

use crate::cluster::{TODAY, away, formed, happened, home, kind, place, seed_range};

const MINUTE: Duration = Duration::from_secs(60);
const DECADE: Duration = Duration::from_secs(10 * 365 * 86_400);
/// Whom the clone is a clone of.
const LIVE: HostId = 1;

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn state(world: &World, host: HostId, other: HostId) -> PeerState {
    world.peer(host, other).unwrap().state
}

fn conflicts(world: &World, host: HostId) -> usize {
    happened(world, host, |event| matches!(event, Event::PeerConflict { .. }))
}

fn told(world: &World, host: HostId) -> usize {
    happened(world, host, |event| matches!(event, Event::NodeConflict { .. }))
}

/// How often a host published another address for the node that is there twice.
fn moves(world: &World, host: HostId) -> usize {
    let id = world.id(LIVE);
    happened(world, host, |event| matches!(event, Event::PeerMoved { peer, .. } if peer.id == id))
}

/// Where the n-th host goes when it moves.
fn other_place(host: HostId) -> Address {
    away(u8::try_from(host + 1).unwrap())
}

/// A cluster of four whose second node has a clone as old as the cluster, switched off, at a place of its own. Since it
/// was made all but the founder have moved.
fn with_clone(seed: u64) -> (World, HostId) {
    let mut world = formed(seed, 4);
    let clone = world.add_clone(LIVE, &[place([203, 0, 113, 66])], TODAY + DECADE);
    for host in 1..4 {
        world.move_to(host, &[other_place(host)]);
        assert!(
            world.run_until(seconds(30), |world| (0..4).all(|a| (0..4).all(|b| a == b || world.knows(a, b)))).is_some()
        );
    }
    world.run_for(Duration::from_millis(30_000 + seed * 333));
    (world, clone)
}

#[test]
fn h10_a_month_old_clone_never_displaces_the_live_node() {
    for seed in seed_range(50) {
        let (mut world, clone) = with_clone(seed);
        // In half of the runs a fifth of all datagrams is lost.
        let lossy = seed % 2 == 1;
        world.network.conditions.loss_per_mille = if lossy { 200 } else { 0 };
        let before: Vec<usize> = [0, 2, 3].iter().map(|&host| moves(&world, host)).collect();
        world.start(clone);
        for _ in 0..6000 {
            world.run_for(Duration::from_millis(100));
            for host in [0, 2, 3] {
                let found = world.peer(host, LIVE).unwrap();
                assert_eq!(found.address, Some(other_place(LIVE)), "seed {seed}: host {host} was misled");
                let steady = matches!(found.state, PeerState::Up | PeerState::Conflict);
                assert!(steady || lossy, "seed {seed}: host {host} says {:?}", found.state);
            }
            assert!((0..4).filter(|&host| host != LIVE).all(|host| state(&world, clone, host) != PeerState::Up));
        }
        let after: Vec<usize> = [0, 2, 3].iter().map(|&host| moves(&world, host)).collect();
        assert_eq!(before, after, "seed {seed}");
        // The clone knows the former place of the others: it reaches the founder, and who has that place now.
        assert!(conflicts(&world, 0) == 1 || lossy, "seed {seed}: {} conflicts", conflicts(&world, 0));
        assert!(state(&world, 0, LIVE) == PeerState::Conflict || lossy, "seed {seed}");
        assert!(state(&world, clone, 0) == PeerState::Conflict || lossy, "seed {seed}");
        assert!(told(&world, clone) >= 1, "seed {seed}: the clone's owner was not told");
        assert_eq!(told(&world, LIVE), 0, "seed {seed}");
        assert!(
            (0..4).all(|host| host == LIVE || world.knows(LIVE, host)) || lossy,
            "seed {seed}: the live one lost somebody"
        );
    }
}

/// Spec: STATE-12.
#[test]
fn a_clone_that_everybody_sees_at_once_is_refused_by_everybody_and_heard_of_once() {
    for seed in seed_range(20) {
        let mut world = formed(seed, 6);
        let clone = world.add_clone(LIVE, &[away(9)], TODAY);
        world.run_for(Duration::from_millis(seed * 777));
        world.start(clone);
        let since = world.now();
        world.run_for(20 * MINUTE);
        for host in [0, 2, 3, 4, 5] {
            assert!(world.knows(host, LIVE) && world.knows(LIVE, host), "seed {seed}, host {host}");
            let said = world.events(host).iter().filter(|(at, _)| *at >= since).count();
            assert_eq!((conflicts(&world, host), said), (1, 1), "seed {seed}, host {host}: it wavers");
            assert_eq!(state(&world, clone, host), PeerState::Conflict, "seed {seed}");
        }
        assert_eq!(told(&world, clone), 1, "seed {seed}");
        assert!(!world.status(clone).orphan, "seed {seed}: they answer");
        // A call to each every two minutes: few datagrams.
        let sent = world.traffic(clone).datagrams_out;
        assert!(sent < 5 * 15 * 10, "seed {seed}: {sent}");
    }
}

#[test]
fn a_conflict_ends_with_the_clone() {
    for seed in seed_range(20) {
        let mut world = formed(seed, 3);
        let clone = world.add_clone(LIVE, &[away(9)], TODAY);
        world.start(clone);
        world.run_for(5 * MINUTE);
        assert_eq!(state(&world, 0, LIVE), PeerState::Conflict, "seed {seed}");
        world.kill(clone);
        world.run_for(seconds(301));
        assert!((0..3).filter(|&host| host != LIVE).all(|host| state(&world, host, LIVE) == PeerState::Up));
        // What restarts now is welcome as ever.
        world.kill(LIVE);
        world.start(LIVE);
        assert!(
            world.run_until(seconds(3), |world| world.knows(0, LIVE) && world.knows(LIVE, 0)).is_some(),
            "seed {seed}"
        );
        world.run_for(MINUTE);
        assert_eq!(conflicts(&world, 0), 1, "seed {seed}");
    }
}

#[test]
fn the_clone_takes_over_when_the_live_node_is_gone() {
    for seed in seed_range(20) {
        let mut world = formed(seed, 3);
        let clone = world.add_clone(LIVE, &[away(9)], TODAY);
        world.start(clone);
        world.run_for(5 * MINUTE);
        world.kill(LIVE);
        assert!(
            world.run_until(4 * MINUTE, |world| world.knows(0, clone) && world.knows(clone, 0)).is_some(),
            "seed {seed}"
        );
        // A new run of the other machine comes second now.
        world.run_for(2 * MINUTE);
        world.start(LIVE);
        world.run_for(10 * MINUTE);
        for host in [0, 2] {
            assert!(world.knows(host, clone), "seed {seed}, host {host}");
            assert_eq!(state(&world, host, clone), PeerState::Conflict, "seed {seed}, host {host}");
        }
        assert!(told(&world, LIVE) >= 1 && told(&world, clone) >= 1, "seed {seed}");
    }
}

#[test]
fn a_live_node_that_was_cut_off_when_its_clone_came_is_taken_back() {
    for seed in seed_range(20) {
        let (mut world, clone) = with_clone(seed);
        // The clone is where the live one was before, which is where it is looked for.
        world.move_to(clone, &[home(2)]);
        for host in [0, 2, 3] {
            world.network.wall(other_place(LIVE).ip(), world.addresses(host)[0].ip());
        }
        world.start(clone);
        assert!(world.run_until(seconds(8), |world| world.knows(0, clone)).is_some(), "seed {seed}: it never came");
        world.network.clear_walls();
        let back = |world: &World| [0, 2, 3].iter().all(|&host| world.knows(host, LIVE) && world.knows(LIVE, host));
        assert!(world.run_until(seconds(40), back).is_some(), "seed {seed}: not taken back");
        let before: Vec<usize> = [0, 2, 3].iter().map(|&host| moves(&world, host)).collect();
        world.run_for(20 * MINUTE);
        assert!(back(&world), "seed {seed}");
        let after: Vec<usize> = [0, 2, 3].iter().map(|&host| moves(&world, host)).collect();
        assert_eq!(before, after, "seed {seed}: somebody wavers");
        assert!(told(&world, clone) >= 1, "seed {seed}");
        assert_eq!(told(&world, LIVE), 0, "seed {seed}");
    }
}

#[test]
fn a_member_that_restarts_between_two_machines_takes_one_and_stays_with_it() {
    for seed in seed_range(20) {
        let mut world = formed(seed, 4);
        let clone = world.add_clone(LIVE, &[away(9)], TODAY);
        world.start(clone);
        world.run_for(5 * MINUTE);
        world.kill(3);
        world.start(3);
        world.run_for(MINUTE);
        let (events, chosen) = (world.events(3).len(), world.peer(3, LIVE).unwrap().address);
        world.run_for(20 * MINUTE);
        assert_eq!(world.peer(3, LIVE).unwrap().address, chosen, "seed {seed}");
        assert!(world.events(3).len() <= events + 1, "seed {seed}: {:?}", &world.events(3)[events..]);
        for host in [0, 2] {
            assert!(world.knows(host, LIVE) && conflicts(&world, host) == 1, "seed {seed}");
        }
    }
}

#[test]
fn restarts_and_moves_are_no_conflicts() {
    for seed in seed_range(50) {
        let mut world = formed(seed, 4);
        world.network.conditions.jitter = Duration::from_millis(100);
        for round in 0..6 {
            let host = usize::try_from(world.dice.below(4)).unwrap();
            match world.dice.below(4) {
                0 => world.kill(host),
                1 => world.stop(host),
                2 => {
                    world.sleep(host);
                    world.run_for(seconds(5));
                    world.wake(host, true);
                }
                _ => {}
            }
            let pause = world.dice.pause(seconds(40));
            world.run_for(if round % 2 == 0 { Duration::from_millis(100) } else { pause });
            let to = place([198, 51, 100, u8::try_from(10 * round + host).unwrap()]);
            if world.dice.chance(500) {
                world.move_to(host, &[to]);
            }
            if !world.runs(host) {
                world.start(host);
            }
            assert!(world.run_until(seconds(25), World::whole).is_some(), "seed {seed}, round {round}");
        }
        for host in 0..4 {
            assert_eq!((conflicts(&world, host), told(&world, host)), (0, 0), "seed {seed}, host {host}");
        }
    }
}

#[test]
fn a_node_that_was_killed_is_up_again_in_seconds() {
    for seed in seed_range(50) {
        let mut world = formed(seed, 3);
        world.run_for(Duration::from_millis(seed * 333));
        world.kill(1);
        world.run_for(Duration::from_millis(100));
        if seed % 2 == 0 {
            world.move_to(1, &[away(2)]);
        }
        world.start(1);
        let time = world.run_until(seconds(10), World::whole).unwrap_or_else(|| panic!("seed {seed}"));
        assert!(time <= seconds(2), "seed {seed}: {time:?}");
    }
}

#[test]
fn initiations_of_former_runs_make_no_second_machine() {
    for seed in seed_range(5) {
        let mut world = formed(seed, 3);
        let mut recorded: Vec<Flight> = Vec::new();
        for _ in 0..5 {
            world.tap();
            world.kill(LIVE);
            world.run_for(seconds(1));
            world.start(LIVE);
            world.run_for(seconds(20));
            recorded.extend(world.tapped().into_iter().filter(|flight| flight.from == home(2)));
        }
        assert!(recorded.iter().filter(|flight| kind(flight) == Kind::INITIATION).count() >= 10, "seed {seed}");
        let before: Vec<usize> = (0..3).map(|host| world.events(host).len()).collect();
        for flight in &recorded {
            for from in [flight.from, place([203, 0, 113, 66])] {
                world.inject(Flight { from, ..flight.clone() });
            }
            world.run_for(Duration::from_millis(50));
        }
        world.run_for(MINUTE);
        let after: Vec<usize> = (0..3).map(|host| world.events(host).len()).collect();
        assert!(world.whole() && before == after, "seed {seed}: {before:?}, {after:?}");
    }
}

/// Spec: `spec/state-machine.md` section 6, the first row.
#[test]
fn a_confirmation_of_a_dead_run_that_was_held_back_makes_no_second_machine() {
    for seed in seed_range(10) {
        let mut world = formed(seed, 4);
        // Handshakes of the two pass, and of what confirms them nothing: it is kept.
        let held: Rc<RefCell<Vec<Flight>>> = Rc::default();
        let keeper = Rc::clone(&held);
        world.set_adversary(Some(Box::new(move |_, flight| {
            let there = flight.from == home(2) && flight.to == home(1);
            let back = flight.from == home(1) && flight.to == home(2);
            let drop = (there && kind(flight) != Kind::INITIATION) || (back && kind(flight) != Kind::RESPONSE);
            if there && kind(flight) == Kind::HEARTBEAT {
                keeper.borrow_mut().push(flight.clone());
            }
            Interference { drop, sends: Vec::new() }
        })));
        world.run_for(seconds(25));
        world.kill(LIVE);
        world.set_adversary(None);
        world.start(LIVE);
        assert!(world.run_until(seconds(5), |world| world.knows(0, LIVE) && world.knows(LIVE, 0)).is_some());
        for flight in held.borrow().iter().rev().take(8) {
            world.inject(flight.clone());
        }
        world.run_for(seconds(3));
        assert_eq!((told(&world, LIVE), conflicts(&world, 0)), (0, 0), "seed {seed}");
        assert_eq!((state(&world, 0, LIVE), state(&world, LIVE, 0)), (PeerState::Up, PeerState::Up), "seed {seed}");
    }
}
