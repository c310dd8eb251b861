//! The commit that is waited for, and whether a Sync has it.

use crate::cluster;
use crate::command_error::CommandError;
use crate::follow::{Seen, follow};
use crate::git;
use crate::syncs::{Syncs, full_name};
use crate::ui::Ui;
use crds::{Repository, Revision, Sync, annotation};
use jiff::Timestamp;
use kube::{Api, ResourceExt as _};
use sealing::Printable;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// A commit that has to be applied, itself or by a later one.
pub(in crate::commands) struct Wanted {
    commit: String,
    /// The top of a clone that holds the commit.
    clone: Option<PathBuf>,
    /// What Git said of a commit and a path. It does not change.
    said: BTreeMap<(String, String), bool>,
    /// The request for another look, by Sync: what its controller says once it has looked at the commit.
    asked: BTreeMap<String, String>,
}

impl Wanted {
    /// A full id, or whatever the clone at hand makes of it.
    pub(super) fn parse(text: &str) -> Result<Self, CommandError> {
        let here = Path::new(".");
        let (commit, clone) = match (git::commit(here, text), git::is_id(text)) {
            (Ok(commit), _) => (commit, git::top(here).ok()),
            (Err(_), true) => (text.to_lowercase(), None),
            (Err(err), false) => {
                return Err(err.hint("outside a clone that has the commit, --revision takes its full id"));
            }
        };
        Ok(Self {
            commit,
            clone,
            said: BTreeMap::new(),
            asked: BTreeMap::new(),
        })
    }

    /// A commit that a clone holds.
    pub(in crate::commands) fn in_clone(commit: &str, top: &Path) -> Self {
        Self {
            commit: commit.to_owned(),
            clone: Some(top.to_owned()),
            said: BTreeMap::new(),
            asked: BTreeMap::new(),
        }
    }

    pub(super) fn short(&self) -> &str {
        self.commit.get(..12).unwrap_or(&self.commit)
    }

    /// Whether what the Sync says of `revision` is said of the wanted commit too.
    pub(super) fn is_in(&mut self, sync: &Sync, revision: Option<&Revision>) -> bool {
        let Some(revision) = revision else { return false };
        let handled = sync.status.as_ref().map(|status| &status.last_handled_request);
        revision.commit == self.commit
            || self
                .asked
                .get(&sync.name_any())
                .is_some_and(|asked| Some(asked) == handled)
            || self.git_says(&revision.commit, &sync.spec.path)
    }

    /// By the clone: the commit is a later one, or has the same files under the path.
    fn git_says(&mut self, commit: &str, path: &str) -> bool {
        let Some(clone) = &self.clone else { return false };
        let key = (commit.to_owned(), path.to_owned());
        if let Some(said) = self.said.get(&key) {
            return *said;
        }
        let said = git::is_ancestor(clone, &self.commit, commit)
            || git::same_below(clone, &self.commit, commit, path);
        self.said.insert(key, said);
        said
    }

    /// Waits until the Repositories of the Syncs that do not have it have fetched it, and asks these Syncs to look again.
    pub(super) async fn bring(&mut self, ui: &Ui, syncs: &Syncs, all: &[&Sync]) -> Result<(), CommandError> {
        let mut lacking = Vec::new();
        for sync in all {
            let revision = sync
                .status
                .as_ref()
                .and_then(|status| status.last_applied_revision.clone());
            if !self.is_in(sync, revision.as_ref()) {
                lacking.push(*sync);
            }
        }
        let sources: BTreeSet<&str> = lacking
            .iter()
            .map(|sync| sync.spec.source_ref.name.as_str())
            .collect();
        for source in sources {
            if ui.shows_progress() {
                ui.status(format!(
                    "waiting for Repository {}/{} to fetch {}",
                    syncs.namespace,
                    Printable(source),
                    self.short()
                ));
            }
            self.fetched(syncs, source).await?;
        }
        let request = Timestamp::now().to_string();
        for sync in lacking {
            let patch = json!({"metadata": {"annotations": {annotation::REQUESTED_AT: request}}});
            match syncs.patch(&sync.name_any(), &patch).await {
                Ok(_) => {
                    self.asked.insert(sync.name_any(), request.clone());
                }
                // Inside a clone Git can tell.
                Err(kube::Error::Api(status)) if status.code == 403 && self.clone.is_some() => {}
                Err(err) => {
                    return Err(cluster::explain(
                        &err,
                        &format!("ask Sync {} to look at the commit", full_name(sync)),
                    )
                    .hint("or run it inside a clone that has the commit: then nothing has to be asked"));
                }
            }
        }
        Ok(())
    }

    async fn fetched(&mut self, syncs: &Syncs, source: &str) -> Result<(), CommandError> {
        let api: Api<Repository> = Api::namespaced(syncs.client.clone(), &syncs.namespace);
        let missing = || {
            CommandError::user(
                format!("there is no Repository {}/{}", syncs.namespace, Printable(source)),
                "create the Repository, or correct spec.sourceRef.name of the Sync",
            )
        };
        let has_it = |repository: &Repository| {
            let head = repository.status.as_ref().and_then(|status| status.head.as_ref());
            head.is_some_and(|head| {
                head.commit == self.commit
                    || self
                        .clone
                        .as_ref()
                        .is_some_and(|clone| git::is_ancestor(clone, &self.commit, &head.commit))
            })
        };
        let look = |seen| match seen {
            Seen::All(all) => match all.first() {
                None => ControlFlow::Break(Err(missing())),
                Some(repository) if has_it(repository) => ControlFlow::Break(Ok(())),
                Some(_) => ControlFlow::Continue(()),
            },
            Seen::One(repository) if has_it(&repository) => ControlFlow::Break(Ok(())),
            Seen::One(_) => ControlFlow::Continue(()),
            Seen::Gone(_) => ControlFlow::Break(Err(missing())),
        };
        let fields = format!("metadata.name={source}");
        follow(&api, Some(&fields), "watch the Repository", look).await?
    }
}
