//! KeyRotation: one planned change of sealing keys, from the new key to the retired one.

mod report;
mod status;

pub use report::{
    REPORT_DIGESTS, REPORT_ROWS, ReportCommit, ReportRow, ReportState, RotationReport, ValueChanged,
    report_shard,
};
pub use status::{
    Blocker, KeyRotationStatus, RepositoryRotation, RotationKey, RotationObjects, RotationPhase, RotationStep,
};

use crate::LocalReference;
use serde::{Deserialize, Serialize};

/// Takes the cluster, and what it follows in Git, from the sealing keys in use to a new one, and gets rid of the old ones.
/// It counts in the controller's own namespace only, where the keys are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(kube::CustomResource, kube::KubeSchema))]
#[cfg_attr(
    feature = "kube",
    kube(
        group = "signet.dev",
        version = "v1alpha1",
        kind = "KeyRotation",
        plural = "keyrotations",
        namespaced,
        status = "KeyRotationStatus",
        category = "signet",
        doc = "One planned change of sealing keys.",
        printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
        printcolumn(name = "Key", type_ = "string", json_path = ".status.newKeys[*].secret"),
        printcolumn(name = "Progress", type_ = "string", json_path = ".status.progress"),
        printcolumn(name = "Reason", type_ = "string", json_path = ".spec.reason", priority = 1),
        printcolumn(
            name = "Message",
            type_ = "string",
            json_path = ".status.conditions[?(@.type==\"Ready\")].message",
            priority = 1
        ),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
    )
)]
#[cfg_attr(
    feature = "kube",
    x_kube(validation = kube::core::Rule::new("self.algorithm == oldSelf.algorithm")
        .message("the algorithm of a rotation is not changed: make another KeyRotation")),
    x_kube(validation = kube::core::Rule::new("self.reason == oldSelf.reason")
        .message("the reason of a rotation is not changed: make another KeyRotation")),
    x_kube(validation = kube::core::Rule::new("self.newKeys == oldSelf.newKeys")
        .message("where the keys of a rotation come from is not changed: make another KeyRotation")),
    x_kube(validation = kube::core::Rule::new("self.reason != 'Compromised' || self.newKeys == 'Make'")
        .message("with reason Compromised new keys are made: leave newKeys out")),
    x_kube(validation = kube::core::Rule::new("self.reason != 'Compromised' || !has(self.schedule)")
        .message("a key does not leak on a schedule: leave schedule out with reason Compromised"))
)]
#[serde(rename_all = "camelCase")]
pub struct KeyRotationSpec {
    /// The keys that are made: of format v1, of format v2, or of both. The other format's keys stay.
    pub algorithm: Algorithm,
    /// Where the new keys come from.
    #[serde(default)]
    pub new_keys: NewKeys,
    /// Why.
    #[serde(default)]
    pub reason: RotationReason,
    /// The Repositories that are sealed again by a commit. Others that hang on the old key are named, with the command that a
    /// person runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        feature = "kube",
        schemars(length(max = 256)),
        x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["namespace".into(), "name".into()]))
    )]
    pub reseal: Vec<ResealTarget>,
    /// Public keys, `age1…`, that values of format v2 are sealed for besides the cluster's: recovery keys, mostly. A value that
    /// is sealed for one of them stays so; a value that is sealed for one that is not listed here is named and left alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        feature = "kube",
        schemars(
            length(max = 64),
            inner(regex(pattern = "^age1[0-9a-z]+$"), length(max = 4096))
        )
    )]
    pub recipients: Vec<String>,
    /// What becomes of the old keys.
    pub retire: Retire,
    /// When it begins, and begins again: five cron fields (minute hour day month weekday). Left out: at once, and once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "kube", schemars(length(min = 9, max = 256)))]
    pub schedule: Option<String>,
    /// The time zone of `schedule`, such as `Europe/Berlin`; left out, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "kube", schemars(length(min = 1, max = 64)))]
    pub time_zone: Option<String>,
    /// Changes nothing more while it is true. What was done stays.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

