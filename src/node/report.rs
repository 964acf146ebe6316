//! What a node knows at a moment, put together for people and programs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::node::Node;
use crate::node::link::Link;
use crate::node::links::Slot;
use crate::node::reflection::{self, Realm};
use crate::node::status::{Nat, PeerState, PeerStatus, Status};
use crate::node::timer::LinkTimer;
use crate::wire::id::NodeId;
use crate::wire::name::Name;

impl Node {
    /// Everything that the node knows about itself and its peers.
    #[must_use]
    pub fn status(&self, now: Instant) -> Status {
        let now = now.max(self.now);
        let observations = self.observations(now);
        let addresses = self.own.list(now, &observations);
        let nat = addresses
            .first()
            .map_or(Nat::Unknown, |own| reflection::nat(Realm::of(own.address), &observations, own.address));
        let owners = self.members.name_owners();
        let mut peers: Vec<PeerStatus> =
            self.links.iter().filter_map(|(slot, _)| self.peer_status(now, slot, &owners)).collect();
        peers.sort_unstable_by_key(|peer| (peer.name, peer.id));
        Status {
            id: self.id,
            name: self.members.name(self.id).unwrap_or(self.config.name),
            public_key: self.identity.public_key(),
            addresses,
            nat,
            orphan: self.orphan,
            cluster: self.cluster.as_ref().map(|cluster| cluster.id),
            peers,
            counters: self.counters.list(self.outbox.sent()),
        }
    }

    fn peer_status(&self, now: Instant, slot: Slot, owners: &BTreeMap<Name, NodeId>) -> Option<PeerStatus> {
        let link: &Link = self.links.get(slot)?;
        let record = self.members.get(link.id)?;
        let since = |at: Instant| now.saturating_duration_since(at);
        let silent = link.state != PeerState::Up;
        let next_try = link.timers.get(LinkTimer::Retry).filter(|_| silent);
        Some(PeerStatus {
            id: link.id,
            name: record.name,
            name_taken: owners.get(&record.name).is_some_and(|owner| *owner != link.id),
            public_key: record.public_key,
            state: if link.is_up() && link.in_conflict(now) { PeerState::Conflict } else { link.state },
            address: self.last_known(link),
            rtt: link.rtt,
            last_seen: link.last_heard.map(since),
            since: since(link.since),
            previous_address: link.healed_ms.and_then(|_| self.history.before(link.id)),
            healed: link.healed_ms.map(|ms| Duration::from_millis(ms.into())),
            candidates: link.candidates.as_ref().map_or(0, |candidates| candidates.len()),
            next_try: next_try.map(|at| at.saturating_duration_since(now)),
        })
    }
}
