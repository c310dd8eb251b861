//! Durations as users write them: `30s`, `5m`, `1h30m`, `250ms`.

use std::time::Duration;

/// Longer ones are refused: a century says nothing that a decade does not.
const LONGEST: Duration = Duration::from_hours(24 * 36_525);

/// Why a text is not a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a duration such as 30s, 5m or 1h30m")]
pub struct NotADuration;

/// Reads a duration: one or more whole numbers, each with a unit of `ms`, `s`, `m` or `h`.
pub fn parse(text: &str) -> Result<Duration, NotADuration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    if rest.is_empty() || rest.len() > 32 {
        return Err(NotADuration);
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or(NotADuration)?;
        let (number, tail) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| NotADuration)?;
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let milliseconds: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(NotADuration),
        };
        let part = Duration::from_millis(number.checked_mul(milliseconds).ok_or(NotADuration)?);
        total = total
            .checked_add(part)
            .filter(|t| *t <= LONGEST)
            .ok_or(NotADuration)?;
        rest = tail;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::parse;
    use std::time::Duration;

    #[test]
    fn reads_what_users_write() {
        assert_eq!(parse("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse("1h30m"), Ok(Duration::from_mins(90)));
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("87600h"), Ok(Duration::from_hours(87_600)));
        assert_eq!(parse("0s"), Ok(Duration::ZERO));
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            "5",
            "s",
            "5 m",
            "-5m",
            "1.5h",
            "5d",
            "99999999999999999999h",
            "18446744073709551615h",
            "m5",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
