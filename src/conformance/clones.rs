//! Two machines with one identity: the first to be there stays while it answers, and the second is told so.

use std::time::Duration;

use crate::conformance::checks;
use crate::conformance::network::Place;
use crate::conformance::peer::Who;
use crate::conformance::stage::{Mark, Stage};
use crate::wire::id::{Incarnation, Index};
use crate::wire::message::Message;

/// How long the present run may take to be asked and to answer, with some time. Spec: `CONTEST`.
const CONTEST: Duration = Duration::from_millis(2_500);

/// Runs the checks.
pub(super) fn run(stage: &mut Stage) {
    if stage.exchange(Who::Third).is_none() {
        return;
    }
    let present = stage.third.sessions.len();
    let mark = stage.mark();
    let Some(second) = another_run(stage) else { return };
    // The second session stands last; the first one goes on by itself, and answers challenges.
    let told = stage.wait(mark, CONTEST, |seen| {
        matches!(seen.message(Who::Third), Some(Message::Conflict(_)))
            && seen.header(Who::Third).is_some_and(|header| header.receiver == second)
    });
    asked(stage, mark, second);
    stage.third.sessions.truncate(present);
    let goes_on = stage.exchange(Who::Third).is_some();
    stage.report.judge(
        &checks::TURNED_AWAY,
        told.is_some() && goes_on,
        "Conflict to the second, answers to the first",
        || {
            let word = |came: bool| if came { "came" } else { "none" };
            format!("Conflict: {}, answer: {}", word(told.is_some()), word(goes_on))
        },
    );
    taken_in(stage);
}

/// A handshake of another run of the third peer, confirmed; the index of its session.
fn another_run(stage: &mut Stage) -> Option<Index> {
    stage.third.incarnation = Incarnation(stage.drbg.array());
    confirmed(stage, Who::Third, Place::Stranger)
}

/// A handshake of a peer from this place, confirmed; the index of its session.
fn confirmed(stage: &mut Stage, who: Who, place: Place) -> Option<Index> {
    let before = stage.peer(who).place;
    stage.peer(who).place = place;
    let made = stage.handshake(who);
    stage.peer(who).place = before;
    made.ok()?;
    stage.heartbeat(who, place);
    stage.peer(who).session().map(|session| session.local)
}

/// Meanwhile the present run was challenged, under its own session.
fn asked(stage: &mut Stage, mark: Mark, second: Index) {
    let here = stage.third.place;
    let challenged = stage.since(mark).iter().any(|seen| {
        let own = seen.header(Who::Third).is_some_and(|header| header.receiver != second);
        seen.place == here && own && seen.challenge(Who::Third).is_some()
    });
    stage.report.judge(&checks::CONTEST, challenged, "a PathChallenge to the present run, under its session", || {
        "none".to_owned()
    });
}

/// The second peer starts anew: its run before is silent.
fn taken_in(stage: &mut Stage) {
    stage.second.incarnation = Incarnation(stage.drbg.array());
    stage.second.sessions.clear();
    let here = stage.second.place;
    let Some(index) = confirmed(stage, Who::Second, here) else { return };
    let mark = stage.mark();
    stage.pass(CONTEST);
    let acked = stage.exchange(Who::Second).is_some();
    let spoken = stage.since(mark).iter().any(|seen| seen.header(Who::Second).is_some_and(|at| at.receiver == index));
    stage
        .report
        .judge(&checks::TAKEN_IN, acked && spoken, "answers under the session of the new run", || "none".to_owned());
}
