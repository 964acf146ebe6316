//! A token bucket: how often something that others can trigger may be done.

use std::time::{Duration, Instant};

/// Tokens that come back with time, up to a burst.
#[derive(Debug)]
pub(crate) struct Budget {
    tokens: u32,
    burst: u32,
    /// The time in which one token comes back.
    period: Duration,
    /// Up to when tokens have been paid out.
    paid: Instant,
}

impl Budget {
    /// A full bucket of `burst` tokens that gains one each `period`.
    pub(crate) fn new(burst: u32, period: Duration, now: Instant) -> Self {
        Self { tokens: burst, burst, period, paid: now }
    }

    /// Takes one token, if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.tokens = match self.tokens.checked_sub(1) {
            Some(rest) => rest,
            None => return false,
        };
        true
    }

    /// Whether nothing is missing.
    pub(crate) fn is_full(&mut self, now: Instant) -> bool {
        self.left(now) == self.burst
    }

    /// How many tokens there are.
    pub(crate) fn left(&mut self, now: Instant) -> u32 {
        self.refill(now);
        self.tokens
    }

    /// When the next token comes, if there is none now.
    pub(crate) fn next(&self) -> Instant {
        self.paid + self.period
    }

    fn refill(&mut self, now: Instant) {
        let gained = now.saturating_duration_since(self.paid).as_nanos() / self.period.as_nanos().max(1);
        let gained = u32::try_from(gained).unwrap_or(u32::MAX);
        if gained >= self.burst - self.tokens {
            self.tokens = self.burst;
            self.paid = now;
        } else {
            self.tokens += gained;
            self.paid += self.period * gained;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "an Instant can only be had from the clock")]
    fn pays_out_a_burst_and_then_one_a_period() {
        let start = Instant::now();
        let mut budget = Budget::new(2, Duration::from_secs(1), start);
        assert!(budget.take(start) && budget.take(start));
        assert!(!budget.take(start + Duration::from_millis(999)));
        assert!(budget.take(start + Duration::from_secs(1)));
        assert!(!budget.take(start + Duration::from_secs(1)));
        let later = start + Duration::from_secs(3600);
        assert!(budget.take(later) && budget.take(later) && !budget.take(later));
    }
}
