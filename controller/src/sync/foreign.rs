//! Fields that others added to a Sync's objects: named, or removed.

use super::execute::Hand;
use super::report::KEPT;
use super::worker::Worker;
use crate::events::Severity;
use crate::observe::ForeignOf;
use apply::Key;
use apply::fields::{self, is_trusted};
use apply::words;
use crds::{ForeignFields, ForeignReport, Sync, SyncStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long what could not be removed is left alone, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// Fields of others that stay on an object, though they were to be removed.
pub(super) struct Unremoved {
    /// When that is tried again, and how long that was put off.
    due: Instant,
    pause: Duration,
    /// What there was when it was tried. Anything else is looked at at once.
    of: Arc<[ForeignOf]>,
}

impl Worker {
    /// Puts into the status which fields others added, as far as the Sync wants to know.
    pub(super) fn list_foreign(&self, next: &mut SyncStatus) {
        next.foreign.clear();
        let sync = self.spec.borrow().clone();
        if sync.spec.foreign_fields == ForeignFields::Allow {
            return;
        }
        'objects: for (desired, wanted) in self.inputs.ordinary().iter().zip(&self.inputs.wanted) {
            // Paths name items of lists by their content.
            let named = |path: String| {
                if wanted.item.holds_secret() {
                    crate::text::without_items(&path)
                } else {
                    path
                }
            };
            let Some(found) = self.rooms.observer.foreign(&desired.key) else {
                continue;
            };
            for one in found
                .iter()
                .filter(|one| !is_trusted(&one.manager, &sync.spec.trusted_managers))
            {
                if next.foreign.len() == KEPT {
                    break 'objects;
                }
                next.foreign.push(ForeignReport {
                    object: desired.key.to_string(),
                    manager: crate::text::bounded(&one.manager, 128),
                    fields: one.paths.iter().map(|path| named(path.to_string())).collect(),
                });
            }
        }
        next.foreign
            .sort_by(|a, b| (&a.object, &a.manager).cmp(&(&b.object, &b.manager)));
    }

    /// Removes fields that others added, where the Sync says so. Called when nothing has drifted: a field that was taken
    /// from us is put back first, and is not foreign then.
    ///
    /// What cannot be removed is named, and tried again: each time after twice as long.
    pub(super) async fn remove_foreign(&mut self, sync: &Sync, hand: &Arc<Hand>) {
        if sync.spec.foreign_fields != ForeignFields::Remove {
            return;
        }
        let now = Instant::now();
        let observer = &self.rooms.observer;
        self.unremoved
            .retain(|key, kept| observer.foreign(key).is_some_and(|found| found == kept.of));
        let inputs = Arc::clone(&self.inputs);
        let trusted = |manager: &str| is_trusted(manager, &sync.spec.trusted_managers);
        for at in 0..inputs.groups.len() {
            let (key, info) = (&inputs.desired[at].key, &inputs.wanted[at].info);
            let observer = &self.rooms.observer;
            let known = observer.foreign(key);
            let stays = observer.drift(key).is_some() || observer.frozen(key);
            if stays || known.is_none_or(|found| found.iter().all(|one| trusted(&one.manager))) {
                continue;
            }
            if let Some(pause) = self.fight(key) {
                self.look_again(pause);
                continue;
            }
            if let Some(kept) = self.unremoved.get(key).filter(|kept| kept.due > now) {
                self.wake_in(kept.due.duration_since(now));
                continue;
            }
            // It is a write like any other.
            if !self.may_write(sync).await {
                return;
            }
            // What the watch keeps is for people: whose the fields are is read anew.
            let meta = match self.rooms.server.metadata(&hand.identity, info, key).await {
                Ok(Some(meta)) => meta,
                Ok(None) => continue,
                Err(error) => {
                    let sentence = format!("Fields of others on {key} cannot be read: {error}.");
                    self.keeps_foreign(key, Some(&sentence));
                    continue;
                }
            };
            let (mut kept, mut removes) = (None, false);
            let entries = meta.0.managed_fields.unwrap_or_default();
            for mut foreign in fields::foreign(&entries, &self.id.manager, &trusted) {
                // Who freezes an object, or keeps it from being pruned, says so in such a field.
                foreign.fields.retain(|field| !words::is_word(&field.to_string()));
                if foreign.fields.is_empty() {
                    continue;
                }
                match hand.remove_foreign(info, key, &foreign.fields).await {
                    Ok(removed) if removed.count > 0 => {
                        let first = foreign
                            .fields
                            .first()
                            .map(ToString::to_string)
                            .unwrap_or_default();
                        let first = if inputs.wanted[at].item.holds_secret() {
                            crate::text::without_items(&first)
                        } else {
                            first
                        };
                        let manager = crate::text::bounded(&foreign.manager, 128);
                        let sentence = format!(
                            "Removed {} fields of {manager} from {key}, {first} among them.",
                            removed.count
                        );
                        self.event(Severity::Normal, "ForeignRemoved", &sentence);
                        self.repaired(key, Some(&manager));
                        removes = true;
                    }
                    Ok(_) => {}
                    Err(error) => {
                        let sentence = format!(
                            "Fields of {} on {key} cannot be removed: {error}.",
                            foreign.manager
                        );
                        kept = Some(sentence);
                    }
                }
            }
            if removes && kept.is_none() {
                self.unremoved.remove(key);
            } else {
                self.keeps_foreign(key, kept.as_deref());
            }
        }
    }

    /// Fields of others stay: that is said once, if there is anything to be said, and tried again.
    fn keeps_foreign(&mut self, key: &Key, sentence: Option<&str>) {
        let Some(of) = self.rooms.observer.foreign(key) else {
            return;
        };
        let known = self.unremoved.get(key).map(|kept| kept.pause);
        if let Some(sentence) = sentence.filter(|_| known.is_none()) {
            self.event(Severity::Warning, "ForeignKept", sentence);
        }
        let pause = known.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE));
        let due = Instant::now() + pause;
        self.unremoved.insert(key.clone(), Unremoved { due, pause, of });
        self.look_again(pause);
    }
}
