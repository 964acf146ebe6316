//! Losing and finding: asking others where a peer is, and bringing together those who look for each other.

use std::time::{Duration, Instant};

use crate::node::Node;
use crate::node::budget::Budget;
use crate::node::candidates;
use crate::node::link::{Link, Role};
use crate::node::links::Slot;
use crate::node::receive::Arrival;
use crate::node::status::{PeerState, Scope};
use crate::node::subscriptions::RENDEZVOUS_MIN;
use crate::wire::address::Address;
use crate::wire::id::NodeId;
use crate::wire::list::List;
use crate::wire::locate::Locate;
use crate::wire::located::{Located, LocatedEntry, Source};
use crate::wire::rendezvous::Rendezvous;

/// How many peers are asked at once. Spec: `LOCATE_PEERS`.
const LOCATE_PEERS: usize = 3;
/// How many members a peer is brought together with in a burst because it asks for them, and the time in which it gains
/// another one. Spec: `MEETINGS_BUDGET`.
const MEETINGS_BURST: u32 = 256;
const MEETINGS_PERIOD: Duration = Duration::from_millis(100);
/// How many Locate go to a peer while few are up. Spec: `LOCATE_ALL`.
const LOCATE_ALL: usize = 8;
/// How many neighbours of a missing member are called to ask them. Spec: `NEIGHBOURS_CALLED`.
const NEIGHBOURS_CALLED: usize = 2;
/// How many peers that know more are named for one wanted member, and in one answer. Spec: `HELPERS`, `HELPERS_MAX`.
const HELPERS: usize = 2;
const HELPERS_MAX: usize = 4;
/// Of how many peers Rendezvous for one seeker are acted upon within `RENDEZVOUS_MIN`. Spec: `INTRODUCERS_MAX`.
const INTRODUCERS_MAX: usize = 16;

impl Node {
    /// Asks three peers where one is: those first that are its neighbours and know it themselves, then those heard last.
    pub(super) fn locate(&mut self, now: Instant, slot: Slot) {
        let Some(link) = self.links.get(slot) else { return };
        let (wanted, missed) = (link.id, link.is_missed());
        let mut up: Vec<(bool, Option<Instant>, Slot)> = self
            .links
            .iter()
            .filter(|&(other, link)| other != slot && link.is_up())
            .map(|(other, link)| (self.neighbourhood.joins(link.id, wanted), link.last_heard, other))
            .collect();
        up.sort_unstable_by(|a, b| b.cmp(a));
        let informed = up.first().is_none_or(|&(neighbour, ..)| neighbour);
        let mut ids = List::new();
        let _ = ids.push(wanted);
        for (_, _, other) in up.into_iter().take(LOCATE_PEERS) {
            self.send(now, other, &Locate { ids });
        }
        if missed && !informed && !self.has_few_peers() {
            self.call_neighbours_of(now, wanted);
        }
    }

    /// A peer is up: it is asked for everybody who is missing, some at a time. The first ones are asked for all.
    pub(super) fn locate_missing_through(&mut self, now: Instant, slot: Slot) {
        let Some(peer) = self.links.get(slot).map(|link| link.id) else { return };
        let looked_for = |other: Slot, link: &Link| {
            let missing = !matches!(link.state, PeerState::Up | PeerState::Left | PeerState::Conflict);
            missing && other != slot && link.role.is_looked_for() && !self.is_first_called(other)
        };
        // Whom the peer knows itself comes first.
        let order = |link: &Link| (!self.neighbourhood.joins(peer, link.id), link.id);
        let mut missing: Vec<(bool, NodeId)> =
            self.links.iter().filter(|&(other, link)| looked_for(other, link)).map(|(_, link)| order(link)).collect();
        missing.sort_unstable();
        let missing: Vec<NodeId> = missing.into_iter().map(|(_, id)| id).collect();
        let datagrams = if self.has_few_peers() && !self.neighbourhood.is_mesh() { LOCATE_ALL } else { 1 };
        for ids in missing.chunks(Locate::MAX).take(datagrams) {
            if let Ok(locate) = Locate::of(ids) {
                self.send(now, slot, &locate);
            }
        }
    }

