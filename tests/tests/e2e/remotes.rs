//! Where a Repository may be: beside http, over https with a certificate authority of its own, and in a directory.

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;
use tests::tls::Tls;
use tests::{Cluster, ClusterRef, ControllerOptions, Space, Stage, objects, run};

#[test]
fn https_with_an_authority_of_its_own_and_only_with_that() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("https");
        let tls = Tls::start(stage.git.address()).await;
        let repo = stage.git.repository(team.name());
        let commit = repo
            .write("app/map.yaml", objects::config_map("map", "one"))
            .commit("Begin");
        let url = repo
            .url()
            .replace(&format!("http://{}", stage.git.address()), &tls.url());
        assert!(url.starts_with("https://"), "{url}");
        team.repository_with("app", &repo, |spec| spec.url.clone_from(&url))
            .await;
        team.sync("app", "app").await;
        let refused = team
            .until(
                "app",
                "the Repository to be refused",
                |found: &crds::Repository| {
                    found.status.as_ref().is_some_and(|status| {
                        status
                            .conditions
                            .iter()
                            .any(|c| c.type_ == "Ready" && c.message.contains("certificate"))
                    })
                },
            )
            .await;
        eprintln!("{:?}", refused.status.map(|status| status.conditions));

        let objects = objects::list(&[
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "git", "namespace": team.name()},
                "stringData": {"ca.crt": tls.authority()}}),
            // As deploy/README.md has it: credentials are read with a right that each namespace gives.
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
                "metadata": {"name": "git", "namespace": team.name()},
                "rules": [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["git"], "verbs": ["get"]}]}),
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                "metadata": {"name": "git", "namespace": team.name()},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "git"},
                "subjects": [{"kind": "ServiceAccount", "name": "signet-controller", "namespace": "signet-system"}]}),
        ]);
        stage
            .cluster
            .kubectl_with(["apply", "--server-side", "-f", "-"], &objects.to_string())
            .ok();
        let patch = [
            "patch",
            "repository",
            "app",
            "--type=merge",
            "--patch",
            r#"{"spec":{"secretRef":{"name":"git"}}}"#,
        ];
        team.kubectl(patch).ok();
        team.applied("app", &commit).await;
    });
}

#[test]
fn a_directory_below_the_allowed_one_and_no_other() {
    run(async {
        let cluster = Cluster::own().await;
        let mut options = ControllerOptions::for_tests(&cluster);
        let allowed = cluster.home().join("git");
        options
            .arguments
            .push(format!("--allow-file-remotes={}", allowed.display()));
        let stage = Stage::on(ClusterRef::Own(Box::new(cluster)), options).await;
        let team = stage.space("file");
        let repo = stage.git.repository(team.name());
        let commit = repo
            .write("app/map.yaml", objects::config_map("map", "one"))
            .commit("Begin");
        let bare = repo.bare().display().to_string();
        assert!(bare.starts_with(allowed.to_str().unwrap()), "{bare}");
        team.repository_with("app", &repo, |spec| spec.url = format!("file://{bare}"))
            .await;
        team.sync("app", "app").await;
        team.applied("app", &commit).await;
        let next = repo
            .write("app/map.yaml", objects::config_map("map", "two"))
            .commit("Change it");
        team.applied("app", &next).await;
        holds(&team, "two").await;

        team.repository_with("other", &repo, |spec| spec.url = "file:///etc".into())
            .await;
        team.until(
            "other",
            "the Repository to be refused",
            |found: &crds::Repository| {
                found.status.as_ref().is_some_and(|status| {
                    status
                        .conditions
                        .iter()
                        .any(|c| c.type_ == "Ready" && format!("{:?}", c.status) == "False")
                })
            },
        )
        .await;
    });
}

async fn holds(team: &Space<'_>, value: &str) {
    team.until("map", value, |map: &ConfigMap| {
        map.data
            .as_ref()
            .and_then(|data| data.get("value"))
            .is_some_and(|found| found == value)
    })
    .await;
}
