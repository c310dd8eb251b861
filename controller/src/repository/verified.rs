//! Between a look and what is published: signatures, where they are asked for.

use std::sync::Arc;

use crds::{Repository, Verified, Verify};
use kube::{Client, Resource, ResourceExt};
use proof::Trust;
use source::{Commit, CommitId, Remote, Rewritten, Store};

use super::Head;
use super::failure::Failure;
use super::follower::Follower;
use super::intake::stopped;
use super::look::{Found, Looked, Serve};
use super::revision::short;
use super::spec::Target;
use super::verify::{self, Checked, Policy, Signers, Verifier};
use super::wanted::Wanted;
use crate::events::Severity;

/// Whether a commit that a Sync is pinned to is refused.
type Judged = Result<(), Failure>;

/// What a look does with commits that Syncs are pinned to and whose signatures were found good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JudgedPins {
    /// There are none.
    None,
    /// Nothing: the same signatures count.
    Stay,
    /// They are judged again.
    Again,
}

/// What is to be verified of one look.
struct Job {
    store: Arc<Store>,
    verifier: Verifier,
    /// With the branch or tag that it was found at.
    head: Option<(Commit, String)>,
    pins: Vec<Commit>,
}

impl Follower {
    /// Verifies what a look has found. The answer is about the head: the last verified commit before it, and whether the head
    /// leaves that out. Commits that Syncs are pinned to and that are refused are marked in `looked`.
    pub(super) async fn verify(
        &mut self,
        object: &Repository,
        target: &Target,
        wanted: &Wanted,
        remote: Remote,
        looked: &mut Looked,
    ) -> Result<Option<(CommitId, Rewritten)>, Failure> {
        let (Some(spec), Some(policy)) = (&object.spec.verify, &target.policy) else {
            self.verified = None;
            return Ok(None);
        };
        let origin = origin(object);
        let head = match &looked.found {
            Ok(Found::New { snapshot, label, .. }) => Some((snapshot.commit().clone(), label.clone())),
            Ok(Found::Unchanged) => self.unproven(&origin, spec),
            Err(_) => None,
        };
        let pins: Vec<Commit> = looked
            .pinned
            .iter()
            .filter_map(|(_, read)| Some(read.as_ref().ok()?.commit().clone()))
            .collect();
        let Some(store) = looked.store.clone() else {
            return Ok(None);
        };
        if head.is_none() && pins.is_empty() {
            return Ok(None);
        }
        let signers = verify::read(self.room.client.clone(), &self.key.0, &spec.signers_ref).await;
        let (checked, pins) = match signers {
            Ok(Signers { trust, mark }) => {
                let budget = remote.budget.clone();
                let verifier = self.verifier(spec, policy.clone(), target, remote, &origin, trust);
                let job = Job {
                    store,
                    verifier,
                    head: head.clone(),
                    pins,
                };
                let mut work = tokio::task::spawn_blocking(move || job.run());
                let done = tokio::select! {
                    done = &mut work => done,
                    () = self.unwanted(wanted) => {
                        if let Some(budget) = &budget {
                            budget.cancel();
                        }
                        let _ = work.await;
                        return Err(stopped());
                    }
                };
                looked.signers = Some(mark);
                // Nothing is proven then, of pins neither.
                let refused = || (Err(unfinished()), vec![Err(unfinished()); looked.pinned.len()]);
                done.unwrap_or_else(|_| refused())
            }
            Err(failure) => (Err(failure.clone()), vec![Err(failure); looked.pinned.len()]),
        };
        let read = looked.pinned.iter_mut().filter(|(_, read)| read.is_ok());
        for ((_, read), judged) in read.zip(pins) {
            if let Err(failure) = judged {
                // Whose signatures count may change without anybody pushing.
                *read = Err(Failure {
                    temporary: true,
                    ..failure
                });
            }
        }
        let (Some((head, _)), Some(checked)) = (head, checked?) else {
            return Ok(None);
        };
        if let Some((old, Rewritten::Unknown)) = checked.before {
            self.doubt(object, old, head.id);
        }
        self.verified = Some(Verified {
            commit: head.id.to_string(),
            signer: checked.signer,
            commits: checked.commits,
            origin,
            since: spec.since.clone().unwrap_or_default(),
        });
        Ok(checked.before)
    }

    /// Says that nobody knows whether a head that is followed descends from the last verified commit.
    fn doubt(&self, object: &Repository, old: CommitId, new: CommitId) {
        let (old, new) = (old.to_string(), new.to_string());
        let message = format!(
            "Whether {} descends from {}, the last verified commit, cannot be told from 5,000 commits. It is followed: \
             spec.verify.onRewrite is Report.",
            short(&new),
            short(&old)
        );
        let about = object.object_ref(&());
        self.room
            .events
            .publish(&about, Severity::Warning, "HistoryUnverified", message);
    }

