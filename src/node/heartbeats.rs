//! Heartbeats: the exchange that keeps a link alive and tells each side where the other sees it.

use std::time::{Duration, Instant};

use crate::node::Node;
use crate::node::link::{Link, Outstanding};
use crate::node::links::Slot;
use crate::node::pending;
use crate::node::receive::Arrival;
use crate::node::timer::{LinkTimer, NodeTimer};
use crate::wire::address::Address;
use crate::wire::body::Body;
use crate::wire::header::{Header, TAG_LEN};
use crate::wire::heartbeat::{Heartbeat, HeartbeatAck};

/// The size of a heartbeat and of its acknowledgement on the wire, in bytes.
const HEARTBEAT_BYTES: usize = Header::LEN + Heartbeat::LENGTHS.max_len() + TAG_LEN;
/// After which time an unanswered heartbeat is first sent again. Spec: `RESEND_FIRST`.
const RESEND_FIRST: Duration = Duration::from_millis(500);
/// The longest time between two attempts. Spec: `RESEND_MAX`.
const RESEND_MAX: Duration = Duration::from_secs(2);
/// How many unanswered attempts make a peer suspect. Spec: `SUSPECT_AFTER`.
const SUSPECT_AFTER: u32 = 2;
/// How often the patience with a peer is doubled that becomes suspect again and again. Spec: `SUSPECT_AFTER`.
const RELAPSES_MAX: u8 = 3;
/// How long after a node found that it has moved one unanswered attempt is enough: peers that moved in the same moment
/// cannot be reached any more. Spec: `MOVED`.
const MOVED: Duration = Duration::from_secs(5);
/// The shortest time between two rounds in which all peers are told at once that this node moved; it doubles with each
/// round, so that a peer, or a NAT, that shows two addresses in turns is not followed for ever. Spec: `BURST_MIN`.
const BURST_MIN: Duration = Duration::from_secs(1);
/// The longest such time; and after how long without a round it is the shortest again. Spec: `BURST_MAX`.
const BURST_MAX: Duration = Duration::from_secs(60);

impl Node {
    /// When the first heartbeat goes to a peer that is up, unless an exchange comes before. Spec: `FIRST_HEARTBEAT`.
    pub(super) fn first_heartbeat(&mut self) -> Duration {
        self.jitter.spread(self.interval() / 5, 20..=100)
    }

    /// Begins an exchange with a peer, unless one is under way.
    pub(super) fn send_heartbeat(&mut self, now: Instant, slot: Slot) {
        let idle = self.links.get(slot).is_some_and(|link| link.outstanding.is_none());
        if idle {
            self.transmit_heartbeat(now, slot);
        }
    }

    /// A heartbeat was not answered in time: sends another one, and suspects the peer after the second miss.
    pub(super) fn resend_heartbeat(&mut self, now: Instant, slot: Slot) {
        let Some(link) = self.links.get_mut(slot) else { return };
        let confirming = link.session.as_ref().is_some_and(|session| now < session.established() + pending::LIFETIME);
        if !confirming && !link.is_believed_alive() {
            // It was to confirm a session to a peer that is not there any more.
            link.outstanding = None;
            return;
        }
        let attempts = link.outstanding.map_or(0, |outstanding| outstanding.attempts);
        let moved = self.last_burst.is_some_and(|last| now < last + MOVED);
        // A peer that is heard and does not hear would otherwise be suspect and up in turns without pause.
        let patience = if moved && link.relapses == 0 { 1 } else { SUSPECT_AFTER << link.relapses };
        if attempts >= patience && link.is_up() {
            link.relapses = (link.relapses + 1).min(RELAPSES_MAX);
            self.declare_suspect(now, slot);
        }
        self.counters.resends += 1;
        self.transmit_heartbeat(now, slot);
        if attempts == 1 && self.last_exchange + RESEND_FIRST <= now {
            // Is it the peer, or is it me? Somebody else will tell; when two are silent, it is me.
            let missed =
                |link: &Link| link.outstanding.is_some_and(|sent| sent.attempts > 1 || sent.sent + RESEND_FIRST <= now);
            if self.links.iter().any(|(other, link)| other != slot && link.is_up() && missed(link)) {
                self.heartbeat_everybody(now);
            } else {
                self.heartbeat_longest_unreflected(now);
            }
        }
    }

