//! Sync: apply this path of that Repository here.

mod policy;
mod rules;
mod sealed;
mod status;

pub use policy::{
    Conflicts, DeletionPolicy, ForeignFields, Immutable, Mode, PlaintextSecrets, Prune, PrunePolicy,
};
pub use rules::{
    Dependency, HealthCheck, IgnoreRule, Pin, Substitute, Target, VariableKind, VariableSource, Window,
    WindowKind,
};
pub use sealed::{SealedFormat, SealedPolicy};
pub use status::{
    Counts, DriftReport, ForeignReport, HealthCounts, HealthReport, HookReport, ObjectReport, OpenedWith,
    PlanReport, SyncStatus,
};

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
    /// An earlier commit of the Repository's branch that is applied for a time instead of the newest one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Pin>,
    /// Whether changes are applied by themselves, after an approval, or only reported.
    #[serde(default)]
    pub mode: Mode,
    /// When something may be written. Without an `Allow` window any time that no `Deny` window covers; with one, only
    /// inside one, and outside of every `Deny`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "kube", schemars(length(max = 32)))]
    pub windows: Vec<Window>,
    /// Syncs of the same namespace that have to be ready first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "kube", schemars(length(max = 32)))]
    pub depends_on: Vec<Dependency>,
    /// Variables that are put in place of `${name}` in the manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub substitute: Option<Substitute>,
    /// What happens to objects that left Git.
    #[serde(default)]
    pub prune: Prune,
    /// What happens to the objects when the Sync itself is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// What to do about a Secret that stands in Git in plain text.
    #[serde(default)]
    pub plaintext_secrets: PlaintextSecrets,
    /// What sealed values are accepted; anything else is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<SealedPolicy>,
    /// What to do about a field that Git sets and somebody else owns. Another Sync's field is never taken.
    #[serde(default)]
    pub conflicts: Conflicts,
    /// What to do about fields that others added to our objects.
    #[serde(default)]
    pub foreign_fields: ForeignFields,
    /// Field managers, beside the well-known ones (autoscalers, the cluster's own controllers), to whom a field is
    /// yielded when they take it. A trailing `*` matches any ending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        feature = "kube",
        schemars(length(max = 64), inner(length(min = 1, max = 128)))
    )]
    pub trusted_managers: Vec<String>,
    /// Fields that are set when an object is created and left alone afterwards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "kube", schemars(length(max = 64)))]
    pub ignore: Vec<IgnoreRule>,
    /// What to do about a change that the API server does not allow on an existing object.
    #[serde(default)]
    pub immutable: Immutable,
    /// Rolls the workloads whose pods mount or read a Secret of this Sync when what that Secret holds changes. A Secret that is
    /// only sealed again rolls nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restart_on_secret_change: bool,
    /// Creates namespaces that objects name and nobody has made. They are never deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub create_namespaces: bool,
    /// How objects of a kind are judged, where the built-in rules do not fit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "kube", schemars(length(max = 64)))]
    pub health_checks: Vec<HealthCheck>,
    /// How long objects may take to become healthy, and a hook to end, before the Sync says that they do not.
    #[serde(default = "default_timeout")]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::duration"))]
    pub timeout: String,
    /// How long drift may stay before it counts as unresolved.
    #[serde(default = "default_drift_timeout")]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::duration"))]
    pub drift_timeout: String,
    /// Stops applying and repairing. What is applied stays.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

impl SyncSpec {
    /// A Sync of a Repository's path, with every choice left at its default.
    #[must_use]
    pub fn new(repository: &str, path: &str, service_account: &str) -> Self {
        Self {
            source_ref: SourceReference {
                kind: SourceKind::Repository,
                name: repository.into(),
            },
            cluster_ref: None,
            path: path.into(),
            service_account_name: service_account.into(),
            target_namespace: None,
            pin: None,
            mode: Mode::default(),
            windows: Vec::new(),
            depends_on: Vec::new(),
            substitute: None,
            prune: Prune::default(),
            deletion_policy: DeletionPolicy::default(),
            plaintext_secrets: PlaintextSecrets::default(),
            sealed: None,
            conflicts: Conflicts::default(),
            foreign_fields: ForeignFields::default(),
            trusted_managers: Vec::new(),
            ignore: Vec::new(),
            immutable: Immutable::default(),
            restart_on_secret_change: false,
            create_namespaces: false,
            health_checks: Vec::new(),
            timeout: default_timeout(),
            drift_timeout: default_drift_timeout(),
            suspend: false,
        }
    }
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

fn default_path() -> String {
    ".".into()
}

fn default_timeout() -> String {
    "5m".into()
}

fn default_drift_timeout() -> String {
    "2m".into()
}
