//! The functions that templates can call: each with what it takes, how large its result can be, and what it does.
//!
//! `check` sees types and sizes, and settles that `eval` cannot fail. `eval` sees values of the types that `check` let
//! through. Names, order of arguments and results are those of text/template's built-in functions and of sprig 3.3.

mod choose;
mod compare;
mod encode;
mod json;
mod lists;
mod numbers;
mod print;
mod printf;
mod quote;
mod text;

use super::ast::Literal;
use super::buffer::Buffer;
use super::error::TemplateProblem;
use super::ty::{List, Ty};
use super::value::Value;
use std::cell::Cell;

pub(super) type Checked = Result<Ty, TemplateProblem>;

pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) check: fn(&Arguments<'_>) -> Checked,
    pub(super) eval: for<'a> fn(&[Value<'a>]) -> Value<'a>,
}

const TABLES: [&[Function]; 10] = [
    choose::FUNCTIONS,
    compare::FUNCTIONS,
    encode::FUNCTIONS,
    json::FUNCTIONS,
    lists::FUNCTIONS,
    numbers::FUNCTIONS,
    print::FUNCTIONS,
    printf::FUNCTIONS,
    quote::FUNCTIONS,
    text::FUNCTIONS,
];

/// The function of this name.
pub(super) fn named(name: &str) -> Option<&'static Function> {
    all().find(|function| function.name == name)
}

pub(super) fn all() -> impl Iterator<Item = &'static Function> {
    TABLES.into_iter().flatten()
}

/// What a function is called with, before values are there.
pub(super) struct Arguments<'a> {
    pub(super) name: &'static str,
    pub(super) types: &'a [Ty],
    /// Those that are constants of the template.
    pub(super) written: &'a [Option<&'a Literal>],
    /// Work beside reading the arguments and writing the result once, in bytes.
    pub(super) more: Cell<usize>,
}

impl Arguments<'_> {
    pub(super) fn wrong(&self) -> TemplateProblem {
        TemplateProblem::Arguments(self.name)
    }

    /// Running it takes so much more work than reading the arguments and writing the result once.
    pub(super) fn charge(&self, bytes: usize) {
        self.more.set(self.more.get().saturating_add(bytes));
    }

    pub(super) fn count(&self, wanted: usize) -> Result<(), TemplateProblem> {
        self.at_least(wanted)?;
        if self.types.len() > wanted {
            return Err(self.wrong());
        }
        Ok(())
    }

    pub(super) fn at_least(&self, wanted: usize) -> Result<(), TemplateProblem> {
        if self.types.len() < wanted {
            return Err(self.wrong());
        }
        Ok(())
    }

    /// Any value that is there.
    pub(super) fn value(&self, index: usize) -> Result<&Ty, TemplateProblem> {
        match self.types.get(index) {
            Some(Ty::Nil) => Err(TemplateProblem::UnknownKey),
            Some(ty) => Ok(ty),
            None => Err(self.wrong()),
        }
    }

    /// A text, and the most bytes that it has.
    pub(super) fn text(&self, index: usize) -> Result<usize, TemplateProblem> {
        match self.value(index)? {
            Ty::Text(most) => Ok(*most),
            _ => Err(self.wrong()),
        }
    }

    pub(super) fn int(&self, index: usize) -> Result<(), TemplateProblem> {
        match self.value(index)? {
            Ty::Int => Ok(()),
            _ => Err(self.wrong()),
        }
    }

    pub(super) fn list(&self, index: usize) -> Result<&List, TemplateProblem> {
        match self.value(index)? {
            Ty::List(list) => Ok(list),
            _ => Err(self.wrong()),
        }
    }

    /// A text that is a constant.
    pub(super) fn written_text(&self, index: usize) -> Result<&[u8], TemplateProblem> {
        self.text(index)?;
        match self.written.get(index) {
            Some(Some(Literal::Text(text))) => Ok(text),
            _ => Err(TemplateProblem::NotWritten(self.name)),
        }
    }

    /// A number that is a constant, and not negative.
    pub(super) fn written_count(&self, index: usize) -> Result<usize, TemplateProblem> {
        self.int(index)?;
        match self.written.get(index) {
            Some(Some(Literal::Int(number))) => usize::try_from(*number).map_err(|_| self.wrong()),
            _ => Err(TemplateProblem::NotWritten(self.name)),
        }
    }
}

const LOWER_HEX: &[u8; 16] = b"0123456789abcdef";

/// A text that something writes.
fn made<'a>(write: impl FnOnce(&mut Buffer)) -> Value<'a> {
    let mut buffer = Buffer::default();
    write(&mut buffer);
    Value::made(buffer)
}
