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

const KEY_SET: &str = include_str!("../../../vectors/keyset-v1.json");

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

/// A key set that the second implementation made: names, seeds and signatures are the same here.
#[test]
fn the_key_set_of_the_second_implementation_is_believed() {
    use sealing::keyset::{Audience, EndorsementKey, KeySet, Pins};
    let vector: Value = serde_json::from_str(KEY_SET).unwrap();
    let name = |at: usize| text(&vector["names"][at]).parse().unwrap();
    for at in [0, 1] {
        let identity = Identity::parse(text(&vector["identities"][at])).ok().unwrap();
        assert_eq!(EndorsementKey::of_identity(&identity).unwrap().name(), name(at));
    }
    let mut root = [0; 32];
    for (at, byte) in root.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text(&vector["root"])[2 * at..2 * at + 2], 16).unwrap();
    }
    assert_eq!(EndorsementKey::of_root(&root).unwrap().name(), name(2));
    let read = KeySet::read(text(&vector["document"])).unwrap();
    assert_eq!(read.signers(), &[name(1), name(2)].into());
    let shop = Audience::Project { name: "shop".into() };
    for pinned in 0..3 {
        let found = read
            .trusted(&Pins::of([name(pinned)]), &shop, "2026-11-28T20:00:00Z")
            .unwrap();
        assert_eq!(found.keys().count(), 2);
        assert_eq!(found.pins.compromised.len(), 1);
        assert!(found.pins.names.contains(&name(1)));
    }
}

#[test]
fn the_second_implementation_reads_our_key_set() {
    use sealing::keyset::{Audience, EndorsementKey, KeySetBuilder, Member};
    let Some(program) = second() else { return };
    let time = || "2026-11-28T20:00:00Z".to_owned();
    let keys = [(); 3].map(|()| Identity::generate(Suite::default()).unwrap());
    let [old, bad, new] = keys.each_ref().map(|key| Member::native(key, time()).unwrap());
    let names = keys.map(|key| EndorsementKey::of_identity(&key).unwrap().name());
    let builder = KeySetBuilder::new(Audience::Cluster, time());
    let document = builder.member(old).member(bad.compromised()).member(new).sign();
    assert_eq!(
        asked(program, "check-keyset", &document),
        Some(json!([
            format!("signed by {}", names[2]),
            format!("{} endorses {}", names[0], names[2]),
            format!("{} is compromised", names[1]),
        ]))
    );
}

fn opened_by_second(program: &str, object: &Value, identity: &Identity) -> Option<Value> {
    let input = json!({"identities": [identity.to_text().as_str()], "object": object});
    asked(program, "open", &input.to_string())
}

fn asked(program: &str, what: &str, input: &str) -> Option<Value> {
    let mut child = Command::new(program)
        .arg(what)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
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
            // A data key that no value uses need not be for the reader.
            let strange = Identity::generate(suite).unwrap();
            let strange = Recipients::new([strange.recipient().clone()]).unwrap();
            let strange = seal_secret(&secret(), &strange, options).unwrap().to_value();
            let mut spare = object.clone();
            let keys = spare["spec"]["dataKeys"].as_array_mut().unwrap();
            keys.push(strange["spec"]["dataKeys"][0].clone());
            assert_eq!(
                encoded(parse(&spare).open(&ids, "team").ok().unwrap().data()),
                ours
            );
            assert_eq!(opened_by_second(program, &spare, &one), Some(ours.clone()));
            // It looks at what it is bound to, as we do.
            let mut other = object.clone();
            other["spec"]["template"]["type"] = "Opaque".into();
            assert_eq!(opened_by_second(program, &other, &one), None);
            // With texts, and a value changed without a key.
            let unlocked = sealed.unlock(&ids).ok().unwrap();
            let changed = unlocked
                .retemplate(
                    &json!({"data": {"x": "$${a} ${password}"}, "omit": ["password"]}),
                    &to,
                )
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
