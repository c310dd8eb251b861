//! Changing single entries of YAML and JSON texts in place.
//!
//! All that is not changed stays byte for byte: comments, blank lines, quotes, order, line ends. A change is one splice
//! of the text, computed from where the parser saw the entry ([`tree`], [`splice`]). No change is believed: the
//! document is read again by the reader that Kubernetes' law is written for, and has to say exactly what the change meant, with as
//! many comments as before. Otherwise nothing is changed, and the error says why.

mod error;
mod splice;
mod tree;
mod value;

use std::ops::Range;

use serde_json::Value;

use crate::draft::Path;
use crate::read::{Limits, read_document, read_stream};
pub use error::{EditError, EditProblem};
use splice::Splice;
use tree::Node;

/// A stream of documents that is being changed. Documents that cannot be read stay as they are.
pub struct Editor {
    text: Vec<u8>,
    limits: Limits,
    documents: Vec<Part>,
}

struct Part {
    number: usize,
    range: Range<usize>,
    value: Option<Value>,
}

enum Change<'c> {
    Set(&'c Value),
    Remove,
    Rename(&'c str),
}

impl Editor {
    /// Reads a stream.
    ///
    /// # Errors
    /// As [`read_stream`].
    pub fn new(bytes: &[u8], limits: Limits) -> Result<Self, EditError> {
        let documents =
            read_stream(bytes, &limits).map_err(|err| EditError::new(1, EditProblem::Read(err)))?;
        let documents = documents.into_iter().map(|document| Part {
            number: document.number,
            range: document.range,
            value: document.value.ok(),
        });
        Ok(Self {
            documents: documents.collect(),
            text: bytes.to_vec(),
            limits,
        })
    }

    /// What a document says now. None where there is no such document, or where it cannot be read.
    pub fn value(&self, document: usize) -> Option<&Value> {
        self.part(document)
            .and_then(|index| self.documents[index].value.as_ref())
    }

    /// The text of a document as it is now.
    pub fn document(&self, document: usize) -> Option<&[u8]> {
        let index = self.part(document)?;
        self.text.get(self.documents[index].range.clone())
    }

    /// Sets the value of one entry, or of one item that is there. Mappings on the way that are missing, null or empty are made.
    /// A new entry comes behind the one that sorts before it, or last where the others are not sorted.
    pub fn set(&mut self, document: usize, path: &Path, value: &Value) -> Result<(), EditError> {
        self.change(document, path, &Change::Set(value))
    }

    /// Removes one entry, with the comments on its own lines and inside its value. A mapping of which it was the last one
    /// stays, empty.
    pub fn remove(&mut self, document: usize, path: &Path) -> Result<(), EditError> {
        self.change(document, path, &Change::Remove)
    }

    /// Gives an entry another key. Its value stays as it is written.
    pub fn rename(&mut self, document: usize, path: &Path, key: &str) -> Result<(), EditError> {
        self.change(document, path, &Change::Rename(key))
    }

    /// Makes one value of another, entry by entry: what is the same in both keeps its text. `old` is what stands at `path`.
    ///
    /// # Errors
    /// Those of [`Editor::set`] and [`Editor::remove`]; changes before that one stay made.
    pub fn update(
        &mut self,
        document: usize,
        path: &Path,
        old: &Value,
        new: &Value,
    ) -> Result<(), EditError> {
        match (old, new) {
            (Value::Object(before), Value::Object(after)) if !before.is_empty() => {
                // What is new comes first: a mapping that loses its last entry would be written in another form.
                for (key, value) in after {
                    let way = path.within([key.as_str()]);
                    match before.get(key) {
                        Some(old) => self.update(document, &way, old, value)?,
                        None => self.set(document, &way, value)?,
                    }
                }
                before
                    .keys()
                    .filter(|key| !after.contains_key(*key))
                    .try_for_each(|key| self.remove(document, &path.within([key.as_str()])))
            }
            (old, new) if old == new => Ok(()),
            _ => self.set(document, path, new),
        }
    }

    /// Replaces the whole text of a document, comments included, by one other document. Its last line ends as the old one did.
    pub fn replace(&mut self, document: usize, text: &str) -> Result<(), EditError> {
        let fail = |problem| EditError::new(document, problem);
        let index = self.part(document).ok_or_else(|| fail(EditProblem::NoDocument))?;
        let range = self.documents[index].range.clone();
        let mut new = self.line_ends(text.trim_end_matches(['\r', '\n']));
        // A JSON object that another follows ends before its line does.
        if self.text[range.clone()].ends_with(b"\n") {
            new.push_str(self.line_end());
        }
        let value =
            read_document(new.as_bytes(), &self.limits).map_err(|err| fail(EditProblem::Read(err)))?;
        if value.is_null() {
            return Err(fail(EditProblem::NoDocument));
        }
        self.put(index, range, new.as_bytes(), Some(value));
        Ok(())
    }

    /// Adds a document at the end.
    pub fn append(&mut self, text: &str) -> Result<(), EditError> {
        let number = self.documents.last().map_or(0, |part| part.number) + 1;
        let fail = |problem| EditError::new(number, problem);
        let value =
            read_document(text.as_bytes(), &self.limits).map_err(|err| fail(EditProblem::Read(err)))?;
        let mut new = String::new();
        if !self.text.is_empty() && !self.text.ends_with(b"\n") {
            new.push('\n');
        }
        new.push_str("---\n");
        let before = new.len();
        new.push_str(text.trim_end_matches(['\r', '\n']));
        new.push('\n');
        let (head, body) = new.split_at(before);
        let (head, body) = (self.line_ends(head), self.line_ends(body));
        let start = self.text.len() + head.len();
        self.text.extend_from_slice(head.as_bytes());
        self.text.extend_from_slice(body.as_bytes());
        self.documents.push(Part {
            number,
            range: start..self.text.len(),
            value: Some(value),
        });
        Ok(())
    }

    /// The changed stream, read once more as a whole: it has the documents that it should have, and each says what it should.
    pub fn finish(self) -> Result<Vec<u8>, EditError> {
        let read =
            read_stream(&self.text, &self.limits).map_err(|err| EditError::new(1, EditProblem::Read(err)))?;
        for (index, part) in self.documents.iter().enumerate() {
            let same = read.get(index).is_some_and(|document| {
                // Numbers may move where an empty document became one; what matters is what stands there.
                document.range == part.range && document.value.as_ref().ok() == part.value.as_ref()
            });
            if !same {
                return Err(EditError::new(part.number, EditProblem::NotAsMeant));
            }
        }
        if read.len() != self.documents.len() {
            return Err(EditError::new(1, EditProblem::NotAsMeant));
        }
        Ok(self.text)
    }

    fn part(&self, number: usize) -> Option<usize> {
        self.documents.iter().position(|part| part.number == number)
    }

    fn change(&mut self, document: usize, path: &Path, change: &Change<'_>) -> Result<(), EditError> {
        let fail = |problem| EditError::at(document, path, problem);
        let index = self.part(document).ok_or_else(|| fail(EditProblem::NoDocument))?;
        let part = &self.documents[index];
        let value = part.value.as_ref().ok_or_else(|| fail(EditProblem::Unreadable))?;
        let text =
            std::str::from_utf8(&self.text[part.range.clone()]).map_err(|_| fail(EditProblem::Unreadable))?;
        let tree = Node::of(text).map_err(fail)?;
        let json = is_json(text);
        let splice = Splice {
            text,
            tree: &tree,
            json,
            line_end: self.line_end(),
        };
        let mut expected = value.clone();
        let cut = match change {
            Change::Set(new) => {
                let (steps, new) = value::deepest(value, path.steps(), new);
                value::set(&mut expected, steps, new.clone()).map_err(fail)?;
                if &expected == value {
                    return Ok(());
                }
                splice.set(steps, &new)
            }
            Change::Remove => {
                value::remove(&mut expected, path.steps()).map_err(fail)?;
                splice.remove(path.steps())
            }
            Change::Rename(key) => {
                value::rename(&mut expected, path.steps(), key).map_err(fail)?;
                splice.rename(path.steps(), key)
            }
        }
        .map_err(fail)?;
        // What only the removed entry's lines say goes with it; nothing else may take a comment with it.
        let mut comments = tree.comments(text, 0..text.len());
        if matches!(change, Change::Remove) {
            comments -= tree.comments(text, cut.gone.clone());
        }
        let mut new = String::with_capacity(text.len() + cut.text.len());
        new.push_str(&text[..cut.range.start]);
        new.push_str(&cut.text);
        new.push_str(&text[cut.range.end..]);
        if read_document(new.as_bytes(), &self.limits).as_ref() != Ok(&expected) || is_json(&new) != json {
            return Err(fail(EditProblem::NotAsMeant));
        }
        let after = Node::of(&new).map_err(fail)?;
        if after.comments(&new, 0..new.len()) != comments {
            return Err(fail(EditProblem::CommentLost));
        }
        let start = part.range.start;
        let range = start + cut.range.start..start + cut.range.end;
        self.put(index, range, cut.text.as_bytes(), Some(expected));
        Ok(())
    }

    /// Puts new bytes into the text, all of them in this document.
    fn put(&mut self, index: usize, range: Range<usize>, new: &[u8], value: Option<Value>) {
        let (gone, came) = (range.len(), new.len());
        self.text.splice(range, new.iter().copied());
        self.documents[index].value = value;
        self.documents[index].range.end = self.documents[index].range.end - gone + came;
        for later in &mut self.documents[index + 1..] {
            later.range = later.range.start - gone + came..later.range.end - gone + came;
        }
    }

    /// As the first line of the stream ends.
    fn line_end(&self) -> &'static str {
        let end = self.text.iter().position(|&byte| byte == b'\n');
        match end {
            Some(end) if end > 0 && self.text[end - 1] == b'\r' => "\r\n",
            _ => "\n",
        }
    }

    fn line_ends(&self, text: &str) -> String {
        text.replace("\r\n", "\n").replace('\n', self.line_end())
    }
}

/// On which line of a document's text an entry or item stands, from 0: where its value begins, or its key. None where it is not
/// written there.
pub fn line_of(document: &[u8], path: &Path) -> Option<usize> {
    let text = std::str::from_utf8(document).ok()?;
    let tree = Node::of(text).ok()?;
    let start = match path.steps().split_last() {
        Some((crate::Step::Key(key), before)) => tree.find(before).ok()?.entry(key).ok()?.1.key_span.start,
        _ => tree.find(path.steps()).ok()?.span.start,
    };
    Some(text[..start].matches('\n').count())
}

/// Whether the reader takes a document for JSON.
fn is_json(text: &str) -> bool {
    text.trim_start().starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests;
