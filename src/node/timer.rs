//! Deadlines: a table keyed by an enum. No messages, no tokens. Spec: `spec/timers.md`.

use std::marker::PhantomData;
use std::time::{Duration, Instant};

/// What a link waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkTimer {
    /// The next heartbeat of a peer that is up.
    Heartbeat,
    /// The heartbeat under way was not answered.
    Resend,
    /// A suspect peer becomes lost.
    Lost,
    /// The handshake under way is resent or given up.
    Handshake,
    /// A path on trial: the next challenge, or the end of the trial.
    Path,
    /// The next probe of a candidate address.
    Probe,
    /// The next round of attempts for a peer that is lost, left or unknown.
    Retry,
    /// The session is old: make a new one.
    Rekey,
    /// The session before the present one is forgotten.
    Previous,
    /// The member lists still differ: ask for a page.
    Sync,
    /// Whether the present run of the peer still answers: the next challenge, or the end.
    Contest,
}

/// What a node as a whole waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NodeTimer {
    /// Nothing was exchanged with anybody for a fifth of the interval.
    Exchange,
    /// The handshake by which the node joins is resent.
    Join,
    /// An answered handshake that nobody confirmed is forgotten.
    Pending,
    /// Nobody was heard since the start.
    Orphan,
    /// The node leaves, and members have not confirmed it.
    Farewell,
    /// The time of a link is over that is not kept for good.
    Temporary,
    /// A peer is told where members are.
    Gossip,
    /// Few peers answer: the next members are called.
    Search,
    /// News of members wait.
    News,
}

/// An enum whose variants are timers.
pub(crate) trait TimerKey: Copy + 'static {
    /// All timers, in the order in which those that are due together fire.
    const ALL: &'static [Self];

    /// The timer's place in a table.
    fn place(self) -> usize;
}

impl TimerKey for LinkTimer {
    const ALL: &'static [Self] = &[
        Self::Heartbeat,
        Self::Resend,
        Self::Lost,
        Self::Handshake,
        Self::Path,
        Self::Probe,
        Self::Retry,
        Self::Rekey,
        Self::Previous,
        Self::Sync,
        Self::Contest,
    ];

    fn place(self) -> usize {
        self as usize
    }
}

impl TimerKey for NodeTimer {
    const ALL: &'static [Self] = &[
        Self::Exchange,
        Self::Join,
        Self::Pending,
        Self::Orphan,
        Self::Farewell,
        Self::Temporary,
        Self::Gossip,
        Self::Search,
        Self::News,
    ];

    fn place(self) -> usize {
        self as usize
    }
}

/// The deadlines of one link.
pub(crate) type LinkTimers = TimerTable<LinkTimer, { LinkTimer::ALL.len() }>;

/// The deadlines of the node as a whole.
pub(crate) type NodeTimers = TimerTable<NodeTimer, { NodeTimer::ALL.len() }>;

/// A deadline for each timer that runs.
#[derive(Debug)]
pub(crate) struct TimerTable<K, const N: usize> {
    epoch: Instant,
    /// In nanoseconds after `epoch`, or [`NEVER`]: half the room of an `Instant`, of which a node has some thousands.
    deadlines: [u64; N],
    key: PhantomData<K>,
}

impl<K: TimerKey, const N: usize> TimerTable<K, N> {
    /// A table in which no timer runs. Deadlines before `epoch` are taken for it.
    pub(crate) fn new(epoch: Instant) -> Self {
        Self { epoch, deadlines: [NEVER; N], key: PhantomData }
    }

    /// Sets a deadline in place of an earlier one of the same timer; `None` stops the timer.
    pub(crate) fn set(&mut self, timer: K, at: Option<Instant>) {
        if let Some(deadline) = self.deadlines.get_mut(timer.place()) {
            *deadline = at.map_or(NEVER, |at| nanos(at.saturating_duration_since(self.epoch)));
        }
    }

    /// Stops all timers.
    pub(crate) fn clear(&mut self) {
        self.deadlines = [NEVER; N];
    }

    /// When a timer is due, if it runs.
    pub(crate) fn get(&self, timer: K) -> Option<Instant> {
        self.instant(self.deadlines.get(timer.place()).copied()?)
    }

    /// Whether a timer runs.
    pub(crate) fn runs(&self, timer: K) -> bool {
        self.deadlines.get(timer.place()).is_some_and(|&deadline| deadline != NEVER)
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.instant(self.deadlines.iter().copied().min()?)
    }

    /// Stops and returns the first timer that is due.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<K> {
        let timer = K::ALL.iter().copied().find(|&timer| self.get(timer).is_some_and(|at| at <= now))?;
        self.set(timer, None);
        Some(timer)
    }

    fn instant(&self, deadline: u64) -> Option<Instant> {
        (deadline != NEVER).then(|| self.epoch + Duration::from_nanos(deadline))
    }
}

/// The deadline of a timer that does not run: five centuries are never reached.
const NEVER: u64 = u64::MAX;

fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(duration.subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "an Instant can only be had from the clock")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn every_timer_has_a_place_of_its_own() {
        let places: Vec<usize> = LinkTimer::ALL.iter().map(|timer| timer.place()).collect();
        assert_eq!(places, (0..LinkTimer::ALL.len()).collect::<Vec<_>>());
        let places: Vec<usize> = NodeTimer::ALL.iter().map(|timer| timer.place()).collect();
        assert_eq!(places, (0..NodeTimer::ALL.len()).collect::<Vec<_>>());
    }

    #[test]
    fn a_timer_is_set_moved_and_stopped() {
        let now = start();
        let mut timers = LinkTimers::new(now);
        assert_eq!(timers.next(), None);
        timers.set(LinkTimer::Retry, Some(now + Duration::from_secs(2)));
        timers.set(LinkTimer::Lost, Some(now + Duration::from_secs(3)));
        timers.set(LinkTimer::Retry, Some(now + Duration::from_secs(4)));
        assert_eq!(timers.next(), Some(now + Duration::from_secs(3)));
        timers.set(LinkTimer::Lost, None);
        assert_eq!(timers.next(), timers.get(LinkTimer::Retry));
        timers.clear();
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn what_is_due_fires_once_and_in_order() {
        let now = start();
        let mut timers = LinkTimers::new(now);
        timers.set(LinkTimer::Sync, Some(now));
        timers.set(LinkTimer::Heartbeat, Some(now));
        timers.set(LinkTimer::Lost, Some(now + Duration::from_nanos(1)));
        assert_eq!(timers.take_due(now), Some(LinkTimer::Heartbeat));
        assert_eq!(timers.take_due(now), Some(LinkTimer::Sync));
        assert_eq!(timers.take_due(now), None);
        assert_eq!(timers.next(), Some(now + Duration::from_nanos(1)));
    }
}
