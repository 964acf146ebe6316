//! A token bucket for each member: what all may cause together is not spent by one of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::wire::id::NodeId;

/// How often something may be done because of each member. One that has spent nothing lately takes no memory.
#[derive(Debug)]
pub(crate) struct Shares {
    /// How long a spent bucket takes to fill again.
    whole: Duration,
    /// The time in which one token comes back.
    period: Duration,
    /// When each bucket is full again.
    full_at: BTreeMap<NodeId, Instant>,
}

impl Shares {
    /// Full buckets of `burst` tokens that gain one each `period`.
    pub(crate) fn new(burst: u32, period: Duration) -> Self {
        Self { whole: period * burst, period, full_at: BTreeMap::new() }
    }

    /// Whether a member has a token left.
    pub(crate) fn has(&self, member: NodeId, now: Instant) -> bool {
        self.after(member, now) <= now + self.whole
    }

    /// Takes one token of a member, if there is one.
    pub(crate) fn take(&mut self, member: NodeId, now: Instant) -> bool {
        self.full_at.retain(|_, full_at| *full_at > now);
        let takes = self.has(member, now);
        if takes {
            self.full_at.insert(member, self.after(member, now));
        }
        takes
    }

    /// When the bucket of a member would be full again if it paid one token now.
    fn after(&self, member: NodeId, now: Instant) -> Instant {
        self.full_at.get(&member).map_or(now, |&full_at| full_at.max(now)) + self.period
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "an Instant can only be had from the clock")]
    fn each_member_has_a_burst_and_then_one_a_period_and_takes_memory_only_meanwhile() {
        let start = Instant::now();
        let (one, other) = (NodeId([1; 16]), NodeId([2; 16]));
        let mut shares = Shares::new(2, Duration::from_secs(1));
        assert!(shares.take(one, start) && shares.take(one, start));
        assert!(!shares.has(one, start) && !shares.take(one, start + Duration::from_millis(999)));
        assert!(shares.take(other, start));
        assert!(shares.take(one, start + Duration::from_secs(1)) && !shares.take(one, start + Duration::from_secs(1)));
        assert!(shares.take(other, start + Duration::from_secs(60)));
        assert_eq!(shares.full_at.len(), 1);
    }
}
