//! Handshakes: begun, answered, confirmed; and which of two that crossed is kept. Spec: `spec/state-machine.md` section 2.

use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::auth::cookie;
use crate::auth::drbg::Drbg;
use crate::auth::handshake::{Initiator, Prologue, Purpose, Received};
use crate::auth::session::Session;
use crate::node::Node;
use crate::node::conflict::Newcomer;
use crate::node::discard::Discard;
use crate::node::link::Attempt;
use crate::node::links::{Links, Owner, Slot};
use crate::node::membership::page_of;
use crate::node::pending::{self, Admittance, Pending};
use crate::node::status::PeerState;
use crate::node::timer::{LinkTimer, NodeTimer};
use crate::wire::address::Address;
use crate::wire::cookie_reply::CookieReply;
use crate::wire::id::{ClusterId, Index, InviteId, NodeId, PublicKey};
use crate::wire::initiation::{Initiation, Mode};
use crate::wire::name::Name;
use crate::wire::record::{MemberRecord, MemberState};
use crate::wire::response::{Response, ResponsePayload, Verdict};

/// How long one ephemeral key is used for initiations. Spec: `ATTEMPT`.
pub(super) const ATTEMPT: Duration = Duration::from_secs(5);
/// The time between two initiations of one attempt on the path in use. Spec: `INITIATION_RESEND`.
pub(super) const INITIATION_RESEND: Duration = Duration::from_secs(1);
/// To how many addresses the initiation of one attempt goes at most: all candidates, and the path in use.
/// Spec: `ATTEMPT_ADDRESSES`.
const ATTEMPT_ADDRESSES: usize = 16;
/// The life of a session. Spec: `REKEY`.
const REKEY: Duration = Duration::from_secs(3600);
/// What the time that a handshake took is at most taken for as a round trip.
const HANDSHAKE_RTT_MAX: Duration = Duration::from_secs(1);
/// How long after a failed re-handshake the next one is begun. Spec: `REKEY_RETRY`.
const REKEY_RETRY: Duration = Duration::from_secs(60);
/// How long the session before the present one is received with. Spec: `PREVIOUS`.
pub(super) const PREVIOUS: Duration = Duration::from_secs(30);

impl Node {
    /// Sends an initiation to an address of a peer; one attempt may try several.
    pub(super) fn initiate(&mut self, now: Instant, slot: Slot, to: Address) {
        let Some(cluster) = &self.cluster else { return };
        // While another run of the peer waits, one more session with it would only make it unclear which one is used.
        let Some(link) = self.links.get_mut(slot).filter(|link| !link.is_contested()) else { return };
        let fresh = link.attempt.as_ref().is_some_and(|attempt| now < attempt.began + ATTEMPT);
        if !fresh {
            if let Some(old) = link.attempt.take() {
                self.links.release(old.initiator.sender());
            }
            let index = fresh_index(&mut self.drbg, &self.links);
            let Some(link) = self.links.get_mut(slot) else { return };
            let Some(peer) = self.members.get(link.id).map(|record| record.public_key) else { return };
            let purpose = Purpose::Member(cluster);
            let run = self.incarnations.toward(link.id);
            let started = Initiator::start(&self.identity, &peer, purpose, run, index, &mut self.drbg);
            // It fails only for a public key that no secret key has: nobody can ever answer for it.
            let Ok(mut initiator) = started else { return };
            if let Some(cookie) = link.cookie(now) {
                initiator.set_cookie(cookie);
            }
            link.attempt = Some(Box::new(Attempt { initiator, began: now, sent_to: Vec::new() }));
            self.links.claim(index, Owner::Link(slot));
        }
        let Some(link) = self.links.get_mut(slot) else { return };
        let Some(attempt) = &mut link.attempt else { return };
        if !attempt.sent_to.contains(&to) {
            if attempt.sent_to.len() >= ATTEMPT_ADDRESSES {
                return;
            }
            attempt.sent_to.push(to);
        }
        self.outbox.transmit_bytes(to, attempt.initiator.datagram());
        self.arm(slot, LinkTimer::Handshake, now + INITIATION_RESEND);
    }

