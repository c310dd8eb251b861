//! A file with SealedSecrets that is changed in place.

use crate::command_error::CommandError;
use crate::output::{self, show};
use manifest::{EditError, Editor, Limits, Path as Way, Step, each_object, read_stream};
use sealing::{Printable, Scope};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// A file, and the SealedSecrets in it.
pub(crate) struct SealedFile {
    pub(crate) path: PathBuf,
    pub(crate) editor: Editor,
    pub(crate) objects: Vec<SealedObject>,
    /// Whether there is a Secret in plain text in it.
    plain: bool,
}

/// One of them.
pub(crate) struct SealedObject {
    /// Number of its document.
    pub(crate) document: usize,
    /// First line of its document.
    pub(crate) line: usize,
    /// The way to it within the document: none, or through the items of Lists.
    pub(crate) at: Way,
    pub(crate) format: Format,
    pub(crate) name: String,
    pub(crate) namespace: Option<String>,
    /// As it is written.
    pub(crate) value: Value,
}

/// Which kind of SealedSecret it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// `bitnami.com/v1alpha1`
    V1,
    /// `signet.dev/v1alpha1`
    V2,
}

impl SealedFile {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, CommandError> {
        let bytes = fs::read(path).map_err(|err| {
            CommandError::user(
                format!("cannot read {}: {err}", show(path)),
                "give a file with a SealedSecret; `signet seal` makes one",
            )
        })?;
        Self::parse(path, &bytes)
    }

    /// Takes a text as the file's.
    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, CommandError> {
        let limits = Limits::default();
        let unreadable = |problem: &dyn std::fmt::Display, hint: Option<&str>| {
            CommandError::user(
                format!("{}: {problem}", show(path)),
                hint.unwrap_or("correct the file first; here the text is not repeated, as it may be secret"),
            )
        };
        let documents = read_stream(bytes, &limits).map_err(|err| unreadable(&err, err.hint()))?;
        let mut objects = Vec::new();
        let mut plain = false;
        for document in documents {
            let value = document
                .value
                .map_err(|err| unreadable(&format!("document {}: {err}", document.number), err.hint()))?;
            each_object(&value, limits.list_depth, &mut |value, at| {
                plain |= text(value, "apiVersion") == "v1" && text(value, "kind") == "Secret";
                if let Some(format) = Format::of(value) {
                    objects.push(SealedObject::new(
                        document.number,
                        document.line,
                        at,
                        format,
                        value,
                    ));
                }
            });
        }
        Ok(Self {
            path: path.to_owned(),
            editor: Editor::new(bytes, limits).map_err(|err| unreadable(&err, Some(err.hint())))?,
            objects,
            plain,
        })
    }

    /// The one that is meant: by its name, or by being alone.
    pub(crate) fn select(&self, wanted: Option<&str>) -> Result<&SealedObject, CommandError> {
        let shown = show(&self.path);
        let mut found = self
            .objects
            .iter()
            .filter(|object| wanted.is_none_or(|wanted| object.is_called(wanted)));
        match (found.next(), found.next()) {
            (Some(object), None) => Ok(object),
            (Some(_), Some(_)) => Err(CommandError::user(
                format!("there are several SealedSecrets in {shown}"),
                format!(
                    "say which one with --object NAME or --object NAMESPACE/NAME: {}",
                    self.names()
                ),
            )),
            (None, _) if wanted.is_some() && !self.objects.is_empty() => Err(CommandError::user(
                format!(
                    "there is no SealedSecret {} in {shown}",
                    Printable(wanted.unwrap_or_default())
                ),
                format!("it has {}", self.names()),
            )),
            (None, _) if self.plain => Err(CommandError::user(
                format!("there is no SealedSecret in {shown}, but a Secret in plain text"),
                format!("seal it first: signet seal {shown} -w {shown}"),
            )),
            (None, _) => Err(CommandError::user(
                format!("there is no SealedSecret in {shown}"),
                "is it the right file? `signet seal` makes a SealedSecret of a Secret",
            )),
        }
    }

    fn names(&self) -> String {
        let names: Vec<String> = self.objects.iter().take(10).map(SealedObject::shown).collect();
        names.join(", ")
    }

    /// Changes entries of one object, all or none; the way counts from the object.
    pub(crate) fn change(
        &mut self,
        index: usize,
        change: impl FnOnce(&mut Editor, usize, &Way) -> Result<(), EditError>,
    ) -> Result<(), CommandError> {
        let object = &self.objects[index];
        change(&mut self.editor, object.document, &object.at).map_err(|err| {
            CommandError::user(
                format!("cannot change {} in place: {err}", show(&self.path)),
                err.hint(),
            )
        })
    }

    /// Writes the file, whole.
    pub(crate) fn write(self) -> Result<(), CommandError> {
        let shown = show(&self.path);
        let bytes = self.editor.finish().map_err(|err| {
            CommandError::user(format!("cannot change {shown} in place: {err}"), err.hint())
        })?;
        let text = String::from_utf8(bytes)
            .map_err(|_| CommandError::user(format!("{shown} is not UTF-8"), "save the file as UTF-8"))?;
        output::replace(&self.path, &text)
    }

