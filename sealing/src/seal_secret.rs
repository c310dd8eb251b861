//! From a Secret to a SealedSecret, as `kubeseal` does it.

use crate::key::PublicKey;
use crate::path::{is_data_key, is_namespace, is_object_name, join};
use crate::scope::{CLUSTER_WIDE, NAMESPACE_WIDE};
use crate::{Plaintext, Scope, base64_text, v1};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// How to seal.
#[derive(Clone, Copy, Debug, Default)]
pub struct SealOptions {
    /// The scope; none takes the one that the Secret's own annotations name.
    pub scope: Option<Scope>,
    /// Seals a Secret without data too, instead of taking it for a mistake.
    pub allow_empty: bool,
}

/// A Secret that cannot be sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct SealError {
    /// Where the problem is, such as `data.password`. Safe to print.
    pub path: String,
    /// What it is.
    pub problem: SealProblem,
}

/// Why a Secret cannot be sealed. None of them quotes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealProblem {
    /// The key cannot stand in a Secret.
    #[error("a key holds only letters, digits, `-`, `_` and `.`, at most 253 of them")]
    BadKey,
    /// The name cannot be that of a Secret.
    #[error("not a name that Kubernetes accepts")]
    BadName,
    /// Nothing to seal.
    #[error("there is nothing to seal in it")]
    Empty,
    /// The field is needed.
    #[error("missing")]
    Missing,
    /// The value in `data` is not encoded.
    #[error("not base64; put plain text into stringData")]
    NotBase64,
    /// The object is of another kind.
    #[error("not a Secret of v1")]
    OtherKind,
    /// The object's annotations ask for a wider scope than the caller does.
    #[error("the Secret's annotation asks for scope {annotated}, but scope {asked} was asked for")]
    ScopeConflict {
        /// The scope that the annotations name.
        annotated: Scope,
        /// The scope that was asked for.
        asked: Scope,
    },
    /// Larger than a Secret may be.
    #[error("larger than 1 MiB, the most that Kubernetes takes")]
    TooLarge,
    /// More than format v2 takes.
    #[error("the Secret's metadata are more than a template takes: 1,024 entries, 256 KiB of text")]
    TemplateTooLarge,
    /// The library failed.
    #[error("the value could not be sealed")]
    Unavailable,
    /// A Secret has no such field, so its content would be lost.
    #[error("a Secret has no such field")]
    UnknownField,
    /// The field has another type.
    #[error("must be {0}")]
    WrongType(&'static str),
}

/// The fields of a Secret.
pub(crate) const FIELDS: [&str; 7] = [
    "apiVersion",
    "kind",
    "metadata",
    "data",
    "stringData",
    "type",
    "immutable",
];

/// Metadata that is written by people, and reaches the sealed object as it is.
const METADATA: [&str; 6] = [
    "name",
    "namespace",
    "generateName",
    "labels",
    "annotations",
    "finalizers",
];

/// Metadata that the API server writes, or that belongs to the live object and not to its manifest.
const SERVER_SIDE: [&str; 9] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Annotations in which client-side apply keeps a whole copy of the object, plaintext and all.
const LAST_APPLIED: [&str; 2] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "kubecfg.ksonnet.io/last-applied-configuration",
];

/// Seals a Secret. The result has the fields that `kubeseal` writes, in its places: name, namespace and scope on the
/// object, the rest of the Secret's metadata, its type and its immutability in the template.
pub fn seal_secret(secret: &Value, key: &PublicKey, options: SealOptions) -> Result<Value, SealError> {
    let mut parts = Parts::read(secret, options)?;
    annotate(&mut parts.metadata, parts.scope);
    let label = parts.scope.label(&parts.namespace, &parts.name);
    let mut sealed = Map::new();
    for (item, value) in &parts.values {
        let text = v1::seal(key, &label, value.expose());
        let text = text.map_err(|_| error(&join("data", item), SealProblem::Unavailable))?;
        sealed.insert(item.clone(), text.into());
    }

    let mut outer = parts.outer();
    if let Some(annotation) = parts.scope.annotation() {
        outer["annotations"] = json!({annotation: "true"});
    }
    let mut template = json!({"metadata": parts.metadata});
    for (field, value) in parts.more {
        template[field] = value;
    }
    Ok(json!({
        "apiVersion": "bitnami.com/v1alpha1",
        "kind": "SealedSecret",
        "metadata": outer,
        "spec": {"encryptedData": sealed, "template": template},
    }))
}

