//! Writing what was sealed.

use crate::command_error::CommandError;
use crate::output;
use crate::ui::Ui;
use clap::ValueEnum;
use serde_json::{Value, json};
use std::path::Path;

/// How SealedSecrets are written.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    /// One JSON object; a List where there are several.
    Json,
    /// A YAML document for each.
    Yaml,
}

impl Format {
    /// By the name of the output file; else as the input was.
    pub(super) fn of(file: Option<&Path>, input_is_json: bool) -> Self {
        match file
            .and_then(Path::extension)
            .and_then(|extension| extension.to_str())
        {
            Some("json") => Self::Json,
            Some("yaml" | "yml") => Self::Yaml,
            _ if input_is_json => Self::Json,
            _ => Self::Yaml,
        }
    }
}

/// Writes to a file, replaced whole, or to standard output.
pub(super) fn write(
    ui: &Ui,
    sealed: &[Value],
    format: Format,
    file: Option<&Path>,
) -> Result<(), CommandError> {
    let text = match (format, sealed) {
        // As kubeseal writes it, so that appending to a file makes another document.
        (Format::Yaml, _) => format!("---\n{}", manifest::write_yaml(sealed)),
        (Format::Json, [one]) => pretty(one)?,
        (Format::Json, several) => pretty(&json!({"apiVersion": "v1", "kind": "List", "items": several}))?,
    };
    let Some(file) = file else {
        return Ok(ui.write(text)?);
    };
    output::replace(file, &text)?;
    let count = match sealed.len() {
        1 => "1 Secret".to_owned(),
        several => format!("{several} Secrets"),
    };
    ui.status(format!("Sealed {count} into {}.", output::show(file)));
    Ok(())
}

fn pretty(value: &Value) -> Result<String, CommandError> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|err| CommandError::internal(format!("cannot write JSON: {err}")))?;
    text.push('\n');
    Ok(text)
}
