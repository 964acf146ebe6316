//! Members removed, leaving, away and at the bound: all lists end alike, and who was removed stays removed.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use dddns::auth::drbg::Drbg;
use dddns::config::{Cluster, ClusterKey, Heartbeat, MaxMembers, Peer};
use dddns::node::error::CommandError;
use dddns::node::event::{Event, Refusal, Who};
use dddns::node::status::PeerState;
use dddns::sim::adversary::Interference;
use dddns::sim::world::{Flight, HostId, World};
use dddns::wire::id::{ClusterId, NodeId};
use dddns::wire::kind::Kind;
use dddns::wire::record::{MemberRecord, MemberState};

use crate::cluster::{
    TODAY, away, config, configured, formed, happened, home, invite, join, join_with, kind, seed_range,
};

const DAY: Duration = Duration::from_secs(86_400);
const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// A cluster whose members speak seldom, so that a day takes moments.
fn slow(seed: u64, n: u8) -> World {
    let mut world = formed(seed, n);
    for host in 0..n.into() {
        world.kill(host);
        world.config(host).heartbeat = Heartbeat::new(MINUTE).unwrap();
        world.start(host);
    }
    assert!(world.run_until(MINUTE, World::whole).is_some());
    world
}

fn forget(world: &mut World, host: HostId, gone: HostId) {
    let id = world.id(gone);
    world.command(host, |node, now| node.forget(now, id)).unwrap();
}

/// Whether the node of `host` has `other` as a member.
fn lists(world: &World, host: HostId, other: HostId) -> bool {
    world.peer(host, other).is_some()
}

/// Whether the node of a host takes itself for a member: it makes invites.
fn believes(world: &mut World, host: HostId) -> bool {
    let at = world.addresses(host).to_vec();
    world.command(host, |node, now| node.create_invite(now, MINUTE, &at)).is_ok()
}

/// By whom a host's node was told that it was removed.
fn removals(world: &World, host: HostId) -> Vec<Option<NodeId>> {
    let by = |event: &Event| if let Event::Removed { by } = event { Some(by.map(|by: Who| by.id)) } else { None };
    world.events(host).iter().filter_map(|(_, event)| by(event)).collect()
}

/// How many datagrams of a type these hosts send in this time.
fn sent(world: &mut World, time: Duration, wanted: Kind) -> usize {
    world.tap();
    world.run_for(time);
    world.tapped().iter().filter(|flight| kind(flight) == wanted).count()
}

#[test]
fn a_removed_node_is_gone_everywhere_and_knows_by_whom() {
    let mut world = formed(1, 4);
    forget(&mut world, 1, 3);
    world.run_for(Duration::from_secs(1));
    for host in 0..3 {
        assert!(!lists(&world, host, 3), "host {host}");
        let removed = |event: &Event| matches!(event, Event::MemberRemoved { peer } if peer.id == world.id(3));
        assert_eq!(happened(&world, host, removed), 1, "host {host}");
    }
    assert_eq!(removals(&world, 3), [Some(world.id(1))]);
    assert!(world.status(3).peers.is_empty() && !world.status(3).orphan);
    assert_eq!(happened(&world, 3, |event| matches!(event, Event::Recovered)), 0, "nobody answers it again");
    world.run_for(MINUTE);
    assert!((0..3).all(|a| (0..3).filter(|b| *b != a).all(|b| world.knows(a, b))));
    world.tap();
    world.run_for(10 * MINUTE);
    let silent = world.tapped().iter().all(|flight| flight.from != home(4) && flight.to != home(4));
    assert!(silent, "nobody talks to it, nor it to anybody");
}

