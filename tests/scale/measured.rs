//! What is measured: time to become whole, traffic in quiet times, healing.

use std::time::Duration;

use dddns::sim::world::World;

use crate::cluster::{joining, running};
use crate::healing::healing;

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

/// A cluster that has been running for ten minutes: by then round trips are right that were first taken from handshakes.
fn calm(seed: u64, hosts: usize) -> World {
    let mut world = running(seed, hosts);
    world.run_for(SECOND * 600);
    world
}

#[test]
#[ignore = "minutes of computing: prints the table of the figures"]
fn table() {
    println!("nodes  B/s out  B/s in  most in  datagrams/s  one mover  two  a tenth  all but one  joined in");
    for hosts in [3, 10, 30, 100, 300, 1000] {
        let cost = cost(&mut calm(1, hosts), hosts, 60);
        // Few nodes are soon played, and how long theirs take is more a matter of luck.
        let seeds = u64::try_from(300 / hosts).unwrap().clamp(1, 50);
        let movers = |count: usize| {
            // A world for each: whoever has moved before is not found as if it moved for the first time.
            let healed = |seed| healing(&mut calm(seed, hosts), hosts - count..hosts).unwrap_or(Duration::MAX);
            let mut times: Vec<Duration> = (1..=seeds).map(healed).collect();
            times.sort_unstable();
            format!("{:.1} s", times[times.len() / 2].as_secs_f32())
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
