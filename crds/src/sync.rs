//! Sync: apply this path of that Repository here.

use crate::{Condition, Revision};
use serde::{Deserialize, Serialize};

/// "Apply this path of that Repository here": source, identity, prune, policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(kube::CustomResource, kube::KubeSchema))]
#[cfg_attr(
    feature = "kube",
    kube(
        group = "signet.dev",
        version = "v1alpha1",
        kind = "Sync",
        namespaced,
        status = "SyncStatus",
        category = "signet",
        doc = "Applies one path of a Repository to a cluster, with its sealed Secrets opened on the way.",
        printcolumn(
            name = "Ready",
            type_ = "string",
            json_path = ".status.conditions[?(@.type==\"Ready\")].status"
        ),
        printcolumn(name = "Revision", type_ = "string", json_path = ".status.revision"),
        printcolumn(name = "Objects", type_ = "integer", json_path = ".status.counts.objects"),
        printcolumn(name = "Failed", type_ = "integer", json_path = ".status.counts.failed"),
        printcolumn(
            name = "Message",
            type_ = "string",
            json_path = ".status.conditions[?(@.type==\"Ready\")].message",
            priority = 1
        ),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
    )
)]
#[serde(rename_all = "camelCase")]
pub struct SyncSpec {
    /// Where the manifests come from.
    pub source_ref: SourceReference,
    /// Which cluster they go to; left out, the one that the controller runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_ref: Option<ClusterReference>,
    /// The directory within the repository. `.` is the whole of it.
    #[serde(default = "default_path")]
    #[cfg_attr(
        feature = "kube",
        x_kube(validation = kube::core::Rule::new("!self.startsWith('/') && !self.split('/').exists(p, p == '..')")
            .message("path is relative to the repository's root and does not leave it")),
        schemars(length(min = 1, max = 1024))
    )]
    pub path: String,
    /// The service account, in the Sync's own namespace, whose rights every request of this Sync has. The controller
    /// never applies with rights of its own.
    #[cfg_attr(
        feature = "kube",
        schemars(
            length(min = 1, max = 253),
            regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
        )
    )]
    pub service_account_name: String,
    /// The namespace of objects that name none; left out, the Sync's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "kube",
        schemars(
            length(min = 1, max = 63),
            regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
        )
    )]
    pub target_namespace: Option<String>,
    /// What happens to objects that left Git.
    #[serde(default)]
    pub prune: Prune,
    /// What to do about a Secret that stands in Git in plain text.
    #[serde(default)]
    pub plaintext_secrets: PlaintextSecrets,
    /// Stops applying and repairing. What is applied stays.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

/// What a Sync's manifests come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SourceReference {
    /// The kind of the source.
    #[serde(default)]
    pub kind: SourceKind,
    /// Its name, in the Sync's own namespace.
    #[cfg_attr(feature = "kube", schemars(length(min = 1, max = 253)))]
    pub name: String,
}

/// Kinds of source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum SourceKind {
    /// A `Repository` of `signet.dev`.
    #[default]
    Repository,
}

/// The cluster that a Sync applies to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ClusterReference {
    /// The kind of the reference.
    #[serde(default)]
    pub kind: ClusterKind,
    /// Its name, in the Sync's own namespace. Remote clusters are not supported yet: a Sync that names one is stalled.
    #[cfg_attr(feature = "kube", schemars(length(min = 1, max = 253)))]
    pub name: String,
}

/// Kinds of cluster reference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum ClusterKind {
    /// A `Cluster` of `signet.dev`.
    #[default]
    Cluster,
}

/// What happens to objects that left Git.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Prune {
    /// Deletes objects that this Sync applied and Git no longer holds.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Lets a path that holds no object at all prune everything. A path that is missing or unreadable never does.
    #[serde(default)]
    pub allow_empty: bool,
}

impl Default for Prune {
    fn default() -> Self {
        Self {
            enabled: true,
            allow_empty: false,
        }
    }
}

/// What to do about a Secret that stands in Git in plain text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum PlaintextSecrets {
    /// Apply it, and say so.
    #[default]
    Warn,
    /// Leave it out, as a failure of the Sync.
    Refuse,
    /// Apply it silently.
    Allow,
}

/// What the controller last did for a Sync.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(kube::KubeSchema))]
#[serde(rename_all = "camelCase")]
pub struct SyncStatus {
    /// The generation that this status speaks of.
    #[serde(default)]
    pub observed_generation: i64,
    /// Ready, Reconciling, Stalled.
    #[serde(default)]
    #[cfg_attr(feature = "kube", x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()])))]
    pub conditions: Vec<Condition>,
    /// The applied revision as `branch@id`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// A keyed digest of the files that this status speaks of.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub inputs: String,
    /// The last commit that changed this Sync's inputs and was applied without a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_applied_revision: Option<Revision>,
    /// The last commit that changed this Sync's inputs and was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempted_revision: Option<Revision>,
    /// How the last attempt went, in numbers.
    #[serde(default)]
    pub counts: Counts,
    /// What failed or waits, at most 50 entries; `counts.failed` has the whole number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<ObjectReport>,
    /// What succeeded and should be looked at, at most 50 entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<ObjectReport>,
    /// The last value of the annotation `signet.dev/requestedAt` that was acted on.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub last_handled_request: String,
}

/// Numbers of the last attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Objects that Git holds under the path, opened Secrets among them.
    #[serde(default)]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::count"))]
    pub objects: u32,
    /// Objects that were created.
    #[serde(default)]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::count"))]
    pub created: u32,
    /// Objects that were changed.
    #[serde(default)]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::count"))]
    pub changed: u32,
    /// Objects that were as Git has them.
    #[serde(default)]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::count"))]
    pub unchanged: u32,
    /// Objects that were deleted because they left Git.
    #[serde(default)]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::count"))]
    pub pruned: u32,
    /// Objects, files or documents that failed.
    #[serde(default)]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::count"))]
    pub failed: u32,
}

/// What is to be said of one object, file or document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ObjectReport {
    /// The object, as `Kind namespace/name`; empty where a file could not be read that far.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub object: String,
    /// The file and document it stands in.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

fn default_path() -> String {
    ".".into()
}

fn yes() -> bool {
    true
}
