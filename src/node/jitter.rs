//! Randomness that need not be secret: the spread of timers, so that nodes do not act in step.

use std::time::Duration;

/// The generator SplitMix64: fast and predictable, which does no harm where it is used.
#[derive(Debug)]
pub(crate) struct Jitter(u64);

impl Jitter {
    /// A generator; equal seeds give equal sequences.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A duration drawn evenly from `percent` of `base`: `20..=40` gives 20 % to 40 % of it.
    pub(crate) fn spread(&mut self, base: Duration, percent: std::ops::RangeInclusive<u32>) -> Duration {
        // Intervals are minutes at most, so no product overflows; 2^20 steps are fine enough.
        let hundredth = u64::try_from(base.as_nanos()).unwrap_or(u64::MAX) / 100;
        let width = u64::from(percent.end() - percent.start()) << 20;
        let drawn = (u128::from(self.next()) * u128::from(width)) >> 64;
        let percents = (u128::from(*percent.start()) << 20) + drawn;
        Duration::from_nanos(u64::try_from((u128::from(hundredth) * percents) >> 20).unwrap_or(u64::MAX))
    }

    /// A number below `bound`, each as likely as the other; 0 if `bound` is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u128::try_from(bound).unwrap_or(u128::MAX >> 64);
        usize::try_from((u128::from(self.next()) * bound) >> 64).unwrap_or(0)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_every_number_below_a_bound() {
        let mut jitter = Jitter::new(7);
        let mut drawn = [0; 5];
        (0..1000).for_each(|_| drawn[jitter.below(5)] += 1);
        assert!(drawn.iter().all(|&times| times > 150), "{drawn:?}");
        assert_eq!(jitter.below(0), 0);
    }

    #[test]
    fn stays_within_its_bounds_and_fills_them() {
        let mut jitter = Jitter::new(7);
        let base = Duration::from_secs(10);
        let drawn: Vec<_> = (0..1000).map(|_| jitter.spread(base, 80..=120)).collect();
        assert!(drawn.iter().all(|d| (Duration::from_secs(8)..=Duration::from_secs(12)).contains(d)));
        assert!(drawn.iter().any(|d| *d < Duration::from_millis(8100)));
        assert!(drawn.iter().any(|d| *d > Duration::from_millis(11900)));
    }
}
