//! Paths: a new address is challenged with the old one, and believed when it alone answers.

use std::time::Duration;

use crate::conformance::bait::Baits;
use crate::conformance::checks;
use crate::conformance::network::Place;
use crate::conformance::peer::Who;
use crate::conformance::stage::{Mark, PATIENCE, Seen, Stage};
use crate::driver::clock;
use crate::wire::message::Message;
use crate::wire::path::{PathChallenge, PathResponse};

/// The longest that the old path is given to answer, and some time to tell. Spec: `PATH_WINDOW`.
const WINDOW: Duration = Duration::from_millis(1_400);
/// Until a trial that nobody answers is forgotten, and some time. Spec: `PATH_TRIAL`.
const TRIAL: Duration = Duration::from_millis(3_200);
/// Until all that was sent at once has been read.
const SETTLED: Duration = Duration::from_millis(300);
/// The bytes of a PathResponse, which are outside the budget of an address.
const RESPONSE: usize = 40;

/// Runs the checks.
pub(super) fn run(stage: &mut Stage) {
    echo(stage);
    not_newest(stage);
    conflict(stage);
    wrong_answer(stage);
    moves(stage);
}

/// A challenge from elsewhere is answered to there, also if it is too old to move anything.
fn echo(stage: &mut Stage) {
    let bytes: [u8; 8] = stage.drbg.array();
    for place in [stage.first.place, Place::Stranger] {
        let Some(session) = stage.first.session() else { return };
        let plan = session.plan(clock::now());
        let challenge = session.make(plan, &PathChallenge(bytes));
        let _ = stage.exchange(Who::First);
        let mark = stage.mark();
        stage.send(place, &challenge);
        let echoed = stage.wait(
            mark,
            PATIENCE,
            |seen| matches!(seen.message(Who::First), Some(Message::PathResponse(echo)) if echo.0 == bytes),
        );
        let right = echoed.as_ref().is_some_and(|seen| seen.place == place);
        stage.report.judge(
            &checks::ECHO,
            right,
            "a PathResponse with the same bytes to where the challenge came from",
            || echoed.map_or_else(|| "none".to_owned(), |seen| seen.describe()),
        );
    }
}

/// What is older than the newest datagram says nothing about where the peer is now.
fn not_newest(stage: &mut Stage) {
    let heartbeat = stage.heartbeat_of(Who::First);
    let Some(session) = stage.first.session() else { return };
    let plan = session.plan(clock::now());
    let datagram = session.make(plan, &heartbeat);
    if stage.exchange(Who::First).is_none() {
        return;
    }
    let mut baits = Baits::new(stage);
    let what = "an older heartbeat from another address";
    baits.throw(stage, &checks::NOT_NEWEST, what, (Place::FirstElsewhere, &datagram), |seen| {
        seen.place == Place::FirstElsewhere
    });
    baits.reap(stage);
}

/// The first peer's heartbeat comes from elsewhere, and the first peer answers where it was: somebody forwards.
fn conflict(stage: &mut Stage) {
    let (old, new) = (stage.first.place, Place::FirstElsewhere);
    stage.first.deaf = vec![new];
    let mark = stage.mark();
    let counter = stage.heartbeat(Who::First, new);
    let challenged = |stage: &mut Stage, place| {
        stage.wait(mark, WINDOW, |seen| seen.place == place && seen.challenge(Who::First).is_some())
    };
    let (at_new, at_old) = (challenged(stage, new), challenged(stage, old));
    stage
        .report
        .judge(&checks::CHALLENGE_NEW, at_new.is_some(), "a PathChallenge to the new address", || "none".to_owned());
    stage
        .report
        .judge(&checks::CHALLENGE_OLD, at_old.is_some(), "a PathChallenge to the old address", || "none".to_owned());
    if let (Some(at_new), Some(at_old)) = (&at_new, &at_old) {
        let differ = at_new.challenge(Who::First) != at_old.challenge(Who::First);
        stage.report.judge(&checks::CHALLENGE_RANDOM, differ, "8 bytes of its own for each side", || {
            "the same bytes".to_owned()
        });
    }
    // The answer to the old one has gone out by itself.
    let acked = stage.acknowledged(mark, Who::First, counter);
    let stays = acked.as_ref().is_some_and(|seen| seen.place == old);
    stage.report.judge(&checks::STAYS, stays, "the acknowledgement at the old address, which answers", || {
        acked.map_or_else(|| "none".to_owned(), |seen| seen.describe())
    });
    stage.pass(SETTLED);
    budget(stage, mark, new, 66);
    held(stage, old, new);
    stage.first.deaf.clear();
}

