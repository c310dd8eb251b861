//! One Repository's task: look, tell, wait.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crds::{Repository, RepositoryStatus, annotation};
use kube::{Resource, ResourceExt};
use source::{CommitId, Rewritten, Snapshot, SourceError, Store};
use tokio::sync::watch as channel;
use tokio::time::Instant;
use tracing::{debug, info};

use super::credentials::{self, Credentials};
use super::look::{Found, Look, Looked};
use super::spec::{self, Target};
use super::status::{self, Failure, Now};
use super::write::Writer;
use super::{Head, Key, Room, SourceState, revision, wait};
use crate::condition;
use crate::events::Severity;
use crate::metrics::{Outcome, PollOutcome, count};
use crate::text;

/// Characters kept of a request; ours are times.
const REQUEST: usize = 256;

/// What a task is told.
#[derive(Clone)]
pub(super) enum Order {
    /// Follow this.
    Follow(Arc<Repository>),
    /// The Repository is gone: clean up and end.
    Remove,
}

/// What makes a look due before its time.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    generation: i64,
    request: String,
}

impl Wanted {
    fn of(object: &Repository) -> Self {
        let request = object.annotations().get(annotation::REQUESTED_AT);
        Self {
            generation: object.metadata.generation.unwrap_or_default(),
            request: request
                .map(|text| text::bounded(text, REQUEST))
                .unwrap_or_default(),
        }
    }
}

pub(super) struct Follower {
    room: Arc<Room>,
    key: Key,
    uid: String,
    orders: channel::Receiver<Order>,
    dir: PathBuf,
    store: Option<Arc<Store>>,
    /// Read once for these wishes; again when they change, or when the remote refuses.
    credentials: Option<(Wanted, Credentials)>,
    head: Option<Head>,
    /// URL and branch that `head` was found at.
    origin: Option<(String, String)>,
    writer: Writer,
    failures: u32,
}

impl Follower {
    pub(super) fn new(room: Arc<Room>, key: Key, uid: String, orders: channel::Receiver<Order>) -> Self {
        let status = match &*orders.borrow() {
            Order::Follow(object) => object.status.clone().unwrap_or_default(),
            Order::Remove => RepositoryStatus::default(),
        };
        Self {
            dir: room.stores.join(&uid),
            writer: Writer::new(room.client.clone(), &key, &uid, status),
            room,
            key,
            uid,
            orders,
            store: None,
            credentials: None,
            head: None,
            origin: None,
            failures: 0,
        }
    }

    /// Follows until the Repository is gone or the controller stops.
    pub(super) async fn run(mut self) {
        loop {
            let order = self.orders.borrow_and_update().clone();
            let Order::Follow(object) = order else {
                return self.clean_up().await;
            };
            let wanted = Wanted::of(&object);
            let next = self.step(&object, &wanted).await;
            if !self.wait(&wanted, next).await {
                return;
            }
        }
    }

    /// Waits until a look is due: `false` when there will be none.
    async fn wait(&mut self, seen: &Wanted, next: Option<Duration>) -> bool {
        let due = next.map(|wait| Instant::now() + wait);
        let shutdown = self.room.shutdown.clone();
        loop {
            let retry = self.writer.retry_at();
            let wake = [due, retry].into_iter().flatten().min();
            tokio::select! {
                () = shutdown.requested() => return false,
                changed = self.orders.changed() => {
                    if changed.is_err() {
                        return false;
                    }
                    match &*self.orders.borrow_and_update() {
                        Order::Follow(object) if Wanted::of(object) == *seen => {} // our own status, mostly
                        _ => return true,
                    }
                }
                () = sleep_until(wake) => {
                    if due.is_some_and(|due| Instant::now() >= due) {
                        return true;
                    }
                    self.writer.retry().await;
                }
            }
        }
    }

