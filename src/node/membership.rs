//! The member list as it changes: what is new is taken, sent on, and followed by what it means for the links.

use std::time::Instant;

use crate::node::Node;
use crate::node::event::{Event, Who};
use crate::node::history::History;
use crate::node::joining::is_provisional;
use crate::node::links::Slot;
use crate::node::members::Merge;
use crate::node::receive::Arrival;
use crate::node::subscriptions::Subscriptions;
use crate::node::sync::Sync;
use crate::node::timer::NodeTimer;
use crate::wire::id::NodeId;
use crate::wire::list::List;
use crate::wire::members::Members as Page;
use crate::wire::members_request::MembersRequest;
use crate::wire::record::{MemberRecord, MemberState};

impl Node {
    pub(super) fn receive_members_request(&mut self, now: Instant, arrival: &Arrival, request: &MembersRequest) {
        // A page is much longer than its request: it goes only to where the peer is proved to be, and asks from.
        let Some(link) = self.links.get(arrival.slot) else { return };
        if link.path.current() == Some(arrival.from) && self.pages.take(link.id, now) {
            let page = self.members.page(request.after);
            self.send(now, arrival.slot, &page);
        }
    }

    pub(super) fn receive_members(&mut self, now: Instant, arrival: &Arrival, page: &Page) {
        let Some(sender) = self.links.get(arrival.slot).map(|link| link.id) else { return };
        if self.leaving.is_some() {
            self.receive_farewell(now, arrival.slot, page);
            return;
        }
        let mut news = List::new();
        let mut fruitful = false;
        self.sync.defer_links(arrival.slot);
        for record in page.records.iter() {
            if !self.is_credible(sender, record) {
                continue;
            }
            // There is room for a bounded number of new records; what is known, or has to make room, could change for
            // ever.
            let id = record.id();
            let changes = self.members.get(id).is_some() || !self.members.has_room();
            if changes && self.members.is_news(record) && !self.may_change(now, sender) {
                self.counters.news_ignored += 1;
                fruitful = true;
                continue;
            }
            if self.take_record(now, record) {
                let _ = news.push(*record);
            }
        }
        self.sync.defers_links = false;
        self.admitted();
        if !news.is_empty() {
            self.push(now, Some(arrival.slot), &Page { more: false, records: news });
        }
        if news.iter().any(|record| record.id() == self.id) {
            self.announce_self(now);
        }
        self.read_page(now, arrival, page, fruitful || !news.is_empty());
    }

    /// Whether another change of a known record is taken from this member. None can spend what all others have together.
    fn may_change(&mut self, now: Instant, teller: NodeId) -> bool {
        self.news_shares.has(teller, now) && self.news.take(now) && self.news_shares.take(teller, now)
    }

    /// Whether a record is believed from this sender: nobody admits itself again. A removed node could otherwise undo
    /// its removal. Of an inviter whose record has not come yet there is nothing to undo, and there may be nobody else to
    /// tell it; so what stands for an inviter is taken from nobody. Spec: MEMB-4.
    fn is_credible(&self, sender: NodeId, record: &MemberRecord) -> bool {
        if is_provisional(record) {
            return false;
        }
        if record.id() != sender || record.state == MemberState::Removed {
            return true;
        }
        let known = self.members.get(sender).filter(|known| !is_provisional(known));
        known.is_none_or(|known| record.admission <= known.admission)
    }

    /// Merges a record and does what follows from it. Returns whether it was news.
    pub(super) fn take_record(&mut self, now: Instant, record: &MemberRecord) -> bool {
        let id = record.id();
        match self.members.merge(record) {
            Merge::Known | Merge::Full => return false,
            // Also where this node's own record has not come yet: it was let in, and is removed again.
            Merge::Removed | Merge::Noted if id == self.id => self.removed(now, record),
            Merge::Noted => {}
            Merge::Added { displaced } => {
                if let Some(displaced) = displaced {
                    self.dismiss(now, displaced);
                }
                self.welcome(now, record);
            }
            Merge::Changed => self.welcome(now, record),
            Merge::Removed => {
                // It is told why, before nobody here talks to it any more.
                if let Some(slot) = self.links.slot(id) {
                    self.send(now, slot, &page_of(*record));
                }
                self.dismiss(now, Who { id, name: record.name });
            }
        }
        self.revision.members += 1;
        if !self.sync.defers_links {
            self.members_changed(now);
        }
        true
    }

    /// A node is a member, or a member has another name.
    fn welcome(&mut self, now: Instant, record: &MemberRecord) {
        let id = record.id();
        if !self.sync.defers_links {
            self.link_member(now, id);
        }
        if id != self.id {
            self.outbox.event(Event::MemberAdded { peer: Who { id, name: record.name } });
        }
    }

    /// A node is no member any more.
    fn dismiss(&mut self, now: Instant, peer: Who) {
        self.outbox.event(Event::MemberRemoved { peer });
        if let Some(slot) = self.links.slot(peer.id) {
            self.drop_links(now, &[slot]);
        }
        self.subscriptions.forget(peer.id);
        self.history.forget(peer.id);
        self.directory.forget(peer.id);
        self.temporary.remove(peer.id);
        self.gossip.forget(peer.id);
        self.forget_list_of(peer.id);
    }

    /// Whether this node was removed from its cluster, by another member or by its own wish.
    pub(super) fn is_removed(&self) -> bool {
        self.members.removed(self.id).is_some()
    }

    /// This node is no member any more: it talks to nobody.
    pub(super) fn removed(&mut self, now: Instant, record: &MemberRecord) {
        let by = self.who(record.admitted_by);
        self.drop_links(now, &self.links.slots());
        self.subscriptions = Subscriptions::default();
        self.history = History::default();
        self.sync = Sync::default();
        self.forget_directory();
        self.disarm_node(NodeTimer::Exchange);
        self.admit_nobody();
        self.outbox.event(Event::Removed { by });
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
            self.members_changed(now);
            self.push(now, None, &page_of(record));
        }
    }

    /// Ends links.
    pub(super) fn drop_links(&mut self, now: Instant, gone: &[Slot]) {
        for &slot in gone {
            self.end_sync(now, slot);
            self.links.remove(slot);
            self.schedule.set(slot, None);
        }
        self.recount(now);
        self.check_orphan(now);
        self.check_search(now);
    }
}

/// A page with one record, which answers no request.
pub(super) fn page_of(record: MemberRecord) -> Page {
    let mut records = List::new();
    let _ = records.push(record);
    Page { more: false, records }
}
