//! What was sealed again, and what was not and why.

use manifest::EditError;
use sealing::v2::KeyId;
use sealing::{OpenError, Printable, Scope};
use serde_json::Value;
use std::fmt;

/// What came of one text. It holds no value, open or sealed, but in `bytes`.
#[derive(Debug, Default)]
pub struct Resealed {
    /// The text as it is now.
    pub bytes: Vec<u8>,
    /// What was sealed again, in the text's order.
    pub changed: Vec<Changed>,
    /// What stays as it was although it may hang on an old key.
    pub kept: Vec<Kept>,
    /// Sealed values that need no change.
    pub current: usize,
}

/// One value of format v1, or one object of the native format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Where it stands.
    pub place: Where,
    /// The keys of the values.
    pub keys: Vec<String>,
    /// The keys that it was sealed for.
    pub from: Vec<String>,
    /// The keys that it is sealed for now.
    pub to: Vec<String>,
}

/// Something that was not sealed again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Where it stands.
    pub place: Where,
    /// The value's key; none where the whole object or document is concerned.
    pub key: Option<String>,
    /// Why.
    pub why: Why,
}

/// Why something was not sealed again. No text of a value is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// Its document cannot be read.
    #[error("the document cannot be read: {0}")]
    Unreadable(String),
    /// There is nothing to seal this format for.
    #[error("no key of its format is given to seal it for")]
    NoTarget,
    /// The key to seal for may not be used.
    #[error("the new key cannot be sealed for: {0}")]
    BadTarget(String),
    /// It names no namespace, and its scope needs one.
    #[error("it names no namespace, and its scope needs one")]
    NoNamespace,
    /// Its values are sealed for different keys besides the one that is left.
    #[error("its values are sealed for different other keys, and would all be opened by all of them")]
    OtherRecipients,
    /// It is sealed for another key as well, whose public half is not known.
    #[error("it is sealed for {0} as well, whose public half is not known here")]
    UnknownRecipient(KeyId),
    /// None of the keys at hand opens it where it stands.
    #[error("{0}")]
    Closed(OpenError),
    /// It is sealed for other keys than those at hand.
    #[error("it is sealed for other keys")]
    OtherKey,
    /// None of the keys at hand opens it where it stands, or it is damaged.
    #[error("{0}")]
    Refused(String),
    /// The text cannot be changed in place.
    #[error("the text cannot be changed in place: {0}")]
    Unchangeable(EditError),
}

impl Why {
    /// Whether it may be in order as it is: it hangs on some key that is not at hand.
    #[must_use]
    pub fn is_other_key(&self) -> bool {
        matches!(
            self,
            Self::OtherKey
                | Self::Closed(OpenError::NoKey | OpenError::OtherKeySize { .. } | OpenError::EmptyRing)
        )
    }
}

/// The format of a SealedSecret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `bitnami.com/v1alpha1`
    V1,
    /// `signet.dev/v1alpha1`
    V2,
}

/// An object in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Where {
    /// Number of the document, from 1.
    pub document: usize,
    /// First line of the document.
    pub line: usize,
    /// The object's format.
    pub format: Format,
    /// Its namespace, if it names one.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Whether its values are sealed for any namespace: then it does not matter which it is in.
    pub wide: bool,
}

impl Where {
    /// Of an object in a document; nothing where it is no SealedSecret.
    #[must_use]
    pub fn of(object: &Value, document: usize, line: usize) -> Option<Self> {
        let text = |value: &Value, field: &str| value.get(field)?.as_str().map(str::to_owned);
        let version = text(object, "apiVersion")?;
        if text(object, "kind")? != "SealedSecret" {
            return None;
        }
        let format = match version.as_str() {
            "bitnami.com/v1alpha1" => Format::V1,
            "signet.dev/v1alpha1" => Format::V2,
            _ => return None,
        };
        let metadata = object.get("metadata").unwrap_or(&Value::Null);
        Some(Self {
            document,
            line,
            format,
            namespace: text(metadata, "namespace").filter(|text| !text.is_empty()),
            name: text(metadata, "name").unwrap_or_default(),
            wide: format == Format::V1
                && Scope::from_annotations(metadata.get("annotations")) == Scope::Cluster,
        })
    }

    /// A document that cannot be read.
    pub(crate) fn unread(document: usize, line: usize) -> Self {
        Self {
            document,
            line,
            format: Format::V1,
            namespace: None,
            name: String::new(),
            wide: false,
        }
    }
}

impl fmt::Display for Where {
    /// `namespace/name`, safe to print; the document where there is no name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() {
            return write!(f, "document {}", self.document);
        }
        if let Some(namespace) = &self.namespace {
            write!(f, "{}/", Printable(namespace))?;
        }
        Printable(&self.name).fmt(f)
    }
}
