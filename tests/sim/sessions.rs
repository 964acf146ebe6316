//! Sessions: made, renewed, and made again after restarts.

use std::collections::BTreeSet;
use std::time::Duration;

use dddns::config::Peer;
use dddns::node::event::Event;
use dddns::sim::world::{HostId, World};
use dddns::wire::kind::Kind;

use crate::cluster::{TODAY, away, config, configured, formed, found, happened, home, join, kind, seed_range};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn suspicions(world: &World, host: HostId) -> usize {
    happened(world, host, |event| matches!(event, Event::PeerSuspect { .. } | Event::PeerLost { .. }))
}

/// The receiver indices in use from one host to another in the next so many seconds.
fn indices(world: &mut World, from: HostId, to: HostId, time: Duration) -> usize {
    world.tap();
    world.run_for(time);
    let (from, to) = (world.addresses(from)[0], world.addresses(to)[0]);
    let tagged = world.tapped().into_iter().filter(|f| (f.from, f.to) == (from, to) && kind(f) >= Kind::HEARTBEAT);
    tagged.map(|flight| flight.datagram[4..8].to_vec()).collect::<BTreeSet<_>>().len()
}

/// Spec: STATE-5.
#[test]
fn handshakes_that_cross_settle_on_one_session() {
    for seed in seed_range(40) {
        let mut world = configured(seed, 2);
        // So long under way that both ends have begun before they hear of the other.
        world.network.conditions.latency = Duration::from_millis(400);
        world.network.conditions.jitter = Duration::from_millis(200);
        assert!(world.run_until(MINUTE, World::whole).is_some(), "seed {seed}");
        world.run_for(MINUTE);
        assert!(world.count(0, "handshakes") + world.count(1, "handshakes") >= 2, "seed {seed}");
        assert_eq!(indices(&mut world, 0, 1, MINUTE), 1, "seed {seed}");
        assert_eq!(indices(&mut world, 1, 0, MINUTE), 1, "seed {seed}");
        assert_eq!(suspicions(&world, 0) + suspicions(&world, 1), 0, "seed {seed}");
    }
}

#[test]
fn handshakes_that_cross_settle_where_datagrams_are_lost() {
    for seed in seed_range(40) {
        let mut world = configured(seed, 2);
        world.network.conditions.latency = Duration::from_millis(300);
        world.network.conditions.loss_per_mille = 300;
        assert!(world.run_until(2 * MINUTE, World::whole).is_some(), "seed {seed}");
        world.network.conditions.loss_per_mille = 0;
        world.run_for(MINUTE);
        assert!(world.whole(), "seed {seed}");
        assert_eq!(indices(&mut world, 0, 1, MINUTE), 1, "seed {seed}");
    }
}

#[test]
fn a_session_is_renewed_every_hour_and_no_datagram_is_lost_by_it() {
    for seed in seed_range(3) {
        let mut world = formed(seed, 3);
        world.network.conditions.jitter = Duration::from_millis(15);
        let counts =
            |world: &World, host| ["handshakes", "resends", "unknown-index"].map(|name| world.count(host, name));
        let before: Vec<_> = (0..3).map(|host| counts(&world, host)).collect();
        world.run_for(5 * HOUR);
        for (host, [handshakes, resends, unknown]) in before.into_iter().enumerate() {
            let renewed = world.count(host, "handshakes") - handshakes;
            assert!((2 * 5..=2 * 7).contains(&renewed), "seed {seed}, host {host}: {renewed} handshakes in 5 h");
            assert_eq!(world.count(host, "resends"), resends, "seed {seed}, host {host}");
            assert_eq!(world.count(host, "unknown-index"), unknown, "seed {seed}, host {host}");
            assert_eq!(suspicions(&world, host), 0, "seed {seed}, host {host}");
        }
        assert!(world.whole());
    }
}

/// Those who start together call each other at the same time. Spec: STATE-5.
#[test]
fn of_handshakes_that_cross_both_ends_keep_the_same() {
    for seed in seed_range(30) {
        let mut world = formed(seed, 5);
        world.network.conditions.jitter = Duration::from_millis(15);
        (0..5).for_each(|host| world.kill(host));
        world.run_for(Duration::from_secs(10));
        (0..5).for_each(|host| world.start(host));
        assert!(world.run_until(Duration::from_secs(10), World::whole).is_some());
        world.run_for(Duration::from_secs(5));
        let counts =
            |world: &World| [0, 1, 2, 3, 4].map(|host| (suspicions(world, host), world.count(host, "resends")));
        let before = counts(&world);
        world.run_for(Duration::from_secs(60));
        assert_eq!(counts(&world), before, "seed {seed}");
    }
}

#[test]
fn a_long_run_stays_up() {
    let mut world = formed(4, 3);
    world.network.conditions.loss_per_mille = 10;
    world.run_for(26 * HOUR);
    for host in 0..3 {
        assert!(world.count(host, "handshakes") > 40);
        assert_eq!(happened(&world, host, |event| matches!(event, Event::PeerLost { .. })), 0);
        // Two in a row are lost once in some thousand times.
        assert!(suspicions(&world, host) < 60, "{}", suspicions(&world, host));
        assert_eq!(world.count(host, "bad-step") + world.count(host, "bad-tag"), 0);
    }
    assert!(world.whole());
}

