//! The member list, kept equal everywhere: what is new is pushed, what still differs is asked for page by page.

use std::time::{Duration, Instant};

use crate::node::Node;
use crate::node::event::Event;
use crate::node::link::Link;
use crate::node::links::Slot;
use crate::node::members::Merge;
use crate::node::receive::Arrival;
use crate::node::timer::LinkTimer;
use crate::wire::id::{Digest, NodeId, PublicKey};
use crate::wire::list::List;
use crate::wire::members::Members as Page;
use crate::wire::members_request::MembersRequest;
use crate::wire::record::{MemberRecord, MemberState};

/// How long two member lists may differ before a page is asked for: what is new travels by itself. Spec: `SYNC_DELAY`.
const SYNC_DELAY: Duration = Duration::from_secs(1);

impl Node {
    /// The peer's member list as its heartbeat tells it; where it differs for long, pages are asked for.
    pub(super) fn compare_digest(&mut self, now: Instant, slot: Slot, digest: Digest) {
        let same = digest == self.members.digest();
        let Some(link) = self.links.get_mut(slot) else { return };
        link.digest = Some(digest);
        if same {
            if link.timers.runs(LinkTimer::Sync) {
                self.disarm(slot, LinkTimer::Sync);
            }
        } else if !link.timers.runs(LinkTimer::Sync) {
            let delay = self.jitter.spread(SYNC_DELAY, 50..=100);
            self.arm(slot, LinkTimer::Sync, now + delay);
        }
    }

    /// Asks a peer whose list still differs for the first page.
    pub(super) fn synchronise(&mut self, now: Instant, slot: Slot) {
        let own = self.members.digest();
        let pages = self.pages();
        let Some(link) = self.links.get_mut(slot) else { return };
        if link.digest != Some(own) {
            link.pages = pages;
            self.send(now, slot, &MembersRequest { after: NodeId::NONE });
        }
    }

    pub(super) fn receive_members_request(&mut self, now: Instant, arrival: &Arrival, request: &MembersRequest) {
        // A page is much longer than its request: it goes to the validated path, wherever the request came from.
        let page = self.members.page(request.after);
        self.send(now, arrival.slot, &page);
    }

    pub(super) fn receive_members(&mut self, now: Instant, arrival: &Arrival, page: &Page) {
        let Some(sender) = self.links.get(arrival.slot).map(|link| link.id) else { return };
        let mut news = List::new();
        for record in page.records.iter() {
            // Nobody admits itself again: a removed node could otherwise undo its removal.
            let id = record.id();
            let known = self.members.get(id).map_or(0, |known| known.admission);
            if id == sender && record.admission > known && self.members.get(id).is_some() {
                continue;
            }
            // There is room for a bounded number of new records; what is known could change for ever.
            if self.members.get(id).is_some() && self.members.is_news(record) && !self.news.take(now) {
                self.counters.news_ignored += 1;
                continue;
            }
            if self.take_record(now, record) {
                let _ = news.push(*record);
            }
        }
        if !news.is_empty() {
            self.push(now, Some(arrival.slot), &Page { more: false, records: news });
        }
        let Some(link) = self.links.get_mut(arrival.slot) else { return };
        if let Some(last) = page.records.as_slice().last().filter(|_| page.more && link.pages > 0) {
            link.pages -= 1;
            self.send(now, arrival.slot, &MembersRequest { after: last.id() });
        }
    }

    /// Merges a record and does what follows from it. Returns whether it was news.
    pub(super) fn take_record(&mut self, now: Instant, record: &MemberRecord) -> bool {
        let id = record.id();
        let merge = self.members.merge(record);
        match merge {
            Merge::Known | Merge::Full => return false,
            Merge::Noted => {}
            Merge::Added | Merge::Changed => {
                self.add_link(now, record.public_key);
                if let Some(peer) = self.who(id).filter(|_| id != self.id) {
                    self.outbox.event(Event::MemberAdded { peer });
                }
            }
            Merge::Removed => {
                if let Some(peer) = self.who(id) {
                    self.outbox.event(Event::MemberRemoved { peer });
                }
                self.drop_links_to(now, id);
            }
        }
        self.revision.members += 1;
        true
    }

    /// Sends records to every peer that is up, but for the one that told them.
    pub(super) fn push(&mut self, now: Instant, except: Option<Slot>, page: &Page) {
        for slot in self.links.slots() {
            if Some(slot) != except && self.links.get(slot).is_some_and(Link::is_up) {
                self.send(now, slot, page);
            }
        }
    }

    /// Makes this node's own record say its configured name; the node is the authority on it.
    pub(super) fn announce_self(&mut self, now: Instant) {
        let known = self.members.get(self.id).copied();
        let record = match known {
            Some(record) if record.state == MemberState::Removed || record.name == self.config.name => return,
            Some(record) => {
                MemberRecord { name: self.config.name, revision: record.revision.saturating_add(1), ..record }
            }
            None => MemberRecord {
                public_key: self.identity.public_key(),
                admitted_by: self.id,
                admission: 0,
                state: MemberState::Member,
                revision: 1,
                name: self.config.name,
            },
        };
        if self.members.merge(&record) != Merge::Known {
            self.revision.members += 1;
            let mut records = List::new();
            let _ = records.push(record);
            self.push(now, None, &Page { more: false, records });
        }
    }

    /// Begins to look for a new member.
    pub(super) fn add_link(&mut self, now: Instant, public_key: PublicKey) {
        let id = NodeId::from(&public_key);
        if id == self.id || self.links.slot(id).is_some() {
            return;
        }
        let slot = self.links.insert(Link::new(id, now));
        let spread = self.jitter.spread(Duration::from_millis(500), 0..=100);
        self.arm(slot, LinkTimer::Retry, now + spread);
        self.check_orphan(now);
    }

    /// Ends the link with a node that is no member any more; all links, if that node is this one.
    pub(super) fn drop_links_to(&mut self, now: Instant, id: NodeId) {
        let gone = if id == self.id { self.links.slots() } else { self.links.slot(id).into_iter().collect() };
        for slot in gone {
            self.links.remove(slot);
            self.schedule.set(slot, None);
        }
        if id != self.id {
            self.history.forget(id);
        }
        self.subscriptions.forget(id);
        self.recount(now);
        self.check_orphan(now);
    }

    /// How many pages a whole list has at most.
    fn pages(&self) -> u16 {
        u16::try_from(2 * self.config.max_members.get() / Page::MAX + 1).unwrap_or(u16::MAX)
    }
}
