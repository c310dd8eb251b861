//! How often may be asked. One limit holds for everybody who brings no identity (upstream's goes by a header that the client
//! writes), and one for each who does.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// At most so many a second, and so many more at once: the generic cell rate algorithm (ITU-T I.371).
pub(crate) struct Limit {
    interval: Duration,
    burst: u32,
    /// When the next request would be due if they came evenly.
    due: Mutex<Option<Instant>>,
}

/// The answer to a request that comes too soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooSoon {
    /// Whole seconds, at least one.
    pub(crate) retry_after: u64,
}

impl Limit {
    /// `rate` a second. Zero lets nobody in.
    pub(crate) fn new(rate: u32, burst: u32) -> Self {
        let interval = match rate {
            0 => Duration::MAX,
            rate => Duration::from_secs(1) / rate,
        };
        Self {
            interval,
            burst,
            due: Mutex::new(None),
        }
    }

    /// Lets one in, or says when to come again.
    pub(crate) fn admit(&self, now: Instant) -> Result<(), TooSoon> {
        if self.interval == Duration::MAX {
            return Err(TooSoon { retry_after: 3600 });
        }
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let tolerance = self.interval * self.burst;
        let expected = due.map_or(now, |due| due.max(now));
        let early = expected.duration_since(now);
        if early > tolerance {
            let wait = early.saturating_sub(tolerance);
            let retry_after = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            return Err(TooSoon {
                retry_after: retry_after.max(1),
            });
        }
        *due = Some(expected + self.interval);
        Ok(())
    }

    /// Whether it still remembers somebody: one that does not is as new.
    fn is_in_use(&self, now: Instant) -> bool {
        let due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        due.is_some_and(|due| due > now)
    }
}

/// Identities that are told apart at a time; whoever comes on top shares one limit.
const APART: usize = 1024;

/// A limit for each identity.
pub(super) struct Limits {
    rate: u32,
    burst: u32,
    by_name: Mutex<HashMap<String, Limit>>,
    others: Limit,
}

impl Limits {
    pub(super) fn new(rate: u32, burst: u32) -> Self {
        Self {
            rate,
            burst,
            by_name: Mutex::default(),
            others: Limit::new(rate, burst),
        }
    }

    /// Lets one of this name in, or says when to come again.
    pub(super) fn admit(&self, name: &str, now: Instant) -> Result<(), TooSoon> {
        let mut by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(limit) = by_name.get(name) {
            return limit.admit(now);
        }
        if by_name.len() >= APART {
            by_name.retain(|_, limit| limit.is_in_use(now));
        }
        if by_name.len() >= APART {
            return self.others.admit(now);
        }
        let limit = by_name
            .entry(name.to_owned())
            .or_insert_with(|| Limit::new(self.rate, self.burst));
        limit.admit(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_a_limit_of_its_own_and_the_names_are_bounded() {
        let (limits, start) = (Limits::new(1, 1), Instant::now());
        let ask = |name: &str| limits.admit(name, start).is_ok();
        assert_eq!([ask("a"), ask("a"), ask("a")], [true, true, false]);
        assert!(ask("b"), "another's limit is no concern of b");
        for number in 2..APART {
            assert!(ask(&number.to_string()));
        }
        assert_eq!(
            [ask("x"), ask("y"), ask("z")],
            [true, true, false],
            "they share one"
        );
        assert!(!ask("a"), "nobody is forgotten by asking for many");
        // Later all are at rest, and there is room again.
        let later = start + Duration::from_secs(10);
        assert!(limits.admit("z", later).is_ok());
        assert_eq!(limits.by_name.lock().unwrap().len(), 1);
    }

    #[test]
    fn three_at_once_then_two_a_second() {
        let (limit, start) = (Limit::new(2, 2), Instant::now());
        let at = |ms: u64| limit.admit(start + Duration::from_millis(ms)).is_ok();
        assert_eq!(
            [at(0), at(0), at(0), at(0), at(100)],
            [true, true, true, false, false]
        );
        assert_eq!([at(500), at(500), at(1000)], [true, false, true]);
        assert_eq!(
            limit.admit(start + Duration::from_secs(1)),
            Err(TooSoon { retry_after: 1 })
        );
        assert!(at(60_000) && at(60_000) && at(60_000) && !at(60_000));
    }

    #[test]
    fn zero_lets_nobody_in() {
        assert!(Limit::new(0, 2).admit(Instant::now()).is_err());
    }
}
