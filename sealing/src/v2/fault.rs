//! What can be wrong with an object of format v2. Nothing here holds a value, sealed or not, or a template's text.

use super::age_file::AgeFileProblem;
use super::key_id::{KeyId, NotAKeyId};
use super::place::{Place, scope_name};
use super::reference::ReferenceError;
use crate::path::Printable;
use crate::sealed_secret::{ItemProblem, ParseProblem};
use crate::{Scope, SealFailed};
use std::fmt;

/// What is wrong with a field, beyond what can be wrong with one of format v1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The age file of a data key.
    #[error("{0}; restore it from Git's history, or seal the Secret again")]
    AgeFile(AgeFileProblem),
    /// A text of the template under the key of a value.
    #[error("this key has a sealed value too; remove one of the two")]
    AlsoAValue,
    /// The data key has been there before.
    #[error("another data key has this id")]
    DuplicateId,
    /// Empty, where leaving it out says the same.
    #[error("must not be empty; leave it out")]
    EmptyText,
    /// kubectl's copy of an object.
    #[error(
        "must not hold kubectl's copy of an object, in which values are plain to read; remove last-applied-configuration"
    )]
    LastApplied,
    /// Not the id of a data key.
    #[error("an id is 16 lower-case hexadecimal digits")]
    NotADataKeyId,
    /// Not a key's name.
    #[error("{0}")]
    NotAKeyId(NotAKeyId),
    /// Not a list of strings.
    #[error("must be a list of at most {0} strings")]
    NotAListOfTexts(usize),
    /// Not `id.base64`.
    #[error("must be the id of a data key, a dot, and a sealed value in base64; was it cut off?")]
    NotAValue,
    /// Not base64, or base64 with breaks.
    #[error("must be base64 in one piece")]
    NotBase64,
    /// No such scope.
    #[error("must be Strict, Namespace or Cluster")]
    NotAScope,
    /// The object is of another kind.
    #[error("not a SealedSecret of signet.dev/v1alpha1")]
    OtherKind,
    /// A reference in a text.
    #[error("{0}")]
    Reference(ReferenceError),
    /// What it is sealed for does not fit its scope.
    #[error("with scope {} it must hold {}", scope_name(*.0), uses(*.0))]
    SealedForOther(Scope),
    /// Too many bytes.
    #[error("longer than {0} bytes")]
    TooLong(usize),
    /// Too many entries.
    #[error("more than {0} entries")]
    TooMany(usize),
    /// No such data key.
    #[error("spec.dataKeys has no key of this id")]
    UnknownDataKey,
    /// Not a field of the format.
    #[error("there is no such field in this format; correct its name or its place, or remove it")]
    UnknownField,
    /// A key that is to be left out and is not there.
    #[error("names a key that spec.values does not have")]
    UnknownOmitted,
    /// The ids are not sorted, or one is there twice.
    #[error("must be sorted, each once")]
    Unsorted,
}

fn uses(scope: Scope) -> &'static str {
    match scope {
        Scope::Strict => "namespace and name",
        Scope::Namespace => "namespace, and nothing else",
        Scope::Cluster => "nothing",
    }
}

impl From<Fault> for ParseProblem {
    fn from(fault: Fault) -> Self {
        Self::Native(fault)
    }
}

/// Why a value of format v2 did not open.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Sealed for another place than where it stands. It says so itself, in plain text.
    OtherPlace {
        /// What it is sealed for.
        sealed_for: Place,
        /// The namespace that it is to be opened in.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// None of the keys that it is sealed for is here. It lists them itself, in plain text.
    NoRecipient {
        /// The keys that it is sealed for.
        recipients: Vec<KeyId>,
    },
    /// A key that is here should open it, and does not. Whether the place, the template, the recipients or the value
    /// itself was changed is not said.
    Refused {
        /// What it was opened for.
        place: Place,
    },
}

impl From<Refusal> for ItemProblem {
    fn from(refusal: Refusal) -> Self {
        Self::Native(Box::new(refusal))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherPlace {
                sealed_for,
                namespace,
                name,
            } => write!(
                f,
                "it is sealed for {sealed_for}, and stands here as {} in namespace {}",
                Printable(name),
                Printable(namespace)
            ),
            Self::NoRecipient { recipients } => {
                f.write_str("it is sealed for ")?;
                for (index, id) in recipients.iter().take(4).enumerate() {
                    write!(f, "{}{id}", if index > 0 { ", " } else { "" })?;
                }
                if recipients.len() > 4 {
                    write!(f, " and {} more", recipients.len() - 4)?;
                }
                f.write_str(", of which no private key is here")
            }
            Self::Refused { place } => write!(
                f,
                "it does not open for {place} with scope {}; its place, the template, the recipients or the value was \
                 changed after it was sealed",
                scope_name(place.scope())
            ),
        }
    }
}

/// Why an object of format v2 could not be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EditError {
    /// The key cannot stand in a Secret.
    BadKey(String),
    /// The name or namespace cannot be one.
    BadPlace,
    /// A value of this key is not there.
    NoValue(String),
    /// The result would not be sound: a text refers to a value that goes, or the like.
    Invalid(Vec<crate::ParseError>),
    /// Values could not be opened first.
    Locked(Vec<crate::ItemError>),
    /// The Secret would be larger than Kubernetes allows.
    TooLarge(Option<String>),
    /// The system's random source or the library failed.
    Unavailable,
}

impl From<SealFailed> for EditError {
    fn from(_: SealFailed) -> Self {
        Self::Unavailable
    }
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadKey(key) => write!(f, "key {}: {}", Printable(key), ParseProblem::BadKey),
            Self::BadPlace => f.write_str("not a name and namespace that Kubernetes accepts"),
            Self::NoValue(key) => write!(f, "there is no value of key {}", Printable(key)),
            Self::Invalid(problems) => joined(f, problems),
            Self::Locked(problems) => joined(f, problems),
            Self::TooLarge(Some(key)) => write!(f, "key {}: {}", Printable(key), ItemProblem::TooLarge),
            Self::TooLarge(None) => ItemProblem::TooLarge.fmt(f),
            Self::Unavailable => SealFailed.fmt(f),
        }
    }
}

impl std::error::Error for EditError {}

fn joined(f: &mut fmt::Formatter<'_>, problems: &[impl fmt::Display]) -> fmt::Result {
    for (index, problem) in problems.iter().enumerate() {
        write!(f, "{}{problem}", if index > 0 { "; " } else { "" })?;
    }
    Ok(())
}
