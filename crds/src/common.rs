//! What several kinds share: conditions, references, revisions, and the names of labels and annotations.

use serde::{Deserialize, Serialize};

/// Labels that Signet writes or reads.
pub mod label {
    /// On every object that a Sync applied: the id of its ApplySet (KEP-3659).
    pub const APPLYSET_PART_OF: &str = "applyset.kubernetes.io/part-of";
    /// On a Sync: the id of its ApplySet (KEP-3659).
    pub const APPLYSET_ID: &str = "applyset.kubernetes.io/id";
    /// On the Sync CRD: its objects may be ApplySet parents (KEP-3659).
    pub const APPLYSET_PARENT_TYPE: &str = "applyset.kubernetes.io/is-parent-type";
    /// On the Secrets in which the controller keeps what a Sync owns.
    pub const CHECKPOINT: &str = "signet.dev/checkpoint";
    /// On a sealing key's Secret, as Bitnami's controller labels it; `active` selects it.
    pub const SEALING_KEY: &str = "sealedsecrets.bitnami.com/sealed-secrets-key";
    /// On the Secret of a sealing key of format v2; `active` selects it.
    pub const NATIVE_SEALING_KEY: &str = "signet.dev/sealing-key";
    /// On the Secrets that a KeyRotation made, keys and archives: its uid.
    pub const ROTATION: &str = "signet.dev/rotation";
}

/// Annotations that Signet writes or reads.
pub mod annotation {
    /// On a Sync or Repository: any new value asks for a reconciliation now.
    pub const REQUESTED_AT: &str = "signet.dev/requestedAt";
    /// On a Repository with `spec.deployKey`: any new value asks for another key.
    pub const RENEW_DEPLOY_KEY: &str = "signet.dev/renewDeployKey";
    /// On every applied object: Sync, file and document it came from, as `namespace/sync:file#document`.
    pub const SOURCE: &str = "signet.dev/source";
    /// In the pod template of a workload that is rolled when a Secret that its pods read changes: a keyed digest of what those
    /// Secrets hold.
    pub const SECRETS: &str = "signet.dev/secrets";
    /// On a hook's object: the operation that it was made for.
    pub const RUN: &str = "signet.dev/run";
    /// On a Sync: who manages this ApplySet (KEP-3659).
    pub const APPLYSET_TOOLING: &str = "applyset.kubernetes.io/tooling";
    /// On a Sync: the kinds that its set may hold (KEP-3659).
    pub const APPLYSET_KINDS: &str = "applyset.kubernetes.io/contains-group-kinds";
    /// On a Sync: the namespaces beside its own that its set reaches (KEP-3659).
    pub const APPLYSET_NAMESPACES: &str = "applyset.kubernetes.io/additional-namespaces";
    /// On an object in Git or in the cluster: `disabled` leaves this one object alone.
    pub const RECONCILE: &str = "signet.dev/reconcile";
    /// What Flagger sets to `disabled` so that Flux leaves an object alone; read as our own.
    pub const FLUX_RECONCILE: &str = "kustomize.toolkit.fluxcd.io/reconcile";
    /// On an object: `disabled`, `orphan` or `confirm` instead of the Sync's prune policy, or `enabled` whatever other tools' words say.
    pub const PRUNE: &str = "signet.dev/prune";
    /// On a Sync that is being deleted: `skip` lets it go without its hooks for a deletion.
    pub const DELETION_HOOKS: &str = "signet.dev/deletion-hooks";
    /// On the Secret of a sealing key of format v2: for whom it is. `Cluster`, or `Project/NAME`.
    pub const AUDIENCE: &str = "signet.dev/audience";
    /// On the Secret of a sealing key that was restored: when it was first made, RFC 3339. A key that comes back
    /// is no newer for it.
    pub const MADE: &str = "signet.dev/made";
    /// On the Secret of a sealing key: what keys before it said of it, that may be gone by now. Signatures, as the key set
    /// has them, in JSON.
    pub const ENDORSEMENTS: &str = "signet.dev/endorsements";
    /// On the Secret of a sealing key that is labelled compromised: the KeyRotation that leaves it. Until that is complete it
    /// opens what is still sealed for it.
    pub const LEAVING: &str = "signet.dev/leaving";
    /// On the Secret of a sealing key: the endorsement keys of those before it that leaked, as the key set names them, and may
    /// be gone by now.
    pub const COMPROMISED: &str = "signet.dev/compromised";
    /// On an archive of a sealing key: the key's id.
    pub const ARCHIVED: &str = "signet.dev/archived-key";
    /// On an archive of a sealing key: a keyed digest of it and of whom it is for, by which the controller knows its own.
    pub const ARCHIVED_DIGEST: &str = "signet.dev/archived-digest";
    /// On an Approval: the user name of who made it. The install's admission policy holds it to the truth.
    pub const APPROVED_BY: &str = "signet.dev/approved-by";
    /// On a Secret that a SealedSecret object of the cluster made: how, and a keyed digest of what was put into it.
    pub const UNSEALED: &str = "signet.dev/unsealed";
    /// On a Secret, by Bitnami's rule: `true` lets a SealedSecret of its name take it over.
    pub const MANAGED: &str = "sealedsecrets.bitnami.com/managed";
    /// On a Secret, by Bitnami's rule: `true` lets a SealedSecret of its name add to it.
    pub const PATCH: &str = "sealedsecrets.bitnami.com/patch";
    /// In the template of a SealedSecret, by Bitnami's rule: `true` leaves the owner reference out.
    pub const SKIP_OWNER: &str = "sealedsecrets.bitnami.com/skip-set-owner-references";
}

