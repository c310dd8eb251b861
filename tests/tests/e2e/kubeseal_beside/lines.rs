//! Command lines for single values, certificates and recovery, and such as are wrong.

use super::Departure::{Refuses, Writes};
use super::Line;
use super::inputs::PLAIN;
use super::outcome::expired;

const SEALED: &str = "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\n\
                      metadata: {name: db, namespace: shop}\nspec: {encryptedData: {a: AgB0}}\n";

const ANYWHERE: &str = "cluster-wide";

pub(super) fn all() -> Vec<Line> {
    [raw(), certificates(), wrong(), recovery()]
        .into_iter()
        .flatten()
        .collect()
}

const RAW: [&str; 3] = ["--cert", "cert.pem", "--raw"];

/// A value for `shop/db`, and more flags.
fn place<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&RAW[..], &["-n", "shop", "--name", "db"], more].concat()
}

/// Like `TestRaw` and `TestRawSealErrors` upstream: scope × namespace × name, from a file and from standard input.
fn raw() -> Vec<Line> {
    let mut lines = Vec::new();
    let raw = RAW;
    for scope in [
        &[][..],
        &["--scope", "strict"],
        &["--scope", "namespace-wide"],
        &["--scope", ANYWHERE],
    ] {
        for namespace in [&[][..], &["-n", "shop"], &["--context", "bare"]] {
            for name in [&[][..], &["--name", "db"]] {
                let args = [&raw, scope, namespace, name].concat();
                lines.push(Line::new(&args, "hunter2"));
                let from = [&args[..], &["--from-file", "value"]].concat();
                lines.push(Line::new(&from, "not this").file("value", "hunter2\n"));
            }
        }
    }
    let value = |more: &[&str]| Line::new(&place(more), "not this").file("value", "hunter2");
    lines.extend([
        value(&["--from-file", "key=value"]),
        value(&["--from-file=value", "--from-file=value"]),
        value(&["--from-file", "value,value"]),
        value(&["--from-file", "gone"]),
        value(&["--from-file", "value", "-w", "out"]),
        value(&["--from-file", "value", "--raw=false"]),
        Line::new(&place(&[]), ""),
        Line::new(&place(&[]), "pâté 🥧\n\n"),
        Line::new(&place(&["-f", "gone"]), "x"),
        value(&["-f", "value"]).departs("-f names the input, with --raw as well", Writes("hunter2")),
        Line::new(&[&raw[..], &["-n", "No_Namespace", "--name", "db"]].concat(), "x").departs(
            "no such namespace can be",
            Refuses("`No_Namespace` is not a name that Kubernetes accepts"),
        ),
        Line::new(&[&raw[..], &["-n", "shop", "--name", "No_Name"]].concat(), "x").departs(
            "no such Secret can be",
            Refuses("`No_Name` is not a name that Kubernetes accepts"),
        ),
        Line::new(&["--raw", "--scope", ANYWHERE], "x").env("SEALED_SECRETS_CERT", "cert.pem"),
        Line::new(&[], "x")
            .env("SEALED_SECRETS_CERT", "cert.pem")
            .env("SEALED_SECRETS_RAW", "true")
            .env("SEALED_SECRETS_SCOPE", ANYWHERE),
    ]);
    lines
}

fn certificates() -> Vec<Line> {
    let old = |args: &[&str]| Line::new(args, PLAIN).file("old.pem", expired());
    vec![
        old(&["--cert", "old.pem"]),
        old(&["--cert", "old.pem", "--raw", "--scope", ANYWHERE]),
        old(&["--cert", "old.pem", "--fetch-cert"]),
        old(&["--cert", "cert.pem", "--fetch-cert"]),
        old(&["--cert", "cert.pem", "--fetch-cert", "-w", "out"]),
        old(&["--fetch-cert", "--raw", "--cert=old.pem", "--cert=cert.pem"]),
        old(&["--cert", "gone.pem"]),
        old(&["--cert", "gone.pem", "--fetch-cert"]),
        old(&["--cert", "/?this/file/cannot/possibly/exist/right?"]),
        old(&["--cert", "file:///gone.pem"]).departs(
            "a file is no server that answers 404",
            Refuses("/gone.pem: no such file or directory"),
        ),
        old(&["--cert", "key.pem"]),
        old(&["--cert", "http://127.0.0.1:9/cert.pem"]),
        // Nobody listens where the kubeconfig points.
        old(&[]),
        old(&["--fetch-cert"]),
        Line::new(&["--validate"], SEALED),
        Line::new(&["--re-encrypt"], SEALED),
        old(&["--server", "http://127.0.0.1:9", "--fetch-cert"]),
        old(&[
            "--cluster",
            "second",
            "--user",
            "test",
            "--token=t",
            "--as=x",
            "--as-group=y",
            "--fetch-cert",
        ]),
        old(&["--context", "gone", "--fetch-cert"]),
        old(&["--kubeconfig", "gone", "--fetch-cert"]),
        Line::new(&["--cert", "key.pem", "--fetch-cert"], "").departs(
            "what is no certificate is not handed on as one",
            Refuses("it is a private key"),
        ),
    ]
}

