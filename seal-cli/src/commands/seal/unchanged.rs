//! Values that are as they were. Sealing gives another text each time; with a private key, what was sealed before is opened,
//! and the lines of equal values stay.

use super::format::SealFor;
use crate::native;
use crate::opening::{self, Outcome};
use crate::private_keys::PrivateKeys;
use crate::sealed_file::{Format, SealedFile, SealedObject, is_whole};
use sealing::v2::Recipients;
use sealing::{Certificate, Plaintext, Printable, secret_values};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// What a file held before, of what can be read of it.
pub(super) fn objects(path: &Path, bytes: &[u8]) -> Vec<SealedObject> {
    SealedFile::parse(path, bytes)
        .map(|file| file.objects)
        .unwrap_or_default()
}

/// The object that this one takes the place of.
pub(super) fn before<'o>(objects: &'o [SealedObject], sealed: &Value) -> Option<&'o SealedObject> {
    let text = |field: &str| {
        sealed
            .pointer(&format!("/metadata/{field}"))
            .and_then(Value::as_str)
    };
    objects.iter().find(|object| {
        Some(object.name.as_str()) == text("name")
            && object.namespace.as_deref() == text("namespace")
            && Some(object.format) == Format::of(sealed)
    })
}

/// The sealed object, with the lines of the one before where values are equal. What does not open is sealed anew.
pub(super) fn keep(
    secret: &Value,
    sealed: Value,
    before: &SealedObject,
    keys: &PrivateKeys,
    seal_for: &SealFor,
) -> Value {
    let Ok(values) = secret_values(secret) else {
        return sealed;
    };
    match seal_for {
        SealFor::Certificate(certificate) => v1(&values, sealed, before, keys, certificate),
        SealFor::Recipients(recipients) => match native(values, &sealed, before, keys, recipients) {
            Some(kept) => kept,
            None => sealed,
        },
    }
}

fn v1(
    values: &BTreeMap<String, Plaintext>,
    mut sealed: Value,
    before: &SealedObject,
    keys: &PrivateKeys,
    certificate: &Certificate,
) -> Value {
    // In the deprecated form no line is that of one value.
    if is_whole(&before.value) {
        return sealed;
    }
    for (key, text) in before.sealed() {
        let (Some(new), true) = (
            values.get(key),
            sealed["spec"]["encryptedData"].get(key).is_some(),
        ) else {
            continue;
        };
        // A line that another key opens is not kept: that key may be about to go.
        if let Outcome::Opened { value, by } = opening::open(&keys.ring, before, text, &[])
            && value.expose() == new.expose()
            && by == *certificate.fingerprint()
            && before.scope() == scope(&sealed)
        {
            sealed["spec"]["encryptedData"][key] = text.into();
        }
    }
    sealed
}

fn scope(sealed: &Value) -> sealing::Scope {
    sealing::Scope::from_annotations(sealed.pointer("/metadata/annotations"))
}

/// Values are bound to the template and the place as well: if those differ, or the recipients do, all are sealed anew.
fn native(
    values: BTreeMap<String, Plaintext>,
    sealed: &Value,
    before: &SealedObject,
    keys: &PrivateKeys,
    recipients: &Recipients,
) -> Option<Value> {
    let parsed = native::parse(before).ok()?;
    let same = |field: &str| before.value["spec"].get(field) == sealed["spec"].get(field);
    let template = |object: &Value| object["spec"].get("template").cloned();
    let ids = recipients.key_ids();
    let same_keys = parsed
        .outline()
        .all(|(_, value)| value.recipients == ids.as_slice());
    if !same("scope") || !same("sealedFor") || template(&before.value) != template(sealed) || !same_keys {
        return None;
    }
    let unlocked = parsed.unlock(&keys.identities).ok()?;
    let gone: Vec<String> = unlocked
        .values()
        .keys()
        .filter(|key| !values.contains_key(*key))
        .cloned()
        .collect();
    let mut changes: BTreeMap<String, Option<Plaintext>> = values
        .into_iter()
        .map(|(key, value)| (key, Some(value)))
        .collect();
    changes.extend(gone.into_iter().map(|key| (key, None)));
    unlocked
        .set(&changes, recipients)
        .ok()
        .map(|kept| kept.to_value())
}

/// Names of the objects, for a sentence.
pub(super) fn named(objects: &[String]) -> String {
    let shown: Vec<String> = objects
        .iter()
        .take(5)
        .map(|name| Printable(name).to_string())
        .collect();
    let more = objects.len().saturating_sub(shown.len());
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
