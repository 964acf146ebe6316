//! Links for a while: with members that are wanted, with any member where peers are few, and those that others keep.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::node::Node;
use crate::node::directory::{Directory, Sighting};
use crate::node::error::CommandError;
use crate::node::link::{Link, Role};
use crate::node::links::Slot;
use crate::node::searching::Search;
use crate::node::spreading::News;
use crate::node::status::PeerState;
use crate::node::timer::{LinkTimer, NodeTimer};
use crate::wire::address::Address;
use crate::wire::id::NodeId;
use crate::wire::locate::Locate;

/// How long a link is kept after it was last wanted. Spec: `WANTED`.
const WANTED: Duration = Duration::from_secs(60);
/// How long a member may take to answer that is called because any would do, or because it is said to call. Spec: `SPARE`.
const SPARE: Duration = Duration::from_secs(2);
/// How long a member is called that has demanded a cookie: it lives, and has more to do than it can. Spec: `SPARE_BUSY`.
const SPARE_BUSY: Duration = Duration::from_secs(10);
/// How many links a node calls for a while. Spec: `CALLED_MAX`.
const CALLED_MAX: usize = 96;
/// How many members are asked about a missing one because somebody named them. Spec: `CONSULTED_MAX`.
const CONSULTED_MAX: u8 = 4;

/// Until when links are kept that are not kept for good.
#[derive(Debug, Default)]
pub(crate) struct Temporary {
    until: BTreeMap<NodeId, Instant>,
    /// How many members were called to ask them about one that is missing, since it was last looked for.
    consulted: BTreeMap<NodeId, u8>,
}

impl Temporary {
    /// A link is kept for good, or gone.
    pub(super) fn remove(&mut self, id: NodeId) {
        self.until.remove(&id);
        self.consulted.remove(&id);
    }

    /// A member is looked for once more, so others may be asked about it once more.
    pub(super) fn consult_anew(&mut self, id: NodeId) {
        self.consulted.remove(&id);
    }

    fn next(&self) -> Option<Instant> {
        self.until.values().min().copied()
    }

    fn due(&self, now: Instant) -> Vec<NodeId> {
        self.until.iter().filter(|(_, until)| **until <= now).map(|(&id, _)| id).collect()
    }
}

impl Node {
    /// Wants to know where a member is: calls it, unless there is a link with it, and keeps the link for 60 s from the
    /// last such call on.
    ///
    /// In a cluster of some hundred members a node has links with some of them only; of the others it knows what it was
    /// told. Once it is wanted, a member is found in some round trips, and [`Node::status`] then shows it as `up`.
    ///
    /// # Errors
    ///
    /// [`CommandError::UnknownPeer`] if it is no other member, [`CommandError::NoCluster`] or [`CommandError::Removed`] if
    /// this node is none itself, [`CommandError::Stopped`] if it has stopped.
    pub fn want(&mut self, now: Instant, member: NodeId) -> Result<(), CommandError> {
        let now = self.command(now)?;
        self.membership()?;
        if member == self.id || !self.members.contains(member) {
            return Err(CommandError::UnknownPeer);
        }
        let known = self.links.slot(member);
        if known.is_none() {
            self.make_room_to_call(now);
        }
        let slot = known.unwrap_or_else(|| self.links.insert(Link::new(member, Role::Wanted, now)));
        let Some(link) = self.links.get(slot) else { return Ok(()) };
        let (role, state, silent) = (link.role, link.state, !link.is_up());
        if role != Role::Kept {
            self.set_role(now, slot, Role::Wanted);
            self.keep_until(member, now + WANTED);
        }
        if role == Role::Guest && !silent {
            self.send_heartbeat(now, slot);
        }
        if silent && (known.is_none() || role == Role::Guest) {
            self.retry(now, slot);
        } else if silent && state != PeerState::Conflict {
            self.look_for(now, slot);
        }
        Ok(())
    }

    /// Calls a member because any one would do, if there is a free place. `once`: by one probe of each known address.
    pub(super) fn call_spare(&mut self, now: Instant, id: NodeId, once: bool) -> bool {
        if id == self.id || self.links.slot(id).is_some() || self.called().count() >= CALLED_MAX {
            return false;
        }
        let known: Vec<Address> = self.directory.sightings(id).map(|sighting| sighting.address).collect();
        let slot = self.links.insert(Link::new(id, Role::Spare, now));
        self.keep_until(id, now + SPARE);
        self.add_hearsay(now, slot, &known, None);
        if once {
            self.probe_once(slot);
        }
        true
    }

