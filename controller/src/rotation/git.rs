//! What hangs on the old keys in the Repositories: in what each follows, and in what Syncs have applied of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crds::{Blocker, Repository, RepositoryRotation, ResealTarget, RotationStep, Sync, condition};
use kube::api::ListParams;
use kube::core::DeserializeGuard;
use kube::{Api, Client, Resource, ResourceExt};
use sealing::KeyRing;
use sealing::v2::{KeyId, Recipient, Recipients};
use source::{RepoPath, Snapshot};

use super::facts::{Facts, Followed, Outcome};
use super::scan::{self, Change, Memory, Reader, Readership, Scan};
use crate::condition as conditions;
use crate::repository::{Heads, Key, Pinned, SourceState};
use crate::request::bounded;
use crate::text;

/// Longest message about a Repository, in characters: remotes have a say in it.
const LONGEST: usize = 512;

/// From which keys to which, owned.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) ring: Arc<KeyRing>,
    pub(super) leaving: BTreeSet<String>,
    /// Ids of the new keys.
    pub(super) new: BTreeSet<String>,
    pub(super) others: BTreeMap<KeyId, Recipient>,
}

impl Keys {
    /// Does something with it. A key that is barred is sealed for by nobody, whoever has made it.
    pub(super) fn with<T>(&self, work: impl FnOnce(&Change<'_>) -> T) -> T {
        let is_new = |id: &str| self.new.contains(id) && !self.ring.is_barred(id);
        let v1 = self.ring.keys().iter();
        let certificate = v1
            .map(sealing::SealingKey::certificate)
            .find(|certificate| is_new(certificate.fingerprint().as_str()));
        let identity = self
            .ring
            .native()
            .iter()
            .find(|key| is_new(key.key_id().as_str()));
        let recipients = identity.and_then(|key| Recipients::new([key.recipient().clone()]).ok());
        work(&Change {
            ring: &self.ring,
            leaving: &self.leaving,
            certificate,
            recipients: recipients.as_ref(),
            others: &self.others,
        })
    }
}

/// A Repository as it was looked at last, for who seals it again.
pub(super) struct Seen {
    pub(super) object: Arc<Repository>,
    pub(super) readership: Readership,
    pub(super) head: String,
}

/// Looks at Repositories, and remembers what was found.
pub(super) struct Looks {
    client: Client,
    heads: Heads,
    memory: Arc<Memory>,
    /// From which keys to which: what was found then says nothing of others.
    about: (BTreeSet<String>, BTreeSet<String>),
    pub(super) seen: HashMap<Key, Seen>,
    /// Earlier commits that are asked for: which Repository, and under which name.
    asked: BTreeSet<(Key, String)>,
    /// The same, for commits that were pushed before a restart.
    pushed: BTreeSet<(Key, String)>,
}

/// What a Sync has applied.
struct Applied {
    name: String,
    commit: String,
    reader: Reader,
    ready: String,
    /// The keys that its values were opened with, and how many with each.
    opened: Vec<(String, u32)>,
}

impl Applied {
    /// What it says itself, whatever its files look like.
    fn opened_with(&self, leaving: &BTreeSet<String>) -> Option<String> {
        let mut opened = self.opened.iter();
        let (id, count) = opened.find(|(id, count)| *count > 0 && leaving.contains(id))?;
        Some(format!(
            "has opened {count} of its values with key {id}, and not with another since. {}",
            self.ready
        ))
    }
}

impl Looks {
    pub(super) fn new(client: Client, heads: Heads) -> Self {
        Self {
            client,
            heads,
            memory: Arc::default(),
            about: Default::default(),
            seen: HashMap::new(),
            asked: BTreeSet::new(),
            pushed: BTreeSet::new(),
        }
    }

    /// The keys have changed: everything is looked at again.
    pub(super) fn forget(&mut self) {
        self.memory = Arc::default();
    }

