//! Pull requests of branches that wait to be merged: the host opens one, once. Whatever it says, the rotation goes on as if there
//! were none: people merge the branch.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crds::GitProvider;
use kube::Client;
use source::{FileRemotes, Host, PullRequest};

use super::facts::Facts;
use super::git::Seen;
use super::seal::{Ask, subject};
use crate::repository::{Key, remote_to_ask};

/// The first pause where a host did not do it, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_hours(1));
/// How long a host may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks hosts for pull requests.
pub(super) struct Pulls {
    client: Client,
    namespace: String,
    files: FileRemotes,
    pauses: HashMap<Key, Pause>,
}

/// Until when a host is let alone.
struct Pause {
    ask: Ask,
    branch: String,
    why: String,
    wait: Duration,
    until: Instant,
}

impl Pulls {
    pub(super) fn new(client: Client, namespace: &str, files: FileRemotes) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
            files,
            pauses: HashMap::new(),
        }
    }

    /// Lets go of everything.
    pub(super) fn end(&mut self) {
        self.pauses.clear();
    }

    /// What is known of the pull request of a branch that waits: its address, or why there is none, where the host is not asked
    /// yet. One that was open is not asked for again, unless a person wants it: somebody may have closed it.
    pub(super) fn known(&self, facts: &Facts, key: &Key) -> Option<Result<String, String>> {
        let known = facts.step_of(key)?;
        if !known.pull_request.is_empty() && !facts.is_asked(key) {
            return Some(Ok(known.pull_request.clone()));
        }
        let pause = self.pauses.get(key)?;
        let holds =
            pause.ask == Ask::of(facts) && pause.branch == known.branch && Instant::now() < pause.until;
        holds.then(|| Err(pause.why.clone()))
    }

    /// Finds the open one, or has the host open one; else says why there is none.
    pub(super) async fn open(&mut self, facts: &Facts, key: &Key, seen: &Seen) -> Result<String, String> {
        let branch = facts
            .step_of(key)
            .map(|known| known.branch.clone())
            .unwrap_or_default();
        let opened = self.ask(facts, key, seen, &branch).await;
        match opened {
            Ok(url) => {
                self.pauses.remove(key);
                Ok(url)
            }
            Err(why) => {
                let why = format!("No pull request is open: {why} It is tried again.");
                let ask = Ask::of(facts);
                let known = self
                    .pauses
                    .get(key)
                    .filter(|known| known.ask == ask && known.branch == branch);
                let wait = known.map_or(PAUSE.0, |known| (known.wait * 2).clamp(PAUSE.0, PAUSE.1));
                let pause = Pause {
                    ask,
                    branch,
                    why: why.clone(),
                    wait,
                    until: Instant::now() + wait,
                };
                self.pauses.insert(key.clone(), pause);
                Err(why)
            }
        }
    }

    async fn ask(&self, facts: &Facts, key: &Key, seen: &Seen, branch: &str) -> Result<String, String> {
        let mut targets = facts.spec.reseal.iter();
        let target = targets.find(|target| (&target.namespace, &target.name) == (&key.0, &key.1));
        let found = target.and_then(|target| {
            Some((
                target,
                target.pull_request.as_ref()?,
                target.push_secret_ref.as_ref()?,
            ))
        });
        let (target, options, secret) = found.ok_or("spec.reseal asks for none.")?;
        if branch.is_empty() {
            return Err("the branch is not known.".into());
        }
        // As for the push: whoever may change the Repository does not choose where the Secret goes.
        if target.url.as_deref() != Some(seen.object.spec.url.as_str()) {
            return Err("spec.reseal has to name the Repository's spec.url as url.".into());
        }
        let place = (self.namespace.as_str(), secret.name.as_str());
        let (mut remote, reference, token) =
            remote_to_ask(&self.client, &seen.object, place, &self.files).await?;
        let source::RefSpec::Branch(into) = reference else {
            return Err("the Repository follows no branch.".into());
        };
        remote.limits.total = PATIENCE;
        let ids = |keys: &[crds::RotationKey]| {
            let ids: Vec<_> = keys.iter().map(|key| key.id.as_str()).collect();
            ids.join(", ")
        };
        let pull = PullRequest {
            host: match options.provider {
                GitProvider::GitHub => Host::GitHub,
                GitProvider::GitLab => Host::GitLab,
                GitProvider::Gitea => Host::Gitea,
            },
            api: options.api.clone(),
            branch: branch.to_owned(),
            into,
            title: subject(target),
            text: format!(
                "KeyRotation {} seals what is sealed for\n{}\nagain for\n{}.\n\nThe values are the same. The old keys stay until this \
                 is merged and applied.\n",
                facts.name,
                ids(&facts.record.old_keys),
                ids(&facts.record.new_keys)
            ),
        };
        let asked = tokio::task::spawn_blocking(move || pull.open(&remote, token.as_ref())).await;
        match asked {
            Ok(Ok(url)) => Ok(url),
            Ok(Err(error)) => Err(format!("{error}; {}.", error.hint())),
            Err(_) => Err("the work stopped unexpectedly.".into()),
        }
    }
}
