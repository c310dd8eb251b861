//! Real repositories: applied clean in one go, and not touched again by a restart that starts from nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crds::Sync;
use kube::ResourceExt;
use kube::api::{Api, DynamicObject, ListParams};
use kube::discovery::{Discovery, verbs};
use serde_json::json;
use tests::audit::summary;
use tests::{Repo, Stage, paths, run, wait};

/// The kinds that kube-prometheus defines; an operator opts them in like this.
const OBSERVED: &str = "monitoring.coreos.com";

#[test]
fn kube_prometheus_and_guestbook_apply_clean_and_again_after_a_restart() {
    let Some(shared) = repos() else {
        eprintln!("there are no real repositories here: nothing to try");
        return;
    };
    run(async {
        // kube-prometheus brings an APIService without a backend, which blocks the deletion of namespaces.
        let mut stage = Stage::own().await;
        observe(&stage);
        let team = stage.space("real");
        team.make_platform();
        let repo = stage.git.repository(team.name());
        copy(&shared.join("kube-prometheus"), &repo, "kube-prometheus");
        copy(&shared.join("guestbook"), &repo, "guestbook");
        let commit = repo.commit("Take the real ones");
        team.repository_with("app", &repo, |spec| spec.interval = "1h".into())
            .await;
        // What never becomes ready is not to run out of time meanwhile: that would be said.
        team.sync_with("kube-prometheus", "kube-prometheus", |spec| {
            spec.timeout = "1h".into();
        })
        .await;
        team.sync("guestbook", "guestbook").await;
        for sync in ["kube-prometheus", "guestbook"] {
            // Nobody runs the operator that kube-prometheus asks for: some of its objects are never ready.
            let done = team.sent(sync, &commit).await;
            let counts = done
                .status
                .as_ref()
                .map(|status| status.counts)
                .unwrap_or_default();
            eprintln!("{sync}: {counts:?}");
            assert_eq!((counts.failed, counts.created), (0, counts.objects), "{sync}");
        }
        let members = members(&stage).await;
        assert!(members.len() > 130, "{} members", members.len());
        // Its namespace stays, with its Syncs: the cluster goes as a whole.
        std::mem::forget(team);
        rest(&stage).await;

        let before = self::members(&stage).await;
        let told = statuses(&stage).await;
        assert!(stage.controller.stop().success());
        stage.controller.clear_caches();
        let mark = stage.cluster.audit().mark();
        stage.controller.start_again().await;
        wait::poll("the Syncs to have looked", || async {
            let requests = stage.cluster.audit().by_controller(mark);
            let mut watched = requests.iter().filter(|request| request.verb == "watch");
            if watched.any(|request| request.resource == "deployments") {
                Ok(())
            } else {
                Err(summary(&requests))
            }
        })
        .await;
        rest(&stage).await;
        let requests = stage.cluster.audit().by_controller(mark);
        let writes: Vec<_> = requests.iter().filter(|request| request.writes()).collect();
        eprintln!("restart: {}", summary(&requests));
        let now = statuses(&stage).await;
        let only = |these: &[String], not: &[String]| -> Vec<String> {
            these.iter().filter(|line| !not.contains(line)).cloned().collect()
        };
        let (gone, new) = (only(&told, &now), only(&now, &told));
        assert!(
            writes.is_empty(),
            "{writes:#?}, no longer said: {gone:#?}, said: {new:#?}"
        );
        assert_eq!(before, self::members(&stage).await, "a resourceVersion moved");
    });
}

fn repos() -> Option<PathBuf> {
    let dir = paths::root().join("../shared/repos");
    dir.join("kube-prometheus").is_dir().then_some(dir)
}

/// Copies every manifest below `from`.
fn copy(from: &Path, repo: &Repo, to: &str) {
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        let to = format!("{to}/{}", name.to_str().unwrap());
        if path.is_dir() {
            copy(&path, repo, &to);
        } else {
            repo.write(&to, std::fs::read(&path).unwrap());
        }
    }
}

/// Lets the controller watch the kinds that kube-prometheus defines.
fn observe(stage: &Stage) {
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "observe-monitoring", "labels": {"signet.dev/aggregate-to-observe": "true"}},
        "rules": [{"apiGroups": [OBSERVED], "resources": ["*"], "verbs": ["get", "list", "watch"]}],
    });
    stage
        .cluster
        .kubectl_with(["apply", "--server-side", "-f", "-"], &role.to_string())
        .ok();
}

/// What all Syncs say.
async fn statuses(stage: &Stage) -> Vec<String> {
    let syncs: Api<Sync> = Api::all(stage.cluster.client());
    let syncs = syncs.list(&ListParams::default()).await.unwrap();
    let said = |sync: &Sync| serde_json::to_string_pretty(&sync.status).unwrap();
    syncs
        .iter()
        .flat_map(|sync| said(sync).lines().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

/// The resource versions of all members of ApplySets, by kind and name.
async fn members(stage: &Stage) -> BTreeMap<String, String> {
    let client = stage.cluster.client();
    let discovery = Discovery::new(client.clone())
        .run_aggregated()
        .await
        .expect("discovery works");
    let selector = ListParams::default().labels(crds::label::APPLYSET_PART_OF);
    let mut found = BTreeMap::new();
    for group in discovery.groups() {
        for (resource, capabilities) in group.recommended_resources() {
            if !capabilities.supports_operation(verbs::LIST) {
                continue;
            }
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
            let Ok(list) = api.list(&selector).await else {
                continue;
            };
            for object in list {
                let name = format!("{} {:?} {}", resource.kind, object.namespace(), object.name_any());
                found.insert(name, object.resource_version().unwrap_or_default());
            }
        }
    }
    found
}

/// Waits until neither the controller asks for anything nor a member changes.
async fn rest(stage: &Stage) {
    let (mut mark, mut known) = (stage.cluster.audit().mark(), members(stage).await);
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(4)).await;
        let (quiet, now) = (
            stage.cluster.audit().by_controller(mark).is_empty(),
            members(stage).await,
        );
        if quiet && now == known {
            return;
        }
        (mark, known) = (stage.cluster.audit().mark(), now);
    }
    panic!("the cluster does not come to rest\n{}", stage.cluster.explain());
}
