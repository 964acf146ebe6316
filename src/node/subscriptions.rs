//! Who wants to be told when a member is found. Spec: `spec/state-machine.md` section 5.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::wire::id::NodeId;

/// How long a Locate keeps its sender subscribed. Spec: `SUBSCRIPTION`.
const LIFETIME: Duration = Duration::from_secs(60);
/// The shortest time between two Rendezvous for one seeker: sent to bring it together with one member, or acted upon.
/// Spec: `RENDEZVOUS_MIN`.
pub(crate) const RENDEZVOUS_MIN: Duration = Duration::from_millis(500);
/// How many subscriptions a node keeps at most. Spec: `SUBSCRIPTIONS_MAX`.
const MAX: usize = 4096;

/// Subscriptions, by the wanted node and the asker.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    until: BTreeMap<(NodeId, NodeId), Instant>,
}

impl Subscriptions {
    /// `asker` wants to know where `wanted` is. Where there is no room it is not told later, only now. Returns whether it
    /// has not asked that for [`RENDEZVOUS_MIN`].
    pub(crate) fn subscribe(&mut self, wanted: NodeId, asker: NodeId, now: Instant) -> bool {
        if self.until.len() >= MAX {
            self.until.retain(|_, until| *until > now);
        }
        let pair = (wanted, asker);
        let kept = self.until.len() < MAX || self.until.contains_key(&pair);
        let before = kept.then(|| self.until.insert(pair, now + LIFETIME)).flatten();
        before.is_none_or(|until| until + RENDEZVOUS_MIN <= now + LIFETIME)
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

    /// How many there are, those that are over included.
    #[cfg(feature = "sim")]
    pub(crate) fn len(&self) -> usize {
        self.until.len()
    }

    /// Forgets a node that is no member any more.
    pub(crate) fn forget(&mut self, id: NodeId) {
        self.until.retain(|(wanted, asker), _| *wanted != id && *asker != id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> NodeId {
        let mut bytes = [1; 16];
        bytes[8..].copy_from_slice(&(n as u64).to_be_bytes());
        NodeId(bytes)
    }

    #[expect(clippy::disallowed_methods, reason = "an Instant can only be had from the clock")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn askers_are_told_for_a_minute_after_they_asked() {
        let now = start();
        let mut subscriptions = Subscriptions::default();
        subscriptions.subscribe(id(1), id(2), now);
        subscriptions.subscribe(id(1), id(3), now + Duration::from_secs(1));
        subscriptions.subscribe(id(4), id(2), now);
        let just_before = now + Duration::from_millis(59_999);
        assert_eq!(subscriptions.askers(id(1), just_before), [id(2), id(3)]);
        assert_eq!(subscriptions.wanted_by(id(2), just_before), [id(1), id(4)]);
        let then = now + LIFETIME;
        assert_eq!(subscriptions.askers(id(1), then), [id(3)]);
        assert_eq!(subscriptions.wanted_by(id(2), then), []);
    }

    #[test]
    fn asking_without_pause_is_noticed() {
        let now = start();
        let mut subscriptions = Subscriptions::default();
        assert!(subscriptions.subscribe(id(1), id(2), now));
        assert!(subscriptions.subscribe(id(3), id(2), now), "somebody else is wanted");
        let (soon, later) = (now + RENDEZVOUS_MIN - Duration::from_millis(1), now + 2 * RENDEZVOUS_MIN);
        assert!(!subscriptions.subscribe(id(1), id(2), soon));
        assert!(subscriptions.subscribe(id(1), id(2), later));
    }

    #[test]
    fn asking_again_renews() {
        let now = start();
        let mut subscriptions = Subscriptions::default();
        subscriptions.subscribe(id(1), id(2), now);
        subscriptions.subscribe(id(1), id(2), now + LIFETIME / 2);
        assert_eq!(subscriptions.askers(id(1), now + LIFETIME), [id(2)]);
    }

    #[test]
    fn there_is_a_bound_and_what_is_over_makes_room() {
        let now = start();
        let mut subscriptions = Subscriptions::default();
        for n in 0..=MAX {
            subscriptions.subscribe(id(n), id(MAX + 1), now);
        }
        assert_eq!(subscriptions.until.len(), MAX);
        assert_eq!(subscriptions.askers(id(MAX), now), []);
        subscriptions.subscribe(id(MAX), id(MAX + 1), now + LIFETIME);
        assert_eq!(subscriptions.until.len(), 1);
    }

    #[test]
    fn a_removed_node_neither_asks_nor_is_wanted() {
        let now = start();
        let mut subscriptions = Subscriptions::default();
        subscriptions.subscribe(id(1), id(2), now);
        subscriptions.subscribe(id(2), id(3), now);
        subscriptions.subscribe(id(4), id(3), now);
        subscriptions.forget(id(2));
        assert_eq!(subscriptions.until.keys().copied().collect::<Vec<_>>(), [(id(4), id(3))]);
    }
}
