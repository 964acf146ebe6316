//! The protocol's state machine: datagrams, deadlines and commands in; datagrams and events out. No I/O.

pub mod discard;
pub mod error;
pub mod event;
pub mod outbox;
pub mod reflection;
pub mod saved;
pub mod status;

pub(crate) mod budget;
mod candidates;
mod commands;
mod conflict;
mod counters;
mod directory;
mod gossip;
mod handshakes;
mod heartbeats;
mod history;
#[cfg(feature = "sim")]
pub(crate) mod inspect;
mod invites;
mod jitter;
mod joining;
mod leaving;
mod link;
mod linking;
mod links;
mod liveness;
mod locating;
mod members;
mod membership;
mod neighbours;
mod own_address;
mod path;
mod paths;
mod pending;
mod receive;
mod report;
mod schedule;
mod searching;
mod send;
mod shares;
mod spreading;
mod subscriptions;
mod sync;
mod temporary;
mod timer;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::auth::drbg::Drbg;
use crate::auth::identity::Identity;
use crate::auth::incarnation::Incarnations;
use crate::config::{Cluster, Config};
use crate::node::budget::Budget;
use crate::node::counters::Counters;
use crate::node::directory::Directory;
use crate::node::discard::Discard;
use crate::node::gossip::Gossip;
use crate::node::history::History;
use crate::node::invites::Invites;
use crate::node::jitter::Jitter;
use crate::node::joining::Joining;
use crate::node::leaving::Leaving;
use crate::node::links::{Links, Slot};
use crate::node::members::Members;
use crate::node::neighbours::Neighbourhood;
use crate::node::outbox::{Outbox, Output};
use crate::node::pending::Responder;
use crate::node::reflection::OwnAddresses;
use crate::node::saved::{Revision, Saved};
use crate::node::schedule::Schedule;
use crate::node::searching::Search;
use crate::node::shares::Shares;
use crate::node::spreading::News;
use crate::node::subscriptions::Subscriptions;
use crate::node::sync::Sync;
use crate::node::temporary::Temporary;
use crate::node::timer::{LinkTimer, NodeTimer, NodeTimers};
use crate::wire::address::Address;
use crate::wire::id::NodeId;

/// The probes that a node sends at most in a burst, and the time in which it gains another. Spec: `PROBE_BUDGET`.
const PROBE_BURST: u32 = 100;
const PROBE_PERIOD: Duration = Duration::from_millis(20);
/// How many changes of records that it has a node takes from others in a burst, and the time in which it gains another.
/// Each is stored, told and sent on at once. Spec: `NEWS_BUDGET`.
const NEWS_BURST: u32 = 1024;
const NEWS_PERIOD: Duration = Duration::from_secs(10);
/// Of these, those that one peer tells. Spec: `NEWS_SHARE`.
const NEWS_SHARE_BURST: u32 = 256;
const NEWS_SHARE_PERIOD: Duration = Duration::from_secs(60);
/// How many pages of the member list a peer gets in a burst, a whole list at least, and the time in which it gains another.
/// Spec: `PAGES_BUDGET`.
const PAGES_BURST: u32 = 256;
const PAGES_PERIOD: Duration = Duration::from_millis(250);

