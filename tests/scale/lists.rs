//! Member lists that differ: fetched when that is of use, and not without end when it is not.

use std::time::Duration;

use dddns::config::MaxMembers;
use dddns::sim::world::World;

use crate::cluster::{joining, stored};

const SECOND: Duration = Duration::from_secs(1);
const MEMBERS_REQUEST: u8 = 0x23;

fn requests(world: &mut World, time: Duration) -> usize {
    world.tap();
    world.run_for(time);
    world.tapped().iter().filter(|flight| flight.datagram.get(1) == Some(&MEMBERS_REQUEST)).count()
}

#[test]
fn lists_that_are_bounded_differently_are_fetched_once_in_vain() {
    let mut world = stored(1, 12);
    world.config(0).max_members = MaxMembers::new(6).unwrap();
    (0..12).for_each(|host| world.start(host));
    world.run_for(SECOND * 60);
    // Two pages each: the bounded one from one of the others, all others from it.
    let requests = requests(&mut world, SECOND * 300);
    assert!(requests <= 30, "{requests} requests in five minutes");
}

#[test]
fn a_list_that_lacks_what_another_has_is_completed() {
    let mut world = stored(2, 30);
    let half = world.disk(0).members.len() / 2;
    for host in 0..30 {
        let own = world.id(host);
        let first = host % 2 == 0;
        let mut kept = world.disk(host).members.clone();
        let mut place = 0;
        kept.retain(|record| {
            place += 1;
            record.id() == own || (place <= half + 2) == first
        });
        world.disk(host).members = kept;
    }
    (0..30).for_each(|host| world.start(host));
    assert!(world.run_until(SECOND * 60, World::whole).is_some());
}

/// Spec: SCALE-10.
#[test]
fn many_that_join_at_once_all_become_members() {
    let mut world = joining(3, 60, Duration::from_millis(30));
    let whole = world.run_until(SECOND * 60, World::whole);
    assert!(whole.is_some());
    // What was told in the bustle is compared with the next heartbeats.
    world.run_for(SECOND * 60);
    assert_eq!(requests(&mut world, SECOND * 60), 0, "all lists are the same");
}
