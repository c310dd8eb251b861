//! Checkpoints as Secrets in the controller's namespace: loaded once, written shard by shard when their records change.

use super::hooks::Journal;
use crate::keys::DigestKey;
use apply::checkpoint::{self, Record};
use apply::{ApiError, ErrorKind, Key, Server};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use crds::label;
use http::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinHandle;

const TYPE: &str = "signet.dev/checkpoint";
/// The annotation that names the Sync.
const SYNC: &str = "signet.dev/sync";
/// The annotation of a shard that was written while a part of the records was lost: a restart does not bring that back.
const LOST: &str = "signet.dev/records-lost";
/// Shards in one answer: each may have 800 kB, and an answer of more than 16 MiB is not read.
const PAGE: usize = 10;

/// A stored shard.
struct Stored {
    /// `namespace/name` of its Sync, for the sweep; the MAC covers what counts.
    sync: String,
    resource_version: String,
    bytes: Vec<u8>,
    /// Whether something was lost when it was written.
    lost: bool,
}

/// What was found at the start, by the owner's hash and the shard's name. Each Sync takes its own part.
#[derive(Clone, Default)]
pub(super) struct Found(Arc<Mutex<HashMap<String, HashMap<String, Stored>>>>);

impl Found {
    /// Reads every checkpoint in the controller's namespace.
    pub(super) async fn load(server: &Server, namespace: &str) -> Result<Self, ApiError> {
        let mut all: HashMap<String, HashMap<String, Stored>> = HashMap::new();
        let mut more = String::new();
        loop {
            let path = format!(
                "/api/v1/namespaces/{namespace}/secrets?labelSelector={}&limit={PAGE}{more}",
                label::CHECKPOINT.replace('/', "%2F")
            );
            let answer = server.own(Method::GET, &path, None).await?;
            // Taken for "there are none", an unreadable answer would cost what is owned.
            let list: Value = serde_json::from_slice(&answer)
                .map_err(|_| ApiError::unavailable("the API server's list of checkpoints cannot be read"))?;
            for item in list["items"].as_array().into_iter().flatten() {
                if let Some((owner, name, stored)) = read(item) {
                    all.entry(owner).or_default().insert(name, stored);
                }
            }
            match list["metadata"]["continue"]
                .as_str()
                .filter(|token| !token.is_empty())
            {
                Some(token) => more = format!("&continue={token}"),
                None => return Ok(Self(Arc::new(Mutex::new(all)))),
            }
        }
    }

    /// Removes what nobody took: checkpoints of Syncs that are gone. `exists` says which Syncs (`namespace/name`) have a
    /// worker, or may have one again.
    pub(super) async fn sweep(&self, server: &Server, namespace: &str, keep: impl Fn(&str, &str) -> bool) {
        let gone: Vec<(String, String)> = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let mut gone = Vec::new();
            all.retain(|owner, shards| {
                let kept = shards.values().any(|stored| keep(owner, &stored.sync));
                if !kept {
                    let versions = shards
                        .drain()
                        .map(|(name, stored)| (name, stored.resource_version));
                    gone.extend(versions);
                }
                kept
            });
            gone
        };
        for (name, version) in gone {
            if let Err(error) = remove(server, namespace, &name, &version).await {
                tracing::warn!(checkpoint = name, %error, "the checkpoint of a Sync that is gone could not be removed");
            }
        }
    }

    fn take(&self, owner: &str) -> HashMap<String, Stored> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(owner)
            .unwrap_or_default()
    }
}

/// One that holds nothing that can be read is there all the same, and does not verify.
fn read(item: &Value) -> Option<(String, String, Stored)> {
    let metadata = &item["metadata"];
    let owner = metadata["labels"][label::CHECKPOINT].as_str()?;
    let records = item["data"]["records"].as_str().unwrap_or_default();
    let stored = Stored {
        sync: metadata["annotations"][SYNC].as_str().unwrap_or_default().into(),
        resource_version: metadata["resourceVersion"].as_str()?.into(),
        bytes: BASE64_STANDARD.decode(records).unwrap_or_default(),
        lost: metadata["annotations"][LOST].is_string(),
    };
    Some((owner.into(), metadata["name"].as_str()?.into(), stored))
}

