//! Load: under a flood of initiations a cookie is demanded, and serves.

use std::time::Duration;

use crate::auth::handshake::Initiator;
use crate::conformance::checks;
use crate::conformance::network::Place;
use crate::conformance::peer::Who;
use crate::conformance::stage::{Seen, Stage, What};
use crate::wire::cookie_reply::CookieReply;
use crate::wire::id::Index;
use crate::wire::initiation::Initiation;

/// How many initiations come at once: more than `HANDSHAKES_OPEN` by far.
const FLOOD: usize = 80;
/// How long an answer is waited for while the flood goes on.
const MOMENT: Duration = Duration::from_millis(400);

/// Runs the checks.
pub(super) fn run(stage: &mut Stage) {
    cookies(stage);
    // The target has handshakes to spare again before anything else is asked of it.
    stage.pass(Duration::from_secs(4));
    let _ = stage.exchange(Who::First);
}

fn cookies(stage: &mut Stage) {
    let (identity, run) = (stage.third.identity.clone(), stage.third.incarnation);
    let Some(mut initiator) = stage.begin(&identity, run) else { return };
    let index = initiator.sender();
    flood(stage);
    let mark = stage.mark();
    stage.send(Place::Third, initiator.datagram());
    let reply = stage.wait(mark, MOMENT, |seen| seen.answers() == Some(index));
    let opened = reply.as_ref().and_then(|seen| initiator.open_cookie(&cookie(seen)?));
    let Some(opened) = opened else {
        let seen = reply.map_or_else(|| "silence".to_owned(), |seen| seen.describe());
        stage.report.fail(&checks::COOKIE, "a CookieReply that opens", seen);
        return;
    };
    stage.report.pass(&checks::COOKIE);
    initiator.set_cookie(opened);

    elsewhere(stage, &initiator, index);
    flood(stage);
    let mark = stage.mark();
    stage.send(Place::Third, initiator.datagram());
    let answer = stage.wait(mark, MOMENT, |seen| seen.answers() == Some(index));
    let taken = answer.as_ref().is_some_and(|seen| cookie(seen).is_none());
    stage.report.judge(&checks::COOKIE_TAKEN, taken, "a Response to a right mac2, under load", || {
        answer.map_or_else(|| "silence".to_owned(), |seen| seen.describe())
    });
}

/// The mac2 is right for another address, and then wrong for this one: no Response for either.
fn elsewhere(stage: &mut Stage, initiator: &Initiator, index: Index) {
    let mut wrong = *initiator.datagram();
    if let Some(last) = wrong.last_mut() {
        *last ^= 1;
    }
    for (place, datagram) in [(Place::Stranger, initiator.datagram()), (Place::Third, &wrong)] {
        flood(stage);
        let mark = stage.mark();
        stage.send(place, datagram);
        stage.pass(MOMENT);
        let answered = stage.since(mark).iter().find(|seen| seen.answers() == Some(index) && cookie(seen).is_none());
        let seen = answered.map(Seen::describe);
        stage.report.judge(&checks::COOKIE_BOUND, seen.is_none(), "no Response", || seen.unwrap_or_default());
    }
}

fn cookie(seen: &Seen) -> Option<CookieReply> {
    match &seen.what {
        What::Cookie(reply) => Some(*reply),
        What::Tagged(..) | What::Initiation(..) | What::Response(_) | What::Flawed => None,
    }
}

/// Initiations that cost the target no more than a look: their mac1 is right, and the rest does not decrypt.
fn flood(stage: &mut Stage) {
    let (identity, run) = (stage.third.identity.clone(), stage.third.incarnation);
    let Some(initiator) = stage.begin(&identity, run) else { return };
    for _ in 0..FLOOD {
        let mut datagram: [u8; Initiation::LEN] = *initiator.datagram();
        let index = stage.index();
        let random: [u8; 32] = stage.drbg.array();
        for (byte, value) in datagram.iter_mut().skip(4).zip(index.0.to_be_bytes()) {
            *byte = value;
        }
        for (byte, value) in datagram.iter_mut().skip(32).zip(random) {
            *byte = value;
        }
        crate::conformance::calling::sign(stage, &mut datagram);
        stage.send(Place::Ghost, &datagram);
    }
}
