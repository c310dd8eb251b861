//! `signet lint`: what it finds, what it leaves alone, and that it never repeats a value.

use crate::support::{
    CommandOutput, NativeYaml, SECRET, SealedYaml, TestEnvironment, expired_certificate, other_certificate,
};
use serde_json::Value;

const HINT: &str = "  hint: seal it with `signet seal FILE -w FILE`; if it was committed before, change the value at its \
                    source: Git's history keeps the plain text\n";

fn lint(env: &TestEnvironment, arguments: &[&str]) -> CommandOutput {
    let output = env.signet(&[&["lint"], arguments].concat());
    let all = format!("{}{}", output.stdout, output.stderr);
    assert!(!all.contains("hunter2"), "{all}");
    output
}

/// `file:line rule` of each finding.
fn found(env: &TestEnvironment, arguments: &[&str]) -> Vec<String> {
    let output = lint(env, &[arguments, &["-o", "json", "-q"]].concat());
    let all: Vec<Value> =
        serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{}", output.stderr));
    all.iter()
        .map(|one| {
            let text = |field: &str| one[field].as_str().unwrap().to_owned();
            format!(
                "{}:{} {} {}",
                text("file"),
                one["line"],
                text("level"),
                text("rule")
            )
        })
        .collect()
}

#[test]
fn a_plain_secret_is_found() {
    let env = TestEnvironment::new();
    env.write("secret.yaml", &format!("# db\n---\n{SECRET}"));
    let output = lint(&env, &[]);
    assert_eq!(
        (output.code, output.stdout.as_str(), output.stderr.as_str()),
        (
            1,
            format!(
                "secret.yaml:9: error: Secret shop/db: 1 value in plain text; base64 is no encryption [plain-secret]\n{HINT}"
            )
            .as_str(),
            "1 error, 0 warnings in 2 files.\n"
        )
    );
}

#[test]
fn what_looks_like_a_secret_and_what_does_not() {
    let env = TestEnvironment::new();
    env.write(
        "web.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\nspec:\n  template:\n    spec:\n      \
         containers:\n      - name: web\n        env:\n        \
         - {name: DB_PASSWORD, value: hunter2}\n        \
         - {name: GITHUB_TOKEN, value: 'hunter2'}\n        \
         - {name: DATABASE_URL, value: 'postgres://app:hunter2@db/shop'}\n        \
         - {name: CERT, value: \"-----BEGIN RSA PRIVATE KEY-----\\nhunter2\"}\n        \
         - {name: DB_PASSWORD_FILE, value: /run/secrets/hunter2}\n        \
         - {name: TOKEN_TTL, value: '3600'}\n        \
         - {name: DB_PASSWORD, value: '$(OTHER)'}\n        \
         - {name: API_KEY, value: '${api_key}'}\n        \
         - {name: REQUIRE_PASSWORD, value: 'true'}\n        \
         - {name: HOMEPAGE, value: 'https://example.com/a:b@c'}\n        \
         - {name: X_SECRET, valueFrom: {secretKeyRef: {name: db, key: password}}}\n",
    );
    env.write(
        "config.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: shop}\ndata:\n  smtp.password: hunter2\n  \
         color: blue\n",
    );
    env.write(
        "kustomization.yaml",
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nsecretGenerator:\n- name: a\n  literals: \
         [password=hunter2]\n- name: b\n  envs: [b.env]\n",
    );
    env.write(
        "id.pem",
        "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n",
    );
    env.write("old.pem", &expired_certificate());
    env.write("chart.yaml", "{{ if .Values.x }}\na: [\n");
    env.write("broken.yaml", "a: hunter2\n b: [\n");
    env.write(
        "sops.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: 'ENC[hunter2]'}\nsops: {version: 3.9.0}\n",
    );
    env.write(
        "later.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: l}\nstringData: {a: '${hunter2}', b: '<hunter2>', c: ''}\n",
    );
    env.write(
        "allowed.yaml",
        &SECRET.replace(
            "  labels:",
            "  annotations: {signet.dev/lint-ignore: plain-secret}\n  labels:",
        ),
    );
    assert_eq!(
        found(&env, &[]),
        [
            "broken.yaml:2 error unreadable",
            "config.yaml:5 warning plain-env",
            "id.pem:1 error private-key",
            "kustomization.yaml:5 error plain-secret",
            "old.pem:1 warning expired-certificate",
            "web.yaml:10 error plain-env",
            "web.yaml:11 error plain-env",
            "web.yaml:12 error plain-env",
            "web.yaml:13 error private-key",
        ]
    );
}