#[test]
fn a_command_that_removes_nobody_says_why() {
    let mut world = formed(2, 3);
    let [own, stranger] = [world.id(0), NodeId([9; 16])];
    assert_eq!(world.command(0, |node, now| node.forget(now, own)), Err(CommandError::Itself));
    assert_eq!(world.command(0, |node, now| node.forget(now, stranger)), Err(CommandError::UnknownPeer));
    forget(&mut world, 0, 2);
    let gone = world.id(2);
    assert_eq!(world.command(0, |node, now| node.forget(now, gone)), Err(CommandError::UnknownPeer));
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.command(2, |node, now| node.forget(now, own)), Err(CommandError::Removed));
    let lone = world.add_host(config(9), &[home(9)], TODAY);
    world.start(lone);
    assert_eq!(world.command(lone, |node, now| node.forget(now, own)), Err(CommandError::NoCluster));
    assert_eq!(world.command(lone, |node, now| node.leave(now)), Err(CommandError::NoCluster));
}

#[test]
fn a_node_that_was_away_when_it_was_removed_is_told_when_it_calls() {
    for seed in seed_range(3) {
        let mut world = slow(seed, 4);
        world.kill(3);
        world.run_for(MINUTE);
        forget(&mut world, 1, 3);
        world.run_for(DAY);
        world.network.conditions.loss_per_mille = 300;
        world.start(3);
        let told = world.run_until(MINUTE, |world| !removals(world, 3).is_empty());
        assert!(told.is_some(), "seed {seed}");
        assert_eq!(removals(&world, 3), [Some(world.id(1))], "seed {seed}");
        assert!((0..3).all(|host| !lists(&world, host, 3)), "seed {seed}");
        // It stays so through its restarts, in which it calls nobody.
        world.kill(3);
        world.start(3);
        world.tap();
        world.run_for(MINUTE);
        assert!(world.tapped().iter().all(|flight| flight.from != home(4)), "seed {seed}");
        assert_eq!(removals(&world, 3).len(), 2, "seed {seed}: told at its start");
    }
}

/// Spec: MEMB-16.
#[test]
fn a_removed_node_comes_back_by_a_new_invite_only() {
    let mut world = formed(4, 2);
    let host = world.add_host(config(3), &[home(3)], TODAY);
    let old = invite(&mut world, 0, DAY);
    join_with(&mut world, host, &old);
    assert!(world.run_until(MINUTE, World::whole).is_some());
    forget(&mut world, 1, host);
    world.run_for(Duration::from_secs(5));

    world.command(host, |node, now| node.join(now, &old)).unwrap();
    world.run_for(MINUTE);
    let refused = |event: &Event| matches!(event, Event::JoinRefused { reason: Refusal::Used });
    assert_eq!(happened(&world, host, refused), 1, "the invite that let it in is spent");
    let inviter = world.id(0);
    let in_vain = world.command(host, |node, now| node.forget(now, inviter)).unwrap_err();
    assert_eq!(in_vain, CommandError::Removed, "a refusal changes nothing");

    let new = invite(&mut world, 0, DAY);
    world.command(host, |node, now| node.join(now, &new)).unwrap();
    assert!(world.run_until(MINUTE, World::whole).is_some());
    world.run_for(MINUTE);
    assert!(world.whole() && lists(&world, 1, host));
}

/// Its confirmation is lost, so whoever it calls as a member has only its removal to tell.
#[test]
fn a_removed_node_comes_back_although_its_confirmation_is_lost() {
    for seed in seed_range(10) {
        for silence in (0..=12).map(Duration::from_secs) {
            let mut world = formed(seed, 4);
            world.command(3, |node, now| node.leave(now)).unwrap();
            world.run_for(MINUTE);
            let token = invite(&mut world, 0, DAY);
            let until = world.now() + silence;
            world.set_adversary(Some(Box::new(move |now, flight| {
                let tagged = !matches!(kind(flight), Kind::INITIATION | Kind::RESPONSE);
                Interference { drop: flight.from == home(4) && tagged && now < until, sends: Vec::new() }
            })));
            world.command(3, |node, now| node.join(now, &token)).unwrap();
            let took = world.run_until(MINUTE, World::whole);
            assert!(
                took.is_some_and(|took| took < silence + Duration::from_secs(15)),
                "{silence:?}, seed {seed}: {took:?}"
            );
        }
    }
}

