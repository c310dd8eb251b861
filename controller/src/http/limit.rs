//! One limit for everybody. Upstream's goes by a header that the client writes.

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
}

#[cfg(test)]
mod tests {
    use super::*;

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
