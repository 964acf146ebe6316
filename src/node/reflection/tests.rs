//! Every row of the table in `spec/addresses.md` section 2.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Address {
    text.parse::<std::net::SocketAddr>().unwrap().try_into().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "an Instant can only be had from the clock")]
fn start() -> Instant {
    Instant::now()
}

fn seen(observer: &str, reflection: &str, at_time: Instant) -> Observation {
    Observation { observer: at(observer), reflection: at(reflection), at: at_time }
}

fn count(observations: &[Observation], last: Option<&str>) -> Verdict {
    vote(Realm::of(at("192.0.2.1:1")), observations, last.map(at))
}

const ME: &str = "192.0.2.1:7733";
const NOT_ME: &str = "192.0.2.66:7733";

#[test]
fn without_votes_the_last_address_stays_and_is_stale() {
    let verdict = count(&[], Some(ME));
    assert_eq!((verdict.address, verdict.confidence, verdict.groups), (Some(at(ME)), Confidence::Stale, 0));
    assert_eq!(count(&[], None).address, None);
}

#[test]
fn one_group_is_believed_and_called_single() {
    let now = start();
    let verdict = count(&[seen("198.51.100.1:1", ME, now)], Some(NOT_ME));
    assert_eq!((verdict.address, verdict.confidence), (Some(at(ME)), Confidence::SingleObserver));
    let both = [seen("198.51.100.1:1", ME, now), seen("198.51.100.1:2", ME, now)];
    assert_eq!(count(&both, None).confidence, Confidence::SingleObserver, "two nodes behind one address are one voice");
}

#[test]
fn two_groups_that_agree_are_agreed() {
    let now = start();
    let verdict = count(&[seen("198.51.100.1:1", ME, now), seen("198.51.100.2:1", ME, now)], None);
    assert_eq!((verdict.confidence, verdict.observers, verdict.groups), (Confidence::Agreed, 2, 2));
}

#[test]
fn two_groups_that_differ_are_disputed_and_the_last_address_stays() {
    let now = start();
    let split = [seen("198.51.100.1:1", ME, now), seen("198.51.100.2:1", NOT_ME, now)];
    let verdict = count(&split, Some(ME));
    assert_eq!((verdict.address, verdict.confidence), (Some(at(ME)), Confidence::Disputed));
    assert_eq!(count(&split, None).address, None, "nothing is made up");
}

#[test]
fn a_margin_of_three_halves_decides() {
    let now = start();
    for (best, runner_up, clear) in
        [(2, 1, true), (3, 2, false), (4, 2, true), (5, 3, true), (6, 4, false), (7, 4, true)]
    {
        let votes: Vec<Observation> = (0..best + runner_up)
            .map(|n| seen(&format!("198.51.100.{n}:1"), if n < best { ME } else { NOT_ME }, now))
            .collect();
        let verdict = count(&votes, Some("192.0.2.99:1"));
        let expected =
            if clear { (Some(at(ME)), Confidence::Agreed) } else { (Some(at("192.0.2.99:1")), Confidence::Disputed) };
        assert_eq!((verdict.address, verdict.confidence), expected, "{best}:{runner_up}");
    }
}

/// Spec: ADDR-4.
#[test]
fn an_ipv6_site_is_one_voice() {
    let now = start();
    let realm = Realm::of(at("[2001:db8:1::1]:1"));
    let me = "[2001:db8:1::1]:7733";
    let group = |observers: &[&str]| {
        let votes: Vec<Observation> = observers.iter().map(|observer| seen(observer, me, now)).collect();
        vote(realm, &votes, None).groups
    };
    assert_eq!(group(&["[2001:db8:2:3400::1]:1", "[2001:db8:2:34ff::9]:1"]), 1, "one /56");
    assert_eq!(group(&["[2001:db8:2:3400::1]:1", "[2001:db8:2:3500::1]:1"]), 2, "two of them");
}

/// Spec: ADDR-3.
#[test]
fn only_observers_of_the_same_family_and_scope_can_tell() {
    let now = start();
    for observer in ["10.0.0.2:1", "100.64.0.2:1", "127.0.0.1:1", "169.254.0.1:1", "[2001:db8::1]:1"] {
        assert_eq!(count(&[seen(observer, ME, now)], None).groups, 0, "{observer} in the world's vote");
    }
    let lan = seen("10.0.0.2:1", "10.0.0.1:7733", now);
    assert_eq!(count(&[lan], None).groups, 0);
    assert_eq!(vote(Realm::of(at("10.0.0.1:1")), &[lan], None).address, Some(at("10.0.0.1:7733")));
    let mut own = OwnAddresses::default();
    let world = seen("198.51.100.1:1", ME, now);
    own.recount(&[lan, world]);
    assert_eq!(own.addresses(), [at(ME), at("10.0.0.1:7733")], "one address in each realm");
}

