//! Text that someone else wrote, made fit for a terminal, a log line or a status field.

use std::fmt::Write;

/// `text` with every control character and every character that changes the direction or the
/// visibility of its neighbours escaped (`\u{..}`), so that a commit message cannot forge log lines,
/// drive a terminal or disguise a name.
///
/// ```
/// assert_eq!(source::display_safe("fix\u{1b}[31m\nroot"), "fix\\u{1b}[31m\\u{a}root");
/// ```
pub fn display_safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe(c) {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// The first `max` bytes of `text`, cut at a character.
pub(crate) fn bounded(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_direction_characters_are_escaped() {
        assert_eq!(
            display_safe("a\r\nb\u{202e}c\u{0}"),
            "a\\u{d}\\u{a}b\\u{202e}c\\u{0}"
        );
        assert_eq!(display_safe("häuser 日本"), "häuser 日本");
    }

    #[test]
    fn cuts_at_characters() {
        assert_eq!(bounded("aé", 2), "a");
        assert_eq!(bounded("aé", 3), "aé");
        assert_eq!(bounded("a", 9), "a");
    }
}