fn wrong() -> Vec<Line> {
    let with = |args: &[&str]| Line::new(&[&["--cert", "cert.pem"], args].concat(), PLAIN);
    vec![
        with(&["--bogus"]),
        with(&["-Z"]),
        with(&["--scope", "wide"]),
        with(&["--name"]),
        with(&["--raw=maybe"]),
        with(&["-v", "x"]),
        with(&["-o", "xml"]),
        with(&["--from-file", "x"]),
        with(&["-f", "gone"]),
        with(&["-f", "in.yaml"]).file("in.yaml", PLAIN),
        with(&["-w", "gone/out.yaml"]),
        with(&["--", "-w"]).departs("a file without -f is not ignored without a word", Writes("aHVudGVyMg==")),
        with(&["-n", "other"]),
        Line::new(
            &["--cert", "cert.pem"],
            "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop, annotations: {\
             sealedsecrets.bitnami.com/cluster-wide: 'true', sealedsecrets.bitnami.com/namespace-wide: 'true'}}\n\
             stringData: {a: x}\n",
        )
        .departs("one annotation stands for the scope", Writes("{\"sealedsecrets.bitnami.com/cluster-wide\":\"true\"}")),
        with(&["--recovery-private-key", "key.pem"]),
        Line::new(&["--version"], "").departs(
            "it is compatible with it, and says what it is",
            Writes("0.40.0+signet."),
        ),
        Line::new(&["--validate", "--cert", "cert.pem"], "").departs(
            "nothing is not valid: a mistake in a pipe stays hidden",
            Refuses("no sealed secrets found"),
        ),
    ]
}

/// A backup as `kubectl get secret -o yaml` prints it.
fn backup(list: bool) -> String {
    let key = include_str!("../../../../sealing/tests/vectors/key2048.pkcs1.pem");
    let encoded = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, key);
    let secret = format!(
        "{{apiVersion: v1, kind: Secret, type: kubernetes.io/tls, metadata: {{name: k, namespace: kube-system}}, \
         data: {{tls.crt: MQ==, tls.key: {encoded}}}}}"
    );
    if list {
        format!("apiVersion: v1\nkind: List\nitems:\n- {secret}\n")
    } else {
        secret
    }
}

fn recovery() -> Vec<Line> {
    let seal = |scope: sealing::Scope| {
        let secret = serde_json::json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "stringData": {"a": "x"},
            "metadata": {"name": "db", "namespace": "shop", "labels": {"app": "db"}},
        });
        let certificate = sealing::Certificate::from_pem(super::inputs::CERTIFICATE).unwrap();
        let key = certificate.public_key_at(std::time::SystemTime::now()).unwrap();
        let options = sealing::SealOptions {
            scope: Some(scope),
            ..sealing::SealOptions::default()
        };
        sealing::seal_secret(&secret, key, options).unwrap()
    };
    let mut lines = Vec::new();
    for scope in sealing::Scope::ALL {
        let sealed = seal(scope).to_string();
        for key in ["key.pem", "list.yaml", "secret.yaml", "list.yaml,key.pem"] {
            for format in [&[][..], &["-o", "yaml"], &["-w", "out.yaml"]] {
                let args = [&["--recovery-unseal", "--recovery-private-key", key], format].concat();
                lines.push(
                    Line::new(&args, &sealed)
                        .file("list.yaml", backup(true))
                        .file("secret.yaml", backup(false)),
                );
            }
        }
    }
    let sealed = seal(sealing::Scope::Strict);
    let mut renamed = sealed.clone();
    renamed["metadata"]["name"] = "renamed".into();
    let (sealed, renamed) = (sealed.to_string(), renamed.to_string());
    let recover = |args: &[&str], input: &str| Line::new(&[&["--recovery-unseal"], args].concat(), input);
    let with_key = ["--recovery-private-key", "key.pem"];
    let two = format!(
        "{sealed}\n---\n{}",
        seal(sealing::Scope::Cluster)
            .to_string()
            .replace("\"db\"", "\"renamed\"")
    );
    lines.extend([
        recover(&[], &sealed),
        recover(&["--recovery-private-key", "gone"], &sealed),
        recover(&["--recovery-private-key", "cert.pem"], &sealed).departs(
            "a file without a key is a mistake",
            Refuses("there is no private key in it"),
        ),
        recover(&with_key, &renamed),
        recover(&with_key, PLAIN),
        recover(&with_key, "").departs("nothing is no Secret", Refuses("no sealed secrets found")),
        // It comes before all other jobs.
        recover(
            &[&with_key[..], &["--validate", "--re-encrypt", "--raw"]].concat(),
            &sealed,
        ),
        recover(&with_key, &two).departs(
            "every document is opened, not only the first",
            Writes("\"name\":\"renamed\""),
        ),
    ]);
    lines
}
