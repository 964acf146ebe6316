//! Every row of the table in `spec/addresses.md` section 3, without a network.

use proptest::prelude::*;

use super::*;

const OLD: [u8; 4] = [192, 0, 2, 1];
const NEW: [u8; 4] = [198, 51, 100, 1];
const OTHER: [u8; 4] = [203, 0, 113, 1];
/// The size of a challenge.
const BYTES: usize = 40;
const RTT: Duration = Duration::from_millis(100);
const WINDOW: Duration = Duration::from_millis(300);

fn at(ip: [u8; 4]) -> Address {
    Address::new(ip.into(), 7733).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "an Instant can only be had from the clock")]
fn start() -> Instant {
    Instant::now()
}

fn trial(n: u8) -> TrialStart {
    TrialStart { new_challenge: [n; 8], old_challenge: [100 + n; 8], rtt: Some(RTT) }
}

/// A path on which the peer was proved to be at `OLD`.
fn settled(now: Instant) -> Path {
    let mut path = Path::default();
    assert!(path.validated(now, at(OLD), trial(9)));
    path.publish();
    path
}

/// The same, and a datagram of so many bytes has come from `NEW`.
fn moving(now: Instant, bytes: usize) -> Path {
    let mut path = settled(now);
    assert_eq!(path.observe(now, at(NEW), bytes, trial(1)), Observed::Trial);
    path
}

fn challenged(step: Step) -> (Option<Address>, Option<Address>) {
    match step {
        Step::Challenge { new, old, .. } => (new.map(|(to, _)| to), old.map(|(to, _)| to)),
        other @ (Step::Publish | Step::Forget | Step::Idle) => panic!("{other:?}"),
    }
}

/// Calls `step` whenever it asks for it until it is done; gives what was sent and how it ended.
fn run(path: &mut Path, from: Instant) -> (Vec<(Duration, Address)>, Step, Duration) {
    let mut now = from;
    let mut sent = Vec::new();
    loop {
        match path.step(now, BYTES) {
            Step::Challenge { new, old, next } => {
                sent.extend([new, old].into_iter().flatten().map(|(to, _)| (now - from, to)));
                assert!(next > now, "asks to be called at the same moment again");
                now = next;
            }
            step @ (Step::Publish | Step::Forget | Step::Idle) => return (sent, step, now - from),
        }
    }
}

#[test]
fn a_datagram_from_the_current_address_changes_nothing() {
    let now = start();
    let mut path = settled(now);
    assert_eq!(path.observe(now, at(OLD), 66, trial(1)), Observed::Nothing);
    assert!(!path.on_trial());
    assert_eq!(path.step(now, BYTES), Step::Idle);
}

#[test]
fn a_new_address_is_challenged_and_the_old_one_with_it() {
    let now = start();
    let mut path = moving(now, 66);
    assert_eq!(path.current(), Some(at(OLD)), "nothing is believed without an answer");
    assert_eq!(challenged(path.step(now, BYTES)), (Some(at(NEW)), Some(at(OLD))));
}

#[test]
fn the_answer_makes_it_current_and_silence_of_the_old_one_publishes_it() {
    let now = start();
    let mut path = moving(now, 66);
    path.step(now, BYTES);
    assert_eq!(path.answer(now + RTT, [1; 8]), Verdict::Validated { owed_ack: None });
    assert_eq!((path.current(), path.published()), (Some(at(NEW)), Some(at(OLD))));
    let (_, end, when) = run(&mut path, now + RTT);
    assert_eq!((end, when), (Step::Publish, WINDOW - RTT));
    assert_eq!(path.publish(), Some(at(OLD)));
    assert_eq!((path.current(), path.published(), path.on_trial()), (Some(at(NEW)), Some(at(NEW)), false));
}

#[test]
fn an_answer_after_the_window_publishes_at_once() {
    let now = start();
    let mut path = moving(now, 66);
    path.step(now, BYTES);
    path.answer(now + Duration::from_secs(2), [1; 8]);
    assert_eq!(path.step(now + Duration::from_secs(2), BYTES), Step::Publish);
}

#[test]
fn an_address_that_never_answers_is_forgotten() {
    let now = start();
    let mut path = moving(now, 66);
    let (sent, end, when) = run(&mut path, now);
    assert_eq!((end, when), (Step::Forget, TRIAL));
    assert_eq!(sent.iter().filter(|(_, to)| *to == at(NEW)).count(), 1, "66 bytes pay for one challenge");
    let old: Vec<Duration> = sent.iter().filter(|(_, to)| *to == at(OLD)).map(|(when, _)| *when).collect();
    assert_eq!(old, [Duration::ZERO, WINDOW / 3, WINDOW / 3 * 2]);
    assert_eq!((path.current(), path.on_trial()), (Some(at(OLD)), false));
}

