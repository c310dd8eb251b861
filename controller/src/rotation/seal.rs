//! Sealing a Repository again: one commit on top of what it follows, pushed and never forced.
//!
//! Where a Repository asks for signatures, a commit is made only on top of the commit that it follows, and not on one that it
//! refuses: else the rotation's own signature would vouch for it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crds::{RepositoryRotation, ResealTarget, RotationStep};
use kube::{Client, ResourceExt};
use source::{
    BlobId, CommitId, EntryKind, FileRemotes, NewCommit, RefSpec, Remote, SigningKey, Snapshot, SourceError,
    Store, WalkLimits, list_head,
};

use super::facts::{Facts, Outcome, Tip};
use super::git::{Keys, Seen};
use super::scan::{self, Memory, Scan};
use crate::histories::Histories;
use crate::repository::{Key, remote_to_push, signing_key};

/// How many names are tried for a branch of its own.
const BRANCHES: u32 = 20;

/// Makes and pushes commits. What it fetches lies in stores of its own.
pub(super) struct Sealer {
    client: Client,
    namespace: String,
    dir: PathBuf,
    histories: Histories,
    files: FileRemotes,
    stores: HashMap<String, Arc<Store>>,
    made: HashMap<Key, Made>,
    /// What was sealed again, until it is pushed.
    memories: HashMap<Key, Arc<Memory>>,
    /// From which keys to which.
    about: (BTreeSet<String>, BTreeSet<String>),
    pauses: Pauses,
}

/// A commit that is not pushed yet.
struct Made {
    store: Arc<Store>,
    remote: Remote,
    branch: String,
    commit: CommitId,
    /// What the branch has to be at for the commit to go on top; none where the branch is made.
    base: Option<CommitId>,
}

/// All that a commit is made of.
struct Work {
    dir: PathBuf,
    histories: Histories,
    /// The Repository's namespace.
    owner: String,
    store: Option<Arc<Store>>,
    remote: Remote,
    reference: RefSpec,
    seen_head: String,
    readership: scan::Readership,
    keys: Keys,
    target: ResealTarget,
    signer: Option<SigningKey>,
    memory: Arc<Memory>,
    /// Whether any head of the branch will do: nobody asks for signatures.
    any_head: bool,
    /// What was done before: pushed, or about to be.
    before: Option<RepositoryRotation>,
    /// A person wants what was taken back to be pushed again.
    insist: bool,
    subject: String,
    body: String,
}

/// What came of it.
enum Worked {
    Made {
        branch: String,
        commit: CommitId,
        base: CommitId,
        values: usize,
    },
    Not(Outcome),
}