/// What it was told of its earlier membership arrives when it is a member again, but knows no more than that.
#[test]
fn a_removal_that_was_held_back_ends_no_later_membership() {
    for seed in seed_range(10) {
        let mut world = formed(seed, 4);
        world.command(3, |node, now| node.leave(now)).unwrap();
        world.run_for(MINUTE);
        let token = invite(&mut world, 0, DAY);
        let began = world.now();
        let mut held: Option<Flight> = None;
        let mut released: Option<Duration> = None;
        let injected = Rc::new(Cell::new(false));
        let done = Rc::clone(&injected);
        world.set_adversary(Some(Box::new(move |now, flight| {
            let (sent, got) = (flight.from == home(4), flight.to == home(4));
            let confirmation = sent && now < began + Duration::from_secs(3) && kind(flight) != Kind::INITIATION;
            let page = got && kind(flight) == Kind::MEMBERS && released.is_none_or(|at| now < at + SECOND);
            if page && released.is_none() {
                held = Some(flight.clone());
            }
            let mut sends = Vec::new();
            if got && kind(flight) == Kind::HEARTBEAT_ACK && released.is_none() {
                released = Some(now);
                sends.extend(held.take().map(|flight| (Duration::from_millis(50), flight)));
                done.set(!sends.is_empty());
            }
            Interference { drop: confirmation || page, sends }
        })));
        world.command(3, |node, now| node.join(now, &token)).unwrap();
        assert!(world.run_until(MINUTE, World::whole).is_some(), "seed {seed}");
        assert!(injected.get() && removals(&world, 3).is_empty(), "seed {seed}");
    }
}

/// Nodes leave, are removed, lose power and join again while much is lost: in the end each is a member for all or for none,
/// itself included.
#[test]
fn nobody_takes_itself_for_a_member_that_the_others_do_not_know() {
    for seed in seed_range(40) {
        let mut chance = Drbg::new([u8::try_from(seed % 251).unwrap(); 32]);
        let mut world = formed(seed, 4);
        for _ in 0..12 {
            let [host, what, loss, pause] = chance.array();
            let host = HostId::from(host % 3) + 1;
            world.network.conditions.loss_per_mille = u16::from(loss) * 2;
            match what % 4 {
                _ if !world.runs(host) => world.start(host),
                0 if lists(&world, 0, host) => forget(&mut world, 0, host),
                1 if lists(&world, 0, host) => world.kill(host),
                2 if believes(&mut world, host) => world.command(host, |node, now| node.leave(now)).unwrap(),
                _ if !believes(&mut world, host) => join(&mut world, 0, host),
                _ => {}
            }
            world.run_for(Duration::from_millis(u64::from(pause) * 40));
        }
        world.network.conditions.loss_per_mille = 0;
        for host in 0..4 {
            if !world.runs(host) {
                world.start(host);
            }
        }
        world.run_for(10 * MINUTE);
        let members: Vec<HostId> = (0..4).filter(|&host| believes(&mut world, host)).collect();
        // Where it said that nobody has confirmed its leaving, the others may not know.
        let unheard = |event: &Event| matches!(event, Event::Left { confirmed: 0, .. });
        let judged: Vec<HostId> =
            (0..4).filter(|host| members.contains(host) || happened(&world, *host, unheard) == 0).collect();
        for &host in &members {
            for &other in judged.iter().filter(|other| **other != host) {
                assert_eq!(lists(&world, host, other), members.contains(&other), "seed {seed}: {other} for {host}");
                assert_eq!(world.knows(host, other), members.contains(&other), "seed {seed}: {other} for {host}");
            }
        }
    }
}

