//! The stage of a run: the tester's peers, what the target sent them, and what they answer without being told to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::auth::drbg::Drbg;
use crate::auth::invite::Token;
use crate::config::Cluster;
use crate::conformance::network::{Arrived, Network, Place};
use crate::conformance::peer::{Peer, Who};
use crate::conformance::report::Outcomes;
use crate::driver::clock;
use crate::wire::address::Address;
use crate::wire::body::Body;
use crate::wire::cookie_reply::CookieReply;
use crate::wire::header::Header;
use crate::wire::heartbeat::{Heartbeat, HeartbeatAck};
use crate::wire::id::{Incarnation, Index, NodeId, PublicKey};
use crate::wire::initiation::Initiation;
use crate::wire::message::Message;
use crate::wire::path::PathResponse;
use crate::wire::response::Response;

/// How long the target may take for an answer. Generous: a small machine may compute for a while.
pub(super) const PATIENCE: Duration = Duration::from_millis(1500);
/// How long silence is listened for.
pub(super) const SILENCE: Duration = Duration::from_millis(1500);
/// The longest that a node with an interval of 10 s waits for its next heartbeat on a link, and some time.
pub(super) const BEAT: Duration = Duration::from_secs(14);
/// How often something is sent that may have been lost on the way.
pub(super) const ATTEMPTS: usize = 3;

/// A run.
pub(super) struct Stage {
    pub(super) network: Network,
    pub(super) drbg: Drbg,
    pub(super) token: Token,
    /// The target's public key.
    pub(super) target: PublicKey,
    /// Where the target is.
    pub(super) at: SocketAddr,
    pub(super) cluster: Option<Cluster>,
    pub(super) first: Peer,
    pub(super) second: Peer,
    pub(super) third: Peer,
    /// A member that never speaks.
    pub(super) ghost: Peer,
    pub(super) report: Outcomes,
    /// Which run of the target it says to be towards each node ID of the tester.
    pub(super) incarnations: BTreeMap<NodeId, Incarnation>,
    /// What arrived, in order.
    log: Vec<Seen>,
    /// Where the target sees each place, as far as is known.
    seen_at: BTreeMap<Place, Address>,
}

/// A datagram that arrived.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) at: Instant,
    pub(super) place: Place,
    pub(super) from: SocketAddr,
    pub(super) bytes: usize,
    pub(super) what: What,
}

/// What a datagram is.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// A tagged message to one of the peers, under one of its sessions.
    Tagged(Who, Header, Box<Message>),
    /// A handshake begun with one of the peers.
    Initiation(Who, Box<Initiation>),
    /// A handshake answered.
    Response(Box<Response>),
    /// A cookie.
    Cookie(CookieReply),
    /// Something against the specification, which the report has.
    Flawed,
}

/// A moment in the log: what came after it is news.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark(usize);

impl Stage {
    /// A stage with peers that know the token and nothing else.
    pub(super) fn new(network: Network, token: Token, at: SocketAddr, mut drbg: Drbg) -> Self {
        let mut peer = |who| Peer::new(who, &mut drbg);
        let (first, second, third, ghost) = (peer(Who::First), peer(Who::Second), peer(Who::Third), peer(Who::Ghost));
        let target = token.inviter();
        let report = Outcomes::default();
        let (incarnations, log, seen_at) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        Self {
            network,
            drbg,
            token,
            target,
            at,
            cluster: None,
            first,
            second,
            third,
            ghost,
            report,
            incarnations,
            log,
            seen_at,
        }
    }

    /// One of the peers.
    pub(super) fn peer(&mut self, who: Who) -> &mut Peer {
        match who {
            Who::First => &mut self.first,
            Who::Second => &mut self.second,
            Who::Third => &mut self.third,
            Who::Ghost => &mut self.ghost,
        }
    }

    /// Now in the log.
    pub(super) fn mark(&self) -> Mark {
        Mark(self.log.len())
    }

    /// What arrived after a moment.
    pub(super) fn since(&self, mark: Mark) -> &[Seen] {
        self.log.get(mark.0..).unwrap_or_default()
    }

    /// All that arrived.
    pub(super) fn everything(&self) -> &[Seen] {
        &self.log
    }

    /// Lets time pass: what arrives is logged, and answered as the peers are told to.
    pub(super) fn pass(&mut self, duration: Duration) {
        let _ = self.until(clock::now() + duration, |_| false);
    }

