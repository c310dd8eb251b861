//! Scalars, and how they are quoted.

use std::fmt::Write as _;

use serde_json::Value;

use crate::read::is_plain_string;
use crate::text::is_plain;

/// go-yaml looks for the colon no more than 1024 characters after the start of a key. Bytes here, and some to spare.
const KEY_MAX: usize = 1000;

/// Writes a value that has no lines of its own: a scalar or an empty collection. The lines of a block literal, if it
/// becomes one, are indented by `indent`. There is no line end after it.
pub(crate) fn write(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => {
            let _ = write!(out, "{}", crate::read::integral(number));
        }
        Value::String(text) if is_literal(text) => literal(out, text, indent),
        Value::String(text) => write_line(out, text),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
    }
}

/// Writes a mapping's key. Answers whether it is so long that it needs the `? ` form, and its colon a new line.
pub(crate) fn write_key(out: &mut String, key: &str) -> bool {
    let start = out.len();
    write_line(out, key);
    let long = out.len() - start > KEY_MAX;
    if long {
        out.insert_str(start, "? ");
    }
    long
}

/// Whether a string can stand without quotes: made of characters that mean nothing in YAML where they stand, and
/// nothing but a string for any reader.
fn is_bare(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_./+@,()=%$^;<>~!*&".contains(c);
    let bytes = text.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    // A colon or a blank is only itself between two other characters.
    let between = |i: usize, c: char| match c {
        ':' => bytes
            .get(i + 1)
            .is_some_and(|&next| inner(char::from(next)) && next != b','),
        ' ' => i > 0 && bytes[i - 1] != b' ' && bytes.get(i + 1).is_some_and(|&next| inner(char::from(next))),
        c => inner(c),
    };
    (first.is_ascii_alphanumeric()
        || b"/._".contains(&first)
        || (first == b'-' && bytes.get(1).is_some_and(u8::is_ascii_alphabetic)))
        && !b":, ".contains(&last)
        && text.char_indices().all(|(i, c)| between(i, c))
        && !text.starts_with("---")
        && !text.starts_with("...")
        && is_plain_string(text)
        && !other_readers_differ(text)
}

/// What YAML 1.1 or 1.2 takes for a number, a date or a time, though go-yaml does not: anything of digits and their
/// signs, to be simple.
fn other_readers_differ(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'))
        && text
            .chars()
            .all(|c| c.is_ascii_hexdigit() || "_.:-+oxTtZz ".contains(c))
        && text.contains(|c: char| c.is_ascii_digit())
}

/// Whether a string can be a block literal: several lines, each of which says itself how it is indented, and no
/// character that would need an escape.
fn is_literal(text: &str) -> bool {
    let mut lines = text.split('\n');
    let starts_well = |line: &str| line.starts_with(|c| c != ' ' && c != '\t');
    text.contains('\n')
        && lines.next().is_some_and(starts_well)
        && lines.all(|line| line.is_empty() || line.contains(|c| c != ' ' && c != '\t'))
        && text.chars().all(|c| c == '\n' || c == '\t' || is_plain(c))
}

fn literal(out: &mut String, text: &str, indent: usize) {
    let body = text.trim_end_matches('\n');
    out.push_str(match text.len() - body.len() {
        0 => "|-",
        1 => "|",
        _ => "|+",
    });
    for line in body.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            super::pad(out, indent);
            out.push_str(line);
        }
    }
    // The last line's own end comes from the caller.
    out.extend(std::iter::repeat_n(
        '\n',
        (text.len() - body.len()).saturating_sub(1),
    ));
}

/// Writes a string on one line, with quotes where it needs them.
pub(super) fn write_line(out: &mut String, text: &str) {
    if is_bare(text) {
        out.push_str(text);
    } else {
        quoted(out, text);
    }
}

/// Double quotes, with the escapes that JSON and YAML share.
pub(crate) fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_plain(c) => out.push(c),
            c if u32::from(c) > 0xFFFF => {
                let _ = write!(out, "\\U{:08X}", u32::from(c));
            }
            c => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let mut out = String::new();
        write(&mut out, &text.into(), 2);
        out
    }

    #[test]
    fn plain_where_no_reader_could_err() {
        for text in [
            "web",
            "a b c",
            "nginx:1.27",
            "http://a/b?c".split('?').next().unwrap(),
            "--flag".trim_start_matches('-'),
            "-x",
            "/usr/bin",
            "a.b.c",
            "registry/a@sha256:0f",
            "100m",
            "it,is",
            "nan",
            "v1",
        ] {
            assert_eq!(written(text), text);
        }
    }

    #[test]
    fn quoted_where_one_could() {
        for text in [
            "",
            " ",
            "a ",
            " a",
            "a  b",
            "yes",
            "No",
            "on",
            "y",
            "null",
            "~",
            "true",
            "1",
            "0644",
            "0o17",
            "1_000",
            "1e3",
            ".5",
            ".inf",
            ".nan",
            "1:30",
            "190:20:30",
            "2001-01-01",
            "2001-01-01T00:00:00Z",
            "0x1f",
            "-",
            "- a",
            "-1",
            "---",
            "...",
            "a: b",
            "a:",
            ":a",
            "a #b",
            "#a",
            "@a",
            "%a",
            "&a",
            "*a",
            "!a",
            "|",
            ">",
            "{a}",
            "[a]",
            "a,",
            "?",
            "? a",
            "=",
            "<<",
            "`a",
            "'a'",
            "a\"b",
            "a\\b",
            "a\tb",
            "ä",
            "1.",
            "+1",
            "12e03",
            "123456",
            "1e5",
            "08",
            "-.inf",
            "+.5",
        ] {
            assert_eq!(
                written(text),
                format!(
                    "\"{}\"",
                    text.replace('\\', "\\\\")
                        .replace('"', "\\\"")
                        .replace('\t', "\\t")
                )
            );
        }
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(written("\u{1b}[2J"), "\"\\u001B[2J\"");
        assert_eq!(written("a\u{202e}b\u{85}\u{feff}"), "\"a\\u202Eb\\u0085\\uFEFF\"");
        assert_eq!(written("\u{e0001}"), "\"\\U000E0001\"");
    }

    #[test]
    fn literals_where_they_are_safe() {
        assert_eq!(written("a\nb"), "|-\n  a\n  b");
        assert_eq!(written("a\n\n  b\n"), "|\n  a\n\n    b");
        assert_eq!(written("a\n\n\n"), "|+\n  a\n\n");
        for text in ["\n", "\na", " a\nb", "\ta\nb", "a\n  \nb", "a\r\nb", "a\nb\u{1b}"] {
            assert!(written(text).starts_with('"'), "{text:?}");
        }
    }
}
