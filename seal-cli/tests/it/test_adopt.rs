//! `signet adopt`.

use crate::support::{
    ApiServer, Request, Response, TestEnvironment, discovery, metadata, metadata_list, sync,
};
use serde_json::{Value, json};

const KINDS: [(&str, &str, &str, &str, bool); 5] = [
    ("", "v1", "ConfigMap", "configmaps", true),
    ("", "v1", "Namespace", "namespaces", false),
    ("", "v1", "Pod", "pods", true),
    ("apps", "v1", "Deployment", "deployments", true),
    ("argoproj.io", "v1alpha1", "Application", "applications", true),
];

fn labelled(namespace: &str, name: &str, labels: &Value) -> Value {
    let mut object = metadata(Some(namespace), name);
    object["metadata"]["labels"] = labels.clone();
    object
}

fn tracked(namespace: &str, name: &str, id: &str) -> Value {
    let mut object = metadata(Some(namespace), name);
    object["metadata"]["annotations"] = json!({"argocd.argoproj.io/tracking-id": id});
    object
}

fn shadow() -> Value {
    let mut object = sync("c", "True");
    object["spec"]["mode"] = "Detect".into();
    object["status"]["plan"] = json!({
        "digest": "d", "create": 1, "update": 1, "delete": 0,
        "actions": ["create ConfigMap shop/new", "update Deployment shop/web"],
    });
    object["status"]["drift"] =
        json!([{"object": "Deployment shop/web", "change": "Changed", "fields": [".spec.replicas"]}]);
    object
}

fn answer(request: &Request) -> Response {
    assert_eq!(request.method, "GET", "it changes nothing");
    if let Some(answer) = discovery(&request.path, &KINDS) {
        return answer;
    }
    let flux = json!({
        "kustomize.toolkit.fluxcd.io/name": "shop", "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
    });
    let helm = json!({"helm.toolkit.fluxcd.io/name": "db", "helm.toolkit.fluxcd.io/namespace": "shop"});
    let kustomize_query = request.query.contains("kustomize.toolkit.fluxcd.io%2Fname");
    let helm_query = request.query.contains("helm.toolkit.fluxcd.io%2Fname");
    let everything = !request.query.contains("labelSelector");
    let items = match request.path.strip_prefix("/api/v1").unwrap_or(&request.path) {
        "/apis/signet.dev/v1alpha1/namespaces/shop/syncs/web" => return Response::json(&shadow()),
        "/apis/apps/v1/deployments" | "/apis/apps/v1/namespaces/shop/deployments" if kustomize_query => {
            vec![labelled("shop", "web", &flux)]
        }
        "/configmaps" | "/namespaces/shop/configmaps" if kustomize_query => {
            vec![labelled("shop", "map", &flux)]
        }
        "/configmaps" if helm_query => {
            let mut owned = labelled("shop", "owned", &helm);
            owned["metadata"]["ownerReferences"] =
                json!([{"apiVersion": "v1", "kind": "X", "name": "x", "uid": "u", "controller": true}]);
            vec![labelled("shop", "db", &helm), owned]
        }
        "/namespaces" if kustomize_query => return Response::error(403, "namespaces is forbidden"),
        "/apis/argoproj.io/v1alpha1/applications" if everything => vec![metadata(Some("argocd"), "shop")],
        "/apis/apps/v1/deployments" if everything => vec![
            tracked("shop", "web", "shop:apps/Deployment:shop/web"),
            tracked("shop", "copy", "shop:apps/Deployment:shop/web"),
            tracked("team", "api", "team_api:apps/Deployment:team/api"),
        ],
        "/configmaps" if everything => vec![
            tracked("shop", "map", "shop:/ConfigMap:shop/map"),
            labelled("shop", "by-label", &json!({"app.kubernetes.io/instance": "shop"})),
            labelled(
                "shop",
                "helms",
                &json!({"app.kubernetes.io/instance": "no-application"}),
            ),
        ],
        "/pods" if everything => panic!("nobody deploys what the cluster makes"),
        _ => Vec::new(),
    };
    metadata_list(&items)
}

fn environment() -> (TestEnvironment, ApiServer) {
    let server = ApiServer::start(answer);
    let mut env = TestEnvironment::new();
    env.use_cluster(&server);
    (env, server)
}

#[test]
fn what_flux_has_and_what_a_sync_would_change() {
    let (env, _server) = environment();
    let output = env.signet(&["adopt", "--from", "flux", "--sync", "web", "-n", "shop"]);
    assert_eq!((output.code, output.stderr.as_str()), (0, ""));
    let patch = "--type merge -p";
    assert_eq!(
        output.stdout,
        format!(
            "Kustomization flux-system/shop: 2 objects\n\
             OBJECT               CHANGE   FIELDS\n\
             ConfigMap shop/map   none     \n\
             Deployment shop/web  changes  .spec.replicas\n\
             \n\
             to take over:\n\
             \x20 1. suspend it, in Git too, if it is applied from there: kubectl patch \
             kustomizations.kustomize.toolkit.fluxcd.io shop -n flux-system {patch} '{{\"spec\":{{\"suspend\":true}}}}'\n\
             \x20 2. let the Sync apply: kubectl patch syncs.signet.dev web -n shop {patch} \
             '{{\"spec\":{{\"mode\":\"Automatic\"}}}}'\n\
             \x20 3. wait until all is well: signet wait web -n shop --for healthy\n\
             \x20 4. delete it while it is suspended, which leaves the objects: kubectl delete \
             kustomizations.kustomize.toolkit.fluxcd.io shop -n flux-system\n\
             \n\
             Git has 3 objects for the Sync: 1 would be created, 1 changed.\n"
        )
    );
}

#[test]
fn releases_too_and_what_may_not_be_listed_is_said() {
    let (env, _server) = environment();
    let output = env.signet(&["adopt", "--from", "flux"]);
    assert_eq!(
        output.stderr,
        "warning: cannot list Namespace: namespaces is forbidden\nhint: what could not be listed is missing here\n"
    );
    assert!(
        output
            .stdout
            .contains("HelmRelease shop/db: 1 object\n  ConfigMap shop/db\n"),
        "{}",
        output.stdout
    );
    assert!(
        output
            .stdout
            .contains("1. have a Sync of the same path in mode Detect"),
        "{}",
        output.stdout
    );
}

#[test]
fn what_argo_cd_has() {
    let (env, _server) = environment();
    let said = env.signet(&["adopt", "--from", "argocd", "-o", "json"]).success();
    let said: Value = serde_json::from_str(&said).unwrap();
    let owners: Vec<_> = said["owners"]
        .as_array()
        .unwrap()
        .iter()
        .map(|owner| {
            let objects: Vec<_> = owner["objects"]
                .as_array()
                .unwrap()
                .iter()
                .map(|object| object["object"].as_str().unwrap())
                .collect();
            format!("{}/{}: {}", owner["namespace"], owner["name"], objects.join(", ")).replace('"', "")
        })
        .collect();
    assert_eq!(
        owners,
        [
            "argocd/shop: ConfigMap shop/by-label, ConfigMap shop/map, Deployment shop/web",
            "team/api: Deployment team/api"
        ]
    );
    assert_eq!(said["owners"][0]["objects"][0]["change"], Value::Null);
    let steps = said["owners"][0]["steps"].to_string();
    assert!(
        steps.contains("automated") && steps.contains("finalizers"),
        "{steps}"
    );
}
