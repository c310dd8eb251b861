//! What was ever sealed with keys that leaked: the report that a KeyRotation with reason Compromised keeps.

use serde::{Deserialize, Serialize};

/// What the report comes to. The report itself is in ConfigMaps: see [`report_shard`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(kube::KubeSchema))]
#[serde(rename_all = "camelCase")]
pub struct RotationReport {
    /// How far it is.
    #[serde(default)]
    pub state: ReportState,
    /// How many values were sealed with an old key.
    #[serde(default)]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::count"))]
    pub values: u64,
    /// Of those: how many are still as they were, and have to be changed at their source.
    #[serde(default)]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::count"))]
    pub unchanged: u64,
    /// How many are another value now.
    #[serde(default)]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::count"))]
    pub changed: u64,
    /// How many are there no more.
    #[serde(default)]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::count"))]
    pub removed: u64,
    /// Of how many it cannot be said.
    #[serde(default)]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::count"))]
    pub unknown: u64,
    /// In how many ConfigMaps it is.
    #[serde(default)]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::count"))]
    pub shards: u64,
    /// Commits that were looked through.
    #[serde(default)]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::count"))]
    pub commits: u64,
    /// Whether the SealedSecret objects of the cluster were looked through.
    #[serde(default)]
    pub cluster: bool,
    /// What is being looked through now.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub progress: String,
    /// What could not be looked through, and why: at most 20 sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<String>,
    /// Where it is incomplete, the word that accepts what `gaps` says: in `spec.retire.confirmed`, beside the ids of the old keys.
    /// Other gaps have another word. There is none as long as one of them may pass by itself and is tried again.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub confirm: String,
}

/// How far a report is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum ReportState {
    /// History is being walked.
    #[default]
    Walking,
    /// All of it was.
    Complete,
    /// All that could be was; `gaps` names the rest.
    Incomplete,
}

/// A value that was sealed with a key that leaked. It says nothing of what the value is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportRow {
    /// Of the SealedSecret.
    pub namespace: String,
    /// Of the SealedSecret.
    pub name: String,
    /// The value's key.
    pub key: String,
    /// `namespace/name` of the Repository; empty: an object of the cluster that no Repository has.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub repository: String,
    /// The files in which it was sealed so, the first ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// The key that leaked. Empty: never sealed with it here, but the same value was elsewhere.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sealed_for: String,
    /// The first commit in which it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<ReportCommit>,
    /// Whether it is another value now.
    #[serde(default)]
    pub changed: ValueChanged,
    /// The commit that brought what it is now, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<ReportCommit>,
}

/// Whether a value is another one than any that was sealed with a key that leaked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ValueChanged {
    /// It cannot be opened where it stands now, or where it stands cannot be read.
    #[default]
    Unknown,
    /// It is one of them, and has to be changed at its source.
    No,
    /// It is none of them.
    Yes,
    /// It is there no more.
    Removed,
}

impl ValueChanged {
    /// As people read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::No => "no",
            Self::Yes => "yes",
            Self::Removed => "removed",
        }
    }
}

/// A commit of a report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportCommit {
    /// Its id.
    pub id: String,
    /// `Name <address>`, as the commit claims.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// When it was written, RFC 3339, as the commit claims.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub date: String,
}

/// The field of a shard with its [rows](ReportRow), a JSON list.
pub const REPORT_ROWS: &str = "rows";
/// The field of a shard with keyed digests of what was sealed with a key that leaked, of all values together.
pub const REPORT_DIGESTS: &str = "digests";

/// The name of a ConfigMap with a part of the report of the KeyRotation with this uid, in its namespace.
#[must_use]
pub fn report_shard(uid: &str, number: u64) -> String {
    format!("signet-report-{uid}-{number}")
}
