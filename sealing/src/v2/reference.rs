//! `${key}` in a template's texts: the value of that key. Nothing else is a language here, so nothing can fail once a
//! value is known, and no error quotes a text or a value.

use zeroize::Zeroizing;

/// A text with values to be put in.
#[derive(Debug)]
pub(super) struct Text {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Literal(String),
    Value(String),
}

/// Why a text is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct ReferenceError {
    /// The line within the text, from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: ReferenceProblem,
}

/// What is wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceProblem {
    /// `${` without an end.
    #[error("`${{` is not closed; write `$${{` for the characters themselves")]
    Unclosed,
    /// No such value.
    #[error(
        "it refers to a key that spec.values does not have; write `$${{` for the characters `${{` themselves"
    )]
    Unknown,
}

impl Text {
    /// Reads a text. `$${` stands for the characters `${`.
    pub(super) fn parse(text: &str, is_value: impl Fn(&str) -> bool) -> Result<Self, ReferenceError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let fail = |problem| ReferenceError {
                line: text[..text.len() - after.len()].matches('\n').count() + 1,
                problem,
            };
            if let Some(before) = before.strip_suffix('$') {
                literal.push_str(before);
                literal.push_str("${");
                rest = after;
                continue;
            }
            literal.push_str(before);
            let (key, after) = after
                .split_once('}')
                .ok_or_else(|| fail(ReferenceProblem::Unclosed))?;
            if !is_value(key) {
                return Err(fail(ReferenceProblem::Unknown));
            }
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(Part::Value(key.to_owned()));
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { parts })
    }

    /// The most that the result can be, by what is known of the values.
    pub(super) fn most(&self, value: impl Fn(&str) -> usize) -> usize {
        self.parts.iter().fold(0, |len, part| {
            len.saturating_add(match part {
                Part::Literal(text) => text.len(),
                Part::Value(key) => value(key),
            })
        })
    }

    /// The size of the result.
    pub(super) fn rendered_len<'a>(&'a self, value: impl Fn(&str) -> &'a [u8]) -> usize {
        self.parts
            .iter()
            .fold(0, |len, part| len.saturating_add(part.bytes(&value).len()))
    }

    /// The text with the values in it, in a buffer that is never grown.
    pub(super) fn render<'a>(&'a self, value: impl Fn(&str) -> &'a [u8]) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(self.rendered_len(&value)));
        for part in &self.parts {
            out.extend_from_slice(part.bytes(&value));
        }
        out
    }
}

impl Part {
    fn bytes<'a>(&'a self, value: &impl Fn(&str) -> &'a [u8]) -> &'a [u8] {
        match self {
            Self::Literal(text) => text.as_bytes(),
            Self::Value(key) => value(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(text: &str) -> Result<String, String> {
        let text = Text::parse(text, |key| key == "pw" || key == "a.b-c").map_err(|err| err.to_string())?;
        let out = text.render(|key| if key == "pw" { b"hunter2" } else { b"abc" });
        assert_eq!(out.len(), out.capacity(), "the buffer is never grown");
        Ok(String::from_utf8(out.to_vec()).unwrap())
    }

    #[test]
    fn values_are_put_in() {
        for (text, result) in [
            ("", ""),
            ("plain $ { } $x }", "plain $ { } $x }"),
            ("u:${pw}@${a.b-c}", "u:hunter2@abc"),
            ("${pw}${pw}", "hunter2hunter2"),
            ("$${pw}", "${pw}"),
            // One dollar sign more is one dollar sign more: the last two are the escape.
            ("$$${pw}", "$${pw}"),
            ("$${${pw}}", "${hunter2}"),
            ("{{ .pw }}", "{{ .pw }}"),
        ] {
            assert_eq!(render(text).as_deref(), Ok(result), "{text}");
        }
    }

    #[test]
    fn the_rest_is_refused_and_never_quoted() {
        for text in ["a\n${hunter2}", "a\n${ pw }", "a\n${}", "a\n${pw\n"] {
            let error = render(text).unwrap_err();
            assert!(
                error.starts_with("line 2: ") && !error.contains("hunter2") && !error.contains("pw"),
                "{error}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "(\\$\\{|\\$|\\}|pw|\n|\\PC){0,40}") {
            let _ = render(&text);
        }
    }
}
