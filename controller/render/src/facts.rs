//! The annotations that order and policy need before the body is loaded.

use serde_json::Value;

/// Annotations kept, by prefix of their key.
const KEPT: [&str; 4] = [
    "signet.dev/",
    "argocd.argoproj.io/",
    "helm.sh/",
    "config.kubernetes.io/",
];

/// Annotations kept of one object, and bytes of one value.
const MAX_KEPT: usize = 32;
const MAX_BYTES: usize = 4096;

/// The annotations of an object whose keys begin with `signet.dev/`, `argocd.argoproj.io/`, `helm.sh/` or
/// `config.kubernetes.io/`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    annotations: Box<[(Box<str>, Box<str>)]>,
}

/// A wave that is not an integer between −32768 and 32767.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the wave is not a whole number between -32768 and 32767")]
pub struct InvalidWave;

impl Facts {
    /// Picks them from an object. Fails with a message if there are too many, or one is too long: left
    /// out silently, the object would be treated as if it were not there.
    pub(crate) fn of(object: &Value) -> Result<Self, String> {
        let Some(Value::Object(annotations)) = object.pointer("/metadata/annotations") else {
            return Ok(Self::default());
        };
        let mut kept = Vec::new();
        for (key, value) in annotations {
            let Some(value) = value.as_str() else { continue };
            if !KEPT.iter().any(|prefix| key.starts_with(prefix)) {
                continue;
            }
            if key.len() + value.len() > MAX_BYTES {
                return Err(format!(
                    "an annotation for the controller is longer than {MAX_BYTES} bytes"
                ));
            }
            if kept.len() == MAX_KEPT {
                return Err(format!(
                    "there are more than {MAX_KEPT} annotations for the controller"
                ));
            }
            kept.push((key.as_str().into(), value.into()));
        }
        // The map may keep insertion order: that depends on features other crates switch on.
        kept.sort_unstable();
        Ok(Self {
            annotations: kept.into(),
        })
    }

    /// The value of one of the kept annotations.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations
            .iter()
            .find(|(kept, _)| &**kept == key)
            .map(|(_, value)| &**value)
    }

    /// All of them, by key.
    pub fn annotations(&self) -> impl Iterator<Item = (&str, &str)> {
        self.annotations.iter().map(|(key, value)| (&**key, &**value))
    }

    /// The wave: `signet.dev/wave`, or else Argo CD's `argocd.argoproj.io/sync-wave`; 0 without either.
    pub fn wave(&self) -> Result<i32, InvalidWave> {
        let written = self
            .annotation("signet.dev/wave")
            .or_else(|| self.annotation("argocd.argoproj.io/sync-wave"));
        written.map_or(Ok(0), |text| {
            text.trim().parse::<i16>().map(i32::from).map_err(|_| InvalidWave)
        })
    }
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
        assert_eq!(facts.wave(), Ok(-3));
        assert_eq!(Facts::of(&json!([])).unwrap(), Facts::default());
    }

    #[test]
    fn waves() {
        let wave = |annotations: &Value| facts(annotations).unwrap().wave();
        assert_eq!(wave(&json!({})), Ok(0));
        assert_eq!(wave(&json!({"argocd.argoproj.io/sync-wave": "5"})), Ok(5));
        assert_eq!(
            wave(&json!({"argocd.argoproj.io/sync-wave": "5", "signet.dev/wave": "1"})),
            Ok(1)
        );
        for bad in ["", "x", "1.5", "40000"] {
            assert_eq!(wave(&json!({"signet.dev/wave": bad})), Err(InvalidWave), "{bad}");
        }
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
