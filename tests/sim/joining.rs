//! Joining: by invite and by configuration, while datagrams are lost and machines stop.

use std::time::Duration;

use dddns::auth::invite::Token;
use dddns::config::{MaxMembers, Peer};
use dddns::node::error::CommandError;
use dddns::node::event::{Event, Refusal};
use dddns::sim::adversary::Interference;
use dddns::sim::world::{HostId, World};
use dddns::wire::kind::Kind;
use dddns::wire::record::{MemberRecord, MemberState};

use crate::cluster::{
    TODAY, config, configured, formed, found, happened, home, invite, join, join_with, kind, secrets, seed_range,
};

const DAY: Duration = Duration::from_secs(86_400);
const MINUTE: Duration = Duration::from_secs(60);

fn refused(world: &World, host: HostId) -> Vec<Refusal> {
    let reason = |event: &Event| if let Event::JoinRefused { reason } = event { Some(*reason) } else { None };
    world.events(host).iter().filter_map(|(_, event)| reason(event)).collect()
}

fn joined(world: &World, host: HostId) -> usize {
    happened(world, host, |event| matches!(event, Event::Joined { .. }))
}

/// A founder, and hosts that are switched off.
fn founder_and(seed: u64, strangers: u8) -> World {
    let mut world = World::new(seed);
    found(&mut world, TODAY);
    for n in 2..2 + strangers {
        world.add_host(config(n), &[home(n)], TODAY);
    }
    world
}

#[test]
fn three_nodes_form_a_cluster_by_invites_through_the_first() {
    let world = formed(1, 3);
    for host in 0..3 {
        let status = world.status(host);
        assert_eq!(status.peers.len(), 2);
        assert_eq!(status.addresses[0].confidence.as_str(), "agreed");
    }
}

#[test]
fn two_nodes_know_themselves_from_a_single_observer() {
    let world = formed(2, 2);
    assert_eq!(world.status(0).addresses[0].confidence.as_str(), "single-observer");
}

#[test]
fn nodes_that_know_each_other_from_their_configuration_need_no_invite() {
    let mut world = configured(3, 3);
    assert!(world.run_until(Duration::from_secs(10), World::whole).is_some());
}

#[test]
fn a_third_node_joins_through_the_second() {
    let mut world = founder_and(4, 2);
    join(&mut world, 0, 1);
    assert!(world.run_until(MINUTE, World::whole).is_some());
    join(&mut world, 1, 2);
    assert!(world.run_until(Duration::from_secs(10), World::whole).is_some());
}

/// What a host has stored of a node.
fn record(world: &mut World, host: HostId, of: HostId) -> Option<MemberRecord> {
    let id = world.id(of);
    world.command(host, |node, _| node.saved()).members.into_iter().find(|record| record.id() == id)
}

/// Has a host know another one from its configuration, too.
fn configure(world: &mut World, host: HostId, name: &str, of: HostId) {
    let (public_key, addresses) = (world.identity(of).public_key(), world.addresses(of).to_vec());
    world.config(host).peers.push(Peer { name: name.parse().unwrap(), public_key, addresses });
}

/// A name that a configuration may give to a node, and that of a node without one.
fn names(world: &World, host: HostId) -> [String; 3] {
    ["a".to_owned(), "z".to_owned(), format!("node-{}", world.id(host).short())]
}

/// A joiner, and its inviter, which a third member let in that is off.
fn joined_through_the_second(seed: u64, configured: Option<usize>) -> World {
    let mut world = founder_and(seed, 2);
    join(&mut world, 0, 1);
    assert!(world.run_until(MINUTE, World::whole).is_some());
    world.kill(0);
    if let Some(n) = configured {
        let name = names(&world, 1)[n].clone();
        configure(&mut world, 2, &name, 1);
    }
    join(&mut world, 1, 2);
    world.run_for(Duration::from_secs(10));
    world
}

