//! Where an audit of a clone begins.
//!
//! Git reads whatever it is given as a date: a tag that is mistyped is now. So what is neither a commit nor a date is refused here, and
//! git is asked for what is one. A day and a time of RFC 3339 are read as the controller reads them.

use crate::command_error::CommandError;
use crate::git;
use jiff::civil::{Date, DateTime};
use sealing::Printable;
use std::path::Path;

/// Where it begins.
pub(super) enum Since {
    /// What comes before this commit is left out, and itself.
    Commit(String),
    /// Seconds since 1970, by the committer's clock.
    Time(i64),
}

impl Since {
    pub(super) fn read(top: &Path, text: &str) -> Result<Self, CommandError> {
        if let Ok(commit) = git::commit(top, text) {
            return Ok(Self::Commit(commit));
        }
        if let Some(time) = audit::since(text) {
            return Ok(Self::Time(time));
        }
        is_date(text)
            .then(|| git::time(top, text))
            .flatten()
            .map(Self::Time)
            .ok_or_else(|| {
                CommandError::user(
                    format!(
                        "--since {}: the clone has no such commit, and it is no date",
                        Printable(text)
                    ),
                    "name a commit, or a date such as 2026-10-01, 2026-10-01T12:00:00Z or \"2 weeks ago\"; `git fetch --tags` \
                     brings tags that are new",
                )
            })
    }
}

/// Whether it is one of the dates that git reads as a person does: without this, anything is one.
fn is_date(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    if let Some(seconds) = text.strip_prefix('@') {
        return !seconds.is_empty() && seconds.bytes().all(|byte| byte.is_ascii_digit());
    }
    let words = |separators: &[char]| -> Vec<String> {
        let words = text.split(|c: char| c.is_whitespace() || separators.contains(&c));
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    is_relative(&words(&['.', ','])) || is_calendar(&words(&[',']))
}

/// `yesterday`, `last friday`, `2 weeks ago`.
fn is_relative(words: &[String]) -> bool {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match *words {
        [word] => matches!(word, "yesterday" | "noon" | "midnight") || is_weekday(word),
        ["last", word] => is_unit(word) || is_weekday(word),
        [ref counted @ .., "ago"] if !counted.is_empty() => counted
            .chunks(2)
            .all(|pair| matches!(*pair, [number, unit] if is_number(number) && is_unit(unit))),
        _ => false,
    }
}

/// A day that is whole, with or without the time.
fn is_calendar(words: &[String]) -> bool {
    let (mut dates, mut times, mut zones) = (0, 0, 0);
    let (mut days, mut months, mut years) = (0, 0, 0);
    for word in words {
        let number = word.parse::<u16>().ok();
        if word.parse::<Date>().is_ok() && word.len() == "2026-10-01".len() {
            dates += 1;
        } else if word.contains(['t', ':']) && word.parse::<DateTime>().is_ok() {
            (dates, times) = (dates + 1, times + 1);
        } else if is_time(word) {
            times += 1;
        } else if is_zone(word) {
            zones += 1;
        } else if is_name(word, &MONTHS) {
            months += 1;
        } else if number.is_some_and(|number| (1..=31).contains(&number)) {
            days += 1;
        } else if number.is_some_and(|number| (1970..2100).contains(&number)) {
            years += 1;
        } else if !is_weekday(word) {
            return false;
        }
    }
    let is_whole = matches!((dates, days, months, years), (1, 0, 0, 0) | (0, 1, 1, 1));
    is_whole && times <= 1 && zones <= times
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];
const UNITS: [&str; 7] = ["second", "minute", "hour", "day", "week", "month", "year"];
const NUMBERS: [&str; 12] = [
    "a", "an", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
];

/// Whole, or its first three letters.
fn is_name(word: &str, names: &[&str]) -> bool {
    names
        .iter()
        .any(|name| *name == word || name.get(..3) == Some(word))
}

fn is_weekday(word: &str) -> bool {
    is_name(word, &WEEKDAYS)
}

fn is_unit(word: &str) -> bool {
    UNITS.contains(&word.strip_suffix('s').unwrap_or(word))
}

fn is_number(word: &str) -> bool {
    word.parse::<u16>().is_ok() || NUMBERS.contains(&word)
}

/// `12:00`, `12:00:00`.
fn is_time(word: &str) -> bool {
    let parts: Vec<&str> = word.split(':').collect();
    let mut most = [23, 59, 60].iter();
    matches!(parts.len(), 2 | 3)
        && parts.iter().all(|part| {
            let two = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            two && part
                .parse::<u8>()
                .ok()
                .is_some_and(|number| most.next().is_some_and(|most| number <= *most))
        })
}

/// `+0200`, `-08:00`, `utc`.
fn is_zone(word: &str) -> bool {
    let digits = word
        .strip_prefix(['+', '-'])
        .map(|digits| digits.replace(':', ""));
    matches!(word, "z" | "utc" | "gmt")
        || digits.is_some_and(|digits| digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit()))
}
