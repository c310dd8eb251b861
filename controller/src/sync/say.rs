//! What a worker says of its Sync: status, events, metrics.

use super::attempt::Attempt;
use super::inputs::Inputs;
use super::report::{Failure, line, report};
use super::status::{self, Verdict};
use super::worker::{End, Settled, Worker};
use crate::events::Severity;
use crate::metrics::{ApplyOutcome, Outcome, count};
use crate::repository::Head;
use apply::ApiError;
use apply::plan::{Plan, PruneRefusal};
use crds::condition::{READY, RECONCILING};
use crds::{ConditionStatus, Counts, SyncStatus};
use k8s_openapi::api::core::v1::ObjectReference;

impl Worker {
    #[expect(clippy::too_many_arguments, reason = "the end of a pass knows all of it")]
    pub(super) async fn conclude(
        &mut self,
        generation: i64,
        head: &Head,
        now: Settled,
        inputs: &Inputs,
        plan: &Plan,
        attempt: Attempt,
        mut next: SyncStatus,
    ) -> End {
        let objects = inputs.found;
        let counts = self.total(&head.revision.commit, attempt.counts, objects);
        self.measure(&attempt);
        let mut failures = attempt.failures;
        let attempted_all = failures.len() == inputs.failures.len();
        if plan.refusal == Some(PruneRefusal::Empty) {
            let message = "the path holds no object, so everything would be deleted; nothing is";
            let hint = "set spec.prune.allowEmpty if that is what you want, or restore the path";
            failures.push(Failure::permanent(report(None, None, message, hint)));
        }
        status::list(&mut next, counts, &failures, &inputs.warnings);
        let short = head.revision.short();
        if failures.is_empty() {
            next.revision.clone_from(&short);
            next.last_applied_revision = Some(head.revision.clone());
            status::conclude(&mut next, generation, Verdict::Applied);
            self.settled = Some(now);
            let did = counts.created + counts.changed + counts.pruned;
            if did > 0 {
                self.event(
                    Severity::Normal,
                    "Applied",
                    &applied_sentence(counts, head, &short),
                );
            }
            for warning in next.warnings.iter().take(5) {
                self.event(Severity::Warning, "PlaintextSecret", &line(warning));
            }
            return self.say(next).await.unwrap_or(End::Done);
        }
        self.settled = None;
        let waits_only = inputs.awaits_definitions && failures.iter().all(|failure| failure.transient);
        let reason = match (plan.refusal, waits_only) {
            (Some(_), _) => "PruneRefused",
            (None, true) => "WaitingForDefinitions",
            (None, false) => "ApplyFailed",
        };
        let message = format!("{short}: {}", status::summary(&failures, inputs.found));
        if !waits_only {
            self.event(Severity::Warning, reason, &message);
        }
        status::conclude(&mut next, generation, Verdict::Failed { reason, message });
        let transient = failures.iter().any(|failure| failure.transient);
        // What only a commit or the spec can mend wakes this worker when it comes.
        let end = if attempted_all && !transient {
            End::Wait
        } else {
            End::Retry { transient }
        };
        match self.say(next).await {
            Some(unsaid) => unsaid,
            None => end,
        }
    }

    /// This pass's numbers with those of the passes before it over the same commit.
    fn total(&mut self, commit: &str, pass: Counts, objects: usize) -> Counts {
        if self.so_far.0 != commit || self.settled.is_some() {
            self.so_far = (commit.to_owned(), Counts::default());
        }
        let so_far = &mut self.so_far.1;
        so_far.created += pass.created;
        so_far.changed += pass.changed;
        so_far.pruned += pass.pruned;
        let objects = u32::try_from(objects).unwrap_or(u32::MAX);
        let touched = so_far.created + so_far.changed;
        Counts {
            objects,
            unchanged: (pass.created + pass.changed + pass.unchanged).saturating_sub(touched),
            ..*so_far
        }
    }

    pub(super) fn measure(&self, attempt: &Attempt) {
        let metrics = &self.rooms.context.metrics;
        let result = if attempt.failures.is_empty() {
            Outcome::Success
        } else {
            Outcome::Failure
        };
        count(&metrics.sync_runs, result, 1);
        let counts = attempt.counts;
        count(
            &metrics.objects_applied,
            ApplyOutcome::Created,
            counts.created.into(),
        );
        count(
            &metrics.objects_applied,
            ApplyOutcome::Changed,
            counts.changed.into(),
        );
        count(
            &metrics.objects_applied,
            ApplyOutcome::Unchanged,
            counts.unchanged.into(),
        );
        count(
            &metrics.objects_applied,
            ApplyOutcome::Failed,
            attempt.failures.len() as u64,
        );
    }

    pub(super) fn is_ready(&self, generation: i64) -> bool {
        let is = |type_, status| {
            crate::condition::get(&self.status.conditions, type_).is_some_and(|found| found.status == status)
        };
        is(READY, ConditionStatus::True)
            && is(RECONCILING, ConditionStatus::False)
            && self.status.observed_generation == generation
    }

    pub(super) async fn fail(
        &mut self,
        mut next: SyncStatus,
        generation: i64,
        reason: &str,
        message: String,
        end: End,
    ) -> End {
        // Whatever was settled before, the status says otherwise now: the same inputs have to be looked at again.
        self.settled = None;
        self.event(Severity::Warning, reason, &message);
        // Those of an earlier attempt: this one did not come as far as objects.
        next.failures.clear();
        next.counts.failed = 0;
        status::conclude(&mut next, generation, Verdict::Failed { reason, message });
        self.say(next).await.unwrap_or(end)
    }

    /// Writes the status if it differs from what was last said. Some: it could not be written.
    pub(super) async fn say(&mut self, next: SyncStatus) -> Option<End> {
        if next == self.status {
            return None;
        }
        match self.write(&next).await {
            Ok(()) => {
                self.status = next;
                None
            }
            Err(error) => {
                tracing::warn!(sync = self.id.full, %error, "the status could not be written; it is tried again");
                self.settled = None;
                Some(End::Retry { transient: true })
            }
        }
    }

    async fn write(&self, next: &SyncStatus) -> Result<(), ApiError> {
        let uid = self.spec.borrow().metadata.uid.clone();
        let (namespace, name) = (&self.id.namespace, &self.id.name);
        status::write(&self.rooms.server, namespace, name, uid.as_deref(), next).await
    }

    pub(super) fn event(&self, severity: Severity, reason: &str, message: &str) {
        let about = ObjectReference {
            api_version: Some("signet.dev/v1alpha1".into()),
            kind: Some("Sync".into()),
            namespace: Some(self.id.namespace.to_string()),
            name: Some(self.id.name.to_string()),
            uid: self.spec.borrow().metadata.uid.clone(),
            ..ObjectReference::default()
        };
        match severity {
            Severity::Normal => tracing::info!(sync = self.id.full, reason, "{message}"),
            Severity::Warning => tracing::warn!(sync = self.id.full, reason, "{message}"),
        }
        self.rooms
            .context
            .events
            .publish(&about, severity, reason, message);
    }
}

fn applied_sentence(counts: Counts, head: &Head, short: &str) -> String {
    let parts = [
        (counts.created, "created"),
        (counts.changed, "changed"),
        (counts.pruned, "pruned"),
    ];
    let did: Vec<_> = parts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{n} {what}"))
        .collect();
    format!(
        "Applied {short}, \u{201c}{}\u{201d} by {}: {}.",
        head.revision.subject,
        head.revision.author,
        did.join(", ")
    )
}
