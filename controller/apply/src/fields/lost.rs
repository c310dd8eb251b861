//! Which of our fields somebody changed or removed, and who has them now.

use super::items::Items;
use super::owner::{self, MAX_ENTRIES};
use super::path::{FieldPath, MAX_DEPTH, MAX_PATHS};
use super::set::{FieldTree, Node};
use super::step::Step;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, Time};
use serde_json::Value;

/// What the API server never counts as a manager's (its `stripMeta`), under `metadata`.
const UNOWNED_METADATA: [&str; 9] = [
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
];

/// Who has a field now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taker {
    /// The field manager, as it calls itself.
    pub manager: String,
    /// `Apply` or `Update`.
    pub operation: String,
    /// The subresource it wrote through, such as `scale`.
    pub subresource: Option<String>,
    /// When it last changed one of its fields.
    pub time: Option<Time>,
}

/// The fields of `body` that our live entry (`fieldsV1`) does not hold, at most [`MAX_PATHS`]: what somebody changed or
/// removed since it was applied. A lost item of a list is one path, and so is a list of which nothing is left.
///
/// `status` and what identifies the object are nobody's. Nulls and empty lists and maps are never called lost: the API
/// server forgets many of them on the way in. Nothing is said where our entry exceeds the bounds of [`FieldTree::parse`].
#[must_use]
pub fn lost(body: &Value, live_own: Option<&Value>) -> Vec<FieldPath> {
    let Ok(tree) = live_own.map_or_else(|| Ok(FieldTree::default()), FieldTree::parse) else {
        return Vec::new();
    };
    let mut walk = Walk {
        path: Vec::new(),
        lost: Vec::new(),
    };
    walk.fields(body, Some(&tree.0));
    walk.lost
}

struct Walk {
    path: Vec<Step>,
    lost: Vec<FieldPath>,
}

impl Walk {
    /// Compares `value` with what our entry knows of it.
    fn compare(&mut self, value: &Value, node: Option<&Node>) {
        match (value, node) {
            (Value::Null, _) => {}
            (Value::Array(items), _) if items.is_empty() => {}
            (Value::Object(map), _) if map.is_empty() => {}
            (_, Some(node)) if node.is_leaf() => {}
            (Value::Object(_), node) if self.path.len() < MAX_DEPTH => self.fields(value, node),
            (Value::Array(items), Some(node)) if self.path.len() < MAX_DEPTH => self.items(items, node),
            _ => self.report(),
        }
    }

    fn fields(&mut self, value: &Value, node: Option<&Node>) {
        for (name, child) in value.as_object().into_iter().flatten() {
            if self.nobodys(name) {
                continue;
            }
            self.path.push(Step::Field(name.clone()));
            let known = self.path.last().and_then(|step| node?.children.get(step));
            self.compare(child, known);
            self.path.pop();
        }
    }

    fn items(&mut self, items: &[Value], node: &Node) {
        let mut known = Items::of(node);
        for (index, item) in items.iter().enumerate() {
            if let Some((step, entry)) = known.entry(item, index) {
                self.path.push(step.clone());
                self.compare(item, Some(entry));
            } else {
                self.path.push(known.step(item, index));
                self.report();
            }
            self.path.pop();
        }
    }

    fn nobodys(&self, name: &str) -> bool {
        match self.path.as_slice() {
            [] => matches!(name, "apiVersion" | "kind" | "status"),
            [Step::Field(parent)] => parent == "metadata" && UNOWNED_METADATA.contains(&name),
            _ => false,
        }
    }

    fn report(&mut self) {
        if self.lost.len() < MAX_PATHS {
            self.lost.push(FieldPath(self.path.clone()));
        }
    }
}

/// Who has each lost field now: of several the one that wrote last; none where the field was removed. A field inside a
/// list or map that somebody else owns as a whole becomes that list or map, as the API server's conflicts name it.
///
/// The newest 100 entries are looked at, and none that exceeds the bounds of [`FieldTree::parse`].
#[must_use]
pub fn taken_by(
    lost: &[FieldPath],
    managed_fields: &[ManagedFieldsEntry],
    ours: &str,
) -> Vec<(FieldPath, Option<Taker>)> {
    let own = owner::tree_of(managed_fields, ours);
    let mut others: Vec<_> = managed_fields
        .iter()
        .filter(|entry| !owner::is_own(entry, ours))
        .collect();
    others.sort_by_key(|entry| std::cmp::Reverse(entry.time.as_ref().map(|time| time.0)));
    let others: Vec<_> = others
        .into_iter()
        .take(MAX_ENTRIES)
        .filter_map(|entry| Some((entry, owner::tree(entry).ok()?)))
        .collect();

    let mut out: Vec<(FieldPath, Option<Taker>)> = Vec::new();
    for path in lost.iter().take(MAX_PATHS) {
        let owner = others.iter().find(|(_, tree)| tree.touches(path));
        let parent = owner.and_then(|(_, tree)| whole(path, tree, &own));
        let path = parent.unwrap_or_else(|| path.clone());
        // Fields of one atomic parent stand side by side, as the walk found them.
        if out.last().is_none_or(|(last, _)| *last != path) {
            out.push((path, owner.map(|(entry, _)| taker(entry))));
        }
    }
    out
}

/// The atomic parent of `path` in `tree`. Nothing in `metadata` is atomic; there an empty map looks the same.
fn whole(path: &FieldPath, tree: &FieldTree, own: &FieldTree) -> Option<FieldPath> {
    if path.is_under(&["metadata"]) {
        return None;
    }
    (1..path.0.len())
        .map(|end| FieldPath(path.0[..end].to_vec()))
        .find(|parent| tree.node(parent).is_some_and(Node::is_leaf) && !own.touches(parent))
}

fn taker(entry: &ManagedFieldsEntry) -> Taker {
    Taker {
        manager: owner::name(entry),
        operation: entry.operation.clone().unwrap_or_default(),
        subresource: entry.subresource.clone().filter(|name| !name.is_empty()),
        time: entry.time.clone(),
    }
}

#[cfg(test)]
mod tests;