impl Sealer {
    pub(super) fn new(
        client: Client,
        namespace: &str,
        dir: PathBuf,
        files: FileRemotes,
        histories: Histories,
    ) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
            dir,
            histories,
            files,
            stores: HashMap::new(),
            made: HashMap::new(),
            memories: HashMap::new(),
            about: Default::default(),
            pauses: Pauses::default(),
        }
    }

    /// What came of the last try to seal a Repository again, where the next one is not due yet.
    pub(super) fn paused(&self, facts: &Facts, key: &Key) -> Option<Outcome> {
        self.pauses.get(key, &Ask::of(facts), Instant::now())
    }

    /// Takes in what came of a try.
    pub(super) fn came(&mut self, facts: &Facts, key: &Key, outcome: &Outcome) {
        self.pauses.came(key, Ask::of(facts), outcome, Instant::now());
    }

    /// The keys have changed: what was sealed and is not pushed is sealed anew.
    pub(super) fn forget(&mut self) {
        self.memories.clear();
    }

    /// Lets go of everything, on the disk too.
    pub(super) async fn end(&mut self) {
        self.stores.clear();
        self.made.clear();
        self.memories.clear();
        self.pauses = Pauses::default();
        let dir = self.dir.clone();
        let _ = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(dir)).await;
    }

    /// Makes a commit in which the values are sealed again.
    pub(super) async fn reseal(
        &mut self,
        facts: &Facts,
        key: &Key,
        seen: &Seen,
        keys: &Keys,
        insist: bool,
    ) -> Outcome {
        let about = (keys.leaving.clone(), keys.new.clone());
        if self.about != about {
            self.forget();
            self.about = about;
        }
        let target = facts
            .spec
            .reseal
            .iter()
            .find(|target| (&target.namespace, &target.name) == (&key.0, &key.1));
        let Some((target, secret)) =
            target.and_then(|target| Some((target, target.push_secret_ref.as_ref()?)))
        else {
            return Outcome::NoRight("spec.reseal names no pushSecretRef for it.".into());
        };
        if target.url.as_deref() != Some(seen.object.spec.url.as_str()) {
            return Outcome::NoRight(
                "spec.reseal has to name its spec.url as url: the push Secret goes to no other address."
                    .into(),
            );
        }
        let place = (self.namespace.as_str(), secret.name.as_str());
        let remote = remote_to_push(&self.client, &seen.object, place, &self.files).await;
        let (remote, reference) = match remote {
            Ok(found) => found,
            Err(why) => return Outcome::NoRight(why),
        };
        let signer = match &target.signing_secret_ref {
            None => None,
            Some(secret) => match signing_key(&self.client, &self.namespace, &secret.name).await {
                Ok(key) => Some(key),
                Err(why) => return Outcome::Failed(why),
            },
        };
        let uid = seen.object.uid().unwrap_or_default();
        let new: Vec<_> = keys.new.iter().map(String::as_str).collect();
        let old: Vec<_> = keys.leaving.iter().map(String::as_str).collect();
        let work = Work {
            dir: self.dir.join(&uid),
            histories: self.histories.clone(),
            owner: key.0.clone(),
            store: self.stores.get(&uid).cloned(),
            remote: remote.clone(),
            reference,
            seen_head: seen.head.clone(),
            readership: seen.readership.clone(),
            keys: keys.clone(),
            target: target.clone(),
            signer,
            memory: Arc::clone(
                self.memories
                    .entry(key.clone())
                    .or_insert_with(|| Arc::new(Memory::whole())),
            ),
            any_head: seen.object.spec.verify.is_none(),
            before: facts
                .step_of(key)
                .filter(|known| !known.commit.is_empty())
                .cloned(),
            insist,
            subject: subject(target),
            body: format!("From {}\nto {}.\n", old.join(", "), new.join(", ")),
        };
        let Ok((store, worked)) = tokio::task::spawn_blocking(move || work.run()).await else {
            return Outcome::Failed("The work stopped unexpectedly.".into());
        };
        if let Some(store) = &store {
            self.stores.insert(uid, Arc::clone(store));
        }
        match (worked, store) {
            (Worked::Not(outcome), _) => outcome,
            (
                Worked::Made {
                    branch,
                    commit,
                    base,
                    values,
                },
                Some(store),
            ) => {
                let made = Made {
                    store,
                    remote,
                    branch: branch.clone(),
                    commit,
                    base: target.branch.is_none().then_some(base),
                };
                self.made.insert(key.clone(), made);
                Outcome::Made {
                    branch,
                    commit: commit.to_string(),
                    base: base.to_string(),
                    values: u64::try_from(values).unwrap_or(u64::MAX),
                }
            }
            (Worked::Made { .. }, None) => Outcome::Failed("The store is gone.".into()),
        }
    }

    /// Pushes the commit that was made.
    pub(super) async fn push(&mut self, key: &Key, merges: bool) -> Outcome {
        let Some(made) = self.made.remove(key) else {
            return Outcome::Failed("The commit is not there any more; it is made again.".into());
        };
        let push = move || {
            let branch = RefSpec::Branch(made.branch);
            let pushed = made.store.push(&made.remote, &branch, made.commit);
            pushed.map_err(|error| {
                let is_as_it_was = match (&error, list_head(&made.remote, &branch)) {
                    (SourceError::PushRefused(_), Ok(head)) => Some(head.id) == made.base,
                    (SourceError::PushRefused(_), Err(SourceError::NoSuchBranch(_))) => made.base.is_none(),
                    _ => false,
                };
                (error, is_as_it_was)
            })
        };
        match tokio::task::spawn_blocking(push).await {
            Ok(Ok(())) => {
                self.memories.remove(key);
                if merges {
                    Outcome::AwaitsMerge(None)
                } else {
                    Outcome::Pushed
                }
            }
            // Nobody was faster: it is the remote's own word.
            Ok(Err((SourceError::PushRefused(words), true))) => Outcome::NoRight(format!(
                "The remote refuses the push: {words}. Let the account push to the branch, or name a branch of its own in \
                 spec.reseal; or run the command in a clone."
            )),
            Ok(Err((error, _))) => refused(&error),
            Err(_) => Outcome::Failed("The push stopped unexpectedly.".into()),
        }
    }
}

