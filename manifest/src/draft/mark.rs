//! How a draft's JSON says which strings were plain: by a mark in front, where one is needed.
//!
//! A plain text with variables gets `\0$` in front; any other that begins with `\0` gets one more. Keys have no marks.

use serde_json::Value;

use super::Written;

const MARK: char = '\0';
const PLAIN: &str = "\0$";

/// Marks a plain text with variables.
pub(crate) fn plain(text: &str) -> String {
    format!("{PLAIN}{text}")
}

/// Marks any other text, if it needs it.
pub(crate) fn quoted(mut text: String) -> String {
    if text.starts_with(MARK) {
        text.insert(0, MARK);
    }
    text
}

/// Marks every string of a value that had them in quotes, as JSON has.
pub(crate) fn all_quoted(value: &mut Value) {
    each(value, &mut |text| *text = quoted(std::mem::take(text)));
}

/// Takes all marks away.
pub(super) fn remove(value: &mut Value) {
    each(value, &mut |text| *text = read(std::mem::take(text)).1);
}

/// A text without its mark, and what the mark said.
pub(super) fn read(mut text: String) -> (Written, String) {
    if text.starts_with(PLAIN) {
        text.drain(..PLAIN.len());
        return (Written::Plain, text);
    }
    if text.starts_with(MARK) {
        text.remove(0);
    }
    (Written::Quoted, text)
}

fn each(value: &mut Value, change: &mut impl FnMut(&mut String)) {
    match value {
        Value::String(text) => change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| each(item, change)),
        Value::Object(fields) => fields.values_mut().for_each(|value| each(value, change)),
        _ => {}
    }
}
