//! SealedSecret of `signet.dev/v1alpha1`: our own format. The controller opens it from Git, and in the cluster where it is
//! asked for; the schema also serves editors, `kubectl explain` and dry-runs.

#[cfg(feature = "kube")]
use crate::sealedsecret::SealedSecretStatus;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Sealed values, bound to their place and to the template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(kube::CustomResource, kube::KubeSchema))]
#[cfg_attr(
    feature = "kube",
    kube(
        group = "signet.dev",
        version = "v1alpha1",
        kind = "SealedSecret",
        root = "NativeSealedSecret",
        plural = "sealedsecrets",
        singular = "sealedsecret",
        namespaced,
        category = "signet",
        status = "SealedSecretStatus",
        doc = "Sealed values and the Secret that they become. The controller opens it from Git, and in the cluster where --sealed-secrets asks for it.",
        printcolumn(name = "Scope", type_ = "string", json_path = ".spec.scope"),
        printcolumn(name = "Synced", type_ = "string", json_path = ".status.conditions[0].status"),
        printcolumn(
            name = "Status",
            type_ = "string",
            json_path = ".status.conditions[0].message"
        ),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
        validation = kube::core::Rule::new(
            "self.spec.scope != 'Strict' || (has(self.spec.sealedFor) && self.spec.sealedFor.name == self.metadata.name)"
        )
        .message("it is sealed for another name: sealed values cannot be renamed without a private key")
    )
)]
#[cfg_attr(
    feature = "kube",
    x_kube(validation = kube::core::Rule::new(
        "self.scope == 'Cluster' ? !has(self.sealedFor) : has(self.sealedFor) && has(self.sealedFor.__namespace__) \
         && has(self.sealedFor.name) == (self.scope == 'Strict')"
    )
    .message("sealedFor holds namespace and name with scope Strict, namespace with scope Namespace, nothing with scope Cluster"))
)]
#[serde(rename_all = "camelCase")]
pub struct NativeSealedSecretSpec {
    /// Where the values may be opened.
    pub scope: SealedScope,
    /// What the values are sealed for, as far as the scope uses it. They are bound to it: an edit makes them refuse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_for: Option<SealedFor>,
    /// The keys of the values, each sealed in an age file.
    #[cfg_attr(feature = "kube", schemars(length(max = 128)))]
    pub data_keys: Vec<DataKey>,
    /// Sealed values: the id of a data key, a dot, and base64.
    #[cfg_attr(feature = "kube", schemars(extend("maxProperties" = 1024)))]
    pub values: BTreeMap<String, String>,
    /// The shape of the Secret. Every value is bound to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<NativeTemplate>,
}

/// How far sealed values may travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum SealedScope {
    /// Only under this name in this namespace.
    Strict,
    /// Under any name in this namespace.
    Namespace,
    /// Under any name in any namespace.
    Cluster,
}

/// What values are sealed for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SealedFor {
    /// The namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "kube", schemars(length(max = 63)))]
    pub namespace: Option<String>,
    /// The name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "kube", schemars(length(max = 253)))]
    pub name: Option<String>,
}

/// A data key, sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DataKey {
    /// Its name within the object.
    #[cfg_attr(feature = "kube", schemars(regex(pattern = r"^[0-9a-f]{16}$")))]
    pub id: String,
    /// The ids of the sealing keys that open it, sorted.
    #[cfg_attr(
        feature = "kube",
        schemars(length(min = 1, max = 64), inner(regex(pattern = r"^key-[0-9a-f]{32}$")))
    )]
    pub recipients: Vec<String>,
    /// A binary age file, base64.
    #[cfg_attr(feature = "kube", schemars(length(max = 174_764)))]
    pub age: String,
}

/// The shape of the Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct NativeTemplate {
    /// The Secret's type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "kube", schemars(length(min = 1)))]
    pub type_: Option<String>,
    /// Makes the Secret immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub immutable: Option<bool>,
    /// Labels, annotations and finalizers of the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<NativeTemplateMetadata>,
    /// Texts in which `${key}` stands for the value of that key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<BTreeMap<String, String>>,
    /// Values that stay out of the Secret: they only serve the texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub omit: Option<Vec<String>>,
}

/// Metadata of the Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct NativeTemplateMetadata {
    /// Labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Finalizers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finalizers: Option<Vec<String>>,
}