impl Checkpoint {
    fn journal_name(&self) -> String {
        format!("signet-journal-{}", self.owner)
    }

    /// A journal that does not verify is lost: hooks of inputs that the status calls applied are not run again, and those of
    /// a deletion are looked for in Git.
    fn read_journal(&mut self, stored: Stored) {
        self.journal_version = Some(stored.resource_version);
        self.journal_known = JournalKnown::Yes;
        let place = self.place(&self.journal_name());
        let content = checkpoint::unseal(self.key.expose(), &place, &stored.bytes);
        if let Some(journal) = content.and_then(|bytes| serde_json::from_slice(bytes).ok()) {
            self.journal = journal;
        } else {
            self.journal_known = JournalKnown::Lost;
            tracing::warn!(
                sync = self.sync,
                "the journal of hooks cannot be verified and is ignored"
            );
        }
    }

    /// Writes the journal down. Nothing that it speaks of is done before.
    pub(super) async fn save_journal(&mut self) -> Result<(), ApiError> {
        let content = serde_json::to_vec(&self.journal)
            .map_err(|_| ApiError::unavailable("the journal of hooks cannot be written"))?;
        let name = self.journal_name();
        let bytes = checkpoint::seal(self.key.expose(), &self.place(&name), content);
        match self.put(&name, self.journal_version.as_ref(), &bytes).await {
            Ok(body) => {
                self.journal_version = Some(version_of(&body));
                self.journal_known = JournalKnown::Yes;
                Ok(())
            }
            Err(error) => {
                // Somebody else wrote or removed it: the next try is over what is there then.
                if matches!(error.kind, ErrorKind::Precondition | ErrorKind::NotFound) {
                    let path = format!("/api/v1/namespaces/{}/secrets/{name}", self.namespace);
                    self.journal_version = self
                        .server
                        .own(Method::GET, &path, None)
                        .await
                        .ok()
                        .map(|body| version_of(&body));
                }
                Err(error)
            }
        }
    }
}

/// A shard on its way to the API server.
struct Writing {
    /// None: one of an earlier number of shards, which is removed.
    shard: Option<usize>,
    name: String,
    answer: JoinHandle<Result<Vec<u8>, ApiError>>,
}

/// What one Sync owns, and how much of that is written down.
pub(super) struct Checkpoint {
    server: Server,
    namespace: Arc<str>,
    key: DigestKey,
    /// `namespace/name` of the Sync.
    sync: String,
    owner: String,
    records: HashMap<Key, Record>,
    count: usize,
    /// Shards whose records changed since they were written last.
    dirty: BTreeSet<usize>,
    /// Shards that the save under way has still to write.
    round: BTreeSet<usize>,
    /// The shard that is being written beside the worker.
    writing: Option<Writing>,
    /// A shard of an earlier number could not be removed: that is tried again by the next save.
    cluttered: bool,
    /// Whether a part of what was written down could not be read, and has not been found out anew.
    pub(super) lost: bool,
    /// Resource versions of the stored shards, by name.
    stored: HashMap<String, String>,
    /// The journal, and the resource version of its Secret.
    pub(super) journal: Journal,
    pub(super) journal_version: Option<String>,
    pub(super) journal_known: JournalKnown,
}

/// What is known of a Sync's hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JournalKnown {
    /// What the journal says.
    Yes,
    /// There is none: the Sync had no hooks, or somebody removed it.
    Absent,
    /// There was one, and it cannot be read.
    Lost,
}

