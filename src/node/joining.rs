//! Joining a cluster by invite. Spec: `spec/membership.md` section 3.

use std::time::Instant;

use crate::auth::handshake::{Initiator, Purpose};
use crate::auth::invite::Token;
use crate::auth::session::Session;
use crate::config::{Cluster, ClusterKey};
use crate::node::Node;
use crate::node::conflict::Newcomer;
use crate::node::discard::Discard;
use crate::node::error::CommandError;
use crate::node::event::{Event, Refusal};
use crate::node::handshakes::{ATTEMPT, INITIATION_RESEND, fresh_index};
use crate::node::history::History;
use crate::node::invites::Invites;
use crate::node::links::Owner;
use crate::node::members::Members;
use crate::node::pending;
use crate::node::subscriptions::Subscriptions;
use crate::node::sync::Sync;
use crate::node::timer::NodeTimer;
use crate::wire::address::Address;
use crate::wire::id::{NodeId, PublicKey};
use crate::wire::message::Message;
use crate::wire::record::{MemberRecord, MemberState};
use crate::wire::response::{Response, Verdict};

/// An invite that this node tries to join with.
#[derive(Debug)]
pub(crate) struct Joining {
    token: Token,
    pub(crate) initiator: Option<Initiator>,
    /// A cookie that the inviter demanded, and until when it is good.
    pub(crate) cookie: Option<([u8; 16], Instant)>,
    began: Instant,
    /// Whether the inviter has accepted. It has then still to be heard: only that shows that the confirmation arrived.
    accepted: bool,
}

impl Node {
    /// Begins to join the cluster that an invite is for, and goes on trying until [`Event::Joined`] or
    /// [`Event::JoinRefused`].
    ///
    /// A node that stopped in the middle of joining, and so has the cluster's secrets without being a member for sure,
    /// may join again with the same invite.
    ///
    /// # Errors
    ///
    /// [`CommandError::HasCluster`] if the node belongs to a cluster or is leaving it, unless the inviter is a member that
    /// does not answer, or the node was removed; [`CommandError::UnusableInvite`] if nobody can have made the invite;
    /// [`CommandError::Stopped`] if the node has stopped.
    pub fn join(&mut self, now: Instant, token: &Token) -> Result<(), CommandError> {
        let now = self.command(now)?;
        let inviter = NodeId::from(&token.inviter());
        let answers = self.links.by_id(inviter).is_some_and(|(_, link)| link.is_up());
        let free = self.cluster.is_none() || self.is_removed();
        if self.leaving.is_some() || (!free && (answers || !self.members.contains(inviter))) {
            return Err(CommandError::HasCluster);
        }
        self.stop_joining();
        self.joining = Some(Joining::new(token.clone(), now));
        self.resend_join(now);
        if self.joining.as_ref().is_some_and(|joining| joining.initiator.is_none()) {
            self.stop_joining();
            return Err(CommandError::UnusableInvite);
        }
        Ok(())
    }

    /// Sends the initiation to all addresses of the invite, with a new ephemeral key from time to time.
    pub(super) fn resend_join(&mut self, now: Instant) {
        let index = fresh_index(&mut self.drbg, &self.links);
        let Some(joining) = &mut self.joining else { return };
        if joining.initiator.is_none() || now >= joining.began + ATTEMPT {
            if let Some(old) = joining.initiator.take() {
                self.links.release(old.sender());
            }
            let purpose = Purpose::Join { token: &joining.token, name: self.config.name };
            let inviter = joining.token.inviter();
            let run = self.incarnations.toward(NodeId::from(&inviter));
            let started = Initiator::start(&self.identity, &inviter, purpose, run, index, &mut self.drbg);
            joining.initiator = started.ok();
            let cookie = joining.cookie.filter(|(_, until)| now < *until);
            if let (Some(initiator), Some((cookie, _))) = (&mut joining.initiator, cookie) {
                initiator.set_cookie(cookie);
            }
            joining.began = now;
            if joining.initiator.is_some() {
                self.links.claim(index, Owner::Joining);
            }
        }
        if let Some(initiator) = &joining.initiator {
            for &address in joining.token.addresses() {
                self.outbox.transmit_bytes(address, initiator.datagram());
            }
        }
        let pause = self.jitter.spread(INITIATION_RESEND, 80..=120);
        self.arm_node(NodeTimer::Join, now + pause);
    }

