//! Life and its end: heartbeats, a peer that falls silent and comes back, and goodbyes.

use std::time::{Duration, Instant};

use crate::conformance::checks;
use crate::conformance::peer::Who;
use crate::conformance::stage::{BEAT, PATIENCE, Seen, Stage, one_or_none};
use crate::driver::clock;
use crate::wire::address::Address;
use crate::wire::heartbeat::Heartbeat;
use crate::wire::leave::Leave;
use crate::wire::located::Source;

/// The longest until a heartbeat that everybody gets.
const BURST: Duration = Duration::from_millis(800);
/// The bounds within which a heartbeat is repeated. Spec: `RESEND_FIRST`.
const RESEND: std::ops::RangeInclusive<Duration> = Duration::from_millis(190)..=Duration::from_millis(2_200);
/// From the first heartbeat that a silent peer misses to the search for it.
const SEARCH: Duration = Duration::from_secs(6);

/// Checks of heartbeats and of a peer that falls silent.
pub(super) fn run(stage: &mut Stage) {
    everybody(stage);
    silence(stage);
}

/// One peer says that it sees the target elsewhere: the target has perhaps moved, and shows itself to all.
fn everybody(stage: &mut Stage) {
    // Bursts are a second apart, and a heartbeat under way delays the next one.
    stage.pass(PATIENCE);
    let Some(elsewhere) = Address::new(stage.at.ip(), stage.at.port() ^ 1) else { return };
    let digest = stage.first.digest;
    let mark = stage.mark();
    stage.tell(Who::First, &Heartbeat { seen: 0, digest, reflection: Some(elsewhere) });
    let second = stage.wait(mark, BURST, |seen| seen.is_heartbeat(Who::Second)).is_some();
    let third = stage.wait(mark, BURST, |seen| seen.is_heartbeat(Who::Third)).is_some();
    stage.report.judge(&checks::EVERYBODY, second && third, "heartbeats to the two others at once", || {
        format!("second: {}, third: {}", one_or_none(second), one_or_none(third))
    });
    let _ = stage.exchange(Who::First);
}

/// The second peer falls silent.
fn silence(stage: &mut Stage) {
    let second = stage.second.id();
    stage.second.mute = true;
    let mark = stage.mark();
    let Some(missed) = stage.wait(mark, BEAT, |seen| seen.is_heartbeat(Who::Second)) else {
        stage.report.fail(&checks::BEATS, "a heartbeat within 14 s", "none");
        stage.second.mute = false;
        return;
    };
    stage.report.pass(&checks::BEATS);
    let again = stage.wait(mark, *RESEND.end(), |seen| is_later_heartbeat(seen, missed.at));
    let gap = again.map(|seen| seen.at.saturating_duration_since(missed.at));
    stage.report.judge(
        &checks::RESENDS,
        gap.is_some_and(|gap| RESEND.contains(&gap)),
        "another one 0.2 s to 2 s later",
        || gap.map_or_else(|| "none".to_owned(), |gap| format!("one after {} ms", gap.as_millis())),
    );
    let before = clock::now();
    let other = stage.exchange(Who::First).is_some();
    let took = clock::now().saturating_duration_since(before);
    stage.report.judge(
        &checks::PATIENT,
        other && took < Duration::from_millis(500),
        "an answer to another peer at once",
        || {
            if other { format!("one after {} ms", took.as_millis()) } else { "none".to_owned() }
        },
    );
    let asked = stage.wait(mark, SEARCH, |seen| seen.asks_for(second));
    let called = stage.wait(mark, PATIENCE, |seen| seen.initiation(Who::Second).is_some());
    stage.report.judge(
        &checks::SUSPECTS,
        asked.is_some() && called.is_some(),
        "a Locate to others and an initiation",
        || format!("Locate: {}, initiation: {}", one_or_none(asked.is_some()), one_or_none(called.is_some())),
    );
    stage.second.mute = false;
    let acked = stage.exchange(Who::Second).is_some();
    let state = source(stage, Who::Second);
    stage.report.judge(
        &checks::REVIVES,
        acked && state == Some(Source::Up),
        "its heartbeat acknowledged, and it shown as up",
        || format!("acknowledged: {acked}, shown as {state:?}"),
    );
}

fn is_later_heartbeat(seen: &Seen, than: Instant) -> bool {
    seen.is_heartbeat(Who::Second) && seen.at > than
}

/// How the target says, when the first peer asks, that it knows where another one is.
fn source(stage: &mut Stage, of: Who) -> Option<Source> {
    let id = stage.peer(of).id();
    let entries = stage.locate(Who::First, &[id])?;
    entries.iter().find(|entry| entry.id == id).map(|entry| entry.source)
}

/// Checks of goodbyes: a forged one, an old one, a right one, and the return.
pub(super) fn goodbye(stage: &mut Stage) {
    let place = stage.third.place;
    if source(stage, Who::Third) != Some(Source::Up) {
        stage.report.skip(&checks::FORGED_LEAVE, "the target does not say that the third peer is up");
        return;
    }
    let Some(session) = stage.third.session() else { return };
    let plan = session.plan(clock::now());
    let old = session.make(plan, &Leave);
    let forged = session.plan(clock::now());
    let mut forged = session.make(forged, &Leave);
    if let Some(last) = forged.last_mut() {
        *last ^= 1;
    }
    stage.send(place, &forged);
    let state = after_a_while(stage);
    stage
        .report
        .judge(&checks::FORGED_LEAVE, state == Some(Source::Up), "the member to be up still", || format!("{state:?}"));
    let _ = stage.exchange(Who::Third);
    stage.send(place, &old);
    let state = after_a_while(stage);
    stage
        .report
        .judge(&checks::OLD_LEAVE, state == Some(Source::Up), "the member to be up still", || format!("{state:?}"));
    // What it still has to say it says before.
    stage.pass(Duration::from_millis(200));
    stage.third.mute = true;
    stage.tell(Who::Third, &Leave);
    let state = after_a_while(stage);
    stage.report.judge(&checks::LEAVE, state != Some(Source::Up), "the member not to be up", || format!("{state:?}"));
    stage.third.mute = false;
    let back = stage.exchange(Who::Third).is_some();
    stage.report.judge(&checks::REVIVES, back, "an answer to a member that has come back", || "silence".to_owned());
}

fn after_a_while(stage: &mut Stage) -> Option<Source> {
    stage.pass(Duration::from_millis(200));
    source(stage, Who::Third)
}
