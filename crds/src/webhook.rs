//! How a Repository is told of pushes.

use crate::LocalReference;
use serde::{Deserialize, Serialize};

/// A webhook that a Git host sends at a push. It only makes the controller look at the remote sooner than the interval.
///
/// Deliveries go to `/v1/hooks/NAMESPACE/SECRET` of the controller's public listener: one address for all
/// Repositories that name the same Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// Who sends it, and so how it is signed.
    pub provider: WebhookProvider,
    /// A Secret in this namespace whose field `token` (at least 16 bytes) the host signs with.
    pub secret_ref: LocalReference,
}

/// Who sends webhooks. Signatures are HMAC-SHA256; SHA-1 is never accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum WebhookProvider {
    /// GitHub: `X-Hub-Signature-256`.
    GitHub,
    /// GitLab: a signing token (`webhook-signature`) or a secret token (`X-Gitlab-Token`).
    GitLab,
    /// Gitea and Forgejo: `X-Forgejo-Signature` or `X-Gitea-Signature`.
    Gitea,
    /// Bitbucket Cloud: `X-Hub-Signature`, with SHA-256.
    BitbucketCloud,
    /// Bitbucket Server and Data Center: `X-Hub-Signature`, with SHA-256.
    BitbucketServer,
    /// Azure DevOps: basic authentication whose password is the token.
    AzureDevOps,
    /// Anything else: `X-Signature: sha256=…` over the body, or the Standard Webhooks headers.
    Generic,
}
