//! One document's text to a value.

use serde_json::Value;

use super::error::ReadErrorKind as Kind;
use super::fault::Fault;
use super::limits::Limits;
use super::split::{Line, after_bom, classify, is_taken_for_text};
use super::{build, json};
use crate::draft::mark;

/// The first document of a text, and the byte after it: less than the whole text only where JSON objects follow each
/// other.
/// With `marked`, texts are as a [`crate::Draft`] has them.
pub(super) fn first(bytes: &[u8], limits: &Limits, marked: bool) -> (Result<Value, Fault>, usize) {
    match json_sequence(bytes, limits) {
        Some(Ok((mut value, end))) => {
            if marked {
                mark::all_quoted(&mut value);
            }
            (Ok(value), end)
        }
        Some(Err(fault)) => (Err(fault), bytes.len()),
        None => (yaml(bytes, limits, marked), bytes.len()),
    }
}

/// A JSON object, if the text is one or begins with one that another follows; otherwise the text may still be YAML,
/// which can start with `{` too.
fn json_sequence(bytes: &[u8], limits: &Limits) -> Option<Result<(Value, usize), Fault>> {
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return None;
    }
    // What is not UTF-8 may come after the first object.
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    };
    match json::object(text, limits) {
        Ok((value, end)) => match bytes[end..].iter().position(|byte| !byte.is_ascii_whitespace()) {
            None => Some(Ok((value, bytes.len()))),
            Some(next) if bytes[end + next] == b'{' => Some(Ok((value, end))),
            Some(_) => None,
        },
        Err(fault) if fault.kind == Kind::Json => None,
        Err(fault) => Some(Err(fault)),
    }
}

fn yaml(bytes: &[u8], limits: &Limits, marked: bool) -> Result<Value, Fault> {
    let limit = limits.document_bytes;
    if bytes.len() > limit {
        return Err(Fault::new(Kind::DocumentTooLarge { limit }, 0));
    }
    let text =
        std::str::from_utf8(bytes).map_err(|error| Fault::new(Kind::InvalidUtf8, error.valid_up_to()))?;
    let start = after_bom(bytes);
    let text = &text[start..];
    let checked = check_characters(text).and_then(|()| build::yaml(text, limits, marked));
    checked.map_err(|fault| Fault::new(fault.kind, fault.offset + start))
}

fn check_characters(text: &str) -> Result<(), Fault> {
    // kubectl takes the two for one line end, YAML for two.
    if let Some(offset) = text.find("\r\r\n") {
        return Err(Fault::new(Kind::ControlCharacter, offset));
    }
    let mut line_start = true;
    for (offset, char) in text.char_indices() {
        if !is_allowed(char) {
            return Err(Fault::new(Kind::ControlCharacter, offset));
        }
        // The parser would skip the mark, go-yaml takes it for text, and nobody sees it.
        if line_start && char == '\u{feff}' {
            return Err(Fault::new(Kind::ByteOrderMark, offset));
        }
        line_start = matches!(char, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
    }
    Ok(())
}

/// The characters of which a YAML text is made; others can only be written as escape sequences.
fn is_allowed(char: char) -> bool {
    matches!(char,
        '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}'
        | '\u{10000}'..)
}

/// Refuses a text of more than one document. A separator may stand before the document, after nothing but comments
/// and directives.
pub(super) fn check_single(bytes: &[u8]) -> Result<(), Fault> {
    let start = after_bom(bytes);
    let mut offset = start;
    let mut begun = false;
    for line in bytes[offset..].split_inclusive(|&byte| byte == b'\n') {
        match classify(line) {
            Line::Separator if begun => return Err(Fault::new(Kind::TrailingText, offset)),
            Line::BadSeparator => return Err(Fault::new(Kind::InvalidSeparator, offset)),
            Line::Separator if is_taken_for_text(line, offset == start) => {
                return Err(Fault::new(Kind::InvalidSeparator, offset));
            }
            Line::Separator => begun = true,
            Line::Text if !line.starts_with(b"%") => begun = true,
            Line::Text | Line::Blank => {}
        }
        offset += line.len();
    }
    Ok(())
}
