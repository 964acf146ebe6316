//! What a node keeps about one peer: its sessions, its path, and whether it answers.

use std::time::{Duration, Instant};

use crate::auth::handshake::Initiator;
use crate::auth::session::Session;
use crate::node::budget::Budget;
use crate::node::candidates::Candidates;
use crate::node::conflict::Contest;
use crate::node::path::Path;
use crate::node::status::PeerState;
use crate::node::timer::LinkTimers;
use crate::wire::address::Address;
use crate::wire::id::{Digest, Incarnation, Index, NodeId};

/// The longest round trip that is taken for one. Spec: `RTT_MAX`.
const RTT_MAX: Duration = Duration::from_secs(2);

/// One peer.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) id: NodeId,
    pub(crate) role: Role,
    /// Which run of the peer the sessions are with.
    pub(crate) incarnation: Option<Incarnation>,
    /// The session that this node sends with.
    pub(crate) session: Option<Box<Session>>,
    /// The session before, or the loser of two handshakes that crossed: received with, for a while.
    pub(crate) previous: Option<Box<Session>>,
    /// The handshake that this node began.
    pub(crate) attempt: Option<Box<Attempt>>,
    pub(crate) path: Path,
    pub(crate) state: PeerState,
    /// Since when it is in this state.
    pub(crate) since: Instant,
    pub(crate) last_heard: Option<Instant>,
    pub(crate) outstanding: Option<Outstanding>,
    /// The first attempt of the last heartbeat: its counter, and when it was sent. The answer is measured however late.
    pub(crate) timed: Option<(u64, Instant)>,
    /// How often in a row the peer became suspect without having answered a heartbeat in between.
    pub(crate) relapses: u8,
    /// Smoothed round-trip time, as in RFC 6298.
    pub(crate) rtt: Option<Duration>,
    /// Where the peer sees this node.
    pub(crate) reflection: Option<Address>,
    /// When it last said so.
    pub(crate) reflected: Option<Instant>,
    /// Where the peer may be, while it is looked for.
    pub(crate) candidates: Option<Box<Candidates>>,
    /// How long the peer could not be reached at its last move, in milliseconds, if it moved since the start.
    pub(crate) healed_ms: Option<u32>,
    /// Rounds of attempts since the peer was lost.
    pub(crate) rounds: u32,
    /// The peer's member list, as it last said.
    pub(crate) digest: Option<Digest>,
    /// What a calm link does not have.
    rare: Option<Box<Rare>>,
    pub(crate) timers: LinkTimers,
}

/// Why there is a link. Spec: `spec/scale.md` section 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// With a neighbour, or a configured peer: kept for good, and its owner is told how the peer is.
    Kept,
    /// With a member that is wanted: looked for like a neighbour, while it is wanted.
    Wanted,
    /// With a member in place of which any other would do: forgotten when it does not answer.
    Spare,
    /// With a member that calls this node: answered and never called.
    Guest,
}

impl Role {
    /// Whether this node keeps the link alive.
    pub(crate) fn calls(self) -> bool {
        self != Self::Guest
    }

    /// Whether the peer is looked for while it does not answer.
    pub(crate) fn is_looked_for(self) -> bool {
        matches!(self, Self::Kept | Self::Wanted)
    }
}

/// What a link has while its peer moves, is looked for, or is under load.
#[derive(Debug, Default)]
pub(crate) struct Rare {
    /// A cookie that the peer demanded, and until when it is good.
    pub(crate) cookie: Option<([u8; 16], Instant)>,
    /// Who has told of this peer by Rendezvous, and until when no other of theirs is acted upon.
    pub(crate) rendezvous: Vec<(NodeId, Instant)>,
    /// When the peer was last heard before its present trial began.
    pub(crate) silent_since: Option<Instant>,
    /// Members that the peer may still be brought together with.
    pub(crate) meetings: Option<Budget>,
    /// Probes that may still be made because of what the peer tells.
    pub(crate) told: Option<Budget>,
    /// Another run of the peer, while it is being found out whether the present one still answers.
    pub(crate) contest: Option<Box<Contest>>,
    /// Until when a second machine with the peer's identity is reckoned with.
    pub(crate) conflict: Option<Instant>,
    /// The run that fell silent before the present one came, and until when it is taken back.
    pub(crate) deposed: Option<(Incarnation, Instant)>,
}

/// A heartbeat that waits for its acknowledgement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outstanding {
    /// The counter of the first attempt: an answer to any of them will do.
    pub(crate) first: u64,
    /// The counter of the last attempt, whose round trip can be measured.
    pub(crate) last: u64,
    /// When the last attempt was sent.
    pub(crate) sent: Instant,
    /// Attempts so far.
    pub(crate) attempts: u32,
}

/// A handshake that this node began.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) initiator: Initiator,
    pub(crate) began: Instant,
    /// Where the initiation went: an answer from there validates the address.
    pub(crate) sent_to: Vec<Address>,
}

impl Link {
    /// A link with a peer that was not heard so far.
    pub(crate) fn new(id: NodeId, role: Role, now: Instant) -> Self {
        Self {
            id,
            role,
            incarnation: None,
            session: None,
            previous: None,
            attempt: None,
            path: Path::default(),
            state: PeerState::Unknown,
            since: now,
            last_heard: None,
            outstanding: None,
            timed: None,
            relapses: 0,
            rtt: None,
            reflection: None,
            reflected: None,
            candidates: None,
            healed_ms: None,
            rounds: 0,
            digest: None,
            rare: None,
            timers: LinkTimers::new(now),
        }
    }

