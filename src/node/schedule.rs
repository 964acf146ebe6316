//! Whose deadline comes next: an indexed heap over all links, so that a change costs O(log n) and allocates nothing.

use std::time::Instant;

use crate::node::links::Slot;

/// The next deadline of every slot, earliest first.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    /// A binary heap by (deadline, slot).
    heap: Vec<(Instant, Slot)>,
    /// Where in the heap each slot stands.
    position: Vec<Option<usize>>,
}

impl Schedule {
    /// The earliest deadline and whose it is.
    pub(crate) fn first(&self) -> Option<(Instant, Slot)> {
        self.heap.first().copied()
    }

    /// Sets, moves or (with `None`) removes the deadline of a slot.
    pub(crate) fn set(&mut self, slot: Slot, at: Option<Instant>) {
        if self.position.len() <= slot.0 {
            self.position.resize(slot.0 + 1, None);
        }
        let place = self.position.get(slot.0).copied().flatten();
        match (place, at) {
            (None, None) => {}
            (None, Some(at)) => {
                self.heap.push((at, slot));
                let end = self.heap.len() - 1;
                self.note(end);
                self.sift_up(end);
            }
            (Some(place), Some(at)) => {
                if let Some(entry) = self.heap.get_mut(place) {
                    entry.0 = at;
                }
                self.sift_up(place);
                self.sift_down(place);
            }
            (Some(place), None) => {
                self.heap.swap_remove(place);
                if let Some(position) = self.position.get_mut(slot.0) {
                    *position = None;
                }
                // The last entry took the place, unless it was the one that left.
                if place < self.heap.len() {
                    self.note(place);
                    self.sift_up(place);
                    self.sift_down(place);
                }
            }
        }
    }

    fn sift_up(&mut self, mut place: usize) {
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.heap.get(parent) <= self.heap.get(place) {
                return;
            }
            self.swap(parent, place);
            place = parent;
        }
    }

    fn sift_down(&mut self, mut place: usize) {
        loop {
            let (left, right) = (2 * place + 1, 2 * place + 2);
            let smaller =
                if right < self.heap.len() && self.heap.get(right) < self.heap.get(left) { right } else { left };
            if smaller >= self.heap.len() || self.heap.get(place) <= self.heap.get(smaller) {
                return;
            }
            self.swap(place, smaller);
            place = smaller;
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.note(a);
        self.note(b);
    }

    /// Notes where the entry at `place` stands.
    fn note(&mut self, place: usize) {
        if let Some((_, slot)) = self.heap.get(place) {
            if let Some(position) = self.position.get_mut(slot.0) {
                *position = Some(place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The heap gives what a plain map searched from end to end gives.
        #[test]
        fn agrees_with_a_map(changes in prop::collection::vec((0usize..12, prop::option::of(0u64..50)), 1..200)) {
            #[expect(clippy::disallowed_methods, reason = "an Instant can only be had from the clock")]
            let start = Instant::now();
            let mut schedule = Schedule::default();
            let mut map = BTreeMap::new();
            for (slot, at) in changes {
                let slot = Slot(slot);
                let at = at.map(|s| start + Duration::from_secs(s));
                schedule.set(slot, at);
                match at {
                    Some(at) => map.insert(slot, at),
                    None => map.remove(&slot),
                };
                prop_assert_eq!(schedule.first(), map.iter().map(|(&slot, &at)| (at, slot)).min());
            }
        }
    }
}