    /// Goes on with an attempt on the path in use, or gives it up. (Candidates are resent to by their probes.)
    pub(super) fn resend_initiation(&mut self, now: Instant, slot: Slot) {
        let Some(link) = self.links.get_mut(slot) else { return };
        let Some(attempt) = &link.attempt else { return };
        let over = now >= attempt.began + ATTEMPT;
        let (index, ends) = (attempt.initiator.sender(), attempt.began + ATTEMPT);
        let (state, current) = (link.state, link.path.current());
        if over {
            link.attempt = None;
            self.links.release(index);
        }
        match current {
            Some(current) if state == PeerState::Suspect || (state == PeerState::Up && !over) => {
                self.initiate(now, slot, current);
            }
            _ if !over => self.arm(slot, LinkTimer::Handshake, ends),
            _ => {}
        }
    }

    /// The session is old: makes a new one, while the old one goes on.
    pub(super) fn rekey(&mut self, now: Instant, slot: Slot) {
        let Some(link) = self.links.get(slot) else { return };
        // A peer that does not answer gets handshakes enough from those who look for it, and a guest makes its own.
        if let Some(current) = link.path.current().filter(|_| link.is_up() && link.role.calls()) {
            self.initiate(now, slot, current);
        }
        let retry = self.jitter.spread(REKEY_RETRY, 100..=200);
        self.arm(slot, LinkTimer::Rekey, now + retry);
    }

    pub(super) fn receive_initiation(
        &mut self,
        now: Instant,
        from: Address,
        initiation: &Initiation,
    ) -> Result<(), Discard> {
        if !self.responder.mac1.verify_mac1(initiation) {
            return Err(Discard::Mac1);
        }
        let cluster = self.cluster.clone().filter(|_| !self.is_removed()).ok_or(Discard::NoCluster)?;
        let good = || self.durable && self.invites.judge(initiation.invite, 0).is_some();
        if initiation.mode == Mode::Join && !good() {
            return Err(Discard::UnknownInvite);
        }
        match self.responder.admit(now, from, initiation) {
            Admittance::Granted => {}
            Admittance::Overload => return Err(Discard::Overload),
            Admittance::CookieDemanded => return Err(self.demand_cookie(now, from, initiation)),
        }
        if let Some(response) = self.responder.repeat(from, initiation) {
            self.outbox.transmit_bytes(from, response);
            return Ok(());
        }
        let prologue = match initiation.mode {
            Mode::Member => Prologue::Member(&cluster.id),
            Mode::Join => Prologue::Join(initiation.invite),
        };
        let received =
            Received::read(&self.identity, prologue, initiation, &mut self.drbg).map_err(|_| Discard::Handshake)?;
        let crowded = self.responder.is_crowded(now, &received.initiator(), from);
        if crowded && !self.responder.cookies.mac2_valid(now, from, initiation) {
            return Err(self.demand_cookie(now, from, initiation));
        }
        self.answer(now, from, initiation, received)
    }

    fn demand_cookie(&mut self, now: Instant, from: Address, initiation: &Initiation) -> Discard {
        let reply = self.responder.cookies.reply(now, from, initiation, &mut self.drbg);
        self.counters.cookies += 1;
        self.outbox.transmit_bytes(from, &reply);
        Discard::CookieDemanded
    }

