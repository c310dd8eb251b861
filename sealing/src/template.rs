//! `spec.template.data`: text with sealed values put into it.
//!
//! Upstream runs Go's text/template with some 200 functions over the plaintext. One of them, `fail`, puts its argument
//! into the error, and so into a status that many may read. Here a template is parsed, and refused, before anything is
//! opened, and what is left cannot fail: literal text, `{{ .key }}`, `{{ index . "key" }}`, string constants, comments
//! and trim markers. No error quotes the template or a value; function names are quoted from our own list.

use crate::template_names;
use zeroize::Zeroizing;

/// A template that does nothing but put values into text.
pub(crate) struct Template {
    parts: Vec<Part>,
}

enum Part {
    Text(String),
    Key { key: String, line: usize },
}

/// A template that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct TemplateError {
    /// The line within the template, from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: TemplateProblem,
}

/// What is wrong with a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateProblem {
    /// A function or keyword of Go templates that is not run here.
    #[error("the template function `{0}` is not supported")]
    Function(&'static str),
    /// Neither a key nor a known function.
    #[error("only `{{{{ .key }}}}` and `{{{{ index . \"key\" }}}}` are supported")]
    Syntax,
    /// An action, a string or a comment without an end.
    #[error("an action is not closed")]
    Unclosed,
    /// A key that the object does not have. Upstream would write `<no value>` into the Secret.
    #[error("it refers to a key that neither encryptedData nor template.data has")]
    UnknownKey,
}

impl Template {
    /// Reads a template.
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        let mut trim_start = false;
        while let Some((before, action)) = rest.split_once("{{") {
            let line = line_at(text, action);
            let fail = |problem| TemplateError { line, problem };
            let (trim_end, action) = match action.strip_prefix('-') {
                Some(inner) if inner.starts_with(SPACE) => (true, inner),
                _ => (false, action),
            };
            push_text(&mut parts, before, trim_start, trim_end);
            let (tokens, after, trim_next) = tokens(action).map_err(fail)?;
            match tokens.as_slice() {
                [] => return Err(fail(TemplateProblem::Syntax)),
                [Token::Comment] => {}
                [Token::Text(text)] => parts.push(Part::Text(text.clone())),
                [Token::Field(key)] => parts.push(Part::Key {
                    key: (*key).to_owned(),
                    line,
                }),
                [Token::Word("index"), Token::Dot, Token::Text(key)] => {
                    parts.push(Part::Key {
                        key: key.clone(),
                        line,
                    });
                }
                other => return Err(fail(refusal(other))),
            }
            (rest, trim_start) = (after, trim_next);
        }
        push_text(&mut parts, rest, trim_start, false);
        Ok(Self { parts })
    }

    /// Settles what each key means: a sealed value is put in when the template is rendered, the raw text of another
    /// entry of `template.data` now (upstream 0.37 and later).
    pub(crate) fn resolve<'a>(
        &mut self,
        is_sealed: impl Fn(&str) -> bool,
        raw: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<(), TemplateError> {
        for part in &mut self.parts {
            if let Part::Key { key, line } = part
                && !is_sealed(key)
            {
                let unknown = TemplateError {
                    line: *line,
                    problem: TemplateProblem::UnknownKey,
                };
                *part = Part::Text(raw(key).ok_or(unknown)?.to_owned());
            }
        }
        Ok(())
    }

    /// The size of the result.
    pub(crate) fn rendered_len<'a>(&'a self, value: impl Fn(&str) -> &'a [u8]) -> usize {
        self.parts
            .iter()
            .fold(0, |len, part| len.saturating_add(part.bytes(&value).len()))
    }

    /// The text with the values in it.
    pub(crate) fn render<'a>(&'a self, value: impl Fn(&str) -> &'a [u8]) -> Zeroizing<Vec<u8>> {
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
            Self::Text(text) => text.as_bytes(),
            Self::Key { key, .. } => value(key),
        }
    }
}

const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

fn push_text(parts: &mut Vec<Part>, text: &str, trim_start: bool, trim_end: bool) {
    let text = if trim_start {
        text.trim_start_matches(SPACE)
    } else {
        text
    };
    let text = if trim_end {
        text.trim_end_matches(SPACE)
    } else {
        text
    };
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
}

fn line_at(whole: &str, rest: &str) -> usize {
    whole[..whole.len() - rest.len()].matches('\n').count() + 1
}

