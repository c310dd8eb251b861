//! ApplySets (KEP-3659): how members of a Sync are found by label.
//!
//! Labels are for discovery only. What a Sync may delete is what its checkpoint recorded.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// What the annotation `applyset.kubernetes.io/tooling` says.
pub const TOOLING: &str = "signet/v1alpha1";

/// The id of the ApplySet whose parent is the Sync `namespace/name`, as KEP-3659 computes it.
#[must_use]
pub fn id(namespace: &str, name: &str) -> String {
    let hash = Sha256::digest(format!("{name}.{namespace}.Sync.{}", crds::GROUP));
    format!("applyset-{}-v1", BASE64_URL_SAFE_NO_PAD.encode(hash))
}

/// The field manager of the Sync with this ApplySet id. Computable from a member's label alone.
#[must_use]
pub fn manager(id: &str) -> String {
    let hash = id
        .strip_prefix("applyset-")
        .and_then(|rest| rest.strip_suffix("-v1"))
        .unwrap_or(id);
    format!("{MANAGER_PREFIX}{hash}")
}

/// The field manager of Secrets that SealedSecret objects of the cluster make. Not a Sync's.
pub const SEALED_MANAGER: &str = "signet-sealed-secrets";

/// The field manager of `signet bootstrap`, whose objects the Sync that they bring takes over.
pub const BOOTSTRAP_MANAGER: &str = "signet-bootstrap";

/// What every Sync's field manager starts with.
pub const MANAGER_PREFIX: &str = "signet/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_fit_a_label_and_managers_follow_from_them() {
        let id = id("shop", "web");
        assert!(id.len() <= 63, "{}", id.len());
        assert!(id.starts_with("applyset-") && id.ends_with("-v1"));
        assert!(manager(&id).len() <= 128);
        assert_ne!(id, super::id("web", "shop"));
        assert!(id.contains(manager(&id).strip_prefix(MANAGER_PREFIX).unwrap()));
    }
}
