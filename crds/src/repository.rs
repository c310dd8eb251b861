//! Repository: a Git remote and the ref to follow.

use crate::{
    Condition, DeployKey, DeployKeyStatus, Fallback, GitReference, LocalReference, Notes, Revision,
    Submodules, Verified, Verify, Webhook,
};
use serde::{Deserialize, Serialize};

/// A Git remote, the ref to follow, and how to authenticate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(kube::CustomResource, kube::KubeSchema))]
#[cfg_attr(
    feature = "kube",
    kube(
        group = "signet.dev",
        version = "v1alpha1",
        kind = "Repository",
        plural = "repositories",
        namespaced,
        status = "RepositoryStatus",
        category = "signet",
        doc = "A Git remote and the ref that Syncs follow.",
        printcolumn(
            name = "Ready",
            type_ = "string",
            json_path = ".status.conditions[?(@.type==\"Ready\")].status"
        ),
        printcolumn(name = "Revision", type_ = "string", json_path = ".status.revision"),
        printcolumn(
            name = "Subject",
            type_ = "string",
            json_path = ".status.head.subject",
            priority = 1
        ),
        printcolumn(
            name = "Signer",
            type_ = "string",
            json_path = ".status.verified.signer",
            priority = 1
        ),
        printcolumn(name = "URL", type_ = "string", json_path = ".spec.url"),
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
    x_kube(validation = kube::core::Rule::new("!(has(self.deployKey) && has(self.secretRef))")
        .message("give one of deployKey and secretRef"))
)]
#[cfg_attr(
    feature = "kube",
    x_kube(validation = kube::core::Rule::new("!has(self.deployKey) || !self.url.matches('^(https?|file)://')")
        .message("a deployKey is for SSH: url must be ssh://git@host/path or git@host:path"))
)]
#[cfg_attr(
    feature = "kube",
    x_kube(validation = kube::core::Rule::new("!has(self.proxySecretRef) || self.url.matches('^https?://')")
        .message("a proxy is for https:// and http://"))
)]
#[serde(rename_all = "camelCase")]
pub struct RepositorySpec {
    /// Where the repository is: `https://`, `http://`, `ssh://git@host/path`, `git@host:path`, or `file://` where the
    /// controller's operator allows it.
    /// Credentials do not belong here; name a Secret in `secretRef`.
    #[cfg_attr(
        feature = "kube",
        x_kube(validation = kube::core::Rule::new("self.matches('^(https?|ssh|file)://|^[A-Za-z0-9._-]+@[A-Za-z0-9._-]+:[^:]')")
            .message("url must start with https://, http://, ssh:// or file://, or be git@host:path")),
        x_kube(validation = kube::core::Rule::new("!self.matches('^(https?|file)://[^/]*@|^ssh://[^/@]*:[^/]*@')")
            .message("credentials do not belong in the url: put them in a Secret and name it in spec.secretRef")),
        schemars(length(min = 8, max = 2048))
    )]
    pub url: String,
    /// The ref to follow: the branch `main` if nothing is said.
    #[serde(default, rename = "ref")]
    pub reference: GitReference,
    /// How often to ask the remote for a new commit, such as `30s` or `5m`. At least one second.
    #[serde(default = "default_interval")]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::duration"))]
    pub interval: String,
    /// How long one exchange with the remote may take.
    #[serde(default = "default_timeout")]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::duration"))]
    pub timeout: String,
    /// A Secret in this namespace with `username` and `password`, or `bearerToken`, and optionally `ca.crt`, `tls.crt` and
    /// `tls.key`; for SSH with `identity`, `known_hosts`, and `password` where the key has a passphrase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalReference>,
    /// Where to read while the remote cannot be reached, one after the other. Nothing older than what is in use is taken from there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "kube", schemars(length(max = 4)))]
    pub fallbacks: Vec<Fallback>,
    /// Reads these directories, or files, and nothing else: the files of all else are not even fetched, where the server can leave
    /// them out. From the repository's root, such as `deploy`. Without it everything is read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        feature = "kube",
        schemars(length(max = 64), inner(length(min = 1, max = 1024)))
    )]
    pub sparse_paths: Vec<String>,
    /// Reads submodules. Without it they are left alone, and a Sync that meets one says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submodules: Option<Submodules>,
    /// A webhook that makes the controller look at the remote at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
    /// Whose signatures commits need. Without it none are looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<Verify>,
    /// A Secret in this namespace with the `address` of an HTTP proxy, and optionally `username` and `password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_secret_ref: Option<LocalReference>,
    /// A key for SSH of the controller's own making, instead of a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deploy_key: Option<DeployKey>,
    /// Has the controller write what became of each commit into the remote, as Git notes. Without it the controller only reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<Notes>,
    /// Stops looking at the remote. What is applied stays.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

/// What the controller last saw of the remote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(kube::KubeSchema))]
#[serde(rename_all = "camelCase")]
pub struct RepositoryStatus {
    /// The generation that this status speaks of.
    #[serde(default)]
    pub observed_generation: i64,
    /// Ready, Reconciling, Stalled.
    #[serde(default)]
    #[cfg_attr(feature = "kube", x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()])))]
    pub conditions: Vec<Condition>,
    /// The head as `main@id`, `v1.2.3@id` or, for a commit, its id.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// The newest commit that was fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Revision>,
    /// The repository and ref that `head` speaks of.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub origin: String,
    /// With `spec.verify`: the last commit whose signatures were good, and who made them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verified>,
    /// The public halves of the deploy key that the controller made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deploy_key: Option<DeployKeyStatus>,
    /// The last value of the annotation `signet.dev/requestedAt` that was acted on.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub last_handled_request: String,
}

fn default_interval() -> String {
    "1m".into()
}

fn default_timeout() -> String {
    "60s".into()
}