/// Condition types.
pub mod condition {
    /// The newest revision is applied (Sync) or fetched (Repository).
    pub const READY: &str = "Ready";
    /// Work is under way or will be retried.
    pub const RECONCILING: &str = "Reconciling";
    /// Nothing will improve until a person changes something.
    pub const STALLED: &str = "Stalled";
    /// The objects of a Sync are as their kinds say they should be.
    pub const HEALTHY: &str = "Healthy";
    /// The Sync applies a commit that its spec names, and not the Repository's newest.
    pub const PINNED: &str = "Pinned";
    /// The old keys of a KeyRotation, which leaked, are published no more.
    pub const BARRED: &str = "Barred";
    /// It is known what was ever sealed with them.
    pub const REPORTED: &str = "Reported";
    /// The new keys of a KeyRotation are made.
    pub const KEY_MADE: &str = "KeyMade";
    /// Every controller publishes them, endorsed by the keys before them.
    pub const PUBLISHED: &str = "Published";
    /// What hangs on the old keys in Git and in the cluster was sealed again.
    pub const RESEALED: &str = "Resealed";
    /// Every Sync has applied that.
    pub const APPLIED: &str = "Applied";
    /// Nothing that is followed or live needs an old key.
    pub const VERIFIED: &str = "Verified";
    /// The old keys are gone.
    pub const RETIRED: &str = "Retired";
    /// Drift has not been repaired for longer than `spec.driftTimeout`.
    pub const DRIFT_UNRESOLVED: &str = "DriftUnresolved";
}

/// Whether a condition holds. The meaning of `Unknown` is that of Kubernetes' API conventions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It cannot be said.
    Unknown,
}

/// One condition, shaped as `metav1.Condition`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Ready, Reconciling or Stalled.
    #[serde(rename = "type")]
    pub type_: String,
    /// True, False or Unknown.
    pub status: ConditionStatus,
    /// The generation of the object that this condition speaks of.
    #[serde(default)]
    pub observed_generation: i64,
    /// When `status` last changed, RFC 3339.
    #[cfg_attr(feature = "kube", schemars(schema_with = "schema::date_time"))]
    pub last_transition_time: String,
    /// One word for programs.
    pub reason: String,
    /// A sentence for people.
    #[serde(default)]
    pub message: String,
}

/// An object in the same namespace, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LocalReference {
    /// The object's name.
    #[cfg_attr(feature = "kube", schemars(length(min = 1, max = 253)))]
    pub name: String,
}

/// One commit, as `git log` would introduce it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    /// The commit's full id.
    pub commit: String,
    /// The branch or tag it was found at, or another ref's full name. Empty where the commit itself was asked for.
    #[serde(default)]
    pub branch: String,
    /// Author, as `Name <email>`.
    #[serde(default)]
    pub author: String,
    /// First line of the commit message, at most 200 characters.
    #[serde(default)]
    pub subject: String,
    /// When it was committed, RFC 3339.
    #[serde(default)]
    pub time: String,
    /// Who signed it, where the Repository asks for signatures.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub signer: String,
}

impl Revision {
    /// `branch@1a2b3c4d5e6f`, for columns and messages.
    #[must_use]
    pub fn short(&self) -> String {
        let id = self.commit.get(..12).unwrap_or(&self.commit);
        if self.branch.is_empty() {
            id.to_owned()
        } else {
            format!("{}@{id}", self.branch)
        }
    }
}

/// Schemas that schemars does not derive as Kubernetes wants them.
#[cfg(feature = "kube")]
pub(crate) mod schema {
    use schemars::{Schema, SchemaGenerator, json_schema};

    pub(crate) fn date_time(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time"})
    }

    pub(crate) fn optional_date_time(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time", "nullable": true})
    }

    pub(crate) fn duration(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^([0-9]+(ms|s|m|h))+$", "maxLength": 32})
    }

    /// A number of things. OpenAPI, as Kubernetes reads it, knows no unsigned formats.
    pub(crate) fn count(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "format": "int64", "minimum": 0})
    }

    /// Any object: its inside is somebody else's schema.
    pub(crate) fn open_object(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", "nullable": true, "x-kubernetes-preserve-unknown-fields": true})
    }
}