/// H7: its disk is lost, and everything that it and the others ever sent comes again for a day.
#[test]
fn h07_whatever_is_replayed_a_removed_node_stays_removed() {
    for seed in seed_range(50) {
        let mut world = World::new(seed);
        world.tap();
        crate::cluster::found(&mut world, TODAY);
        for n in 2..=4 {
            let host = world.add_host(config(n), &[home(n)], TODAY);
            join(&mut world, 0, host);
        }
        assert!(world.run_until(MINUTE, World::whole).is_some());
        world.run_for(Duration::from_secs(20));
        forget(&mut world, 1, 3);
        world.run_for(Duration::from_secs(20));
        let past = world.tapped();
        world.kill(3);
        world.erase(3);
        // A remaining member has lost its state too, but for what provisioning gave it.
        world.kill(2);
        world.erase(2);
        let peers = [0, 1].map(|host| Peer {
            name: world.config(host).name,
            public_key: world.identity(host).public_key(),
            addresses: world.addresses(host).to_vec(),
        });
        world.config(2).peers = peers.to_vec();
        world.set_cluster(2, crate::cluster::secrets());
        for host in 0..2 {
            world.kill(host);
            world.config(host).heartbeat = Heartbeat::new(MINUTE).unwrap();
            world.start(host);
        }
        world.config(2).heartbeat = Heartbeat::new(MINUTE).unwrap();
        world.start(2);
        world.start(3);
        let pause = DAY / u32::try_from(past.len()).unwrap();
        for flight in past {
            world.inject(flight);
            world.run_for(pause);
            assert!((0..3).all(|host| !lists(&world, host, 3)), "seed {seed} at {:?}", world.now());
        }
        world.run_for(MINUTE);
        assert!((0..3).all(|a| (0..3).filter(|b| *b != a).all(|b| world.knows(a, b))), "seed {seed}");
        assert!(world.status(3).peers.is_empty(), "seed {seed}");
    }
}

#[test]
fn members_that_were_away_for_a_day_neither_bring_a_removed_one_back_nor_miss_a_new_one() {
    for seed in seed_range(1) {
        let mut world = slow(seed, 5);
        world.kill(4);
        world.kill(2);
        world.run_for(MINUTE);
        forget(&mut world, 0, 3);
        world.run_for(Duration::from_secs(10));
        world.kill(3);
        let new = world.add_host(config(6), &[home(6)], TODAY);
        world.config(new).heartbeat = Heartbeat::new(MINUTE).unwrap();
        join(&mut world, 1, new);
        world.run_for(DAY);
        world.network.conditions.loss_per_mille = 300;
        // The two that were away meet each other first, and the removed one as well.
        for host in [2, 3, 4] {
            world.start(host);
        }
        let members = [0, 1, 2, 4, new];
        let settled = |world: &World| {
            members
                .iter()
                .all(|&a| !lists(world, a, 3) && members.iter().filter(|b| **b != a).all(|&b| lists(world, a, b)))
        };
        assert!(world.run_until(2 * MINUTE, settled).is_some(), "seed {seed}");
        assert!(world.run_until(MINUTE, |world| !removals(world, 3).is_empty()).is_some(), "seed {seed}");
        world.run_for(10 * MINUTE);
        assert!(settled(&world), "seed {seed}: and it stays so");
    }
}

/// Spec: MEMB-17.
#[test]
fn a_node_that_leaves_is_removed_everywhere_and_keeps_nothing_but_its_key() {
    let (mut unconfirmed, mut runs) = (0, 0);
    for seed in seed_range(10) {
        let mut world = formed(seed, 4);
        world.network.conditions.loss_per_mille = if seed < 5 { 0 } else { 300 };
        world.command(3, |node, now| node.leave(now)).unwrap();
        let left = |event: &Event| matches!(event, Event::Left { others: 3, .. });
        let took = world.run_until(Duration::from_secs(5), |world| happened(world, 3, left) == 1);
        let longest = if seed < 5 { 200 } else { 3_500 };
        assert!(took.is_some_and(|took| took < Duration::from_millis(longest)), "seed {seed}: {took:?}");
        let all = happened(&world, 3, |event| matches!(event, Event::Left { confirmed: 3, .. }));
        assert!(all == 1 || seed >= 5, "seed {seed}");
        unconfirmed += happened(&world, 3, |event| matches!(event, Event::Left { confirmed: 0, .. }));
        runs += 1;
        world.run_for(Duration::from_secs(20));
        assert!((0..3).all(|host| !lists(&world, host, 3)), "seed {seed}");
        assert!(world.status(3).cluster.is_none() && world.status(3).peers.is_empty());
        let saved = world.command(3, |node, _| node.saved());
        assert!(saved.members.is_empty() && saved.addresses.is_empty(), "seed {seed}");
        // And it may join again.
        let token = invite(&mut world, 0, DAY);
        world.command(3, |node, now| node.join(now, &token)).unwrap();
        assert!(world.run_until(2 * MINUTE, World::whole).is_some(), "seed {seed}");
    }
    // All three confirmations have to be lost: they are not repeated, since their sessions are gone.
    assert!(unconfirmed * 20 <= runs, "nobody confirmed {unconfirmed} of {runs}");
}

