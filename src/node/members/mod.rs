//! The member list: a replicated map in which a removal beats every older admission. Spec: `spec/membership.md`.

use std::cell::Cell;
use std::collections::BTreeMap;

use ring::digest;

use crate::wire::id::{Digest, NodeId};
use crate::wire::list::List;
use crate::wire::members::Members as Page;
use crate::wire::name::Name;
use crate::wire::record::{MemberRecord, MemberState};

/// The member list.
#[derive(Debug)]
pub(crate) struct Members {
    records: BTreeMap<NodeId, MemberRecord>,
    /// How many records are of members, and how many of either kind there may be.
    present: usize,
    max: usize,
    digest: Cell<Option<Digest>>,
}

/// What a merge did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Merge {
    /// Nothing: the list knew this, or better.
    Known,
    /// Nothing: there is no room.
    Full,
    /// The node is a member now.
    Added,
    /// The member has a new name, or was admitted again.
    Changed,
    /// The node is no member any more.
    Removed,
    /// A node that was no member here is known to be removed.
    Noted,
}

impl Members {
    /// An empty list for at most `max` members, and as many removed ones.
    pub(crate) fn new(max: usize) -> Self {
        Self { records: BTreeMap::new(), present: 0, max, digest: Cell::new(None) }
    }

    /// The record of a node.
    pub(crate) fn get(&self, id: NodeId) -> Option<&MemberRecord> {
        self.records.get(&id)
    }

    /// Whether a node is a member.
    pub(crate) fn contains(&self, id: NodeId) -> bool {
        self.get(id).is_some_and(is_member)
    }

    /// How many records there are, removed members included.
    #[cfg(feature = "sim")]
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// All records, removed members included, by node ID.
    pub(crate) fn records(&self) -> impl Iterator<Item = (NodeId, &MemberRecord)> {
        self.records.iter().map(|(&id, record)| (id, record))
    }

    /// Whether another member can be admitted.
    pub(crate) fn has_room(&self) -> bool {
        self.present < self.max && self.records.len() < 2 * self.max
    }

    /// The number of a next admission: greater than all that this node knows. Spec: MEMB-3.
    pub(crate) fn next_admission(&self) -> u32 {
        self.records.values().map(|record| record.admission).max().unwrap_or(0).saturating_add(1)
    }

    /// Whether a member admitted earlier has the same name. Spec: MEMB-6.
    pub(crate) fn name_taken(&self, id: NodeId) -> bool {
        let Some(own) = self.get(id) else { return false };
        let earlier = |(other, record): (&NodeId, &MemberRecord)| {
            is_member(record) && record.name == own.name && (record.admission, *other) < (own.admission, id)
        };
        self.records.iter().any(earlier)
    }

    /// Whether a record is greater than the one that is known of its node.
    pub(crate) fn is_news(&self, record: &MemberRecord) -> bool {
        self.get(record.id()).is_none_or(|known| rank(known) < rank(record))
    }

    /// Takes a record in if it is greater than the one it knows. Commutative, associative, idempotent. Spec: MEMB-2.
    pub(crate) fn merge(&mut self, record: &MemberRecord) -> Merge {
        let id = record.id();
        let known = self.records.get(&id);
        if !self.is_news(record) {
            return Merge::Known;
        }
        let was_member = known.is_some_and(is_member);
        let adds = is_member(record) && !was_member;
        if (known.is_none() && self.records.len() >= 2 * self.max) || (adds && self.present >= self.max) {
            return Merge::Full;
        }
        self.records.insert(id, *record);
        self.digest.set(None);
        match (was_member, is_member(record)) {
            (false, true) => {
                self.present += 1;
                Merge::Added
            }
            (true, false) => {
                self.present -= 1;
                Merge::Removed
            }
            (true, true) => Merge::Changed,
            (false, false) => Merge::Noted,
        }
    }

    /// The fingerprint of the list. Spec: MEMB-5.
    #[inline]
    pub(crate) fn digest(&self) -> Digest {
        self.digest.get().unwrap_or_else(|| self.compute_digest())
    }

    #[cold]
    fn compute_digest(&self) -> Digest {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"dddns/1 members");
        for record in self.records.values() {
            context.update(&record.to_bytes());
        }
        let hash = context.finish();
        let digest = Digest(hash.as_ref().first_chunk().copied().unwrap_or_default());
        self.digest.set(Some(digest));
        digest
    }

    /// The records with IDs greater than `after`, as many as a page holds.
    pub(crate) fn page(&self, after: NodeId) -> Page {
        let mut records = List::new();
        let mut more = false;
        let greater = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
        for record in self.records.range(greater).map(|(_, record)| record) {
            if records.push(*record).is_err() {
                more = true;
                break;
            }
        }
        Page { more, records }
    }

    /// The name of a node, as events tell it.
    pub(crate) fn name(&self, id: NodeId) -> Option<Name> {
        self.get(id).map(|record| record.name)
    }
}

fn is_member(record: &MemberRecord) -> bool {
    record.state == MemberState::Member
}

/// The order that decides which of two records of one node stays. Spec: MEMB-2.
fn rank(record: &MemberRecord) -> (u32, bool, u32, NodeId, Name) {
    (record.admission, !is_member(record), record.revision, record.admitted_by, record.name)
}

#[cfg(test)]
mod tests;