/// The values of a Secret, decoded, as sealing takes them: to compare them with what was sealed before, or to add them to it.
pub fn secret_values(secret: &Value) -> Result<BTreeMap<String, Plaintext>, SealError> {
    let map = secret
        .as_object()
        .ok_or_else(|| error("the document", SealProblem::WrongType("an object")))?;
    values(map)
}

/// A Secret that can be sealed, taken apart.
pub(crate) struct Parts {
    pub(crate) scope: Scope,
    pub(crate) name: String,
    /// Empty only where the scope does not ask for one.
    pub(crate) namespace: String,
    /// What of its metadata people wrote.
    pub(crate) metadata: Map<String, Value>,
    pub(crate) values: BTreeMap<String, Plaintext>,
    /// `type` and `immutable`, where they are set.
    pub(crate) more: Vec<(&'static str, Value)>,
}

impl Parts {
    /// Takes a Secret apart. What cannot be kept is refused.
    pub(crate) fn read(secret: &Value, options: SealOptions) -> Result<Self, SealError> {
        let map = secret
            .as_object()
            .ok_or_else(|| error("the document", SealProblem::WrongType("an object")))?;
        if map.get("apiVersion") != Some(&json!("v1")) || map.get("kind") != Some(&json!("Secret")) {
            return Err(error("kind", SealProblem::OtherKind));
        }
        if let Some(unknown) = map.keys().find(|field| !FIELDS.contains(&field.as_str())) {
            return Err(unknown_field("", unknown, &FIELDS));
        }
        let metadata = template_metadata(map)?;
        let scope = scope(&metadata, options.scope)?;
        let name = required(&metadata, "name", is_object_name)?;
        let namespace = match scope {
            Scope::Cluster if absent(metadata.get("namespace")) => String::new(),
            _ => required(&metadata, "namespace", is_namespace)?,
        };
        let values = values(map)?;
        if values.is_empty() && !options.allow_empty {
            return Err(error("data", SealProblem::Empty));
        }
        let mut more = Vec::new();
        for (field, is_right, expected) in [
            ("type", Value::is_string as fn(&Value) -> bool, "a string"),
            ("immutable", Value::is_boolean, "true or false"),
        ] {
            match map.get(field) {
                None | Some(Value::Null) => {}
                Some(value) if is_right(value) => more.push((field, value.clone())),
                Some(_) => return Err(error(field, SealProblem::WrongType(expected))),
            }
        }
        Ok(Self {
            scope,
            name,
            namespace,
            metadata,
            values,
            more,
        })
    }

