//! Comparing: `eq`, `ne`, `lt`, `le`, `gt`, `ge`, and the questions about texts.

use super::text::places;
use super::{Arguments, Checked, Function};
use crate::template::ty::Ty;
use crate::template::value::Value;
use std::cmp::Ordering;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "eq",
        check: |arguments| {
            arguments.at_least(2)?;
            alike(arguments)
        },
        eval: |values| {
            Value::Bool(
                values
                    .iter()
                    .skip(1)
                    .any(|value| order(&values[..1], value) == Some(Ordering::Equal)),
            )
        },
    },
    Function {
        name: "ne",
        check: |arguments| {
            arguments.count(2)?;
            alike(arguments)
        },
        eval: |values| compare(values, Ordering::is_ne),
    },
    Function {
        name: "lt",
        check: ordered,
        eval: |values| compare(values, Ordering::is_lt),
    },
    Function {
        name: "le",
        check: ordered,
        eval: |values| compare(values, Ordering::is_le),
    },
    Function {
        name: "gt",
        check: ordered,
        eval: |values| compare(values, Ordering::is_gt),
    },
    Function {
        name: "ge",
        check: ordered,
        eval: |values| compare(values, Ordering::is_ge),
    },
    Function {
        name: "contains",
        check: two_texts,
        eval: |values| {
            about(values, |part, whole| {
                part.is_empty() || places(whole, part).next().is_some()
            })
        },
    },
    Function {
        name: "hasPrefix",
        check: two_texts,
        eval: |values| about(values, |part, whole| whole.starts_with(part)),
    },
    Function {
        name: "hasSuffix",
        check: two_texts,
        eval: |values| about(values, |part, whole| whole.ends_with(part)),
    },
];

/// All of one type, which Go would find out by failing.
fn alike(arguments: &Arguments<'_>) -> Checked {
    for index in 0..arguments.types.len() {
        let same = matches!(
            (arguments.value(0)?, arguments.value(index)?),
            (Ty::Text(_), Ty::Text(_)) | (Ty::Int, Ty::Int) | (Ty::Bool, Ty::Bool)
        );
        if !same {
            return Err(arguments.wrong());
        }
    }
    Ok(Ty::Bool)
}

fn ordered(arguments: &Arguments<'_>) -> Checked {
    arguments.count(2)?;
    match arguments.value(0)? {
        Ty::Bool => Err(arguments.wrong()),
        _ => alike(arguments),
    }
}

fn two_texts(arguments: &Arguments<'_>) -> Checked {
    arguments.count(2)?;
    arguments.text(0)?;
    arguments.text(1)?;
    Ok(Ty::Bool)
}

fn order(first: &[Value<'_>], other: &Value<'_>) -> Option<Ordering> {
    match (first.first()?, other) {
        (Value::Text(a), Value::Text(b)) => Some(a.bytes().cmp(b.bytes())),
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn compare<'a>(values: &[Value<'_>], holds: fn(Ordering) -> bool) -> Value<'a> {
    let order = values.get(1).and_then(|other| order(values, other));
    Value::Bool(order.is_some_and(holds))
}

fn about<'a>(values: &[Value<'_>], holds: fn(&[u8], &[u8]) -> bool) -> Value<'a> {
    match values {
        [part, whole] => Value::Bool(holds(part.text(), whole.text())),
        _ => Value::Bool(false),
    }
}