    /// Lets go of the commits that were asked for.
    pub(super) fn end(&mut self) {
        let pushed = std::mem::take(&mut self.pushed);
        for (key, name) in std::mem::take(&mut self.asked).into_iter().chain(pushed) {
            self.heads.pin(&key, &name, None);
        }
        self.seen.clear();
        self.forget();
    }

    /// Every Repository of the cluster. Fails with a sentence where the API server does.
    pub(super) async fn look(&mut self, facts: &Facts, keys: &Keys) -> Result<Vec<Followed>, String> {
        let about = (keys.leaving.clone(), keys.new.clone());
        if self.about != about {
            self.forget();
            self.about = about;
        }
        let list = ListParams::default();
        let repositories: Api<DeserializeGuard<Repository>> = Api::all(self.client.clone());
        let repositories = bounded(repositories.list(&list))
            .await
            .map_err(|error| format!("Repositories cannot be listed: {error}."))?;
        let syncs: Api<DeserializeGuard<Sync>> = Api::all(self.client.clone());
        let syncs = bounded(syncs.list(&list))
            .await
            .map_err(|error| format!("Syncs cannot be listed: {error}."))?;
        let mut readers: HashMap<Key, Vec<Applied>> = HashMap::new();
        for sync in syncs.items {
            let namespace = sync.meta().namespace.clone().unwrap_or_default();
            let Ok(sync) = sync.0 else {
                let name = sync.meta().name.clone().unwrap_or_default();
                return Err(format!("Sync {namespace}/{name} cannot be read."));
            };
            let key = (namespace, sync.spec.source_ref.name.clone());
            readers.entry(key).or_default().extend(applied(&sync));
        }
        let mut all = Vec::new();
        let mut asked = BTreeSet::new();
        self.seen.clear();
        for guard in repositories.items {
            let meta = guard.meta();
            let key = (
                meta.namespace.clone().unwrap_or_default(),
                meta.name.clone().unwrap_or_default(),
            );
            let syncs = readers.remove(&key).unwrap_or_default();
            let followed = match guard.0 {
                Ok(object) if !object.spec.fallbacks.is_empty() => unread(
                    key,
                    "It has fall-backs, whose answer may be older than what the remote holds: remove spec.fallbacks until the \
                     rotation is over."
                        .into(),
                ),
                Ok(object) => self.one(facts, keys, key, object, syncs, &mut asked).await,
                Err(_) => unread(key, "It cannot be read by this version of the controller.".into()),
            };
            all.push(followed);
        }
        // What was applied from a Repository that is gone is in use as well.
        for (key, syncs) in readers {
            if syncs.iter().any(|sync| !sync.commit.is_empty()) {
                let why = "There is no such Repository any more, and a Sync has applied what it held.";
                all.push(unread(key, why.into()));
            }
        }
        for (key, name) in self.asked.difference(&asked) {
            self.heads.pin(key, name, None);
        }
        self.asked = asked;
        all.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(all)
    }