impl Checkpoint {
    /// Takes this Sync's part of what was found. A shard that does not verify or is missing is lost, and said to be. `begun`:
    /// whether the Sync has applied anything, so that there has to be a shard.
    pub(super) fn open(
        server: Server,
        namespace: Arc<str>,
        key: DigestKey,
        sync: (&str, &str),
        begun: bool,
        found: &Found,
    ) -> Self {
        let (sync, uid) = sync;
        let owner = owner(sync, uid);
        let mut checkpoint = Self {
            server,
            namespace,
            key,
            sync: sync.into(),
            records: HashMap::new(),
            count: 1,
            dirty: BTreeSet::new(),
            round: BTreeSet::new(),
            writing: None,
            cluttered: false,
            lost: false,
            stored: HashMap::new(),
            journal: Journal::default(),
            journal_version: None,
            journal_known: JournalKnown::Absent,
            owner,
        };
        let mut shards = found.take(&checkpoint.owner);
        if let Some(stored) = shards.remove(&checkpoint.journal_name()) {
            checkpoint.read_journal(stored);
        }
        // Where a change of their number was cut short, two sets stand side by side: the larger number is the newer.
        let count = shards
            .keys()
            .filter_map(|name| split(name))
            .map(|(count, _)| count)
            .max()
            .unwrap_or(1);
        checkpoint.count = count;
        // The shards that could be read, by the number of their set.
        let mut sets: HashMap<usize, HashSet<usize>> = HashMap::new();
        checkpoint.lost = begun && shards.is_empty();
        for (name, stored) in shards {
            checkpoint.lost |= stored.lost;
            checkpoint.stored.insert(name.clone(), stored.resource_version);
            let Some(records) =
                checkpoint::decode(checkpoint.key.expose(), &checkpoint.place(&name), &stored.bytes)
            else {
                tracing::warn!(
                    sync,
                    checkpoint = name,
                    "a checkpoint cannot be verified and is ignored: objects are checked again, nothing is deleted"
                );
                checkpoint.lost = true;
                continue;
            };
            let place = split(&name);
            if let Some((of, shard)) = place {
                sets.entry(of).or_default().insert(shard);
            }
            if place.is_some_and(|(of, _)| of == count) {
                checkpoint.records.extend(records);
            } else {
                for (key, record) in records {
                    checkpoint.records.entry(key).or_insert(record);
                }
            }
        }
        let whole = |(of, shards): (&usize, &HashSet<usize>)| shards.len() == *of;
        if !checkpoint.lost && !checkpoint.stored.is_empty() && !sets.iter().any(whole) {
            tracing::warn!(
                sync,
                "a part of the checkpoint is missing: objects are checked again, nothing is deleted"
            );
            checkpoint.lost = true;
        }
        if checkpoint.outdated().is_some() {
            // What only the older set holds has to be in the newer one before the older one goes.
            checkpoint.dirty = (0..count).collect();
        }
        checkpoint
    }

    /// What was lost has been found out anew, or there is none of it: every shard is written as whole.
    pub(super) fn find_again(&mut self) {
        if std::mem::take(&mut self.lost) {
            self.dirty.extend(0..self.count);
        }
    }

    /// Has the first shard be written, whatever it holds, where none is stored. Whether that is so.
    pub(super) fn begin(&mut self) -> bool {
        let first = self.stored.is_empty();
        if first {
            self.dirty.insert(0);
        }
        first
    }

    pub(super) fn records(&self) -> &HashMap<Key, Record> {
        &self.records
    }

    pub(super) fn set(&mut self, key: Key, record: Record) {
        if self.records.get(&key) != Some(&record) {
            self.dirty.insert(checkpoint::shard_of(&key, self.count));
            self.records.insert(key, record);
        }
    }

    /// Changes what is recorded of an object; of one that is not recorded, nothing.
    pub(super) fn change(&mut self, key: &Key, change: impl FnOnce(&mut Record)) {
        if let Some(known) = self.records.get(key) {
            let mut record = known.clone();
            change(&mut record);
            self.set(key.clone(), record);
        }
    }

    /// The uid of an object, where no other object may be ours as well.
    pub(super) fn only_uid(&self, key: &Key) -> Option<Box<str>> {
        self.records.get(key)?.only_uid().map(Into::into)
    }

