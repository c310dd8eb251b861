//! `signet status`.

use crate::support::{ApiServer, Response, TestEnvironment, sync};
use serde_json::{Value, json};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn serving(items: Vec<Value>) -> (TestEnvironment, ApiServer) {
    let server = ApiServer::start(move |request| {
        if request.path.ends_with("/syncs") {
            return Response::json(
                &json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items}),
            );
        }
        let name = request.path.rsplit('/').next().unwrap();
        match items.iter().find(|item| item["metadata"]["name"] == name) {
            Some(item) => Response::json(item),
            None => Response::error(404, "not found"),
        }
    });
    let mut env = TestEnvironment::new();
    env.use_cluster(&server);
    (env, server)
}

#[test]
fn a_table_of_all() {
    let (env, server) = serving(vec![sync(COMMIT, "True")]);
    assert_eq!(
        env.signet(&["status"]).success(),
        "NAMESPACE  NAME  READY  REVISION           OBJECTS  FAILED  SUBJECT             MESSAGE\n\
         shop       web   True   main@0123456789ab  3        0       web: more\\u{1b}[2J  3 objects are as Git has them\n"
    );
    let _ = env.signet(&["status", "-A"]);
    let _ = env.signet(&["status", "-n", "other"]);
    assert_eq!(
        server.requests(),
        [
            "GET /apis/signet.dev/v1alpha1/namespaces/shop/syncs",
            "GET /apis/signet.dev/v1alpha1/syncs",
            "GET /apis/signet.dev/v1alpha1/namespaces/other/syncs",
        ]
    );
}

#[test]
fn the_exit_code_tells_whether_all_is_ready() {
    let with = |change: fn(&mut Value)| {
        let mut object = sync(COMMIT, "True");
        change(&mut object);
        let (env, _server) = serving(vec![sync(COMMIT, "True"), object]);
        let output = env.signet(&["status"]);
        assert_eq!(output.stderr, "");
        (
            output.code,
            output
                .stdout
                .lines()
                .nth(2)
                .unwrap()
                .split_whitespace()
                .nth(2)
                .unwrap()
                .to_owned(),
        )
    };
    let state = |code, text: &str| (code, text.to_owned());
    assert_eq!(with(|_| {}), state(0, "True"));
    assert_eq!(
        with(|sync| sync["status"]["conditions"][0]["status"] = "False".into()),
        state(3, "False")
    );
    assert_eq!(
        with(|sync| sync["status"]["conditions"][0]["status"] = "Unknown".into()),
        state(3, "Unknown")
    );
    assert_eq!(
        with(|sync| sync["status"]["conditions"] = json!([])),
        state(3, "Unknown")
    );
    assert_eq!(with(|sync| sync["status"] = Value::Null), state(3, "Unknown"));
    // A status of the generation before says nothing about this one.
    assert_eq!(
        with(|sync| sync["metadata"]["generation"] = 3.into()),
        state(3, "Unknown")
    );
    assert_eq!(
        with(|sync| sync["spec"]["suspend"] = true.into()),
        state(0, "Suspended")
    );
}

#[test]
fn one_sync_with_what_is_wrong() {
    let mut object = sync(COMMIT, "False");
    object["status"]["failures"] = json!([
        {"object": "Secret shop/db", "source": "apps/web/db.yaml document 1", "message": "no key opens it",
         "hint": "is it sealed for another name?"},
        {"source": "apps/web/x.yaml", "message": "not YAML\u{1b}"},
    ]);
    object["status"]["warnings"] =
        json!([{"object": "Secret shop/plain", "message": "it stands in Git in plain text"}]);
    let (env, _server) = serving(vec![object]);
    let output = env.signet(&["status", "web"]);
    assert_eq!((output.code, output.stderr.as_str()), (3, ""));
    let details = output.stdout.lines().skip(2).collect::<Vec<_>>().join("\n");
    assert_eq!(
        details,
        "\nfailed: Secret shop/db, apps/web/db.yaml document 1: no key opens it\n\
         \x20 hint: is it sealed for another name?\n\
         \nfailed: apps/web/x.yaml: not YAML\\u{1b}\n\
         \nwarning: Secret shop/plain: it stands in Git in plain text"
    );
    env.signet(&["status", "gone"]).assert_failure(
        1,
        "error: there is no Sync shop/gone\n\
         hint: `signet status -A` lists all of them; -n chooses the namespace\n",
    );
}

#[test]
fn json_for_programs() {
    let (env, _server) = serving(vec![sync(COMMIT, "Unknown")]);
    let output = env.signet(&["status", "-o", "json"]);
    assert_eq!(output.code, 3);
    let all: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(all[0]["ready"], Value::Null);
    assert_eq!(all[0]["lastAppliedRevision"]["commit"], COMMIT);
    assert_eq!(all[0]["counts"]["objects"], 3);
    let (env, _server) = serving(Vec::new());
    assert_eq!(env.signet(&["status", "-o", "json"]).success(), "[]\n");
    let output = env.signet(&["status"]);
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (0, "There are no Syncs here.\n")
    );
}

#[test]
fn what_the_api_server_refuses_is_explained() {
    for (status, hint) in [
        (401, "are your credentials for this cluster still good?"),
        (403, "ask for the right that the message names"),
        (404, "is Signet installed in this cluster?"),
    ] {
        let server = ApiServer::start(move |_| Response::error(status, "syncs.signet.dev is forbidden"));
        let mut env = TestEnvironment::new();
        env.use_cluster(&server);
        env.signet(&["status"]).assert_failure(
            1,
            &format!("error: cannot list Syncs: syncs.signet.dev is forbidden\nhint: {hint}\n"),
        );
    }
    let mut env = TestEnvironment::new();
    env.use_url("http://127.0.0.1:9");
    let output = env.signet(&["status"]);
    assert_eq!(output.code, 4);
    assert!(
        output
            .stderr
            .contains("hint: is the cluster running, and is it the right context?")
    );
}
