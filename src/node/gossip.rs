//! Gossip: what a node knows of where members are, told to one peer after the other. Spec: `spec/scale.md` section 4.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::node::Node;
use crate::node::link::Link;
use crate::node::links::Slot;
use crate::node::timer::NodeTimer;
use crate::wire::address::Address;
use crate::wire::id::NodeId;
use crate::wire::list::List;
use crate::wire::located::{Located, LocatedEntry, Source};

/// How much more often a node gossips that has heard of a move. Spec: `RUMOUR`.
const HASTE: u32 = 10;

/// How many peers a node tells of a move, for each doubling of the cluster. Spec: `TELLINGS`.
const TELLINGS: u32 = 2;

/// What is to be told.
#[derive(Debug)]
pub(crate) struct Gossip {
    /// Members whose address changed, and how many more peers this node tells of it.
    rumours: BTreeMap<NodeId, u32>,
    /// Up to which member the others were told of.
    cursor: NodeId,
}

impl Default for Gossip {
    fn default() -> Self {
        Self { rumours: BTreeMap::new(), cursor: NodeId::NONE }
    }
}

impl Gossip {
    /// Forgets a node that is no member any more.
    pub(super) fn forget(&mut self, id: NodeId) {
        self.rumours.remove(&id);
    }
}

/// Where a member is thought to be.
#[derive(Clone, Copy, Debug)]
struct Whereabouts {
    address: Address,
    source: Source,
    heard: Option<Instant>,
}

impl Node {
    /// A member is somewhere else than it was thought to be: worth telling.
    pub(super) fn rumour(&mut self, now: Instant, id: NodeId) {
        if self.neighbourhood.is_mesh() {
            return;
        }
        self.gossip.rumours.insert(id, TELLINGS * self.neighbourhood.doublings());
        let soon = now + self.jitter.spread(self.interval() / HASTE, 80..=120);
        if self.timers.get(NodeTimer::Gossip).is_none_or(|at| at > soon) {
            self.arm_node(NodeTimer::Gossip, soon);
        }
    }

    /// Gossips from now on, if the cluster is so large that there are members without a link.
    pub(super) fn start_gossip(&mut self, now: Instant) {
        if self.neighbourhood.is_mesh() {
            self.gossip = Gossip::default();
            self.disarm_node(NodeTimer::Gossip);
        } else if !self.timers.runs(NodeTimer::Gossip) {
            let first = self.jitter.spread(self.interval(), 0..=100);
            self.arm_node(NodeTimer::Gossip, now + first);
        }
    }

    /// Tells one peer, drawn by lot, of members: first of those that have moved, then of the others in turn.
    pub(super) fn tell_gossip(&mut self, now: Instant) {
        let up: Vec<(Slot, NodeId, Address)> = self
            .links
            .iter()
            .filter(|(_, link)| link.is_up() && link.role.calls())
            .filter_map(|(slot, link)| Some((slot, link.id, link.path.current()?)))
            .collect();
        if let Some(&(slot, peer, to)) = up.get(self.jitter.below(up.len())) {
            let mut entries = List::new();
            self.add_rumours(now, peer, to, &mut entries);
            self.add_in_turn(now, peer, to, &mut entries);
            if !entries.is_empty() {
                self.counters.gossip += 1;
                self.send(now, slot, &Located { entries });
            }
        }
        let pause = if self.gossip.rumours.is_empty() { self.interval() } else { self.interval() / HASTE };
        let pause = self.jitter.spread(pause, 80..=120);
        self.arm_node(NodeTimer::Gossip, now + pause);
    }

    /// The newest rumours: those that were told least often.
    fn add_rumours(&mut self, now: Instant, peer: NodeId, to: Address, entries: &mut List<LocatedEntry, 16>) {
        let mut waiting: Vec<(Reverse<u32>, NodeId)> =
            self.gossip.rumours.iter().map(|(&id, &left)| (Reverse(left), id)).collect();
        waiting.sort_unstable();
        for (Reverse(left), id) in waiting.into_iter().filter(|&(_, id)| id != peer) {
            let entry = self.entry(now, id, to);
            if entry.is_some_and(|entry| !entries.try_push(entry)) {
                return;
            }
            if left > 1 {
                self.gossip.rumours.insert(id, left - 1);
            } else {
                self.gossip.rumours.remove(&id);
            }
        }
    }

    /// Members in the order of their IDs, going on where the last datagram ended.
    fn add_in_turn(&mut self, now: Instant, peer: NodeId, to: Address, entries: &mut List<LocatedEntry, 16>) {
        let cursor = self.gossip.cursor;
        let (before, after): (Vec<NodeId>, Vec<NodeId>) =
            self.members.records().map(|(id, _)| id).partition(|&id| id <= cursor);
        for id in after.into_iter().chain(before).filter(|&id| id != peer && id != self.id) {
            let Some(entry) = self.entry(now, id, to).filter(|entry| entry.age_s != u32::MAX) else { continue };
            if entries.iter().any(|there| there.id == id) {
                continue;
            }
            if !entries.try_push(entry) {
                return;
            }
            self.gossip.cursor = id;
        }
    }

    /// What is known of where a member is, as far as it is of use to somebody at `asker`.
    pub(super) fn entry(&self, now: Instant, id: NodeId, asker: Address) -> Option<LocatedEntry> {
        let known = self.whereabouts(id).filter(|known| super::locating::tellable(known.address, asker))?;
        let age = known.heard.map(|heard| now.saturating_duration_since(heard) + Duration::from_millis(500));
        let age_s = age.and_then(|age| u32::try_from(age.as_secs()).ok()).unwrap_or(u32::MAX);
        Some(LocatedEntry { id, source: known.source, age_s, address: known.address })
    }

    /// Where a member is thought to be: where its link is up, else where it was heard last.
    fn whereabouts(&self, id: NodeId) -> Option<Whereabouts> {
        let link = self.links.by_id(id).map(|(_, link)| link);
        if let Some(link) = link.filter(|link| link.is_up()) {
            return Some(Whereabouts { address: link.path.current()?, source: Source::Up, heard: link.last_heard });
        }
        let told = self.directory.last(id).map(|last| (last.heard, last.address));
        let seen = link.and_then(|link: &Link| Some((link.last_heard, self.last_known(link)?)));
        let (heard, address) = [seen, told].into_iter().flatten().max_by_key(|(heard, _)| *heard)?;
        Some(Whereabouts { address, source: Source::LastSeen, heard })
    }
}
