//! One pass of a Sync: from what woke it to what is to be done.

use super::gate::{Gate, Question};
use super::handover;
use super::inputs::{self, Frame, Inputs};
use super::inside::Places;
use super::mentions;
use super::names::Looked;
use super::pin::Source;
use super::prune_walk::Underway;
use super::pruning;
use super::report::Failure;
use super::status::{self, Verdict};
use super::store::JournalKnown;
use super::variables::{Known, Sources};
use super::walk::{Errand, Walk};
use super::worker::{End, Resolved, Settled, Worker};
use crate::events::Severity;
use crate::repository::{Head, SourceState};
use apply::Key;
use apply::checkpoint::InputDigest;
use apply::plan::{self, Reason};
use apply::prune;
use crds::{Mode, Sync, SyncStatus, annotation};
use kube::ResourceExt;
use render::{Limits, RenderError, Rendered, Variables};
use source::{PathError, TreeId};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinError;

impl Worker {
    /// One whole pass, from snapshot to status; how it ended is posted for the Syncs that depend on this one.
    pub(super) async fn pass(&mut self) -> End {
        let sync = self.spec.borrow_and_update().clone();
        self.held = false;
        let applies = sync.spec.mode != Mode::Detect && !sync.spec.suspend;
        let applies = applies && sync.metadata.deletion_timestamp.is_none();
        self.rooms.names.applies(&self.id.manager, applies);
        let end = self.pass_over(&sync).await;
        let known = self.checkpoint.records().keys().chain(&self.strays);
        let places = Places::of(known, self.checkpoint.lost && self.strays.is_empty());
        self.rooms.names.has(&self.id.manager, places);
        let opened = match sync.metadata.deletion_timestamp {
            None => self.opened_with(&self.inputs),
            Some(_) => Vec::new(),
        };
        let opened = opened.into_iter().map(|one| (one.key, one.values));
        let keys = &self.rooms.context.metrics.keys;
        keys.used(&self.id.full, opened.collect());
        // In mode Detect nothing is ever settled: what it compares may change at any time.
        let settled = self.settled.is_some() || sync.spec.mode == Mode::Detect;
        self.post(&sync, self.looked_at.as_ref(), settled);
        // Whatever became of the pass: nobody has to wait for this Sync's look at this commit any more.
        let repository = (self.id.namespace.to_string(), sync.spec.source_ref.name.clone());
        if let Some(head) = self.rooms.context.heads.get(&repository).head() {
            let looked = self.looked(&sync, head);
            self.rooms.names.looked(&self.id.manager, &looked);
            // Whatever could not be read, a look builds a fresh store. If that fails, the next poll tries again.
            let damaged = head.snapshot.is_damaged();
            if damaged && !self.unreadable {
                self.rooms.context.heads.mend(&repository);
            }
            self.unreadable = damaged;
        }
        end
    }

