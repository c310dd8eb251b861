//! Cases that begin with a sealed value.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sealing::{PrivateKey, SelfSigned};
use serde_json::{Value, json};

use super::case::{Case, End, secret};
use super::cli::Cli;
use super::policies;
use super::values::{self, Class, Values};

/// Larger than a Secret may be, in one value.
const TOO_LARGE: usize = 1100;

/// All of them, for one namespace.
pub(super) fn cases(namespace: &str, values: &mut Values, cli: &mut Cli) -> Vec<Case> {
    let mut cases = good(namespace, values, cli);
    cases.extend(unopened(namespace, values, cli));
    cases.extend(refused(namespace, values, cli));
    cases
}

/// What is opened and applied.
fn good(namespace: &str, values: &mut Values, cli: &mut Cli) -> Vec<Case> {
    let short = values.text("short", Class::Sealed, values::letters(9));
    let lines: Vec<_> = (0..40).map(|_| values::letters(64)).collect();
    let long = values.text("long", Class::Sealed, lines.join("\n") + "\n");
    let awkward = values.text("awkward", Class::Sealed, values::awkward());
    let binary = values::random(300);
    values.bytes("binary", Class::Sealed, binary.clone());
    let mut shapes = secret(namespace, "shapes", &short);
    shapes["data"] = json!({"binary": BASE64_STANDARD.encode(binary)});
    shapes["stringData"]["long"] = long.into();
    shapes["stringData"]["awkward"] = awkward.into();

    // What kubectl leaves behind on a Secret that was applied in plain text.
    let mut copied = secret(namespace, "copied", &values.sealed("copied"));
    copied["metadata"]["annotations"] =
        json!({"kubectl.kubernetes.io/last-applied-configuration": copied.to_string()});

    let mut rendered = cli.seal(&[], &secret(namespace, "rendered", &values.sealed("rendered")));
    rendered["spec"]["template"]["data"] =
        json!({"config.ini": "[db]\npassword = {{ .password }}\n", "again": "{{ index . \"password\" }}"});

    let mut warned = secret(namespace, "warned", &values.sealed("warned by a policy"));
    warned["metadata"]["labels"] = json!({policies::LABEL: "warn"});

    let file = cli.input(
        "file.json",
        secret(namespace, "file", &values.sealed("file")).to_string(),
    );
    let output = cli.output("sealed.yaml");
    cli.seal_with(&[&file, "--output-file", &output], "").ok();
    let from_file = std::fs::read(output).expect("what was sealed");

    let mut cases = vec![
        Case::sealed("shapes", End::Applied, &cli.seal(&[], &shapes)),
        Case::sealed("copied", End::Applied, &cli.seal(&[], &copied)),
        Case::sealed("rendered", End::Applied, &rendered),
        Case::sealed("warned", End::Applied, &cli.seal(&[], &warned)),
        Case::new("file", End::Applied, from_file).read("file"),
    ];
    for scope in ["namespace-wide", "cluster-wide"] {
        let plain = secret(namespace, scope, &values.sealed(scope));
        cases.push(Case::sealed(
            scope,
            End::Applied,
            &cli.seal(&["--scope", scope], &plain),
        ));
    }
    let first = secret(namespace, "conflict", &values.sealed("first of a conflict"));
    cases.push(Case::sealed("conflict", End::Applied, &cli.seal(&[], &first)));
    let mut immutable = secret(namespace, "immutable", &values.sealed("immutable"));
    immutable["immutable"] = true.into();
    cases.push(Case::sealed(
        "immutable",
        End::Applied,
        &cli.seal(&[], &immutable),
    ));
    cases.push(
        Case::sealed(
            "pruned",
            End::Applied,
            &cli.seal(&[], &secret(namespace, "pruned", &values.sealed("pruned"))),
        )
        .file("stays.yaml", tests::objects::config_map("stays", "one")),
    );
    cases
}

