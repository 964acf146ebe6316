//! Who wants to be told when a member is found. Spec: `spec/state-machine.md` section 5.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::wire::id::NodeId;

/// How long a Locate keeps its sender subscribed. Spec: `SUBSCRIPTION`.
const LIFETIME: Duration = Duration::from_secs(60);
/// How many subscriptions a node keeps at most. Spec: `SUBSCRIPTIONS_MAX`.
const MAX: usize = 4096;

/// Subscriptions, by the wanted node and the asker.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    until: BTreeMap<(NodeId, NodeId), Instant>,
}

impl Subscriptions {
    /// `asker` wants to know where `wanted` is. Where there is no room it is not told later, only now.
    pub(crate) fn subscribe(&mut self, wanted: NodeId, asker: NodeId, now: Instant) {
        if self.until.len() >= MAX {
            self.until.retain(|_, until| *until > now);
        }
        if self.until.len() < MAX || self.until.contains_key(&(wanted, asker)) {
            self.until.insert((wanted, asker), now + LIFETIME);
        }
    }

    /// Who wants to know where `wanted` is.
    pub(crate) fn askers(&mut self, wanted: NodeId, now: Instant) -> Vec<NodeId> {
        let of_wanted = (wanted, NodeId::NONE)..=(wanted, NodeId([u8::MAX; 16]));
        let all: Vec<(NodeId, Instant)> =
            self.until.range(of_wanted).map(|(&(_, asker), &until)| (asker, until)).collect();
        for (asker, _) in all.iter().filter(|(_, until)| *until <= now) {
            self.until.remove(&(wanted, *asker));
        }
        all.into_iter().filter(|(_, until)| *until > now).map(|(asker, _)| asker).collect()
    }

    /// Whom `asker` looks for.
    pub(crate) fn wanted_by(&self, asker: NodeId, now: Instant) -> Vec<NodeId> {
        let live =
            |(&(wanted, who), &until): (&(NodeId, NodeId), &Instant)| (who == asker && until > now).then_some(wanted);
        self.until.iter().filter_map(live).collect()
    }

    /// Forgets a node that is no member any more.
    pub(crate) fn forget(&mut self, id: NodeId) {
        self.until.retain(|(wanted, asker), _| *wanted != id && *asker != id);
    }
}
