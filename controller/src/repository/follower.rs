//! One Repository's task: look, tell, wait.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crds::{DeployKeyStatus, Repository, RepositoryStatus, Verified, Verify};
use kube::Resource;
use source::{CommitId, Part, Proxy, Remote, Store};
use tokio::sync::watch as channel;
use tokio::time::Instant;
use tracing::debug;

use super::app_login::AppLogin;
use super::credentials::Credentials;
use super::deploy_key::DeployKeys;
use super::failure::Failure;
use super::look::Serve;
use super::shared::Table;
use super::spec::{self, Origin, Target};
use super::status::{self, Now};
use super::wanted::{Order, Wanted};
use super::write::Writer;
use super::{Head, Key, Pinned, Room, SourceState, reference, verified, wait};
use crate::condition;
use crate::events::Severity;
use crate::mark::Mark;

/// The shortest time between the beginnings of two looks that are wished for: many wishes at once are one look.
const PACE: Duration = Duration::from_millis(200);

/// How often the store of a Repository that is gone is removed, and the time between.
const TRIES: u32 = 30;
const PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Follower {
    pub(super) room: Arc<Room>,
    pub(super) key: Key,
    pub(super) uid: String,
    pub(super) orders: channel::Receiver<Order>,
    pub(super) dir: PathBuf,
    pub(super) store: Option<Arc<Store>>,
    /// What that takes of the disk, with what is kept beside it.
    pub(super) part: Part,
    /// Read once for these wishes; again when they change, or when the remote refuses.
    pub(super) credentials: Option<(Wanted, Credentials)>,
    /// The token of a GitHub App.
    pub(super) app: AppLogin,
    /// As the credentials.
    pub(super) proxy: Option<(Wanted, Proxy)>,
    /// The fall-backs with their credentials; as the credentials.
    pub(super) fallbacks: Option<(Wanted, Vec<Remote>)>,
    /// Why a fall-back is not asked.
    pub(super) left_out: Option<String>,
    /// The fall-back that the head is read from, while the remote fails.
    pub(super) aside: Option<String>,
    /// The keys that were made for it; read once for these wishes.
    pub(super) deploy_keys: Option<(Wanted, DeployKeys)>,
    /// Their public halves, as far as they are known.
    pub(super) deploy_key: Option<DeployKeyStatus>,
    pub(super) head: Option<Head>,
    /// What `head` is of.
    pub(super) origin: Option<Origin>,
    /// Of what pinned commits were read, and which signatures were asked for of them.
    pub(super) pins_as: Option<(Origin, Option<Verify>)>,
    /// Whose signatures counted when they were judged.
    pub(super) pins_by: Option<Mark>,
    /// What the ref was found at last, refused or not.
    pub(super) seen: Option<CommitId>,
    pub(super) writer: Writer,
    /// The last commit whose signatures were good, where they are asked for.
    pub(super) verified: Option<Verified>,
    /// Where it hears what others that would ask the same have been told.
    pub(super) table: Option<Arc<Table>>,
    /// What the remote has been asked since then is good enough for the next look.
    pub(super) since: Instant,
    failures: u32,
}

impl Follower {
    pub(super) fn new(
        room: Arc<Room>,
        key: Key,
        uid: String,
        part: Part,
        orders: channel::Receiver<Order>,
    ) -> Self {
        let status = match &*orders.borrow() {
            Order::Follow(object) => object.status.clone().unwrap_or_default(),
            Order::Remove => RepositoryStatus::default(),
        };
        Self {
            dir: room.stores.join(&uid),
            part,
            verified: status.verified.clone(),
            app: AppLogin::default(),
            proxy: None,
            fallbacks: None,
            left_out: None,
            aside: None,
            deploy_keys: None,
            deploy_key: status.deploy_key.clone(),
            writer: Writer::new(room.client.clone(), &key, &uid, status),
            room,
            key,
            uid,
            orders,
            store: None,
            credentials: None,
            head: None,
            origin: None,
            pins_as: None,
            pins_by: None,
            seen: None,
            table: None,
            since: Instant::now(),
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
            self.room.heads.looking(&self.key, &self.uid);
            // Whoever has asked until now is promised what the remote says from then on.
            let woken = self.room.heads.woken(&self.key).map(Instant::from_std);
            self.since = woken.map_or(self.since, |woken| self.since.max(woken));
            let began = Instant::now();
            let next = self.step(&object, &wanted).await;
            self.room.heads.looked(&self.key, &self.uid);
            if !self.wait(&wanted, began, next).await {
                return;
            }
        }
    }

