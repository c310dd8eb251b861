//! `signet events`.

use crate::support::{ApiServer, Response, TestEnvironment};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

fn event(number: u32, type_: &str, note: &str) -> Value {
    json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": {"name": format!("web.{number}"), "namespace": "shop", "uid": format!("uid-{number}"),
                     "resourceVersion": format!("{}", 100 + number)},
        "eventTime": format!("2026-01-02T03:04:{number:02}.000000Z"),
        "type": type_, "reason": "Applied", "note": note, "reportingController": "signet.dev/controller",
        "regarding": {"kind": "Sync", "namespace": "shop", "name": "web"},
    })
}

type Queries = Arc<Mutex<Vec<String>>>;

fn serving(items: Vec<Value>, watches: Vec<Vec<Value>>) -> (TestEnvironment, ApiServer, Queries) {
    let queries = Queries::default();
    let seen = Arc::clone(&queries);
    let watches = Mutex::new(VecDeque::from(watches));
    let server = ApiServer::start(move |request| {
        seen.lock().unwrap().push(request.query.clone());
        if request.query.contains("watch=true") {
            return Response::lines(&watches.lock().unwrap().pop_front().unwrap_or_default());
        }
        Response::json(&json!({
            "apiVersion": "events.k8s.io/v1", "kind": "EventList", "metadata": {"resourceVersion": "200"},
            "items": items,
        }))
    });
    let mut env = TestEnvironment::new();
    env.use_cluster(&server);
    (env, server, queries)
}

#[test]
fn newest_last() {
    let items = vec![
        event(2, "Warning", "second\u{1b}[2J"),
        event(1, "Normal", "first"),
    ];
    let (env, server, queries) = serving(items, vec![]);
    assert_eq!(
        env.signet(&["events"]).success(),
        "TIME                  TYPE     REASON   OBJECT         MESSAGE\n\
         2026-01-02T03:04:01Z  Normal   Applied  Sync shop/web  first\n\
         2026-01-02T03:04:02Z  Warning  Applied  Sync shop/web  second\\u{1b}[2J\n"
    );
    let _ = env
        .signet(&["events", "web", "--warnings", "-n", "other"])
        .success();
    let _ = env.signet(&["events", "-A"]).success();
    assert_eq!(
        server.requests(),
        [
            "GET /apis/events.k8s.io/v1/namespaces/shop/events",
            "GET /apis/events.k8s.io/v1/namespaces/other/events",
            "GET /apis/events.k8s.io/v1/events",
        ]
    );
    let queries = queries.lock().unwrap();
    assert!(
        queries[0].contains("fieldSelector=reportingController%3Dsignet.dev%2Fcontroller&"),
        "{}",
        queries[0]
    );
    assert!(
        queries[1].contains("%2Cregarding.kind%3DSync%2Cregarding.name%3Dweb%2Ctype%3DWarning&"),
        "{}",
        queries[1]
    );
}

#[test]
fn json_and_nothing() {
    let (env, _server, _) = serving(vec![event(1, "Normal", "first")], vec![]);
    let said: Value = serde_json::from_str(&env.signet(&["events", "-o", "json"]).success()).unwrap();
    assert_eq!(
        said,
        json!([{
            "time": "2026-01-02T03:04:01Z", "type": "Normal", "reason": "Applied", "kind": "Sync", "namespace": "shop",
            "name": "web", "message": "first",
        }])
    );
    let (env, _server, _) = serving(vec![], vec![]);
    assert_eq!(env.signet(&["events", "-o", "json"]).success(), "[]\n");
    let output = env.signet(&["events"]);
    assert_eq!(
        (output.code, output.stdout.as_str(), output.stderr.as_str()),
        (0, "", "There are no events here.\n")
    );
    env.signet(&["events", "web,type=Normal"]).assert_failure(
        1,
        "error: `web,type=Normal` is not the name of a Sync\nhint: `signet status -A` lists all Syncs\n",
    );
}

#[test]
fn a_watch_prints_each_once_and_survives_a_fresh_list() {
    let added = |event: Value| json!({"type": "ADDED", "object": event});
    let gone = json!({"type": "ERROR", "object": {
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": 410, "reason": "Expired", "message": "old",
    }});
    let (env, _server, _) = serving(
        vec![event(1, "Normal", "first")],
        vec![
            vec![added(event(2, "Warning", "second")), gone],
            vec![added(event(3, "Normal", "third"))],
        ],
    );
    let mut child = env
        .command(env!("CARGO_BIN_EXE_signet"))
        .args(["events", "--watch", "-o", "json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let notes: Vec<String> = lines
        .take(3)
        .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap()["message"].to_string())
        .collect();
    assert_eq!(notes, ["\"first\"", "\"second\"", "\"third\""]);
    child.kill().unwrap();
    child.wait().unwrap();
}
