//! Baits: datagrams that must be met with silence, thrown together and waited for together.

use crate::conformance::checks::{ALIVE, Check};
use crate::conformance::network::Place;
use crate::conformance::peer::Who;
use crate::conformance::stage::{Mark, SILENCE, Seen, Stage};

/// Baits that wait for their silence.
pub(super) struct Baits {
    mark: Mark,
    list: Vec<Bait>,
}

/// A datagram that was sent, and what would show that it was not discarded.
struct Bait {
    check: &'static Check,
    what: String,
    tells: Box<dyn Fn(&Seen) -> bool>,
}

impl Baits {
    /// None yet.
    pub(super) fn new(stage: &Stage) -> Self {
        Self { mark: stage.mark(), list: Vec::new() }
    }

    /// Sends one. `tells` knows an answer to it from all else that the target may send meanwhile.
    pub(super) fn throw(
        &mut self,
        stage: &mut Stage,
        check: &'static Check,
        what: impl Into<String>,
        (from, datagram): (Place, &[u8]),
        tells: impl Fn(&Seen) -> bool + 'static,
    ) {
        stage.send(from, datagram);
        self.list.push(Bait { check, what: what.into(), tells: Box::new(tells) });
    }

    /// Listens, and judges. Silence counts only if a right datagram is answered after it.
    pub(super) fn reap(self, stage: &mut Stage) {
        stage.pass(SILENCE);
        let alive = stage.exchange(Who::First).is_some();
        stage.report.judge(&ALIVE, alive, "an answer to a right heartbeat", || "silence".to_owned());
        for bait in self.list {
            let answer = stage.since(self.mark).iter().find(|seen| (bait.tells)(seen)).map(Seen::describe);
            match answer {
                Some(answer) => {
                    stage.report.fail(bait.check, format!("silence after {}", bait.what), answer);
                }
                None if alive => stage.report.pass(bait.check),
                None => stage.report.skip(bait.check, "the target had fallen silent altogether"),
            }
        }
    }
}
