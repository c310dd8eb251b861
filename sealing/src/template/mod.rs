//! `spec.template.data`: Go's text/template over sealed values, as far as it can be run without telling on them.
//!
//! Upstream runs text/template with some 200 functions over the plaintext. One of them, `fail`, puts its argument into
//! the error, and so into a status that many may read. Here a template goes through three rooms:
//!
//! 1. [`parse`]: text to a tree. What is not known is refused by name.
//! 2. [`check`]: the tree is run over *types and sizes* instead of values. What could fail, could grow beyond a Secret's
//!    size or could take long is refused. Nothing has been opened yet.
//! 3. [`eval`]: the tree is run over values. It has no error to return.
//!
//! So whether a template is refused here depends on what is public (its text, the keys, the lengths of the sealed values),
//! and never on a value: an error that came and went with a value would tell it, bit by bit, to everyone who can edit
//! the template and read a status. No error quotes the template or a value; function names come from our own lists.
//!
//! A limit of format v1 remains: its templates are not bound to the values, and what is rendered goes to the API server,
//! whose answer can depend on it. A template that makes valid or invalid JSON of a `kubernetes.io/dockerconfigjson` by what
//! a value begins with, or changes a Secret that is immutable, tells one bit through whether it is applied. Format v2 binds
//! every value to the whole template, and has no conditions.
//!
//! Strings are bytes, as in Go. What is made of plaintext is wiped when dropped, intermediate results too.

mod ast;
mod buffer;
mod check;
mod error;
mod eval;
mod functions;
mod lex;
mod literal;
mod parse;
mod refused;
mod runes;
mod scope;
mod ty;
mod value;

pub use error::{TemplateError, TemplateProblem, WhyNot};

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use ty::Ty;
use value::{Text, Value};
use zeroize::Zeroizing;

/// A template that is known to end well, whatever the values are.
pub(crate) struct Template {
    nodes: Vec<ast::Node>,
    /// The most that the result can be long.
    bound: usize,
}

/// What is known of the values before any is opened: for each key, the most bytes that its value can have.
/// One budget of work serves all templates that are read for them.
pub(crate) struct Known {
    root: Ty,
    work: Cell<usize>,
}

impl Known {
    pub(crate) fn new<'a>(sizes: impl IntoIterator<Item = (&'a str, usize)>) -> Self {
        let texts = sizes
            .into_iter()
            .map(|(key, most)| (key.to_owned(), Ty::text(most)));
        Self {
            root: Ty::Map(Rc::new(texts.collect())),
            work: Cell::new(0),
        }
    }
}

/// The values, as every template of an object sees them.
pub(crate) struct Values<'a>(Value<'a>);

impl<'a> Values<'a> {
    pub(crate) fn new(values: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let texts = values
            .into_iter()
            .map(|(key, bytes)| (key.to_owned(), Value::Text(Text::Borrowed(bytes))));
        Self(Value::Map(Rc::new(texts.collect::<BTreeMap<_, _>>())))
    }
}

impl Template {
    /// Reads and checks a template for values of these sizes.
    pub(crate) fn read(text: &str, known: &Known) -> Result<Self, TemplateError> {
        let nodes = parse::parse(text)?;
        let bound = check::bound(&nodes, &known.root, &known.work)?;
        Ok(Self { nodes, bound })
    }

    /// The most bytes that the result can have.
    pub(crate) fn bound(&self) -> usize {
        self.bound
    }

    /// The text with the values in it.
    pub(crate) fn render(&self, values: &Values<'_>) -> Zeroizing<Vec<u8>> {
        eval::render(&self.nodes, &values.0)
    }
}

#[cfg(test)]
mod tests;
