//! Which deliveries were seen: bounded in number and in time.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use crate::mark::Mark;

/// How long a delivery is remembered. Longer than a signed time may be old.
pub(super) const WINDOW: Duration = Duration::from_hours(1);
/// How many are, in each receiver; the oldest is forgotten first.
const REMEMBERED: usize = 4096;

/// What one receiver has seen.
#[derive(Default)]
pub(super) struct Seen {
    order: VecDeque<(Instant, Mark)>,
    marks: HashSet<Mark>,
}

impl Seen {
    /// Remembers a delivery. Whether it was seen before, by any of its marks.
    pub(super) fn before(&mut self, marks: &[Mark], now: Instant) -> bool {
        while let Some((at, mark)) = self.order.front()
            && (now.duration_since(*at) > WINDOW || self.order.len() >= REMEMBERED)
        {
            self.marks.remove(mark);
            self.order.pop_front();
        }
        let mut seen = false;
        for mark in marks {
            if self.marks.insert(*mark) {
                self.order.push_back((now, *mark));
            } else {
                seen = true;
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::{REMEMBERED, Seen, WINDOW};
    use crate::mark::Mark;
    use std::time::{Duration, Instant};

    fn mark(n: usize) -> Mark {
        Mark::of(&[&n.to_be_bytes()])
    }

    #[test]
    fn what_was_seen_is_known_for_an_hour() {
        let (mut seen, start) = (Seen::default(), Instant::now());
        assert!(!seen.before(&[mark(1), mark(2)], start));
        assert!(seen.before(&[mark(3), mark(2)], start), "one of them is enough");
        assert!(seen.before(&[mark(1)], start + WINDOW));
        assert!(!seen.before(&[mark(1)], start + WINDOW + Duration::from_secs(1)));
    }

    #[test]
    fn memory_is_bounded() {
        let (mut seen, now) = (Seen::default(), Instant::now());
        for n in 0..3 * REMEMBERED {
            assert!(!seen.before(&[mark(n)], now));
        }
        assert!(seen.order.len() <= REMEMBERED + 1 && seen.marks.len() == seen.order.len());
        assert!(seen.before(&[mark(3 * REMEMBERED - 1)], now));
    }

    #[test]
    fn marks_do_not_run_into_each_other() {
        assert_ne!(Mark::of(&[b"ab", b"c"]), Mark::of(&[b"a", b"bc"]));
    }
}
