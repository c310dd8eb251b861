//! From text to tokens: literal text with its trim markers applied, and the inside of each action.

use super::error::{TemplateError, TemplateProblem};
use super::literal;

/// A piece of a template.
pub(super) enum Piece {
    Text(Vec<u8>),
    Action(Vec<Spaced>),
}

/// A token, and whether white space stands before it.
#[derive(Debug)]
pub(super) struct Spaced {
    pub(super) spaced: bool,
    pub(super) token: Token,
}

#[derive(Debug, PartialEq)]
pub(super) enum Token {
    Assign,
    Close,
    Comma,
    Declare,
    /// `.` alone.
    Dot,
    /// `.name`.
    Field(String),
    Int(i64),
    Open,
    Pipe,
    Text(Vec<u8>),
    /// `$` or `$name`, without the sign.
    Variable(String),
    Word(String),
}

const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// Takes a template apart; each piece with the line that it begins in.
pub(super) fn pieces(text: &str) -> Result<Vec<(usize, Piece)>, TemplateError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut line = 1;
    let mut trim_start = false;
    while let Some((before, action)) = rest.split_once("{{") {
        let (trim_end, action) = match action.strip_prefix('-') {
            Some(inner) if inner.starts_with(SPACE) => (true, inner),
            _ => (false, action),
        };
        push_text(&mut pieces, line, before, trim_start, trim_end);
        line += before.matches('\n').count();
        let (tokens, after, trim_next) =
            inside(action, trim_end).map_err(|problem| TemplateError { line, problem })?;
        if let Some(tokens) = tokens {
            pieces.push((line, Piece::Action(tokens)));
        }
        line += action[..action.len() - after.len()].matches('\n').count();
        (rest, trim_start) = (after, trim_next);
    }
    push_text(&mut pieces, line, rest, trim_start, false);
    Ok(pieces)
}

fn push_text(pieces: &mut Vec<(usize, Piece)>, line: usize, text: &str, trim_start: bool, trim_end: bool) {
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
        pieces.push((line, Piece::Text(text.as_bytes().to_vec())));
    }
}

/// The tokens up to an action's end (none for a comment), what follows, and whether that is to be trimmed.
type Inside<'a> = (Option<Vec<Spaced>>, &'a str, bool);

fn inside(action: &str, trimmed: bool) -> Result<Inside<'_>, TemplateProblem> {
    // A comment begins at once, or after one space of a trim marker, and nothing may follow it.
    let comment = if trimmed { &action[1..] } else { action };
    if let Some(comment) = comment.strip_prefix("/*") {
        let (_, after) = comment.split_once("*/").ok_or(TemplateProblem::Unclosed)?;
        let (after, trim) = end(after).ok_or(TemplateProblem::Syntax)?;
        return Ok((None, after, trim));
    }
    let mut tokens = Vec::new();
    let mut rest = action;
    let mut spaced = true;
    loop {
        if let Some((after, trim)) = end(rest) {
            return Ok((Some(tokens), after, trim));
        }
        let first = rest.chars().next().ok_or(TemplateProblem::Unclosed)?;
        if SPACE.contains(&first) {
            rest = &rest[1..];
            spaced = true;
            continue;
        }
        let (token, after) = token(first, rest)?;
        tokens.push(Spaced { spaced, token });
        (rest, spaced) = (after, false);
    }
}

/// The end of an action: what follows it, and whether that is to be trimmed.
fn end(rest: &str) -> Option<(&str, bool)> {
    let trimmed = || rest.strip_prefix(SPACE)?.strip_prefix("-}}");
    rest.strip_prefix("}}")
        .map(|after| (after, false))
        .or_else(|| trimmed().map(|after| (after, true)))
}

fn token(first: char, rest: &str) -> Result<(Token, &str), TemplateProblem> {
    let after = &rest[first.len_utf8()..];
    Ok(match first {
        '(' => (Token::Open, after),
        ')' => (Token::Close, after),
        '|' => (Token::Pipe, after),
        ',' => (Token::Comma, after),
        '=' => (Token::Assign, after),
        ':' => (
            Token::Declare,
            after.strip_prefix('=').ok_or(TemplateProblem::Syntax)?,
        ),
        '"' => {
            let (text, after) = literal::quoted(after)?;
            (Token::Text(text), after)
        }
        '`' => {
            let (text, after) = after.split_once('`').ok_or(TemplateProblem::Unclosed)?;
            (Token::Text(text.replace('\r', "").into_bytes()), after)
        }
        '.' if !after.starts_with(|c: char| c.is_ascii_digit()) => match word(after)? {
            ("", after) => (Token::Dot, after),
            (name, after) => (Token::Field(name.to_owned()), after),
        },
        '$' => {
            let (name, after) = word(after)?;
            (Token::Variable(name.to_owned()), after)
        }
        c if c == '-' || c.is_ascii_digit() => {
            let (number, after) = literal::integer(rest)?;
            (Token::Int(number), after)
        }
        c if is_word(c) => {
            let (name, after) = word(rest)?;
            (Token::Word(name.to_owned()), after)
        }
        _ => return Err(TemplateProblem::Syntax),
    })
}

pub(super) fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// A name, which must be followed by something that ends it.
fn word(text: &str) -> Result<(&str, &str), TemplateProblem> {
    let (name, after) = text.split_at(text.find(|c| !is_word(c)).unwrap_or(text.len()));
    let ends = |c: char| SPACE.contains(&c) || matches!(c, '.' | ',' | '|' | ':' | ')' | '(' | '=' | '}');
    match after.chars().next() {
        None => Err(TemplateProblem::Unclosed),
        Some(c) if ends(c) => Ok((name, after)),
        Some(_) => Err(TemplateProblem::Syntax),
    }
}
