//! What `spec.ignore` does to a body before it is applied.

use super::items::Items;
use super::pointer::Pointer;
use super::set::{FieldTree, Node};
use super::strip::{get, remove, set};
use serde_json::{Map, Value};

/// Leaves ignored fields of a body to whoever writes them. `live` is the object as it is; `we_own` what our entry holds.
///
/// As Flux does since 2.9: where the object does not exist, Git's value is applied; a field that we do not own is left out;
/// a field that we own gets the live value, since leaving it out would remove it. Of a field with others below it only
/// those that we own are kept, so that nothing is taken over by being ignored.
///
/// Live values come into the body: of a Secret this is plaintext, and the caller's to keep as such.
pub fn ignore(body: &mut Value, pointers: &[Pointer], live: Option<&Value>, we_own: &FieldTree) {
    let Some(live) = live else {
        return;
    };
    for pointer in pointers {
        // Places in lists are meant as Git has them; what Git does not have is found in the live object.
        let path = pointer.locate(body, Some(&we_own.0));
        let Some(path) = path.or_else(|| pointer.locate(live, Some(&we_own.0))) else {
            continue;
        };
        let kept = match (we_own.touches(&path), get(live, &path)) {
            (true, Some(value)) => Some(match we_own.node(&path) {
                Some(node) => project(value, node),
                None => value.clone(),
            }),
            _ => None,
        };
        match kept {
            Some(value) => set(body, &path, value),
            None => remove(body, &path),
        };
    }
}

/// The part of a live value that is in a set, in the order in which it is.
fn project(value: &Value, node: &Node) -> Value {
    match value {
        _ if node.is_leaf() => value.clone(),
        Value::Object(map) => {
            let part = |(name, value): (&String, &Value)| {
                let child = node.children.get(&super::Step::Field(name.clone()))?;
                Some((name.clone(), project(value, child)))
            };
            Value::Object(map.iter().filter_map(part).collect::<Map<_, _>>())
        }
        Value::Array(list) => {
            let mut known = Items::of(node);
            let part = |(index, item)| known.entry(item, index).map(|(_, child)| project(item, child));
            Value::Array(list.iter().enumerate().filter_map(part).collect())
        }
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(body: &Value, pointers: &[&str], live: Option<&Value>, own: &Value) -> Value {
        let pointers: Vec<_> = pointers
            .iter()
            .map(|text| Pointer::parse(text).unwrap())
            .collect();
        let mut body = body.clone();
        ignore(&mut body, &pointers, live, &FieldTree::parse(own).unwrap());
        body
    }

    #[test]
    fn git_counts_where_there_is_no_object() {
        let body = json!({"spec": {"replicas": 2}});
        assert_eq!(run(&body, &["/spec/replicas"], None, &json!({})), body);
    }

    #[test]
    fn what_we_do_not_own_is_left_out_and_what_we_own_stays_as_it_is() {
        let body = json!({"spec": {"replicas": 2, "paused": true}});
        let live = json!({"spec": {"replicas": 5, "paused": false}});
        let both = ["/spec/replicas", "/spec/paused", "/spec/none"];
        let own = json!({"f:spec": {"f:replicas": {}}});
        assert_eq!(
            run(&body, &both, Some(&live), &own),
            json!({"spec": {"replicas": 5}})
        );
        assert_eq!(run(&body, &both, Some(&live), &json!({})), json!({"spec": {}}));
        // Git dropped it; we own it; it is ignored: it stays.
        assert_eq!(
            run(
                &json!({"spec": {"paused": true}}),
                &["/spec/replicas"],
                Some(&live),
                &own
            ),
            json!({"spec": {"paused": true, "replicas": 5}})
        );
        // We own it, and it is gone: it stays gone.
        assert_eq!(
            run(&body, &["/spec/replicas"], Some(&json!({})), &own),
            json!({"spec": {"paused": true}})
        );
    }

    #[test]
    fn items_are_matched_by_their_keys_not_by_their_places_in_the_live_object() {
        let body = json!({"spec": {"containers": [{"name": "app", "image": "a:1"}, {"name": "side", "image": "s:1"}]}});
        let live = json!({"spec": {"containers": [{"name": "new"}, {"name": "side", "image": "s:9"}, {"name": "app", "image": "a:9"}]}});
        let own = json!({"f:spec": {"f:containers": {
            "k:{\"name\":\"app\"}": {".": {}, "f:name": {}, "f:image": {}},
            "k:{\"name\":\"side\"}": {".": {}, "f:name": {}}}}});
        for pointers in [
            ["/spec/containers/0/image", "/spec/containers/1/image"],
            [
                "/spec/containers/[name=app]/image",
                "/spec/containers/[name=side]/image",
            ],
        ] {
            assert_eq!(
                run(&body, &pointers, Some(&live), &own),
                json!({"spec": {"containers": [{"name": "app", "image": "a:9"}, {"name": "side"}]}})
            );
        }
        let unknown = run(&body, &["/spec/containers/[name=app]"], Some(&live), &json!({}));
        assert_eq!(
            unknown,
            json!({"spec": {"containers": [{"name": "side", "image": "s:1"}]}})
        );
    }

    #[test]
    fn an_ignored_item_that_git_dropped_stays() {
        let live = json!({"spec": {"containers": [{"name": "app"}, {"name": "side", "image": "s:9"}]}});
        let own = json!({"f:spec": {"f:containers": {"k:{\"name\":\"side\"}": {".": {}, "f:name": {}, "f:image": {}}}}});
        let body = json!({"spec": {"containers": [{"name": "app"}]}});
        assert_eq!(
            run(&body, &["/spec/containers/[name=side]"], Some(&live), &own),
            live
        );
        assert_eq!(
            run(&body, &["/spec/containers/[name=side]/image"], Some(&live), &own),
            body,
            "no half of an item"
        );
    }

    #[test]
    fn of_a_whole_map_only_what_we_own_is_kept() {
        let body = json!({"data": {"a": "git", "b": "git", "c": "git"}});
        let live = json!({"data": {"b": "live", "a": "live", "z": "theirs"}});
        let own = json!({"f:data": {"f:a": {}, "f:c": {}}});
        assert_eq!(
            run(&body, &["/data"], Some(&live), &own),
            json!({"data": {"a": "live"}})
        );
        let live = json!({"spec": {"l": [{"name": "z"}, {"name": "b", "x": 1}, {"name": "a", "y": 1}], "atomic": [1, 2]}});
        let own = json!({"f:spec": {"f:l": {"k:{\"name\":\"a\"}": {".": {}, "f:name": {}},
            "k:{\"name\":\"b\"}": {".": {}, "f:name": {}, "f:x": {}}}, "f:atomic": {}}});
        assert_eq!(
            run(&json!({}), &["/spec/l", "/spec/atomic"], Some(&live), &own),
            json!({"spec": {"l": [{"name": "b", "x": 1}, {"name": "a"}], "atomic": [1, 2]}})
        );
    }
}