    pub(super) fn remove(&mut self, key: &Key) {
        if self.records.remove(key).is_some() {
            self.dirty.insert(checkpoint::shard_of(key, self.count));
        }
    }

    pub(super) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty() || self.cluttered
    }

    /// Writes the shards whose records changed, and waits until they are written.
    pub(super) async fn save(&mut self) -> Result<(), ApiError> {
        while self.begin_round() {
            while self.is_saving() {
                let answer = self.answered().await;
                self.saved(answer).await?;
            }
        }
        Ok(())
    }

    /// Begins to write the shards whose records changed, beside the worker: one after the other, each with what its records
    /// are by then. [`Checkpoint::answered`] and [`Checkpoint::saved`] have to be called until nothing is being written.
    /// Whether there is anything to be written.
    pub(super) fn begin_save(&mut self) -> bool {
        self.cluttered = false;
        self.begin_round()
    }

    fn begin_round(&mut self) -> bool {
        if !self.is_saving() {
            let wanted = checkpoint::shard_count(self.records.len());
            if wanted > self.count {
                self.count = wanted;
                self.dirty = (0..wanted).collect();
            }
            self.round = std::mem::take(&mut self.dirty);
            self.write_next();
        }
        self.is_saving()
    }

    /// Whether a shard is being written.
    pub(super) fn is_saving(&self) -> bool {
        self.writing.is_some()
    }

    /// The answer to the shard that is being written, for [`Checkpoint::saved`]; never comes where none is. Nothing is lost
    /// if this is dropped before.
    pub(super) async fn answered(&mut self) -> Result<Vec<u8>, ApiError> {
        match &mut self.writing {
            Some(writing) => (&mut writing.answer)
                .await
                .unwrap_or_else(|_| Err(ApiError::unavailable("the request ended abnormally"))),
            None => std::future::pending().await,
        }
    }

    /// A shard was written, or could not be: begins with the next one.
    pub(super) async fn saved(&mut self, answer: Result<Vec<u8>, ApiError>) -> Result<(), ApiError> {
        let Some(Writing { shard, name, .. }) = self.writing.take() else {
            return Ok(());
        };
        match (shard, answer) {
            (Some(_), Ok(body)) => {
                self.stored.insert(name, version_of(&body));
            }
            (None, Ok(_)) => {
                self.stored.remove(&name);
            }
            (None, Err(error)) => {
                // What counts is written.
                tracing::warn!(
                    sync = self.sync,
                    checkpoint = name,
                    %error,
                    "an outdated checkpoint could not be removed; it is tried again"
                );
                self.cluttered = true;
                if matches!(error.kind, ErrorKind::Precondition | ErrorKind::NotFound) {
                    self.take_version_over(name).await?;
                }
            }
            (Some(shard), Err(error)) => {
                self.dirty.append(&mut self.round);
                self.dirty.insert(shard);
                if matches!(error.kind, ErrorKind::Precondition | ErrorKind::NotFound) {
                    self.take_version_over(name).await?;
                }
                return Err(error);
            }
        }
        self.write_next();
        Ok(())
    }

    /// A stored shard of another number of shards than the present one.
    fn outdated(&self) -> Option<&String> {
        let other = |name: &&String| split(name).is_none_or(|(of, _)| of != self.count);
        self.stored.keys().find(other)
    }

    /// Removes the checkpoint: its Sync is gone.
    pub(super) async fn destroy(&mut self) -> Result<(), ApiError> {
        if self.is_saving() {
            self.round.clear();
            self.cluttered = true;
            // Written or not: what is stored goes.
            let answer = self.answered().await;
            let _ = self.saved(answer).await;
        }
        for name in self.stored.keys().cloned().collect::<Vec<_>>() {
            self.delete(&name).await?;
        }
        if let Some(version) = self.journal_version.take() {
            remove(&self.server, &self.namespace, &self.journal_name(), &version).await?;
        }
        Ok(())
    }

    /// Begins to write the next shard of the save under way.
    fn write_next(&mut self) {
        let Some(shard) = self.round.pop_first() else {
            // All are written: what is outdated goes.
            if let Some(name) = self
                .outdated()
                .filter(|_| !self.cluttered && self.dirty.is_empty())
            {
                let (server, namespace, name) =
                    (self.server.clone(), Arc::clone(&self.namespace), name.clone());
                let version = self.stored[&name].clone();
                let outdated = name.clone();
                self.writing = Some(Writing {
                    shard: None,
                    name,
                    answer: tokio::spawn(async move {
                        let gone = remove(&server, &namespace, &outdated, &version).await;
                        gone.map(|()| Vec::new())
                    }),
                });
            }
            return;
        };
        // What changes from here on is written by the next save.
        self.dirty.remove(&shard);
        let name = format!("signet-checkpoint-{}-{}-{shard}", self.owner, self.count);
        let records = self
            .records
            .iter()
            .filter(|(key, _)| checkpoint::shard_of(key, self.count) == shard);
        let bytes = checkpoint::encode(self.key.expose(), &self.place(&name), records);
        let put = self.put(&name, self.stored.get(&name), &bytes);
        self.writing = Some(Writing {
            shard: Some(shard),
            name,
            answer: tokio::spawn(put),
        });
    }

    /// Somebody else wrote or removed a shard. What we know is newer than what is stored: its version is taken over.
    async fn take_version_over(&mut self, name: String) -> Result<(), ApiError> {
        tracing::warn!(
            sync = self.sync,
            checkpoint = name,
            "a checkpoint was changed by somebody else"
        );
        let path = format!("/api/v1/namespaces/{}/secrets/{name}", self.namespace);
        match self.server.own(Method::GET, &path, None).await {
            Ok(body) => {
                self.stored.insert(name, version_of(&body));
            }
            Err(missing) if missing.kind == ErrorKind::NotFound => {
                self.stored.remove(&name);
            }
            Err(other) => return Err(other),
        }
        Ok(())
    }

    /// Writes one Secret: anew, or over the version that is known.
    fn put(
        &self,
        name: &str,
        known: Option<&String>,
        bytes: &[u8],
    ) -> impl Future<Output = Result<Vec<u8>, ApiError>> + Send + use<> {
        let mut secret = self.secret(name, bytes);
        let mut path = format!("/api/v1/namespaces/{}/secrets", self.namespace);
        let method = if let Some(version) = known {
            secret["metadata"]["resourceVersion"] = version.clone().into();
            path = format!("{path}/{name}");
            Method::PUT
        } else {
            Method::POST
        };
        let server = self.server.clone();
        async move { server.own(method, &path, Some(&secret)).await }
    }

    fn secret(&self, name: &str, bytes: &[u8]) -> Value {
        let mut annotations = json!({SYNC: self.sync});
        if self.lost {
            annotations[LOST] = "true".into();
        }
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": TYPE,
            "metadata": {
                "name": name, "namespace": *self.namespace,
                "labels": {label::CHECKPOINT: self.owner},
                "annotations": annotations,
            },
            "data": {"records": BASE64_STANDARD.encode(bytes)},
        })
    }

    async fn delete(&mut self, name: &str) -> Result<(), ApiError> {
        let version = self.stored.get(name).cloned().unwrap_or_default();
        remove(&self.server, &self.namespace, name, &version).await?;
        self.stored.remove(name);
        Ok(())
    }

    fn place(&self, name: &str) -> String {
        format!("{}#{name}", self.sync)
    }
}

