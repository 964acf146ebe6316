//! This node's own address: takes what peers reflect and counts the votes.

use std::time::{Duration, Instant};

use crate::node::Node;
use crate::node::event::Event;
use crate::node::link::Link;
use crate::node::links::Slot;
use crate::node::receive::Arrival;
use crate::node::reflection::{Observation, Realm};
use crate::wire::address::Address;

/// How long the word of the only observer holds. Spec: `SOLE_PAUSE`.
const SOLE_PAUSE: Duration = Duration::from_secs(1);

impl Node {
    /// A datagram says where its sender sees this node. One that was overtaken, or held back, may be older than what is
    /// known.
    pub(super) fn reflected_by(&mut self, now: Instant, arrival: &Arrival, reflection: Address) {
        if arrival.newest {
            self.reflected(now, arrival.slot, reflection);
        }
    }

    /// A peer says where it sees this node.
    pub(super) fn reflected(&mut self, now: Instant, slot: Slot, reflection: Address) {
        let lifetime = self.vote_lifetime();
        if self.is_hasty(now, slot, reflection) {
            return;
        }
        let Some(link) = self.links.get_mut(slot) else { return };
        let before = link.reflection.replace(reflection);
        let fresh = link.reflected.replace(now).is_some_and(|at| now.saturating_duration_since(at) <= lifetime);
        if before == Some(reflection) && fresh {
            return;
        }
        let expected = before.or_else(|| self.own.believed(reflection));
        self.recount(now);
        let moved = expected.is_some_and(|expected| expected != reflection);
        if moved && !self.heartbeat_everybody(now) {
            self.ask_again(now, slot);
        }
    }

    /// Whether the only observer changes its mind again at once: nobody else would outvote it, so that each of its
    /// datagrams could make an event.
    fn is_hasty(&self, now: Instant, slot: Slot, reflection: Address) -> bool {
        let recent = self.own_changed.is_some_and(|at| now < at + SOLE_PAUSE);
        let others = |(other, link): (Slot, &Link)| other != slot && link.is_up() && link.reflection.is_some();
        let said = self.links.get(slot).and_then(|link| link.reflection);
        recent && said.is_some_and(|said| said != reflection) && !self.links.iter().any(others)
    }

    /// Counts the votes on this node's own addresses anew.
    pub(super) fn recount(&mut self, now: Instant) {
        let observations = self.observations(now);
        for change in self.own.recount(&observations) {
            self.revision.addresses += 1;
            self.own_changed = Some(now);
            let scope = Realm::of(change.new).scope();
            self.outbox.event(Event::OwnAddress {
                scope,
                old: change.old,
                new: change.new,
                confidence: change.verdict.confidence,
                observers: change.verdict.observers,
            });
        }
    }

    /// How long a reflection counts. Spec: `VOTE_LIFETIME`.
    fn vote_lifetime(&self) -> Duration {
        self.interval() * 3
    }

    /// What the peers that answer have said lately. Spec: ADDR-2.
    pub(super) fn observations(&self, now: Instant) -> Vec<Observation> {
        let lifetime = self.vote_lifetime();
        let mut observations = Vec::new();
        for (_, link) in self.links.iter().filter(|(_, link)| link.is_up()) {
            let said = link.reflection.zip(link.reflected);
            let (Some(observer), Some((reflection, at))) = (link.path.current(), said) else { continue };
            if now.saturating_duration_since(at) <= lifetime {
                observations.push(Observation { observer, reflection, at });
            }
        }
        observations
    }
}
