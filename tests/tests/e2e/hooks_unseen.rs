//! A hook whose end could not be seen: of a kind that the controller may not watch.

use std::time::Duration;

use serde_json::json;
use tests::{run, wait};

use crate::order_world::{begin, has, plain};

const HOOK: &str = "signet.dev/hook";
/// Long enough for a controller that does what it must not to have done it.
const A_WHILE: Duration = Duration::from_secs(3);

#[test]
fn a_hook_of_a_kind_that_cannot_be_watched_runs_once_it_can() {
    run(async {
        let (team, repo) = begin("unseen").await;
        team.make_platform();
        let cluster = &team.stage().cluster;
        let put = |object: serde_json::Value| {
            let apply = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
            cluster.kubectl_with(apply, &object.to_string()).ok();
        };
        let group = format!("{}.example.com", team.name());
        let plural = format!("bells.{group}");
        put(json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": plural},
            "spec": {"group": group, "scope": "Namespaced",
                "names": {"kind": "Bell", "plural": "bells", "singular": "bell"},
                "versions": [{"name": "v1", "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": {"type": "object"}}}]}}));
        cluster
            .kubectl(["wait", &format!("crd/{plural}"), "--for=condition=Established"])
            .ok();
        let bell = json!({"apiVersion": format!("{group}/v1"), "kind": "Bell",
            "metadata": {"name": "ring", "annotations": {HOOK: "Pre"}}});
        repo.write("app/bell.yaml", bell.to_string())
            .write("app/a.yaml", plain("a", &[]));
        let commit = repo.commit("Begin");
        team.sync("app", "app").await;
        let sync = team.failed("app", &commit).await;
        let failures = sync.status.unwrap().failures;
        assert!(
            failures.iter().any(|failure| {
                let said = "the hook is not run, since its end would not be seen: objects of this kind cannot be watched";
                failure.object.ends_with("/ring") && failure.message.contains(said)
            }),
            "{failures:#?}"
        );
        let bells = ["get", plural.as_str(), "--output=name"];
        wait::throughout(A_WHILE, || async {
            let found = team.kubectl(bells).ok();
            if found.is_empty() && !has(&team, "a").await {
                Ok(())
            } else {
                Err(format!("{found}, or what comes after it"))
            }
        })
        .await;

        // The right is all that was missing; no commit is.
        let role = format!("observe-{}", team.name());
        put(
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": role, "labels": {"signet.dev/aggregate-to-observe": "true"}},
            "rules": [{"apiGroups": [group], "resources": ["*"], "verbs": ["get", "list", "watch"]}]}),
        );
        team.applied("app", &commit).await;
        assert!(has(&team, "a").await);
        assert!(!team.kubectl(bells).ok().is_empty(), "it was run");
        cluster
            .kubectl(["delete", &format!("crd/{plural}"), &format!("clusterrole/{role}")])
            .ok();
    });
}
