//! What can be wrong with a document as an object.

use thiserror::Error;

use crate::identity::{InvalidName, InvalidNamespace, InvalidType, Origin};
use crate::text::Printable;

/// A document or a List's item that is no object. Displays as `web/deploy.yaml document 2: metadata.name is missing`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{origin}: {kind}")]
pub struct ManifestError {
    /// What is wrong.
    pub kind: ManifestErrorKind,
    /// Where.
    pub origin: Origin,
}

impl ManifestError {
    /// What a person can do about it, where there is something to say.
    pub fn hint(&self) -> Option<&'static str> {
        self.kind.hint()
    }
}

/// What is wrong with a document or an item. Texts hold names and field paths from the document, made printable,
/// and never its values.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ManifestErrorKind {
    /// A list, a text, a number: anything but a mapping.
    #[error("this is not an object but {found}")]
    NotAMapping {
        /// What it is, with its article.
        found: &'static str,
    },
    /// A field that every object has is not there, or is empty.
    #[error("{field} is missing")]
    Missing {
        /// Path of the field.
        field: &'static str,
    },
    /// A field holds another type of value than it must.
    #[error("{} is not {expected} but {found}", Printable(.path))]
    WrongType {
        /// Path of the field.
        path: String,
        /// What it must be, with its article.
        expected: &'static str,
        /// What it is, with its article.
        found: &'static str,
    },
    /// `apiVersion` or `kind` has a form that no API has.
    #[error(transparent)]
    InvalidType(#[from] InvalidType),
    /// `generateName` instead of a name.
    #[error("metadata.generateName is used, and the object has no name of its own")]
    GenerateName,
    /// A name that no kind accepts.
    #[error("metadata.name `{}` cannot be an object's name: {reason}", Printable(.name))]
    InvalidName {
        /// The name as written.
        name: String,
        /// What is wrong with it.
        reason: InvalidName,
    },
    /// A namespace that cannot exist.
    #[error("metadata.namespace `{}` cannot be a namespace: {reason}", Printable(.namespace))]
    InvalidNamespace {
        /// The namespace as written.
        namespace: String,
        /// What is wrong with it.
        reason: InvalidNamespace,
    },
    /// A variable cannot be replaced.
    #[error("{message}, in {}", Printable(.path))]
    Variable {
        /// Path of the field, as written.
        path: String,
        /// What is wrong, without values.
        message: String,
        /// What a person can do about it.
        hint: &'static str,
    },
    /// A `v1` `List` without the one field it is there for.
    #[error("the List has no items")]
    ListWithoutItems,
    /// Lists inside Lists beyond [`crate::Limits::list_depth`].
    #[error("there are more than {limit} Lists inside Lists")]
    ListTooDeep {
        /// The limit.
        limit: usize,
    },
}

impl ManifestErrorKind {
    /// What a person can do about it, where there is something to say.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotAMapping { .. } => {
                Some("a manifest is a mapping with apiVersion, kind and metadata; is this file a manifest?")
            }
            Self::Missing {
                field: "apiVersion" | "kind",
            } => Some("if the file is no manifest, leave it out of the path or of the kustomization"),
            Self::WrongType {
                expected: "a string", ..
            } => Some(
                "YAML reads unquoted numbers, yes, no, on, off, true and null as other types: put quotes around the value",
            ),
            Self::GenerateName => {
                Some("give the object a fixed metadata.name: each apply would create another one")
            }
            Self::Variable { hint, .. } => Some(hint),
            Self::ListTooDeep { .. } => Some("write the objects as separate documents"),
            Self::Missing { .. } => Some("every object has a name of its own in metadata.name"),
            Self::WrongType { .. } => Some("correct the field; is the indentation right?"),
            Self::InvalidType(_) => Some("write apiVersion and kind as `kubectl explain` shows them"),
            Self::InvalidName { .. } | Self::InvalidNamespace { .. } => {
                Some("names are lowercase letters, digits, `-` and, where the kind allows it, `.`")
            }
            Self::ListWithoutItems => Some("give it `items`, or remove the document"),
        }
    }
}
