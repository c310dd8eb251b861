//! `signet migrate sealed-secrets` where it stops before anything is changed. All the way is an end-to-end test.

use crate::support::{ApiServer, Response, TestEnvironment};
use serde_json::{Value, json};

fn deployment(namespace: &str, name: &str) -> Value {
    json!({"metadata": {"namespace": namespace, "name": name}, "spec": {"replicas": 1, "selector": {},
        "template": {"metadata": {}, "spec": {"containers": []}}}})
}

/// A cluster with these Deployments of Bitnami's controller, and nothing else.
fn cluster(env: &mut TestEnvironment, deployments: Vec<Value>) -> ApiServer {
    let list = |kind: &str, version: &str, items: &[Value]| {
        Response::json(&json!({"apiVersion": version, "kind": kind, "metadata": {}, "items": items}))
    };
    let server = ApiServer::start(move |request| match request.path.as_str() {
        "/api/v1/namespaces/kube-system" => Response::json(&json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
            "metadata": {"name": "kube-system", "uid": "this-cluster"},
        })),
        path if path.ends_with("/deployments") => {
            let within = |one: &&Value| {
                let namespace = one["metadata"]["namespace"].as_str().unwrap();
                !path.contains("/namespaces/") || path.contains(&format!("/namespaces/{namespace}/"))
            };
            let found: Vec<Value> = deployments.iter().filter(within).cloned().collect();
            list("DeploymentList", "apps/v1", &found)
        }
        path if path.ends_with("/secrets") => list("SecretList", "v1", &[]),
        path if path.contains("/secrets/") => Response::error(404, "secrets not found"),
        path if path.ends_with("/sealedsecrets") => list("SealedSecretList", "bitnami.com/v1alpha1", &[]),
        path => Response::error(500, path),
    });
    env.use_cluster(&server);
    server
}

/// Nothing but questions was sent.
fn only_read(server: &ApiServer) {
    let written: Vec<_> = server
        .requests()
        .into_iter()
        .filter(|sent| !sent.starts_with("GET "))
        .collect();
    assert_eq!(written, Vec::<String>::new());
}

const MIGRATE: [&str; 2] = ["migrate", "sealed-secrets"];

#[test]
fn the_controller_has_to_be_found_and_to_be_the_only_one() {
    let mut env = TestEnvironment::new();
    let server = cluster(&mut env, Vec::new());
    env.signet(&MIGRATE).assert_failure(
        2,
        "error: there is no Deployment of Bitnami's sealed-secrets controller in this cluster\nhint: --from-namespace names the \
         namespace of its keys, --from-name its Deployment\n",
    );
    only_read(&server);
    let two = vec![
        deployment("a", "sealed-secrets"),
        deployment("b", "sealed-secrets"),
    ];
    let server = cluster(&mut env, two);
    env.signet(&MIGRATE).assert_failure(
        2,
        "error: there are several Deployments that it can be: a/sealed-secrets, b/sealed-secrets\nhint: say which with \
         --from-namespace and --from-name\n",
    );
    only_read(&server);
}

#[test]
fn without_a_deployment_somebody_has_to_say_that_it_is_stopped() {
    let mut env = TestEnvironment::new();
    let server = cluster(&mut env, Vec::new());
    let here = ["--from-namespace", "bitnami"];
    let output = env.signet(&[&MIGRATE[..], &here, &["-o", "json"]].concat());
    let plan: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(
        (output.code, &plan["pending"], &plan["controller"]),
        (0, &json!(false), &Value::Null)
    );
    let output = env.signet(&[&MIGRATE[..], &here, &["--apply"]].concat());
    assert!(
        output.code == 2
            && output
                .stderr
                .contains("there is no Deployment of Bitnami's controller in that namespace"),
        "{}",
        output.stderr
    );
    assert!(!env.path("sealed-secrets-migration.json").exists());
    only_read(&server);
    let output = env.signet(&[&MIGRATE[..], &here, &["--apply", "--stopped"]].concat());
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(env.path("sealed-secrets-migration.json").exists());
    only_read(&server);
}