#[test]
fn a_node_that_was_killed_is_up_again_in_seconds() {
    for seed in seed_range(20) {
        for pause in [0, 1, 5, 60, 600] {
            let mut world = formed(seed, 3);
            world.kill(1);
            world.run_for(Duration::from_secs(pause));
            world.start(1);
            let up = world.run_until(Duration::from_secs(3), World::whole);
            assert!(up.is_some(), "seed {seed}, off for {pause} s");
        }
    }
}

#[test]
fn all_restart_and_one_has_moved() {
    for seed in seed_range(20) {
        let mut world = formed(seed, 3);
        (0..3).for_each(|host| world.kill(host));
        world.run_for(MINUTE);
        world.move_to(1, &[away(2)]);
        (0..3).for_each(|host| world.start(host));
        assert!(world.run_until(Duration::from_secs(5), World::whole).is_some(), "seed {seed}");
    }
}

#[test]
fn a_node_that_lost_its_disk_needs_one_configured_peer() {
    for seed in seed_range(10) {
        let mut world = formed(seed, 4);
        world.kill(1);
        world.erase(1);
        let secrets = crate::cluster::secrets();
        world.set_cluster(1, secrets);
        let founder = world.identity(0).public_key();
        world.config(1).peers =
            vec![Peer { name: "node-1".parse().unwrap(), public_key: founder, addresses: vec![home(1)] }];
        world.run_for(MINUTE);
        world.start(1);
        assert!(world.run_until(Duration::from_secs(5), World::whole).is_some(), "seed {seed}");
    }
}

#[test]
fn clocks_need_not_be_right() {
    let second = Duration::from_secs(1);
    let clocks = [
        Duration::ZERO,
        TODAY,
        // 2038 and 2106, where 32 bits end; a minute before, so that the edge is crossed.
        second * (i32::MAX.unsigned_abs() - 60),
        second * (u32::MAX - 60),
        second * u32::MAX * 1000,
        // Where milliseconds end, and seconds.
        Duration::from_millis(u64::MAX - 60_000),
        Duration::from_secs(u64::MAX - 200_000),
    ];
    for (n, clock) in clocks.into_iter().enumerate() {
        for right in [true, false] {
            let mut world = World::new(n as u64);
            found(&mut world, if right { TODAY } else { clock });
            for number in 2..=3 {
                let host =
                    world.add_host(config(number), &[home(number)], if right == (number == 2) { clock } else { TODAY });
                join(&mut world, 0, host);
            }
            assert!(world.run_until(MINUTE, World::whole).is_some(), "{clock:?}: join");
            world.run_for(5 * MINUTE);
            world.move_to(1, &[away(2)]);
            assert!(world.run_until(Duration::from_secs(4), World::whole).is_some(), "{clock:?}: one moved");
            world.kill(0);
            world.run_for(MINUTE);
            world.start(0);
            assert!(world.run_until(Duration::from_secs(5), World::whole).is_some(), "{clock:?}: one restarted");
            world.run_for(2 * HOUR);
            assert!(world.whole(), "{clock:?}");
            for host in 0..3 {
                assert_eq!(world.count(host, "bad-step"), 0, "{clock:?}");
            }
        }
    }
}

#[test]
fn a_machine_that_slept_is_back_in_seconds() {
    for seed in seed_range(10) {
        for clock_went_on in [true, false] {
            for slept in [20, 7200] {
                let mut world = formed(seed, 3);
                world.sleep(1);
                world.run_for(Duration::from_secs(slept));
                world.wake(1, clock_went_on);
                // It may believe for a moment that all is as it was: let it be woken first.
                world.run_for(Duration::from_millis(100));
                let back = world.run_until(Duration::from_secs(8), |world| {
                    [0, 2].into_iter().all(|host| world.knows(host, 1)) && world.whole()
                });
                assert!(back.is_some(), "seed {seed}: slept {slept} s, clock went on: {clock_went_on}");
                world.run_for(MINUTE);
                assert!(world.whole(), "seed {seed}");
                assert!(slept < 60 || suspicions(&world, 0) > 0, "seed {seed}");
            }
        }
    }
}

#[test]
fn clocks_that_run_apart_are_followed() {
    for seed in seed_range(3) {
        let mut world = formed(seed, 3);
        // Far worse than any quartz: two seconds an hour apart.
        world.set_drift(1, 300);
        world.set_drift(2, -300);
        world.network.conditions.jitter = Duration::from_millis(15);
        world.run_for(5 * HOUR);
        for host in 0..3 {
            assert_eq!(world.count(host, "bad-step"), 0, "seed {seed}, host {host}");
            assert_eq!(suspicions(&world, host), 0, "seed {seed}, host {host}");
        }
        assert!(world.whole(), "seed {seed}");
    }
}
