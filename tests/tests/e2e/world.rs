//! What tests of policy stand on: a team with a Repository, and short ways to change a Sync and to read what it says.

use std::time::Duration;

use crds::{Approval, ApprovalSpec, LocalReference, PlanReport, Sync, SyncSpec, SyncStatus, annotation};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tests::audit::{Mark, Request};
use tests::{Repo, Space, Stage, objects, wait};

/// Long enough for a controller that does what it must not to have done it.
pub(crate) const A_WHILE: Duration = Duration::from_secs(3);

/// A team, and the Repository `app` that it has.
pub(crate) struct World<'a> {
    pub(crate) team: Space<'a>,
    pub(crate) repo: Repo,
}

impl World<'static> {
    pub(crate) async fn begin(name: &str) -> Self {
        World::on(Stage::shared().await, name).await
    }
}

impl<'a> World<'a> {
    pub(crate) async fn on(stage: &'a Stage, name: &str) -> Self {
        let team = stage.space(name);
        let repo = stage.git.repository(team.name());
        repo.commit("Begin");
        team.repository("app", &repo).await;
        Self { team, repo }
    }

    /// Commits `ConfigMaps` of the path `app`, each with its value.
    pub(crate) fn maps(&self, maps: &[(&str, &str)]) -> String {
        for (name, value) in maps {
            self.repo
                .write(&format!("app/{name}.yaml"), objects::config_map(name, value));
        }
        self.repo.commit("Write maps")
    }

    /// Commits that these are gone.
    pub(crate) fn drop_maps(&self, names: &[&str]) -> String {
        for name in names {
            self.repo.remove(&format!("app/{name}.yaml"));
        }
        self.repo.write("app/README.md", "Maps.\n");
        self.repo.commit("Drop maps")
    }

    /// The Sync `app` with `ConfigMaps`, applied.
    pub(crate) async fn applied(&self, maps: &[(&str, &str)], change: impl FnOnce(&mut SyncSpec)) -> Sync {
        let commit = self.maps(maps);
        self.team.sync_with("app", "app", change).await;
        self.team.applied("app", &commit).await
    }

    /// Changes the Sync's spec.
    pub(crate) async fn set(&self, sync: &str, spec: Value) {
        let patch = json!({"spec": spec});
        self.team
            .api::<Sync>()
            .patch(sync, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .expect("the Sync can be changed");
    }

    /// Writes into a `ConfigMap` as some other manager.
    pub(crate) async fn edit(&self, manager: &str, map: &str, patch: Value) {
        let params = PatchParams {
            field_manager: Some(manager.to_owned()),
            ..PatchParams::default()
        };
        self.team
            .api::<ConfigMap>()
            .patch(map, &params, &Patch::Merge(patch))
            .await
            .expect("the ConfigMap can be edited");
    }

    /// Waits until the Sync's Ready has this reason.
    pub(crate) async fn says(&self, sync: &str, wanted: &str) -> Sync {
        self.until(sync, wanted, |_| true).await
    }

    /// Waits until the Sync's Ready has this reason, and the status is as wanted.
    pub(crate) async fn until(
        &self,
        sync: &str,
        wanted: &str,
        mut accept: impl FnMut(&SyncStatus) -> bool,
    ) -> Sync {
        let what = format!("Sync {sync} to say {wanted}");
        self.team
            .until(sync, &what, |sync: &Sync| {
                let status = sync.status.as_ref();
                reason(sync) == wanted
                    && status.is_some_and(|status| {
                        Some(status.observed_generation) == sync.metadata.generation && accept(status)
                    })
            })
            .await
    }

    /// Waits until the `ConfigMap` has this value.
    pub(crate) async fn value(&self, name: &str, value: &str) {
        let what = format!("ConfigMap {name} to hold {value:?}");
        self.team
            .until(name, &what, |map: &ConfigMap| value_of(map) == Some(value))
            .await;
    }

    /// The `ConfigMaps` have these values and still do after a while; none: it is not there.
    pub(crate) async fn stays(&self, maps: &[(&str, Option<&str>)]) {
        wait::throughout(A_WHILE, || async {
            for (name, wanted) in maps {
                let map = self.team.api::<ConfigMap>().get_opt(name).await.unwrap();
                let found = map
                    .as_ref()
                    .filter(|map| map.metadata.deletion_timestamp.is_none());
                let found = found.and_then(value_of);
                if found != *wanted {
                    return Err(format!("ConfigMap {name}: {found:?}"));
                }
            }
            Ok(())
        })
        .await;
    }

    /// Approves a plan as the administrator.
    pub(crate) async fn approve(&self, name: &str, sync: &str, digest: &str) {
        let sync_ref = LocalReference { name: sync.into() };
        let mut approval = Approval::new(
            name,
            ApprovalSpec {
                sync_ref,
                digest: digest.into(),
                expires: None,
            },
        );
        approval
            .annotations_mut()
            .insert(annotation::APPROVED_BY.into(), "signet-cluster-admin".into());
        self.team
            .api::<Approval>()
            .create(&PostParams::default(), &approval)
            .await
            .expect("the administrator may approve");
    }

    /// Waits for an event about the Sync `app` that holds all these words.
    pub(crate) async fn told(&self, reason: &str, words: &[&str]) -> String {
        let what = format!("event {reason} with {words:?}");
        let event: Event = wait::any(
            &self.team.stage().cluster,
            self.team.api(),
            &what,
            |event: &Event| {
                let note = event.note.as_deref().unwrap_or_default();
                event.reason.as_deref() == Some(reason) && words.iter().all(|word| note.contains(word))
            },
        )
        .await;
        event.note.unwrap_or_default()
    }

    pub(crate) fn mark(&self) -> Mark {
        self.team.stage().cluster.audit().mark()
    }

    /// What the controller wrote since then into the namespace: no dry runs, no events, no Sync's status.
    pub(crate) fn writes(&self, mark: Mark) -> Vec<Request> {
        let mut requests = self.team.stage().cluster.audit().by_controller(mark);
        requests.retain(|request| {
            request.namespace == self.team.name()
                && request.writes()
                && !request.uri.contains("dryRun=All")
                && !request.uri.contains("/status")
                && !["events", "repositories"].contains(&request.resource.as_str())
        });
        requests
    }
}

/// The reason of Ready.
pub(crate) fn reason(sync: &Sync) -> &str {
    let conditions = sync.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let ready = conditions.iter().find(|known| known.type_ == "Ready");
    ready.map_or("", |ready| &ready.reason)
}

pub(crate) fn status(sync: &Sync) -> &SyncStatus {
    sync.status.as_ref().expect("it has a status")
}

pub(crate) fn plan(sync: &Sync) -> &PlanReport {
    status(sync).plan.as_ref().expect("it shows a plan")
}

pub(crate) fn value_of(map: &ConfigMap) -> Option<&str> {
    map.data.as_ref()?.get("value").map(String::as_str)
}
