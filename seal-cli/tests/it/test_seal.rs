//! `signet seal`: what it reads, and what it seals for.

use crate::support::{
    ApiServer, CERTIFICATE, Response, SECRET, TestEnvironment, behind_service, expired_certificate, open,
};
use serde_json::{Value, json};

/// Seals to JSON and reads that.
fn sealed(env: &TestEnvironment, arguments: &[&str], stdin: &str) -> Value {
    let arguments = [&["seal", "--cert", "cert.pem", "-o", "json"], arguments].concat();
    serde_json::from_str(&env.signet_with(&arguments, stdin).success()).unwrap()
}

fn text(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn a_secret_piped_through_comes_out_sealed() {
    let env = TestEnvironment::new();
    let object = sealed(&env, &[], SECRET);
    assert_eq!(open(&object, "shop"), text(&[("password", "hunter2")]));
    assert_eq!(object["metadata"], json!({"name": "db", "namespace": "shop"}));
    assert_eq!(
        object["spec"]["template"],
        json!({"metadata": {"name": "db", "namespace": "shop", "labels": {"app": "db"}}})
    );
}

#[test]
fn files_streams_and_lists() {
    let env = TestEnvironment::new();
    env.write("one.yaml", SECRET);
    env.write(
        "two.json",
        &json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": "x"}, "data": {"k": "MQ=="}},
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "b", "namespace": "x"}, "data": {"k": "Mg=="}},
        ]})
        .to_string(),
    );
    let stream = format!(
        "# only a comment\n---\n{SECRET}---\n\n---\n{}",
        SECRET.replace("hunter2", "'0644'")
    );
    let list = sealed(&env, &["one.yaml", "-", "two.json"], &stream);
    let opened: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| open(item, item["metadata"]["namespace"].as_str().unwrap()))
        .collect();
    let password = |value| text(&[("password", value)]);
    let key = |value| text(&[("k", value)]);
    assert_eq!(
        opened,
        [
            password("hunter2"),
            password("hunter2"),
            password("0644"),
            key("1"),
            key("2")
        ]
    );
}

#[test]
fn the_namespace_comes_from_the_manifest_or_is_given() {
    let env = TestEnvironment::new();
    let nowhere = SECRET.replace("  namespace: shop\n", "");
    let object = sealed(&env, &["--namespace", "other"], &nowhere);
    assert_eq!(object["metadata"]["namespace"], "other");
    assert_eq!(object["spec"]["template"]["metadata"]["namespace"], "other");
    assert_eq!(open(&object, "other"), text(&[("password", "hunter2")]));
    assert_eq!(
        sealed(&env, &["-n", "shop"], SECRET)["metadata"]["namespace"],
        "shop"
    );

    let object = sealed(&env, &["--scope", "cluster-wide"], &nowhere);
    assert_eq!(object["metadata"].get("namespace"), None);
    assert_eq!(open(&object, "anywhere"), text(&[("password", "hunter2")]));
}

#[test]
fn the_scope_is_asked_for_or_annotated() {
    let env = TestEnvironment::new();
    let namespace_wide = "sealedsecrets.bitnami.com/namespace-wide";
    let annotated = SECRET.replace(
        "  labels:",
        &format!("  annotations: {{{namespace_wide}: 'true'}}\n  labels:"),
    );
    for object in [
        sealed(&env, &["--scope", "namespace-wide"], SECRET),
        sealed(&env, &[], &annotated),
    ] {
        assert_eq!(object["metadata"]["annotations"], json!({namespace_wide: "true"}));
        let mut renamed = object.clone();
        renamed["metadata"]["name"] = "renamed".into();
        assert_eq!(open(&renamed, "shop"), text(&[("password", "hunter2")]));
    }
}

#[test]
fn the_certificate_comes_from_the_first_place_that_names_one() {
    let server = ApiServer::start(behind_service(|_| Response::text(CERTIFICATE)));
    let mut env = TestEnvironment::new();
    env.write("old.pem", &expired_certificate());
    let works = |env: &TestEnvironment, arguments: &[&str]| {
        env.signet_with(&[&["seal", "-o", "json"], arguments].concat(), SECRET)
            .code
    };
    assert_eq!(works(&env, &["--cert", "cert.pem"]), 0);
    assert_eq!(
        works(&env, &["--cert", env.path("cert.pem").to_str().unwrap()]),
        0
    );
    assert_eq!(
        works(
            &env,
            &["--cert", &format!("file://{}", env.path("cert.pem").display())]
        ),
        0
    );
    assert_eq!(
        works(&env, &["--cert", &format!("{}/v1/cert.pem", server.url())]),
        0
    );
    assert_eq!(server.requests().len(), 1);
    assert_eq!(works(&env, &[]), 4, "no cluster");

    env.use_cluster(&server);
    assert_eq!(works(&env, &[]), 0);
    assert_eq!(server.requests().len(), 3, "from the cluster");
    env.set("SEALED_SECRETS_CERT", "old.pem");
    assert_eq!(works(&env, &[]), 1, "kubeseal's variable names an expired one");
    env.set("SIGNET_CERT", "cert.pem");
    assert_eq!(works(&env, &[]), 0, "our variable wins");
    assert_eq!(works(&env, &["--cert", "old.pem"]), 1, "the option wins");
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn an_empty_secret_is_sealed_on_demand() {
    let env = TestEnvironment::new();
    let empty = SECRET.split("stringData").next().unwrap();
    let object = sealed(&env, &["--allow-empty-data"], empty);
    assert_eq!(object["spec"]["encryptedData"], json!({}));
}

/// A key is for keeping lines of the file that is written.
#[test]
fn a_private_key_that_is_not_needed_need_not_be_there() {
    let mut env = TestEnvironment::new();
    env.set("SIGNET_KEY", "gone.pem");
    let _ = sealed(&env, &[], SECRET);
    let refused = env.signet_with(&["seal", "--cert", "cert.pem", "-w", "db.yaml"], SECRET);
    assert!(
        refused.code == 1 && refused.stderr.contains("gone.pem"),
        "{}",
        refused.stderr
    );
}
