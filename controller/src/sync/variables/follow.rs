//! Watches of the objects that variables come from, as the Sync's service account: one for each object, metadata only.

use crate::observe::Mailbox;
use crate::watch;
use futures::StreamExt;
use kube::api::{ApiResource, DynamicObject};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{Config, Event};
use kube::{Api, Client};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::AbortHandle;

/// How long a watch that the API server refuses is left alone, at first and at most. An API server that has just started
/// refuses for a moment; otherwise rights change rarely, and asking is not silent.
const REFUSED_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_mins(10);
/// What cannot be watched is read again by a whole pass, but not by each of many in a row.
const AGAIN: Duration = Duration::from_secs(10);

/// A resource version; none where the object does not exist.
pub(super) type Version = Option<Box<str>>;

/// Follows one object until it is dropped. Wakes the Sync when the object is not as it was read.
pub(super) struct Follower {
    known: Arc<Known>,
    task: AbortHandle,
}

/// What is followed, and who is told.
pub(super) struct Followed {
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) kind: &'static str,
    pub(super) name: String,
    pub(super) mailbox: Arc<Mailbox>,
}

struct Known(Mutex<State>);

struct State {
    read: Version,
    read_at: Instant,
    sight: Sight,
    /// That it cannot be watched is said once.
    told: bool,
}

enum Sight {
    /// Nothing was seen so far.
    Starting,
    /// The object as it is.
    At(Version),
    /// The service account may not watch it; whether it was refused more than once.
    Refused { again: bool },
}

impl Follower {
    /// Starts to follow an object that was read in this version.
    pub(super) fn start(followed: Followed, read: Version) -> Self {
        let known = Arc::new(Known(Mutex::new(State {
            read,
            read_at: Instant::now(),
            sight: Sight::Starting,
            told: false,
        })));
        let task = tokio::spawn(follow(followed, Arc::clone(&known))).abort_handle();
        Self { known, task }
    }

    /// The object was read again.
    pub(super) fn was_read(&self, version: Version) {
        let mut state = self.known.lock();
        (state.read, state.read_at) = (version, Instant::now());
    }

    /// Whether the object may be another one than was read.
    pub(super) fn is_stale(&self, requested: bool) -> bool {
        let state = self.known.lock();
        match &state.sight {
            Sight::Starting => false,
            Sight::At(version) => *version != state.read,
            Sight::Refused { .. } => requested || state.read_at.elapsed() >= AGAIN,
        }
    }

    /// Whether it can be relied upon that a change wakes the Sync.
    pub(super) fn follows(&self) -> bool {
        matches!(self.known.lock().sight, Sight::At(_))
    }

    /// Whether it is news that the object cannot be watched.
    pub(super) fn is_newly_refused(&self) -> bool {
        let mut state = self.known.lock();
        matches!(state.sight, Sight::Refused { again: true }) && !std::mem::replace(&mut state.told, true)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Known {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this is worth a pass.
    fn sees(&self, version: Version) -> bool {
        let mut state = self.lock();
        let news = version != state.read;
        state.sight = Sight::At(version);
        news
    }

    /// Whether this is worth a pass, which says so.
    fn is_refused(&self) -> bool {
        let mut state = self.lock();
        let again = matches!(state.sight, Sight::Refused { .. });
        state.sight = Sight::Refused { again };
        again && !state.told
    }
}

async fn follow(followed: Followed, known: Arc<Known>) {
    let plural = if followed.kind == "Secret" {
        "secrets"
    } else {
        "configmaps"
    };
    let resource = ApiResource {
        group: String::new(),
        version: "v1".into(),
        api_version: "v1".into(),
        kind: followed.kind.into(),
        plural: plural.into(),
    };
    let api: Api<PartialObjectMeta<DynamicObject>> =
        Api::namespaced_with(followed.client, &followed.namespace, &resource);
    let config = Config::default().fields(&format!("metadata.name={}", followed.name));
    let mut pause = REFUSED_PAUSE;
    loop {
        let mut events = std::pin::pin!(watch::watch(api.clone(), config.clone()));
        let mut listed: Version = None;
        while let Some(event) = events.next().await {
            let news = match event {
                Ok(Event::Init) => {
                    listed = None;
                    false
                }
                Ok(Event::InitApply(object)) => {
                    listed = version(object);
                    false
                }
                Ok(Event::InitDone) => {
                    pause = REFUSED_PAUSE;
                    known.sees(listed.take())
                }
                Ok(Event::Apply(object)) => known.sees(version(object)),
                Ok(Event::Delete(_)) => known.sees(None),
                Err(error) if watch::words(&error).is_forbidden() => {
                    if known.is_refused() {
                        followed.mailbox.wake();
                    }
                    break;
                }
                Err(_) => false, // said and waited for by the watch itself
            };
            if news {
                followed.mailbox.wake();
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn version(object: PartialObjectMeta<DynamicObject>) -> Version {
    object.metadata.resource_version.map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follower(read: Version) -> Follower {
        let known = Arc::new(Known(Mutex::new(State {
            read,
            read_at: Instant::now(),
            sight: Sight::Starting,
            told: false,
        })));
        let task = tokio::spawn(async {}).abort_handle();
        Follower { known, task }
    }

    #[tokio::test]
    async fn only_another_version_than_was_read_is_news() {
        let follower = follower(Some("1".into()));
        assert!(!follower.is_stale(true) && !follower.follows());
        assert!(!follower.known.sees(Some("1".into())), "it is as it was read");
        assert!(!follower.is_stale(true) && follower.follows());
        for version in [Some("2".into()), None] {
            assert!(follower.known.sees(version.clone()));
            assert!(follower.is_stale(false));
            follower.was_read(version);
            assert!(!follower.is_stale(false));
        }
    }

    #[tokio::test]
    async fn what_cannot_be_watched_is_said_once_and_read_when_asked_for() {
        let follower = follower(None);
        assert!(!follower.is_newly_refused());
        assert!(!follower.known.is_refused(), "it may be for a moment");
        assert!(!follower.is_newly_refused());
        assert!(follower.known.is_refused());
        assert!(follower.is_newly_refused() && !follower.is_newly_refused());
        assert!(!follower.known.is_refused(), "it is said");
        assert!(follower.is_stale(true) && !follower.is_stale(false) && !follower.follows());
    }
}
