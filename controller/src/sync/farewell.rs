//! Hooks of a Sync's deletion: before its objects are deleted, and after.

use super::attempt::Attempt;
use super::hooks::{self, DELETION, Standing};
use super::inputs::{self, Frame, Inputs};
use super::order::Group;
use super::pin;
use super::status::Verdict;
use super::store::JournalKnown;
use super::worker::{End, Worker};
use crate::events::Severity;
use crate::repository::{Head, Pinned, SourceState};
use apply::Catalog;
use apply::checkpoint::InputDigest;
use apply::plan::Plan;
use crds::{Mode, Sync, SyncStatus, annotation};
use kube::ResourceExt;
use source::PathError;
use std::collections::BTreeSet;
use std::sync::Arc;

/// When hooks of a deletion run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Before,
    After,
}

impl Moment {
    fn has(self, group: Group) -> bool {
        match self {
            Self::Before => matches!(group, Group::PreDelete(_)),
            Self::After => matches!(group, Group::PostDelete(_)),
        }
    }
}

/// What to do where hooks stand in the way for good.
const WAY_OUT: &str = "annotate the Sync with signet.dev/deletion-hooks=skip to let it go without them";

impl Worker {
    /// Runs the hooks of one moment of the deletion. Some: they have not all succeeded, and the pass ends so.
    pub(super) async fn say_farewell(
        &mut self,
        sync: &Sync,
        catalog: &Catalog,
        moment: Moment,
        next: &mut SyncStatus,
    ) -> Option<End> {
        let known = self.checkpoint.journal_known;
        let may_have_hooks = match known {
            JournalKnown::Yes => self.checkpoint.journal.at_deletion,
            // Only Git tells.
            JournalKnown::Absent | JournalKnown::Lost => !self.checkpoint.records().is_empty(),
        };
        if !may_have_hooks || skips(sync) {
            return None;
        }
        let generation = sync.metadata.generation.unwrap_or_default();
        let (inputs, head) = match self.last_inputs(sync, catalog).await {
            Ok((inputs, _)) if known != JournalKnown::Yes && !inputs.has_hooks(Group::is_farewell) => {
                return None;
            }
            Ok(found) => found,
            // Nothing tells of hooks, neither here nor there.
            Err(Unread::Gone(_)) if known == JournalKnown::Absent => return None,
            Err(Unread::Gone(why) | Unread::Trouble(why)) => {
                let message = format!(
                    "The hooks for the Sync's deletion cannot be read: {why} Nothing is deleted; {WAY_OUT}."
                );
                let end = self.deletion_waits(next.clone(), generation, message, false);
                return Some(end.await);
            }
        };
        if self.is_farewell_new(sync, &inputs) {
            // Git may be set right: it is read anew.
            self.head = None;
            let message = format!(
                "The hooks for the Sync's deletion in Git are not those that were approved last. Nothing is deleted; restore \
                 them, or {WAY_OUT}."
            );
            let end = self.deletion_waits(next.clone(), generation, message, false);
            return Some(end.await);
        }
        let kinds = inputs::kinds(&inputs, self.checkpoint.records().keys(), catalog);
        self.rooms.observer.keep_only(&self.mailbox, &kinds);
        if !self.watches_ready(&kinds) {
            return Some(End::Wait);
        }
        let (plan, mut attempt) = (Plan::default(), Attempt::default());
        let errand = self.errand(sync, &inputs, &plan, &head);
        let again = next.last_handled_request != self.status.last_handled_request;
        if let Err(error) = self.begin_operation(&errand, DELETION, again).await {
            let message = format!("The hooks for the Sync's deletion cannot be begun: {error}.");
            let failed = Verdict::Failed {
                reason: "DeletionFailed",
                message,
            };
            let retry = End::Retry { transient: true };
            return Some(self.leaving(next.clone(), generation, failed, retry).await);
        }
        self.watch_hooks(&errand, &mut attempt).await;
        let groups: BTreeSet<Group> = inputs
            .hooks
            .iter()
            .flat_map(|hook| hook.groups.iter().copied())
            .filter(|group| moment.has(*group))
            .collect();
        let mut standing = Standing::Passed;
        for group in groups {
            standing = self.hook_group(&errand, group, &mut attempt).await;
            if standing != Standing::Passed {
                break;
            }
        }
        next.hooks = self.checkpoint.journal.reports();
        let (verdict, end) = match (standing, attempt.failures.first()) {
            (Standing::Failed(why), _) => {
                let message = format!(
                    "Deleting: {why}. It goes no further. `signet sync` runs the hooks once more; or {WAY_OUT}."
                );
                if self
                    .status
                    .conditions
                    .iter()
                    .all(|known| known.reason != "HookFailed")
                {
                    self.event(Severity::Warning, "HookFailed", &message);
                }
                let reason = "HookFailed";
                (Verdict::Stalled { reason, message }, End::Wait)
            }
            (_, Some(failure)) => {
                let message = format!("Deleting: {}.", super::report::line(&failure.report));
                let reason = "DeletionFailed";
                (
                    Verdict::Failed { reason, message },
                    End::Retry { transient: true },
                )
            }
            (Standing::Passed, None) => return None,
            (Standing::Create(_) | Standing::Running, None) => {
                let running = self.running_hooks();
                let first = running.first().map_or("its hooks", |report| &report.object);
                let message = format!("Deleting: waits for {first} to end.");
                (Verdict::Progressing { message }, End::Wait)
            }
        };
        Some(self.leaving(next.clone(), generation, verdict, end).await)
    }

