//! Lists that a Sync's spec holds: windows, dependencies, variables, ignored fields, health checks.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A commit that is applied for a time, whatever comes after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Pin {
    /// The commit's full id. It has to be among the last 500 of the Repository's branch.
    #[cfg_attr(feature = "kube", schemars(regex(pattern = "^[0-9a-f]{40}$")))]
    pub commit: String,
    /// When the pin ends by itself, RFC 3339. The newest commit is followed again then.
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::date_time"))]
    pub until: String,
    /// Why, for those who read the status.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[cfg_attr(feature = "kube", schemars(length(max = 1024)))]
    pub reason: String,
}

/// A span of time that comes again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// Whether something may be written inside it, or nothing.
    pub kind: WindowKind,
    /// When it begins: five cron fields, minute hour day month weekday.
    #[cfg_attr(feature = "kube", schemars(length(min = 9, max = 128)))]
    pub schedule: String,
    /// How long it lasts, such as `8h`.
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::duration"))]
    pub duration: String,
    /// The time zone of the schedule, such as `Europe/Prague`; left out, UTC.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[cfg_attr(feature = "kube", schemars(length(max = 64)))]
    pub time_zone: String,
}

/// What a window says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum WindowKind {
    /// Something may be written inside.
    Allow,
    /// Nothing may be written inside. It goes before every `Allow`.
    Deny,
}

/// A Sync that has to be ready first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Dependency {
    /// Its name, in the same namespace.
    #[cfg_attr(feature = "kube", schemars(length(min = 1, max = 253)))]
    pub name: String,
}

/// Variables for the manifests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Substitute {
    /// Names and values. They go before those of `from`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "kube", schemars(length(max = 256)))]
    pub variables: BTreeMap<String, String>,
    /// ConfigMaps and Secrets of the Sync's namespace whose keys are variables; a later one goes before an earlier one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "kube", schemars(length(max = 32)))]
    pub from: Vec<VariableSource>,
    /// Whether a variable that has neither value nor default is left as it stands, instead of being an error.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_unset: bool,
}

/// An object whose keys are variables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct VariableSource {
    /// Its kind. What comes from a Secret is treated as plaintext everywhere.
    pub kind: VariableKind,
    /// Its name.
    #[cfg_attr(feature = "kube", schemars(length(min = 1, max = 253)))]
    pub name: String,
    /// Whether it may be missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// Kinds that hold variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum VariableKind {
    /// A ConfigMap's `data`.
    ConfigMap,
    /// A Secret's `data`.
    Secret,
}

/// Fields that are left alone once an object exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct IgnoreRule {
    /// JSON pointers (RFC 6901), such as `/spec/replicas`.
    #[cfg_attr(
        feature = "kube",
        schemars(length(min = 1, max = 64), inner(length(min = 2, max = 1024)))
    )]
    pub paths: Vec<String>,
    /// Which objects; left out, all.
    #[serde(default)]
    pub target: Target,
}

/// Which objects a rule is about. What is left out matches anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// API group. The core group cannot be named alone; name a kind.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[cfg_attr(feature = "kube", schemars(length(max = 253)))]
    pub group: String,
    /// Kind.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[cfg_attr(feature = "kube", schemars(length(max = 63)))]
    pub kind: String,
    /// Namespace.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[cfg_attr(feature = "kube", schemars(length(max = 63)))]
    pub namespace: String,
    /// Name. A trailing `*` matches any ending.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[cfg_attr(feature = "kube", schemars(length(max = 253)))]
    pub name: String,
}

impl Target {
    /// Whether an object is meant.
    #[must_use]
    pub fn matches(&self, group: &str, kind: &str, namespace: Option<&str>, name: &str) -> bool {
        let is = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
        let name_is = match self.name.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => is(&self.name, name),
        };
        is(&self.group, group)
            && is(&self.kind, kind)
            && is(&self.namespace, namespace.unwrap_or_default())
            && name_is
    }
}

/// How objects of one kind are judged, as CEL over `self`, the whole object. The first that holds decides, in the order
/// `inProgress`, `failed`, `current`; where none holds the object is in progress.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// API group; empty for the core group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[cfg_attr(feature = "kube", schemars(length(max = 253)))]
    pub group: String,
    /// Kind.
    #[cfg_attr(feature = "kube", schemars(length(min = 1, max = 63)))]
    pub kind: String,
    /// Whether the object is on its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "kube", schemars(length(max = 2048)))]
    pub in_progress: Option<String>,
    /// Whether it has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "kube", schemars(length(max = 2048)))]
    pub failed: Option<String>,
    /// Whether it is as it should be.
    #[cfg_attr(feature = "kube", schemars(length(min = 1, max = 2048)))]
    pub current: String,
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn a_target_matches_what_it_names() {
        let target = Target {
            kind: "Deployment".into(),
            name: "web-*".into(),
            ..Target::default()
        };
        assert!(target.matches("apps", "Deployment", Some("shop"), "web-1"));
        assert!(!target.matches("apps", "Deployment", Some("shop"), "api"));
        assert!(!target.matches("apps", "StatefulSet", Some("shop"), "web-1"));
        assert!(Target::default().matches("", "Node", None, "n"));
    }
}
