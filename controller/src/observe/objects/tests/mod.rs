//! Tests of what is known of objects, event by event.

mod attending;
mod cost;
mod detail;
mod drift;
mod foreign;
mod health;
mod listing;
mod suspect;

use super::*;
use crate::observe::mailbox::Pending;
use ::health::{Status, Verdict};
use apply::FieldSet;
use apply::GroupKind;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::json;
use std::time::{Duration, SystemTime};

const US: &str = "signet/us";

fn key() -> Key {
    Key {
        kind: Arc::new(GroupKind::new("", "ConfigMap")),
        namespace: Some("n".into()),
        name: "a".into(),
    }
}

fn live(uid: &str, version: u64, owned: u8) -> LiveMeta {
    LiveMeta {
        uid: uid.into(),
        resource_version: version,
        owned: Some(FieldSet([owned; 16])),
        deleting: false,
        generation: None,
    }
}

/// With a generation.
fn of_generation(version: u64, owned: u8, generation: u32) -> LiveMeta {
    LiveMeta {
        generation: Some(generation),
        ..live("u", version, owned)
    }
}

fn sight(live: LiveMeta) -> Sight<'static> {
    Sight {
        live,
        manager: US,
        entries: &[],
        frozen: false,
        verdict: None,
    }
}

fn verdict(status: Status, message: &str) -> Verdict {
    Verdict {
        status,
        reason: "Why".into(),
        message: message.into(),
    }
}

/// A `managedFields` entry of the given second.
fn entry(manager: &str, operation: &str, field: &str, second: u8) -> ManagedFieldsEntry {
    serde_json::from_value(json!({"manager": manager, "operation": operation,
        "time": format!("2026-01-01T00:00:{second:02}Z"), "fieldsV1": {field: {}}}))
    .unwrap()
}

/// A room of objects with a clock.
struct Bench {
    objects: Objects,
    owner: Arc<Mailbox>,
    at: At,
}

impl Bench {
    /// After one complete listing of nothing.
    fn listed() -> Self {
        let mut bench = Self {
            objects: Objects::default(),
            owner: Arc::default(),
            at: At::now(),
        };
        bench.list(&[]);
        bench
    }

    /// The same, and then one apply that returned `live`.
    fn with(live: &LiveMeta) -> Self {
        let mut bench = Self::listed();
        bench.apply(live);
        bench
    }

    /// The same, with version 10 of uid `u`.
    fn applied() -> Self {
        Self::with(&live("u", 10, 1))
    }

    fn apply(&mut self, live: &LiveMeta) {
        self.objects.begin(&key());
        self.finish(Some(live));
    }

    fn finish(&mut self, live: Option<&LiveMeta>) {
        self.objects.finish(&key(), &self.owner, live, self.at);
    }

    fn see(&mut self, live: LiveMeta) {
        self.show(sight(live));
    }

    fn show(&mut self, sight: Sight<'_>) {
        self.objects.seen(&key(), sight, self.at);
    }

    fn judge(&mut self, live: LiveMeta, verdict: Verdict) {
        self.show(Sight {
            verdict: Some(verdict),
            ..sight(live)
        });
    }

    fn vanish(&mut self, version: u64) {
        self.objects.vanished(&key(), version, self.at);
    }

    fn list(&mut self, shown: &[LiveMeta]) {
        self.objects.listing_begins();
        for live in shown {
            self.see(live.clone());
        }
        self.objects.listing_ends(self.at);
    }

    fn wait(&mut self, pause: Duration) {
        self.at.instant += pause;
        self.at.time += pause;
        self.objects.due(self.at);
    }

    fn drift(&self) -> Option<Drift> {
        self.objects.drift(&key())
    }

    fn health(&self) -> Health {
        self.objects.health(&key())
    }

    /// What the owner was told.
    fn told(&self) -> Pending {
        self.owner.now()
    }

    fn told_drift(&self) -> Option<Drift> {
        self.told().drifted.remove(&key())
    }
}

fn changed(by: Option<&str>) -> Drift {
    Drift::Changed {
        by: by.map(Into::into),
    }
}
