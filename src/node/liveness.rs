//! Whether peers answer: up, suspect, lost, left; and whether any does. Spec: `spec/state-machine.md` section 4.

use std::time::{Duration, Instant};

use crate::node::Node;
use crate::node::event::{Event, Who};
use crate::node::handshakes::PREVIOUS;
use crate::node::link::{Link, Role};
use crate::node::links::Slot;
use crate::node::receive::Arrival;
use crate::node::status::PeerState;
use crate::node::timer::{LinkTimer, NodeTimer};
use crate::wire::address::Address;
use crate::wire::id::NodeId;
use crate::wire::leave::Leave;

/// After how many intervals of silence a peer is lost. Spec: `LOST_AFTER`.
const LOST_INTERVALS: u32 = 3;
/// Between rounds of attempts for a peer that was never heard, and between questions about a suspect one: doubling from
/// here. Spec: `RETRY_FIRST`.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// Between rounds of attempts for a lost peer. Spec: `RETRY_MIN`.
const RETRY_MIN: Duration = Duration::from_secs(10);
/// The longest time between rounds. Spec: `RETRY_MAX`.
const RETRY_MAX: Duration = Duration::from_secs(120);
/// The same while nobody at all answers. Spec: `RETRY_ORPHAN`.
const RETRY_ORPHAN: Duration = Duration::from_secs(20);
/// How many rounds are made before they become rarer. Spec: `RETRY_ROUNDS`.
const RETRY_ROUNDS: u32 = 6;

impl Node {
    /// Any valid datagram makes its sender up.
    pub(super) fn declare_up(&mut self, now: Instant, slot: Slot, from: Address) {
        let Some(link) = self.links.get_mut(slot) else { return };
        let (id, role) = (link.id, link.role);
        let address = link.path.published().or_else(|| self.history.latest(id)).unwrap_or(from);
        self.doubled = false;
        link.rounds = 0;
        // What was sent into the silence does not count against a peer that has just spoken, and it is looked for no more.
        link.outstanding = None;
        link.candidates = None;
        link.timers.set(LinkTimer::Probe, None);
        link.timers.set(LinkTimer::Resend, None);
        link.timers.set(LinkTimer::Lost, None);
        link.timers.set(LinkTimer::Retry, None);
        let soon = self.first_heartbeat();
        self.set_state(now, slot, PeerState::Up);
        if role.calls() {
            self.arm(slot, LinkTimer::Heartbeat, now + soon);
        }
        self.temporary_is_up(now, id, role);
        if let Some(peer) = self.told_of(slot) {
            self.outbox.event(Event::PeerUp { peer, address });
        }
        self.check_orphan(now);
        self.locate_missing_through(now, slot);
        self.tell_seekers(now, slot);
    }

    /// The second heartbeat in a row was not answered: asks others, and makes a new session.
    pub(super) fn declare_suspect(&mut self, now: Instant, slot: Slot) {
        let lost_after = self.lost_after();
        let Some(link) = self.links.get_mut(slot) else { return };
        if !link.role.is_looked_for() {
            self.forget_link(now, slot);
            return;
        }
        let heard = link.last_heard.unwrap_or(now);
        self.set_state(now, slot, PeerState::Suspect);
        // A peer that was silent for long because nothing was asked of it gets some seconds all the same.
        let grace = self.interval() / 5;
        self.arm(slot, LinkTimer::Lost, (heard + lost_after).max(now + grace));
        if let Some(peer) = self.told_of(slot) {
            self.outbox.event(Event::PeerSuspect { peer });
        }
        if let Some(link) = self.links.get_mut(slot) {
            link.rounds = 0;
        }
        self.ask_about_suspect(now, slot);
        if let Some(current) = self.links.get(slot).and_then(|link| link.path.current()) {
            self.initiate(now, slot, current);
        }
    }

