//! Losing and finding: asking others where a peer is, and bringing together those who look for each other.

use std::time::{Duration, Instant};

use crate::node::Node;
use crate::node::budget::Budget;
use crate::node::link::Link;
use crate::node::links::Slot;
use crate::node::receive::Arrival;
use crate::node::status::{PeerState, Scope};
use crate::node::subscriptions::RENDEZVOUS_MIN;
use crate::wire::address::Address;
use crate::wire::body::Body;
use crate::wire::id::NodeId;
use crate::wire::list::List;
use crate::wire::locate::Locate;
use crate::wire::located::{Located, LocatedEntry, Source};
use crate::wire::rendezvous::Rendezvous;

/// How many peers are asked at once. Spec: `LOCATE_PEERS`.
const LOCATE_PEERS: usize = 3;
/// How many members a peer is brought together with in a burst because it asks for them, and the time in which it gains
/// another one. Spec: `MEETINGS_BUDGET`.
const MEETINGS_BURST: u32 = 64;
const MEETINGS_PERIOD: Duration = Duration::from_millis(100);

impl Node {
    /// Asks the three peers that were heard last where a peer is.
    pub(super) fn locate(&mut self, now: Instant, slot: Slot) {
        let Some(wanted) = self.links.get(slot).map(|link| link.id) else { return };
        let mut up: Vec<(Option<Instant>, Slot)> = self
            .links
            .iter()
            .filter(|&(other, link)| other != slot && link.is_up())
            .map(|(other, link)| (link.last_heard, other))
            .collect();
        up.sort_unstable_by(|a, b| b.cmp(a));
        let mut ids = List::new();
        let _ = ids.push(wanted);
        for (_, other) in up.into_iter().take(LOCATE_PEERS) {
            self.send(now, other, &Locate { ids });
        }
    }

    /// A peer is up: it is asked for everybody who is missing, some at a time.
    pub(super) fn locate_missing_through(&mut self, now: Instant, slot: Slot) {
        let mut missing: Vec<NodeId> = self
            .links
            .iter()
            .filter(|&(other, link)| {
                let missing = !matches!(link.state, PeerState::Up | PeerState::Left | PeerState::Conflict);
                missing && other != slot && !self.is_first_called(other)
            })
            .map(|(_, link)| link.id)
            .collect();
        missing.sort_unstable();
        let mut ids = List::new();
        for id in missing {
            if ids.push(id).is_err() {
                break;
            }
        }
        if !ids.is_empty() {
            self.send(now, slot, &Locate { ids });
        }
    }

    /// Whether a peer is called for the first time, where it was last: most answer, so nobody is asked about them yet. When
    /// all start at once, as after a power cut, everybody would otherwise ask everybody about everybody. Spec: STATE-14.
    pub(super) fn is_first_called(&self, slot: Slot) -> bool {
        let unknown = |link: &Link| link.state == PeerState::Unknown && link.rounds <= 1;
        self.links.get(slot).is_some_and(unknown) && !self.known_addresses(slot).is_empty()
    }

    pub(super) fn receive_locate(&mut self, now: Instant, arrival: &Arrival, locate: &Locate) {
        let Some(asker) = self.links.get(arrival.slot) else { return };
        let (asker_id, Some(asker_address)) = (asker.id, asker.path.current()) else { return };
        let mut entries = List::new();
        for &wanted in locate.ids.iter() {
            if wanted == asker_id || wanted == self.id || !self.members.contains(wanted) {
                continue;
            }
            let due = self.subscriptions.subscribe(wanted, asker_id, now);
            let Some((slot, link)) = self.links.by_id(wanted) else { continue };
            let up = link.is_up();
            if let Some(entry) = self.entry(now, link, asker_address) {
                let _ = entries.push(entry);
            }
            if up && due && self.may_meet(now, arrival.slot) {
                // Whoever is looked for may have moved without knowing: it should talk to both of us.
                self.introduce(now, slot, asker_id, asker_address);
                self.send_heartbeat(now, slot);
            }
        }
        self.send(now, arrival.slot, &Located { entries });
    }

    pub(super) fn receive_located(&mut self, now: Instant, arrival: &Arrival, located: &Located) {
        for entry in located.entries.iter() {
            let Some((slot, _)) = self.links.by_id(entry.id) else { continue };
            if slot != arrival.slot && self.is_missing(slot) {
                self.add_hearsay(now, slot, &[entry.address], Some(arrival));
            }
        }
    }

    pub(super) fn receive_rendezvous(&mut self, now: Instant, arrival: &Arrival, rendezvous: &Rendezvous) {
        let Some(slot) = self.links.slot(rendezvous.seeker).filter(|&slot| slot != arrival.slot) else { return };
        let Some(link) = self.links.get_mut(slot) else { return };
        if link.rare().and_then(|rare| rare.rendezvous).is_some_and(|until| now < until) {
            return;
        }
        link.rare_mut().rendezvous = Some(now + RENDEZVOUS_MIN);
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
            let Some(found) = self.links.get(slot) else { return };
            if let Some(entry) = self.entry(now, found, asker_address) {
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

    /// Sends a message to a peer by the path in use. Nothing is sent to a peer without session or path.
    pub(super) fn send(&mut self, now: Instant, slot: Slot, body: &impl Body) {
        let Some(link) = self.links.get_mut(slot) else { return };
        let (Some(to), Some(session)) = (link.path.current(), &mut link.session) else { return };
        if self.outbox.transmit(to, |bytes| session.encode(now, body, bytes)).is_err() {
            self.rekey(now, slot);
        }
    }

    /// What is known of where a peer is, as far as it is of use to somebody at `asker`.
    fn entry(&self, now: Instant, link: &Link, asker: Address) -> Option<LocatedEntry> {
        let address = if link.is_up() { link.path.current() } else { self.last_known(link) };
        let address = address.filter(|&address| tellable(address, asker))?;
        let age = link.last_heard.map(|heard| now.saturating_duration_since(heard).as_secs());
        let age_s = age.and_then(|age| u32::try_from(age).ok()).unwrap_or(u32::MAX);
        let source = if link.is_up() { Source::Up } else { Source::LastSeen };
        Some(LocatedEntry { id: link.id, source, age_s, address })
    }
}

/// Whether an address means something to somebody at `to`: one of a single machine or a single link means nothing
/// outside it. Spec: ADDR-10.
fn tellable(address: Address, to: Address) -> bool {
    let scope = Scope::of(address.ip());
    !matches!(scope, Scope::Loopback | Scope::LinkLocal) || scope == Scope::of(to.ip())
}
