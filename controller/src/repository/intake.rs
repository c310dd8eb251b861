//! One look of a Repository's task: credentials, the question to the remote, and what its answer changes.

use std::sync::Arc;

use crds::Repository;
use kube::Resource;
use source::{CommitId, Proxy, RefSpec, Remote, Rewritten, Snapshot, SourceError};
use tracing::info;

use super::credentials::{self, Credentials};
use super::failure::Failure;
use super::follower::Follower;
use super::look::{Found, Look, Looked};
use super::spec::{Origin, Target};
use super::wanted::Wanted;
use super::{Head, Pinned, reference, revision, shared, status, verified};
use crate::events::Severity;
use crate::metrics::{Outcome, PollOutcome, count};

impl Follower {
    /// Asks the remote, and takes in what it says.
    pub(super) async fn look(
        &mut self,
        object: &Repository,
        target: &Target,
        wanted: &Wanted,
        remembered: Option<CommitId>,
    ) -> Result<(), Failure> {
        let mut remote = target.remote.clone();
        remote.disk = Some(self.part.clone());
        if let Some(secret) = &target.proxy {
            remote.proxy = Some(self.proxy(secret, wanted).await?);
        }
        let mut login = None;
        if let Some(secret) = &target.secret {
            let credentials = self.credentials(secret, wanted).await?;
            login = Some(credentials.clone());
            remote.auth = credentials.auth;
            remote.ca_pem = credentials.ca_pem;
            remote.client = credentials.client;
            if let Some(app) = &credentials.app {
                let token = self.app.auth(app, &remote).await;
                if token.is_err() {
                    self.credentials = None;
                }
                remote.auth = token?;
            }
        }
        let mut otherwise = None;
        if let Some(known_hosts) = &target.deploy_key {
            let mut auths = self.deploy_auths(object, wanted, known_hosts).await?.into_iter();
            remote.auth = auths.next().unwrap_or_default();
            otherwise = auths.next();
        }
        let fallbacks = self.fallbacks(target, remote.proxy.as_ref(), wanted).await;
        let origin = target.origin();
        let same = self.origin.as_ref() == Some(&origin);
        let known = self.head.as_ref().filter(|_| same);
        // What was read of pinned commits elsewhere, or judged otherwise, is read anew.
        let pins_as = (origin.clone(), object.spec.verify.clone());
        if self.pins_as.as_ref() != Some(&pins_as) {
            self.pins_as = Some(pins_as);
            self.room.heads.reread_pins(&self.key, true);
        }
        self.table = self
            .room
            .tables
            .table(target, login.as_ref(), remote.proxy.as_ref());
        let namespace: Arc<str> = self.key.0.as_str().into();
        let seated = shared::sit(self.table.clone(), self.since, &self.room.looks, &namespace);
        let (place, seat, last) = tokio::select! {
            seated = seated => seated,
            () = self.unwanted(wanted) => return Err(stopped()),
        };
        // Kept by who may end it.
        let asking = remote.for_one_look();
        let budget = asking.budget.clone();
        let within = |remote: Remote| Remote {
            budget: budget.clone(),
            ..remote
        };
        let look = Look {
            fallbacks: fallbacks.into_iter().map(within).collect(),
            others: Vec::new(),
            remote: asking,
            otherwise: otherwise.clone(),
            reference: target.reference.clone(),
            submodules: target.submodules.clone(),
            dir: self.dir.clone(),
            store: self.store.clone(),
            known: known.map(|head| head.snapshot.commit().id),
            label: known.map(|head| head.revision.branch.clone()),
            pins: self.room.heads.pins_to_read(&self.key),
            remembered,
            serve: self.serve(object, target, remembered),
            last,
            since: self.since,
        };
        let (part, dir) = (self.part.clone(), self.dir.clone());
        let first = self.store.is_none();
        let mut job = tokio::task::spawn_blocking(move || {
            if first {
                part.count(&dir); // what an earlier process has left
            }
            look.run()
        });
        let looked = tokio::select! {
            looked = &mut job => looked,
            () = self.unwanted(wanted) => {
                if let Some(budget) = &budget {
                    budget.cancel();
                }
                job.await
            }
        };
        let mut looked = looked.map_err(|_| stopped())?;
        if budget.is_some_and(|budget| budget.is_cancelled()) && looked.found.is_err() {
            // What it held is read when the store is opened: without a head, it is opened again.
            self.store = looked.store.filter(|_| self.head.is_some());
            return Err(stopped());
        }
        if let (Some(mut seat), Some(answer)) = (seat, looked.answer(known)) {
            *seat = Some(answer);
        }
        if target.deploy_key.is_some() {
            self.keep_deploy_key(object, &looked).await;
        }
        if let (true, Some(auth)) = (looked.fell_back, otherwise) {
            remote.auth = auth;
        }
        self.tell_aside(object, &looked);
        if let Some(aside) = &looked.aside {
            remote = aside.clone();
            remote.budget = None;
        }
        let checked = self.verify(object, target, remote, &mut looked).await;
        drop(place);
        let is_taken = matches!(looked.found, Ok(Found::New { took: None, .. }));
        if self.part.is_uncounted() || is_taken {
            let (part, dir) = (self.part.clone(), self.dir.clone());
            let counted = tokio::task::spawn_blocking(move || part.count(&dir));
            counted.await.map_err(|_| stopped())?;
        }
        let result = self.take_in(object, target, origin, looked, checked);
        result.map_err(|failure| self.with_key_to_add(failure))
    }

