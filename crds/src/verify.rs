//! Whose signatures a Repository asks for.

use serde::{Deserialize, Serialize};

/// Which signatures commits need before they are applied. What is refused is not applied: the last good commit stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(kube::KubeSchema))]
#[cfg_attr(
    feature = "kube",
    x_kube(validation = kube::core::Rule::new("!has(self.rules) || self.mode == 'Range'")
        .message("rules need mode Range: a path may have been changed by any commit since the last one")),
    x_kube(validation = kube::core::Rule::new("!has(self.since) || self.mode == 'Range'")
        .message("since needs mode Range"))
)]
#[serde(rename_all = "camelCase")]
pub struct Verify {
    /// Which objects have to be signed.
    #[serde(default)]
    pub mode: VerifyMode,
    /// Where the allowed signers are: `allowed_signers` (SSH), `NAME.asc` (OpenPGP public keys), `revoked_keys`.
    pub signers_ref: SignersReference,
    /// What happens where a branch's new head does not descend from the last verified one.
    #[serde(default)]
    pub on_rewrite: OnRewrite,
    /// With mode Range: a commit that is trusted without a look. Verification begins behind it; changing it accepts a
    /// rewritten branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "kube", schemars(regex(pattern = "^[0-9a-f]{40}$")))]
    pub since: Option<String>,
    /// With mode Range: who may change what. A commit that changes a path needs a signer of every rule that covers it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "kube", schemars(length(max = 64)))]
    pub rules: Vec<VerifyRule>,
}

/// Which objects have to be signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum VerifyMode {
    /// The commit that is applied.
    Head,
    /// Every commit since the last one that was applied, merges and what they merge included. The first time, the head.
    #[default]
    Range,
    /// The annotated tag that is followed; its commits need not be.
    Tag,
    /// The tag, and the commit that it names.
    TagAndHead,
}

/// What happens to a rewritten branch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum OnRewrite {
    /// It is not followed: an old commit, signed once, would come back.
    #[default]
    Refuse,
    /// It is followed if the signatures are good, with a warning.
    Report,
}

/// An object with the allowed signers, in this namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SignersReference {
    /// Secret or ConfigMap. Either way: whoever may write it decides who may sign.
    #[serde(default)]
    pub kind: SignersKind,
    /// Its name.
    #[cfg_attr(feature = "kube", schemars(length(min = 1, max = 253)))]
    pub name: String,
}

/// What holds the allowed signers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
pub enum SignersKind {
    /// A Secret.
    Secret,
    /// A ConfigMap: public keys are no secret.
    #[default]
    ConfigMap,
}

/// Who may change what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct VerifyRule {
    /// Files and directories from the repository's root, such as `infra/`.
    #[cfg_attr(feature = "kube", schemars(length(min = 1, max = 64)))]
    pub paths: Vec<String>,
    /// Principals of `allowed_signers`, addresses of OpenPGP keys, or fingerprints.
    #[cfg_attr(feature = "kube", schemars(length(min = 1, max = 256)))]
    pub signers: Vec<String>,
}

/// The last commit whose signatures were good.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "kube", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    /// The commit.
    pub commit: String,
    /// Who signed it: principals, and the key.
    #[serde(default)]
    pub signer: String,
    /// How many commits were looked at to get there.
    #[serde(default)]
    #[cfg_attr(feature = "kube", schemars(schema_with = "crate::common::schema::count"))]
    pub commits: u64,
    /// The repository and ref that it speaks of.
    #[serde(default)]
    pub origin: String,
    /// The `spec.verify.since` that was in force.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub since: String,
}
