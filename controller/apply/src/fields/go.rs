//! Literals as Go's `%q` and `%v` write them: what stands between brackets in a conflict of the API server.

use serde_json::{Number, Value};

/// Reads a scalar, and returns what follows it. Lists and maps are not read: no key of a list is one.
pub(super) fn literal(text: &str) -> Option<(Value, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        return string(quoted);
    }
    let end = text.find([',', ']'])?;
    let (word, rest) = text.split_at(end);
    let value = match word {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "null" => Value::Null,
        _ => match word.parse::<i64>() {
            Ok(int) => int.into(),
            Err(_) => Value::Number(Number::from_f64(word.parse().ok()?)?),
        },
    };
    Some((value, rest))
}

/// Reads up to the closing quote, with Go's escapes.
fn string(text: &str) -> Option<(Value, &str)> {
    let mut out = String::new();
    let mut rest = text;
    loop {
        let c = rest.chars().next()?;
        rest = &rest[c.len_utf8()..];
        match c {
            '"' => return Some((Value::String(out), rest)),
            '\\' => {
                let (c, after) = escape(rest)?;
                out.push(c);
                rest = after;
            }
            c => out.push(c),
        }
    }
}

fn escape(text: &str) -> Option<(char, &str)> {
    let kind = text.chars().next()?;
    let rest = &text[kind.len_utf8()..];
    let digits = match kind {
        'a' => return Some(('\x07', rest)),
        'b' => return Some(('\x08', rest)),
        'f' => return Some(('\x0c', rest)),
        'n' => return Some(('\n', rest)),
        'r' => return Some(('\r', rest)),
        't' => return Some(('\t', rest)),
        'v' => return Some(('\x0b', rest)),
        '"' | '\\' => return Some((kind, rest)),
        // Of a string that is no UTF-8 Go writes bytes so; above 0x7f they are no character.
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => return None,
    };
    let code = u32::from_str_radix(rest.get(..digits)?, 16).ok()?;
    if digits == 2 && code > 0x7f {
        return None;
    }
    Some((char::from_u32(code)?, &rest[digits..]))
}

/// A scalar for people, in at most about `limit` bytes. What is not a scalar is not shown.
pub(super) fn shown(value: &Value, limit: usize) -> String {
    match value {
        Value::String(text) => format!(
            "\"{}\"",
            bounded(text, limit).replace('\\', "\\\\").replace('"', "\\\"")
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(_) | Value::Object(_) => "…".to_owned(),
    }
}

/// At most `limit` bytes of outside text. Control characters, and those that turn the reading direction, are replaced.
pub(super) fn bounded(text: &str, limit: usize) -> String {
    let cut = text.floor_char_boundary(limit);
    let unseen = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut out: String = text[..cut]
        .chars()
        .map(|c| if unseen(c) { ' ' } else { c })
        .collect();
    if cut < text.len() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn literals_are_read_as_go_writes_them() {
        for (text, value) in [
            (
                r#""a\"b\\c\n\x07\u2028é"]"#,
                Some(json!("a\"b\\c\n\u{7}\u{2028}é")),
            ),
            ("80]", Some(json!(80))),
            ("-1.5,", Some(json!(-1.5))),
            ("true]", Some(json!(true))),
            ("null]", Some(json!(null))),
            ("NaN]", None),
            ("\"open", None),
            (r#""\xff"]"#, None),
            (r#""\u12"]"#, None),
            (r#""\é"]"#, None),
            ("x]", None),
            ("", None),
        ] {
            assert_eq!(literal(text).map(|(value, _)| value), value, "{text}");
        }
        assert_eq!(literal("80,b=1]").map(|(_, rest)| rest), Some(",b=1]"));
    }

    #[test]
    fn what_is_shown_is_bounded_and_has_no_control_characters() {
        assert_eq!(shown(&json!("a\"\u{1b}[31m\u{202e}"), 64), "\"a\\\" [31m \"");
        assert_eq!(shown(&json!("é".repeat(40)), 5), "\"éé…\"");
        assert_eq!(shown(&json!({"a": "hunter2"}), 64), "…");
        assert_eq!(shown(&json!(80), 64), "80");
    }
}
