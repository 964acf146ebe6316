//! What survives a restart: the part of a node's state that its owner stores.

use crate::wire::address::Address;
use crate::wire::id::{InviteId, NodeId};
use crate::wire::record::MemberRecord;

/// Everything a node wants back after a restart. Secrets of sessions are not in it; hashes of invites are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// The member list, removed members included.
    pub members: Vec<MemberRecord>,
    /// Where members were, newest first, at most 8 each.
    pub addresses: Vec<SavedAddress>,
    /// This node's own addresses.
    pub own: Vec<Address>,
    /// Invites that are open, used or expired.
    pub invites: Vec<SavedInvite>,
}

/// An address at which a member was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavedAddress {
    /// The member.
    pub id: NodeId,
    /// Where.
    pub address: Address,
    /// When it proved to be there, in seconds since 1970 by this node's clock; [`SavedAddress::TOLD`] if others said so.
    pub seen: u64,
}

impl SavedAddress {
    /// In place of a time: the member never was there to this node's knowledge, but others said so.
    pub const TOLD: u64 = 0;
}

/// An invite at rest: its secret is not in it, only the hash that serves as pre-shared key. Wiped when dropped.
#[derive(Clone, PartialEq, Eq, zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
pub struct SavedInvite {
    /// Which invite.
    #[zeroize(skip)]
    pub id: InviteId,
    /// `SHA-256("dddns/1 invite" || secret)`. Spec: AUTH-1.
    pub hash: [u8; 32],
    /// Seconds since 1970 by this node's clock.
    pub expiry: u64,
    /// Whether a node has joined with it.
    pub used: bool,
}

impl std::fmt::Debug for SavedInvite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SavedInvite")
            .field("id", &self.id)
            .field("expiry", &self.expiry)
            .field("used", &self.used)
            .finish_non_exhaustive()
    }
}

/// Which version of [`Saved`] a node is at. Both numbers only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revision {
    /// Counts changes of members and invites: to be stored at once, since losing one loses a decision.
    pub members: u64,
    /// Counts changes of addresses: to be stored when convenient, since losing one costs a search.
    pub addresses: u64,
}
