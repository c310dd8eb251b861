//! What is done with bytes from outside. The fuzzer (`fuzz_targets/`, on a nightly compiler) and the crate's tests (on any)
//! run the same functions: nothing may panic, hang, or put a sealed value's content into an error.

use sealing::{Certificate, KeyRing, PrivateKey, Scope, SealedSecret, SealingKey, v1};
use serde_json::{Value, json};
use std::fmt::Display;
use std::sync::OnceLock;

const KEY: &str = include_str!("../tests/vectors/key2048.pem");
const CERTIFICATE: &str = include_str!("../tests/vectors/cert2048.pem");

/// What is sealed, and must not come out in words.
const SECRET: &str = "hunter2-7f3a";
const PLACE: (&str, &str) = ("team", "db");

struct World {
    ring: KeyRing,
    sealed: String,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let certificate = Certificate::from_pem(CERTIFICATE).unwrap();
        let public = certificate.public_key_at(certificate.not_before()).unwrap();
        let label = Scope::Strict.label(PLACE.0, PLACE.1);
        let sealed = v1::seal(public, &label, SECRET.as_bytes()).unwrap();
        let key = SealingKey::new(PrivateKey::from_pem(KEY).unwrap(), certificate).unwrap();
        World {
            ring: KeyRing::new([key]),
            sealed,
        }
    })
}

/// A sealed value that opens, to begin with.
pub fn sealed() -> &'static str {
    &world().sealed
}

/// A SealedSecret that opens, to begin with.
pub fn object_with(template: &str) -> Value {
    json!({
        "apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret",
        "metadata": {"name": PLACE.1, "namespace": PLACE.0, "annotations": {"a": "b"}},
        "spec": {
            "encryptedData": {"pw": sealed()},
            "template": {
                "type": "Opaque", "immutable": false,
                "metadata": {"labels": {"l": "x"}, "finalizers": ["f.example.org/x"]},
                "data": {"out": template, "text": "beside"},
            },
        },
    })
}

/// One value of `encryptedData`.
pub fn envelope(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for scope in Scope::ALL {
        let label = scope.label(PLACE.0, PLACE.1);
        if let Err(err) = world().ring.open(text, &label) {
            silent(&err);
        }
    }
}

/// A whole object, as JSON.
pub fn object(data: &[u8]) {
    if let Ok(object) = serde_json::from_slice::<Value>(data) {
        open(&object);
    }
}

/// The text of one entry of `spec.template.data`.
pub fn template(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        open(&object_with(text));
    }
}

/// Keys and certificates in PEM.
pub fn keys(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(certificate) = Certificate::from_pem(text) {
        let _ = certificate.public_key_at(certificate.not_before());
    }
    let _ = PrivateKey::from_pem(text);
}

fn open(object: &Value) {
    let parsed = match SealedSecret::parse(object) {
        Ok(parsed) => parsed,
        Err(errors) => return errors.iter().for_each(|err| silent(err)),
    };
    match parsed.open(&world().ring, parsed.namespace().unwrap_or(PLACE.0)) {
        Ok(opened) => {
            let size: usize = opened.data().values().map(sealing::Plaintext::len).sum();
            assert!(size <= 1 << 20, "{size} bytes");
            let json = opened.write_json();
            assert!(
                serde_json::from_slice::<Value>(&json).is_ok(),
                "what is sent is JSON"
            );
        }
        Err(errors) => errors.iter().for_each(|err| silent(err)),
    }
}

/// An error says nothing of what is sealed.
fn silent(err: &dyn Display) {
    let text = err.to_string();
    assert!(!text.contains(SECRET), "an error holds a value");
    assert!(text.len() < 4096, "an error of {} bytes", text.len());
    assert!(
        !text.contains(|c: char| c.is_control()),
        "an error with control characters"
    );
}
