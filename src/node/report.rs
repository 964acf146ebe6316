//! What a node knows at a moment, put together for people and programs.

use std::time::{Duration, Instant};

use crate::node::Node;
use crate::node::link::Link;
use crate::node::reflection::{self, Realm};
use crate::node::status::{Nat, PeerState, PeerStatus, Status};
use crate::node::timer::LinkTimer;
use crate::wire::id::NodeId;
use crate::wire::name::Name;
use crate::wire::record::{MemberRecord, MemberState};

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
        let is_taken = |name: Name, id: NodeId| owners.get(&name).is_some_and(|owner| *owner != id);
        let mut peers: Vec<PeerStatus> = self
            .members
            .records()
            .filter(|&(id, record)| id != self.id && record.state == MemberState::Member && !self.is_removed())
            .map(|(id, record)| {
                let told = self.told_status(now, record, is_taken(record.name, id));
                match self.links.by_id(id) {
                    Some((_, link)) => self.peer_status(now, link, told),
                    None => told,
                }
            })
            .collect();
        peers.sort_unstable_by_key(|peer| (peer.name, peer.id));
        let name = self.members.name(self.id).unwrap_or(self.config.name);
        Status {
            id: self.id,
            name,
            name_taken: is_taken(name, self.id),
            public_key: self.identity.public_key(),
            addresses,
            nat,
            orphan: self.orphan,
            cluster: self.cluster.as_ref().map(|cluster| cluster.id),
            peers,
            counters: self.counters.list(self.outbox.sent()),
        }
    }

    /// Whether a member answers.
    #[must_use]
    pub fn is_up(&self, member: NodeId) -> bool {
        self.links.by_id(member).is_some_and(|(_, link)| link.is_up())
    }

    /// What is known of a peer from the link with it.
    fn peer_status(&self, now: Instant, link: &Link, told: PeerStatus) -> PeerStatus {
        let since = |at: Instant| now.saturating_duration_since(at);
        let silent = link.state != PeerState::Up;
        let next_try = link.timers.get(LinkTimer::Retry).filter(|_| silent);
        PeerStatus {
            state: if link.is_up() && link.in_conflict(now) { PeerState::Conflict } else { link.state },
            linked: true,
            address: self.last_known(link).or(told.address),
            rtt: link.rtt,
            last_seen: link.last_heard.map(since),
            since: since(link.since),
            previous_address: link.healed_ms.and_then(|_| self.history.before(link.id)),
            healed: link.healed_ms.map(|ms| Duration::from_millis(ms.into())),
            candidates: link.candidates.as_ref().map_or(0, |candidates| candidates.len()),
            next_try: next_try.map(|at| at.saturating_duration_since(now)),
            ..told
        }
    }

    /// What is known of a member without a link.
    fn told_status(&self, now: Instant, record: &MemberRecord, name_taken: bool) -> PeerStatus {
        let id = record.id();
        let last = self.directory.last(id);
        PeerStatus {
            id,
            name: record.name,
            name_taken,
            public_key: record.public_key,
            state: PeerState::Unknown,
            linked: false,
            address: last.map(|last| last.address),
            rtt: None,
            last_seen: last.and_then(|last| last.heard).map(|heard| now.saturating_duration_since(heard)),
            since: now.saturating_duration_since(self.started),
            previous_address: None,
            healed: None,
            candidates: 0,
            next_try: None,
        }
    }
}
