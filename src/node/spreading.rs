//! Passing on what is new in the member list: at once when all is calm, many records together when much happens.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::node::Node;
use crate::node::links::Slot;
use crate::node::timer::NodeTimer;
use crate::wire::id::NodeId;
use crate::wire::list::List;
use crate::wire::members::Members as Page;

/// The shortest time between two times at which news are passed on. Spec: `NEWS_PAUSE`.
const PAUSE: Duration = Duration::from_millis(500);
/// To how many peers news go beyond a full mesh, drawn by lot each time. Spec: `NEWS_PEERS`.
const PEERS: usize = 12;

/// Records that are to be passed on.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Each with the node that told it, which need not hear it again.
    waiting: BTreeMap<NodeId, NodeId>,
    /// When news were last passed on.
    last: Option<Instant>,
}

impl Node {
    /// Sends records to the peers that are up, but for the one that told them: now, or a little later together with
    /// others if some were sent just before.
    pub(super) fn push(&mut self, now: Instant, except: Option<Slot>, page: &Page) {
        let teller = except.and_then(|slot| self.links.get(slot)).map_or(NodeId::NONE, |link| link.id);
        for record in page.records.iter() {
            self.spread.waiting.insert(record.id(), teller);
        }
        let free = self.spread.last.map_or(now, |last| last + PAUSE);
        if free <= now {
            self.push_waiting(now);
        } else if !self.timers.runs(NodeTimer::News) {
            self.arm_node(NodeTimer::News, free);
        }
    }

    /// Sends all records that wait.
    pub(super) fn push_waiting(&mut self, now: Instant) {
        let waiting = std::mem::take(&mut self.spread.waiting);
        self.spread.last = Some(now);
        for slot in self.news_peers() {
            let Some(peer) = self.links.get(slot).map(|link| link.id) else { continue };
            let mut records = List::new();
            for (&id, _) in waiting.iter().filter(|&(_, teller)| *teller != peer) {
                let Some(record) = self.members.get(id).copied() else { continue };
                if let Err(record) = records.push(record) {
                    self.send(now, slot, &Page { more: false, records });
                    records = List::new();
                    let _ = records.push(record);
                }
            }
            if !records.is_empty() {
                self.send(now, slot, &Page { more: false, records });
            }
        }
    }

    /// Whom news are told: all peers in a full mesh, else as many as reach everybody almost surely.
    fn news_peers(&mut self) -> Vec<Slot> {
        let mut up: Vec<Slot> =
            self.links.iter().filter(|(_, link)| link.is_up() && link.role.calls()).map(|(slot, _)| slot).collect();
        while !self.neighbourhood.is_mesh() && up.len() > PEERS {
            let drawn = self.jitter.below(up.len());
            up.swap_remove(drawn);
        }
        up
    }
}
