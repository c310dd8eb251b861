//! When a new sealing key is made beside those that are there. Old keys stay: what was sealed for them still opens.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// How long after a renewal no other is tried, whatever came of it: the watch has to show the new key first.
const REST: Duration = Duration::from_mins(1);
/// How often it is looked whether a key is due.
const LOOK: Duration = Duration::from_hours(1);

/// What a key is ordered by, and so how old it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum KeyOrder {
    /// When its certificate begins to be valid.
    #[default]
    #[value(name = "CertNotBefore")]
    CertNotBefore,
    /// When its Secret was made.
    #[value(name = "SecretCreationTimestamp")]
    SecretCreationTimestamp,
}

/// The policy.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Renewal {
    /// A newest key older than this is renewed. Zero: never.
    pub(crate) period: Duration,
    /// A newest key from before this is renewed.
    pub(crate) cutoff: Option<SystemTime>,
}

/// When a key is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Now,
    At(SystemTime),
    Never,
}

impl Renewal {
    /// When the next key is due, where the newest one is from `newest`.
    pub(crate) fn due(&self, newest: SystemTime, now: SystemTime) -> Due {
        // One that lies ahead would ask for keys until it has passed.
        let passed = self.cutoff.filter(|cutoff| *cutoff <= now);
        if passed.is_some_and(|cutoff| newest < cutoff) {
            return Due::Now;
        }
        let by_age = match self.period {
            Duration::ZERO => None,
            period => newest.checked_add(period),
        };
        let ahead = self.cutoff.filter(|cutoff| *cutoff > now && newest < *cutoff);
        match by_age.into_iter().chain(ahead).min() {
            Some(at) if at <= now => Due::Now,
            Some(at) => Due::At(at),
            None => Due::Never,
        }
    }
}

/// The renewals of the keys of one format.
pub(super) struct Schedule {
    renewal: Renewal,
    rests_until: Option<Instant>,
}

impl Schedule {
    pub(super) fn new(renewal: Renewal) -> Self {
        Self {
            renewal,
            rests_until: None,
        }
    }

    /// When it is to be looked again, where the newest key is from `newest`. None: not by what is known now.
    pub(super) fn next(&self, newest: Option<SystemTime>) -> Option<Instant> {
        let (now, at_once) = (SystemTime::now(), Instant::now());
        let at = match self.renewal.due(newest?, now) {
            Due::Never => return None,
            Due::Now => at_once,
            // Clocks are set: it is looked at again.
            Due::At(at) => at_once + at.duration_since(now).unwrap_or_default().min(LOOK),
        };
        Some(at.max(self.rests_until.unwrap_or(at)))
    }

    /// Whether a key is to be made now. Then no other is for a while.
    pub(super) fn begins(&mut self, newest: Option<SystemTime>) -> bool {
        let is_due = newest.is_some_and(|newest| self.renewal.due(newest, SystemTime::now()) == Due::Now);
        if is_due {
            self.rests_until = Some(Instant::now() + REST);
        }
        is_due
    }
}

/// Waits for that time, or for ever.
pub(super) async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Reads a time as `date -R` writes it (RFC 1123 with a numeric zone): `Sat, 28 Nov 2026 19:35:12 +0000`.
pub(crate) fn cutoff(text: &str) -> Result<SystemTime, &'static str> {
    jiff::fmt::rfc2822::parse(text)
        .map(|time| SystemTime::from(time.timestamp()))
        .map_err(|_| "write the time as `date -R` does: Sat, 28 Nov 2026 19:35:12 +0000")
}

/// Reads `key=value,key=value`.
pub(crate) fn pairs(text: &str) -> Result<Vec<(String, String)>, &'static str> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (key, value) = part.split_once('=').ok_or("write key=value,key=value")?;
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn at(hours: u32) -> SystemTime {
        SystemTime::UNIX_EPOCH + HOUR * hours
    }

    #[test]
    fn a_key_is_renewed_by_age_and_by_cutoff() {
        let due = |period: u32, cutoff: Option<u32>, newest, now| {
            let renewal = Renewal {
                period: HOUR * period,
                cutoff: cutoff.map(at),
            };
            renewal.due(at(newest), at(now))
        };
        assert_eq!(due(0, None, 1, 999), Due::Never);
        assert_eq!(due(720, None, 100, 200), Due::At(at(820)));
        assert_eq!(due(720, None, 100, 820), Due::Now);
        assert_eq!(due(0, Some(150), 100, 200), Due::Now);
        assert_eq!(due(0, Some(150), 160, 200), Due::Never);
        // A cut-off time ahead is waited for, and asks for one key.
        assert_eq!(due(0, Some(300), 100, 200), Due::At(at(300)));
        assert_eq!(due(720, Some(300), 250, 260), Due::At(at(300)));
        assert_eq!(due(0, Some(300), 300, 301), Due::Never);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_renewal_there_is_a_rest() {
        let mut schedule = Schedule::new(Renewal {
            period: HOUR,
            cutoff: None,
        });
        let old = Some(at(1));
        assert_eq!(schedule.next(old), Some(Instant::now()));
        assert!(schedule.begins(old));
        assert_eq!(
            schedule.next(old),
            Some(Instant::now() + REST),
            "the watch has not shown it yet"
        );
        let new = Some(SystemTime::now());
        let next = schedule.next(new).unwrap();
        assert!(next > Instant::now() + HOUR / 2 && next <= Instant::now() + LOOK);
        assert!(!schedule.begins(new));
        assert_eq!(schedule.next(None), None, "without a key none is due");
    }

    #[test]
    fn flags_are_read_as_upstreams() {
        let time = cutoff("Thu, 01 Jan 1970 02:00:00 +0100").unwrap();
        assert_eq!(time, at(1));
        assert!(cutoff("yesterday").is_err());
        assert_eq!(
            pairs("a=b, c=d=e,"),
            Ok(vec![("a".into(), "b".into()), ("c".into(), "d=e".into())])
        );
        assert!(pairs("a").is_err());
    }
}
