//! `signet diff`, against an API server that applies by taking what it is sent.

use crate::support::{
    ApiServer, CommandOutput, Request, Response, TestEnvironment, discovery, metadata, metadata_list, sync,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

const KINDS: [(&str, &str, &str, &str, bool); 4] = [
    ("", "v1", "ConfigMap", "configmaps", true),
    ("", "v1", "Namespace", "namespaces", false),
    ("", "v1", "Secret", "secrets", true),
    ("apps", "v1", "Deployment", "deployments", true),
];
const SYNC: &str = "/apis/signet.dev/v1alpha1/namespaces/shop/syncs/web";

struct Cluster {
    sync: Value,
    /// What is there, by path.
    live: BTreeMap<String, Value>,
    may_impersonate: bool,
    /// What the API server answers to a dry-run of a path instead.
    refuses: BTreeMap<String, (u16, String)>,
}

/// A clone with `apps/web`, and the cluster beside it.
struct Stage {
    env: TestEnvironment,
    cluster: Arc<Mutex<Cluster>>,
    server: ApiServer,
}

impl Stage {
    fn new() -> Self {
        let mut object = sync("c", "True");
        object["metadata"]["annotations"] =
            json!({"applyset.kubernetes.io/contains-group-kinds": "ConfigMap,Deployment.apps,Secret"});
        let cluster = Arc::new(Mutex::new(Cluster {
            sync: object,
            live: BTreeMap::new(),
            may_impersonate: false,
            refuses: BTreeMap::new(),
        }));
        let shared = Arc::clone(&cluster);
        let server = ApiServer::start(move |request| shared.lock().unwrap().answer(request));
        let mut env = TestEnvironment::new();
        env.use_cluster(&server);
        env.git(&["init", "-q"]);
        std::fs::create_dir_all(env.path("apps/web")).unwrap();
        Self { env, cluster, server }
    }

    fn write(&self, file: &str, text: &str) {
        self.env.write(&format!("apps/web/{file}"), text);
    }

    fn commit(&self) -> String {
        self.env.git(&["add", "--all"]);
        self.env.git(&["commit", "-q", "-m", "x"]);
        self.env.git(&["rev-parse", "HEAD"])
    }

    fn has(&self, path: &str, object: Value) {
        self.cluster.lock().unwrap().live.insert(path.to_owned(), object);
    }

    fn diff(&self, arguments: &[&str]) -> CommandOutput {
        let all: Vec<_> = ["diff", "--sync", "web"]
            .iter()
            .chain(arguments)
            .copied()
            .collect();
        self.env.signet(&all)
    }
}

impl Cluster {
    fn answer(&mut self, request: &Request) -> Response {
        if let Some(answer) = discovery(&request.path, &KINDS) {
            return answer;
        }
        if request.path.ends_with("/selfsubjectaccessreviews") {
            assert!(request.body.contains("impersonate"), "{}", request.body);
            return Response::json(&json!({
                "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                "status": {"allowed": self.may_impersonate},
            }));
        }
        if request.path == SYNC {
            return Response::json(&self.sync);
        }
        if request.query.contains("labelSelector") {
            let members: Vec<Value> = self
                .live
                .iter()
                .filter(|(path, _)| path.starts_with(&format!("{}/", request.path)))
                .map(|(_, object)| {
                    json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
                        "metadata": object["metadata"]})
                })
                .collect();
            return metadata_list(&members);
        }
        let stands_for = "impersonate-user: system:serviceaccount:shop:sync\r\n";
        assert_eq!(
            request.head.contains(stands_for),
            self.may_impersonate,
            "{}",
            request.head
        );
        if request.method == "PATCH" {
            assert!(
                request.query.starts_with("dryRun=All&fieldManager=signet%2F"),
                "{}",
                request.query
            );
            if let Some((code, message)) = self.refuses.get(&request.path) {
                return Response::error(*code, message);
            }
            let mut object: Value = serde_json::from_str(&request.body).unwrap();
            object["metadata"]["resourceVersion"] = "99".into();
            object["metadata"]["managedFields"] = json!([{"manager": "signet"}]);
            return Response::json(&object);
        }
        match self.live.get(&request.path) {
            Some(object) => Response::json(object),
            None => Response::error(404, "not found"),
        }
    }
}

fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{value: {value}}}\n")
}

