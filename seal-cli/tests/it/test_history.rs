//! `signet history`.

use crate::support::{ApiServer, Response, TestEnvironment, sync};
use serde_json::{Value, json};

/// A clone with two commits under `apps/web` and one elsewhere; gives the ids, oldest first.
fn clone(env: &TestEnvironment) -> Vec<String> {
    env.git(&["init", "-q"]);
    std::fs::create_dir_all(env.path("apps/web")).unwrap();
    let mut ids = Vec::new();
    for (file, subject) in [
        ("apps/web/a.yaml", "web: first"),
        ("other.yaml", "elsewhere"),
        ("apps/web/a.yaml", "web: \u{1b}[2J\u{202e}second"),
    ] {
        env.write(file, subject);
        env.git(&["add", file]);
        env.git(&["commit", "-q", "-m", subject, "--date", "2026-01-02T03:04:05Z"]);
        ids.push(env.git(&["rev-parse", "HEAD"]));
    }
    ids
}

#[test]
fn it_is_the_log_of_a_path() {
    let env = TestEnvironment::new();
    let ids = clone(&env);
    let text = env.signet(&["history", "apps/web", "--offline"]).success();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("COMMIT        TIME "), "{text}");
    assert_eq!(lines.len(), 3, "{text}");
    assert!(
        lines[1].starts_with(&ids[2][..12]) && lines[2].starts_with(&ids[0][..12]),
        "{text}"
    );
    assert!(
        lines[1].ends_with("Eve <eve@example.com>  web: \\u{1b}[2J\\u{202e}second"),
        "{text}"
    );

    assert_eq!(env.signet(&["history", "--offline"]).success().lines().count(), 4);
    assert_eq!(
        env.signet(&["history", "--offline", "--limit", "1"])
            .success()
            .lines()
            .count(),
        2
    );
    let output = env.signet(&["history", "--offline", "gone"]);
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (0, "No commit touches this path.\n")
    );
    // What looks like an option or a pattern is a path.
    assert_eq!(
        env.signet(&["history", "--offline", "--", "--all"]).stderr,
        "No commit touches this path.\n"
    );
    assert_eq!(
        env.signet(&["history", "--offline", ":/*"]).stderr,
        "No commit touches this path.\n"
    );
}

#[test]
fn json_has_everything() {
    let env = TestEnvironment::new();
    let ids = clone(&env);
    let text = env
        .signet(&["history", "apps/web", "--offline", "-o", "json"])
        .success();
    let rows: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(rows[0]["commit"], ids[2].as_str());
    assert_eq!(rows[1]["author"], "Eve <eve@example.com>");
    assert_eq!(rows[1]["subject"], "web: first");
    assert_eq!(rows[1]["appliedBy"], Value::Null, "not asked, so not known");
    assert!(!text.contains('\u{1b}'));
    let none = env
        .signet(&["history", "gone", "--offline", "-o", "json"])
        .success();
    assert_eq!(none, "[]\n");
}

#[test]
fn what_is_applied_is_marked() {
    let mut env = TestEnvironment::new();
    let ids = clone(&env);
    let first = ids[0].clone();
    let server = ApiServer::start(move |request| match request.path.as_str() {
        "/apis/signet.dev/v1alpha1/syncs" => Response::json(
            &json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": [sync(&first, "True")]}),
        ),
        "/apis/signet.dev/v1alpha1/namespaces/shop/syncs/web" => Response::json(&sync(&first, "True")),
        _ => Response::error(404, "not found"),
    });
    env.use_cluster(&server);
    let text = env.signet(&["history", "apps/web"]).success();
    let marked: Vec<_> = text.lines().map(|line| line.contains("shop/web")).collect();
    assert_eq!(marked, [false, false, true], "{text}");
    assert!(
        text.starts_with("COMMIT        TIME                       AUTHOR                 APPLIED BY"),
        "{text}"
    );

    assert!(!text.contains("SIGNED BY"), "nobody asks for signatures: {text}");

    // The Sync's path counts from the top of the clone, wherever one stands.
    std::fs::create_dir(env.path("deep")).unwrap();
    let output: crate::support::CommandOutput = env
        .command(env!("CARGO_BIN_EXE_signet"))
        .current_dir(env.path("deep"))
        .args(["history", "--sync", "web", "-o", "json"])
        .output()
        .unwrap()
        .into();
    let rows: Value = serde_json::from_str(&output.success()).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 2);
    assert_eq!(
        (&rows[0]["appliedBy"], &rows[1]["appliedBy"]),
        (&json!([]), &json!(["shop/web"]))
    );

    env.signet(&["history", "--sync", "gone"]).assert_failure(
        1,
        "error: there is no Sync shop/gone\n\
         hint: `signet status -A` lists all of them; -n chooses the namespace\n",
    );
}

#[test]
fn without_a_cluster_it_says_so_and_goes_on() {
    let env = TestEnvironment::new();
    clone(&env);
    let output = env.signet(&["history", "apps/web"]);
    assert_eq!((output.code, output.stdout.lines().count()), (0, 3));
    assert!(
        output
            .stderr
            .starts_with("warning: applied commits are not marked: no cluster to ask: ")
    );
    assert!(
        output
            .stderr
            .ends_with("hint: --offline leaves the cluster alone\n"),
        "{}",
        output.stderr
    );
}

#[test]
fn outside_a_clone_it_is_an_error() {
    let env = TestEnvironment::new();
    let output = env.signet(&["history", "--offline"]);
    assert_eq!((output.code, output.stdout.as_str()), (1, ""));
    assert!(
        output.stderr.starts_with("error: not a git repository"),
        "{}",
        output.stderr
    );
    assert!(
        output
            .stderr
            .ends_with("hint: run it inside a clone of the repository\n"),
        "{}",
        output.stderr
    );
}

#[test]
fn who_signed_what_is_applied_is_told() {
    const ADA: &str = "ada@example.org (SHA256:\u{1b}[2Jabc)";
    let mut env = TestEnvironment::new();
    let ids = clone(&env);
    let mut signed = sync(&ids[0], "True");
    signed["status"]["lastAppliedRevision"]["signer"] = ADA.into();
    let server = ApiServer::start(move |request| match request.path.as_str() {
        "/apis/signet.dev/v1alpha1/syncs" => {
            Response::json(&json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": [signed]}))
        }
        _ => Response::error(404, "not found"),
    });
    env.use_cluster(&server);
    let text = env.signet(&["history", "apps/web"]).success();
    assert!(
        text.lines().next().unwrap().contains("APPLIED BY  SIGNED BY"),
        "{text}"
    );
    let marked: Vec<_> = text
        .lines()
        .map(|line| line.contains("shop/web    ada@example.org (SHA256:\\u{1b}[2Jabc)"))
        .collect();
    assert_eq!(marked, [false, false, true], "{text}");
    let rows = env.signet(&["history", "apps/web", "-o", "json"]).success();
    let rows: Value = serde_json::from_str(&rows).unwrap();
    assert_eq!(
        (&rows[0]["signedBy"], &rows[1]["signedBy"]),
        (&json!([]), &json!([ADA]))
    );
    let offline = env
        .signet(&["history", "apps/web", "--offline", "-o", "json"])
        .success();
    let rows: Value = serde_json::from_str(&offline).unwrap();
    assert_eq!(rows[1]["signedBy"], Value::Null);
}
