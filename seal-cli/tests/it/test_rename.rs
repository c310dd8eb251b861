//! `signet rename`, `signet retemplate`.

use crate::support::{SealedYaml, TestEnvironment, open};
use manifest::{Limits, read_document};
use serde_json::Value;

fn object(env: &TestEnvironment) -> Value {
    read_document(env.read("db.yaml").as_bytes(), &Limits::default()).unwrap()
}

#[test]
fn keys_of_format_v1_are_renamed_without_a_key() {
    let env = TestEnvironment::new();
    let before = SealedYaml::write(&env, "db.yaml");
    let output = env.signet(&["rename", "db.yaml", "password=pass", "user=login"]);
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (
            0,
            "Renamed password to pass, user to login of shop/db, in db.yaml.\n"
        )
    );
    assert_eq!(
        env.read("db.yaml"),
        before
            .replace("    password: ", "    pass: ")
            .replace("    user: ", "    login: ")
    );
    let opened = open(&object(&env), "shop");
    assert_eq!(
        (opened["pass"].as_str(), opened["login"].as_str()),
        ("hunter2", "app")
    );
}

#[test]
fn another_place_takes_a_private_key() {
    let env = TestEnvironment::new();
    let before = SealedYaml::write(&env, "db.yaml");
    let rename = [
        "rename",
        "db.yaml",
        "--to-name",
        "store",
        "--to-namespace",
        "billing",
        "--cert",
        "cert.pem",
    ];
    env.signet(&rename).assert_failure(
        1,
        "error: the values of shop/db are sealed for where it is, and have to be opened to move it\n\
         hint: give a private key with --key FILE, or seal the Secret again from its source; `kubectl get secret … -o yaml | \
         signet seal` takes it from the cluster\n",
    );
    assert_eq!(env.read("db.yaml"), before);
    env.write("other.pem", &crate::support::other_private_key());
    let wrong = env.signet(&[&rename[..], &["--key", "other.pem"]].concat());
    assert_eq!(wrong.code, 1);
    assert!(
        wrong.stderr.starts_with(
            "error: shop/db does not open with the keys given:\n  password: no key opens it under this label\n"
        ),
        "{}",
        wrong.stderr
    );
    let output = env.signet(&[&rename[..], &["--key", "key.pem"]].concat());
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (
            0,
            "Moved shop/db to billing/store, scope strict, in db.yaml, and sealed its values again.\n"
        )
    );
    let moved = object(&env);
    assert_eq!(open(&moved, "billing")["password"], "hunter2");
    assert_eq!(moved["spec"]["template"]["metadata"]["name"], "store");
    assert_eq!(moved["spec"]["template"]["metadata"]["namespace"], "billing");
    assert!(env.read("db.yaml").contains("# the shop's database"));
}

#[test]
fn a_scope_is_changed_with_its_annotation() {
    let env = TestEnvironment::new();
    SealedYaml::write(&env, "db.yaml");
    let rename = |scope| {
        let arguments = [
            "rename",
            "db.yaml",
            "--to-scope",
            scope,
            "--key",
            "key.pem",
            "--cert",
            "cert.pem",
            "-q",
        ];
        let output = env.signet(&arguments);
        assert_eq!((output.code, output.stderr.as_str()), (0, ""));
        let text = env.read("db.yaml");
        assert_eq!(open(&object(&env), "shop")["user"], "app", "{text}");
        text
    };
    assert!(rename("cluster-wide").contains("sealedsecrets.bitnami.com/cluster-wide: \"true\""));
    let namespace = rename("namespace-wide");
    assert!(namespace.contains("/namespace-wide: \"true\"") && !namespace.contains("cluster-wide"));
    assert!(!rename("strict").contains("-wide"));
    // Under scope namespace-wide the name is not bound, so no key is needed.
    rename("namespace-wide");
    assert_eq!(
        env.signet(&["rename", "db.yaml", "--to-name", "other", "-q"])
            .code,
        0
    );
    assert_eq!(open(&object(&env), "shop")["user"], "app");
}