    /// What becomes of commits that Syncs are pinned to and that were found good: they stay so as long as the same signatures
    /// count.
    pub(super) async fn judged_pins(&self, object: &Repository) -> JudgedPins {
        let Some(spec) = &object.spec.verify else {
            return JudgedPins::None;
        };
        if !self.room.heads.has_good_pins(&self.key) {
            return JudgedPins::None;
        }
        match verify::read(self.room.client.clone(), &self.key.0, &spec.signers_ref).await {
            Ok(signers) if self.pins_by == Some(signers.mark) => JudgedPins::Stay,
            // Just now; but what is not there, or is no list of signers, lets nobody sign.
            Err(failure) if failure.temporary => JudgedPins::Stay,
            _ => JudgedPins::Again,
        }
    }

    /// The head that is published, where its signatures were not looked at under this specification.
    fn unproven(&self, origin: &str, spec: &Verify) -> Option<(Commit, String)> {
        let head = self.head.as_ref()?;
        let proven = self.verified.as_ref().is_some_and(|verified| {
            verified.commit == head.revision.commit
                && verified.origin == origin
                && spec.since.as_ref().is_none_or(|since| *since == verified.since)
        });
        (!proven).then(|| (head.snapshot.commit().clone(), head.revision.branch.clone()))
    }

    fn verifier(
        &self,
        spec: &Verify,
        policy: Policy,
        target: &Target,
        remote: Remote,
        origin: &str,
        trust: Trust,
    ) -> Verifier {
        let known = self
            .verified
            .as_ref()
            .filter(|verified| verified.origin == origin);
        // A new `since` is a new beginning; else it goes on where it was.
        let since = spec.since.as_ref();
        let begin = match known {
            Some(verified) if since.is_none_or(|since| *since == verified.since) => Some(&verified.commit),
            _ => since,
        };
        Verifier {
            policy,
            trust,
            before: begin.and_then(|commit| commit.parse().ok()),
            dir: self.dir.join("history"),
            remote,
            reference: target.reference.clone(),
        }
    }

    /// What may be served out of a store that was just opened.
    pub(super) fn serve(&self, object: &Repository, target: &Target, published: Option<CommitId>) -> Serve {
        if target.policy.is_none() {
            return Serve::Fetched(published);
        }
        let origin = origin(object);
        let known = self
            .verified
            .as_ref()
            .filter(|verified| verified.origin == origin);
        let commit = known.and_then(|verified| verified.commit.parse().ok());
        commit.map_or(Serve::Nothing, Serve::Verified)
    }

    /// A head with its signer, if it is the one that was verified.
    pub(super) fn signed(&self, mut head: Head) -> Head {
        let known = self.verified.as_ref();
        let signer = known.filter(|verified| verified.commit == head.revision.commit);
        head.revision.signer = signer.map(|verified| verified.signer.clone()).unwrap_or_default();
        head
    }

    /// The same for the head that is published already.
    pub(super) fn sign_head(&mut self) {
        if let Some(head) = self.head.take() {
            self.head = Some(self.signed(head));
        }
    }
}

impl Job {
    /// Blocks for as long as the remote's limits allow.
    fn run(self) -> (Result<Option<Checked>, Failure>, Vec<Judged>) {
        let pins = self.pins.iter();
        let pins = pins
            .map(|commit| self.verifier.one(&self.store, commit))
            .collect();
        let head = self.head.as_ref();
        let checked = head.map(|(head, label)| self.verifier.check(&self.store, head, label));
        (checked.transpose(), pins)
    }
}

/// Whose signatures count in a Repository, if it asks for any. Where they cannot be read, a sentence that quotes nothing.
pub(crate) async fn signers(client: &Client, object: &Repository) -> Result<Option<Trust>, String> {
    let Some(spec) = &object.spec.verify else {
        return Ok(None);
    };
    let namespace = object.namespace().unwrap_or_default();
    let signers = verify::read(client.clone(), &namespace, &spec.signers_ref).await;
    signers
        .map(|signers| Some(signers.trust))
        .map_err(|failure| failure.message)
}

/// What a head, or a verified commit, speaks of: of another repository or ref, nothing is compared.
pub(super) fn origin(object: &Repository) -> String {
    let reference = serde_json::to_string(&object.spec.reference).unwrap_or_default();
    format!("{} {reference}", object.spec.url)
}

fn unfinished() -> Failure {
    Failure {
        reason: "Failed",
        message: "The verification stopped unexpectedly. It is tried again.".into(),
        temporary: true,
    }
}
