//! What became of each commit, as notes in the Repository's own remote: `refs/notes/signet/CLUSTER`.
//!
//! A Sync hands a line in and goes on: nothing is waited for. One task a Repository that asks for notes collects them for a
//! moment and pushes them in one commit; what cannot be pushed is tried again, at most once a minute, and a thousand lines
//! are kept meanwhile. A Repository without `spec.notes` has no task, and nothing is ever written there.

mod write;

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crds::Repository;
use kube::{Client, ResourceExt};
use source::Line;
use tokio::sync::{Notify, Semaphore};
use tokio::task::{Id, JoinSet};

use super::Key;
use crate::config::Config;
use crate::events::Events;
use crate::shutdown::Shutdown;

/// Lines that wait to be pushed, of one Repository.
const LINES: usize = 1_000;
/// Remotes that are pushed to at a time.
const PUSHES: usize = 2;

/// Where lines are handed in. Cheap to clone.
#[derive(Clone)]
pub struct Notes(Arc<Inner>);

struct Inner {
    desks: Mutex<HashMap<Key, Desk>>,
    /// A Repository asks for notes that did not.
    opened: Notify,
    client: Client,
    events: Events,
    stores: PathBuf,
    files: source::FileRemotes,
    pushes: Arc<Semaphore>,
    shutdown: Shutdown,
}

/// What waits to be written of one Repository.
struct Desk {
    object: Arc<Repository>,
    lines: VecDeque<Line>,
    /// Lines that there was no room for.
    dropped: u64,
    /// Something is new: a line, or the Repository. Its own: a desk that was closed and opened again has another.
    news: Arc<Notify>,
}

impl Notes {
    /// No Repository has asked yet.
    #[must_use]
    pub fn new(client: Client, config: &Config, events: Events, shutdown: Shutdown) -> Self {
        Self(Arc::new(Inner {
            desks: Mutex::default(),
            opened: Notify::new(),
            client,
            events,
            stores: super::stores(config),
            files: super::files(config),
            pushes: Arc::new(Semaphore::new(PUSHES)),
            shutdown,
        }))
    }

    /// Notes whether a Repository wants notes. Called at every change of it.
    pub(super) fn register(&self, key: &Key, object: &Repository) {
        if object.spec.notes.is_none() || object.spec.suspend {
            return self.forget(key);
        }
        let mut desks = self.desks();
        if let Some(desk) = desks.get_mut(key)
            && desk.object.uid() == object.uid()
        {
            if desk.object.metadata.generation != object.metadata.generation {
                desk.news.notify_one();
            }
            desk.object = Arc::new(object.clone());
            return;
        }
        if let Some(before) = desks.remove(key) {
            before.news.notify_one();
        }
        let desk = Desk {
            object: Arc::new(object.clone()),
            lines: VecDeque::new(),
            dropped: 0,
            news: Arc::default(),
        };
        desks.insert(key.clone(), desk);
        self.0.opened.notify_one();
    }

    /// A Repository went away, or wants no notes any more.
    pub(super) fn forget(&self, key: &Key) {
        if let Some(desk) = self.desks().remove(key) {
            desk.news.notify_one();
        }
    }

    /// Hands lines in. Whoever asked for none gets none.
    pub fn record(&self, key: &Key, lines: impl IntoIterator<Item = Line>) {
        let mut desks = self.desks();
        let Some(desk) = desks.get_mut(key) else { return };
        for line in lines {
            if desk.lines.len() < LINES {
                desk.lines.push_back(line);
            } else {
                desk.dropped += 1;
            }
        }
        desk.news.notify_one();
    }

    /// Whether a Repository wants notes.
    #[must_use]
    pub fn wanted(&self, key: &Key) -> bool {
        self.desks().contains_key(key)
    }

    /// Writes until the controller stops; what waits then is tried once more.
    pub async fn run(self) {
        let mut tasks = JoinSet::new();
        let mut at_work: HashMap<Id, Key> = HashMap::new();
        loop {
            for key in self.unstaffed(&at_work) {
                let task = tasks.spawn(write::Scribe::new(self.clone(), key.clone()).run());
                at_work.insert(task.id(), key);
            }
            tokio::select! {
                () = self.0.shutdown.requested() => break,
                () = self.0.opened.notified() => {}
                Some(ended) = tasks.join_next_with_id() => {
                    at_work.remove(&ended.map_or_else(|error| error.id(), |(id, ())| id));
                }
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    /// Desks that nobody writes at. One whose Repository wanted notes before has to wait until whoever wrote then is done: two at a
    /// time would write every line twice.
    fn unstaffed(&self, at_work: &HashMap<Id, Key>) -> Vec<Key> {
        let busy: HashSet<&Key> = at_work.values().collect();
        let desks = self.desks();
        let free = desks.keys().filter(|key| !busy.contains(key));
        free.cloned().collect()
    }

    fn desks(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Desk>> {
        self.0.desks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shutdown;
    use tower::{BoxError, service_fn};

    fn notes() -> (Notes, shutdown::Trigger) {
        let (trigger, shutdown) = shutdown::channel();
        let silent = service_fn(|_: http::Request<kube::client::Body>| {
            std::future::pending::<Result<http::Response<kube::client::Body>, BoxError>>()
        });
        let client = Client::new(silent, "default");
        let notes = Notes(Arc::new(Inner {
            desks: Mutex::default(),
            opened: Notify::new(),
            events: Events::start(
                client.clone(),
                "test",
                crate::calm::Calm::default(),
                shutdown.clone(),
            ),
            client,
            stores: PathBuf::new(),
            files: source::FileRemotes::Refused,
            pushes: Arc::new(Semaphore::new(1)),
            shutdown,
        }));
        (notes, trigger)
    }

    #[tokio::test]
    async fn who_stops_and_starts_again_has_one_writer() {
        let (notes, _trigger) = notes();
        let key = ("shop".to_owned(), "app".to_owned());
        let object = |notes: serde_json::Value| -> Repository {
            serde_json::from_value(serde_json::json!({
                "apiVersion": "signet.dev/v1alpha1", "kind": "Repository",
                "metadata": {"name": "app", "namespace": "shop", "uid": "1", "generation": 1},
                "spec": {"url": "https://git.example/r", "notes": notes},
            }))
            .unwrap()
        };
        let on = object(serde_json::json!({"cluster": "prod", "pushSecretRef": {"name": "push"}}));
        let line = || Line {
            commit: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
            text: "x".into(),
            unless: None,
            kind: String::new(),
        };
        notes.register(&key, &on);
        assert_eq!(notes.unstaffed(&HashMap::new()), std::slice::from_ref(&key));
        let first = write::Scribe::new(notes.clone(), key.clone());
        let task = tokio::spawn(std::future::pending::<()>());
        let at_work = HashMap::from([(task.id(), key.clone())]);

        notes.register(&key, &object(serde_json::Value::Null));
        notes.register(&key, &on);
        notes.record(&key, [line()]);
        assert_eq!(notes.unstaffed(&at_work), [] as [Key; 0], "the first is not done");
        assert!(
            first.waiting().is_none(),
            "what is here now is not the first one's"
        );
        first.done(1);
        let next = write::Scribe::new(notes.clone(), key.clone());
        assert_eq!(next.waiting().map(|(_, lines)| lines.len()), Some(1));
        assert_eq!(notes.unstaffed(&HashMap::new()), [key]);
    }
}
