//! Where a peer is: the path in use, and the trial that a new address must pass before it is believed.
//!
//! No tag can cover the source address of a datagram, so whoever copies one and sends it on faster would move the peer.
//! A new address is therefore challenged, and the old one with it: if the old one still answers, the peer is still
//! there. Spec: `spec/addresses.md` section 3.

use std::time::{Duration, Instant};

use crate::wire::address::Address;

/// How long the old path is given to answer, at least. Spec: `PATH_WINDOW`.
pub(crate) const WINDOW_MIN: Duration = Duration::from_millis(200);
/// How long the old path is given to answer, at most. Spec: `PATH_WINDOW`.
pub(crate) const WINDOW_MAX: Duration = Duration::from_secs(1);
/// How long a new address may take to answer before it is forgotten. Spec: `PATH_TRIAL`.
pub(crate) const TRIAL: Duration = Duration::from_secs(3);
/// How long an address is ignored after a path conflict. Spec: `PATH_HOLD`.
pub(crate) const HOLD: Duration = Duration::from_secs(10);
/// How many challenges the old address gets, and into how many parts the window is cut by them.
const CHALLENGES: u32 = 3;

/// The 8 unpredictable bytes of a challenge.
pub(crate) type Challenge = [u8; 8];

/// Where one peer is.
#[derive(Debug, Default)]
pub(crate) struct Path {
    /// Where datagrams go. While a trial is under way: its new address once that has answered, else its old one.
    current: Option<Address>,
    trial: Option<Box<Trial>>,
    /// An address that lost a trial, ignored until then.
    held: Option<Box<(Address, Instant)>>,
}

/// A new address, challenged together with the old one.
#[derive(Debug)]
struct Trial {
    new: Address,
    /// The address to fall back to; `None` if there was none.
    old: Option<Address>,
    new_challenge: Challenge,
    old_challenge: Challenge,
    /// Whether the new address answered.
    answered: bool,
    started: Instant,
    /// How long the old path is given.
    window: Duration,
    /// Challenges sent to the old address.
    challenges: u32,
    /// Whether the new address has been challenged: what came from it may not have paid for that yet.
    challenged: bool,
    /// When the next round of challenges is due.
    due: Instant,
    /// Bytes that came from the new address, and bytes sent there. Spec: ADDR-7.
    received: usize,
    sent: usize,
    /// The counter of a heartbeat from the new address that waits for its answer.
    owed_ack: Option<u64>,
}

/// What became of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The new address answered: traffic goes there. `owed_ack`: the heartbeat that is still to be acknowledged.
    Validated {
        /// The counter of a heartbeat that waits for its acknowledgement.
        owed_ack: Option<u64>,
    },
    /// The old address answered too: the peer stays there.
    Conflict {
        /// The counter of a heartbeat from the new address that waits for its acknowledgement.
        owed_ack: Option<u64>,
    },
    /// The challenge is of no trial.
    Unsolicited,
}

/// Whether anything is to be sent for a trial now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Challenge these addresses; then call again at `next`.
    Challenge {
        /// The new address, if its budget allows.
        new: Option<(Address, Challenge)>,
        /// The old address.
        old: Option<(Address, Challenge)>,
        /// When to call again.
        next: Instant,
    },
    /// The old address stayed silent: the new one is to be published.
    Publish,
    /// The new address never answered.
    Forget,
    /// There is no trial.
    Idle,
}

impl Path {
    /// Where datagrams go.
    pub(crate) fn current(&self) -> Option<Address> {
        self.current
    }

    /// The address that people and programs are told: the last one that passed a whole trial.
    pub(crate) fn published(&self) -> Option<Address> {
        match &self.trial {
            Some(trial) => trial.old,
            None => self.current,
        }
    }

    /// Whether an address is on trial.
    pub(crate) fn on_trial(&self) -> bool {
        self.trial.is_some()
    }

    /// Whether datagrams may go to this address as freely as to the current one.
    pub(crate) fn is_open_to(&self, address: Address) -> bool {
        self.current == Some(address)
    }

    /// Takes note that the newest datagram so far, of so many bytes, came from `from`.
    pub(crate) fn observe(&mut self, now: Instant, from: Address, bytes: usize, start: TrialStart) -> Observed {
        if let Some(trial) = &mut self.trial {
            if trial.new == from {
                trial.received += bytes;
                return Observed::Nothing;
            }
            if trial.old == Some(from) {
                // Sent after what came from the new address: the peer is still where it was.
                return Observed::Conflict { owed_ack: self.conflict(now) };
            }
        }
        // A trial whose new address has answered is decided before another one begins.
        let deciding = self.trial.as_ref().is_some_and(|trial| trial.answered);
        if self.current == Some(from) || deciding || self.is_held(now, from) {
            return Observed::Nothing;
        }
        let old = self.published();
        self.trial = Some(Box::new(Trial::new(now, from, old, bytes, start)));
        Observed::Trial
    }

    /// Takes note that `address` proved itself by another exchange that an address must take part in: a handshake, or
    /// the answer to a probe. Returns `true` if it is published at once, `false` if the old address gets its chance.
    pub(crate) fn validated(&mut self, now: Instant, address: Address, start: TrialStart) -> bool {
        let old = self.published();
        if old.is_none() || old == Some(address) {
            self.trial = None;
            self.current = Some(address);
            return true;
        }
        let mut trial = Trial::new(now, address, old, 0, start);
        trial.answered = true;
        self.trial = Some(Box::new(trial));
        self.current = Some(address);
        false
    }

