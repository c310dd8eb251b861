//! What a manifest holds: objects, and of sealed ones their keys.

use manifest::Limits;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// Names of sealing keys that are kept of one object, in bytes: each of many values may be for all of many keys.
const MOST_NAMES: usize = 1 << 20;

/// What a value is known again by: all that is kept of it, since one takes many times the memory of its text.
pub(crate) type Mark = [u8; 32];

/// An object of a manifest.
pub(crate) struct Object {
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) mark: Mark,
    pub(crate) sealed: Option<Sealed>,
}

/// What is readable of a SealedSecret.
#[derive(Default)]
pub(crate) struct Sealed {
    pub(crate) scope: String,
    pub(crate) template: Mark,
    pub(crate) keys: BTreeMap<String, SealedKey>,
}

/// One sealed value.
#[derive(PartialEq, Eq)]
pub(crate) struct SealedKey {
    pub(crate) sealed: Mark,
    /// The sealing keys that open it. Format v1 does not say.
    pub(crate) by: Vec<String>,
}

/// Every object of a file. What cannot be read is none.
pub(crate) fn read(bytes: &[u8]) -> Vec<Object> {
    values(bytes).filter_map(|value| object(&value)).collect()
}

fn values(bytes: &[u8]) -> impl Iterator<Item = Value> {
    let documents = manifest::read_stream(bytes, &Limits::default()).unwrap_or_default();
    documents.into_iter().filter_map(|document| document.value.ok())
}

/// Of its text, in which keys are in order.
fn mark(value: Option<&Value>) -> Mark {
    let text = value.map(Value::to_string).unwrap_or_default();
    Sha256::digest(text.as_bytes()).into()
}

fn object(value: &Value) -> Option<Object> {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    Some(Object {
        kind: text("/kind")?,
        namespace: text("/metadata/namespace").unwrap_or_default(),
        name: text("/metadata/name")?,
        sealed: match text("/apiVersion")?.as_str() {
            "bitnami.com/v1alpha1" => Some(v1(value)),
            "signet.dev/v1alpha1" if text("/kind")? == "SealedSecret" => Some(v2(value)),
            _ => None,
        },
        mark: mark(Some(value)),
    })
}

fn v1(value: &Value) -> Sealed {
    let is = |name: &str| {
        let path = format!("/metadata/annotations/sealedsecrets.bitnami.com~1{name}");
        value.pointer(&path).and_then(Value::as_str) == Some("true")
    };
    let scope = if is("cluster-wide") {
        "cluster-wide"
    } else if is("namespace-wide") {
        "namespace-wide"
    } else {
        "strict"
    };
    Sealed {
        scope: scope.into(),
        template: mark(value.pointer("/spec/template")),
        keys: keys(value.pointer("/spec/encryptedData"), |_| Vec::new()),
    }
}

fn v2(value: &Value) -> Sealed {
    let list = value.pointer("/spec/dataKeys").and_then(Value::as_array);
    let mut left = MOST_NAMES;
    let mut recipients = |id: &str| -> Vec<String> {
        let of_id = |key: &&Value| key.get("id").and_then(Value::as_str) == Some(id);
        let key = list.into_iter().flatten().find(of_id);
        let names = key
            .and_then(|key| key.get("recipients"))
            .and_then(Value::as_array);
        let names = names.into_iter().flatten().filter_map(Value::as_str);
        let mut by = Vec::new();
        for name in names {
            let Some(rest) = left.checked_sub(name.len() + size_of::<String>()) else {
                break;
            };
            left = rest;
            by.push(name.to_owned());
        }
        by
    };
    let scope = value.pointer("/spec/scope").and_then(Value::as_str);
    Sealed {
        scope: scope.unwrap_or("Strict").to_owned(),
        template: mark(value.pointer("/spec/template")),
        keys: keys(value.pointer("/spec/values"), |sealed| {
            recipients(sealed.split('.').next().unwrap_or_default())
        }),
    }
}

fn keys(values: Option<&Value>, mut by: impl FnMut(&str) -> Vec<String>) -> BTreeMap<String, SealedKey> {
    let entries = values.and_then(Value::as_object).into_iter().flatten();
    entries
        .filter_map(|(name, value)| {
            let by = by(value.as_str()?);
            let sealed = mark(Some(value));
            Some((name.clone(), SealedKey { sealed, by }))
        })
        .collect()
}

/// The path of a Sync that a manifest holds.
#[must_use]
pub fn path_of_sync(manifest: &[u8], name: &str) -> Option<String> {
    let found = values(manifest).find(|value| {
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
        text("/apiVersion") == Some("signet.dev/v1alpha1")
            && text("/kind") == Some("Sync")
            && text("/metadata/name") == Some(name)
    })?;
    let path = found.pointer("/spec/path").and_then(Value::as_str);
    Some(path.unwrap_or(".").to_owned())
}
