//! Handshakes that this node answered and that are not confirmed yet: bounded in number and in time.

use std::time::{Duration, Instant};

use crate::auth::cookie::Cookies;
use crate::auth::mac::Mac1Key;
use crate::auth::session::Session;
use crate::node::budget::Budget;
use crate::node::reflection::Group;
use crate::wire::address::Address;
#[cfg(feature = "sim")]
use crate::wire::id::NodeId;
use crate::wire::id::{Incarnation, Index, InviteId, PublicKey};
use crate::wire::initiation::Initiation;
use crate::wire::name::Name;
use crate::wire::response::Response;

/// How many unconfirmed handshakes are kept at most. Spec: `PENDING_MAX`.
const MAX: usize = 64;
/// How many of one peer: one that replays old initiations cannot push out those of others. Spec: `PENDING_PEER_MAX`.
const PEER_MAX: usize = 4;
/// How long one has before another of the same peer pushes it out that has not shown that it receives where it claims
/// to be. Spec: `PENDING_FRESH`.
const FRESH: Duration = Duration::from_secs(1);
/// How long one may take to be confirmed. Spec: `PENDING`.
pub(crate) const LIFETIME: Duration = Duration::from_secs(10);
/// Handshakes answered in a burst before cookies are demanded, and the time in which another one is gained. Spec: `HANDSHAKES_OPEN`.
const OPEN_BURST: u32 = 32;
const OPEN_PERIOD: Duration = Duration::from_millis(100);
/// The same for initiators that have returned a cookie. Spec: `HANDSHAKES_PROVEN`.
const PROVEN_BURST: u32 = 64;
const PROVEN_PERIOD: Duration = Duration::from_millis(20);
/// What one IPv4 address or IPv6 /56 has of them, so that one place cannot use up what all others need.
/// Spec: `HANDSHAKES_SOURCE`.
const SOURCE_BURST: u32 = 16;
const SOURCE_PERIOD: Duration = Duration::from_millis(100);
/// How many places with a budget in use are remembered. Spec: `SOURCES_MAX`.
const SOURCES_MAX: usize = 64;

/// The responder's side of handshakes.
#[derive(Debug)]
pub(crate) struct Responder {
    /// Of this node's own public key: for initiations, and for the responses to its own.
    pub(crate) mac1: Mac1Key,
    pub(crate) cookies: Cookies,
    /// Handshakes that anybody may ask for.
    open: Budget,
    /// Handshakes for those who have shown that they receive at their address.
    proven: Budget,
    /// The share of each place in them; those that have used nothing of theirs are not here.
    sources: Vec<(Group, Budget)>,
    /// Oldest first.
    pending: Vec<Pending>,
}

/// A handshake that was answered.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) session: Box<Session>,
    pub(crate) peer: PublicKey,
    /// Which run of the peer, by its own word.
    pub(crate) incarnation: Incarnation,
    /// Where the response went: who confirms has received there.
    pub(crate) address: Address,
    pub(crate) created: Instant,
    /// Whether it began before anything was heard under a session that this node had begun just before.
    pub(crate) crosses: bool,
    /// For a joiner: its invite, and the name that it wants.
    pub(crate) admission: Option<(InviteId, Name)>,
    /// What was answered, to be sent again if the same initiation comes again.
    pub(crate) initiation: Box<Initiation>,
    pub(crate) response: Box<[u8; Response::LEN]>,
}

/// Whether an initiation is worth the arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admittance {
    /// It is.
    Granted,
    /// Not without a cookie.
    CookieDemanded,
    /// Not even with one.
    Overload,
}

impl Responder {
    /// A responder with this public key.
    pub(crate) fn new(public_key: PublicKey, now: Instant) -> Self {
        Self {
            mac1: Mac1Key::of(&public_key),
            cookies: Cookies::new(public_key),
            open: Budget::new(OPEN_BURST, OPEN_PERIOD, now),
            proven: Budget::new(PROVEN_BURST, PROVEN_PERIOD, now),
            sources: Vec::new(),
            pending: Vec::new(),
        }
    }

    /// Decides whether an initiation is answered, given what others have cost lately. Spec: STATE-4.
    pub(crate) fn admit(&mut self, now: Instant, from: Address, initiation: &Initiation) -> Admittance {
        if self.open.take(now) {
            Admittance::Granted
        } else if !self.cookies.mac2_valid(now, from, initiation) {
            Admittance::CookieDemanded
        } else if self.proven.left(now) > 0 && self.has_share(now, from) && self.proven.take(now) {
            Admittance::Granted
        } else {
            Admittance::Overload
        }
    }

