//! The checks that make a value an object: only what holds for every kind; the rest is the API server's to say.

use serde_json::{Map, Value};

use super::Manifest;
use super::error::{ManifestError, ManifestErrorKind as Kind};
use crate::identity::{GroupVersionKind, ObjectRef, Origin, check_name, check_namespace};

pub(super) fn manifest(value: Value, origin: Origin) -> Result<Manifest, ManifestError> {
    match identity(&value) {
        Ok((id, generate_name)) => Ok(Manifest {
            id,
            origin,
            generate_name,
            object: value,
        }),
        Err(kind) => Err(ManifestError { kind, origin }),
    }
}

/// The annotations by which tools know an object that is created anew each time.
const HOOKS: [&str; 3] = ["signet.dev/hook", "argocd.argoproj.io/hook", "helm.sh/hook"];

/// The identity, and whether its name is only the beginning of one.
fn identity(value: &Value) -> Result<(ObjectRef, bool), Kind> {
    let Value::Object(fields) = value else {
        return Err(Kind::NotAMapping {
            found: name_of_type(value),
        });
    };
    let api_version = required(fields, "apiVersion", "apiVersion")?;
    let kind = required(fields, "kind", "kind")?;
    let gvk = GroupVersionKind::parse(api_version, kind)?;
    if gvk.is("", "List") {
        return Err(Kind::ListWithoutItems);
    }

    let metadata = match fields.get("metadata") {
        None | Some(Value::Null) => {
            return Err(Kind::Missing {
                field: "metadata.name",
            });
        }
        Some(Value::Object(metadata)) => metadata,
        Some(other) => return Err(wrong_type("metadata".to_owned(), "a mapping", other)),
    };
    let (name, generate_name) = match required(metadata, "name", "metadata.name") {
        Err(missing @ Kind::Missing { .. }) => {
            match optional(metadata, "generateName", "metadata.generateName")? {
                None => return Err(missing),
                Some(_) if !is_hook(metadata) || holds_secrets(&gvk) => return Err(Kind::GenerateName),
                Some(prefix) => (prefix, true),
            }
        }
        other => (other?, false),
    };
    check_name(name).map_err(|reason| Kind::InvalidName {
        name: name.to_owned(),
        reason,
    })?;
    let namespace = optional(metadata, "namespace", "metadata.namespace")?;
    if let Some(namespace) = namespace {
        check_namespace(namespace).map_err(|reason| Kind::InvalidNamespace {
            namespace: namespace.to_owned(),
            reason,
        })?;
    }
    for field in ["labels", "annotations"] {
        strings(metadata, field)?;
    }
    let id = ObjectRef {
        gvk,
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
    };
    Ok((id, generate_name))
}

/// Nobody can refer to a Secret whose name nobody knows, and each would stay behind.
fn holds_secrets(gvk: &GroupVersionKind) -> bool {
    (gvk.group.is_empty() && gvk.kind == "Secret") || gvk.kind == "SealedSecret"
}

fn is_hook(metadata: &Map<String, Value>) -> bool {
    let annotations = metadata.get("annotations").and_then(Value::as_object);
    annotations.is_some_and(|annotations| HOOKS.iter().any(|hook| annotations.contains_key(*hook)))
}

/// A string that has to be there and has to say something.
fn required<'a>(fields: &'a Map<String, Value>, name: &str, path: &'static str) -> Result<&'a str, Kind> {
    optional(fields, name, path)?.ok_or(Kind::Missing { field: path })
}

/// A string; null and the empty string count as none, as they do for the API server.
fn optional<'a>(
    fields: &'a Map<String, Value>,
    name: &str,
    path: &'static str,
) -> Result<Option<&'a str>, Kind> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(other) => Err(wrong_type(path.to_owned(), "a string", other)),
    }
}

/// A mapping to strings, or nothing.
fn strings(metadata: &Map<String, Value>, field: &str) -> Result<(), Kind> {
    match metadata.get(field) {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Object(entries)) => match entries.iter().find(|(_, value)| !value.is_string()) {
            None => Ok(()),
            Some((key, value)) => Err(wrong_type(format!("metadata.{field}.{key}"), "a string", value)),
        },
        Some(other) => Err(wrong_type(format!("metadata.{field}"), "a mapping", other)),
    }
}

fn wrong_type(path: String, expected: &'static str, found: &Value) -> Kind {
    Kind::WrongType {
        path,
        expected,
        found: name_of_type(found),
    }
}

