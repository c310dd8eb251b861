//! Texts with variables to trees: bash's parameter expansions, as far as Flux has them.

use super::fault::Fault;
use super::variables::name_length;

/// Variables inside variables' arguments.
pub(super) const MAX_DEPTH: usize = 16;

/// Parts of one text, those in arguments included: each is larger in memory than as text.
pub(super) const MAX_PIECES: usize = 20_000;

/// A part of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    Text(&'t str),
    Variable(Expression<'t>),
}

/// `${name…}`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expression<'t> {
    /// As it is written, from its `${` to its `}`.
    pub(super) source: &'t str,
    pub(super) name: &'t str,
    pub(super) function: Function<'t>,
}

/// Parts of a text, in order.
pub(super) type Pieces<'t> = Vec<Piece<'t>>;

/// What is made of a variable's value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Function<'t> {
    Value,
    Length,
    /// `^`, `^^`, `,`, `,,`.
    Case {
        upper: bool,
        all: bool,
    },
    /// `-`, `:-`, `=`, `:=`.
    Default(Pieces<'t>),
    /// `:position`, `:position:length`.
    Part {
        at: Pieces<'t>,
        length: Option<Pieces<'t>>,
    },
    /// `#`, `##`, `%`, `%%`.
    Trim {
        start: bool,
        longest: bool,
        pattern: Pieces<'t>,
    },
    /// `/`, `//`, `/#`, `/%`.
    Replace {
        which: Which,
        what: Pieces<'t>,
        with: Pieces<'t>,
    },
}

/// Which occurrences are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    First,
    All,
    Start,
    End,
}

/// Reads a whole text.
pub(super) fn parse(text: &str) -> Result<Pieces<'_>, Fault> {
    Parser {
        text,
        at: 0,
        depth: 0,
        count: 0,
    }
    .pieces(&[])
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    count: usize,
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Takes the text if it comes next.
    fn take(&mut self, expected: &str) -> bool {
        let found = self.rest().starts_with(expected);
        self.at += if found { expected.len() } else { 0 };
        found
    }

    /// The text up to one of `ends`, which is not taken; without `ends`, up to the end. `$${` is a `${` that means
    /// nothing. Where a `/` is an end, `\/` and `\\` are the characters themselves.
    fn pieces(&mut self, ends: &[char]) -> Result<Pieces<'t>, Fault> {
        let escapes = ends.contains(&'/');
        let mut pieces = Vec::new();
        let mut start = self.at;
        loop {
            let rest = self.rest();
            let special = |char| char == '$' || ends.contains(&char) || (escapes && char == '\\');
            let Some(next) = rest.find(special) else {
                self.at = self.text.len();
                self.flush(&mut pieces, start)?;
                return if ends.is_empty() {
                    Ok(pieces)
                } else {
                    Err(Fault::NotClosed)
                };
            };
            self.at += next;
            let rest = self.rest();
            if rest.starts_with("${") {
                self.flush(&mut pieces, start)?;
                self.at += 2;
                let expression = self.expression()?;
                self.add(&mut pieces, Piece::Variable(expression))?;
                start = self.at;
            } else if rest.starts_with("$${") {
                self.flush(&mut pieces, start)?;
                // The text goes on with the second `$`.
                start = self.at + 1;
                self.at += 3;
            } else if rest.starts_with("\\\\") || rest.starts_with("\\/") {
                self.flush(&mut pieces, start)?;
                start = self.at + 1;
                self.at += 2;
            } else if rest.starts_with(ends) {
                self.flush(&mut pieces, start)?;
                return Ok(pieces);
            } else {
                self.at += 1;
            }
        }
    }

    fn flush(&mut self, pieces: &mut Pieces<'t>, start: usize) -> Result<(), Fault> {
        match self.text.get(start..self.at).filter(|text| !text.is_empty()) {
            Some(text) => self.add(pieces, Piece::Text(text)),
            None => Ok(()),
        }
    }

    fn add(&mut self, pieces: &mut Pieces<'t>, piece: Piece<'t>) -> Result<(), Fault> {
        self.count += 1;
        if self.count > MAX_PIECES {
            return Err(Fault::TooMany { limit: MAX_PIECES });
        }
        pieces.push(piece);
        Ok(())
    }

    /// What follows `${`, up to its `}`.
    fn expression(&mut self) -> Result<Expression<'t>, Fault> {
        if self.depth == MAX_DEPTH {
            return Err(Fault::TooDeep { limit: MAX_DEPTH });
        }
        self.depth += 1;
        let start = self.at.saturating_sub(2);
        let length = self.take("#");
        let name = &self.rest()[..name_length(self.rest())];
        if name.is_empty() {
            return Err(Fault::NoName);
        }
        self.at += name.len();
        let function = if length {
            Function::Length
        } else {
            self.function(name)?
        };
        if !self.take("}") {
            return Err(if self.rest().is_empty() {
                Fault::NotClosed
            } else {
                Fault::Unknown(name.to_owned())
            });
        }
        self.depth -= 1;
        let source = self.text.get(start..self.at).unwrap_or_default();
        Ok(Expression {
            source,
            name,
            function,
        })
    }

    fn function(&mut self, name: &str) -> Result<Function<'t>, Fault> {
        for unsupported in [":?", ":+", "?", "+"] {
            if self.rest().starts_with(unsupported) {
                return Err(Fault::Unsupported(name.to_owned(), unsupported));
            }
        }
        if [":-", ":=", "-", "="].iter().any(|sign| self.take(sign)) {
            return Ok(Function::Default(self.pieces(&['}'])?));
        }
        for (sign, upper) in [("^", true), (",", false)] {
            if self.take(sign) {
                let all = self.take(sign);
                return Ok(Function::Case { upper, all });
            }
        }
        for (sign, start) in [("#", true), ("%", false)] {
            if self.take(sign) {
                let longest = self.take(sign);
                let pattern = self.pieces(&['}'])?;
                return Ok(Function::Trim {
                    start,
                    longest,
                    pattern,
                });
            }
        }
        if self.take(":") {
            let at = self.pieces(&[':', '}'])?;
            let length = if self.take(":") {
                Some(self.pieces(&['}'])?)
            } else {
                None
            };
            return Ok(Function::Part { at, length });
        }
        if self.take("/") {
            let which = if self.take("/") {
                Which::All
            } else if self.take("#") {
                Which::Start
            } else if self.take("%") {
                Which::End
            } else {
                Which::First
            };
            let what = self.pieces(&['/', '}'])?;
            let with = if self.take("/") {
                self.replacement()?
            } else {
                Vec::new()
            };
            return Ok(Function::Replace { which, what, with });
        }
        Ok(Function::Value)
    }

    /// A `/` in it is only itself.
    fn replacement(&mut self) -> Result<Pieces<'t>, Fault> {
        let mut pieces = self.pieces(&['/', '}'])?;
        while self.rest().starts_with('/') {
            let start = self.at;
            self.at += 1;
            self.flush(&mut pieces, start)?;
            pieces.append(&mut self.pieces(&['/', '}'])?);
        }
        Ok(pieces)
    }
}
