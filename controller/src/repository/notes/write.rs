//! One Repository's notes: collect for a moment, push, and try again.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crds::Repository;
use kube::{Resource, ResourceExt};
use source::{Budget, Line, Notebook, Part, Remote, SourceError};
use tokio::sync::Notify;
use tracing::{debug, warn};

use super::{Desk, Notes};
use crate::events::Severity;
use crate::repository::app_login::AppLogin;
use crate::repository::failure::Failure;
use crate::repository::{Key, credentials, spec, wait};

/// Many Syncs apply one commit: their lines are one push.
const COLLECT: Duration = Duration::from_secs(2);
/// Lines of one push.
const BATCH: usize = 500;
/// The last attempt, when the controller stops, and what is under way then.
const LAST: Duration = Duration::from_secs(8);
/// For one push, with all that is fetched for it: others wait for the place.
const LONGEST: Duration = Duration::from_mins(2);
const LONGEST_RETRY: Duration = Duration::from_mins(1);

pub(super) struct Scribe {
    notes: Notes,
    key: Key,
    uid: String,
    news: Arc<Notify>,
    /// What the Repository's stores take of the disk.
    part: Part,
    book: Option<(String, Notebook)>,
    app: AppLogin,
    failures: u32,
    /// What was said last of a failure.
    said: String,
}

impl Scribe {
    /// None where nobody asks for notes.
    pub(super) fn new(notes: Notes, key: Key) -> Option<Self> {
        let desks = notes.desks();
        let desk = desks.get(&key)?;
        let uid = desk.object.uid().unwrap_or_default();
        let (news, part) = (Arc::clone(&desk.news), desk.part.clone());
        drop(desks);
        Some(Self {
            notes,
            key,
            uid,
            news,
            part,
            book: None,
            app: AppLogin::default(),
            failures: 0,
            said: String::new(),
        })
    }

    /// Until the Repository wants no notes, or the controller stops.
    pub(super) async fn run(mut self) {
        let (shutdown, news) = (self.notes.0.shutdown.clone(), Arc::clone(&self.news));
        loop {
            let Some((object, lines)) = self.waiting() else {
                return self.clean_up().await;
            };
            if lines.is_empty() {
                tokio::select! {
                    () = shutdown.requested() => return,
                    () = news.notified() => {}
                }
                let last = shutdown.is_requested();
                if !last {
                    tokio::select! {
                        () = shutdown.requested() => {}
                        () = tokio::time::sleep(COLLECT) => {}
                    }
                }
                continue;
            }
            if shutdown.is_requested() {
                let _ = tokio::time::timeout(LAST, self.write(&object, &lines)).await;
                return;
            }
            match self.write(&object, &lines).await {
                Ok(()) => {
                    self.failures = 0;
                    self.said.clear();
                    self.done(lines.len());
                }
                // It was ended, for what is wanted now.
                Err(_) if self.is_other(&object) => {}
                Err(failure) => {
                    self.app.forget();
                    self.failures = self.failures.saturating_add(1);
                    if !shutdown.is_requested() {
                        self.tell(&object, &failure);
                    }
                    tokio::select! {
                        () = shutdown.requested() => {}
                        () = self.changed(&object) => {}
                        () = tokio::time::sleep(wait::jittered(wait::retry(self.failures, LONGEST_RETRY))) => {}
                    }
                }
            }
        }
    }

    /// The Repository and what waits to be written; none where it wants nothing more.
    pub(super) fn waiting(&self) -> Option<(Arc<Repository>, Vec<Line>)> {
        let mut desks = self.notes.desks();
        let desk = desks.get_mut(&self.key).filter(|desk| self.is_own(desk))?;
        if desk.dropped > 0 {
            warn!(
                namespace = self.key.0,
                name = self.key.1,
                lines = desk.dropped,
                "results were dropped: too many wait to be pushed"
            );
            desk.dropped = 0;
        }
        Some((
            Arc::clone(&desk.object),
            desk.lines.iter().take(BATCH).cloned().collect(),
        ))
    }

    pub(super) fn done(&self, count: usize) {
        let mut desks = self.notes.desks();
        if let Some(desk) = desks.get_mut(&self.key).filter(|desk| self.is_own(desk)) {
            desk.lines.drain(..count.min(desk.lines.len()));
        }
    }

    /// Whether the desk is the one that it began at.
    fn is_own(&self, desk: &Desk) -> bool {
        Arc::ptr_eq(&desk.news, &self.news)
    }

    /// Returns once the Repository is gone, or its spec is another one. More lines are no reason to hurry.
    async fn changed(&self, object: &Repository) {
        while !self.is_other(object) {
            self.news.notified().await;
        }
    }

    fn is_other(&self, object: &Repository) -> bool {
        let desks = self.notes.desks();
        let own = desks.get(&self.key).filter(|desk| self.is_own(desk));
        own.map(|desk| desk.object.metadata.generation) != Some(object.metadata.generation)
    }

