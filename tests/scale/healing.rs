//! Many nodes that move, together and one by one.

use std::time::Duration;

use dddns::sim::world::World;

use crate::cluster::{away, running};

const SECOND: Duration = Duration::from_secs(1);

/// How long it takes until all is whole after so many hosts have moved at once.
pub(crate) fn healing(world: &mut World, movers: std::ops::Range<usize>) -> Option<Duration> {
    movers.for_each(|host| world.move_to(host, &[away(host)]));
    world.run_until(SECOND * 120, World::whole)
}

fn heals(seed: u64, hosts: usize, movers: std::ops::Range<usize>, within: Duration) {
    let mut world = running(seed, hosts);
    let healed = healing(&mut world, movers).unwrap_or_else(|| panic!("seed {seed}: not whole after two minutes"));
    println!("seed {seed}: {healed:?}");
    assert!(healed <= within, "seed {seed}: {healed:?}");
    world.run_for(SECOND * 60);
    assert!(world.whole(), "seed {seed}: did not last");
}

#[test]
fn one_that_moves_is_found_by_its_neighbours() {
    heals(1, 140, 139..140, SECOND * 4);
}

#[test]
fn a_tenth_moves_at_once() {
    heals(2, 140, 126..140, SECOND * 15);
}

/// Spec: SCALE-12, SCALE-13.
#[test]
fn all_but_one_move_at_once() {
    heals(3, 140, 1..140, SECOND * 30);
}

#[test]
#[ignore = "minutes of computing"]
fn all_but_one_of_a_thousand_move_at_once() {
    heals(4, 1000, 1..1000, SECOND * 60);
}
