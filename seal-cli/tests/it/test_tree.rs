//! `signet tree`.

use crate::support::{
    ApiServer, Request, Response, TestEnvironment, discovery, metadata, metadata_list, sync,
};
use serde_json::{Value, json};

const KINDS: [(&str, &str, &str, &str, bool); 6] = [
    ("", "v1", "Namespace", "namespaces", false),
    ("", "v1", "Secret", "secrets", true),
    ("", "v1", "Pod", "pods", true),
    ("apps", "v1", "Deployment", "deployments", true),
    ("apps", "v1", "ReplicaSet", "replicasets", true),
    ("toys.io", "v1", "Toy", "toys", true),
];
const ID: &str = "applyset-x-v1";

fn parent(change: impl FnOnce(&mut Value)) -> Value {
    let mut object = sync("0123456789abcdef0123456789abcdef01234567", "True");
    object["metadata"]["labels"] = json!({"applyset.kubernetes.io/id": ID});
    object["metadata"]["annotations"] = json!({
        "applyset.kubernetes.io/contains-group-kinds": "Deployment.apps,Namespace,Secret",
        "applyset.kubernetes.io/additional-namespaces": "db",
    });
    object["status"]["health"] = json!({"current": 3, "inProgress": 1, "failed": 0});
    object["status"]["unhealthy"] = json!([
        {"object": "Deployment shop/web", "status": "InProgress", "message": "1 of 3 replicas\u{1b}"},
    ]);
    change(&mut object);
    object
}

fn owned(mut object: Value, by: &str, created: &str) -> Value {
    object["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "X", "name": by, "uid": format!("uid-{by}"), "controller": true}]);
    object["metadata"]["creationTimestamp"] = created.into();
    object
}

fn from(mut object: Value, place: &str) -> Value {
    object["metadata"]["annotations"] = json!({"signet.dev/source": format!("shop/web:{place}")});
    object
}

fn answer(request: &Request, parent: &Value) -> Response {
    if let Some(answer) = discovery(&request.path, &KINDS) {
        return answer;
    }
    let of_set = request
        .query
        .contains(&format!("labelSelector=applyset.kubernetes.io%2Fpart-of%3D{ID}"));
    let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    let items = match (request.path.as_str(), of_set) {
        ("/apis/signet.dev/v1alpha1/namespaces/shop/syncs/web", _) => return Response::json(parent),
        ("/api/v1/namespaces", true) => vec![metadata(None, "shop")],
        ("/api/v1/namespaces/shop/secrets", true) => {
            vec![from(metadata(Some("shop"), "login"), "apps/web/db.yaml#1")]
        }
        ("/api/v1/namespaces/db/secrets", true) => return Response::error(403, "secrets is forbidden"),
        ("/apis/apps/v1/namespaces/shop/deployments", true) => {
            vec![from(metadata(Some("shop"), "web"), "apps/web/web.yaml#2")]
        }
        ("/apis/apps/v1/namespaces/shop/replicasets", false) => vec![
            owned(metadata(Some("shop"), "web-old"), "web", early),
            owned(metadata(Some("shop"), "web-1"), "web", late),
            owned(metadata(Some("shop"), "other-1"), "other", late),
        ],
        ("/api/v1/namespaces/shop/pods", false) => vec![
            owned(metadata(Some("shop"), "web-1-b"), "web-1", late),
            owned(metadata(Some("shop"), "web-1-a"), "web-1", late),
            metadata(Some("shop"), "alone"),
        ],
        ("/apis/apps/v1/namespaces/db/deployments", true) => Vec::new(),
        (path, _) if path.ends_with("/syncs/gone") => return Response::error(404, "not found"),
        (path, _) => panic!("{path}?{}", request.query),
    };
    assert!(
        request.head.contains("as=partialobjectmetadatalist"),
        "metadata is enough: {}",
        request.head
    );
    metadata_list(&items)
}

fn serving(parent: Value) -> (TestEnvironment, ApiServer) {
    let server = ApiServer::start(move |request| answer(request, &parent));
    let mut env = TestEnvironment::new();
    env.use_cluster(&server);
    (env, server)
}

#[test]
fn members_and_what_they_own() {
    let (env, _server) = serving(parent(|_| {}));
    let output = env.signet(&["tree", "web", "--source"]);
    assert_eq!(
        output.stderr,
        "warning: cannot list Secret in db: secrets is forbidden\nhint: what could not be listed is missing here\n"
    );
    assert_eq!(output.code, 0);
    assert_eq!(
        output.stdout,
        "OBJECT                       HEALTH      SOURCE               MESSAGE\n\
         Sync shop/web                                                 \n\
         |- Namespace shop            Current                          \n\
         |- Secret shop/login         Current     apps/web/db.yaml#1   \n\
         `- Deployment shop/web       InProgress  apps/web/web.yaml#2  1 of 3 replicas\\u{1b}\n\
         \x20  `- ReplicaSet shop/web-1                                   \n\
         \x20     |- Pod shop/web-1-a                                     \n\
         \x20     `- Pod shop/web-1-b                                     \n"
    );
}

#[test]
fn json_is_a_tree_too() {
    let (env, _server) = serving(parent(|_| {}));
    let output = env.signet(&["tree", "web", "-o", "json"]);
    let said: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(said["revision"], "main@0123456789ab");
    assert_eq!(
        said["unread"],
        json!(["cannot list Secret in db: secrets is forbidden"])
    );
    let web = &said["objects"][2];
    assert_eq!(
        (
            &web["group"],
            &web["kind"],
            &web["namespace"],
            &web["name"],
            &web["health"],
            &web["source"]
        ),
        (
            &json!("apps"),
            &json!("Deployment"),
            &json!("shop"),
            &json!("web"),
            &json!("InProgress"),
            &json!("apps/web/web.yaml#2")
        )
    );
    assert_eq!(web["children"][0]["children"][1]["name"], "web-1-b");
    assert_eq!(web["children"][0]["health"], Value::Null);
    assert_eq!(said["objects"][0]["namespace"], Value::Null);
}

#[test]
fn health_is_not_made_up() {
    let health = |change: fn(&mut Value)| {
        let (env, _server) = serving(parent(change));
        let output = env.signet(&["tree", "web", "-o", "json"]);
        let said: Value = serde_json::from_str(&output.stdout).unwrap();
        said["objects"][0]["health"].clone()
    };
    assert_eq!(health(|_| {}), "Current");
    // More are unwell than are named.
    assert_eq!(
        health(|sync| sync["status"]["health"]["failed"] = 9.into()),
        Value::Null
    );
    assert_eq!(
        health(|sync| sync["metadata"]["generation"] = 3.into()),
        Value::Null
    );
    assert_eq!(health(|sync| sync["status"]["health"] = json!({})), Value::Null);
}

#[test]
fn a_kind_that_is_gone_is_said() {
    let (env, _server) = serving(parent(|sync| {
        sync["metadata"]["annotations"]["applyset.kubernetes.io/contains-group-kinds"] =
            "Ball.toys.io".into();
    }));
    let output = env.signet(&["tree", "web"]);
    assert_eq!(output.code, 0);
    assert!(
        output
            .stderr
            .starts_with("warning: the API server does not know kind Ball.toys.io any more\n"),
        "{}",
        output.stderr
    );
    assert_eq!(env.signet(&["tree", "gone"]).code, 1);
}
