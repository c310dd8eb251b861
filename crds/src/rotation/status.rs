//! How far a rotation is. From this, and from what the cluster and Git themselves say, it goes on after any interruption.

use super::RotationReport;
use crate::Condition;
use serde::{Deserialize, Serialize};

/// How far a rotation is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(kube::KubeSchema))]
#[serde(rename_all = "camelCase")]
pub struct KeyRotationStatus {
    /// The generation that this status speaks of.
    #[serde(default)]
    pub observed_generation: i64,
    /// Ready, Reconciling, Stalled, and one a phase: Barred, KeyMade, Reported, Published, Resealed, Applied, Verified, Retired.
    #[serde(default)]
    #[cfg_attr(feature = "kube", x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()])))]
    pub conditions: Vec<Condition>,
    /// Where it is.
    #[serde(default)]
    pub phase: RotationPhase,
    /// Which one it is, of one with a schedule: the first is 0.
    #[serde(default)]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::count"))]
    pub run: u64,
    /// Counts, as a column shows them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub progress: String,
    /// The keys that were made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub new_keys: Vec<RotationKey>,
    /// The keys that are left: those in use when the new ones were made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub old_keys: Vec<RotationKey>,
    /// What was done to each Repository.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<RepositoryRotation>,
    /// What was done to SealedSecret objects of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects: Option<RotationObjects>,
    /// With reason Compromised: what was sealed with the old keys. `signet rotation report` shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<RotationReport>,
    /// What holds it up: at most 100 are shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blockers: Vec<Blocker>,
    /// How many there are.
    #[serde(default)]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::count"))]
    pub blocked: u64,
    /// The last value of the annotation `signet.dev/requestedAt` that was acted on in all Repositories.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub last_handled_request: String,
    /// When it began, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "kube",
        schemars(schema_with = "crate::common::schema::optional_date_time")
    )]
    pub started: Option<String>,
    /// Since when nothing needs the old keys, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "kube",
        schemars(schema_with = "crate::common::schema::optional_date_time")
    )]
    pub unused_since: Option<String>,
    /// When it was complete, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "kube",
        schemars(schema_with = "crate::common::schema::optional_date_time")
    )]
    pub completed: Option<String>,
}

/// Where a rotation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum RotationPhase {
    /// It has not begun.
    #[default]
    Pending,
    /// Another rotation goes first.
    Waiting,
    /// The new keys are made, and not yet what every controller publishes.
    Publishing,
    /// Values are sealed again.
    Resealing,
    /// A person has to commit, where nothing may be pushed.
    AwaitingCommit,
    /// A person has to merge a branch.
    AwaitingMerge,
    /// Syncs have not applied all of it yet.
    Applying,
    /// Something still hangs on an old key that no commit of ours changes; the status names it.
    Blocked,
    /// Nothing needs the old keys; their grace time runs.
    Unused,
    /// What was ever sealed with the old keys is still being looked for: they are needed for that.
    Reporting,
    /// A person has to confirm that the old keys are retired.
    AwaitingConfirmation,
    /// The old keys are being archived and deleted.
    Retiring,
    /// The old keys are gone.
    Complete,
}

impl RotationPhase {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Waiting => "Waiting",
            Self::Publishing => "Publishing",
            Self::Resealing => "Resealing",
            Self::AwaitingCommit => "AwaitingCommit",
            Self::AwaitingMerge => "AwaitingMerge",
            Self::Applying => "Applying",
            Self::Blocked => "Blocked",
            Self::Unused => "Unused",
            Self::Reporting => "Reporting",
            Self::AwaitingConfirmation => "AwaitingConfirmation",
            Self::Retiring => "Retiring",
            Self::Complete => "Complete",
        }
    }
}

/// A sealing key of a rotation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RotationKey {
    /// `v1` or `v2`.
    pub format: String,
    /// `SHA256:…` or `key-…`.
    pub id: String,
    /// Its Secret, in the controller's namespace.
    pub secret: String,
    /// Whether its Secret is gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
    /// The Secret that holds it, encrypted, after that.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub archive: String,
    /// The uid of that Secret, as it was read back after it was written.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub archive_uid: String,
    /// SHA-256 of the encrypted file in it, in hex: before the key is deleted it is read again and compared.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub archive_digest: String,
}

/// What was done to a Repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RepositoryRotation {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// How far it is.
    #[serde(default)]
    pub step: RotationStep,
    /// The branch that was pushed to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub branch: String,
    /// The commit in which its values were sealed again, written down before it is pushed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub commit: String,
    /// The pull request of that branch, where one was asked for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pull_request: String,
    /// The commit before it: this one, and what it was made of, needs the old keys.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub base: String,
    /// The last commit that was followed and hung on an old key, whoever sealed its values again then.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub last_needing: String,
    /// The first one that was followed after it and needs none: a merge, a squash, a person's own commit.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub first_clean: String,
    /// The last value of the annotation `signet.dev/requestedAt` that was acted on here.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub last_handled_request: String,
    /// How many values were sealed again.
    #[serde(default)]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::count"))]
    pub values: u64,
    /// How many still hang on an old key, as far as is known.
    #[serde(default)]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::count"))]
    pub left: u64,
    /// A sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What a person runs in a clone, where nothing may be pushed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command: String,
}

/// How far a Repository is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum RotationStep {
    /// It has not been looked at yet, or cannot be read.
    #[default]
    Unknown,
    /// The commit is about to be pushed.
    Pushing,
    /// The commit is pushed, and not followed yet.
    Pushed,
    /// A person has to commit.
    AwaitingCommit,
    /// A person has to merge.
    AwaitingMerge,
    /// A person took the commit back.
    RolledBack,
    /// Nothing in it needs an old key.
    Clean,
    /// Something in it needs an old key that a commit of ours does not change.
    Blocked,
}

/// What was done to SealedSecret objects of the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RotationObjects {
    /// How many there are.
    #[serde(default)]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::count"))]
    pub total: u64,
    /// How many were sealed again.
    #[serde(default)]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::count"))]
    pub resealed: u64,
    /// How many still hang on an old key.
    #[serde(default)]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::count"))]
    pub left: u64,
}

/// Something that holds a rotation up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Blocker {
    /// Where: a Repository with commit and file, a Sync, or the cluster.
    pub place: String,
    /// The SealedSecret, and the key of the value where it is about one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub object: String,
    /// Why, and what to do. Never a value.
    pub message: String,
}
