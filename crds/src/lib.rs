//! API types of Signet: what users write, and what the controller answers in `status`.
//!
//! Plain serde types by default, so that the command line can read and write them without a Kubernetes client. The
//! feature `kube` adds the custom-resource derives; [`all`] then lists every CustomResourceDefinition, and
//! `crds/yaml/` holds them as generated (a test keeps the files fresh).

#![forbid(unsafe_code)]
#![deny(missing_docs)]
// The derive macros emit `pub` items at the span of ours, inside private modules.
#![allow(unreachable_pub)]
// Printer columns repeat `type_` by nature.
#![allow(clippy::duplicated_attributes)]

mod approval;
mod common;
mod deploy_key;
mod fallback;
mod git_reference;
pub mod listener;
mod native_secret;
mod notes;
mod repository;
mod rotation;
mod sealedsecret;
mod submodules;
mod sync;
mod verify;
mod webhook;

pub use approval::ApprovalSpec;
pub use common::{Condition, ConditionStatus, LocalReference, Revision, annotation, condition, label};
pub use deploy_key::{DeployKey, DeployKeyStatus};
pub use fallback::Fallback;
pub use git_reference::GitReference;
pub use native_secret::{
    DataKey, NativeSealedSecretSpec, NativeTemplate, NativeTemplateMetadata, SealedFor, SealedScope,
};
pub use notes::Notes;
pub use repository::{RepositorySpec, RepositoryStatus};
pub use rotation::{
    AgeAlgorithm, Algorithm, Blocker, CommitAuthor, GitProvider, KeyRotationSpec, KeyRotationStatus, NewKeys,
    PullRequestOptions, REPORT_DIGESTS, REPORT_ROWS, ReportCommit, ReportRow, ReportState,
    RepositoryRotation, ResealTarget, Retire, RetireThen, RetireWhen, RotationKey, RotationObjects,
    RotationPhase, RotationReason, RotationReport, RotationStep, RsaAlgorithm, ValueChanged, report_shard,
};
pub use sealedsecret::{SealedSecretCondition, SealedSecretSpec, SealedSecretStatus, SealedSecretTemplate};
pub use submodules::Submodules;
pub use sync::{
    ClusterKind, ClusterReference, Conflicts, Counts, DeletionPolicy, Dependency, DriftReport, ForeignFields,
    ForeignReport, HealthCheck, HealthCounts, HealthReport, HookReport, IgnoreRule, Immutable, Mode,
    ObjectReport, OpenedWith, Pin, PlaintextSecrets, PlanReport, Prune, PrunePolicy, SealedFormat,
    SealedPolicy, SourceKind, SourceReference, Substitute, SyncSpec, SyncStatus, Target, VariableKind,
    VariableSource, Window, WindowKind,
};
pub use verify::{OnRewrite, SignersKind, SignersReference, Verified, Verify, VerifyMode, VerifyRule};
pub use webhook::{Webhook, WebhookProvider};

#[cfg(feature = "kube")]
pub use approval::Approval;
#[cfg(feature = "kube")]
pub use native_secret::NativeSealedSecret;
#[cfg(feature = "kube")]
pub use repository::Repository;
#[cfg(feature = "kube")]
pub use rotation::KeyRotation;
#[cfg(feature = "kube")]
pub use sealedsecret::SealedSecret;
#[cfg(feature = "kube")]
pub use sync::Sync;

/// API group of Signet's own kinds.
pub const GROUP: &str = "signet.dev";
/// API version of Signet's own kinds.
pub const VERSION: &str = "v1alpha1";
/// The finalizer of a Sync whose objects are deleted with it.
pub const FINALIZER: &str = "signet.dev/finalizer";

/// Every CustomResourceDefinition that an install needs, with the name of its file under `crds/yaml/`.
#[cfg(feature = "kube")]
#[must_use]
pub fn all() -> Vec<(
    &'static str,
    k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
)> {
    use kube::CustomResourceExt;
    let mut sync = Sync::crd();
    // KEP-3659: the kind whose objects are ApplySet parents says so, or kubectl refuses to list the set.
    sync.metadata
        .labels
        .get_or_insert_default()
        .insert(label::APPLYSET_PARENT_TYPE.into(), "true".into());
    vec![
        ("repositories.signet.dev.yaml", Repository::crd()),
        ("syncs.signet.dev.yaml", sync),
        ("approvals.signet.dev.yaml", Approval::crd()),
        ("keyrotations.signet.dev.yaml", KeyRotation::crd()),
        ("sealedsecrets.bitnami.com.yaml", SealedSecret::crd()),
        ("sealedsecrets.signet.dev.yaml", NativeSealedSecret::crd()),
    ]
}
