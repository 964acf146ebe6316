//! Link time: the second peer's session, whose clock is decades away from any other.

use crate::auth::totp::{STEP_MS, low8};
use crate::conformance::bait::Baits;
use crate::conformance::checks;
use crate::conformance::forge::Plan;
use crate::conformance::peer::Who;
use crate::conformance::stage::Stage;
use crate::driver::clock;

/// Runs the checks: near steps are taken, and link time follows them by 30 s and no more.
pub(super) fn run(stage: &mut Stage) {
    stage.settle(Who::Second);
    let Some(own) = stage.second.session().map(|session| session.step(clock::now())) else { return };
    let Some(last) = own.checked_sub(1) else {
        stage.report.skip(&checks::NEAR, "link time has only begun: there is no step before");
        return;
    };
    let before = step_of_ack(stage, last);
    let same = step_of_ack(stage, own);
    let after = step_of_ack(stage, own + 1);
    let taken = before.is_some() && same.is_some() && after.is_some();
    stage.report.judge(&checks::NEAR, taken, "acknowledgements of the steps -1, 0 and +1", || {
        let said = [before, same, after].map(|ack| if ack.is_some() { "one" } else { "none" });
        said.join(", ")
    });
    if same.is_none() || after.is_none() {
        stage.report.skip(&checks::FOLLOWS, "the step +1 was not taken");
        return;
    }
    let followed = after == Some(low8(own + 1));
    stage.report.judge(&checks::FOLLOWS, followed, "an acknowledgement in the step +1", || {
        format!("one in the step {}, where +1 is {}", after.unwrap_or_default(), low8(own + 1))
    });
    // Link time has now the beginning of the next step, so the one after that is near.
    ahead(stage, (own + 1) * STEP_MS);
    let next = step_of_ack(stage, own + 2);
    stage.report.judge(&checks::FOLLOWS, next.is_some(), "the step +2 to be near now", || "silence".to_owned());
    // No more than 30 s in all: the rest of them does not reach the step +2.
    if let Some(session) = stage.second.session() {
        session.ahead_ms = 30_000;
    }
    let mut baits = Baits::new(stage);
    let place = stage.second.place;
    let heartbeat = stage.heartbeat_of(Who::Second);
    let Some(session) = stage.second.session() else { return };
    if session.step(clock::now()) > own + 1 {
        // The run was held up for so long that the step has come by itself.
        return;
    }
    let plan = session.plan(clock::now());
    let plan = Plan { step: own + 3, ..plan };
    let datagram = session.make(plan, &heartbeat);
    let what = "the step +3, for which link time would follow by more than 30 s";
    baits.throw(stage, &checks::FOLLOWS, what, (place, &datagram), move |seen| {
        seen.ack(Who::Second) == Some(plan.counter + 1)
    });
    baits.reap(stage);
}

/// The step under which a heartbeat of this step is acknowledged.
fn step_of_ack(stage: &mut Stage, step: u64) -> Option<u8> {
    let place = stage.second.place;
    let heartbeat = stage.heartbeat_of(Who::Second);
    let mark = stage.mark();
    let session = stage.second.session()?;
    let plan = session.plan(clock::now());
    let plan = Plan { step, ..plan };
    let datagram = session.make(plan, &heartbeat);
    stage.send(place, &datagram);
    let ack = stage.acknowledged(mark, Who::Second, plan.counter)?;
    ack.header(Who::Second).map(|header| header.step)
}

/// Sets the tester's notion of link time forward to this, as the target's now is.
fn ahead(stage: &mut Stage, link_ms: u64) {
    if let Some(session) = stage.second.session() {
        let behind = link_ms.saturating_sub(session.link_ms(clock::now()));
        session.ahead_ms = session.ahead_ms.saturating_add(behind).min(30_000);
    }
}
