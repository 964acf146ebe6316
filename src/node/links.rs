//! All links of a node, found by slot, by node ID or by session index.

use std::collections::BTreeMap;

use crate::node::link::Link;
use crate::wire::id::{Index, NodeId};

/// Where a link stands in the table. Slot 0 is the node itself: its own timers are scheduled under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot(pub(crate) usize);

impl Slot {
    /// The node itself.
    pub(crate) const NODE: Self = Self(0);
}

/// What a session index belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A session of this link, or the handshake that it began.
    Link(Slot),
    /// A handshake that this node answered and that is not confirmed.
    Pending,
    /// The handshake by which this node joins.
    Joining,
}

/// The links of a node.
#[derive(Debug, Default)]
pub(crate) struct Links {
    slots: Vec<Option<Link>>,
    by_id: BTreeMap<NodeId, Slot>,
    by_index: BTreeMap<Index, Owner>,
}

impl Links {
    /// The link at a slot.
    pub(crate) fn get(&self, slot: Slot) -> Option<&Link> {
        self.slots.get(slot.0.checked_sub(1)?)?.as_ref()
    }

    /// The link at a slot.
    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Link> {
        self.slots.get_mut(slot.0.checked_sub(1)?)?.as_mut()
    }

    /// Where the link with a node stands.
    pub(crate) fn slot(&self, id: NodeId) -> Option<Slot> {
        self.by_id.get(&id).copied()
    }

    /// The link with a node.
    pub(crate) fn by_id(&self, id: NodeId) -> Option<(Slot, &Link)> {
        let slot = self.slot(id)?;
        Some((slot, self.get(slot)?))
    }

    /// Adds a link; the one with this node if there is one already.
    pub(crate) fn insert(&mut self, link: Link) -> Slot {
        if let Some(slot) = self.slot(link.id) {
            return slot;
        }
        let id = link.id;
        let place = self.slots.iter().position(Option::is_none).unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        if let Some(entry) = self.slots.get_mut(place) {
            *entry = Some(link);
        }
        let slot = Slot(place + 1);
        self.by_id.insert(id, slot);
        slot
    }

    /// Takes a link out, with all its session indices.
    pub(crate) fn remove(&mut self, slot: Slot) -> Option<Link> {
        let link = self.slots.get_mut(slot.0.checked_sub(1)?)?.take()?;
        self.by_id.remove(&link.id);
        self.by_index.retain(|_, owner| *owner != Owner::Link(slot));
        Some(link)
    }

    /// All links, in the order of their slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &Link)> {
        self.slots.iter().enumerate().filter_map(|(place, link)| Some((Slot(place + 1), link.as_ref()?)))
    }

    /// How many links there are.
    #[cfg(feature = "sim")]
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// How many session indices are in use.
    #[cfg(feature = "sim")]
    pub(crate) fn indices(&self) -> usize {
        self.by_index.len()
    }

    /// The slots in use.
    pub(crate) fn slots(&self) -> Vec<Slot> {
        self.iter().map(|(slot, _)| slot).collect()
    }

    /// What an index belongs to.
    pub(crate) fn owner(&self, index: Index) -> Option<Owner> {
        self.by_index.get(&index).copied()
    }

    /// Gives an index to an owner.
    pub(crate) fn claim(&mut self, index: Index, owner: Owner) {
        self.by_index.insert(index, owner);
    }

    /// Takes an index back.
    pub(crate) fn release(&mut self, index: Index) {
        self.by_index.remove(&index);
    }
}
