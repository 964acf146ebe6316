//! Who waits for a member to be found: answered as soon as it is up, and after a second at the latest.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::wire::id::NodeId;

/// How long whoever asks for a member waits for it. Some round trips find it, if it can be found, and people wait for
/// this; with what it takes to ask and to answer it stays below a second.
const PATIENCE: Duration = Duration::from_millis(900);

/// How many may wait; the one that has waited longest is answered for another one.
const WAITING_MAX: usize = 64;

/// Those who wait.
#[derive(Debug, Default)]
pub(super) struct Finding {
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    member: NodeId,
    until: Instant,
    answer: oneshot::Sender<()>,
}

impl Finding {
    /// Somebody waits for a member from now on.
    pub(super) fn wait(&mut self, now: Instant, member: NodeId, answer: oneshot::Sender<()>) {
        if self.waiting.len() == WAITING_MAX {
            // Whoever asked may have gone.
            let _ = self.waiting.remove(0).answer.send(());
        }
        self.waiting.push(Waiting { member, until: now + PATIENCE, answer });
    }

    /// When the next one has waited long enough.
    pub(super) fn due(&self) -> Option<Instant> {
        self.waiting.iter().map(|waiting| waiting.until).min()
    }

    /// Answers those whose member is up, and those who have waited long enough.
    pub(super) fn answer(&mut self, now: Instant, is_up: impl Fn(NodeId) -> bool) {
        let done = |waiting: &Waiting| waiting.until <= now || is_up(waiting.member) || waiting.answer.is_closed();
        while let Some(index) = self.waiting.iter().position(done) {
            let _ = self.waiting.remove(index).answer.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::clock;

    #[test]
    fn whoever_waits_is_told_when_the_member_is_up_or_after_less_than_a_second() {
        let (now, mut finding) = (clock::now(), Finding::default());
        let mut wait = |member: u8| {
            let (answer, answered) = oneshot::channel();
            finding.wait(now, NodeId([member; 16]), answer);
            answered
        };
        let (mut found, mut missing) = (wait(1), wait(2));
        let end = finding.due().unwrap();
        assert!(end > now && end < now + Duration::from_secs(1));

        finding.answer(now, |member| member == NodeId([1; 16]));
        assert_eq!((found.try_recv(), missing.try_recv().is_err()), (Ok(()), true));
        finding.answer(end, |_| false);
        assert_eq!((missing.try_recv(), finding.due()), (Ok(()), None));
    }

    #[test]
    fn not_everybody_can_wait() {
        let (now, mut finding) = (clock::now(), Finding::default());
        let mut waiting: Vec<oneshot::Receiver<()>> = Vec::new();
        for _ in 0..=WAITING_MAX {
            let (answer, answered) = oneshot::channel();
            finding.wait(now, NodeId([1; 16]), answer);
            waiting.push(answered);
        }
        assert_eq!(waiting.iter_mut().filter_map(|answered| answered.try_recv().ok()).count(), 1);
        drop(waiting);
        finding.answer(now, |_| false);
        assert_eq!(finding.due(), None, "nobody waits any more");
    }
}
