//! What a pass asks of the watches: whether they are listed, and what to expect of each object.

use super::inputs::Inputs;
use super::report::report;
use super::worker::Worker;
use crate::observe::WatchState;
use apply::plan::Plan;
use apply::{Key, KindInfo, LiveMeta};
use crds::ObjectReport;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a first listing of watches may hold up a pass.
const WATCHES_WAIT: Duration = Duration::from_secs(5);

impl Worker {
    /// Whether the watches of these kinds are listed; otherwise the first of them to be wakes this worker.
    pub(super) fn watches_ready(&mut self, kinds: &[Arc<apply::KindInfo>]) -> bool {
        let mut starting = Vec::new();
        self.unwatched.clear();
        for info in kinds.iter().filter(|info| info.watchable) {
            match self.rooms.observer.follow(info, &self.mailbox) {
                WatchState::Following => {}
                WatchState::Starting => starting.push(info),
                WatchState::Refused => self.unwatched.push(unwatched(info, "the API server refuses it")),
                WatchState::Failing(why) => self.unwatched.push(unwatched(info, &why)),
            }
        }
        if starting.is_empty() {
            self.waiting_since = None;
            return true;
        }
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        if since.elapsed() < WATCHES_WAIT {
            self.retry_at = Some(since + WATCHES_WAIT);
            return false;
        }
        // An API server may let a list wait for a minute before it says that it fails.
        let why = "the API server has not listed them yet";
        self.unwatched
            .extend(starting.into_iter().map(|info| unwatched(info, why)));
        true
    }

    /// Why objects of this kind are not watched, if it is known that they cannot be now.
    pub(super) fn blind_to(&self, info: &apply::KindInfo) -> Option<String> {
        if !info.watchable {
            return Some(format!("kind {} cannot be watched", info.kind));
        }
        let kind = info.kind.to_string();
        let report = self.unwatched.iter().find(|report| report.object == kind)?;
        Some(report.message.clone())
    }

    /// Takes out of the plan what somebody has asked, in the cluster, to leave alone.
    pub(super) fn spare_frozen(&mut self, inputs: &Inputs, plan: &mut Plan) {
        let observer = self.rooms.observer.clone();
        let steps = plan.apply.iter().map(|step| &inputs.desired[step.desired].key);
        let all = steps.chain(&plan.prune);
        let spared: Vec<Key> = all.filter(|key| observer.frozen(key)).cloned().collect();
        let records = self.checkpoint.records();
        for key in &spared {
            let record = records.get(key);
            if record.is_some_and(|record| record.uid.is_some() && record.owned.is_some()) {
                continue; // expected: its owner is told when it thaws
            }
            observer.attend(key, &self.mailbox, None);
            if !observer.frozen(key) {
                self.mailbox.wake(); // it has just thawed
            }
        }
        // What is nothing to this Sync any more.
        for key in &self.spared {
            if !spared.contains(key) && !records.contains_key(key) && inputs.find(key).is_none() {
                observer.release(key, &self.mailbox);
            }
        }
        self.spared = spared;
        plan.apply
            .retain(|step| !observer.frozen(&inputs.desired[step.desired].key));
        plan.prune.retain(|key| !observer.frozen(key));
    }

    /// Tells the watches what the checkpoint knows, as far as they do not know it better: after a restart, for a kind whose
    /// watch is new, for an object whose delete failed. What has left Git and another Sync wants is that one's to look after.
    pub(super) fn expect_recorded(&mut self, inputs: &Inputs) {
        for (key, record) in self.checkpoint.records() {
            let names = &self.rooms.names;
            if inputs.find(key).is_none() && names.heir(&self.id.manager, key).is_some() {
                continue;
            }
            if let (Some(uid), Some(owned)) = (&record.uid, record.owned) {
                let live = LiveMeta {
                    uid: uid.clone(),
                    resource_version: 0,
                    owned: Some(owned),
                    deleting: false,
                    generation: None,
                };
                self.rooms.observer.expect(key, &self.mailbox, &live);
            }
        }
    }
}

/// What is said of a kind that cannot be watched.
fn unwatched(info: &KindInfo, why: &str) -> ObjectReport {
    let message = format!(
        "objects of this kind cannot be watched: {why}; what is changed of them in the cluster is not noticed"
    );
    let hint =
        "let the controller list and watch the kind, or mend what serves it; this is tried again by itself";
    ObjectReport {
        object: info.kind.to_string(),
        ..report(None, None, &message, hint)
    }
}
