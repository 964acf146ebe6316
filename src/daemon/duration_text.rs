//! Durations as people write them: `500ms`, `10s`, `5m`, `24h`, `7d`.

use std::time::Duration;

/// Reads a whole number and its unit.
///
/// # Errors
/// The text is something else, or too long a time to count.
pub(crate) fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or(InvalidDuration)?;
    let number: u64 = number.parse().map_err(|_| InvalidDuration)?;
    let seconds = match unit {
        "ms" => return Ok(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(InvalidDuration),
    };
    number.checked_mul(seconds).map(Duration::from_secs).ok_or(InvalidDuration)
}

/// A text that is not a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a duration is a whole number and a unit (ms, s, m, h or d), such as 10s or 24h")]
pub(crate) struct InvalidDuration;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_units_are_read() {
        for (text, seconds) in [("0s", 0), ("10s", 10), ("5m", 300), ("24h", 86_400), ("7d", 604_800)] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("1500ms"), Ok(Duration::from_millis(1_500)));
    }

    #[test]
    fn everything_else_is_refused() {
        for text in
            ["", "10", "s", "-1s", "+1s", "1.5s", "10 s", " 10s", "10S", "10sec", "1h30m", "99999999999999999d", "é"]
        {
            assert_eq!(parse(text), Err(InvalidDuration), "{text}");
        }
    }
}