    /// One look, and everything that follows from it. Returns when the next one is due, if time alone makes it so.
    async fn step(&mut self, object: &Repository, wanted: &Wanted) -> Option<Duration> {
        let time = condition::now();
        let now = Now {
            generation: wanted.generation,
            request: &wanted.request,
            time: &time,
        };
        if object.spec.suspend {
            let status = status::suspended(&self.writer.status, &now);
            self.writer.write(status).await;
            self.tell_suspended(object).await;
            return None;
        }
        let target = match spec::parse(&object.spec, &self.room.files) {
            Ok(target) => target,
            Err(problem) => {
                let failure = Failure {
                    reason: "BadSpec",
                    message: format!("{}.", problem.message),
                    temporary: false,
                };
                self.fail(object, &now, &failure).await;
                return None;
            }
        };
        let remembered = self.remembered(&target.branch, wanted);
        if self.writer.status.observed_generation != wanted.generation {
            let status = status::looking(&self.writer.status, &now, &object.spec.url);
            self.writer.write(status).await;
        }
        let result = self.look(object, &target, wanted, remembered).await;
        // The look may have taken a while.
        let time = condition::now();
        let now = Now { time: &time, ..now };
        match result {
            Ok(()) => {
                self.failures = 0;
                if let Some(head) = self.head.clone() {
                    let status = status::ready(&self.writer.status, &now, &head.revision);
                    self.writer.write(status).await;
                }
                Some(wait::jittered(target.interval))
            }
            Err(failure) => {
                self.failures = self.failures.saturating_add(1);
                self.fail(object, &now, &failure).await;
                Some(wait::jittered(wait::retry(self.failures, target.interval)))
            }
        }
    }

    /// Asks the remote, and takes in what it says.
    async fn look(
        &mut self,
        object: &Repository,
        target: &Target,
        wanted: &Wanted,
        remembered: Option<CommitId>,
    ) -> Result<(), Failure> {
        let mut remote = target.remote.clone();
        if let Some(secret) = &target.secret {
            let credentials = self.credentials(secret, wanted).await?;
            remote.auth = credentials.auth;
            remote.ca_pem = credentials.ca_pem;
        }
        let origin = (remote.url.clone(), target.branch.clone());
        let same = self.origin.as_ref() == Some(&origin);
        let look = Look {
            remote,
            reference: target.reference.clone(),
            dir: self.dir.clone(),
            store: self.store.clone(),
            known: self
                .head
                .as_ref()
                .filter(|_| same)
                .map(|head| head.snapshot.commit().id),
            remembered,
        };
        let Ok(slot) = Arc::clone(&self.room.looks).acquire_owned().await else {
            return Err(stopped());
        };
        let looked = tokio::task::spawn_blocking(move || {
            let looked = look.run();
            drop(slot);
            looked
        })
        .await
        .map_err(|_| stopped())?;
        self.take_in(object, target, origin, looked)
    }

    fn take_in(
        &mut self,
        object: &Repository,
        target: &Target,
        origin: (String, String),
        looked: Looked,
    ) -> Result<(), Failure> {
        let metrics = Arc::clone(&self.room.metrics);
        self.store = looked.store;
        if let (None, Some(held)) = (&self.head, looked.held) {
            self.head = Some(head(held, &target.branch));
            self.origin = Some(origin.clone());
        }
        match looked.found {
            Ok(Found::Unchanged) => {
                count(&metrics.polls, PollOutcome::Unchanged, 1);
                self.publish_ready();
                Ok(())
            }
            Ok(Found::New {
                snapshot,
                before,
                took,
            }) => {
                count(&metrics.polls, PollOutcome::Changed, 1);
                count(&metrics.fetches, Outcome::Success, 1);
                metrics.fetch_seconds.observe(took.as_secs_f64());
                let new = head(snapshot, &target.branch);
                self.announce(object, &new, before);
                self.head = Some(new);
                self.origin = Some(origin);
                self.publish_ready();
                Ok(())
            }
            Err(error) => {
                if looked.fetching {
                    count(&metrics.fetches, Outcome::Failure, 1);
                } else {
                    count(&metrics.polls, PollOutcome::Failure, 1);
                }
                if may_be_the_credentials(&error) {
                    self.credentials = None;
                }
                Err(Failure::from(&error))
            }
        }
    }

    /// Events about a commit that was not the head before.
    fn announce(&self, object: &Repository, new: &Head, before: Option<(CommitId, Rewritten)>) {
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
        let branch = &new.revision.branch;
        info!(
            namespace = self.key.0,
            name = self.key.1,
            revision = new.revision.short(),
            "new commit"
        );
        if let Some((old, Rewritten::Yes)) = before {
            let old = old.to_string();
            let message = format!(
                "Branch {branch} was rewritten: {} is no longer part of it. It is followed to {line}.",
                revision::short(&old)
            );
            self.room
                .events
                .publish(&about, Severity::Warning, "BranchRewritten", message);
        }
        self.room.events.publish(
            &about,
            Severity::Normal,
            "NewCommit",
            format!("Branch {branch} is at {line}."),
        );
    }

