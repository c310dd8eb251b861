//! What a Repository's task is told, and what of it makes a look due before its time.

use std::sync::Arc;

use crds::{Repository, annotation};
use kube::ResourceExt;

use crate::text;

/// Characters kept of a request; ours are times.
const REQUEST: usize = 256;

/// What a task is told.
#[derive(Clone)]
pub(super) enum Order {
    /// Follow this.
    Follow(Arc<Repository>),
    /// The Repository is gone: clean up and end.
    Remove,
}

impl Order {
    /// Whether what these wishes ask for is to be done still; a request more changes nothing of that.
    pub(super) fn wants(&self, seen: &Wanted) -> bool {
        match self {
            Self::Follow(object) => object.metadata.generation.unwrap_or_default() == seen.generation,
            Self::Remove => false,
        }
    }
}

/// What makes a look due before its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) generation: i64,
    pub(super) request: String,
    /// The wish for another deploy key.
    pub(super) renewal: String,
}

impl Wanted {
    pub(super) fn of(object: &Repository) -> Self {
        let read = |name| {
            let value = object.annotations().get(name);
            value.map(|text| text::bounded(text, REQUEST)).unwrap_or_default()
        };
        Self {
            generation: object.metadata.generation.unwrap_or_default(),
            request: read(annotation::REQUESTED_AT),
            renewal: read(annotation::RENEW_DEPLOY_KEY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Wanted;
    use crds::Repository;

    fn object(generation: i64, request: Option<&str>, revision: &str) -> Repository {
        let annotations = request.map(|value| serde_json::json!({"signet.dev/requestedAt": value}));
        serde_json::from_value(serde_json::json!({
            "apiVersion": "signet.dev/v1alpha1",
            "kind": "Repository",
            "metadata": {"name": "x", "generation": generation, "annotations": annotations},
            "spec": {"url": "https://git.example/r"},
            "status": {"revision": revision},
        }))
        .unwrap()
    }

    #[test]
    fn only_the_specification_and_requests_make_a_look_due() {
        let seen = Wanted::of(&object(1, None, ""));
        assert_eq!(Wanted::of(&object(1, None, "main@1")), seen, "our own status");
        assert_ne!(Wanted::of(&object(2, None, "")), seen);
        assert_ne!(Wanted::of(&object(1, Some("now"), "")), seen);
    }

    #[test]
    fn requests_are_bounded() {
        let wanted = Wanted::of(&object(1, Some(&"x".repeat(100_000)), ""));
        assert_eq!(wanted.request.chars().count(), 256);
    }
}
