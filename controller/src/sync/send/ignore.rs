//! Ignored fields: as Git has them when an object is made, and left alone afterwards.

use super::{One, Trouble};
use crate::sync::body::{self, Wiped};
use crate::sync::execute::Hand;
use apply::fields::{FieldTree, Pointer, ignore};
use serde_json::Value;
use zeroize::Zeroizing;

impl Hand {
    /// Takes what `spec.ignore` names out of `body`, or puts in what the live object has. Only objects that a rule is about
    /// are looked at.
    pub(super) async fn leave_out_ignored(
        &self,
        one: &One<'_>,
        body: &mut Zeroizing<Vec<u8>>,
    ) -> Result<(), Trouble> {
        let pointers = one.policy.ignored(one.key);
        if pointers.is_empty() {
            return Ok(());
        }
        let Some(live) = self.server.object(&self.identity, one.info(), one.key).await? else {
            return Ok(());
        };
        let own = owned(&live, &self.manager).ok_or_else(|| {
            Trouble::own(
                "whose its fields are cannot be read, so what is to be ignored is not known",
                "look at its metadata.managedFields",
            )
        })?;
        let secret = one.key.kind.is_secret();
        body::edit(body, |object| leave_out(object, &pointers, live, &own, secret))
            .ok_or_else(|| Trouble::own("the object cannot be read again", "report this as a defect"))
    }
}

fn leave_out(object: &mut Value, pointers: &[Pointer], mut live: Value, own: &FieldTree, secret: bool) {
    if secret {
        // Its live values are never read: what we own of them is as Git has it.
        let mut as_in_git = Wiped(object.clone());
        as_in_git.0["metadata"] = live["metadata"].take();
        ignore(object, pointers, Some(&as_in_git.0), own);
    } else {
        ignore(object, pointers, Some(&live), own);
    }
}

/// The fields that `manager` applied; nothing where they are beyond bounds.
fn owned(live: &Value, manager: &str) -> Option<FieldTree> {
    let entries = live["metadata"]["managedFields"].as_array();
    let own = entries.into_iter().flatten().find(|entry| {
        entry["manager"] == manager
            && entry["operation"] == "Apply"
            && entry["subresource"].as_str().is_none_or(str::is_empty)
    });
    own.map_or_else(
        || Some(FieldTree::default()),
        |entry| FieldTree::parse(&entry["fieldsV1"]).ok(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_secrets_own_values_stay_as_git_has_them_and_others_are_left_out() {
        let mut object = json!({"metadata": {"name": "s", "annotations": {"a": "git"}}, "data": {"ours": "Z2l0", "theirs": "Z2l0"}});
        let live = json!({"metadata": {"name": "s", "annotations": {"a": "live"}, "managedFields": [
            {"manager": "other", "operation": "Apply", "fieldsV1": {"f:data": {"f:theirs": {}}}},
            {"manager": "m", "operation": "Apply", "fieldsV1": {"f:data": {"f:ours": {}}, "f:metadata": {"f:annotations": {"f:a": {}}}}}]}});
        let own = owned(&live, "m").unwrap();
        let pointers: Vec<_> = ["/data/ours", "/data/theirs", "/metadata/annotations/a"]
            .iter()
            .map(|text| Pointer::parse(text).unwrap())
            .collect();
        leave_out(&mut object, &pointers, live, &own, true);
        assert_eq!(
            object,
            json!({"metadata": {"name": "s", "annotations": {"a": "live"}}, "data": {"ours": "Z2l0"}})
        );
    }

    #[test]
    fn what_a_trial_or_a_status_says_is_not_ours() {
        let entry = |operation: &str, subresource: &str| {
            json!({"metadata": {"managedFields": [{"manager": "m", "operation": operation, "subresource": subresource,
                "fieldsV1": {"f:spec": {"f:a": {}}}}]}})
        };
        assert!(!owned(&entry("Apply", ""), "m").unwrap().is_empty());
        assert!(owned(&entry("Update", ""), "m").unwrap().is_empty());
        assert!(owned(&entry("Apply", "scale"), "m").unwrap().is_empty());
        assert!(owned(&json!({}), "m").unwrap().is_empty());
    }
}