    /// What a link has only in trouble, to look at.
    pub(crate) fn rare(&self) -> Option<&Rare> {
        self.rare.as_deref()
    }

    /// The same, to write to.
    pub(crate) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// The cookie that the peer has demanded, while it is good.
    pub(crate) fn cookie(&self, now: Instant) -> Option<[u8; 16]> {
        let (cookie, until) = self.rare()?.cookie?;
        (now < until).then_some(cookie)
    }

    /// The peer was last heard then, before what may be a move; kept from the first word of it on.
    pub(crate) fn silent_since(&mut self, heard: Option<Instant>) {
        if let Some(heard) = heard {
            self.rare_mut().silent_since.get_or_insert(heard);
        }
    }

    /// The silence is over: since when it lasted.
    pub(crate) fn heard_again(&mut self) -> Option<Instant> {
        self.rare.as_mut().and_then(|rare| rare.silent_since.take())
    }

    /// Gives the memory back that only trouble took, once that is over.
    pub(crate) fn calm(&mut self, now: Instant) {
        let over = |until: Instant| until <= now;
        let full = |budget: &mut Option<Budget>| budget.as_mut().is_none_or(|budget| budget.is_full(now));
        let idle = |rare: &mut Rare| {
            rare.cookie.is_none_or(|(_, until)| over(until))
                && rare.rendezvous.iter().all(|&(_, until)| over(until))
                && rare.silent_since.is_none()
                && rare.contest.is_none()
                && rare.conflict.is_none_or(over)
                && rare.deposed.is_none_or(|(_, until)| over(until))
                && full(&mut rare.meetings)
                && full(&mut rare.told)
        };
        if self.rare.as_deref_mut().is_some_and(idle) {
            self.rare = None;
        }
        self.path.calm(now);
    }

    /// Whether the peer answers.
    pub(crate) fn is_up(&self) -> bool {
        self.state == PeerState::Up
    }

    /// Whether the peer answers, or did a moment ago.
    pub(crate) fn is_believed_alive(&self) -> bool {
        matches!(self.state, PeerState::Up | PeerState::Suspect)
    }

    /// Whether a second machine with the peer's identity has been heard lately.
    pub(crate) fn in_conflict(&self, now: Instant) -> bool {
        self.rare().and_then(|rare| rare.conflict).is_some_and(|until| now < until)
    }

    /// Whether another run of the peer waits until it is known whether the present one still answers.
    pub(crate) fn is_contested(&self) -> bool {
        self.rare().is_some_and(|rare| rare.contest.is_some())
    }

    /// Whether the session with this index is one that this node talks by.
    pub(crate) fn talks_by(&self, index: Index) -> bool {
        [&self.session, &self.previous].into_iter().flatten().any(|session| session.local_index() == index)
    }

    /// Whether others are worth calling because the peer does not answer. At the start neighbours get some time for it.
    pub(crate) fn is_missed(&self) -> bool {
        let begins = self.role == Role::Kept && self.state == PeerState::Unknown && self.rounds <= 1;
        self.role.is_looked_for() && !self.is_up() && !begins
    }

    /// All sessions with the peer: the one in use, the one before, and that of a newcomer.
    #[cfg(feature = "sim")]
    pub(crate) fn sessions(&self) -> impl Iterator<Item = &Session> {
        let contest = self.rare().and_then(|rare| rare.contest.as_ref());
        let newcomer = contest.map(|contest| &contest.newcomer.session);
        [&self.session, &self.previous].into_iter().flatten().chain(newcomer).map(|session| &**session)
    }

    /// The session with this index.
    pub(crate) fn session_mut(&mut self, index: Index) -> Option<&mut Session> {
        let contest = self.rare.as_mut().and_then(|rare| rare.contest.as_mut());
        [&mut self.session, &mut self.previous]
            .into_iter()
            .flatten()
            .chain(contest.map(|contest| &mut contest.newcomer.session))
            .map(|session| &mut **session)
            .find(|session| session.local_index() == index)
    }

    /// Takes a measured round trip into the smoothed one. A peer that stood still for half a minute and then answers
    /// would otherwise be given minutes to answer from then on.
    pub(crate) fn measure(&mut self, round_trip: Duration) {
        let round_trip = round_trip.min(RTT_MAX);
        self.rtt = Some(self.rtt.map_or(round_trip, |rtt| (rtt * 7 + round_trip) / 8));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calm_link_takes_at_most_a_kibibyte() {
        // Two blocks of memory, and what an allocator adds to each.
        let (link, session, overhead) = (size_of::<Link>(), size_of::<Session>(), 2 * size_of::<usize>());
        assert!(link + session + 2 * overhead <= 1024, "{link} + {session} + 2 * {overhead} bytes");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "an Instant can only be had from the clock")]
    fn what_only_trouble_needs_is_given_back_when_it_is_over() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let mut link = Link::new(NodeId([1; 16]), Role::Kept, now);
        link.rare_mut().cookie = Some(([0; 16], now + 2 * second));
        link.rare_mut().rendezvous = vec![(NodeId([7; 16]), now + second)];
        link.calm(now + second);
        assert!(link.rare().is_some(), "the cookie is still good");
        link.silent_since(Some(now));
        link.calm(now + 2 * second);
        assert!(link.rare().is_some(), "it is not known yet how long the silence lasts");
        assert_eq!(link.heard_again(), Some(now));
        link.calm(now + 2 * second);
        assert!(link.rare().is_none());
    }
}
