//! What a worker says of its Sync: status, events, metrics.

use super::attempt::Attempt;
use super::health::{self, Summary};
use super::inputs::Inputs;
use super::order::Group;
use super::prune_walk;
use super::report::{Failure, KEPT, line, report};
use super::results;
use super::status::{self, Verdict};
use super::walk::{Errand, Walk};
use super::worker::{End, Settled, Worker};
use crate::condition;
use crate::events::Severity;
use crate::metrics::{ApplyOutcome, Outcome, count};
use crate::repository::Head;
use apply::ApiError;
use crds::condition::{READY, RECONCILING};
use crds::{ConditionStatus, Counts, HealthReport, ObjectReport, OpenedWith, SyncStatus};
use k8s_openapi::api::core::v1::ObjectReference;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the status tells of health that changes while something waits for it.
const HEALTH_TOLD: Duration = Duration::from_secs(1);
/// What is over sooner is not said to be under way: while others are at work, everything takes longer.
const UNDER_WAY: Duration = Duration::from_secs(1);
const UNDER_WAY_AMONG_OTHERS: Duration = Duration::from_secs(3);

impl Worker {
    /// The sealing keys that the values of these inputs were opened with, by id.
    pub(super) fn opened_with(&self, inputs: &Inputs) -> Vec<OpenedWith> {
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        let records = self.checkpoint.records().iter();
        // What has left Git is not opened again.
        let sealed = records.filter(|(key, record)| !record.opened.is_empty() && inputs.find(key).is_some());
        for (key, values) in sealed.flat_map(|(_, record)| record.opened.iter()) {
            let count = counts.entry(key).or_default();
            *count = count.saturating_add(u32::from(*values));
        }
        let all = counts.into_iter();
        all.map(|(key, values)| OpenedWith {
            key: key.to_owned(),
            values,
        })
        .collect()
    }