    /// Takes one handshake from the share of a place. Where too many places ask to be remembered, those that are not
    /// have no share of their own and compete for what there is.
    fn has_share(&mut self, now: Instant, from: Address) -> bool {
        let group = Group::of(from);
        if let Some((_, share)) = self.sources.iter_mut().find(|(known, _)| *known == group) {
            return share.take(now);
        }
        self.sources.retain_mut(|(_, share)| !share.is_full(now));
        if self.sources.len() < SOURCES_MAX {
            let mut share = Budget::new(SOURCE_BURST, SOURCE_PERIOD, now);
            share.take(now);
            self.sources.push((group, share));
        }
        true
    }

    /// The answer that this very initiation, from this very address, has had already.
    pub(crate) fn repeat(&self, from: Address, initiation: &Initiation) -> Option<&[u8; Response::LEN]> {
        let same = |pending: &&Pending| {
            pending.address == from && Initiation { mac2: initiation.mac2, ..*pending.initiation } == *initiation
        };
        self.pending.iter().find(same).map(|pending| &*pending.response)
    }

    /// Whether a handshake of this peer from there would push out one that may be confirmed any moment. Whoever replays
    /// initiations of a peer from many false addresses could otherwise push out the peer's own, again and again.
    pub(crate) fn is_crowded(&self, now: Instant, peer: &PublicKey, from: Address) -> bool {
        let Some((place, 1)) = self.victim(peer, from) else { return false };
        self.pending.get(place).is_some_and(|victim| now < victim.created + FRESH)
    }

    /// Keeps an answered handshake. Returns the index of one that had to make room.
    pub(crate) fn add(&mut self, pending: Pending) -> Option<Index> {
        let full = (self.pending.len() >= MAX).then_some(0);
        let place = self.victim(&pending.peer, pending.address).map(|(place, _)| place).or(full);
        let evicted = place.map(|place| self.pending.remove(place).session.local_index());
        self.pending.push(pending);
        evicted
    }

    /// Which handshake of a peer makes room for another one of it from there, if one has to: the oldest one from the place
    /// that, with the new one, has most of them; and how many that is. Spec: STATE-13.
    fn victim(&self, peer: &PublicKey, from: Address) -> Option<(usize, usize)> {
        let of_peer = || self.pending.iter().enumerate().filter(|(_, pending)| pending.peer == *peer);
        if of_peer().count() < PEER_MAX {
            return None;
        }
        let from = Group::of(from);
        let share = |group: Group| {
            of_peer().filter(|(_, pending)| Group::of(pending.address) == group).count() + usize::from(group == from)
        };
        let most = of_peer().map(|(_, pending)| share(Group::of(pending.address))).max()?;
        of_peer().find(|(_, pending)| share(Group::of(pending.address)) == most).map(|(place, _)| (place, most))
    }

    /// The session of an unconfirmed handshake.
    pub(crate) fn session_mut(&mut self, index: Index) -> Option<&mut Session> {
        self.pending.iter_mut().map(|pending| &mut *pending.session).find(|session| session.local_index() == index)
    }

    /// How many handshakes wait for confirmation.
    #[cfg(feature = "sim")]
    pub(crate) fn len(&self) -> usize {
        self.pending.len()
    }

    /// How many places have used some of their share.
    #[cfg(feature = "sim")]
    pub(crate) fn sources(&self) -> usize {
        self.sources.len()
    }

    /// Who is to confirm a handshake.
    #[cfg(feature = "sim")]
    pub(crate) fn peer_of(&self, index: Index) -> Option<NodeId> {
        self.get(index).map(|pending| NodeId::from(&pending.peer))
    }

    /// A handshake that waits for confirmation.
    pub(crate) fn get(&self, index: Index) -> Option<&Pending> {
        self.pending.iter().find(|pending| pending.session.local_index() == index)
    }

    /// Takes a handshake out: it is confirmed.
    pub(crate) fn take(&mut self, index: Index) -> Option<Pending> {
        let place = self.pending.iter().position(|pending| pending.session.local_index() == index)?;
        Some(self.pending.remove(place))
    }

    /// Takes out what was not confirmed in time.
    pub(crate) fn take_expired(&mut self, now: Instant) -> Vec<Index> {
        let (expired, live) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition::<Vec<_>, _>(|pending| pending.created + LIFETIME <= now);
        self.pending = live;
        expired.iter().map(|pending| pending.session.local_index()).collect()
    }

    /// Forgets all that wait for a confirmation; their indices.
    pub(crate) fn take_all(&mut self) -> Vec<Index> {
        std::mem::take(&mut self.pending).iter().map(|pending| pending.session.local_index()).collect()
    }

    /// When the oldest one expires.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.pending.iter().map(|pending| pending.created + LIFETIME).min()
    }
}

#[cfg(test)]
mod tests;
