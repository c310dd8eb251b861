//! The deprecated `spec.data`, a whole Secret in one sealed value beside an `encryptedData` that is empty: it is seen and
//! opened wherever values are, and what would change one value of it is refused.

use crate::support::{
    ApiServer, CERTIFICATE, Request, Response, SECRET, SealedYaml, TestEnvironment, behind_service,
};
use sealing::{Certificate, v1};
use serde_json::{Value, json};
use std::time::SystemTime;

const KEY: &str = "SHA256:T2fIIetCYEwRtXNWXg8cq5J6i/dOXuzjIIgf+Z8OrtM";
const WHOLE: &str = "shop/db: spec.data holds the whole Secret in one sealed value";

/// `shop/db` in `db.yaml`, and `key.pem`, which opens it. Gives the file's text.
fn deprecated(env: &TestEnvironment) -> String {
    let values = SealedYaml::write(env, "db.yaml");
    let certificate = Certificate::from_pem(CERTIFICATE).unwrap();
    let key = certificate.public_key_at(SystemTime::now()).unwrap();
    let inner = json!({"kind": "Secret", "data": {"password": "aHVudGVyMg=="}}).to_string();
    let sealed = v1::seal(key, b"shop/db", inner.as_bytes()).unwrap();
    let (head, tail) = values.split_once("  encryptedData:\n").unwrap();
    let (_, tail) = tail.split_once("  template:\n").unwrap();
    let text = format!("{head}  encryptedData: {{}}\n  data: {sealed} # of 2018\n  template:\n{tail}");
    env.write("db.yaml", &text);
    text
}

#[test]
fn it_is_seen_and_opened() {
    let env = TestEnvironment::new();
    let text = deprecated(&env);
    let view = |more: &[&str]| env.signet(&[&["view", "db.yaml", "-o", "json"], more].concat());
    let seen: Value = serde_json::from_str(&view(&[]).success()).unwrap();
    assert_eq!(seen[0]["values"][0]["key"], "data");
    assert_eq!(seen[0]["values"][0]["sealedFor"], "a key of 2048 bits");
    let opened: Value = serde_json::from_str(&view(&["--key", "key.pem"]).success()).unwrap();
    assert_eq!(opened[0]["values"][0]["openedBy"], KEY);

    let usage = env
        .signet(&["keys", "usage", "db.yaml", "--key", "key.pem", "-o", "json"])
        .success();
    let usage: Value = serde_json::from_str(&usage).unwrap();
    assert_eq!(
        (&usage[0]["sealedFor"], &usage[0]["values"][0]["key"]),
        (&json!(KEY), &json!("data"))
    );

    let verify = || env.signet(&["verify", "db.yaml", "--key", "key.pem"]);
    assert_eq!(verify().stderr, "1 SealedSecret: all open.\n");
    env.write(
        "db.yaml",
        &text.replacen("namespace: shop", "namespace: other", 1),
    );
    let moved = verify();
    assert!(
        moved.code == 1
            && moved
                .stdout
                .contains("data: it was sealed for shop/db, scope strict"),
        "{}{}",
        moved.stdout,
        moved.stderr
    );
    // Damage is seen without a key.
    let (head, _) = text.split_once("  data: ").unwrap();
    env.write("db.yaml", &format!("{head}  data: AgAx\n"));
    let lint = env.signet(&["lint", "db.yaml"]);
    assert!(
        lint.code == 1 && lint.stdout.contains("the value of data is damaged"),
        "{}",
        lint.stdout
    );
}

#[test]
fn what_would_change_a_value_of_it_is_refused() {
    let env = TestEnvironment::new();
    let text = deprecated(&env);
    let key = ["--key", "key.pem"];
    let cert = ["--cert", "cert.pem"];
    for command in [
        &["set", "db.yaml", "a=1", cert[0], cert[1]][..],
        &["unset", "db.yaml", "data"],
        &["rename", "db.yaml", "data=other"],
        &[
            "rename",
            "db.yaml",
            "--to-name",
            "x",
            key[0],
            key[1],
            cert[0],
            cert[1],
        ],
        &["retemplate", "db.yaml", "--label", "a=b"],
        &["edit", "db.yaml", key[0], key[1], cert[0], cert[1]],
    ] {
        let output = env.signet(command);
        assert!(
            output.code == 1
                && output.stderr.starts_with(&format!("error: {WHOLE}"))
                && output
                    .stderr
                    .contains("`signet reseal` seals it again for another key"),
            "{command:?}: {}",
            output.stderr
        );
        assert_eq!(env.read("db.yaml"), text, "{command:?}");
    }
    let merge = env.signet_with(&["seal", cert[0], cert[1], "--merge-into", "db.yaml"], SECRET);
    assert!(
        merge.code == 1 && merge.stderr.contains("in one sealed value"),
        "{}",
        merge.stderr
    );
    assert_eq!(env.read("db.yaml"), text);
}

/// A controller that seals the one value again, as Signet's does.
fn rotating(request: &Request) -> Response {
    let mut object: Value = serde_json::from_str(&request.body).unwrap();
    if object["spec"]["data"].is_string() {
        object["spec"]["data"] = "AgRotated".into();
    }
    Response::json(&object)
}

#[test]
fn re_encryption_seals_it_again_or_says_that_it_did_not() {
    let mut env = TestEnvironment::new();
    let server = ApiServer::start(behind_service(rotating));
    env.use_cluster(&server);
    let before = deprecated(&env);
    let files = ["seal", "--re-encrypt", "-f", "db.yaml"];
    let output = env.signet(&files);
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (0, "Re-encrypted 1 SealedSecret.\n")
    );
    let line = before.lines().find(|line| line.starts_with("  data: ")).unwrap();
    assert_eq!(
        env.read("db.yaml"),
        before.replace(line, "  data: AgRotated # of 2018")
    );

    // Nothing is sealed in it: that is said.
    let empty = before.replace(&format!("{line}\n"), "");
    env.write("db.yaml", &empty);
    let output = env.signet(&files);
    assert!(
        output.code == 0
            && output
                .stderr
                .contains("has no sealed value, so nothing of it was re-encrypted")
            && output.stderr.contains("Re-encrypted 0 SealedSecrets."),
        "{}",
        output.stderr
    );
    assert_eq!(env.read("db.yaml"), empty);
}

/// Bitnami's controller makes another object of it, with single values. That is not what stands in the file.
#[test]
fn an_answer_in_the_other_form_is_not_taken() {
    let mut env = TestEnvironment::new();
    let server = ApiServer::start(behind_service(|request| {
        let mut object: Value = serde_json::from_str(&request.body).unwrap();
        object["spec"] = json!({"encryptedData": {"password": "AgRotated"}});
        Response::json(&object)
    }));
    env.use_cluster(&server);
    let before = deprecated(&env);
    let output = env.signet(&["seal", "--re-encrypt", "-f", "db.yaml"]);
    assert!(
        output.code == 1 && output.stderr.contains("lacks values"),
        "{}",
        output.stderr
    );
    assert_eq!(env.read("db.yaml"), before);
}
