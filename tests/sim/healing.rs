//! Healing: nodes move, stop and come back, and everybody knows where everybody is again.

use std::time::Duration;

use dddns::sim::world::World;

use crate::cluster::{away, formed};

const SEEDS: u64 = 50;

fn median_and_max(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort();
    (times[times.len() / 2], times[times.len() - 1])
}

#[test]
fn one_mover_is_found_by_all() {
    let times = (0..SEEDS).map(|seed| {
        let mut world = formed(seed, 3);
        world.run_for(Duration::from_millis(100 * seed));
        world.move_to(1, &[away(2)]);
        world.run_until(Duration::from_secs(60), World::whole).unwrap_or_else(|| panic!("seed {seed}"))
    });
    let (median, max) = median_and_max(times.collect());
    println!("one mover: median {median:?}, max {max:?}");
    assert!(median <= Duration::from_secs(2) && max <= Duration::from_secs(4), "median {median:?}, max {max:?}");
}

#[test]
fn two_movers_find_each_other_through_the_third() {
    let times = (0..SEEDS).map(|seed| {
        let mut world = formed(seed, 3);
        world.run_for(Duration::from_millis(100 * seed));
        world.move_to(1, &[away(2)]);
        world.move_to(2, &[away(3)]);
        world.run_until(Duration::from_secs(60), World::whole).unwrap_or_else(|| panic!("seed {seed}"))
    });
    let (median, max) = median_and_max(times.collect());
    println!("two movers: median {median:?}, max {max:?}");
    assert!(median <= Duration::from_secs(3) && max <= Duration::from_secs(10), "median {median:?}, max {max:?}");
}

#[test]
fn a_node_that_moves_while_all_others_are_stopped_finds_them_again() {
    for seed in 0..SEEDS {
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
