//! What the owner of a node may ask for, and what it gets back after a restart.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use crate::auth::invite::Token;
use crate::node::Node;
use crate::node::candidates;
use crate::node::directory::Sighting;
use crate::node::error::CommandError;
use crate::node::invites;
use crate::node::joining::is_provisional;
use crate::node::reflection::Realm;
use crate::node::saved::{Revision, Saved, SavedAddress, SavedInvite};
use crate::node::status::Scope;
use crate::node::timer::NodeTimer;
use crate::wire::address::Address;
use crate::wire::id::{InviteId, NodeId};
use crate::wire::record::{MemberRecord, MemberState};

impl Node {
    /// The shortest and the longest life of an invite. Spec: `INVITE_TTL`.
    pub const INVITE_TTL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(invites::LIFE_MAX);

    /// Makes an invite for one node, valid for `ttl` (1 s to 30 days) by this node's clock.
    ///
    /// `addresses` say where a joiner finds this node; those that peers reflect are added to them, at most 4 in all.
    ///
    /// # Errors
    ///
    /// The node has stopped, has no cluster, no address, too many open invites or no room for another member; or `ttl` or
    /// the number of addresses is out of bounds.
    pub fn create_invite(&mut self, now: Instant, ttl: Duration, addresses: &[Address]) -> Result<Token, CommandError> {
        let now = self.command(now)?;
        self.membership()?;
        if !self.members.has_room() {
            return Err(CommandError::Full(self.config.max_members));
        }
        if !Self::INVITE_TTL.contains(&ttl) {
            return Err(CommandError::Lifetime);
        }
        if addresses.len() > Token::MAX_ADDRESSES {
            return Err(CommandError::TooManyAddresses);
        }
        let mut reachable: Vec<Address> = addresses.to_vec();
        let own = self.own.addresses().into_iter().filter(|own| Realm::of(*own).scope() != Scope::Loopback);
        reachable.extend(own.filter(|own| !addresses.contains(own)).collect::<Vec<_>>());
        reachable.truncate(Token::MAX_ADDRESSES);
        if reachable.is_empty() {
            return Err(CommandError::NoAddress);
        }
        let unix = self.unix(now).as_secs();
        let id = InviteId(self.drbg.array());
        let inviter = self.identity.public_key();
        let token = Token::new(id, self.drbg.array(), inviter, unix.saturating_add(ttl.as_secs()), &reachable)
            .map_err(|_| CommandError::TooManyAddresses)?;
        let invite = SavedInvite { id, hash: token.psk_hash(), expiry: token.expiry(), used: false };
        if !self.invites.add(invite, unix) {
            return Err(CommandError::TooManyInvites);
        }
        self.revision.members += 1;
        Ok(token)
    }

    /// Takes addresses at which a member may be, for instance those that a configured host name resolved to. They
    /// replace what was configured for it before, and are probed while it does not answer.
    ///
    /// # Errors
    ///
    /// [`CommandError::UnknownPeer`] if `peer` is no member, [`CommandError::Stopped`] if the node has stopped.
    pub fn add_candidates(&mut self, now: Instant, peer: NodeId, addresses: &[Address]) -> Result<(), CommandError> {
        let now = self.command(now)?;
        if peer == self.id || !self.members.contains(peer) {
            return Err(CommandError::UnknownPeer);
        }
        let known = self.configured.entry(peer).or_default();
        let literal = self.config.peers.iter().filter(|configured| NodeId::from(&configured.public_key) == peer);
        *known = literal.flat_map(|configured| configured.addresses.iter().copied()).collect();
        known.extend(addresses.iter().copied().take(candidates::MAX));
        self.link_member(now, peer);
        if let Some(slot) = self.links.slot(peer).filter(|&slot| self.is_missing(slot)) {
            self.add_hearsay(now, slot, addresses, None);
        }
        Ok(())
    }

    /// What the owner should store. [`revision`](Self::revision) tells when it changes; that a member is still where it was
    /// last, and what others tell of the rest, is no change.
    #[must_use]
    pub fn saved(&self) -> Saved {
        let told = |(id, address)| SavedAddress { id, address, seen: SavedAddress::TOLD };
        let mut addresses = self.history.saved();
        addresses.extend(self.directory.told().map(told));
        Saved {
            members: self.members.records().map(|(_, record)| *record).collect(),
            addresses,
            own: self.own.addresses(),
            invites: self.invites.saved(),
        }
    }

    /// Says whether what is [`saved`](Self::saved) can be stored; the node takes it for granted until told otherwise. While
    /// it cannot, nobody is let in: after a restart the invite would be good again, and the one it let in a stranger. Spec:
    /// `spec/membership.md` section 3.
    pub fn set_durable(&mut self, durable: bool) {
        self.durable = durable;
    }

    /// Which version of [`saved`](Self::saved) the node is at.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The time of a command, unless the node has stopped.
    pub(super) fn command(&mut self, now: Instant) -> Result<Instant, CommandError> {
        let now = self.advance(now);
        if self.stopped { Err(CommandError::Stopped) } else { Ok(now) }
    }

    /// That the node is a member of a cluster.
    pub(super) fn membership(&self) -> Result<(), CommandError> {
        if self.cluster.is_none() {
            Err(CommandError::NoCluster)
        } else if self.is_removed() {
            Err(CommandError::Removed)
        } else {
            Ok(())
        }
    }

    /// Takes back what was stored, and what the configuration says beyond it.
    pub(super) fn restore(&mut self, now: Instant, saved: &Saved) {
        for record in &saved.members {
            self.members.merge(record);
        }
        for peer in self.config.peers.clone() {
            let id = NodeId::from(&peer.public_key);
            self.configured.insert(id, peer.addresses);
            // What stands for an inviter gives way to what a member says, and to nothing else.
            if self.members.get(id).is_some_and(is_provisional) {
                continue;
            }
            let record = MemberRecord {
                public_key: peer.public_key,
                admitted_by: id,
                admission: 0,
                state: MemberState::Member,
                revision: 0,
                name: peer.name,
            };
            self.members.merge(&record);
        }
        let of_another = |known: &&SavedAddress| known.id != self.id && self.members.contains(known.id);
        for known in saved.addresses.iter().filter(of_another) {
            if known.seen == SavedAddress::TOLD {
                self.directory.tell(known.id, known.address, None);
            } else {
                self.history.restore(known);
            }
        }
        let members: Vec<NodeId> = self.members.records().map(|(id, _)| id).collect();
        for id in members {
            if let Some(address) = self.history.latest(id) {
                self.directory.see(id, Sighting { address, heard: None });
            }
        }
        self.own.restore(&saved.own);
        if let Some(&removed) = self.members.removed(self.id) {
            self.removed(now, &removed);
        } else if self.cluster.is_some() {
            self.announce_self(now);
            self.arm_node(NodeTimer::Exchange, now + self.interval() / 5);
        }
        self.choose_links(now);
    }
}
