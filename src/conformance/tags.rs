//! Tags and counters: what is not exactly right is met with silence, and what is right is taken once.

use std::time::Duration;

use crate::auth::keys::Direction;
use crate::auth::totp::{STEP_MS, low8};
use crate::conformance::bait::Baits;
use crate::conformance::checks::{self, Check};
use crate::conformance::forge::{Forge, Plan};
use crate::conformance::network::Place;
use crate::conformance::peer::Who;
use crate::conformance::stage::{BEAT, PATIENCE, SILENCE, Seen, Stage};
use crate::driver::clock;
use crate::wire::body::{Body, MAX_BODY};
use crate::wire::header::Header;
use crate::wire::heartbeat::{Heartbeat, HeartbeatAck};
use crate::wire::id::{Index, NodeId};
use crate::wire::kind::Kind;
use crate::wire::members_request::MembersRequest;
use crate::wire::message::Message;
use crate::wire::path::PathResponse;

/// The counters that the replay window holds. Spec: `WINDOW`.
const WINDOW: u64 = 1024;

/// Between which milliseconds of a time step nobody is in another one than the other end.
const CALM: std::ops::RangeInclusive<u64> = 500..=25_000;

impl Stage {
    /// Waits until neither end of a peer's session can be in another step than the other, nor soon will.
    pub(super) fn settle(&mut self, who: Who) {
        let calm = |session: &mut Forge| CALM.contains(&(session.link_ms(clock::now()) % STEP_MS));
        while !self.peer(who).session().is_none_or(calm) {
            self.pass(Duration::from_millis(100));
        }
    }

    /// Throws a heartbeat of the first peer with something changed in its plan or in its bytes.
    pub(super) fn throw_heartbeat(
        &mut self,
        baits: &mut Baits,
        check: &'static Check,
        what: impl Into<String>,
        plan: impl FnOnce(&mut Plan),
        bytes: impl FnOnce(&Forge, Plan, Vec<u8>) -> Vec<u8>,
    ) {
        let heartbeat = self.heartbeat_of(Who::First);
        let place = self.first.place;
        let Some(session) = self.first.session() else { return };
        let mut planned = session.plan(clock::now());
        plan(&mut planned);
        let made = session.make_raw(planned, encoded(&planned, &heartbeat));
        let datagram = bytes(session, planned, made);
        let counter = planned.counter;
        baits.throw(self, check, what, (place, &datagram), move |seen| acknowledges(seen, counter));
    }
}

/// The plain body of a heartbeat, for a plan of whatever type.
fn encoded(plan: &Plan, heartbeat: &Heartbeat) -> Vec<u8> {
    let step = low8(plan.step);
    let header = Header { kind: plan.kind, step, receiver: plan.receiver, counter: plan.counter };
    let mut body = vec![0; MAX_BODY];
    let length = heartbeat.encode(&header, &mut body);
    body.truncate(length);
    body
}

fn acknowledges(seen: &Seen, counter: u64) -> bool {
    seen.ack(Who::First).is_some_and(|acked| Some(acked) == counter.checked_add(1))
}

/// Checks of tags.
pub(super) fn run(stage: &mut Stage) {
    let acked = stage.exchange(Who::First).is_some();
    stage
        .report
        .judge(&checks::ACK, acked, "a HeartbeatAck with the heartbeat's counter plus one", || "none".to_owned());
    let mut baits = Baits::new(stage);
    // The step in the header is left alone: another one is another matter.
    for (at, what) in [(15, "the counter"), (20, "the body"), (50, "the tag's first byte"), (65, "the tag's last byte")]
    {
        let text = format!("a heartbeat with a bit changed in {what}");
        stage.throw_heartbeat(&mut baits, &checks::WRONG_TAG, text, |_| (), |_, _, datagram| flipped(datagram, at));
    }
    stage.throw_heartbeat(
        &mut baits,
        &checks::WRONG_TAG,
        "a heartbeat with a tag of zeros",
        |_| (),
        |_, _, datagram| {
            let kept = datagram.len().saturating_sub(16);
            datagram.into_iter().take(kept).chain([0; 16]).collect()
        },
    );
    let backwards = "a tag made with the secret of the other direction";
    let turn = |plan: &mut Plan| plan.direction = Direction::Received;
    stage.throw_heartbeat(&mut baits, &checks::DIRECTION, backwards, turn, |_, _, datagram| datagram);
    let unknown = stage.index();
    let to_nobody = |plan: &mut Plan| plan.receiver = unknown;
    stage.throw_heartbeat(&mut baits, &checks::INDEX, "an unknown index", to_nobody, |_, _, datagram| datagram);
    splice(stage, &mut baits);
    unseal(stage, &mut baits);
    ack_an_ack(stage, &mut baits);
    steps(stage, &mut baits);
    baits.reap(stage);
}

