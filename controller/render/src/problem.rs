//! What is wrong with one file or one document.

use std::fmt;

use manifest::{ManifestError, Printable, ReadError};

/// Something that could not be turned into an object, in our own words: never the file's content, which
/// may be a Secret's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Path from the repository's root. A stranger's text: [`Problem`]'s `Display` makes it printable.
    pub file: String,
    /// Number of the document in the file, from 1.
    pub document: Option<usize>,
    /// Number of the object in the document's List, from 1.
    pub item: Option<usize>,
    /// Line in the file, from 1.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

impl Problem {
    pub(crate) fn of_file(file: &str, message: impl Into<String>, hint: &str) -> Self {
        Self {
            file: file.into(),
            document: None,
            item: None,
            line: None,
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// A file that cannot be read as a stream of documents.
    pub(crate) fn of_stream(file: &str, error: &ReadError) -> Self {
        let mut problem = Self::of_file(file, error.kind.to_string(), error.hint().unwrap_or_default());
        problem.line = Some(error.line);
        problem
    }

    /// A document that cannot be read.
    pub(crate) fn of_document(file: &str, document: usize, error: &ReadError) -> Self {
        let mut problem = Self::of_stream(file, error);
        problem.document = Some(document);
        problem
    }

    /// A document or item that is no object.
    pub(crate) fn of_manifest(error: &ManifestError) -> Self {
        Self {
            file: error.origin.file.as_ref().into(),
            document: Some(error.origin.document),
            item: error.origin.item,
            line: Some(error.origin.line),
            message: error.kind.to_string(),
            hint: error.hint().unwrap_or_default().into(),
        }
    }
}

/// `web/a.yaml document 2 item 3, line 7: message (hint)`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Printable(&self.file))?;
        if let Some(document) = self.document {
            write!(f, " document {document}")?;
        }
        if let Some(item) = self.item {
            write!(f, " item {item}")?;
        }
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.message)?;
        if self.hint.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", self.hint)
        }
    }
}
