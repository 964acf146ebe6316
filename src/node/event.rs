//! What a node tells its owner.

use crate::config::Cluster;
use crate::node::status::{Confidence, Scope};
use crate::wire::address::Address;
use crate::wire::id::NodeId;
use crate::wire::name::Name;

/// A change worth knowing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// This node's own address changed. Whether it is sure of it may change without an event;
    /// [`Node::status`](crate::node::Node::status) tells.
    OwnAddress {
        /// Which of the node's addresses: one per family and scope.
        scope: Scope,
        /// The address before; `None` if none was known.
        old: Option<Address>,
        /// The address now.
        new: Address,
        /// How sure the node is.
        confidence: Confidence,
        /// How many observer groups agree.
        observers: usize,
    },
    /// A peer's published address changed.
    PeerMoved {
        /// Who moved.
        peer: Who,
        /// Where it was.
        old: Address,
        /// Where it is.
        new: Address,
        /// Since it was last heard at the old address, in milliseconds.
        healed_ms: u64,
    },
    /// A peer answers.
    PeerUp {
        /// Who.
        peer: Who,
        /// Where.
        address: Address,
    },
    /// A peer misses heartbeats; it is being looked for.
    PeerSuspect {
        /// Who.
        peer: Who,
    },
    /// A peer has not been heard for three intervals.
    PeerLost {
        /// Who.
        peer: Who,
    },
    /// A peer stopped in an orderly way.
    PeerLeft {
        /// Who.
        peer: Who,
    },
    /// Two machines claim to be this peer: the one that came second was turned away.
    PeerConflict {
        /// Who.
        peer: Who,
    },
    /// A peer turned this node away: it talks to another machine with this node's identity.
    NodeConflict {
        /// Who says so.
        peer: Who,
    },
    /// A node became a member of the cluster, or changed its name.
    MemberAdded {
        /// Who.
        peer: Who,
    },
    /// A node was removed from the cluster.
    MemberRemoved {
        /// Who.
        peer: Who,
    },
    /// This node was removed from its cluster: it talks to nobody any more. Only a new invite lets it back in. Told again
    /// at every start while [`Saved`](crate::node::saved::Saved) says so.
    Removed {
        /// The member that removed it, if it is known; the node itself if it left.
        by: Option<Who>,
    },
    /// This node has left its cluster, whose key it has forgotten: what is stored of it is to be deleted.
    Left {
        /// How many members have confirmed that they removed it. They tell the others; if it is 0 and there are others,
        /// somebody else has to remove it there.
        confirmed: usize,
        /// How many other members there were.
        others: usize,
    },
    /// No peer answers: nobody can tell this node where it is, or where the others are.
    Orphan,
    /// A peer answers again after [`Event::Orphan`].
    Recovered,
    /// This node was admitted to a cluster. To be stored before the next output is acted upon: the datagram that
    /// confirms the admission, and burns the invite, comes after this event.
    Joined {
        /// The cluster.
        cluster: Cluster,
    },
    /// The cluster refused this node, for a reason that the inviter signed. After [`Event::Joined`] it means that another
    /// node with the same invite was faster: what was stored then is to be deleted.
    JoinRefused {
        /// Why.
        reason: Refusal,
    },
}

/// A member as events name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who {
    /// Its identity.
    pub id: NodeId,
    /// Its name. Two members may claim one name; [`Node::status`](crate::node::Node::status) tells them apart.
    pub name: Name,
}

/// Why a joiner is not let in. Spec: `spec/formats.md` section 3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The invite's time is over.
    #[error("the invite has expired: ask for a new one")]
    Expired,
    /// Another node has joined with this invite.
    #[error("the invite has been used: ask for a new one")]
    Used,
    /// The cluster has as many members as it may have.
    #[error("the cluster has as many members as it may have: have one removed first")]
    Full,
    /// The node's identity was removed in a way that no admission can follow.
    #[error("the cluster has barred this node's identity for ever: join with a new one, in another state directory")]
    Barred,
    /// The invite is for another cluster than the one that the node belongs to already.
    #[error("the invite is for another cluster than the one this node belongs to")]
    OtherCluster,
}
