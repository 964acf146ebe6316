//! The way of a datagram: length and type, session, step, tag, window, body; and only then the state.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::node::Node;
use crate::node::discard::Discard;
use crate::node::links::{Owner, Slot};
use crate::node::status::PeerState;
use crate::wire::address::Address;
use crate::wire::datagram::Datagram;
use crate::wire::header::Header;
use crate::wire::message::Message;

/// How long a peer that left stays so, unless it makes a new session. Spec: `LEFT_PAUSE`.
const LEFT_PAUSE: Duration = Duration::from_secs(1);

/// A datagram that passed every check.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    /// Whose link it came by.
    pub(super) slot: Slot,
    /// The source address, which no tag covers.
    pub(super) from: Address,
    /// Its size in bytes.
    pub(super) bytes: usize,
    /// Its counter.
    pub(super) counter: u64,
    /// Whether it came by the session that this node sends with.
    pub(super) current: bool,
    /// Whether it has the highest counter so far of that session.
    pub(super) newest: bool,
}

impl Node {
    pub(super) fn receive(&mut self, now: Instant, from: SocketAddr, datagram: &mut [u8]) -> Result<(), Discard> {
        let parsed = Datagram::parse(datagram)?;
        let from = Address::try_from(from).map_err(|_| Discard::Source)?;
        if self.stopped {
            return Err(Discard::NoCluster);
        }
        match parsed {
            Datagram::Tagged(header) => self.receive_tagged(now, from, &header, datagram),
            Datagram::Initiation(initiation) => self.receive_initiation(now, from, &initiation),
            Datagram::Response(response) => self.receive_response(now, from, &response),
            Datagram::CookieReply(reply) => self.receive_cookie(now, &reply),
        }
    }

    fn receive_tagged(
        &mut self,
        now: Instant,
        from: Address,
        header: &Header,
        datagram: &mut [u8],
    ) -> Result<(), Discard> {
        let bytes = datagram.len();
        let owner = self.links.owner(header.receiver).ok_or(Discard::UnknownIndex)?;
        let session = match owner {
            Owner::Link(slot) => self.links.get_mut(slot).and_then(|link| link.session_mut(header.receiver)),
            Owner::Pending => self.responder.session_mut(header.receiver),
            Owner::Joining => None,
        };
        let opened = session.ok_or(Discard::UnknownIndex)?.open(now, header, datagram)?;
        let newest = opened.newest;
        let decoded = Message::decode(header, opened.body);
        // By reference: most messages are small, but a value of this type is as large as the largest.
        let message = decoded.as_ref().map_err(|&error| error)?;
        let slot = match owner {
            Owner::Link(slot) => slot,
            Owner::Pending | Owner::Joining => match self.confirm(now, header.receiver)? {
                Some(slot) => slot,
                None => return Ok(()),
            },
        };
        let Some(link) = self.links.get(slot) else { return Ok(()) };
        if !link.talks_by(header.receiver) {
            // It belongs to a run of the peer that is not talked to, or not yet.
            if matches!(message, Message::Leave(_)) {
                self.forget_contest(slot);
            }
            return Ok(());
        }
        let current = link.session.as_ref().is_some_and(|session| session.local_index() == header.receiver);
        if self.is_told_old_removal(now, message) {
            return Ok(());
        }
        let arrival = Arrival { slot, from, bytes, counter: header.counter, current, newest: newest && current };
        self.heard(now, &arrival, matches!(message, Message::Leave(_) | Message::Conflict(_)));
        self.dispatch(now, &arrival, message);
        Ok(())
    }

    fn dispatch(&mut self, now: Instant, arrival: &Arrival, message: &Message) {
        let left = self.links.get(arrival.slot).is_some_and(|link| link.state == PeerState::Left);
        if left && !matches!(message, Message::Leave(_)) {
            // Sent before the goodbye that overtook it: nobody waits for an answer any more.
            return;
        }
        match message {
            Message::Heartbeat(heartbeat) => self.receive_heartbeat(now, arrival, heartbeat),
            Message::HeartbeatAck(ack) => self.receive_ack(now, arrival, ack),
            Message::PathChallenge(challenge) => self.receive_challenge(now, arrival, challenge),
            Message::PathResponse(response) => self.receive_path_response(now, arrival, response),
            Message::Leave(_) => self.receive_leave(now, arrival),
            Message::Conflict(_) => self.receive_conflict(now, arrival),
            Message::Locate(locate) => self.receive_locate(now, arrival, locate),
            Message::Located(located) => self.receive_located(now, arrival, located),
            Message::Rendezvous(rendezvous) => self.receive_rendezvous(now, arrival, rendezvous),
            Message::MembersRequest(request) => self.receive_members_request(now, arrival, request),
            Message::Members(page) => self.receive_members(now, arrival, page),
        }
    }

    /// A peer was heard: it is up, unless it ends the link, and perhaps somewhere else.
    fn heard(&mut self, now: Instant, arrival: &Arrival, ends: bool) {
        let Some(link) = self.links.get_mut(arrival.slot) else { return };
        let heard_before = link.last_heard.replace(now);
        self.admitted();
        let Some(link) = self.links.get_mut(arrival.slot) else { return };
        // What a peer sent before it left may arrive after its goodbye. Whoever says goodbye and goes on without a new
        // handshake is taken at its word for a moment, so that it cannot come and go without end.
        let anew = link.session.as_ref().is_some_and(|session| session.established() > link.since);
        let rested = anew || now >= link.since + LEFT_PAUSE;
        let revives = link.state != PeerState::Left || (arrival.newest && rested);
        if link.state != PeerState::Up && revives && !ends {
            self.declare_up(now, arrival.slot, arrival.from);
        }
        let Some(link) = self.links.get_mut(arrival.slot) else { return };
        if !arrival.newest || (link.path.is_open_to(arrival.from) && !link.path.on_trial()) {
            return;
        }
        self.observe(now, arrival.slot, arrival.from, arrival.bytes, heard_before);
    }
}
