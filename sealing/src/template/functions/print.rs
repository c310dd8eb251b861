//! `print`, `println`, `toString`, `cat`.

use super::{Arguments, Checked, Function, made};
use crate::template::ty::Ty;
use crate::template::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "print",
        check,
        eval: |values| {
            made(|out| {
                for (index, value) in values.iter().enumerate() {
                    // A space between two operands of which neither is a text.
                    let texts = |index: usize| matches!(values.get(index), Some(Value::Text(_)));
                    if index > 0 && !texts(index - 1) && !texts(index) {
                        out.push(b' ');
                    }
                    value.format(out);
                }
            })
        },
    },
    Function {
        name: "println",
        check,
        eval: |values| {
            made(|out| {
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        out.push(b' ');
                    }
                    value.format(out);
                }
                out.push(b'\n');
            })
        },
    },
    Function {
        name: "toString",
        check: |arguments| {
            arguments.count(1)?;
            Ok(Ty::Text(arguments.value(0)?.printed()))
        },
        eval: |values| match values {
            [text @ Value::Text(_)] => text.clone(),
            [other] => made(|out| other.format(out)),
            _ => Value::Nil,
        },
    },
    Function {
        name: "cat",
        check,
        eval: |values| {
            made(|out| {
                for (index, value) in values
                    .iter()
                    .filter(|value| !matches!(value, Value::Nil))
                    .enumerate()
                {
                    if index > 0 {
                        out.push(b' ');
                    }
                    value.format(out);
                }
            })
        },
    },
];

fn check(arguments: &Arguments<'_>) -> Checked {
    let mut most: usize = 1;
    for index in 0..arguments.types.len() {
        most = most
            .saturating_add(arguments.value(index)?.printed())
            .saturating_add(1);
    }
    Ok(Ty::Text(most))
}