    /// Tells of a failure: to the status, to whoever applies, and once as an event.
    async fn fail(&mut self, object: &Repository, now: &Now<'_>, failure: &Failure) {
        debug!(
            namespace = self.key.0,
            name = self.key.1,
            reason = failure.reason,
            message = failure.message,
            "failed"
        );
        self.room.heads.set(
            &self.key,
            &self.uid,
            SourceState::Failed {
                message: failure.message.clone(),
                last: self.head.clone(),
            },
        );
        let status = status::failed(&self.writer.status, now, failure);
        if self.writer.write(status).await {
            let about = object.object_ref(&());
            self.room
                .events
                .publish(&about, Severity::Warning, failure.reason, &failure.message);
        }
    }

    fn publish_ready(&self) {
        let Some(head) = &self.head else { return };
        // Nothing new, nobody to wake.
        if let SourceState::Ready(known) = self.room.heads.get(&self.key)
            && known.revision == head.revision
        {
            return;
        }
        self.room
            .heads
            .set(&self.key, &self.uid, SourceState::Ready(head.clone()));
    }

    /// After a restart, what the store holds serves a suspended Repository.
    async fn tell_suspended(&mut self, object: &Repository) {
        if self.head.is_none()
            && let Ok(target) = spec::parse(&object.spec, &self.room.files)
        {
            self.open_held(target).await;
        }
        if self.head.is_some() {
            self.publish_ready();
        } else {
            let message = "The Repository is suspended, and nothing was fetched before.".to_owned();
            self.room
                .heads
                .set(&self.key, &self.uid, SourceState::Failed { message, last: None });
        }
    }

    async fn open_held(&mut self, target: Target) {
        let dir = self.dir.clone();
        let origin = (target.remote.url.clone(), target.branch.clone());
        let opened = tokio::task::spawn_blocking(move || {
            if !dir.exists() {
                return None;
            }
            let store = Store::open(&dir).ok()?;
            let held = store.held(&target.remote, &target.reference).ok().flatten();
            Some((store, held))
        });
        if let Ok(Some((store, held))) = opened.await {
            self.store = Some(Arc::new(store));
            if let Some(held) = held {
                self.head = Some(head(held, &origin.1));
                self.origin = Some(origin);
            }
        }
    }

    async fn credentials(&mut self, secret: &str, wanted: &Wanted) -> Result<Credentials, Failure> {
        if let Some((of, credentials)) = &self.credentials
            && of == wanted
        {
            return Ok(credentials.clone());
        }
        match credentials::read(self.room.client.clone(), &self.key.0, secret).await {
            Ok(credentials) => {
                self.credentials = Some((wanted.clone(), credentials.clone()));
                Ok(credentials)
            }
            Err(problem) => Err(Failure {
                reason: problem.reason,
                message: format!("{}.", problem.message),
                temporary: problem.temporary,
            }),
        }
    }

    /// The head that the status names, if it is of what is followed now.
    fn remembered(&self, branch: &str, wanted: &Wanted) -> Option<CommitId> {
        let status = &self.writer.status;
        let head = status.head.as_ref().filter(|head| head.branch == branch)?;
        (status.observed_generation == wanted.generation).then(|| head.commit.parse().ok())?
    }

    async fn clean_up(mut self) {
        self.store = None;
        self.head = None;
        let dir = self.dir.clone();
        let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(dir)).await;
        if let Ok(Err(error)) = removed {
            debug!(%error, "the store of a Repository that is gone was not removed");
        }
    }
}

fn head(snapshot: Snapshot, branch: &str) -> Head {
    let revision = revision::of(snapshot.commit(), branch);
    Head { snapshot, revision }
}

fn may_be_the_credentials(error: &SourceError) -> bool {
    matches!(
        error,
        SourceError::Unauthorized { .. }
            | SourceError::Forbidden
            | SourceError::NotFound // many hosts answer so to whom they do not know
            | SourceError::Tls(_)
            | SourceError::BadCredentials
            | SourceError::BadCertificates
    )
}

fn stopped() -> Failure {
    Failure {
        reason: "Failed",
        message: "The look at the remote stopped unexpectedly. It is tried again.".into(),
        temporary: true,
    }
}

async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