    /// The link of a joiner with its inviter, where that is none of its neighbours.
    pub(super) fn call_inviter(&mut self, now: Instant, id: NodeId) -> Slot {
        self.make_room_to_call(now);
        let slot = self.links.insert(Link::new(id, Role::Spare, now));
        self.keep_until(id, now + WANTED);
        slot
    }

    /// A member without a link is said to call, or has called.
    pub(super) fn receive_guest(&mut self, now: Instant, id: NodeId) -> Slot {
        let slot = self.links.insert(Link::new(id, Role::Guest, now));
        self.keep_until(id, now + SPARE);
        slot
    }

    /// The peer at `teller` has the member `id` up. Where that one is a neighbour of a missing one, and no peer is, it
    /// is called, to ask it.
    pub(super) fn consult(&mut self, now: Instant, teller: Slot, id: NodeId) {
        if self.neighbourhood.is_mesh() || self.links.slot(id).is_some() {
            return;
        }
        let rule = self.neighbourhood;
        let asked = |id: NodeId| self.temporary.consulted.get(&id).copied().unwrap_or_default();
        let informed =
            |missing: NodeId| self.links.iter().any(|(_, link)| link.is_up() && rule.joins(link.id, missing));
        let fits = |link: &Link| {
            link.is_missed() && asked(link.id) < CONSULTED_MAX && rule.joins(id, link.id) && !informed(link.id)
        };
        let missing = self.links.iter().find(|(_, link)| fits(link)).map(|(_, link)| link.id);
        if let Some(missing) = missing.filter(|_| self.call_spare(now, id, false)) {
            *self.temporary.consulted.entry(missing).or_default() += 1;
            // So that it hears who calls it, and both open their NATs.
            if let Ok(locate) = Locate::of(&[id]) {
                self.send(now, teller, &locate);
            }
        }
    }

    /// Ends links whose time is over: those that answer stay for as long as the other side calls.
    pub(super) fn end_temporary(&mut self, now: Instant) {
        for id in self.temporary.due(now) {
            let Some((slot, link)) = self.links.by_id(id) else {
                self.temporary.remove(id);
                continue;
            };
            let heard_until = link.last_heard.map(|heard| heard + self.lost_after()).filter(|until| *until > now);
            match (link.role, link.is_up(), heard_until) {
                (Role::Kept, _, _) => self.temporary.remove(id),
                (Role::Spare, true, Some(_)) if self.has_few_peers() => self.keep_until(id, now + WANTED),
                (_, true, Some(until)) => {
                    self.set_role(now, slot, Role::Guest);
                    self.keep_until(id, until);
                }
                (Role::Spare, false, _) if link.cookie(now).is_some() && now < link.since + SPARE_BUSY => {
                    let known = self.known_addresses(slot);
                    self.add_hearsay(now, slot, &known, None);
                    self.keep_until(id, now + SPARE);
                }
                (Role::Wanted | Role::Spare | Role::Guest, _, _) => self.forget_link(now, slot),
            }
        }
        self.arm_temporary();
    }

    /// A peer of any kind answers: what was called in the hope of an answer has its time from now on.
    pub(super) fn temporary_is_up(&mut self, now: Instant, id: NodeId, role: Role) {
        match role {
            Role::Spare => self.keep_until(id, now + WANTED),
            Role::Guest => self.keep_until(id, now + self.lost_after()),
            Role::Kept | Role::Wanted => {}
        }
    }

    /// A responder under load asked this node to call again: it lives, so it is called again.
    pub(super) fn call_again(&mut self, now: Instant, slot: Slot) {
        let still = |link: &&mut Link| link.role == Role::Spare && !link.is_up() && now < link.since + SPARE_BUSY;
        let Some(link) = self.links.get_mut(slot).filter(still) else { return };
        let id = link.id;
        if let Some(candidates) = &mut link.candidates {
            candidates.again();
        }
        self.keep_until(id, now + SPARE);
    }

