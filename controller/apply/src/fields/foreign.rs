//! Fields that others added to an object: they are no drift, but they are not in Git either.

use super::owner::{self, subresource};
use super::path::{FieldPath, MAX_PATHS};
use super::set::{FieldTree, Node};
use super::step::Step;
use super::strip::get;
use crate::applyset::MANAGER_PREFIX;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// How many fields are named of one manager.
const NAMED: usize = 20;

/// What one manager added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// The field manager, as it calls itself.
    pub manager: String,
    /// Its fields, at most 20. An item of a list that is wholly its own is one path.
    pub fields: Vec<FieldPath>,
    /// How many more it has; 10,000 where its entry exceeds the bounds of [`FieldTree::parse`].
    pub more: usize,
}

/// The fields of managers that are not `ours`, no other Sync's and not trusted, as far as none of those owns them as well.
/// Status is left out. Sorted by manager.
///
/// To be asked after an apply: a field of Git that somebody took is drift, and looks foreign until it is repaired.
#[must_use]
pub fn foreign(entries: &[ManagedFieldsEntry], ours: &str, trusted: &dyn Fn(&str) -> bool) -> Vec<Foreign> {
    let known = |entry: &&ManagedFieldsEntry| {
        let manager = entry.manager.as_deref().unwrap_or_default();
        manager == ours || manager.starts_with(MANAGER_PREFIX) || trusted(manager)
    };
    let mut kept = FieldTree::default();
    for tree in entries
        .iter()
        .filter(known)
        .filter_map(|entry| owner::tree(entry).ok())
    {
        kept.add(&tree);
    }
    let mut all: BTreeMap<String, Foreign> = BTreeMap::new();
    for entry in entries
        .iter()
        .filter(|entry| !known(entry) && subresource(entry) != Some("status"))
    {
        let mut found = Vec::new();
        let beyond = match owner::tree(entry) {
            Ok(tree) => {
                added(&tree.0, Some(&kept.0), &mut Vec::new(), &mut found);
                0
            }
            Err(_) => MAX_PATHS,
        };
        if found.is_empty() && beyond == 0 {
            continue;
        }
        let manager = owner::name(entry);
        let foreign = all.entry(manager.clone()).or_insert(Foreign {
            manager,
            fields: Vec::new(),
            more: 0,
        });
        let named = found.len().min(NAMED - foreign.fields.len());
        foreign.more += found.len() - named + beyond;
        foreign.fields.extend(found.into_iter().take(named));
    }
    all.into_values().collect()
}

/// Collects what is in `node` and not in `kept`.
fn added(node: &Node, kept: Option<&Node>, path: &mut Vec<Step>, out: &mut Vec<FieldPath>) {
    for (step, child) in &node.children {
        if path.is_empty() && *step == Step::Field("status".to_owned()) {
            continue;
        }
        let known = kept.and_then(|kept| kept.children.get(step));
        if known.is_some_and(Node::is_leaf) {
            continue;
        }
        path.push(step.clone());
        let is_item = !matches!(step, Step::Field(_)) && child.member;
        if known.is_none() && (is_item || child.is_leaf()) {
            out.push(FieldPath(path.clone()));
        } else {
            added(child, known, path, out);
        }
        path.pop();
    }
}

/// The JSON patch (RFC 6902) that removes fields from a live object. Every list item on the way is tested by its keys
/// first, so that a list that changed meanwhile makes the patch fail and not hit its neighbour; higher places go first.
///
/// Of `metadata` only single labels and annotations are removed, and never our own; finalizers and owner references
/// never are. Neither are status, keys of list items, and items that are known by their place only. An empty list means
/// that there is nothing to do. The tests hold values of list keys: the patch is for the API server, not for people.
#[must_use]
pub fn removal(foreign: &[FieldPath], live: &Value) -> Value {
    let mut targets: Vec<Target> = foreign
        .iter()
        .take(MAX_PATHS)
        .filter(|path| may_go(path))
        .filter_map(|path| Target::of(path, live))
        .collect();
    targets.sort_by(|a, b| b.place.cmp(&a.place));
    targets.dedup_by(|a, b| a.place == b.place);
    let parents: Vec<_> = targets.iter().map(|target| target.place.clone()).collect();
    // What lies below something that goes, goes with it.
    targets.retain(|target| {
        let mut above = (1..target.place.len()).map(|end| &target.place[..end]);
        !above.any(|above| parents.binary_search_by(|p| above.cmp(p)).is_ok())
    });
    let mut patch = Vec::new();
    for target in targets {
        patch.extend(target.tests);
        patch.push(json!({"op": "remove", "path": target.pointer}));
    }
    Value::Array(patch)
}

struct Target {
    /// Names, and places in lists, in the live object.
    place: Vec<Place>,
    pointer: String,
    tests: Vec<Value>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Name(String),
    Index(usize),
}

impl Target {
    fn of(path: &FieldPath, live: &Value) -> Option<Self> {
        get(live, path)?;
        let mut target = Self {
            place: Vec::new(),
            pointer: String::new(),
            tests: Vec::new(),
        };
        let mut value = live;
        for step in &path.0 {
            if let Step::Field(name) = step {
                target.pointer.push('/');
                target.pointer.push_str(&escaped(name));
                target.place.push(Place::Name(name.clone()));
            } else {
                let index = step.index_in(value.as_array()?)?;
                let _ = write!(target.pointer, "/{index}");
                target.place.push(Place::Index(index));
            }
            value = step.of(value)?;
            target.test(step, value)?;
        }
        Some(target)
    }

    /// Adds the tests that the item here is the one that is meant; none where that cannot be told.
    fn test(&mut self, step: &Step, item: &Value) -> Option<()> {
        match step {
            Step::Field(_) => {}
            Step::Keys(keys) => {
                for name in keys.keys() {
                    let Some(value) = item.get(name) else {
                        continue;
                    };
                    let path = format!("{}/{}", self.pointer, escaped(name));
                    self.tests
                        .push(json!({"op": "test", "path": path, "value": value}));
                }
            }
            Step::Value(_) => {
                self.tests
                    .push(json!({"op": "test", "path": self.pointer, "value": item}));
            }
            Step::Index(_) => return None,
        }
        Some(())
    }
}

fn may_go(path: &FieldPath) -> bool {
    let own_label = ["metadata", "labels", crds::label::APPLYSET_PART_OF];
    let own_annotation = ["metadata", "annotations", crds::annotation::SOURCE];
    let single = path.0.len() == 3
        && (path.is_under(&["metadata", "labels"]) || path.is_under(&["metadata", "annotations"]));
    if path.is_under(&["metadata"]) {
        return single && !path.is_under(&own_label) && !path.is_under(&own_annotation);
    }
    let is_key = match path.0.as_slice() {
        [.., Step::Keys(keys), Step::Field(name)] => keys.contains_key(name),
        _ => false,
    };
    let root = ["apiVersion", "kind", "status"];
    path.0.len() > 1 && !is_key && !root.iter().any(|name| path.is_under(&[name]))
}

/// A token of a JSON pointer (RFC 6901).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests;
