//! A namespace with a Git repository, a Repository that never polls by itself, and one Sync.

use std::time::{Duration, Instant};

use crds::{Repository, Sync};
use futures::StreamExt;
use kube::api::{Patch, PatchParams};
use kube::runtime::watcher::watch_object;
use kube::{Api, Client};
use serde_json::json;
use tests::wait::Watched;
use tests::{Cluster, GitServer, Repo, objects};

/// Nothing that is measured takes longer.
const LONG: Duration = Duration::from_mins(4);

pub(crate) struct Team {
    pub(crate) namespace: String,
    pub(crate) repo: Repo,
    repositories: Api<Repository>,
    syncs: Api<Sync>,
}

impl Team {
    /// Makes it, and waits until the Sync has applied a first commit that holds no object.
    pub(crate) async fn create(cluster: &Cluster, client: Client, git: &GitServer, namespace: &str) -> Self {
        let team = Self {
            namespace: namespace.to_owned(),
            repo: git.repository(namespace),
            repositories: Api::namespaced(client.clone(), namespace),
            syncs: Api::namespaced(client, namespace),
        };
        team.repo.write("objects/README.md", "Nothing to apply yet.\n");
        let commit = team.repo.commit("nothing");
        let api = "signet.dev/v1alpha1";
        let place = json!({"name": "app", "namespace": namespace});
        // The remote is asked when a request asks for it, and at no other time: every count is exact.
        let custom = objects::list(&[
            json!({"apiVersion": api, "kind": "Repository", "metadata": place,
                "spec": {"url": team.repo.url(), "interval": "1h"}}),
            json!({"apiVersion": api, "kind": "Sync", "metadata": place, "spec": {
                "sourceRef": {"kind": "Repository", "name": "app"},
                "path": "objects", "serviceAccountName": objects::DEPLOYER}}),
        ]);
        for objects in [objects::team(namespace), custom] {
            cluster
                .kubectl_with(["apply", "--server-side", "-f", "-"], &objects.to_string())
                .ok();
        }
        team.applied(&commit).await;
        team
    }

    /// Changes the Repository's specification.
    pub(crate) async fn set(&self, spec: serde_json::Value) {
        let patch = Patch::Merge(json!({"spec": spec}));
        let answer = self
            .repositories
            .patch("app", &PatchParams::default(), &patch)
            .await;
        answer.expect("the Repository can be changed");
    }

    /// Asks for a reconciliation now; it begins with a look at the remote.
    pub(crate) async fn request(&self, value: &str) {
        let patch = json!({"metadata": {"annotations": {crds::annotation::REQUESTED_AT: value}}});
        self.syncs
            .patch("app", &PatchParams::default(), &Patch::Merge(patch))
            .await
            .expect("the Sync can be annotated");
    }

    /// When the Sync was seen to have handled a request.
    pub(crate) async fn handled(&self, value: &str) -> Instant {
        until(&self.syncs, &format!("request {value}"), |sync| {
            sync.status
                .as_ref()
                .is_some_and(|status| status.last_handled_request == value)
        })
        .await
    }

    /// When the Repository was seen to hold a commit.
    pub(crate) async fn visible(&self, commit: &str) -> Instant {
        until(&self.repositories, &format!("commit {commit}"), |repository| {
            let head = repository.status.as_ref().and_then(|status| status.head.as_ref());
            head.is_some_and(|head| head.commit == commit)
        })
        .await
    }

    /// When the Sync was seen to have applied a commit.
    pub(crate) async fn applied(&self, commit: &str) -> Instant {
        until(&self.syncs, &format!("commit {commit} to be applied"), |sync| {
            objects::applied(sync) == commit && objects::is(sync, "Ready", "True")
        })
        .await
    }
}

async fn until<K: Watched>(api: &Api<K>, what: &str, mut accept: impl FnMut(&K) -> bool) -> Instant {
    let mut states = watch_object(api.clone(), "app").boxed();
    let mut last = String::new();
    let seen = async {
        while let Some(state) = states.next().await {
            match state {
                Ok(Some(object)) if accept(&object) => return Instant::now(),
                other => last = format!("{other:?}"),
            }
        }
        unreachable!("a watch has no end")
    };
    let seen = tokio::time::timeout(LONG, seen).await;
    seen.unwrap_or_else(|_| panic!("waited {LONG:?} for {what}; last seen: {last}"))
}
