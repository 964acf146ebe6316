//! Who is a member: an invite lets one node in, and who was removed stays removed.

use std::collections::BTreeMap;

use crate::node::Node;
use crate::node::event::Event;
use crate::sim::laws::{Arrival, Cause, Verdict, hold};
use crate::sim::world::HostId;
use crate::wire::id::{InviteId, NodeId};
use crate::wire::initiation::Mode;

/// Admissions and removals as each host knew them.
#[derive(Debug, Default)]
pub(crate) struct Admissions {
    /// With which invite a node last knocked at a host.
    knocked: BTreeMap<(HostId, NodeId), InviteId>,
    /// Whom a host let in by an invite.
    admitted: BTreeMap<(HostId, InviteId), NodeId>,
    /// The number of the admission that a removal ended.
    removed: BTreeMap<(HostId, NodeId), u32>,
}

impl Admissions {
    /// The host has lost what it knew, or some of it.
    pub(crate) fn forget(&mut self, host: HostId) {
        self.knocked.retain(|(owner, _), _| *owner != host);
        self.admitted.retain(|(owner, _), _| *owner != host);
        self.removed.retain(|(owner, _), _| *owner != host);
    }

    /// A list that is full of removals has forgotten some: MEMB-11.
    pub(crate) fn forget_removals(&mut self, host: HostId) {
        self.removed.retain(|(owner, _), _| *owner != host);
    }

    /// A datagram came to a host.
    pub(crate) fn came(&mut self, arrival: &Arrival) {
        if let (Some((Mode::Join, invite)), Some(made)) = (arrival.initiation, &arrival.made) {
            self.knocked.insert((arrival.host, made.by), invite);
        }
    }

    /// P24 and P26, whenever a host's list changes.
    pub(crate) fn told(&mut self, host: HostId, node: &Node, cause: Cause<'_>, event: &Event) -> Verdict {
        if let Event::MemberRemoved { peer } = event {
            if let Some(admission) = node.admission(peer.id) {
                self.removed.insert((host, peer.id), admission);
            }
        }
        let Event::MemberAdded { peer } = event else { return Ok(()) };
        let (admission, ended) = (node.admission(peer.id), self.removed.get(&(host, peer.id)).copied());
        hold("P26", ended.is_none() || admission > ended, || {
            format!("{} is back by admission {admission:?}, and its removal ended {ended:?}", peer.id)
        })?;
        let Cause::Datagram(arrival, _) = cause else { return Ok(()) };
        if arrival.peer != Some((peer.id, true)) {
            return Ok(());
        }
        let Some(&invite) = self.knocked.get(&(host, peer.id)) else { return Ok(()) };
        let first = *self.admitted.entry((host, invite)).or_insert(peer.id);
        hold("P24", first == peer.id, || format!("{} is let in by the invite of {first}", peer.id))
    }
}
