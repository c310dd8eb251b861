//! Sealing again what stands in files: sealed values that hang on an old key go under a new one, and every other byte stays.
//!
//! [`stream`] takes one YAML or JSON text, with any number of documents, Lists and other objects in it. Values of both formats are
//! opened where they stand and sealed for the same place, scope and template under fresh data keys: wrapping an old data key anew
//! would leave the old key, with Git's history, able to open what comes later. What cannot be opened stays as it is and is named;
//! the rest goes on.
//!
//! Not here: which files there are, commits, and who may (the command line, the controller).
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod object;
mod report;

use manifest::{EditError, Editor, Limits, Path, ReadError, each_object, read_stream};
use sealing::v2::{Identities, KeyId, Recipient, Recipients};
use sealing::{Certificate, KeyRing};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

pub use report::{Changed, Format, Kept, Resealed, Where, Why};

/// What is sealed again, and how.
pub struct Task<'k> {
    /// Opens values of format v1.
    pub ring: &'k KeyRing,
    /// Opens values of the native format.
    pub identities: &'k Identities,
    /// The certificate that values of format v1 are sealed for.
    pub certificate: Option<&'k Certificate>,
    /// Whom values of the native format are sealed for.
    pub recipients: Option<&'k Recipients>,
    /// Where it is given: whom an object of the native format is sealed for besides the keys that are left, a recovery key
    /// mostly, it stays sealed for; by its id, it is looked up here. Without it, `recipients` alone.
    ///
    /// Ids are digests, and every value is bound to its own: so whoever wrote this list cannot slip another key in.
    pub others: Option<&'k BTreeMap<KeyId, Recipient>>,
    /// Only what hangs on these keys: fingerprints (`SHA256:…`) and key ids (`key-…`). Empty: all that is not sealed for the
    /// new key, and for it alone.
    pub leaving: &'k BTreeSet<String>,
    /// The namespace of objects that name none.
    pub namespace: Option<&'k str>,
    /// Whether each value of format v1 is tried with every key, however many values an object has: for who has to know that no
    /// key opens it, and not for what the controller opens, which bounds that.
    pub every_key: bool,
    /// When it is: an expired certificate is not sealed for.
    pub now: SystemTime,
}

/// Why a whole text was left alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// The stream, or one of its documents, cannot be read. The text is not repeated: it may be secret.
    #[error("{0}")]
    Unreadable(ReadError),
    /// The text would not say the same after the change.
    #[error("{0}")]
    Unchangeable(EditError),
}

/// Seals again what stands in one text. The text is the same byte for byte but for the sealed values, and the same altogether
/// where nothing was sealed again.
///
/// # Errors
/// Where the text cannot be read. A single document that cannot be read is named in [`Resealed::kept`], and the others go on.
pub fn stream(bytes: &[u8], limits: &Limits, task: &Task<'_>) -> Result<Resealed, TextError> {
    let documents = read_stream(bytes, limits).map_err(TextError::Unreadable)?;
    let mut resealed = Resealed::default();
    let mut found: Vec<(Where, Path, Value)> = Vec::new();
    for document in documents {
        match document.value {
            Ok(value) => each_object(&value, limits.list_depth, &mut |object, at| {
                if let Some(place) = Where::of(object, document.number, document.line) {
                    found.push((place, at.clone(), object.clone()));
                }
            }),
            Err(error) => resealed.kept.push(Kept {
                place: Where::unread(document.number, document.line),
                key: None,
                why: Why::Unreadable(error.to_string()),
            }),
        }
    }
    if found.is_empty() {
        resealed.bytes = bytes.to_vec();
        return Ok(resealed);
    }
    let mut editor = Editor::new(bytes, *limits).map_err(TextError::Unchangeable)?;
    for (place, at, object) in found {
        let mut work = object::Work {
            task,
            editor: &mut editor,
            place: &place,
            at: &at,
            object: &object,
            resealed: &mut resealed,
        };
        match place.format {
            Format::V1 => work.v1(),
            Format::V2 => work.v2().map_err(TextError::Unchangeable)?,
        }
    }
    resealed.bytes = editor.finish().map_err(TextError::Unchangeable)?;
    Ok(resealed)
}
