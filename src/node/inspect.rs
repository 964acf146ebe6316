//! What a simulator sees of a node at no great cost, after each step of a run.

use crate::node::Node;
use crate::node::status::PeerState;
use crate::wire::address::Address;
use crate::wire::id::NodeId;

impl Node {
    /// Whether a peer answers, and where it was last known to be; `None` if there is no link with it.
    pub(crate) fn peer_place(&self, id: NodeId) -> Option<(PeerState, Option<Address>)> {
        let (_, link) = self.links.by_id(id)?;
        Some((link.state, self.last_known(link)))
    }

    /// The addresses that this node takes for its own.
    pub(crate) fn own_places(&self) -> Vec<Address> {
        self.own.addresses()
    }
}