    /// Gives a link another role, and stops or starts what depends on it.
    pub(super) fn set_role(&mut self, now: Instant, slot: Slot, role: Role) {
        let Some(link) = self.links.get_mut(slot) else { return };
        let before = std::mem::replace(&mut link.role, role);
        if before == role {
            return;
        }
        let (id, up) = (link.id, link.is_up());
        if role == Role::Kept {
            self.temporary.remove(id);
        }
        if !role.calls() {
            link.outstanding = None;
            for timer in [LinkTimer::Heartbeat, LinkTimer::Resend, LinkTimer::Lost, LinkTimer::Retry] {
                link.timers.set(timer, None);
            }
            self.reschedule(slot);
            // A guest is no peer to rely on.
            self.check_search(now);
        } else if up && !before.calls() {
            let soon = self.first_heartbeat();
            self.arm(slot, LinkTimer::Heartbeat, now + soon);
        } else if !up && role.is_looked_for() && !before.is_looked_for() {
            let spread = self.first_round();
            self.arm(slot, LinkTimer::Retry, now + spread);
        }
    }

    /// A link that was kept for good becomes one for as long as it is used.
    pub(super) fn release_link(&mut self, now: Instant, slot: Slot) {
        let Some(link) = self.links.get(slot).filter(|link| link.role == Role::Kept) else { return };
        let id = link.id;
        if !link.is_up() {
            self.forget_link(now, slot);
            return;
        }
        self.set_role(now, slot, Role::Guest);
        self.keep_until(id, now + self.lost_after());
    }

    /// Forgets a link in silence, but for where the peer was.
    pub(super) fn forget_link(&mut self, now: Instant, slot: Slot) {
        let Some(link) = self.links.remove(slot) else { return };
        self.schedule.set(slot, None);
        self.temporary.remove(link.id);
        self.end_sync(now, slot);
        if let Some(address) = self.last_known(&link).filter(|_| link.last_heard.is_some()) {
            self.directory.see(link.id, Sighting { address, heard: link.last_heard });
        }
        if link.is_up() {
            self.recount(now);
            self.check_orphan(now);
            self.check_search(now);
        }
    }

    /// Forgets where members are, and what was to be told of them.
    pub(super) fn forget_directory(&mut self) {
        self.directory = Directory::default();
        self.temporary = Temporary::default();
        self.search = Search::default();
        self.spread = News::default();
        for timer in [NodeTimer::Temporary, NodeTimer::Search, NodeTimer::News] {
            self.disarm_node(timer);
        }
    }

    /// Calls guests, those heard last: whether one still is there shows only when it is called, and any peer will do.
    pub(super) fn call_guests(&mut self, now: Instant) {
        let room = CALLED_MAX.saturating_sub(self.called().count());
        let guests = self.links.iter().filter(|(_, link)| link.role == Role::Guest);
        let mut guests: Vec<(Option<Instant>, Slot)> = guests.map(|(slot, link)| (link.last_heard, slot)).collect();
        guests.sort_unstable_by(|a, b| b.cmp(a));
        for (_, slot) in guests.into_iter().take(room) {
            let Some(link) = self.links.get(slot) else { continue };
            let (id, at) = (link.id, link.path.current());
            self.set_state(now, slot, PeerState::Unknown);
            self.set_role(now, slot, Role::Spare);
            self.keep_until(id, now + SPARE);
            self.send_heartbeat(now, slot);
            // It may have forgotten the session.
            self.add_hearsay(now, slot, at.as_slice(), None);
            self.probe_once(slot);
        }
    }

    fn probe_once(&mut self, slot: Slot) {
        if let Some(candidates) = self.links.get_mut(slot).and_then(|link| link.candidates.as_mut()) {
            candidates.once();
        }
    }

    fn keep_until(&mut self, id: NodeId, until: Instant) {
        self.temporary.until.insert(id, until);
        self.arm_temporary();
    }

    fn arm_temporary(&mut self) {
        match self.temporary.next() {
            Some(at) => self.arm_node(NodeTimer::Temporary, at),
            None => self.disarm_node(NodeTimer::Temporary),
        }
    }

    /// The links that this node calls for a while.
    fn called(&self) -> impl Iterator<Item = (Slot, &Link)> {
        self.links.iter().filter(|(_, link)| matches!(link.role, Role::Wanted | Role::Spare))
    }

    /// Forgets a called link if all places are taken: one that does not answer before one that does, a spare one before
    /// a wanted one, the one whose time is over first.
    fn make_room_to_call(&mut self, now: Instant) {
        if self.called().count() < CALLED_MAX {
            return;
        }
        let until = |link: &Link| self.temporary.until.get(&link.id);
        let first = self.called().min_by_key(|(_, link)| (link.role == Role::Wanted, link.is_up(), until(link)));
        if let Some((slot, _)) = first {
            self.forget_link(now, slot);
        }
    }
}
