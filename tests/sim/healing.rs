//! Healing: nodes move, stop and come back, and everybody knows where everybody is again.

use std::net::IpAddr;
use std::time::Duration;

use dddns::sim::world::{HostId, World};
use dddns::wire::address::Address;

use crate::cluster::{TODAY, away, config, formed, found, home, join, seed_range};

fn median_and_max(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort();
    (times[times.len() / 2], times[times.len() - 1])
}

/// How long it takes, in the middle of quiet, until all is whole after `change`: median and maximum over all seeds.
fn healing(name: &str, nodes: u8, change: impl Fn(&mut World)) -> (Duration, Duration) {
    let times = seed_range(50).map(|seed| {
        let mut world = formed(seed, nodes);
        world.run_for(Duration::from_millis(100 * seed));
        change(&mut world);
        let healed = world.run_until(Duration::from_secs(60), World::whole);
        let healed = healed.unwrap_or_else(|| panic!("{name}, seed {seed}: not whole after a minute"));
        world.run_for(Duration::from_secs(20));
        assert!(world.whole(), "{name}, seed {seed}: did not last");
        healed
    });
    let (median, max) = median_and_max(times.collect());
    println!("{name}: median {median:?}, max {max:?}");
    (median, max)
}

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// Where a host goes when it moves: another address of the same kind.
fn moves(world: &mut World, host: HostId) {
    let n = u8::try_from(host + 1).unwrap();
    world.move_to(host, &[away(n)]);
}

#[test]
fn one_mover_is_found_by_all() {
    let (median, max) = healing("3 nodes, one moves", 3, |world| moves(world, 1));
    assert!(median <= seconds(2) && max <= seconds(4), "median {median:?}, max {max:?}");
}

#[test]
fn two_movers_find_each_other_through_the_third() {
    let (median, max) = healing("3 nodes, two move", 3, |world| {
        moves(world, 1);
        moves(world, 2);
    });
    assert!(median <= seconds(3) && max <= seconds(10), "median {median:?}, max {max:?}");
}

#[test]
fn three_of_four_move_at_once() {
    let (_, max) = healing("4 nodes, three move", 4, |world| (1..4).for_each(|host| moves(world, host)));
    assert!(max <= seconds(12), "max {max:?}");
}

#[test]
fn all_but_one_of_ten_move_at_once() {
    let (_, max) = healing("10 nodes, nine move", 10, |world| (1..10).for_each(|host| moves(world, host)));
    assert!(max <= seconds(12), "max {max:?}");
}

#[test]
fn some_of_five_move_at_once() {
    let (_, max) = healing("5 nodes, one moves", 5, |world| moves(world, 1));
    assert!(max <= seconds(4), "one: max {max:?}");
    let (_, max) = healing("5 nodes, two move", 5, |world| [1, 4].into_iter().for_each(|host| moves(world, host)));
    assert!(max <= seconds(10), "two: max {max:?}");
    let (_, max) = healing("5 nodes, four move", 5, |world| (1..5).for_each(|host| moves(world, host)));
    assert!(max <= seconds(12), "four: max {max:?}");
}

#[test]
fn two_nodes_that_take_each_others_address_are_not_mistaken() {
    let (_, max) = healing("3 nodes, two swap addresses", 3, |world| {
        world.move_to(1, &[]);
        world.move_to(2, &[home(2)]);
        world.move_to(1, &[home(3)]);
    });
    assert!(max <= seconds(10), "max {max:?}");
}

#[test]
fn one_moves_while_another_is_dead() {
    let (_, max) = healing("3 nodes, one is dead, one moves", 3, |world| {
        world.kill(2);
        world.run_for(seconds(1));
        moves(world, 1);
    });
    // Until the dead one is suspect, nobody but the mover itself notices.
    assert!(max <= seconds(5), "max {max:?}");
}

#[test]
fn all_restart_and_one_has_moved_meanwhile() {
    let (_, max) = healing("3 nodes, all restart, one has moved", 3, |world| {
        (0..3).for_each(|host| world.stop(host));
        moves(world, 1);
        (0..3).for_each(|host| world.start(host));
    });
    assert!(max <= seconds(10), "in order: max {max:?}");
    let (_, max) = healing("3 nodes, all lose power, one has moved", 3, |world| {
        (0..3).for_each(|host| world.kill(host));
        moves(world, 1);
        (0..3).for_each(|host| world.start(host));
    });
    assert!(max <= seconds(10), "without notice: max {max:?}");
}

#[test]
fn one_is_killed_and_starts_again() {
    let (_, max) = healing("3 nodes, one is killed and starts again", 3, |world| {
        world.kill(2);
        world.start(2);
    });
    assert!(max <= seconds(4), "max {max:?}");
}

#[test]
fn two_that_were_cut_off_from_each_other_for_a_minute() {
    let (_, max) = healing("3 nodes, two cut off from each other for 60 s", 3, |world| {
        world.network.wall(home(2).ip(), home(3).ip());
        world.run_for(seconds(60));
        assert!(!world.knows(1, 2) && !world.knows(2, 1), "they still hear each other");
        world.network.clear_walls();
    });
    assert!(max <= seconds(10), "max {max:?}");
}

