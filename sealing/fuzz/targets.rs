//! What is done with bytes from outside. The fuzzer (`fuzz_targets/`, on a nightly compiler) and the crate's tests (on any)
//! run the same functions: nothing may panic, hang, or put a sealed value's content into an error.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealing::keyset::{Audience, KeySet, KeySetBuilder, Member, Pins};
use sealing::v2::{self, Identities, Identity, Recipient, Recipients};
use sealing::{Certificate, KeyRing, PrivateKey, Scope, SealOptions, SealedSecret, SealingKey, reseal, v1};
use serde_json::{Value, json};
use std::fmt::Display;
use std::sync::OnceLock;

const KEY: &str = include_str!("../tests/vectors/key2048.pem");
const CERTIFICATE: &str = include_str!("../tests/vectors/cert2048.pem");
/// A key that is known to whoever fuzzes, so that a corpus can hold objects that open: that of a vector in `sealing/vectors/`.
const IDENTITY: &str = "AGE-SECRET-KEY-1Z4NSUY6URK6GNXCXM3E5R2ZEWJM5Z0KK6RHHDYQZA6XKVUC0956QNQJAWW";

/// What is sealed, and must not come out in words.
const SECRET: &str = "hunter2-7f3a";
const PLACE: (&str, &str) = ("team", "db");

struct World {
    ring: KeyRing,
    sealed: String,
    identities: Identities,
    native: Value,
    key_set: String,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let certificate = Certificate::from_pem(CERTIFICATE).unwrap();
        let public = certificate.public_key_at(certificate.not_before()).unwrap();
        let label = Scope::Strict.label(PLACE.0, PLACE.1);
        let sealed = v1::seal(public, &label, SECRET.as_bytes()).unwrap();
        let key = SealingKey::new(PrivateKey::from_pem(KEY).unwrap(), certificate).unwrap();
        let identity = || Identity::parse(IDENTITY).unwrap();
        let to = Recipients::new([identity().recipient().clone()]).unwrap();
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": PLACE.1, "namespace": PLACE.0, "labels": {"l": "x"}},
            "stringData": {"pw": SECRET, "empty": ""},
        });
        let native = v2::seal_secret(&secret, &to, SealOptions::default()).unwrap();
        let since = || "2026-01-01T00:00:00Z".to_owned();
        let key_set = KeySetBuilder::new(Audience::Cluster, since())
            .member(Member::rsa(&key, since(), "2036-01-01T00:00:00Z".to_owned()).unwrap())
            .member(Member::native(&identity(), since()).unwrap())
            .sign();
        World {
            ring: KeyRing::new([key]),
            sealed,
            identities: Identities::new([identity()]),
            native: native.to_value(),
            key_set,
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

/// One of format v2 that opens, to begin with.
pub fn native_object() -> String {
    world().native.to_string()
}

/// The age file of its data key, to begin with.
pub fn native_age_file() -> Vec<u8> {
    let text = world().native.pointer("/spec/dataKeys/0/age").unwrap();
    STANDARD.decode(text.as_str().unwrap()).unwrap()
}

/// A key set that is signed, to begin with.
pub fn signed_key_set() -> &'static str {
    &world().key_set
}

/// Keys of format v2, to begin with.
pub fn native_keys() -> [String; 2] {
    let identity = Identity::parse(IDENTITY).unwrap();
    [
        format!("# a comment\n{IDENTITY}\n"),
        identity.recipient().to_string(),
    ]
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
        if let Err(err) = reseal(object, &world().ring, std::time::SystemTime::UNIX_EPOCH) {
            silent(&err);
        }
    }
}

/// The text of one entry of `spec.template.data`.
pub fn template(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        open(&object_with(text));
    }
}

/// Keys and certificates in PEM, and keys of format v2 in Bech32, as key Secrets hold them.
pub fn keys(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(certificate) = Certificate::from_pem(text) {
        let _ = certificate.public_key_at(certificate.not_before());
    }
    let _ = PrivateKey::from_pem(text);
    if let Err(err) = text.parse::<Recipient>() {
        silent(&err);
    }
    match Identity::parse_file(text) {
        Ok(found) => assert!(!found.is_empty(), "a file without a key is none"),
        Err(err) => silent(&err),
    }
}

/// A whole object of format v2, as JSON: what was read is written as it was.
pub fn native(data: &[u8]) {
    if let Ok(object) = serde_json::from_slice::<Value>(data) {
        open_native(&object);
    }
}

/// The age file of a data key.
pub fn age_file(data: &[u8]) {
    let mut object = world().native.clone();
    object["spec"]["dataKeys"][0]["age"] = STANDARD.encode(data).into();
    open_native(&object);
}

/// A text of `template.data` of format v2.
pub fn native_template(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let mut object = world().native.clone();
        object["spec"]["template"]["data"] = json!({ "out": text });
        open_native(&object);
        let Ok(sealed) = v2::SealedSecret::parse(&world().native) else {
            return;
        };
        // The same text, bound to the values anew, so that it is rendered.
        let unlocked = sealed.unlock(&world().identities).unwrap();
        let to = Recipients::new([Identity::parse(IDENTITY).unwrap().recipient().clone()]).unwrap();
        match unlocked.retemplate(&json!({"data": {"out": text}}), &to) {
            Ok(sealed) => open_native(&sealed.to_value()),
            Err(err) => silent(&err),
        }
    }
}

/// The document of a key set.
pub fn key_set(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match KeySet::read(text) {
        Ok(verified) => {
            let pins = Pins::of(verified.signers().iter().cloned());
            if let Err(err) = verified.trusted(&pins, &Audience::Cluster, "2096-01-01T00:00:00Z") {
                silent(&err);
            }
        }
        Err(err) => silent(&err),
    }
}

fn open(object: &Value) {
    let parsed = match SealedSecret::parse(object) {
        Ok(parsed) => parsed,
        Err(errors) => return errors.iter().for_each(|err| silent(err)),
    };
    match parsed.open(&world().ring, parsed.namespace().unwrap_or(PLACE.0)) {
        Ok(opened) => fits(&opened),
        Err(errors) => errors.iter().for_each(|err| silent(err)),
    }
}

fn open_native(object: &Value) {
    let parsed = match v2::SealedSecret::parse(object) {
        Ok(parsed) => parsed,
        Err(errors) => return errors.iter().for_each(|err| silent(err)),
    };
    let written = parsed.to_value();
    let again = v2::SealedSecret::parse(&written).map(|again| again.to_value());
    assert_eq!(again.ok(), Some(written), "what was read is written as it was");
    match parsed.open(&world().identities, parsed.namespace().unwrap_or(PLACE.0)) {
        Ok(opened) => fits(&opened),
        Err(errors) => errors.iter().for_each(|err| silent(err)),
    }
    for err in parsed
        .unlock_as_sealed(&world().identities)
        .err()
        .into_iter()
        .flatten()
    {
        silent(&err);
    }
    if let Err(err) = parsed.unset(["pw"]) {
        silent(&err);
    }
}

fn fits(opened: &sealing::Opened) {
    let size: usize = opened.data().values().map(sealing::Plaintext::len).sum();
    assert!(size <= 1 << 20, "{size} bytes");
    let json = opened.write_json();
    assert!(
        serde_json::from_slice::<Value>(&json).is_ok(),
        "what is sent is JSON"
    );
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
