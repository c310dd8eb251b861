//! A SealedSecret of `signet.dev/v1alpha1`.

use super::data_key::{self, DataKeyId};
use super::fault::Refusal;
use super::key_id::KeyId;
use super::place::{Place, scope_name};
use super::template::Template;
use super::value;
use crate::{Scope, base64_text};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// `apiVersion` of format v2.
pub const API_VERSION: &str = "signet.dev/v1alpha1";

/// A SealedSecret of format v2 that is known to be well-formed. [`SealedSecret::parse`] makes it, [`SealedSecret::open`]
/// opens it; every change makes a new one, and [`SealedSecret::to_value`] writes it.
#[derive(Clone)]
pub struct SealedSecret {
    pub(super) metadata: Map<String, Value>,
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    pub(super) sealed_for: Place,
    pub(super) data_keys: BTreeMap<DataKeyId, SealedDataKey>,
    pub(super) values: BTreeMap<String, SealedValue>,
    pub(super) template: Template,
}

/// A data key, sealed.
#[derive(Clone)]
pub(super) struct SealedDataKey {
    pub(super) recipients: Vec<KeyId>,
    pub(super) file: Vec<u8>,
}

/// A value, sealed.
#[derive(Clone)]
pub(super) struct SealedValue {
    pub(super) data_key: DataKeyId,
    pub(super) bytes: Vec<u8>,
}

/// What can be seen of a value without a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline<'a> {
    /// The data key that it is sealed under.
    pub data_key: &'a DataKeyId,
    /// The keys that it is sealed for.
    pub recipients: &'a [KeyId],
    /// The fewest bytes that it can have.
    pub at_least: usize,
    /// The most bytes that it can have: the size is padded to steps of 32.
    pub at_most: usize,
}

impl SealedSecret {
    /// Whether an object says that it is one.
    #[must_use]
    pub fn is(object: &Value) -> bool {
        object.get("apiVersion").and_then(Value::as_str) == Some(API_VERSION)
            && object.get("kind").and_then(Value::as_str) == Some("SealedSecret")
    }

    /// Its name, which is the Secret's.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its namespace, where it names one.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Its scope.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.sealed_for.scope()
    }

    /// Where it says that it may be opened. Its values are bound to it, so that it cannot say anything else and open.
    #[must_use]
    pub fn sealed_for(&self) -> &Place {
        &self.sealed_for
    }

    /// Digest of the whole template, in hexadecimal: every value is bound to it. The template is public, and so is this.
    #[must_use]
    pub fn template_digest(&self) -> String {
        let mut text = String::new();
        for byte in self.template.digest() {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }

    /// The keys of its values.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// What can be seen of each value.
    pub fn outline(&self) -> impl Iterator<Item = (&str, Outline<'_>)> {
        self.values.iter().filter_map(|(key, value)| {
            let (at_least, at_most) = value::size_range(value.bytes.len());
            let outline = Outline {
                data_key: &value.data_key,
                recipients: &self.data_keys.get(&value.data_key)?.recipients,
                at_least,
                at_most,
            };
            Some((key.as_str(), outline))
        })
    }

    /// Every key that any of its data keys is sealed for.
    #[must_use]
    pub fn recipients(&self) -> BTreeSet<&KeyId> {
        self.data_keys.values().flat_map(|key| &key.recipients).collect()
    }

    /// What is wrong with where it stands, by what it says in plain text: it was moved or renamed after it was sealed.
    /// A namespace that is not known yet is not looked at.
    #[must_use]
    pub fn misplaced(&self, namespace: Option<&str>) -> Option<Refusal> {
        let namespace = namespace.or(self.namespace());
        let here = Place::new(
            self.scope(),
            namespace.unwrap_or(self.sealed_for.namespace()),
            &self.name,
        );
        (here != self.sealed_for).then(|| Refusal::OtherPlace {
            sealed_for: self.sealed_for.clone(),
            namespace: namespace.unwrap_or_default().to_owned(),
            name: self.name.clone(),
        })
    }

    /// The object, as it is written. Equal parts have equal texts, so that a change shows only what was changed.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let data_keys: Vec<_> = self
            .data_keys
            .iter()
            .map(|(id, key)| {
                json!({
                    "id": id.as_str(),
                    "recipients": key.recipients.iter().map(KeyId::as_str).collect::<Vec<_>>(),
                    "age": base64_text::encode(&key.file),
                })
            })
            .collect();
        let values: Map<_, _> = self
            .values
            .iter()
            .map(|(key, value)| {
                let text = format!("{}.{}", value.data_key, base64_text::encode(&value.bytes));
                (key.clone(), Value::from(text))
            })
            .collect();
        let mut spec = json!({"scope": scope_name(self.scope())});
        let mut sealed_for = Map::new();
        for (field, text) in [
            ("namespace", self.sealed_for.namespace()),
            ("name", self.sealed_for.name()),
        ] {
            if !text.is_empty() {
                sealed_for.insert(field.into(), text.into());
            }
        }
        if !sealed_for.is_empty() {
            spec["sealedFor"] = Value::Object(sealed_for);
        }
        spec["dataKeys"] = data_keys.into();
        spec["values"] = Value::Object(values);
        if let Some(template) = self.template.to_value() {
            spec["template"] = template;
        }
        json!({"apiVersion": API_VERSION, "kind": "SealedSecret", "metadata": self.metadata, "spec": spec})
    }

    /// The header of one of its data keys.
    pub(super) fn header(&self, id: &DataKeyId, key: &SealedDataKey) -> Vec<u8> {
        data_key::header(&self.sealed_for, id, &key.recipients)
    }

    /// Drops the data keys that no value uses.
    pub(super) fn drop_unused(&mut self) {
        let used: BTreeSet<_> = self.values.values().map(|value| value.data_key.clone()).collect();
        self.data_keys.retain(|id, _| used.contains(id));
    }
}
