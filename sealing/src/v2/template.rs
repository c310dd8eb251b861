//! `spec.template`: what the Secret looks like beside its values. Every value is bound to all of it.

use super::fault::Fault;
use super::limits;
use super::reference::Text;
use crate::digest::length_prefixed;
use crate::path::is_data_key;
use crate::sealed_secret::ParseProblem;
use crate::sealed_secret::fields::{Fields, Problems};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Annotations in which client-side apply keeps a whole copy of an object, plaintext and all.
const LAST_APPLIED: [&str; 2] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "kubecfg.ksonnet.io/last-applied-configuration",
];

/// The template. What is not there is not in the Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) type_: Option<String>,
    pub(super) immutable: Option<bool>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    finalizers: Vec<String>,
    pub(super) data: BTreeMap<String, String>,
    /// Values that serve the texts of `data` only.
    pub(super) omit: BTreeSet<String>,
}

impl Template {
    /// Reads a template. `values` are the keys that texts may refer to.
    pub(super) fn parse(
        template: &Fields<'_>,
        values: impl Fn(&str) -> bool + Copy,
        problems: &mut Problems,
    ) -> Self {
        template.only(&["type", "immutable", "metadata", "data", "omit"], problems);
        let metadata = template.object("metadata", problems);
        metadata.only(&["labels", "annotations", "finalizers"], problems);
        let type_ = template.string("type", problems);
        if type_ == Some("") {
            problems.add(template.path("type"), Fault::EmptyText.into());
        }
        let parsed = Self {
            type_: type_.map(Into::into),
            immutable: template.bool("immutable", problems),
            labels: texts(&metadata.object("labels", problems), problems),
            annotations: texts(&metadata.object("annotations", problems), problems),
            finalizers: list(&metadata, "finalizers", problems),
            data: texts(&template.object("data", problems), problems),
            omit: list(template, "omit", problems).into_iter().collect(),
        };
        for name in LAST_APPLIED {
            if parsed.annotations.contains_key(name) {
                problems.add(metadata.path("annotations"), Fault::LastApplied.into());
            }
        }
        if parsed.size() > limits::TEMPLATE {
            problems.add(template.path_here(), Fault::TooLong(limits::TEMPLATE).into());
            return parsed;
        }
        for (key, text) in &parsed.data {
            if !is_data_key(key) {
                // Not named: where indentation is lost, a line of a text becomes a key.
                problems.add(template.path("data"), ParseProblem::BadKey);
                continue;
            }
            let path = format!("{}.{}", template.path("data"), crate::Printable(key));
            if values(key) {
                problems.add(path, Fault::AlsoAValue.into());
            } else if let Err(err) = Text::parse(text, values) {
                problems.add(path, Fault::Reference(err).into());
            }
        }
        if parsed.omit.iter().any(|key| !values(key)) {
            problems.add(template.path("omit"), Fault::UnknownOmitted.into());
        }
        parsed
    }

    /// As it stands in an object; nothing where there is nothing to say.
    pub(super) fn to_value(&self) -> Option<Value> {
        let mut metadata = self.metadata();
        metadata.retain(|_, value| !value.is_null());
        let mut out = Map::new();
        if let Some(type_) = &self.type_ {
            out.insert("type".into(), type_.as_str().into());
        }
        if let Some(immutable) = self.immutable {
            out.insert("immutable".into(), immutable.into());
        }
        if !metadata.is_empty() {
            out.insert("metadata".into(), Value::Object(metadata));
        }
        if !self.data.is_empty() {
            out.insert("data".into(), json!(self.data));
        }
        if !self.omit.is_empty() {
            out.insert("omit".into(), json!(self.omit));
        }
        (!out.is_empty()).then_some(Value::Object(out))
    }

    /// The metadata of the Secret.
    pub(super) fn metadata(&self) -> Map<String, Value> {
        let mut out = Map::new();
        for (field, entries) in [("labels", &self.labels), ("annotations", &self.annotations)] {
            if !entries.is_empty() {
                out.insert(field.into(), json!(entries));
            }
        }
        if !self.finalizers.is_empty() {
            out.insert("finalizers".into(), json!(self.finalizers));
        }
        out
    }

    /// SHA-256 over all of it, in one encoding.
    pub(super) fn digest(&self) -> [u8; 32] {
        let map = |entries: &BTreeMap<String, String>| {
            let fields: Vec<_> = entries
                .iter()
                .flat_map(|(key, text)| [key.as_bytes(), text.as_bytes()])
                .collect();
            length_prefixed(&fields)
        };
        let immutable = match self.immutable {
            None => "",
            Some(false) => "false",
            Some(true) => "true",
        };
        let finalizers: Vec<_> = self.finalizers.iter().map(String::as_bytes).collect();
        let omit: Vec<_> = self.omit.iter().map(String::as_bytes).collect();
        Sha256::digest(length_prefixed(&[
            b"signet.dev/sealed/v2/template",
            self.type_.as_deref().unwrap_or_default().as_bytes(),
            immutable.as_bytes(),
            &map(&self.labels),
            &map(&self.annotations),
            &length_prefixed(&finalizers),
            &map(&self.data),
            &length_prefixed(&omit),
        ]))
        .into()
    }

    fn size(&self) -> usize {
        let maps = [&self.labels, &self.annotations, &self.data];
        let entries = maps
            .into_iter()
            .flatten()
            .map(|(key, text)| key.len() + text.len());
        let lists = self.finalizers.iter().chain(&self.omit).map(String::len);
        entries.chain(lists).sum::<usize>() + self.type_.as_ref().map_or(0, String::len)
    }
}

fn texts(fields: &Fields<'_>, problems: &mut Problems) -> BTreeMap<String, String> {
    if fields.len() > limits::ENTRIES {
        problems.add(fields.path_here(), Fault::TooMany(limits::ENTRIES).into());
        return BTreeMap::new();
    }
    let mut out = BTreeMap::new();
    for (key, text) in fields.strings(problems) {
        match text {
            Some(text) => {
                out.insert(key.to_owned(), text.to_owned());
            }
            None => problems.add(fields.path(key), ParseProblem::Missing),
        }
    }
    out
}

fn list(fields: &Fields<'_>, name: &str, problems: &mut Problems) -> Vec<String> {
    let Some(value) = fields.get(name) else {
        return Vec::new();
    };
    let texts: Option<Vec<_>> = value
        .as_array()
        .filter(|items| items.len() <= limits::ENTRIES)
        .map(|items| items.iter().map(|item| item.as_str().map(Into::into)).collect())
        .unwrap_or_default();
    texts.unwrap_or_else(|| {
        problems.add(fields.path(name), Fault::NotAListOfTexts(limits::ENTRIES).into());
        Vec::new()
    })
}
