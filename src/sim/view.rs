//! What can be seen of a world from outside.

#![expect(clippy::indexing_slicing, reason = "hosts are never removed, and a scenario with an ID of none should stop")]

use std::time::Duration;

use crate::auth::identity::Identity;
use crate::node::event::Event;
use crate::node::status::{PeerState, PeerStatus, Status};
use crate::sim::world::{HostId, Traffic, World};
use crate::wire::address::Address;
use crate::wire::id::NodeId;

impl World {
    /// The virtual time since the world began.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now
    }

    /// A host's identity.
    #[must_use]
    pub fn identity(&self, host: HostId) -> &Identity {
        &self.hosts[host].identity
    }

    /// A host's node ID.
    #[must_use]
    pub fn id(&self, host: HostId) -> NodeId {
        self.hosts[host].id
    }

    /// A host's present addresses.
    #[must_use]
    pub fn addresses(&self, host: HostId) -> &[Address] {
        &self.hosts[host].addresses
    }

    /// What a host's node, which must run, knows.
    #[must_use]
    pub fn status(&self, host: HostId) -> Status {
        self.hosts[host].node.as_ref().expect("the host is switched on").status(self.instant(host))
    }

    /// What a host knows about another one.
    #[must_use]
    pub fn peer(&self, host: HostId, other: HostId) -> Option<PeerStatus> {
        let id = self.id(other);
        self.status(host).peers.into_iter().find(|peer| peer.id == id)
    }

    /// Whether `host` has `other` up at the address that it has.
    #[must_use]
    pub fn knows(&self, host: HostId, other: HostId) -> bool {
        let found = self.hosts[host].node.as_ref().and_then(|node| node.peer_place(self.id(other)));
        found.is_some_and(|(state, address)| {
            state == PeerState::Up && address.is_some_and(|at| self.leads(host, self.hosts[host].truth(at), other))
        })
    }

    /// Whether every host that runs has every other one up at its true address, and knows its own. Where the cluster is
    /// no full mesh, those are looked at with which a host should have a link.
    #[must_use]
    pub fn whole(&self) -> bool {
        let running: Vec<HostId> = (0..self.hosts.len()).filter(|&host| self.runs(host)).collect();
        let knows = |a: HostId, b: HostId| {
            if a == b {
                running.len() < 2 || self.knows_itself(a)
            } else {
                self.knows(a, b) || !self.are_neighbours(a, b)
            }
        };
        let (a, b) = self.apart.get();
        // While the pair that was not together when last asked still is not, nobody else need be looked at.
        if a < self.hosts.len() && b < self.hosts.len() && self.runs(a) && self.runs(b) && !knows(a, b) {
            return false;
        }
        let apart = running.iter().find_map(|&a| Some((a, running.iter().copied().find(|&b| !knows(a, b))?)));
        self.apart.set(apart.unwrap_or_default());
        apart.is_none()
    }

    /// Whether a host should have a link with another one, as far as its node knows the cluster.
    #[must_use]
    pub fn are_neighbours(&self, host: HostId, other: HostId) -> bool {
        self.hosts[host].node.as_ref().is_some_and(|node| node.is_neighbour(self.id(other)))
    }

    /// Whether a host's own address, as its node tells it, is one that it has.
    #[must_use]
    pub fn knows_itself(&self, host: HostId) -> bool {
        let node = self.hosts[host].node.as_ref();
        node.is_some_and(|node| node.own_places().iter().any(|&own| self.leads(host, own, host)))
    }

    /// Whether an address, as somebody understands it who is where `host` is, leads to `other`.
    #[must_use]
    pub fn leads(&self, host: HostId, address: Address, other: HostId) -> bool {
        self.places.holder(self.hosts[host].segment, address) == Some(other)
    }

    /// What a host's node has told its owner, and when.
    #[must_use]
    pub fn events(&self, host: HostId) -> &[(Duration, Event)] {
        &self.hosts[host].events
    }

    /// What a host has sent and received.
    #[must_use]
    pub fn traffic(&self, host: HostId) -> Traffic {
        self.hosts[host].traffic
    }

    /// Whether there is such a host.
    #[must_use]
    pub fn has_host(&self, host: HostId) -> bool {
        host < self.hosts.len()
    }

    /// Whether a host's node runs.
    #[must_use]
    pub fn runs(&self, host: HostId) -> bool {
        self.hosts[host].node.is_some()
    }

    /// How often a host's node has counted something under this name.
    #[must_use]
    pub fn count(&self, host: HostId, name: &str) -> u64 {
        self.status(host).counters.iter().find(|(counter, _)| *counter == name).map_or(0, |(_, count)| *count)
    }
}