    /// Waits for something that may have arrived since a moment, or is to arrive within this time.
    pub(super) fn wait(
        &mut self,
        mark: Mark,
        patience: Duration,
        mut wanted: impl FnMut(&Seen) -> bool,
    ) -> Option<Seen> {
        if let Some(seen) = self.since(mark).iter().find(|seen| wanted(seen)) {
            return Some(seen.clone());
        }
        self.until(clock::now() + patience, wanted)
    }

    fn until(&mut self, end: Instant, mut wanted: impl FnMut(&Seen) -> bool) -> Option<Seen> {
        loop {
            let seen = self.network.receive(end).map(|arrived| self.take(arrived))?;
            let found = wanted(&seen).then(|| seen.clone());
            self.log.push(seen);
            if found.is_some() {
                return found;
            }
        }
    }

    /// Sends bytes from a place to the target.
    pub(super) fn send(&mut self, from: Place, datagram: &[u8]) {
        self.network.send(from, self.at, datagram);
    }

    /// Sends a right message of a peer, from where it is; its counter.
    pub(super) fn tell<B: Body>(&mut self, who: Who, body: &B) -> u64 {
        let place = self.peer(who).place;
        self.tell_from(who, place, body)
    }

    /// The same from another place.
    pub(super) fn tell_from<B: Body>(&mut self, who: Who, place: Place, body: &B) -> u64 {
        let now = clock::now();
        let Some(session) = self.peer(who).session() else { return 0 };
        let plan = session.plan(now);
        let datagram = session.make(plan, body);
        self.send(place, &datagram);
        plan.counter
    }

    /// What a heartbeat of a peer says.
    pub(super) fn heartbeat_of(&mut self, who: Who) -> Heartbeat {
        let reflection = Address::try_from(self.at).ok();
        Heartbeat { seen: 0, digest: self.peer(who).digest, reflection }
    }

    /// Sends a heartbeat of a peer; its counter.
    pub(super) fn heartbeat(&mut self, who: Who, place: Place) -> u64 {
        let heartbeat = self.heartbeat_of(who);
        self.tell_from(who, place, &heartbeat)
    }

    /// Waits for the acknowledgement of a heartbeat.
    pub(super) fn acknowledged(&mut self, mark: Mark, who: Who, counter: u64) -> Option<Seen> {
        self.wait(mark, PATIENCE, |seen| seen.ack(who) == Some(counter + 1))
    }

    /// Sends heartbeats until one is acknowledged; the acknowledgement.
    pub(super) fn exchange(&mut self, who: Who) -> Option<Seen> {
        let place = self.peer(who).place;
        (0..ATTEMPTS).find_map(|_| {
            let mark = self.mark();
            let counter = self.heartbeat(who, place);
            self.acknowledged(mark, who, counter)
        })
    }

    /// Asks until an answer comes.
    pub(super) fn ask<B: Body>(&mut self, who: Who, body: &B, answer: impl Fn(&Seen) -> bool) -> Option<Seen> {
        (0..ATTEMPTS).find_map(|_| {
            let mark = self.mark();
            self.tell(who, body);
            self.wait(mark, PATIENCE, &answer)
        })
    }

    /// Where the target sees a place, if it is known.
    pub(super) fn address(&self, place: Place) -> Option<Address> {
        self.network.address(place).or_else(|| self.seen_at.get(&place).copied())
    }

    /// The target says that it sees a place there. Where the tester does not know better, it believes the first word.
    pub(super) fn is_right_reflection(&mut self, place: Place, said: Address) -> bool {
        let known = self.network.address(place);
        known.unwrap_or_else(|| *self.seen_at.entry(place).or_insert(said)) == said
    }

    fn take(&mut self, arrived: Arrived) -> Seen {
        let now = clock::now();
        let what = self.judge(now, &arrived);
        if let What::Tagged(who, header, message) = &what {
            self.react(now, &arrived, *who, header, message);
        }
        Seen { at: now, place: arrived.place, from: arrived.from, bytes: arrived.bytes.len(), what }
    }