    /// Asks others about a suspect peer, again and again until it is lost: where many move at once, those who were asked
    /// first may have moved, too.
    fn ask_about_suspect(&mut self, now: Instant, slot: Slot) {
        self.locate(now, slot);
        let Some(link) = self.links.get_mut(slot) else { return };
        let pause = RETRY_FIRST * 2u32.pow(link.rounds.min(3));
        link.rounds += 1;
        let pause = self.jitter.spread(pause, 80..=100);
        self.arm(slot, LinkTimer::Retry, now + pause);
    }

    /// A suspect peer stayed silent for three intervals.
    pub(super) fn declare_lost(&mut self, now: Instant, slot: Slot) {
        let Some(link) = self.links.get_mut(slot) else { return };
        link.outstanding = None;
        link.rounds = 0;
        self.disarm(slot, LinkTimer::Resend);
        self.set_state(now, slot, PeerState::Lost);
        if let Some(peer) = self.told_of(slot) {
            self.outbox.event(Event::PeerLost { peer });
        }
        self.check_orphan(now);
        self.retry(now, slot);
    }

    pub(super) fn receive_leave(&mut self, now: Instant, arrival: &Arrival) {
        let slot = arrival.slot;
        // While a peer is up only its newest word counts: it may have come back before its goodbye arrived.
        let believed = |link: &&mut Link| link.state != PeerState::Left && (arrival.newest || !link.is_up());
        let Some(link) = self.links.get_mut(slot).filter(believed) else { return };
        if !link.role.is_looked_for() {
            self.forget_link(now, slot);
            return;
        }
        link.outstanding = None;
        link.candidates = None;
        let attempt = link.attempt.take();
        // Its session lives on, and may be spoken under again.
        let rekey = link.timers.get(LinkTimer::Rekey);
        link.timers.clear();
        link.timers.set(LinkTimer::Rekey, rekey);
        if link.previous.is_some() {
            link.timers.set(LinkTimer::Previous, Some(now + PREVIOUS));
        }
        self.end_sync(now, slot);
        if let Some(attempt) = attempt {
            self.links.release(attempt.initiator.sender());
        }
        self.set_state(now, slot, PeerState::Left);
        let pause = self.jitter.spread(RETRY_MAX, 80..=100);
        self.arm(slot, LinkTimer::Retry, now + pause);
        if let Some(peer) = self.told_of(slot) {
            self.outbox.event(Event::PeerLeft { peer });
        }
        self.end_contest(now, slot);
        self.check_orphan(now);
    }

    /// A peer has turned this node away.
    pub(super) fn enter_conflict(&mut self, now: Instant, slot: Slot) {
        self.set_state(now, slot, PeerState::Conflict);
        let pause = self.jitter.spread(RETRY_MAX, 80..=100);
        self.arm(slot, LinkTimer::Retry, now + pause);
        self.check_orphan(now);
    }

    /// One round of attempts to reach a peer that does not answer, over everything that is known.
    pub(super) fn retry(&mut self, now: Instant, slot: Slot) {
        let Some(link) = self.links.get_mut(slot).filter(|link| link.role.is_looked_for()) else { return };
        let (state, rounds) = (link.state, link.rounds);
        match state {
            PeerState::Up => return,
            PeerState::Suspect => return self.ask_about_suspect(now, slot),
            PeerState::Lost | PeerState::Left | PeerState::Conflict | PeerState::Unknown => {}
        }
        link.rounds = rounds.saturating_add(1);
        self.look_for(now, slot);
        let growth = rounds.saturating_sub(RETRY_ROUNDS).min(4);
        let longest = if self.orphan { RETRY_ORPHAN } else { RETRY_MAX };
        let pause = match state {
            PeerState::Left => longest,
            PeerState::Conflict => RETRY_MAX,
            PeerState::Unknown if rounds < 4 => RETRY_FIRST * 2u32.pow(rounds),
            PeerState::Up | PeerState::Suspect | PeerState::Lost | PeerState::Unknown => {
                (RETRY_MIN * 2u32.pow(growth)).min(longest)
            }
        };
        let pause = self.jitter.spread(pause, 80..=100);
        self.arm(slot, LinkTimer::Retry, now + pause);
    }

