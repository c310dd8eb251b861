//! Reading fields of untyped JSON, with every problem collected and every path named.
//!
//! A null is an absent field everywhere: the API server prunes nulls before Bitnami's controller sees them.

use super::{ParseError, ParseProblem};
use crate::path::join;
use serde_json::{Map, Value};

/// Collects what is wrong.
#[derive(Default)]
pub(super) struct Problems(pub(super) Vec<ParseError>);

impl Problems {
    pub(super) fn add(&mut self, path: impl Into<String>, problem: ParseProblem) {
        self.0.push(ParseError {
            path: path.into(),
            problem,
        });
    }

    fn wrong_type(&mut self, path: &str, expected: &'static str, value: &Value) {
        self.add(
            path,
            ParseProblem::WrongType {
                expected,
                found: type_name(value),
            },
        );
    }
}

/// A JSON object, the path to it, and the place for what is wrong in it.
pub(super) struct Fields<'a> {
    path: String,
    map: Option<&'a Map<String, Value>>,
}

impl<'a> Fields<'a> {
    pub(super) fn root(value: &'a Value, problems: &mut Problems) -> Self {
        Self::of(String::new(), Some(value), problems)
    }

    fn of(path: String, value: Option<&'a Value>, problems: &mut Problems) -> Self {
        let map = match value {
            Some(Value::Object(map)) => Some(map),
            None => None,
            Some(other) => {
                problems.wrong_type(
                    if path.is_empty() { "the document" } else { &path },
                    "an object",
                    other,
                );
                None
            }
        };
        Self { path, map }
    }

    /// The path to the object itself.
    pub(super) fn path_here(&self) -> &str {
        &self.path
    }

    pub(super) fn path(&self, name: &str) -> String {
        join(&self.path, name)
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.map?.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn is_present(&self) -> bool {
        self.map.is_some()
    }

    pub(super) fn object(&self, name: &str, problems: &mut Problems) -> Self {
        Self::of(self.path(name), self.get(name), problems)
    }

    pub(super) fn string(&self, name: &str, problems: &mut Problems) -> Option<&'a str> {
        let value = self.get(name)?;
        if value.as_str().is_none() {
            problems.wrong_type(&self.path(name), "a string", value);
        }
        value.as_str()
    }

    pub(super) fn bool(&self, name: &str, problems: &mut Problems) -> Option<bool> {
        let value = self.get(name)?;
        if value.as_bool().is_none() {
            problems.wrong_type(&self.path(name), "true or false", value);
        }
        value.as_bool()
    }

    /// Every entry, nulls among them, that is a string or null.
    pub(super) fn strings(&self, problems: &mut Problems) -> Vec<(&'a str, Option<&'a str>)> {
        let mut found = Vec::new();
        for (key, value) in self.map.into_iter().flatten() {
            match value {
                Value::String(text) => found.push((key.as_str(), Some(text.as_str()))),
                Value::Null => found.push((key.as_str(), None)),
                other => problems.wrong_type(&self.path(key), "a string", other),
            }
        }
        found
    }

    /// Paths of the fields that are not among the known ones.
    pub(super) fn others(&self, known: &[&str]) -> Vec<String> {
        let keys = self.map.into_iter().flat_map(Map::keys);
        keys.filter(|key| !known.contains(&key.as_str()))
            .map(|key| self.path(key))
            .collect()
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
