//! Scope × key size × direction, with the real kubeseal: what either seals, the other opens, and only
//! where it was sealed for.

use super::program;
use sealing::{KeyRing, PrivateKey, Scope, SealOptions, SealedSecret, SealingKey, SelfSigned, seal_secret};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

/// Values that sealing could trip over: empty, bytes that are no text, longer than any RSA block.
const VALUES: [(&str, &str); 4] = [
    ("password", "aHVudGVyMg=="),
    ("empty", ""),
    ("bytes", "AP/+gA0K"),
    (
        "long.txt",
        "TG9yZW0gaXBzdW0gZG9sb3Igc2l0IGFtZXQsIGNvbnNlY3RldHVyIGFkaXBpc2NpbmcgZWxpdC4KTG9yZW0gaXBzdW0gZG9sb3Igc2l0IGFtZXQuCg==",
    ),
];

#[test]
fn either_opens_what_the_other_sealed() {
    let home = std::env::temp_dir().join(format!("signet-matrix-{}", std::process::id()));
    std::fs::create_dir_all(&home).unwrap();
    for bits in [2048, 3072, 4096] {
        let private = PrivateKey::generate(bits).unwrap();
        let made = SelfSigned::new(
            SystemTime::now() - Duration::from_mins(1),
            Duration::from_hours(1),
        );
        let certificate = made.sign(&private).unwrap();
        let (cert_file, key_file) = (home.join("cert.pem"), home.join("key.pem"));
        std::fs::write(&cert_file, certificate.to_pem()).unwrap();
        let pem = private.to_pkcs1_pem().unwrap();
        std::fs::write(&key_file, pem.as_bytes()).unwrap();
        let ring = KeyRing::new([SealingKey::new(PrivateKey::from_pem(&pem).unwrap(), certificate).unwrap()]);
        let newest = ring.newest().unwrap();
        let public = newest.certificate().public_key_at(SystemTime::now()).unwrap();
        for scope in Scope::ALL {
            let what = format!("{bits} bits, {scope}");
            let secret = json!({
                "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
                "metadata": {"name": "db", "namespace": "team", "labels": {"app": "db"}},
                "data": VALUES.map(|(key, value)| (key.to_owned(), value)).into_iter().collect::<std::collections::BTreeMap<_, _>>(),
            });

            let words = ["--scope", &scope.to_string(), "--cert"].map(str::to_owned);
            let sealed = kubeseal(&words, &cert_file, &secret);
            assert_eq!(
                opened_by_us(&sealed, &ring, "team").as_ref(),
                Ok(&secret["data"]),
                "{what}"
            );
            // Elsewhere it opens just as far as its scope reaches.
            let moved = |field: &str, to: &str| {
                let mut moved = sealed.clone();
                moved["metadata"][field] = to.into();
                opened_by_us(
                    &moved,
                    &ring,
                    moved["metadata"]["namespace"].as_str().unwrap_or("team"),
                )
                .is_ok()
            };
            assert_eq!(
                moved("name", "other"),
                scope != Scope::Strict,
                "{what}: another name"
            );
            assert_eq!(
                moved("namespace", "other"),
                scope == Scope::Cluster,
                "{what}: another namespace"
            );

            let options = SealOptions {
                scope: Some(scope),
                ..SealOptions::default()
            };
            let sealed = seal_secret(&secret, public, options).unwrap();
            let words = ["--recovery-unseal", "--recovery-private-key"].map(str::to_owned);
            let mut opened = kubeseal(&words, &key_file, &sealed);
            // That is how Go writes no bytes.
            assert_eq!(opened["data"]["empty"].take(), Value::Null, "{what}");
            opened["data"]["empty"] = "".into();
            assert_eq!(opened["data"], secret["data"], "{what}");
            assert_eq!(
                opened["metadata"]["labels"], secret["metadata"]["labels"],
                "{what}"
            );
        }
    }
    std::fs::remove_dir_all(&home).unwrap();
}

fn opened_by_us(sealed: &Value, ring: &KeyRing, namespace: &str) -> Result<Value, String> {
    let parsed = SealedSecret::parse(sealed).map_err(|errors| format!("{errors:?}"))?;
    let opened = parsed
        .open(ring, namespace)
        .map_err(|errors| format!("{errors:?}"))?;
    let secret: Value = serde_json::from_slice(&opened.write_json()).unwrap();
    Ok(secret["data"].clone())
}

/// Runs the real kubeseal with JSON in and out; `file` is its last argument.
fn kubeseal(words: &[String], file: &Path, input: &Value) -> Value {
    let mut child = Command::new(program("kubeseal"))
        .args(["--format", "json"])
        .args(words)
        .arg(file)
        // It must not find a cluster.
        .env("KUBECONFIG", "/dev/null")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.to_string().as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "kubeseal {words:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}
