//! Durations as people read them: one number and its unit.

/// An age or a waiting time: `3 s`, `5 min`, `9 h`, `2 d`.
pub(super) fn age(ms: u64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A time that was measured: `1.8 s`, and from ten seconds up as [`age`].
pub(super) fn measured(ms: u64) -> String {
    if ms < 10_000 { format!("{}.{} s", ms / 1_000, ms / 100 % 10) } else { age(ms) }
}

/// A round-trip time: `0.7 ms`, `14 ms`.
pub(super) fn rtt(ms: f64) -> String {
    if ms < 9.95 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_one_number_and_a_unit() {
        for (ms, text) in [
            (0, "0 s"),
            (59_999, "59 s"),
            (60_000, "1 min"),
            (3_599_999, "59 min"),
            (3_600_000, "1 h"),
            (86_400_000, "1 d"),
            (u64::MAX, "213503982334 d"),
        ] {
            assert_eq!(age(ms), text);
        }
        assert_eq!((measured(0), measured(1_840), measured(9_999)), ("0.0 s".into(), "1.8 s".into(), "9.9 s".into()));
        assert_eq!(measured(10_000), "10 s");
        assert_eq!(
            (rtt(0.04), rtt(0.7), rtt(9.94), rtt(14.25)),
            ("0.0 ms".into(), "0.7 ms".into(), "9.9 ms".into(), "14 ms".into())
        );
    }
}