#[test]
fn datagrams_that_come_fast_do_not_hasten_the_challenges() {
    let now = start();
    let mut path = moving(now, 66);
    let mut sent = Vec::new();
    for ms in 0..90 {
        let now = now + Duration::from_millis(ms);
        path.observe(now, at(NEW), 66, trial(2));
        if let Step::Challenge { new, old, .. } = path.step(now, BYTES) {
            sent.extend([new, old].into_iter().flatten());
        }
    }
    assert_eq!(sent, [(at(NEW), [1; 8]), (at(OLD), [101; 8])]);
}

#[test]
fn a_first_challenge_that_was_too_dear_goes_out_when_it_is_paid() {
    let now = start();
    let mut path = moving(now, 32);
    assert_eq!(challenged(path.step(now, BYTES)), (None, Some(at(OLD))));
    let soon = now + Duration::from_millis(1);
    path.observe(soon, at(NEW), 8, trial(2));
    assert_eq!(challenged(path.step(soon, BYTES)), (Some(at(NEW)), None));
}

#[test]
fn an_answer_of_the_old_address_is_a_conflict() {
    let now = start();
    let mut path = moving(now, 66);
    path.step(now, BYTES);
    path.answer(now + RTT, [1; 8]);
    assert_eq!(path.answer(now + RTT, [101; 8]), Verdict::Conflict { owed_ack: None });
    assert_eq!((path.current(), path.published(), path.on_trial()), (Some(at(OLD)), Some(at(OLD)), false));
}

#[test]
fn a_newer_datagram_from_the_old_address_is_a_conflict() {
    let now = start();
    let mut path = moving(now, 66);
    path.step(now, BYTES);
    path.answer(now + RTT, [1; 8]);
    assert_eq!(path.observe(now + RTT, at(OLD), 66, trial(2)), Observed::Conflict { owed_ack: None });
    assert_eq!((path.current(), path.on_trial()), (Some(at(OLD)), false));
}

#[test]
fn the_loser_of_a_conflict_is_held_for_a_while_and_only_it() {
    let now = start();
    let mut path = moving(now, 66);
    path.answer(now, [101; 8]);
    assert_eq!(path.observe(now, at(NEW), 66, trial(2)), Observed::Nothing);
    assert!(!path.on_trial());
    assert_eq!(path.observe(now, at(OTHER), 66, trial(3)), Observed::Trial);
    path.step(now, BYTES);
    path.step(now + TRIAL, BYTES);
    assert_eq!(path.observe(now + HOLD - RTT, at(NEW), 66, trial(4)), Observed::Nothing);
    assert_eq!(path.observe(now + HOLD, at(NEW), 66, trial(4)), Observed::Trial);
}

#[test]
fn a_trial_that_was_not_answered_gives_way_to_a_newer_one() {
    let now = start();
    let mut path = moving(now, 66);
    assert_eq!(path.observe(now, at(OTHER), 66, trial(2)), Observed::Trial);
    assert_eq!(path.answer(now, [1; 8]), Verdict::Unsolicited);
    assert_eq!(path.answer(now, [2; 8]), Verdict::Validated { owed_ack: None });
    assert_eq!(path.current(), Some(at(OTHER)));
    assert_eq!(
        path.answer(now, [102; 8]),
        Verdict::Conflict { owed_ack: None },
        "the address to fall back to is still the old one"
    );
    assert_eq!(path.current(), Some(at(OLD)));
}

#[test]
fn a_trial_that_was_answered_is_decided_before_another_begins() {
    let now = start();
    let mut path = moving(now, 66);
    path.answer(now, [1; 8]);
    assert_eq!(path.observe(now, at(OTHER), 66, trial(2)), Observed::Nothing);
    assert_eq!(path.current(), Some(at(NEW)));
    assert_eq!(path.answer(now, [101; 8]), Verdict::Conflict { owed_ack: None });
}

#[test]
fn a_heartbeat_that_was_too_dear_to_acknowledge_is_remembered() {
    let now = start();
    let mut path = moving(now, 66);
    path.step(now, BYTES);
    assert!(!path.may_send(at(NEW), 66), "26 bytes are left");
    assert!(!path.owe_ack(at(OTHER), 6));
    assert!(path.owe_ack(at(NEW), 7));
    assert_eq!(path.answer(now, [1; 8]), Verdict::Validated { owed_ack: Some(7) });
    let mut path = moving(now, 66);
    path.owe_ack(at(NEW), 8);
    assert_eq!(path.answer(now, [101; 8]), Verdict::Conflict { owed_ack: Some(8) });
}

#[test]
fn a_heartbeat_of_the_session_before_is_not_acknowledged_in_the_next() {
    let now = start();
    let mut path = moving(now, 66);
    path.owe_ack(at(NEW), 7);
    path.owe_nothing();
    assert_eq!(path.answer(now, [1; 8]), Verdict::Validated { owed_ack: None });
}

#[test]
fn an_address_proved_by_other_means_is_published_where_there_is_none_to_ask() {
    let now = start();
    let mut path = Path::default();
    assert!(path.validated(now, at(NEW), trial(1)));
    path.publish();
    assert_eq!((path.current(), path.published(), path.on_trial()), (Some(at(NEW)), Some(at(NEW)), false));
    assert!(path.validated(now, at(NEW), trial(2)), "the same again");
}