#[test]
fn what_a_template_gives_away() {
    let env = TestEnvironment::new();
    let object = |name: &str, data: &str| {
        format!(
            "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  \
             encryptedData: {{}}\n  template:\n    data:\n{data}"
        )
    };
    env.write(
        "bad.yaml",
        &object(
            "bad",
            "      password: hunter2\n      url: postgres://app:hunter2@db/shop\n      app.ini: |\n        [db]\n        \
             password = hunter2\n      key: \"-----BEGIN RSA PRIVATE KEY-----\\nhunter2\"\n",
        ),
    );
    env.write(
        "good.yaml",
        &object(
            "good",
            "      password: 'x{{ .password }}'\n      url: 'postgres://app:{{ .password }}@db/shop'\n      app.ini: |\n        \
             [db]\n        user = shop\n        password = \"{{ .password }}\"\n        password_file: /run/hunter2\n        \
             # password: see the wiki\n        url: https://db:5432/shop\n      user: hunter2\n",
        ),
    );
    let findings: Vec<String> = found(&env, &[])
        .into_iter()
        .filter(|one| one.contains("plain") || one.contains("private") || one.starts_with("good"))
        .collect();
    assert_eq!(
        findings,
        [
            "bad.yaml:8 error plain-secret",
            "bad.yaml:9 error plain-secret",
            "bad.yaml:10 error plain-secret",
            "bad.yaml:13 error private-key",
        ]
    );
}

#[test]
fn sealed_secrets_that_will_not_open() {
    let env = TestEnvironment::new();
    let text = SealedYaml::write(&env, "good.yaml");
    std::fs::remove_file(env.path("key.pem")).unwrap();
    assert_eq!(found(&env, &[]), Vec::<String>::new());
    std::fs::create_dir(env.path("a")).unwrap();
    let a = |name: &str, text: &str| env.write(&format!("a/{name}"), text);
    a("moved.yaml", &text.replacen("  name: db\n", "  name: moved\n", 1));
    a(
        "namespace.yaml",
        &text.replacen("  namespace: shop\n", "  namespace: other\n", 1),
    );
    let value = text.lines().find(|line| line.starts_with("    user: ")).unwrap();
    a(
        "cut.yaml",
        &text
            .replacen("  name: db\n", "  name: cut\n", 1)
            .replace("    name: db", "    name: cut")
            .replace(value, "    user: AgAx"),
    );
    a(
        "field.yaml",
        &text
            .replace("name: db", "name: field")
            .replace("  template:\n", "  template:\n    data: {x: '{{ .none }}'}\n"),
    );
    assert_eq!(
        found(&env, &[]),
        [
            "a/cut.yaml:11 error sealed-invalid",
            "a/field.yaml:13 error sealed-invalid",
            "a/moved.yaml:5 error sealed-moved",
            "a/namespace.yaml:6 error sealed-moved",
        ]
    );
    let output = lint(&env, &["a/moved.yaml"]);
    assert!(
        output.stdout.starts_with(
            "a/moved.yaml:5: error: SealedSecret shop/moved: its name is moved, but it was sealed for db: scope strict binds \
             the values to it [sealed-moved]\n  hint: move it back, or seal the Secret again"
        ),
        "{}",
        output.stdout
    );
}