    /// The number of an object in this file.
    pub(crate) fn index_of(&self, object: &SealedObject) -> usize {
        self.objects
            .iter()
            .position(|other| std::ptr::eq(other, object))
            .unwrap_or_default()
    }
}

impl Format {
    /// The format that an object says it is of.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        match (text(value, "apiVersion"), text(value, "kind")) {
            ("bitnami.com/v1alpha1", "SealedSecret") => Some(Self::V1),
            ("signet.dev/v1alpha1", "SealedSecret") => Some(Self::V2),
            _ => None,
        }
    }
}

impl SealedObject {
    pub(crate) fn new(document: usize, line: usize, at: &Way, format: Format, value: &Value) -> Self {
        let metadata = |field: &str| {
            let text = value.get("metadata")?.get(field)?.as_str()?;
            Some(text.to_owned()).filter(|text| !text.is_empty())
        };
        Self {
            document,
            line,
            at: at.clone(),
            format,
            name: metadata("name").unwrap_or_default(),
            namespace: metadata("namespace"),
            value: value.clone(),
        }
    }

    fn is_called(&self, wanted: &str) -> bool {
        match wanted.split_once('/') {
            Some((namespace, name)) => {
                self.namespace.as_deref().unwrap_or_default() == namespace && self.name == name
            }
            None => self.name == wanted,
        }
    }

    /// `namespace/name`, safe to print.
    pub(crate) fn shown(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{}/{}", Printable(namespace), Printable(&self.name)),
            None => Printable(&self.name).to_string(),
        }
    }

    /// The scope that it names.
    pub(crate) fn scope(&self) -> Scope {
        match self.format {
            Format::V1 => Scope::from_annotations(self.value.pointer("/metadata/annotations")),
            Format::V2 => match self.value.pointer("/spec/scope").and_then(Value::as_str) {
                Some("Namespace") => Scope::Namespace,
                Some("Cluster") => Scope::Cluster,
                _ => Scope::Strict,
            },
        }
    }

    /// The keys of its sealed values, and those. That of the deprecated form is called `data`.
    pub(crate) fn sealed(&self) -> Vec<(&str, &str)> {
        let mut all: Vec<(&str, &str)> = match self.format {
            Format::V1 => v1_values(&self.value)
                .into_iter()
                .map(|(way, value)| (key_of(&way), value.as_str().unwrap_or_default()))
                .collect(),
            Format::V2 => {
                let values = self.value.pointer("/spec/values").and_then(Value::as_object);
                let values = values.into_iter().flatten();
                values
                    .map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))
                    .collect()
            }
        };
        all.sort_unstable();
        all
    }

    /// Refuses what holds its Secret in the deprecated form: there are no single values in it that could be changed.
    pub(crate) fn has_single_values(&self) -> Result<(), CommandError> {
        if self.format == Format::V2 || !is_whole(&self.value) {
            return Ok(());
        }
        Err(CommandError::user(
            format!("{}: {WHOLE}", self.shown()),
            "`signet reseal` seals it again for another key, as it is; to change it, seal the Secret anew with `signet seal`",
        ))
    }

    /// Whether there is a value of this key.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.sealed().iter().any(|(own, _)| *own == key)
    }
}

/// What the deprecated form is, for a sentence.
pub(crate) const WHOLE: &str =
    "spec.data holds the whole Secret in one sealed value, the form of before Sealed Secrets 0.7";

/// Whether an object of format v1 is in the deprecated form.
pub(crate) fn is_whole(object: &Value) -> bool {
    object.pointer("/spec/data").is_some_and(|data| !data.is_null())
}

/// The sealed values of an object of format v1, and the ways to them from its root: `spec.encryptedData.KEY`, or `spec.data`
/// in the deprecated form. What is no text is among them.
pub(crate) fn v1_values(object: &Value) -> Vec<(Vec<&str>, &Value)> {
    let values = object.pointer("/spec/encryptedData").and_then(Value::as_object);
    let values = values.into_iter().flatten();
    let mut all: Vec<_> = values
        .map(|(key, value)| (vec!["spec", "encryptedData", key.as_str()], value))
        .collect();
    // The CRD demands encryptedData, so it stands there empty.
    if let Some(value) = object.pointer("/spec/data").filter(|value| !value.is_null()) {
        all.push((vec!["spec", "data"], value));
    }
    all
}

/// By which name a value is spoken of.
pub(crate) fn key_of<'k>(way: &[&'k str]) -> &'k str {
    way.last().copied().unwrap_or_default()
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// What stands at the end of a way.
pub(crate) fn at<'v>(document: &'v Value, way: &Way) -> Option<&'v Value> {
    let mut steps = way.steps().iter();
    steps.try_fold(document, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Index(index) => value.get(index),
    })
}
