//! Who changes an object again each time it is restored: two tools that both think it is theirs. Pure.
//!
//! Some do so within milliseconds, others at each round of a few minutes (Flux, Argo CD, a CronJob). The first are slowed down, both are
//! named.

use super::report::{KEPT, report};
use apply::Key;
use crds::ObjectReport;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Repairs of one object before it counts as a fight, each not longer than this after the one before it.
const FIGHT: u32 = 5;
const MEMORY: Duration = Duration::from_mins(15);
/// An object that is fought over is restored once in a second, and after each repair once in twice as long, so many times.
const DOUBLED: u32 = 4;
/// What is said of a fight begins so.
const AGAIN: &str = "is changed again each time it is restored";

/// What was repaired lately.
#[derive(Default)]
pub(super) struct Repairs(HashMap<Key, Repair>);

struct Repair {
    count: u32,
    last: Instant,
    /// Who changed it.
    by: Box<str>,
}

impl Repair {
    fn is_fight(&self, now: Instant) -> bool {
        self.count >= FIGHT && now.duration_since(self.last) < MEMORY
    }
}

impl Repairs {
    /// Forgets what was repaired long ago.
    pub(super) fn tidy(&mut self, now: Instant) {
        self.0
            .retain(|_, repair| now.duration_since(repair.last) < MEMORY);
    }

    /// Counts a repair. Whether a fight begins with it.
    pub(super) fn count(&mut self, key: &Key, by: Option<&str>, now: Instant) -> bool {
        let by = crate::text::bounded(by.unwrap_or_default(), 128).into_boxed_str();
        let repair = self.0.entry(key.clone()).or_insert_with(|| Repair {
            count: 0,
            last: now,
            by: Box::default(),
        });
        if now.duration_since(repair.last) >= MEMORY {
            repair.count = 0;
        }
        repair.count = repair.count.saturating_add(1);
        (repair.last, repair.by) = (now, by);
        repair.count == FIGHT
    }

    /// How long an object that is fought over has to wait to be restored.
    pub(super) fn pause(&self, key: &Key, now: Instant) -> Option<Duration> {
        let repair = self.0.get(key)?;
        let beyond = repair.count.checked_sub(FIGHT)?;
        let pause = Duration::from_secs(1) * (1 << beyond.min(DOUBLED));
        pause.checked_sub(now.duration_since(repair.last))
    }

    /// The objects that are fought over, for the status; and how long until the first of these fights is over.
    pub(super) fn fights(&self, now: Instant) -> (Vec<ObjectReport>, Option<Duration>) {
        let fights = self.0.iter().filter(|(_, repair)| repair.is_fight(now));
        let mut fights: Vec<(&Key, &Repair)> = fights.collect();
        fights.sort_unstable_by_key(|(key, _)| *key);
        let over = fights
            .iter()
            .map(|(_, repair)| MEMORY.saturating_sub(now.duration_since(repair.last)));
        let over = over.min();
        let said = |(key, repair): &(&Key, &Repair)| {
            let hint = "find out who does it: let one of the two have it, name the field in spec.ignore, or the manager in \
                        spec.trustedManagers";
            report(Some(key), None, &sentence(&repair.by), hint)
        };
        (fights.iter().take(KEPT).map(said).collect(), over)
    }
}

/// What is said of a fight, after the object's name.
pub(super) fn sentence(by: &str) -> String {
    let by = match by {
        "" => String::new(),
        by => format!(" by {by}"),
    };
    format!("{AGAIN}{by}; it is restored more slowly now")
}

/// Whether a report is about a fight.
pub(super) fn is_one(report: &ObjectReport) -> bool {
    report.message.starts_with(AGAIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::config_map as key;

    #[test]
    fn quick_and_slow_parties_are_noticed_and_quick_ones_slowed_down() {
        let begun = Instant::now();
        for (every, slowed) in [(Duration::from_millis(5), true), (Duration::from_mins(10), false)] {
            let (mut repairs, mut now) = (Repairs::default(), begun);
            for round in 1..=7 {
                now += every;
                assert_eq!(repairs.count(&key("a"), Some("acme"), now), round == 5, "{round}");
                assert_eq!(repairs.pause(&key("a"), now).is_some(), round >= 5);
            }
            assert_eq!(repairs.pause(&key("a"), now + every).is_some(), slowed);
            assert_eq!(repairs.pause(&key("a"), now), Some(Duration::from_secs(4)));
            let (fights, over) = repairs.fights(now);
            assert_eq!((fights.len(), over), (1, Some(MEMORY)));
            assert!(fights[0].message.contains("each time it is restored by acme"));
            // It is over when nothing happens for long.
            now += MEMORY;
            assert!(repairs.fights(now).0.is_empty());
            repairs.tidy(now);
            assert!(repairs.0.is_empty());
        }
    }

    #[test]
    fn what_is_changed_now_and_then_is_no_fight() {
        let (mut repairs, mut now) = (Repairs::default(), Instant::now());
        for _ in 0..20 {
            now += MEMORY;
            assert!(!repairs.count(&key("a"), None, now));
        }
        for other in 0..20 {
            assert!(!repairs.count(&key(&format!("m{other}")), None, now));
        }
        assert!(repairs.fights(now).0.is_empty());
    }
}
