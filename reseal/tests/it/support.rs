//! Keys, sealed texts, and what they say when they are opened.

use manifest::{Limits, each_object, read_stream};
use reseal::{Resealed, Task, stream};
use sealing::v2::{self, Identities, Identity, Recipients, Suite};
use sealing::{Certificate, KeyRing, PrivateKey, Scope, SealingKey, SelfSigned, v1};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

/// A key of each format.
pub(crate) struct Keys {
    pub(crate) certificate: Certificate,
    pub(crate) ring: KeyRing,
    pub(crate) identities: Identities,
    pub(crate) recipients: Recipients,
}

pub(crate) fn keys() -> Keys {
    let key = sealing_key();
    let identity = Identity::generate(Suite::MlKem768X25519).unwrap();
    Keys {
        certificate: Certificate::from_pem(key.certificate().to_pem()).unwrap(),
        recipients: Recipients::new([identity.recipient().clone()]).unwrap(),
        ring: KeyRing::new([key]),
        identities: Identities::new([identity]),
    }
}

pub(crate) fn sealing_key() -> SealingKey {
    let private = PrivateKey::generate(2048).unwrap();
    let signed = SelfSigned::new(
        SystemTime::now() - Duration::from_mins(1),
        Duration::from_hours(1),
    );
    let certificate = signed.sign(&private).unwrap();
    SealingKey::new(private, certificate).unwrap()
}

/// From one pair of keys to another.
pub(crate) fn again(text: &str, from: &Keys, to: &Keys) -> Resealed {
    with(text, from, to, &BTreeSet::new(), Some("shop"))
}

pub(crate) fn with(
    text: &str,
    from: &Keys,
    to: &Keys,
    leaving: &BTreeSet<String>,
    namespace: Option<&str>,
) -> Resealed {
    let task = Task {
        ring: &from.ring,
        identities: &from.identities,
        certificate: Some(&to.certificate),
        recipients: Some(&to.recipients),
        others: None,
        leaving,
        namespace,
        every_key: false,
        now: SystemTime::now(),
    };
    stream(text.as_bytes(), &Limits::default(), &task).unwrap()
}

/// One value of format v1.
pub(crate) fn sealed_v1(keys: &Keys, scope: Scope, namespace: &str, name: &str, value: &str) -> String {
    let key = keys.certificate.public_key_at(SystemTime::now()).unwrap();
    v1::seal(key, &scope.label(namespace, name), value.as_bytes()).unwrap()
}

/// One object of the native format, as JSON.
pub(crate) fn sealed_v2(keys: &Keys, name: &str, values: &[(&str, &str)]) -> Value {
    let data: serde_json::Map<_, _> = values
        .iter()
        .map(|(key, value)| ((*key).to_owned(), json!(value)))
        .collect();
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "shop"},
        "stringData": data});
    v2::seal_secret(&secret, &keys.recipients, sealing::SealOptions::default())
        .unwrap()
        .to_value()
}

/// Every value in a text, by object and key, as these keys open it; what they do not open is left out.
pub(crate) fn opened(text: &str, keys: &Keys) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for document in read_stream(text.as_bytes(), &Limits::default()).unwrap() {
        let Ok(value) = document.value else { continue };
        each_object(&value, 4, &mut |object, _| {
            let name = object
                .pointer("/metadata/name")
                .and_then(Value::as_str)
                .unwrap_or("?");
            let namespace = object
                .pointer("/metadata/namespace")
                .and_then(Value::as_str)
                .unwrap_or("shop");
            if let Ok(sealed) = v2::SealedSecret::parse(object) {
                let Ok(open) = sealed.unlock(&keys.identities) else {
                    return;
                };
                for (key, value) in open.values() {
                    let text = String::from_utf8(value.expose().to_vec()).unwrap();
                    all.insert(format!("{name}/{key}"), text);
                }
                return;
            }
            let label =
                Scope::from_annotations(object.pointer("/metadata/annotations")).label(namespace, name);
            let values = object.pointer("/spec/encryptedData").and_then(Value::as_object);
            for (key, value) in values.into_iter().flatten() {
                if let Ok(open) = keys.ring.open(value.as_str().unwrap_or_default(), &label) {
                    let text = String::from_utf8(open.expose().to_vec()).unwrap();
                    all.insert(format!("{name}/{key}"), text);
                }
            }
        });
    }
    all
}

/// A text with what may change in it hidden: long runs of base64, with their quotes, and ids of keys.
pub(crate) fn masked(text: &str) -> String {
    let is = |c: char| c.is_ascii_alphanumeric() || "+/=._-".contains(c);
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if is(c) {
            word.push(c);
            continue;
        }
        let id = word.len() == 16 && word.chars().all(|c| c.is_ascii_hexdigit());
        let hide = id || word.len() > 60 || word.starts_with("key-");
        out.push_str(if hide { "#" } else { &word });
        word.clear();
        out.push(c);
    }
    out.replace("\"#\"", "#").replace("'#'", "#")
}
