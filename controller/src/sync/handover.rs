//! What left this Sync's path and another Sync wants: it is that one's as soon as it has taken it over, and ours until then.

use super::names::Heir;
use super::worker::Worker;
use crate::events::Severity;
use apply::{Catalog, Identity, Key, Meta};
use crds::{Sync, label};
use std::time::{Duration, Instant};

/// Objects that are looked at in one pass, of those that another Sync is to take over and has not said that it did.
const LOOKS: usize = 50;
/// How long until an object is looked at again, at first and at most. Whoever takes it over says so, as a rule.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

impl Worker {
    /// Takes out of `left` what other Syncs want. What one of them has taken over, or leaves alone, is let go, and said to
    /// be; gives the rest, which is still ours, with who is to take it.
    pub(super) async fn hand_over(
        &mut self,
        sync: &Sync,
        left: &mut Vec<Key>,
        catalog: &Catalog,
    ) -> Vec<(Key, String)> {
        let (names, manager) = (self.rooms.names.clone(), self.id.manager.clone());
        let mut wanted = Vec::new();
        left.retain(|key| match names.heir(&manager, key) {
            Some(heir) => {
                wanted.push((key.clone(), heir));
                false
            }
            None => true,
        });
        let identity = self.hand(sync).identity.clone();
        let (mut awaited, mut handed, mut looks) = (Vec::new(), Vec::new(), 0);
        for (key, heir) in wanted {
            match heir {
                Heir::LeavesAlone(other) => {
                    let message = format!(
                        "{key} left here and stays as it is: Sync {other} holds it, and is told to leave it alone."
                    );
                    self.event(Severity::Normal, "Kept", &message);
                    self.let_object_go(&key);
                }
                Heir::Takes(other) => {
                    let mut taken = names.is_taken(&manager, &key);
                    if !taken && looks < LOOKS && self.may_look(&key) {
                        // After a restart nobody has told, nor does who makes it anew.
                        looks += 1;
                        taken = self.is_taken(&identity, &key, catalog).await;
                    }
                    if taken {
                        self.looks.remove(&key);
                        self.let_object_go(&key);
                        handed.push((key, other));
                    } else {
                        awaited.push((key, other));
                    }
                }
            }
        }
        if let [(key, other), more @ ..] = &*handed {
            let more = and_more(more.len());
            let message = format!("Handed {key}{more} over to Sync {other}.");
            self.event(Severity::Normal, "HandedOver", &message);
        }
        awaited
    }

    /// Whether it is time to look at an object again: each time after twice as long.
    fn may_look(&mut self, key: &Key) -> bool {
        let now = Instant::now();
        let (due, pause) = self.looks.entry(key.clone()).or_insert((now, FIRST_PAUSE));
        if *due > now {
            return false;
        }
        (*due, *pause) = (now + *pause, (*pause * 2).min(LONGEST_PAUSE));
        true
    }

    /// Whether another Sync has taken an object over: it carries that one's label. Where that cannot be told, none has.
    async fn is_taken(&self, identity: &Identity, key: &Key, catalog: &Catalog) -> bool {
        let Some(info) = catalog.preferred(&key.kind) else {
            return false;
        };
        match self.rooms.server.metadata(identity, info, key).await {
            Ok(None) => true,
            Ok(Some(Meta(found))) => {
                let labels = found.labels.unwrap_or_default();
                labels.get(label::APPLYSET_PART_OF) != Some(&self.id.applyset)
            }
            Err(_) => false,
        }
    }
}

/// What waits for another Sync, as a sentence about this revision.
pub(super) fn waits(revision: &str, awaited: &[(Key, String)]) -> Option<String> {
    let ((key, other), more) = awaited.split_first()?;
    let more = and_more(more.len());
    Some(format!(
        "{revision}: {key}{more} left here and waits for Sync {other}, which wants it, to take it over."
    ))
}

fn and_more(count: usize) -> String {
    match count {
        0 => String::new(),
        count => format!(" and {count} more"),
    }
}
