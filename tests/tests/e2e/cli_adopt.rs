//! `signet adopt` against a real API server: what Flux and Argo CD have, what a shadow would change of it, and then it does.

use crds::Mode;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use serde_json::{Value, json};
use tests::{command, run};

use crate::world::{World, status, value_of};

#[test]
fn what_other_tools_have_is_listed_with_what_would_change() {
    run(async {
        let world = World::begin("adopt").await;
        let (team, cluster) = (&world.team, &world.team.stage().cluster);
        let put = |manager: &str, name: &str, value: &str, marks: Value| {
            let mut object =
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": marks, "data": {"value": value}});
            object["metadata"]["name"] = name.into();
            let manager = format!("--field-manager={manager}");
            let apply = [
                "apply",
                "--server-side",
                &manager,
                "--namespace",
                team.name(),
                "-f",
                "-",
            ];
            cluster.kubectl_with(apply, &object.to_string()).ok();
        };
        let flux = json!({"labels": {"kustomize.toolkit.fluxcd.io/name": "shop",
            "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}});
        put("kustomize-controller", "differs", "old", flux.clone());
        put("kustomize-controller", "elsewhere", "old", flux);
        let id = format!("shop:/ConfigMap:{}/argo", team.name());
        let argo = json!({"annotations": {"argocd.argoproj.io/tracking-id": id}});
        put("argocd-controller", "argo", "old", argo);
        let uid = |name: &'static str| async move {
            let map: ConfigMap = team.api().get(name).await.unwrap();
            (map.uid(), map.resource_version())
        };
        let before = [uid("differs").await, uid("elsewhere").await, uid("argo").await];

        let mark = world.mark();
        world.maps(&[("differs", "new"), ("argo", "new"), ("missing", "new")]);
        team.sync_with("app", "app", |spec| spec.mode = Mode::Detect)
            .await;
        let sync = world.says("app", "Differs").await;
        let plan = status(&sync).plan.clone().unwrap();
        assert_eq!((plan.create, plan.update), (1, 2), "{plan:#?}");
        let here = tempfile::tempdir().unwrap();
        let adopt = |tool: &str| -> Value {
            let mut signet = command::signet(cluster.kubeconfig());
            let arguments = [
                "adopt",
                "--sync=app",
                "-o=json",
                "-n",
                team.name(),
                "--from",
                tool,
            ];
            signet.current_dir(here.path()).args(arguments);
            serde_json::from_str(&command::run(signet, b"").ok()).unwrap()
        };
        let of = |name: &str, change: &str, fields: Value| json!({"object": format!("ConfigMap {}/{name}", team.name()), "change": change, "fields": fields});
        let said = adopt("flux");
        let owner = &said["owners"][0];
        assert_eq!(
            (&owner["kind"], &owner["namespace"], &owner["name"]),
            (&json!("Kustomization"), &json!("flux-system"), &json!("shop")),
            "{said:#}"
        );
        assert_eq!(
            owner["objects"],
            json!([
                of("differs", "changes", json!([".data.value"])),
                of("elsewhere", "none", json!([]))
            ]),
            "{said:#}"
        );
        let steps = owner["steps"].as_array().unwrap();
        assert!(
            steps
                .iter()
                .any(|step| step.as_str().unwrap().contains("suspend")),
            "{said:#}"
        );
        let said = adopt("argocd");
        assert_eq!(said["owners"][0]["kind"], "Application", "{said:#}");
        assert_eq!(
            said["owners"][0]["objects"],
            json!([of("argo", "changes", json!([".data.value"]))]),
            "{said:#}"
        );
        let after = [uid("differs").await, uid("elsewhere").await, uid("argo").await];
        assert_eq!(after, before, "it only looks");
        assert!(world.writes(mark).is_empty(), "{:#?}", world.writes(mark));

        // One switch, and they are the Sync's: the same objects, as Git has them, and nobody else's.
        world.set("app", json!({"mode": "Automatic"})).await;
        world.says("app", "Applied").await;
        for (name, (uid, _)) in [("differs", &before[0]), ("argo", &before[2])] {
            let map: ConfigMap = team.api().get(name).await.unwrap();
            assert_eq!((value_of(&map), &map.uid()), (Some("new"), uid));
            let managers = map
                .managed_fields()
                .iter()
                .filter_map(|entry| entry.manager.as_deref());
            let others: Vec<_> = managers.filter(|name| !name.starts_with("signet/")).collect();
            assert_eq!(others, [""; 0], "{map:#?}");
        }
        let elsewhere: ConfigMap = team.api().get("elsewhere").await.unwrap();
        assert_eq!(value_of(&elsewhere), Some("old"));
    });
}
