//! The objects of a document, those in Lists too, each with the way to it.

use crate::draft::{Path, Step};
use serde_json::Value;

/// Visits the objects of a document, and those in its Lists as deep as `depth` ([`Limits::list_depth`](crate::Limits)).
pub fn each_object(document: &Value, depth: usize, visit: &mut impl FnMut(&Value, &Path)) {
    below(document, &Path::default(), depth, visit);
}

fn below(value: &Value, at: &Path, depth: usize, visit: &mut impl FnMut(&Value, &Path)) {
    let items = value.get("items").and_then(Value::as_array);
    let kind = value.get("kind").and_then(Value::as_str).unwrap_or_default();
    match items {
        Some(items) if depth > 0 && kind.ends_with("List") => {
            let at = at.then(Step::Key("items".to_owned()));
            for (index, item) in items.iter().enumerate() {
                below(item, &at.then(Step::Index(index)), depth - 1, visit);
            }
        }
        _ => visit(value, at),
    }
}

#[cfg(test)]
mod tests {
    use super::each_object;
    use serde_json::json;

    #[test]
    fn objects_in_lists_are_visited_and_no_deeper_than_allowed() {
        let document = json!({"kind": "List", "items": [
            {"kind": "A"}, {"kind": "BList", "items": [{"kind": "B"}]}, {"kind": "C", "items": [1]}]});
        let seen = |depth| {
            let mut seen = Vec::new();
            each_object(&document, depth, &mut |value, at| {
                seen.push(format!("{}={}", at, value["kind"].as_str().unwrap_or("?")));
            });
            seen
        };
        assert_eq!(seen(9), ["items[0]=A", "items[1].items[0]=B", "items[2]=C"]);
        assert_eq!(seen(1), ["items[0]=A", "items[1]=BList", "items[2]=C"]);
        assert_eq!(seen(0), ["=List"]);
    }
}
