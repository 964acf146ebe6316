//! What the log says about an event: INFO for what a person wants to know, DEBUG for the rest.

use std::time::{Duration, Instant};

use crate::node::budget::Budget;
use crate::node::event::{Event, Who};

/// How many events are logged in a burst: a few for each member of the largest cluster.
const BURST: u32 = 4096;

/// The time in which one more event may be logged. A member can cause events without end, by saying goodbye and coming
/// back for example, and the log must not fill the disk.
const PERIOD: Duration = Duration::from_secs(1);

/// Writes events to the log, within bounds.
#[derive(Debug)]
pub(super) struct Journal {
    budget: Budget,
    /// Events that were not logged since the last one that was.
    missing: u64,
}

impl Journal {
    /// A journal that has written nothing.
    pub(super) fn new(now: Instant) -> Self {
        Self { budget: Budget::new(BURST, PERIOD, now), missing: 0 }
    }

    /// Writes an event to the log, unless there were too many.
    pub(super) fn tell(&mut self, now: Instant, event: &Event) {
        if let Some(missing) = self.admit(now) {
            if missing > 0 {
                tracing::warn!(missing, "more events than the log takes: some are missing");
            }
            write(event);
        }
    }

    /// Whether an event may be logged, and if so, how many before it were not.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        if self.budget.take(now) {
            return Some(std::mem::take(&mut self.missing));
        }
        self.missing += 1;
        None
    }
}

fn write(event: &Event) {
    match event {
        Event::OwnAddress { scope, old, new, confidence, observers } => {
            let (confidence, was) = (confidence.as_str(), old.map(tracing::field::display));
            tracing::info!(address = %new, was, %scope, confidence, observers, "own address");
        }
        Event::PeerMoved { peer: Who { id, name }, old, new, healed_ms } => {
            tracing::info!(%name, %id, address = %new, was = %old, healed_ms, "peer moved");
        }
        Event::PeerUp { peer: Who { id, name }, address } => tracing::info!(%name, %id, %address, "peer up"),
        Event::PeerSuspect { peer: Who { id, name } } => tracing::debug!(%name, %id, "peer misses heartbeats"),
        Event::PeerLost { peer: Who { id, name } } => tracing::info!(%name, %id, "peer lost"),
        Event::PeerLeft { peer: Who { id, name } } => tracing::info!(%name, %id, "peer left"),
        Event::PeerConflict { peer: Who { id, name } } => {
            tracing::warn!(%name, %id, "two machines claim to be this peer: make a new identity on one of them");
        }
        Event::NodeConflict { peer: Who { id, name } } => {
            tracing::warn!(
                by = %name, %id,
                "turned away: another machine with this node's identity is there; if this one is a copy, stop it, \
                 delete its state directory and join with a new invite"
            );
        }
        Event::MemberAdded { peer: Who { id, name } } => tracing::info!(%name, %id, "member added"),
        Event::MemberRemoved { peer: Who { id, name } } => tracing::info!(%name, %id, "member removed"),
        Event::Removed { by } => {
            let (by, id) = (by.map(|by| by.name), by.map(|by| by.id));
            let (by, id) = (by.map(tracing::field::display), id.map(tracing::field::display));
            tracing::warn!(by, id, "this node was removed from its cluster: only a new invite lets it back in");
        }
        Event::Left { confirmed, others } => tracing::info!(confirmed, others, "left the cluster"),
        Event::Orphan => tracing::info!("orphan: no peer answers; trying on"),
        Event::Recovered => tracing::info!("recovered: a peer answers again"),
        Event::Joined { cluster } => tracing::info!(cluster = %cluster.id.short(), "joined"),
        Event::JoinRefused { reason } => tracing::info!(%reason, "not admitted"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::clock;

    #[test]
    fn events_without_end_fill_no_disk() {
        let mut now = clock::now();
        let mut journal = Journal::new(now);
        let logged = (0..100_000).filter(|_| journal.admit(now).is_some()).count();
        assert_eq!(logged, 4096);
        now += PERIOD;
        assert_eq!(journal.admit(now), Some(100_000 - 4096), "and the log says what it lacks");
        assert_eq!(journal.admit(now), None);
        now += PERIOD;
        assert_eq!(journal.admit(now), Some(1));
    }
}
