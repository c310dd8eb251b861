//! What the tests about order, hooks and health have in common: objects that become ready, and hooks that end, when the
//! test says so.

use crds::{HealthCheck, HookReport, Sync, SyncSpec, SyncStatus};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use tests::audit::{CONTROLLER, Mark};
use tests::{Repo, Space, Stage, wait};

/// A namespace, and a repository with the Repository `app` for it.
pub(crate) async fn begin(name: &str) -> (Space<'static>, Repo) {
    let stage = Stage::shared().await;
    let team = stage.space(name);
    let repo = stage.git.repository(team.name());
    repo.commit("Begin");
    team.repository("app", &repo).await;
    (team, repo)
}

/// Judges ConfigMaps: one with a key `gate` is ready once the test has given it the state `good`; `bad` is a failure.
pub(crate) fn gates(spec: &mut SyncSpec) {
    spec.health_checks = vec![HealthCheck {
        kind: "ConfigMap".into(),
        failed: Some("has(self.data.state) && self.data.state == 'bad'".into()),
        current: "!has(self.data.gate) || (has(self.data.state) && self.data.state == 'good')".into(),
        ..HealthCheck::default()
    }];
}

/// A ConfigMap with annotations.
pub(crate) fn map(name: &str, annotations: &[(&str, &str)], data: &Value) -> String {
    let annotations = object(annotations);
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "annotations": annotations},
        "data": data})
    .to_string()
}

/// A ConfigMap that is ready when [`tell`] says so.
pub(crate) fn gated(name: &str, annotations: &[(&str, &str)]) -> String {
    map(name, annotations, &json!({"gate": "shut"}))
}

/// A ConfigMap that is ready at once.
pub(crate) fn plain(name: &str, annotations: &[(&str, &str)]) -> String {
    map(name, annotations, &json!({"value": "one"}))
}

/// Tells a gated ConfigMap its state, as somebody else than the controller.
pub(crate) async fn tell(team: &Space<'_>, name: &str, state: &str) {
    let patch = Patch::Merge(json!({"data": {"state": state}}));
    let maps = team.api::<ConfigMap>();
    maps.patch(name, &PatchParams::default(), &patch).await.unwrap();
}

/// A Job. One that `waits` has a Pod that no node takes: it runs until [`end`] ends it.
pub(crate) fn job(name: &str, waits: bool, annotations: &[(&str, &str)]) -> String {
    json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": name, "annotations": object(annotations)},
        "spec": job_spec(waits),
    })
    .to_string()
}

/// The spec of such a Job. It is tried once.
pub(crate) fn job_spec(waits: bool) -> Value {
    let selector = if waits {
        json!({"signet-test/never": "true"})
    } else {
        json!({})
    };
    json!({"backoffLimit": 0, "template": {"spec": {
        "restartPolicy": "Never", "nodeSelector": selector, "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "main", "image": "main:1"}]}}})
}

/// Ends a waiting Job as a kubelet would: `Succeeded` or `Failed`. Gives the Job's uid.
pub(crate) async fn end(team: &Space<'_>, name: &str, phase: &str) -> String {
    let uid = team.until(name, "the Job", |job: &Job| {
        job.metadata.deletion_timestamp.is_none()
    });
    let uid = uid.await.uid().unwrap();
    let of_job = ListParams::default().labels(&format!("batch.kubernetes.io/controller-uid={uid}"));
    let pods = team.api::<Pod>();
    let pod = wait::poll("the Job's Pod", || async {
        let found = pods.list(&of_job).await.unwrap();
        found
            .items
            .into_iter()
            .next()
            .ok_or_else(|| format!("{name} has none"))
    })
    .await;
    let patch = Patch::Merge(json!({"status": {"phase": phase}}));
    let pod = pod.name_any();
    pods.patch_status(&pod, &PatchParams::default(), &patch)
        .await
        .unwrap();
    uid
}

/// The uid of a Job, once it is there and is not the one that was.
pub(crate) async fn next_job(team: &Space<'_>, name: &str, last: &str) -> String {
    let found = team.until(name, "the next Job", |job: &Job| {
        job.uid().as_deref() != Some(last) && job.metadata.deletion_timestamp.is_none()
    });
    found.await.uid().unwrap()
}

/// Which Jobs the controller has made in this namespace since then, in order.
pub(crate) fn jobs_made(team: &Space<'_>, mark: Mark) -> Vec<String> {
    let answered = team
        .stage()
        .cluster
        .audit()
        .answered(mark, CONTROLLER)
        .into_iter();
    answered
        .filter(|(request, code)| {
            request.namespace == team.name() && request.resource == "jobs" && *code == 201
        })
        .map(|(request, _)| request.name)
        .collect()
}

/// Whether ConfigMaps of this name are there.
pub(crate) async fn has(team: &Space<'_>, name: &str) -> bool {
    team.api::<ConfigMap>().get_opt(name).await.unwrap().is_some()
}

/// None of these ConfigMaps comes for a while.
pub(crate) async fn none_of(team: &Space<'_>, names: &[&str]) {
    wait::throughout(std::time::Duration::from_secs(2), || async {
        for name in names {
            if has(team, name).await {
                return Err(format!("{name} is there"));
            }
        }
        Ok(())
    })
    .await;
}

pub(crate) fn status(sync: &Sync) -> SyncStatus {
    sync.status.clone().unwrap_or_default()
}

/// The reason of a condition.
pub(crate) fn reason(sync: &Sync, condition: &str) -> String {
    let conditions = status(sync).conditions;
    let found = conditions.into_iter().find(|known| known.type_ == condition);
    found.map(|known| known.reason).unwrap_or_default()
}

/// What the status says of an object that is not ready.
pub(crate) fn unhealthy(sync: &Sync, object: &str) -> Option<String> {
    let reports = status(sync).unhealthy.into_iter();
    reports
        .filter(|report| report.object == object)
        .map(|report| format!("{}: {}", report.status, report.message))
        .next()
}

/// What the status says of a hook, in any phase.
pub(crate) fn hook(sync: &Sync, object: &str) -> Option<HookReport> {
    status(sync)
        .hooks
        .into_iter()
        .find(|report| report.object == object)
}

pub(crate) fn hook_is(sync: &Sync, object: &str, state: &str) -> bool {
    hook(sync, object).is_some_and(|report| report.state == state)
}

fn object(pairs: &[(&str, &str)]) -> Value {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), json!(value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
