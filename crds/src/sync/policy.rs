//! How a Sync decides: one word each.

use serde::{Deserialize, Serialize};

/// Whether changes are applied by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum Mode {
    /// What Git holds is applied, and drift repaired, at once.
    #[default]
    Automatic,
    /// A plan is shown, and applied when an `Approval` names its digest. Drift from what was approved is repaired.
    Approval,
    /// Nothing is written but the Sync's own status: differences are reported.
    Detect,
}

/// What happens to the objects when their Sync is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum DeletionPolicy {
    /// They stay.
    #[default]
    Orphan,
    /// They are deleted, in reverse order, and the Sync goes when they are gone.
    Delete,
}

/// What to do about a field that Git sets and somebody else owns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum Conflicts {
    /// Git wins, except over trusted managers.
    #[default]
    TakeOver,
    /// The other one keeps it.
    Yield,
    /// The object fails.
    Fail,
}

/// What to do about fields that others added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum ForeignFields {
    /// Nothing.
    Allow,
    /// They are named in the status.
    #[default]
    Report,
    /// They are removed, unless their manager is trusted.
    Remove,
}

/// What to do about a change that the API server does not allow on an existing object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum Immutable {
    /// The object fails.
    #[default]
    Fail,
    /// It is deleted and made anew, once a dry-run has shown that the new one would be accepted.
    Replace,
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
    /// The most that one revision may delete without an approval: a number, or a share of the Sync's objects such as
    /// `50%`. Everything at once needs one too, unless `allowEmpty` is set.
    #[serde(default = "default_limit")]
    #[cfg_attr(
        feature = "kube",
        schemars(regex(pattern = r"^([0-9]{1,6}|[0-9]{1,2}%|100%)$"))
    )]
    pub limit: String,
    /// What becomes of an object that left Git.
    #[serde(default)]
    pub policy: PrunePolicy,
}

/// What becomes of an object that left Git. An object's own annotation `signet.dev/prune` goes before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum PrunePolicy {
    /// It is deleted.
    #[default]
    Delete,
    /// It is deleted after an approval.
    Confirm,
    /// It stays, and is nobody's.
    Orphan,
}

impl Default for Prune {
    fn default() -> Self {
        Self {
            enabled: true,
            allow_empty: false,
            limit: default_limit(),
            policy: PrunePolicy::Delete,
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

fn yes() -> bool {
    true
}

fn default_limit() -> String {
    "50%".into()
}
