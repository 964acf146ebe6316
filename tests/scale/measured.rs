//! What is measured: time to become whole, traffic in quiet times, healing.

use std::time::Duration;

use dddns::sim::world::World;

use crate::cluster::{away, home, joining, running};

const SECOND: Duration = Duration::from_secs(1);
/// What IPv4 and UDP add to a datagram, in bytes.
const HEADERS: u64 = 28;

/// Bytes and datagrams that a node sends and receives in a second, headers included: the mean, and the most of any node.
#[derive(Debug)]
pub(crate) struct Cost {
    pub(crate) out: (u64, u64),
    pub(crate) received: (u64, u64),
    pub(crate) datagrams: u64,
}

pub(crate) fn cost(world: &mut World, hosts: usize, seconds: u64) -> Cost {
    let all = |world: &World| (0..hosts).map(|host| world.traffic(host)).collect::<Vec<_>>();
    let before = all(world);
    world.run_for(SECOND * u32::try_from(seconds).unwrap());
    let after = all(world);
    let per_second = |count: &dyn Fn(usize) -> u64| {
        let counts: Vec<u64> = (0..hosts).map(|host| count(host) / seconds).collect();
        (counts.iter().sum::<u64>() / u64::try_from(hosts).unwrap(), *counts.iter().max().unwrap())
    };
    Cost {
        out: per_second(&|h| {
            after[h].bytes_out - before[h].bytes_out + HEADERS * (after[h].datagrams_out - before[h].datagrams_out)
        }),
        received: per_second(&|h| {
            after[h].bytes_in - before[h].bytes_in + HEADERS * (after[h].datagrams_in - before[h].datagrams_in)
        }),
        datagrams: per_second(&|h| after[h].datagrams_out - before[h].datagrams_out).0,
    }
}

#[test]
#[ignore = "minutes of computing: prints the table of the figures"]
fn table() {
    println!("nodes  B/s out  B/s in  most in  datagrams/s  one mover  two  a tenth  all but one  joined in");
    for hosts in [3, 10, 30, 100, 300, 1000] {
        let mut world = running(1, hosts);
        world.run_for(SECOND * 60);
        let cost = cost(&mut world, hosts, 60);
        let mut movers = |count: usize| {
            (hosts - count..hosts).for_each(|host| world.move_to(host, &[away(host)]));
            let healed = world.run_until(SECOND * 120, World::whole);
            (hosts - count..hosts).for_each(|host| world.move_to(host, &[home(host)]));
            world.run_until(SECOND * 120, World::whole);
            world.run_for(SECOND * 60);
            healed.map_or_else(|| "never".to_owned(), |time| format!("{:.1} s", time.as_secs_f32()))
        };
        let (one, two, tenth, most) = (movers(1), movers(2), movers(hosts.div_ceil(10)), movers(hosts - 1));
        let mut joined = joining(2, hosts, SECOND / 20);
        joined.run_until(SECOND * 600, World::whole);
        println!(
            "{hosts} {} {} {} {} {one} {two} {tenth} {most} {:.1} s",
            cost.out.0,
            cost.received.0,
            cost.received.1,
            cost.datagrams,
            joined.now().as_secs_f32(),
        );
    }
}