#[test]
fn a_node_that_leaves_tells_peers_that_have_just_fallen_silent() {
    for seed in seed_range(10) {
        let mut world = formed(seed, 3);
        world.set_adversary(Some(Box::new(|_, flight| Interference {
            drop: [flight.from, flight.to].contains(&home(3)),
            sends: Vec::new(),
        })));
        let suspects = |world: &World| (0..2).all(|other| world.peer(2, other).unwrap().state == PeerState::Suspect);
        assert!(world.run_until(MINUTE, suspects).is_some(), "seed {seed}");
        world.set_adversary(None);
        world.command(2, |node, now| node.leave(now)).unwrap();
        world.run_for(Duration::from_secs(5));
        assert!((0..2).all(|host| !lists(&world, host, 2)), "seed {seed}");
    }
}

#[test]
fn a_node_that_leaves_alone_says_that_nobody_heard() {
    let mut world = formed(5, 2);
    world.kill(1);
    world.run_for(2 * MINUTE);
    world.command(0, |node, now| node.leave(now)).unwrap();
    assert_eq!(happened(&world, 0, |event| matches!(event, Event::Left { confirmed: 0, others: 1 })), 1);
    assert!(world.status(0).cluster.is_none());
}

/// P25: an admission reaches all within two intervals.
#[test]
fn an_admission_reaches_everybody_within_two_intervals() {
    for seed in seed_range(10) {
        let mut world = formed(seed, 8);
        let new = world.add_host(config(9), &[home(9)], TODAY);
        join(&mut world, 3, new);
        let all =
            |world: &World| (0..8).all(|host| lists(world, host, new)) && (0..8).all(|host| lists(world, new, host));
        let took = world.run_until(Duration::from_secs(20), all);
        assert!(took.is_some(), "seed {seed}");
    }
}

/// A list of many pages, of which every third datagram is lost.
#[test]
fn a_long_list_arrives_although_pages_are_lost() {
    for (seed, loss) in [(0, 0), (1, 300), (2, 400)] {
        let mut world = formed(seed, 2);
        world.kill(0);
        world.disk(0).members.extend((0..500_u16).map(invented_removal));
        world.network.conditions.loss_per_mille = loss;
        world.start(0);
        let length = |world: &mut World| world.command(1, |node, _| node.saved().members.len());
        let mut waited = 0;
        while length(&mut world) < 502 {
            world.run_for(Duration::from_secs(1));
            waited += 1;
            assert!(waited < 400, "seed {seed}: {} records", length(&mut world));
        }
        world.run_for(MINUTE);
        assert_eq!(sent(&mut world, 10 * MINUTE, Kind::MEMBERS_REQUEST), 0, "seed {seed}: and then nobody asks again");
    }
}

/// One round trip a page, and no waiting in between.
#[test]
fn a_joiner_reads_a_long_list_at_once() {
    let mut world = formed(8, 2);
    world.kill(0);
    world.disk(0).members.extend((0..500_u16).map(invented_removal));
    world.start(0);
    let joiner = world.add_host(config(3), &[home(3)], TODAY);
    join(&mut world, 0, joiner);
    world.run_for(Duration::from_secs(4));
    assert_eq!(world.command(joiner, |node, _| node.saved().members.len()), 503);
}