#[test]
fn a_joiner_learns_from_its_inviter_alone_who_that_is() {
    for (gone, configured) in
        [true, false].into_iter().flat_map(|gone| [None, Some(0), Some(1), Some(2)].map(|n| (gone, n)))
    {
        let mut world = joined_through_the_second(6, configured);
        let inviter = world.id(1);
        let known = record(&mut world, 2, 1);
        assert!(known.is_some_and(|record| record.admission == 1), "{configured:?}: {known:?}");
        assert_eq!(known, record(&mut world, 1, 1));
        // So it can be removed for good, and its word that it leaves counts.
        if gone {
            world.command(2, |node, now| node.forget(now, inviter)).unwrap();
        } else {
            world.command(1, |node, now| node.leave(now)).unwrap();
        }
        world.run_for(Duration::from_secs(10));
        let known = record(&mut world, 2, 1);
        assert!(world.peer(2, 1).is_none(), "by forget: {gone}");
        let removed = |record: MemberRecord| record.admission == 1 && record.state == MemberState::Removed;
        assert!(known.is_some_and(removed), "by forget: {gone}: {known:?}");
    }
}

#[test]
fn a_member_that_another_one_knows_without_its_number_leaves_for_good() {
    let mut world = founder_and(8, 2);
    join(&mut world, 0, 1);
    assert!(world.run_until(MINUTE, World::whole).is_some());
    configure(&mut world, 2, "attic", 1);
    world.set_cluster(2, secrets());
    world.kill(0);
    // The member lets this one in by its configuration as well, and has no invite to tell its number with.
    configure(&mut world, 1, "shed", 2);
    world.kill(1);
    world.start(1);
    world.start(2);
    assert!(world.run_until(MINUTE, |world| world.knows(1, 2) && world.knows(2, 1)).is_some());
    assert!(record(&mut world, 2, 1).is_some_and(|record| record.admission == 0), "this test proves nothing");
    world.command(1, |node, now| node.leave(now)).unwrap();
    world.run_for(Duration::from_secs(10));
    let known = record(&mut world, 2, 1);
    let removed = |record: MemberRecord| record.admission == 1 && record.state == MemberState::Removed;
    assert!(known.is_some_and(removed), "{known:?}");
}

/// Spec: MEMB-7.
#[test]
fn a_joiner_that_its_inviter_knows_by_configuration_is_let_in_like_any_other() {
    for n in 0..3 {
        let mut world = founder_and(9, 2);
        let name = names(&world, 1)[n].clone();
        world.config(1).name = name.parse().unwrap();
        configure(&mut world, 0, &name, 1);
        configure(&mut world, 0, "shed", 2);
        world.kill(0);
        world.start(0);
        let token = invite(&mut world, 0, DAY);
        join_with(&mut world, 1, &token);
        world.run_for(MINUTE);
        let known = record(&mut world, 1, 1).unwrap();
        assert_eq!((known.admission, known.admitted_by), (1, world.id(0)), "{name}");
        assert_eq!(record(&mut world, 0, 1), Some(known));
        join_with(&mut world, 2, &token);
        world.run_for(MINUTE);
        assert_eq!(refused(&world, 2), [Refusal::Used]);
    }
}

#[test]
fn an_inviter_of_which_nothing_was_told_cannot_be_removed_yet() {
    let mut world = founder_and(7, 2);
    join(&mut world, 0, 1);
    assert!(world.run_until(MINUTE, World::whole).is_some());
    world.kill(0);
    block(&mut world, 1, MINUTE, |kind| kind == Kind::MEMBERS);
    configure(&mut world, 2, "z", 1);
    join(&mut world, 1, 2);
    world.run_for(Duration::from_secs(10));
    let inviter = world.id(1);
    assert_eq!(world.command(2, |node, now| node.forget(now, inviter)), Err(CommandError::Unlisted));
    world.kill(2);
    world.start(2);
    assert_eq!(world.command(2, |node, now| node.forget(now, inviter)), Err(CommandError::Unlisted));
    world.run_for(MINUTE);
    assert_eq!(world.command(2, |node, now| node.forget(now, inviter)), Ok(()));
}

