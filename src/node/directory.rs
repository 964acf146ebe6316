//! Where members were last heard: by this node itself, and by whoever told it. Hearsay is kept beside what was seen.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::wire::address::Address;
use crate::wire::id::NodeId;

/// What is known of members without a link. Bounded by the member list: only members are entered.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    entries: BTreeMap<NodeId, Entry>,
}

/// Where one member was.
#[derive(Debug, Default)]
struct Entry {
    /// Where this node had a link with it.
    seen: Option<Sighting>,
    /// Where somebody says it was. One who lies can displace no more than what others said.
    told: Option<Sighting>,
}

/// A member at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sighting {
    /// Where.
    pub(crate) address: Address,
    /// When it was last heard there, by whoever saw it; `None` if that was before this node started.
    pub(crate) heard: Option<Instant>,
}

impl Directory {
    /// Takes what this node has seen itself.
    pub(crate) fn see(&mut self, id: NodeId, sighting: Sighting) {
        self.entries.entry(id).or_default().seen = Some(sighting);
    }

    /// Takes what somebody told, if it is newer than what was told before. Returns whether it changes where the member
    /// is thought to be.
    pub(crate) fn tell(&mut self, id: NodeId, address: Address, heard: Option<Instant>) -> bool {
        let before = self.last(id);
        let entry = self.entries.entry(id).or_default();
        if entry.told.is_some_and(|told| told.heard >= heard) {
            return false;
        }
        entry.told = Some(Sighting { address, heard });
        before.is_none_or(|before| before.heard < heard && before.address != address)
    }

    /// The latest sighting of a member. Of equally old ones the node's own counts.
    pub(crate) fn last(&self, id: NodeId) -> Option<Sighting> {
        self.sightings(id).next()
    }

    /// All sightings of a member, at different addresses, the latest first.
    pub(crate) fn sightings(&self, id: NodeId) -> impl Iterator<Item = Sighting> {
        let (seen, told) = self.entries.get(&id).map_or((None, None), |entry| (entry.seen, entry.told));
        let [first, second] = if is_later(told, seen) { [told, seen] } else { [seen, told] };
        let another = second.filter(|second| first.is_none_or(|first| first.address != second.address));
        first.into_iter().chain(another)
    }

    /// What others told and is later than what this node saw itself, with the member that it is about.
    pub(crate) fn told(&self) -> impl Iterator<Item = (NodeId, Address)> {
        let later = self.entries.iter().filter(|(_, entry)| is_later(entry.told, entry.seen));
        later.filter_map(|(&id, entry)| Some((id, entry.told?.address)))
    }

    /// Forgets a node that is no member any more.
    pub(crate) fn forget(&mut self, id: NodeId) {
        self.entries.remove(&id);
    }
}

/// Whether what was told is later than what was seen. What was told before the start is: only then it was stored.
fn is_later(told: Option<Sighting>, seen: Option<Sighting>) -> bool {
    let before = |sighting: Sighting| sighting.heard.is_none();
    match (told, seen) {
        (Some(told), Some(seen)) => told.heard > seen.heard || (before(told) && before(seen)),
        (told, None) => told.is_some(),
        (None, Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ID: NodeId = NodeId([1; 16]);

    fn at(n: u8) -> Address {
        Address::new([192, 0, 2, n].into(), 7733).unwrap()
    }

    #[expect(clippy::disallowed_methods, reason = "an Instant can only be had from the clock")]
    fn start() -> Instant {
        Instant::now()
    }

    fn known(directory: &Directory) -> Vec<Address> {
        directory.sightings(ID).map(|sighting| sighting.address).collect()
    }

    #[test]
    fn the_later_sighting_comes_first_whoever_made_it() {
        let now = start();
        let later = now + Duration::from_secs(1);
        let mut directory = Directory::default();
        directory.see(ID, Sighting { address: at(1), heard: Some(now) });
        assert!(directory.tell(ID, at(2), Some(later)));
        assert_eq!(known(&directory), [at(2), at(1)]);
        directory.see(ID, Sighting { address: at(3), heard: Some(later) });
        assert_eq!(known(&directory), [at(3), at(2)], "of equally late ones the own one");
    }

    #[test]
    fn older_hearsay_changes_nothing() {
        let now = start();
        let mut directory = Directory::default();
        assert!(directory.tell(ID, at(1), None), "better than nothing");
        assert!(directory.tell(ID, at(2), Some(now)));
        assert!(!directory.tell(ID, at(3), Some(now)) && !directory.tell(ID, at(3), None));
        assert_eq!(known(&directory), [at(2)]);
    }

    /// Spec: SCALE-9.
    #[test]
    fn hearsay_never_displaces_what_was_seen() {
        let now = start();
        let mut directory = Directory::default();
        directory.see(ID, Sighting { address: at(1), heard: Some(now) });
        for n in 2..100 {
            directory.tell(ID, at(n), Some(now + Duration::from_secs(u64::from(n))));
        }
        assert_eq!(known(&directory), [at(99), at(1)]);
    }

    #[test]
    fn only_another_address_is_news() {
        let now = start();
        let mut directory = Directory::default();
        assert!(directory.tell(ID, at(1), Some(now)));
        assert!(!directory.tell(ID, at(1), Some(now + Duration::from_secs(1))));
        assert_eq!(directory.last(ID).unwrap().heard, Some(now + Duration::from_secs(1)));
        directory.forget(ID);
        assert_eq!(directory.last(ID), None);
    }
}