/// Where the new keys of a rotation come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum NewKeys {
    /// The rotation makes them.
    #[default]
    Make,
    /// The newest key that is there, of each format that `algorithm` names, is the new one: one that Bitnami's controller made
    /// when it renewed its own, or `--key-renew-period`. The rotation begins once there is an older key beside it.
    TakeNewest,
}

/// The keys that are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(kube::KubeSchema))]
#[cfg_attr(
    feature = "kube",
    x_kube(validation = kube::core::Rule::new("has(self.v1) || has(self.v2)")
        .message("name an algorithm for v1, for v2, or for both"))
)]
#[serde(rename_all = "camelCase")]
pub struct Algorithm {
    /// Of format v1, Bitnami's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v1: Option<RsaAlgorithm>,
    /// Of format v2, the native one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v2: Option<AgeAlgorithm>,
}

/// Keys of format v1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum RsaAlgorithm {
    /// RSA of 4096 bits, as Bitnami's controller makes them.
    RSA4096,
}

/// Keys of format v2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum AgeAlgorithm {
    /// Post-quantum and classical together: `age1pq1…`.
    MLKEM768X25519,
    /// Classical only: `age1…`.
    X25519,
}

/// Why keys are changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum RotationReason {
    /// It is time. The old keys are believed to be nobody else's.
    #[default]
    Routine,
    /// Somebody else may have an old key. It is barred from sealing before anything else is done, and what was ever sealed for
    /// it in Git is reported, to be changed at its source.
    Compromised,
}

/// A Repository that is sealed again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(kube::KubeSchema))]
#[cfg_attr(
    feature = "kube",
    x_kube(validation = kube::core::Rule::new("!has(self.pullRequest) || has(self.branch)")
        .message("a pull request is made of a branch of its own: name it in branch"))
)]
#[serde(rename_all = "camelCase")]
pub struct ResealTarget {
    /// The Repository's namespace.
    #[cfg_attr(feature = "kube", schemars(length(min = 1, max = 63)))]
    pub namespace: String,
    /// The Repository's name. It has to follow a branch.
    #[cfg_attr(feature = "kube", schemars(length(min = 1, max = 253)))]
    pub name: String,
    /// A Secret in the KeyRotation's own namespace with what may push, in the form of a Repository's `secretRef`. Without it
    /// nothing is pushed, and the status shows the command for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push_secret_ref: Option<LocalReference>,
    /// The address that is pushed to, with a `pushSecretRef`: the Repository's `spec.url` has to be this very one. Whoever may
    /// change the Repository does not choose where the Secret goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "kube", schemars(length(min = 1, max = 2048)))]
    pub url: Option<String>,
    /// Push to a branch of this name, which is made, for people to merge; left out, to the branch that the Repository follows.
    /// It is never forced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "kube",
        schemars(length(min = 1, max = 200), regex(pattern = "^[A-Za-z0-9][A-Za-z0-9._/-]*$"))
    )]
    pub branch: Option<String>,
    /// Have the host open a pull request of that branch. Left out, people do, or a rule of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<PullRequestOptions>,
    /// Paths, from the repository's root, whose values are sealed for other clusters. What no key here opens there holds nothing up.
    /// Elsewhere it does, unless it names its namespace and no Sync reads it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        feature = "kube",
        schemars(length(max = 64), inner(length(min = 1, max = 512)))
    )]
    pub elsewhere: Vec<String>,
    /// Who the commit is by.
    #[serde(default)]
    pub author: CommitAuthor,
    /// The first line of the commit's message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "kube",
        schemars(length(min = 1, max = 200), regex(pattern = "^[^\\p{Cc}]+$"))
    )]
    pub message: Option<String>,
    /// A Secret in the KeyRotation's own namespace whose `identity` is an SSH key, with its passphrase in `password` if it has
    /// one: the commit is signed with it. OpenPGP keys are not taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_secret_ref: Option<LocalReference>,
}

