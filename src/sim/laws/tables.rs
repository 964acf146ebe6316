//! Bounds: no table of a node grows beyond what the specification says, and probes come within their budget.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::node::inspect::Facts;
use crate::sim::laws::{Verdict, hold};
use crate::sim::world::HostId;

/// Spec: `PENDING_MAX`.
const PENDING_MAX: usize = 64;
/// Spec: `SUBSCRIPTIONS_MAX`.
const SUBSCRIPTIONS_MAX: usize = 4096;
/// Spec: `REMOVED_MAX`.
pub(crate) const REMOVED_MAX: usize = 1024;
/// Spec: `INVITES_MAX`.
const INVITES_MAX: usize = 64;
/// Spec: `SOURCES_MAX`.
const SOURCES_MAX: usize = 64;
/// The session in use, the one before, and an attempt: the indices that one link has.
const LINK_INDICES: usize = 3;
/// Spec: `PROBE_BUDGET`.
const PROBE_BURST: u32 = 100;
/// Spec: `PROBE_BUDGET`.
const PROBE_PERIOD: Duration = Duration::from_millis(20);

/// How many probes each host has sent lately.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    probes: BTreeMap<HostId, Bucket>,
}

/// A leaky bucket: each probe fills it by one period, and time empties it.
#[derive(Debug, Default)]
struct Bucket {
    counted: u64,
    level: Duration,
    at: Duration,
}

impl Tables {
    /// A node starts anew, with a full budget.
    pub(crate) fn forget(&mut self, host: HostId) {
        self.probes.remove(&host);
    }

    /// P28 and P15, after a step.
    pub(crate) fn stepped(&mut self, now: Duration, host: HostId, facts: &Facts, members_max: usize) -> Verdict {
        let bounds = [
            ("records", facts.records, members_max + REMOVED_MAX),
            ("removals", facts.removals, REMOVED_MAX),
            ("links", facts.links, members_max),
            ("pending handshakes", facts.pending, PENDING_MAX),
            ("subscriptions", facts.subscriptions, SUBSCRIPTIONS_MAX),
            ("invites", facts.invites, INVITES_MAX),
            ("sources", facts.sources, SOURCES_MAX),
            ("indices", facts.indices, LINK_INDICES * facts.links + facts.pending + 1),
        ];
        for (table, size, most) in bounds {
            hold("P28", size <= most, || format!("{size} {table}, and {most} is the bound"))?;
        }
        let bucket = self.probes.entry(host).or_default();
        if facts.probes == bucket.counted {
            return Ok(());
        }
        let sent = u32::try_from(facts.probes.saturating_sub(bucket.counted)).unwrap_or(u32::MAX);
        let passed = now.saturating_sub(bucket.at);
        // The node's own clock may be a thousandth faster.
        bucket.level = bucket.level.saturating_sub(passed + passed / 500) + PROBE_PERIOD.saturating_mul(sent);
        bucket.counted = facts.probes;
        bucket.at = now;
        hold("P15", bucket.level <= PROBE_PERIOD * (PROBE_BURST + 1), || {
            format!("probes that take {:?} of budget at once", bucket.level)
        })
    }
}