    /// None of the peers knows a missing one itself: calls some of its neighbours, to ask them.
    fn call_neighbours_of(&mut self, now: Instant, wanted: NodeId) {
        let mut heard: Vec<(Option<Instant>, NodeId)> = self
            .members
            .records()
            .filter(|&(id, _)| id != wanted && id != self.id && self.neighbourhood.joins(id, wanted))
            .filter(|&(id, _)| self.members.contains(id) && self.links.slot(id).is_none())
            .filter_map(|(id, _)| Some((self.directory.last(id)?.heard, id)))
            .collect();
        heard.sort_unstable();
        for (_, id) in heard.into_iter().rev().take(NEIGHBOURS_CALLED) {
            self.call_spare(now, id, false);
        }
    }

    /// Whether a peer is called for the first time, where it was last: most answer, so nobody is asked about them yet. When
    /// all start at once, as after a power cut, everybody would otherwise ask everybody about everybody. Spec: STATE-14.
    pub(super) fn is_first_called(&self, slot: Slot) -> bool {
        let unknown = |link: &Link| link.role == Role::Kept && link.state == PeerState::Unknown && link.rounds <= 1;
        self.links.get(slot).is_some_and(unknown) && !self.known_addresses(slot).is_empty()
    }

    pub(super) fn receive_locate(&mut self, now: Instant, arrival: &Arrival, locate: &Locate) {
        let Some(asker) = self.links.get(arrival.slot) else { return };
        let (asker_id, Some(asker_address)) = (asker.id, asker.path.current()) else { return };
        let mut entries = List::new();
        let mut helpers: Vec<NodeId> = Vec::new();
        for &wanted in locate.ids.iter() {
            if wanted == asker_id || wanted == self.id || !self.members.contains(wanted) {
                continue;
            }
            let due = self.subscriptions.subscribe(wanted, asker_id, now);
            if let Some(entry) = self.entry(now, wanted, asker_address) {
                let _ = entries.push(entry);
            }
            match self.links.by_id(wanted).filter(|(_, link)| link.is_up()) {
                Some((slot, link)) => {
                    let calls = link.role.calls();
                    if !due || !self.may_meet(now, arrival.slot) {
                        continue;
                    }
                    // Whoever is looked for may have moved without knowing: it should talk to both of us.
                    self.introduce(now, slot, asker_id, asker_address);
                    if calls {
                        self.send_heartbeat(now, slot);
                    }
                }
                None => self.add_helpers(wanted, asker_id, &mut helpers),
            }
        }
        for id in helpers {
            if let Some(entry) = self.entry(now, id, asker_address).filter(|_| !entries.iter().any(|e| e.id == id)) {
                let _ = entries.push(entry);
            }
        }
        self.send(now, arrival.slot, &Located { entries });
    }

    /// Peers that are neighbours of a member which this node has no word from: they know more.
    fn add_helpers(&self, wanted: NodeId, asker: NodeId, helpers: &mut Vec<NodeId>) {
        if self.neighbourhood.is_mesh() {
            return;
        }
        let up = self.links.iter().filter(|(_, link)| link.is_up() && link.role.calls() && link.id != asker);
        let room = HELPERS_MAX.saturating_sub(helpers.len()).min(HELPERS);
        let fitting = up.filter(|(_, link)| self.neighbourhood.joins(link.id, wanted)).take(room);
        helpers.extend(fitting.map(|(_, link)| link.id));
    }

    pub(super) fn receive_located(&mut self, now: Instant, arrival: &Arrival, located: &Located) {
        for entry in located.entries.iter() {
            let known = self.links.slot(entry.id);
            if entry.id == self.id || !self.members.contains(entry.id) {
                continue;
            }
            if known.is_some_and(|slot| slot == arrival.slot || !self.is_missing(slot)) {
                continue;
            }
            if let Some(slot) = known {
                self.add_hearsay(now, slot, &[entry.address], Some(arrival));
            }
            self.take_hearsay(now, entry, arrival.from);
            if entry.source == Source::Up {
                self.consult(now, arrival.slot, entry.id);
            }
        }
    }

    /// Notes where somebody says that a member is.
    fn take_hearsay(&mut self, now: Instant, entry: &LocatedEntry, via: Address) {
        if self.neighbourhood.is_mesh() || !candidates::acceptable(entry.address, Some(via)) {
            return;
        }
        let age = (entry.age_s != u32::MAX).then(|| Duration::from_secs(u64::from(entry.age_s)));
        let heard = age.and_then(|age| now.checked_sub(age));
        if self.directory.tell(entry.id, entry.address, heard) {
            self.rumour(now, entry.id);
        }
    }

