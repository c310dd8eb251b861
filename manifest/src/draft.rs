//! Documents in which variables are still to be replaced: text by text, so that a value never becomes structure.

pub(crate) mod mark;
mod path;

use serde_json::{Map, Value};

use crate::read::plain_value;
pub use path::{Path, Step};

/// How a variable begins. Only texts with this are offered for replacement.
pub const VARIABLE: &str = "${";

/// A document, or an object of one, in which variables are still to be replaced.
///
/// It knows which texts were written without quotes: such a text is read as YAML reads a plain scalar, but only after
/// the variables in it were replaced. So `replicas: ${n}` becomes a number and `"${n}"` stays a string. One text becomes
/// one key, string, number, boolean or null, whatever the variables hold.
#[derive(Clone)]
pub struct Draft(Value);

/// How a text was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// As a mapping's key.
    Key,
    /// As a value without quotes.
    Plain,
    /// As a value in quotes, as a block, or with a tag: a string whatever it says.
    Quoted,
}

/// What a text becomes.
pub struct Replacement {
    /// The text with its variables replaced.
    pub text: String,
    /// It is a string, even where the text was written without quotes.
    pub quoted: bool,
}

/// Why a draft could not become an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DraftError<E> {
    /// From the replacement of a text.
    Replace(E),
    /// Two keys of the mapping at this path became the same.
    SameKey {
        /// Keys as they are written, with variables.
        path: String,
    },
}

impl Draft {
    pub(crate) fn new(marked: Value) -> Self {
        Self(marked)
    }

    pub(crate) fn into_marked(self) -> Value {
        self.0
    }

    /// Whether there is a variable in any text.
    pub fn has_variables(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains(VARIABLE),
            Value::Array(items) => items.iter().any(Self::has_variables),
            Value::Object(fields) => fields
                .iter()
                .any(|(key, value)| key.contains(VARIABLE) || Self::has_variables(value)),
            _ => false,
        }
    }

    /// The value with its variables as they are written.
    pub fn as_written(mut self) -> Value {
        mark::remove(&mut self.0);
        self.0
    }

    /// Offers each text that has a [`VARIABLE`] in it to `replace`, which may fail.
    pub fn replace<E>(
        self,
        mut replace: impl FnMut(&Path, Written, &str) -> Result<Replacement, E>,
    ) -> Result<Value, DraftError<E>> {
        walk(self.0, &mut Path::default(), &mut replace)
    }
}

/// The depth of recursion is the depth of the document, which is bounded.
fn walk<E>(
    value: Value,
    path: &mut Path,
    replace: &mut impl FnMut(&Path, Written, &str) -> Result<Replacement, E>,
) -> Result<Value, DraftError<E>> {
    match value {
        Value::String(text) => {
            let (written, text) = mark::read(text);
            if !text.contains(VARIABLE) {
                return Ok(text.into());
            }
            let new = replace(path, written, &text).map_err(DraftError::Replace)?;
            Ok(if written == Written::Plain && !new.quoted {
                read_plain(new.text)
            } else {
                new.text.into()
            })
        }
        Value::Array(items) => {
            let mut new = Vec::with_capacity(items.len());
            for (index, item) in items.into_iter().enumerate() {
                path.push(Step::Index(index));
                new.push(walk(item, path, replace)?);
                path.pop();
            }
            Ok(new.into())
        }
        Value::Object(fields) => {
            let mut new = Map::new();
            for (key, value) in fields {
                path.push(Step::Key(key.clone()));
                let key = if key.contains(VARIABLE) {
                    replace(path, Written::Key, &key)
                        .map_err(DraftError::Replace)?
                        .text
                } else {
                    key
                };
                let value = walk(value, path, replace)?;
                path.pop();
                if new.insert(key, value).is_some() {
                    return Err(DraftError::SameKey {
                        path: path.to_string(),
                    });
                }
            }
            Ok(new.into())
        }
        other => Ok(other),
    }
}

/// Blanks around a plain scalar do not count, but a string keeps them: they were in the variable.
fn read_plain(text: String) -> Value {
    match plain_value(text.trim_matches([' ', '\t'])) {
        Value::String(_) => text.into(),
        other => other,
    }
}

#[cfg(test)]
mod tests;