/// MEMB-13.
/// Spec: MEMB-13.
#[test]
fn nodes_with_different_bounds_do_not_read_each_others_lists_for_ever() {
    let mut world = configured(6, 5);
    for host in 0..2 {
        world.kill(host);
        world.config(host).max_members = MaxMembers::new(3).unwrap();
        world.start(host);
    }
    world.run_for(10 * MINUTE);
    assert_eq!(world.status(0).peers.len(), 2);
    assert_eq!(world.status(4).peers.len(), 4);
    // Two keep three members and three keep five: each of the twelve reads of a list that differs is made once in about
    // ten minutes.
    let asked = sent(&mut world, 60 * MINUTE, Kind::MEMBERS_REQUEST);
    assert!(asked <= 12 * 8, "{asked} requests in an hour");
}

/// MEMB-10: two inviters admit one each while there is room for one.
#[test]
fn all_nodes_keep_the_same_of_two_that_were_admitted_at_the_last_moment() {
    for seed in seed_range(10) {
        let mut world = formed(seed, 3);
        for host in 0..3 {
            world.kill(host);
            world.config(host).max_members = MaxMembers::new(4).unwrap();
            world.start(host);
        }
        assert!(world.run_until(MINUTE, World::whole).is_some());
        let late = [4, 5].map(|n| world.add_host(config(n), &[home(n)], TODAY));
        for host in late {
            world.config(host).max_members = MaxMembers::new(4).unwrap();
        }
        join(&mut world, 0, late[0]);
        join(&mut world, 1, late[1]);
        world.run_for(2 * MINUTE);
        let kept: Vec<Vec<bool>> =
            (0..3).map(|host| late.iter().map(|&other| lists(&world, host, other)).collect()).collect();
        assert!(kept.iter().all(|of| *of == kept[0]), "seed {seed}: {kept:?}");
        assert_eq!(kept[0].iter().filter(|kept| **kept).count(), 1, "seed {seed}");
        assert!((0..3).all(|a| (0..3).filter(|b| *b != a).all(|b| world.knows(a, b))), "seed {seed}");
    }
}

#[test]
fn a_name_changes_by_configuration_and_never_by_a_move() {
    let mut world = formed(7, 3);
    world.move_to(1, &[away(2)]);
    assert!(world.run_until(MINUTE, World::whole).is_some());
    assert!([0, 2].iter().all(|&host| world.peer(host, 1).unwrap().name.as_str() == "node-2"));
    world.stop(1);
    world.config(1).name = "attic".parse().unwrap();
    world.start(1);
    let renamed = |world: &World| [0, 2].iter().all(|&host| world.peer(host, 1).unwrap().name.as_str() == "attic");
    assert!(world.run_until(Duration::from_secs(20), renamed).is_some());
}

fn invented_removal(n: u16) -> MemberRecord {
    let mut key = [0x5A; 32];
    key[..2].copy_from_slice(&n.to_be_bytes());
    MemberRecord {
        public_key: dddns::wire::id::PublicKey(key),
        admitted_by: NodeId([1; 16]),
        admission: 1,
        state: MemberState::Removed,
        revision: 0,
        name: format!("gone-{n}").parse().unwrap(),
    }
}

/// Spec: `spec/membership.md` section 5.
#[test]
fn an_invite_ends_with_the_membership_of_whoever_made_it() {
    let mut world = formed(25, 2);
    let token = invite(&mut world, 1, DAY);
    world.command(1, |node, now| node.leave(now)).unwrap();
    world.run_for(Duration::from_secs(10));
    assert!(world.status(1).cluster.is_none());
    let mut other = config(7);
    other.cluster = Some(Cluster { id: ClusterId([0x77; 16]), key: ClusterKey([0x78; 32]) });
    let founder = world.add_host(other, &[home(7)], TODAY);
    world.start(founder);
    let way_in = invite(&mut world, founder, DAY);
    world.command(1, |node, now| node.join(now, &way_in)).unwrap();
    assert!(world.run_until(Duration::from_secs(30), |world| world.knows(1, founder)).is_some());
    let late = world.add_host(config(9), &[home(9)], TODAY);
    join_with(&mut world, late, &token);
    world.run_for(Duration::from_secs(30));
    assert!(world.status(late).cluster.is_none());
}

