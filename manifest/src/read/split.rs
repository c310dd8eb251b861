//! A stream to the texts of its documents, where kubectl's reader splits it.
//!
//! A line that starts with `---` separates, wherever it stands: inside a quoted text or a block scalar it could not
//! stand anyway. Only white space and a comment may follow on it; kubectl refuses the whole stream otherwise, here it is
//! that document's error. Splitting looks at lines only, so that a document that is not YAML keeps its neighbours.

use std::ops::Range;

use super::error::{ReadError, ReadErrorKind as Kind};
use super::limits::Limits;

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// The text between two separators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// Bytes of the stream.
    pub(super) range: Range<usize>,
    /// Line of the stream on which it starts, from 1.
    pub(super) line: usize,
    /// Nothing but blank lines and comments.
    pub(super) blank: bool,
    /// It starts with a separator that has more than a comment behind it.
    pub(super) bad_separator: bool,
}

/// What a line is for the splitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    Separator,
    BadSeparator,
    /// Blank or a comment.
    Blank,
    Text,
}

pub(super) fn classify(line: &[u8]) -> Line {
    if let Some(rest) = line.strip_prefix(b"---") {
        let rest = String::from_utf8_lossy(rest);
        let rest = rest.trim();
        return if rest.is_empty() || rest.starts_with('#') {
            Line::Separator
        } else {
            Line::BadSeparator
        };
    }
    match line.iter().find(|byte| !matches!(byte, b' ' | b'\r' | b'\n')) {
        None => Line::Blank,
        Some(b'#') if !breaks_inside(line) => Line::Blank,
        Some(_) => Line::Text,
    }
}

/// Whether YAML sees the end of a line where this file does not: a lone carriage return, and three Unicode characters.
/// What stands behind it is not in the comment.
fn breaks_inside(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.contains(&b'\r') || String::from_utf8_lossy(line).contains(['\u{85}', '\u{2028}', '\u{2029}'])
}

/// Whether kubectl takes a separator for text: one with a comment directly behind it, where nothing stands before it.
/// What it then makes of the document is nobody's intention, so it counts as a bad separator.
pub(super) fn is_taken_for_text(line: &[u8], nothing_before: bool) -> bool {
    nothing_before && line.starts_with(b"---#")
}

/// Where the text starts, after a byte order mark.
pub(super) fn after_bom(bytes: &[u8]) -> usize {
    if bytes.starts_with(BOM) { BOM.len() } else { 0 }
}

/// Refuses what is no text in UTF-8 at all: UTF-16, and binary data.
pub(super) fn check_text(bytes: &[u8]) -> Result<(), ReadError> {
    let beginning = &bytes[..bytes.len().min(8192)];
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") || beginning.contains(&0) {
        return Err(ReadError {
            kind: Kind::NotText,
            line: 1,
            column: 1,
        });
    }
    Ok(())
}

