//! What was ever sealed with keys that leaked: a task of its own beside the rotation, so that nothing waits for it but the end
//! of the old keys.
//!
//! For each KeyRotation with reason Compromised the history of every Repository is walked once, the SealedSecret objects of the
//! cluster are looked through, and the report is kept [in ConfigMaps](shards). After that only what is new at the head of a
//! branch is looked at, as long as the KeyRotation is there. Only the controller that acts does it.

mod rows;
mod shards;
mod values;
mod walk;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crds::{KeyRotation, ReportState, Repository, RotationReport, Sync};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ListParams;
use kube::core::DeserializeGuard;
use kube::{Api, Resource, ResourceExt};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::facts::leaving;
use super::git::elsewhere;
use super::objects::{self, Versions};
use crate::Context;
use crate::condition;
use crate::repository::{self, Key, SourceState, remote_to_read};
use crate::request::bounded;
use rows::{Now, Report, Terms};
use values::{Found, Opener};
use walk::{Findings, Job, Memory};

/// Between the beginnings of two looks.
const PACE: Duration = Duration::from_secs(1);
/// Until something that did not work is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// The same, where somebody else has to do something first: that is news as well.
const LATER: Duration = Duration::from_mins(1);
/// Without any news it is looked again after this.
const LOOK: Duration = Duration::from_hours(1);
/// What may pass by itself is believed to do so for this long. Before that nobody is asked to accept that it is not looked through.
const PASSES: Duration = Duration::from_hours(1);
/// How long one fetch of a whole history may take, and how much it may bring.
const FETCH: Duration = Duration::from_mins(15);
const PACK_BYTES: u64 = 2 << 30;
/// What the SealedSecrets of the cluster are called beside the uids of Repositories.
const CLUSTER: &str = "";
/// What may be kept of all Repositories together, in bytes.
const ALL_BYTES: usize = 128 << 20;

/// A rotation that has a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) name: String,
    pub(super) uid: String,
    /// The keys that leaked.
    pub(super) leaked: BTreeSet<String>,
    pub(super) suspended: bool,
    /// Paths of Repositories whose values are sealed for other clusters.
    pub(super) elsewhere: BTreeMap<Key, Vec<String>>,
}

/// The task's other end.
pub(super) struct Reporter {
    orders: watch::Sender<Vec<Order>>,
    found: watch::Receiver<Known>,
    taken: Arc<TakenIn>,
}

/// What is known of each rotation, by uid.
type Known = BTreeMap<String, Told>;

/// What is told of a rotation, all of one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Told {
    /// The keys that it is about: of others it says nothing.
    leaked: BTreeSet<String>,
    /// What the report comes to.
    pub(super) report: RotationReport,
    /// Up to which commit each Repository was looked through, once all is said.
    pub(super) walked: BTreeMap<Key, String>,
}

/// What was looked through in the cluster for each rotation, by uid, as far as this process knows.
#[derive(Default)]
struct TakenIn {
    all: Mutex<HashMap<String, Taken>>,
    /// Somebody has asked for another look.
    asked: Notify,
}

#[derive(Default)]
struct Taken {
    /// For which keys.
    leaked: BTreeSet<String>,
    /// The SealedSecret objects of the cluster.
    objects: Arc<Versions>,
    /// Whether there are others now.
    asked: bool,
}

impl TakenIn {
    fn retain(&self, orders: &[Order]) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|uid, _| orders.iter().any(|order| order.uid == *uid));
    }

    fn with<T>(&self, uid: &str, work: impl FnOnce(&mut Taken) -> T) -> T {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        work(all.entry(uid.to_owned()).or_default())
    }

    /// These objects were looked through for these keys.
    fn look(&self, uid: &str, leaked: &BTreeSet<String>, objects: Versions) {
        self.with(uid, |taken| {
            taken.leaked.clone_from(leaked);
            taken.objects = Arc::new(objects);
        });
    }
}