/// What cannot be opened, or not as it says.
fn unopened(namespace: &str, values: &mut Values, cli: &mut Cli) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut spoiled = |name: &str, spoil: &dyn Fn(&mut Value)| {
        let mut sealed = cli.seal(&[], &secret(namespace, name, &values.sealed(name)));
        spoil(&mut sealed);
        cases.push(Case::sealed(name, End::Failed, &sealed).read(name));
    };
    spoiled("wrong-name", &|sealed| {
        sealed["metadata"]["name"] = "another".into();
    });
    spoiled("wrong-namespace", &|sealed| {
        sealed["metadata"]["namespace"] = "default".into();
    });
    spoiled("wrong-scope", &|sealed| {
        sealed["metadata"]["annotations"] = json!({"sealedsecrets.bitnami.com/namespace-wide": "true"});
    });
    spoiled("truncated", &|sealed| cipher(sealed, |text| text.truncate(300)));
    spoiled("cut-to-nothing", &|sealed| {
        cipher(sealed, |text| text.truncate(4));
    });
    spoiled("tampered", &|sealed| {
        cipher(sealed, |text| {
            let end = text.len() - 12;
            let other = if &text[end..=end] == "A" { "B" } else { "A" };
            text.replace_range(end..=end, other);
        });
    });
    spoiled("not-base64", &|sealed| cipher(sealed, |text| text.insert(7, '*')));
    spoiled("of-another-type", &|sealed| {
        sealed["spec"]["encryptedData"]["password"] = json!([1]);
    });
    spoiled("two-secrets", &|sealed| {
        *sealed = json!({"apiVersion": "v1", "kind": "List", "items": [sealed.clone(), sealed.clone()]});
    });
    for (name, template) in [
        ("template-fail", "{{ fail .password }}"),
        ("template-missing", "{{ .missing }}"),
        ("template-function", "{{ .password | bcrypt }}"),
        ("template-broken", "{{ .password"),
        ("template-required", "{{ required .password \"\" }}"),
    ] {
        spoiled(name, &|sealed| {
            sealed["spec"]["template"]["data"] = json!({"config": template});
        });
    }
    spoiled("template-bad-key", &|sealed| {
        sealed["spec"]["template"]["data"] = json!({"no key!": "{{ .password }}"});
    });

    let private = PrivateKey::generate(2048).expect("a key");
    let others = SelfSigned::new(SystemTime::now(), Duration::from_hours(1))
        .sign(&private)
        .expect("a certificate");
    let certificate = cli.input("others.pem", others.to_pem());
    let plain = secret(namespace, "wrong-key", &values.sealed("wrong key"));
    let arguments = ["seal", "--cert", &certificate, "--output", "json"];
    let sealed = cli.run(&arguments, plain.to_string()).ok();
    cases.push(Case::new("wrong-key", End::Failed, sealed));
    cases
}

/// What is opened, and then refused by the API server.
fn refused(namespace: &str, values: &mut Values, cli: &mut Cli) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut sealed = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut plain = secret(namespace, name, &values.sealed(name));
        change(&mut plain);
        Case::sealed(name, End::Failed, &cli.seal(&[], &plain))
    };
    cases.push(sealed("tls", &|plain| plain["type"] = "kubernetes.io/tls".into()));
    cases.push(sealed("docker", &|plain| {
        let value = plain["stringData"]["password"].take();
        plain["stringData"] = json!({".dockerconfigjson": value});
        plain["type"] = "kubernetes.io/dockerconfigjson".into();
    }));
    cases.push(sealed("service-account-token", &|plain| {
        plain["type"] = "kubernetes.io/service-account-token".into();
    }));
    cases.push(sealed("bad-label", &|plain| {
        plain["metadata"]["labels"] = json!({"team": "not a label!"});
    }));
    cases.push(sealed("denied", &|plain| {
        plain["metadata"]["labels"] = json!({policies::LABEL: "deny"});
    }));
    cases.push(sealed("elsewhere", &|plain| {
        plain["metadata"]["namespace"] = "kube-system".into();
    }));
    cases.push(sealed("nowhere", &|plain| {
        plain["metadata"]["namespace"] = "no-such-place".into();
    }));
    cases.push(
        sealed("forbidden", &|_| {}).with(|spec| spec.service_account_name = policies::POWERLESS.into()),
    );
    cases.push(sealed("nobody", &|_| {}).with(|spec| spec.service_account_name = "nobody".into()));

    // `signet seal` refuses it as a whole; half of it, twice, it does not.
    let block = values.text("too large", Class::Sealed, values::letters(1024));
    let mut whole = secret(namespace, "too-large", &block.repeat(TOO_LARGE));
    cli.seal_with(&[], whole.to_string());
    whole["stringData"]["password"] = block.repeat(TOO_LARGE / 2).into();
    let mut large = cli.seal(&[], &whole);
    large["spec"]["encryptedData"]["again"] = large["spec"]["encryptedData"]["password"].clone();
    large["spec"]["encryptedData"]["more"] = large["spec"]["encryptedData"]["password"].clone();
    cases.push(Case::sealed("too-large", End::Failed, &large));
    cases
}

fn cipher(sealed: &mut Value, change: impl FnOnce(&mut String)) {
    let field = &mut sealed["spec"]["encryptedData"]["password"];
    let mut text = field.as_str().expect("a sealed value").to_owned();
    change(&mut text);
    *field = text.into();
}