fn flipped(mut datagram: Vec<u8>, at: usize) -> Vec<u8> {
    if let Some(byte) = datagram.get_mut(at) {
        *byte ^= 0x01;
    }
    datagram
}

/// A datagram with a right tag for one session or type is moved to another.
fn splice(stage: &mut Stage, baits: &mut Baits) {
    let thirds: Option<Index> = stage.third.session().map(|session| session.plan(clock::now()).receiver);
    if let Some(thirds) = thirds {
        let moved = |_: &Forge, _: Plan, datagram: Vec<u8>| {
            let (head, tail) = datagram.split_at_checked(8).unwrap_or_default();
            let (type_and_step, _) = head.split_at_checked(4).unwrap_or_default();
            [type_and_step, &thirds.0.to_be_bytes(), tail].concat()
        };
        stage.throw_heartbeat(
            baits,
            &checks::SPLICED,
            "the first peer's datagram under the third's index",
            |_| (),
            moved,
        );
    }
    let bytes: [u8; 8] = stage.drbg.array();
    let place = stage.first.place;
    let Some(session) = stage.first.session() else { return };
    let plan = session.plan(clock::now());
    let mut datagram = session.make(plan, &PathResponse(bytes));
    if let Some(kind) = datagram.get_mut(1) {
        *kind = Kind::PATH_CHALLENGE.0;
    }
    let what = "a PathResponse made into a PathChallenge";
    baits.throw(stage, &checks::SPLICED, what, (place, &datagram), move |seen| echoes(seen, bytes));
}

fn echoes(seen: &Seen, bytes: [u8; 8]) -> bool {
    Who::ALL.into_iter().any(|who| matches!(seen.message(who), Some(Message::PathResponse(echo)) if echo.0 == bytes))
}

/// A sealed body that does not open, under a right tag.
fn unseal(stage: &mut Stage, baits: &mut Baits) {
    let place = stage.first.place;
    let Some(session) = stage.first.session() else { return };
    let plan = session.plan(clock::now());
    let whole = session.make(plan, &MembersRequest { after: NodeId::NONE });
    let covered = whole.len().saturating_sub(16);
    let covered = whole.into_iter().take(covered).collect();
    let datagram = session.tagged(plan, flipped(covered, 20));
    baits.throw(stage, &checks::SEAL, "a MembersRequest that does not open", (place, &datagram), |seen| {
        matches!(seen.message(Who::First), Some(Message::Members(_)))
    });
}

/// An acknowledgement is no question.
fn ack_an_ack(stage: &mut Stage, baits: &mut Baits) {
    let heartbeat = stage.heartbeat_of(Who::First);
    let place = stage.first.place;
    let Some(reflection) = heartbeat.reflection else { return };
    let Some(session) = stage.first.session() else { return };
    let plan = session.plan(clock::now());
    let ack = HeartbeatAck { acked: 1, digest: heartbeat.digest, reflection };
    let datagram = session.make(plan, &ack);
    let what = "a HeartbeatAck";
    baits.throw(stage, &checks::NO_ACK_OF_ACK, what, (place, &datagram), move |seen| acknowledges(seen, plan.counter));
}

/// Steps that are too far away, with the tags that are right for them.
fn steps(stage: &mut Stage, baits: &mut Baits) {
    stage.settle(Who::First);
    let Some(own) = stage.first.session().map(|session| session.step(clock::now())) else { return };
    for off in [-128_i64, -3, -2, 2, 3, 127] {
        // Where the target's clock begins with 1970 there is no step so long ago.
        let Some(step) = own.checked_add_signed(off) else { continue };
        let what = format!("a right tag of the step {off:+} from link time");
        stage.throw_heartbeat(baits, &checks::STEP, what, |plan| plan.step = step, |_, _, datagram| datagram);
    }
}