    async fn write(&mut self, object: &Repository, lines: &[Line]) -> Result<(), Failure> {
        let Some(wish) = &object.spec.notes else {
            return Ok(());
        };
        let inner = Arc::clone(&self.notes.0);
        let target = spec::parse(&object.spec, &inner.files).map_err(|problem| Failure {
            reason: "BadSpec",
            message: format!("{}.", problem.message),
            temporary: false,
        })?;
        let mut remote = target.remote;
        let secret = &wish.push_secret_ref.name;
        let login = credentials::read_push(inner.client.clone(), &self.key.0, secret).await?;
        (remote.auth, remote.ca_pem, remote.client) = (login.auth, login.ca_pem, login.client);
        if let Some(proxy) = &target.proxy {
            remote.proxy = Some(credentials::read_proxy(inner.client.clone(), &self.key.0, proxy).await?);
        }
        if let Some(app) = &login.app {
            remote.auth = self.app.auth(app, &remote).await?;
        }
        // Of another address or ref, nothing is known.
        let identity = format!("{}\0{}", remote.url, wish.reference());
        let book = self
            .book
            .take()
            .filter(|(of, _)| *of == identity)
            .map(|(_, book)| book);
        let dir = inner.stores.join(&self.uid).join("notes");
        let (reference, author) = (wish.reference(), format!("signet ({})", wish.cluster));
        let lines = lines.to_vec();
        let (part, namespace): (_, Arc<str>) = (self.part.clone(), self.key.0.as_str().into());
        let place = tokio::select! {
            place = inner.pushes.take(&namespace) => place,
            () = self.unwanted(object) => return Err(ended()),
        };
        remote.limits.total = remote.limits.total.min(LONGEST);
        remote.disk = Some(part.clone());
        // Time begins to run.
        let remote = remote.for_one_look();
        let asked = Asked(remote.budget.clone());
        let mut job = tokio::task::spawn_blocking(move || {
            let _place = place; // held to the end, which comes soon where nobody waits
            let written = append(book, &remote, &dir, (&reference, &author), &lines);
            // With what else the Repository has on the disk.
            part.count(dir.parent().unwrap_or(&dir));
            written
        });
        let written = tokio::select! {
            written = &mut job => written,
            () = self.unwanted(object) => {
                drop(asked);
                job.await
            }
        };
        match written {
            Ok(Ok(book)) => {
                self.book = Some((identity, book));
                Ok(())
            }
            Ok(Err(error)) => Err(Failure::from(&error)),
            Err(_) => Err(Failure::from(&SourceError::StoreBusy)),
        }
    }

    /// Until nobody waits for what is written just now: the Repository is gone, or another one, or the controller has to stop.
    async fn unwanted(&self, object: &Repository) {
        let stops = async {
            self.notes.0.shutdown.requested().await;
            tokio::time::sleep(LAST).await;
        };
        tokio::select! {
            () = stops => {}
            () = self.changed(object) => {}
        }
    }

    /// Nothing is to be written any more: what was fetched for it is of no use.
    async fn clean_up(mut self) {
        self.book = None;
        let (part, dir) = (self.part, self.notes.0.stores.join(&self.uid));
        let _ = tokio::task::spawn_blocking(move || {
            if let Err(error) = std::fs::remove_dir_all(dir.join("notes"))
                && error.kind() != std::io::ErrorKind::NotFound
            {
                debug!(%error, "the store of notes that nobody asks for was not removed");
            }
            part.count(&dir);
        })
        .await;
    }

    /// Says once why the results do not get into Git.
    fn tell(&mut self, object: &Repository, failure: &Failure) {
        let reference = object
            .spec
            .notes
            .as_ref()
            .map(crds::Notes::reference)
            .unwrap_or_default();
        let message = format!(
            "The results cannot be written to {reference}. {}",
            failure.message
        );
        if message == self.said {
            return;
        }
        warn!(
            namespace = self.key.0,
            name = self.key.1,
            reason = failure.reason,
            "{message}"
        );
        let about = object.object_ref(&());
        self.notes
            .0
            .events
            .publish(&about, Severity::Warning, "NotesNotWritten", &message);
        self.said = message;
    }
}

/// Ends the work when nobody waits for it.
struct Asked(Option<Budget>);

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(budget) = &self.0 {
            budget.cancel();
        }
    }
}

fn append(
    book: Option<Notebook>,
    remote: &Remote,
    dir: &Path,
    (reference, author): (&str, &str),
    lines: &[Line],
) -> Result<Notebook, SourceError> {
    let mut book = match book {
        Some(book) => book,
        None => Notebook::open(dir, reference, author)?,
    };
    book.append(remote, lines).map(|()| book)
}

fn ended() -> Failure {
    Failure::from(&SourceError::Timeout("nobody waits for it"))
}