    async fn one(
        &mut self,
        facts: &Facts,
        keys: &Keys,
        key: Key,
        object: Repository,
        syncs: Vec<Applied>,
        asked: &mut BTreeSet<(Key, String)>,
    ) -> Followed {
        let head = match self.heads.get(&key) {
            SourceState::Ready(head) if !object.spec.suspend => head,
            SourceState::Ready(_) => {
                return unread(
                    key,
                    "It is suspended: what its remote holds is not known. Resume it.".into(),
                );
            }
            SourceState::Failed { message, .. } => {
                return unread(key, format!("It cannot be followed. {message}"));
            }
            SourceState::Unknown | SourceState::Missing => {
                return unread(key, "It has not been looked at yet.".into());
            }
        };
        let branch = branch(&object);
        let target = facts
            .spec
            .reseal
            .iter()
            .find(|target| (&target.namespace, &target.name) == (&key.0, &key.1));
        let readership = Readership {
            readers: syncs.iter().map(|sync| sync.reader.clone()).collect(),
            elsewhere: target.map(elsewhere).unwrap_or_default(),
        };
        let place = format!("Repository {}/{} at {}", key.0, key.1, head.revision.short());
        let found = self
            .scan(
                head.snapshot.clone(),
                String::new(),
                place,
                readership.clone(),
                keys,
            )
            .await;
        let scan = match found {
            Ok(scan) => scan,
            Err(why) => {
                self.heads.mend(&key);
                return unread(key, format!("Its commit cannot be read: {why}."));
            }
        };
        let mut followed = Followed {
            head: Ok(head.revision.commit.clone()),
            hanging: scan.values(),
            needs: scan.needs(),
            blockers: scan.blockers,
            behind: Vec::new(),
            outcome: None,
            races: 0,
            may_push: false,
            merges: false,
            asks_for_a_pull: false,
            pull: None,
            branch,
            key: key.clone(),
        };
        if let Some(target) = target {
            followed.may_push = target.push_secret_ref.is_some();
            followed.merges = target.branch.is_some();
            followed.asks_for_a_pull = followed.merges && target.pull_request.is_some();
        }
        if followed.branch.is_empty() {
            followed.blockers.extend(scan.files.iter().flat_map(|file| {
                let place = format!("Repository {}/{} at {}: {}", key.0, key.1, head.revision.short(), file.path);
                file.objects.iter().map(move |(object, count)| Blocker {
                    place: place.clone(),
                    object: object.clone(),
                    message: format!(
                        "{} sealed for an old key, and a commit does not change what this Repository follows. Seal it \
                         again where it comes from, and follow a newer tag or commit.",
                        super::facts::values(*count)
                    ),
                })
            }));
        }
        let is_clean = followed.hanging == 0 && followed.blockers.is_empty();
        for sync in &syncs {
            let before = if sync.commit.is_empty() || sync.commit == head.revision.commit {
                None
            } else {
                self.before(&key, &head.snapshot, sync, keys, asked).await
            };
            let message = before.or_else(|| sync.opened_with(&keys.leaving).filter(|_| is_clean));
            followed.behind.extend(message.map(|message| Blocker {
                place: format!("Sync {}/{}", key.0, sync.name),
                object: String::new(),
                message,
            }));
        }
        self.seen.insert(
            key,
            Seen {
                object: Arc::new(object),
                readership,
                head: head.revision.commit.clone(),
            },
        );
        followed
    }

    /// What is wrong with an earlier commit that a Sync has applied, if anything is.
    async fn before(
        &self,
        key: &Key,
        head: &Snapshot,
        sync: &Applied,
        keys: &Keys,
        asked: &mut BTreeSet<(Key, String)>,
    ) -> Option<String> {
        let short = sync.commit.get(..12).unwrap_or(&sync.commit);
        // No Sync has such a name.
        let name = format!("rotation {}", sync.commit);
        asked.insert((key.clone(), name.clone()));
        let ready = &sync.ready;
        let snapshot = match self.heads.pin(key, &name, Some(&sync.commit)) {
            Some(Pinned::Ready(head)) => head.snapshot,
            Some(Pinned::Failed { message, .. }) => {
                return Some(format!(
                    "has applied {short}, which cannot be looked at. {message} {ready}"
                ));
            }
            None => return Some(format!("has applied {short}, which is being looked at. {ready}")),
        };
        let path = sync.reader.path.clone();
        let id = |snapshot: &Snapshot| snapshot.tree_id(&path).ok();
        if id(&snapshot).is_some() && id(&snapshot) == id(head) {
            return None;
        }
        let place = format!("commit {short}");
        let readership = Readership {
            readers: vec![sync.reader.clone()],
            elsewhere: Vec::new(),
        };
        match self.scan(snapshot, path, place, readership, keys).await {
            Ok(scan) if scan.files.is_empty() && scan.blockers.is_empty() => None,
            Ok(_) => Some(format!(
                "has applied {short}, which hangs on an old key, and not the head yet. {ready}"
            )),
            Err(why) => Some(format!(
                "has applied {short}, which cannot be read: {why}. {ready}"
            )),
        }
    }

