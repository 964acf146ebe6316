//! The clocks of one machine: a wall clock that anybody may set, and a monotonic one that drifts and may stop in sleep.

use std::time::Duration;

/// A machine's clocks, told the time of the world. Everything is computed in whole nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// What the wall clock showed at a moment of the world; it goes on from there.
    wall: (Duration, Duration),
    /// What the monotonic clock showed at a moment of the world.
    shown: (Duration, Duration),
    /// How many millionths it is faster than the world.
    ppm: i32,
    /// Since when the machine sleeps.
    asleep: Option<Duration>,
}

const MILLION: i128 = 1_000_000;

impl Clock {
    /// The slowest and the fastest clock there is, in millionths: worse than any quartz.
    pub const DRIFT_MAX: i32 = 1000;

    /// A clock whose wall clock shows `unix` (since 1970) when the world begins.
    pub(crate) fn new(unix: Duration) -> Self {
        Self { wall: (Duration::ZERO, unix), shown: (Duration::ZERO, Duration::ZERO), ppm: 0, asleep: None }
    }

    /// Sets the wall clock: a jump, unless it showed that already. Nodes read it when they start.
    pub fn set_wall(&mut self, now: Duration, unix: Duration) {
        self.wall = (now, unix);
    }

    /// Lets the monotonic clock run `ppm` millionths faster than the world from now on; slower if negative. At most
    /// [`DRIFT_MAX`](Self::DRIFT_MAX) either way.
    pub fn set_drift(&mut self, now: Duration, ppm: i32) {
        self.shown = (now, self.monotonic(now));
        self.ppm = ppm.clamp(-Self::DRIFT_MAX, Self::DRIFT_MAX);
    }

    /// What the wall clock shows, since 1970.
    pub(crate) fn wall(&self, now: Duration) -> Duration {
        let (at, unix) = self.wall;
        unix.saturating_add(now.saturating_sub(at))
    }

    /// What the monotonic clock shows.
    pub(crate) fn monotonic(&self, now: Duration) -> Duration {
        let (at, shown) = self.shown;
        shown + scale(now.saturating_sub(at), MILLION + i128::from(self.ppm), MILLION, false)
    }

    /// The first moment of the world at which the monotonic clock shows `local` or more.
    pub(crate) fn when(&self, local: Duration) -> Duration {
        let (at, shown) = self.shown;
        at + scale(local.saturating_sub(shown), MILLION, MILLION + i128::from(self.ppm), true)
    }

    /// Whether the machine sleeps.
    pub(crate) fn is_asleep(&self) -> bool {
        self.asleep.is_some()
    }

    /// The machine falls asleep.
    pub(crate) fn sleep(&mut self, now: Duration) {
        self.asleep.get_or_insert(now);
    }

    /// The machine wakes. Where the monotonic clock did not go on in the meantime, it goes on from where it stood.
    pub(crate) fn wake(&mut self, now: Duration, went_on: bool) {
        if let Some(since) = self.asleep.take().filter(|_| !went_on) {
            self.shown = (now, self.monotonic(since));
        }
    }
}

/// `duration * by / per`, rounded down or up.
fn scale(duration: Duration, by: i128, per: i128, up: bool) -> Duration {
    if by == per {
        return duration;
    }
    let product = i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX / (2 * MILLION)) * by;
    let nanos = if up { (product + per - 1) / per } else { product / per };
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_drifting_clock_reaches_every_moment_exactly() {
        for ppm in [-1000, -37, 0, 1, 250, 1000] {
            let mut clock = Clock::new(Duration::ZERO);
            clock.set_drift(7 * SECOND, ppm);
            for nanos in [0, 1, 2, 999, 1_000_003, 86_400_000_000_007] {
                let local = 7 * SECOND + Duration::from_nanos(nanos);
                let then = clock.when(local);
                assert!(clock.monotonic(then) >= local, "{ppm} ppm, {nanos} ns: woken too early");
                let before = then.saturating_sub(Duration::from_nanos(1));
                assert!(nanos == 0 || clock.monotonic(before) < local, "{ppm} ppm, {nanos} ns: woken too late");
            }
        }
    }

    #[test]
    fn drift_is_what_it_says() {
        let mut clock = Clock::new(Duration::ZERO);
        clock.set_drift(Duration::ZERO, 100);
        assert_eq!(clock.monotonic(10_000 * SECOND), 10_001 * SECOND);
        clock.set_drift(10_000 * SECOND, -100);
        assert_eq!(clock.monotonic(20_000 * SECOND), 20_000 * SECOND);
    }

    #[test]
    fn sleep_stops_one_clock_and_not_the_other() {
        let mut clock = Clock::new(100 * SECOND);
        clock.sleep(5 * SECOND);
        clock.wake(25 * SECOND, false);
        assert_eq!((clock.monotonic(26 * SECOND), clock.wall(26 * SECOND)), (6 * SECOND, 126 * SECOND));
        clock.sleep(30 * SECOND);
        clock.wake(40 * SECOND, true);
        assert_eq!(clock.monotonic(40 * SECOND), 20 * SECOND);
    }

    #[test]
    fn the_wall_clock_jumps_alone() {
        let mut clock = Clock::new(100 * SECOND);
        clock.set_wall(10 * SECOND, Duration::ZERO);
        assert_eq!((clock.wall(11 * SECOND), clock.monotonic(11 * SECOND)), (SECOND, 11 * SECOND));
        clock.set_wall(11 * SECOND, Duration::MAX);
        assert_eq!(clock.wall(12 * SECOND), Duration::MAX);
    }
}