/// The first line of a commit's message.
pub(super) fn subject(target: &ResealTarget) -> String {
    let own = target.message.clone();
    own.unwrap_or_else(|| "Seal the Secrets again for a new key".into())
}

/// What a person has asked for: a change of it is a reason to try again at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    generation: i64,
    request: String,
}

impl Ask {
    pub(super) fn of(facts: &Facts) -> Self {
        Self {
            generation: facts.generation,
            request: facts.request.clone(),
        }
    }
}

/// Until when Repositories are let alone whose remotes did not take a commit: news of the cluster are no reason to try again.
#[derive(Default)]
struct Pauses(HashMap<Key, Pause>);

struct Pause {
    ask: Ask,
    outcome: Outcome,
    wait: Duration,
    until: Instant,
}

/// The first pause where something did not work, and the longest.
const FAILED: (Duration, Duration) = (Duration::from_secs(4), Duration::from_mins(5));
/// The same where the remote has said no.
const REFUSED: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(1));

impl Pauses {
    fn get(&self, key: &Key, ask: &Ask, now: Instant) -> Option<Outcome> {
        let pause = self.0.get(key)?;
        (pause.ask == *ask && now < pause.until).then(|| pause.outcome.clone())
    }

    fn came(&mut self, key: &Key, ask: Ask, outcome: &Outcome, now: Instant) {
        let (first, longest) = match outcome {
            Outcome::NoRight(_) => REFUSED,
            Outcome::Failed(_) | Outcome::Raced(_) => FAILED,
            // A commit was made: what comes of it is told later.
            Outcome::Made { .. } => return,
            _ => {
                self.0.remove(key);
                return;
            }
        };
        let known = self.0.get(key).filter(|pause| pause.ask == ask);
        let wait = known.map_or(first, |pause| (pause.wait * 2).clamp(first, longest));
        let pause = Pause {
            ask,
            outcome: outcome.clone(),
            wait,
            until: now + wait,
        };
        self.0.insert(key.clone(), pause);
    }
}

/// A sentence of what a remote says, with what to do.
fn refused(error: &SourceError) -> Outcome {
    let sentence = format!("It cannot be pushed to: {error}; {}.", error.hint());
    match error {
        SourceError::PushRefused(_) => Outcome::Raced(sentence),
        SourceError::Forbidden
        | SourceError::Unauthorized { .. }
        | SourceError::KeyRefused(_)
        | SourceError::BadCredentials
        | SourceError::BadKey(_)
        | SourceError::NoKey
        | SourceError::KeyForHttp => Outcome::NoRight(sentence),
        _ => Outcome::Failed(sentence),
    }
}

impl Work {
    fn run(mut self) -> (Option<Arc<Store>>, Worked) {
        let held = self.histories.take(&self.dir, &self.owner);
        self.remote.disk = Some(held.part());
        let store = match self.store.take() {
            Some(store) => store,
            None => match Store::open(&self.dir) {
                Ok(store) => Arc::new(store),
                Err(error) => return (None, Worked::Not(refused(&error))),
            },
        };
        let worked = self
            .work(&store)
            .unwrap_or_else(|error| Worked::Not(refused(&error)));
        (Some(store), worked)
    }

