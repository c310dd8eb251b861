//! The tree that a document becomes before it is JSON: with keys of several types, and with shared parts.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::error::ReadErrorKind as Kind;
use super::number::{json_number, key_text};
use crate::draft::mark;

/// A value. Collections and texts are shared, so that an alias costs nothing until the tree becomes JSON, which
/// happens only when the size of the result is known to be within the limits.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Str(Rc<String>),
    /// A plain scalar with variables in it, in a draft: what it means is known when they are replaced.
    Expression(Rc<String>),
    Seq(Rc<Vec<Self>>, Size),
    Map(Rc<Mapping>, Size),
}

pub(super) type Mapping = BTreeMap<Key, Node>;

/// A mapping's key, as go-yaml tells keys apart: `1` and `"1"` are two.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Bool(bool),
    Int(i64),
    /// By its bits.
    Float(u64),
    Str(Rc<String>),
}

/// How large a value is with all aliases written out.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Size {
    /// Values in it, itself included.
    pub(super) nodes: usize,
    /// Bytes of the scalars in it.
    pub(super) bytes: usize,
    /// Collections inside collections.
    pub(super) height: usize,
}

impl Size {
    /// Counts a value as part of this one.
    pub(super) fn add(&mut self, part: Self) {
        self.nodes = self.nodes.saturating_add(part.nodes);
        self.bytes = self.bytes.saturating_add(part.bytes);
        self.height = self.height.max(part.height.saturating_add(1));
    }
}

impl Node {
    pub(super) fn size(&self) -> Size {
        match self {
            Self::Seq(_, size) | Self::Map(_, size) => *size,
            Self::Str(text) | Self::Expression(text) => Size {
                nodes: 1,
                bytes: text.len(),
                height: 0,
            },
            _ => Size {
                nodes: 1,
                bytes: 0,
                height: 0,
            },
        }
    }

    /// The value as JSON; `None` where a float has no JSON. Its depth is within the limits, so recursion is. With
    /// `marked`, texts are as a [`crate::Draft`] has them.
    pub(super) fn into_json(self, marked: bool) -> Option<Value> {
        Some(match self {
            Self::Null => Value::Null,
            Self::Bool(bool) => bool.into(),
            Self::Int(int) => int.into(),
            Self::Uint(uint) => uint.into(),
            Self::Float(float) => json_number(float)?.into(),
            Self::Str(text) if marked => mark::quoted(Rc::unwrap_or_clone(text)).into(),
            Self::Str(text) => Rc::unwrap_or_clone(text).into(),
            Self::Expression(text) => mark::plain(&text).into(),
            Self::Seq(items, _) => Value::Array(
                Rc::unwrap_or_clone(items)
                    .into_iter()
                    .map(|item| item.into_json(marked))
                    .collect::<Option<_>>()?,
            ),
            Self::Map(entries, _) => {
                let mut fields = Map::new();
                for (key, value) in Rc::unwrap_or_clone(entries) {
                    fields.insert(key.into_text(), value.into_json(marked)?);
                }
                Value::Object(fields)
            }
        })
    }
}

impl Key {
    pub(super) fn new(node: &Node) -> Result<Self, Kind> {
        match node {
            Node::Bool(bool) => Ok(Self::Bool(*bool)),
            Node::Int(int) => Ok(Self::Int(*int)),
            // Not-a-number does not equal itself: for Go, each such key is another.
            Node::Float(float) if !float.is_nan() => Ok(Self::Float(float.to_bits())),
            Node::Str(text) | Node::Expression(text) => Ok(Self::Str(Rc::clone(text))),
            Node::Float(_) | Node::Null | Node::Uint(_) | Node::Seq(..) | Node::Map(..) => {
                Err(Kind::InvalidKey)
            }
        }
    }

    /// The key that JSON gets, which has no other than texts.
    fn into_text(self) -> String {
        match self {
            Self::Bool(bool) => bool.to_string(),
            Self::Int(int) => int.to_string(),
            Self::Float(bits) => key_text(f64::from_bits(bits)),
            Self::Str(text) => Rc::unwrap_or_clone(text),
        }
    }
}

/// Whether two keys become one in JSON. Go then keeps either of the two values, by chance.
pub(super) fn is_ambiguous(entries: &Mapping) -> bool {
    // Strings come last in the order of keys, and almost always alone.
    let mut seen = std::collections::BTreeSet::new();
    for key in entries.keys().take_while(|key| !matches!(key, Key::Str(_))) {
        let text = key.clone().into_text();
        if entries.contains_key(&Key::Str(Rc::new(text.clone()))) || !seen.insert(text) {
            return true;
        }
    }
    false
}