    fn transmit_heartbeat(&mut self, now: Instant, slot: Slot) {
        let digest = self.members.digest();
        let Some(link) = self.links.get_mut(slot) else { return };
        let (Some(to), Some(session)) = (link.path.current(), &mut link.session) else {
            if link.is_up() {
                // It was heard from where it cannot be answered.
                self.declare_suspect(now, slot);
            }
            return;
        };
        let seen = session.highest_received().map_or(0, |counter| counter + 1);
        let heartbeat = Heartbeat { seen, digest, reflection: Some(to) };
        let sent = self.outbox.transmit(to, |bytes| session.encode(now, &heartbeat, bytes));
        let Ok(counter) = sent else {
            // The session has used up its counters.
            self.rekey(now, slot);
            return;
        };
        let attempts = link.outstanding.map_or(0, |outstanding| outstanding.attempts);
        let first = link.outstanding.map_or(counter, |outstanding| outstanding.first);
        link.outstanding = Some(Outstanding { first, last: counter, sent: now, attempts: attempts + 1 });
        if attempts == 0 {
            link.calm(now);
            link.timed = Some((counter, now));
        }
        let base = RESEND_FIRST.max(link.rtt.unwrap_or_default() * 2);
        let wait = (base * 2u32.pow(attempts.min(2))).min(RESEND_MAX.max(base));
        self.disarm(slot, LinkTimer::Heartbeat);
        self.arm(slot, LinkTimer::Resend, now + wait);
    }

    pub(super) fn receive_heartbeat(&mut self, now: Instant, arrival: &Arrival, heartbeat: &Heartbeat) {
        let Some(link) = self.links.get_mut(arrival.slot) else { return };
        if !arrival.current {
            self.send_ack_of_previous(now, arrival);
        } else if link.path.may_send(arrival.from, HEARTBEAT_BYTES) {
            self.send_ack(now, arrival.slot, arrival.from, arrival.counter);
        } else if !link.path.owe_ack(arrival.from, arrival.counter) {
            // Whoever copied it and was faster shall not cost the peer its answer.
            if let Some(current) = link.path.current() {
                self.send_ack(now, arrival.slot, current, arrival.counter);
            }
        }
        self.exchanged(now, arrival, heartbeat.seen);
        self.compare_digest(now, arrival.slot, heartbeat.digest);
        if let Some(reflection) = heartbeat.reflection {
            self.reflected_by(now, arrival, reflection);
        }
    }

    pub(super) fn receive_ack(&mut self, now: Instant, arrival: &Arrival, ack: &HeartbeatAck) {
        let Some(link) = self.links.get_mut(arrival.slot) else { return };
        let last = link.outstanding.map(|outstanding| (outstanding.last, outstanding.sent));
        let answered = [last, link.timed].into_iter().flatten().find(|(counter, _)| counter + 1 == ack.acked);
        if let Some((_, sent)) = answered.filter(|_| arrival.current) {
            link.measure(now.saturating_duration_since(sent));
            link.timed = None;
            link.relapses = 0;
        }
        self.exchanged(now, arrival, ack.acked);
        self.compare_digest(now, arrival.slot, ack.digest);
        self.reflected_by(now, arrival, ack.reflection);
    }

    /// Acknowledges the heartbeat with this counter, to where it came from if that address has proved itself.
    pub(super) fn send_ack(&mut self, now: Instant, slot: Slot, to: Address, counter: u64) {
        let digest = self.members.digest();
        let Some(session) = self.links.get_mut(slot).and_then(|link| link.session.as_mut()) else { return };
        let ack = HeartbeatAck { acked: counter + 1, digest, reflection: to };
        if self.outbox.transmit(to, |bytes| session.encode(now, &ack, bytes)).is_err() {
            self.rekey(now, slot);
        }
    }

