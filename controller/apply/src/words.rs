//! What a live object says of what is done to it: annotations and labels, ours and those of the tools that people come from. Pure.

use crds::annotation;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;

const ARGO_OPTIONS: &str = "argocd.argoproj.io/sync-options";
const FLUX_PRUNE: &str = "kustomize.toolkit.fluxcd.io/prune";
const HELM_POLICY: &str = "helm.sh/resource-policy";
const CONFIG_SYNC_DELETION: &str = "client.lifecycle.config.k8s.io/deletion";
const KPT_ON_REMOVE: &str = "cli-utils.sigs.k8s.io/on-remove";

/// Whose keys are words: all that begin so.
const TOOLS: [&str; 6] = [
    "signet.dev/",
    "kustomize.toolkit.fluxcd.io/",
    "argocd.argoproj.io/",
    "helm.sh/",
    "client.lifecycle.config.k8s.io/",
    "cli-utils.sigs.k8s.io/",
];

/// Whether a field, as its path is written, is a word: an annotation, or a label, that decides what is done to the object.
#[must_use]
pub fn is_word(field: &str) -> bool {
    TOOLS.iter().any(|tool| field.contains(tool))
}

/// Whether somebody asked, in the cluster, that an object be left alone: by our key, or by Flux's, which Flagger sets while it works.
#[must_use]
pub fn is_frozen(metadata: &ObjectMeta) -> bool {
    let keys = [annotation::RECONCILE, annotation::FLUX_RECONCILE];
    keys.iter().any(|key| {
        says(metadata.annotations.as_ref(), key, "disabled")
            || says(metadata.labels.as_ref(), key, "disabled")
    })
}

fn says(words: Option<&BTreeMap<String, String>>, key: &str, word: &str) -> bool {
    let found = words.and_then(|words| words.get(key));
    found.is_some_and(|found| found.trim().eq_ignore_ascii_case(word))
}

/// What a live object says of its own end. It goes before the Sync's policy, whether the object left Git or the Sync is
/// deleted with its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnWord {
    /// It is not deleted, and stays ours.
    Keep,
    /// It is not deleted, and is nobody's.
    Orphan,
    /// It is deleted after an approval.
    Confirm,
}