/// Splits a stream. What stands before the first separator counts as a part only if there is something in it.
pub(super) fn split(bytes: &[u8], limits: &Limits) -> Result<Vec<Part>, ReadError> {
    let limit = limits.stream_bytes;
    if bytes.len() > limit {
        return Err(ReadError {
            kind: Kind::StreamTooLarge { limit },
            line: 1,
            column: 1,
        });
    }
    check_text(bytes)?;
    let mut parts = Vec::new();
    let start = after_bom(bytes);
    let new = |start: usize, line: usize, bad_separator: bool| Part {
        range: start..start,
        line,
        blank: !bad_separator,
        bad_separator,
    };
    let mut part = new(start, 1, false);
    let mut first = true;
    let mut offset = start;
    for (index, line) in bytes[start..].split_inclusive(|&byte| byte == b'\n').enumerate() {
        let end = offset + line.len();
        let nothing_before = part.range.is_empty();
        // Files that were put together have a mark at the start of each.
        let seen = if nothing_before {
            &line[after_bom(line)..]
        } else {
            line
        };
        let class = match classify(seen) {
            Line::Separator if is_taken_for_text(seen, nothing_before) => Line::BadSeparator,
            class => class,
        };
        match class {
            Line::Separator | Line::BadSeparator => {
                let bad = class == Line::BadSeparator;
                let next = if bad {
                    new(offset, index + 1, true)
                } else {
                    new(end, index + 2, false)
                };
                let done = std::mem::replace(&mut part, next);
                if !(first && done.blank) {
                    parts.push(done);
                }
                first = false;
                if parts.len() >= limits.documents {
                    let kind = Kind::TooManyDocuments {
                        limit: limits.documents,
                    };
                    return Err(ReadError {
                        kind,
                        line: index + 1,
                        column: 1,
                    });
                }
            }
            Line::Blank => {}
            Line::Text => part.blank = false,
        }
        part.range.end = end.max(part.range.start);
        offset = end;
    }
    parts.push(part);
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<(String, usize)> {
        split(text.as_bytes(), &Limits::default())
            .unwrap()
            .into_iter()
            .filter(|part| !part.blank)
            .map(|part| (text[part.range].to_owned(), part.line))
            .collect()
    }

    #[test]
    fn separators_are_lines_that_start_with_three_dashes() {
        assert_eq!(
            parts("a: 1\n---\nb: 2"),
            [("a: 1\n".into(), 1), ("b: 2".into(), 3)]
        );
        assert_eq!(
            parts("a: 1\r\n--- \t# next\r\nb: 2\r\n"),
            [("a: 1\r\n".into(), 1), ("b: 2\r\n".into(), 3)]
        );
        assert_eq!(parts("a: |\n  ---\n  b\n"), [("a: |\n  ---\n  b\n".into(), 1)]);
        assert_eq!(parts("---\n# c\n---\n\n"), []);
        assert_eq!(parts("\u{feff}---\na: 1\n---"), [("a: 1\n".into(), 2)]);
        assert_eq!(parts(""), []);
    }

    #[test]
    fn a_comment_ends_where_yaml_ends_lines() {
        for text in [
            "# a\rb: 1\n",
            "# a\u{85}b: 1\n",
            "# a\u{2028}b: 1\n",
            "# \u{2029}b: 1",
        ] {
            assert_eq!(parts(text), [(text.to_owned(), 1)]);
        }
        assert_eq!(parts("# a\r\n# b\r"), []);
    }

    #[test]
    fn a_separator_with_text_behind_it_is_that_documents_fault() {
        assert_eq!(
            parts("a: 1\n--- b: 2\nc: 3\n---\nd: 4\n"),
            [
                ("a: 1\n".into(), 1),
                ("--- b: 2\nc: 3\n".into(), 2),
                ("d: 4\n".into(), 5)
            ]
        );
        assert_eq!(parts("---#c\na: 1\n"), [("---#c\na: 1\n".into(), 1)]);
        assert_eq!(
            parts("#\n---#c\na: 1\n---#d\nb: 2"),
            [("a: 1\n".into(), 3), ("b: 2".into(), 5)]
        );
        assert_eq!(parts("-----BEGIN\n"), [("-----BEGIN\n".into(), 1)]);
    }

    #[test]
    fn whole_stream_faults() {
        let limits = Limits {
            documents: 3,
            stream_bytes: 40,
            ..Limits::default()
        };
        let kind = |bytes: &[u8]| split(bytes, &limits).unwrap_err().kind;
        assert_eq!(kind(&[b'a'; 41]), Kind::StreamTooLarge { limit: 40 });
        assert_eq!(
            kind(b"a\n---\na\n---\na\n---\na\n"),
            Kind::TooManyDocuments { limit: 3 }
        );
        assert!(split(b"a\n---\na\n---\na\n", &limits).is_ok());
        assert_eq!(kind(b"\xFF\xFEa\0"), Kind::NotText);
        assert_eq!(kind(b"\x7fELF\0\0"), Kind::NotText);
    }
}
