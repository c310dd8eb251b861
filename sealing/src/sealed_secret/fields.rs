//! Reading fields of untyped JSON, with every problem collected and every path named.
//!
//! A null is an absent field everywhere: the API server prunes nulls before Bitnami's controller sees them.

use super::{ParseError, ParseProblem};
use crate::path::join;
use crate::seal_secret::{FIELDS, is_slip};
use crate::v2::Fault;
use serde_json::{Map, Value};

/// Collects what is wrong.
#[derive(Default)]
pub(crate) struct Problems(pub(crate) Vec<ParseError>);

impl Problems {
    pub(crate) fn add(&mut self, path: impl Into<String>, problem: ParseProblem) {
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
pub(crate) struct Fields<'a> {
    path: String,
    map: Option<&'a Map<String, Value>>,
}

impl<'a> Fields<'a> {
    pub(crate) fn root(value: &'a Value, problems: &mut Problems) -> Self {
        Self::of(String::new(), Some(value), problems)
    }

    pub(crate) fn of(path: String, value: Option<&'a Value>, problems: &mut Problems) -> Self {
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

    pub(crate) fn path(&self, name: &str) -> String {
        join(&self.path, name)
    }

    /// The path to the object itself.
    pub(crate) fn path_here(&self) -> &str {
        &self.path
    }

    /// How many fields there are.
    pub(crate) fn len(&self) -> usize {
        self.map.map_or(0, Map::len)
    }

    /// The object itself.
    pub(crate) fn map(&self) -> Option<&'a Map<String, Value>> {
        self.map
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.map?.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn is_present(&self) -> bool {
        self.map.is_some()
    }

    pub(crate) fn object(&self, name: &str, problems: &mut Problems) -> Self {
        Self::of(self.path(name), self.get(name), problems)
    }

    pub(crate) fn string(&self, name: &str, problems: &mut Problems) -> Option<&'a str> {
        let value = self.get(name)?;
        if value.as_str().is_none() {
            problems.wrong_type(&self.path(name), "a string", value);
        }
        value.as_str()
    }

    pub(crate) fn bool(&self, name: &str, problems: &mut Problems) -> Option<bool> {
        let value = self.get(name)?;
        if value.as_bool().is_none() {
            problems.wrong_type(&self.path(name), "true or false", value);
        }
        value.as_bool()
    }

    /// Every entry, nulls among them, that is a string or null.
    pub(crate) fn strings(&self, problems: &mut Problems) -> Vec<(&'a str, Option<&'a str>)> {
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

    /// The items of a list, with their paths; a list that is longer than `most` is a problem, and has none.
    pub(crate) fn list(&self, name: &str, most: usize, problems: &mut Problems) -> Vec<(String, &'a Value)> {
        let path = self.path(name);
        match self.get(name) {
            None => Vec::new(),
            Some(Value::Array(items)) if items.len() > most => {
                problems.add(path, Fault::TooMany(most).into());
                Vec::new()
            }
            Some(Value::Array(items)) => {
                let items = items.iter().enumerate();
                items.map(|(at, item)| (format!("{path}[{at}]"), item)).collect()
            }
            Some(other) => {
                problems.wrong_type(&path, "a list", other);
                Vec::new()
            }
        }
    }

    /// Refuses every field that is not among the known ones. Only what looks like a slip is named: where indentation is
    /// lost, a line of a value becomes the name of a field.
    pub(crate) fn only(&self, known: &[&str], problems: &mut Problems) {
        let fields = self.map.into_iter().flat_map(Map::keys);
        for field in fields.filter(|field| !known.contains(&field.as_str())) {
            let path = if known.iter().any(|name| is_slip(field, name)) {
                self.path(field)
            } else {
                self.path("(a field)")
            };
            problems.add(path, Fault::UnknownField.into());
        }
    }

    /// Paths of the fields that are not among the known ones, each once. Only what looks like a slip is named, or is a field
    /// of a Secret: see [`Fields::only`].
    pub(crate) fn others(&self, known: &[&str]) -> Vec<String> {
        let keys = self.map.into_iter().flat_map(Map::keys);
        let named = |key: &str| known.iter().chain(&FIELDS).any(|name| is_slip(key, name));
        let mut paths: Vec<_> = keys
            .filter(|key| !known.contains(&key.as_str()))
            .map(|key| self.path(if named(key) { key } else { "(a field)" }))
            .collect();
        paths.sort();
        paths.dedup();
        paths
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
