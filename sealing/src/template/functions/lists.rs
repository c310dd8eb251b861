//! Lists and maps: `list`, `dict`, `index`, `splitList`, `join`, `first`, `last`, `has`, `sortAlpha`.

use super::text::{LOOK_UP, places};
use super::{Arguments, Checked, Function, made};
use crate::template::ast::Literal;
use crate::template::check::field;
use crate::template::error::TemplateProblem;
use crate::template::ty::{List, Ty, times};
use crate::template::value::Value;
use std::collections::BTreeMap;
use std::rc::Rc;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "list",
        check: |arguments| {
            let mut item = Ty::Nil;
            for index in 0..arguments.types.len() {
                let other = arguments.value(index)?;
                item = if index == 0 { other.clone() } else { item.or(other) };
            }
            let count = arguments.types.len();
            Ok(Ty::list(count, count > 0, item))
        },
        eval: |values| Value::List(Rc::new(values.to_vec())),
    },
    Function {
        name: "dict",
        check: dict,
        eval: |values| {
            let entries = values.chunks_exact(2).filter_map(|entry| {
                let key = std::str::from_utf8(entry.first()?.text()).ok()?;
                Some((key.to_owned(), entry.get(1)?.clone()))
            });
            Value::Map(Rc::new(entries.collect()))
        },
    },
    Function {
        name: "index",
        check: |arguments| {
            arguments.count(2)?;
            let key = key(arguments, 1)?;
            match arguments.value(0)? {
                of @ Ty::Map(_) => field(of, &key),
                _ => Err(arguments.wrong()),
            }
        },
        eval: |values| match values {
            [of, key] => of.field(std::str::from_utf8(key.text()).unwrap_or_default()),
            _ => Value::Nil,
        },
    },
    Function {
        name: "splitList",
        check: |arguments| {
            arguments.count(2)?;
            let separator = arguments.written_text(0)?.len();
            let most = arguments.text(1)?;
            let parts = most.checked_div(separator).ok_or_else(|| arguments.wrong())?;
            Ok(Ty::list(parts.saturating_add(1), true, Ty::Text(most)))
        },
        eval: |values| match values {
            [separator, whole] => Value::List(Rc::new(split(separator.text(), whole))),
            _ => Value::Nil,
        },
    },
    Function {
        name: "join",
        check: |arguments| {
            arguments.count(2)?;
            let separator = arguments.text(0)?;
            let list = arguments.list(1)?;
            let item = list.item.printed().saturating_add(separator);
            Ok(Ty::Text(times(list.most, item)))
        },
        eval: |values| {
            made(|out| {
                if let [separator, list] = values {
                    let items = list.items().iter().filter(|item| !matches!(item, Value::Nil));
                    for (index, item) in items.enumerate() {
                        if index > 0 {
                            out.extend(separator.text());
                        }
                        item.format(out);
                    }
                }
            })
        },
    },
    Function {
        name: "first",
        check: end,
        eval: |values| {
            values
                .first()
                .and_then(|list| list.items().first())
                .cloned()
                .unwrap_or(Value::Nil)
        },
    },
    Function {
        name: "last",
        check: end,
        eval: |values| {
            values
                .first()
                .and_then(|list| list.items().last())
                .cloned()
                .unwrap_or(Value::Nil)
        },
    },
    Function {
        name: "has",
        check: |arguments| {
            arguments.count(2)?;
            match (arguments.value(0)?, &arguments.list(1)?.item) {
                (Ty::Text(_), Ty::Text(_)) => Ok(Ty::Bool),
                _ => Err(arguments.wrong()),
            }
        },
        eval: |values| match values {
            [one, list] => Value::Bool(list.items().iter().any(|item| item.text() == one.text())),
            _ => Value::Bool(false),
        },
    },
    Function {
        name: "sortAlpha",
        check: |arguments| {
            arguments.count(1)?;
            match arguments.list(0)? {
                list @ List {
                    item: Ty::Text(_), ..
                } => {
                    arguments.charge(times(arguments.value(0)?.printed(), LOOK_UP));
                    Ok(Ty::List(Rc::new(list.clone())))
                }
                _ => Err(arguments.wrong()),
            }
        },
        eval: |values| {
            let mut items = values
                .first()
                .map(|list| list.items().to_vec())
                .unwrap_or_default();
            items.sort_by(|a, b| a.text().cmp(b.text()));
            Value::List(Rc::new(items))
        },
    },
];

/// A key that is a constant of text.
fn key(arguments: &Arguments<'_>, index: usize) -> Result<String, TemplateProblem> {
    match arguments.written.get(index) {
        Some(Some(Literal::Text(text))) => String::from_utf8(text.clone()).map_err(|_| arguments.wrong()),
        _ => Err(TemplateProblem::NotWritten(arguments.name)),
    }
}

fn dict(arguments: &Arguments<'_>) -> Checked {
    if !arguments.types.len().is_multiple_of(2) {
        return Err(arguments.wrong());
    }
    let mut fields = BTreeMap::new();
    for index in (0..arguments.types.len()).step_by(2) {
        fields.insert(key(arguments, index)?, arguments.value(index + 1)?.clone());
    }
    Ok(Ty::Map(Rc::new(fields)))
}

/// The first or the last item, which is nothing if there is none.
fn end(arguments: &Arguments<'_>) -> Checked {
    arguments.count(1)?;
    let list = arguments.list(0)?;
    Ok(if list.some {
        list.item.clone()
    } else {
        list.item.or(&Ty::Nil)
    })
}

fn split<'a>(separator: &[u8], whole: &Value<'a>) -> Vec<Value<'a>> {
    let mut parts = Vec::new();
    let mut start = 0;
    let bytes = whole.text();
    for at in places(bytes, separator) {
        parts.push(whole.part(|bytes| &bytes[start..at]));
        start = at + separator.len();
    }
    parts.push(whole.part(|bytes| &bytes[start..]));
    parts
}
