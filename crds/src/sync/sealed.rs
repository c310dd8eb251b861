//! What sealed values a Sync accepts.

use crate::native_secret::SealedScope;
use serde::{Deserialize, Serialize};

/// What sealed values a Sync accepts. Anything else is refused, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SealedPolicy {
    /// Formats that are opened: V1 is Bitnami's, V2 Signet's own.
    #[serde(default = "all_formats")]
    #[cfg_attr(feature = "kube", schemars(length(min = 1, max = 2)))]
    pub formats: Vec<SealedFormat>,
    /// Scopes that are opened.
    #[serde(default = "all_scopes")]
    #[cfg_attr(feature = "kube", schemars(length(min = 1, max = 3)))]
    pub scopes: Vec<SealedScope>,
}

/// A sealed format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum SealedFormat {
    /// SealedSecret of `bitnami.com/v1alpha1`.
    V1,
    /// SealedSecret of `signet.dev/v1alpha1`.
    V2,
}

impl Default for SealedPolicy {
    fn default() -> Self {
        Self {
            formats: all_formats(),
            scopes: all_scopes(),
        }
    }
}

fn all_formats() -> Vec<SealedFormat> {
    vec![SealedFormat::V1, SealedFormat::V2]
}

fn all_scopes() -> Vec<SealedScope> {
    vec![SealedScope::Strict, SealedScope::Namespace, SealedScope::Cluster]
}