    /// Until there is nobody any more for whom to look: the Repository is gone, or another one, or the controller stops.
    async fn unwanted(&self, wanted: &Wanted) {
        let mut orders = self.orders.clone();
        let changed = async {
            while orders.changed().await.is_ok() {
                if !orders.borrow_and_update().wants(wanted) {
                    return;
                }
            }
        };
        tokio::select! {
            () = self.room.shutdown.requested() => {}
            () = changed => {}
        }
    }

    fn take_in(
        &mut self,
        object: &Repository,
        target: &Target,
        origin: Origin,
        looked: Looked,
        checked: Result<Option<(CommitId, Rewritten)>, Failure>,
    ) -> Result<(), Failure> {
        let metrics = Arc::clone(&self.room.metrics);
        let heard = looked.heard;
        self.store = looked.store;
        // Once the remote has another commit, what could not be found there may be found: also where that commit is refused, and where
        // the one in use is of another remote still. A commit that is refused look after look is one.
        let has = match &looked.found {
            Ok(Found::New { snapshot, .. }) => Some(snapshot.commit().id),
            Ok(Found::Unchanged) => self.head.as_ref().map(|head| head.snapshot.commit().id),
            Err(_) => None,
        };
        if has.is_some() && std::mem::replace(&mut self.pins_at, has) != has {
            self.room.heads.reread_pins(&self.key, false);
        }
        let label = match &self.head {
            Some(head) if self.origin.as_ref() == Some(&origin) => head.revision.branch.clone(),
            _ => reference::label(&target.reference),
        };
        let pinned = looked.pinned.into_iter().map(|(commit, read)| {
            let known = match read {
                Ok(snapshot) => Pinned::Ready(head(snapshot, &label)),
                Err(failure) => Pinned::Failed {
                    message: failure.message,
                    temporary: failure.temporary,
                },
            };
            (commit, known)
        });
        self.room.heads.set_pinned(&self.key, &self.uid, pinned.collect());
        if let (None, Some(held)) = (&self.head, looked.held) {
            self.head = Some(self.held_head(held, &target.reference));
            self.origin = Some(origin.clone());
        }
        match looked.found {
            Ok(Found::Unchanged) => {
                let outcome = if heard {
                    PollOutcome::Shared
                } else {
                    PollOutcome::Unchanged
                };
                count(&metrics.polls, outcome, 1);
                checked?;
                self.sign_head();
                self.publish_ready();
                Ok(())
            }
            Ok(Found::New {
                snapshot,
                label,
                before,
                took,
            }) => {
                let outcome = if heard {
                    PollOutcome::Shared
                } else {
                    PollOutcome::Changed
                };
                count(&metrics.polls, outcome, 1);
                if let Some(took) = took {
                    count(&metrics.fetches, Outcome::Success, 1);
                    metrics.fetch_seconds.observe(took.as_secs_f64());
                }
                // What is refused is not published: the last good commit stays. And what was fetched and refused is none
                // that this one could leave out.
                let before = checked?.or(before);
                let new = self.signed(head(snapshot, &label));
                self.announce(object, &target.reference, &new, before);
                self.head = Some(new);
                self.origin = Some(origin);
                self.publish_ready();
                Ok(())
            }
            Err(error) => {
                if heard {
                    count(&metrics.polls, PollOutcome::Shared, 1);
                } else if looked.fetching {
                    count(&metrics.fetches, Outcome::Failure, 1);
                } else {
                    count(&metrics.polls, PollOutcome::Failure, 1);
                }
                if may_be_the_credentials(&error) {
                    self.credentials = None;
                    self.app.forget();
                    self.proxy = None;
                }
                let mut failure = Failure::from(&error);
                if let Some(aside) = looked.aside_failed {
                    self.fallbacks = None;
                    let why = Failure::from(&aside).message;
                    failure.message = format!(
                        "{} No fall-back does better. The last one: {why}",
                        failure.message
                    );
                }
                if let Some(why) = &self.left_out {
                    failure.message = format!("{} A fall-back is left out: {why}.", failure.message);
                }
                Err(failure)
            }
        }
    }

