//! Objects as text.

use super::dialect::Dialect;
use crate::command_error::CommandError;
use serde_json::{Value, json};
use std::path::Path;

/// How objects are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// JSON objects. `signet seal` makes a List of several, kubeseal writes one after the other.
    Json,
    /// A YAML document for each.
    Yaml,
}

impl Format {
    /// By its name, as kubeseal reads it.
    pub(super) fn named(name: &str) -> Result<Self, CommandError> {
        match name.to_ascii_lowercase().as_str() {
            "json" | "" => Ok(Self::Json),
            "yaml" => Ok(Self::Yaml),
            _ => Err(CommandError::user(
                format!("unsupported output format: {}", sealing::Printable(name)),
                "write yaml or json",
            )),
        }
    }

    /// By the name of a file.
    pub(super) fn of_file(file: &Path) -> Option<Self> {
        match file.extension()?.to_str()? {
            "json" => Some(Self::Json),
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }
}

/// The text of these objects.
pub(super) fn text(objects: &[Value], format: Format, dialect: Dialect) -> Result<String, CommandError> {
    match (format, objects) {
        // As kubeseal writes it, so that appending to a file makes another document.
        (Format::Yaml, _) => Ok(format!("---\n{}", manifest::write_yaml(objects))),
        (Format::Json, [one]) => pretty(one),
        (Format::Json, several) if dialect == Dialect::Kubeseal => several.iter().map(pretty).collect(),
        (Format::Json, several) => pretty(&json!({"apiVersion": "v1", "kind": "List", "items": several})),
    }
}

pub(super) fn pretty(value: &Value) -> Result<String, CommandError> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|err| CommandError::internal(format!("cannot write JSON: {err}")))?;
    text.push('\n');
    Ok(text)
}
