//! SealedSecret of `bitnami.com/v1alpha1`: Bitnami's kind, with the schema that their controller ships, except that
//! the values of `template.data` are nullable: a null there means "leave this key out", and a schema without
//! `nullable` makes the API server drop it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Sealed values and the Secret they become.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(kube::CustomResource, schemars::JsonSchema))]
#[cfg_attr(
    feature = "kube",
    kube(
        group = "bitnami.com",
        version = "v1alpha1",
        kind = "SealedSecret",
        namespaced,
        status = "SealedSecretStatus",
        doc = "Sealed values and the Secret that they become.",
        printcolumn(
            name = "Status",
            type_ = "string",
            json_path = ".status.conditions[0].message"
        ),
        printcolumn(name = "Synced", type_ = "string", json_path = ".status.conditions[0].status"),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
    )
)]
#[serde(rename_all = "camelCase")]
pub struct SealedSecretSpec {
    /// Deprecated: one sealed blob that holds a whole Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "kube", schemars(schema_with = "byte_string"))]
    pub data: Option<String>,
    /// Sealed values by key.
    #[cfg_attr(feature = "kube", schemars(schema_with = "sealed_values"))]
    pub encrypted_data: BTreeMap<String, String>,
    /// The shape of the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<SealedSecretTemplate>,
}

/// The shape of the Secret that sealed values become.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SealedSecretTemplate {
    /// Keys made from sealed values; null leaves a key out of the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "kube", schemars(schema_with = "nullable_strings"))]
    pub data: Option<BTreeMap<String, Option<String>>>,
    /// Makes the Secret immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub immutable: Option<bool>,
    /// Labels and annotations of the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "kube",
        schemars(schema_with = "crate::common::schema::open_object")
    )]
    pub metadata: Option<serde_json::Value>,
    /// The Secret's type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
}

/// What Bitnami's controller reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SealedSecretStatus {
    /// The generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Synced` first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Vec<SealedSecretCondition>>,
    /// Ours: keyed digests of what was opened and of the Secret that was made of it. While both are as they were, nothing is
    /// opened or written. A definition that prunes this field costs one opening after each restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<String>,
}

/// A condition in Bitnami's shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SealedSecretCondition {
    /// When the status changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<String>,
    /// When the condition was last looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_update_time: Option<String>,
    /// A sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// One word for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// True, False or Unknown.
    pub status: String,
    /// Synced.
    #[serde(rename = "type")]
    pub type_: String,
}

#[cfg(feature = "kube")]
fn byte_string(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "string", "format": "byte", "nullable": true})
}

#[cfg(feature = "kube")]
fn sealed_values(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "object", "additionalProperties": {"type": "string"}, "x-kubernetes-preserve-unknown-fields": true})
}

#[cfg(feature = "kube")]
fn nullable_strings(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "object", "nullable": true, "additionalProperties": {"type": "string", "nullable": true}})
}