    /// Events about a commit that was not the head before.
    fn announce(
        &self,
        object: &Repository,
        reference: &RefSpec,
        new: &Head,
        before: Option<(CommitId, Rewritten)>,
    ) {
        if self
            .writer
            .status
            .head
            .as_ref()
            .is_some_and(|known| known.commit == new.revision.commit)
        {
            return; // a new process, not a new commit
        }
        let about = object.object_ref(&());
        let line = status::one_line(&new.revision);
        let noun = reference::noun(reference, &new.revision.branch);
        info!(
            namespace = self.key.0,
            name = self.key.1,
            revision = new.revision.short(),
            "new commit"
        );
        if let Some((old, Rewritten::Yes)) = before {
            let old = old.to_string();
            let message = format!(
                "{} was rewritten: {} is no longer part of it. It is followed to {line}.",
                reference::capital(&noun),
                revision::short(&old)
            );
            self.room
                .events
                .publish(&about, Severity::Warning, "BranchRewritten", message);
        }
        if let (RefSpec::Tag(_) | RefSpec::Versions(_), Some((old, _))) = (reference, before)
            && let Some(head) = &self.writer.status.head
            && head.branch == new.revision.branch
            && head.commit == old.to_string()
        {
            let message = format!(
                "{} was moved: it was at {}. It is followed to {line}.",
                reference::capital(&noun),
                revision::short(&head.commit)
            );
            self.room
                .events
                .publish(&about, Severity::Warning, "TagMoved", message);
        }
        self.room.events.publish(
            &about,
            Severity::Normal,
            "NewCommit",
            reference::sentence(reference, &new.revision),
        );
    }

    async fn credentials(&mut self, secret: &str, wanted: &Wanted) -> Result<Credentials, Failure> {
        if let Some((of, credentials)) = &self.credentials
            && of == wanted
        {
            return Ok(credentials.clone());
        }
        match credentials::read(self.room.client.clone(), &self.key.0, secret).await {
            Ok(credentials) => {
                self.app.forget();
                self.credentials = Some((wanted.clone(), credentials.clone()));
                Ok(credentials)
            }
            Err(problem) => Err(problem.into()),
        }
    }

    async fn proxy(&mut self, secret: &str, wanted: &Wanted) -> Result<Proxy, Failure> {
        if let Some((of, proxy)) = &self.proxy
            && of == wanted
        {
            return Ok(proxy.clone());
        }
        let proxy = credentials::read_proxy(self.room.client.clone(), &self.key.0, secret).await?;
        self.proxy = Some((wanted.clone(), proxy.clone()));
        Ok(proxy)
    }

    /// A commit that the store held when it was opened, labelled as the status has it.
    pub(super) fn held_head(&self, held: Snapshot, reference: &RefSpec) -> Head {
        let id = held.commit().id.to_string();
        let known = self.writer.status.head.as_ref().filter(|head| head.commit == id);
        let label = known.map_or_else(|| reference::label(reference), |head| head.branch.clone());
        self.signed(head(held, &label))
    }

    /// The head that the status names, if it is of what is followed now.
    pub(super) fn remembered(&self, object: &Repository, wanted: &Wanted) -> Option<CommitId> {
        let status = &self.writer.status;
        let head = status.head.as_ref()?;
        let is_of_this = match &*status.origin {
            // Of a controller that did not write that down.
            "" => status.observed_generation == wanted.generation,
            of => of == verified::origin(object),
        };
        is_of_this.then(|| head.commit.parse().ok())?
    }
}

pub(super) fn head(snapshot: Snapshot, branch: &str) -> Head {
    let revision = revision::of(snapshot.commit(), branch);
    Head { snapshot, revision }
}

fn may_be_the_credentials(error: &SourceError) -> bool {
    if let SourceError::Submodule { why, .. } = error {
        return may_be_the_credentials(why);
    }
    matches!(
        error,
        SourceError::Unauthorized { .. }
            | SourceError::Forbidden
            | SourceError::NotFound // many hosts answer so to whom they do not know
            | SourceError::Tls(_)
            | SourceError::BadCredentials
            | SourceError::BadCertificates
            | SourceError::BadClientCertificate(_)
            | SourceError::BadProxy(_)
            | SourceError::ProxyRefused(_)
            | SourceError::NoKey
            | SourceError::KeyForHttp
            | SourceError::BadKey(_)
            | SourceError::HostUnknown(_)
            | SourceError::HostKey(_)
            | SourceError::KeyRefused(_)
    )
}

fn stopped() -> Failure {
    Failure {
        reason: "Failed",
        message: "The look at the remote stopped unexpectedly. It is tried again.".into(),
        temporary: true,
    }
}
