//! Known answers for format v2, made by the second implementation in `sealing/vectors/` (Go, standard library), and that
//! implementation opening what we seal.

use super::support::*;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sealing::v2::{Identities, Identity, Recipients, Suite, seal_secret};
use sealing::{Scope, SealOptions};
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

const VECTORS: &str = include_str!("../../../vectors/sealed-v2.json");

fn vectors() -> Vec<Value> {
    let file: Value = serde_json::from_str(VECTORS).unwrap();
    file["vectors"].as_array().unwrap().clone()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn encoded(data: &std::collections::BTreeMap<String, sealing::Plaintext>) -> Value {
    let entries = data
        .iter()
        .map(|(key, value)| (key.clone(), Value::from(BASE64_STANDARD.encode(value.expose()))));
    Value::Object(entries.collect())
}

#[test]
fn every_vector_opens() {
    let all = vectors();
    assert_eq!(all.len(), 8);
    for vector in &all {
        let name = text(&vector["name"]);
        let identity = Identity::parse(text(&vector["identity"])).ok().unwrap();
        assert_eq!(
            identity.recipient().to_string(),
            text(&vector["recipient"]),
            "{name}"
        );
        assert_eq!(identity.key_id().as_str(), text(&vector["keyId"]), "{name}");
        let parsed = parse(&vector["object"]);
        let ids = Identities::new([identity]);
        let opened = parsed.open(&ids, "team").ok().unwrap();
        assert_eq!(encoded(opened.data()), vector["data"], "{name}");
    }
}

/// The same data key, binding and value have the same bytes, whoever seals: our line for a value is the vector's.
#[test]
fn sealing_again_gives_the_vectors_bytes() {
    for vector in vectors() {
        let name = text(&vector["name"]);
        let parsed = parse(&vector["object"]);
        let ids = Identities::new([Identity::parse(text(&vector["identity"])).ok().unwrap()]);
        let unlocked = parsed.unlock(&ids).ok().unwrap();
        // Through another template and back: every value is sealed twice.
        let other = unlocked.retemplate(&json!({"type": "other"})).unwrap();
        assert_ne!(
            other.to_value()["spec"]["values"],
            vector["object"]["spec"]["values"],
            "{name}"
        );
        let back = other
            .unlock(&ids)
            .ok()
            .unwrap()
            .retemplate(&unlocked.template())
            .unwrap();
        assert_eq!(back.to_value()["spec"], vector["object"]["spec"], "{name}");
    }
}

/// The second implementation, built once; none where there is no Go.
fn second() -> Option<&'static str> {
    static BUILT: OnceLock<Option<String>> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            let output = format!("{}/sealed-v2-vectors", env!("CARGO_TARGET_TMPDIR"));
            let built = Command::new("go")
                .args(["build", "-o", &output, "."])
                .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors"))
                .env("GOFLAGS", "-mod=mod -buildvcs=false")
                .env("GOPROXY", "off")
                .status();
            match built {
                Ok(status) => {
                    assert!(status.success(), "the second implementation does not build");
                    Some(output)
                }
                Err(err) => {
                    assert!(std::env::var_os("CI").is_none(), "go is needed: {err}");
                    eprintln!("skipped: there is no go ({err})");
                    None
                }
            }
        })
        .as_deref()
}

fn opened_by_second(program: &str, object: &Value, identity: &Identity) -> Option<Value> {
    let input = json!({"identities": [identity.to_text().as_str()], "object": object});
    let mut child = Command::new(program)
        .arg("open")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.to_string().as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    output
        .status
        .success()
        .then(|| serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn the_second_implementation_opens_what_we_seal() {
    let Some(program) = second() else { return };
    for suite in [Suite::MlKem768X25519, Suite::X25519] {
        let [one, two] = [(); 2].map(|()| Identity::generate(suite).unwrap());
        let to = Recipients::new([one.recipient().clone(), two.recipient().clone()]).unwrap();
        for scope in Scope::ALL {
            let options = SealOptions {
                scope: Some(scope),
                ..SealOptions::default()
            };
            let sealed = seal_secret(&secret(), &to, options).unwrap();
            let object = sealed.to_value();
            let ids = Identities::new([Identity::parse(&one.to_text()).ok().unwrap()]);
            let ours = encoded(sealed.open(&ids, "team").ok().unwrap().data());
            for identity in [&one, &two] {
                assert_eq!(
                    opened_by_second(program, &object, identity),
                    Some(ours.clone()),
                    "{suite} {scope}"
                );
            }
            // It looks at what it is bound to, as we do.
            let mut other = object.clone();
            other["spec"]["template"]["type"] = "Opaque".into();
            assert_eq!(opened_by_second(program, &other, &one), None);
            // With texts, and a value changed without a key.
            let unlocked = sealed.unlock(&ids).ok().unwrap();
            let changed = unlocked
                .retemplate(&json!({"data": {"x": "$${a} ${password}"}, "omit": ["password"]}))
                .unwrap()
                .set(&plain(&[("more", "x")]), &to)
                .unwrap();
            let ours = encoded(changed.open(&ids, "team").ok().unwrap().data());
            assert_eq!(
                opened_by_second(program, &changed.to_value(), &two),
                Some(ours),
                "{suite} {scope}"
            );
        }
    }
}
