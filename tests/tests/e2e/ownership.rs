//! Whose an object is: through Syncs that go and come back, deletes that fail, and repairs that are refused.

use std::time::Duration;

use crds::{DeletionPolicy, Sync};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::ResourceExt;
use kube::api::DeleteParams;
use tests::audit::{CONTROLLER, summary};
use tests::{Space, Stage, objects, run, wait};

/// Long enough for a controller that does what it must not to have done it.
const A_WHILE: Duration = Duration::from_secs(4);

#[test]
fn a_sync_made_again_owns_nothing_of_the_one_before() {
    run(async {
        let mut stage = Stage::own().await;
        let team = stage.space("again");
        let repo = stage.git.repository(team.name());
        repo.write("one/a.yaml", objects::config_map("of-the-first", "one"));
        repo.write("two/b.yaml", objects::config_map("of-the-second", "two"));
        let commit = repo.commit("Begin");
        team.repository("app", &repo).await;
        team.sync("same", "one").await;
        team.applied("same", &commit).await;
        let name = team.name().to_owned();
        std::mem::forget(team); // the cluster goes as a whole

        // Gone while nobody looks: the controller learns only that there is no such Sync any more.
        assert!(stage.controller.stop().success());
        stage
            .cluster
            .kubectl(["delete", "sync", "same", "--namespace", &name])
            .ok();
        let spec = format!(
            r#"{{"apiVersion":"signet.dev/v1alpha1","kind":"Sync","metadata":{{"name":"same","namespace":"{name}"}},
            "spec":{{"sourceRef":{{"name":"app"}},"path":"two","serviceAccountName":"deployer"}}}}"#
        );
        stage.cluster.kubectl_with(["create", "-f", "-"], &spec).ok();
        stage.controller.start_again().await;
        let applied = [
            "wait",
            "sync/same",
            "--for=condition=Ready",
            "--timeout=60s",
            "--namespace",
            &name,
        ];
        stage.cluster.kubectl(applied).ok();
        for map in ["of-the-first", "of-the-second"] {
            stage
                .cluster
                .kubectl(["get", "configmap", map, "--namespace", &name])
                .ok();
        }
        let checkpoints = stage
            .cluster
            .kubectl([
                "get",
                "secrets",
                "-n",
                "signet-system",
                "-l",
                "signet.dev/checkpoint",
                "-o",
                "name",
            ])
            .ok();
        assert_eq!(
            checkpoints.lines().count(),
            1,
            "the first one's checkpoint is swept away: {checkpoints}"
        );
    });
}

#[test]
fn a_sync_of_another_name_takes_over_what_one_that_is_gone_left() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("renamed");
        let repo = stage.git.repository(team.name());
        repo.write("app/map.yaml", objects::config_map("map", "one"));
        let first = repo.commit("Begin");
        team.repository("app", &repo).await;
        team.sync("old", "app").await;
        team.applied("old", &first).await;
        team.api::<Sync>()
            .delete("old", &DeleteParams::default())
            .await
            .unwrap();
        team.gone::<Sync>("old").await;
        team.sync("new", "app").await;
        team.applied("new", &first).await;
        repo.remove("app/map.yaml")
            .write("app/other.yaml", objects::config_map("other", "one"));
        let second = repo.commit("Move on");
        team.applied("new", &second).await;
        team.gone::<ConfigMap>("map").await;
    });
}