    fn answer(
        &mut self,
        now: Instant,
        from: Address,
        initiation: &Initiation,
        received: Received,
    ) -> Result<(), Discard> {
        let cluster = self.cluster.as_ref().ok_or(Discard::NoCluster)?;
        let unix = self.unix(now);
        let peer = received.initiator();
        let id = NodeId::from(&peer);
        let known = peer != self.identity.public_key() && self.members.contains(id);
        let admitted = self.members.is_admitted(id);
        let (verdict, psk, admission) = match (initiation.mode, received.name()) {
            // A removed node is answered too: only so it can be told.
            (Mode::Member, _) if known || self.members.removed(id).is_some() => {
                (Verdict::Accepted, Zeroizing::new(cluster.key.0), None)
            }
            (Mode::Join, Some(name)) if peer != self.identity.public_key() => {
                let judged = self.invites.judge(initiation.invite, unix.as_secs());
                let (invite, verdict) = judged.ok_or(Discard::UnknownInvite)?;
                let verdict = match verdict {
                    // A member that lost the answer, or its state, may come back by the invite that let it in.
                    _ if admitted => Verdict::Accepted,
                    Verdict::Accepted if !known && !self.members.has_room() => Verdict::Full,
                    Verdict::Accepted if self.members.next_admission(id).is_none() => Verdict::Barred,
                    Verdict::Accepted | Verdict::Expired | Verdict::Used | Verdict::Full | Verdict::Barred => verdict,
                };
                (verdict, Zeroizing::new(invite.hash), Some((initiation.invite, name)))
            }
            (Mode::Member | Mode::Join, _) => return Err(Discard::NotAMember),
        };
        let accepted = verdict == Verdict::Accepted;
        let discloses = accepted && initiation.mode == Mode::Join;
        let index = if accepted { fresh_index(&mut self.drbg, &self.links) } else { Index::NONE };
        let payload = ResponsePayload {
            sender: index,
            verdict,
            observed: from,
            clock_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX),
            incarnation: self.incarnations.toward(NodeId::from(&peer)),
            cluster_id: if discloses { cluster.id } else { ClusterId([0; 16]) },
            cluster_key: if discloses { cluster.key.0 } else { [0; 32] },
        };
        let incarnation = received.incarnation();
        let unheard = |session: &&Session| session.is_initiator() && session.highest_received().is_none();
        let begun_here = self.links.by_id(id).and_then(|(_, link)| link.session.as_deref()).filter(unheard);
        // Later its confirmation would find nothing at the other end.
        let crosses = begun_here.is_some_and(|session| now < session.established() + pending::LIFETIME);
        let (response, keys) = received.respond(&psk, &payload).map_err(|_| Discard::Handshake)?;
        self.outbox.transmit_bytes(from, &response);
        if !accepted {
            return Ok(());
        }
        let session = Session::new(keys, index, initiation.sender, payload.clock_ms, now);
        let evicted = self.responder.add(Pending {
            session: Box::new(session),
            peer,
            incarnation,
            address: from,
            created: now,
            crosses,
            admission,
            initiation: Box::new(*initiation),
            response: Box::new(response),
        });
        if let Some(evicted) = evicted {
            self.links.release(evicted);
        }
        self.links.claim(index, Owner::Pending);
        self.arm_pending();
        Ok(())
    }

    /// The initiator's first valid tagged datagram: only now the session lives, and only now an invite is burned.
    /// `None`: it came from a removed node, which was told so.
    pub(super) fn confirm(&mut self, now: Instant, index: Index) -> Result<Option<Slot>, Discard> {
        let pending = self.responder.get(index).ok_or(Discard::UnknownIndex)?;
        let (peer, admission) = (pending.peer, pending.admission);
        let id = NodeId::from(&peer);
        match admission {
            Some((invite, name)) if !self.members.is_admitted(id) => self.admit(now, peer, invite, name)?,
            None if !self.members.contains(id) => return self.tell_removed(now, index, id).map(|()| None),
            Some(_) | None => {}
        }
        let pending = self.responder.take(index).ok_or(Discard::UnknownIndex)?;
        self.links.release(index);
        let slot = self.links.slot(id).unwrap_or_else(|| self.receive_guest(now, id));
        let Pending { session, incarnation, created: began, crosses, address: from, .. } = pending;
        self.establish(now, slot, Newcomer { session, incarnation, began, crosses, from, sent_to: vec![from] });
        Ok(Some(slot))
    }

    /// Admits a node by an invite. Where that cannot be, nothing changes.
    fn admit(&mut self, now: Instant, public_key: PublicKey, invite: InviteId, name: Name) -> Result<(), Discard> {
        let id = NodeId::from(&public_key);
        let has_place = self.members.contains(id) || self.members.has_room();
        let number = self.members.next_admission(id).filter(|_| has_place);
        let admission = number.filter(|_| self.durable && self.invites.is_open(invite)).ok_or(Discard::NotAMember)?;
        self.invites.burn(invite);
        let (admitted_by, state) = (self.id, MemberState::Member);
        let record = MemberRecord { public_key, admitted_by, admission, state, revision: 0, name };
        self.take_record(now, &record);
        self.push(now, None, &page_of(record));
        Ok(())
    }

    /// Tells a removed node, which believes to be a member, what became of it: the one thing that a session with it is
    /// good for. Spec: MEMB-12.
    fn tell_removed(&mut self, now: Instant, index: Index, id: NodeId) -> Result<(), Discard> {
        let record = *self.members.removed(id).ok_or(Discard::NotAMember)?;
        self.links.release(index);
        if let Some(mut pending) = self.responder.take(index) {
            // A new session has counters left.
            let _ = self.outbox.transmit(pending.address, |bytes| pending.session.encode(now, &page_of(record), bytes));
        }
        Ok(())
    }

    pub(super) fn receive_response(&mut self, now: Instant, from: Address, response: &Response) -> Result<(), Discard> {
        if !self.responder.mac1.verify_mac1(response) {
            return Err(Discard::Mac1);
        }
        match self.links.owner(response.receiver) {
            Some(Owner::Joining) => self.receive_join_response(now, from, response),
            Some(Owner::Link(slot)) => self.finish(now, from, slot, response),
            Some(Owner::Pending) | None => Err(Discard::UnknownIndex),
        }
    }

    /// A member answered an initiation.
    fn finish(&mut self, now: Instant, from: Address, slot: Slot, response: &Response) -> Result<(), Discard> {
        let link = self.links.get_mut(slot).ok_or(Discard::UnknownIndex)?;
        let matching = |attempt: &&mut Box<Attempt>| attempt.initiator.sender() == response.receiver;
        let attempt = link.attempt.as_mut().filter(matching).ok_or(Discard::UnknownIndex)?;
        let (keys, payload) = attempt.initiator.finish(response).map_err(|_| Discard::Handshake)?;
        if payload.verdict != Verdict::Accepted {
            return Err(Discard::Handshake);
        }
        let (began, sent_to) = (attempt.began, std::mem::take(&mut attempt.sent_to));
        link.attempt = None;
        let session = Box::new(Session::new(keys, response.receiver, payload.sender, payload.clock_ms, now));
        let incarnation = payload.incarnation;
        let newcomer = Newcomer { session, incarnation, began, crosses: false, from, sent_to };
        if !self.establish(now, slot, newcomer) {
            return Ok(());
        }
        self.reflected(now, slot, payload.observed);
        // The datagram that confirms the session, and asks for the list of members if it differs.
        self.send_heartbeat(now, slot);
        Ok(())
    }

    /// A handshake is one round trip, or much more if something was lost: good enough until a heartbeat is acknowledged.
    pub(super) fn estimate_rtt(&mut self, now: Instant, slot: Slot, began: Instant) {
        if let Some(link) = self.links.get_mut(slot) {
            link.rtt.get_or_insert_with(|| now.saturating_duration_since(began).min(HANDSHAKE_RTT_MAX));
        }
    }

    /// A response came from `from`. Where the initiation had gone there, the address has proved itself; elsewhere
    /// somebody may have forwarded it: the address is tried like any other, and so are those that the initiation went to.
    pub(super) fn arrived(&mut self, now: Instant, slot: Slot, from: Address, sent_to: &[Address]) {
        if sent_to.contains(&from) {
            self.validated(now, slot, from);
            return;
        }
        self.add_hearsay(now, slot, sent_to, None);
        let heard_before = self.links.get(slot).and_then(|link| link.last_heard);
        self.observe(now, slot, from, Response::LEN, heard_before);
    }

    pub(super) fn receive_cookie(&mut self, now: Instant, reply: &CookieReply) -> Result<(), Discard> {
        let owner = self.links.owner(reply.receiver);
        let initiator = match owner {
            Some(Owner::Link(slot)) => {
                self.links.get_mut(slot).and_then(|link| Some(&mut link.attempt.as_mut()?.initiator))
            }
            Some(Owner::Joining) => self.joining.as_mut().and_then(|joining| joining.initiator.as_mut()),
            Some(Owner::Pending) | None => None,
        };
        let initiator = initiator.ok_or(Discard::UnknownIndex)?;
        let cookie = initiator.open_cookie(reply).ok_or(Discard::Handshake)?;
        // The initiation goes out again with the next resend, so a storm of replies causes none.
        initiator.set_cookie(cookie);
        let kept = Some((cookie, now + cookie::LIFETIME));
        if let Some(Owner::Link(slot)) = owner {
            if let Some(link) = self.links.get_mut(slot) {
                link.rare_mut().cookie = kept;
            }
            self.call_again(now, slot);
        } else if let Some(joining) = &mut self.joining {
            joining.cookie = kept;
        }
        Ok(())
    }

    /// Takes a new session into use. Of two handshakes that crossed, both sides keep the one that the node with the
    /// lower ID began; the other one is still received with for a while. Spec: STATE-5.
    pub(super) fn install(&mut self, now: Instant, slot: Slot, session: Box<Session>, began: Instant, crosses: bool) {
        let soon = self.first_heartbeat();
        let Some(link) = self.links.get_mut(slot) else { return };
        let index = session.local_index();
        let by_lower = session.is_initiator() == (self.id < link.id);
        let opposite = |current: &&Session| current.is_initiator() != session.is_initiator();
        let current = link.session.as_deref().filter(opposite);
        let crossed = current.is_some_and(|current| crosses || began <= current.established());
        let forgotten = if crossed && !by_lower {
            link.previous.replace(session)
        } else {
            let before = link.session.replace(session);
            link.outstanding = None;
            link.timed = None;
            link.path.owe_nothing();
            link.timers.set(LinkTimer::Resend, None);
            if link.is_up() && link.role.calls() && !link.timers.runs(LinkTimer::Heartbeat) {
                // The heartbeat that was waited for is answered under no session any more.
                link.timers.set(LinkTimer::Heartbeat, Some(now + soon));
            }
            std::mem::replace(&mut link.previous, before)
        };
        let attempt = link.attempt.take();
        // The initiator begins the next handshake; the responder only if it does not come.
        let initiator = link.session.as_ref().is_some_and(|session| session.is_initiator());
        let life = self.jitter.spread(REKEY, if initiator { 80..=100 } else { 110..=130 });
        self.counters.handshakes += 1;
        if let Some(forgotten) = forgotten {
            self.links.release(forgotten.local_index());
        }
        if let Some(attempt) = attempt {
            self.links.release(attempt.initiator.sender());
        }
        self.links.claim(index, Owner::Link(slot));
        self.disarm(slot, LinkTimer::Handshake);
        self.arm(slot, LinkTimer::Previous, now + PREVIOUS);
        self.arm(slot, LinkTimer::Rekey, now + life);
    }

    /// What was sent under the session before has arrived by now, or never will.
    pub(super) fn forget_previous(&mut self, slot: Slot) {
        let previous = self.links.get_mut(slot).and_then(|link| link.previous.take());
        if let Some(previous) = previous {
            self.links.release(previous.local_index());
        }
    }

    /// Forgets handshakes that nobody confirmed.
    pub(super) fn forget_unconfirmed(&mut self, now: Instant) {
        for index in self.responder.take_expired(now) {
            self.links.release(index);
        }
        self.arm_pending();
    }

    pub(super) fn arm_pending(&mut self) {
        if let Some(expiry) = self.responder.next_expiry() {
            self.arm_node(NodeTimer::Pending, expiry);
        }
    }
}

/// A session index that is not in use.
pub(super) fn fresh_index(drbg: &mut Drbg, links: &Links) -> Index {
    loop {
        let index = Index(u32::from_be_bytes(drbg.array()));
        if index != Index::NONE && links.owner(index).is_none() {
            return index;
        }
    }
}