/// As the cluster has it, with what the controller and the API server add.
fn live(kind: &str, name: &str, rest: &Value) -> Value {
    // Of shop/web, by KEP-3659.
    let id = "applyset-hGqeGWA1PQzfA07mif-U39UCx7CrflSYEzqBzHoXkfY-v1";
    let mut object = json!({
        "apiVersion": "v1", "kind": kind,
        "metadata": {"name": name, "namespace": "shop", "uid": "u", "resourceVersion": "5", "generation": 3,
                     "labels": {"applyset.kubernetes.io/part-of": id}, "managedFields": [{"manager": "x"}],
                     "annotations": {"signet.dev/source": "shop/web:elsewhere.yaml#1"},
                     "creationTimestamp": "2026-01-01T00:00:00Z"},
    });
    for (key, value) in rest.as_object().unwrap() {
        object[key] = value.clone();
    }
    object
}

const MAPS: &str = "/api/v1/namespaces/shop/configmaps";
const SECRETS: &str = "/api/v1/namespaces/shop/secrets";

#[test]
fn created_changed_deleted_and_unchanged() {
    let stage = Stage::new();
    stage.write("same.yaml", &config_map("same", "one"));
    stage.write("new.yaml", &config_map("new", "one"));
    stage.write("changed.yaml", &config_map("changed", "two"));
    stage.commit();
    for (name, value) in [("same", "one"), ("changed", "one"), ("old", "one")] {
        let object = live("ConfigMap", name, &json!({"data": {"value": value}}));
        stage.has(&format!("{MAPS}/{name}"), object);
    }
    let output = stage.diff(&["--revision", "HEAD"]);
    assert_eq!((output.code, output.stderr.as_str()), (1, ""));
    let head = stage.env.git(&["rev-parse", "HEAD"]);
    assert_eq!(
        output.stdout,
        format!(
            "delete ConfigMap shop/old\n\
             create ConfigMap shop/new\n\
             update ConfigMap shop/changed\n\
             \x20 - .data.value: \"one\"\n\
             \x20 + .data.value: \"two\"\n\
             shop/web with {}: 1 to create, 1 to change, 1 to delete, 1 unchanged\n",
            &head[..12]
        )
    );
    assert!(
        stage
            .server
            .requests()
            .iter()
            .all(|request| !request.starts_with("DELETE") && !request.starts_with("PUT"))
    );

    let said: Value = serde_json::from_str(&stage.diff(&["-o", "json"]).stdout).unwrap();
    assert_eq!(
        said["objects"][2],
        json!({
            "action": "update", "object": "ConfigMap shop/changed", "note": "",
            "source": "apps/web/changed.yaml document 1",
            "fields": [{"path": ".data.value", "change": "changed", "masked": false, "before": "one", "after": "two"}],
        })
    );
    assert_eq!((&said["unchanged"], &said["delete"]), (&json!(1), &json!(1)));
}

#[test]
fn what_left_git_and_stays_or_waits_is_said() {
    let stage = Stage::new();
    for name in ["a", "b"] {
        stage.write(&format!("{name}.yaml"), &config_map(name, "one"));
    }
    stage.commit();
    for (name, word) in [("a", ""), ("b", ""), ("asks", "confirm"), ("kept", "disabled")] {
        let mut object = live("ConfigMap", name, &json!({"data": {"value": "one"}}));
        if !word.is_empty() {
            object["metadata"]["annotations"]["signet.dev/prune"] = word.into();
        }
        stage.has(&format!("{MAPS}/{name}"), object);
    }
    let lines =
        |output: &CommandOutput| -> Vec<String> { output.stdout.lines().map(str::to_owned).collect() };
    let output = stage.diff(&[]);
    let said = lines(&output);
    assert_eq!(output.code, 1, "{}", output.stderr);
    assert_eq!(
        said[..2],
        [
            "delete ConfigMap shop/asks: waits for an approval: signet.dev/prune: confirm",
            "keep ConfigMap shop/kept: left Git and stays: it says so itself",
        ]
    );
    assert!(
        said[2].ends_with("1 to delete, 2 unchanged, 1 kept"),
        "{}",
        said[2]
    );

    // More than half leaves.
    std::fs::remove_file(stage.env.path("apps/web/b.yaml")).unwrap();
    let said = lines(&stage.diff(&["--worktree"]));
    assert!(
        said[1].starts_with("delete ConfigMap shop/b: waits for an approval: 3 of 4 objects left Git"),
        "{said:#?}"
    );

    // What only stays is no difference.
    stage.cluster.lock().unwrap().live.remove(&format!("{MAPS}/asks"));
    let output = stage.diff(&[]);
    assert_eq!((output.code, lines(&output).len()), (0, 2), "{}", output.stdout);
}

