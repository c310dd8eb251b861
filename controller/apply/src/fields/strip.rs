//! Single fields of a body: read, written, left out.

use super::path::{FieldPath, MAX_DEPTH};
use super::step::Step;
use serde_json::{Map, Value};

/// The value at `path`.
#[must_use]
pub fn get<'a>(object: &'a Value, path: &FieldPath) -> Option<&'a Value> {
    path.0.iter().try_fold(object, |value, step| step.of(value))
}

/// Removes the field, or the item of a list, from a body; says whether it was there. What it stood in stays, even where
/// that is empty now. To leave a field out of an apply yields it to its owner.
pub fn remove(body: &mut Value, path: &FieldPath) -> bool {
    let Some((last, parents)) = path.0.split_last() else {
        return false;
    };
    let parent = parents.iter().try_fold(body, |value, step| step.of_mut(value));
    match (last, parent) {
        (Step::Field(name), Some(Value::Object(map))) => map.remove(name).is_some(),
        (_, Some(Value::Array(items))) => {
            let found = last.index_in(items);
            found.map(|index| items.remove(index)).is_some()
        }
        _ => false,
    }
}

/// Writes a value; says whether it could, and changes nothing where it could not. Maps on the way are made where they are
/// missing. An item of a list is replaced or, as the last step, added; other items on the way have to be there.
pub fn set(body: &mut Value, path: &FieldPath, value: Value) -> bool {
    !path.0.is_empty() && path.0.len() <= MAX_DEPTH && put(body, &path.0, value)
}

fn put(at: &mut Value, steps: &[Step], value: Value) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        *at = value;
        return true;
    };
    match (step, &mut *at) {
        (Step::Field(name), Value::Object(map)) => {
            if let Some(child) = map.get_mut(name) {
                return put(child, rest, value);
            }
            let mut child = Value::Null;
            let done = put(&mut child, rest, value);
            if done {
                map.insert(name.clone(), child);
            }
            done
        }
        (Step::Field(_), Value::Null) => {
            let mut map = Value::Object(Map::new());
            let done = put(&mut map, steps, value);
            if done {
                *at = map;
            }
            done
        }
        (Step::Field(_), _) => false,
        (_, Value::Array(items)) => {
            if let Some(item) = step.index_in(items).and_then(|index| items.get_mut(index)) {
                return put(item, rest, value);
            }
            let add = rest.is_empty();
            if add {
                items.push(value);
            }
            add
        }
        (_, Value::Null) if rest.is_empty() => {
            *at = Value::Array(vec![value]);
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn body() -> Value {
        json!({"spec": {"replicas": 1, "list": [{"name": "a", "x": 1}, {"name": "b"}], "set": ["p", "q"], "none": null}})
    }

    /// A path from the keys of `fieldsV1`.
    fn path(keys: &[&str]) -> FieldPath {
        FieldPath(keys.iter().map(|key| Step::parse(key).unwrap()).collect())
    }

    const A: &str = "k:{\"name\":\"a\"}";
    const C: &str = "k:{\"name\":\"c\"}";

    #[test]
    fn fields_are_removed_and_nothing_else() {
        for (keys, left) in [
            (vec!["f:spec", "f:replicas"], Some(("/spec/replicas", None))),
            (
                vec!["f:spec", "f:list", A, "f:x"],
                Some(("/spec/list/0", Some(json!({"name": "a"})))),
            ),
            (
                vec!["f:spec", "f:list", A],
                Some(("/spec/list", Some(json!([{"name": "b"}])))),
            ),
            (
                vec!["f:spec", "f:list", "i:1"],
                Some(("/spec/list", Some(json!([{"name": "a", "x": 1}])))),
            ),
            (
                vec!["f:spec", "f:set", "v:\"p\""],
                Some(("/spec/set", Some(json!(["q"])))),
            ),
            (vec!["f:spec", "f:list", C], None),
            (vec!["f:spec", "f:list", "i:2"], None),
            (vec!["f:spec", "f:list", "f:x"], None),
            (vec!["f:none", "f:x"], None),
            (vec![], None),
        ] {
            let mut after = body();
            assert_eq!(remove(&mut after, &path(&keys)), left.is_some(), "{keys:?}");
            match left {
                Some((pointer, value)) => assert_eq!(after.pointer(pointer), value.as_ref(), "{keys:?}"),
                None => assert_eq!(after, body(), "{keys:?}"),
            }
        }
        let mut one = json!({"a": {"b": 1}});
        assert!(remove(&mut one, &path(&["f:a", "f:b"])));
        assert_eq!(one, json!({"a": {}}));
    }

    #[test]
    fn values_are_written() {
        for (keys, done, pointer) in [
            (vec!["f:spec", "f:replicas"], true, "/spec/replicas"),
            (vec!["f:spec", "f:new", "f:x"], true, "/spec/new/x"),
            (vec!["f:spec", "f:none", "f:x"], true, "/spec/none/x"),
            (vec!["f:spec", "f:none", A], true, "/spec/none/0"),
            (vec!["f:spec", "f:list", A], true, "/spec/list/0"),
            (
                vec!["f:spec", "f:list", A, "f:y", "f:z"],
                true,
                "/spec/list/0/y/z",
            ),
            (vec!["f:spec", "f:list", C], true, "/spec/list/2"),
            (vec!["f:spec", "f:list", C, "f:x"], false, ""),
            (vec!["f:spec", "f:none", A, "f:x"], false, ""),
            (vec!["f:spec", "f:new", "f:x", A, "f:x"], false, ""),
            (vec!["f:spec", "f:replicas", "f:x"], false, ""),
            (vec!["f:spec", "f:list", "f:x"], false, ""),
            (vec![], false, ""),
        ] {
            let mut after = body();
            assert_eq!(set(&mut after, &path(&keys), json!(7)), done, "{keys:?}");
            if done {
                assert_eq!(after.pointer(pointer), Some(&json!(7)), "{keys:?}");
            } else {
                assert_eq!(after, body(), "{keys:?}");
            }
        }
        assert!(!set(&mut body(), &path(&["f:a"; MAX_DEPTH + 1]), json!(7)));
    }

    #[test]
    fn values_are_read() {
        assert_eq!(
            get(&body(), &path(&["f:spec", "f:list", A, "f:x"])),
            Some(&json!(1))
        );
        assert_eq!(get(&body(), &path(&["f:spec", "f:list", C, "f:x"])), None);
        assert_eq!(get(&body(), &path(&[])), Some(&body()));
    }
}
