//! With whom a node keeps links: chosen anew whenever the member list calls for it.

use std::time::{Duration, Instant};

use crate::node::Node;
use crate::node::link::{Link, Role};
use crate::node::neighbours::Neighbourhood;
use crate::node::status::PeerState;
use crate::node::timer::LinkTimer;
use crate::wire::id::NodeId;

/// Over how long the first attempts at many members are spread. Spec: `START_SPREAD`.
const START_SPREAD: Duration = Duration::from_millis(500);

impl Node {
    /// When the first round of attempts at a member begins that the node starts to look for.
    pub(super) fn first_round(&mut self) -> Duration {
        self.jitter.spread(START_SPREAD, 0..=100)
    }

    /// Begins to look for a member, if a link with it is kept for good.
    pub(super) fn link_member(&mut self, now: Instant, id: NodeId) {
        if id == self.id || self.is_removed() || !self.is_kept(id) {
            return;
        }
        let Some((slot, link)) = self.links.by_id(id) else {
            let slot = self.links.insert(Link::new(id, Role::Kept, now));
            let spread = self.first_round();
            self.arm(slot, LinkTimer::Retry, now + spread);
            self.check_orphan(now);
            return;
        };
        if link.role != Role::Kept {
            // Its owner was not told so far that the peer is up, and is when the peer is heard next.
            let up = link.is_up();
            self.set_state(now, slot, PeerState::Unknown);
            self.set_role(now, slot, Role::Kept);
            if up {
                self.send_heartbeat(now, slot);
            }
            if self.links.get(slot).is_some_and(|link| !link.timers.runs(LinkTimer::Retry)) {
                let spread = self.first_round();
                self.arm(slot, LinkTimer::Retry, now + spread);
            }
        }
    }

    /// Members came or went: where their number calls for other neighbours, links are chosen anew.
    pub(super) fn members_changed(&mut self, now: Instant) {
        if Neighbourhood::of(self.members.present()) != self.neighbourhood {
            self.choose_links(now);
        }
    }

    /// Chooses among all members with whom links are kept for good. Other links stay for as long as they are used.
    pub(super) fn choose_links(&mut self, now: Instant) {
        self.neighbourhood = Neighbourhood::of(self.members.present());
        let members: Vec<NodeId> = self.members.records().map(|(id, _)| id).collect();
        for id in members.into_iter().filter(|&id| self.members.contains(id)).collect::<Vec<_>>() {
            if self.is_kept(id) {
                self.link_member(now, id);
            } else if let Some(slot) = self.links.slot(id) {
                self.release_link(now, slot);
            }
        }
        self.start_gossip(now);
        self.check_search(now);
    }

    /// Whether a link with a member is kept for good.
    fn is_kept(&self, id: NodeId) -> bool {
        self.neighbourhood.joins(self.id, id) || self.configured.contains_key(&id)
    }
}
