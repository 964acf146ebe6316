//! Member lists that differ are made equal page by page: one peer at a time, and not again where nothing came of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::config::MaxMembers;
use crate::node::Node;
use crate::node::links::Slot;
use crate::node::members::REMOVED_MAX;
use crate::node::receive::Arrival;
use crate::node::timer::LinkTimer;
use crate::wire::id::{Digest, NodeId};
use crate::wire::members::Members as Page;
use crate::wire::members_request::MembersRequest;
use crate::wire::record::MemberRecord;

/// How long two member lists may differ before a page is asked for: what is new travels by itself. Spec: `SYNC_DELAY`.
const SYNC_DELAY: Duration = Duration::from_secs(1);
/// After which time a page that did not come is asked for again. Spec: `SYNC_RESEND`.
const SYNC_RESEND: Duration = Duration::from_secs(1);
/// How often a page is asked for. Spec: `SYNC_TRIES`.
const SYNC_TRIES: u8 = 20;
/// How long a list that taught nothing is not asked for again while neither changes. Spec: `SYNC_FRUITLESS`.
const SYNC_FRUITLESS: Duration = Duration::from_secs(600);
/// The rest after a list was read, for each of its pages. Spec: `SYNC_REST`.
const SYNC_REST: Duration = Duration::from_millis(250);

/// What a node does about lists that differ from its own.
#[derive(Debug, Default)]
pub(super) struct Sync {
    reading: Option<Reading>,
    /// Whether records of the list being read are taken in now: links are chosen when all have come.
    pub(super) defers_links: bool,
    /// Until when no list is read.
    rest: Option<Instant>,
    /// Lists that taught this node nothing: at most one of each member.
    fruitless: BTreeMap<NodeId, Fruitless>,
}

/// The list that a node is reading from a peer.
#[derive(Debug)]
struct Reading {
    slot: Slot,
    /// The last ID of the last page.
    after: NodeId,
    /// How many more pages are read.
    pages: usize,
    /// How often the present page was asked for.
    tries: u8,
    /// Whether a record changed this node's list, or could not now.
    fruitful: bool,
}

/// A list that taught this node nothing.
#[derive(Clone, Copy, Debug)]
struct Fruitless {
    own: Digest,
    peer: Digest,
    until: Instant,
}

impl Sync {
    /// Records come from the peer at `slot`: if its list is being read, links are chosen later.
    pub(super) fn defer_links(&mut self, slot: Slot) {
        self.defers_links = self.reading.as_ref().is_some_and(|reading| reading.slot == slot);
    }
}

impl Node {
    /// The peer's member list as its heartbeat tells it; where it differs for long, pages are asked for.
    pub(super) fn compare_digest(&mut self, now: Instant, slot: Slot, digest: Digest) {
        let own = self.members.digest();
        let Some(link) = self.links.get_mut(slot) else { return };
        link.digest = Some(digest);
        let (id, runs) = (link.id, link.timers.runs(LinkTimer::Sync));
        if digest == own {
            self.sync.fruitless.remove(&id);
            if runs {
                self.end_sync(now, slot);
                self.disarm(slot, LinkTimer::Sync);
            }
        } else if !runs && !self.is_fruitless(now, id, digest) {
            self.arm_sync(now, slot);
        }
    }

    /// Asks a peer whose list still differs for the first page, or for a page that did not come once more.
    pub(super) fn synchronise(&mut self, now: Instant, slot: Slot) {
        let own = self.members.digest();
        let Some(link) = self.links.get(slot) else { return };
        // A joiner reads before it was told a digest.
        let (up, differs) = (link.is_up(), link.digest != Some(own));
        match &mut self.sync.reading {
            Some(reading) if reading.slot != slot => {
                self.arm_sync(now, slot);
                return;
            }
            Some(reading) if reading.tries >= SYNC_TRIES || !differs => {
                self.end_sync(now, slot);
                return;
            }
            Some(reading) => reading.tries += 1,
            None if !differs || !up => return,
            None => {
                if let Some(rest) = self.sync.rest.filter(|rest| *rest > now) {
                    let delay = self.jitter.spread(SYNC_DELAY, 0..=100);
                    self.arm(slot, LinkTimer::Sync, rest + delay);
                } else {
                    self.read_list(now, slot);
                }
                return;
            }
        }
        self.ask_for_page(now);
    }

