//! KeyRotations: from the sealing keys in use to new ones, in Git and in the cluster, until nothing needs the old ones.
//!
//! One task, and one rotation at a time. What is done next is [decided](machine) from [what was found out](facts), one step
//! after the other, and written into the status before it is done where it cannot be found out again. So a controller that
//! is killed anywhere goes on where it was. While no rotation is under way the room watches KeyRotations and does nothing else.
//!
//! Open values exist inside `reseal` only, between two sealed forms ([`scan`]).

mod board;
mod compromise;
mod facts;
mod git;
mod machine;
mod objects;
mod publishing;
mod pulls;
mod report;
mod scan;
mod seal;
mod status;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crds::{KeyRotation, ReportState, RetireThen, RotationReason, RotationStep, Sync, annotation};
use futures::StreamExt;
use futures::stream::BoxStream;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::watcher::{Config as WatchConfig, Event};
use kube::{Api, ResourceExt};
use sealing::v2::{Recipient, Recipients};
use tokio::time::Instant;

use crate::Context;
use crate::keys::{self, KeyFormat, KeyState, Planned};
use crate::repository::{self, Key};
use crate::watch::watch;
use board::Board;
use facts::{Facts, Outcome};
use git::{Keys, Looks};
use machine::Step;
use pulls::Pulls;
use report::Reporter;
use seal::Sealer;

/// Between the beginnings of two passes: what happens meanwhile is one pass.
const PACE: Duration = Duration::from_millis(300);
/// Without any news it is looked again after this.
const LOOK: Duration = Duration::from_hours(1);
/// For so long the answer of a remote counts when keys are retired.
const FRESH: Duration = Duration::from_mins(2);
/// Until it is looked whether remotes have answered.
const ANSWER: Duration = Duration::from_secs(10);
/// Between two writes of a status that tell nothing but how far a report is.
const CALM: Duration = Duration::from_secs(5);
/// More steps than a pass can have.
const STEPS: usize = 10_000;

/// Follows KeyRotations until shutdown.
pub async fn run(context: Context) {
    let api: Api<DeserializeGuard<KeyRotation>> = Api::all(context.client.clone());
    let mut events = Box::pin(watch(api, WatchConfig::default()));
    let mut heads = context.heads.changes();
    let mut ring = context.keys.clone();
    ring.mark_unchanged();
    let mut syncs: Option<BoxStream<'static, ()>> = None;
    let shutdown = context.shutdown.clone();
    let mut room = Room::new(context);
    let mut due: Option<Instant> = None;
    let mut began = Instant::now() - PACE;
    loop {
        let active = room.board.active().is_some();
        if !active {
            syncs = None;
        } else if syncs.is_none() {
            syncs = Some(changes(&room.context));
        }
        let news = tokio::select! {
            () = shutdown.requested() => return,
            event = events.next() => match event {
                None => return,
                Some(Err(_)) => false, // logged by the watch, which tries again
                Some(Ok(event)) => room.board.see(event),
            },
            change = heads.next() => match change {
                None => return,
                Some(_) => active,
            },
            changed = ring.changed() => {
                if changed.is_err() {
                    return;
                }
                room.looks.forget();
                room.sealer.forget();
                room.objects.forget();
                active
            }
            Some(()) = next_of(&mut syncs) => true,
            () = room.reporter.changed() => true,
            () = until(due) => {
                began = Instant::now();
                let next = tokio::select! {
                    () = shutdown.requested() => return,
                    next = room.pass() => next,
                };
                due = next.map(|wait| Instant::now() + wait);
                false
            }
        };
        if news && room.board.is_listed() {
            let soon = began + PACE;
            due = Some(due.map_or(soon, |due| due.min(soon)));
        }
    }
}

/// Tells that some Sync has changed, and nothing more.
fn changes(context: &Context) -> BoxStream<'static, ()> {
    let api: Api<PartialObjectMeta<Sync>> = Api::all(context.client.clone());
    watch(api, WatchConfig::default())
        .filter_map(
            |event| async move { matches!(event, Ok(Event::Apply(_) | Event::Delete(_))).then_some(()) },
        )
        .boxed()
}

