//! Patterns of a shell, on texts of any length in bounded time.

/// A pattern: `*`, `?`, `[a-z]`, `[!a-z]`, `\` before a character that is meant. `*` and `?` match a `/` too.
pub(super) struct Pattern(Vec<Token>);

enum Token {
    Char(char),
    Any,
    Star,
    Set { not: bool, ranges: Vec<(char, char)> },
}

impl Pattern {
    /// `None` for a `[` that is not closed, and for classes by name such as `[[:alpha:]]`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut tokens = Vec::new();
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            tokens.push(match char {
                // Two in a row are one.
                '*' if matches!(tokens.last(), Some(Token::Star)) => continue,
                '*' => Token::Star,
                '?' => Token::Any,
                '\\' => Token::Char(chars.next().unwrap_or('\\')),
                '[' => set(&mut chars)?,
                char => Token::Char(char),
            });
        }
        Some(Self(tokens))
    }

    /// The work of [`Self::trim`] on a text of this length.
    pub(super) fn work(&self, length: usize) -> usize {
        length.saturating_mul(self.0.len() + 1)
    }

    /// What remains of a text without what the pattern matches at its start or its end.
    pub(super) fn trim(mut self, text: &str, start: bool, longest: bool) -> &str {
        if start {
            let length = self.length(text.chars(), longest);
            text.get(length..).unwrap_or(text)
        } else {
            self.0.reverse();
            let length = self.length(text.chars().rev(), longest);
            text.get(..text.len() - length).unwrap_or(text)
        }
    }

    /// Bytes of the shortest or the longest beginning that the pattern matches; 0 if it matches none. All ways to match
    /// are followed at once, so each character is looked at once.
    fn length(&self, chars: impl Iterator<Item = char>, longest: bool) -> usize {
        let end = self.0.len();
        let mut now = vec![false; end + 1];
        let mut next = vec![false; end + 1];
        now[0] = true;
        self.skip_stars(&mut now);
        let (mut length, mut found) = (0, 0);
        if now[end] && !longest {
            return 0;
        }
        for char in chars {
            length += char.len_utf8();
            next.fill(false);
            for (state, token) in self.0.iter().enumerate().filter(|(state, _)| now[*state]) {
                match token {
                    Token::Star => next[state] = true,
                    token if token.matches(char) => next[state + 1] = true,
                    _ => {}
                }
            }
            self.skip_stars(&mut next);
            std::mem::swap(&mut now, &mut next);
            if now[end] {
                found = length;
                if !longest {
                    break;
                }
            }
            if !now.contains(&true) {
                break;
            }
        }
        found
    }

    /// A star may match nothing.
    fn skip_stars(&self, states: &mut [bool]) {
        for (state, token) in self.0.iter().enumerate() {
            if states[state] && matches!(token, Token::Star) {
                states[state + 1] = true;
            }
        }
    }
}

impl Token {
    fn matches(&self, char: char) -> bool {
        match self {
            Self::Char(expected) => *expected == char,
            Self::Any | Self::Star => true,
            Self::Set { not, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&char)) != *not
            }
        }
    }
}

/// What follows a `[`, up to its `]`.
fn set(chars: &mut std::str::Chars<'_>) -> Option<Token> {
    let not = chars.as_str().starts_with(['!', '^']);
    if not {
        chars.next();
    }
    let mut ranges = Vec::new();
    loop {
        let low = match chars.next()? {
            // Right at the start it is only itself.
            ']' if !ranges.is_empty() => return Some(Token::Set { not, ranges }),
            '[' if chars.as_str().starts_with([':', '.', '=']) => return None,
            '\\' => chars.next()?,
            char => char,
        };
        let rest = chars.as_str();
        let high = if rest.starts_with('-') && !rest.starts_with("-]") {
            chars.next();
            match chars.next()? {
                '\\' => chars.next()?,
                char => char,
            }
        } else {
            low
        };
        ranges.push((low, high));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trims() {
        for (text, pattern, start, longest, expected) in [
            ("bash.string.txt", "*.", true, false, "string.txt"),
            ("bash.string.txt", "*.", true, true, "txt"),
            ("bash.string.txt", ".*", false, false, "bash.string"),
            ("bash.string.txt", ".*", false, true, "bash"),
            ("path/to/file", "*/", true, true, "file"),
            ("/path", "*/", true, false, "path"),
            ("abc", "x*", true, true, "abc"),
            ("abc", "abc", true, false, ""),
            ("abc", "abcd", true, true, "abc"),
            ("abc", "*", true, false, "abc"),
            ("abc", "*", true, true, ""),
            ("abc", "**", false, true, ""),
            ("abc", "", false, true, "abc"),
            ("äöü", "?", true, false, "öü"),
            ("äöü", "?", false, true, "äö"),
            ("v1.2", "[a-z]", true, false, "1.2"),
            ("v1.2", "[!0-9]", true, false, "1.2"),
            ("v1.2", "[^v]", true, false, "v1.2"),
            ("v1.2", ".[0-9]", false, false, "v1"),
            ("]x", "[]]", true, false, "x"),
            ("-x", "[a-]", true, false, "x"),
            ("*x", "\\*", true, false, "x"),
            ("\\x", "\\", true, false, "x"),
        ] {
            let found = Pattern::parse(pattern).unwrap().trim(text, start, longest);
            assert_eq!(found, expected, "{text} {pattern} {start} {longest}");
        }
    }

    #[test]
    fn what_is_no_pattern() {
        for bad in ["[", "a[b", "[!", "[]", "[a-", "[\\", "[[:alpha:]]"] {
            assert!(Pattern::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn hard_patterns_take_no_longer() {
        let text = "a".repeat(100_000);
        let pattern = Pattern::parse(&("*a".repeat(50) + "b")).unwrap();
        assert!(pattern.work(text.len()) < 20_000_000);
        assert_eq!(pattern.trim(&text, true, true), text);
    }
}
