//! Who is up, suspect, lost or gone, and how soon that is said.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use dddns::node::Node;
use dddns::node::error::CommandError;
use dddns::node::event::Event;
use dddns::node::status::PeerState;
use dddns::sim::adversary::Interference;
use dddns::sim::world::{HostId, World};
use dddns::wire::kind::Kind;

use crate::cluster::{TODAY, away, config, formed, found, happened, home, invite, join, join_with, kind, seed_range};

const SEEDS: u64 = 20;
const MINUTE: Duration = Duration::from_secs(60);

fn state(world: &World, host: HostId, other: HostId) -> PeerState {
    world.peer(host, other).unwrap().state
}

/// When an event first came after `since`.
fn when(world: &World, host: HostId, since: Duration, what: impl Fn(&Event) -> bool) -> Option<Duration> {
    let found = world.events(host).iter().find(|(at, event)| *at >= since && what(event));
    found.map(|(at, _)| *at - since)
}

#[test]
fn a_goodbye_is_told_as_such() {
    for seed in seed_range(SEEDS) {
        let mut world = formed(seed, 3);
        world.network.conditions.jitter = Duration::from_millis(200);
        world.run_for(Duration::from_millis(seed * 333));
        world.stop(1);
        world.run_for(Duration::from_secs(2));
        for host in [0, 2] {
            assert_eq!(state(&world, host, 1), PeerState::Left, "seed {seed}");
        }
        world.tap();
        world.run_for(10 * MINUTE);
        let sent = world.tapped().into_iter().filter(|flight| flight.to == home(2)).count();
        // A round of three probes every 96 s to 120 s, from each of two.
        assert!((24..=48).contains(&sent), "seed {seed}: {sent} datagrams to a node that left");
        for host in [0, 2] {
            assert_eq!(state(&world, host, 1), PeerState::Left, "seed {seed}: nothing but itself brings it back");
            assert_eq!(happened(&world, host, |event| matches!(event, Event::PeerSuspect { .. })), 0, "seed {seed}");
        }
        world.start(1);
        assert!(world.run_until(Duration::from_secs(3), World::whole).is_some(), "seed {seed}");
    }
}

#[test]
fn silence_is_suspect_in_seconds_and_lost_after_three_intervals() {
    for seed in seed_range(SEEDS) {
        let mut world = formed(seed, 3);
        world.run_for(Duration::from_millis(seed * 333));
        world.kill(1);
        let since = world.now();
        world.run_for(MINUTE);
        for host in [0, 2] {
            let suspect = when(&world, host, since, |event| matches!(event, Event::PeerSuspect { .. })).unwrap();
            let lost = when(&world, host, since, |event| matches!(event, Event::PeerLost { .. })).unwrap();
            // A heartbeat is at most 12 s away, and 1.5 s later it was missed twice.
            assert!(suspect < Duration::from_millis(13_600), "seed {seed}: {suspect:?}");
            // 30 s after it was last heard.
            assert!(lost > Duration::from_secs(17) && lost <= Duration::from_millis(30_100), "seed {seed}: {lost:?}");
            assert_eq!(state(&world, host, 1), PeerState::Lost);
        }
    }
}

#[test]
fn who_is_lost_is_tried_ever_more_rarely_and_for_ever() {
    for seed in seed_range(5) {
        let mut world = formed(seed, 3);
        world.kill(1);
        world.run_for(30 * MINUTE);
        let mut silent = Duration::ZERO;
        let mut sent = 0;
        world.tap();
        for _ in 0..3600 {
            world.run_for(Duration::from_secs(1));
            let now = world.tapped().into_iter().filter(|f| f.from == home(1) && f.to == home(2)).count();
            silent = if now > 0 { Duration::ZERO } else { silent + Duration::from_secs(1) };
            sent += now;
            assert!(silent <= Duration::from_secs(121), "seed {seed}");
        }
        // 30 to 38 rounds of three.
        assert!((85..=120).contains(&sent), "seed {seed}: {sent}");
        world.start(1);
        assert!(world.run_until(Duration::from_secs(3), World::whole).is_some(), "seed {seed}");
    }
}

#[test]
fn a_node_without_peers_is_an_orphan_until_one_answers() {
    for seed in seed_range(SEEDS) {
        let mut world = formed(seed, 2);
        world.kill(1);
        let since = world.now();
        world.run_for(MINUTE);
        let orphan = when(&world, 0, since, |event| *event == Event::Orphan).unwrap();
        assert!(orphan <= Duration::from_secs(31), "seed {seed}: {orphan:?}");
        assert!(world.status(0).orphan);
        world.run_for(30 * MINUTE);
        assert_eq!(happened(&world, 0, |event| *event == Event::Orphan), 1, "seed {seed}: said once");
        world.start(1);
        assert!(world.run_until(Duration::from_secs(3), World::whole).is_some());
        assert!(!world.status(0).orphan);
        assert_eq!(happened(&world, 0, |event| *event == Event::Recovered), 1, "seed {seed}");
        assert_eq!(happened(&world, 1, |event| *event == Event::Orphan), 0, "seed {seed}: it found its peer in time");
    }
}

