//! Finding any peer at all: where few answer, all members are called, those heard lately first. Spec: `spec/scale.md`
//! section 6.

use std::time::{Duration, Instant};

use crate::node::Node;
use crate::node::timer::NodeTimer;
use crate::wire::id::NodeId;

/// With fewer peers that answer a node looks for more. Spec: `PEERS_MIN`.
const PEERS_MIN: usize = 3;
/// How long a node may have few peers before it calls other members. Spec: `SEARCH_DELAY`.
const SEARCH_DELAY: Duration = Duration::from_secs(2);
/// How many members are called at once, and the time to the next ones. Spec: `SEARCH_STEP`.
const STEP: usize = 8;
const STEP_PAUSE: Duration = Duration::from_millis(200);
/// The pause after the first round over all members; it doubles from round to round. Spec: `SEARCH_PAUSE`.
const PAUSE: Duration = Duration::from_secs(20);
const PAUSE_MAX: Duration = Duration::from_secs(120);

/// Members heard within this time are called in an order drawn by lot: if all called those first that were heard last,
/// all would call the same few at once. Spec: `SEARCH_RECENT`.
const RECENT: Duration = Duration::from_secs(600);

/// A search among all members.
#[derive(Debug, Default)]
pub(crate) struct Search {
    /// Who is still to be called in this round, the next one last.
    waiting: Vec<NodeId>,
    /// Rounds begun.
    rounds: u32,
}

impl Node {
    /// Whether so few peers answer that losing them would leave this node alone. Whether a guest still is there shows
    /// only when it calls.
    pub(super) fn has_few_peers(&self) -> bool {
        self.links.iter().filter(|(_, link)| link.is_up() && link.role.calls()).count() < PEERS_MIN
    }

    /// Begins to call other members when few peers answer, and stops when enough do.
    pub(super) fn check_search(&mut self, now: Instant) {
        let wanted = !self.neighbourhood.is_mesh() && self.has_few_peers();
        if wanted && !self.timers.runs(NodeTimer::Search) {
            let delay = self.jitter.spread(SEARCH_DELAY, 80..=100);
            self.arm_node(NodeTimer::Search, now + delay);
        } else if !wanted && self.timers.runs(NodeTimer::Search) {
            self.search = Search::default();
            self.disarm_node(NodeTimer::Search);
        }
    }

    /// Calls the next members of the round.
    pub(super) fn search_on(&mut self, now: Instant) {
        if self.neighbourhood.is_mesh() || !self.has_few_peers() {
            self.search = Search::default();
            return;
        }
        if self.search.waiting.is_empty() {
            self.call_guests(now);
            self.search.waiting = self.members_by_sighting(now);
            self.search.rounds += 1;
        }
        let mut called = 0;
        while let Some(id) = self.search.waiting.last().copied().filter(|_| called < STEP) {
            if self.links.slot(id).is_none() {
                // One probe each: with a thousand members it is more likely the wrong address than a lost datagram.
                if !self.call_spare(now, id, true) {
                    break;
                }
                called += 1;
            }
            self.search.waiting.pop();
        }
        let pause = if self.search.waiting.is_empty() {
            (PAUSE * 2u32.pow(self.search.rounds.saturating_sub(1).min(4))).min(PAUSE_MAX)
        } else {
            STEP_PAUSE
        };
        let pause = self.jitter.spread(pause, 80..=100);
        self.arm_node(NodeTimer::Search, now + pause);
    }

    /// All members whose address is known and who have no link, the one to call first at the end.
    fn members_by_sighting(&mut self, now: Instant) -> Vec<NodeId> {
        let is_recent = |at: Instant| now.saturating_duration_since(at) <= RECENT;
        let mut heard: Vec<(bool, Option<Instant>, [u8; 8], NodeId)> = self
            .members
            .records()
            .filter(|&(id, _)| self.members.contains(id) && self.links.slot(id).is_none())
            .filter_map(|(id, _)| Some((self.directory.last(id)?.heard, self.drbg.array(), id)))
            .map(|(heard, lot, id)| (heard.is_some_and(is_recent), heard.filter(|at| !is_recent(*at)), lot, id))
            .collect();
        heard.sort_unstable();
        heard.into_iter().map(|(_, _, _, id)| id).collect()
    }
}