#[test]
fn a_removed_node_that_starts_again_talks_to_nobody() {
    let mut world = formed(29, 4);
    forget(&mut world, 1, 3);
    world.run_for(Duration::from_secs(1));
    world.kill(3);
    world.start(3);
    world.tap();
    world.run_for(5 * MINUTE);
    assert_eq!(world.tapped().iter().filter(|flight| flight.from == home(4)).count(), 0);
    assert!(world.status(3).peers.iter().all(|peer| !peer.linked));
    assert_eq!(happened(&world, 3, |event| matches!(event, Event::Orphan)), 0);
}

/// Neither when the joiner knocks nor, where storing fails in between, when it confirms.
#[test]
fn nobody_is_let_in_who_cannot_be_stored() {
    for before_failure in [Duration::ZERO, Duration::from_millis(30)] {
        let mut world = formed(1, 2);
        let token = invite(&mut world, 0, DAY);
        let joiner = world.add_host(config(3), &[home(3)], TODAY);
        join_with(&mut world, joiner, &token);
        world.run_for(before_failure);
        world.command(0, |node, _| node.set_durable(false));
        world.run_for(MINUTE);
        assert!(!lists(&world, 0, joiner) && !lists(&world, 1, joiner));
        let joined = happened(&world, joiner, |event| matches!(event, Event::Joined { .. }));
        assert_eq!(joined, usize::from(before_failure > Duration::ZERO));

        world.command(0, |node, _| node.set_durable(true));
        world.run_for(MINUTE);
        assert!(world.knows(0, joiner) && world.knows(joiner, 0), "the invite is as good as it was");
    }
}

#[test]
fn a_node_that_is_leaving_joins_nothing() {
    let mut world = formed(1, 4);
    // Host 2 confirms nothing, so leaving takes its time.
    world.kill(2);
    let token = invite(&mut world, 0, DAY);
    world.command(3, |node, now| node.leave(now)).unwrap();
    world.run_for(Duration::from_millis(700));
    assert_eq!(world.command(3, |node, now| node.join(now, &token)), Err(CommandError::HasCluster));
    world.run_for(MINUTE);
    assert!(!lists(&world, 0, 3));
    join_with(&mut world, 3, &token);
    world.run_for(MINUTE);
    assert!(world.knows(0, 3) && world.knows(3, 0));
}

/// News end the reading of a list of two pages early, before the joiner's own record has come, and the others have missed
/// that it was let in.
#[test]
fn a_joiner_that_was_removed_before_believes_no_old_removal_until_its_own_record_has_come() {
    for seed in seed_range(10) {
        let mut world = formed(seed, 14);
        // The last in the list.
        let back = (1..14).max_by_key(|&host| world.id(host)).unwrap();
        world.command(back, |node, now| node.leave(now)).unwrap();
        world.run_for(MINUTE);
        let (token, other) = (invite(&mut world, 0, DAY), invite(&mut world, 0, DAY));
        let (to, until) = (world.addresses(back)[0], world.now() + SECOND);
        let mut lost = false;
        world.set_adversary(Some(Box::new(move |now, flight| {
            let page = flight.from == home(1) && kind(flight) == Kind::MEMBERS;
            let news = page && flight.to != to && now < until;
            // Fewer than nine records, and more than one.
            let last = page && flight.to == to && (300..1100).contains(&flight.datagram.len()) && !lost;
            lost |= last;
            Interference { drop: news || last, sends: Vec::new() }
        })));
        world.command(back, |node, now| node.join(now, &token)).unwrap();
        world.run_for(Duration::from_millis(100));
        let new = world.add_host(config(15), &[home(15)], TODAY);
        join_with(&mut world, new, &other);
        world.run_for(MINUTE);
        world.set_adversary(None);
        world.run_for(MINUTE);
        assert_eq!(removals(&world, back).len(), 0, "seed {seed}: it took an earlier removal for this one");
        assert!(world.knows(0, back) && world.knows(back, 0), "seed {seed}");
    }
}
