//! Choosing among values: `and`, `or`, `not`, `default`, `coalesce`, `empty`, `ternary`.

use super::{Arguments, Checked, Function};
use crate::template::ast::Literal;
use crate::template::ty::Ty;
use crate::template::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "and",
        check: first_or_last,
        eval: |values| pick(values, |value| !value.is_true()),
    },
    Function {
        name: "or",
        check: first_or_last,
        eval: |values| pick(values, Value::is_true),
    },
    Function {
        name: "not",
        check: |arguments| arguments.count(1).map(|()| Ty::Bool),
        eval: |values| Value::Bool(!is_true(values.first())),
    },
    Function {
        name: "empty",
        check: |arguments| arguments.count(1).map(|()| Ty::Bool),
        eval: |values| Value::Bool(!is_true(values.first())),
    },
    Function {
        name: "default",
        check: |arguments| {
            let fallback = arguments.value(0)?;
            Ok(match arguments.types.get(1).map(Ty::without_nil) {
                None | Some(Ty::Nil) => fallback.clone(),
                Some(given) => given.or(fallback),
            })
        },
        eval: |values| {
            let given = values.get(1).filter(|given| given.is_true());
            given.or(values.first()).cloned().unwrap_or(Value::Nil)
        },
    },
    Function {
        name: "coalesce",
        check: coalesce,
        eval: |values| {
            values
                .iter()
                .find(|value| value.is_true())
                .cloned()
                .unwrap_or(Value::Nil)
        },
    },
    Function {
        name: "ternary",
        check: |arguments| {
            arguments.count(3)?;
            match arguments.value(2)? {
                Ty::Bool => Ok(arguments.value(0)?.or(arguments.value(1)?)),
                _ => Err(arguments.wrong()),
            }
        },
        eval: |values| {
            let chosen = usize::from(!is_true(values.get(2)));
            values.get(chosen).cloned().unwrap_or(Value::Nil)
        },
    },
];

fn is_true(value: Option<&Value<'_>>) -> bool {
    value.is_some_and(Value::is_true)
}

/// One of the arguments. What is nothing is never true, so of `or` it can only be the last.
fn first_or_last(arguments: &Arguments<'_>) -> Checked {
    let (last, others) = arguments.types.split_last().ok_or_else(|| arguments.wrong())?;
    if arguments.name == "and" {
        return Ok(others.iter().rev().fold(last.clone(), |rest, ty| match ty {
            Ty::Nil => Ty::Nil,
            ty => ty.or(&rest),
        }));
    }
    let true_ones = others.iter().map(Ty::without_nil).filter(|ty| *ty != Ty::Nil);
    Ok(true_ones.fold(last.clone(), |ty, other| ty.or(&other)))
}

fn pick<'a>(values: &[Value<'a>], stops: impl Fn(&Value<'a>) -> bool) -> Value<'a> {
    let found = values.iter().find(|value| stops(value));
    found.or(values.last()).cloned().unwrap_or(Value::Nil)
}

/// Nothing, if all are empty; so whoever wants a text ends it with a constant.
fn coalesce(arguments: &Arguments<'_>) -> Checked {
    arguments.at_least(1)?;
    let mut ty = Ty::Nil;
    for other in arguments
        .types
        .iter()
        .map(Ty::without_nil)
        .filter(|ty| *ty != Ty::Nil)
    {
        ty = if ty == Ty::Nil { other } else { ty.or(&other) };
    }
    let never_empty = match arguments.written.last() {
        Some(Some(Literal::Text(text))) => !text.is_empty(),
        Some(Some(Literal::Int(number))) => *number != 0,
        Some(Some(Literal::Bool(bool))) => *bool,
        _ => false,
    };
    Ok(if never_empty { ty } else { ty.or(&Ty::Nil) })
}
