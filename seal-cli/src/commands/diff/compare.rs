//! Two versions of an object, field by field. Pure.

use crds::annotation;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// Such as `.spec.containers[name=web].image`.
    pub(super) path: String,
    /// None where it is not there.
    pub(super) before: Option<Value>,
    pub(super) after: Option<Value>,
    /// The values are a Secret's and not here: only whether they are there.
    pub(super) masked: bool,
}

/// What the API server writes by itself, or by every write.
const SERVER_SIDE: [&str; 6] = [
    "creationTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Takes out what says nothing about a change.
pub(super) fn normalise(object: &mut Value) {
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    fields.remove("status");
    // The controller's, who alone can open the Secrets.
    if let Some(template) = fields
        .get_mut("spec")
        .and_then(|spec| spec.pointer_mut("/template/metadata")?.as_object_mut())
    {
        without_annotation(template, annotation::SECRETS);
    }
    let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    for name in SERVER_SIDE {
        metadata.remove(name);
    }
    // It moves with the files.
    without_annotation(metadata, annotation::SOURCE);
}

fn without_annotation(metadata: &mut Map<String, Value>, key: &str) {
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove(key);
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
}

/// The fields that differ, by path.
pub(super) fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk(String::new(), Some(before), Some(after), &mut found);
    found
}

fn walk(path: String, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Difference>) {
    match (before, after) {
        (Some(before), Some(after)) if before == after => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for name in names {
                walk(step(&path, name), before.get(name), after.get(name), found);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            if let (Some(before), Some(after)) = (by_name(before), by_name(after)) {
                let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
                for name in names {
                    walk(
                        format!("{path}[name={name}]"),
                        before.get(name),
                        after.get(name),
                        found,
                    );
                }
            } else {
                for index in 0..before.len().max(after.len()) {
                    walk(
                        format!("{path}[{index}]"),
                        before.get(index),
                        after.get(index),
                        found,
                    );
                }
            }
        }
        (before, after) => found.push(Difference {
            path,
            before: before.cloned(),
            after: after.cloned(),
            masked: false,
        }),
    }
}

/// A list of named things is compared by name, whatever their order.
fn by_name(items: &[Value]) -> Option<Map<String, Value>> {
    let mut named = Map::new();
    for item in items {
        let name = item.get("name")?.as_str()?;
        if named.insert(name.to_owned(), item.clone()).is_some() {
            return None;
        }
    }
    Some(named)
}

fn step(path: &str, name: &str) -> String {
    let plain = name
        .chars()
        .all(|char| char.is_ascii_alphanumeric() || char == '_' || char == '-');
    if plain {
        format!("{path}.{name}")
    } else {
        format!("{path}[{name:?}]")
    }
}

/// Names of keys that were added, removed or changed, by whether their values are the same.
pub(super) fn keys<V: PartialEq>(
    prefix: &str,
    before: &[(String, V)],
    after: &[(String, V)],
) -> Vec<Difference> {
    let value = |list: &[(String, V)], name: &str| list.iter().position(|(key, _)| key == name);
    let names: BTreeSet<&String> = before.iter().chain(after).map(|(key, _)| key).collect();
    names
        .into_iter()
        .filter_map(|name| {
            let (old, new) = (value(before, name), value(after, name));
            if let (Some(old), Some(new)) = (old, new)
                && before.get(old).map(|(_, value)| value) == after.get(new).map(|(_, value)| value)
            {
                return None;
            }
            Some(Difference {
                path: step(prefix, name),
                before: old.map(|_| Value::Null),
                after: new.map(|_| Value::Null),
                masked: true,
            })
        })
        .collect()
}