#[test]
fn two_halves_that_were_apart_for_a_minute() {
    let (_, max) = healing("4 nodes, two halves for 60 s", 4, |world| {
        for (here, there) in [(1, 3), (1, 4), (2, 3), (2, 4)] {
            world.network.wall(home(here).ip(), home(there).ip());
        }
        world.run_for(seconds(60));
        assert!(!world.knows(0, 2) && !world.knows(3, 1), "the halves still hear each other");
        world.network.clear_walls();
    });
    assert!(max <= seconds(10), "max {max:?}");
}

#[test]
fn a_nat_that_gives_another_port_is_followed() {
    let (median, max) = healing("3 nodes, a port changes", 3, |world| {
        world.move_to(1, &[Address::new(home(2).ip(), 40_000).unwrap()]);
    });
    assert!(median <= seconds(2) && max <= seconds(4), "median {median:?}, max {max:?}");
}

#[test]
fn losses_delay_and_do_not_prevent() {
    let times = seed_range(50).map(|seed| {
        let mut world = formed(seed, 3);
        world.network.conditions.loss_per_mille = 300;
        world.run_for(seconds(20));
        moves(&mut world, 1);
        moves(&mut world, 2);
        world.run_until(seconds(60), World::whole).unwrap_or_else(|| panic!("seed {seed}: unhealed"))
    });
    let mut times: Vec<Duration> = times.collect();
    times.sort();
    let p95 = times[times.len() * 95 / 100];
    let (median, max) = median_and_max(times.clone());
    println!("3 nodes, two move, 30 % lost: median {median:?}, p95 {p95:?}, max {max:?}");
    assert!(p95 <= seconds(15), "{times:?}");
}

#[test]
fn what_is_reordered_and_doubled_moves_nobody_back() {
    let (_, max) = healing("3 nodes, one moves, jitter", 3, |world| {
        world.network.conditions.jitter = Duration::from_millis(300);
        world.network.conditions.duplicates_per_mille = 300;
        moves(world, 1);
    });
    assert!(max <= seconds(6), "max {max:?}");
}

fn v6(site: u16, n: u8) -> Address {
    let ip: IpAddr = format!("2001:db8:{site:x}::{n:x}").parse().unwrap();
    Address::new(ip, 7733).unwrap()
}

/// A cluster whose hosts have these addresses.
fn formed_at(seed: u64, hosts: &[Vec<Address>]) -> World {
    let mut world = World::new(seed);
    found(&mut world, TODAY);
    world.move_to(0, &hosts[0]);
    for (n, addresses) in (2..).zip(&hosts[1..]) {
        let host = world.add_host(config(n), addresses, TODAY);
        join(&mut world, 0, host);
    }
    assert!(world.run_until(seconds(60), World::whole).is_some(), "seed {seed}: the cluster did not form");
    world.run_for(seconds(30));
    world
}

#[test]
fn ipv6_nodes_heal_alike() {
    for seed in seed_range(20) {
        let hosts: Vec<Vec<Address>> = (1..=3_u8).map(|n| vec![v6(u16::from(n), n)]).collect();
        let mut world = formed_at(seed, &hosts);
        assert_eq!(world.status(0).addresses[0].confidence.as_str(), "agreed");
        world.move_to(1, &[v6(9, 2)]);
        assert!(world.run_until(seconds(4), World::whole).is_some(), "seed {seed}");
    }
}

#[test]
fn a_node_with_both_families_moves_with_either() {
    for seed in seed_range(20) {
        let hosts: Vec<Vec<Address>> = (1..=3_u8).map(|n| vec![home(n), v6(u16::from(n), n)]).collect();
        let mut world = formed_at(seed, &hosts);
        world.run_for(Duration::from_millis(100 * seed));
        world.move_to(1, &[away(2), v6(9, 2)]);
        assert!(world.run_until(seconds(4), World::whole).is_some(), "seed {seed}: both move");
        world.run_for(seconds(30));
        world.move_to(1, &[v6(9, 2)]);
        world.run_for(seconds(60));
        // Its IPv4 address is gone and nobody was told of the other one, but as it was heard there once.
        world.move_to(1, &[away(2), v6(9, 2)]);
        assert!(world.run_until(seconds(25), World::whole).is_some(), "seed {seed}: back");
    }
}

#[test]
fn all_that_move_one_after_the_other_are_found_by_their_history() {
    for seed in seed_range(10) {
        let mut world = formed(seed, 2);
        // Both move at once: nothing inside the cluster can help, until one is back where it was.
        moves(&mut world, 0);
        moves(&mut world, 1);
        world.run_for(seconds(600));
        assert!(!world.knows(0, 1) && world.status(0).orphan && world.status(1).orphan, "seed {seed}");
        world.move_to(0, &[home(1)]);
        assert!(world.run_until(seconds(25), World::whole).is_some(), "seed {seed}");
    }
}

#[test]
fn a_node_that_moves_while_all_others_are_stopped_finds_them_again() {
    for seed in seed_range(50) {
        let mut world = formed(seed, 3);
        world.stop(1);
        world.stop(2);
        world.run_for(Duration::from_secs(1));
        // Nobody can be told of this, and nobody knows where to look: the one that moved has to call the others.
        world.move_to(0, &[away(2)]);
        world.start(1);
        world.start(2);
        let time = world.run_until(Duration::from_secs(60), World::whole).unwrap_or_else(|| panic!("seed {seed}"));
        assert!(time <= Duration::from_secs(25), "seed {seed}: {time:?}");
    }
}