#[test]
fn a_sync_that_goes_with_its_objects_leaves_what_another_one_holds() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("renamed-both");
        let repo = stage.git.repository(team.name());
        repo.write("app/map.yaml", objects::config_map("map", "one"))
            .write("old/only.yaml", objects::config_map("only", "one"))
            .write("old/map.yaml", objects::config_map("map", "one"));
        let first = repo.commit("Begin");
        team.repository("app", &repo).await;
        team.sync_with("old", "old", |spec| spec.deletion_policy = DeletionPolicy::Delete)
            .await;
        team.applied("old", &first).await;
        let before: ConfigMap = team.api().get("map").await.unwrap();
        team.sync("new", "app").await;
        team.failed("new", &first).await;
        team.api::<Sync>()
            .delete("old", &DeleteParams::default())
            .await
            .unwrap();
        team.gone::<ConfigMap>("only").await;
        team.gone::<Sync>("old").await;
        team.applied("new", &first).await;
        let after: ConfigMap = team.api().get("map").await.unwrap();
        assert_eq!(before.uid(), after.uid(), "it was made anew");
    });
}

#[test]
fn what_could_not_be_deleted_is_watched_as_before() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("undeleted");
        let repo = stage.git.repository(team.name());
        repo.write("app/keep.yaml", objects::config_map("keep", "one"))
            .write("app/map.yaml", objects::config_map("map", "one"));
        repo.commit("Begin");
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        team.until("map", "the ConfigMap", |_: &ConfigMap| true).await;
        may(&team, "get,list,watch,create,patch,update").await;
        repo.remove("app/map.yaml");
        let removed = repo.commit("Remove what may not be deleted");
        team.failed("app", &removed).await;
        repo.write("app/map.yaml", objects::config_map("map", "one"));
        let restored = repo.commit("Put it back");
        team.applied("app", &restored).await;
        let patch = [
            "patch",
            "configmap",
            "map",
            "--patch",
            r#"{"data":{"value":"wrong"}}"#,
        ];
        team.repaired("map", &patch, |map: &ConfigMap| {
            map.data
                .as_ref()
                .and_then(|data| data.get("value"))
                .is_some_and(|value| value == "one")
        })
        .await;
    });
}

#[test]
fn repairs_that_are_refused_are_tried_ever_more_slowly() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("refused");
        let repo = stage.git.repository(team.name());
        for n in 0..20 {
            repo.write(
                &format!("app/{n}.yaml"),
                objects::config_map(&format!("map-{n}"), "one"),
            );
        }
        let commit = repo.commit("Begin");
        team.repository_with("app", &repo, |spec| spec.interval = "1h".into())
            .await;
        team.sync("app", "app").await;
        team.applied("app", &commit).await;
        may(&team, "get,list,watch").await;
        let mark = stage.cluster.audit().mark();
        team.kubectl(["delete", "configmaps", "-l", crds::label::APPLYSET_PART_OF])
            .ok();
        wait::throughout(A_WHILE * 2, || async { Ok(()) }).await;
        let user = format!("system:serviceaccount:{}:deployer", team.name());
        let mut requests = stage.cluster.audit().since(mark, CONTROLLER);
        requests.retain(|request| {
            request.verb == "patch" && request.namespace == team.name() && request.resource == "configmaps"
        });
        eprintln!("as {user}: {}", summary(&requests));
        // One for each delete, and a handful of passes over all of them; a loop sends thousands.
        assert!((20..=200).contains(&requests.len()), "{} applies", requests.len());
        may(&team, "get,list,watch,create,patch,update,delete").await;
        team.request("app", "again").await;
        team.until("map-7", "the ConfigMap to be back", |_: &ConfigMap| true)
            .await;
    });
}

/// From now on the deployer has these verbs on ConfigMaps, and nothing else.
async fn may(team: &Space<'_>, verbs: &str) {
    let bindings = team.api::<RoleBinding>();
    let _ = bindings.delete(objects::DEPLOYER, &DeleteParams::default()).await;
    let _ = team.kubectl(["delete", "rolebinding,role", "maps", "--ignore-not-found"]);
    team.kubectl([
        "create",
        "role",
        "maps",
        "--resource=configmaps",
        &format!("--verb={verbs}"),
    ])
    .ok();
    let account = format!("--serviceaccount={}:deployer", team.name());
    team.kubectl(["create", "rolebinding", "maps", "--role=maps", &account])
        .ok();
}