impl Reporter {
    /// Starts the task. It ends with the controller.
    pub(super) fn start(context: Context) -> Self {
        let (orders, receiver) = watch::channel(Vec::new());
        let (sender, found) = watch::channel(BTreeMap::new());
        let taken = Arc::<TakenIn>::default();
        tokio::spawn(run(context, receiver, sender, Arc::clone(&taken)));
        Self { orders, found, taken }
    }

    /// Which versions of SealedSecret objects were looked through for just these keys, as far as this process knows.
    pub(super) fn objects(&self, uid: &str, leaked: &BTreeSet<String>) -> Arc<Versions> {
        self.taken.with(uid, |taken| {
            if taken.leaked == *leaked {
                Arc::clone(&taken.objects)
            } else {
                Arc::default()
            }
        })
    }

    /// There are others by now: they are looked through as well.
    pub(super) fn look_at_objects(&self, uid: &str) {
        self.taken.with(uid, |taken| taken.asked = true);
        self.taken.asked.notify_one();
    }

    /// Says which rotations have a report.
    pub(super) fn tell(&self, all: Vec<Order>) {
        self.orders.send_if_modified(|known| {
            let is_new = *known != all;
            *known = all;
            is_new
        });
    }

    /// What is known of just these keys, once anything is.
    pub(super) fn get(&self, uid: &str, leaked: &BTreeSet<String>) -> Option<Told> {
        let found = self.found.borrow();
        found.get(uid).filter(|told| told.leaked == *leaked).cloned()
    }