#[test]
fn a_node_that_starts_alone_says_so_and_joins_when_there_is_a_network() {
    for seed in seed_range(SEEDS) {
        let mut world = formed(seed, 3);
        world.kill(1);
        world.run_for(MINUTE);
        world.network.wall(home(2).ip(), home(1).ip());
        world.network.wall(home(2).ip(), home(3).ip());
        let since = world.now();
        world.start(1);
        world.run_for(5 * MINUTE);
        let orphan = when(&world, 1, since, |event| *event == Event::Orphan).unwrap();
        assert_eq!(orphan, Duration::from_secs(30), "seed {seed}");
        world.network.clear_walls();
        assert!(world.run_until(Duration::from_secs(21), World::whole).is_some(), "seed {seed}");
    }
}

#[test]
fn a_minute_without_network_is_over_ten_seconds_after_it_ends() {
    for seed in seed_range(SEEDS) {
        for nodes in [2, 3, 5] {
            let mut world = formed(seed, nodes);
            world.run_for(Duration::from_millis(seed * 333));
            for other in 2..=nodes {
                world.network.wall(home(1).ip(), home(other).ip());
            }
            world.run_for(MINUTE);
            world.network.clear_walls();
            let healed = world.run_until(Duration::from_secs(10), World::whole);
            assert!(healed.is_some(), "seed {seed}, {nodes} nodes");
        }
    }
}

#[test]
fn a_one_way_network_does_not_flap_without_pause() {
    for seed in seed_range(5) {
        let mut world = formed(seed, 3);
        world.network.one_way_wall(home(2).ip(), home(3).ip());
        let ups = |world: &World, host| happened(world, host, |event| matches!(event, Event::PeerUp { .. }));
        let before = (ups(&world, 1), ups(&world, 2));
        world.run_for(30 * MINUTE);
        assert!(matches!(state(&world, 2, 1), PeerState::Lost), "seed {seed}");
        let after = (ups(&world, 1), ups(&world, 2));
        // The deaf end stays with its verdict; the other hears a round of attempts now and then.
        assert_eq!(after.1, before.1, "seed {seed}");
        assert!(after.0 - before.0 < 80, "seed {seed}: {} times in 30 min", after.0 - before.0);
        assert!(world.knows(0, 1) && world.knows(0, 2) && world.knows(1, 0) && world.knows(2, 0), "seed {seed}");
        world.network.clear_walls();
        assert!(world.run_until(2 * MINUTE, World::whole).is_some(), "seed {seed}");
    }
}

#[test]
fn dead_peers_delay_nobody() {
    for seed in seed_range(SEEDS) {
        let mut world = formed(seed, 5);
        world.kill(3);
        world.kill(4);
        world.run_for(Duration::from_millis(seed * 700));
        world.move_to(1, &[away(2)]);
        assert!(world.run_until(Duration::from_secs(4), World::whole).is_some(), "seed {seed}");
    }
}

#[test]
fn one_word_from_a_lost_peer_ends_its_absence() {
    for seed in seed_range(SEEDS) {
        let mut world = formed(seed, 2);
        // Host 0 is deaf, and host 1 speaks on.
        world.sleep(0);
        world.run_for(Duration::from_secs(29));
        world.wake(0, true);
        world.run_for(Duration::from_secs(4));
        assert!(world.whole(), "seed {seed}");
    }
}

#[test]
fn a_heartbeat_that_a_goodbye_overtook_wakes_nobody() {
    let mut world = formed(1, 2);
    let held = Rc::new(Cell::new(0));
    let seen = Rc::clone(&held);
    world.set_adversary(Some(Box::new(move |_, flight| {
        let slow = flight.from == home(2) && kind(flight) == Kind::HEARTBEAT;
        seen.set(seen.get() + usize::from(slow));
        let sends = if slow { vec![(Duration::from_millis(500), flight.clone())] } else { Vec::new() };
        Interference { drop: slow, sends }
    })));
    world.run_until(MINUTE, |_| held.get() > 0);
    world.stop(1);
    world.run_for(Duration::from_secs(2));
    assert_eq!(state(&world, 0, 1), PeerState::Left);
    world.tap();
    world.run_for(5 * MINUTE);
    let heartbeats = world.tapped().into_iter().filter(|flight| kind(flight) == Kind::HEARTBEAT).count();
    assert_eq!(heartbeats, 0, "to a node that left");
}

