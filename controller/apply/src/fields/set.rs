//! Sets of fields, as `fieldsV1` holds them.

use super::path::{FieldPath, MAX_DEPTH, MAX_PATHS};
use super::step::Step;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;

/// The fields of one manager. The empty tree is the default.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct FieldTree(pub(super) Node);

/// A `fieldsV1` that is deeper than [`MAX_DEPTH`], or has more than [`MAX_PATHS`] entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("managedFields are deeper than {MAX_DEPTH} levels, or have more than {MAX_PATHS} entries")]
pub struct TooLarge;

#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Node {
    /// Whether the field itself is in the set. Of a list item it says who put the item there.
    pub(super) member: bool,
    pub(super) children: BTreeMap<Step, Node>,
}

impl FieldTree {
    /// Reads a `fieldsV1`. Keys that are not understood are left out, as the API server does.
    ///
    /// # Errors
    /// [`TooLarge`], rather than a part of it: what is missing from a part would count as lost.
    pub fn parse(fields_v1: &Value) -> Result<Self, TooLarge> {
        let mut left = MAX_PATHS;
        let mut root = Node::parse(fields_v1, 0, &mut left)?;
        root.member = false;
        Ok(Self(root))
    }

    /// The set as `fieldsV1`.
    #[must_use]
    pub fn to_fields_v1(&self) -> Value {
        self.0.to_value()
    }

    /// Whether nothing is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.children.is_empty()
    }

    /// The paths with nothing below them. Atomic lists and maps are one path each.
    #[must_use]
    pub fn leaves(&self) -> Vec<FieldPath> {
        let mut out = Vec::new();
        self.0.leaves(&mut Vec::new(), &mut out);
        out
    }

    /// Whether the field is in the set: itself, or as part of something atomic.
    #[must_use]
    pub fn contains(&self, path: &FieldPath) -> bool {
        let mut node = &self.0;
        for step in &path.0 {
            match node.children.get(step) {
                Some(child) if child.is_leaf() => return true,
                Some(child) => node = child,
                None => return false,
            }
        }
        node.member
    }

    /// Whether the field, or anything below it, is in the set.
    #[must_use]
    pub fn touches(&self, path: &FieldPath) -> bool {
        self.contains(path) || self.node(path).is_some_and(|node| !node.children.is_empty())
    }

    /// What is in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.add(other);
        both
    }

    /// Adds what is in the other set.
    pub fn add(&mut self, other: &Self) {
        self.0.join(&other.0);
    }

    /// What is in this set and not in the other, path by path.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        Self(self.0.minus(&other.0))
    }

    /// The node at exactly this path.
    pub(super) fn node(&self, path: &FieldPath) -> Option<&Node> {
        path.0
            .iter()
            .try_fold(&self.0, |node, step| node.children.get(step))
    }
}

impl Node {
    pub(super) fn is_leaf(&self) -> bool {
        self.children.is_empty()
    }

    /// Whether nothing is here and nothing below.
    fn is_void(&self) -> bool {
        !self.member && self.children.is_empty()
    }

    fn parse(fields: &Value, depth: usize, left: &mut usize) -> Result<Self, TooLarge> {
        let mut node = Self::default();
        for (key, below) in fields.as_object().into_iter().flatten() {
            if key == "." {
                node.member = true;
                continue;
            }
            if depth == MAX_DEPTH || *left == 0 {
                return Err(TooLarge);
            }
            *left -= 1;
            let Some(step) = Step::parse(key) else {
                continue;
            };
            let child = Self::parse(below, depth + 1, left)?;
            // Two spellings of one key, such as 80 and 80.0, are one step.
            node.children.entry(step).or_default().join(&child);
        }
        node.member |= node.children.is_empty();
        Ok(node)
    }

    fn to_value(&self) -> Value {
        let mut map = Map::new();
        if self.member && !self.children.is_empty() {
            map.insert(".".to_owned(), Value::Object(Map::new()));
        }
        for (step, child) in &self.children {
            map.insert(step.to_key(), child.to_value());
        }
        Value::Object(map)
    }

    fn leaves(&self, path: &mut Vec<Step>, out: &mut Vec<FieldPath>) {
        for (step, child) in &self.children {
            path.push(step.clone());
            if child.is_leaf() {
                out.push(FieldPath(path.clone()));
            } else {
                child.leaves(path, out);
            }
            path.pop();
        }
    }

    fn join(&mut self, other: &Self) {
        self.member |= other.member;
        for (step, child) in &other.children {
            match self.children.get_mut(step) {
                Some(known) => known.join(child),
                None => {
                    self.children.insert(step.clone(), child.clone());
                }
            }
        }
    }

    fn minus(&self, other: &Self) -> Self {
        let left = |(step, child): (&Step, &Self)| {
            let rest = match other.children.get(step) {
                Some(taken) => child.minus(taken),
                None => child.clone(),
            };
            (!rest.is_void()).then(|| (step.clone(), rest))
        };
        Self {
            member: self.member && !other.member,
            children: self.children.iter().filter_map(left).collect(),
        }
    }
}

/// The number of paths only.
impl fmt::Debug for FieldTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FieldTree({} paths)", self.leaves().len())
    }
}

#[cfg(test)]
pub(super) mod tests;
