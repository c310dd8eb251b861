//! Text from outside, made fit for status, events and logs: bounded, on one line, without characters that steer a
//! terminal or reorder what follows.

use std::fmt::Write as _;

/// `text` on one line and at most `limit` characters long; what was cut is marked with an ellipsis.
#[must_use]
pub fn bounded(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit.saturating_mul(4)));
    for (count, c) in text.trim().chars().enumerate() {
        if count == limit {
            out.pop();
            out.push('…');
            break;
        }
        out.push(visible(c));
    }
    out
}

/// [`bounded`], with the limit in bytes of UTF-8, as the API server counts an event's note.
#[must_use]
pub fn bounded_bytes(text: &str, limit: usize) -> String {
    let line: String = text.trim().chars().map(visible).collect();
    if line.len() <= limit {
        return line;
    }
    let room = limit.saturating_sub('…'.len_utf8());
    let end = (0..=room).rev().find(|&i| line.is_char_boundary(i)).unwrap_or(0);
    format!("{}…", line.get(..end).unwrap_or_default())
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// `text` up to the first bracket. Paths of fields name items of lists by their content there, which may be secret.
#[must_use]
pub fn without_items(text: &str) -> String {
    match text.split_once('[') {
        Some((before, _)) => format!("{before}[…]"),
        None => text.to_owned(),
    }
}

fn visible(c: char) -> char {
    let steers = c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    if steers { ' ' } else { c }
}

#[cfg(test)]
mod tests {
    use super::{bounded, bounded_bytes, without_items};

    #[test]
    fn short_text_stays() {
        assert_eq!(bounded("Raise the replica count", 200), "Raise the replica count");
        assert_eq!(bounded_bytes("grün", 5), "grün");
    }

    #[test]
    fn long_text_is_cut_and_marked() {
        assert_eq!(bounded("abcdef", 4), "abc…");
        assert_eq!(bounded("abcd", 4), "abcd");
        assert_eq!(bounded_bytes("ääää", 6), "ä…");
        assert!(bounded_bytes(&"ä".repeat(2000), 1024).len() <= 1024);
    }

    #[test]
    fn items_of_lists_are_left_out() {
        let said = "field .spec.env[name=\"hunter2\"].value and .a[\"x]y\"] belong to \"kubectl\"";
        assert_eq!(without_items(said), "field .spec.env[…]");
        assert_eq!(without_items(".spec.replicas"), ".spec.replicas");
    }

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(bounded("a\x1b[31mred\nb\u{202e}c", 200), "a [31mred b c");
    }
}
