//! The annotations that order and policy need before the body is loaded.

use serde_json::Value;

/// Annotations kept, by prefix of their key.
const KEPT: [&str; 7] = [
    "signet.dev/",
    "argocd.argoproj.io/",
    "helm.sh/",
    "config.kubernetes.io/",
    FLUX,
    "client.lifecycle.config.k8s.io/",
    "cli-utils.sigs.k8s.io/",
];

/// Flux reads its own from labels as well.
const FLUX: &str = "kustomize.toolkit.fluxcd.io/";

/// Annotations and labels kept of one object, and bytes of one key and value.
const MAX_KEPT: usize = 32;
const MAX_BYTES: usize = 4096;

/// The annotations of an object that speak to a deployment tool: Signet's (`signet.dev/`), Argo CD's, Helm's,
/// Flux's and those of kpt and Config Sync, by their prefixes; and Flux's labels.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts(Option<Box<Kept>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    annotations: Box<[Pair]>,
    labels: Box<[Pair]>,
}

type Pair = (Box<str>, Box<str>);

impl Facts {
    /// Picks them from an object. Fails with a message if there are too many, or one is too long: left
    /// out silently, the object would be treated as if it were not there.
    pub(crate) fn of(object: &Value) -> Result<Self, String> {
        let annotations = pick(object, "/metadata/annotations", &KEPT)?;
        let labels = pick(object, "/metadata/labels", &[FLUX])?;
        if annotations.len() + labels.len() > MAX_KEPT {
            return Err(too_many());
        }
        if annotations.is_empty() && labels.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self(Some(Box::new(Kept { annotations, labels }))))
    }

    /// The value of one of the kept annotations.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations()
            .find(|(kept, _)| *kept == key)
            .map(|(_, value)| value)
    }

    /// All of them, by key.
    pub fn annotations(&self) -> impl Iterator<Item = (&str, &str)> {
        pairs(self.0.as_ref().map(|kept| &*kept.annotations))
    }

    /// Whether an annotation or a label of Flux's has a value, whatever the case of its letters.
    pub(crate) fn flux_says(&self, name: &str, value: &str) -> bool {
        let labels = pairs(self.0.as_ref().map(|kept| &*kept.labels));
        self.annotations().chain(labels).any(|(key, found)| {
            key.strip_prefix(FLUX) == Some(name) && found.trim().eq_ignore_ascii_case(value)
        })
    }
}

/// Whether an annotation or label of this key may be kept.
pub(crate) fn is_kept(key: &str) -> bool {
    KEPT.iter().any(|prefix| key.starts_with(prefix))
}

fn pairs(kept: Option<&[Pair]>) -> impl Iterator<Item = (&str, &str)> {
    kept.unwrap_or_default()
        .iter()
        .map(|(key, value)| (&**key, &**value))
}

fn pick(object: &Value, pointer: &str, prefixes: &[&str]) -> Result<Box<[Pair]>, String> {
    let Some(Value::Object(entries)) = object.pointer(pointer) else {
        return Ok(Box::default());
    };
    let mut kept = Vec::new();
    for (key, value) in entries {
        let Some(value) = value.as_str() else { continue };
        if !prefixes.iter().any(|prefix| key.starts_with(prefix)) {
            continue;
        }
        if key.len() + value.len() > MAX_BYTES {
            return Err(format!(
                "an annotation for the controller is longer than {MAX_BYTES} bytes"
            ));
        }
        if kept.len() == MAX_KEPT {
            return Err(too_many());
        }
        kept.push((key.as_str().into(), value.into()));
    }
    // The map may keep insertion order: that depends on features other crates switch on.
    kept.sort_unstable();
    Ok(kept.into())
}

fn too_many() -> String {
    format!("there are more than {MAX_KEPT} annotations for the controller")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn facts(annotations: &Value) -> Result<Facts, String> {
        Facts::of(&json!({"metadata": {"annotations": annotations}}))
    }

    #[test]
    fn only_ours_are_kept() {
        let facts =
            facts(&json!({"signet.dev/wave": "-3", "other": "x", "helm.sh/hook": "test", "signet.dev/x": 7}));
        let facts = facts.unwrap();
        assert_eq!(
            facts.annotations().collect::<Vec<_>>(),
            [("helm.sh/hook", "test"), ("signet.dev/wave", "-3")]
        );
        assert_eq!(facts.annotation("signet.dev/wave"), Some("-3"));
        assert_eq!(facts.annotation("other"), None);
        assert_eq!(Facts::of(&json!([])).unwrap(), Facts::default());
    }

    #[test]
    fn labels_speak_for_flux_only() {
        let object = json!({"metadata": {
            "annotations": {"kustomize.toolkit.fluxcd.io/prune": "enabled"},
            "labels": {"kustomize.toolkit.fluxcd.io/prune": "Disabled", "signet.dev/wave": "1"},
        }});
        let facts = Facts::of(&object).unwrap();
        assert!(facts.flux_says("prune", "disabled"));
        assert!(facts.flux_says("prune", "enabled"));
        assert!(!facts.flux_says("reconcile", "disabled"));
        assert_eq!(facts.annotation("signet.dev/wave"), None);
    }

    #[test]
    fn too_much_is_an_error() {
        assert!(facts(&json!({"signet.dev/x": "x".repeat(MAX_BYTES)})).is_err());
        let many: serde_json::Map<_, _> = (0..=MAX_KEPT)
            .map(|number| (format!("signet.dev/{number}"), json!("")))
            .collect();
        assert!(facts(&many.into()).is_err());
    }
}
