//! One pass of a Sync: from what woke it to what is to be done.

use super::gate::{Gate, Question};
use super::inputs::{self, Frame};
use super::names::Looked;
use super::policy::Policy;
use super::pruning;
use super::status::{self, Verdict};
use super::walk::Errand;
use super::windows::Windows;
use super::worker::{End, Settled, Worker};
use crate::events::Severity;
use crate::observe::WatchState;
use crate::repository::{Head, SourceState};
use apply::LiveMeta;
use apply::checkpoint::InputDigest;
use apply::plan;
use crds::{Mode, Sync, SyncStatus, annotation};
use kube::ResourceExt;
use render::{Limits, RenderError, Rendered};
use source::PathError;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a first listing of watches may hold up a pass.
const WATCHES_WAIT: Duration = Duration::from_secs(10);

impl Worker {
    /// One whole pass, from snapshot to status; how it ended is posted for the Syncs that depend on this one.
    pub(super) async fn pass(&mut self) -> End {
        let sync = self.spec.borrow_and_update().clone();
        let end = self.pass_over(&sync).await;
        if let Some(head) = self.looked_at.clone() {
            self.post(&sync, &head, self.settled.is_some());
        }
        // Whatever became of the pass: nobody has to wait for this Sync's look at this commit any more.
        let repository = (self.id.namespace.to_string(), sync.spec.source_ref.name.clone());
        if let Some(head) = self.rooms.context.heads.get(&repository).head() {
            let looked = self.looked(&sync, head);
            self.rooms.names.looked(&self.id.manager, &looked);
        }
        end
    }

    fn looked(&self, sync: &Sync, head: &Head) -> Looked {
        Looked {
            repository: (self.id.namespace.to_string(), sync.spec.source_ref.name.clone()),
            commit: head.revision.commit.clone(),
        }
    }

    async fn pass_over(&mut self, sync: &Sync) -> End {
        let generation = sync.metadata.generation.unwrap_or_default();
        let request = sync
            .annotations()
            .get(annotation::REQUESTED_AT)
            .cloned()
            .unwrap_or_default();
        let requested = request != self.status.last_handled_request && !self.awaits_look(sync, &request);
        let mut next = self.status.clone();
        if requested {
            next.last_handled_request.clone_from(&request);
        }
        if sync.metadata.deletion_timestamp.is_some() {
            return self.depart(sync, generation, next).await;
        }
        if sync.spec.suspend {
            status::conclude(&mut next, generation, Verdict::Suspended);
            self.settled = None;
            return self.say(next).await.unwrap_or(End::Wait);
        }
        if sync.spec.cluster_ref.is_some() {
            let message = "spec.clusterRef: remote clusters are not supported yet; remove it.".into();
            status::conclude(
                &mut next,
                generation,
                Verdict::Stalled {
                    reason: "NotSupported",
                    message,
                },
            );
            return self.say(next).await.unwrap_or(End::Wait);
        }
        if let Err(message) = self.check_spec(sync, generation) {
            self.settled = None;
            let reason = "InvalidSpec";
            status::conclude(&mut next, generation, Verdict::Stalled { reason, message });
            return self.say(next).await.unwrap_or(End::Wait);
        }
        let repository = sync.spec.source_ref.name.clone();
        let source = self
            .rooms
            .context
            .heads
            .get(&(self.id.namespace.to_string(), repository.clone()));
        let head = match source {
            SourceState::Ready(head) | SourceState::Failed { last: Some(head), .. } => head,
            SourceState::Unknown => return End::Wait,
            SourceState::Missing => {
                let message = format!(
                    "There is no Repository {repository} in namespace {}.",
                    self.id.namespace
                );
                return self
                    .fail(next, generation, "SourceMissing", message, End::Wait)
                    .await;
            }
            SourceState::Failed { message, last: None } => {
                let message = format!("Repository {repository} has no commit to apply: {message}");
                return self
                    .fail(next, generation, "SourceFailed", message, End::Wait)
                    .await;
            }
        };
        self.looked_at = Some(head.clone());
        let tree = {
            let (snapshot, path) = (head.snapshot.clone(), sync.spec.path.clone());
            tokio::task::spawn_blocking(move || snapshot.tree_id(&path)).await
        };
        let tree = match tree {
            Ok(Ok(tree)) => {
                self.unreadable = false;
                tree
            }
            Ok(Err(error)) => {
                self.settled = None;
                next.last_attempted_revision = Some(head.revision.clone());
                if error == PathError::Unreadable && !std::mem::replace(&mut self.unreadable, true) {
                    // The store is damaged, and a look builds a fresh one. If that fails, the next poll tries again.
                    self.rooms
                        .context
                        .heads
                        .look(&(self.id.namespace.to_string(), repository));
                }
                let error = RenderError::from(error);
                let message = format!(
                    "Path {} of {}: {error}; {}.",
                    sync.spec.path,
                    head.revision.short(),
                    error.hint()
                );
                return self
                    .fail(next, generation, "PathUnreadable", message, End::Wait)
                    .await;
            }
            Err(_) => return End::Retry { transient: true },
        };
        let now = Settled { tree, generation };
        if self.settled.as_ref() == Some(&now) && !requested {
            return self.tell_health(generation).await;
        }
        let rendered = match self.render(&head, &sync.spec.path, tree).await {
            Ok(rendered) => rendered,
            Err((message, hint)) => {
                self.settled = None;
                next.last_attempted_revision = Some(head.revision.clone());
                let message = format!(
                    "Path {} of {}: {message}; {hint}.",
                    sync.spec.path,
                    head.revision.short()
                );
                return self
                    .fail(
                        next,
                        generation,
                        "RenderFailed",
                        message,
                        End::Retry { transient: false },
                    )
                    .await;
            }
        };
        self.sync(sync, generation, head, rendered, now, next, requested)
            .await
    }