    fn work(&self, store: &Store) -> Result<Worked, SourceError> {
        let fetched = store.fetch(&self.remote, &self.reference)?;
        let base = fetched.commit().id;
        if !self.any_head && base.to_string() != self.seen_head {
            return Ok(Worked::Not(Outcome::Behind));
        }
        let found = self
            .keys
            .with(|change| scan::scan(&fetched.snapshot, "", "", &self.readership, change, &self.memory));
        let found = found.map_err(|error| SourceError::Store(error.to_string()))?;
        if found.files.is_empty() && base.to_string() == self.seen_head {
            // What the controller applies has more than this commit: submodules. It is not asked again and again.
            let why = "What is sealed for an old key does not lie in this repository but in a submodule: seal it again there.";
            return Ok(Worked::Not(Outcome::Failed(why.into())));
        }
        if found.files.is_empty() {
            return Ok(Worked::Not(Outcome::Behind));
        }
        let branch = match self.branch(store, &found, base)? {
            Ok(branch) => branch,
            Err(outcome) => return Ok(Worked::Not(outcome)),
        };
        let files: Vec<(&str, &[u8])> = found
            .files
            .iter()
            .map(|file| (file.path.as_str(), file.bytes.as_slice()))
            .collect();
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let new = NewCommit {
            name: &self.target.author.name,
            email: &self.target.author.email,
            message: &format!("{}\n\n{}", self.subject, self.body),
            time: i64::try_from(time.unwrap_or_default().as_secs()).unwrap_or_default(),
            key: self.signer.as_ref(),
        };
        let commit = store.commit(&fetched.snapshot, &files, &new)?;
        Ok(Worked::Made {
            branch,
            commit,
            base,
            values: found.values(),
        })
    }

