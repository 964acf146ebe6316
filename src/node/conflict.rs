//! Two machines with one identity, such as a copied memory card: the one that was there first stays while it answers.
//! Spec: `spec/state-machine.md` section 6.

use std::time::{Duration, Instant};

use crate::auth::session::Session;
use crate::node::Node;
use crate::node::event::Event;
use crate::node::link::Link;
use crate::node::links::{Owner, Slot};
use crate::node::path::{Challenge, Path};
use crate::node::receive::Arrival;
use crate::node::status::PeerState;
use crate::node::timer::LinkTimer;
use crate::wire::address::Address;
use crate::wire::conflict::Conflict;
use crate::wire::id::Incarnation;

/// How long the present run of a peer is given to answer before another run takes its place, at least. Spec: `CONTEST`.
const CONTEST: Duration = Duration::from_secs(1);
/// Into how many parts that time is cut, each begun by a challenge: where half of all round trips are lost, one in a
/// thousand contests ends wrongly.
const CHALLENGES: u32 = 10;
/// For how long a second machine, or the run that was there before, is remembered. Spec: `CONFLICT`.
const CONFLICT: Duration = Duration::from_secs(300);

/// A session that a handshake gave, and what is known of its other end.
#[derive(Debug)]
pub(crate) struct Newcomer {
    pub(crate) session: Box<Session>,
    pub(crate) incarnation: Incarnation,
    /// When the handshake began at this node.
    pub(crate) began: Instant,
    /// Whether it began before anything was heard under a session that this node had begun just before.
    pub(crate) crosses: bool,
    /// Where the other end is.
    pub(crate) from: Address,
    /// Where this end's message of the handshake went: `from` has proved itself if it is one of them.
    pub(crate) sent_to: Vec<Address>,
}

/// Another run of a peer, which waits until the present one has had its time to answer.
#[derive(Debug)]
pub(crate) struct Contest {
    pub(crate) newcomer: Newcomer,
    /// What the present run has to echo.
    challenge: Challenge,
    /// When the present run has had its time.
    ends: Instant,
    pause: Duration,
}

/// What a run of a peer is, next to the one that this node talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// The same one, or another one in place of one that does not answer.
    Welcome,
    /// The one that was there before, back from a silence that was taken for its end.
    Earlier,
    /// Another one, perhaps after a restart.
    Unclear,
    /// The second of two that live.
    Second,
}

impl Node {
    /// Takes the session that a handshake gave. Returns whether this node talks to that end now: not yet, if another run
    /// of the peer may still be alive, and not at all, if it is.
    pub(super) fn establish(&mut self, now: Instant, slot: Slot, newcomer: Newcomer) -> bool {
        let Some(link) = self.links.get(slot) else { return false };
        let another = link.incarnation.is_some_and(|present| present != newcomer.incarnation);
        if another && link.session.as_ref().is_some_and(|present| newcomer.began < present.established()) {
            // Its confirmation was held back on its way: the run that is talked to came later.
            self.links.release(newcomer.session.local_index());
            return false;
        }
        match standing(now, link, newcomer.incarnation) {
            Standing::Welcome => self.take_in(now, slot, newcomer),
            Standing::Earlier => {
                self.send(now, slot, &Conflict);
                self.take_in(now, slot, newcomer);
                if let Some(link) = self.links.get_mut(slot) {
                    link.rare_mut().deposed = None;
                }
                self.note_second_machine(now, slot);
            }
            Standing::Unclear => {
                self.contest(now, slot, newcomer);
                return false;
            }
            Standing::Second => {
                self.turn_away(now, slot, newcomer);
                return false;
            }
        }
        true
    }

    /// Talks to this run of the peer from now on.
    fn take_in(&mut self, now: Instant, slot: Slot, newcomer: Newcomer) {
        let Some(link) = self.links.get_mut(slot) else { return };
        let before = link.incarnation.replace(newcomer.incarnation);
        if let Some(before) = before.filter(|before| *before != newcomer.incarnation) {
            let left = link.state == PeerState::Left;
            // Nothing that the run before said of itself holds for this one.
            let sessions = [link.session.take(), link.previous.take()];
            link.path = Path::default();
            let rare = link.rare_mut();
            let contest = rare.contest.take();
            rare.conflict = None;
            rare.deposed = (!left).then_some((before, now + CONFLICT));
            let ended = sessions.into_iter().flatten().chain(contest.map(|contest| contest.newcomer.session));
            for session in ended {
                self.links.release(session.local_index());
            }
            self.disarm(slot, LinkTimer::Contest);
        }
        self.install(now, slot, newcomer.session, newcomer.began, newcomer.crosses);
        self.estimate_rtt(now, slot, newcomer.began);
        self.arrived(now, slot, newcomer.from, &newcomer.sent_to);
    }