async fn next_of(stream: &mut Option<BoxStream<'static, ()>>) -> Option<()> {
    match stream {
        Some(stream) => stream.next().await,
        None => std::future::pending().await,
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

struct Room {
    context: Context,
    board: Board,
    looks: Looks,
    sealer: Sealer,
    pulls: Pulls,
    reporter: Reporter,
    objects: objects::Known,
    /// The looks at remotes that were asked for before keys are retired, and when.
    asked: Option<(Instant, Vec<(Key, u64)>)>,
    /// The rotation that `looks` and `sealer` are about.
    at_work: String,
    /// When each status was written last, by uid, and when one that was not is to be.
    written: HashMap<String, Instant>,
    late: Option<Instant>,
}

impl Room {
    fn new(context: Context) -> Self {
        let sealer = Sealer::new(
            context.client.clone(),
            &context.namespace,
            context.config.data_dir.join("rotation"),
            repository::files(&context.config),
            context.histories.clone(),
        );
        Self {
            board: Board::new(&context.namespace),
            looks: Looks::new(context.client.clone(), context.heads.clone()),
            sealer,
            pulls: Pulls::new(
                context.client.clone(),
                &context.namespace,
                repository::files(&context.config),
            ),
            reporter: Reporter::start(context.clone()),
            objects: objects::Known::default(),
            asked: None,
            at_work: String::new(),
            written: HashMap::new(),
            late: None,
            context,
        }
    }

    /// One pass over all that are not complete. Returns when the next one is due by itself.
    async fn pass(&mut self) -> Option<Duration> {
        let active = self.board.active();
        let uid = active
            .as_ref()
            .and_then(|object| object.uid())
            .unwrap_or_default();
        if self.at_work != uid {
            if !self.at_work.is_empty() {
                self.looks.end();
                self.sealer.end().await;
                self.pulls.end();
            }
            (self.asked, self.objects) = (None, objects::Known::default());
            self.at_work.clone_from(&uid);
        }
        self.tell();
        let mut next: Option<Duration> = None;
        for object in self.board.open() {
            let wait = self.turn(&object, &uid).await;
            next = Some(next.map_or(wait, |next| next.min(wait)));
        }
        // One more key may be known to have leaked by now.
        self.tell();
        if let Some(late) = self.late.take() {
            let wait = late.saturating_duration_since(Instant::now()).max(PACE);
            next = Some(next.map_or(wait, |next| next.min(wait)));
        }
        let (left, blocked) = self.board.held_up();
        self.context
            .metrics
            .rotations
            .set(self.board.phases(), left, blocked);
        self.context.metrics.rotations.set_leaked(self.board.leaked());
        next
    }

    /// Says which rotations have a report, and of which keys.
    fn tell(&self) {
        let orders = |object: &Arc<KeyRotation>| report::order(object, &self.board.record(object));
        self.reporter
            .tell(self.board.open().iter().filter_map(orders).collect());
    }

    /// Takes a rotation as far as it goes now. Returns when it is to be looked at again.
    async fn turn(&mut self, object: &Arc<KeyRotation>, active: &str) -> Duration {
        let mut facts = self.facts(object, active);
        for _ in 0..STEPS {
            let next = machine::next(&facts);
            if status::is_written_before(&next.step) {
                let command = status::command(&facts, &self.context.namespace);
                git::note(&mut facts, &mut self.looks, &command);
                status::note(&mut facts, &next.said);
                if matches!(next.step, Step::Rest(_)) {
                    status::handled(&mut facts);
                }
                if !self.write(object, &facts, &next.said).await {
                    return Duration::from_secs(5);
                }
            }
            match next.step {
                Step::Rest(until) => return wait(&facts, until),
                Step::LookAgain => {
                    self.ask_again(&facts);
                    // A look that ends is news.
                    return ANSWER;
                }
                step => self.carry_out(step, &mut facts).await,
            }
        }
        Duration::from_secs(5)
    }

    fn facts(&mut self, object: &Arc<KeyRotation>, active: &str) -> Facts {
        let uid = object.uid().unwrap_or_default();
        let ring = Arc::clone(&self.context.keys.borrow());
        let v1 = ring
            .keys()
            .iter()
            .map(|key| key.fingerprint().as_str().to_owned());
        let v2 = ring.native().iter().map(|key| key.key_id().as_str().to_owned());
        let away = object.namespace().as_deref() != Some(self.context.namespace.as_str());
        let ahead = (active != uid && !active.is_empty() && !away).then(|| self.board.name_of(active));
        let unusable = if away {
            Some(format!(
                "A KeyRotation counts in namespace {} only, where the keys are.",
                self.context.namespace
            ))
        } else {
            status::unusable(&object.spec)
        };
        let mut record = self.board.record(object);
        let told = self.reporter.get(&uid, &facts::leaving(&record));
        let walked = told.map(|told| {
            record.report = Some(told.report);
            told.walked
        });
        let barred = |id: &&str| ring.is_barred(id);
        let rsa = ring.keys().iter().map(|key| key.fingerprint().as_str());
        let age = ring.native().iter().map(|key| key.key_id().as_str());
        let barred = rsa.chain(age).filter(barred).map(str::to_owned).collect();
        let mut newest = BTreeMap::new();
        if let Some(key) = ring.newest() {
            newest.insert(KeyFormat::V1, key.fingerprint().as_str().to_owned());
        }
        Facts {
            name: object.name_any(),
            barred,
            left_by_others: self.board.left_by_others(&uid),
            shut: Vec::new(),
            walked,
            bars: BTreeSet::new(),
            now: Timestamp::now(),
            generation: object.metadata.generation.unwrap_or_default(),
            spec: object.spec.clone(),
            unusable,
            ahead,
            due: status::due(object, &record),
            mark: mark(&uid, record.run),
            record,
            opening: v1.chain(v2).collect(),
            newest,
            keys: None,
            unread_keys: Vec::new(),
            published: None,
            git: None,
            objects: None,
            fresh: self.is_fresh(),
            trouble: None,
            request: object
                .annotations()
                .get(annotation::REQUESTED_AT)
                .cloned()
                .unwrap_or_default(),
        }
    }

    /// Asks every remote once more, unless they are being asked.
    fn ask_again(&mut self, facts: &Facts) {
        if self.asked.as_ref().is_some_and(|(at, _)| at.elapsed() < FRESH) {
            return;
        }
        let followed = facts.git.iter().flatten();
        let looks = followed.filter_map(|one| {
            let look = self.context.heads.look(&one.key)?;
            Some((one.key.clone(), look))
        });
        self.asked = Some((Instant::now(), looks.collect()));
    }

    fn is_fresh(&self) -> bool {
        self.asked.as_ref().is_some_and(|(at, looks)| {
            let answered = |(key, number): &(Key, u64)| {
                let looks = self.context.heads.looks(key);
                looks.is_none_or(|looks| looks >= *number)
            };
            at.elapsed() < FRESH && looks.iter().all(answered)
        })
    }

    /// From which keys to which.
    fn keys(&self, facts: &Facts) -> Keys {
        let others = facts.spec.recipients.iter().filter_map(|text| {
            let key: Recipient = text.parse().ok()?;
            Some((key.key_id().clone(), key))
        });
        Keys {
            ring: Arc::clone(&self.context.keys.borrow()),
            leaving: facts.leaving(),
            new: facts.record.new_keys.iter().map(|key| key.id.clone()).collect(),
            others: others.collect(),
        }
    }

    async fn carry_out(&mut self, step: Step, facts: &mut Facts) {
        let client = self.context.client.clone();
        let secrets: Api<Secret> = Api::namespaced(client.clone(), &self.context.namespace);
        let config = &self.context.config;
        let done: Result<(), String> = match step {
            // Dealt with by who asked.
            Step::Rest(_) | Step::LookAgain => Ok(()),
            Step::Begin => {
                let run = facts.record.run + 1;
                facts.mark = mark(&object_uid(&facts.mark), run);
                facts.due = None;
                facts.record = crds::KeyRotationStatus {
                    run,
                    last_handled_request: std::mem::take(&mut facts.record.last_handled_request),
                    ..crds::KeyRotationStatus::default()
                };
                Ok(())
            }
            Step::LookAtKeys => keys::inventory(&secrets, &config.key_prefix)
                .await
                .map(|found| {
                    let opens = |key: &keys::KeySecret| key.state != KeyState::Compromised;
                    let (open, shut) = found.keys.into_iter().partition(opens);
                    (facts.keys, facts.shut) = (Some(open), shut);
                    facts.unread_keys = found.unread;
                })
                .map_err(|error| format!("The key Secrets cannot be listed: {error}.")),
            Step::NoteLeaked => {
                let keys = facts.keys.as_deref().unwrap_or_default();
                facts.record.old_keys = machine::leaked(facts, keys);
                facts.record.started = Some(crate::condition::now());
                Ok(())
            }
            Step::Bar(key) => {
                facts.keys = None;
                facts.bars.insert(key.secret.clone());
                keys::bar(&secrets, &key, &facts.mark)
                    .await
                    .map_err(|error| format!("Key {} could not be barred: {error}.", key.id))
            }
            Step::MakeKey(format) => {
                facts.keys = None;
                let ring = Arc::clone(&self.context.keys.borrow());
                let planned = planned(facts, format);
                let leaked = match facts.spec.reason {
                    RotationReason::Routine => BTreeSet::new(),
                    RotationReason::Compromised => facts.leaving(),
                };
                keys::make_planned(&secrets, config, planned, &facts.mark, &ring, &leaked)
                    .await
                    .map_err(|error| format!("A key could not be made: {error}."))
            }
            Step::TakeKey(key) => {
                facts.keys = None;
                let ring = Arc::clone(&self.context.keys.borrow());
                keys::take(&secrets, &key, &facts.mark, &ring)
                    .await
                    .map_err(|error| format!("Key {} could not be taken: {error}.", key.id))
            }
            Step::Follow(key) => {
                let key = machine::of(&key);
                for new in facts
                    .record
                    .new_keys
                    .iter_mut()
                    .filter(|new| new.format == key.format)
                {
                    new.clone_from(&key);
                }
                (facts.git, facts.objects, facts.published) = (None, None, None);
                Ok(())
            }
            Step::NoteKeys => {
                let keys = facts.keys.as_deref().unwrap_or_default();
                let (new, old) = machine::note(facts, keys);
                if facts.record.new_keys.is_empty() {
                    facts.record.new_keys = new;
                }
                // What was written down of the others stays.
                let known = std::mem::take(&mut facts.record.old_keys);
                let is_known = |key: &crds::RotationKey| {
                    let mut all = known.iter();
                    all.any(|known| (&known.id, &known.secret) == (&key.id, &key.secret))
                };
                let more: Vec<_> = old.into_iter().filter(|key| !is_known(key)).collect();
                if !more.is_empty() {
                    // Everything is looked through once more.
                    facts.walked = None;
                    let report = facts.record.report.take();
                    facts.record.report = report.map(|report| report::walking(report, String::new()));
                }
                facts.record.old_keys = known.into_iter().chain(more).collect();
                facts.record.started.get_or_insert_with(crate::condition::now);
                // They were looked at for other keys.
                (facts.git, facts.objects) = (None, None);
                Ok(())
            }
            Step::AskWhoPublishes => {
                let new = facts.record.new_keys.iter().map(|key| key.id.clone()).collect();
                let old = facts.leaving();
                let leaked = facts.spec.reason == RotationReason::Compromised;
                let asked = publishing::ask(&client, &self.context.namespace, &new, &old, leaked).await;
                facts.published = Some(asked);
                Ok(())
            }
            Step::LookAtGit => {
                let keys = self.keys(facts);
                self.looks.look(facts, &keys).await.map(|mut found| {
                    for one in found.iter_mut().filter(|one| one.asks_for_a_commit()) {
                        one.outcome = self.sealer.paused(facts, &one.key);
                        if one.outcome.is_some() {
                            one.races = machine::RACES;
                        }
                        if one.asks_for_a_pull {
                            one.pull = self.pulls.known(facts, &one.key);
                        }
                    }
                    facts.git = Some(found);
                })
            }
            Step::Reseal(key) => {
                let keys = self.keys(facts);
                let insist = facts.is_asked(&key);
                let outcome = match self.looks.seen.get(&key) {
                    Some(seen) => self.sealer.reseal(facts, &key, seen, &keys, insist).await,
                    None => Outcome::Failed("It was not looked at.".into()),
                };
                self.came(facts, &key, &outcome);
                Ok(())
            }
            Step::Push(key) => {
                let merges = facts.git.iter().flatten().any(|one| one.key == key && one.merges);
                let outcome = if self.context.fence.is_ours() {
                    self.sealer.push(&key, merges).await
                } else {
                    Outcome::Failed("This controller does not hold the Lease any more.".into())
                };
                self.came(facts, &key, &outcome);
                Ok(())
            }
            Step::OpenPull(key) => {
                let opened = match self.looks.seen.get(&key) {
                    Some(seen) if self.context.fence.is_ours() => self.pulls.open(facts, &key, seen).await,
                    _ => Err("No pull request is open yet.".into()),
                };
                for one in facts.git.iter_mut().flatten().filter(|one| one.key == key) {
                    one.pull = Some(opened.clone());
                }
                Ok(())
            }
            Step::LookAtObjects | Step::ResealObjects => {
                let before = facts.record.objects.map_or(0, |count| count.resealed);
                let keys = self.keys(facts);
                let uid = object_uid(&facts.mark);
                let taken = compromise::is_one(facts).then(|| self.reporter.objects(&uid, &keys.leaving));
                let task = objects::Task {
                    keys: &keys,
                    write: step == Step::ResealObjects,
                    taken: taken.as_deref(),
                };
                objects::look(&client, config, &task, before, &mut self.objects)
                    .await
                    .map(|found| {
                        if found.is_news {
                            self.reporter.look_at_objects(&uid);
                        }
                        facts.record.objects = Some(found.count).filter(|count| count.total > 0);
                        facts.objects = Some(found);
                    })
            }
            Step::Archive(key) => self.archive(&secrets, facts, &key).await,
            Step::Delete(key) => self.delete(&secrets, facts, &key).await,
            Step::NoteRetired(key) => note_retired(&secrets, facts, &key).await,
        };
        if let Err(why) = done {
            facts.trouble = Some(why);
        }
    }

    /// Takes in what came of sealing a Repository again.
    fn came(&mut self, facts: &mut Facts, key: &Key, outcome: &Outcome) {
        self.sealer.came(facts, key, outcome);
        if matches!(outcome, Outcome::Pushed | Outcome::Behind) {
            self.context.heads.look(key);
        }
        if matches!(outcome, Outcome::Pushed | Outcome::AwaitsMerge(_))
            && let Some(known) = facts
                .step_of(key)
                .filter(|known| known.step == RotationStep::Pushing)
        {
            self.context.metrics.rotations.values.inc_by(known.values);
        }
        let git = facts.git.iter_mut().flatten();
        for one in git.filter(|one| one.key == *key) {
            one.races += u32::from(matches!(outcome, Outcome::Raced(_)));
            if matches!(outcome, Outcome::Made { .. }) {
                // What was open was of another branch.
                one.pull = None;
            }
            one.outcome = Some(outcome.clone());
        }
    }

    async fn archive(
        &self,
        secrets: &Api<Secret>,
        facts: &mut Facts,
        key: &keys::KeySecret,
    ) -> Result<(), String> {
        let recipients = recipients(facts)?;
        let archived = keys::archive(secrets, key, &facts.mark, &recipients, &self.context.digest_key)
            .await
            .map_err(|error| {
                // It is looked at again.
                facts.keys = None;
                format!("Key {} could not be archived: {error}.", key.id)
            })?;
        for old in facts.record.old_keys.iter_mut().filter(|old| old.id == key.id) {
            old.archive.clone_from(&archived.secret);
            old.archive_uid.clone_from(&archived.uid);
            old.archive_digest.clone_from(&archived.digest);
        }
        Ok(())
    }

    /// Deletes an old key: under the Lease, soon after everything was looked at, and with its archive in its place.
    async fn delete(
        &self,
        secrets: &Api<Secret>,
        facts: &mut Facts,
        key: &keys::KeySecret,
    ) -> Result<(), String> {
        facts.keys = None;
        if Timestamp::now().duration_since(facts.now).unsigned_abs() > FRESH {
            return Err(
                "What hangs on the old keys was looked at too long ago; it is looked at again.".into(),
            );
        }
        if facts.spec.retire.then == RetireThen::Archive {
            let recipients = recipients(facts)?;
            let known = facts.record.old_keys.iter().find(|old| old.id == key.id);
            let known = known.map(|old| keys::Archived {
                secret: old.archive.clone(),
                uid: old.archive_uid.clone(),
                digest: old.archive_digest.clone(),
            });
            let known = known.ok_or("The key is none of the old ones.")?;
            let digest_key = &self.context.digest_key;
            if let Err(error) = keys::prove(secrets, key, &known, &recipients, digest_key).await {
                if !matches!(error, keys::ArchiveError::Request(_)) {
                    // What is there, or is to be made, is found out again.
                    for old in facts.record.old_keys.iter_mut().filter(|old| old.id == key.id) {
                        (old.archive, old.archive_uid, old.archive_digest) = Default::default();
                    }
                }
                return Err(format!("Key {} is not deleted: {error}.", key.id));
            }
        }
        if !self.context.fence.is_ours() {
            return Err("This controller does not hold the Lease any more.".into());
        }
        keys::delete(secrets, key)
            .await
            .map_err(|error| format!("Secret {} could not be deleted: {error}.", key.secret))
    }

    /// Writes the status, where it says something else. Whether it says that now.
    async fn write(&mut self, object: &Arc<KeyRotation>, facts: &Facts, said: &machine::Said) -> bool {
        let known = self.board.record(object);
        if facts.record == known {
            return true;
        }
        let uid = object.uid().unwrap_or_default();
        if let Some(due) = self.written.get(&uid).map(|at| *at + CALM)
            && due > Instant::now()
            && status::is_only_further(&known, &facts.record)
        {
            self.late = Some(self.late.map_or(due, |late| late.min(due)));
            return true;
        }
        let told = known.phase != facts.record.phase || status::is_news(&known, said);
        let written = status::write(&self.context.client, object, &facts.record).await;
        match written {
            Ok(()) => {}
            // Gone, or another one of the name: the watch tells.
            Err(error) if error.is_not_found() || error.is_conflict() => return false,
            Err(error) => {
                tracing::warn!(%error, name = object.name_any(), "a KeyRotation's status could not be written");
                return false;
            }
        }
        self.written.retain(|_, at| at.elapsed() < CALM);
        self.written.insert(uid, Instant::now());
        self.board.put_record(object, facts.record.clone());
        let state = |record: &crds::KeyRotationStatus| record.report.as_ref().map(|report| report.state);
        if let Some(report) = &facts.record.report
            && report.state != ReportState::Walking
            && state(&known) != state(&facts.record)
        {
            status::tell_report(&self.context.events, object, report);
        }
        if told {
            status::tell(&self.context.events, object, facts.record.phase, said);
        }
        true
    }
}

/// Who may open archives.
fn recipients(facts: &Facts) -> Result<Recipients, String> {
    let parsed = facts
        .spec
        .retire
        .recipients
        .iter()
        .map(|text| text.parse::<Recipient>());
    parsed
        .collect::<Result<Vec<_>, _>>()
        .ok()
        .and_then(|all| Recipients::new(all).ok())
        .ok_or_else(|| "spec.retire.recipients cannot be encrypted for.".into())
}

/// Writes down that an old key is gone, if it is.
async fn note_retired(
    secrets: &Api<Secret>,
    facts: &mut Facts,
    key: &crds::RotationKey,
) -> Result<(), String> {
    // Its name may have been given to another key since.
    let mut stored = facts.keys.iter().flatten();
    let is_other = stored.any(|other| other.secret == key.secret && other.id != key.id);
    let is_gone = is_other
        || keys::is_gone(secrets, &key.secret)
            .await
            .map_err(|error| format!("Secret {} cannot be read: {error}.", key.secret))?;
    if !is_gone {
        return Err(format!(
            "Secret {} is there and does not count as key {} any more: its label was changed, it cannot be read, or a finalizer \
             holds it. What is not read is not deleted: put it in order, or remove it.",
            key.secret, key.id
        ));
    }
    for old in &mut facts.record.old_keys {
        old.retired |= (&old.id, &old.secret) == (&key.id, &key.secret);
    }
    Ok(())
}

/// What the Secrets of one run are labelled with.
fn mark(uid: &str, run: u64) -> String {
    match run {
        0 => uid.to_owned(),
        run => format!("{uid}.{run}"),
    }
}

/// The KeyRotation that a mark is of.
fn object_uid(mark: &str) -> String {
    mark.split('.').next().unwrap_or_default().to_owned()
}

fn planned(facts: &Facts, format: KeyFormat) -> Planned {
    use crds::AgeAlgorithm;
    use sealing::v2::Suite;
    match (format, facts.spec.algorithm.v2) {
        (KeyFormat::V1, _) => Planned::Rsa,
        (KeyFormat::V2, Some(AgeAlgorithm::X25519)) => Planned::Age(Suite::X25519),
        (KeyFormat::V2, _) => Planned::Age(Suite::MlKem768X25519),
    }
}

fn wait(facts: &Facts, until: Option<Timestamp>) -> Duration {
    let Some(until) = until else {
        return LOOK;
    };
    let left = until.duration_since(facts.now);
    Duration::try_from(left).unwrap_or_default().clamp(PACE, LOOK)
}
