//! What a node refuses: commands that cannot be carried out. (Datagrams it discards are in `discard.rs`.)

use crate::config::MaxMembers;

/// Why a command was not carried out. The node's state is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The node belongs to no cluster.
    #[error(
        "this node belongs to no cluster yet: run  dddns init  for a new cluster, or  dddns join TOKEN  with an invite"
    )]
    NoCluster,
    /// The node belongs to a cluster already.
    #[error("this node already belongs to a cluster")]
    HasCluster,
    /// The node was removed from its cluster.
    #[error("this node was removed from its cluster: run  dddns join TOKEN  with a new invite")]
    Removed,
    /// The invite holds a public key that no secret key has.
    #[error("the invite's key is not valid, so nobody can answer: ask for a new invite")]
    UnusableInvite,
    /// An invite needs an address at which the inviter can be reached, and none is known.
    #[error("no address is known at which another machine could reach this one: give one with --address")]
    NoAddress,
    /// An invite holds at most 4 addresses.
    #[error("an invite holds at most 4 addresses")]
    TooManyAddresses,
    /// An invite lives for at least a second.
    #[error("an invite must be valid for at least one second and at most 30 days")]
    Lifetime,
    /// Too many invites are open.
    #[error("64 invites are open: wait until one is used or expires")]
    TooManyInvites,
    /// The cluster is full.
    #[error("the cluster has as many members as it may have ({})", .0.get())]
    Full(MaxMembers),
    /// The node has stopped: after [`Node::shutdown`](crate::node::Node::shutdown) it sends nothing.
    #[error("this node has stopped")]
    Stopped,
    /// The node itself was named where another one is to be.
    #[error("this is the node itself: to take it out of its cluster run  dddns leave")]
    Itself,
    /// Nobody has said yet with what number the member was admitted, and a removal without it would not hold.
    #[error(
        "the record of this member has not come yet, and a removal without it would not hold: try again once another member \
         was met, or, to take this node out of the cluster, run  dddns leave"
    )]
    Unlisted,
    /// No member has this ID.
    #[error("no member has this identity")]
    UnknownPeer,
}