    /// Waits until a look is due: `false` when there will be none.
    async fn wait(&mut self, seen: &Wanted, began: Instant, next: Option<Duration>) -> bool {
        let due = next.map(|wait| Instant::now() + wait);
        let shutdown = self.room.shutdown.clone();
        let wishes = self.room.heads.wishes(&self.key, &self.uid);
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
                        _ => {
                            self.since = Instant::now();
                            return true;
                        }
                    }
                }
                () = wishes.notified() => {
                    // What is wished for until the look begins is looked for with it.
                    tokio::select! {
                        () = shutdown.requested() => return false,
                        () = tokio::time::sleep_until(began + PACE) => {
                            let woken = self.room.heads.woken(&self.key);
                            self.since = woken.map_or_else(Instant::now, Instant::from_std);
                            return true;
                        }
                    }
                }
                () = sleep_until(wake) => {
                    if due.is_some_and(|due| Instant::now() >= due) {
                        // Nobody waits for it: what another has just been told does.
                        let recent = next.unwrap_or_default() / 2;
                        self.since = Instant::now().checked_sub(recent).unwrap_or(self.since);
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
        if object.spec.deploy_key.is_none() {
            self.deploy_keys = None;
            self.deploy_key = None;
        }
        let deploy_key = self.deploy_key.clone();
        let now = Now {
            generation: wanted.generation,
            request: &wanted.request,
            time: &time,
            deploy_key: deploy_key.as_ref(),
        };
        if object.spec.suspend {
            let status = status::suspended(&self.writer.status, &now);
            self.writer.write(status).await;
            self.tell_suspended(object, wanted).await;
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
        let remembered = self.remembered(object, wanted);
        if self.writer.status.observed_generation != wanted.generation {
            let status = status::looking(&self.writer.status, &now, &object.spec.url);
            self.writer.write(status).await;
        }
        let result = self.look(object, &target, wanted, remembered).await;
        let is_wanted = || self.orders.has_changed().is_ok() && self.orders.borrow().wants(wanted);
        if result.is_err() && (self.room.shutdown.is_requested() || !is_wanted()) {
            return Some(Duration::ZERO); // it was ended, for what is wanted now
        }
        // The look may have taken a while.
        let time = condition::now();
        let deploy_key = self.deploy_key.clone();
        let now = Now {
            time: &time,
            deploy_key: deploy_key.as_ref(),
            ..now
        };
        match result {
            Ok(()) => {
                self.failures = 0;
                if let Some(head) = self.head.clone() {
                    let mut sentence = reference::sentence(&target.reference, &head.revision);
                    if !head.revision.signer.is_empty() {
                        sentence = format!("{sentence} Signed by {}.", head.revision.signer);
                    }
                    if let Some(url) = &self.aside {
                        sentence =
                            format!("{sentence} Read from the fall-back {url}: the remote itself fails.");
                    }
                    let mut status = status::ready(&self.writer.status, &now, &head.revision, &sentence);
                    status.verified.clone_from(&self.verified);
                    status.origin = verified::origin(object);
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

    pub(super) fn publish_ready(&self) {
        let Some(head) = &self.head else { return };
        // Nothing new, nobody to wake. The same commit in another store is new: what was read from the one before may be
        // damaged.
        if let SourceState::Ready(known) = self.room.heads.get(&self.key)
            && known.revision == head.revision
            && known.snapshot.is_same(&head.snapshot)
        {
            return;
        }
        self.room
            .heads
            .set(&self.key, &self.uid, SourceState::Ready(head.clone()));
    }

    /// After a restart, what the store holds serves a suspended Repository.
    async fn tell_suspended(&mut self, object: &Repository, wanted: &Wanted) {
        let lost = |commit| {
            let message = "It is suspended, and has not fetched the commit before.".to_owned();
            (
                commit,
                Pinned::Failed {
                    message,
                    temporary: true,
                },
            )
        };
        let pins = self.room.heads.pins_to_read(&self.key, false);
        let pins = pins.open.into_iter().map(lost);
        self.room.heads.set_pinned(&self.key, &self.uid, pins.collect());
        if self.head.is_none()
            && let Ok(target) = spec::parse(&object.spec, &self.room.files)
        {
            let serve = self.serve(object, &target, self.remembered(object, wanted));
            self.open_held(target, serve).await;
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

    async fn open_held(&mut self, target: Target, serve: Serve) {
        let dir = self.dir.clone();
        let origin = target.origin();
        let opened = tokio::task::spawn_blocking(move || {
            if !dir.exists() {
                return None;
            }
            let store = Store::open(&dir).ok()?;
            let held = serve.from(
                &store,
                &target.remote,
                &target.reference,
                target.submodules.as_ref(),
                false,
            );
            Some((store, held))
        });
        if let Ok(Some((store, held))) = opened.await {
            self.store = Some(Arc::new(store));
            if let Some(held) = held {
                self.head = Some(self.held_head(held, &origin.1));
                self.origin = Some(origin);
            }
        }
    }

    async fn clean_up(mut self) {
        self.store = None;
        self.head = None;
        // Who writes notes into it ends at the same time, and may have begun a file.
        for _ in 0..TRIES {
            let dir = self.dir.clone();
            let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(dir)).await;
            match removed {
                Ok(Err(error)) if error.kind() != ErrorKind::NotFound => {
                    debug!(%error, "the store of a Repository that is gone was not removed");
                    tokio::time::sleep(PAUSE).await;
                }
                _ => return,
            }
        }
    }
}

async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
