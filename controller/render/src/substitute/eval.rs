//! Trees to texts, within a budget.

use super::fault::Fault;
use super::glob::Pattern;
use super::parse::{Expression, Function, Piece, Which};
use super::variables::{Variable, Variables};

/// Bytes that the variables of one object may make, those in between included.
pub(super) const MAX_BYTES: usize = 4 << 20;

/// The evaluation of one object's texts.
pub(super) struct Evaluation<'v> {
    variables: &'v Variables,
    left: usize,
    /// A secret variable that was looked at since this was last taken.
    pub(super) secret: Option<Box<str>>,
}

impl<'v> Evaluation<'v> {
    pub(super) fn new(variables: &'v Variables) -> Self {
        Self {
            variables,
            left: MAX_BYTES,
            secret: None,
        }
    }

    /// Bytes made so far, with the work that is counted as bytes.
    pub(super) fn spent(&self) -> usize {
        MAX_BYTES - self.left
    }

    pub(super) fn text(&mut self, pieces: &[Piece<'_>]) -> Result<String, Fault> {
        let mut out = String::new();
        for piece in pieces {
            self.piece(piece, &mut out)?;
        }
        Ok(out)
    }

    pub(super) fn piece(&mut self, piece: &Piece<'_>, out: &mut String) -> Result<(), Fault> {
        match piece {
            Piece::Text(text) => self.push(text, out),
            Piece::Variable(expression) => self.expression(expression, out),
        }
    }

    /// Counts before memory is spent.
    fn push(&mut self, text: &str, out: &mut String) -> Result<(), Fault> {
        self.spend(text.len())?;
        out.push_str(text);
        Ok(())
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Fault> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Fault::TooMuch { limit: MAX_BYTES }),
        }
    }

    fn expression(&mut self, expression: &Expression<'_>, out: &mut String) -> Result<(), Fault> {
        let Expression {
            source,
            name,
            function,
        } = expression;
        self.spend(1)?;
        let variable = self.variables.get(name);
        if variable.is_some_and(|variable| variable.secret) {
            self.secret = Some((*name).into());
        }
        let value = variable.map(|Variable { value, .. }| value.as_str());
        if let Function::Default(default) = function {
            // Empty counts as unset for all four forms, as in Flux. What is not needed is not evaluated.
            return match value.filter(|value| !value.is_empty()) {
                Some(value) => self.push(value, out),
                None => default.iter().try_for_each(|piece| self.piece(piece, out)),
            };
        }
        let Some(value) = value else {
            return if self.variables.may_be_unset() {
                self.push(source, out)
            } else {
                Err(Fault::NotSet((*name).to_owned()))
            };
        };
        match function {
            Function::Value | Function::Default(_) => self.push(value, out),
            Function::Length => self.push(&value.chars().count().to_string(), out),
            Function::Case { upper, all } => self.case(value, *upper, *all, out),
            Function::Part { at, length } => {
                let at = self.number(name, at)?;
                let length = length
                    .as_ref()
                    .map(|length| self.number(name, length))
                    .transpose()?;
                self.push(part(value, at, length), out)
            }
            Function::Trim {
                start,
                longest,
                pattern,
            } => {
                let pattern = self.text(pattern)?;
                let pattern = Pattern::parse(&pattern).ok_or_else(|| Fault::Pattern((*name).to_owned()))?;
                // One step on one character costs about an eighth of writing one.
                self.spend(pattern.work(value.len()) / 8)?;
                self.push(pattern.trim(value, *start, *longest), out)
            }
            Function::Replace { which, what, with } => {
                let (what, with) = (self.text(what)?, self.text(with)?);
                self.replace(value, *which, &what, &with, out)
            }
        }
    }

    fn case(&mut self, value: &str, upper: bool, all: bool, out: &mut String) -> Result<(), Fault> {
        let end = if all {
            value.len()
        } else {
            value.chars().next().map_or(0, char::len_utf8)
        };
        let (changed, rest) = value.split_at(end);
        // No character becomes more than three.
        self.spend(3 * changed.len())?;
        if upper {
            out.extend(changed.chars().flat_map(char::to_uppercase));
        } else {
            out.extend(changed.chars().flat_map(char::to_lowercase));
        }
        self.push(rest, out)
    }

    fn number(&mut self, name: &str, pieces: &[Piece<'_>]) -> Result<i64, Fault> {
        let text = self.text(pieces)?;
        text.trim()
            .parse()
            .map_err(|_| Fault::NotANumber(name.to_owned()))
    }

    /// The text that is looked for is no pattern, as in Flux.
    fn replace(
        &mut self,
        value: &str,
        which: Which,
        what: &str,
        with: &str,
        out: &mut String,
    ) -> Result<(), Fault> {
        match which {
            Which::Start => match value.strip_prefix(what) {
                Some(rest) => self.push(with, out).and_then(|()| self.push(rest, out)),
                None => self.push(value, out),
            },
            Which::End => match value.strip_suffix(what) {
                Some(rest) => self.push(rest, out).and_then(|()| self.push(with, out)),
                None => self.push(value, out),
            },
            // The empty text is found nowhere.
            Which::First | Which::All if what.is_empty() => self.push(value, out),
            Which::First | Which::All => {
                let times = if which == Which::All { usize::MAX } else { 1 };
                let mut rest = value;
                for (at, found) in value.match_indices(what).take(times) {
                    let before = at - (value.len() - rest.len());
                    self.push(&rest[..before], out)?;
                    self.push(with, out)?;
                    rest = &rest[before + found.len()..];
                }
                self.push(rest, out)
            }
        }
    }
}

/// Counted in characters. A position below zero counts from the end, and so does a length.
fn part(value: &str, at: i64, length: Option<i64>) -> &str {
    let count = i64::try_from(value.chars().count()).unwrap_or(i64::MAX);
    let from = if at < 0 {
        count.saturating_add(at).max(0)
    } else {
        at.min(count)
    };
    let to = match length {
        None => count,
        Some(length) if length < 0 => count.saturating_add(length),
        Some(length) => from.saturating_add(length).min(count),
    };
    let offset = |index: i64| {
        let index = usize::try_from(index).unwrap_or_default();
        value
            .char_indices()
            .nth(index)
            .map_or(value.len(), |(offset, _)| offset)
    };
    if to <= from {
        ""
    } else {
        value.get(offset(from)..offset(to)).unwrap_or_default()
    }
}