#[test]
fn a_session_that_nobody_confirms_any_more_is_not_confirmed_for_ever() {
    let mut world = formed(2, 2);
    world.kill(1);
    world.run_for(MINUTE);
    let answered = Rc::new(Cell::new(false));
    let seen = Rc::clone(&answered);
    world.set_adversary(Some(Box::new(move |_, flight| {
        seen.set(seen.get() || kind(flight) == Kind::RESPONSE);
        Interference::default()
    })));
    world.start(1);
    assert!(world.run_until(MINUTE, |_| answered.get()).is_some());
    world.kill(0);
    world.run_for(Duration::from_secs(15));
    world.tap();
    world.run_for(MINUTE);
    let heartbeats = world.tapped().into_iter().filter(|flight| kind(flight) == Kind::HEARTBEAT).count();
    assert_eq!(heartbeats, 0, "to a peer that died in the middle of a handshake");
}

/// Spec: STATE-21.
#[test]
fn a_node_that_has_stopped_says_nothing_whatever_is_asked_of_it() {
    let mut world = formed(11, 3);
    let token = invite(&mut world, 0, Duration::from_secs(3600));
    let other = world.id(1);
    world.command(2, Node::shutdown);
    let said = world.traffic(2).datagrams_out;
    let day = Duration::from_secs(86_400);
    assert_eq!(world.command(2, |node, now| node.join(now, &token)), Err(CommandError::Stopped));
    assert_eq!(world.command(2, |node, now| node.add_candidates(now, other, &[away(9)])), Err(CommandError::Stopped));
    let made = world.command(2, |node, now| node.create_invite(now, day, &[home(3)]));
    assert_eq!(made.err(), Some(CommandError::Stopped));
    world.command(2, Node::shutdown);
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.traffic(2).datagrams_out, said);
}

#[test]
fn a_peer_that_is_up_again_is_looked_for_no_more() {
    for seed in seed_range(10) {
        let mut world = formed(seed, 3);
        world.move_to(1, &[away(2)]);
        assert!(world.run_until(Duration::from_secs(60), World::whole).is_some());
        world.network.wall(home(1).ip(), away(2).ip());
        world.run_for(Duration::from_secs(45));
        world.network.clear_walls();
        let up = |world: &World| world.knows(0, 1);
        assert!(world.run_until(Duration::from_secs(30), up).is_some(), "seed {seed}");
        assert_eq!(world.peer(0, 1).unwrap().candidates, 0, "seed {seed}");
    }
}

/// Spec: `spec/state-machine.md` section 4, *Orphan*.
#[test]
fn whoever_waits_long_for_its_first_peer_is_no_orphan_when_it_comes() {
    let orphans = |world: &World, host| happened(world, host, |event| *event == Event::Orphan);
    let mut world = World::new(23);
    found(&mut world, TODAY);
    world.run_for(MINUTE);
    let token = invite(&mut world, 0, 60 * MINUTE);
    world.kill(0);
    let joiner = world.add_host(config(2), &[home(2)], TODAY);
    join_with(&mut world, joiner, &token);
    world.run_for(MINUTE);
    world.start(0);
    assert!(world.run_until(Duration::from_secs(10), World::whole).is_some());
    world.run_for(MINUTE);
    let third = world.add_host(config(3), &[home(3)], TODAY);
    join(&mut world, 0, third);
    assert!(world.run_until(Duration::from_secs(10), World::whole).is_some());
    assert_eq!([0, joiner, third].map(|host| orphans(&world, host)), [0, 0, 0]);

    let mut world = World::new(24);
    found(&mut world, TODAY);
    world.run_for(MINUTE);
    let second = world.add_host(config(2), &[home(2)], TODAY);
    join(&mut world, 0, second);
    assert!(world.run_until(Duration::from_secs(10), World::whole).is_some());
    assert_eq!([0, second].map(|host| orphans(&world, host)), [0, 0]);
}

/// Spec: `RETRY_FIRST`.
#[test]
fn a_suspect_peer_is_asked_about_again_and_again() {
    for seed in seed_range(SEEDS) {
        let mut world = formed(seed, 3);
        world.kill(1);
        assert!(world.run_until(MINUTE, |world| state(world, 0, 1) == PeerState::Suspect).is_some());
        world.tap();
        world.run_for(Duration::from_secs(8));
        assert_eq!(state(&world, 0, 1), PeerState::Suspect);
        let asks = world.tapped().iter().filter(|f| f.from == home(1) && kind(f) == Kind::LOCATE).count();
        assert!((3..=6).contains(&asks), "seed {seed}: {asks} Locates in 8 s, where rounds are 1, 2 and 4 s apart");
    }
}
