//! What is found, and where.

use crate::repo_files::Text;
use manifest::{Document, Path as Way};
use sealing::Printable;
use serde_json::Value;

/// A finding. No field holds a value.
pub(super) struct Finding {
    pub(super) rule: Rule,
    pub(super) level: Level,
    pub(super) place: Place,
    /// `Kind namespace/name`, safe to print.
    pub(super) object: Option<String>,
    pub(super) message: String,
    pub(super) hint: &'static str,
}

/// A line of a file, from 1.
pub(super) struct Place {
    pub(super) file: String,
    pub(super) line: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Error,
    Warning,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
    PlainSecret,
    PlainEnv,
    PrivateKey,
    Unreadable,
    SealedInvalid,
    SealedMoved,
    SealedScope,
    UnknownKey,
    ExpiredCertificate,
    Duplicate,
}

impl Rule {
    pub(super) const ALL: [Self; 10] = [
        Self::PlainSecret,
        Self::PlainEnv,
        Self::PrivateKey,
        Self::Unreadable,
        Self::SealedInvalid,
        Self::SealedMoved,
        Self::SealedScope,
        Self::UnknownKey,
        Self::ExpiredCertificate,
        Self::Duplicate,
    ];

    pub(super) fn id(self) -> &'static str {
        match self {
            Self::PlainSecret => "plain-secret",
            Self::PlainEnv => "plain-env",
            Self::PrivateKey => "private-key",
            Self::Unreadable => "unreadable",
            Self::SealedInvalid => "sealed-invalid",
            Self::SealedMoved => "sealed-moved",
            Self::SealedScope => "sealed-scope",
            Self::UnknownKey => "unknown-key",
            Self::ExpiredCertificate => "expired-certificate",
            Self::Duplicate => "duplicate",
        }
    }

    /// What it looks for, in a sentence.
    pub(super) fn about(self) -> &'static str {
        match self {
            Self::PlainSecret => "A Secret, or a generator of one, holds values in plain text.",
            Self::PlainEnv => {
                "A password, token or the like stands in an environment variable or a ConfigMap."
            }
            Self::PrivateKey => "A private key stands in the repository.",
            Self::Unreadable => "A manifest cannot be read.",
            Self::SealedInvalid => "A SealedSecret is damaged, or has fields that it must not have.",
            Self::SealedMoved => {
                "A SealedSecret stands under another name or namespace than its values were sealed for."
            }
            Self::SealedScope => "A SealedSecret names another scope than its values were sealed with.",
            Self::UnknownKey => "A value is sealed for a key that is not one of the pinned ones.",
            Self::ExpiredCertificate => "A certificate to seal for has expired, or soon will.",
            Self::Duplicate => "Two manifests of one directory are the same object.",
        }
    }
}

/// An object that is looked at.
pub(super) struct Object<'a> {
    pub(super) text: &'a Text,
    pub(super) document: &'a Document,
    pub(super) at: &'a Way,
    pub(super) value: &'a Value,
}

impl Object<'_> {
    pub(super) fn field(&self, name: &str) -> &str {
        self.value.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn metadata(&self, name: &str) -> Option<&str> {
        let text = self.value.get("metadata")?.get(name)?.as_str()?;
        Some(text).filter(|text| !text.is_empty())
    }

    /// `Kind namespace/name`, safe to print.
    pub(super) fn shown(&self) -> String {
        let namespace = self.metadata("namespace");
        format!(
            "{} {}{}{}",
            Printable(self.field("kind")),
            Printable(namespace.unwrap_or_default()),
            if namespace.is_some() { "/" } else { "" },
            Printable(self.metadata("name").unwrap_or_default())
        )
    }

    /// Rules that the object asks to be left alone by.
    pub(super) fn ignored(&self) -> Vec<&str> {
        let annotation = self.value.get("metadata").and_then(|metadata| {
            metadata
                .get("annotations")?
                .get("signet.dev/lint-ignore")?
                .as_str()
        });
        annotation.unwrap_or_default().split(',').map(str::trim).collect()
    }

    /// A finding at a way within the object.
    pub(super) fn finding<'k>(
        &self,
        rule: Rule,
        level: Level,
        way: impl IntoIterator<Item = &'k str>,
        message: String,
        hint: &'static str,
    ) -> Finding {
        let way = self.at.within(way);
        self.finding_at(rule, level, &way, message, hint)
    }

    /// A finding at a way from the document's top.
    pub(super) fn finding_at(
        &self,
        rule: Rule,
        level: Level,
        way: &Way,
        message: String,
        hint: &'static str,
    ) -> Finding {
        Finding {
            rule,
            level,
            place: Place {
                file: self.text.name.clone(),
                line: super::line_of(self.document, &self.text.bytes, way),
            },
            object: Some(self.shown()),
            message,
            hint,
        }
    }
}
