//! Files that are changed where they stand: what is not changed stays byte for byte.

use crate::command_error::CommandError;
use crate::output::{self, reason, show};
use crate::sealed_file;
use manifest::{EditError, Editor, Limits, Manifest, Origin, Path as Way, Step, manifests, read_stream};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A file of manifests that is being changed.
pub(super) struct OpenFile {
    path: PathBuf,
    before: Zeroizing<Vec<u8>>,
    editor: Editor,
}

impl OpenFile {
    pub(super) fn read(path: &Path) -> Result<Self, CommandError> {
        let before = fs::read(path).map(Zeroizing::new).map_err(|err| {
            CommandError::user(
                format!("cannot read {}: {}", show(path), reason(&err)),
                "name a file that is there",
            )
        })?;
        let editor = Editor::new(&before, Limits::default()).map_err(|err| refused(path, &err))?;
        Ok(Self {
            path: path.to_owned(),
            before,
            editor,
        })
    }

    /// Every object in the file. What cannot be read is an error: it might be what is looked for.
    pub(super) fn objects(&self) -> Result<Vec<Manifest>, CommandError> {
        let limits = Limits::default();
        let fail = |what: String, hint: Option<&str>| {
            CommandError::user(what, hint.unwrap_or("correct the file; nothing was changed"))
        };
        let documents = read_stream(&self.before, &limits)
            .map_err(|err| fail(format!("{}: {err}", show(&self.path)), err.hint()))?;
        let mut found = Vec::new();
        for document in documents {
            let origin = Origin {
                file: show(&self.path).into(),
                document: document.number,
                item: None,
                line: document.line,
            };
            let value = document
                .value
                .map_err(|err| fail(format!("{origin}: {err}"), err.hint()))?;
            for object in manifests(value, &origin, &limits) {
                found.push(object.map_err(|err| fail(err.to_string(), err.hint()))?);
            }
        }
        Ok(found)
    }

    /// Sets the text of one entry of an object, keys from the object's root.
    pub(super) fn set(&mut self, object: &Manifest, keys: &[&str], text: &str) -> Result<(), CommandError> {
        let way = self.way_to(object)?;
        let way = keys
            .iter()
            .fold(way, |way, key| way.then(Step::Key((*key).to_owned())));
        let changed = self.editor.set(object.origin.document, &way, &text.into());
        changed.map_err(|err| refused(&self.path, &err))
    }

    /// Makes the spec of an object that of another, entry by entry.
    pub(super) fn put(&mut self, object: &Manifest, new: &Value) -> Result<(), CommandError> {
        let way = self.way_to(object)?;
        let document = object.origin.document;
        let old = self
            .value(document)
            .and_then(|value| sealed_file::at(value, &way))
            .map(|object| object["spec"].clone())
            .unwrap_or_default();
        let spec = way.then(Step::Key("spec".to_owned()));
        let changed = self.editor.update(document, &spec, &old, &new["spec"]);
        changed.map_err(|err| refused(&self.path, &err))
    }

    /// The text of a document as it is now.
    pub(super) fn document(&self, number: usize) -> &str {
        let text = self.editor.document(number).unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default()
    }

    /// What a document says now.
    pub(super) fn value(&self, number: usize) -> Option<&Value> {
        self.editor.value(number)
    }

    /// Puts another text in the place of a document.
    pub(super) fn replace(&mut self, number: usize, text: &str) -> Result<(), CommandError> {
        let changed = self.editor.replace(number, text);
        changed.map_err(|err| refused(&self.path, &err))
    }

    /// The way to an object: the document's root, or an item of its List. An item of a List in a List is not found.
    fn way_to(&self, object: &Manifest) -> Result<Way, CommandError> {
        let Some(item) = object.origin.item else {
            return Ok(Way::default());
        };
        let items = self
            .value(object.origin.document)
            .and_then(|value| value.get("items"));
        let found = items
            .and_then(|items| items.get(item - 1))
            .and_then(|item| item.pointer("/metadata/name"));
        if found.and_then(Value::as_str) != Some(&object.id.name) {
            return Err(CommandError::user(
                format!(
                    "cannot change {}: {}: it is in a List in a List",
                    show(&self.path),
                    object.origin
                ),
                "write the objects as separate documents",
            ));
        }
        Ok(Way::default()
            .then(Step::Key("items".to_owned()))
            .then(Step::Index(item - 1)))
    }

    /// Writes the file, unless nothing has changed.
    pub(super) fn write(self) -> Result<(), CommandError> {
        let text = self.editor.finish().map_err(|err| refused(&self.path, &err))?;
        if text == *self.before {
            return Ok(());
        }
        let text = String::from_utf8(text)
            .map_err(|_| CommandError::internal("an edited file is no longer a text"))?;
        output::replace(&self.path, &text)
    }
}

fn refused(path: &Path, err: &EditError) -> CommandError {
    CommandError::user(format!("cannot change {}: {err}", show(path)), err.hint())
}
