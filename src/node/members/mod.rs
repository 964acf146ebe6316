//! The member list: a replicated map in which a removal beats every older admission. Spec: `spec/membership.md`.

use std::cell::Cell;
use std::collections::BTreeMap;

use ring::digest;

use crate::node::event::Who;
use crate::wire::id::{Digest, NodeId};
use crate::wire::list::List;
use crate::wire::members::Members as Page;
use crate::wire::name::Name;
use crate::wire::record::{MemberRecord, MemberState};

/// How many removed nodes are remembered at least. Spec: `REMOVED_MAX`.
pub(crate) const REMOVED_MAX: usize = 1024;

/// The greatest admission that the numbers of new ones follow. Spec: `ADMISSION_COUNTED`.
const COUNTED_MAX: u32 = (1 << 31) - 1;

/// The member list.
#[derive(Debug)]
pub(crate) struct Members {
    /// The node that keeps the list: its own record is in it whatever the bound says.
    own: NodeId,
    records: BTreeMap<NodeId, MemberRecord>,
    /// How many records are of members, and how many of them there may be.
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
    /// The node is a member now; where the list was full, in the place of a member that was admitted later.
    Added {
        /// Who is not in the list any more.
        displaced: Option<Who>,
    },
    /// The member has a new name, or was admitted again.
    Changed,
    /// The node is no member any more.
    Removed,
    /// A node that was no member here is known to be removed.
    Noted,
}

impl Members {
    /// An empty list of the node `own` for at most `max` members.
    pub(crate) fn new(own: NodeId, max: usize) -> Self {
        Self { own, records: BTreeMap::new(), present: 0, max, digest: Cell::new(None) }
    }

    /// The record of a node.
    pub(crate) fn get(&self, id: NodeId) -> Option<&MemberRecord> {
        self.records.get(&id)
    }

    /// Whether a node is a member.
    pub(crate) fn contains(&self, id: NodeId) -> bool {
        self.get(id).is_some_and(is_member)
    }

    /// Whether a node is a member that was let in by another one: what a configuration or the node itself says of it has
    /// no number.
    pub(crate) fn is_admitted(&self, id: NodeId) -> bool {
        self.get(id).is_some_and(|record| is_member(record) && record.admission > 0)
    }

    /// How many records there are, removed members included.
    #[cfg(feature = "sim")]
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// The record of a node that was removed.
    pub(crate) fn removed(&self, id: NodeId) -> Option<&MemberRecord> {
        self.get(id).filter(|record| !is_member(record))
    }

    /// All records, removed members included, by node ID.
    pub(crate) fn records(&self) -> impl Iterator<Item = (NodeId, &MemberRecord)> {
        self.records.iter().map(|(&id, record)| (id, record))
    }

    /// How many members there are.
    pub(crate) fn present(&self) -> usize {
        self.present
    }

    /// Whether another member can be admitted.
    pub(crate) fn has_room(&self) -> bool {
        self.present < self.max
    }

    /// The number with which a node would be admitted next: greater than all that count, and than its own last one.
    /// `None` if no greater one can be written. Spec: MEMB-3.
    pub(crate) fn next_admission(&self, id: NodeId) -> Option<u32> {
        let counted = self.records.values().map(|record| record.admission).filter(|&number| number <= COUNTED_MAX);
        let own = self.get(id).map_or(0, |record| record.admission);
        counted.max().unwrap_or(0).max(own).checked_add(1)
    }

    /// Of every name the member that has it: the one admitted first. Spec: MEMB-6.
    pub(crate) fn name_owners(&self) -> BTreeMap<Name, NodeId> {
        let mut members: Vec<(u32, NodeId, Name)> = self
            .records()
            .filter(|(_, record)| is_member(record))
            .map(|(id, record)| (record.admission, id, record.name))
            .collect();
        members.sort_unstable();
        let mut owners = BTreeMap::new();
        for (_, id, name) in members {
            owners.entry(name).or_insert(id);
        }
        owners
    }

    /// Whether a record is greater than the one that is known of its node.
    pub(crate) fn is_news(&self, record: &MemberRecord) -> bool {
        self.get(record.id()).is_none_or(|known| rank(known) < rank(record))
    }

    /// Takes a record in if it is greater than the one it knows. Commutative, associative, idempotent while nothing has
    /// to make room. Spec: MEMB-2, MEMB-10, MEMB-11.
    pub(crate) fn merge(&mut self, record: &MemberRecord) -> Merge {
        let id = record.id();
        if !self.is_news(record) {
            return Merge::Known;
        }
        let known = self.records.get(&id);
        let merge = match (known.is_some_and(is_member), is_member(record)) {
            (false, true) if self.present < self.max => Merge::Added { displaced: None },
            (false, true) => match self.displace(record) {
                Some(displaced) => Merge::Added { displaced: Some(displaced) },
                None => return Merge::Full,
            },
            (true, true) => Merge::Changed,
            (true, false) => Merge::Removed,
            (false, false) if known.is_some() || self.removals() < REMOVED_MAX => Merge::Noted,
            (false, false) => return Merge::Full,
        };
        match merge {
            Merge::Added { .. } => self.present += 1,
            Merge::Removed => {
                self.forget_a_removal();
                self.present -= 1;
            }
            Merge::Known | Merge::Full | Merge::Changed | Merge::Noted => {}
        }
        self.records.insert(id, *record);
        self.digest.set(None);
        merge
    }

    /// How many removed nodes are in the list.
    pub(crate) fn removals(&self) -> usize {
        self.records.len() - self.present
    }

    /// Makes room for a member in a full list: the one admitted last goes, unless the new one was admitted later still.
    fn displace(&mut self, record: &MemberRecord) -> Option<Who> {
        let id = record.id();
        let others = self.records().filter(|&(other, known)| is_member(known) && other != self.own);
        let (last, known) = others.max_by_key(|&(other, known)| (known.admission, other))?;
        if id != self.own && (known.admission, last) < (record.admission, id) {
            return None;
        }
        let displaced = Who { id: last, name: known.name };
        self.records.remove(&last);
        self.present -= 1;
        Some(displaced)
    }

    /// Makes room for the removal of a member, which always has room: the oldest removal is forgotten.
    fn forget_a_removal(&mut self) {
        if self.removals() < REMOVED_MAX {
            return;
        }
        let removals = self.records().filter(|(_, record)| !is_member(record));
        if let Some((oldest, _)) = removals.min_by_key(|&(id, record)| (record.admission, id)) {
            self.records.remove(&oldest);
        }
    }

    /// Drops what is known of a node.
    pub(crate) fn forget(&mut self, id: NodeId) {
        if let Some(record) = self.records.remove(&id) {
            self.present -= usize::from(is_member(&record));
            self.digest.set(None);
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
