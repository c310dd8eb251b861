//! The KeyRotations that there are, and which of them is under way.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crds::{KeyRotation, KeyRotationStatus, NewKeys, RotationReason, annotation};
use jiff::Timestamp;
use kube::ResourceExt;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::Event;

/// All of them, by uid.
pub(super) struct Board {
    home: String,
    listed: bool,
    known: HashMap<String, Arc<KeyRotation>>,
    listing: HashMap<String, Arc<KeyRotation>>,
    /// Their statuses as they were written last: newer than what the watch shows.
    records: HashMap<String, KeyRotationStatus>,
}

impl Board {
    pub(super) fn new(home: &str) -> Self {
        Self {
            home: home.to_owned(),
            listed: false,
            known: HashMap::new(),
            listing: HashMap::new(),
            records: HashMap::new(),
        }
    }

    /// Whether all are known.
    pub(super) fn is_listed(&self) -> bool {
        self.listed
    }

    /// Takes in what a watch shows. Whether it is news: our own status, come back, is none.
    pub(super) fn see(&mut self, event: Event<DeserializeGuard<KeyRotation>>) -> bool {
        match event {
            Event::Init => {
                self.listing.clear();
                false
            }
            Event::InitApply(guard) => {
                if let Ok(object) = guard.0 {
                    let uid = object.uid().unwrap_or_default();
                    self.listing.insert(uid, Arc::new(object));
                }
                false
            }
            Event::InitDone => {
                self.known = std::mem::take(&mut self.listing);
                self.records.retain(|uid, _| self.known.contains_key(uid));
                self.listed = true;
                true
            }
            Event::Apply(guard) => {
                // What cannot be read stays as it was known.
                let Ok(object) = guard.0 else {
                    return false;
                };
                let uid = object.uid().unwrap_or_default();
                let before = self.known.insert(uid, Arc::new(object.clone()));
                before.is_none_or(|before| asks(&before) != asks(&object))
            }
            Event::Delete(guard) => {
                let uid = match &guard.0 {
                    Ok(object) => object.uid(),
                    Err(invalid) => invalid.metadata.uid.clone(),
                }
                .unwrap_or_default();
                self.records.remove(&uid);
                self.known.remove(&uid).is_some()
            }
        }
    }

    /// Those that are not complete, or have a report, the one that is under way first.
    pub(super) fn open(&self) -> Vec<Arc<KeyRotation>> {
        let mut open: Vec<_> = self
            .known
            .values()
            .filter(|object| object.metadata.deletion_timestamp.is_none())
            .filter(|object| {
                // A report is kept up to date after the end.
                let reports = object.spec.reason == RotationReason::Compromised;
                object.spec.schedule.is_some() || reports || self.record(object).completed.is_none()
            })
            .cloned()
            .collect();
        open.sort_by_key(|object| {
            let created = object.metadata.creation_timestamp.as_ref();
            let created = created.map_or(0, |time| time.0.as_second());
            let record = self.record(object);
            let leaked = object.spec.reason == RotationReason::Compromised;
            (
                !self.may_lead(object),
                // A key that leaked is done away with first. Of two, the later one leaves the keys that the earlier one has made.
                !leaked,
                !leaked && (record.started.is_none() || record.completed.is_some()),
                // One that waits for a key may wait for long.
                object.spec.new_keys == NewKeys::TakeNewest,
                if leaked { -created } else { created },
                object.name_any(),
            )
        });
        open
    }

    /// The one that is under way, or is to be: all others wait for it.
    pub(super) fn active(&self) -> Option<Arc<KeyRotation>> {
        self.open().into_iter().find(|object| self.may_lead(object))
    }

    /// One that has begun holds the others up, whatever becomes of it. One that cannot begin, or is not due, holds nobody up.
    fn may_lead(&self, object: &KeyRotation) -> bool {
        let record = self.record(object);
        if object.namespace().as_deref() != Some(&self.home) {
            return false;
        }
        if record.started.is_some() && record.completed.is_none() {
            return true;
        }
        if record.completed.is_some() && object.spec.schedule.is_none() {
            return false;
        }
        let is_due = super::status::due(object, &record).is_none_or(|due| due <= Timestamp::now());
        is_due && !object.spec.suspend && super::status::unusable(&object.spec).is_none()
    }