#[test]
fn an_address_proved_by_other_means_lets_the_old_one_speak() {
    let now = start();
    let mut path = settled(now);
    assert!(!path.validated(now, at(NEW), trial(1)));
    assert_eq!((path.current(), path.published()), (Some(at(NEW)), Some(at(OLD))));
    let (sent, end, when) = run(&mut path, now);
    assert!(sent.iter().all(|(_, to)| *to == at(OLD)) && sent.len() == 3, "{sent:?}");
    assert_eq!((end, when), (Step::Publish, WINDOW));
    let mut path = settled(now);
    path.validated(now, at(NEW), trial(1));
    assert_eq!(path.answer(now, [101; 8]), Verdict::Conflict { owed_ack: None });
    assert_eq!(path.current(), Some(at(OLD)));
}

#[test]
fn a_first_address_that_nobody_asked_for_is_tried_without_haste() {
    let now = start();
    let mut path = Path::default();
    path.observe(now, at(NEW), 151, trial(1));
    let (sent, end, when) = run(&mut path, now);
    assert_eq!((sent.len(), end, when), (3, Step::Forget, TRIAL), "151 bytes pay for three challenges: {sent:?}");
    let mut path = Path::default();
    path.observe(now, at(NEW), 151, trial(1));
    path.step(now, BYTES);
    path.answer(now + RTT, [1; 8]);
    assert_eq!(path.step(now + RTT, BYTES), Step::Publish, "there is nobody else to wait for");
}

#[test]
fn the_window_follows_the_round_trip_within_its_bounds() {
    for (rtt, window) in [(Some(1), 200), (Some(100), 300), (Some(900), 1000), (None, 1000)] {
        let now = start();
        let mut path = settled(now);
        path.validated(now, at(NEW), TrialStart { rtt: rtt.map(Duration::from_millis), ..trial(1) });
        assert_eq!(run(&mut path, now).2, Duration::from_millis(window), "{rtt:?}");
    }
}

/// What can happen to a path.
#[derive(Clone, Debug)]
enum Happening {
    Observe(u8, usize),
    Validate(u8),
    AnswerNew,
    AnswerOld,
    Step,
    MaySend(u8, usize),
    Wait(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        (0..4_u8, 32..200_usize).prop_map(|(who, bytes)| Happening::Observe(who, bytes)),
        (0..4_u8).prop_map(Happening::Validate),
        Just(Happening::AnswerNew),
        Just(Happening::AnswerOld),
        Just(Happening::Step),
        (0..4_u8, 30..1232_usize).prop_map(|(who, bytes)| Happening::MaySend(who, bytes)),
        (0..2000_u64).prop_map(Happening::Wait),
    ]
}

proptest! {
    /// ADDR-7 and ADDR-8: to an address that has not proved itself go no more bytes than came from it in its trial, and
    /// none becomes current or published that did not prove itself.
    #[test]
    fn nobody_gets_more_than_he_gave_before_he_has_proved_himself(
        happenings in prop::collection::vec(happening(), 1..80)
    ) {
        let mut now = start();
        let mut path = Path::default();
        let mut proved: Vec<Address> = Vec::new();
        let (mut came, mut went) = ([0_usize; 4], [0_usize; 4]);
        let host = |n: u8| at([192, 0, 2, n]);
        let place = |address: Address| (0..4_u8).find(|&n| host(n) == address).unwrap();
        for happening in happenings {
            match happening {
                Happening::Observe(who, bytes) => {
                    came[usize::from(who)] += bytes;
                    path.observe(now, host(who), bytes, trial(who));
                }
                Happening::Validate(who) => {
                    proved.push(host(who));
                    if path.validated(now, host(who), trial(who)) {
                        path.publish();
                    }
                }
                Happening::AnswerNew => {
                    let new = path.trial.as_ref().map(|trial| (trial.new, trial.new_challenge));
                    if let Some((new, challenge)) = new {
                        if let Verdict::Validated { .. } = path.answer(now, challenge) {
                            proved.push(new);
                        }
                    }
                }
                Happening::AnswerOld => {
                    if let Some(challenge) = path.trial.as_ref().map(|trial| trial.old_challenge) {
                        path.answer(now, challenge);
                    }
                }
                Happening::Step => match path.step(now, BYTES) {
                    Step::Challenge { new: Some((to, _)), .. } => went[usize::from(place(to))] += BYTES,
                    Step::Publish => { path.publish(); }
                    Step::Challenge { .. } | Step::Forget | Step::Idle => {}
                },
                Happening::MaySend(who, bytes) => {
                    if path.may_send(host(who), bytes) {
                        went[usize::from(who)] += bytes;
                    }
                }
                Happening::Wait(ms) => now += Duration::from_millis(ms),
            }
            for n in 0..4 {
                prop_assert!(proved.contains(&host(n)) || went[usize::from(n)] <= came[usize::from(n)]);
            }
            prop_assert!(path.current().is_none_or(|current| proved.contains(&current)));
            prop_assert!(path.published().is_none_or(|published| proved.contains(&published)));
        }
    }
}