    pub(super) fn receive_join_response(
        &mut self,
        now: Instant,
        from: Address,
        response: &Response,
    ) -> Result<(), Discard> {
        let removed = self.is_removed();
        let joining = self.joining.as_mut().ok_or(Discard::UnknownIndex)?;
        let began = joining.began;
        let (inviter, sent_to) = (joining.token.inviter(), joining.token.addresses().to_vec());
        let initiator = joining.initiator.as_mut().ok_or(Discard::UnknownIndex)?;
        let (keys, payload) = initiator.finish(response).map_err(|_| Discard::Handshake)?;
        let accepted = joining.accepted;
        let foreign = !removed && self.cluster.as_ref().is_some_and(|own| own.id != payload.cluster_id);
        let token = joining.token.clone();
        let refusal = match payload.verdict {
            Verdict::Accepted if foreign => Some(Refusal::OtherCluster),
            Verdict::Accepted => None,
            Verdict::Expired => Some(Refusal::Expired),
            Verdict::Used => Some(Refusal::Used),
            Verdict::Full => Some(Refusal::Full),
            Verdict::Barred => Some(Refusal::Barred),
        };
        self.stop_joining();
        if let Some(reason) = refusal {
            if accepted && reason != Refusal::OtherCluster {
                self.forget_cluster(now);
            }
            self.outbox.event(Event::JoinRefused { reason });
            return Ok(());
        }
        if removed {
            self.forget_cluster(now);
        }
        let outside = self.cluster.is_none();
        let cluster = Cluster { id: payload.cluster_id, key: ClusterKey(payload.cluster_key) };
        self.cluster = Some(cluster.clone());
        self.joining = Some(Joining { accepted: true, ..Joining::new(token, now) });
        self.arm_node(NodeTimer::Join, now + pending::LIFETIME);
        let id = NodeId::from(&inviter);
        if let Some(record) = provisional(inviter) {
            if outside {
                // What the configuration says of it would keep it from telling its own number.
                self.members.forget(id);
            }
            self.members.merge(&record);
            self.link_member(now, id);
        }
        let slot = self.links.slot(id).unwrap_or_else(|| self.call_inviter(now, id));
        if !accepted {
            // To be stored before the confirmation below burns the invite.
            self.outbox.event(Event::Joined { cluster });
        }
        let session = Box::new(Session::new(keys, response.receiver, payload.sender, payload.clock_ms, now));
        let incarnation = payload.incarnation;
        let newcomer = Newcomer { session, incarnation, began, crosses: false, from, sent_to };
        if !self.establish(now, slot, newcomer) {
            return Ok(());
        }
        self.reflected(now, slot, payload.observed);
        self.send_heartbeat(now, slot);
        self.read_list(now, slot);
        self.arm_node(NodeTimer::Exchange, now + self.interval() / 5);
        Ok(())
    }

    /// A member was heard: it knows this node, so the confirmation arrived. The token is kept until this node's own record
    /// has come, since somebody who missed it may tell of an earlier membership.
    pub(super) fn admitted(&mut self) {
        if self.joining.as_ref().is_some_and(|joining| joining.accepted) {
            self.disarm_node(NodeTimer::Join);
            if self.has_own_record() {
                self.stop_joining();
            }
        }
    }

    /// Whether the record that another member made of this node has come.
    fn has_own_record(&self) -> bool {
        self.members.get(self.id).is_some_and(|record| record.admission > 0)
    }

    /// Whether a joiner is told that it was removed, before its own record has come. It cannot tell an earlier membership from
    /// this one, so it asks its inviter again, which knows.
    pub(super) fn is_told_old_removal(&mut self, now: Instant, message: &Message) -> bool {
        let Message::Members(page) = message else { return false };
        if !page.records.iter().any(|record| removes(record, self.id)) {
            return false;
        }
        let waits = self.joining.as_ref().is_some_and(|joining| joining.accepted);
        if waits {
            self.arm_node(NodeTimer::Join, now);
        }
        waits
    }

    /// The node belongs to no cluster any more, or to none after all.
    pub(super) fn forget_cluster(&mut self, now: Instant) {
        self.cluster = None;
        self.admit_nobody();
        self.disarm_node(NodeTimer::Exchange);
        self.members = Members::new(self.id, self.config.max_members.get());
        self.revision.members += 1;
        self.drop_links(now, &self.links.slots());
        self.subscriptions = Subscriptions::default();
        self.history = History::default();
        self.sync = Sync::default();
        self.forget_directory();
        self.members_changed(now);
    }

    /// Whoever has an invite of this node, or is about to confirm a handshake, comes too late.
    pub(super) fn admit_nobody(&mut self) {
        self.invites = Invites::default();
        self.revision.members += 1;
        for index in self.responder.take_all() {
            self.links.release(index);
        }
        self.arm_pending();
    }

    pub(super) fn stop_joining(&mut self) {
        self.disarm_node(NodeTimer::Join);
        if let Some(initiator) = self.joining.take().and_then(|joining| joining.initiator) {
            self.links.release(initiator.sender());
        }
    }
}

impl Joining {
    /// The member that made the invite.
    #[cfg(feature = "sim")]
    pub(crate) fn inviter(&self) -> NodeId {
        NodeId::from(&self.token.inviter())
    }

    fn new(token: Token, now: Instant) -> Self {
        Self { token, initiator: None, cookie: None, began: now, accepted: false }
    }
}

/// Whether this is all that is known of the node's inviter: its key.
pub(super) fn is_provisional(record: &MemberRecord) -> bool {
    record.admitted_by == NodeId::NONE
}

/// Whether a record that a member tells is the removal of this node.
pub(super) fn removes(record: &MemberRecord, id: NodeId) -> bool {
    record.id() == id && record.state == MemberState::Removed && !is_provisional(record)
}

/// What a joiner knows of its inviter until the inviter's member list arrives: any other record is greater.
fn provisional(inviter: PublicKey) -> Option<MemberRecord> {
    let name = format!("node-{}", NodeId::from(&inviter).short());
    Some(MemberRecord {
        public_key: inviter,
        admitted_by: NodeId::NONE,
        admission: 0,
        state: MemberState::Member,
        revision: 0,
        name: name.parse().ok()?,
    })
}
