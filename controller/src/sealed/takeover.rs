//! Who owns what of a Secret, rewritten: what others own becomes ours, so that the next apply removes what the SealedSecret
//! does not have. Bitnami's controller replaces data, labels, annotations and owners as a whole; server-side apply alone
//! leaves to others what they set. Pure, and without a look at a value.

use super::decide::Takeover;
use super::live::{MANAGER, is_ours};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, Time};
use serde_json::{Map, Value, json};

/// Deeper fields are not ours to merge: those of Secrets have four levels.
const DEEPEST: usize = 8;

/// `managedFields` after it. None where others own nothing of what is taken.
pub(super) fn taken(
    entries: &[ManagedFieldsEntry],
    what: Takeover,
    now: &Time,
) -> Option<Vec<ManagedFieldsEntry>> {
    let paths: &[&[&str]] = match what {
        Takeover::Nothing => return None,
        Takeover::Data => &[&["f:data"]],
        Takeover::Everything => &[
            &["f:data"],
            &["f:metadata", "f:annotations"],
            &["f:metadata", "f:labels"],
            &["f:metadata", "f:ownerReferences"],
        ],
    };
    let mut ours = entries
        .iter()
        .find(|entry| is_ours(entry))
        .and_then(|entry| entry.fields_v1.clone())
        .map_or_else(|| json!({}), |fields| fields.0);
    let mut kept = Vec::with_capacity(entries.len() + 1);
    let mut any = false;
    for entry in entries.iter().filter(|entry| !is_ours(entry)) {
        let mut entry = entry.clone();
        let is_subresource = entry.subresource.as_deref().is_some_and(|name| !name.is_empty());
        if let Some(fields) = entry.fields_v1.as_mut().filter(|_| !is_subresource) {
            for path in paths {
                if let Some(part) = cut(&mut fields.0, path) {
                    any = true;
                    merge(place(&mut ours, path), part, DEEPEST);
                }
            }
            if fields.0.as_object().is_some_and(Map::is_empty) {
                continue;
            }
        }
        kept.push(entry);
    }
    if !any {
        return None;
    }
    kept.insert(
        0,
        ManagedFieldsEntry {
            manager: Some(MANAGER.to_owned()),
            operation: Some("Apply".to_owned()),
            api_version: Some("v1".to_owned()),
            fields_type: Some("FieldsV1".to_owned()),
            fields_v1: Some(FieldsV1(ours)),
            subresource: None,
            time: Some(now.clone()),
        },
    );
    Some(kept)
}

/// Takes a part out, and what is empty without it.
fn cut(fields: &mut Value, path: &[&str]) -> Option<Value> {
    let map = fields.as_object_mut()?;
    let (first, rest) = path.split_first()?;
    if rest.is_empty() {
        return map.remove(*first);
    }
    let part = cut(map.get_mut(*first)?, rest);
    if map
        .get(*first)
        .and_then(Value::as_object)
        .is_some_and(Map::is_empty)
    {
        map.remove(*first);
    }
    part
}

fn place<'a>(fields: &'a mut Value, path: &[&str]) -> &'a mut Value {
    path.iter().fold(fields, |node, step| {
        if !node.is_object() {
            *node = json!({});
        }
        // Indexing an object makes the entry.
        &mut node[*step]
    })
}

fn merge(into: &mut Value, from: Value, depth: usize) {
    let Value::Object(from) = from else { return };
    if !into.is_object() {
        *into = json!({});
    }
    let Some(map) = into.as_object_mut().filter(|_| depth > 0) else {
        return;
    };
    for (key, value) in from {
        merge(map.entry(key).or_insert(Value::Null), value, depth - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(value: Value) -> Vec<ManagedFieldsEntry> {
        serde_json::from_value(value).unwrap()
    }

    fn now() -> Time {
        Time(jiff::Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn everything_that_bitnamis_controller_replaces_becomes_ours() {
        let before = entries(json!([
            {"manager": "kubectl-create", "operation": "Update", "apiVersion": "v1", "fieldsV1": {
                "f:data": {".": {}, "f:foo": {}, "f:foo2": {}}, "f:type": {},
                "f:metadata": {"f:labels": {".": {}, "f:a": {}}, "f:annotations": {".": {}, "f:b": {}}}}},
            {"manager": "labeller", "operation": "Update", "fieldsV1": {"f:metadata": {"f:labels": {"f:c": {}}}}},
        ]));
        let after = taken(&before, Takeover::Everything, &now()).unwrap();
        let after = serde_json::to_value(after).unwrap();
        assert_eq!(after.as_array().unwrap().len(), 2, "{after}");
        assert_eq!(
            after[0]["fieldsV1"],
            json!({"f:data": {".": {}, "f:foo": {}, "f:foo2": {}},
                "f:metadata": {"f:labels": {".": {}, "f:a": {}, "f:c": {}}, "f:annotations": {".": {}, "f:b": {}}}})
        );
        assert_eq!(after[0]["manager"], MANAGER);
        assert_eq!(after[1]["fieldsV1"], json!({"f:type": {}}));
    }

    #[test]
    fn keys_that_were_added_become_ours_and_labels_stay_theirs() {
        let before = entries(json!([
            {"manager": MANAGER, "operation": "Apply", "fieldsV1": {"f:data": {"f:a": {}}, "f:type": {}}},
            {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {
                "f:data": {"f:b": {}}, "f:metadata": {"f:labels": {"f:c": {}}}}},
        ]));
        let after = serde_json::to_value(taken(&before, Takeover::Data, &now()).unwrap()).unwrap();
        assert_eq!(
            after[0]["fieldsV1"],
            json!({"f:data": {"f:a": {}, "f:b": {}}, "f:type": {}})
        );
        assert_eq!(
            after[1]["fieldsV1"],
            json!({"f:metadata": {"f:labels": {"f:c": {}}}})
        );
    }

    #[test]
    fn where_there_is_nothing_to_take_nothing_is_written() {
        let own =
            entries(json!([{"manager": MANAGER, "operation": "Apply", "fieldsV1": {"f:data": {"f:a": {}}}}]));
        assert_eq!(taken(&own, Takeover::Everything, &now()), None);
        let labels = entries(json!([{"manager": "x", "operation": "Update",
            "fieldsV1": {"f:metadata": {"f:labels": {"f:a": {}}}}}]));
        assert_eq!(taken(&labels, Takeover::Data, &now()), None);
        assert_eq!(taken(&labels, Takeover::Nothing, &now()), None);
        // Odd shapes are left alone.
        let odd = entries(
            json!([{"manager": "x", "operation": "Update", "fieldsV1": {"f:data": 1, "f:metadata": []}}]),
        );
        assert!(taken(&odd, Takeover::Everything, &now()).is_some());
    }
}