/// One node of a cluster, without sockets, clock or entropy of its own.
///
/// # How to drive it
///
/// 1. Call one of the `&mut self` methods: a datagram came, the time has come, or the owner wants something.
/// 2. Call [`poll_output`](Self::poll_output) until it gives `None`, and do what each output says, in that order.
/// 3. Wait for the next datagram or command, but no longer than until [`poll_timeout`](Self::poll_timeout); when that
///    moment comes, call [`handle_timeout`](Self::handle_timeout). Go on with step 2.
///
/// Two laws hold after every step. While output waits, `poll_timeout` is not in the future. Once the output was taken
/// after `handle_timeout(now)`, `poll_timeout` is later than `now`.
///
/// Every method is told the time. Time must not run backwards; a call with an earlier `now` than the one before is
/// taken as if it came at the same moment. Equal inputs give equal outputs, byte for byte.
#[derive(Debug)]
pub struct Node {
    config: Config,
    identity: Identity,
    id: NodeId,
    cluster: Option<Cluster>,
    /// Where the configuration says that members are.
    configured: BTreeMap<NodeId, Vec<Address>>,
    started: Instant,
    /// The wall clock at `started`. It is never read again: a clock that jumps disturbs nothing.
    unix: Duration,
    /// The time of the last call.
    now: Instant,
    drbg: Drbg,
    jitter: Jitter,
    incarnations: Incarnations,
    members: Members,
    links: Links,
    /// Who keeps links with whom, as the member list has it.
    neighbourhood: Neighbourhood,
    temporary: Temporary,
    directory: Directory,
    gossip: Gossip,
    search: Search,
    spread: News,
    history: History,
    own: OwnAddresses,
    invites: Invites,
    responder: Responder,
    joining: Option<Joining>,
    leaving: Option<Leaving>,
    subscriptions: Subscriptions,
    sync: Sync,
    probes: Budget,
    /// Changes of known records that others may still cause.
    news: Budget,
    /// Of these, those that each member may cause.
    news_shares: Shares,
    /// Pages of the member list that each member may still get.
    pages: Shares,
    outbox: Outbox,
    timers: NodeTimers,
    schedule: Schedule,
    counters: Counters,
    revision: Revision,
    /// Whether the owner can store what changes.
    durable: bool,
    /// When the vote on this node's own addresses last made a change.
    own_changed: Option<Instant>,
    /// When a datagram last went each way with anybody.
    last_exchange: Instant,
    /// When all peers were last told at once that this node seems to have moved.
    last_burst: Option<Instant>,
    /// When a peer was last asked again where it sees this node.
    asked_again: Option<Instant>,
    /// How long after `last_burst` all may be told again.
    burst_pause: Duration,
    orphan: bool,
    /// Whether a peer has turned this node away as a second machine since one last answered.
    doubled: bool,
    stopped: bool,
}

impl Node {
    /// A node with what it kept from its last run.
    ///
    /// `seed` must come from the operating system's generator and be used once: all keys follow from it. `unix` is the
    /// wall clock at `now`, since 1970; a wrong one harms nothing but the expiry of invites.
    #[must_use]
    pub fn new(config: Config, identity: Identity, saved: Saved, seed: [u8; 32], now: Instant, unix: Duration) -> Self {
        let mut drbg = Drbg::new(seed);
        let jitter = Jitter::new(u64::from_be_bytes(drbg.array()));
        let public_key = identity.public_key();
        let mut node = Self {
            id: identity.node_id(),
            cluster: config.cluster.clone(),
            configured: BTreeMap::new(),
            started: now,
            unix,
            now,
            jitter,
            incarnations: Incarnations::new(&drbg.array()),
            members: Members::new(identity.node_id(), config.max_members.get()),
            links: Links::default(),
            neighbourhood: Neighbourhood::of(0),
            temporary: Temporary::default(),
            directory: Directory::default(),
            gossip: Gossip::default(),
            search: Search::default(),
            spread: News::default(),
            history: History::default(),
            own: OwnAddresses::default(),
            invites: Invites::restore(saved.invites.clone()),
            responder: Responder::new(public_key, now),
            joining: None,
            leaving: None,
            subscriptions: Subscriptions::default(),
            sync: Sync::default(),
            probes: Budget::new(PROBE_BURST, PROBE_PERIOD, now),
            news: Budget::new(NEWS_BURST, NEWS_PERIOD, now),
            news_shares: Shares::new(NEWS_SHARE_BURST, NEWS_SHARE_PERIOD),
            pages: Shares::new(PAGES_BURST, PAGES_PERIOD),
            outbox: Outbox::default(),
            timers: NodeTimers::new(now),
            schedule: Schedule::default(),
            counters: Counters::default(),
            revision: Revision::default(),
            durable: true,
            own_changed: None,
            last_exchange: now,
            last_burst: None,
            asked_again: None,
            burst_pause: Duration::ZERO,
            orphan: false,
            doubled: false,
            stopped: false,
            drbg,
            config,
            identity,
        };
        node.restore(now, &saved);
        node
    }