    /// Tries all addresses of a peer, and asks others.
    pub(super) fn look_for(&mut self, now: Instant, slot: Slot) {
        if let Some(link) = self.links.get(slot) {
            self.temporary.consult_anew(link.id);
        }
        let addresses = self.known_addresses(slot);
        self.add_hearsay(now, slot, &addresses, None);
        if !self.is_first_called(slot) {
            self.locate(now, slot);
        }
    }

    /// Notices that nobody answers any more, or that somebody does again.
    pub(super) fn check_orphan(&mut self, now: Instant) {
        let answered = |link: &Link| matches!(link.state, PeerState::Up | PeerState::Suspect | PeerState::Conflict);
        let somebody = self.links.iter().next().is_some();
        let alone = somebody && !self.links.iter().any(|(_, link)| answered(link));
        if alone == self.orphan {
            return;
        }
        let unheard = self.links.iter().all(|(_, link)| link.state == PeerState::Unknown);
        let first = self.links.iter().map(|(_, link)| link.since).min().filter(|_| alone && unheard);
        if let Some(end) = first.map(|since| since + self.lost_after()).filter(|end| now < *end) {
            // Peers that were never heard are given the time that a silent peer is given.
            self.arm_node(NodeTimer::Orphan, end);
            return;
        }
        self.orphan = alone;
        if !somebody {
            // Whoever has no peers misses none.
            return;
        }
        self.outbox.event(if alone { Event::Orphan } else { Event::Recovered });
        if alone {
            self.hasten_retries(now);
        }
    }

    /// Nobody is left who would tell this node where the others are, or them where it is: those that said goodbye, and
    /// those that were given up long ago, are looked for sooner.
    fn hasten_retries(&mut self, now: Instant) {
        for slot in self.links.slots() {
            let soon = now + self.jitter.spread(RETRY_ORPHAN, 80..=100);
            let planned = self.links.get(slot).and_then(|link| link.timers.get(LinkTimer::Retry));
            if planned.is_some_and(|at| at > soon) {
                self.arm(slot, LinkTimer::Retry, soon);
            }
        }
    }

    /// Tells every peer that this node stops, and stops: nothing is sent or accepted from now on, and no command is
    /// carried out.
    ///
    /// The other nodes show it as `left`, not `lost`.
    pub fn shutdown(&mut self, now: Instant) {
        let now = self.advance(now);
        if self.stopped {
            return;
        }
        for slot in self.links.slots() {
            let Some(link) = self.links.get_mut(slot) else { continue };
            link.timers.clear();
            self.schedule.set(slot, None);
            if let (Some(to), Some(session)) = (link.path.current(), &mut link.session) {
                // A session without counters left cannot say goodbye; the peer will find the node lost.
                let _ = self.outbox.transmit(to, |bytes| session.encode(now, &Leave, bytes));
            }
        }
        self.timers.clear();
        self.schedule.set(Slot::NODE, None);
        self.stopped = true;
    }

    /// How long a peer may be silent. Spec: `LOST_AFTER`.
    pub(super) fn lost_after(&self) -> Duration {
        self.interval() * LOST_INTERVALS
    }

    /// The peer of a link as events name it, if the owner is told about it: links for a while come and go in silence.
    fn told_of(&self, slot: Slot) -> Option<Who> {
        self.who(self.links.get(slot).filter(|link| link.role == Role::Kept)?.id)
    }

    /// A member as events name it.
    pub(super) fn who(&self, id: NodeId) -> Option<Who> {
        Some(Who { id, name: self.members.name(id)? })
    }

    pub(super) fn set_state(&mut self, now: Instant, slot: Slot, state: PeerState) {
        if let Some(link) = self.links.get_mut(slot) {
            if link.is_up() && state != PeerState::Up {
                // This node may have moved by the time the peer is back. Spec: ADDR-2.
                link.reflected = None;
            }
            link.state = state;
            link.since = now;
        }
        self.reschedule(slot);
        self.recount(now);
        self.check_search(now);
    }
}