/// What a template makes cannot be known, and a value may stand in it.
#[test]
fn a_template_that_may_be_a_secret_is_not_passed_over() {
    let env = TestEnvironment::new();
    env.git(&["init", "-q"]);
    let chart = |kind: &str| {
        format!(
            "{{{{- if .Values.x }}}}\napiVersion: v1\nkind: {kind}\nmetadata:\n  name: {{{{ .Release.Name }}}}\nstringData:\n  \
             password: hunter2\n{{{{- end }}}}\n"
        )
    };
    env.write("chart.yaml", &chart("Secret"));
    env.write("other.yaml", &chart("Deployment"));
    // A document is judged by itself, whatever stands beside it.
    env.write(
        "both.yaml",
        "x: '{{ .y }}'\n---\nkind: Deployment\na: hunter2\n b: [\n",
    );
    env.write("{{.yaml", "\"kind\": \"Secret\"\nhunter2: {{ .a }}: [\n");
    env.git(&["add", "."]);
    for arguments in [&["--staged"][..], &[]] {
        assert_eq!(
            found(&env, arguments),
            [
                "both.yaml:5 error unreadable",
                "chart.yaml:1 error unreadable",
                "{{.yaml:2 error unreadable",
            ]
        );
    }
    let output = lint(&env, &["chart.yaml"]);
    assert!(
        output.code == 1
            && output
                .stdout
                .contains("it may be a Secret, and cannot be looked into")
            && output.stdout.contains("lint.exclude"),
        "{}",
        output.stdout
    );
    env.write(
        ".signet.yaml",
        "lint: {exclude: [chart.yaml, both.yaml, '{{.yaml']}\n",
    );
    assert_eq!(found(&env, &[]), Vec::<String>::new());
}

#[test]
fn a_pinned_certificate_that_ends_and_a_key_that_was_followed() {
    let env = TestEnvironment::new();
    env.git(&["init", "-q"]);
    let pin = |certificate: &str, fingerprint: &str| {
        let lines = certificate.trim_end().replace('\n', "\n    ");
        env.write(
            ".signet.yaml",
            &format!("sealingKeys:\n- fingerprint: {fingerprint}\n  certificate: |\n    {lines}\n"),
        );
    };
    pin(
        &expired_certificate(),
        "SHA256:T2fIIetCYEwRtXNWXg8cq5J6i/dOXuzjIIgf+Z8OrtM",
    );
    assert_eq!(found(&env, &[]), [".signet.yaml:1 error expired-certificate"]);
    assert!(lint(&env, &[]).stdout.contains("has expired"));
    // It ends in a day.
    let (soon, fingerprint) = other_certificate();
    pin(&soon, &fingerprint);
    assert_eq!(found(&env, &[]), [".signet.yaml:1 warning expired-certificate"]);

    let sealed = NativeYaml::write(&env, "db.yaml");
    std::fs::remove_file(env.path("key.txt")).unwrap();
    let elsewhere = TestEnvironment::new();
    let newer = NativeYaml::write(&elsewhere, "x.yaml");
    let keys = |more: &str| {
        env.write(
            ".signet.yaml",
            &format!("sealingKeys:\n- recipients: [{}]\n{more}", newer.recipient()),
        );
        found(&env, &[])
    };
    assert_eq!(keys("").len(), 2, "two values");
    assert!(keys("").iter().all(|line| line.ends_with("error unknown-key")));
    let former = format!("  keySet: {{trusted: [], former: [{}]}}\n", sealed.key_id());
    assert_eq!(keys(&former).len(), 2);
    assert!(
        keys(&former)
            .iter()
            .all(|line| line.ends_with("warning unknown-key"))
    );
    assert!(
        lint(&env, &[])
            .stdout
            .contains("which was followed by another key")
    );
}