    /// Asks the present run whether it is still there. Of several that come meanwhile the last one waits.
    fn contest(&mut self, now: Instant, slot: Slot, newcomer: Newcomer) {
        let Some(link) = self.links.get_mut(slot) else { return };
        let index = newcomer.session.local_index();
        let attempt = link.attempt.take();
        let duration = CONTEST.max(link.rtt.unwrap_or_default() * 3);
        let before = link.rare().and_then(|rare| rare.contest.as_ref());
        let (challenge, ends) =
            before.map_or_else(|| (self.drbg.array(), now + duration), |contest| (contest.challenge, contest.ends));
        let contest = Contest { newcomer, challenge, ends, pause: duration / CHALLENGES };
        let before = link.rare_mut().contest.replace(Box::new(contest));
        let ended = before.map(|contest| contest.newcomer.session.local_index());
        for ended in ended.into_iter().chain(attempt.map(|attempt| attempt.initiator.sender())) {
            self.links.release(ended);
        }
        self.links.claim(index, Owner::Link(slot));
        self.step_contest(now, slot);
    }

    /// Asks again, or takes the silence for an answer.
    pub(super) fn step_contest(&mut self, now: Instant, slot: Slot) {
        let Some(link) = self.links.get_mut(slot) else { return };
        let current = link.path.current();
        let Some(contest) = link.rare().and_then(|rare| rare.contest.as_ref()) else { return };
        let (challenge, next) = (contest.challenge, (now + contest.pause).min(contest.ends));
        if now < contest.ends {
            if let Some(current) = current {
                self.send_challenge(now, slot, current, challenge);
            }
            self.arm(slot, LinkTimer::Contest, next);
        } else if let Some(contest) = link.rare_mut().contest.take() {
            self.take_in(now, slot, contest.newcomer);
        }
    }

    /// Whether this is the answer to a contest's challenge: then there are two machines, and the second is refused.
    pub(super) fn is_contested(&mut self, now: Instant, slot: Slot, answer: Challenge) -> bool {
        let Some(link) = self.links.get_mut(slot) else { return false };
        if link.rare().and_then(|rare| rare.contest.as_ref()).is_none_or(|contest| contest.challenge != answer) {
            return false;
        }
        self.disarm(slot, LinkTimer::Contest);
        let contest = self.links.get_mut(slot).and_then(|link| link.rare_mut().contest.take());
        if let Some(contest) = contest {
            self.turn_away(now, slot, contest.newcomer);
        }
        true
    }

    /// The present run has said goodbye: nobody contests its place any more.
    pub(super) fn end_contest(&mut self, now: Instant, slot: Slot) {
        let contest = self.links.get_mut(slot).filter(|link| link.is_contested()).map(Link::rare_mut);
        if let Some(contest) = contest.and_then(|rare| rare.contest.take()) {
            self.take_in(now, slot, contest.newcomer);
        }
    }

    /// The run that waits for the end of a contest, or the one that it would replace, ends the link.
    pub(super) fn forget_contest(&mut self, slot: Slot) {
        self.disarm(slot, LinkTimer::Contest);
        let contest = self.links.get_mut(slot).and_then(|link| link.rare_mut().contest.take());
        if let Some(contest) = contest {
            self.links.release(contest.newcomer.session.local_index());
        }
    }

    /// Tells the second of two machines that it is the second, and forgets it.
    fn turn_away(&mut self, now: Instant, slot: Slot, newcomer: Newcomer) {
        let mut session = newcomer.session;
        self.links.release(session.local_index());
        // A session that has no counter left at its beginning does not exist.
        let _ = self.outbox.transmit(newcomer.from, |bytes| session.encode(now, &Conflict, bytes));
        self.note_second_machine(now, slot);
    }

    fn note_second_machine(&mut self, now: Instant, slot: Slot) {
        self.counters.conflicts += 1;
        let Some(link) = self.links.get_mut(slot) else { return };
        let known = link.in_conflict(now);
        link.rare_mut().conflict = Some(now + CONFLICT);
        let id = link.id;
        if let Some(peer) = self.who(id).filter(|_| !known) {
            self.outbox.event(Event::PeerConflict { peer });
        }
    }

    /// A peer talks to another machine with this node's identity: nothing goes to it but a call from time to time.
    pub(super) fn receive_conflict(&mut self, now: Instant, arrival: &Arrival) {
        let slot = arrival.slot;
        let Some(link) = self.links.get_mut(slot).filter(|_| arrival.current) else { return };
        let id = link.id;
        link.outstanding = None;
        link.candidates = None;
        link.timers.clear();
        let sessions = [link.session.take(), link.previous.take()];
        let attempt = link.attempt.take().map(|attempt| attempt.initiator.sender());
        let ended = sessions.into_iter().flatten().map(|session| session.local_index());
        for index in ended.chain(attempt) {
            self.links.release(index);
        }
        self.end_sync(now, slot);
        self.forget_contest(slot);
        self.enter_conflict(now, slot);
        if !self.doubled {
            self.doubled = true;
            if let Some(peer) = self.who(id) {
                self.outbox.event(Event::NodeConflict { peer });
            }
        }
    }
}

/// What to do about a run of a peer, given the one that this node talks to.
fn standing(now: Instant, link: &Link, incarnation: Incarnation) -> Standing {
    let answers = link.is_believed_alive();
    if link.incarnation.is_none_or(|present| present == incarnation) || !answers || link.path.current().is_none() {
        return Standing::Welcome;
    }
    let deposed = link.rare().and_then(|rare| rare.deposed).filter(|(_, until)| now < *until);
    if deposed.is_some_and(|(earlier, _)| earlier == incarnation) {
        Standing::Earlier
    } else if link.in_conflict(now) {
        Standing::Second
    } else {
        Standing::Unclear
    }
}
