//! What a simulator sees of a node at no great cost, after each step of a run.

use std::time::Instant;

use crate::auth::session::Session;
use crate::node::Node;
use crate::node::links::Owner;
use crate::node::saved::Revision;
use crate::node::status::PeerState;
use crate::wire::address::Address;
use crate::wire::id::{Index, NodeId};

/// The sizes of a node's tables, and what changes with nearly everything that it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) revision: Revision,
    /// The earliest deadline, outputs that wait left aside.
    pub(crate) deadline: Option<Instant>,
    pub(crate) orphan: bool,
    pub(crate) handshakes: u64,
    /// Probes sent since the start.
    pub(crate) probes: u64,
    /// Records of members, removed ones included.
    pub(crate) records: usize,
    /// Those of removed ones.
    pub(crate) removals: usize,
    pub(crate) links: usize,
    /// Session indices in use.
    pub(crate) indices: usize,
    /// Handshakes that were answered and not confirmed.
    pub(crate) pending: usize,
    pub(crate) subscriptions: usize,
    pub(crate) invites: usize,
    /// Places whose share of handshakes is remembered.
    pub(crate) sources: usize,
}

/// What a link is like at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LinkFacts {
    pub(crate) state: PeerState,
    /// The index and the highest counter of the session in use.
    pub(crate) session: Option<(Index, Option<u64>)>,
    pub(crate) current: Option<Address>,
    pub(crate) published: Option<Address>,
    pub(crate) on_trial: bool,
    pub(crate) last_heard: Option<Instant>,
    pub(crate) reflection: Option<Address>,
    pub(crate) reflected: Option<Instant>,
    pub(crate) candidates: usize,
}

impl Node {
    /// The node as a whole.
    pub(crate) fn facts(&self) -> Facts {
        Facts {
            revision: self.revision,
            deadline: self.schedule.first().map(|(at, _)| at),
            orphan: self.orphan,
            handshakes: self.counters.handshakes,
            probes: self.counters.probes,
            records: self.members.len(),
            removals: self.members.removals(),
            links: self.links.len(),
            indices: self.links.indices(),
            pending: self.responder.len(),
            subscriptions: self.subscriptions.len(),
            invites: self.invites.len(),
            sources: self.responder.sources(),
        }
    }

    /// The link with a peer, if there is one.
    pub(crate) fn link_facts(&self, id: NodeId) -> Option<LinkFacts> {
        let (_, link) = self.links.by_id(id)?;
        Some(LinkFacts {
            state: link.state,
            session: link.session.as_ref().map(|session| (session.local_index(), session.highest_received())),
            current: link.path.current(),
            published: link.path.published(),
            on_trial: link.path.on_trial(),
            last_heard: link.last_heard,
            reflection: link.reflection,
            reflected: link.reflected,
            candidates: link.candidates.as_ref().map_or(0, |candidates| candidates.len()),
        })
    }

    /// With whom this node has the session, or the handshake under way, that an index belongs to; and whether it waits
    /// for its confirmation.
    pub(crate) fn peer_of(&self, index: Index) -> Option<(NodeId, bool)> {
        match self.links.owner(index)? {
            Owner::Link(slot) => Some((self.links.get(slot)?.id, false)),
            Owner::Pending => Some((self.responder.peer_of(index)?, true)),
            Owner::Joining => Some((self.joining.as_ref()?.inviter(), false)),
        }
    }

    /// This node's own indices of the sessions with peers whose index is `remote`.
    pub(crate) fn sessions_with(&self, remote: Index) -> Vec<Index> {
        let sessions = self.links.iter().flat_map(|(_, link)| link.sessions());
        sessions.filter(|session| session.remote_index() == remote).map(Session::local_index).collect()
    }

    /// The number of the admission by which a node is, or was until it was removed, a member.
    pub(crate) fn admission(&self, id: NodeId) -> Option<u32> {
        self.members.get(id).map(|record| record.admission)
    }

    /// Whether a peer answers, and where it was last known to be; `None` if there is no link with it.
    pub(crate) fn peer_place(&self, id: NodeId) -> Option<(PeerState, Option<Address>)> {
        let (_, link) = self.links.by_id(id)?;
        Some((link.state, self.last_known(link)))
    }

    /// Whether this node should keep a link with another one, as far as it knows the cluster.
    pub(crate) fn is_neighbour(&self, id: NodeId) -> bool {
        self.neighbourhood.joins(self.id, id)
    }

    /// The addresses that this node takes for its own.
    pub(crate) fn own_places(&self) -> Vec<Address> {
        self.own.addresses()
    }
}