    /// Acknowledges a heartbeat that came by the session before: under that session, whose counter it names.
    fn send_ack_of_previous(&mut self, now: Instant, arrival: &Arrival) {
        let digest = self.members.digest();
        let Some(link) = self.links.get_mut(arrival.slot) else { return };
        let (Some(to), Some(session)) = (link.path.current(), &mut link.previous) else { return };
        let ack = HeartbeatAck { acked: arrival.counter + 1, digest, reflection: to };
        // A session that has used up its counters is forgotten soon: its heartbeats are not worth a new one.
        let _ = self.outbox.transmit(to, |bytes| session.encode(now, &ack, bytes));
    }

    /// A datagram went each way: the next heartbeat is an interval away. `seen` is the peer's word for how far it has
    /// received, which answers a heartbeat that crossed with its own.
    fn exchanged(&mut self, now: Instant, arrival: &Arrival, seen: u64) {
        let pause = self.jitter.spread(self.interval(), 80..=120);
        let Some(link) = self.links.get_mut(arrival.slot) else { return };
        self.last_exchange = now;
        // Each session counts for itself.
        if arrival.current && link.outstanding.is_some_and(|outstanding| outstanding.first < seen) {
            link.outstanding = None;
            link.relapses = 0;
            link.timers.set(LinkTimer::Resend, None);
        }
        if link.outstanding.is_none() && link.role.calls() {
            link.timers.set(LinkTimer::Heartbeat, Some(now + pause));
        }
        self.schedule.set(arrival.slot, link.timers.next());
    }

    /// However small the cluster: a node that moved notices it soon, because it talks to somebody soon.
    pub(super) fn exchange_with_somebody(&mut self, now: Instant) {
        let pause = self.jitter.spread(self.interval() / 5, 80..=100);
        let due = self.last_exchange + pause;
        if due > now {
            self.arm_node(NodeTimer::Exchange, due);
            return;
        }
        self.heartbeat_longest_unreflected(now);
        self.arm_node(NodeTimer::Exchange, now + pause);
    }

    /// Begins an exchange with the peer that said longest ago where it sees this node.
    fn heartbeat_longest_unreflected(&mut self, now: Instant) {
        let oldest = self
            .links
            .iter()
            .filter(|(_, link)| link.is_up() && link.role.calls() && link.outstanding.is_none())
            .min_by_key(|(_, link)| link.reflected)
            .map(|(slot, _)| slot);
        if let Some(slot) = oldest {
            self.transmit_heartbeat(now, slot);
        }
    }

    /// Heartbeats all peers at once: this node seems to have moved, so everybody should see it and say where. Returns
    /// whether it did: not if it has lately.
    pub(super) fn heartbeat_everybody(&mut self, now: Instant) -> bool {
        if self.last_burst.is_some_and(|last| now < last + self.burst_pause) {
            return false;
        }
        let quiet = self.last_burst.is_none_or(|last| last + 2 * BURST_MAX <= now);
        self.burst_pause = if quiet { BURST_MIN } else { (self.burst_pause * 2).min(BURST_MAX) };
        self.last_burst = Some(now);
        self.asked_again = Some(now);
        for slot in self.links.slots() {
            if self.links.get(slot).is_some_and(|link| link.is_up() && link.role.calls()) {
                self.send_heartbeat(now, slot);
            }
        }
        true
    }

    /// A peer sees this node elsewhere than before, so soon after everybody was asked that only it is asked again.
    pub(super) fn ask_again(&mut self, now: Instant, slot: Slot) {
        if self.asked_again.is_none_or(|last| last + BURST_MIN <= now) {
            self.asked_again = Some(now);
            self.send_heartbeat(now, slot);
        }
    }
}
