//! Secrets, compared without showing a value: plain ones by their data, sealed ones as they are sealed.

use super::compare::{self, Difference};
use manifest::Manifest;
use serde_json::Value;

/// The data of a Secret as Git has it, against what is there. Values are compared and dropped.
pub(super) fn plain(live: &Value, wanted: &Value) -> Vec<Difference> {
    let mut found = compare::keys(".data", &entries(live.get("data")), &desired(wanted));
    let kind = |object: &Value| object.get("type").cloned().unwrap_or_else(|| "Opaque".into());
    if kind(live) != kind(wanted) {
        found.push(Difference {
            path: ".type".to_owned(),
            before: Some(kind(live)),
            after: Some(kind(wanted)),
            masked: false,
        });
    }
    found
}

/// A SealedSecret against the one that was applied: which values were sealed again, and which other fields changed.
pub(super) fn sealed(before: &Manifest, after: &Manifest) -> Vec<Difference> {
    let values = |manifest: &Manifest| entries(manifest.object.pointer("/spec/encryptedData"));
    let mut found = compare::keys(".data", &values(before), &values(after));
    let rest = |manifest: &Manifest| {
        let mut object = manifest.object.clone();
        if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
            spec.remove("encryptedData");
        }
        compare::normalise(&mut object);
        object
    };
    // A template can hold text that somebody took for harmless.
    found.extend(
        compare::differences(&rest(before), &rest(after))
            .into_iter()
            .map(mask),
    );
    found
}

/// Without the values.
pub(super) fn mask(difference: Difference) -> Difference {
    Difference {
        before: difference.before.map(|_| Value::Null),
        after: difference.after.map(|_| Value::Null),
        masked: true,
        ..difference
    }
}

fn entries(data: Option<&Value>) -> Vec<(String, Vec<u8>)> {
    let fields = data.and_then(Value::as_object).into_iter().flatten();
    fields
        .map(|(key, value)| {
            (
                key.clone(),
                value.as_str().unwrap_or_default().as_bytes().to_vec(),
            )
        })
        .collect()
}

/// `stringData` goes before `data`, as the API server has it.
fn desired(secret: &Value) -> Vec<(String, Vec<u8>)> {
    use base64::Engine as _;
    let mut all = entries(secret.get("data"));
    for (key, value) in entries(secret.get("stringData")) {
        let encoded = base64::prelude::BASE64_STANDARD.encode(value).into_bytes();
        match all.iter_mut().find(|(known, _)| *known == key) {
            Some((_, slot)) => *slot = encoded,
            None => all.push((key, encoded)),
        }
    }
    all
}
