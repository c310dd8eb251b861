//! The catalog of served kinds, kept current: read anew when a CustomResourceDefinition changes, or when asked.

use crate::shutdown::Shutdown;
use crate::watch;
use apply::{ApiError, Catalog, Server};
use futures::StreamExt;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, Event};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, watch as channel};

/// Changes to definitions come in bursts; one reading serves them all.
const BURST: Duration = Duration::from_millis(100);

/// How long a catalog is believed that lacks a kind.
const MISSING: Duration = Duration::from_mins(5);
/// How long after a change of definitions it is not: a kind is served a little later than it is defined.
const SETTLING: Duration = Duration::from_mins(1);

/// The catalog, shared.
#[derive(Clone)]
pub struct Kinds {
    server: Server,
    current: Arc<RwLock<Arc<Catalog>>>,
    last_read: Arc<Mutex<Option<Instant>>>,
    /// When a definition changed last.
    changed_at: Arc<RwLock<Option<Instant>>>,
    changes: Arc<channel::Sender<u64>>,
}

impl Kinds {
    /// An empty catalog, and a task that reads it anew whenever a definition changes.
    #[must_use]
    pub fn start(server: Server, shutdown: Shutdown) -> Self {
        let kinds = Self {
            server,
            current: Arc::default(),
            last_read: Arc::default(),
            changed_at: Arc::default(),
            changes: Arc::new(channel::Sender::new(0)),
        };
        let follower = kinds.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.requested() => {}
                () = follower.follow_definitions() => {}
            }
        });
        kinds
    }

    /// The catalog as last read.
    #[must_use]
    pub fn current(&self) -> Arc<Catalog> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts readings that followed a change of definitions.
    #[must_use]
    pub fn changes(&self) -> channel::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Reads the catalog, unless somebody has done so within the last tenth of a second.
    ///
    /// # Errors
    /// As [`Catalog::fetch`].
    pub async fn refresh(&self) -> Result<Arc<Catalog>, ApiError> {
        self.read_after(BURST).await
    }

    /// Reads the catalog for a kind that is not in it. Whoever wants one that nobody serves asks again and again: a change of
    /// definitions tells, and an API server of the kind's own is found within minutes.
    ///
    /// # Errors
    /// As [`Catalog::fetch`].
    pub async fn refresh_for_missing(&self) -> Result<Arc<Catalog>, ApiError> {
        let changed_at = *self.changed_at.read().unwrap_or_else(PoisonError::into_inner);
        self.read_after(age_for_missing(changed_at.map(|at| at.elapsed())))
            .await
    }

    async fn read_after(&self, age: Duration) -> Result<Arc<Catalog>, ApiError> {
        let mut last = self.last_read.lock().await;
        if last.is_none_or(|at| at.elapsed() > age) {
            let catalog = Arc::new(Catalog::fetch(&self.server).await?);
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = catalog;
            *last = Some(Instant::now());
        }
        Ok(self.current())
    }

    async fn follow_definitions(self) {
        let api: Api<PartialObjectMeta<CustomResourceDefinition>> = Api::all(self.server.client().clone());
        // What arrives while a reading is under way is one chunk, answered by one reading.
        let mut chunks = std::pin::pin!(watch::watch(api, watcher::Config::default()).ready_chunks(1024));
        while let Some(chunk) = chunks.next().await {
            let changed = |event: &Result<_, _>| {
                matches!(event, Ok(Event::Apply(_) | Event::Delete(_) | Event::InitDone))
            };
            if chunk.iter().any(changed) {
                *self.changed_at.write().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                tokio::time::sleep(BURST).await;
                while self.refresh().await.is_err() {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                self.changes.send_modify(|n| *n += 1);
            }
        }
    }
}

/// How old a catalog may be that lacks a kind; `changed`: how long ago a definition changed.
fn age_for_missing(changed: Option<Duration>) -> Duration {
    match changed {
        Some(ago) if ago > SETTLING => MISSING,
        _ => BURST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_nobody_serves_is_not_looked_for_all_the_time() {
        assert_eq!(
            age_for_missing(None),
            BURST,
            "nothing is known of definitions yet"
        );
        assert_eq!(age_for_missing(Some(Duration::from_secs(30))), BURST);
        assert_eq!(age_for_missing(Some(Duration::from_mins(2))), MISSING);
    }
}
