//! What is there for a moment only: files that are removed again, and versions of objects that are overwritten.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use futures::StreamExt;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher::{Config, Event, watcher};
use tests::Cluster;

use super::sinks::{self, Capture, Sink};

/// How often the directories are looked at.
const POLL: Duration = Duration::from_millis(10);

/// Reads every file below some directories whenever it is new or changed.
pub(super) struct Files {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Capture>>,
}

impl Files {
    pub(super) fn watch(dirs: Vec<(Sink, PathBuf)>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                let (mut seen, mut captures) = (HashMap::new(), Vec::new());
                // Once more after the end.
                while !stop.load(Ordering::Relaxed) {
                    look(&dirs, &mut seen, &mut captures);
                    std::thread::sleep(POLL);
                }
                look(&dirs, &mut seen, &mut captures);
                captures
            }
        });
        Self { stop, thread }
    }

    /// Every file that was seen, in every state.
    pub(super) fn end(self) -> Vec<Capture> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the watcher does not panic")
    }
}

type Seen = HashMap<PathBuf, (u64, u64, i64)>;

fn look(dirs: &[(Sink, PathBuf)], seen: &mut Seen, captures: &mut Vec<Capture>) {
    for (sink, dir) in dirs {
        for file in sinks::files(dir) {
            let Ok(data) = file.metadata() else { continue };
            let state = (
                data.ino(),
                data.len(),
                data.mtime() * 1_000_000_000 + data.mtime_nsec(),
            );
            if seen.insert(file.clone(), state) != Some(state) {
                captures.extend(sinks::read(*sink, &file));
            }
        }
    }
}

/// Keeps every version of our own objects and of events that a watch shows.
pub(super) struct Objects {
    seen: Arc<Mutex<Vec<Capture>>>,
    watches: Vec<tokio::task::JoinHandle<()>>,
}

impl Objects {
    pub(super) fn watch(cluster: &Cluster) -> Self {
        let seen = Arc::<Mutex<Vec<Capture>>>::default();
        let kinds = [
            (Sink::Object, "signet.dev", "v1alpha1", "Sync", "syncs"),
            (
                Sink::Object,
                "signet.dev",
                "v1alpha1",
                "Repository",
                "repositories",
            ),
            (
                Sink::Object,
                "signet.dev",
                "v1alpha1",
                "SealedSecret",
                "sealedsecrets",
            ),
            (Sink::Event, "events.k8s.io", "v1", "Event", "events"),
            (Sink::Event, "", "v1", "Event", "events"),
        ];
        let watches = kinds
            .into_iter()
            .map(|(sink, group, version, kind, plural)| {
                let kind = GroupVersionKind::gvk(group, version, kind);
                let kind = ApiResource::from_gvk_with_plural(&kind, plural);
                let api: Api<DynamicObject> = Api::all_with(cluster.client(), &kind);
                let seen = Arc::clone(&seen);
                tokio::spawn(async move {
                    let mut events = watcher(api, Config::default()).boxed();
                    while let Some(event) = events.next().await {
                        let Ok(Event::Apply(object) | Event::InitApply(object) | Event::Delete(object)) =
                            event
                        else {
                            continue;
                        };
                        let place = format!("watched {}", kind.kind);
                        let text = serde_json::to_string(&object).expect("it was JSON");
                        seen.lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push(Capture::new(sink, place, text));
                    }
                })
            })
            .collect();
        Self { seen, watches }
    }

    /// Everything that was seen.
    pub(super) fn end(self) -> Vec<Capture> {
        for watch in &self.watches {
            watch.abort();
        }
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