    /// The pass, once it is known what Git holds.
    #[expect(
        clippy::too_many_arguments,
        reason = "what the first half of a pass found out"
    )]
    pub(super) async fn sync(
        &mut self,
        sync: &Sync,
        generation: i64,
        head: Head,
        rendered: Arc<Rendered>,
        now: Settled,
        mut next: SyncStatus,
        requested: bool,
    ) -> End {
        let catalog = {
            let known = self.rooms.kinds.current();
            // An unknown kind may have come since the catalog was read.
            let missing = |item: &render::Item| {
                let gvk = &item.id.gvk;
                &*gvk.group != "bitnami.com" && known.resolve(&gvk.group, &gvk.version, &gvk.kind).is_none()
            };
            if known.resolve("", "v1", "Namespace").is_none() || rendered.items.iter().any(missing) {
                match self.rooms.kinds.refresh().await {
                    Ok(fresh) => fresh,
                    Err(error) => {
                        let message = format!("The API server's kinds cannot be read: {error}.");
                        return self
                            .fail(
                                next,
                                generation,
                                "DiscoveryFailed",
                                message,
                                End::Retry { transient: true },
                            )
                            .await;
                    }
                }
            } else {
                known
            }
        };
        let digest = self.inputs_digest(&rendered);
        let frame = Frame {
            spec: &sync.spec,
            sync: &self.id.full,
            namespace: &self.id.namespace,
            digest_key: self.rooms.context.digest_key.expose(),
            run: &digest,
        };
        let inputs = Arc::new(inputs::resolve(&rendered, &catalog, &frame));
        self.rooms.names.wants(&self.id.manager, &inputs);
        let kinds = inputs::kinds(&inputs, self.checkpoint.records().keys(), &catalog);
        self.rooms.observer.keep_only(&self.mailbox, &kinds);
        if !self.watches_ready(&kinds) {
            return End::Wait;
        }
        self.expect_recorded();
        let observer = self.rooms.observer.clone();
        let mut plan = plan::plan(
            inputs.ordinary(),
            &inputs.kept,
            self.checkpoint.records(),
            |key| observer.seen(key),
            sync.spec.prune.enabled,
        );
        // Somebody has asked, in the cluster, that this one object be left alone.
        plan.apply
            .retain(|step| !observer.frozen(&inputs.desired[step.desired].key));
        plan.prune.retain(|key| !observer.frozen(key));

        let idle = plan.apply.is_empty() && plan.prune.is_empty() && inputs.failures.is_empty();
        let nothing = idle && self.status.inputs == digest && self.is_ready(generation);
        // Who has nothing to do need not ask again whether it could.
        let known = nothing && self.admitted.is_some();
        if !known && let Err((reason, message)) = self.admit(sync).await {
            self.settled = None;
            let end = End::Retry { transient: true };
            return self.fail(next, generation, reason, message, end).await;
        }
        if nothing {
            // A restart, or a commit that changed none of the inputs: nothing differs, so nothing is said.
            (self.inputs, self.head) = (Arc::clone(&inputs), Some(head));
            self.settled = Some(now);
            self.forget(&plan);
            if let Some(end) = self.say(next).await {
                return end;
            }
            return self.tell_health(generation).await;
        }
        let named = self.plan_digest(sync, &digest, &plan);
        let question = Question {
            sync,
            inputs: &inputs,
            plan: &plan,
            head: &head,
            digest: &named,
            begins: !inputs.hooks.is_empty() && self.checkpoint.journal.operation != digest,
        };
        if sync.spec.mode == Mode::Detect {
            return self.detect(&question, &digest, now, next, requested).await;
        }
        let approved = match self.gate(&question) {
            Gate::Open { approved } => approved,
            Gate::Held { .. } if idle && !question.begins => false,
            Gate::Held { reason, message } => return self.held(&question, reason, message, next).await,
        };
        if let Err(error) = self.hold(sync).await {
            let message = format!("The Sync's finalizer cannot be set: {error}.");
            let end = End::Retry { transient: true };
            return self.fail(next, generation, "FinalizerFailed", message, end).await;
        }
        (self.inputs, self.head) = (Arc::clone(&inputs), Some(head.clone()));
        next.plan = None;
        next.inputs.clone_from(&digest);
        next.last_attempted_revision = Some(head.revision.clone());
        let errand = Errand {
            sync,
            inputs: &inputs,
            plan: &plan,
            head: &head,
            generation,
            late: self.is_late(sync, &digest),
            hand: self.hand(sync),
        };
        let begun = match self.begin_operation(&errand, &digest, requested).await {
            Ok(()) if idle => Ok(()),
            Ok(()) => self.prepare(sync, &inputs, &plan, &kinds).await,
            Err(error) => Err(error),
        };
        if let Err(error) = begun {
            let message = format!("What is about to be applied could not be written down: {error}.");
            return self
                .fail(
                    next,
                    generation,
                    "CheckpointFailed",
                    message,
                    End::Retry { transient: true },
                )
                .await;
        }
        let mut walk = self.walk(&errand, &next).await;
        if walk.attempt.cut && self.is_superseded(&head) {
            // The newer commit has woken this worker already, and has the last word.
            self.save_soon();
            return End::Retry { transient: true };
        }
        walk.attempt.counts.unchanged += u32::try_from(plan.unchanged).unwrap_or(u32::MAX);
        walk.attempt.failures.extend(inputs.failures.iter().cloned());
        let mut refusal = None;
        let looked = self.looked(sync, &head);
        self.rooms.names.looked(&self.id.manager, &looked);
        let mut left = plan.prune.clone();
        if walk.is_complete() && !left.is_empty() {
            // What left this path may have come to another's: who has not looked yet may want it.
            if let Some(other) = self.rooms.names.behind(&self.id.manager, &looked) {
                let message = format!(
                    "{} waits until Sync {other} has looked at it: what left here may be wanted there.",
                    head.revision.short()
                );
                status::conclude(&mut next, generation, Verdict::Progressing { message });
                self.settled = None;
                self.wake_in(Duration::from_secs(30));
                return self.say(next).await.unwrap_or(End::Wait);
            }
            let names = self.rooms.names.clone();
            let manager = self.id.manager.clone();
            left.retain(|key| {
                let moved = names.wanted_by_another(&manager, key);
                if moved {
                    self.let_object_go(key);
                }
                !moved
            });
        }
        if walk.is_complete() {
            let recorded = self.checkpoint.records().len();
            let pruning = pruning::decide(left, recorded, &sync.spec.prune, approved);
            for key in &pruning.orphan {
                self.let_object_go(key);
            }
            self.prune(&errand, &pruning.now, approved, &catalog, &mut walk.attempt)
                .await;
            refusal = pruning.refusal;
            if refusal.is_some() {
                next.plan = Some(self.plan_report(&question, "PruneRefused"));
            }
        }
        if walk.is_complete() && refusal.is_none() {
            self.forget(&plan);
        }
        self.save_soon();
        self.conclude(&errand, now, walk, refusal, next).await
    }

    /// What the schema cannot check of a spec, once for each of its generations. Health rules are told to the watches.
    fn check_spec(&mut self, sync: &Sync, generation: i64) -> Result<(), String> {
        if self.checked == Some(generation) {
            return Ok(());
        }
        Policy::of(&sync.spec).map_err(|error| format!("{}: {}.", error.field, error.message))?;
        Windows::parse(&sync.spec.windows).map_err(|error| format!("{error}."))?;
        let specs: Vec<_> = sync
            .spec
            .health_checks
            .iter()
            .map(|check| health::RuleSpec {
                group: &check.group,
                kind: &check.kind,
                in_progress: check.in_progress.as_deref(),
                failed: check.failed.as_deref(),
                current: Some(&check.current),
            })
            .collect();
        let rules = health::Rules::compile(&specs).map_err(|error| {
            format!(
                "spec.healthChecks[{}].{}: {}.",
                error.index, error.field, error.message
            )
        })?;
        self.rooms
            .observer
            .rules(&self.id.manager, (!specs.is_empty()).then_some(rules));
        self.checked = Some(generation);
        Ok(())
    }

    /// The gate is shut: what would be done is shown, and what drifts meanwhile.
    async fn held(
        &mut self,
        question: &Question<'_>,
        reason: &'static str,
        message: String,
        mut next: SyncStatus,
    ) -> End {
        self.settled = None;
        let observer = self.rooms.observer.clone();
        for step in &question.plan.apply {
            let key = &question.inputs.desired[step.desired].key;
            if let Some(drift) = observer.drift(key) {
                self.note_drift(key, &drift, Vec::new(), &message);
            }
        }
        let generation = question.sync.metadata.generation.unwrap_or_default();
        next.last_attempted_revision = Some(question.head.revision.clone());
        next.plan = Some(self.plan_report(question, reason));
        next.failures.clear();
        self.list_drift(&mut next, generation);
        let known = crate::condition::get(&self.status.conditions, crds::condition::READY);
        if known.is_none_or(|known| known.reason != reason) {
            self.event(Severity::Normal, reason, &message);
        }
        status::conclude(&mut next, generation, Verdict::Held { reason, message });
        self.say(next).await.unwrap_or(End::Wait)
    }

    /// Whether what this operation waits for has taken longer than the Sync allows.
    fn is_late(&mut self, sync: &Sync, operation: &str) -> bool {
        let limit = crate::duration::parse(&sync.spec.timeout).unwrap_or(Duration::from_mins(5));
        match &self.unready_since {
            Some((of, since)) if of == operation => {
                let late = since.elapsed() >= limit;
                if !late {
                    self.wake_in(limit.saturating_sub(since.elapsed()));
                }
                late
            }
            _ => {
                self.unready_since = None;
                false
            }
        }
    }

    /// A keyed digest of the files that were rendered: what a status says it speaks of.
    fn inputs_digest(&self, rendered: &Rendered) -> String {
        use std::fmt::Write;
        let digest = InputDigest::keyed(
            self.rooms.context.digest_key.expose(),
            &[b"files", &rendered.digest],
        );
        digest.0.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// A request is about the remote's newest commit: whether the look at the remote that it asks for is still to come.
    /// Its end wakes this worker.
    fn awaits_look(&mut self, sync: &Sync, request: &str) -> bool {
        let repository = (self.id.namespace.to_string(), sync.spec.source_ref.name.clone());
        let heads = &self.rooms.context.heads;
        if self.asked.as_ref().is_none_or(|(asked, _)| asked != request) {
            self.asked = heads.look(&repository).map(|number| (request.to_owned(), number));
        }
        // Without a Repository there is nothing to look at, and nothing to wait for.
        self.asked
            .as_ref()
            .is_some_and(|(_, number)| heads.looks(&repository).is_some_and(|looks| looks < *number))
    }

    /// A Sync without its service account is a refusal: the API server lets anybody with the right impersonate one that
    /// does not exist.
    pub(super) async fn admit(&mut self, sync: &Sync) -> Result<(), (&'static str, String)> {
        let (namespace, account) = (&self.id.namespace, &sync.spec.service_account_name);
        match self.rooms.server.service_account_exists(namespace, account).await {
            Ok(true) => {
                self.admitted = Some((account.clone(), Instant::now()));
                Ok(())
            }
            Ok(false) => {
                self.admitted = None;
                let message = format!(
                    "There is no service account {account} in namespace {namespace}; nothing is applied or deleted \
                     without it."
                );
                Err(("ServiceAccountMissing", message))
            }
            Err(error) => Err((
                "ServiceAccountUnknown",
                format!("Service account {account} cannot be looked up: {error}."),
            )),
        }
    }

    /// Renders the path, or takes what was rendered from the same tree.
    pub(super) async fn render(
        &mut self,
        head: &Head,
        path: &str,
        tree: source::TreeId,
    ) -> Result<Arc<Rendered>, (String, &'static str)> {
        if let Some((known, rendered)) = &self.rendered
            && known.0 == tree
            && known.1 == path
        {
            return Ok(Arc::clone(rendered));
        }
        let (snapshot, path, place) = (head.snapshot.clone(), path.to_owned(), path.to_owned());
        let rendered =
            tokio::task::spawn_blocking(move || render::directory(&snapshot, &path, &Limits::default()));
        match rendered.await {
            Ok(Ok(rendered)) => {
                let rendered = Arc::new(rendered);
                self.rendered = Some(((tree, place), Arc::clone(&rendered)));
                Ok(rendered)
            }
            Ok(Err(error)) => Err((error.to_string(), error.hint())),
            Err(_) => Err(("rendering ended abnormally".into(), "report this as a defect")),
        }
    }

    /// Whether the watches of these kinds are listed; otherwise the first of them to be wakes this worker.
    pub(super) fn watches_ready(&mut self, kinds: &[Arc<apply::KindInfo>]) -> bool {
        let mut starting = false;
        for info in kinds.iter().filter(|info| info.watchable) {
            starting |= self.rooms.observer.follow(info, &self.mailbox) == WatchState::Starting;
        }
        if !starting {
            self.waiting_since = None;
            return true;
        }
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        if since.elapsed() < WATCHES_WAIT {
            self.retry_at = Some(since + WATCHES_WAIT);
            return false;
        }
        true
    }

    /// Tells the watches what the checkpoint knows, as far as they do not know it better: after a restart, for a kind whose
    /// watch is new, for an object whose delete failed.
    pub(super) fn expect_recorded(&mut self) {
        for (key, record) in self.checkpoint.records() {
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
