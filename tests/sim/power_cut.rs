//! A power cut: everybody starts at nearly the same moment, and nobody stays in step.

use std::time::Duration;

use dddns::sim::world::{HostId, World};

use crate::cluster::{TODAY, away, config, formed, found, home, join, seed_range};

/// So long a moment is when datagrams are counted.
const MOMENT: Duration = Duration::from_millis(100);

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// How many datagrams each host sends in each of so many moments.
fn sent(world: &mut World, moments: usize) -> Vec<Vec<u64>> {
    let hosts: Vec<HostId> = (0..).take_while(|&host| world.has_host(host)).collect();
    let mut before: Vec<u64> = hosts.iter().map(|&host| world.traffic(host).datagrams_out).collect();
    let mut counts = Vec::new();
    for _ in 0..moments {
        world.run_for(MOMENT);
        let now: Vec<u64> = hosts.iter().map(|&host| world.traffic(host).datagrams_out).collect();
        counts.push(now.iter().zip(&before).map(|(now, before)| now - before).collect());
        before = now;
    }
    counts
}

/// The most that all hosts together, and that one host, sent in one moment.
fn peaks(counts: &[Vec<u64>]) -> (u64, u64) {
    let all = counts.iter().map(|moment| moment.iter().sum()).max().unwrap();
    let one = counts.iter().flatten().copied().max().unwrap();
    (all, one)
}

/// Spec: STATE-14.
#[test]
fn thirty_nodes_that_start_in_one_second_are_never_in_step() {
    for seed in seed_range(2) {
        let mut world = formed(seed, 30);
        (0..30).for_each(|host| world.kill(host));
        world.run_for(seconds(60));
        for host in 0..30 {
            world.start(host);
            let pause = world.dice.pause(Duration::from_millis(33));
            world.run_for(pause);
        }
        let start = sent(&mut world, 50);
        let (all, one) = peaks(&start);
        println!("seed {seed}: in the first 5 s at most {all} in 100 ms, {one} by one node");
        assert!(world.whole(), "seed {seed}: not whole after 5 s");
        // A call to each of 29 others within half a second, at a moment of chance, and two or three heartbeats: were they in
        // step, each end of a link would send more than one in some moment.
        assert!(all <= 30 * 29 && one <= 2 * 29, "seed {seed}: {all} datagrams in 100 ms, {one} of one node");
        world.run_for(seconds(10));
        // 435 links with an exchange of two datagrams every 8 s to 12 s: some five exchanges in a moment, by chance up to
        // twenty.
        let quiet = sent(&mut world, 1000);
        let (all, one) = peaks(&quiet);
        let mean = quiet.iter().flatten().sum::<u64>() as f64 / 1000.0;
        println!("seed {seed}: then {mean:.1} in 100 ms, at most {all}, {one} by one node");
        assert!(all as f64 <= 5.0 * mean, "seed {seed}: {all} datagrams in one moment, {mean:.1} on average");
        assert!(one <= 10, "seed {seed}: {one} datagrams of one node in 100 ms");
    }
}

#[test]
fn attempts_after_hours_of_outage_are_spread() {
    for seed in seed_range(2) {
        let mut world = formed(seed, 10);
        // The switch between them all is off.
        for a in 1..=10 {
            for b in a + 1..=10 {
                world.network.wall(home(a).ip(), home(b).ip());
            }
        }
        world.run_for(seconds(3600));
        assert!((0..10).all(|host| world.status(host).orphan), "seed {seed}");
        let counts = sent(&mut world, 6000);
        let (all, one) = peaks(&counts);
        let total: u64 = counts.iter().flatten().sum();
        let busy = counts.iter().filter(|moment| moment.iter().sum::<u64>() > 0).count();
        println!("seed {seed}: {total} in 10 min, in {busy} of 6000 moments, at most {all} in one, {one} by one node");
        // 90 ends of links, each with three probes every 16 s to 20 s: 9000 in ten minutes, 1.5 in a moment.
        assert!((6000..12_000).contains(&total), "seed {seed}: {total}");
        assert!(all <= 12 && one <= 6, "seed {seed}: {all} in one moment, {one} of one node");
        assert!(busy > 3000, "seed {seed}: sent in {busy} moments only");
        world.network.clear_walls();
        assert!(world.run_until(seconds(25), World::whole).is_some(), "seed {seed}: not whole when it is on again");
    }
}

#[test]
fn h01_eight_nodes_restart_in_two_minutes_with_wrong_clocks_and_new_addresses() {
    let mut worst = Duration::ZERO;
    for seed in seed_range(50) {
        let mut world = World::new(seed);
        let year = 365 * 86_400;
        // Boards without a clock say 1970, others what their battery says: up to 20 years off.
        let clock = |world: &mut World| match world.dice.below(3) {
            0 => Duration::ZERO,
            1 => TODAY - seconds(world.dice.below(20 * year)),
            _ => TODAY + seconds(world.dice.below(20 * year)),
        };
        found(&mut world, TODAY);
        for n in 2..=8 {
            let clock = clock(&mut world);
            let host = world.add_host(config(n), &[home(n)], clock);
            join(&mut world, 0, host);
        }
        assert!(world.run_until(seconds(60), World::whole).is_some(), "seed {seed}: the cluster did not form");
        world.run_for(seconds(30));
        (0..8).for_each(|host| world.kill(host));
        world.run_for(seconds(3600));
        world.network.conditions.loss_per_mille = 200;
        for n in 2..=6 {
            world.move_to(usize::from(n) - 1, &[away(n)]);
        }
        let mut starts: Vec<(Duration, HostId)> = (0..8).map(|host| (world.dice.pause(seconds(120)), host)).collect();
        starts.sort_unstable();
        let began = world.now();
        for (at, host) in starts {
            let pause = (began + at).saturating_sub(world.now());
            world.run_for(pause);
            let clock = clock(&mut world);
            world.set_wall_clock(host, clock);
            world.start(host);
        }
        let time = world.run_until(seconds(60), World::whole);
        let time = time.unwrap_or_else(|| panic!("seed {seed}: not whole a minute after the last start"));
        worst = worst.max(time);
        world.network.conditions.loss_per_mille = 0;
        world.run_for(seconds(30));
        assert!(world.whole(), "seed {seed}: did not last");
    }
    println!("h01: whole at most {worst:?} after the last start");
}