    /// Something has changed.
    pub(super) async fn changed(&mut self) {
        if self.found.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// One report, and what is remembered for it.
struct Held {
    report: Report,
    written: shards::Written,
    opener: Arc<Mutex<Opener>>,
    memory: Arc<Mutex<Memory>>,
    /// By uid, what stands at the head of each Repository, and how its values were tried.
    seen: HashMap<String, (Terms, Findings)>,
    /// Whether it was said once.
    told: bool,
    /// The keys that it is about.
    leaked: BTreeSet<String>,
}

impl Held {
    /// Whether none of the keys is left.
    fn is_over(&self) -> bool {
        let opener = self.opener.lock().unwrap_or_else(PoisonError::into_inner);
        !opener.has_leaked()
    }
}

/// A Repository as it is.
struct Source {
    key: Key,
    uid: String,
    object: Repository,
    head: Head,
    terms: Terms,
}

/// What a Repository follows.
enum Head {
    At(String),
    /// It was not looked at yet.
    Pending,
    /// Why there is none, as a sentence.
    Unread(String),
}

/// Why something was not looked through.
struct Failed {
    why: String,
    /// Whether it may pass by itself.
    temporary: bool,
}

/// What the SealedSecret objects of the cluster hold.
struct Cluster {
    values: Vec<values::Value>,
    /// Whether there are more than are kept.
    cut: bool,
    versions: Versions,
}

struct Room {
    context: Context,
    held: HashMap<String, Held>,
    /// Since when what may pass by itself does not: of a rotation, and of a Repository or the cluster.
    failing: HashMap<(String, String), Instant>,
    found: watch::Sender<Known>,
    taken: Arc<TakenIn>,
}

async fn run(
    context: Context,
    mut orders: watch::Receiver<Vec<Order>>,
    found: watch::Sender<Known>,
    taken: Arc<TakenIn>,
) {
    let shutdown = context.shutdown.clone();
    let mut heads = context.heads.changes();
    let mut ring = context.keys.clone();
    ring.mark_unchanged();
    let mut room = Room {
        context,
        held: HashMap::new(),
        failing: HashMap::new(),
        found,
        taken: Arc::clone(&taken),
    };
    let mut due = Instant::now() + LOOK;
    let mut began = Instant::now() - PACE;
    loop {
        let news = tokio::select! {
            () = shutdown.requested() => return,
            changed = orders.changed() => {
                if changed.is_err() {
                    return;
                }
                true
            }
            change = heads.next() => match change {
                None => return,
                Some(_) => !orders.borrow().is_empty(),
            },
            changed = ring.changed() => {
                if changed.is_err() {
                    return;
                }
                // What did not open may do so now.
                room.held.clear();
                !orders.borrow().is_empty()
            }
            () = taken.asked.notified() => true,
            () = tokio::time::sleep_until(due) => {
                began = Instant::now();
                let all = orders.borrow_and_update().clone();
                let next = tokio::select! {
                    () = shutdown.requested() => return,
                    next = room.pass(&all) => next,
                };
                due = Instant::now() + next;
                false
            }
        };
        if news {
            due = due.min(began + PACE);
        }
    }
}

impl Room {
    /// Looks at all of them. Returns when the next look is due by itself.
    async fn pass(&mut self, all: &[Order]) -> Duration {
        self.held
            .retain(|uid, _| all.iter().any(|order| order.uid == *uid));
        self.failing
            .retain(|(uid, _), _| all.iter().any(|order| order.uid == *uid));
        self.taken.retain(all);
        self.found.send_if_modified(|found| {
            let before = found.len();
            found.retain(|uid, _| all.iter().any(|order| order.uid == *uid));
            found.len() != before
        });
        self.sweep(all).await;
        if all.is_empty() {
            return LOOK;
        }
        if !self.context.fence.is_ours() {
            return AGAIN;
        }
        let mut next = LOOK;
        for order in all.iter().filter(|order| !order.suspended) {
            match self.look(order).await {
                Ok(true) => {}
                Ok(false) => next = next.min(LATER),
                Err(why) => {
                    tracing::warn!(
                        name = order.name,
                        "a report of leaked keys does not get on: {why}"
                    );
                    next = next.min(AGAIN);
                }
            }
        }
        next
    }

    fn dir(&self) -> std::path::PathBuf {
        self.context.config.data_dir.join("history")
    }

    /// Stores of rotations that are gone.
    async fn sweep(&self, all: &[Order]) {
        let (dir, keep) = (self.dir(), all.iter().map(|order| order.uid.clone()));
        let keep: BTreeSet<String> = keep.collect();
        let work = move || {
            for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
                if !entry.file_name().to_str().is_some_and(|name| keep.contains(name)) {
                    let _ = std::fs::remove_dir_all(entry.path());
                }
            }
        };
        let _ = tokio::task::spawn_blocking(work).await;
    }

    /// Brings one report up to date. Whether nothing is left to be tried again.
    async fn look(&mut self, order: &Order) -> Result<bool, String> {
        let maps: Api<ConfigMap> = Api::namespaced(self.context.client.clone(), &self.context.namespace);
        if self
            .held
            .get(&order.uid)
            .is_none_or(|held| held.leaked != order.leaked)
        {
            let held = self.load(&maps, order).await?;
            self.held.insert(order.uid.clone(), held);
        }
        let sources = self.sources(order).await?;
        let Some(mut held) = self.held.remove(&order.uid) else {
            return Ok(false);
        };
        let done = self.bring(&maps, order, &sources, &mut held).await;
        self.held.insert(order.uid.clone(), held);
        if done.is_err() {
            // What was found is not said yet, and nothing in it is stale: it is looked at again.
            self.taken.with(&order.uid, |taken| taken.asked = true);
        }
        done
    }

    async fn load(&self, maps: &Api<ConfigMap>, order: &Order) -> Result<Held, String> {
        let mut written = shards::Written::new();
        let report = shards::read(maps, &order.uid, &mut written)
            .await
            .map_err(|error| format!("what is kept of it cannot be read: {error}"))?;
        let ring = Arc::clone(&self.context.keys.borrow());
        let opener = Opener::new(ring, order.leaked.clone(), self.context.digest_key.clone());
        let mut report = report.unwrap_or_default();
        let digest_key = values::name_of(&self.context.digest_key);
        if report.digest_key != digest_key {
            if !report.digest_key.is_empty() {
                tracing::warn!(
                    name = order.name,
                    "the digest key is another one than the report of leaked keys was made with"
                );
                report.forget_digests(opener.has_all_leaked());
            }
            report.digest_key = digest_key;
        }
        if !order.leaked.is_subset(&report.leaked) {
            // One that was noted later is looked for in everything as well.
            report.walk_again();
            report.leaked.clone_from(&order.leaked);
        }
        Ok(Held {
            leaked: order.leaked.clone(),
            report,
            written,
            opener: Arc::new(Mutex::new(opener)),
            memory: Arc::default(),
            seen: HashMap::new(),
            told: false,
        })
    }

    async fn bring(
        &mut self,
        maps: &Api<ConfigMap>,
        order: &Order,
        sources: &[Source],
        held: &mut Held,
    ) -> Result<bool, String> {
        let is_stale = |source: &Source| {
            let seen = held.seen.get(&source.uid);
            match &source.head {
                // After a restart nothing is looked at where nothing is new, and all was said.
                Head::At(head) => match seen {
                    Some((terms, found)) => found.head != *head || *terms != source.terms,
                    None => !held.report.is_told(&source.uid, head, &source.terms),
                },
                Head::Pending | Head::Unread(_) => held.report.history(&source.uid).is_none(),
            }
        };
        let is_asked = self
            .taken
            .with(&order.uid, |taken| std::mem::take(&mut taken.asked));
        let is_known =
            !is_asked && held.report.cluster && held.report.cluster_judged && !sources.iter().any(is_stale);
        if held.told && is_known {
            return Ok(true);
        }
        let (has_leaked, all_leaked) = {
            let opener = held.opener.lock().unwrap_or_else(PoisonError::into_inner);
            (opener.has_leaked(), opener.has_all_leaked())
        };
        let mut gaps = BTreeSet::new();
        let mut waits = false;
        // Whether one of the gaps may still pass by itself.
        let mut passes = false;
        // Where there is nothing more to be tried at a head.
        let mut tried = BTreeMap::new();
        let mut pending = false;
        let mut cluster = None;
        if !is_known {
            match self.cluster(held).await {
                Ok(Cluster {
                    values,
                    cut,
                    versions,
                }) => {
                    let is_first = !held.report.cluster;
                    held.report.cut |= cut;
                    if is_first || has_leaked {
                        held.report.take_cluster(&values);
                    }
                    // Whoever seals them again has to know that it is kept.
                    let shards = self.keep(maps, order, held).await?;
                    self.taken.look(&order.uid, &held.leaked, versions);
                    if is_first {
                        self.publish(order, held, "The cluster is looked through.", shards);
                    }
                    if is_asked {
                        self.found.send_modify(|_| ());
                    }
                    cluster = Some(values);
                    self.passed(order, CLUSTER);
                }
                Err(why) => {
                    // All else may be as it was then.
                    self.taken.with(&order.uid, |taken| taken.asked = true);
                    gaps.insert(why);
                    waits = true;
                    passes |= self.may_pass(order, CLUSTER);
                }
            }
        }
        for source in sources {
            let name = format!("{}/{}", source.key.0, source.key.1);
            if source.object.spec.submodules.is_some() {
                gaps.insert(format!(
                    "Repository {name}: the history of its submodules is not looked through."
                ));
            }
            let walked = held.report.history(&source.uid);
            // Where keys are gone, there is no looking anew for what they opened.
            let known = walked.filter(|walked| walked.covers(&source.terms) || !all_leaked);
            let known = known.map(|walked| walked.head.clone());
            let head = match &source.head {
                Head::At(head) => head,
                Head::Pending => {
                    pending |= walked.is_none();
                    continue;
                }
                Head::Unread(why) => {
                    if walked.is_none() {
                        gaps.insert(format!("Repository {name}: {why}"));
                        waits = true;
                        passes |= self.may_pass(order, &source.uid);
                    }
                    held.seen.remove(&source.uid);
                    continue;
                }
            };
            let is_seen = held
                .seen
                .get(&source.uid)
                .is_some_and(|(terms, found)| found.head == *head && *terms == source.terms);
            if is_seen || is_known {
                continue;
            }
            let is_first = walked.is_none();
            let is_late = !held.report.walked.contains_key(&source.uid) && !all_leaked;
            match self.walk(order, source, head, known.as_deref(), held).await {
                Ok(mut found) => {
                    if is_late {
                        let gap = "Its history was not looked through before the old keys were gone.";
                        found.gaps.insert(0, gap.into());
                    }
                    held.report.take(&source.uid, &name, &source.terms, &found);
                    held.seen
                        .insert(source.uid.clone(), (source.terms.clone(), found));
                    let shards = self.keep(maps, order, held).await?;
                    self.publish(
                        order,
                        held,
                        &format!("Repository {name} is looked through."),
                        shards,
                    );
                    self.passed(order, &source.uid);
                }
                Err(Failed { why, temporary }) => {
                    waits = true;
                    // Once the keys are gone there is nothing new to be found.
                    if is_first || has_leaked {
                        gaps.insert(format!("Repository {name}: its history cannot be read. {why}"));
                        passes |= temporary && self.may_pass(order, &source.uid);
                        tried.insert(source.key.clone(), head.clone());
                    }
                }
            }
        }
        if !is_known {
            let names: HashMap<&str, String> = sources
                .iter()
                .map(|source| (source.uid.as_str(), format!("{}/{}", source.key.0, source.key.1)))
                .collect();
            let git = held
                .seen
                .iter()
                .filter_map(|(uid, (_, found))| Some((names.get(uid.as_str())?.as_str(), found)));
            let now = Now {
                git: git.collect(),
                cluster: cluster.as_deref(),
            };
            held.report.judge(&now);
        }
        let shards = self.keep(maps, order, held).await?;
        if pending {
            // The look at it that is under way is news; if it goes before that, all is said anew.
            held.told = false;
            self.publish(order, held, "Repositories are being looked at.", shards);
            return Ok(true);
        }
        held.told = true;
        let heads = sources.iter().filter_map(|source| {
            let walked = held.report.history(&source.uid)?;
            Some((source.key.clone(), walked.head.clone()))
        });
        let walked = heads.chain(tried).collect();
        let mut sum = held.report.sum(&gaps, shards);
        if passes {
            sum.confirm.clear();
        }
        let told = Told {
            leaked: held.leaked.clone(),
            report: sum,
            walked,
        };
        say(&self.found, &order.uid, told, false);
        Ok(!waits)
    }

    /// What may pass by itself has not. Whether it is believed that it will.
    fn may_pass(&mut self, order: &Order, what: &str) -> bool {
        let id = (order.uid.clone(), what.to_owned());
        let since = self.failing.entry(id).or_insert_with(Instant::now);
        since.elapsed() < PASSES
    }

    fn passed(&mut self, order: &Order, what: &str) {
        self.failing.remove(&(order.uid.clone(), what.to_owned()));
    }

    async fn keep(&self, maps: &Api<ConfigMap>, order: &Order, held: &mut Held) -> Result<usize, String> {
        if !self.context.fence.is_ours() {
            return Err("this controller does not hold the Lease any more".into());
        }
        let owner = (order.name.as_str(), order.uid.as_str());
        shards::write(maps, owner, &held.report, &mut held.written)
            .await
            .map_err(|error| format!("it cannot be written: {error}"))
    }

    /// While it is walked: what is known so far.
    fn publish(&self, order: &Order, held: &Held, progress: &str, shards: usize) {
        let sum = held.report.sum(&BTreeSet::new(), shards);
        let told = Told {
            leaked: held.leaked.clone(),
            report: walking(sum, progress.to_owned()),
            ..Told::default()
        };
        say(&self.found, &order.uid, told, held.is_over());
    }

    async fn walk(
        &self,
        order: &Order,
        source: &Source,
        head: &str,
        known: Option<&str>,
        held: &Held,
    ) -> Result<Findings, Failed> {
        let files = repository::files(&self.context.config);
        let remote = remote_to_read(&self.context.client, &source.object, &files).await;
        // The Secret with the credentials, mostly: the Repository is not followed either then.
        let (mut remote, reference) = remote.map_err(|why| Failed { why, temporary: true })?;
        // A leaked key opens what lies anywhere.
        remote.sparse.clear();
        remote.limits.total = FETCH;
        remote.limits.pack_bytes = PACK_BYTES;
        let sum = held.report.sum(&BTreeSet::new(), held.written.len());
        let (found, uid, is_over) = (self.found.clone(), order.uid.clone(), held.is_over());
        let leaked = held.leaked.clone();
        let shutdown = self.context.shutdown.clone();
        let fence = self.context.fence.clone();
        let with_all_keys = {
            let opener = held.opener.lock().unwrap_or_else(PoisonError::into_inner);
            opener.has_all_leaked()
        };
        let job = Job {
            repository: format!("{}/{}", source.key.0, source.key.1),
            dir: self.dir().join(&order.uid).join(&source.uid),
            histories: self.context.histories.clone(),
            remote,
            reference,
            head: head.parse().map_err(|_| Failed {
                why: "Its head is no commit.".into(),
                temporary: false,
            })?,
            known: known.and_then(|head| head.parse().ok()),
            room: room(held, &source.uid),
            terms: source.terms.clone(),
            with_all_keys,
            opener: Arc::clone(&held.opener),
            memory: Arc::clone(&held.memory),
            progress: Box::new(move |progress| {
                let told = Told {
                    leaked: leaked.clone(),
                    report: walking(sum.clone(), progress),
                    ..Told::default()
                };
                say(&found, &uid, told, is_over);
            }),
            stopped: Box::new(move || shutdown.is_requested() || !fence.is_ours()),
        };
        match tokio::task::spawn_blocking(move || job.run()).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => Err(Failed {
                why: format!(
                    "{}: {}.",
                    crate::text::bounded(&error.to_string(), 300),
                    error.hint()
                ),
                temporary: error.is_temporary(),
            }),
            Err(_) => Err(Failed {
                why: "The walk stopped unexpectedly.".into(),
                temporary: false,
            }),
        }
    }

