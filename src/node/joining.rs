//! Joining a cluster by invite. Spec: `spec/membership.md` section 3.

use std::time::Instant;

use crate::auth::handshake::{Initiator, Purpose};
use crate::auth::invite::Token;
use crate::auth::session::Session;
use crate::config::{Cluster, ClusterKey};
use crate::node::Node;
use crate::node::discard::Discard;
use crate::node::error::CommandError;
use crate::node::event::{Event, Refusal};
use crate::node::handshakes::{ATTEMPT, INITIATION_RESEND, fresh_index};
use crate::node::links::Owner;
use crate::node::timer::NodeTimer;
use crate::wire::address::Address;
use crate::wire::id::{NodeId, PublicKey};
use crate::wire::members_request::MembersRequest;
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
}

impl Node {
    /// Begins to join the cluster that an invite is for, and goes on trying until [`Event::Joined`] or
    /// [`Event::JoinRefused`].
    ///
    /// # Errors
    ///
    /// [`CommandError::HasCluster`] if the node belongs to a cluster.
    pub fn join(&mut self, now: Instant, token: &Token) -> Result<(), CommandError> {
        let now = self.advance(now);
        if self.cluster.is_some() {
            return Err(CommandError::HasCluster);
        }
        self.stop_joining();
        self.joining = Some(Joining { token: token.clone(), initiator: None, cookie: None, began: now });
        self.resend_join(now);
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
            let started = Initiator::start(&self.identity, &inviter, purpose, index, &mut self.drbg);
            joining.initiator = started.ok();
            let cookie = joining.cookie.filter(|(_, until)| now < *until);
            if let (Some(initiator), Some((cookie, _))) = (&mut joining.initiator, cookie) {
                initiator.set_cookie(cookie);
            }
            joining.began = now;
            self.links.claim(index, Owner::Joining);
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
        let joining = self.joining.as_mut().ok_or(Discard::Unsolicited)?;
        let began = joining.began;
        let (inviter, known) = (joining.token.inviter(), joining.token.addresses().contains(&from));
        let initiator = joining.initiator.as_mut().ok_or(Discard::Unsolicited)?;
        let (keys, payload) = initiator.finish(response).map_err(|_| Discard::Handshake)?;
        let refusal = match payload.verdict {
            Verdict::Accepted => None,
            Verdict::Expired => Some(Refusal::Expired),
            Verdict::Used => Some(Refusal::Used),
            Verdict::Full => Some(Refusal::Full),
        };
        self.stop_joining();
        if let Some(reason) = refusal {
            self.outbox.event(Event::JoinRefused { reason });
            return Ok(());
        }
        let cluster = Cluster { id: payload.cluster_id, key: ClusterKey(payload.cluster_key) };
        self.cluster = Some(cluster.clone());
        if let Some(record) = provisional(inviter) {
            self.members.merge(&record);
            self.add_link(now, inviter);
        }
        let slot = self.links.slot(NodeId::from(&inviter)).ok_or(Discard::Handshake)?;
        // To be stored before the confirmation below burns the invite.
        self.outbox.event(Event::Joined { cluster });
        let session = Session::new(keys, response.receiver, response.sender, payload.clock_ms, now);
        self.install(now, slot, Box::new(session), began);
        self.estimate_rtt(now, slot, began);
        self.arrived(now, slot, from, known);
        self.reflected(now, slot, payload.observed);
        self.send_heartbeat(now, slot);
        self.send(now, slot, &MembersRequest { after: NodeId::NONE });
        self.arm_node(NodeTimer::Exchange, now + self.interval() / 5);
        Ok(())
    }

    fn stop_joining(&mut self) {
        if let Some(initiator) = self.joining.take().and_then(|joining| joining.initiator) {
            self.links.release(initiator.sender());
        }
    }
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
