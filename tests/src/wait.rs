//! Waiting for what a watch shows, with a deadline, and saying what was seen last when it passes.

use std::fmt::Debug;
use std::future::Future;
use std::process::Command;
use std::time::{Duration, Instant};

use futures::StreamExt;
use kube::runtime::watcher::{Config, Event, watch_object, watcher};
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;
use tokio::time::timeout_at;

use crate::Cluster;
use crate::command::{self, Answer};

/// Long enough for two processors that are busy with something else. What passes does not wait for it.
pub const LONG: Duration = Duration::from_mins(2);

/// How often something is asked that cannot be watched.
const POLL: Duration = Duration::from_millis(20);

/// What can be watched and shown.
pub trait Watched:
    Resource<DynamicType: Default> + Clone + Debug + DeserializeOwned + Serialize + Send + 'static
{
}
impl<K> Watched for K where
    K: Resource<DynamicType: Default> + Clone + Debug + DeserializeOwned + Serialize + Send + 'static
{
}

/// Waits until the object is there and `accept` likes it.
pub async fn until<K: Watched>(
    cluster: &Cluster,
    api: Api<K>,
    name: &str,
    what: &str,
    mut accept: impl FnMut(&K) -> bool,
) -> K {
    let mut seen = format!("no {} {name}", K::kind(&K::DynamicType::default()));
    let mut states = watch_object(api, name).boxed();
    let deadline = tokio::time::Instant::now() + LONG;
    while let Ok(Some(state)) = timeout_at(deadline, states.next()).await {
        match state {
            Ok(Some(object)) if accept(&object) => return object,
            Ok(Some(object)) => seen = show(&object),
            Ok(None) => seen = format!("no {} {name}", K::kind(&K::DynamicType::default())),
            Err(error) => seen = format!("the watch failed: {error}"),
        }
    }
    fail(cluster, what, &seen)
}

/// Waits until the object is gone.
pub async fn gone<K: Watched>(cluster: &Cluster, api: Api<K>, name: &str) {
    let mut seen = String::new();
    let mut states = watch_object(api, name).boxed();
    let deadline = tokio::time::Instant::now() + LONG;
    while let Ok(Some(state)) = timeout_at(deadline, states.next()).await {
        match state {
            Ok(None) => return,
            Ok(Some(object)) => seen = show(&object),
            Err(error) => seen = format!("the watch failed: {error}"),
        }
    }
    fail(cluster, &format!("{name} to be gone"), &seen)
}

/// Waits until some object of a kind is one that `accept` likes.
pub async fn any<K: Watched>(
    cluster: &Cluster,
    api: Api<K>,
    what: &str,
    mut accept: impl FnMut(&K) -> bool,
) -> K {
    let mut seen = Vec::new();
    let mut events = watcher(api, Config::default()).boxed();
    let deadline = tokio::time::Instant::now() + LONG;
    while let Ok(Some(event)) = timeout_at(deadline, events.next()).await {
        match event {
            Ok(Event::Apply(object) | Event::InitApply(object)) if accept(&object) => return object,
            Ok(Event::Apply(object) | Event::InitApply(object)) => seen.push(show(&object)),
            Ok(_) => {}
            Err(error) => seen.push(format!("the watch failed: {error}")),
        }
    }
    fail(cluster, what, &seen[seen.len().saturating_sub(5)..].join("\n"))
}

/// Runs a command that spoils an object, and gives how long it was not as `good` wants it: from the first event that
/// shows it spoilt or gone to the first that shows it good again, as an independent watch sees them.
pub async fn repaired<K: Watched>(
    cluster: &Cluster,
    api: Api<K>,
    name: &str,
    command: Command,
    good: impl Fn(&K) -> bool,
) -> Duration {
    let good = |object: &K| object.meta().deletion_timestamp.is_none() && good(object);
    let mut states = watch_object(api, name).boxed();
    let mut command = Some(command);
    let mut running: Option<JoinHandle<Answer>> = None;
    let (mut spoilt, mut seen) = (None, String::new());
    let deadline = tokio::time::Instant::now() + LONG;
    while let Ok(Some(state)) = timeout_at(deadline, states.next()).await {
        let now = Instant::now();
        match (state, spoilt) {
            (Ok(Some(object)), Some(since)) if good(&object) => {
                if let Some(running) = running {
                    running.await.expect("the command runs").ok();
                }
                return now.duration_since(since);
            }
            (Ok(Some(object)), None) if good(&object) => {
                if let Some(command) = command.take() {
                    running = Some(tokio::task::spawn_blocking(|| command::run(command, b"")));
                }
            }
            (Ok(object), since) => {
                seen = object.map_or_else(|| "it is not there".to_owned(), |object| show(&object));
                spoilt = running.is_some().then(|| since.unwrap_or(now));
            }
            (Err(error), _) => seen = format!("the watch failed: {error}"),
        }
    }
    fail(cluster, &format!("{name} to be as it should"), &seen)
}

/// Asks again and again, for what no watch shows: a file, an HTTP answer. `ask` gives what it saw if that is not enough.
pub async fn poll<T, F>(what: &str, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, String>>,
{
    let deadline = Instant::now() + LONG;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(seen) if Instant::now() > deadline => {
                panic!("waited {} s for {what}; last seen:\n{seen}", LONG.as_secs())
            }
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

/// Asks that something holds all through a time: for what must not happen. There is no event to wait for then.
pub async fn throughout<F>(span: Duration, mut ask: impl FnMut() -> F)
where
    F: Future<Output = Result<(), String>>,
{
    let end = Instant::now() + span;
    while Instant::now() < end {
        if let Err(seen) = ask().await {
            panic!("it did not last {} s: {seen}", span.as_secs());
        }
        tokio::time::sleep(POLL * 10).await;
    }
}

fn show<K: Watched>(object: &K) -> String {
    let mut object = object.clone();
    object.meta_mut().managed_fields = None;
    serde_json::to_string_pretty(&object).unwrap_or_else(|error| error.to_string())
}

fn fail(cluster: &Cluster, what: &str, seen: &str) -> ! {
    panic!(
        "waited {} s for {what}; last seen:\n{seen}\n{}",
        LONG.as_secs(),
        cluster.explain()
    )
}
