//! Paths of fields: as `managedFields` hold them, and as the API server writes them in conflicts.

use super::go;
use super::step::Step;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// The deepest path that is read, in steps.
pub const MAX_DEPTH: usize = 64;
/// The most paths that are read of one manager, or returned of one object.
pub const MAX_PATHS: usize = 10_000;

/// How much of a list key is shown, in bytes.
const SHOWN_KEY: usize = 64;
/// How much of a name is shown, in bytes: an annotation's key has at most 253 + 1 + 63.
const SHOWN_NAME: usize = 320;
/// How many names are tried before a text is given up.
const MAX_TRIES: usize = 10_000;

/// Where a field is in an object, from the root. An empty path is the object itself.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldPath(pub Vec<Step>);

impl FieldPath {
    /// A path of field names only.
    #[must_use]
    pub fn of_names(names: &[&str]) -> Self {
        Self(names.iter().map(|name| Step::Field((*name).to_owned())).collect())
    }

    /// Finds what a conflict of the API server names, such as `.spec.template.spec.containers[name="app"].image`.
    ///
    /// Names are written as they are, dots and all, so only the object tells where one ends: of all names that fit, the
    /// longest that leads to the end of the text. None where the object has no such field.
    #[must_use]
    pub fn resolve(text: &str, object: &Value) -> Option<Self> {
        let mut path = Vec::new();
        let mut tries = MAX_TRIES;
        (!text.is_empty() && walk(text, object, &mut path, &mut tries)).then_some(Self(path))
    }

    /// This path and one step more.
    #[must_use]
    pub fn child(&self, step: Step) -> Self {
        let mut steps = Vec::with_capacity(self.0.len() + 1);
        steps.extend_from_slice(&self.0);
        steps.push(step);
        Self(steps)
    }

    /// Whether the path starts with these names, or is them.
    #[must_use]
    pub fn is_under(&self, names: &[&str]) -> bool {
        let is = |(step, name): (&Step, &&str)| matches!(step, Step::Field(own) if own == name);
        self.0.len() >= names.len() && self.0.iter().zip(names).all(is)
    }

    /// Whether set elements on this path may be shown. They are values, and only of finalizers is it known what they are:
    /// names of controllers.
    fn shows_elements(&self) -> bool {
        self.is_under(&["metadata", "finalizers"])
    }
}

fn walk(text: &str, object: &Value, path: &mut Vec<Step>, tries: &mut usize) -> bool {
    if text.is_empty() {
        return true;
    }
    if path.len() >= MAX_DEPTH || *tries == 0 {
        return false;
    }
    *tries -= 1;
    if text.starts_with('[') {
        let Some((step, rest)) = bracket(text) else {
            return false;
        };
        let Some(child) = step.of(object) else {
            return false;
        };
        return descend(step, rest, child, path, tries);
    }
    let (Some(text), Value::Object(map)) = (text.strip_prefix('.'), object) else {
        return false;
    };
    // Every place where a name can end, the farthest first. A map look-up each, not a walk over the map.
    let ends = text
        .char_indices()
        .filter(|(_, c)| matches!(c, '.' | '['))
        .map(|(at, _)| at);
    let mut ends: Vec<_> = ends.collect();
    ends.push(text.len());
    for end in ends.into_iter().rev() {
        let (name, rest) = text.split_at(end);
        if *tries == 0 {
            return false;
        }
        *tries -= 1;
        if let Some(child) = map.get(name)
            && descend(Step::Field(name.to_owned()), rest, child, path, tries)
        {
            return true;
        }
    }
    false
}

fn descend(step: Step, rest: &str, child: &Value, path: &mut Vec<Step>, tries: &mut usize) -> bool {
    path.push(step);
    let found = walk(rest, child, path, tries);
    if !found {
        path.pop();
    }
    found
}

/// Reads `[name="app"]`, `[containerPort=80,protocol="TCP"]`, `[="value"]` or `[0]`, and what follows it.
fn bracket(text: &str) -> Option<(Step, &str)> {
    let text = text.strip_prefix('[')?;
    if let Some(text) = text.strip_prefix('=') {
        let (value, rest) = go::literal(text)?;
        return Some((Step::Value(value), rest.strip_prefix(']')?));
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        let (index, rest) = text.split_once(']')?;
        return Some((Step::Index(index.parse().ok()?), rest));
    }
    let mut keys = BTreeMap::new();
    let mut text = text;
    loop {
        let (name, rest) = text.split_once('=')?;
        let (value, rest) = go::literal(rest)?;
        keys.insert(name.to_owned(), value);
        if keys.len() > MAX_DEPTH {
            return None;
        }
        match rest.strip_prefix(',') {
            Some(more) => text = more,
            None => return Some((Step::Keys(keys), rest.strip_prefix(']')?)),
        }
    }
}

/// As the API server writes it, but: names and list keys are cut where they are long, control characters are replaced,
/// and set elements other than finalizers are not shown.
impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(".");
        }
        for step in &self.0 {
            match step {
                Step::Field(name) => write!(f, ".{}", go::bounded(name, SHOWN_NAME))?,
                Step::Keys(keys) => {
                    for (i, (name, value)) in keys.iter().enumerate() {
                        let before = if i == 0 { '[' } else { ',' };
                        let name = go::bounded(name, SHOWN_KEY);
                        write!(f, "{before}{name}={}", go::shown(value, SHOWN_KEY))?;
                    }
                    f.write_str("]")?;
                }
                Step::Value(value) if self.shows_elements() => {
                    write!(f, "[={}]", go::shown(value, SHOWN_KEY))?;
                }
                Step::Value(_) => f.write_str("[=…]")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// The same as Display: no value leaves through Debug either.
impl fmt::Debug for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests;