#[test]
fn an_invite_serves_one_node_and_the_next_one_is_told() {
    let mut world = founder_and(5, 2);
    let token = invite(&mut world, 0, DAY);
    join_with(&mut world, 1, &token);
    world.run_for(MINUTE);
    join_with(&mut world, 2, &token);
    world.run_for(MINUTE);
    assert_eq!(refused(&world, 2), [Refusal::Used]);
    assert_eq!((joined(&world, 1), joined(&world, 2)), (1, 0));
    assert!(world.status(2).cluster.is_none());
    assert_eq!(world.status(0).peers.len(), 1);
}

#[test]
fn of_two_nodes_that_race_with_one_invite_exactly_one_is_admitted() {
    for seed in seed_range(20) {
        let mut world = founder_and(seed, 2);
        world.network.conditions.jitter = Duration::from_millis(30);
        world.network.conditions.loss_per_mille = if seed % 2 == 0 { 0 } else { 200 };
        let token = invite(&mut world, 0, DAY);
        join_with(&mut world, 1, &token);
        join_with(&mut world, 2, &token);
        world.run_for(2 * MINUTE);
        assert_eq!(world.status(0).peers.len(), 1, "seed {seed}");
        let (winner, loser) = if world.peer(0, 1).is_some() { (1, 2) } else { (2, 1) };
        let up = |world: &World| world.knows(0, winner) && world.knows(winner, 0);
        assert!(world.run_until(MINUTE, up).is_some(), "seed {seed}");
        assert_eq!(refused(&world, loser), [Refusal::Used], "seed {seed}");
        assert!(world.status(loser).cluster.is_none(), "seed {seed}: the loser keeps nothing");
        assert!(world.status(loser).peers.is_empty(), "seed {seed}");
    }
}

/// Spec: MEMB-9.
#[test]
fn an_invite_expires_by_the_clock_of_the_inviter_alone() {
    for clock in [Duration::ZERO, TODAY, Duration::from_secs(1 << 40)] {
        let mut world = World::new(6);
        found(&mut world, TODAY);
        world.add_host(config(2), &[home(2)], clock);
        world.add_host(config(3), &[home(3)], clock);
        let (short, long) = (invite(&mut world, 0, MINUTE), invite(&mut world, 0, 2 * MINUTE));
        world.run_for(MINUTE + Duration::from_secs(1));
        join_with(&mut world, 1, &short);
        join_with(&mut world, 2, &long);
        world.run_for(Duration::from_secs(10));
        assert_eq!(refused(&world, 1), [Refusal::Expired]);
        assert!(world.knows(0, 2), "a joiner's wrong clock costs it nothing");
    }
}

#[test]
fn a_full_cluster_says_so() {
    let mut world = founder_and(7, 2);
    world.kill(0);
    world.config(0).max_members = MaxMembers::new(2).unwrap();
    world.start(0);
    let tokens = [invite(&mut world, 0, DAY), invite(&mut world, 0, DAY)];
    join_with(&mut world, 1, &tokens[0]);
    world.run_for(MINUTE);
    join_with(&mut world, 2, &tokens[1]);
    world.run_for(MINUTE);
    assert_eq!(refused(&world, 2), [Refusal::Full]);
}

/// Nothing of this type gets through from this host until then.
fn block(world: &mut World, from: HostId, until: Duration, blocked: impl Fn(Kind) -> bool + 'static) {
    let from = world.addresses(from)[0];
    world.set_adversary(Some(Box::new(move |now, flight| Interference {
        drop: flight.from == from && now < until && blocked(kind(flight)),
        sends: Vec::new(),
    })));
}

#[test]
fn a_lost_response_does_not_burn_the_invite() {
    let mut world = founder_and(8, 1);
    block(&mut world, 0, 8 * Duration::from_secs(1), |kind| kind == Kind::RESPONSE);
    join(&mut world, 0, 1);
    world.run_for(Duration::from_secs(7));
    assert_eq!(joined(&world, 1), 0);
    assert!(world.run_until(Duration::from_secs(10), World::whole).is_some());
}

