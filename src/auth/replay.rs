//! The replay window: which counters have been seen.

/// Remembers the highest counter and which of the [`Window::SIZE`] counters up to it were accepted.
/// Spec: `spec/cryptography.md` section 4.1, AUTH-8.
///
/// A ring of bits as in RFC 6479: moving forward clears whole words. One word more than the window needs is kept, so
/// that clearing the newest word never forgets a counter that is still inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    bits: [u64; 17],
    highest: Option<u64>,
}

const WORD_BITS: u64 = 64;
const WORDS: u64 = 17;

impl Window {
    /// How many counters the window holds, the highest included.
    pub const SIZE: u64 = 1024;

    /// A window that has seen nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { bits: [0; 17], highest: None }
    }

    /// Whether a datagram with this counter may be accepted: it was not before, and is not too old.
    #[must_use]
    pub fn check(&self, counter: u64) -> bool {
        match self.highest.map(|highest| highest.checked_sub(counter)) {
            None | Some(None) => true,
            Some(Some(age)) => age < Self::SIZE && !self.is_set(counter),
        }
    }

    /// Marks a counter that [`Window::check`] allows as accepted; does nothing with another.
    pub fn accept(&mut self, counter: u64) {
        if !self.check(counter) {
            return;
        }
        let newest = counter / WORD_BITS;
        let entered = match self.highest {
            Some(highest) => newest.saturating_sub(highest / WORD_BITS).min(WORDS),
            None => 0,
        };
        // The words that enter the window still hold the bits of one turn of the ring ago.
        for word in newest - entered..newest {
            self.with_word(word + 1, |bits| *bits = 0);
        }
        self.with_word(newest, |bits| *bits |= 1 << (counter % WORD_BITS));
        self.highest = self.highest.max(Some(counter));
    }

    /// The highest counter accepted.
    #[must_use]
    pub fn highest(&self) -> Option<u64> {
        self.highest
    }

    fn is_set(&self, counter: u64) -> bool {
        let word = self.bits.get(slot(counter / WORD_BITS));
        word.is_some_and(|bits| bits >> (counter % WORD_BITS) & 1 == 1)
    }

    fn with_word(&mut self, word: u64, change: impl FnOnce(&mut u64)) {
        if let Some(bits) = self.bits.get_mut(slot(word)) {
            change(bits);
        }
    }
}

/// Where in the ring a word of counters has its bits.
fn slot(word: u64) -> usize {
    usize::try_from(word % WORDS).unwrap_or(0)
}

impl Default for Window {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// The rule as the spec has it, with nothing forgotten.
    #[derive(Default)]
    struct Model(BTreeSet<u64>);

    impl Model {
        fn check(&self, counter: u64) -> bool {
            let too_old = self.0.last().is_some_and(|&highest| highest >= 1024 && counter <= highest - 1024);
            !too_old && !self.0.contains(&counter)
        }
    }

    fn offer(window: &mut Window, model: &mut Model, counter: u64) {
        let allowed = window.check(counter);
        assert_eq!(allowed, model.check(counter), "counter {counter} after {:?}", window.highest());
        if allowed {
            window.accept(counter);
            model.0.insert(counter);
        }
        assert_eq!(window.highest(), model.0.last().copied());
        assert!(!window.check(counter), "counter {counter} twice");
    }

    proptest! {
        #[test]
        fn agrees_with_the_rule(
            start in prop_oneof![Just(0), Just((1 << 63) - 1500), Just(u64::MAX - 3000), any::<u64>()],
            steps in prop::collection::vec((any::<bool>(), prop_oneof![0..3_u64, 0..70_u64, 0..1100_u64, 0..4000_u64]), 1..400),
        ) {
            let (mut window, mut model) = (Window::new(), Model::default());
            let mut highest = start;
            for (forward, distance) in steps {
                let counter = if forward { highest.saturating_add(distance) } else { highest.saturating_sub(distance) };
                offer(&mut window, &mut model, counter);
                highest = highest.max(counter);
            }
        }
    }

    #[test]
    fn exactly_1024_are_inside() {
        for highest in [1023, 1024, 1087, 1088, 1 << 40, (1 << 63) - 1, u64::MAX] {
            let mut window = Window::new();
            window.accept(highest);
            assert!(window.check(highest - 1023), "{highest}");
            assert!(highest < 1024 || !window.check(highest - 1024), "{highest}");
        }
    }

    #[test]
    fn the_ends_of_the_range_are_counters_like_others() {
        let (mut window, mut model) = (Window::new(), Model::default());
        for counter in [0, 1, 0, (1 << 63) - 1, 1 << 63, (1 << 63) - 1, u64::MAX, u64::MAX - 1023, u64::MAX - 1024, 0] {
            offer(&mut window, &mut model, counter);
        }
    }

    #[test]
    fn every_counter_of_a_full_window_is_remembered() {
        let (mut window, mut model) = (Window::new(), Model::default());
        for counter in (0..5000).step_by(3).chain(0..5000) {
            offer(&mut window, &mut model, counter);
        }
    }
}