#[test]
fn no_difference_is_a_success_as_the_service_account_where_that_is_allowed() {
    let stage = Stage::new();
    stage.cluster.lock().unwrap().may_impersonate = true;
    stage.write("same.yaml", &config_map("same", "one"));
    stage.commit();
    let object = live("ConfigMap", "same", &json!({"data": {"value": "one"}}));
    stage.has(&format!("{MAPS}/same"), object);
    let output = stage.diff(&["apps/web", "-n", "shop"]);
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (0, ""),
        "{}",
        output.stdout
    );
}

#[test]
fn values_of_secrets_are_never_shown() {
    let stage = Stage::new();
    stage.write(
        "db.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {same: hunter1, changed: hunter2, new: hunter3}\n",
    );
    stage.commit();
    let data = json!({"data": {"same": "aHVudGVyMQ==", "changed": "aHVudGVyOQ==", "old": "aHVudGVyOA=="}});
    stage.has(&format!("{SECRETS}/db"), live("Secret", "db", &data));
    for format in ["text", "json", "markdown"] {
        let output = stage.diff(&["-o", format]);
        assert_eq!(output.code, 1, "{}", output.stderr);
        for value in ["hunter", "aHVudGV"] {
            assert!(!output.stdout.contains(value), "{}", output.stdout);
        }
    }
    let output = stage.diff(&[]);
    assert!(
        output.stdout.starts_with(
            "update Secret shop/db\n\
             \x20 ! .data.changed: its value changes\n\
             \x20 + .data.new\n\
             \x20 - .data.old\n"
        ),
        "{}",
        output.stdout
    );
    let path = format!("{SECRETS}/db");
    let quoting = (422, "Secret \"db\" is invalid: data: \"aHVudGVyMg==\"".to_owned());
    stage.cluster.lock().unwrap().refuses.insert(path, quoting);
    let output = stage.diff(&[]);
    assert_eq!(output.code, 2);
    assert!(
        output
            .stdout
            .starts_with("refused Secret shop/db: the API server answers 422 Test\n"),
        "{}",
        output.stdout
    );
}

fn sealed(values: &[(&str, &str)]) -> String {
    let values: Vec<_> = values
        .iter()
        .map(|(key, value)| format!("{key}: {value}"))
        .collect();
    format!(
        "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {{name: db, namespace: shop}}\n\
         spec: {{encryptedData: {{{}}}}}\n",
        values.join(", ")
    )
}

#[test]
fn sealed_values_are_compared_as_they_are_sealed() {
    let stage = Stage::new();
    stage.write(
        "db.yaml",
        &sealed(&[("same", "AgAAsame"), ("again", "AgAAold"), ("gone", "AgAAgone")]),
    );
    let first = stage.commit();
    assert_eq!(
        stage.diff(&[]).stdout.lines().next(),
        Some("create Secret shop/db")
    );
    stage.has(&format!("{SECRETS}/db"), metadata(Some("shop"), "db"));
    // The clone has no commit `c`.
    let output = stage.diff(&[]);
    assert!(
        output
            .stdout
            .contains("the clone lacks the commit that is applied"),
        "{}",
        output.stdout
    );
    stage.cluster.lock().unwrap().sync["status"]["lastAppliedRevision"]["commit"] = first.into();
    assert_eq!(stage.diff(&[]).code, 0);
    stage.write(
        "db.yaml",
        &sealed(&[("same", "AgAAsame"), ("again", "AgAAnew"), ("new", "AgAAnew")]),
    );
    assert_eq!(stage.diff(&[]).code, 0, "it is not committed");
    let output = stage.diff(&["--worktree"]);
    assert_eq!(output.code, 1);
    assert_eq!(
        output.stdout,
        "update Secret shop/db: re-sealed\n\
         \x20 ! .data.again: its value changes\n\
         \x20 - .data.gone\n\
         \x20 + .data.new\n\
         shop/web with the working tree: 0 to create, 1 to change, 0 to delete, 0 unchanged\n"
    );
    assert!(
        stage
            .server
            .requests()
            .iter()
            .all(|request| !request.starts_with("PATCH"))
    );
}

