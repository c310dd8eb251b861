//! Fields that somebody else has set, and otherwise.

use crate::command_error::CommandError;
use crate::syncs::MANAGER;
use apply::Key;
use apply::applyset::{BOOTSTRAP_MANAGER, MANAGER_PREFIX};
use sealing::Printable;

/// Objects and fields that an error names.
const SHOWN: usize = 5;
const CONFLICT: &str = "FieldManagerConflict";

/// One object's fields that are others'.
pub(super) struct Theirs {
    object: String,
    /// Field and who has set it.
    fields: Vec<String>,
}

impl Theirs {
    /// Whether all that is in the way is Signet's own.
    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

/// What a conflict is about; `None` for any other error. Nothing in it is a value.
pub(super) fn of(err: &kube::Error, key: &Key) -> Option<Theirs> {
    let kube::Error::Api(status) = err else {
        return None;
    };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let conflicts: Vec<_> = causes.filter(|cause| cause.reason == CONFLICT).collect();
    if status.code != 409 || conflicts.is_empty() {
        return None;
    }
    let fields = conflicts.iter().filter_map(|cause| {
        // conflict with "kubectl-client-side-apply" using apps/v1
        let manager = cause.message.split('"').nth(1).unwrap_or("somebody");
        let ours = [BOOTSTRAP_MANAGER, MANAGER].contains(&manager) || manager.starts_with(MANAGER_PREFIX);
        (!ours).then(|| format!("{} by {}", Printable(&cause.field), Printable(manager)))
    });
    Some(Theirs {
        object: Printable(&key.to_string()).to_string(),
        fields: fields.collect(),
    })
}

/// Says what is whose, if anything is.
pub(super) fn refuse(all: &[Theirs]) -> Result<(), CommandError> {
    let all: Vec<&Theirs> = all.iter().filter(|found| !found.is_empty()).collect();
    if all.is_empty() {
        return Ok(());
    }
    let objects = all
        .iter()
        .map(|found| format!("{} ({})", found.object, listed(&found.fields, ", ")));
    let objects: Vec<String> = objects.collect();
    Err(CommandError::user(
        format!(
            "the cluster has some of this already, made by somebody else and otherwise: {}",
            listed(&objects, "; ")
        ),
        "--take-over makes it as the repository has it; else change the repository, or remove what is there",
    ))
}

fn listed(words: &[String], between: &str) -> String {
    let shown = words[..words.len().min(SHOWN)].join(between);
    match words.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown}{between}and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::{of, refuse};
    use apply::{GroupKind, Key};
    use kube::core::Status;
    use serde_json::json;
    use std::sync::Arc;

    fn conflict(fields: &[(&str, &str)]) -> kube::Error {
        let causes = fields.iter().map(|(field, manager)| {
            json!({"reason": "FieldManagerConflict", "field": field,
                "message": format!("conflict with {manager:?} using apps/v1")})
        });
        let causes: Vec<_> = causes.collect();
        let status: Status =
            serde_json::from_value(json!({"status": "Failure", "code": 409, "reason": "Conflict",
            "message": "hunter2", "details": {"causes": causes}}))
            .unwrap();
        kube::Error::Api(Box::new(status))
    }

    fn key() -> Key {
        Key {
            kind: Arc::new(GroupKind::new("apps", "Deployment")),
            namespace: Some("signet-system".into()),
            name: "signet-controller".into(),
        }
    }

    #[test]
    fn only_what_others_set_is_in_the_way_and_all_of_it_is_named() {
        let ours = conflict(&[(".a", "signet-bootstrap"), (".b", "signet/0123")]);
        let ours = of(&ours, &key()).unwrap();
        assert!(refuse(&[ours]).is_ok());
        let fields = [".a", ".b", ".c", ".d", ".e", ".f"].map(|field| (field, "helm"));
        let theirs = of(&conflict(&fields), &key()).unwrap();
        let said = refuse(&[theirs]).unwrap_err().message().to_owned();
        let end = "Deployment signet-system/signet-controller (.a by helm, .b by helm, .c by helm, .d by helm, .e by helm, and \
                   1 more)";
        assert!(said.ends_with(end) && !said.contains("hunter2"), "{said}");
        let other: Status =
            serde_json::from_value(json!({"status": "Failure", "code": 409, "reason": "Conflict"})).unwrap();
        assert!(of(&kube::Error::Api(Box::new(other)), &key()).is_none());
    }
}
