//! JSON pointers of `spec.ignore`: which fields are left to whoever writes them.

use super::path::{FieldPath, MAX_DEPTH};
use super::set::Node;
use super::step::Step;
use super::{go, items};
use serde_json::Value;
use std::fmt;

/// The longest pointer, in bytes.
const LONGEST: usize = 1024;

/// What no pointer may lead to, or into, or over.
const PROTECTED: [&[&str]; 6] = [
    &["apiVersion"],
    &["kind"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "labels", crds::label::APPLYSET_PART_OF],
    &["metadata", "annotations", crds::annotation::SOURCE],
];

/// A JSON pointer (RFC 6901) that names list items by their place or, which RFC 6901 does not have, by their fields:
/// `/spec/template/spec/containers/[name=app]/image`, `/spec/ports/[port=80,protocol=TCP]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Pointer {
    text: String,
    tokens: Vec<Token>,
}

#[derive(Clone, PartialEq, Eq)]
enum Token {
    /// A name or, in a list, a place.
    Name(String),
    /// The first item with these fields.
    Item(Vec<(String, String)>),
}

/// Why a pointer is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// Not RFC 6901, or not our form of a list item.
    #[error("{0}")]
    Malformed(&'static str),
    /// It leads to something that a Sync has to own.
    #[error("it covers {0}, which cannot be ignored; name single fields")]
    Protected(String),
}

impl Pointer {
    /// Reads a pointer.
    ///
    /// # Errors
    /// Where it is malformed or out of bounds, or covers the object's identity or Signet's own label or annotation.
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        if text.len() > LONGEST {
            return Err(PointerError::Malformed("it is longer than 1024 bytes"));
        }
        let Some(path) = text.strip_prefix('/') else {
            return Err(PointerError::Malformed("it does not start with /"));
        };
        let tokens: Vec<_> = path.split('/').map(token).collect::<Result<_, _>>()?;
        if tokens.len() > MAX_DEPTH {
            return Err(PointerError::Malformed("it has more than 64 steps"));
        }
        let meets = |(token, name): (&Token, &&str)| matches!(token, Token::Name(own) if own == name);
        if let Some(names) = PROTECTED
            .iter()
            .find(|names| tokens.iter().zip(**names).all(meets))
        {
            return Err(PointerError::Protected(FieldPath::of_names(names).to_string()));
        }
        Ok(Self {
            text: text.to_owned(),
            tokens,
        })
    }

    /// Where the pointer leads in an object. `own` knows by which fields list items are told apart; where it does not, items
    /// are known by their `name`, or by their place. Fields at the end need not exist; list items have to.
    pub(super) fn locate(&self, object: &Value, own: Option<&Node>) -> Option<FieldPath> {
        let mut path = Vec::with_capacity(self.tokens.len());
        let (mut value, mut node) = (Some(object), own);
        for token in &self.tokens {
            let step = match (token, value) {
                (_, Some(Value::Array(list))) => {
                    let index = token.index_in(list)?;
                    token.step(list.get(index)?, index, node)
                }
                (Token::Name(name), _) => Step::Field(name.clone()),
                (Token::Item(_), _) => return None,
            };
            value = value.and_then(|value| step.of(value));
            node = node.and_then(|node| node.children.get(&step));
            path.push(step);
        }
        Some(FieldPath(path))
    }

    /// Whether `path` is what the pointer names, or lies below it. `body` says which item stands at which place.
    #[must_use]
    pub fn covers(&self, path: &FieldPath, body: &Value) -> bool {
        if path.0.len() < self.tokens.len() {
            return false;
        }
        let mut value = Some(body);
        for (token, step) in self.tokens.iter().zip(&path.0) {
            let same = match (token, step) {
                (Token::Name(name), Step::Field(field)) => name == field,
                (_, Step::Field(_)) => false,
                (Token::Item(pairs), Step::Keys(keys))
                    if pairs.iter().all(|(name, _)| keys.contains_key(name)) =>
                {
                    pairs.iter().all(|(name, text)| reads(&keys[name], text))
                }
                (token, step) => match value {
                    Some(Value::Array(list)) => {
                        let index = token.index_in(list);
                        index.is_some() && index == step.index_in(list)
                    }
                    _ => false,
                },
            };
            if !same {
                return false;
            }
            value = value.and_then(|value| step.of(value));
        }
        true
    }
}

impl Token {
    fn index_in(&self, list: &[Value]) -> Option<usize> {
        match self {
            Self::Name(name) => {
                let digits =
                    name.bytes().all(|b| b.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
                let index: usize = if digits { name.parse().ok()? } else { return None };
                (index < list.len()).then_some(index)
            }
            Self::Item(pairs) => list.iter().position(|item| {
                pairs
                    .iter()
                    .all(|(name, text)| item.get(name).is_some_and(|own| reads(own, text)))
            }),
        }
    }

    fn step(&self, item: &Value, index: usize, node: Option<&Node>) -> Step {
        if let Some(node) = node.filter(|node| !node.is_leaf()) {
            let mut known = items::Items::of(node);
            return match known.entry(item, index) {
                Some((step, _)) => step.clone(),
                None => known.step(item, index),
            };
        }
        let keys = match (self, item) {
            (Self::Item(pairs), Value::Object(map)) => {
                items::keys_of(map, pairs.iter().map(|(name, _)| name), false)
            }
            (Self::Name(_), Value::Object(map)) => {
                items::keys_of(map, [&"name".to_owned()].into_iter(), false)
            }
            _ => return Step::Index(index),
        };
        if keys.is_empty() {
            Step::Index(index)
        } else {
            Step::Keys(keys)
        }
    }
}

/// Whether a value is what stands in a pointer.
fn reads(value: &Value, text: &str) -> bool {
    match value {
        Value::String(own) => own == text,
        Value::Number(own) => text
            .parse()
            .is_ok_and(|number: serde_json::Number| number == *own),
        Value::Bool(own) => text == if *own { "true" } else { "false" },
        _ => false,
    }
}

fn token(text: &str) -> Result<Token, PointerError> {
    if text.is_empty() {
        return Err(PointerError::Malformed("it has an empty step"));
    }
    let mut rest = text;
    while let Some(at) = rest.find('~') {
        rest = &rest[at + 1..];
        if !rest.starts_with(['0', '1']) {
            return Err(PointerError::Malformed(
                "in it ~ is not followed by 0 or 1 (RFC 6901)",
            ));
        }
    }
    let name = text.replace("~1", "/").replace("~0", "~");
    if name.chars().any(char::is_control) {
        return Err(PointerError::Malformed("it has control characters"));
    }
    let Some(fields) = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) else {
        return match name.as_str() {
            "*" | "-" => Err(PointerError::Malformed(
                "* and - name no field: name single fields and items",
            )),
            _ => Ok(Token::Name(name)),
        };
    };
    let pair = |text: &str| {
        let (name, value) = text.split_once('=')?;
        let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        (!name.is_empty()).then(|| (name.to_owned(), bare.unwrap_or(value).to_owned()))
    };
    let pairs: Option<Vec<_>> = fields.split(',').map(pair).collect();
    pairs.map(Token::Item).ok_or(PointerError::Malformed(
        "a list item is written as [name=value] or [name=value,name=value]",
    ))
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&go::bounded(&self.text, LONGEST))
    }
}

impl fmt::Debug for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests;
