//! What a Sync's status says.

use crate::{Condition, Revision};
use serde::{Deserialize, Serialize};

/// What the controller last did for a Sync.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(kube::KubeSchema))]
#[serde(rename_all = "camelCase")]
pub struct SyncStatus {
    /// The generation that this status speaks of.
    #[serde(default)]
    pub observed_generation: i64,
    /// Ready, Reconciling, Stalled, Healthy; `DriftUnresolved` and `Pinned` while it is so.
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
    /// The sealing keys that the values of its Secrets were opened with. A key that nothing here names is not needed by what this
    /// Sync has applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "kube", x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["key".into()])))]
    pub opened_with: Vec<OpenedWith>,
    /// How the objects are.
    #[serde(default)]
    pub health: HealthCounts,
    /// Objects that are not healthy, or not yet, at most 50 entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unhealthy: Vec<HealthReport>,
    /// Drift that is not repaired: reported only, fought over, or impossible to repair; at most 50 entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<DriftReport>,
    /// Fields that others added, at most 50 entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign: Vec<ForeignReport>,
    /// Objects that are neither applied nor deleted, since an annotation on them in the cluster asks for that; at most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frozen: Vec<String>,
    /// Hooks of the last revision that has any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<HookReport>,
    /// What would be done, while it waits for an approval or is only reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanReport>,
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

/// A sealing key that values were opened with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OpenedWith {
    /// Its id: `SHA256:…` of format v1, `key-…` of format v2.
    pub key: String,
    /// How many values.
    #[serde(default)]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::count"))]
    pub values: u32,
}

/// How many objects are how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HealthCounts {
    /// As they should be.
    #[serde(default)]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::count"))]
    pub current: u32,
    /// On their way.
    #[serde(default)]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::count"))]
    pub in_progress: u32,
    /// Failed.
    #[serde(default)]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::count"))]
    pub failed: u32,
}

/// An object that is not healthy, or not yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HealthReport {
    /// The object, as `Kind namespace/name`.
    pub object: String,
    /// InProgress, Failed, Terminating, Suspended, Unknown; `Waiting` where something else has to be ready first.
    pub status: String,
    /// Why, as a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Since when, RFC 3339.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub since: String,
}

/// Drift of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DriftReport {
    /// The object, as `Kind namespace/name`.
    pub object: String,
    /// Changed, Deleted or Replaced.
    pub change: String,
    /// The field manager that did it, where it is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub manager: String,
    /// The paths of the fields, never their values; at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// When it was seen first, RFC 3339.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub since: String,
    /// When the manager wrote, as the API server noted it, RFC 3339 in whole seconds; where it is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub changed_at: String,
    /// Why it is not repaired.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// Fields of one of our objects that somebody else added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ForeignReport {
    /// The object, as `Kind namespace/name`.
    pub object: String,
    /// The field manager that owns them.
    pub manager: String,
    /// Their paths, at most 20.
    pub fields: Vec<String>,
}

/// One hook's run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HookReport {
    /// The object, as `Kind namespace/name`.
    pub object: String,
    /// Pre, Sync, Post, Fail, PreDelete or PostDelete.
    pub phase: String,
    /// Waiting, Running, Succeeded, Failed, TimedOut or Cancelled.
    pub state: String,
    /// Why, as a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// What would be done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PlanReport {
    /// What an `Approval` has to name. It covers what Git holds, how the Sync applies it, and what would be deleted.
    pub digest: String,
    /// The revision that would be applied, as `branch@id`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// Why it is not applied, as a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Objects that would be created.
    #[serde(default)]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::count"))]
    pub create: u32,
    /// Objects that would be changed.
    #[serde(default)]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::count"))]
    pub update: u32,
    /// Objects that would be deleted.
    #[serde(default)]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::count"))]
    pub delete: u32,
    /// Hooks that would run.
    #[serde(default)]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::count"))]
    pub run: u32,
    /// What would be done to which object, as `create Kind namespace/name`; at most 50 lines, deletions first, then hooks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<String>,
}