/// How a pull request is opened. The host is asked with the field `apiToken` of the Secret that pushes, or else with what logs in
/// there over HTTP: its password, bearer token or GitHub App.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(kube::KubeSchema))]
#[serde(rename_all = "camelCase")]
pub struct PullRequestOptions {
    /// Whose API the host has.
    pub provider: GitProvider,
    /// Where the API is, such as `https://ghe.example.com/api/v3`; left out, where it is by default on the host of `url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "kube",
        schemars(length(min = 10, max = 1024), regex(pattern = "^https?://[^\\s@?#]+$"))
    )]
    pub api: Option<String>,
}

/// Whose API a Git host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum GitProvider {
    /// github.com, and GitHub Enterprise Server.
    GitHub,
    /// gitlab.com, and GitLab on one's own machines: a merge request.
    GitLab,
    /// Gitea, and Forgejo.
    Gitea,
}

/// Who a commit is by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(kube::KubeSchema))]
#[serde(rename_all = "camelCase")]
pub struct CommitAuthor {
    /// The name.
    #[serde(default = "default_name")]
    #[cfg_attr(
        feature = "kube",
        schemars(length(min = 1, max = 128), regex(pattern = "^[^<>\\p{Cc}]+$"))
    )]
    pub name: String,
    /// The e-mail address.
    #[serde(default = "default_email")]
    #[cfg_attr(
        feature = "kube",
        schemars(length(min = 1, max = 254), regex(pattern = "^[^<>\\s\\p{Cc}]+$"))
    )]
    pub email: String,
}

impl Default for CommitAuthor {
    fn default() -> Self {
        Self {
            name: default_name(),
            email: default_email(),
        }
    }
}

/// What becomes of the old keys, once nothing that is followed or live needs them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(kube::KubeSchema))]
#[cfg_attr(
    feature = "kube",
    x_kube(validation = kube::core::Rule::new("self.then == 'Archive' ? has(self.recipients) && size(self.recipients) > 0 : !has(self.recipients)")
        .message("name in recipients the age keys (age1…) that may open the archive; or say then: Destroy, and name none"))
)]
#[serde(rename_all = "camelCase")]
pub struct Retire {
    /// When.
    #[serde(default)]
    pub when: RetireWhen,
    /// How long they have to be unused first.
    #[serde(default = "default_grace")]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::duration"))]
    pub grace: String,
    /// What then.
    #[serde(default)]
    pub then: RetireThen,
    /// Who may open the archive: age public keys, `age1…` or `age1pq1…`, not of both kinds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        feature = "kube",
        schemars(
            length(max = 16),
            inner(regex(pattern = "^age1[0-9a-z]+$"), length(max = 4096))
        )
    )]
    pub recipients: Vec<String>,
    /// With `when: Confirmed`, and with reason Compromised where the report is incomplete: the ids of the old keys that may be
    /// retired, as the status names them. For an incomplete report beside them the word of `status.report.confirm`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        feature = "kube",
        schemars(length(max = 64), inner(length(min = 1, max = 128)))
    )]
    pub confirmed: Vec<String>,
}

/// When old keys are retired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum RetireWhen {
    /// Once they have been unused for the grace time.
    #[default]
    Unused,
    /// Then, and only those that `confirmed` names.
    Confirmed,
}

/// What becomes of a retired key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum RetireThen {
    /// Its Secret is encrypted for `recipients`, kept in a Secret of the controller's namespace that the controller itself
    /// cannot open, and deleted.
    #[default]
    Archive,
    /// Its Secret is deleted.
    Destroy,
}

fn default_name() -> String {
    "Signet".into()
}

fn default_email() -> String {
    "signet@localhost".into()
}

fn default_grace() -> String {
    "24h".into()
}
