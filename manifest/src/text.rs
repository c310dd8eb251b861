//! Text from outside, made fit for logs, events and terminals.

use std::fmt::{self, Display, Write as _};

/// How much of a foreign text is shown, in characters.
const SHOWN: usize = 80;

/// Shows a text that strangers wrote: control and invisible formatting characters are escaped (a terminal would obey
/// them, a log would break its line at them), and no more than 80 characters are shown.
///
/// For names and field paths only. Values are not shown at all: they may be secret.
#[derive(Debug, Clone, Copy)]
pub struct Printable<'a>(pub &'a str);

impl Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shown, c) in self.0.chars().enumerate() {
            if shown == SHOWN {
                return f.write_char('…');
            }
            if is_plain(c) {
                f.write_char(c)?;
            } else {
                write!(f, "{}", c.escape_unicode())?;
            }
        }
        Ok(())
    }
}

/// Whether a character is only itself: neither control, nor invisible, nor one that turns the direction of a line.
pub(crate) fn is_plain(c: char) -> bool {
    !(c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
            | '\u{200b}'..='\u{200f}' // zero width, left-to-right and right-to-left marks
            | '\u{2028}'..='\u{202e}' // line and paragraph separators, embeddings, overrides
            | '\u{2060}'..='\u{206f}' // invisible operators, isolates
            | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
            | '\u{e0000}'..='\u{e0fff}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_direction_characters_are_escaped() {
        assert_eq!(Printable("web").to_string(), "web");
        assert_eq!(Printable("a\u{1b}[2Jb\n").to_string(), "a\\u{1b}[2Jb\\u{a}");
        assert_eq!(Printable("a\u{202e}b").to_string(), "a\\u{202e}b");
        assert_eq!(Printable("straße").to_string(), "straße");
    }

    #[test]
    fn long_text_is_cut() {
        let shown = Printable(&"x".repeat(10_000)).to_string();
        assert_eq!(shown.chars().count(), 81);
        assert!(shown.ends_with('…'));
    }
}