#[test]
fn the_same_object_twice() {
    let env = TestEnvironment::new();
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: shop}\n";
    env.write("one.yaml", config);
    env.write("two.yaml", &format!("{config}---\n{config}"));
    std::fs::create_dir(env.path("overlay")).unwrap();
    env.write("overlay/one.yaml", config);
    assert_eq!(
        found(&env, &[]),
        ["two.yaml:1 error duplicate", "two.yaml:5 error duplicate"]
    );
    env.write("kustomization.yaml", "kind: Kustomization\n");
    assert_eq!(found(&env, &[]), ["two.yaml:5 error duplicate"]);
}

#[test]
fn what_is_staged_is_looked_at_as_it_is_staged() {
    let env = TestEnvironment::new();
    env.git(&["init", "-q"]);
    env.write("secret.yaml", SECRET);
    env.git(&["add", "secret.yaml"]);
    // What is in the directory is not what will be committed.
    env.write("secret.yaml", "{}");
    env.write("other.yaml", SECRET);
    assert_eq!(found(&env, &["--staged"]), ["secret.yaml:7 error plain-secret"]);
    env.git(&["commit", "-qm", "oops"]);
    assert_eq!(found(&env, &["--staged"]), Vec::<String>::new());
    assert_eq!(found(&env, &[]), ["other.yaml:7 error plain-secret"]);
    env.write(".gitignore", "other.yaml\n");
    assert_eq!(found(&env, &[]), Vec::<String>::new());
    env.write("more.yaml", SECRET);
    env.write(".signet.yaml", "lint: {exclude: [more.yaml]}\n");
    assert_eq!(found(&env, &[]), Vec::<String>::new());
}

#[test]
fn the_hook_stops_a_commit() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut env = TestEnvironment::new();
    let output = lint(&env, &["--install-hook"]);
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (
            2,
            "error: this is not a Git repository\nhint: run it inside a clone\n"
        )
    );
    env.git(&["init", "-q"]);
    let output = lint(&env, &["--install-hook"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let hook = env.path(".git/hooks/pre-commit");
    assert_eq!(
        std::fs::metadata(&hook).unwrap().permissions().mode() & 0o777,
        0o755
    );
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_signet"))
        .parent()
        .unwrap()
        .to_owned();
    env.set(
        "PATH",
        &format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()),
    );
    env.write("secret.yaml", SECRET);
    env.git(&["add", "secret.yaml"]);
    let commit = env
        .command("git")
        .args([
            "-c",
            "user.name=E",
            "-c",
            "user.email=e@example.com",
            "commit",
            "-qm",
            "x",
        ])
        .output()
        .unwrap();
    assert!(!commit.status.success());
    let said = String::from_utf8_lossy(&[commit.stdout, commit.stderr].concat()).into_owned();
    assert!(
        said.contains("[plain-secret]") && !said.contains("hunter2"),
        "{said}"
    );
    assert_eq!(lint(&env, &["--install-hook"]).code, 0, "again is fine");
    std::fs::write(&hook, "#!/bin/sh\n").unwrap();
    let output = lint(&env, &["--install-hook"]);
    assert_eq!(output.code, 2);
    assert!(
        output
            .stderr
            .contains("hint: add this line to it: signet lint --staged || exit 1\n")
    );
}

#[test]
fn sarif_and_exit_codes() {
    let env = TestEnvironment::new();
    env.write("a b.yaml", SECRET);
    let log: Value = serde_json::from_str(&lint(&env, &["-o", "sarif"]).stdout).unwrap();
    assert_eq!(
        (log["version"].as_str(), log["runs"].as_array().unwrap().len()),
        (Some("2.1.0"), 1)
    );
    let result = &log["runs"][0]["results"][0];
    let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
    assert_eq!(rules[index]["id"], result["ruleId"]);
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "a%20b.yaml");
    assert_eq!(place["region"]["startLine"], 7);
    env.write(
        "a b.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {password: hunter2}\n",
    );
    assert_eq!(lint(&env, &[]).code, 0, "a warning");
    assert_eq!(lint(&env, &["--strict"]).code, 1);
    assert_eq!(lint(&env, &["gone"]).code, 2);
    assert_eq!(lint(&env, &["--staged"]).code, 2);
}
