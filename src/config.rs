//! The protocol's settings, each with its meaning, unit, bounds and default.

use std::time::Duration;

use crate::wire::address::Address;
use crate::wire::id::{ClusterId, PublicKey};
use crate::wire::name::Name;

/// What a node must be told; what it can learn from its peers is not here.
#[derive(Clone, Debug)]
pub struct Config {
    /// This node's name.
    pub name: Name,

    /// The cluster this node belongs to; `None` for a node that is about to join one by invite.
    pub cluster: Option<Cluster>,

    /// The heartbeat interval of a link. All other intervals follow from it. Spec: `spec/timers.md`, `HEARTBEAT`.
    pub heartbeat: Heartbeat,

    /// How many members the node keeps at most, itself included. Spec: `spec/membership.md` section 6.
    pub max_members: MaxMembers,

    /// Peers that the configuration names: the way in without an invite.
    pub peers: Vec<Peer>,
}

impl Config {
    /// The default settings for a node of this name.
    #[must_use]
    pub fn new(name: Name) -> Self {
        Self {
            name,
            cluster: None,
            heartbeat: Heartbeat::default(),
            max_members: MaxMembers::default(),
            peers: Vec::new(),
        }
    }
}

/// What the members of a cluster share.
#[derive(Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Which cluster.
    pub id: ClusterId,
    /// The pre-shared key of handshakes between members.
    pub key: ClusterKey,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The 32-byte secret that the members of a cluster share. Printed nowhere, wiped when dropped.
#[derive(Clone, PartialEq, Eq, zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
pub struct ClusterKey(pub [u8; 32]);

impl std::fmt::Debug for ClusterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClusterKey(..)")
    }
}

/// A peer that the configuration names.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its name, until the peer itself tells another.
    pub name: Name,
    /// Its public key.
    pub public_key: PublicKey,
    /// Where it may be found. Candidates, never facts. Host names are resolved by whoever drives the core, which then
    /// calls [`Node::add_candidates`](crate::node::Node::add_candidates).
    pub addresses: Vec<Address>,
}

/// The heartbeat interval: 1 s to 60 s, 10 s unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat(Duration);

impl Heartbeat {
    /// The shortest interval.
    pub const MIN: Duration = Duration::from_secs(1);
    /// The longest interval: beyond it most NATs forget the node.
    pub const MAX: Duration = Duration::from_secs(60);

    /// The interval, or `None` if it is out of bounds.
    #[must_use]
    pub fn new(interval: Duration) -> Option<Self> {
        (Self::MIN..=Self::MAX).contains(&interval).then_some(Self(interval))
    }

    /// The interval as a duration.
    #[must_use]
    pub fn get(self) -> Duration {
        self.0
    }
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self(Duration::from_secs(10))
    }
}

/// The bound on members: 2 to 1,024, 1,024 unless said otherwise. Memory is bounded by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxMembers(u16);

impl MaxMembers {
    /// The largest bound, and the default.
    pub const MAX: u16 = 1024;

    /// The bound, or `None` if it is below 2 or above [`MaxMembers::MAX`].
    #[must_use]
    pub fn new(members: u16) -> Option<Self> {
        (2..=Self::MAX).contains(&members).then_some(Self(members))
    }

    /// The bound as a number of members.
    #[must_use]
    pub fn get(self) -> usize {
        usize::from(self.0)
    }
}

impl Default for MaxMembers {
    fn default() -> Self {
        Self(Self::MAX)
    }
}
