//! What can be wrong with a SealedSecret. Nothing here holds a value, sealed or not, or a template's text.

use crate::path::Printable;
use crate::scope::{CLUSTER_WIDE, NAMESPACE_WIDE};
use crate::v2::{Fault, Refusal};
use crate::{Scope, TemplateError};
use std::fmt;

/// A field of a SealedSecret that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct ParseError {
    /// Where the field is, such as `spec.encryptedData.password`. Safe to print.
    pub path: String,
    /// What is wrong with it.
    pub problem: ParseProblem,
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseProblem {
    /// The key cannot stand in a Secret.
    #[error("a key holds only letters, digits, `-`, `_` and `.`, at most 253 of them")]
    BadKey,
    /// The name cannot be that of an object.
    #[error("not a name that Kubernetes accepts (an RFC 1123 subdomain)")]
    BadName,
    /// The name cannot be that of a namespace.
    #[error("not a name that Kubernetes accepts for a namespace (an RFC 1123 label)")]
    BadNamespace,
    /// Values beside the deprecated form, one blob for the whole Secret. The words are upstream's.
    #[error("cannot use the field 'encryptedData' and the deprecated field 'data' at the same time")]
    BothForms,
    /// The field has to be there.
    #[error("missing")]
    Missing,
    /// A fault of format v2.
    #[error("{0}")]
    Native(Fault),
    /// The object is of another kind.
    #[error("not a SealedSecret of bitnami.com/v1alpha1")]
    OtherKind,
    /// The values and what the templates make of them could be larger than Kubernetes allows.
    #[error("the Secret could be larger than 1 MiB, the most that Kubernetes takes")]
    TooLarge,
    /// The template cannot be rendered here.
    #[error("{0}")]
    Template(TemplateError),
    /// The field has another type.
    #[error("must be {expected}, is {found}")]
    WrongType {
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
}

/// One value that did not open, or one thing that stands against opening the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemError {
    /// The key in `encryptedData` or `template.data`; none where the whole object is concerned.
    pub key: Option<String>,
    /// What is wrong.
    pub problem: ItemProblem,
}

impl fmt::Display for ItemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "key {}: {}", Printable(key), self.problem),
            None => self.problem.fmt(f),
        }
    }
}

impl std::error::Error for ItemError {}

/// Why a value did not open.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ItemProblem {
    /// The namespace that it is to be opened under cannot be one.
    BadNamespace,
    /// A value of format v2 did not open.
    Native(Box<Refusal>),
    /// There are no sealing keys yet.
    NoKeys,
    /// What is sealed in the deprecated form is not a Secret.
    NotASecret,
    /// Not base64.
    NotBase64,
    /// No key opens it in this place. Whether the key or the place is the wrong one cannot be told apart.
    NotForHere {
        /// The namespace it was tried under.
        namespace: String,
        /// The name it was tried under.
        name: String,
        /// The scope it was tried with.
        scope: Scope,
    },
    /// Sealed for a key of a size that no key of this controller has.
    OtherKeySize {
        /// The size in bits.
        bits: usize,
    },
    /// It opens with another scope than the object's annotations name.
    OtherScope {
        /// The scope it was sealed with.
        sealed: Scope,
        /// The scope that the annotations name.
        annotated: Scope,
    },
    /// The Secret would be larger than Kubernetes allows.
    TooLarge,
    /// Not every key was tried: the values before it took what one object may cost.
    TriesSpent,
    /// Shorter than its own length fields say.
    Truncated,
}

impl fmt::Display for ItemProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadNamespace => f.write_str("the namespace is not a name that Kubernetes accepts"),
            Self::Native(refusal) => refusal.fmt(f),
            Self::NoKeys => f.write_str("this controller has no sealing keys yet"),
            Self::NotASecret => f.write_str("what spec.data holds opens, but is not a Secret"),
            Self::NotBase64 => f.write_str("the sealed value is not base64"),
            Self::NotForHere {
                namespace,
                name,
                scope,
            } => write!(
                f,
                "no key of this controller opens it under namespace {}, name {}, scope {scope}; is it sealed for \
                 another name, namespace or scope?",
                Printable(namespace),
                Printable(name),
            ),
            Self::OtherKeySize { bits } => write!(
                f,
                "it is sealed for a key of {bits} bits, which this controller does not have; is it sealed for \
                 another cluster?"
            ),
            Self::OtherScope { sealed, annotated } => other_scope(f, *sealed, *annotated),
            Self::TooLarge => {
                f.write_str("the Secret would be larger than 1 MiB, the most that Kubernetes takes")
            }
            Self::TriesSpent => f.write_str(
                "not every key of this controller was tried, since too many values of the object are sealed for no key or \
                 for many; correct the other ones first, or seal them all for one key",
            ),
            Self::Truncated => f.write_str("the sealed value is truncated"),
        }
    }
}

fn other_scope(f: &mut fmt::Formatter<'_>, sealed: Scope, annotated: Scope) -> fmt::Result {
    match (sealed, annotated) {
        (Scope::Namespace, Scope::Cluster) => write!(
            f,
            "it was sealed namespace-wide, but the object carries the annotation {CLUSTER_WIDE}; remove it and set \
             {NAMESPACE_WIDE}: \"true\""
        ),
        (sealed, annotated) => match (sealed.annotation(), annotated.annotation()) {
            (Some(lacking), _) => {
                write!(
                    f,
                    "it was sealed {sealed}, but the object lacks the annotation {lacking}: \"true\""
                )
            }
            (None, present) => write!(
                f,
                "it was sealed for this name and namespace only, but the object carries the annotation {}; remove it",
                present.unwrap_or_default()
            ),
        },
    }
}
