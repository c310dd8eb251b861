//! Times that come again, as five cron fields: minute, hour, day of the month, month, day of the week.
//!
//! Written here, because what we need beyond the fields is small and no crate on jiff has it: looking back as well as
//! forward, and a word on clocks that are put forward or back. The fields are those of Vixie cron (crontab(5)): lists,
//! ranges, steps, English names, 7 for Sunday; where both days are given (neither begins with `*`), either will do.
//!
//! When clocks change: with given hours, a time that the clock skips comes when it has skipped it, and one that it shows
//! twice comes once, the first time. With any hour (`*`), times go by what the clock shows: skipped ones do not come,
//! and those that are shown twice come twice.

use jiff::civil::Date;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// The longest text that is read, in bytes.
const LONGEST: usize = 256;
/// How far a time is looked for: the 29th of February can be eight years away.
const DAYS: u32 = 8 * 366 + 31;

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// A schedule. Bits stand for the values of each field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Day of the month and day of the week are both given: one of them is enough.
    either: bool,
    any_hour: bool,
}

/// Why a text is not a schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// Not five fields.
    #[error("write five fields: minute hour day month weekday, such as \"0 22 * * MON-FRI\"")]
    Fields,
    /// A field cannot be read.
    #[error("the {field} is not a number, name, range, list or step between {low} and {high}")]
    Field {
        /// Which.
        field: &'static str,
        /// The lowest value.
        low: u8,
        /// The highest value.
        high: u8,
    },
    /// No day is like that.
    #[error("there is no such day in any month")]
    Never,
}

impl Cron {
    /// Reads five fields.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        let fields: Vec<_> = match text.len() {
            0..=LONGEST => text.split_ascii_whitespace().collect(),
            _ => Vec::new(),
        };
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(CronError::Fields);
        };
        let weekdays = field("weekday", weekday, 0, 7, &WEEKDAYS)?;
        let cron = Self {
            minutes: field("minute", minute, 0, 59, &[])?,
            hours: field("hour", hour, 0, 23, &[])?,
            days: field("day of the month", day, 1, 31, &[])?,
            months: field("month", month, 1, 12, &MONTHS)?,
            weekdays: weekdays | weekdays >> 7,
            either: !day.starts_with('*') && !weekday.starts_with('*'),
            any_hour: hour.starts_with('*'),
        };
        let comes = cron.next(Timestamp::UNIX_EPOCH, &TimeZone::UTC).is_some();
        comes.then_some(cron).ok_or(CronError::Never)
    }

    /// The first time after `after`.
    #[must_use]
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        // Where clocks are put back at midnight, the evening before comes again.
        let mut date = zone.to_datetime(after).date().yesterday().ok()?;
        for _ in 0..DAYS {
            if self.has(date)
                && let Some(time) = self.times(date, zone).into_iter().find(|time| *time > after)
            {
                return Some(time);
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    /// The last time at or before `at`, and less than `within` ago.
    #[must_use]
    pub fn last(&self, at: Timestamp, within: SignedDuration, zone: &TimeZone) -> Option<Timestamp> {
        let earliest = at.saturating_sub(within).ok()?;
        let first = zone.to_datetime(earliest).date().yesterday().ok()?;
        let mut date = zone.to_datetime(at).date().tomorrow().ok()?;
        while date >= first {
            if self.has(date)
                && let Some(time) = self.times(date, zone).into_iter().rev().find(|time| *time <= at)
            {
                return (time > earliest).then_some(time);
            }
            date = date.yesterday().ok()?;
        }
        None
    }

    fn has(&self, date: Date) -> bool {
        let month = has(self.months, date.month());
        let day = has(self.days, date.day());
        let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset());
        month
            && if self.either {
                day || weekday
            } else {
                day && weekday
            }
    }

    /// The times of one day, in order.
    fn times(&self, date: Date, zone: &TimeZone) -> Vec<Timestamp> {
        let clock = (0..24_i8)
            .filter(|hour| has(self.hours, *hour))
            .flat_map(|hour| (0..60_i8).map(move |minute| (hour, minute)))
            .filter(|(_, minute)| has(self.minutes, *minute));
        if let Some(midnight) = plain(date, zone) {
            return clock
                .filter_map(|(hour, minute)| {
                    let seconds = (i64::from(hour) * 60 + i64::from(minute)) * 60;
                    midnight.checked_add(SignedDuration::from_secs(seconds)).ok()
                })
                .collect();
        }
        let mut times = Vec::new();
        for (hour, minute) in clock {
            let shown = date.at(hour, minute, 0, 0);
            let at = |offset: Offset| offset.to_timestamp(shown).ok();
            match zone.to_ambiguous_timestamp(shown).offset() {
                AmbiguousOffset::Unambiguous { offset } => times.extend(at(offset)),
                AmbiguousOffset::Gap { before, .. } if !self.any_hour => {
                    // By the old clock it lies behind the change, or at it.
                    let changed = |late: Timestamp| {
                        let late = late.checked_add(SignedDuration::from_nanos(1)).ok()?;
                        zone.preceding(late).next().map(|change| change.timestamp())
                    };
                    times.extend(at(before).and_then(changed));
                }
                AmbiguousOffset::Gap { .. } => {}
                AmbiguousOffset::Fold { before, after } => {
                    times.extend(at(before));
                    times.extend(at(after).filter(|_| self.any_hour));
                }
            }
        }
        times.sort_unstable();
        times.dedup();
        times
    }
}