#[test]
fn a_lost_confirmation_does_not_burn_the_invite() {
    for blocked in [3, 12, 40] {
        let mut world = founder_and(9, 2);
        let token = invite(&mut world, 0, DAY);
        block(&mut world, 1, Duration::from_secs(blocked), |kind| kind >= Kind::HEARTBEAT);
        join_with(&mut world, 1, &token);
        world.run_for(Duration::from_secs(2));
        assert_eq!(joined(&world, 1), 1, "it has the answer");
        assert!(world.status(0).peers.is_empty(), "and is not admitted by that");
        let healed = world.run_until(Duration::from_secs(blocked + 5), World::whole);
        assert!(healed.is_some(), "blocked for {blocked} s");
        assert_eq!(joined(&world, 1), 1, "told once");
    }
}

#[test]
fn whoever_confirms_first_has_the_invite_and_the_other_is_told() {
    let mut world = founder_and(10, 2);
    let token = invite(&mut world, 0, DAY);
    block(&mut world, 1, MINUTE, |kind| kind >= Kind::HEARTBEAT);
    join_with(&mut world, 1, &token);
    world.run_for(Duration::from_secs(2));
    join_with(&mut world, 2, &token);
    world.run_for(2 * MINUTE);
    assert!(world.knows(0, 2) && world.knows(2, 0));
    assert_eq!(refused(&world, 1), [Refusal::Used]);
    assert!(world.status(1).cluster.is_none() && world.status(1).peers.is_empty());
}

#[test]
fn a_joiner_that_stopped_in_the_middle_joins_again_with_the_same_invite() {
    for seed in seed_range(10) {
        let mut world = founder_and(seed, 1);
        let token = invite(&mut world, 0, DAY);
        block(&mut world, 1, Duration::from_secs(5), |kind| kind >= Kind::HEARTBEAT);
        join_with(&mut world, 1, &token);
        assert!(world.run_until(MINUTE, |world| joined(world, 1) == 1).is_some());
        world.kill(1);
        world.run_for(Duration::from_secs(seed * 3));
        join_with(&mut world, 1, &token);
        assert!(world.run_until(Duration::from_secs(20), World::whole).is_some(), "seed {seed}");
    }
}

#[test]
fn a_joiner_that_stopped_after_its_admission_needs_no_invite() {
    let mut world = founder_and(11, 1);
    join(&mut world, 0, 1);
    assert!(world.run_until(MINUTE, |world| !world.status(0).peers.is_empty()).is_some());
    world.kill(1);
    world.run_for(Duration::from_secs(3));
    world.start(1);
    assert!(world.run_until(Duration::from_secs(10), World::whole).is_some());
}

#[test]
fn a_member_that_lost_everything_but_its_key_comes_back_by_the_invite_that_let_it_in() {
    let mut world = founder_and(12, 2);
    let token = invite(&mut world, 0, DAY);
    join_with(&mut world, 1, &token);
    join(&mut world, 0, 2);
    assert!(world.run_until(MINUTE, World::whole).is_some());
    world.kill(1);
    world.erase(1);
    join_with(&mut world, 1, &token);
    assert!(world.run_until(Duration::from_secs(10), World::whole).is_some());
}

#[test]
fn a_founder_that_lost_everything_but_its_key_is_told_that_it_is_back() {
    let mut world = founder_and(14, 1);
    join(&mut world, 0, 1);
    assert!(world.run_until(MINUTE, World::whole).is_some());
    world.kill(0);
    world.erase(0);
    join(&mut world, 1, 0);
    world.run_for(Duration::from_secs(10));
    assert!(world.whole());
    let known = record(&mut world, 0, 0).unwrap();
    assert_eq!((known.admission, known.admitted_by), (2, world.id(1)));
    assert_eq!(record(&mut world, 1, 0), Some(known));
}

