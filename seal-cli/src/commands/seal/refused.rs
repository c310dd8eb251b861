//! What was refused, all of it.

use crate::command_error::CommandError;
use manifest::{Manifest, ManifestError, ManifestErrorKind, Origin};
use std::fmt::Display;

/// Problems with their places, and what is to be done about each.
#[derive(Default)]
pub(super) struct Refused {
    details: Vec<String>,
    hints: Vec<String>,
}

impl Refused {
    pub(super) fn add(&mut self, found: &Manifest, problem: impl Display, hint: impl Display) {
        let line = format!(
            "{} (line {}): {}: {problem}",
            found.origin, found.origin.line, found.id
        );
        self.line(line, hint);
    }

    pub(super) fn line(&mut self, line: String, hint: impl Display) {
        self.details.push(line);
        self.hints.push(hint.to_string());
    }

    /// A document that is no object. The messages that kubeseal has too are said in its words.
    pub(super) fn no_object(&mut self, err: &ManifestError) {
        const HINT: &str = "a Secret has apiVersion, kind, and a name in its metadata";
        let origin: &Origin = &err.origin;
        match &err.kind {
            ManifestErrorKind::Missing {
                field: "metadata.name",
            } => self.line(
                format!("{origin}: missing metadata.name in input Secret"),
                "write metadata.name, or give --name NAME",
            ),
            // A text is valid YAML: kubeseal's message for what is not what it should be.
            ManifestErrorKind::NotAMapping { .. } => self.line(
                format!(
                    "{origin}: no secrets found. Ensure the input is valid and UTF-8 encoded: {}",
                    err.kind
                ),
                err.hint().unwrap_or(HINT),
            ),
            _ => self.line(err.to_string(), err.hint().unwrap_or(HINT)),
        }
    }

    /// An error that says what was not done, unless nothing was refused.
    pub(super) fn into_result(self, what: &str) -> Result<(), CommandError> {
        let mut hints = self.hints.into_iter();
        let Some(first) = hints.next() else { return Ok(()) };
        let message = match self.details.len() {
            1 => format!("{what}, because of this:"),
            several => format!("{what}, because of these {several}:"),
        };
        let error = CommandError::user(message, first).details(self.details);
        Err(hints.fold(error, CommandError::hint))
    }
}
