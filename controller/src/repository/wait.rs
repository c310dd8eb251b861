//! How long to wait before the next look.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_mins(1);

/// After a failure: 1 s, doubled each time, at most a minute and at most the interval.
pub(super) fn retry(failures: u32, interval: Duration) -> Duration {
    let doubled = FIRST_RETRY.saturating_mul(1 << failures.saturating_sub(1).min(10));
    doubled.min(LONGEST_RETRY).min(interval)
}

/// `duration`, up to a tenth shorter or longer, so that Repositories of one interval spread out.
pub(super) fn jittered(duration: Duration) -> Duration {
    let thousandth = u32::try_from(RandomState::new().hash_one(()) % 201).unwrap_or(100);
    duration * (900 + thousandth) / 1000
}

#[cfg(test)]
mod tests {
    use super::{jittered, retry};
    use std::time::Duration;

    #[test]
    fn retries_grow_to_a_minute_or_the_interval() {
        let hour = Duration::from_hours(1);
        let seconds: Vec<_> = (1..9).map(|n| retry(n, hour).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(retry(9, Duration::from_secs(5)), Duration::from_secs(5));
        assert_eq!(retry(u32::MAX, hour), Duration::from_mins(1));
    }

    #[test]
    fn jitter_is_a_tenth() {
        for _ in 0..1000 {
            let wait = jittered(Duration::from_secs(100));
            assert!((90..=110).contains(&wait.as_secs()), "{wait:?}");
        }
    }
}