/// The resource version of an answer.
fn version_of(body: &[u8]) -> String {
    let stored: Value = serde_json::from_slice(body).unwrap_or_default();
    stored["metadata"]["resourceVersion"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// Removes one shard, if it is still as we know it.
async fn remove(server: &Server, namespace: &str, name: &str, version: &str) -> Result<(), ApiError> {
    let path = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
    let options = json!({
        "apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"resourceVersion": version},
    });
    match server.own(Method::DELETE, &path, Some(&options)).await {
        Err(error) if error.kind != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A Sync as part of its checkpoints' names and as a label's value. The uid is in it: a Sync that was deleted and made
/// again owns nothing of what the first one did.
pub(super) fn owner(sync: &str, uid: &str) -> String {
    crate::text::hex(&Sha256::digest(format!("{sync} {uid}"))[..10])
}

/// Number of shards and own number, from a shard's name.
fn split(name: &str) -> Option<(usize, usize)> {
    let mut parts = name.rsplitn(3, '-');
    let shard = parts.next()?.parse().ok()?;
    let count = parts.next()?.parse().ok()?;
    Some((count, shard))
}

#[cfg(test)]
impl Checkpoint {
    /// One of a Sync that has nothing yet. Its server is never reached.
    pub(super) fn for_tests() -> Self {
        let config = kube::Config::new("http://127.0.0.1:9".parse().unwrap());
        let server = Server::new(kube::Client::try_from(config).unwrap(), 1);
        let sync = ("shop/web", "uid");
        Self::open(
            server,
            "system".into(),
            DigestKey::for_tests(),
            sync,
            false,
            &Found::default(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::config_map as key;
    use apply::checkpoint::{InputDigest, Wave};

    const SYNC_NAME: &str = "shop/web";

    /// A server that is never reached: what is asked of it is answered by the test.
    fn server() -> Server {
        let config = kube::Config::new("http://127.0.0.1:9".parse().unwrap());
        Server::new(kube::Client::try_from(config).unwrap(), 1)
    }

    fn record() -> Record {
        Record {
            uid: Some("u".into()),
            ..Record::intended(InputDigest([0; 16]), Wave::of(0))
        }
    }

    /// A checkpoint of which the first of two shards was written when their number had grown from one.
    fn cut_short() -> Checkpoint {
        of_shards(&["x-1-0", "x-2-0"], true)
    }

    /// What is read where these shards are stored.
    fn of_shards(names: &[&str], begun: bool) -> Checkpoint {
        let (of, digest_key) = (owner(SYNC_NAME, "uid"), DigestKey::for_tests());
        let all: Vec<_> = (0..20).map(|n| (key(&format!("m{n}")), record())).collect();
        let stored = |name: &str, of_shard: &dyn Fn(&Key) -> bool| {
            let place = format!("{SYNC_NAME}#{name}");
            let records = all
                .iter()
                .filter(|(key, _)| of_shard(key))
                .map(|(key, record)| (key, record));
            let stored = Stored {
                sync: SYNC_NAME.into(),
                resource_version: "1".into(),
                bytes: checkpoint::encode(digest_key.expose(), &place, records),
                lost: false,
            };
            (name.to_owned(), stored)
        };
        let shard = |name: &&str| {
            let (count, shard) = split(name).unwrap();
            let is_of = |key: &Key| checkpoint::shard_of(key, count) == shard;
            let name = name.trim_start_matches("x-");
            stored(&format!("signet-checkpoint-{of}-{name}"), &is_of)
        };
        let shards = names.iter().map(shard).collect();
        let found = Found(Arc::new(Mutex::new(HashMap::from([(of, shards)]))));
        open(digest_key, begun, &found)
    }

    fn open(key: DigestKey, begun: bool, found: &Found) -> Checkpoint {
        Checkpoint::open(server(), "system".into(), key, (SYNC_NAME, "uid"), begun, found)
    }

    #[tokio::test]
    async fn shards_that_are_missing_are_known_to_be_lost() {
        let cases: [(&[&str], bool); 7] = [
            (&["x-1-0"], false),
            (&["x-1-0", "x-2-0"], false),
            (&["x-1-0", "x-2-0", "x-2-1"], false),
            (&["x-2-0", "x-4-0", "x-4-1", "x-4-2", "x-4-3"], false),
            (&["x-2-0", "x-2-1", "x-4-3"], false),
            (&["x-4-0", "x-4-1", "x-4-3"], true),
            (&["x-2-1", "x-4-0", "x-4-1", "x-4-3"], true),
        ];
        for (names, lost) in cases {
            assert_eq!(of_shards(names, true).lost, lost, "{names:?}");
        }
        assert!(of_shards(&[], true).lost, "there was one");
        assert!(!of_shards(&[], false).lost, "nothing was applied yet");
        let empty =
            json!({"metadata": {"name": "n", "resourceVersion": "1", "labels": {label::CHECKPOINT: "o"}}});
        let (_, _, stored) = read(&empty).unwrap();
        assert!(
            stored.bytes.is_empty() && !stored.lost,
            "it is there, and does not verify"
        );
    }

    #[tokio::test]
    async fn a_loss_outlives_a_restart_until_it_is_over() {
        let mut checkpoint = of_shards(&["x-2-0"], true);
        assert!(checkpoint.lost && !checkpoint.is_dirty());
        let written = checkpoint.secret("n", b"");
        assert_eq!(written["metadata"]["annotations"][LOST], "true");
        checkpoint.find_again();
        assert_eq!(
            checkpoint.dirty,
            BTreeSet::from([0, 1]),
            "those that held nothing as well"
        );
        assert!(checkpoint.secret("n", b"")["metadata"]["annotations"][LOST].is_null());
        checkpoint.dirty.clear();
        checkpoint.find_again();
        assert!(!checkpoint.is_dirty());
        let annotated = json!({"metadata": {"name": "n", "resourceVersion": "1", "labels": {label::CHECKPOINT: "o"},
            "annotations": {LOST: "true"}}});
        assert!(read(&annotated).unwrap().2.lost);
    }

    #[tokio::test]
    async fn what_only_an_older_set_holds_is_written_before_that_goes() {
        let mut checkpoint = cut_short();
        assert_eq!(checkpoint.records().len(), 20);
        assert!(checkpoint.is_dirty() && checkpoint.begin_save());
        for shard in 0..2 {
            let writing = checkpoint.writing.as_ref().unwrap();
            assert_eq!(writing.shard, Some(shard));
            writing.answer.abort();
            checkpoint.saved(Ok(b"{}".to_vec())).await.unwrap();
        }
        let last = checkpoint.writing.as_ref().unwrap();
        assert!(
            last.shard.is_none() && last.name.ends_with("-1-0"),
            "{}",
            last.name
        );
        last.answer.abort();
        checkpoint.saved(Ok(Vec::new())).await.unwrap();
        assert!(!checkpoint.is_saving() && !checkpoint.is_dirty());
        assert_eq!(checkpoint.stored.len(), 2);
    }

    #[tokio::test]
    async fn a_removal_that_failed_is_tried_again_by_the_next_save_and_fails_none() {
        let mut checkpoint = cut_short();
        checkpoint.begin_save();
        for _ in 0..2 {
            checkpoint.writing.as_ref().unwrap().answer.abort();
            checkpoint.saved(Ok(b"{}".to_vec())).await.unwrap();
        }
        checkpoint.writing.as_ref().unwrap().answer.abort();
        checkpoint
            .saved(Err(ApiError::unavailable("not now")))
            .await
            .unwrap();
        assert!(!checkpoint.is_saving(), "not again at once");
        checkpoint.save().await.unwrap();
        assert!(checkpoint.is_dirty(), "there is something left to do");
        assert!(checkpoint.begin_save());
        let again = checkpoint.writing.as_ref().unwrap();
        assert!(
            again.shard.is_none() && again.name.ends_with("-1-0"),
            "{}",
            again.name
        );
    }

    #[test]
    fn a_shard_that_does_not_verify_is_known_to_be_lost() {
        let of = owner(SYNC_NAME, "uid");
        let spoilt = Stored {
            sync: SYNC_NAME.into(),
            resource_version: "1".into(),
            bytes: b"nonsense".to_vec(),
            lost: false,
        };
        let shards = HashMap::from([(format!("signet-checkpoint-{of}-1-0"), spoilt)]);
        let found = Found(Arc::new(Mutex::new(HashMap::from([(of, shards)]))));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let _inside = runtime.enter();
        assert!(open(DigestKey::for_tests(), false, &found).lost);
    }
}