/// Names the first function, so that people know what to do without.
fn refusal(tokens: &[Token<'_>]) -> TemplateProblem {
    let mut words = tokens.iter().filter_map(|token| match token {
        Token::Word(word) => template_names::known(word),
        _ => None,
    });
    words
        .find(|word| *word != "index")
        .map_or(TemplateProblem::Syntax, TemplateProblem::Function)
}

enum Token<'a> {
    Comment,
    Dot,
    Field(&'a str),
    Other,
    Text(String),
    Word(&'a str),
}

/// Reads the inside of an action up to its end: the tokens, what follows, and whether that is to be trimmed.
fn tokens(action: &str) -> Result<(Vec<Token<'_>>, &str, bool), TemplateProblem> {
    let mut found = Vec::new();
    let mut rest = action;
    loop {
        if let Some(after) = rest.strip_prefix("}}") {
            return Ok((found, after, false));
        }
        if let Some(after) = rest.strip_prefix(SPACE).and_then(|rest| rest.strip_prefix("-}}")) {
            return Ok((found, after, true));
        }
        let first = rest.chars().next().ok_or(TemplateProblem::Unclosed)?;
        let after_first = &rest[first.len_utf8()..];
        let (token, after) = match first {
            c if SPACE.contains(&c) => {
                rest = after_first;
                continue;
            }
            '/' if after_first.starts_with('*') => {
                let (_, after) = rest.split_once("*/").ok_or(TemplateProblem::Unclosed)?;
                (Token::Comment, after)
            }
            '"' => quoted(after_first)?,
            '`' => {
                let (text, after) = after_first.split_once('`').ok_or(TemplateProblem::Unclosed)?;
                (Token::Text(text.replace('\r', "")), after)
            }
            '.' => match word(after_first) {
                ("", after) => (Token::Dot, after),
                (field, after) => (Token::Field(field), after),
            },
            c if is_word(c) => {
                let (word, after) = word(rest);
                (Token::Word(word), after)
            }
            _ => (Token::Other, after_first),
        };
        found.push(token);
        rest = after;
    }
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c| !is_word(c)).unwrap_or(text.len()))
}

/// An interpreted string of Go, of whose escapes the plain ones are read.
fn quoted(text: &str) -> Result<(Token<'_>, &str), TemplateProblem> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((Token::Text(out), &text[at + 1..])),
            '\n' => return Err(TemplateProblem::Unclosed),
            '\\' => out.push(match chars.next() {
                Some((_, 'n')) => '\n',
                Some((_, 'r')) => '\r',
                Some((_, 't')) => '\t',
                Some((_, same @ ('"' | '\\'))) => same,
                _ => return Err(TemplateProblem::Syntax),
            }),
            other => out.push(other),
        }
    }
    Err(TemplateProblem::Unclosed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(text: &str) -> Result<String, String> {
        let mut template = Template::parse(text).map_err(|err| err.to_string())?;
        template
            .resolve(
                |key| key == "pw" || key == "a-b",
                |key| (key == "raw").then_some("{{ .pw }}"),
            )
            .map_err(|err| err.to_string())?;
        let out = template.render(|key| if key == "pw" { b"hunter2" } else { b"dash" });
        assert_eq!(out.len(), out.capacity(), "the buffer is never grown");
        Ok(String::from_utf8(out.to_vec()).unwrap())
    }

    #[test]
    fn values_are_put_in() {
        for (text, result) in [
            ("", ""),
            ("plain } text { here }}", "plain } text { here }}"),
            ("url: http://u:{{ .pw }}@h", "url: http://u:hunter2@h"),
            ("{{.pw}}{{ .pw }}", "hunter2hunter2"),
            ("{{ index . \"a-b\" }}", "dash"),
            ("{{ index . `a-b` }}", "dash"),
            ("a \n {{- .pw -}} \t b", "ahunter2b"),
            ("a {{- /* why */ -}} b", "ab"),
            ("{{/* }} */}}x", "x"),
            ("{{ \"{{\" }} {{ \"\\\"\\n\" }}", "{{ \"\n"),
            ("{{\n.pw\n}}", "hunter2"),
            // The raw text of another entry, not rendered again.
            ("{{ .raw }}", "{{ .pw }}"),
        ] {
            assert_eq!(render(text).as_deref(), Ok(result), "{text}");
        }
    }

    #[test]
    fn the_rest_is_refused_by_name_and_never_quoted() {
        let only = "only `{{ .key }}` and `{{ index . \"key\" }}` are supported";
        let function = |name: &str| format!("the template function `{name}` is not supported");
        for (text, problem) in [
            ("{{ fail .pw }}", function("fail")),
            ("{{ .pw | b64enc }}", function("b64enc")),
            ("{{ if .pw }}x{{ end }}", function("if")),
            ("{{ range . }}{{ end }}", function("range")),
            ("{{ printf \"%s\" .pw }}", function("printf")),
            ("{{ hunter2 }}", only.into()),
            ("{{ . }}", only.into()),
            ("{{ }}", only.into()),
            ("{{ .pw.x }}", only.into()),
            ("{{ .a-b }}", only.into()),
            ("{{ $x := .pw }}", only.into()),
            ("{{ index . \"\\x70w\" }}", only.into()),
            ("{{ .pw", "an action is not closed".into()),
            ("{{ \"}}", "an action is not closed".into()),
            ("{{/* x }}", "an action is not closed".into()),
            (
                "{{ .hunter2 }}",
                "it refers to a key that neither encryptedData nor template.data has".into(),
            ),
        ] {
            assert_eq!(render(text), Err(format!("line 1: {problem}")), "{text}");
            assert_eq!(
                render(&format!("\n\n{text}")),
                Err(format!("line 3: {problem}")),
                "{text}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "(\\{\\{-?|-?\\}\\}|[ .\"`*/|$a-z\\\\\n]|index|\\PC){0,40}") {
            let _ = Template::parse(&text);
        }
    }
}
