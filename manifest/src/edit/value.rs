//! What a change means for the value that a document says.

use serde_json::{Map, Value, map};

use super::EditProblem as Problem;
use crate::draft::Step;

/// The part of a path that is there, and its new value: what is missing, null or empty on the way becomes mappings.
pub(super) fn deepest<'s>(mut value: &Value, steps: &'s [Step], new: &Value) -> (&'s [Step], Value) {
    for (index, step) in steps.iter().enumerate().take(steps.len().saturating_sub(1)) {
        let next = match step {
            Step::Key(key) => value.get(key),
            Step::Index(index) => value.get(index),
        };
        match next {
            Some(next) if !is_nothing(next) => value = next,
            _ if steps[index + 1..].iter().all(|step| matches!(step, Step::Key(_))) => {
                let nested = steps[index + 1..].iter().rev().fold(new.clone(), |inner, step| {
                    let mut outer = Map::new();
                    if let Step::Key(key) = step {
                        outer.insert(key.clone(), inner);
                    }
                    Value::Object(outer)
                });
                return (&steps[..=index], nested);
            }
            _ => break,
        }
    }
    (steps, new.clone())
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(Map::is_empty)
}

pub(super) fn set(value: &mut Value, steps: &[Step], new: Value) -> Result<(), Problem> {
    let (last, before) = steps.split_last().ok_or(Problem::NotAMapping)?;
    match (walk(value, before)?, last) {
        (Value::Object(fields), Step::Key(key)) => drop(fields.insert(key.clone(), new)),
        (Value::Array(items), Step::Index(index)) => {
            *items.get_mut(*index).ok_or(Problem::NoEntry)? = new;
        }
        _ => return Err(Problem::NotAMapping),
    }
    Ok(())
}

pub(super) fn remove(value: &mut Value, steps: &[Step]) -> Result<(), Problem> {
    entry(value, steps, |fields, key| fields.remove(key).map(drop))
}

pub(super) fn rename(value: &mut Value, steps: &[Step], new: &str) -> Result<(), Problem> {
    let mut taken = false;
    let renamed = entry(value, steps, |fields, key| {
        let value = fields.remove(key)?;
        match fields.entry(new) {
            map::Entry::Occupied(_) => taken = true,
            map::Entry::Vacant(free) => drop(free.insert(value)),
        }
        Some(())
    });
    if taken { Err(Problem::KeyTaken) } else { renamed }
}

fn entry(
    value: &mut Value,
    steps: &[Step],
    change: impl FnOnce(&mut Map<String, Value>, &str) -> Option<()>,
) -> Result<(), Problem> {
    let (last, before) = steps.split_last().ok_or(Problem::NotAMapping)?;
    match (walk(value, before)?, last) {
        (Value::Object(fields), Step::Key(key)) => change(fields, key).ok_or(Problem::NoEntry),
        _ => Err(Problem::NotAMapping),
    }
}

fn walk<'v>(mut value: &'v mut Value, steps: &[Step]) -> Result<&'v mut Value, Problem> {
    for step in steps {
        value = match (value, step) {
            (Value::Object(fields), Step::Key(key)) => fields.get_mut(key),
            (Value::Array(items), Step::Index(index)) => items.get_mut(*index),
            _ => return Err(Problem::NotAMapping),
        }
        .ok_or(Problem::NoEntry)?;
    }
    Ok(value)
}
