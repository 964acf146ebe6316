//! Where members were: the last addresses at which each one was reached, whether or not there is a link with it.

use std::collections::BTreeMap;

use crate::node::saved::SavedAddress;
use crate::wire::address::Address;
use crate::wire::id::NodeId;

/// How many addresses are kept of a member. Spec: `HISTORY_MAX`.
pub(crate) const HISTORY_MAX: usize = 8;

/// The addresses of all members, newest first.
#[derive(Debug, Default)]
pub(crate) struct History {
    members: BTreeMap<NodeId, Vec<Visited>>,
}

/// An address at which a member was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Visited {
    address: Address,
    /// When it last proved to be there, in seconds since 1970 by this node's clock.
    seen: u64,
}

impl History {
    /// Where a member was, newest first, at most [`HISTORY_MAX`] addresses.
    pub(crate) fn of(&self, id: NodeId) -> impl Iterator<Item = Address> + '_ {
        self.members.get(&id).into_iter().flatten().map(|visited| visited.address)
    }

    /// Where a member was last.
    pub(crate) fn latest(&self, id: NodeId) -> Option<Address> {
        self.of(id).next()
    }

    /// Where a member was before that.
    pub(crate) fn before(&self, id: NodeId) -> Option<Address> {
        self.of(id).nth(1)
    }

    /// A member has proved to be at an address, at `seen` seconds since 1970. Returns whether the order of its
    /// addresses changed.
    pub(crate) fn visit(&mut self, id: NodeId, address: Address, seen: u64) -> bool {
        let visits = self.members.entry(id).or_default();
        if let Some(first) = visits.first_mut().filter(|visited| visited.address == address) {
            first.seen = seen;
            return false;
        }
        visits.retain(|visited| visited.address != address);
        visits.truncate(HISTORY_MAX - 1);
        visits.reserve_exact(1);
        visits.insert(0, Visited { address, seen });
        true
    }

    /// Takes back what was stored; those of one member come newest first.
    pub(crate) fn restore(&mut self, stored: &SavedAddress) {
        let visits = self.members.entry(stored.id).or_default();
        if visits.len() < HISTORY_MAX {
            visits.push(Visited { address: stored.address, seen: stored.seen });
        }
    }

    /// What is to be stored.
    pub(crate) fn saved(&self) -> Vec<SavedAddress> {
        let of_member = |(&id, visits): (&NodeId, &Vec<Visited>)| {
            let saved = move |visited: &Visited| SavedAddress { id, address: visited.address, seen: visited.seen };
            visits.iter().map(saved).collect::<Vec<_>>()
        };
        self.members.iter().flat_map(of_member).collect()
    }

    /// Forgets a node that is no member any more.
    pub(crate) fn forget(&mut self, id: NodeId) {
        self.members.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: NodeId = NodeId([1; 16]);

    fn address(n: usize) -> Address {
        Address::try_from(std::net::SocketAddr::from(([192, 0, 2, 1], 1000 + u16::try_from(n).unwrap()))).unwrap()
    }

    #[test]
    fn the_last_eight_addresses_are_kept_newest_first() {
        let mut history = History::default();
        for n in 1..=HISTORY_MAX + 2 {
            assert!(history.visit(ID, address(n), 0));
        }
        let expected: Vec<Address> = (3..=HISTORY_MAX + 2).rev().map(address).collect();
        assert_eq!(history.of(ID).collect::<Vec<_>>(), expected);
        assert_eq!((history.latest(ID), history.before(ID)), (Some(expected[0]), Some(expected[1])));
    }

    #[test]
    fn an_address_stands_once_and_says_when_it_was_last_seen() {
        let mut history = History::default();
        assert!(history.visit(ID, address(1), 10));
        assert!(history.visit(ID, address(2), 20));
        assert!(!history.visit(ID, address(2), 30));
        assert!(history.visit(ID, address(1), 40));
        let saved = |n, seen| SavedAddress { id: ID, address: address(n), seen };
        assert_eq!(history.saved(), [saved(1, 40), saved(2, 30)]);
    }

    #[test]
    fn what_is_stored_comes_back() {
        let mut history = History::default();
        let stored: Vec<SavedAddress> = (1..=HISTORY_MAX + 1)
            .map(|n| SavedAddress { id: ID, address: address(n), seen: 0 })
            .chain([SavedAddress { id: NodeId([2; 16]), address: address(1), seen: 9 }])
            .collect();
        stored.iter().for_each(|stored| history.restore(stored));
        assert_eq!(history.saved().len(), HISTORY_MAX + 1, "of one member no more than are kept");
        assert_eq!(history.latest(ID), Some(address(1)));
        history.forget(ID);
        assert_eq!(history.saved(), stored[HISTORY_MAX + 1..]);
    }
}