    /// Takes a datagram that came from `from`. Sealed parts are decrypted in place.
    ///
    /// # Errors
    ///
    /// The datagram was discarded: nothing changed but a counter, and nothing is sent (under load: a cookie at most).
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &mut [u8]) -> Result<(), Discard> {
        let now = self.advance(now);
        self.counters.received += 1;
        let result = self.receive(now, from, datagram);
        if let Err(reason) = result {
            self.counters.discard(reason);
        }
        result
    }

    /// Does everything that is due at `now`. Early calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.advance(now);
        while let Some((_, slot)) = self.schedule.first().filter(|&(at, _)| at <= now) {
            if slot == Slot::NODE {
                if let Some(timer) = self.timers.take_due(now) {
                    self.reschedule(slot);
                    self.handle_node_timer(now, timer);
                }
            } else {
                let timer = self.links.get_mut(slot).and_then(|link| link.timers.take_due(now));
                self.reschedule(slot);
                if let Some(timer) = timer {
                    self.handle_link_timer(now, slot, timer);
                }
            }
        }
    }

    /// The next thing to do, in causal order; `None` when there is nothing left.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output<'_>> {
        self.outbox.pop()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest; `None` if never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.outbox.is_empty() { self.schedule.first().map(|(at, _)| at) } else { Some(self.now) }
    }

    fn handle_node_timer(&mut self, now: Instant, timer: NodeTimer) {
        match timer {
            NodeTimer::Exchange => self.exchange_with_somebody(now),
            NodeTimer::Join => self.resend_join(now),
            NodeTimer::Pending => self.forget_unconfirmed(now),
            NodeTimer::Orphan => self.check_orphan(now),
            NodeTimer::Temporary => self.end_temporary(now),
            NodeTimer::Gossip => self.tell_gossip(now),
            NodeTimer::Search => self.search_on(now),
            NodeTimer::News => self.push_waiting(now),
            NodeTimer::Farewell => self.say_farewell(now),
        }
    }

    fn handle_link_timer(&mut self, now: Instant, slot: Slot, timer: LinkTimer) {
        match timer {
            LinkTimer::Heartbeat => self.send_heartbeat(now, slot),
            LinkTimer::Resend => self.resend_heartbeat(now, slot),
            LinkTimer::Lost => self.declare_lost(now, slot),
            LinkTimer::Handshake => self.resend_initiation(now, slot),
            LinkTimer::Path => self.step_path(now, slot),
            LinkTimer::Probe => self.probe(now, slot),
            LinkTimer::Retry => self.retry(now, slot),
            LinkTimer::Rekey => self.rekey(now, slot),
            LinkTimer::Previous => self.forget_previous(slot),
            LinkTimer::Sync => self.synchronise(now, slot),
            LinkTimer::Contest => self.step_contest(now, slot),
        }
    }

    /// Time never runs backwards here.
    fn advance(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }

    /// Sets a timer of a link.
    fn arm(&mut self, slot: Slot, timer: LinkTimer, at: Instant) {
        if let Some(link) = self.links.get_mut(slot) {
            link.timers.set(timer, Some(at));
            self.schedule.set(slot, link.timers.next());
        }
    }

    /// Stops a timer of a link.
    fn disarm(&mut self, slot: Slot, timer: LinkTimer) {
        if let Some(link) = self.links.get_mut(slot) {
            link.timers.set(timer, None);
            self.schedule.set(slot, link.timers.next());
        }
    }

    /// Sets a timer of the node as a whole.
    fn arm_node(&mut self, timer: NodeTimer, at: Instant) {
        self.timers.set(timer, Some(at));
        self.schedule.set(Slot::NODE, self.timers.next());
    }

    /// Stops a timer of the node as a whole.
    fn disarm_node(&mut self, timer: NodeTimer) {
        self.timers.set(timer, None);
        self.schedule.set(Slot::NODE, self.timers.next());
    }

    fn reschedule(&mut self, slot: Slot) {
        let next = if slot == Slot::NODE {
            self.timers.next()
        } else {
            self.links.get(slot).and_then(|link| link.timers.next())
        };
        self.schedule.set(slot, next);
    }

    /// The wall clock, as far as it is known: what it said at the start, and the time since.
    fn unix(&self, now: Instant) -> Duration {
        self.unix.saturating_add(now.saturating_duration_since(self.started))
    }

    /// The heartbeat interval.
    fn interval(&self) -> Duration {
        self.config.heartbeat.get()
    }
}
