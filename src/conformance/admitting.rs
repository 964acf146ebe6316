//! The other peers come in: by the first one's word, and by handshakes that the target and the third peer begin.

use std::time::Duration;

use crate::auth::mac::Mac1Key;
use crate::conformance::checks;
use crate::conformance::network::Place;
use crate::conformance::peer::Who;
use crate::conformance::stage::{PATIENCE, Seen, Stage};
use crate::wire::datagram::Datagram;
use crate::wire::initiation::Mode;
use crate::wire::list::List;
use crate::wire::located::{Located, LocatedEntry, Source};
use crate::wire::record::MemberState;
use crate::wire::response::Response;

/// The clock of the second peer: far from any real one, 12 s after the beginning of a time step.
pub(super) const OTHER_CLOCK_MS: u64 = 4_102_444_812_000;

/// How long the target may take until it looks for a new member, and until it has probed where that is said to be.
const LOOKS: Duration = Duration::from_secs(3);
/// How soon a heartbeat follows a Response.
const AT_ONCE: Duration = Duration::from_millis(700);

/// Brings all peers in.
pub(super) fn run(stage: &mut Stage) {
    let records = stage.records(Who::First);
    let admission = Stage::next_admission(&records);
    let admitted: Vec<_> = [Who::Second, Who::Third, Who::Ghost]
        .into_iter()
        .filter_map(|who| stage.record(who, admission, MemberState::Member))
        .collect();
    let mark = stage.mark();
    for _ in 0..2 {
        // Twice: one of them may be lost, and the second one is no news.
        stage.push(Who::First, &admitted);
    }
    let third = stage.handshake(Who::Third);
    let acked = third.is_ok() && stage.exchange(Who::Third).is_some();
    stage.report.judge(&checks::MEMBER, acked, "a Response, and an acknowledgement under its session", || {
        third.err().unwrap_or_else(|| "no acknowledgement".to_owned())
    });

    let second = stage.second.id();
    let asked = stage.wait(mark, LOOKS, |seen| seen.asks_for(second));
    stage.report.judge(&checks::ASKS, asked.is_some(), "a Locate for the second peer", || "none".to_owned());
    if let Err(reason) = called(stage) {
        stage.report.fail(&checks::CALLS, "an initiation of the target to the second peer", reason);
        stage.second.sessions.clear();
        let _ = stage.handshake(Who::Second);
    }
    let _ = stage.exchange(Who::Second);
}

/// The target is told where the second peer and the ghost are, and calls them.
fn called(stage: &mut Stage) -> Result<(), String> {
    let mark = stage.mark();
    let mut entries = List::new();
    for (who, place) in [(Who::Second, Place::Second), (Who::Ghost, Place::Ghost)] {
        let address = stage.address(place).ok_or("the tester does not know its own address")?;
        let entry = LocatedEntry { id: stage.peer(who).id(), source: Source::LastSeen, age_s: 60, address };
        entries.push(entry).map_err(|_| "no room")?;
    }
    stage.tell(Who::First, &Located { entries });
    let is_call = |seen: &Seen| seen.place == Place::Second && seen.initiation(Who::Second).is_some();
    let seen = stage.wait(mark, LOOKS, is_call).ok_or("none")?;
    let initiation = *seen.initiation(Who::Second).ok_or("none")?;
    let received = stage.read_initiation(Who::Second, &initiation)?;
    let right = initiation.mode == Mode::Member && received.initiator() == stage.target;
    stage.report.judge(&checks::CALLS, right, "an initiation of mode 0 with the target's key", || {
        format!("mode {:?}, another key", initiation.mode)
    });

    // Wrong answers first, under the same index.
    let response = stage.respond(Who::Second, received, initiation.sender, OTHER_CLOCK_MS)?;
    for wrong in wrong_responses(stage, &response) {
        stage.send(Place::Second, &wrong);
    }
    // Its next initiation is the same, as long as it is of the same attempt: and it is not answered yet.
    let mark = stage.mark();
    if let Some(again) = stage.wait(mark, PATIENCE, is_call) {
        let same = again.initiation(Who::Second) == Some(&initiation);
        stage.report.judge(&checks::SAME_INITIATION, same, "the same initiation again", || "another one".to_owned());
    } else {
        stage.report.skip(&checks::SAME_INITIATION, "the initiation came once only");
    }
    let fooled = stage.everything().iter().any(|seen| seen.header(Who::Second).is_some());
    let mark = stage.mark();
    stage.send(Place::Second, &response);
    let heartbeat = stage.wait(mark, AT_ONCE, |seen| seen.is_heartbeat(Who::Second));
    let lives = heartbeat.is_some();
    stage.report.judge(&checks::BAD_RESPONSE, !fooled, "no session from a wrong response", || {
        "a datagram under that session".to_owned()
    });
    stage.report.judge(&checks::BAD_RESPONSE, lives, "the right Response to be taken after wrong ones", || {
        "no heartbeat under its session".to_owned()
    });
    stage.report.judge(&checks::AT_ONCE, lives, "a heartbeat within 0.7 s", || "none".to_owned());
    let first = heartbeat.as_ref().and_then(|seen| seen.header(Who::Second)).map(|header| header.counter);
    stage.report.judge(&checks::TARGET_FIRST, first.is_none_or(|counter| counter == 0), "counter 0", || {
        format!("counter {}", first.unwrap_or_default())
    });
    lives.then_some(()).ok_or_else(|| "it took no Response".to_owned())
}

/// Responses that must leave the attempt as it was: another mac1, another ciphertext under a right mac1, another index.
fn wrong_responses(stage: &Stage, right: &[u8; Response::LEN]) -> Vec<Vec<u8>> {
    let key = Mac1Key::of(&stage.target);
    let flipped = |at: usize| {
        let mut wrong = *right;
        if let Some(byte) = wrong.get_mut(at) {
            *byte ^= 0x20;
        }
        wrong
    };
    let signed = |datagram: [u8; Response::LEN]| {
        let mut datagram = datagram;
        let parsed = Datagram::parse(&datagram);
        if let Ok(Datagram::Response(mut response)) = parsed {
            response.mac1 = key.mac1(&response);
            datagram = response.to_bytes();
        }
        datagram.to_vec()
    };
    vec![flipped(Response::BEFORE_MAC1).to_vec(), signed(flipped(100)), signed(flipped(20)), signed(flipped(7))]
}

/// At the end: how often the ghost was called.
pub(super) fn count_probes(stage: &mut Stage) {
    let is_call = |seen: &&Seen| seen.place == Place::Ghost && seen.initiation(Who::Ghost).is_some();
    let calls: Vec<_> = stage.everything().iter().filter(is_call).map(|seen| seen.at).collect();
    let gaps = calls.windows(2).filter_map(|pair| match pair {
        [before, after] => Some(after.saturating_duration_since(*before)),
        _ => None,
    });
    let least = gaps.min();
    let fine = !calls.is_empty() && calls.len() <= 3 && least.is_none_or(|gap| gap >= Duration::from_millis(400));
    let seen =
        || format!("{} initiations, the closest two {} ms apart", calls.len(), least.unwrap_or_default().as_millis());
    stage.report.judge(&checks::PROBES, fine, "one to three probes, 0.5 s apart", seen);
}