    /// The values of the SealedSecret objects of the cluster.
    async fn cluster(&self, held: &Held) -> Result<Cluster, String> {
        let (objects, versions) = objects::all(&self.context.client).await?;
        let opener = Arc::clone(&held.opener);
        let work = move || {
            let mut opener = opener.lock().unwrap_or_else(PoisonError::into_inner);
            let mut found = Found::with_room(values::CLUSTER_BYTES);
            for object in &objects {
                opener.object(object, &[], &mut found);
            }
            Cluster {
                values: found.values,
                cut: found.cut > 0,
                versions,
            }
        };
        let found = tokio::task::spawn_blocking(work).await;
        found.map_err(|_| "The look at the cluster's SealedSecrets stopped unexpectedly.".to_owned())
    }

    /// Every Repository of the cluster, and the namespaces that its Syncs apply it to.
    async fn sources(&self, order: &Order) -> Result<Vec<Source>, String> {
        let list = ListParams::default();
        let repositories: Api<DeserializeGuard<Repository>> = Api::all(self.context.client.clone());
        let repositories = bounded(repositories.list(&list))
            .await
            .map_err(|error| format!("Repositories cannot be listed: {error}."))?;
        let syncs: Api<DeserializeGuard<Sync>> = Api::all(self.context.client.clone());
        let syncs = bounded(syncs.list(&list))
            .await
            .map_err(|error| format!("Syncs cannot be listed: {error}."))?;
        let mut namespaces: HashMap<Key, BTreeSet<String>> = HashMap::new();
        for sync in syncs.items.into_iter().filter_map(|sync| sync.0.ok()) {
            let own = sync.namespace().unwrap_or_default();
            let key = (own.clone(), sync.spec.source_ref.name.clone());
            let target = sync.spec.target_namespace.clone().unwrap_or(own);
            namespaces.entry(key).or_default().insert(target);
        }
        let sources = repositories.items.into_iter().filter_map(|guard| {
            let key = (
                guard.meta().namespace.clone().unwrap_or_default(),
                guard.meta().name.clone().unwrap_or_default(),
            );
            // One that cannot be read holds the rotation up by itself.
            let object = guard.0.ok()?;
            let head = match self.context.heads.get(&key) {
                SourceState::Ready(head) if !object.spec.suspend => Head::At(head.revision.commit),
                SourceState::Ready(_) => Head::Unread("It is suspended.".to_owned()),
                SourceState::Failed { message, .. } => {
                    Head::Unread(format!("It cannot be followed. {message}"))
                }
                SourceState::Unknown | SourceState::Missing => Head::Pending,
            };
            let all = namespaces.remove(&key).unwrap_or_default();
            Some(Source {
                uid: object.uid().unwrap_or_default(),
                object,
                head,
                terms: Terms {
                    namespaces: all.into_iter().collect(),
                    elsewhere: order.elsewhere.get(&key).cloned().unwrap_or_default(),
                },
                key,
            })
        });
        Ok(sources.collect())
    }
}