    /// What a peer does by itself: it acknowledges heartbeats and answers challenges, as far as it is told to.
    fn react(&mut self, now: Instant, arrived: &Arrived, who: Who, header: &Header, message: &Message) {
        let reflection = Address::try_from(arrived.from).ok();
        let peer = self.peer(who);
        let answers = !peer.mute && !peer.deaf.contains(&arrived.place);
        let reply = if let Message::Heartbeat(heartbeat) = message {
            peer.digest = heartbeat.digest;
            let acked = header.counter + 1;
            let digest = peer.digest;
            let ack = reflection.map(|reflection| HeartbeatAck { acked, digest, reflection });
            ack.filter(|_| answers).and_then(|ack| peer.reply(now, header.receiver, &ack))
        } else if let Message::PathChallenge(challenge) = message {
            answers.then(|| peer.reply(now, header.receiver, &PathResponse(challenge.0))).flatten()
        } else {
            if let Message::HeartbeatAck(ack) = message {
                peer.digest = ack.digest;
            }
            None
        };
        if let Some(reply) = reply {
            self.network.send(arrived.place, arrived.from, &reply);
        }
    }
}

impl Seen {
    /// The message, if it is one to this peer.
    pub(super) fn message(&self, to: Who) -> Option<&Message> {
        match &self.what {
            What::Tagged(who, _, message) if *who == to => Some(message),
            What::Tagged(..) | What::Initiation(..) | What::Response(_) | What::Cookie(_) | What::Flawed => None,
        }
    }

    /// The header, if it is a tagged message to this peer.
    pub(super) fn header(&self, to: Who) -> Option<&Header> {
        match &self.what {
            What::Tagged(who, header, _) if *who == to => Some(header),
            What::Tagged(..) | What::Initiation(..) | What::Response(_) | What::Cookie(_) | What::Flawed => None,
        }
    }

    /// What it acknowledges, if it is an acknowledgement to this peer.
    pub(super) fn ack(&self, to: Who) -> Option<u64> {
        if let Message::HeartbeatAck(ack) = self.message(to)? { Some(ack.acked) } else { None }
    }

    /// Whether it is a heartbeat to this peer.
    pub(super) fn is_heartbeat(&self, to: Who) -> bool {
        matches!(self.message(to), Some(Message::Heartbeat(_)))
    }

    /// Whether it asks the first or the third peer where this member is.
    pub(super) fn asks_for(&self, id: NodeId) -> bool {
        [Who::First, Who::Third].into_iter().any(|who| match self.message(who) {
            Some(Message::Locate(locate)) => locate.ids.iter().any(|wanted| *wanted == id),
            _ => false,
        })
    }

    /// The bytes of a challenge to this peer.
    pub(super) fn challenge(&self, to: Who) -> Option<[u8; 8]> {
        if let Message::PathChallenge(challenge) = self.message(to)? { Some(challenge.0) } else { None }
    }

    /// Which of the tester's indices a Response or a CookieReply is for.
    pub(super) fn answers(&self) -> Option<Index> {
        match &self.what {
            What::Response(response) => Some(response.receiver),
            What::Cookie(reply) => Some(reply.receiver),
            What::Tagged(..) | What::Initiation(..) | What::Flawed => None,
        }
    }

    /// The initiation, if it is one to this peer.
    pub(super) fn initiation(&self, to: Who) -> Option<&Initiation> {
        match &self.what {
            What::Initiation(who, initiation) if *who == to => Some(initiation),
            What::Tagged(..) | What::Initiation(..) | What::Response(_) | What::Cookie(_) | What::Flawed => None,
        }
    }

    /// What it is, in a few words.
    pub(super) fn describe(&self) -> String {
        let what = match &self.what {
            What::Tagged(_, header, message) => format!("{} with counter {}", message.kind(), header.counter),
            What::Initiation(..) => "an Initiation".to_owned(),
            What::Response(_) => "a Response".to_owned(),
            What::Cookie(_) => "a CookieReply".to_owned(),
            What::Flawed => "a datagram that cannot be read".to_owned(),
        };
        format!("{what}, {} bytes, from {} to {}", self.bytes, self.from, name(self.place))
    }
}

/// Whether something came, in a word.
pub(super) fn one_or_none(came: bool) -> &'static str {
    if came { "one" } else { "none" }
}

/// A place in words.
pub(super) fn name(place: Place) -> &'static str {
    match place {
        Place::First => "the first peer",
        Place::FirstElsewhere => "the first peer's pretended new address",
        Place::FirstMoved => "the first peer's new address",
        Place::Second => "the second peer",
        Place::SecondMoved => "the second peer's new address",
        Place::Third => "the third peer",
        Place::Ghost | Place::GhostElsewhere => "the ghost's address",
        Place::Stranger => "a stranger",
    }
}
