//! Everything that can go wrong while nodes join, at once.

use std::time::Duration;

use dddns::auth::invite::Token;
use dddns::config::Heartbeat;
use dddns::node::event::{Event, Refusal};
use dddns::sim::world::{HostId, World};

use crate::cluster::{TODAY, config, formed, happened, home, invite, join_with, seed_range};

const DAY: Duration = Duration::from_secs(86_400);
const MINUTE: Duration = Duration::from_secs(60);

fn lists(world: &World, host: HostId, other: HostId) -> bool {
    world.peer(host, other).is_some()
}

/// Three members of which the third one is away for a day.
fn one_away_for_a_day(seed: u64) -> World {
    let mut world = formed(seed, 3);
    world.kill(2);
    for heartbeat in [Heartbeat::new(MINUTE).unwrap(), Heartbeat::default()] {
        for host in 0..2 {
            world.kill(host);
            world.config(host).heartbeat = heartbeat;
            world.start(host);
        }
        if heartbeat != Heartbeat::default() {
            world.run_for(DAY);
        }
    }
    world
}

/// A machine stops without notice and starts again: a joiner begins again with its token, unless it was refused.
fn crash(world: &mut World, host: HostId, token: Option<&Token>) {
    let refused = happened(world, host, |event| matches!(event, Event::JoinRefused { .. })) > 0;
    if refused {
        return;
    }
    world.kill(host);
    let down = world.dice.pause(Duration::from_secs(3));
    world.run_for(down);
    world.start(host);
    if let Some(token) = token {
        // A member of whom another one has been heard needs no token any more.
        let _ = world.command(host, |node, now| node.join(now, token));
    }
}

/// H9: 40 % of all datagrams are lost, machines crash between the messages, two nodes have one invite, and a member
/// that was away for a day comes back meanwhile.
#[test]
fn h09_joining_ends_well_in_any_chaos() {
    for seed in seed_range(50) {
        let mut world = one_away_for_a_day(seed);
        world.network.conditions.loss_per_mille = 400;
        world.network.conditions.jitter = Duration::from_millis(100);
        let [contested, own] = [0, 1].map(|inviter| invite(&mut world, inviter, DAY));
        let tokens = [None, None, None, Some(&contested), Some(&contested), Some(&own)];
        for (host, token) in (0..).zip(tokens) {
            if let Some(token) = token {
                let n = u8::try_from(host + 1).unwrap();
                let added = world.add_host(config(n), &[home(n)], TODAY);
                assert_eq!(added, host);
                join_with(&mut world, host, token);
            }
        }
        world.start(2);
        for _ in 0..8 {
            let pause = world.dice.pause(Duration::from_secs(3));
            world.run_for(pause);
            let host = usize::try_from(world.dice.below(6)).unwrap();
            crash(&mut world, host, tokens[host]);
        }
        world.run_for(2 * MINUTE);
        // What is left of the chaos is settled as soon as datagrams arrive.
        world.network.conditions.loss_per_mille = 0;
        let winner = if lists(&world, 0, 3) { 3 } else { 4 };
        let members = [0, 1, 2, winner, 5];
        let settled =
            |world: &World| members.iter().all(|&a| members.iter().filter(|b| **b != a).all(|&b| world.knows(a, b)));
        assert!(world.run_until(2 * MINUTE, settled).is_some(), "seed {seed}");
        let loser = 7 - winner;
        assert!(members.iter().all(|&host| !lists(&world, host, loser)), "seed {seed}: one invite let two in");
        let told = |event: &Event| matches!(event, Event::JoinRefused { reason: Refusal::Used });
        assert!(happened(&world, loser, told) >= 1, "seed {seed}");
        world.kill(loser);
        world.start(loser);
        assert!(world.status(loser).cluster.is_none(), "seed {seed}");
    }
}
