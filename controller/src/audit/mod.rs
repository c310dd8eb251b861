//! The audit of a Repository, for who has no clone: the history that its published head has, read in a store of its own.
//!
//! One question of a namespace is worked on at a time, and two of all, and everything that one costs is bounded: commits, bytes, time.
//! What was fetched is kept for the next question about the same Repository, until another one is asked about.

mod query;
mod shelf;
mod walk;

use std::sync::Arc;
use std::time::Duration;

use crds::{Repository, Sync};
use kube::{Api, Client, ResourceExt};
use source::{Budget, FileRemotes, RepoPath};
use tokio::time::timeout;

use crate::config::Config;
use crate::histories::Histories;
use crate::places::Places;
use crate::repository::{files, remote_to_read, signers};
use crate::request::bounded;

pub(crate) use query::Query;
use shelf::Shelf;
use walk::Walk;

/// Questions that are worked on at once, and those of one namespace: each takes memory, disk and a thread.
const AT_ONCE: usize = 2;
const OF_ONE: usize = 1;
/// For one's turn.
const TURN: Duration = Duration::from_secs(5);
/// For the remote, so that the answer comes before the connection ends. What was fetched until then is kept.
const FETCH: Duration = Duration::from_secs(30);

/// Why there is no answer: a sentence that quotes nothing of a Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no such Repository or Sync.
    Missing(String),
    /// It is not so that it could be answered.
    Unready(String),
    /// Later perhaps.
    Later(String),
}

/// Answers questions.
pub(crate) struct Audits {
    client: Client,
    histories: Histories,
    shelf: Shelf,
    files: FileRemotes,
    places: Places,
}

/// Ends the work for a question when nobody waits for the answer.
struct Asked(Option<Budget>);

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(budget) = &self.0 {
            budget.cancel();
        }
    }
}

impl Audits {
    pub(crate) fn new(client: Client, config: &Config, histories: Histories) -> Self {
        Self {
            client,
            histories,
            shelf: Shelf::new(config.data_dir.join("audit")),
            files: files(config),
            places: Places::shared(AT_ONCE, OF_ONE),
        }
    }

    /// Lines of JSON. Who asks may ask.
    pub(crate) async fn answer(&self, query: Query) -> Result<String, Refusal> {
        let (namespace, name) = (&query.namespace, &query.name);
        let api: Api<Repository> = Api::namespaced(self.client.clone(), namespace);
        let object = bounded(api.get(name)).await.map_err(|error| {
            if error.is_not_found() {
                Refusal::Missing(format!("There is no Repository {namespace}/{name}."))
            } else {
                Refusal::Later("The API server does not show the Repository.".into())
            }
        })?;
        let head = object.status.as_ref().and_then(|status| status.head.as_ref());
        let head = head.and_then(|head| head.commit.parse().ok());
        let head = head.ok_or_else(|| Refusal::Unready("No commit of it is in use yet.".into()))?;
        let path = self.path(&query).await?;
        let trust = signers(&self.client, &object).await.map_err(Refusal::Unready)?;
        let remote = remote_to_read(&self.client, &object, &self.files).await;
        let (mut remote, reference) = remote.map_err(Refusal::Unready)?;
        remote.limits.total = remote.limits.total.min(FETCH);
        let line: Arc<str> = namespace.as_str().into();
        let Ok(place) = timeout(TURN, self.places.take(&line)).await else {
            return Err(Refusal::Later("Too much is asked at once.".into()));
        };
        // Time begins to run.
        let remote = remote.for_one_look();
        let _asked = Asked(remote.budget.clone());
        let walk = Walk {
            shelf: self.shelf.clone(),
            histories: self.histories.clone(),
            uid: object.uid().unwrap_or_default(),
            remote,
            reference,
            head,
            path,
            trust,
            query,
        };
        let done = tokio::task::spawn_blocking(move || {
            let done = walk.run();
            // Held to the end, which comes soon where the client is gone.
            drop(place);
            done
        });
        done.await
            .unwrap_or_else(|_| Err(Refusal::Later("It ended unexpectedly.".into())))
    }

    /// The directory that is asked about: a Sync's, where one is named.
    async fn path(&self, query: &Query) -> Result<RepoPath, Refusal> {
        let unfit = || Refusal::Unready("The path leaves the repository.".into());
        let Some(name) = query.sync_name() else {
            return RepoPath::parse(&query.path).map_err(|_| unfit());
        };
        let api: Api<Sync> = Api::namespaced(self.client.clone(), &query.namespace);
        let missing = || {
            Refusal::Missing(format!(
                "Repository {}/{} has no Sync of this name in its namespace.",
                query.namespace, query.name
            ))
        };
        match bounded(api.get(name)).await {
            Ok(sync) if sync.spec.source_ref.name == query.name => {
                RepoPath::parse(&sync.spec.path).map_err(|_| unfit())
            }
            Ok(_) => Err(missing()),
            Err(error) if error.is_not_found() => Err(missing()),
            Err(_) => Err(Refusal::Later("The API server does not show the Sync.".into())),
        }
    }
}