    /// The objects of hooks go as well, those of earlier revisions that still run among them: nobody will delete them later.
    pub(super) async fn clear_farewell(&mut self, sync: &Sync) -> Result<(), apply::ApiError> {
        let runs: Vec<_> = self.checkpoint.journal.all().cloned().collect();
        let hand = self.hand(sync);
        for run in runs.iter().filter(|run| !run.uid.is_empty()) {
            if let Some((info, key)) = self.hook_key(run) {
                hand.prune(&info, &key, Some(&run.uid)).await?;
            }
        }
        Ok(())
    }

    /// Whether the hooks for the Sync's deletion, in mode Approval, are others than those that were let in last.
    pub(super) fn is_farewell_new(&self, sync: &Sync, inputs: &Inputs) -> bool {
        sync.spec.mode == Mode::Approval && self.checkpoint.journal.farewell != self.farewell_digest(inputs)
    }

    /// What the hooks for a deletion are made of: a keyed digest, empty where there are none. Names say nothing: they may be
    /// made of the revision.
    pub(super) fn farewell_digest(&self, inputs: &Inputs) -> String {
        let hooks = inputs.hooks.iter();
        let hooks = hooks.filter(|hook| hook.groups.iter().any(|group| group.is_farewell()));
        let mut parts: Vec<Vec<u8>> = hooks
            .map(|hook| {
                let desired = &inputs.desired[hook.at];
                let groups: Vec<_> = hook.groups.iter().map(|group| hooks::name(*group)).collect();
                let place = desired.key.namespace.as_deref().unwrap_or_default();
                let place = format!("{} {place} {}", desired.key.kind, groups.join(","));
                [place.as_bytes(), &desired.digest.0].concat()
            })
            .collect();
        if parts.is_empty() {
            return String::new();
        }
        parts.sort_unstable();
        let mut all: Vec<&[u8]> = vec![b"hooks of a deletion"];
        all.extend(parts.iter().map(Vec::as_slice));
        let digest = InputDigest::keyed(self.rooms.context.digest_key.expose(), &all);
        crate::text::hex(&digest.0)
    }