#[test]
fn a_record_is_of_one_cluster_and_whole() {
    let mut env = TestEnvironment::new();
    let server = cluster(&mut env, vec![deployment("bitnami", "sealed-secrets-controller")]);
    let undo = || env.signet(&["migrate", "sealed-secrets", "--undo", "--record", "record.json"]);
    undo().assert_failure(
        2,
        "error: there is no record of a migration\nhint: --record names the file that `--apply` wrote\n",
    );
    let record = json!({"format": "signet.dev/sealed-secrets-migration/v1", "cluster": "another", "theirs": "a", "ours": "b",
        "workload": null, "keys": [], "removed": []});
    for (text, problem) in [
        (record.to_string(), "it is of another cluster"),
        (
            record.to_string().replace("/v1\"", "/v9\""),
            "a record of another version",
        ),
        ("{".to_owned(), "not the record of a migration"),
    ] {
        env.write("record.json", &text);
        let output = undo();
        assert!(
            output.code == 2
                && output
                    .stderr
                    .starts_with(&format!("error: record.json: {problem}\n")),
            "{}",
            output.stderr
        );
    }
    only_read(&server);
}

/// Whoever may make a Deployment can call it so, and put keys beside it.
#[test]
fn what_only_looks_like_the_controller_is_not_believed() {
    let mut env = TestEnvironment::new();
    let server = cluster(&mut env, vec![deployment("tenant", "sealed-secrets")]);
    let apply = |more: &[&str]| env.signet(&[&MIGRATE[..], &["--apply"], more].concat());
    for more in [&[][..], &["--only-keys"]] {
        apply(more).assert_failure(
            2,
            "error: Deployment tenant/sealed-secrets may be Bitnami's controller or somebody else's, and nothing was \
             changed\nhint: if it is, add --from-namespace tenant\n",
        );
    }
    only_read(&server);
    // What the record says holds, whatever is found elsewhere now.
    let record = json!({"format": "signet.dev/sealed-secrets-migration/v1", "cluster": "this-cluster", "theirs": "bitnami",
        "ours": "signet-system", "workload": {"namespace": "bitnami", "name": "ss", "replicas": 1}, "keys": [], "removed": []});
    env.write("sealed-secrets-migration.json", &record.to_string());
    let output = apply(&["--only-keys", "--from-namespace", "tenant"]);
    output.assert_failure(
        2,
        "error: sealed-secrets-migration.json is the record of a migration from bitnami/ss\nhint: --undo ends that one; or \
         name another file with --record\n",
    );
    let before = server.requests().len();
    let output = apply(&["--only-keys"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let asked = server.requests().split_off(before);
    let of = |namespace: &str| asked.iter().any(|sent| sent.contains(namespace));
    assert!(
        of("/namespaces/bitnami/secrets") && !of("/namespaces/tenant/"),
        "{asked:?}"
    );
    only_read(&server);
}

#[test]
fn two_runs_on_one_record_do_not_meet() {
    let mut env = TestEnvironment::new();
    let server = cluster(
        &mut env,
        vec![deployment("kube-system", "sealed-secrets-controller")],
    );
    let directory = std::fs::File::open(env.path("")).unwrap();
    directory.lock().unwrap();
    for more in ["--apply", "--undo"] {
        let output = env.signet(&[&MIGRATE[..], &[more]].concat());
        assert!(
            output.code == 2 && output.stderr.contains("another run is at work on it"),
            "{}",
            output.stderr
        );
    }
    assert_eq!(server.requests(), Vec::<String>::new());
    drop(directory);
    let output = env.signet(&[&MIGRATE[..], &["--apply", "--only-keys"]].concat());
    assert_eq!(output.code, 0, "{}", output.stderr);
}