    /// Keys that other rotations than this one leave, or have left.
    pub(super) fn left_by_others(&self, uid: &str) -> BTreeSet<String> {
        let others = self.known.iter().filter(|(other, _)| *other != uid);
        let records = others.map(|(_, object)| self.record(object));
        records
            .flat_map(|record| record.old_keys.into_iter().map(|key| key.id))
            .collect()
    }

    pub(super) fn name_of(&self, uid: &str) -> String {
        self.known
            .get(uid)
            .map(|object| object.name_any())
            .unwrap_or_default()
    }

    /// The phases of all.
    pub(super) fn phases(&self) -> Vec<&'static str> {
        let all = self.known.values();
        all.map(|object| self.record(object).phase.as_str()).collect()
    }

    /// Of the one under way: how many values hang on an old key, and how many things hold it up.
    pub(super) fn held_up(&self) -> (u64, u64) {
        let Some(record) = self.active().map(|object| self.record(&object)) else {
            return (0, 0);
        };
        let left = record.repositories.iter().map(|one| one.left).sum::<u64>();
        (
            left + record.objects.map_or(0, |count| count.left),
            record.blocked,
        )
    }

    /// How many values that leaked are still to be changed, by all reports.
    pub(super) fn leaked(&self) -> u64 {
        let reports = self
            .known
            .values()
            .filter_map(|object| self.record(object).report);
        reports.map(|report| report.unchanged + report.unknown).sum()
    }

    /// What its status says.
    pub(super) fn record(&self, object: &KeyRotation) -> KeyRotationStatus {
        let uid = object.uid().unwrap_or_default();
        let written = self.records.get(&uid);
        written.or(object.status.as_ref()).cloned().unwrap_or_default()
    }

    pub(super) fn put_record(&mut self, object: &KeyRotation, record: KeyRotationStatus) {
        self.records.insert(object.uid().unwrap_or_default(), record);
    }
}

/// What a person asks for.
fn asks(object: &KeyRotation) -> (Option<i64>, Option<String>, bool) {
    (
        object.metadata.generation,
        object.annotations().get(annotation::REQUESTED_AT).cloned(),
        object.metadata.deletion_timestamp.is_some(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn rotation(
        name: &str,
        reason: &str,
        created: &str,
        status: &Value,
    ) -> Event<DeserializeGuard<KeyRotation>> {
        let object = json!({
            "apiVersion": "signet.dev/v1alpha1", "kind": "KeyRotation",
            "metadata": {"name": name, "namespace": "home", "uid": name, "creationTimestamp": created},
            "spec": {"algorithm": {"v2": "X25519"}, "reason": reason, "retire": {"then": "Destroy"}},
            "status": status,
        });
        Event::Apply(DeserializeGuard(Ok(serde_json::from_value(object).unwrap())))
    }

    #[test]
    fn one_for_a_key_that_leaked_goes_first_whatever_is_under_way() {
        let mut board = Board::new("home");
        let leads = |board: &Board| board.active().map(|object| object.name_any()).unwrap_or_default();
        let left = json!({"started": "2026-01-01T00:00:00Z",
            "oldKeys": [{"format": "v2", "id": "key-old", "secret": "old"}]});
        board.see(rotation("begun", "Routine", "2026-01-01T00:00:00Z", &left));
        board.see(rotation("early", "Routine", "2025-01-01T00:00:00Z", &Value::Null));
        assert_eq!(leads(&board), "begun");
        board.see(rotation(
            "leak",
            "Compromised",
            "2026-02-01T00:00:00Z",
            &Value::Null,
        ));
        assert_eq!(leads(&board), "leak");
        // A later one knows of keys that the earlier one has made since.
        let begun = json!({"started": "2026-02-01T00:00:00Z"});
        board.see(rotation("leak", "Compromised", "2026-02-01T00:00:00Z", &begun));
        board.see(rotation(
            "again",
            "Compromised",
            "2026-02-02T00:00:00Z",
            &Value::Null,
        ));
        assert_eq!(leads(&board), "again");
        let done = json!({"started": "2026-02-02T00:00:00Z", "completed": "2026-02-03T00:00:00Z"});
        for name in ["leak", "again"] {
            board.see(rotation(name, "Compromised", "2026-02-01T00:00:00Z", &done));
        }
        assert_eq!(leads(&board), "begun");
        assert_eq!(
            board.left_by_others("leak"),
            BTreeSet::from(["key-old".to_owned()])
        );
        assert!(board.left_by_others("begun").is_empty());
    }
}