    pub(super) async fn conclude(
        &mut self,
        errand: &Errand<'_>,
        now: Settled,
        walk: Walk,
        refusal: Option<String>,
        mut next: SyncStatus,
    ) -> End {
        let (inputs, head, generation) = (errand.inputs, errand.head, errand.generation);
        self.note_standing();
        let pass = walk.attempt.counts;
        let did = pass.created + pass.changed + pass.pruned > 0;
        // A walk that found nothing to do, over the inputs that the status speaks of, is no news: not after a restart, and
        // not for a commit that changed something else.
        let same = !did && self.status.inputs == next.inputs && self.speaks_of_a_walk();
        let known = self.status.last_attempted_revision.clone().filter(|_| same);
        // A status that was held back was never written: what it would have said is said now.
        let counts = if known.is_some() && !self.is_untold(&head.revision.commit) {
            self.status.counts
        } else {
            self.total(&head.revision.commit, pass, inputs.found)
        };
        let revision = known.unwrap_or_else(|| head.revision.clone());
        next.last_attempted_revision = Some(revision.clone());
        self.measure(&walk.attempt);
        let mut failures = walk.attempt.failures;
        let attempted_all = failures.len() == inputs.failures.len();
        let refused = refusal.is_some();
        if let Some(message) = refusal {
            let hint = "restore what left, approve the plan with `signet approve`, or set spec.prune.limit or \
                        spec.prune.allowEmpty if that is what you want";
            failures.push(Failure::permanent(report(
                None,
                None,
                message.trim_end_matches('.'),
                hint,
            )));
        }
        status::list(&mut next, counts, &failures, &self.warnings(inputs));
        next.opened_with = self.opened_with(inputs);
        next.hooks = self.checkpoint.journal.reports();
        let summary = self.summary(inputs);
        let waits = health::sentence(&summary, &walk.waits);
        self.list_health(&mut next, &summary, walk.waits, generation);
        self.list_drift(&mut next, generation);
        self.list_foreign(&mut next);
        let short = revision.short();
        if failures.is_empty() && summary.unapplied == 0 {
            next.revision.clone_from(&short);
            next.last_applied_revision = Some(revision);
            if did {
                let sentence = applied_sentence(counts, head, &short);
                self.event(Severity::Normal, "Applied", &sentence);
            }
        }
        if failures.is_empty() {
            return self
                .conclude_health(errand, now, walk.stopped, walk.fatal, &waits, next)
                .await;
        }
        self.settled = None;
        let waits_only = inputs.awaits_definitions && failures.iter().all(|failure| failure.transient);
        let reason = match (refused, waits_only) {
            (true, _) => "PruneRefused",
            (false, true) => "WaitingForDefinitions",
            (false, false) => "ApplyFailed",
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

    /// How long something may take before it is said to be under way.
    pub(super) fn patience(&self) -> Duration {
        if self.rooms.context.calm.is_alone() {
            UNDER_WAY
        } else {
            UNDER_WAY_AMONG_OTHERS
        }
    }

    /// What succeeded and should be looked at.
    pub(super) fn warnings(&self, inputs: &Inputs) -> Vec<ObjectReport> {
        let of_inputs = inputs.warnings.iter().map(|warning| &warning.report);
        of_inputs
            .chain(&self.unwatched)
            .chain(&self.lost_said)
            .cloned()
            .chain(self.fights())
            .chain(
                self.kept
                    .iter()
                    .map(|(key, why)| prune_walk::kept(key, why))
                    .take(KEPT),
            )
            .collect()
    }

    /// Whether the status is the verdict over a walk in which nothing failed to apply.
    pub(super) fn speaks_of_a_walk(&self) -> bool {
        let ready = crate::condition::get(&self.status.conditions, READY);
        let verdicts = [
            "Applied",
            "Progressing",
            "HealthFailed",
            "HealthTimeout",
            "HookFailed",
        ];
        self.status.counts.failed == 0 && ready.is_some_and(|ready| verdicts.contains(&ready.reason.as_str()))
    }

    /// Nothing failed to apply: is it all as it should be?
    async fn conclude_health(
        &mut self,
        errand: &Errand<'_>,
        now: Settled,
        stopped: Option<Group>,
        fatal: Option<(&'static str, String)>,
        waits: &str,
        mut next: SyncStatus,
    ) -> End {
        let short = next
            .last_attempted_revision
            .as_ref()
            .map_or_else(String::new, crds::Revision::short);
        if let Some((reason, why)) = fatal {
            self.settled = None;
            let message = format!("{short}: {why}. {waits}");
            let message = message.trim_end().to_owned();
            if crate::condition::get(&self.status.conditions, READY)
                .is_none_or(|ready| ready.reason != reason)
            {
                self.event(Severity::Warning, reason, &message);
            }
            // A hook runs again when somebody asks for it, and not by itself.
            let verdict = if reason == "HookFailed" {
                Verdict::Stalled { reason, message }
            } else {
                Verdict::Failed { reason, message }
            };
            status::conclude(&mut next, errand.generation, verdict);
            return self.say_in_time(next).await.unwrap_or(End::Wait);
        }
        if let Some(group) = stopped {
            self.settled = None;
            let message = format!("{short}: waits in {group}. {waits}");
            status::conclude(&mut next, errand.generation, Verdict::Progressing { message });
            let since = *self.held_back.get_or_insert_with(Instant::now);
            if let Some(rest) = self.patience().checked_sub(since.elapsed()) {
                self.wake_in(rest);
                return End::Wait;
            }
            return self.say_in_time(next).await.unwrap_or(End::Wait);
        }
        self.remove_foreign(errand.sync, &errand.hand).await;
        status::conclude(&mut next, errand.generation, Verdict::Applied);
        self.settled = Some(now);
        let mut left = errand.plan.prune.iter();
        self.stayed = left.any(|key| self.checkpoint.records().contains_key(key));
        self.unready_since = None;
        for warning in errand.inputs.warnings.iter().take(5) {
            self.event(Severity::Warning, warning.reason, &line(&warning.report));
        }
        self.say(next).await.unwrap_or(End::Done)
    }

    /// Nothing is to be done: only what has changed in the objects' health is said.
    pub(super) async fn tell_health(&mut self, generation: i64) -> End {
        if !std::mem::take(&mut self.health_news) {
            return End::Done;
        }
        let inputs = Arc::clone(&self.inputs);
        let sync = self.spec.borrow().clone();
        let hand = self.hand(&sync);
        self.remove_foreign(&sync, &hand).await;
        let summary = self.summary(&inputs);
        let mut next = self.status.clone();
        let failed = summary.counts.failed > 0;
        self.list_health(&mut next, &summary, Vec::new(), generation);
        self.list_drift(&mut next, generation);
        self.list_foreign(&mut next);
        let was = crate::condition::get(&self.status.conditions, READY).map(|ready| ready.status);
        if failed {
            let message = format!("{}: {}", next.revision, health::sentence(&summary, &[]));
            if was == Some(ConditionStatus::True) {
                self.event(Severity::Warning, "HealthFailed", &message);
            }
            let reason = "HealthFailed";
            status::conclude(&mut next, generation, Verdict::Failed { reason, message });
        } else if was != Some(ConditionStatus::True) && summary.counts.in_progress == 0 {
            status::conclude(&mut next, generation, Verdict::Applied);
            self.event(Severity::Normal, "Healthy", "All objects are ready again.");
        }
        self.say(next).await.unwrap_or(End::Done)
    }

    /// Puts into the status how the objects are. A time that was said once is kept while nothing else changes.
    fn list_health(
        &self,
        next: &mut SyncStatus,
        summary: &Summary,
        waits: Vec<HealthReport>,
        generation: i64,
    ) {
        let mut reports = waits;
        let named: HashSet<String> = reports.iter().map(|report| report.object.clone()).collect();
        reports.extend(
            summary
                .reports
                .iter()
                .filter(|report| !named.contains(&report.object))
                .cloned(),
        );
        reports.truncate(KEPT);
        for report in &mut reports {
            let said = self
                .status
                .unhealthy
                .iter()
                .find(|said| said.object == report.object && said.status == report.status);
            if let Some(said) = said.filter(|said| !said.since.is_empty()) {
                report.since.clone_from(&said.since);
            }
        }
        next.health = summary.counts;
        next.frozen.clone_from(&summary.frozen);
        next.unhealthy = reports;
        status::health(next, generation, &health::sentence(summary, &[]));
    }

    /// This pass's numbers with those of the passes before it over the same commit.
    pub(super) fn total(&mut self, commit: &str, pass: Counts, objects: usize) -> Counts {
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

    /// Whether the status does not say yet what the passes over this commit have done.
    fn is_untold(&self, commit: &str) -> bool {
        let did = |counts: &Counts| (counts.created, counts.changed, counts.pruned);
        self.so_far.0 == commit && did(&self.so_far.1) != did(&self.status.counts)
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

    /// Writes the status; where only the objects' health has changed, and not the verdict, once in a while.
    async fn say_in_time(&mut self, next: SyncStatus) -> Option<End> {
        let verdict = |status: &SyncStatus| {
            crate::condition::get(&status.conditions, READY).map(|ready| (ready.status, ready.reason.clone()))
        };
        let known = &self.status;
        let but_for_health = SyncStatus {
            conditions: known.conditions.clone(),
            health: known.health,
            unhealthy: known.unhealthy.clone(),
            foreign: known.foreign.clone(),
            ..next.clone()
        };
        let early = self.said_at.and_then(|at| HEALTH_TOLD.checked_sub(at.elapsed()));
        match early {
            Some(rest) if but_for_health == *known && verdict(&next) == verdict(known) => {
                if next != *known {
                    self.wake_in(rest);
                }
                None
            }
            _ => self.say(next).await,
        }
    }

    /// Writes the status if it differs from what was last said. Some: it could not be written.
    pub(super) async fn say(&mut self, next: SyncStatus) -> Option<End> {
        let ready = crate::condition::get(&next.conditions, READY);
        if ready.is_some_and(|ready| ready.reason != "Progressing") {
            self.held_back = None;
        }
        if next == self.status {
            return None;
        }
        match self.write(&next).await {
            Ok(()) => {
                self.note(&next);
                self.status = next;
                self.said_at = Some(Instant::now());
                None
            }
            Err(error) => {
                tracing::warn!(sync = self.id.full, %error, "the status could not be written; it is tried again");
                self.settled = None;
                Some(End::Retry { transient: true })
            }
        }
    }

    /// Hands what is new of a commit to the notes in Git, if the Repository wants them.
    fn note(&mut self, next: &SyncStatus) {
        let key = self.repository();
        if self.rooms.context.notes.wanted(&key) {
            let lines = results::lines(&self.id.full, &self.status, next, &condition::now());
            self.rooms.context.notes.record(&key, lines);
        }
    }

    /// The same of what was applied before this process began: it may have ended before that was written down.
    fn note_standing(&mut self) {
        let key = self.repository();
        if !std::mem::replace(&mut self.noted, true) && self.rooms.context.notes.wanted(&key) {
            let line = results::standing(&self.id.full, &self.status, &condition::now());
            self.rooms.context.notes.record(&key, line);
        }
    }

    fn repository(&self) -> crate::repository::Key {
        let source = self.spec.borrow().spec.source_ref.name.clone();
        (self.id.namespace.to_string(), source)
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
