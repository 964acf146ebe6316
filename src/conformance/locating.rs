//! Losing and finding: who is where, who looks for whom, and who is told.

use std::time::Duration;

use crate::conformance::checks;
use crate::conformance::network::Place;
use crate::conformance::peer::Who;
use crate::conformance::stage::{Mark, PATIENCE, Seen, Stage, one_or_none};
use crate::wire::address::Address;
use crate::wire::id::NodeId;
use crate::wire::list::List;
use crate::wire::locate::Locate;
use crate::wire::located::{LocatedEntry, Source};
use crate::wire::message::Message;
use crate::wire::rendezvous::Rendezvous;

/// How long a move may take until it is believed, and told.
const MOVED: Duration = Duration::from_millis(2_000);

impl Stage {
    /// Asks where members are; what the target answers.
    pub(super) fn locate(&mut self, who: Who, wanted: &[NodeId]) -> Option<Vec<LocatedEntry>> {
        let locate = Locate::of(wanted).ok()?;
        let answer = self.ask(who, &locate, |seen| entries(seen, who).is_some())?;
        entries(&answer, who)
    }
}

fn entries(seen: &Seen, who: Who) -> Option<Vec<LocatedEntry>> {
    let Some(Message::Located(located)) = seen.message(who) else { return None };
    Some(located.entries.as_slice().to_vec())
}

/// Runs the checks.
pub(super) fn run(stage: &mut Stage) {
    let mark = stage.mark();
    located(stage);
    rendezvous(stage, mark);
    subscription(stage);
    meets(stage);
}

fn located(stage: &mut Stage) {
    let nobody = NodeId(stage.drbg.array());
    let (second, third) = (stage.second.id(), stage.third.id());
    let target = NodeId::from(&stage.target);
    let at = stage.address(stage.second.place);
    let answer = stage.locate(Who::Third, &[second, third, target, nobody]);
    let right = answer.as_ref().is_some_and(|entries| match entries.as_slice() {
        [one] => one.id == second && Some(one.address) == at && one.source == Source::Up,
        _ => false,
    });
    stage.report.judge(&checks::LOCATED, right, "one entry: the second peer, up, at its address", || {
        answer.map_or_else(|| "silence".to_owned(), |entries| format!("{entries:?}"))
    });
    let empty = stage.locate(Who::First, &[nobody]);
    stage.report.judge(&checks::LOCATED, empty.as_ref().is_some_and(Vec::is_empty), "an empty Located", || {
        empty.map_or_else(|| "silence".to_owned(), |entries| format!("{entries:?}"))
    });
}

fn introduces(seen: &Seen, to: Who, seeker: NodeId, at: Option<Address>) -> bool {
    let Some(Message::Rendezvous(rendezvous)) = seen.message(to) else { return false };
    rendezvous.seeker == seeker && rendezvous.addresses.iter().any(|address| Some(*address) == at)
}

/// The second peer was asked for: it is told by whom, and is heartbeated.
fn rendezvous(stage: &mut Stage, mark: Mark) {
    let (seeker, at) = (stage.third.id(), stage.address(stage.third.place));
    let told = stage.wait(mark, PATIENCE, |seen| introduces(seen, Who::Second, seeker, at)).is_some();
    let beat = stage.wait(mark, PATIENCE, |seen| seen.is_heartbeat(Who::Second)).is_some();
    stage.report.judge(
        &checks::RENDEZVOUS,
        told && beat,
        "a Rendezvous with the asker's address, and a Heartbeat",
        || format!("Rendezvous: {}, Heartbeat: {}", one_or_none(told), one_or_none(beat)),
    );
}

/// The second peer moves while the third is subscribed to it.
fn subscription(stage: &mut Stage) {
    let (old, new) = (stage.second.place, Place::SecondMoved);
    stage.second.deaf = vec![old];
    let second = stage.second.id();
    let mark = stage.mark();
    stage.heartbeat(Who::Second, new);
    let at = stage.address(new);
    let told = stage.wait(mark, MOVED, |seen| {
        entries(seen, Who::Third)
            .is_some_and(|all| all.iter().any(|entry| entry.id == second && at.is_none_or(|at| entry.address == at)))
    });
    stage.report.judge(
        &checks::SUBSCRIBED,
        told.is_some(),
        "a Located with the new address to who asked before",
        || "none".to_owned(),
    );
    stage.pass(MOVED);
    stage.second.place = new;
    stage.second.deaf.clear();
    let _ = stage.exchange(Who::Second);
}

/// The ghost is said to look for the target, from another address than the one that was probed.
fn meets(stage: &mut Stage) {
    let Some(address) = stage.address(Place::GhostElsewhere) else {
        stage.report.skip(&checks::MEETS, "the tester does not know its own address: give it one with --bind");
        return;
    };
    let seeker = stage.ghost.id();
    let mut addresses = List::new();
    let _ = addresses.push(address);
    let mark = stage.mark();
    stage.tell(Who::First, &Rendezvous { seeker, addresses });
    let probed = stage.wait(mark, MOVED, |seen| seen.place == Place::GhostElsewhere);
    stage.report.judge(&checks::MEETS, probed.is_some(), "a probe of the address that a Rendezvous names", || {
        "none".to_owned()
    });
}
