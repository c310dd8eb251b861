//! What a template computes with, once values are there.

use super::buffer::Buffer;
use std::collections::BTreeMap;
use std::rc::Rc;
use zeroize::Zeroizing;

#[derive(Clone)]
pub(super) enum Value<'a> {
    Nil,
    Bool(bool),
    Int(i64),
    Text(Text<'a>),
    List(Rc<Vec<Value<'a>>>),
    Map(Rc<BTreeMap<String, Value<'a>>>),
}

/// Bytes of the template or of a value, or made of such.
#[derive(Clone)]
pub(super) enum Text<'a> {
    Borrowed(&'a [u8]),
    Made(Rc<Zeroizing<Vec<u8>>>),
}

impl Text<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Made(bytes) => bytes,
        }
    }
}

impl<'a> Value<'a> {
    pub(super) fn made(buffer: Buffer) -> Self {
        Self::Text(Text::Made(Rc::new(buffer.finish())))
    }

    /// A part of this text.
    pub(super) fn part(&self, cut: impl FnOnce(&[u8]) -> &[u8]) -> Self {
        // The length and place of a part, so that a part of what is borrowed is borrowed too.
        let whole = self.text();
        let part = cut(whole);
        match self {
            Self::Text(Text::Borrowed(bytes)) => {
                let start = part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr());
                let end = start.wrapping_add(part.len());
                Self::Text(Text::Borrowed(bytes.get(start..end).unwrap_or_default()))
            }
            _ => Self::copy(part),
        }
    }

    pub(super) fn copy(bytes: &[u8]) -> Self {
        let mut buffer = Buffer::with_capacity(bytes.len());
        buffer.extend(bytes);
        Self::made(buffer)
    }

    /// The bytes of a text. What the check let through is one where a text is wanted.
    pub(super) fn text(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.bytes(),
            _ => b"",
        }
    }

    pub(super) fn int(&self) -> i64 {
        match self {
            Self::Int(number) => *number,
            _ => 0,
        }
    }

    pub(super) fn items(&self) -> &[Value<'a>] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    pub(super) fn field(&self, name: &str) -> Self {
        match self {
            Self::Map(fields) => fields.get(name).cloned().unwrap_or(Self::Nil),
            _ => Self::Nil,
        }
    }

    /// What `if` asks: text/template's `IsTrue`, which is also the opposite of sprig's `empty`.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(bool) => *bool,
            Self::Int(number) => *number != 0,
            Self::Text(text) => !text.bytes().is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Map(fields) => !fields.is_empty(),
        }
    }

    /// As an action prints it.
    pub(super) fn print(&self, out: &mut Buffer) {
        match self {
            Self::Nil => out.extend(b"<no value>"),
            other => other.format(out),
        }
    }

    /// As `%v` formats it.
    pub(super) fn format(&self, out: &mut Buffer) {
        match self {
            Self::Nil => out.extend(b"<nil>"),
            Self::Bool(bool) => out.extend(if *bool { b"true" } else { b"false" }),
            Self::Int(number) => out.extend(number.to_string().as_bytes()),
            Self::Text(text) => out.extend(text.bytes()),
            Self::List(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b' ');
                    }
                    item.format(out);
                }
                out.push(b']');
            }
            Self::Map(fields) => {
                out.extend(b"map[");
                for (index, (key, value)) in fields.iter().enumerate() {
                    if index > 0 {
                        out.push(b' ');
                    }
                    out.extend(key.as_bytes());
                    out.push(b':');
                    value.format(out);
                }
                out.push(b']');
            }
        }
    }
}
