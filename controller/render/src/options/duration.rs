//! Durations as people write them: `90s`, `5m`, `1h30m`.

use std::time::Duration;

/// The longest that a hook may take.
const MAX: Duration = Duration::from_hours(24);

/// Hours, minutes and seconds, each at most once and in this order; between one second and 24 hours.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut seconds = 0u64;
    for (unit, worth) in [('h', 3600), ('m', 60), ('s', 1)] {
        let digits = rest.len() - rest.trim_start_matches(|char: char| char.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        if let Some(after) = after.strip_prefix(unit) {
            let number: u32 = number.parse().ok()?;
            seconds += u64::from(number) * worth;
            rest = after;
        }
    }
    let duration = Duration::from_secs(seconds);
    (rest.is_empty() && !duration.is_zero() && duration <= MAX).then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [
            ("90s", 90),
            ("5m", 300),
            ("1h30m", 5400),
            (" 24h ", 86400),
            ("1h1m1s", 3661),
        ] {
            assert_eq!(parse(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for bad in [
            "",
            "5",
            "s",
            "m5",
            "5m5",
            "0s",
            "25h",
            "1.5m",
            "-5s",
            "5s5m",
            "5 m",
            "99999999999s",
            "4294967295h",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