    async fn scan(
        &self,
        snapshot: Snapshot,
        path: String,
        place: String,
        readership: Readership,
        keys: &Keys,
    ) -> Result<Scan, String> {
        let (keys, memory) = (keys.clone(), Arc::clone(&self.memory));
        let work =
            move || keys.with(|change| scan::scan(&snapshot, &path, &place, &readership, change, &memory));
        match tokio::task::spawn_blocking(work).await {
            Ok(found) => found.map_err(|error| error.to_string()),
            Err(_) => Err("the look stopped unexpectedly".into()),
        }
    }

    /// Of the command for a person: the namespace of objects that name none, where there is just one.
    fn namespace(&self, key: &Key) -> String {
        let readers = self.seen.get(key).map(|seen| seen.readership.readers.as_slice());
        let all: BTreeSet<_> = readers
            .iter()
            .copied()
            .flatten()
            .map(|reader| &reader.namespace)
            .collect();
        match all.first() {
            Some(one) if all.len() == 1 => format!(" --namespace {one}"),
            _ => String::new(),
        }
    }

    /// Whether a commit is part of what a Repository follows; `None` where that is not known yet.
    pub(super) fn has(&mut self, key: &Key, commit: &str) -> Option<bool> {
        let name = format!("rotation pushed {commit}");
        self.pushed.insert((key.clone(), name.clone()));
        match self.heads.pin(key, &name, Some(commit))? {
            Pinned::Ready(_) => Some(true),
            Pinned::Failed { temporary: false, .. } => Some(false),
            Pinned::Failed { .. } => None,
        }
    }
}

/// Writes down what is known of each Repository.
pub(super) fn note(facts: &mut Facts, looks: &mut Looks, command: &str) {
    let Some(git) = facts.git.take() else { return };
    let mut noted = Vec::with_capacity(git.len());
    for one in &git {
        let mut known = facts.step_of(&one.key).cloned().unwrap_or_default();
        (known.namespace, known.name) = one.key.clone();
        let (mut step, mut message) = one.step();
        let was_pushing = known.step == RotationStep::Pushing;
        if let Some(Outcome::Made {
            branch,
            commit,
            base,
            values,
        }) = &one.outcome
        {
            known.branch.clone_from(branch);
            known.commit.clone_from(commit);
            known.base.clone_from(base);
            known.values = *values;
            // Of another branch.
            known.pull_request.clear();
            // It is what a person asks for, if one does: a revert of it is not pushed over after a restart.
            if !facts.request.is_empty() {
                known.last_handled_request.clone_from(&facts.request);
            }
        } else if let Some(Outcome::AwaitsMerge(Some(tip))) = &one.outcome {
            known.commit.clone_from(&tip.commit);
            known.base.clone_from(&tip.base);
        } else if was_pushing && step == RotationStep::Clean {
            // The controller was stopped, or the remote did not answer, between the push and the word that it arrived.
            let arrived = match &one.head {
                Ok(head) if *head == known.commit => Some(true),
                _ => looks.has(&one.key, &known.commit),
            };
            match arrived {
                Some(true) => {}
                Some(false) => {
                    (known.commit, known.base, known.branch) = Default::default();
                    known.values = 0;
                }
                None => {
                    step = RotationStep::Pushing;
                    message = format!("Whether commit {} has arrived is being looked at.", known.commit);
                }
            }
        } else if was_pushing && step == RotationStep::Unknown {
            step = RotationStep::Pushing;
        } else if was_pushing && step == RotationStep::AwaitingCommit {
            // The remote has said no.
            (known.commit, known.base, known.branch) = Default::default();
            known.values = 0;
        }
        bounds(&mut known, one, step);
        if let Some(Ok(url)) = &one.pull {
            known.pull_request.clone_from(url);
        }
        known.step = step;
        known.left = u64::try_from(one.hanging).unwrap_or(u64::MAX);
        known.message = text::bounded(&message, LONGEST);
        known.command = match step {
            RotationStep::AwaitingCommit => format!("{command}{}", looks.namespace(&one.key)),
            _ => String::new(),
        };
        noted.push(known);
    }
    facts.record.repositories = noted;
    facts.git = Some(git);
}

/// Between which commits of what is followed its values were sealed again, whoever did it and in which way it came there.
fn bounds(known: &mut RepositoryRotation, one: &Followed, step: RotationStep) {
    let Ok(head) = &one.head else { return };
    // What our commit was made of may be ahead of what was looked at, and so may what it was pushed to be.
    let last = match &one.outcome {
        Some(Outcome::Made { base, .. }) => Some(base),
        Some(Outcome::Pushed | Outcome::Behind | Outcome::Raced(_)) => None,
        None if matches!(known.step, RotationStep::Pushing | RotationStep::Pushed) => None,
        _ => Some(head),
    };
    if one.needs {
        if let Some(last) = last {
            known.last_needing.clone_from(last);
            known.first_clean.clear();
        }
    } else if step == RotationStep::Clean && !known.last_needing.is_empty() && known.first_clean.is_empty() {
        known.first_clean.clone_from(head);
    }
}

/// Paths that are another cluster's. What is no path is nobody's.
pub(super) fn elsewhere(target: &ResealTarget) -> Vec<String> {
    let paths = target.elsewhere.iter();
    paths
        .filter_map(|path| RepoPath::parse(path).ok())
        .map(|path| path.as_str().to_owned())
        .filter(|path| !path.is_empty())
        .collect()
}

fn unread(key: Key, why: String) -> Followed {
    Followed {
        key,
        branch: String::new(),
        may_push: false,
        merges: false,
        asks_for_a_pull: false,
        pull: None,
        head: Err(why),
        hanging: 0,
        needs: false,
        blockers: Vec::new(),
        behind: Vec::new(),
        outcome: None,
        races: 0,
    }
}

/// The branch that a Repository follows; empty: it follows something else.
fn branch(object: &Repository) -> String {
    let reference = &object.spec.reference;
    let others = [
        &reference.tag,
        &reference.semver,
        &reference.commit,
        &reference.name,
    ];
    if others.into_iter().any(Option::is_some) {
        return String::new();
    }
    reference.branch_or_default().to_owned()
}

/// What a Sync has applied, and what it is to apply instead of the branch.
fn applied(sync: &Sync) -> Vec<Applied> {
    let now = at_work(sync);
    let pinned = sync.spec.pin.as_ref().map(|pin| pin.commit.clone());
    let pinned = pinned
        .filter(|commit| *commit != now.commit)
        .map(|commit| Applied {
            commit,
            opened: Vec::new(),
            ..at_work(sync)
        });
    std::iter::once(now).chain(pinned).collect()
}

fn at_work(sync: &Sync) -> Applied {
    let status = sync.status.as_ref();
    let revision = status.and_then(|status| status.last_applied_revision.as_ref());
    let own = sync.namespace().unwrap_or_default();
    let path =
        RepoPath::parse(&sync.spec.path).map_or_else(|_| String::new(), |path| path.as_str().to_owned());
    let ready = status.and_then(|status| conditions::get(&status.conditions, condition::READY));
    Applied {
        name: sync.name_any(),
        commit: revision
            .map(|revision| revision.commit.clone())
            .unwrap_or_default(),
        reader: Reader {
            path,
            namespace: sync.spec.target_namespace.clone().unwrap_or(own),
        },
        ready: ready.map(|ready| ready.message.clone()).unwrap_or_default(),
        opened: status
            .iter()
            .flat_map(|status| &status.opened_with)
            .map(|one| (one.key.clone(), one.values))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealing::v2::{Identity, Suite};
    use sealing::{PrivateKey, SealingKey, SelfSigned};
    use std::time::{Duration, SystemTime};

    #[test]
    fn between_which_commits_values_were_sealed_again_is_known_of_every_route() {
        use RotationStep::{AwaitingCommit, AwaitingMerge, Clean, Pushing, RolledBack};
        let mut known = RepositoryRotation::default();
        let mut at = |head: &str, needs, step| {
            let one = Followed {
                head: Ok(head.into()),
                needs,
                ..unread(("team".into(), "app".into()), String::new())
            };
            bounds(&mut known, &one, step);
            (known.last_needing.clone(), known.first_clean.clone())
        };
        let is = |last: &str, first: &str| (last.to_owned(), first.to_owned());
        // Nothing is said of one that never needed an old key.
        assert_eq!(at("0", false, Clean), is("", ""));
        assert_eq!(at("1", true, AwaitingCommit), is("1", ""));
        assert_eq!(at("2", true, AwaitingMerge), is("2", ""));
        // Whether our commit has arrived is being looked at.
        assert_eq!(at("3", false, Pushing), is("2", ""));
        // A squash, a person's own commit: the first one that is followed then.
        assert_eq!(at("3", false, Clean), is("2", "3"));
        assert_eq!(at("4", false, Clean), is("2", "3"));
        // Taken back, and made again.
        assert_eq!(at("5", true, RolledBack), is("5", ""));
        assert_eq!(at("6", false, Clean), is("5", "6"));
        let away = unread(("team".into(), "app".into()), "It is away.".into());
        bounds(&mut known, &away, RotationStep::Unknown);
        // Made of one that was not looked at; what was looked at is behind it until ours is fetched.
        let mut ours = Followed {
            head: Ok("7".into()),
            needs: true,
            outcome: Some(Outcome::Made {
                branch: "main".into(),
                commit: "9".into(),
                base: "8".into(),
                values: 1,
            }),
            ..unread(("team".into(), "app".into()), String::new())
        };
        assert_eq!((&*known.last_needing, &*known.first_clean), ("5", "6"));
        bounds(&mut known, &ours, Pushing);
        for outcome in [Some(Outcome::Pushed), Some(Outcome::Behind), None] {
            known.step = RotationStep::Pushed;
            ours.outcome = outcome;
            bounds(&mut known, &ours, RotationStep::Pushed);
            assert_eq!((&*known.last_needing, &*known.first_clean), ("8", ""));
        }
        ours.outcome = Some(Outcome::RolledBack("x".into()));
        bounds(&mut known, &ours, RolledBack);
        assert_eq!(known.last_needing, "7");
    }

    #[test]
    fn a_key_that_is_barred_is_not_sealed_for_though_it_is_the_new_one() {
        let private = PrivateKey::generate(2048).unwrap();
        let signed = SelfSigned::new(SystemTime::now(), Duration::from_hours(1));
        let certificate = signed.sign(&private).unwrap();
        let rsa = SealingKey::new(private, certificate).unwrap();
        let age = Identity::generate(Suite::X25519).unwrap();
        let new = BTreeSet::from([rsa.fingerprint().as_str().to_owned(), age.key_id().to_string()]);
        let ring = KeyRing::new([rsa]).with_native([age]);
        let mut keys = Keys {
            ring: Arc::new(ring),
            leaving: BTreeSet::new(),
            new: new.clone(),
            others: BTreeMap::new(),
        };
        let sealed_for =
            |keys: &Keys| keys.with(|change| (change.certificate.is_some(), change.recipients.is_some()));
        assert_eq!(sealed_for(&keys), (true, true));
        let ring = Arc::into_inner(keys.ring).unwrap().barring(new);
        keys.ring = Arc::new(ring);
        assert_eq!(sealed_for(&keys), (false, false));
    }
}