/// Checks of the replay window.
pub(super) fn replay(stage: &mut Stage) {
    let place = stage.first.place;
    once(stage, place);
    late(stage, place);
    beyond(stage);
    let counter = untouched(stage);
    let seen = stage.wait(stage.mark(), BEAT, |seen| seen.is_heartbeat(Who::First));
    let said = seen.as_ref().and_then(|seen| match seen.message(Who::First) {
        Some(Message::Heartbeat(heartbeat)) => Some(heartbeat.seen),
        Some(_) | None => None,
    });
    match (said, counter) {
        (Some(said), Some(_)) => {
            let highest = stage.first.session().map(|session| session.next).unwrap_or_default();
            // The tester's own acknowledgement may be the highest by now, or not yet.
            let fine = highest.checked_sub(said).is_some_and(|behind| behind <= 2);
            stage.report.judge(&checks::SEEN, fine, &format!("{highest}, or up to two less"), || said.to_string());
        }
        (None, _) | (_, None) => stage.report.skip(&checks::SEEN, "no heartbeat came in time"),
    }
}

/// The same datagram three times: one acknowledgement.
fn once(stage: &mut Stage, place: Place) {
    let heartbeat = stage.heartbeat_of(Who::First);
    let mark = stage.mark();
    let Some(session) = stage.first.session() else { return };
    let plan = session.plan(clock::now());
    let datagram = session.make(plan, &heartbeat);
    for _ in 0..3 {
        stage.send(place, &datagram);
    }
    stage.pass(SILENCE);
    let acks = stage.since(mark).iter().filter(|seen| acknowledges(seen, plan.counter)).count();
    stage.report.judge(&checks::REPLAY, acks == 1, "one acknowledgement for three copies", || format!("{acks}"));
}

/// A jump forward, then what is just inside and just outside of the window.
fn late(stage: &mut Stage, place: Place) {
    // Nothing may raise the highest counter meanwhile.
    stage.first.mute = true;
    let mut send = |counter: u64| {
        let heartbeat = stage.heartbeat_of(Who::First);
        let mark = stage.mark();
        let Some(session) = stage.first.session() else { return false };
        let plan = Plan { counter, ..session.plan(clock::now()) };
        session.next = session.next.max(counter + 1);
        let datagram = session.make(plan, &heartbeat);
        stage.send(place, &datagram);
        stage.acknowledged(mark, Who::First, counter).is_some()
    };
    let highest = 5_000;
    let taken = [highest, highest - 3, highest - 100, highest + 1 - WINDOW].map(&mut send);
    let outside = send(highest - WINDOW);
    stage.first.mute = false;
    stage.report.judge(&checks::REORDERED, taken == [true; 4], "four acknowledgements", || {
        let acked = taken.map(|acked| if acked { "one" } else { "none" });
        format!("for the counters {highest}, -3, -100 and -1023: {}", acked.join(", "))
    });
    stage.report.judge(&checks::OLD, !outside, "silence to a counter 1024 below the highest", || {
        "an acknowledgement".to_owned()
    });
}

/// Counters that nobody may use.
fn beyond(stage: &mut Stage) {
    let mut baits = Baits::new(stage);
    for counter in [1 << 63, u64::MAX - 1, u64::MAX] {
        let far = |plan: &mut Plan| plan.counter = counter;
        let what = format!("counter {counter}");
        stage.throw_heartbeat(&mut baits, &checks::LAST, what, far, |_, _, datagram| datagram);
    }
    baits.reap(stage);
}

/// A wrong tag with a great counter must not make the next right one old.
fn untouched(stage: &mut Stage) -> Option<u64> {
    let place = stage.first.place;
    let heartbeat = stage.heartbeat_of(Who::First);
    let session = stage.first.session()?;
    let plan = session.plan(clock::now());
    let far = Plan { counter: plan.counter + 1_000_000, ..plan };
    let datagram = flipped(session.make(far, &heartbeat), 65);
    stage.send(place, &datagram);
    let mark = stage.mark();
    let counter = stage.heartbeat(Who::First, place);
    let acked = stage.wait(mark, PATIENCE, |seen| acknowledges(seen, counter)).is_some();
    stage.report.judge(&checks::UNTOUCHED, acked, "the next right datagram to be taken", || "silence".to_owned());
    acked.then_some(counter)
}
