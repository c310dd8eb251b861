//! What a manifest holds: objects, and of sealed ones their keys.

use manifest::Limits;
use serde_json::Value;
use std::collections::BTreeMap;

/// An object of a manifest.
pub(crate) struct Object {
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) value: Value,
    pub(crate) sealed: Option<Sealed>,
}

/// What is readable of a SealedSecret.
#[derive(Default)]
pub(crate) struct Sealed {
    pub(crate) scope: String,
    pub(crate) template: Value,
    pub(crate) keys: BTreeMap<String, SealedKey>,
}

/// One sealed value.
#[derive(PartialEq, Eq)]
pub(crate) struct SealedKey {
    pub(crate) sealed: String,
    /// The sealing keys that open it. Format v1 does not say.
    pub(crate) by: Vec<String>,
}

/// Every object of a file. What cannot be read is none.
pub(crate) fn read(bytes: &[u8]) -> Vec<Object> {
    let documents = manifest::read_stream(bytes, &Limits::default()).unwrap_or_default();
    let values = documents.into_iter().filter_map(|document| document.value.ok());
    values.filter_map(object).collect()
}

fn object(value: Value) -> Option<Object> {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    Some(Object {
        kind: text("/kind")?,
        namespace: text("/metadata/namespace").unwrap_or_default(),
        name: text("/metadata/name")?,
        sealed: match text("/apiVersion")?.as_str() {
            "bitnami.com/v1alpha1" => Some(v1(&value)),
            "signet.dev/v1alpha1" if text("/kind")? == "SealedSecret" => Some(v2(&value)),
            _ => None,
        },
        value,
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
        template: value.pointer("/spec/template").cloned().unwrap_or_default(),
        keys: keys(value.pointer("/spec/encryptedData"), |_| Vec::new()),
    }
}

fn v2(value: &Value) -> Sealed {
    let list = value.pointer("/spec/dataKeys").and_then(Value::as_array);
    let recipients = |id: &str| -> Vec<String> {
        let of_id = |key: &&Value| key.get("id").and_then(Value::as_str) == Some(id);
        let key = list.into_iter().flatten().find(of_id);
        let names = key
            .and_then(|key| key.get("recipients"))
            .and_then(Value::as_array);
        let names = names.into_iter().flatten().filter_map(Value::as_str);
        names.map(str::to_owned).collect()
    };
    let scope = value.pointer("/spec/scope").and_then(Value::as_str);
    Sealed {
        scope: scope.unwrap_or("Strict").to_owned(),
        template: value.pointer("/spec/template").cloned().unwrap_or_default(),
        keys: keys(value.pointer("/spec/values"), |sealed| {
            recipients(sealed.split('.').next().unwrap_or_default())
        }),
    }
}

fn keys(values: Option<&Value>, by: impl Fn(&str) -> Vec<String>) -> BTreeMap<String, SealedKey> {
    let entries = values.and_then(Value::as_object).into_iter().flatten();
    entries
        .filter_map(|(name, sealed)| {
            let sealed = sealed.as_str()?.to_owned();
            let by = by(&sealed);
            Some((name.clone(), SealedKey { sealed, by }))
        })
        .collect()
}

/// The path of a Sync that a manifest holds.
#[must_use]
pub fn path_of_sync(manifest: &[u8], name: &str) -> Option<String> {
    let found = read(manifest).into_iter().find(|object| {
        let api = object.value.get("apiVersion").and_then(Value::as_str);
        object.kind == "Sync" && object.name == name && api == Some("signet.dev/v1alpha1")
    })?;
    let path = found.value.pointer("/spec/path").and_then(Value::as_str);
    Some(path.unwrap_or(".").to_owned())
}
