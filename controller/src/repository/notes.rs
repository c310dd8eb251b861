//! What became of each commit, as notes in the Repository's own remote: `refs/notes/signet/CLUSTER`.
//!
//! A Sync hands a line in and goes on: nothing is waited for. One task a Repository that asks for notes collects them for a
//! moment and pushes them in one commit; what cannot be pushed is tried again, at most once a minute, and a thousand lines
//! are kept meanwhile. A Repository without `spec.notes` has no task, and nothing is ever written there.

mod write;

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crds::Repository;
use kube::{Client, ResourceExt};
use source::Line;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

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
    /// Something is new: a line, or the Repository.
    news: Arc<Notify>,
    /// Whether it has its task.
    staffed: bool,
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
            staffed: false,
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
        loop {
            let new: Vec<Key> = {
                let mut desks = self.desks();
                let new = desks.iter_mut().filter(|(_, desk)| !desk.staffed);
                new.map(|(key, desk)| {
                    desk.staffed = true;
                    key.clone()
                })
                .collect()
            };
            for key in new {
                tasks.spawn(write::Scribe::new(self.clone(), key).run());
            }
            tokio::select! {
                () = self.0.shutdown.requested() => break,
                () = self.0.opened.notified() => {}
                Some(_) = tasks.join_next() => {}
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    fn desks(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Desk>> {
        self.0.desks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
