//! `signet seal`: how and where it writes.

use crate::support::{SECRET, TestEnvironment, mode, open};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

fn json_secret(name: &str) -> String {
    format!(
        r#"{{"apiVersion":"v1","kind":"Secret","metadata":{{"name":"{name}","namespace":"shop"}},"data":{{"a":"MQ=="}}}}"#
    )
}

fn seal(env: &TestEnvironment, arguments: &[&str], stdin: &str) -> String {
    env.signet_with(&[&["seal", "--cert", "cert.pem"], arguments].concat(), stdin)
        .success()
}

#[test]
fn the_format_follows_the_input_unless_asked() {
    let env = TestEnvironment::new();
    let yaml = |text: &str| text.starts_with("---\napiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\n");
    let json = |text: &str| text.starts_with("{\n  \"apiVersion\": ");
    assert!(yaml(&seal(&env, &[], SECRET)));
    assert!(json(&seal(&env, &[], &format!(" \n{}", json_secret("a")))));
    assert!(json(&seal(&env, &["-o", "json"], SECRET)));
    assert!(yaml(&seal(&env, &["-o", "yaml"], &json_secret("a"))));
    env.write("a.yaml", SECRET);
    assert!(yaml(&seal(&env, &["a.yaml", "-"], &json_secret("a"))), "mixed");
    for (file, is) in [("x.yaml", true), ("x.yml", true), ("x.json", false)] {
        assert_eq!(seal(&env, &["-q", "-w", file], SECRET), "");
        assert_eq!(
            seal(&env, &["-q", "-w", &format!("2{file}")], &json_secret("a")),
            ""
        );
        assert_eq!(
            (yaml(&env.read(file)), yaml(&env.read(&format!("2{file}")))),
            (is, is),
            "{file}"
        );
    }
}

#[test]
fn several_are_documents_or_a_list() {
    let env = TestEnvironment::new();
    let two = format!("{SECRET}---\n{SECRET}");
    let text = seal(&env, &[], &two);
    assert_eq!(text.matches("---\n").count(), 2, "{text}");
    // What was written can be read again, and is sealed.
    let again = env.signet_with(&["seal", "--cert", "cert.pem"], &text);
    assert_eq!(
        again
            .stderr
            .matches("SealedSecret.bitnami.com shop/db: it is sealed already")
            .count(),
        2
    );

    let list: Value = serde_json::from_str(&seal(&env, &["-o", "json"], &two)).unwrap();
    assert_eq!(
        (list["kind"].as_str(), list["items"].as_array().unwrap().len()),
        (Some("List"), 2)
    );
    let one: Value = serde_json::from_str(&seal(&env, &["-o", "json"], SECRET)).unwrap();
    assert_eq!(open(&one, "shop").len(), 1);
}

#[test]
fn a_file_is_replaced_whole() {
    let env = TestEnvironment::new();
    env.write("secret.yaml", SECRET);
    let output = env.signet(&["seal", "secret.yaml", "-w", "secret.yaml", "--cert", "cert.pem"]);
    assert_eq!(output.code, 0);
    assert_eq!(
        (output.stdout.as_str(), output.stderr.as_str()),
        ("", "Sealed 1 Secret into secret.yaml.\n")
    );
    assert!(
        env.read("secret.yaml").contains("encryptedData") && !env.read("secret.yaml").contains("hunter2")
    );
    assert_eq!(env.files(), ["cert.pem", "secret.yaml"], "nothing is left behind");

    // Its permissions stay; a link stays a link.
    fs::set_permissions(env.path("secret.yaml"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("secret.yaml", env.path("link.yaml")).unwrap();
    let before = env.read("secret.yaml");
    let output = env.signet_with(
        &["seal", "-w", "link.yaml", "--cert", "cert.pem"],
        &format!("{SECRET}---\n{SECRET}"),
    );
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (0, "Sealed 2 Secrets into link.yaml.\n")
    );
    assert!(fs::symlink_metadata(env.path("link.yaml")).unwrap().is_symlink());
    assert_ne!(env.read("secret.yaml"), before);
    assert_eq!(mode(&env.path("secret.yaml")), 0o640);
    // A device is written to, not replaced.
    let output = env.signet_with(&["seal", "-q", "-w", "/dev/stdout", "--cert", "cert.pem"], SECRET);
    assert!(output.stdout.contains("encryptedData"), "{}", output.stderr);
}

#[test]
fn a_new_file_is_as_readable_as_any() {
    let env = TestEnvironment::new();
    env.write("any", "");
    assert_eq!(seal(&env, &["-q", "-w", "new.yaml"], SECRET), "");
    assert_eq!(mode(&env.path("new.yaml")), mode(&env.path("any")));
}

#[test]
fn a_file_that_cannot_be_written_is_an_error() {
    let env = TestEnvironment::new();
    env.signet_with(&["seal", "-w", "gone/x.yaml", "--cert", "cert.pem"], SECRET)
        .assert_failure(
            1,
            "error: cannot write gone/x.yaml: no such file or directory\n\
         hint: is the directory there, and may you write to it?\n",
        );
}
