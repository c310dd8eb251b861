//! `signet` used wrongly, with a secret at hand.

use std::path::Path;
use std::time::{Duration, SystemTime};

use sealing::{PrivateKey, SelfSigned};
use serde_json::{Value, json};

use super::case::{Case, secret};
use super::cli::Cli;
use super::values::Values;

/// Everything that goes wrong on a laptop. Most of it has to fail, and all of it has to keep quiet.
pub(super) fn make(namespace: &str, values: &mut Values, cli: &mut Cli, committed: &[Case]) {
    let mut plain = |what: &str| {
        let name = what.replace(", ", "-").replace(' ', "-");
        secret(namespace, &name, &values.sealed(&format!("signet seal, {what}")))
    };

    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {}});
    let stream = format!("{}\n---\n{map}\n", plain("mixed"));
    for arguments in [&[][..], &["--output-file", "mixed.yaml"], &["--output", "json"]] {
        cli.seal_with(arguments, &stream).refused();
    }
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [plain("in a list"), map]});
    cli.seal_with(&[], list.to_string()).refused();

    let file = cli.input("plain.json", plain("as a certificate").to_string());
    cli.run(&["seal", "--cert", &file], plain("bad certificate").to_string())
        .refused();
    cli.run(
        &["seal", "--cert", "/nonexistent.pem"],
        plain("no certificate").to_string(),
    )
    .refused();
    cli.run(
        &["seal", "--cert", "http://127.0.0.1:9/cert"],
        plain("no server").to_string(),
    )
    .refused();
    let private = PrivateKey::generate(2048).expect("a key");
    let long_ago = SystemTime::now() - Duration::from_hours(48);
    let expired = SelfSigned::new(long_ago, Duration::from_hours(1))
        .sign(&private)
        .expect("a certificate");
    let expired = cli.input("expired.pem", expired.to_pem());
    cli.run(&["seal", "--cert", &expired], plain("expired").to_string())
        .refused();

    for arguments in [
        &["--namespace", "another"][..],
        &["--scope", "planet"],
        &["--output", "xml"],
        &["--output-file", "/nonexistent/sealed.yaml"],
        &["--output-file", "."],
        &["--verbose"],
        &[&file, "/nonexistent/secret.yaml"],
    ] {
        cli.seal_with(arguments, plain("bad arguments").to_string())
            .refused();
    }

    let mut wrong = plain("wrong types");
    wrong["stringData"]["number"] = 5.into();
    cli.seal_with(&[], wrong.to_string()).refused();
    let mut wrong = plain("plain text in data");
    wrong["data"] = wrong["stringData"].take();
    wrong["data"]["password"] = format!("{}!", wrong["data"]["password"].as_str().unwrap_or_default()).into();
    cli.seal_with(&[], wrong.to_string()).refused();
    let mut wrong = plain("a slip");
    wrong["strngData"] = wrong["stringData"].clone();
    cli.seal_with(&[], wrong.to_string()).refused();
    let mut wrong = plain("a bad key");
    wrong["stringData"]["no key!"] = wrong["stringData"]["password"].clone();
    cli.seal_with(&[], wrong.to_string()).refused();
    let mut wrong = plain("two scopes");
    wrong["metadata"]["annotations"] = json!({"sealedsecrets.bitnami.com/cluster-wide": "true"});
    cli.seal_with(&["--scope", "strict"], wrong.to_string());

    jobs(&mut plain, cli);

    // What people commit in plain text, sealed instead.
    for case in committed {
        let file = cli.input("secret.yaml", &case.files[0].1);
        cli.seal_with(&["--namespace", namespace, &file], "");
        cli.seal_with(&["--scope", "cluster-wide"], &case.files[0].1);
    }
}

/// The other jobs of `signet seal`, done well and badly. Only recovery may print a value: of it, what fails.
fn jobs(plain: &mut dyn FnMut(&str) -> Value, cli: &mut Cli) {
    let value = |secret: &Value| {
        secret["stringData"]["password"]
            .as_str()
            .expect("a value")
            .to_owned()
    };
    let place = ["--raw", "--namespace", "shop", "--name", "db"];
    cli.seal_with(&place, value(&plain("raw"))).ok();
    cli.seal_with(&["--raw"], value(&plain("raw, nowhere"))).refused();
    let file = cli.input("value", value(&plain("raw, from a file")));
    let from_file = ["--raw", "--scope", "cluster-wide", "--from-file", &file];
    cli.seal_with(&from_file, "").ok();

    let merged = cli.output("merged.yaml");
    cli.seal_with(&["--output-file", &merged], plain("merged").to_string())
        .ok();
    cli.seal_with(&["--merge-into", &merged], plain("merged again").to_string())
        .ok();
    cli.seal_with(
        &["--merge-into", &merged, "--scope", "cluster-wide"],
        plain("another scope").to_string(),
    )
    .refused();
    let not_sealed = cli.input("not-sealed.yaml", plain("not sealed").to_string());
    cli.seal_with(
        &["--merge-into", &not_sealed],
        plain("merged into that").to_string(),
    )
    .refused();

    for job in ["--validate", "--re-encrypt", "--recovery-unseal"] {
        cli.seal_with(&[job], plain("not sealed, for a job").to_string())
            .refused();
    }
    let sealed = cli.seal(&[], &plain("not recovered")).to_string();
    cli.seal_with(
        &["--recovery-unseal", "--recovery-private-key", &not_sealed],
        &sealed,
    )
    .refused();
    cli.seal_with(&["--recovery-unseal"], &sealed).refused();

    let tree = Path::new(&not_sealed).with_file_name("tree");
    std::fs::create_dir_all(&tree).expect("a directory");
    let in_place = ["--in-place", tree.to_str().expect("a path in UTF-8")];
    let commented = plain("in place");
    cli.input(
        "tree/secret.yaml",
        format!("# {}\n{commented}\n", value(&commented)),
    );
    cli.seal_with(&in_place, "").ok();
    cli.input("tree/broken.yaml", format!("{}\n: {{", plain("broken")));
    cli.seal_with(&in_place, "").refused();
}