    /// The metadata of the sealed object: its name and namespace.
    pub(crate) fn outer(&self) -> Value {
        let mut outer = json!({"name": self.name});
        if !self.namespace.is_empty() {
            outer["namespace"] = self.namespace.as_str().into();
        }
        outer
    }
}

pub(crate) fn error(path: &str, problem: SealProblem) -> SealError {
    SealError {
        path: path.to_owned(),
        problem,
    }
}

fn absent(value: Option<&Value>) -> bool {
    value.is_none_or(|value| value.is_null() || value == "")
}

fn required(
    metadata: &Map<String, Value>,
    field: &str,
    is_name: fn(&str) -> bool,
) -> Result<String, SealError> {
    let value = metadata.get(field);
    let fail = |problem| error(&join("metadata", field), problem);
    match value.and_then(Value::as_str) {
        _ if absent(value) => Err(fail(SealProblem::Missing)),
        None => Err(fail(SealProblem::WrongType("a string"))),
        Some(name) if !is_name(name) => Err(fail(SealProblem::BadName)),
        Some(name) => Ok(name.to_owned()),
    }
}

/// The explicit scope wins over the annotations, but never silently narrows what the Secret says of itself: `strict`
/// against an annotation is one of two mistakes, and which one only the caller knows.
fn scope(metadata: &Map<String, Value>, asked: Option<Scope>) -> Result<Scope, SealError> {
    let annotated = Scope::from_annotations(metadata.get("annotations"));
    match asked {
        None => Ok(annotated),
        Some(asked) if asked < annotated => Err(error(
            "metadata.annotations",
            SealProblem::ScopeConflict { annotated, asked },
        )),
        Some(asked) => Ok(asked),
    }
}

/// Leaves the one annotation that stands for the scope, and no other (`UpdateScopeAnnotations` upstream).
fn annotate(metadata: &mut Map<String, Value>, scope: Scope) {
    if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
        annotations.remove(CLUSTER_WIDE);
        annotations.remove(NAMESPACE_WIDE);
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
    if let Some(annotation) = scope.annotation() {
        metadata.entry("annotations").or_insert_with(|| json!({}))[annotation] = json!("true");
    }
}

fn template_metadata(secret: &Map<String, Value>) -> Result<Map<String, Value>, SealError> {
    let mut metadata = object(secret, "metadata", "metadata")?
        .cloned()
        .unwrap_or_default();
    // Empty texts are absent ones, as Go writes them (`omitempty`).
    metadata.retain(|field, value| !absent(Some(value)) && !SERVER_SIDE.contains(&field.as_str()));
    // `stringData` that slipped below `metadata` would leave here in plain text.
    if let Some(unknown) = metadata.keys().find(|field| !METADATA.contains(&field.as_str())) {
        return Err(unknown_field("metadata", unknown, &METADATA));
    }
    let finalizers = metadata.get("finalizers").map(Value::as_array);
    if finalizers.is_some_and(|list| list.is_none_or(|list| !list.iter().all(Value::is_string))) {
        return Err(error(
            "metadata.finalizers",
            SealProblem::WrongType("a list of strings"),
        ));
    }
    for field in ["annotations", "labels"] {
        let path = join("metadata", field);
        let Some(entries) = object(&metadata, field, &path)? else {
            continue;
        };
        if let Some((key, _)) = entries.iter().find(|(_, value)| !value.is_string()) {
            return Err(error(
                &join(&path, key),
                SealProblem::WrongType("a string; quote it"),
            ));
        }
        let mut entries = entries.clone();
        if field == "annotations" {
            entries.retain(|key, _| !LAST_APPLIED.contains(&key.as_str()));
        }
        if entries.is_empty() {
            metadata.remove(field);
        } else {
            metadata.insert(field.to_owned(), Value::Object(entries));
        }
    }
    Ok(metadata)
}

fn object<'a>(
    map: &'a Map<String, Value>,
    field: &str,
    path: &str,
) -> Result<Option<&'a Map<String, Value>>, SealError> {
    match map.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(inner)) => Ok(Some(inner)),
        Some(_) => Err(error(path, SealProblem::WrongType("an object"))),
    }
}

/// A field that would be lost, or worse, kept. Where indentation is lost, a line of a value becomes the name of a field:
/// only what looks like a slip is named.
fn unknown_field(parent: &str, name: &str, known: &[&str]) -> SealError {
    let named = known.iter().chain(&FIELDS).any(|field| is_slip(name, field));
    let path = match (named, parent) {
        (true, _) => join(parent, name),
        (false, "") => "a field at the top".to_owned(),
        (false, _) => format!("a field of {parent}"),
    };
    error(&path, SealProblem::UnknownField)
}

/// Whether a name is meant to be that of a field: at most two letters are wrong, missing or too many, whatever their case.
pub(crate) fn is_slip(name: &str, field: &str) -> bool {
    let letters = |text: &str| text.chars().map(|c| c.to_ascii_lowercase()).collect::<Vec<_>>();
    let (name, field) = (letters(name), letters(field));
    if name.len().abs_diff(field.len()) > 2 {
        return false;
    }
    // Levenshtein's distance, a row at a time.
    let mut row: Vec<usize> = (0..=field.len()).collect();
    for (i, letter) in name.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in field.iter().enumerate() {
            let here = (diagonal + usize::from(letter != other))
                .min(row[j] + 1)
                .min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], here);
        }
    }
    row[field.len()] <= 2
}

/// `data` decoded, then `stringData` over it, as the API server merges them. A null is an empty value, as Go reads it.
fn values(secret: &Map<String, Value>) -> Result<BTreeMap<String, Plaintext>, SealError> {
    let mut values = BTreeMap::new();
    for field in ["data", "stringData"] {
        for (key, value) in object(secret, field, field)?.into_iter().flatten() {
            let fail = |problem| error(&join(field, key), problem);
            if !is_data_key(key) {
                // Not named: where indentation is lost, a line of a value becomes a key.
                return Err(error(field, SealProblem::BadKey));
            }
            let plaintext = match value {
                Value::Null => Plaintext::new(Vec::new()),
                Value::String(text) if field == "data" => base64_text::decode(text)
                    .map_err(|_| fail(SealProblem::NotBase64))?
                    .into(),
                Value::String(text) => Plaintext::new(text.as_bytes().to_vec()),
                _ => return Err(fail(SealProblem::WrongType("a string; quote it"))),
            };
            values.insert(key.clone(), plaintext);
        }
    }
    Ok(values)
}
