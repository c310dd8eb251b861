//! `signet rotation status` and `signet rotation report`.

use crate::support::{ApiServer, Response, TestEnvironment};
use serde_json::{Value, json};

fn rotation(phase: &str) -> Value {
    json!({
        "apiVersion": "signet.dev/v1alpha1", "kind": "KeyRotation",
        "metadata": {"name": "spring", "namespace": "signet-system"},
        "spec": {"algorithm": {"v2": "X25519"}, "retire": {"then": "Destroy"}},
        "status": {
            "phase": phase, "progress": "1/2 Repositories, 3 values",
            "newKeys": [{"format": "v2", "id": "key-new", "secret": "signet-sealing-key00002"}],
            "conditions": [
                {"type": "KeyMade", "status": "True", "reason": "Done", "message": "New: key-new.",
                    "lastTransitionTime": "2026-01-01T00:00:00Z"},
                {"type": "Ready", "status": "False", "reason": "AwaitingCommit", "message": "A person has to commit.",
                    "lastTransitionTime": "2026-01-01T00:00:00Z"},
                {"type": "Stalled", "status": "True", "reason": "AwaitingCommit", "message": "A person has to commit.",
                    "lastTransitionTime": "2026-01-01T00:00:00Z"},
            ],
            "repositories": [
                {"namespace": "team", "name": "app", "step": "Clean", "commit": "0123456789abcdef", "values": 3},
                {"namespace": "team", "name": "web", "step": "AwaitingCommit", "left": 2, "message": "Run it.",
                    "command": "signet reseal --from-key x"},
                {"namespace": "team", "name": "own", "step": "AwaitingMerge", "branch": "signet/rotation",
                    "pullRequest": "https://git.example.com/team/own/pull/7\u{1b}[2J"},
            ],
            "blockers": [{"place": "Sync team/web\u{1b}[2J", "message": "is behind."}],
            "blocked": 3,
        },
    })
}