impl OwnWord {
    /// Reads it. Words of other tools count, so that what was safe with them is safe here; among several the most careful one, unless
    /// ours says `enabled`: then only a freeze does. A word of ours that we do not know means `Keep`.
    #[must_use]
    pub fn of(metadata: &ObjectMeta) -> Option<Self> {
        let get = |key: &str| metadata.annotations.as_ref()?.get(key).map(String::as_str);
        let is = |key: &str, word: &str| says(metadata.annotations.as_ref(), key, word);
        // Argo CD: a list such as `Prune=false,Validate=false`.
        let options = get(ARGO_OPTIONS).unwrap_or_default();
        let argo = |word: &str| {
            let says = |option: &str, word: &str| option.eq_ignore_ascii_case(word);
            options.split(',').map(str::trim).any(|option| {
                option.split_once('=').is_some_and(|(name, value)| {
                    (says(name, "Prune") || says(name, "Delete")) && says(value, word)
                })
            })
        };
        let flux = is(FLUX_PRUNE, "disabled") || says(metadata.labels.as_ref(), FLUX_PRUNE, "disabled");
        let ours = match get(annotation::PRUNE).map(str::trim) {
            Some("enabled") if !is_frozen(metadata) => return None,
            Some("enabled") | None => None,
            Some("orphan") => Some(Self::Orphan),
            Some("confirm") => Some(Self::Confirm),
            Some(_) => Some(Self::Keep),
        };
        if is_frozen(metadata) || flux || argo("false") || ours == Some(Self::Keep) {
            Some(Self::Keep)
        } else if ours == Some(Self::Orphan)
            || is(HELM_POLICY, "keep")
            || is(CONFIG_SYNC_DELETION, "detach")
            || is(KPT_ON_REMOVE, "keep")
        {
            Some(Self::Orphan)
        } else if ours == Some(Self::Confirm) || argo("confirm") {
            Some(Self::Confirm)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::OwnWord::{Confirm, Keep, Orphan};
    use super::*;
    use serde_json::json;

    fn metadata(annotations: &[(&str, &str)], labels: &[(&str, &str)]) -> ObjectMeta {
        let map = |pairs: &[(&str, &str)]| {
            let owned = pairs.iter().map(|(key, value)| ((*key).into(), (*value).into()));
            Some(owned.collect())
        };
        ObjectMeta {
            annotations: map(annotations),
            labels: map(labels),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn annotations_and_labels_freeze() {
        for (metadata, want) in [
            (json!({"annotations": {"signet.dev/reconcile": "disabled"}}), true),
            (
                json!({"annotations": {"kustomize.toolkit.fluxcd.io/reconcile": "Disabled"}}),
                true,
            ),
            (json!({"labels": {"signet.dev/reconcile": "disabled"}}), true),
            (json!({"annotations": {"signet.dev/reconcile": "enabled"}}), false),
            (json!({"annotations": {"other": "disabled"}}), false),
            (json!({}), false),
        ] {
            let parsed: ObjectMeta = serde_json::from_value(metadata.clone()).unwrap();
            assert_eq!(is_frozen(&parsed), want, "{metadata}");
        }
    }

    #[test]
    fn an_object_has_a_word_of_its_own() {
        let cases = [
            ("signet.dev/prune", "disabled", Some(Keep)),
            ("signet.dev/prune", "orphan", Some(Orphan)),
            ("signet.dev/prune", "confirm", Some(Confirm)),
            ("signet.dev/prune", "dissabled", Some(Keep)),
            ("signet.dev/prune", " enabled ", None),
            ("signet.dev/reconcile", "disabled", Some(Keep)),
            ("signet.dev/reconcile", "enabled", None),
            (ARGO_OPTIONS, "Prune=false", Some(Keep)),
            (ARGO_OPTIONS, "Validate=false, Prune=false", Some(Keep)),
            (ARGO_OPTIONS, "Delete=false", Some(Keep)),
            (ARGO_OPTIONS, "Prune=confirm", Some(Confirm)),
            (ARGO_OPTIONS, "Delete=confirm,Prune=false", Some(Keep)),
            (ARGO_OPTIONS, "PruneLast=false", None),
            (ARGO_OPTIONS, "Validate=false", None),
            (ARGO_OPTIONS, "Prune=true", None),
            ("helm.sh/resource-policy", " Keep ", Some(Orphan)),
            ("helm.sh/resource-policy", "delete", None),
            ("kustomize.toolkit.fluxcd.io/prune", "Disabled", Some(Keep)),
            ("kustomize.toolkit.fluxcd.io/reconcile", "disabled", Some(Keep)),
            ("client.lifecycle.config.k8s.io/deletion", "detach", Some(Orphan)),
            ("cli-utils.sigs.k8s.io/on-remove", "keep", Some(Orphan)),
            ("example.com/prune", "disabled", None),
        ];
        for (key, value, expected) in cases {
            assert_eq!(
                OwnWord::of(&metadata(&[(key, value)], &[])),
                expected,
                "{key}: {value}"
            );
            // Nobody takes it away with the fields that others added.
            let path = format!(".metadata.annotations.{key}");
            assert!(expected.is_none() || is_word(&path), "{path} is no word");
        }
        assert_eq!(OwnWord::of(&ObjectMeta::default()), None);
        let careful = [
            ("signet.dev/prune", "confirm"),
            ("helm.sh/resource-policy", "keep"),
            (ARGO_OPTIONS, "Prune=false"),
        ];
        assert_eq!(OwnWord::of(&metadata(&careful, &[])), Some(Keep));
        assert_eq!(OwnWord::of(&metadata(&careful[..2], &[])), Some(Orphan));
        let enabled = [
            ("signet.dev/prune", "enabled"),
            careful[1],
            careful[2],
            ("signet.dev/reconcile", "disabled"),
        ];
        assert_eq!(
            OwnWord::of(&metadata(&enabled[..3], &[])),
            None,
            "it goes before other tools"
        );
        assert_eq!(
            OwnWord::of(&metadata(&enabled, &[])),
            Some(Keep),
            "and not before a freeze"
        );
        // Who freezes, and Flux, may say it by a label.
        for (key, expected) in [
            ("kustomize.toolkit.fluxcd.io/prune", Some(Keep)),
            ("kustomize.toolkit.fluxcd.io/reconcile", Some(Keep)),
            ("signet.dev/reconcile", Some(Keep)),
            ("signet.dev/prune", None),
        ] {
            assert_eq!(
                OwnWord::of(&metadata(&[], &[(key, "disabled")])),
                expected,
                "{key}"
            );
        }
    }
}