    pub(super) fn looked(&self, sync: &Sync, head: &Head) -> Looked {
        Looked {
            repository: (self.id.namespace.to_string(), sync.spec.source_ref.name.clone()),
            commit: head.revision.commit.clone(),
            path: sync.spec.path.clone(),
            // One that goes wants nothing any more.
            whole: sync.metadata.deletion_timestamp.is_some()
                || self.known_at.as_ref() == Some(&head.revision.commit),
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
            self.sources = Sources::default();
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
        self.tell_pin(sync, &mut next, generation);
        let repository = sync.spec.source_ref.name.clone();
        let source = self
            .rooms
            .context
            .heads
            .get(&(self.id.namespace.to_string(), repository.clone()));
        let newest = source.head().cloned();
        let pinned = match self.pinned(sync, &next, generation, &source).await {
            Source::Newest => None,
            Source::Pinned(head) => Some(head),
            Source::Ended(end) => return end,
        };
        let head = match (pinned, source) {
            (Some(head), _)
            | (None, SourceState::Ready(head) | SourceState::Failed { last: Some(head), .. }) => head,
            (None, SourceState::Unknown) => return End::Wait,
            (None, SourceState::Missing) => {
                let message = format!(
                    "There is no Repository {repository} in namespace {}.",
                    self.id.namespace
                );
                return self
                    .fail(next, generation, "SourceMissing", message, End::Wait)
                    .await;
            }
            (None, SourceState::Failed { message, last: None }) => {
                let message = format!("Repository {repository} has no commit to apply: {message}");
                return self
                    .fail(next, generation, "SourceFailed", message, End::Wait)
                    .await;
            }
        };
        self.looked_at = newest.or_else(|| Some(head.clone()));
        let tree = match self.tree_of(&head, &sync.spec.path).await {
            Ok(Ok(tree)) => tree,
            Ok(Err(error)) => {
                self.settled = None;
                next.last_attempted_revision = Some(head.revision.clone());
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
        let variables = match self.variables(sync, requested).await {
            Ok(variables) => variables,
            Err(unknown) => {
                next.last_attempted_revision = Some(head.revision.clone());
                let end = if unknown.told {
                    End::Wait
                } else {
                    End::Retry {
                        transient: unknown.transient,
                    }
                };
                return self
                    .fail(next, generation, unknown.reason, unknown.message, end)
                    .await;
            }
        };
        let now = Settled {
            tree,
            generation,
            variables: variables.as_ref().map(|known| known.digest),
        };
        let thawed = !self.spared.iter().all(|key| self.rooms.observer.frozen(key));
        let fights = self.fights_differ();
        let blind = !self.unwatched.is_empty() || self.rooms.observer.is_blind(&self.mailbox);
        // A request makes no difference to what is settled and known to be well: it is answered.
        let well = !requested || self.is_ready(generation);
        // What left Git and stayed by its own word may have taken that word back: no watch tells, so a request looks.
        let stayed = requested && (self.stayed || self.checkpoint.lost);
        if self.settled.as_ref() == Some(&now) && !thawed && !blind && !fights && well && !stayed {
            // The tree is the same one. From the newest snapshot it is read as well, and the store of an older one can go.
            self.known_at = Some(head.revision.commit.clone());
            self.head = self.head.take().map(|_| head);
            if let Some(end) = self.say(next).await {
                return end;
            }
            return self.tell_health(generation).await;
        }
        let rendered = match self
            .render(&head, &sync.spec.path, tree, variables.as_ref())
            .await
        {
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
        let variables = variables.map(|known| known.variables);
        self.sync(
            sync,
            generation,
            head,
            (rendered, variables),
            now,
            next,
            requested,
        )
        .await
    }

    /// The id of the path's tree. Of the tree that was looked at last it is known.
    async fn tree_of(&mut self, head: &Head, path: &str) -> Result<Result<TreeId, PathError>, JoinError> {
        let root = head.snapshot.commit().tree;
        if let Some((of, known, tree)) = &self.tree
            && *of == root
            && known == path
        {
            return Ok(Ok(*tree));
        }
        let (snapshot, of) = (head.snapshot.clone(), path.to_owned());
        let tree = tokio::task::spawn_blocking(move || snapshot.tree_id(&of)).await?;
        self.tree = tree.as_ref().ok().map(|tree| (root, path.to_owned(), *tree));
        Ok(tree)
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
        (rendered, variables): (Arc<Rendered>, Option<Arc<Variables>>),
        now: Settled,
        mut next: SyncStatus,
        requested: bool,
    ) -> End {
        let catalog = {
            let known = self.rooms.kinds.current();
            // An unknown kind may have come since the catalog was read.
            let missing = |item: &render::Item| {
                let gvk = &item.id.gvk;
                item.sealed.is_none() && known.resolve(&gvk.group, &gvk.version, &gvk.kind).is_none()
            };
            if known.resolve("", "v1", "Namespace").is_none() || rendered.items.iter().any(missing) {
                // One that this Sync brings itself is awaited.
                let looked_for = if requested || self.inputs.awaits_definitions {
                    self.rooms.kinds.refresh().await
                } else {
                    self.rooms.kinds.refresh_for_missing().await
                };
                match looked_for {
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
        // What is rendered from the same tree and variables is the very same.
        let known = self
            .resolved
            .as_ref()
            .and_then(|known| known.of(&rendered, &catalog, generation));
        let inputs = known.unwrap_or_else(|| {
            let frame = Frame {
                spec: &sync.spec,
                sync: &self.id.full,
                namespace: &self.id.namespace,
                digest_key: self.rooms.context.digest_key.expose(),
                run: &digest,
            };
            let mut inputs = inputs::resolve(&rendered, &catalog, &frame);
            inputs.variables = variables;
            Arc::new(inputs)
        });
        self.resolved = Some(Resolved::new(&rendered, &catalog, generation, &inputs));
        self.rooms.names.wants(&self.id.manager, &inputs);
        self.known_at = (!inputs.unread).then(|| head.revision.commit.clone());
        let kinds = inputs::kinds(&inputs, self.checkpoint.records().keys(), &catalog);
        self.rooms.observer.keep_only(&self.mailbox, &kinds);
        if !self.watches_ready(&kinds) {
            return End::Wait;
        }
        self.expect_recorded(&inputs);
        if let Err((reason, message)) = self.admit(sync).await {
            self.settled = None;
            let end = End::Retry { transient: true };
            return self.fail(next, generation, reason, message, end).await;
        }
        let observer = self.rooms.observer.clone();
        let mut plan = plan::plan(
            inputs.ordinary(),
            &inputs.kept,
            self.checkpoint.records(),
            |key| observer.seen(key),
            sync.spec.prune.enabled,
        );
        self.tell_lost();
        if !plan.unseen.is_empty() {
            self.settle_unseen(sync, &mut plan, &catalog).await;
        }
        // Somebody has asked, in the cluster, that this one object be left alone.
        self.spare_frozen(&inputs, &mut plan);
        self.settle_unserved(&mut plan, &catalog).await;
        self.kept.retain(|key, _| plan.prune.binary_search(key).is_ok());
        // What is fought over has its own pace.
        plan.apply.retain(|step| {
            step.reason != Reason::Drifted || self.fight(&inputs.desired[step.desired].key).is_none()
        });

        let idle = plan.apply.is_empty() && plan.prune.is_empty() && inputs.failures.is_empty();
        let told = self.status.warnings == status::listed(self.warnings(&inputs));
        // What was lost is looked for at the end of a walk.
        let known = told && !self.checkpoint.lost;
        let nothing = idle && known && self.status.inputs == digest && self.is_ready(generation);
        if nothing && sync.spec.mode != Mode::Detect {
            // A restart, or a commit that changed none of the inputs: nothing differs, so nothing is said.
            if self.checkpoint.journal_known != JournalKnown::Yes && !inputs.hooks.is_empty() {
                // It was lost. Its hooks have run, and those for the deletion are to be known of.
                let errand = self.errand(sync, &inputs, &plan, &head);
                if let Err(error) = self.begin_operation(&errand, &digest, false).await {
                    let message = format!("The journal of hooks could not be written anew: {error}.");
                    let end = End::Retry { transient: true };
                    return self
                        .fail(next, generation, "CheckpointFailed", message, end)
                        .await;
                }
            }
            self.count_in(&inputs, &plan.forget);
            self.take_over(sync, &inputs, head);
            self.settled = Some(now);
            self.stayed = false;
            self.forget(&plan);
            if let Some(end) = self.say(next).await {
                return end;
            }
            return self.tell_health(generation).await;
        }
        let underway = self.underway.take();
        self.underway = underway.filter(|underway| underway.goes_on(&digest, generation, &plan));
        let (named, lodged) = if let Some(underway) = self.underway.clone() {
            (underway.digest, underway.lodged)
        } else {
            match self.lodged(sync, &plan, &digest, requested).await {
                Ok(lodged) => (self.plan_digest(sync, &digest, &plan, &lodged), lodged),
                Err(error) => {
                    let message = format!("What would go with what left Git cannot be looked at: {error}.");
                    let end = End::Retry { transient: true };
                    return self.fail(next, generation, "PlanFailed", message, end).await;
                }
            }
        };
        let question = Question {
            sync,
            inputs: &inputs,
            plan: &plan,
            head: &head,
            digest: &named,
            lodged: &lodged,
            hooks: self.hooks_to_run(&inputs, &digest, requested),
            respecified: self.is_respecified(sync),
            farewell: self.is_farewell_new(sync, &inputs),
        };
        if sync.spec.mode == Mode::Detect {
            return self.detect(&question, &digest, now, next, requested).await;
        }
        let approved = match self.gate(&question) {
            Gate::Open { approved } => {
                if let Err(error) = self.let_in(sync).await {
                    let message = format!("What was approved could not be written down: {error}.");
                    let end = End::Retry { transient: true };
                    return self
                        .fail(next, generation, "CheckpointFailed", message, end)
                        .await;
                }
                approved
            }
            Gate::Held { .. } if question.is_idle() && self.checkpoint.journal.is_done() => false,
            Gate::Held { reason, message } => return self.held(&question, reason, message, next).await,
        };
        if let Err(error) = self.hold(sync).await {
            let message = format!("The Sync's finalizer cannot be set: {error}.");
            let end = End::Retry { transient: true };
            return self.fail(next, generation, "FinalizerFailed", message, end).await;
        }
        self.take_over(sync, &inputs, head.clone());
        next.plan = None;
        next.inputs.clone_from(&digest);
        next.last_attempted_revision = Some(head.revision.clone());
        let errand = self.errand(sync, &inputs, &plan, &head);
        self.leaving = self.is_leaving(&inputs, &plan.forget);
        let begun = match self.begin_operation(&errand, &digest, requested).await {
            Ok(()) if idle => Ok(()),
            Ok(()) => self
                .prepare(&errand, &kinds)
                .await
                .map_err(|error| format!("What is about to be applied could not be written down: {error}.")),
            Err(error) => Err(format!(
                "{}: its hooks cannot be begun: {error}.",
                head.revision.short()
            )),
        };
        if let Err(message) = begun {
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
        let mut walk = self.walk(&errand, &digest).await;
        if walk.attempt.cut && self.is_outdated(sync, &head) {
            // What is newer has woken this worker already, and has the last word.
            self.save_soon();
            return End::Retry { transient: true };
        }
        walk.attempt.counts.unchanged += u32::try_from(plan.unchanged).unwrap_or(u32::MAX);
        walk.attempt.failures.extend(inputs.failures.iter().cloned());
        let mut refusal = None;
        let looked = self.looked(sync, self.looked_at.as_ref().unwrap_or(&head));
        self.rooms.names.looked(&self.id.manager, &looked);
        let (mut left, mut awaited) = (plan.prune.clone(), Vec::new());
        if walk.is_complete() && !left.is_empty() {
            // What left this path may have come to another's: who has not looked yet, or could not read it, may want it.
            let names = &self.rooms.names;
            let waits = match names.behind(&self.id.manager, &looked) {
                Some(other) => Some(format!(
                    "{} waits until {other} has looked at it: what left here may be wanted there.",
                    head.revision.short()
                )),
                None => self.wanted_perhaps(&head, &looked, || left.clone()).await,
            };
            if let Some(message) = waits {
                return self.waits_for_others(&errand, &walk, next, message).await;
            }
            awaited = self.hand_over(sync, &mut left, &catalog).await;
        }
        if walk.is_complete() {
            let records = self.checkpoint.records().iter();
            let all = records.map(|(key, record)| (key, record.beside));
            let (recorded, emptied) = prune::standing(all, &left, |key| inputs.holds(key));
            let pruning = prune::decide(left, recorded, emptied, &sync.spec.prune, approved);
            for key in &pruning.orphan {
                self.let_object_go(key);
            }
            let failures = walk.attempt.failures.len();
            let pruned = self
                .prune(
                    &errand,
                    &pruning.now,
                    (&lodged, approved),
                    &catalog,
                    &mut walk.attempt,
                )
                .await;
            if walk.attempt.cut && self.is_outdated(sync, &head) {
                self.save_soon();
                return End::Retry { transient: true };
            }
            // What could not be deleted is still to go, and so nothing new counts as having been there.
            let done = walk.attempt.failures.len() == failures;
            if pruning.refusal.is_none() && sync.spec.prune.enabled && done {
                let mut decided = pruning.now;
                decided.extend(plan.forget.iter().cloned());
                decided.sort_unstable();
                self.count_in(&inputs, &decided);
            }
            refusal = pruning.refusal.or_else(|| pruning::waits(&pruned.waiting));
            if refusal.is_some() || (pruned.going.is_empty() && done) {
                // Who is asked is asked about what is left, by its own digest.
                self.underway = None;
            } else if !pruned.going.is_empty() && self.underway.is_none() {
                let mut keys = plan.prune.clone();
                keys.sort_unstable();
                self.underway = Some(Underway {
                    of: (digest.clone(), generation),
                    keys,
                    digest: named.clone(),
                    lodged: lodged.clone(),
                });
            }
            if pruned.news {
                // A plan that is shown names who is in it now: that is looked at once more before it is.
                self.look = None;
                self.total(&head.revision.commit, walk.attempt.counts, inputs.found);
                self.measure(&walk.attempt);
                self.save_soon();
                self.mailbox.wake();
                return End::Wait;
            }
            if let (Some(message), Some(first)) = (pruned.waits(&head.revision.short()), pruned.going.first())
                && walk.attempt.failures.is_empty()
                && !self.is_late(sync, &digest, &format!("Prune {first}"))
            {
                return self.waits_for_others(&errand, &walk, next, message).await;
            }
            if let Some(first) = pruned.going.first() {
                let message =
                    "left Git and is still being deleted; what comes after it stays until it is gone";
                let hint = "look at its finalizers, and at what is to take them off";
                let failure = Failure::of(first, None, message, hint, true);
                walk.attempt.failures.push(failure);
            }
            if let Some(why) = &refusal {
                let waiting = pruned.waiting.into_iter().map(|(key, _)| key);
                let held = pruning.held.into_iter().chain(waiting).collect();
                next.plan = Some(self.prune_report(&question, &digest, &lodged, held, why));
            }
        }
        if walk.is_complete() && refusal.is_none() {
            // What Git holds is known again, whatever was lost.
            self.seek_lost(sync, &inputs, &catalog).await;
            self.forget(&plan);
        }
        if let Some(message) = handover::waits(&head.revision.short(), &awaited)
            && refusal.is_none()
            && walk.attempt.failures.is_empty()
        {
            return self.waits_for_others(&errand, &walk, next, message).await;
        }
        // What waits for a person waits for nothing that health tells of.
        self.held = refusal.is_some();
        self.save_soon();
        self.conclude(&errand, now, walk, refusal, next).await
    }

    /// All is done but what another Sync has to do something for. It wakes this one when it has.
    async fn waits_for_others(
        &mut self,
        errand: &Errand<'_>,
        walk: &Walk,
        mut next: SyncStatus,
        message: String,
    ) -> End {
        let generation = errand.sync.metadata.generation.unwrap_or_default();
        // What was done until here was done.
        let commit = &errand.head.revision.commit;
        next.counts = self.total(commit, walk.attempt.counts, errand.inputs.found);
        self.measure(&walk.attempt);
        self.save_soon();
        status::conclude(&mut next, generation, Verdict::Progressing { message });
        self.settled = None;
        self.wake_in(Duration::from_secs(30));
        self.say(next).await.unwrap_or(End::Wait)
    }

    /// Why these objects, which have left the path, are not deleted yet: a Sync that could not be read names them.
    pub(super) async fn wanted_perhaps(
        &self,
        head: &Head,
        looked: &Looked,
        left: impl FnOnce() -> Vec<Key>,
    ) -> Option<String> {
        let unsure = self.rooms.names.unsure(&self.id.manager, looked);
        if unsure.is_empty() {
            return None;
        }
        let (head, left) = (self.looked_at.as_ref().unwrap_or(head).clone(), left());
        let snapshot = head.snapshot.clone();
        let found = tokio::task::spawn_blocking(move || mentions::find(&snapshot, &unsure, &left)).await;
        let Ok(found) = found else {
            return Some(format!(
                "{}: whether what left here has moved to another Sync cannot be told: nothing is deleted.",
                head.revision.short()
            ));
        };
        let (key, other) = found.first()?;
        let more = match found.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        Some(format!(
            "{}: {key}{more} left here and may have moved to Sync {other}, which cannot read its files, is suspended or is \
             pinned; nothing is deleted until it has read them, or does not name it any more.",
            head.revision.short()
        ))
    }

    /// From now on these inputs count, applied as this Sync says.
    pub(super) fn take_over(&mut self, sync: &Sync, inputs: &Arc<Inputs>, head: Head) {
        for (key, wave) in inputs.dependants() {
            let known = self.checkpoint.records().get(key);
            if known.is_some_and(|known| known.wave != wave) {
                self.checkpoint.change(key, |record| record.wave = wave);
            }
        }
        // Before the end of a pass over them nothing is settled: if it is cut off, and the commit taken back, what was settled
        // before is not as it was any more.
        self.settled = None;
        (self.inputs, self.head) = (Arc::clone(inputs), Some(head));
        self.taken_as = Some(Arc::new(sync.clone()));
    }

    /// The gate is shut: what would be done is shown, and what drifts meanwhile.
    async fn held(
        &mut self,
        question: &Question<'_>,
        reason: &'static str,
        message: String,
        mut next: SyncStatus,
    ) -> End {
        (self.settled, self.held) = (None, true);
        let observer = self.rooms.observer.clone();
        for step in &question.plan.apply {
            let key = &question.inputs.desired[step.desired].key;
            if let Some(drift) = observer.drift(key) {
                self.note_drift(key, &drift, Vec::new(), &message);
            }
        }
        if self.head.is_none() && reason != "WindowClosed" && !question.respecified {
            // After a restart: what is as it was applied is still put back; what is newer is not, see `repair`. By another
            // spec than the approved one nothing is, and the approved one is not known any more.
            self.take_over(question.sync, question.inputs, question.head.clone());
            for (key, open) in &self.drifts {
                self.mailbox.drifted(key.clone(), open.drift.clone());
            }
        }
        let generation = question.sync.metadata.generation.unwrap_or_default();
        next.last_attempted_revision = Some(question.head.revision.clone());
        next.plan = Some(self.plan_report(question, &message));
        next.failures.clear();
        self.list_drift(&mut next, generation);
        let known = crate::condition::get(&self.status.conditions, crds::condition::READY);
        if known.is_none_or(|known| known.reason != reason) {
            self.event(Severity::Normal, reason, &message);
        }
        status::conclude(&mut next, generation, Verdict::Held { reason, message });
        self.say(next).await.unwrap_or(End::Wait)
    }

    /// A keyed digest of the files that were rendered: what a status says it speaks of.
    pub(super) fn inputs_digest(&self, rendered: &Rendered) -> String {
        let digest = InputDigest::keyed(
            self.rooms.context.digest_key.expose(),
            &[b"files", &rendered.digest],
        );
        crate::text::hex(&digest.0)
    }

    /// Renders the path, or takes what was rendered from the same tree.
    pub(super) async fn render(
        &mut self,
        head: &Head,
        path: &str,
        tree: source::TreeId,
        variables: Option<&Known>,
    ) -> Result<Arc<Rendered>, (String, &'static str)> {
        let digest = variables.map(|known| known.digest);
        if let Some((known, rendered)) = &self.rendered
            && known.0 == tree
            && known.1 == path
            && known.2 == digest
        {
            return Ok(Arc::clone(rendered));
        }
        let (snapshot, path, place) = (head.snapshot.clone(), path.to_owned(), path.to_owned());
        let variables = variables.map(|known| Arc::clone(&known.variables));
        let rendered = tokio::task::spawn_blocking(move || {
            render::directory_with(&snapshot, &path, &Limits::default(), variables.as_ref())
        });
        match rendered.await {
            Ok(Ok(rendered)) => {
                let rendered = Arc::new(rendered);
                self.rendered = Some(((tree, place, digest), Arc::clone(&rendered)));
                Ok(rendered)
            }
            Ok(Err(error)) => Err((error.to_string(), error.hint())),
            Err(_) => Err(("rendering ended abnormally".into(), "report this as a defect")),
        }
    }
}