fn name_of_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn error(value: Value) -> ManifestError {
        manifest(
            value,
            Origin {
                file: "a.yaml".into(),
                document: 1,
                item: None,
                line: 1,
            },
        )
        .unwrap_err()
    }

    fn message(value: Value) -> String {
        error(value).kind.to_string()
    }

    #[allow(clippy::needless_pass_by_value)] // reads better at the call
    fn with_metadata(metadata: Value) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    }

    #[test]
    fn what_is_no_object() {
        assert_eq!(message(json!("x")), "this is not an object but a string");
        assert_eq!(message(json!([1])), "this is not an object but a list");
        assert_eq!(message(json!({})), "apiVersion is missing");
        assert_eq!(message(json!({"apiVersion": "v1"})), "kind is missing");
        assert_eq!(
            message(json!({"apiVersion": "", "kind": "Pod"})),
            "apiVersion is missing"
        );
        assert_eq!(
            message(json!({"apiVersion": 1, "kind": "Pod"})),
            "apiVersion is not a string but a number"
        );
        assert_eq!(
            message(json!({"apiVersion": "a/b/c", "kind": "Pod"})),
            "apiVersion is not of the form `v1` or `group/v1`"
        );
    }

    #[test]
    fn metadata() {
        assert_eq!(
            message(json!({"apiVersion": "v1", "kind": "Pod"})),
            "metadata.name is missing"
        );
        assert_eq!(message(with_metadata(json!(null))), "metadata.name is missing");
        assert_eq!(
            message(with_metadata(json!([]))),
            "metadata is not a mapping but a list"
        );
        assert_eq!(
            message(with_metadata(json!({"name": 7}))),
            "metadata.name is not a string but a number"
        );
        assert_eq!(
            message(with_metadata(json!({"name": ""}))),
            "metadata.name is missing"
        );
        let generated = error(with_metadata(json!({"generateName": "a-"})));
        assert_eq!(generated.kind, Kind::GenerateName);
        assert!(
            generated
                .hint()
                .is_some_and(|hint| hint.contains("fixed metadata.name"))
        );
    }

    #[test]
    fn a_hook_may_leave_its_name_to_the_api_server() {
        for hook in HOOKS {
            let object =
                with_metadata(json!({"generateName": "a-", "namespace": "shop", "annotations": {hook: "x"}}));
            let (id, generate_name) = identity(&object).unwrap();
            assert_eq!(
                (id.to_string().as_str(), generate_name),
                ("ConfigMap shop/a-", true)
            );
        }
        let named = with_metadata(
            json!({"name": "a", "generateName": "b-", "annotations": {"argocd.argoproj.io/hook": "Sync"}}),
        );
        let (id, generate_name) = identity(&named).unwrap();
        assert_eq!((id.name.as_str(), generate_name), ("a", false));
        let hook = json!({"argocd.argoproj.io/hook": "Sync"});
        assert_eq!(
            message(with_metadata(json!({"annotations": hook}))),
            "metadata.name is missing"
        );
        assert!(
            message(with_metadata(json!({"generateName": "a/", "annotations": hook})))
                .contains("cannot be an object's name")
        );
        assert_eq!(
            error(with_metadata(
                json!({"generateName": "a-", "annotations": {"x": "y"}})
            ))
            .kind,
            Kind::GenerateName
        );
    }

    #[test]
    fn a_secret_has_a_name_of_its_own() {
        for (api_version, kind) in [("v1", "Secret"), ("bitnami.com/v1alpha1", "SealedSecret")] {
            let secret = json!({"apiVersion": api_version, "kind": kind,
                "metadata": {"generateName": "a-", "annotations": {"helm.sh/hook": "pre-install"}}});
            assert_eq!(error(secret).kind, Kind::GenerateName);
        }
    }

    #[test]
    fn names_and_namespaces_are_shown_safely() {
        assert_eq!(
            message(with_metadata(json!({"name": "a/b\u{1b}[31m"}))),
            "metadata.name `a/b\\u{1b}[31m` cannot be an object's name: it contains '/' or '%'"
        );
        assert!(message(with_metadata(json!({"name": "x".repeat(100_000)}))).len() < 300);
        assert!(
            message(with_metadata(json!({"name": "a", "namespace": "No\n"})))
                .starts_with("metadata.namespace `No\\u{a}` cannot be a namespace")
        );
        assert_eq!(
            message(with_metadata(json!({"name": "a", "namespace": false}))),
            "metadata.namespace is not a string but a boolean"
        );
    }

    #[test]
    fn labels_and_annotations_are_strings() {
        let wrong = error(with_metadata(json!({"name": "a", "labels": {"on": true}})));
        assert_eq!(
            wrong.kind.to_string(),
            "metadata.labels.on is not a string but a boolean"
        );
        assert!(wrong.hint().is_some_and(|hint| hint.contains("quotes")));
        assert_eq!(
            message(with_metadata(json!({"name": "a", "annotations": {"x\n": null}}))),
            "metadata.annotations.x\\u{a} is not a string but null"
        );
        assert_eq!(
            message(with_metadata(json!({"name": "a", "annotations": 3}))),
            "metadata.annotations is not a mapping but a number"
        );
        let empty = with_metadata(json!({"name": "a", "labels": null, "annotations": {}, "namespace": ""}));
        assert_eq!(identity(&empty).unwrap().0.namespace, None);
    }
}
