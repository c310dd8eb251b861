//! Numbers: `len`, `atoi`, `add`, `add1`, `sub`, `mul`.

use super::{Arguments, Checked, Function};
use crate::template::ty::Ty;
use crate::template::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "len",
        check: |arguments| {
            arguments.count(1)?;
            match arguments.value(0)? {
                Ty::Text(_) | Ty::List(_) | Ty::Map(_) => Ok(Ty::Int),
                _ => Err(arguments.wrong()),
            }
        },
        eval: |values| {
            let len = values.first().map_or(0, |value| match value {
                Value::Map(fields) => fields.len(),
                Value::List(items) => items.len(),
                value => value.text().len(),
            });
            Value::Int(i64::try_from(len).unwrap_or(i64::MAX))
        },
    },
    Function {
        name: "atoi",
        check: |arguments| {
            arguments.count(1)?;
            arguments.text(0).map(|_| Ty::Int)
        },
        eval: |values| Value::Int(values.first().map_or(0, |value| atoi(value.text()))),
    },
    Function {
        name: "add",
        check: |arguments| ints(arguments, 0),
        eval: |values| Value::Int(values.iter().fold(0, |sum, value| sum.wrapping_add(value.int()))),
    },
    Function {
        name: "add1",
        check: |arguments| {
            arguments.count(1)?;
            ints(arguments, 1)
        },
        eval: |values| Value::Int(values.first().map_or(0, Value::int).wrapping_add(1)),
    },
    Function {
        name: "sub",
        check: |arguments| {
            arguments.count(2)?;
            ints(arguments, 2)
        },
        eval: |values| match values {
            [a, b] => Value::Int(a.int().wrapping_sub(b.int())),
            _ => Value::Int(0),
        },
    },
    Function {
        name: "mul",
        check: |arguments| ints(arguments, 1),
        eval: |values| {
            Value::Int(
                values
                    .iter()
                    .fold(1, |product, value| product.wrapping_mul(value.int())),
            )
        },
    },
];

fn ints(arguments: &Arguments<'_>, least: usize) -> Checked {
    arguments.at_least(least)?;
    for index in 0..arguments.types.len() {
        arguments.int(index)?;
    }
    Ok(Ty::Int)
}

/// Go's `strconv.Atoi` without its error: 0 for what is no number, the nearest number for what is too large.
fn atoi(text: &[u8]) -> i64 {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return 0;
    }
    let step = |number: i64, digit: &u8| {
        let digit = i64::from(digit - b'0');
        number
            .saturating_mul(10)
            .saturating_add(if negative { -digit } else { digit })
    };
    digits.iter().fold(0, step)
}
