//! What a sealed object says of itself in plain text.

use sealing::{Scope, SealedSecret, v2};
use serde_json::Value;

/// How many fields that mean nothing are named.
const NAMED: usize = 8;

/// What an object that is sealed says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedAs {
    /// Its format.
    pub format: SealedFormat,
    /// Its scope. One that is not a scope's name counts as strict: such an object is refused when it is read.
    pub scope: Scope,
}

/// A sealed format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealedFormat {
    /// Bitnami's (`bitnami.com/v1alpha1`).
    V1,
    /// Signet's own (`signet.dev/v1alpha1`).
    V2,
}

impl SealedAs {
    /// Of an object, if it is sealed.
    pub(crate) fn of(object: &Value) -> Option<Self> {
        let text = |pointer| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        if text("/kind") != "SealedSecret" {
            return None;
        }
        match text("/apiVersion").split('/').next() {
            Some("bitnami.com") => Some(Self {
                format: SealedFormat::V1,
                scope: Scope::from_annotations(object.pointer("/metadata/annotations")),
            }),
            Some("signet.dev") => Some(Self {
                format: SealedFormat::V2,
                scope: v2::scope_from_name(text("/spec/scope")).unwrap_or_default(),
            }),
            _ => None,
        }
    }
}

/// Paths of fields that mean nothing. What cannot be read has none: it is refused later, with its reasons.
pub(crate) fn ignored(object: &Value) -> Vec<String> {
    if SealedAs::of(object).is_none_or(|sealed| sealed.format != SealedFormat::V1) {
        return Vec::new();
    }
    SealedSecret::parse(object).map_or_else(
        |_| Vec::new(),
        |sealed| sealed.ignored_fields().iter().take(NAMED).cloned().collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_formats_are_known() {
        let of = |api_version: &str, rest: Value| {
            let mut object = json!({"apiVersion": api_version, "kind": "SealedSecret"});
            object
                .as_object_mut()
                .unwrap()
                .extend(rest.as_object().unwrap().clone());
            SealedAs::of(&object).map(|sealed| (sealed.format, sealed.scope))
        };
        let wide = json!({"metadata": {"annotations": {"sealedsecrets.bitnami.com/cluster-wide": "true"}}});
        assert_eq!(
            of("bitnami.com/v1alpha1", wide.clone()),
            Some((SealedFormat::V1, Scope::Cluster))
        );
        // The annotation is format v1's.
        assert_eq!(
            of("signet.dev/v1alpha1", wide),
            Some((SealedFormat::V2, Scope::Strict))
        );
        let spec = json!({"spec": {"scope": "Namespace"}});
        assert_eq!(
            of("signet.dev/v1alpha1", spec.clone()),
            Some((SealedFormat::V2, Scope::Namespace))
        );
        assert_eq!(of("example.com/v1", spec), None);
        assert_eq!(
            SealedAs::of(&json!({"apiVersion": "signet.dev/v1alpha1", "kind": "Sync"})),
            None
        );
    }
    #[test]
    fn slips_are_known_and_what_may_be_a_value_is_not_named() {
        let object = json!({"apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "metadata": {"name": "db"},
            "spec": {"encryptedData": {}, "template": {"stringData": {"a": "b"}, "hunter2": "x"}}});
        assert_eq!(
            ignored(&object),
            ["spec.template.(a field)", "spec.template.stringData"]
        );
    }
}