    /// What the Sync had last: as it was applied, or, after a restart, as its Repository, or its pin, has it now.
    async fn last_inputs(&mut self, sync: &Sync, catalog: &Catalog) -> Result<(Arc<Inputs>, Head), Unread> {
        if let Some(head) = &self.head {
            return Ok((Arc::clone(&self.inputs), head.clone()));
        }
        let repository = (self.id.namespace.to_string(), sync.spec.source_ref.name.clone());
        let source = self.rooms.context.heads.get(&repository);
        let head = match pin::in_force(sync) {
            Some((pin, _)) if !matches!(source, SourceState::Missing) => {
                self.pinned_head(&repository, &pin.commit)?
            }
            _ => source.head().cloned().ok_or_else(|| {
                let why = format!("Repository {} has no commit to read.", repository.1);
                match source {
                    SourceState::Missing => Unread::Gone(why),
                    _ => Unread::Trouble(why),
                }
            })?,
        };
        let (snapshot, path) = (head.snapshot.clone(), sync.spec.path.clone());
        let tree = tokio::task::spawn_blocking(move || snapshot.tree_id(&path)).await;
        let tree = tree
            .map_err(|_| Unread::Trouble("reading the path ended abnormally.".to_owned()))?
            .map_err(|error| {
                let why = format!("path {}: {error}.", sync.spec.path);
                match error {
                    PathError::NotFound | PathError::NotRead => Unread::Gone(why),
                    _ => Unread::Trouble(why),
                }
            })?;
        let variables = self
            .variables(sync, false)
            .await
            .map_err(|unknown| Unread::Trouble(unknown.message))?;
        let rendered = self
            .render(&head, &sync.spec.path, tree, variables.as_ref())
            .await
            .map_err(|(message, _)| Unread::Trouble(format!("path {}: {message}.", sync.spec.path)))?;
        let digest = self.inputs_digest(&rendered);
        let frame = Frame {
            spec: &sync.spec,
            sync: &self.id.full,
            namespace: &self.id.namespace,
            digest_key: self.rooms.context.digest_key.expose(),
            run: &digest,
        };
        let mut inputs = inputs::resolve(&rendered, catalog, &frame);
        inputs.variables = variables.map(|known| known.variables);
        let inputs = Arc::new(inputs);
        self.take_over(sync, &inputs, head.clone());
        Ok((inputs, head))
    }

    fn pinned_head(&self, repository: &(String, String), commit: &str) -> Result<Head, Unread> {
        let heads = &self.rooms.context.heads;
        let short = commit.get(..12).unwrap_or(commit);
        match heads.pin(repository, &self.id.name, Some(commit)) {
            Some(Pinned::Ready(head)) => Ok(head),
            Some(Pinned::Failed { message, .. }) => Err(Unread::Trouble(format!(
                "the Sync is pinned to {short}, which Repository {} cannot give: {message}",
                repository.1
            ))),
            None => Err(Unread::Trouble(format!(
                "commit {short} of Repository {} is being fetched.",
                repository.1
            ))),
        }
    }
}

/// Why what the Sync had last cannot be read.
enum Unread {
    /// It is no more, and nobody will ever read it.
    Gone(String),
    Trouble(String),
}

fn skips(sync: &Sync) -> bool {
    let said = sync.annotations().get(annotation::DELETION_HOOKS);
    said.is_some_and(|said| said.trim() == "skip")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::SyncSpec;

    #[test]
    fn hooks_are_skipped_by_one_word_only() {
        let mut sync = Sync::new("web", SyncSpec::new("team", ".", "deployer"));
        assert!(!skips(&sync));
        for (word, wanted) in [("skip", true), (" skip ", true), ("true", false), ("", false)] {
            sync.annotations_mut()
                .insert(annotation::DELETION_HOOKS.into(), word.into());
            assert_eq!(skips(&sync), wanted, "{word:?}");
        }
    }

    #[test]
    fn each_moment_has_its_groups() {
        assert!(Moment::Before.has(Group::PreDelete(3)) && !Moment::Before.has(Group::PostDelete(3)));
        assert!(Moment::After.has(Group::PostDelete(0)) && !Moment::After.has(Group::Fail(0)));
    }
}
