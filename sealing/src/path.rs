//! Names from outside, made safe to print, and paths to fields.

use std::fmt;

/// A name from outside, printed without control characters and not longer than a line.
///
/// Names of objects and keys come from Git. Printed as they are, they could move a terminal's cursor, fake a log
/// line, or swap the direction of the text.
#[derive(Clone, Copy)]
pub struct Printable<'a>(pub &'a str);

const LONGEST: usize = 253;

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, c) in self.0.chars().enumerate() {
            if count == LONGEST {
                return f.write_str("…");
            }
            if is_plain(c) {
                write!(f, "{c}")?;
            } else {
                write!(f, "{}", c.escape_unicode())?;
            }
        }
        Ok(())
    }
}

/// Whether a character is only itself: neither control, nor invisible, nor one that turns the direction of a line.
fn is_plain(c: char) -> bool {
    let formatting = matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'..='\u{e0fff}'
    );
    !c.is_control() && !formatting
}

/// Appends a key to a path: `spec.encryptedData` and `a` give `spec.encryptedData.a`.
pub(crate) fn join(path: &str, key: &str) -> String {
    let key = Printable(key);
    if path.is_empty() {
        key.to_string()
    } else {
        format!("{path}.{key}")
    }
}

/// Whether a name can be that of a Secret: an RFC 1123 subdomain, as the API server demands.
#[must_use]
pub fn is_object_name(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_label)
}

/// Whether a name can be that of a namespace: an RFC 1123 label.
#[must_use]
pub fn is_namespace(name: &str) -> bool {
    name.len() <= 63 && is_label(name)
}

/// Whether a key can stand in a Secret's data, by the API server's rule (`IsConfigMapKey`).
#[must_use]
pub fn is_data_key(key: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (1..=253).contains(&key.len()) && key.bytes().all(allowed) && key != "." && !key.starts_with("..")
}

fn is_label(label: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_direction_characters_are_escaped() {
        assert_eq!(
            Printable("a\x1b[2J\u{202e}b").to_string(),
            "a\\u{1b}[2J\\u{202e}b"
        );
        assert_eq!(Printable("a\u{9b}2J\u{200b}").to_string(), "a\\u{9b}2J\\u{200b}");
        assert_eq!(Printable("Schlüssel 1 → 鍵").to_string(), "Schlüssel 1 → 鍵");
        assert_eq!(Printable(&"x".repeat(300)).to_string().chars().count(), 254);
    }

    #[test]
    fn names_follow_the_api_server() {
        for good in ["a", "a-b.c", "0"] {
            assert!(is_object_name(good), "{good}");
        }
        for bad in ["", "A", "a/b", "-a", "a-", "a..b", "a_b", "ä"] {
            assert!(!is_object_name(bad), "{bad}");
        }
        assert!(!is_namespace("a.b") && is_namespace("kube-system") && !is_namespace(&"x".repeat(64)));
        assert!(is_data_key("tls.crt") && is_data_key(".dockerconfigjson") && is_data_key("A_b-1"));
        assert!(!is_data_key("") && !is_data_key("a b") && !is_data_key("..") && !is_data_key("."));
    }
}