fn serving(items: Vec<Value>) -> (TestEnvironment, ApiServer) {
    let server = ApiServer::start(move |request| {
        if request.path.ends_with("/keyrotations") {
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
fn a_table_of_all_and_the_exit_code() {
    let (env, server) = serving(vec![rotation("AwaitingCommit")]);
    let output = env.signet(&["rotation", "status"]);
    assert_eq!((output.code, output.stderr.as_str()), (3, ""));
    assert_eq!(
        output.stdout,
        "NAME    PHASE           KEYS                     PROGRESS                    MESSAGE\n\
         spring  AwaitingCommit  signet-sealing-key00002  1/2 Repositories, 3 values  A person has to commit.\n"
    );
    assert_eq!(
        server.requests(),
        ["GET /apis/signet.dev/v1alpha1/namespaces/signet-system/keyrotations"]
    );
    let (env, _server) = serving(vec![rotation("Complete")]);
    assert_eq!(env.signet(&["rotation", "status"]).code, 0);
    let (env, _server) = serving(vec![]);
    let output = env.signet(&["rotation", "status"]);
    assert_eq!((output.code, output.stdout.as_str()), (0, ""));
    assert!(output.stderr.contains("no KeyRotations"), "{}", output.stderr);
}

#[test]
fn one_is_shown_phase_by_phase_with_what_holds_it_up() {
    let (env, _server) = serving(vec![rotation("AwaitingCommit")]);
    let output = env.signet(&["rotation", "status", "spring"]);
    for line in [
        "KeyMade  yes   2026-01-01T00:00:00Z  New: key-new.",
        "team/app    Clean           3       0     0123456789ab  ",
        "team/web    AwaitingCommit  0       2                   Run it.",
        "held up: Sync team/web\\u{1b}[2J: is behind.",
        "held up: and by 2 more",
        "to merge: team/own: https://git.example.com/team/own/pull/7\\u{1b}[2J",
        "  signet reseal --from-key x",
    ] {
        assert!(
            output.stdout.contains(&format!("{line}\n")),
            "{line:?} in\n{}",
            output.stdout
        );
    }
    let output = env.signet(&["rotation", "status", "spring", "-o", "json"]);
    let shown: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(shown[0]["phase"], "AwaitingCommit");
    assert_eq!(shown[0]["blocked"], 3);
    assert_eq!(
        shown[0]["repositories"][1]["command"],
        "signet reseal --from-key x"
    );
    let refused = env.signet(&["rotation", "status", "autumn"]);
    assert_eq!(refused.code, 1);
    assert!(
        refused.stderr.contains("no KeyRotation signet-system/autumn") && refused.stderr.contains("hint:"),
        "{}",
        refused.stderr
    );
}

fn leaked(report: Value) -> (TestEnvironment, ApiServer) {
    let mut rotation = rotation("Reporting");
    rotation["metadata"]["uid"] = "u-1".into();
    rotation["status"]["report"] = report;
    let commit =
        |id: &str| json!({"id": id.repeat(40), "author": "=Eve <e@x>", "date": "2026-01-01T00:00:00Z"});
    let shards = [
        json!([
            {"namespace": "shop", "name": "db", "key": "user", "repository": "team/app", "files": ["a.yaml"],
                "sealedFor": "key-old", "first": commit("a"), "changed": "Yes", "since": commit("b")},
        ]),
        json!([
            {"namespace": "shop", "name": "db", "key": "password", "repository": "team/app", "files": ["a|b.yaml", "c.yaml"],
                "sealedFor": "key-old", "first": commit("a"), "changed": "No"},
            {"namespace": "shop", "name": "old", "key": "x", "sealedFor": "key-old", "changed": "Removed"},
        ]),
    ];
    let server = ApiServer::start(move |request| {
        let name = request.path.rsplit('/').next().unwrap();
        match name {
            "spring" => Response::json(&rotation),
            "signet-report-u-1-0" | "signet-report-u-1-1" => {
                let number = usize::from(name.ends_with('1'));
                Response::json(
                    &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
                    "data": {"rows": shards[number].to_string(), "digests": "00"}}),
                )
            }
            _ => Response::error(404, "not found"),
        }
    });
    let mut env = TestEnvironment::new();
    env.use_cluster(&server);
    (env, server)
}

#[test]
fn what_was_sealed_for_a_leaked_key_is_listed_in_every_form() {
    let whole =
        json!({"state": "Complete", "values": 3, "unchanged": 1, "changed": 1, "removed": 1, "shards": 2});
    let (env, _server) = leaked(whole);
    let output = env.signet(&["rotation", "report", "spring"]);
    let lines: Vec<_> = output.stdout.lines().collect();
    assert_eq!((output.code, lines.len()), (3, 4), "{}", output.stdout);
    // What is left to be done comes first.
    assert!(
        lines[1].starts_with("shop       db    password  no       team/app ") && lines[1].contains("c.yaml"),
        "{}",
        output.stdout
    );
    assert!(lines[3].contains("removed  (the cluster)"), "{}", output.stdout);
    assert!(
        output.stderr.contains("1 are to be changed at their source"),
        "{}",
        output.stderr
    );
    let csv = env.signet(&["rotation", "report", "spring", "-o", "csv"]).stdout;
    assert!(
        csv.contains("\"'=Eve <e@x>\"") && csv.starts_with("\"namespace\",\"name\""),
        "{csv}"
    );
    assert_eq!(csv.lines().count(), 4);
    let markdown = env
        .signet(&["rotation", "report", "spring", "-o", "markdown"])
        .stdout;
    assert!(
        markdown.contains("a\\|b.yaml; c.yaml") && markdown.contains("=Eve &lt;e@x&gt;"),
        "{markdown}"
    );
    let shown = env.signet(&["rotation", "report", "spring", "-o", "json"]).stdout;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["values"][0]["key"], "password");
    assert_eq!(shown["report"]["unchanged"], 1);
}

#[test]
fn a_report_that_is_not_complete_says_so() {
    let gaps =
        json!({"state": "Incomplete", "values": 0, "shards": 0, "gaps": ["Repository a/b: it is away."]});
    let (env, _server) = leaked(gaps);
    let output = env.signet(&["rotation", "report", "spring"]);
    assert_eq!((output.code, output.stdout.as_str()), (3, ""));
    assert!(
        output
            .stderr
            .contains("not complete: Repository a/b: it is away.")
            && output.stderr.contains("hint:"),
        "{}",
        output.stderr
    );
    let (env, _server) = leaked(json!({"state": "Complete", "shards": 0}));
    assert_eq!(env.signet(&["rotation", "report", "spring"]).code, 0);
    let (env, _server) = leaked(Value::Null);
    let output = env.signet(&["rotation", "report", "spring"]);
    assert_eq!(output.code, 1);
    assert!(
        output.stderr.contains("has no report") && output.stderr.contains("hint:"),
        "{}",
        output.stderr
    );
    let (env, _server) = leaked(json!({"state": "Complete", "shards": 3}));
    let output = env.signet(&["rotation", "report", "spring"]);
    assert!(
        output.stderr.contains("signet-report-u-1-2 is gone"),
        "{}",
        output.stderr
    );
}
