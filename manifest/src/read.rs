//! YAML and JSON text to values, exactly as kubectl reads it, within limits.
//!
//! The law is what `kubectl apply -f` does: its stream reader (k8s.io/apimachinery) for where documents begin and end,
//! sigs.k8s.io/yaml over go-yaml v2 for what a document says. Where this reader answers, it answers the same; it
//! refuses more: texts in which kubectl drops something without a word, or lets chance decide.
//!
//! The steps, a file each: `split` (stream to documents), `json`, `parser` (text to events, in libyaml-safer), `build`
//! (events to a tree, in which aliases are shared), `scalar` and `number` (what a scalar means), `node` (tree to JSON).

mod build;
mod document;
mod error;
mod fault;
mod json;
mod limits;
mod node;
mod number;
mod parser;
mod scalar;
mod split;
mod timestamp;
mod words;

use std::ops::Range;

use serde_json::Value;

use crate::draft::Draft;
pub use error::{ReadError, ReadErrorKind};
pub use limits::Limits;
pub(crate) use number::integral;
pub(crate) use parser::{Event, Events};
pub(crate) use scalar::{is_plain_string, plain_value};

/// One document of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Number of the document in its stream, from 1: what stands between two `---` counts, even if it is empty; what
    /// stands before the first `---` counts unless it is empty or all comments. JSON objects that follow each other
    /// without `---` count one by one.
    pub number: usize,
    /// Line of the stream on which `range` starts, from 1.
    pub line: usize,
    /// The document's bytes in its stream, without the separators around it. [`read_document`] of these bytes
    /// gives `value` again.
    pub range: Range<usize>,
    /// What it says, or why that cannot be told.
    pub value: Result<Value, ReadError>,
}

/// Reads all documents of a stream, YAML or JSON (a document that starts with `{` and is JSON is read as JSON wherever it
/// stands; kubectl does so only up to the first that is not). Documents that are empty, all comments, or `null` are left out, as
/// kubectl leaves them out. A document that cannot be read does not take its neighbours.
///
/// # Errors
/// Only what concerns the whole stream: it is too large, has too many documents, or is no UTF-8 text at all.
pub fn read_stream(bytes: &[u8], limits: &Limits) -> Result<Vec<Document>, ReadError> {
    let mut documents = Vec::new();
    for_each_document(bytes, limits, |document| documents.push(document))?;
    Ok(documents)
}

/// Like [`read_stream`], but hands over one document at a time, so that only one is in memory as a value.
///
/// # Errors
/// As [`read_stream`]. Documents that were handed over before are as they are.
pub fn for_each_document(
    bytes: &[u8],
    limits: &Limits,
    mut each: impl FnMut(Document),
) -> Result<(), ReadError> {
    let mut number = 0;
    for part in split::split(bytes, limits)? {
        if part.blank {
            number += 1;
            continue;
        }
        let mut range = part.range;
        let mut line = part.line;
        while !range.is_empty() {
            number += 1;
            if number > limits.documents {
                let kind = ReadErrorKind::TooManyDocuments {
                    limit: limits.documents,
                };
                return Err(ReadError {
                    kind,
                    line,
                    column: 1,
                });
            }
            let text = &bytes[range.clone()];
            let (value, length) = if part.bad_separator {
                (
                    Err(fault::Fault::new(ReadErrorKind::InvalidSeparator, 0)),
                    text.len(),
                )
            } else {
                document::first(text, limits, false)
            };
            let value = value.map_err(|fault| fault.locate(text, line));
            let end = range.start + length;
            if value != Ok(Value::Null) {
                each(Document {
                    number,
                    line,
                    range: range.start..end,
                    value,
                });
            }
            line += fault::line_ends(&text[..length]);
            range.start = end;
        }
    }
    Ok(())
}

/// Reads one document, such as [`Document::range`] of a stream. A text without a document is null. Lines in errors
/// count from the start of `bytes`.
///
/// # Errors
/// The text is no document, is too large in some way, or is more than one document.
pub fn read_document(bytes: &[u8], limits: &Limits) -> Result<Value, ReadError> {
    read_one(bytes, limits, false)
}

/// Like [`read_document`], for a document in which variables are to be replaced.
///
/// # Errors
/// As [`read_document`], and on the same texts.
pub fn read_draft(bytes: &[u8], limits: &Limits) -> Result<Draft, ReadError> {
    read_one(bytes, limits, true).map(Draft::new)
}

fn read_one(bytes: &[u8], limits: &Limits, marked: bool) -> Result<Value, ReadError> {
    split::check_text(bytes)?;
    let read = document::check_single(bytes).and_then(|()| match document::first(bytes, limits, marked) {
        (Ok(_), end) if end < bytes.len() => Err(fault::Fault::new(ReadErrorKind::TrailingText, end)),
        (value, _) => value,
    });
    read.map_err(|fault| fault.locate(bytes, 1))
}
