//! Out of the cluster: removing another member, and leaving oneself. Spec: `spec/membership.md` section 5.

use std::time::{Duration, Instant};

use crate::node::Node;
use crate::node::error::CommandError;
use crate::node::event::Event;
use crate::node::joining::{is_provisional, removes};
use crate::node::links::Slot;
use crate::node::membership::page_of;
use crate::node::timer::NodeTimer;
use crate::wire::id::NodeId;
use crate::wire::leave::Leave;
use crate::wire::members::Members as Page;
use crate::wire::record::{MemberRecord, MemberState};

/// How often a leaving node says that it leaves. Spec: `FAREWELL_RESEND`.
const FAREWELL_RESEND: Duration = Duration::from_millis(500);
/// How many times it says so to a member that does not confirm. Spec: `FAREWELLS_MAX`.
const FAREWELLS_MAX: u8 = 6;

/// The node leaves its cluster.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaving {
    /// How often it has said so.
    said: u8,
    /// How many members have confirmed it.
    confirmed: usize,
}

impl Node {
    /// Removes a member from the cluster, everywhere and for ever: only a new invite lets it back in. It needs not run.
    ///
    /// # Errors
    ///
    /// [`CommandError::UnknownPeer`] if `peer` is no member, [`CommandError::Itself`] if it is this node,
    /// [`CommandError::Unlisted`] if it is the inviter, whose record has not come yet; the node has
    /// stopped, belongs to no cluster or was removed.
    pub fn forget(&mut self, now: Instant, peer: NodeId) -> Result<(), CommandError> {
        let now = self.command(now)?;
        self.membership()?;
        if peer == self.id {
            return Err(CommandError::Itself);
        }
        let known = self.members.get(peer).filter(|known| known.state == MemberState::Member);
        let known = known.ok_or(CommandError::UnknownPeer)?;
        if is_provisional(known) {
            return Err(CommandError::Unlisted);
        }
        let record = self.removal(known);
        self.take_record(now, &record);
        self.push(now, None, &page_of(record));
        Ok(())
    }

    /// Leaves the cluster: has the other members remove this node, and then forgets the cluster, its key and its
    /// members. [`Event::Left`] says when that is done, some seconds later at most; what is stored is then to be
    /// deleted. Only a new invite lets the node back in.
    ///
    /// # Errors
    ///
    /// The node has stopped or belongs to no cluster.
    pub fn leave(&mut self, now: Instant) -> Result<(), CommandError> {
        let now = self.command(now)?;
        if self.cluster.is_none() {
            return Err(CommandError::NoCluster);
        }
        if self.leaving.is_some() {
            return Ok(());
        }
        self.stop_joining();
        if let Some(own) = self.members.get(self.id) {
            let record = self.removal(own);
            self.members.merge(&record);
            self.revision.members += 1;
        }
        self.leaving = Some(Leaving { said: 0, confirmed: 0 });
        self.say_farewell(now);
        Ok(())
    }

    /// Tells every peer that may hear it, and has not confirmed it yet, that this node leaves; or ends.
    pub(super) fn say_farewell(&mut self, now: Instant) {
        let Some(leaving) = &mut self.leaving else { return };
        let hearers: Vec<Slot> =
            self.links.iter().filter(|(_, link)| link.is_believed_alive()).map(|(slot, _)| slot).collect();
        let record = self.members.removed(self.id).copied();
        match record {
            Some(record) if !hearers.is_empty() && leaving.said < FAREWELLS_MAX => {
                leaving.said += 1;
                for slot in hearers {
                    self.send(now, slot, &page_of(record));
                }
                self.arm_node(NodeTimer::Farewell, now + FAREWELL_RESEND);
            }
            _ => self.end_leaving(now),
        }
    }

    /// A page came while this node leaves: where it holds the removal, its sender has confirmed it.
    pub(super) fn receive_farewell(&mut self, now: Instant, slot: Slot, page: &Page) {
        if !page.records.iter().any(|record| removes(record, self.id)) {
            return;
        }
        if let Some(leaving) = &mut self.leaving {
            leaving.confirmed += 1;
        }
        self.drop_links(now, &[slot]);
        if !self.links.iter().any(|(_, link)| link.is_believed_alive()) {
            self.end_leaving(now);
        }
    }

    /// Says goodbye to those who have not confirmed, and forgets the cluster.
    fn end_leaving(&mut self, now: Instant) {
        let Some(leaving) = self.leaving.take() else { return };
        self.disarm_node(NodeTimer::Farewell);
        let silent = self.links.slots();
        let others = silent.len() + leaving.confirmed;
        for slot in silent {
            self.send(now, slot, &Leave);
        }
        self.forget_cluster(now);
        self.outbox.event(Event::Left { confirmed: leaving.confirmed, others });
    }

    /// The record that removes a member in this node's name.
    fn removal(&self, known: &MemberRecord) -> MemberRecord {
        MemberRecord { admitted_by: self.id, state: MemberState::Removed, ..*known }
    }
}
