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
use source::{Line, Part};
use tokio::sync::Notify;
use tokio::task::{Id, JoinSet};

use super::Key;
use crate::config::Config;
use crate::events::Events;
use crate::places::Places;
use crate::shutdown::Shutdown;

/// Lines that wait to be pushed, of one Repository.
const LINES: usize = 1_000;
/// Remotes that are pushed to at a time, and those of one namespace: each takes a thread, and may take as long as its
/// Repository allows it to.
const PUSHES: usize = 4;
const OF_ONE: usize = 1;

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
    pushes: Places,
    shutdown: Shutdown,
}

/// What waits to be written of one Repository.
struct Desk {
    object: Arc<Repository>,
    /// What the Repository's stores take of the disk.
    part: Part,
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
            pushes: Places::shared(PUSHES, OF_ONE),
            shutdown,
        }))
    }

    /// Notes whether a Repository wants notes. Called at every change of it.
    pub(super) fn register(&self, key: &Key, object: &Repository, part: &Part) {
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
            part: part.clone(),
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
                // Whoever was there a moment ago may be gone.
                if let Some(scribe) = write::Scribe::new(self.clone(), key.clone()) {
                    at_work.insert(tasks.spawn(scribe.run()).id(), key);
                }
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

    fn notes(stores: &std::path::Path) -> (Notes, shutdown::Trigger) {
        let (trigger, shutdown) = shutdown::channel();
        // Secrets are there, and nothing else answers.
        let secrets = service_fn(|request: http::Request<kube::client::Body>| async move {
            if !request.uri().path().contains("/secrets/") {
                return std::future::pending().await;
            }
            let secret = serde_json::json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "push"},
                "data": {"username": "d3JpdGVy", "password": "aHVudGVyMg=="}});
            let body = kube::client::Body::from(secret.to_string().into_bytes());
            Ok::<_, BoxError>(http::Response::new(body))
        });
        let client = Client::new(secrets, "default");
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
            stores: stores.to_owned(),
            files: source::FileRemotes::Refused,
            pushes: Places::shared(PUSHES, OF_ONE),
            shutdown,
        }));
        (notes, trigger)
    }

    fn object(name: &str, url: &str) -> Repository {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "signet.dev/v1alpha1", "kind": "Repository",
            "metadata": {"name": name, "namespace": "shop", "uid": name, "generation": 1},
            "spec": {"url": url, "timeout": "30m",
                "notes": {"cluster": "prod", "pushSecretRef": {"name": "push"}}},
        }))
        .unwrap()
    }

    fn line() -> Line {
        Line {
            commit: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
            text: "x".into(),
            unless: None,
            kind: String::new(),
        }
    }

    #[tokio::test]
    async fn a_namespace_of_slow_remotes_keeps_its_own_waiting_and_goes_with_its_repositories() {
        let dir = tempfile::tempdir().unwrap();
        let (notes, trigger) = notes(dir.path());
        // Answers nobody.
        let remote = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/r", remote.local_addr().unwrap());
        let disk = source::Disk::new(1 << 20);
        let running = tokio::spawn(notes.clone().run());
        let keys: Vec<Key> = (0..2 * PUSHES)
            .map(|number| ("shop".to_owned(), format!("app-{number}")))
            .collect();
        for key in &keys {
            notes.register(key, &object(&key.1, &url), &disk.part("shop"));
            notes.record(key, [line()]);
        }
        let first = remote.accept().await.unwrap();
        let others: Vec<_> = (1..PUSHES)
            .map(|number| notes.0.pushes.try_take(&format!("other-{number}").into()))
            .collect();
        assert!(others.iter().all(Option::is_some), "they are for others");
        drop(others);
        // Long before the remote's silence ends it, each gives way to the next.
        let began = std::time::Instant::now();
        for key in &keys {
            notes.forget(key);
        }
        let last = ("shop".to_owned(), "last".to_owned());
        notes.register(&last, &object("last", &url), &disk.part("shop"));
        notes.record(&last, [line()]);
        let next = remote.accept().await.unwrap();
        assert!(began.elapsed() < std::time::Duration::from_secs(20));
        notes.forget(&last);
        trigger.fire();
        running.await.unwrap();
        drop((first, next));
        for store in std::fs::read_dir(dir.path()).unwrap() {
            assert!(
                !store.unwrap().path().join("notes").exists(),
                "nobody asks for it"
            );
        }
    }

    #[tokio::test]
    async fn who_stops_and_starts_again_has_one_writer() {
        let (notes, _trigger) = notes(std::path::Path::new("nowhere"));
        let key = ("shop".to_owned(), "app".to_owned());
        let part = source::Disk::new(1).part("shop");
        let off: Repository = {
            let mut object = object("app", "https://git.example/r");
            object.spec.notes = None;
            object
        };
        let on = object("app", "https://git.example/r");
        notes.register(&key, &on, &part);
        assert_eq!(notes.unstaffed(&HashMap::new()), std::slice::from_ref(&key));
        let first = write::Scribe::new(notes.clone(), key.clone()).unwrap();
        let task = tokio::spawn(std::future::pending::<()>());
        let at_work = HashMap::from([(task.id(), key.clone())]);

        notes.register(&key, &off, &part);
        notes.register(&key, &on, &part);
        notes.record(&key, [line()]);
        assert_eq!(notes.unstaffed(&at_work), [] as [Key; 0], "the first is not done");
        assert!(
            first.waiting().is_none(),
            "what is here now is not the first one's"
        );
        first.done(1);
        let next = write::Scribe::new(notes.clone(), key.clone()).unwrap();
        assert_eq!(next.waiting().map(|(_, lines)| lines.len()), Some(1));
        assert_eq!(notes.unstaffed(&HashMap::new()), [key]);
    }
}