    /// Takes a path response.
    pub(crate) fn answer(&mut self, now: Instant, answer: Challenge) -> Verdict {
        let Some(trial) = &mut self.trial else { return Verdict::Unsolicited };
        if trial.old.is_some() && trial.old_challenge == answer {
            return Verdict::Conflict { owed_ack: self.conflict(now) };
        }
        if trial.answered || trial.new_challenge != answer {
            return Verdict::Unsolicited;
        }
        trial.answered = true;
        self.current = Some(trial.new);
        Verdict::Validated { owed_ack: trial.owed_ack.take() }
    }

    /// Takes note of a heartbeat from the new address, to be acknowledged once its trial is decided. `false` if `from`
    /// is not on trial.
    pub(crate) fn owe_ack(&mut self, from: Address, counter: u64) -> bool {
        let trial = self.trial.as_mut().filter(|trial| trial.new == from);
        trial.map(|trial| trial.owed_ack = Some(counter)).is_some()
    }

    /// Another session has come into use: a heartbeat of the one before, whose counter means nothing in it, is not
    /// acknowledged any more. Spec: WIRE-13, ADDR-15.
    pub(crate) fn owe_nothing(&mut self) {
        if let Some(trial) = &mut self.trial {
            trial.owed_ack = None;
        }
    }

    /// Whether `bytes` may be sent to `to`: freely to the current path, to an address on trial as many as came from
    /// it, elsewhere none. Counts them as sent. Spec: ADDR-7.
    pub(crate) fn may_send(&mut self, to: Address, bytes: usize) -> bool {
        if self.current == Some(to) {
            return true;
        }
        match self.trial.as_mut().filter(|trial| trial.new == to) {
            Some(trial) => trial.pay(bytes),
            None => false,
        }
    }

    /// What a trial needs now. `bytes`: the size of a challenge on the wire.
    pub(crate) fn step(&mut self, now: Instant, bytes: usize) -> Step {
        let Some(trial) = &mut self.trial else { return Step::Idle };
        // Where there is no old address, nothing is waited for.
        let closed = if trial.old.is_some() { trial.started + trial.window } else { trial.started };
        if trial.answered && now >= closed {
            return Step::Publish;
        }
        if now >= trial.started + TRIAL {
            self.trial = None;
            return Step::Forget;
        }
        let due = now >= trial.due;
        // A first challenge that could not be paid goes out with the datagram that pays for it.
        let wanted = !trial.answered && (due || !trial.challenged);
        let new = (wanted && trial.pay(bytes)).then_some((trial.new, trial.new_challenge));
        trial.challenged |= new.is_some();
        let old = trial.old.filter(|_| due && now < closed && trial.challenges < CHALLENGES);
        if due {
            // The last challenge leaves a third of the window for its answer.
            trial.due = now + trial.window / CHALLENGES;
            trial.challenges += 1;
        }
        let old = old.map(|old| (old, trial.old_challenge));
        let next = if trial.answered { trial.due.min(closed) } else { trial.due.min(trial.started + TRIAL) };
        Step::Challenge { new, old, next }
    }

    /// Ends a passed trial. Returns the address that was published before.
    pub(crate) fn publish(&mut self) -> Option<Address> {
        self.trial.take().and_then(|trial| trial.old)
    }

    /// The peer stays at the old address, and the new one is ignored for a while. Returns what it was owed.
    fn conflict(&mut self, now: Instant) -> Option<u64> {
        let trial = self.trial.take()?;
        self.current = trial.old;
        self.held = Some(Box::new((trial.new, now + HOLD)));
        trial.owed_ack
    }

    /// Forgets an address that lost a trial once it is no longer ignored.
    pub(crate) fn calm(&mut self, now: Instant) {
        self.held.take_if(|held| held.1 <= now);
    }

    fn is_held(&self, now: Instant, address: Address) -> bool {
        self.held.as_ref().is_some_and(|held| held.0 == address && now < held.1)
    }
}

/// What [`Path::observe`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Observed {
    /// Nothing new.
    Nothing,
    /// A trial begins: call [`Path::step`].
    Trial,
    /// The old address spoke after the new one: the peer stays there.
    Conflict {
        /// The counter of a heartbeat from the new address that waits for its acknowledgement.
        owed_ack: Option<u64>,
    },
}

/// What a new trial needs from outside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TrialStart {
    /// Unpredictable bytes for the new address.
    pub(crate) new_challenge: Challenge,
    /// Unpredictable bytes for the old address.
    pub(crate) old_challenge: Challenge,
    /// The link's round-trip time, if known.
    pub(crate) rtt: Option<Duration>,
}

impl Trial {
    fn new(now: Instant, new: Address, old: Option<Address>, received: usize, start: TrialStart) -> Self {
        let window = start.rtt.map_or(WINDOW_MAX, |rtt| (rtt * 3).clamp(WINDOW_MIN, WINDOW_MAX));
        Self {
            new,
            old,
            new_challenge: start.new_challenge,
            old_challenge: start.old_challenge,
            answered: false,
            started: now,
            window,
            challenges: 0,
            challenged: false,
            due: now,
            received,
            sent: 0,
            owed_ack: None,
        }
    }

    fn pay(&mut self, bytes: usize) -> bool {
        let allowed = self.sent + bytes <= self.received;
        if allowed {
            self.sent += bytes;
        }
        allowed
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