/// Spec: ADDR-5.
#[test]
fn ports_are_voted_on_among_those_who_see_the_winner() {
    let now = start();
    let votes = |ports: &[u16]| -> Vec<Observation> {
        (0..)
            .zip(ports)
            .map(|(n, port)| seen(&format!("198.51.100.{n}:1"), &format!("192.0.2.1:{port}"), now))
            .collect()
    };
    let port = |ports: &[u16], last| count(&votes(ports), last).address.unwrap().port();
    assert_eq!(port(&[5, 5, 9], Some("192.0.2.1:9")), 5, "most votes win");
    assert_eq!(port(&[5, 9], Some("192.0.2.1:9")), 9, "a tie keeps the last one");
    assert_eq!(port(&[9, 5], Some("192.0.2.1:7")), 5, "or takes the lowest");
    assert_eq!(port(&[9, 5], Some("192.0.2.99:9")), 5, "the port of another address is no port of this one");
    let nat = |ports: &[u16]| nat(Realm::of(at(ME)), &votes(ports), at(ME));
    assert_eq!(nat(&[5]), Nat::Unknown);
    assert_eq!(nat(&[5, 5, 5]), Nat::EndpointIndependent);
    assert_eq!(nat(&[5, 5, 9]), Nat::EndpointDependent);
}

#[test]
fn the_newest_word_of_a_group_counts() {
    let now = start();
    let later = now + Duration::from_millis(1);
    let votes = [seen("198.51.100.1:1", NOT_ME, now), seen("198.51.100.1:2", ME, later)];
    assert_eq!(count(&votes, None).address, Some(at(ME)));
}

#[test]
fn a_change_is_told_once() {
    let now = start();
    let mut own = OwnAddresses::default();
    let votes = [seen("198.51.100.1:1", ME, now)];
    assert_eq!(own.recount(&votes).len(), 1);
    assert_eq!(own.recount(&votes), []);
    assert_eq!(own.recount(&[]), [], "no votes keep the address");
    assert_eq!(own.list(now, &[])[0].confidence, Confidence::Stale);
    let moved = own.recount(&[seen("198.51.100.1:1", NOT_ME, now)]);
    assert_eq!((moved[0].old, moved[0].new), (Some(at(ME)), at(NOT_ME)));
}

fn votes() -> impl Strategy<Value = Vec<(u8, u8, u64)>> {
    prop::collection::vec((0..8_u8, 0..4_u8, 0..3_u64), 0..12)
}

fn observations(votes: &[(u8, u8, u64)], now: Instant) -> Vec<Observation> {
    votes
        .iter()
        .map(|(observer, place, s)| {
            seen(
                &format!("198.51.100.{observer}:1"),
                &format!("192.0.2.{}:7733", place + 1),
                now + Duration::from_secs(*s),
            )
        })
        .collect()
}

proptest! {
    #[test]
    fn the_order_of_peers_does_not_matter(votes in votes(), turn in 0..12_usize, last in prop::option::of(1..5_u8)) {
        let observations = observations(&votes, start());
        let mut turned = observations.clone();
        turned.reverse();
        if !turned.is_empty() {
            let turn = turn % turned.len();
            turned.rotate_left(turn);
        }
        let last = last.map(|n| format!("192.0.2.{n}:7733"));
        prop_assert_eq!(count(&observations, last.as_deref()), count(&turned, last.as_deref()));
    }

    /// P12: f groups that lie, alike or each for itself, never bring a false address into being among 2f + 1.
    #[test]
    fn a_minority_of_liars_never_wins(f in 1..20_u8, lies in prop::collection::vec(2..250_u8, 20), known in any::<bool>()) {
        let now = start();
        let mut votes = Vec::new();
        for n in 0..=2 * f {
            let lie = format!("192.0.2.{}:7733", lies[usize::from(n % 20)]);
            votes.push(seen(&format!("198.51.100.{n}:1"), if n < f { &lie } else { ME }, now));
        }
        let verdict = count(&votes, known.then_some(ME));
        prop_assert!(verdict.address == Some(at(ME)) || (!known && verdict.address.is_none()), "{:?}", verdict);
    }

    /// However many nodes sit behind one address, they outvote nobody.
    #[test]
    fn numbers_behind_one_address_do_not_help(many in 1..100_u16) {
        let now = start();
        let mut votes: Vec<Observation> = (1..=many).map(|port| seen(&format!("203.0.113.1:{port}"), NOT_ME, now)).collect();
        votes.push(seen("198.51.100.1:1", ME, now));
        votes.push(seen("198.51.100.2:1", ME, now));
        let verdict = count(&votes, None);
        prop_assert_eq!((verdict.address, verdict.confidence), (Some(at(ME)), Confidence::Agreed));
    }
}
