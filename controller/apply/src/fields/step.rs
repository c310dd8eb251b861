//! One step of a field path, and how it meets a real object.

use super::number::{same, total};
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

/// One step into an object, as `fieldsV1` knows them (structured-merge-diff's path elements).
#[derive(Clone)]
pub enum Step {
    /// A field of a struct, or a key of a map.
    Field(String),
    /// The item of a list whose key fields have these values.
    Keys(BTreeMap<String, Value>),
    /// The element of a set.
    Value(Value),
    /// The item of a list at this place.
    Index(usize),
}

impl Step {
    /// The child of `value` that this step leads to.
    #[must_use]
    pub fn of<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        match (self, value) {
            (Self::Field(name), Value::Object(map)) => map.get(name),
            (_, Value::Array(items)) => items.get(self.index_in(items)?),
            _ => None,
        }
    }

    /// The same, to be changed.
    #[must_use]
    pub fn of_mut<'a>(&self, value: &'a mut Value) -> Option<&'a mut Value> {
        match (self, value) {
            (Self::Field(name), Value::Object(map)) => map.get_mut(name),
            (_, Value::Array(items)) => {
                let index = self.index_in(items)?;
                items.get_mut(index)
            }
            _ => None,
        }
    }

    /// Which of a list's items this step leads to.
    #[must_use]
    pub fn index_in(&self, items: &[Value]) -> Option<usize> {
        match self {
            Self::Field(_) => None,
            Self::Keys(keys) => {
                let all = |item: &&Value| keys.iter().all(|(name, value)| same(&item[name], value));
                let exact = items.iter().position(|item| !keys.is_empty() && all(&item));
                exact.or_else(|| items.iter().position(|item| by_default(item, keys)))
            }
            Self::Value(wanted) => items.iter().position(|item| same(item, wanted)),
            Self::Index(index) => (*index < items.len()).then_some(*index),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Field(_) => 0,
            Self::Keys(_) => 1,
            Self::Value(_) => 2,
            Self::Index(_) => 3,
        }
    }
}

/// Whether an item that leaves out some of its keys can be the one that is meant. The API server fills keys in by the
/// schema's defaults, which we do not know but for one: the protocol of a port is TCP.
pub(super) fn by_default(item: &Value, keys: &BTreeMap<String, Value>) -> bool {
    let fits = |(name, value): (&String, &Value)| match item.get(name) {
        Some(own) => same(own, value),
        None => name != "protocol" || value == "TCP",
    };
    item.is_object() && keys.keys().any(|name| item.get(name).is_some()) && keys.iter().all(fits)
}

impl Ord for Step {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Field(a), Self::Field(b)) => a.cmp(b),
            (Self::Keys(a), Self::Keys(b)) => {
                let pairs = a.iter().zip(b);
                let differs =
                    |((an, av), (bn, bv)): ((&String, &Value), _)| an.cmp(bn).then_with(|| total(av, bv));
                let first = pairs.map(differs).find(|order| order.is_ne());
                first.unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            (Self::Value(a), Self::Value(b)) => total(a, b),
            (Self::Index(a), Self::Index(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Step {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Step {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Step {}

/// Names only: neither list keys nor set elements are shown.
impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, "Field({name:?})"),
            Self::Keys(keys) => write!(f, "Keys({:?})", keys.keys()),
            Self::Value(_) => f.write_str("Value(…)"),
            Self::Index(index) => write!(f, "Index({index})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn keys(value: &Value) -> Step {
        Step::Keys(value.as_object().unwrap().clone().into_iter().collect())
    }

    #[test]
    fn list_items_are_found_by_their_keys_and_by_what_is_left_out_of_them() {
        let items = [
            json!({"containerPort": 53, "protocol": "UDP"}),
            json!({"containerPort": 53}),
            json!({"containerPort": 80.0, "protocol": "TCP"}),
            json!("x"),
            json!({}),
        ];
        for (key, index) in [
            (json!({"containerPort": 53, "protocol": "UDP"}), Some(0)),
            (json!({"containerPort": 53, "protocol": "TCP"}), Some(1)),
            (json!({"containerPort": 53, "protocol": "SCTP"}), None),
            (json!({"containerPort": 80, "protocol": "TCP"}), Some(2)),
            (json!({"containerPort": 81, "protocol": "TCP"}), None),
            (json!({}), None),
        ] {
            assert_eq!(keys(&key).index_in(&items), index, "{key}");
        }
        assert_eq!(Step::Value(json!("x")).index_in(&items), Some(3));
        assert_eq!(Step::Index(4).index_in(&items), Some(4));
        assert_eq!(Step::Index(5).index_in(&items), None);
        assert_eq!(Step::Field("0".into()).index_in(&items), None);
    }

    #[test]
    fn equal_numbers_are_equal_steps() {
        assert_eq!(keys(&json!({"port": 80})), keys(&json!({"port": 80.0})));
        assert_ne!(keys(&json!({"port": 80})), keys(&json!({"port": "80"})));
        assert!(Step::Field("z".into()) < keys(&json!({"a": 1})));
    }

    #[test]
    fn debug_shows_no_value() {
        let text = format!(
            "{:?} {:?}",
            keys(&json!({"name": "hunter2"})),
            Step::Value(json!("hunter2"))
        );
        assert_eq!(text, "Keys([\"name\"]) Value(…)");
    }
}
