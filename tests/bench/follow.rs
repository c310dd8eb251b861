//! An independent watch: knows what every object has to hold, and when the API server showed it so.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::objects::{Data, Expected};

/// Nothing that is measured takes longer.
const LONG: Duration = Duration::from_mins(4);

/// A kind whose objects are data.
pub(crate) trait Holder:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Send + 'static
{
    fn data(self) -> Data;
}

impl Holder for ConfigMap {
    fn data(self) -> Data {
        let data = self.data.unwrap_or_default();
        data.into_iter()
            .map(|(key, value)| (key, value.into_bytes()))
            .collect()
    }
}

impl Holder for Secret {
    fn data(self) -> Data {
        let data = self.data.unwrap_or_default();
        data.into_iter().map(|(key, value)| (key, value.0)).collect()
    }
}

/// A running watch of one kind in one namespace.
pub(crate) struct Follow {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    known: Mutex<Known>,
    news: Notify,
}

#[derive(Default)]
struct Known {
    expected: Expected,
    seen: HashMap<String, Seen>,
    good: usize,
}

#[derive(Clone, Copy)]
struct Seen {
    version: u64,
    good: bool,
    at: Instant,
}

impl Follow {
    pub(crate) fn start<K: Holder>(client: Client, namespace: &str, expected: Expected) -> Self {
        let shared = Arc::new(Shared::default());
        shared.lock().expected = expected;
        let api: Api<K> = Api::namespaced(client, namespace);
        let task = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                let mut events = watcher(api, Config::default()).boxed();
                while let Some(event) = events.next().await {
                    match event.expect("the watch holds") {
                        Event::Apply(object) | Event::InitApply(object) => shared.saw(object, true),
                        Event::Delete(object) => shared.saw(object, false),
                        Event::Init | Event::InitDone => {}
                    }
                }
            }
        });
        Self { shared, task }
    }

    /// From now on, this object has to hold something else.
    pub(crate) fn expect(&self, name: &str, data: Data) {
        let mut known = self.shared.lock();
        if known.seen.get(name).is_some_and(|seen| seen.good) {
            known.good -= 1;
        }
        known.seen.remove(name);
        known.expected.insert(name.to_owned(), data);
    }

    /// When the last object was seen that made all of them right.
    pub(crate) async fn all_good(&self) -> Instant {
        self.until("every object to hold what Git holds", |known| {
            (known.good == known.expected.len())
                .then(|| known.seen.values().map(|seen| seen.at).max())
                .flatten()
        })
        .await
    }

    /// When one object was first seen right after the resource version `version`.
    pub(crate) async fn good_after(&self, name: &str, version: u64) -> Instant {
        self.until(name, |known| {
            let seen = known.seen.get(name)?;
            (seen.good && seen.version > version).then_some(seen.at)
        })
        .await
    }

    async fn until(&self, what: &str, mut ask: impl FnMut(&Known) -> Option<Instant>) -> Instant {
        let answer = async {
            loop {
                let mut news = std::pin::pin!(self.shared.news.notified());
                // From here on no event is missed.
                news.as_mut().enable();
                if let Some(answer) = ask(&self.shared.lock()) {
                    return answer;
                }
                news.await;
            }
        };
        tokio::time::timeout(LONG, answer).await.unwrap_or_else(|_| {
            let known = self.shared.lock();
            panic!(
                "waited {LONG:?} for {what}: {} of {} are right",
                known.good,
                known.expected.len()
            )
        })
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn saw<K: Holder>(&self, object: K, there: bool) {
        let at = Instant::now();
        let meta = object.meta();
        let name = meta.name.clone().unwrap_or_default();
        let version = meta
            .resource_version
            .as_deref()
            .and_then(|v| v.parse().ok())
            .unwrap_or(0);
        let mut known = self.lock();
        let Some(expected) = known.expected.get(&name) else {
            return; // `kube-root-ca.crt`, which every namespace has
        };
        let good = there && object.data() == *expected;
        let before = known.seen.insert(name, Seen { version, good, at });
        if before.is_some_and(|seen| seen.good) {
            known.good -= 1;
        }
        if good {
            known.good += 1;
        }
        drop(known);
        self.news.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
