//! Why a text was not changed. Nothing here holds any value of it.

use std::fmt::{self, Display};

use thiserror::Error;

use crate::draft::Path;
use crate::read::ReadError;
use crate::text::Printable;

/// A change that was refused; the text is as it was. Displays as `document 2, spec.encryptedData.password: …`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct EditError {
    /// Number of the document, as [`crate::Document::number`] counts.
    pub document: usize,
    /// The entry, where there is one.
    pub path: Option<Path>,
    /// What is wrong.
    pub problem: EditProblem,
}

/// What is wrong with a change.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EditProblem {
    /// The text cannot be read.
    #[error("{0}")]
    Read(ReadError),
    /// The stream has no document of that number, or an empty one.
    #[error("there is no such document")]
    NoDocument,
    /// The document cannot be read, so that nothing in it can be changed.
    #[error("the document cannot be read")]
    Unreadable,
    /// There is no such entry.
    #[error("there is no such entry")]
    NoEntry,
    /// A step of the path leads into a text, a number or the like.
    #[error("the way there leads through something that is no mapping or list")]
    NotAMapping,
    /// The new key is there already.
    #[error("the new key is there already")]
    KeyTaken,
    /// The key stands twice, and the last counts.
    #[error("the key is written twice")]
    KeyTwice,
    /// The entry comes from an anchor, a merge key, or a key that is no string.
    #[error(
        "the entry is not written here, but comes from an alias or a merge key, or its key is not a plain text"
    )]
    Elsewhere,
    /// It is written in a way in which it cannot be changed without touching other things.
    #[error("the entry is written in a form that cannot be changed in place")]
    Form,
    /// A comment would be lost.
    #[error("a comment would be lost")]
    CommentLost,
    /// Read again, the text would not say what was meant.
    #[error("the changed text would not say exactly what was meant")]
    NotAsMeant,
}

impl EditError {
    pub(super) fn new(document: usize, problem: EditProblem) -> Self {
        Self {
            document,
            path: None,
            problem,
        }
    }

    pub(super) fn at(document: usize, path: &Path, problem: EditProblem) -> Self {
        Self {
            document,
            path: Some(path.clone()),
            problem,
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match &self.problem {
            EditProblem::Read(err) => err.hint().unwrap_or("correct the text at this place"),
            EditProblem::NoDocument | EditProblem::NoEntry => "is it the right file, and the right key?",
            EditProblem::Unreadable => "`signet lint FILE` says what is wrong with the document",
            EditProblem::NotAMapping => "does the object have the form that its kind asks for?",
            EditProblem::KeyTaken => "remove the other one first, or choose another key",
            EditProblem::KeyTwice => "remove one of the two by hand; the last one counted",
            EditProblem::Elsewhere => "change the anchor's mapping by hand, or write the entry out",
            EditProblem::Form => "change this entry by hand; nothing was written",
            EditProblem::CommentLost => {
                "move the comment to a line outside of the value; nothing was written"
            }
            EditProblem::NotAsMeant => {
                "an anchor that is used elsewhere, or tabs? Change this entry by hand; nothing was written"
            }
        }
    }
}

impl Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "document {}", self.document)?;
        if let Some(path) = &self.path {
            write!(f, ", {}", Printable(&path.to_string()))?;
        }
        write!(f, ": {}", self.problem)
    }
}
