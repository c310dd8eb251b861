//! Where an audit begins, where that is a time: the same one for who asks a clone and for who asks the controller.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Bytes of `2026-01-02`.
const DAY: usize = 10;

/// A day, which begins in UTC, or a time of RFC 3339: in seconds since 1970.
#[must_use]
pub fn since(text: &str) -> Option<i64> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_second());
    }
    // A date with a time and without an offset is nowhere.
    let day = text.parse::<Date>().ok().filter(|_| text.len() == DAY)?;
    let day = day.to_zoned(TimeZone::UTC).ok()?;
    Some(day.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::since;

    #[test]
    fn a_day_begins_in_utc_and_a_time_says_where_it_is() {
        assert_eq!(since("2026-01-02"), Some(1_767_312_000));
        assert_eq!(since("2026-01-02T00:00:00Z"), Some(1_767_312_000));
        assert_eq!(since("2026-01-02T02:00:00+02:00"), Some(1_767_312_000));
        for bad in [
            "",
            "soon",
            "2026-13-01",
            "2026-01-02T00:00:00",
            "1.2.3",
            "1767312000",
        ] {
            assert_eq!(since(bad), None, "{bad}");
        }
    }
}