    /// Begins to read a peer's list, whatever was being read before.
    pub(super) fn read_list(&mut self, now: Instant, slot: Slot) {
        let (after, pages) = (NodeId::NONE, pages_max());
        self.sync.reading = Some(Reading { slot, after, pages, tries: 1, fruitful: false });
        self.ask_for_page(now);
    }

    /// A page came: asks for the next one, unless it was the last or answers no question.
    /// `fruitful`: whether a record of it changed this node's list, or could not now.
    pub(super) fn read_page(&mut self, now: Instant, arrival: &Arrival, page: &Page, fruitful: bool) {
        let Some(reading) = self.sync.reading.as_mut().filter(|reading| reading.slot == arrival.slot) else { return };
        reading.fruitful |= fruitful;
        let [first, last] = [page.records.as_slice().first(), page.records.as_slice().last()]
            .map(|record| record.map(MemberRecord::id));
        if first.is_some_and(|first| first <= reading.after) {
            return;
        }
        match last.filter(|_| page.more && reading.pages > 0) {
            Some(last) => {
                reading.after = last;
                reading.pages -= 1;
                reading.tries = 1;
                self.ask_for_page(now);
            }
            None => self.finish_sync(now),
        }
    }

    /// Stops reading the list of a peer, if it is being read. Links are chosen by what has come.
    pub(super) fn end_sync(&mut self, now: Instant, slot: Slot) {
        if let Some(reading) = self.sync.reading.take_if(|reading| reading.slot == slot) {
            self.sync.rest = Some(now + reading.rest());
            self.choose_links(now);
        }
    }

    /// Forgets what was read of a node that is no member any more.
    pub(super) fn forget_list_of(&mut self, id: NodeId) {
        self.sync.fruitless.remove(&id);
    }

    fn ask_for_page(&mut self, now: Instant) {
        let Some(reading) = &self.sync.reading else { return };
        let (slot, after) = (reading.slot, reading.after);
        self.send(now, slot, &MembersRequest { after });
        self.arm(slot, LinkTimer::Sync, now + SYNC_RESEND);
    }

    /// The peer's whole list was read. Where it taught nothing although it differs, the two keep different records for
    /// good, and it is left alone for a while.
    fn finish_sync(&mut self, now: Instant) {
        let Some(reading) = self.sync.reading.take() else { return };
        let (slot, fruitful) = (reading.slot, reading.fruitful);
        self.sync.rest = Some(now + reading.rest());
        self.choose_links(now);
        let own = self.members.digest();
        self.disarm(slot, LinkTimer::Sync);
        let until = now + self.jitter.spread(SYNC_FRUITLESS, 80..=120);
        let Some(link) = self.links.get(slot) else { return };
        let (id, Some(peer)) = (link.id, link.digest.filter(|peer| *peer != own)) else { return };
        if fruitful {
            self.arm_sync(now, slot);
        } else {
            self.sync.fruitless.insert(id, Fruitless { own, peer, until });
        }
    }

    /// Whether a peer's list was read to no avail while both were as they are.
    fn is_fruitless(&self, now: Instant, id: NodeId, peer: Digest) -> bool {
        let own = self.members.digest();
        self.sync.fruitless.get(&id).is_some_and(|known| known.own == own && known.peer == peer && now < known.until)
    }

    fn arm_sync(&mut self, now: Instant, slot: Slot) {
        let delay = self.jitter.spread(SYNC_DELAY, 50..=100);
        self.arm(slot, LinkTimer::Sync, now + delay);
    }
}

impl Reading {
    /// How long nothing is read after this list.
    fn rest(&self) -> Duration {
        let pages = pages_max().saturating_sub(self.pages) + 1;
        SYNC_REST * u32::try_from(pages).unwrap_or(u32::MAX)
    }
}

/// How many pages follow the first one of the longest list.
fn pages_max() -> usize {
    (usize::from(MaxMembers::MAX) + REMOVED_MAX) / Page::MAX
}
