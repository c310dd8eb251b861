//! Approval: a person's word that a Sync's plan may be carried out.

use serde::{Deserialize, Serialize};

/// Lets a Sync of the same namespace carry out the plan with this digest. It stays as a record of who approved what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(kube::CustomResource, kube::KubeSchema))]
#[cfg_attr(
    feature = "kube",
    kube(
        group = "signet.dev",
        version = "v1alpha1",
        kind = "Approval",
        namespaced,
        category = "signet",
        doc = "Lets a Sync carry out the plan with a digest.",
        printcolumn(name = "Sync", type_ = "string", json_path = ".spec.syncRef.name"),
        printcolumn(name = "Digest", type_ = "string", json_path = ".spec.digest"),
        printcolumn(name = "Expires", type_ = "date", json_path = ".spec.expires"),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
        validation = kube::core::Rule::new("self.spec == oldSelf.spec")
            .message("an approval is not changed: make another one")
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalSpec {
    /// The Sync, in the same namespace.
    pub sync_ref: crate::LocalReference,
    /// The digest of the plan, from `status.plan.digest` of the Sync.
    #[cfg_attr(feature = "kube", schemars(regex(pattern = r"^[0-9a-f]{32}$")))]
    pub digest: String,
    /// When it stops to count, RFC 3339; left out, never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::date_time"))]
    pub expires: Option<String>,
}