    /// The branch to push to; or what is in the way.
    fn branch(
        &self,
        store: &Store,
        found: &Scan,
        base: CommitId,
    ) -> Result<Result<String, Outcome>, SourceError> {
        let followed = match &self.reference {
            RefSpec::Branch(name) => name.clone(),
            _ => return Err(SourceError::BadRef),
        };
        let back = self.as_before(store, found);
        let before = self.before.as_ref();
        let Some(own) = &self.target.branch else {
            if let (Some(first), Some(before)) = (back.first(), before)
                && self.may_be_back(store, before)?
            {
                return Ok(Err(Outcome::RolledBack(format!(
                    "{} as before commit {}: a person took it back.",
                    match back.len() {
                        1 => format!("File {first} is"),
                        many => format!("{many} files are"),
                    },
                    before.commit
                ))));
            }
            return Ok(Ok(followed));
        };
        // A branch that waits is good as long as it changes all that is to be changed now.
        if let Some(before) = before.filter(|before| before.branch != followed) {
            let waits = self.waits(store, before, (&back, found), base)?;
            if let Some(outcome) = waits {
                return Ok(Err(outcome));
            }
        }
        for number in 1..=BRANCHES {
            let name = match number {
                1 => own.clone(),
                _ => format!("{own}-{number}"),
            };
            match list_head(&self.remote, &RefSpec::Branch(name.clone())) {
                Err(SourceError::NoSuchBranch(_)) => return Ok(Ok(name)),
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
        Ok(Err(Outcome::Failed(format!(
            "Branches {own} to {own}-{BRANCHES} are all there: merge or remove them."
        ))))
    }

    /// Whether a person may have taken back what was done before: not what has not arrived, nor where a person insists.
    fn may_be_back(&self, store: &Store, before: &RepositoryRotation) -> Result<bool, SourceError> {
        if self.insist || before.step != RotationStep::Pushing {
            return Ok(!self.insist);
        }
        // The controller was stopped behind the push, or the remote did not answer.
        let commit = before.commit.parse().ok();
        commit.map_or(Ok(false), |commit| self.has(store, &self.reference, commit))
    }

    /// Whether a branch has a commit in its history.
    fn has(&self, store: &Store, branch: &RefSpec, commit: CommitId) -> Result<bool, SourceError> {
        match store.past(&self.remote, branch, commit) {
            Ok(_) => Ok(true),
            Err(SourceError::NotInHistory(..)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What there is to wait for of the branch that was pushed earlier; none where another one is to be made. `back` are the files
    /// to be changed that are as they were before it.
    fn waits(
        &self,
        store: &Store,
        before: &RepositoryRotation,
        (back, found): (&[String], &Scan),
        base: CommitId,
    ) -> Result<Option<Outcome>, SourceError> {
        let branch = RefSpec::Branch(before.branch.clone());
        let is_same = back.len() == found.files.len();
        let is_ours = match list_head(&self.remote, &branch) {
            Ok(head) => head.id.to_string() == before.commit,
            Err(SourceError::NoSuchBranch(_)) => {
                let is_back = is_same && self.may_be_back(store, before)?;
                return Ok(is_back.then(|| {
                    Outcome::RolledBack(format!(
                        "Branch {} was removed, and its commit is not part of what is followed.",
                        before.branch
                    ))
                }));
            }
            Err(error) => return Err(error),
        };
        if is_ours && is_same && base.to_string() == before.base {
            return Ok(Some(Outcome::AwaitsMerge(None)));
        }
        let head = store.fetch(&self.remote, &branch)?.snapshot;
        if self.has(store, &self.reference, head.commit().id)? {
            let is_back = !back.is_empty() && !self.insist;
            return Ok(is_back.then(|| {
                Outcome::RolledBack(format!(
                    "Branch {} is part of what is followed, where a person took back what it changes.",
                    before.branch
                ))
            }));
        }
        if is_ours {
            return Ok(is_same.then_some(Outcome::AwaitsMerge(None)));
        }
        self.is_brought_up(store, before, &head, is_same, base)
    }

    /// Whether a branch that somebody has changed since, by a merge or a rebase mostly, still does: nothing at its head hangs on an
    /// old key, and it is on top of what is followed now, or of what the same was made of. On top of what is followed now it is as
    /// good as made of that.
    fn is_brought_up(
        &self,
        store: &Store,
        before: &RepositoryRotation,
        head: &Snapshot,
        is_same: bool,
        base: CommitId,
    ) -> Result<Option<Outcome>, SourceError> {
        let branch = RefSpec::Branch(before.branch.clone());
        let first = before.base.parse().ok().filter(|_| is_same);
        let tip = if self.has(store, &branch, base)? {
            Some(Tip {
                commit: head.commit().id.to_string(),
                base: base.to_string(),
            })
        } else if first.map_or(Ok(false), |first| self.has(store, &branch, first))? {
            None
        } else {
            return Ok(None);
        };
        let scan = self
            .keys
            .with(|change| scan::scan(head, "", "", &self.readership, change, &self.memory));
        let scan = scan.map_err(|error| SourceError::Store(error.to_string()))?;
        Ok(scan.files.is_empty().then_some(Outcome::AwaitsMerge(tip)))
    }

    /// Files that are to be changed and are to the byte what they were before the commit that was pushed earlier.
    fn as_before(&self, store: &Store, found: &Scan) -> Vec<String> {
        let Some(before) = &self.before else {
            return Vec::new();
        };
        let Ok(id) = before.base.parse::<CommitId>() else {
            return Vec::new();
        };
        let snapshot = store
            .snapshot(id)
            .or_else(|_| store.past(&self.remote, &self.reference, id));
        let Some(blobs) = snapshot.ok().and_then(|snapshot| blobs(&snapshot)) else {
            return Vec::new();
        };
        let same = |file: &&scan::Again| blobs.get(&file.path) == Some(&file.blob);
        found
            .files
            .iter()
            .filter(same)
            .map(|file| file.path.clone())
            .collect()
    }
}

fn blobs(snapshot: &Snapshot) -> Option<BTreeMap<String, BlobId>> {
    let mut all = BTreeMap::new();
    let walk = WalkLimits {
        skip_hidden: false,
        ..WalkLimits::default()
    };
    snapshot
        .walk("", &walk, |entry| {
            if let EntryKind::File { blob, .. } = entry.kind {
                all.insert(entry.path.to_string(), blob);
            }
        })
        .ok()?;
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_refused_is_let_alone_for_longer_each_time() {
        let key: Key = ("team".into(), "app".into());
        let ask = |request: &str| Ask {
            generation: 1,
            request: request.into(),
        };
        let no = Outcome::NoRight("no".into());
        let mut pauses = Pauses::default();
        let mut now = Instant::now();
        let mut tries = 0;
        let end = now + Duration::from_hours(24);
        while now < end {
            if pauses.get(&key, &ask(""), now).is_none() {
                tries += 1;
                pauses.came(&key, ask(""), &no, now);
            }
            now += Duration::from_secs(5);
        }
        assert!((24..34).contains(&tries), "{tries} tries in a day");
        assert_eq!(pauses.get(&key, &ask("now"), now), None, "a person asks");
        pauses.came(&key, ask("now"), &no, now);
        assert_eq!(pauses.get(&key, &ask("now"), now), Some(no));
        assert_eq!(
            pauses.get(&key, &ask("now"), now + Duration::from_mins(1)),
            None,
            "from the beginning again"
        );
        pauses.came(&key, ask("now"), &Outcome::Pushed, now);
        assert_eq!(pauses.get(&key, &ask("now"), now), None);
    }
}