/// When a day begins, if no clock is changed on it.
fn plain(date: Date, zone: &TimeZone) -> Option<Timestamp> {
    let offset = |date: Date| match zone.to_ambiguous_timestamp(date.at(0, 0, 0, 0)).offset() {
        AmbiguousOffset::Unambiguous { offset } => Some(offset),
        _ => None,
    };
    let begins = offset(date)?;
    let unchanged = offset(date.tomorrow().ok()?)? == begins;
    unchanged.then(|| begins.to_timestamp(date.at(0, 0, 0, 0)).ok())?
}

fn has(bits: u64, value: i8) -> bool {
    u32::try_from(value).is_ok_and(|value| bits.checked_shr(value).unwrap_or(0) & 1 == 1)
}

/// One field as bits.
fn field(field: &'static str, text: &str, low: u8, high: u8, names: &[&str]) -> Result<u64, CronError> {
    let wrong = CronError::Field { field, low, high };
    let value = |text: &str| {
        // Names count from the lowest value on: January is 1, Sunday is 0.
        let named = names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let number = match named {
            Some(index) => u8::try_from(index).ok()?.checked_add(low)?,
            None if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok()?,
            None => return None,
        };
        (low..=high).contains(&number).then_some(number)
    };
    let part = |text: &str| -> Option<u64> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (text, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (low, high),
            // `FRI-SUN` ends with the week.
            Some((first, last)) => match (value(first)?, value(last)?) {
                (first, 0) if first > 0 && high == 7 => (first, 7),
                both => both,
            },
            // `5/10` goes on from 5.
            None => (value(range)?, if step.is_some() { high } else { value(range)? }),
        };
        let step = match step {
            Some(step) if step.bytes().all(|byte| byte.is_ascii_digit()) => step.parse().ok()?,
            Some(_) => return None,
            None => 1_usize,
        };
        (first <= last && step > 0).then(|| (first..=last).step_by(step).fold(0, |bits, n| bits | 1 << n))
    };
    text.split(',')
        .try_fold(0, |bits, text| part(text).map(|more| bits | more))
        .ok_or(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> TimeZone {
        if name.is_empty() {
            TimeZone::UTC
        } else {
            TimeZone::get(name).unwrap()
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// The next times after `after`, as many as `N`.
    fn next<const N: usize>(text: &str, after: &str, name: &str) -> [String; N] {
        let (cron, zone, mut time) = (Cron::parse(text).unwrap(), zone(name), at(after));
        std::array::from_fn(|_| {
            time = cron.next(time, &zone).unwrap();
            time.to_string()
        })
    }

    #[test]
    fn fields_are_read_as_cron_reads_them() {
        for (text, times) in [
            ("* * * * *", ["2026-01-01T00:01:00Z", "2026-01-01T00:02:00Z"]),
            (
                "0 22 * * MON-FRI",
                ["2026-01-01T22:00:00Z", "2026-01-02T22:00:00Z"],
            ),
            (
                "30 6 1 JAN,jul *",
                ["2026-01-01T06:30:00Z", "2026-07-01T06:30:00Z"],
            ),
            ("*/20 3-4 * * *", ["2026-01-01T03:00:00Z", "2026-01-01T03:20:00Z"]),
            ("5/25 0 * * *", ["2026-01-01T00:05:00Z", "2026-01-01T00:30:00Z"]),
            ("0 0 * * 7", ["2026-01-04T00:00:00Z", "2026-01-11T00:00:00Z"]),
            (
                "0 0 * * SAT-SUN",
                ["2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z"],
            ),
            ("0 0 29 2 *", ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]),
            // Both days are given: either will do. The 13th of January 2026 is a Tuesday.
            ("0 0 13 * FRI", ["2026-01-02T00:00:00Z", "2026-01-09T00:00:00Z"]),
            // One of them begins with a star: both have to be met. The 5th of January is a Monday.
            ("0 0 */2 * MON", ["2026-01-05T00:00:00Z", "2026-01-19T00:00:00Z"]),
        ] {
            assert_eq!(next::<2>(text, "2026-01-01T00:00:00Z", ""), times, "{text}");
        }
    }

    #[test]
    fn what_is_no_schedule_is_said_to_be_wrong_where_it_is() {
        for text in ["", "* * * *", "* * * * * *", "@daily"] {
            assert_eq!(Cron::parse(text), Err(CronError::Fields), "{text}");
        }
        assert_eq!(Cron::parse(&"* ".repeat(200)), Err(CronError::Fields));
        for (text, wrong) in [
            ("60 * * * *", "minute"),
            ("-1 * * * *", "minute"),
            ("1,,2 * * * *", "minute"),
            ("*/0 * * * *", "minute"),
            ("*/ * * * *", "minute"),
            ("+1 * * * *", "minute"),
            ("*-5 * * * *", "minute"),
            ("* 24 * * *", "hour"),
            ("* 5-3 * * *", "hour"),
            ("* * 0 * *", "day of the month"),
            ("* * L * *", "day of the month"),
            ("* * * 13 *", "month"),
            ("* * * MON *", "month"),
            ("* * * * 8", "weekday"),
            ("* * * * MON#2", "weekday"),
        ] {
            let found = Cron::parse(text);
            assert!(
                matches!(found, Err(CronError::Field { field, .. }) if field == wrong),
                "{text}: {found:?}"
            );
        }
        assert_eq!(Cron::parse("0 0 30 2 *"), Err(CronError::Never));
        assert_eq!(Cron::parse("0 0 31 4,6 *"), Err(CronError::Never));
    }

    #[test]
    fn a_time_that_the_clock_skips_comes_when_it_has_skipped_it() {
        // Prague goes from 2:00 to 3:00 at 01:00 UTC.
        let times = next::<3>("0,30 1,2,3 * * *", "2026-03-29T00:00:00Z", "Europe/Prague");
        assert_eq!(
            times,
            [
                "2026-03-29T00:30:00Z",
                "2026-03-29T01:00:00Z",
                "2026-03-29T01:30:00Z"
            ],
            "1:30, then 2:00, 2:30 and 3:00 as one, then 3:30"
        );
        let times = next::<2>("30 * * * *", "2026-03-29T00:00:00Z", "Europe/Prague");
        assert_eq!(times, ["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"]);
        // Samoa left out the 30th of December 2011 as a whole.
        let times = next::<2>("0 12 * * *", "2011-12-30T00:00:00Z", "Pacific/Apia");
        assert_eq!(times, ["2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z"]);
    }

    #[test]
    fn a_time_that_the_clock_shows_twice_comes_once() {
        // Prague goes from 3:00 back to 2:00 at 01:00 UTC.
        let times = next::<2>("30 2 * * *", "2026-10-24T12:00:00Z", "Europe/Prague");
        assert_eq!(times, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
        let times = next::<4>("30 * * * *", "2026-10-24T23:00:00Z", "Europe/Prague");
        assert_eq!(
            times,
            [
                "2026-10-24T23:30:00Z",
                "2026-10-25T00:30:00Z",
                "2026-10-25T01:30:00Z",
                "2026-10-25T02:30:00Z"
            ],
            "every hour is every hour"
        );
        // Havana goes from 1:00 back to midnight.
        let times = next::<2>("15 0 * * *", "2025-11-01T12:00:00Z", "America/Havana");
        assert_eq!(times, ["2025-11-02T04:15:00Z", "2025-11-03T05:15:00Z"]);
    }

    #[test]
    fn looking_back_finds_what_looking_forward_found() {
        let week = SignedDuration::from_hours(24 * 7);
        for text in [
            "30 2 * * *",
            "*/7 * * * *",
            "0 0,12 */3 * MON-SAT",
            "59 23 31 * *",
        ] {
            let cron = Cron::parse(text).unwrap();
            for name in ["", "Europe/Prague", "America/Havana", "Australia/Lord_Howe"] {
                let zone = zone(name);
                for from in [
                    "2026-03-28T20:00:00Z",
                    "2026-04-04T03:00:00Z",
                    "2026-10-24T20:00:00Z",
                ] {
                    let mut time = cron.next(at(from), &zone).unwrap();
                    for _ in 0..100 {
                        let next = cron.next(time, &zone).unwrap();
                        let between = next - SignedDuration::from_nanos(1);
                        let close = next.duration_since(time) < week;
                        assert_eq!(
                            cron.last(between, week, &zone),
                            close.then_some(time),
                            "{text} {name}"
                        );
                        assert_eq!(cron.last(next, week, &zone), Some(next), "{text} {name}");
                        time = next;
                    }
                }
            }
        }
    }

    #[test]
    fn looking_back_ends_where_it_is_told_to() {
        let cron = Cron::parse("0 12 * * *").unwrap();
        let last = |hours| {
            cron.last(
                at("2026-01-02T11:00:00Z"),
                SignedDuration::from_hours(hours),
                &TimeZone::UTC,
            )
        };
        assert_eq!(
            last(23),
            None,
            "noon of the day before is 23 hours ago, and no less"
        );
        assert_eq!(last(24), Some(at("2026-01-01T12:00:00Z")));
    }

    #[test]
    fn the_ends_of_time_are_no_trouble() {
        let cron = Cron::parse("* * * * *").unwrap();
        assert_eq!(cron.next(Timestamp::MAX, &TimeZone::UTC), None);
        assert_eq!(
            cron.last(Timestamp::MIN, SignedDuration::MAX, &TimeZone::UTC),
            None
        );
    }
}