#[test]
fn the_clone_is_not_written_to() {
    let stage = Stage::new();
    stage.write("a.yaml", &config_map("a", "one"));
    stage.commit();
    stage.write("b.yaml", &config_map("b", "not committed"));
    let state = || {
        let count = stage.env.git(&["count-objects", "-v"]);
        let status = stage.env.git(&["status", "--porcelain"]);
        (count, status, stage.env.git(&["for-each-ref"]))
    };
    let before = state();
    let temporary = stage.env.path("../home");
    let output: CommandOutput = stage
        .env
        .command(env!("CARGO_BIN_EXE_signet"))
        .env("TMPDIR", &temporary)
        .args(["diff", "--sync", "web", "--worktree"])
        .output()
        .unwrap()
        .into();
    assert_eq!(output.code, 1, "{}", output.stderr);
    assert!(
        output.stdout.contains("create ConfigMap shop/b\n"),
        "{}",
        output.stdout
    );
    assert_eq!(state(), before);
    let left: Vec<_> = std::fs::read_dir(temporary)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(left, ["kubeconfig"], "nothing is left behind");
}

#[test]
fn what_cannot_be_asked_is_said() {
    let stage = Stage::new();
    stage.write(
        "toy.yaml",
        "apiVersion: toys.io/v1\nkind: Toy\nmetadata: {name: t}\n",
    );
    stage.write(
        "ns.yaml",
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: fresh}\n",
    );
    stage.write(
        "in.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: in, namespace: fresh}\n",
    );
    stage.write(
        "bad.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: bad}\nspec: {replicas: -1}\n",
    );
    stage.commit();
    {
        let mut cluster = stage.cluster.lock().unwrap();
        let mut refuse = |path: &str, code, message: &str| {
            cluster
                .refuses
                .insert(path.to_owned(), (code, message.to_owned()));
        };
        refuse(
            "/api/v1/namespaces/fresh/configmaps/in",
            404,
            "namespaces \"fresh\" not found",
        );
        refuse(
            "/apis/apps/v1/namespaces/shop/deployments/bad",
            422,
            "spec.replicas: Invalid value",
        );
    }
    let output = stage.diff(&[]);
    assert_eq!(output.code, 2);
    let lines: Vec<_> = output.stdout.lines().collect();
    assert_eq!(
        lines[..4],
        [
            "refused Deployment shop/bad: spec.replicas: Invalid value",
            "create Namespace fresh",
            "create ConfigMap fresh/in: its namespace is not there yet, so this is not checked",
            "create Toy.toys.io t: new kind: the API server does not know it, so this is not checked",
        ]
    );
    stage.write("broken.yaml", "a: [");
    stage.commit();
    let output = stage.diff(&[]);
    assert_eq!((output.code, output.stdout.as_str()), (2, ""));
    assert!(
        output
            .stderr
            .starts_with("error: these files cannot be applied:\n  apps/web/broken.yaml"),
        "{}",
        output.stderr
    );
    let output = stage.diff(&["--revision", "gone"]);
    assert_eq!(output.code, 2);
    stage.write("broken.yaml", &config_map("broken", "\"${x}\""));
    stage.commit();
    stage.cluster.lock().unwrap().sync["spec"]["substitute"] = json!({});
    let output = stage.diff(&[]);
    assert!(
        output.code == 2 && output.stderr.contains("variable"),
        "{}",
        output.stderr
    );
}

#[test]
fn markdown_cannot_be_broken_out_of() {
    let stage = Stage::new();
    stage.write("a.yaml", &config_map("a", "\"```\\n</details> <b>@everyone\""));
    stage.commit();
    let object = live("ConfigMap", "a", &json!({"data": {"value": "one"}}));
    stage.has(&format!("{MAPS}/a"), object);
    let output = stage.diff(&["-o", "markdown"]);
    assert_eq!(output.code, 1);
    assert!(output.stdout.starts_with("**shop/web with "), "{}", output.stdout);
    assert!(
        output
            .stdout
            .contains("\n<details><summary>update <code>ConfigMap shop/a</code></summary>\n"),
        "{}",
        output.stdout
    );
    // The fence is longer than what is inside.
    assert_eq!(output.stdout.matches("\n````").count(), 2, "{}", output.stdout);
}

#[test]
fn ignored_fields_and_objects_that_are_left_alone_are_no_difference() {
    let stage = Stage::new();
    stage.write("a.yaml", &config_map("a", "two"));
    stage.write(
        "b.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b, annotations: {signet.dev/reconcile: disabled}}\n",
    );
    stage.commit();
    stage.cluster.lock().unwrap().sync["spec"]["ignore"] =
        json!([{"paths": ["/data/value"], "target": {"kind": "ConfigMap"}}]);
    let object = live("ConfigMap", "a", &json!({"data": {}}));
    stage.has(&format!("{MAPS}/a"), object);
    let output = stage.diff(&[]);
    assert_eq!(output.code, 0, "{}", output.stdout);
}
