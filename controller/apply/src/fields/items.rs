//! Which entry of a set a list's item belongs to.

use super::set::Node;
use super::step::{Step, by_default};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How the items of one list are told apart, as a set knows them.
pub(super) struct Items<'a> {
    node: &'a Node,
    /// The names of the key fields, where items are known by keys.
    names: Option<&'a BTreeMap<String, Value>>,
    elements: bool,
    /// How many items may still be compared with every entry: those that leave keys out.
    slow: usize,
}

impl<'a> Items<'a> {
    pub(super) fn of(node: &'a Node) -> Self {
        let names = node.children.keys().find_map(|step| match step {
            Step::Keys(keys) => Some(keys),
            _ => None,
        });
        Self {
            node,
            names,
            elements: node.children.keys().any(|step| matches!(step, Step::Value(_))),
            slow: 1_000,
        }
    }

    /// The entry of this item, if there is one.
    pub(super) fn entry(&mut self, item: &Value, index: usize) -> Option<(&'a Step, &'a Node)> {
        let children = &self.node.children;
        if let (Some(names), Some(map)) = (self.names, item.as_object()) {
            let step = Step::Keys(keys_of(map, names.keys(), true));
            if let Some(found) = children.get_key_value(&step) {
                return Some(found);
            }
            self.slow = self.slow.checked_sub(1)?;
            let fits = |step: &Step| matches!(step, Step::Keys(keys) if by_default(item, keys));
            return children.iter().find(|(step, _)| fits(step));
        }
        if self.elements {
            return children.get_key_value(&Step::Value(item.clone()));
        }
        children.get_key_value(&Step::Index(index))
    }

    /// The step that leads to an item without an entry.
    pub(super) fn step(&self, item: &Value, index: usize) -> Step {
        if let (Some(names), Some(map)) = (self.names, item.as_object()) {
            let keys = keys_of(map, names.keys(), false);
            if !keys.is_empty() {
                return Step::Keys(keys);
            }
        }
        if self.elements && !item.is_object() {
            return Step::Value(item.clone());
        }
        Step::Index(index)
    }
}

/// The values of an item's key fields. `defaults` adds the one that the API server is known to add.
pub(super) fn keys_of<'a>(
    item: &Map<String, Value>,
    names: impl Iterator<Item = &'a String>,
    defaults: bool,
) -> BTreeMap<String, Value> {
    let value = |name: &String| match item.get(name) {
        None if defaults && name == "protocol" => Some(Value::from("TCP")),
        own => own.cloned(),
    };
    names
        .filter_map(|name| Some((name.clone(), value(name)?)))
        .collect()
}
