//! What every test of bad input does: a good commit, a bad one that also drops an object, a look at what is said and at
//! what still stands, and a mend.

use crds::{ObjectReport, Sync, SyncSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt;
use serde_json::Value;
use tests::{GitServer, Repo, Space, Stage, objects};

/// One failure as it is expected: source and object in full, message and hint in part. `NS` stands for the namespace.
pub(crate) type Said<'a> = [&'a str; 4];

/// A Sync `app` of the path `app`, whose first commit is applied: the `ConfigMaps` `keep` and `goes`.
pub(crate) struct Case<'a> {
    pub(crate) team: Space<'a>,
    pub(crate) repo: Repo,
    goes: ConfigMap,
}

impl Case<'static> {
    /// On the stage that all tests share.
    pub(crate) async fn begin(name: &str) -> Self {
        Self::begin_with(name, |_| {}).await
    }

    /// The same, with another specification.
    pub(crate) async fn begin_with(name: &str, change: impl FnOnce(&mut SyncSpec)) -> Self {
        let stage = Stage::shared().await;
        Self::on(stage, &stage.git, name, change).await
    }
}

impl<'a> Case<'a> {
    /// On any stage and any Git server.
    pub(crate) async fn on(
        stage: &'a Stage,
        git: &GitServer,
        name: &str,
        change: impl FnOnce(&mut SyncSpec),
    ) -> Self {
        let team = stage.space(&format!("bad-{name}"));
        let repo = git.repository(team.name());
        let commit = repo
            .write("app/keep.yaml", objects::config_map("keep", "one"))
            .write("app/goes.yaml", objects::config_map("goes", "one"))
            .commit("Begin well");
        team.repository("app", &repo).await;
        team.sync_with("app", "app", change).await;
        team.applied("app", &commit).await;
        let goes = team.api().get("goes").await.unwrap();
        Self { team, repo, goes }
    }

    /// Commits what `write` writes, with a change, a new object and a dropped one beside it, and waits until the Sync says
    /// that something failed. What is good is applied then, and what was dropped stands.
    pub(crate) async fn spoil(&self, write: impl FnOnce(&Repo)) -> Sync {
        let sync = self.spoil_all(write).await;
        self.value("keep", "two").await;
        self.value("new", "one").await;
        sync
    }

    /// The same, where nothing of the commit can be applied.
    pub(crate) async fn spoil_all(&self, write: impl FnOnce(&Repo)) -> Sync {
        self.repo
            .write("app/keep.yaml", objects::config_map("keep", "two"))
            .write("app/new.yaml", objects::config_map("new", "one"))
            .remove("app/goes.yaml");
        write(&self.repo);
        let commit = self.repo.commit("Spoil it");
        let sync = self.team.failed("app", &commit).await;
        is_said(&sync);
        self.stands().await;
        sync
    }

    /// Commits what `write` writes and waits until everything is well: nothing fails, and what was dropped is pruned.
    pub(crate) async fn mend(&self, write: impl FnOnce(&Repo)) -> Sync {
        write(&self.repo);
        let commit = self.repo.commit("Mend it");
        let sync = self.team.applied("app", &commit).await;
        let status = sync.status.as_ref().unwrap();
        assert!(
            status.failures.is_empty() && status.counts.failed == 0,
            "{status:#?}"
        );
        self.team.gone::<ConfigMap>("goes").await;
        self.value("keep", "two").await;
        self.value("new", "one").await;
        sync
    }

    /// The object that was dropped is the one that was applied, and still is after one more whole pass.
    pub(crate) async fn stands(&self) {
        self.another_pass().await;
        let now: ConfigMap = self.team.api().get("goes").await.expect("nothing is pruned");
        assert_eq!(now.uid(), self.goes.uid(), "it was deleted and made again");
        assert!(now.metadata.deletion_timestamp.is_none(), "it is being deleted");
    }

    /// Waits until the Sync has made one more pass.
    pub(crate) async fn another_pass(&self) -> Sync {
        self.another_pass_of("app").await
    }

    /// The same of another Sync.
    pub(crate) async fn another_pass_of(&self, sync: &str) -> Sync {
        // The version that was there last: no two passes are asked for by the same word.
        let before: Sync = self.team.api().get(sync).await.unwrap();
        let word = before.resource_version().unwrap();
        self.team.request(sync, &word).await;
        self.team
            .until(sync, "the requested pass to be made", |sync: &Sync| {
                sync.status
                    .as_ref()
                    .is_some_and(|status| status.last_handled_request == word)
            })
            .await
    }

    /// Waits until the `ConfigMap` has this value.
    pub(crate) async fn value(&self, name: &str, value: &str) {
        let what = format!("ConfigMap {name} to hold {value:?}");
        self.team
            .until(name, &what, |map: &ConfigMap| {
                map.data.as_ref().and_then(|data| data.get("value")) == Some(&value.to_owned())
            })
            .await;
    }

    /// Waits until the Secret has this value.
    pub(crate) async fn holds(&self, name: &str, key: &str, value: &str) {
        let what = format!("Secret {name} to be opened");
        self.team
            .until(name, &what, |secret: &Secret| {
                let data = secret.data.as_ref().and_then(|data| data.get(key));
                data.is_some_and(|found| found.0 == value.as_bytes())
            })
            .await;
    }

    /// Exactly these failures are reported, each with its place and with something to do.
    pub(crate) fn says(&self, sync: &Sync, wanted: &[Said<'_>]) {
        let status = sync.status.as_ref().unwrap();
        let failures = &status.failures;
        assert_eq!(failures.len(), wanted.len(), "{failures:#?}");
        assert_eq!(usize::try_from(status.counts.failed).unwrap(), wanted.len());
        for wanted in wanted {
            let [source, object, message, hint] = wanted.map(|text| text.replace("NS", self.team.name()));
            let found = failures
                .iter()
                .find(|found| found.source == source && found.object == object);
            let found = found
                .unwrap_or_else(|| panic!("nothing is said of {object:?} in {source:?}:\n{failures:#?}"));
            assert!(found.message.contains(&message), "wanted {message:?}: {found:#?}");
            assert!(found.hint.contains(&hint), "wanted {hint:?}: {found:#?}");
            assert!(
                !found.hint.is_empty(),
                "it says nothing of what to do: {found:#?}"
            );
        }
    }

    /// What is said of one object.
    pub(crate) fn warning<'b>(&self, sync: &'b Sync, object: &str) -> Option<&'b ObjectReport> {
        let object = object.replace("NS", self.team.name());
        let warnings = &sync.status.as_ref().unwrap().warnings;
        warnings.iter().find(|found| found.object == object)
    }
}

/// What the Sync says is a sentence, and it is not done.
pub(crate) fn is_said(sync: &Sync) {
    let message = objects::message(sync, "Ready");
    assert!(
        message.ends_with(['.', '…']) && message.len() > 20,
        "no sentence: {message:?}"
    );
    assert_ne!(
        objects::applied(sync),
        objects::attempted(sync),
        "it claims to have applied what failed"
    );
}

/// What `signet seal` gives for an object in JSON.
pub(crate) fn parse(sealed: &str) -> Value {
    serde_json::from_str(sealed).expect("what came as JSON is sealed as JSON")
}
