//! What the deletion of a Sync would take along that no Sync has: a person is asked, as about a plan.

use super::gate;
use super::hooks::DELETION;
use super::inside::Lodged;
use super::strangers::Strangers;
use super::worker::Worker;
use apply::Key;
use apply::plan::Plan;
use crds::{PlanReport, Sync, annotation};
use jiff::Timestamp;
use std::collections::HashSet;

impl Worker {
    /// The objects among these that a person let go with who is in them: all, where that was approved.
    ///
    /// # Errors
    /// The plan to approve.
    pub(super) fn let_go_with(
        &self,
        sync: &Sync,
        mut asked: Vec<(Key, Strangers)>,
    ) -> Result<Vec<Key>, PlanReport> {
        asked.sort_by(|(one, _), (other, _)| one.cmp(other));
        let plan = Plan {
            prune: asked.iter().map(|(key, _)| key.clone()).collect(),
            ..Plan::default()
        };
        let asked = asked.into_iter().map(|(key, found)| (key, Vec::new(), found));
        let lodged = Lodged::new(asked, HashSet::new());
        let digest = self.plan_digest(sync, DELETION, &plan, &lodged);
        let (namespace, name) = (&self.id.namespace, &self.id.name);
        let approvals = &self.rooms.approvals;
        if approvals
            .approved(namespace, name, &digest, Timestamp::now())
            .is_some()
        {
            return Ok(plan.prune);
        }
        let lines = plan.prune.iter().map(|key| gate::deletion(key, &lodged));
        let actions: Vec<String> = lines.take(gate::SHOWN).collect();
        let what = actions.first().map(String::as_str).unwrap_or_default();
        let reason = format!(
            "Waits for a person: {what}, which no Sync has? Approve that (signet approve {name} -n {namespace}), delete what is in it, \
             let the object stay (annotation {}: orphan), or set spec.deletionPolicy to Orphan.",
            annotation::PRUNE
        );
        Err(PlanReport {
            digest,
            reason,
            delete: u32::try_from(plan.prune.len()).unwrap_or(u32::MAX),
            actions,
            ..PlanReport::default()
        })
    }
}
