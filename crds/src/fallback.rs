//! Where a Repository is read while its own remote cannot be.

use crate::LocalReference;
use serde::{Deserialize, Serialize};

/// Another remote with the same commits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(kube::KubeSchema))]
#[serde(rename_all = "camelCase")]
pub struct Fallback {
    /// Where it is, as `spec.url`.
    #[cfg_attr(
        feature = "kube",
        x_kube(validation = kube::core::Rule::new("self.matches('^(https?|ssh|file)://|^[A-Za-z0-9._-]+@[A-Za-z0-9._-]+:[^:]')")
            .message("url must start with https://, http://, ssh:// or file://, or be git@host:path")),
        x_kube(validation = kube::core::Rule::new("!self.matches('^(https?|file)://[^/]*@|^ssh://[^/@]*:[^/]*@')")
            .message("credentials do not belong in the url: put them in a Secret and name it in secretRef")),
        schemars(length(min = 8, max = 2048))
    )]
    pub url: String,
    /// A Secret in this namespace, with the fields that `spec.secretRef` takes. That of the Repository is never sent here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalReference>,
}