/// After a conflict the new address is not tried again for a while.
fn held(stage: &mut Stage, old: Place, new: Place) {
    let mark = stage.mark();
    let counter = stage.heartbeat(Who::First, new);
    let acked = stage.acknowledged(mark, Who::First, counter);
    let tried = stage.since(mark).iter().any(|seen| seen.place == new);
    let ignored = acked.as_ref().is_some_and(|seen| seen.place == old) && !tried;
    stage.report.judge(
        &checks::HELD,
        ignored,
        "an acknowledgement at the old address, and nothing at the new one",
        || acked.map_or_else(|| "none".to_owned(), |seen| seen.describe()),
    );
    let _ = stage.exchange(Who::First);
}

/// The new address of the third peer answers with bytes that it has invented.
fn wrong_answer(stage: &mut Stage) {
    let (old, new) = (stage.third.place, Place::Stranger);
    stage.third.deaf = vec![old, new];
    let mark = stage.mark();
    stage.heartbeat(Who::Third, new);
    for _ in 0..3 {
        let bytes: [u8; 8] = stage.drbg.array();
        stage.tell_from(Who::Third, new, &PathResponse(bytes));
    }
    let sent = 66 + 3 * RESPONSE;
    stage.pass(TRIAL);
    budget(stage, mark, new, sent);
    let probe = stage.mark();
    // Wherever the target thinks that the peer is, it sends the answer to a question there.
    let sent_there = stage.wait(mark, Duration::ZERO, |seen| {
        seen.place == new && seen.message(Who::Third).is_some() && seen.challenge(Who::Third).is_none()
    });
    stage.third.deaf.clear();
    let back = stage.exchange(Who::Third);
    let there = stage.since(probe).iter().any(|seen| seen.place == new);
    let holds = sent_there.is_none() && back.is_some() && !there;
    stage.report.judge(
        &checks::WRONG_ANSWER,
        holds,
        "nothing but challenges at the address that did not answer right",
        || {
            let elsewhere = if there { "an answer at that address" } else { "no answer where the peer is" };
            sent_there.map_or_else(|| elsewhere.to_owned(), |seen| seen.describe())
        },
    );
}

/// The first peer moves: its new address answers, its old one is silent.
fn moves(stage: &mut Stage) {
    let (old, new) = (stage.first.place, Place::FirstMoved);
    stage.first.deaf = vec![old];
    let mark = stage.mark();
    let counter = stage.heartbeat(Who::First, new);
    let acked = stage.wait(mark, WINDOW, |seen| seen.place == new && seen.ack(Who::First) == Some(counter + 1));
    // Its bytes before the answer count; the answer went out when the first challenge came.
    let challenged = stage.since(mark).iter().position(|seen| seen.place == new && is_challenge(seen));
    let early = challenged.map_or(0, |at| {
        let before = stage.since(mark).iter().take(at + 1);
        before.filter(|seen| seen.place == new).map(|seen| seen.bytes).sum()
    });
    stage
        .report
        .judge(&checks::BUDGET, early <= 66, "at most 66 bytes before the first answer", || format!("{early} bytes"));
    stage.pass(WINDOW);
    stage.first.place = new;
    let after = stage.exchange(Who::First);
    let moved = acked.is_some() && after.as_ref().is_some_and(|seen| seen.place == new);
    stage.report.judge(&checks::MOVES, moved, "acknowledgements at the new address", || {
        after.map_or_else(|| "none".to_owned(), |seen| seen.describe())
    });
    stage.first.deaf.clear();
}

fn is_challenge(seen: &Seen) -> bool {
    seen.challenge(Who::First).is_some()
}

/// To an address that has not answered, no more bytes went than came from it; PathResponses are not counted.
fn budget(stage: &mut Stage, mark: Mark, place: Place, came: usize) {
    let arrived = stage.since(mark).iter().filter(|seen| seen.place == place);
    let counted = arrived
        .filter(|seen| Who::ALL.into_iter().all(|who| !matches!(seen.message(who), Some(Message::PathResponse(_)))));
    let sent: usize = counted.map(|seen| seen.bytes).sum();
    stage.report.judge(
        &checks::BUDGET,
        sent <= came,
        &format!("at most the {came} bytes that came from there"),
        || format!("{sent} bytes"),
    );
}