/// As it is said while something is being walked.
pub(super) fn walking(sum: RotationReport, progress: String) -> RotationReport {
    RotationReport {
        state: ReportState::Walking,
        confirm: String::new(),
        progress,
        ..sum
    }
}

/// What may be kept of a Repository beside all others, in bytes.
fn room(held: &Held, uid: &str) -> usize {
    let others = held.seen.iter().filter(|(other, _)| *other != uid);
    let taken: usize = others.map(|(_, (_, found))| found.bytes).sum();
    ALL_BYTES.saturating_sub(taken).min(walk::FOUND_BYTES)
}

/// `is_over`: the keys are gone. Then what was said to be whole is not said to be walked again when there is a new commit.
fn say(found: &watch::Sender<Known>, uid: &str, mut told: Told, is_over: bool) {
    found.send_if_modified(|found| {
        let known = found.get(uid);
        if is_over
            && told.report.state == ReportState::Walking
            && let Some(known) = known
            && known.report.state == ReportState::Complete
            && known.leaked == told.leaked
        {
            told.report.state = known.report.state;
            told.report.progress.clear();
            told.walked.clone_from(&known.walked);
        }
        let is_new = known != Some(&told);
        found.insert(uid.to_owned(), told);
        is_new
    });
}

/// Of a rotation that has a report, once the keys that leaked are barred.
pub(super) fn order(object: &KeyRotation, record: &crds::KeyRotationStatus) -> Option<Order> {
    let barred = condition::get(&record.conditions, crds::condition::BARRED);
    let is_one = object.spec.reason == crds::RotationReason::Compromised
        && barred.is_some_and(|barred| barred.status == crds::ConditionStatus::True);
    is_one.then(|| Order {
        name: object.name_any(),
        uid: object.uid().unwrap_or_default(),
        leaked: leaving(record),
        suspended: object.spec.suspend,
        elsewhere: object
            .spec
            .reseal
            .iter()
            .map(|target| {
                let key = (target.namespace.clone(), target.name.clone());
                (key, elsewhere(target))
            })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_looked_through_for_other_keys_does_not_count() {
        let keys = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>();
        let (one, both) = (keys(&["K1"]), keys(&["K1", "K2"]));
        let (orders, _) = watch::channel(Vec::new());
        let (sender, found) = watch::channel(Known::new());
        let taken = Arc::<TakenIn>::default();
        let reporter = Reporter {
            orders,
            found,
            taken: Arc::clone(&taken),
        };
        let versions = Versions::from([("uid".to_owned(), "7".to_owned())]);
        taken.look("leak", &one, versions.clone());
        assert_eq!(*reporter.objects("leak", &one), versions);
        assert!(reporter.objects("leak", &both).is_empty());
        let told = |state| Told {
            leaked: one.clone(),
            report: RotationReport {
                state,
                ..RotationReport::default()
            },
            walked: BTreeMap::from([(("team".into(), "app".into()), "c0ffee".into())]),
        };
        let complete = told(ReportState::Complete);
        say(&sender, "leak", complete.clone(), false);
        assert_eq!(reporter.get("leak", &one), Some(complete));
        assert_eq!(reporter.get("leak", &both), None);
        assert_eq!(reporter.get("other", &one), None);
        // Nor what is whole for some, once the keys are gone.
        let more = Told {
            leaked: both.clone(),
            walked: BTreeMap::new(),
            ..told(ReportState::Walking)
        };
        say(&sender, "leak", more.clone(), true);
        assert_eq!(reporter.get("leak", &both), Some(more));
    }
}