    pub(super) fn receive_rendezvous(&mut self, now: Instant, arrival: &Arrival, rendezvous: &Rendezvous) {
        let seeker = rendezvous.seeker;
        if seeker == self.id || !self.members.contains(seeker) {
            return;
        }
        let slot = self.links.slot(seeker).unwrap_or_else(|| self.receive_guest(now, seeker));
        if slot == arrival.slot {
            return;
        }
        let Some(teller) = self.links.get(arrival.slot).map(|link| link.id) else { return };
        let Some(link) = self.links.get_mut(slot) else { return };
        let tellers = &mut link.rare_mut().rendezvous;
        tellers.retain(|&(_, until)| now < until);
        if tellers.len() >= INTRODUCERS_MAX || tellers.iter().any(|&(known, _)| known == teller) {
            return;
        }
        tellers.push((teller, now + RENDEZVOUS_MIN));
        if link.is_up() {
            // Somebody who is looked for from the address at which it is known has perhaps moved itself.
            self.send_heartbeat(now, slot);
        }
        self.add_hearsay(now, slot, rendezvous.addresses.as_slice(), Some(arrival));
    }

    /// A peer was found, or moved: those who look for it are told, and it is told of them.
    pub(super) fn tell_seekers(&mut self, now: Instant, slot: Slot) {
        let Some(found) = self.links.get(slot).filter(|link| link.is_up()) else { return };
        let (found_id, Some(found_address)) = (found.id, found.path.current()) else { return };
        for asker in self.subscriptions.askers(found_id, now) {
            let Some((asker_slot, link)) = self.links.by_id(asker).filter(|(_, link)| link.is_up()) else { continue };
            let Some(asker_address) = link.path.current() else { continue };
            if let Some(entry) = self.entry(now, found_id, asker_address) {
                let mut entries = List::new();
                let _ = entries.push(entry);
                self.send(now, asker_slot, &Located { entries });
            }
            self.introduce(now, slot, asker, asker_address);
        }
        for wanted in self.subscriptions.wanted_by(found_id, now) {
            if let Some((wanted_slot, _)) = self.links.by_id(wanted).filter(|(_, link)| link.is_up()) {
                self.introduce(now, wanted_slot, found_id, found_address);
            }
        }
    }

    /// Whether a peer may have one more member told to call it, which costs that member datagrams.
    fn may_meet(&mut self, now: Instant, asker: Slot) -> bool {
        let Some(link) = self.links.get_mut(asker) else { return false };
        let full = || Budget::new(MEETINGS_BURST, MEETINGS_PERIOD, now);
        link.rare_mut().meetings.get_or_insert_with(full).take(now)
    }

    /// Tells the peer at `slot` that `seeker` looks for it from `address`.
    fn introduce(&mut self, now: Instant, slot: Slot, seeker: NodeId, address: Address) {
        let Some(to) = self.links.get(slot).and_then(|link| link.path.current()) else { return };
        if !tellable(address, to) {
            return;
        }
        let mut addresses = List::new();
        let _ = addresses.push(address);
        self.send(now, slot, &Rendezvous { seeker, addresses });
    }
}

/// Whether an address means something to somebody at `to`: one of a single machine or a single link means nothing
/// outside it. Spec: ADDR-10.
pub(super) fn tellable(address: Address, to: Address) -> bool {
    let scope = Scope::of(address.ip());
    !matches!(scope, Scope::Loopback | Scope::LinkLocal) || scope == Scope::of(to.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Address {
        text.parse::<std::net::SocketAddr>().unwrap().try_into().unwrap()
    }

    /// Spec: ADDR-10.
    #[test]
    fn what_means_nothing_elsewhere_is_told_to_nobody_elsewhere() {
        let (world, lan, link) = (at("198.51.100.1:1"), at("10.0.0.1:1"), at("169.254.1.1:1"));
        let (link6, machine, machine6) = (at("[fe80::1]:1"), at("127.0.0.1:1"), at("[::1]:1"));
        for address in [world, lan] {
            assert!([world, lan, link, machine].iter().all(|to| tellable(address, *to)), "{address}");
        }
        for address in [link, link6, machine, machine6] {
            assert!([world, lan].iter().all(|to| !tellable(address, *to)), "{address}");
        }
        assert!(tellable(link, link6) && tellable(machine, machine6));
        assert!(!tellable(link, machine) && !tellable(machine6, link6));
    }
}