/// Where a file names no namespace, its values are opened in the one that --namespace names.
#[test]
fn a_file_without_a_namespace_is_opened_in_the_one_that_is_named() {
    let mut env = TestEnvironment::new();
    let whole = SealedYaml::write(&env, "db.yaml");
    let before = whole
        .replace("      namespace: shop\n", "")
        .replace("  namespace: shop\n", "");
    env.write("db.yaml", &before);
    let cert = ["--key", "key.pem", "--cert", "cert.pem"];
    let rename =
        |more: &[&str]| env.signet(&[&["rename", "db.yaml", "--to-name", "store"], &cert[..], more].concat());
    let refused = rename(&[]);
    assert!(
        refused.code == 1 && refused.stderr.contains("give --namespace NAME"),
        "{}",
        refused.stderr
    );
    let output = rename(&["-n", "shop"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let moved = object(&env);
    assert_eq!(
        moved["metadata"]["namespace"],
        Value::Null,
        "it is given where it is applied"
    );
    assert_eq!(open(&moved, "shop")["password"], "hunter2");

    if !std::path::Path::new("/dev/shm").is_dir() {
        return;
    }
    env.set("EDITOR", "sed -i s/hunter2/swordfish/");
    let edit = [&["edit", "db.yaml", "-n", "shop"], &cert[..]].concat();
    let output = env.signet(&edit);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert_eq!(open(&object(&env), "shop")["password"], "swordfish");
}

#[test]
fn renames_that_are_refused() {
    let env = TestEnvironment::new();
    let before = SealedYaml::write(&env, "db.yaml");
    for (arguments, error) in [
        (
            &[][..],
            "error: there is nothing to rename\nhint: give OLD=NEW, --to-name, --to-namespace or --to-scope\n",
        ),
        (
            &["a"],
            "error: `a` is not OLD=NEW\nhint: signet rename FILE pass=password\n",
        ),
        (
            &["a=b"],
            "error: shop/db has no value of a\nhint: it has password, user\n",
        ),
        (
            &["user=password"],
            "error: shop/db has a value of password already\n\
             hint: remove one of the two first: signet unset FILE KEY\n",
        ),
        (
            &["--to-name", "A/B"],
            "error: `A/B` is not a name that Kubernetes accepts\n\
             hint: names are lower-case letters, digits and `-`\n",
        ),
    ] {
        env.signet(&[&["rename", "db.yaml"], arguments].concat())
            .assert_failure(1, error);
        assert_eq!(env.read("db.yaml"), before);
    }
}

#[test]
fn templates_are_changed() {
    let env = TestEnvironment::new();
    let before = SealedYaml::write(&env, "db.yaml");
    env.write("pgpass", "db:5432:*:{{ .user }}:{{ .password }}\n");
    let output = env.signet(&[
        "retemplate",
        "db.yaml",
        "--type",
        "example.com/db",
        "--immutable",
        "true",
        "--label",
        "tier=back",
        "--label",
        "app-",
        "--annotation",
        "note=a b",
        "--data",
        "pgpass@pgpass",
    ]);
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (0, "Changed the template of shop/db in db.yaml.\n")
    );
    let template = object(&env)["spec"]["template"].clone();
    assert_eq!(
        (&template["type"], &template["immutable"]),
        (&Value::from("example.com/db"), &Value::from(true))
    );
    assert_eq!(
        template["metadata"]["labels"],
        serde_json::json!({"tier": "back"})
    );
    assert_eq!(open(&object(&env), "shop")["pgpass"], "db:5432:*:app:hunter2\n");
    for line in before.lines().filter(|line| line.contains('#')) {
        assert!(env.read("db.yaml").contains(line), "{line}");
    }
    let changed = env.read("db.yaml");
    let output = env.signet(&["retemplate", "db.yaml", "--data", "x={{ fail .password }}"]);
    assert_eq!(output.code, 1);
    assert!(output.stderr.contains("`fail` is not run"), "{}", output.stderr);
    env.signet(&["retemplate", "db.yaml"]).assert_failure(
        1,
        "error: there is nothing to change\nhint: give --type, --immutable, --label, --annotation or --data\n",
    );
    assert_eq!(env.read("db.yaml"), changed);
}
