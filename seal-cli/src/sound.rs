//! Whether a SealedSecret still stands after a change: nothing that was right may become wrong.

use crate::command_error::CommandError;
use crate::sealed_file::{Format, SealedFile, at};
use sealing::{SealedSecret, v2};
use serde_json::Value;

/// What is wrong with an object that can be seen without a key. The texts hold no values.
pub(crate) fn problems(format: Format, object: &Value) -> Vec<String> {
    let found = match format {
        Format::V1 => SealedSecret::parse(object).err(),
        Format::V2 => v2::SealedSecret::parse(object).err(),
    };
    found
        .unwrap_or_default()
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// Refuses a changed file in which an object has a problem that it did not have before.
pub(crate) fn check(file: &SealedFile, index: usize) -> Result<(), CommandError> {
    let before = &file.objects[index];
    let document = file.editor.value(before.document);
    let Some(changed) = document.and_then(|document| at(document, &before.at)) else {
        return Ok(());
    };
    let known = problems(before.format, &before.value);
    let new: Vec<String> = problems(before.format, changed)
        .into_iter()
        .filter(|problem| !known.contains(problem))
        .collect();
    if new.is_empty() {
        return Ok(());
    }
    Err(CommandError::user(
        format!(
            "{} would not open any more, so nothing was written:",
            before.shown()
        ),
        "change the template or the other values first",
    )
    .details(new))
}