#[test]
fn an_inviter_that_restarted_honours_its_invites() {
    let mut world = founder_and(13, 2);
    let (used, open) = (invite(&mut world, 0, DAY), invite(&mut world, 0, DAY));
    join_with(&mut world, 1, &used);
    world.run_for(MINUTE);
    world.kill(0);
    world.run_for(Duration::from_secs(5));
    world.start(0);
    join_with(&mut world, 2, &open);
    assert!(world.run_until(MINUTE, World::whole).is_some());
    let late = world.add_host(config(4), &[home(4)], TODAY);
    join_with(&mut world, late, &used);
    world.run_for(MINUTE);
    assert_eq!(refused(&world, late), [Refusal::Used], "nor does a restart make it good again");
}

#[test]
fn joining_needs_patience_only_where_datagrams_are_lost() {
    for seed in seed_range(30) {
        let mut world = founder_and(seed, 2);
        world.network.conditions.loss_per_mille = 400;
        world.network.conditions.duplicates_per_mille = 200;
        world.network.conditions.jitter = Duration::from_millis(100);
        join(&mut world, 0, 1);
        join(&mut world, 0, 2);
        assert!(world.run_until(2 * MINUTE, World::whole).is_some(), "seed {seed}");
        assert_eq!((joined(&world, 1), joined(&world, 2)), (1, 1), "seed {seed}");
    }
}

#[test]
fn whoever_guesses_an_invite_hears_nothing() {
    let mut world = founder_and(14, 3);
    let token = invite(&mut world, 0, DAY);
    let unknown = Token::new(dddns::wire::id::InviteId([9; 8]), *token.secret(), token.inviter(), 0, token.addresses());
    join_with(&mut world, 1, &unknown.unwrap());
    world.run_for(MINUTE);
    assert_eq!(world.traffic(1).datagrams_in, 0);
    assert!(world.count(0, "unknown-invite") > 30);
    let wrong = Token::new(token.id(), [9; 32], token.inviter(), 0, token.addresses());
    join_with(&mut world, 2, &wrong.unwrap());
    world.run_for(MINUTE);
    assert_eq!((joined(&world, 2), world.status(0).peers.len()), (0, 0), "the ID of an invite is not its secret");
    join_with(&mut world, 3, &token);
    assert!(world.run_until(MINUTE, |world| world.knows(0, 3) && world.knows(3, 0)).is_some(), "and it is still good");
}

#[test]
fn a_name_stays_with_whoever_had_it_first() {
    let mut world = World::new(15);
    found(&mut world, TODAY);
    for n in [2, 3] {
        let host = world.add_host(config(1), &[home(n)], TODAY);
        join(&mut world, 0, host);
        assert!(world.run_until(MINUTE, World::whole).is_some());
    }
    world.run_for(MINUTE);
    for (host, other) in [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)] {
        let shown = world.peer(host, other).unwrap().display_name();
        let expected = if other == 0 { "node-1".to_owned() } else { format!("node-1-{}", world.id(other).short()) };
        assert_eq!(shown, expected, "{host} of {other}");
    }
}

/// A token that nobody can answer is refused at once.
#[test]
fn an_invite_with_a_key_that_is_none_is_refused() {
    let mut world = founder_and(16, 1);
    let token = invite(&mut world, 0, DAY);
    let key = dddns::wire::id::PublicKey([0; 32]);
    let unusable = Token::new(token.id(), *token.secret(), key, token.expiry(), token.addresses()).unwrap();
    world.start(1);
    let refused = world.command(1, |node, now| node.join(now, &unusable));
    assert_eq!(refused, Err(CommandError::UnusableInvite));
    world.tap();
    world.run_for(MINUTE);
    assert!(world.tapped().iter().all(|flight| flight.from != home(2)), "nothing goes on");
    world.command(1, |node, now| node.join(now, &token)).unwrap();
    assert!(world.run_until(MINUTE, World::whole).is_some());
}
