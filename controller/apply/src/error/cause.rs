//! Refusals that have a way out of their own, recognised in the API server's answer. Nothing of its text is kept.

use serde_json::Value;

/// What an answer is about, where more can be done than its code says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// Nothing more is known.
    #[default]
    Plain,
    /// A field was to change that cannot be changed on an existing object.
    Immutable,
    /// The namespace that the object is in does not exist.
    NamespaceMissing,
    /// The namespace that the object is in is being deleted.
    NamespaceLeaving,
    /// A quota leaves no room.
    Quota,
    /// An object of this name exists already.
    Exists,
    /// The object that stands there is not the one whose uid was named.
    OtherUid,
}

/// How Kubernetes says that a field cannot be changed, in its validation of updates (`pkg/apis/*/validation`, 1.36) and
/// in the rule that definitions use for it. There is no code or reason for it.
const UNCHANGEABLE: [&str; 12] = [
    "is immutable",
    "immutable field",
    "Forbidden: updates to ",
    "may not change fields other than",
    "may not change once set",
    "may not be changed",
    "may not be updated",
    "must not be changed",
    "cannot be changed",
    "cannot change roleRef",
    "can not be unset",
    "self == oldSelf",
];

impl Cause {
    /// Reads an answer with this code and `metav1.Status`.
    pub(super) fn of(code: u16, status: &Value) -> Self {
        let said = status["message"].as_str().unwrap_or_default();
        let leaving = |cause: &Value| cause["reason"] == "NamespaceTerminating";
        let of_uid = |cause: &Value| cause["field"] == "metadata.uid";
        match code {
            404 if status["details"]["kind"] == "namespaces" => Self::NamespaceMissing,
            403 if causes(status).iter().any(leaving) => Self::NamespaceLeaving,
            403 if said.contains("exceeded quota: ") => Self::Quota,
            409 if status["reason"] == "AlreadyExists" => Self::Exists,
            // An apply or a patch with another uid in it changes a field that cannot be changed.
            422 if causes(status).iter().any(of_uid) => Self::OtherUid,
            // Webhooks refuse with 403 or 400, validation with 422.
            400 | 403 | 422 if unchangeable(said, status) => Self::Immutable,
            _ => Self::Plain,
        }
    }
}

/// The sentence may quote the object before it comes to the point, so each cause is read by itself, and of a cause the
/// part after the value that is quoted.
fn unchangeable(said: &str, status: &Value) -> bool {
    let tells = |text: &str| UNCHANGEABLE.iter().any(|words| text.contains(words));
    let causes = causes(status);
    if causes.is_empty() {
        return said.contains("denied the request") && tells(said);
    }
    causes
        .iter()
        .filter_map(|cause| cause["message"].as_str())
        .map(|message| match message.strip_prefix("Invalid value: ") {
            Some(quoted) => after_value(quoted),
            // What follows the first line of a "Forbidden" is the difference, values and all.
            None => message.lines().next().unwrap_or_default(),
        })
        .any(tells)
}

/// What follows the JSON value that `text` starts with. All of it where it starts with none, as Go's syntax is none.
fn after_value(text: &str) -> &str {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde::de::IgnoredAny>();
    match values.next() {
        Some(Ok(_)) => text.get(values.byte_offset()..).unwrap_or_default(),
        _ => text,
    }
}

fn causes(status: &Value) -> &[Value] {
    status["details"]["causes"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn invalid(message: &str) -> Cause {
        let status = json!({"message": format!("X \"x\" is invalid: f: {message}"), "reason": "Invalid",
            "details": {"causes": [{"field": "f", "message": message}]}});
        Cause::of(422, &status)
    }

    #[test]
    fn another_object_in_its_place_is_recognised() {
        let message = r#"Invalid value: "a": field is immutable"#;
        let status = json!({"message": format!("Secret \"x\" is invalid: metadata.uid: {message}"), "reason": "Invalid",
            "details": {"causes": [{"field": "metadata.uid", "message": message}]}});
        assert_eq!(Cause::of(422, &status), Cause::OtherUid);
    }

    /// As kube-apiserver 1.36.3 said them.
    #[test]
    fn what_cannot_be_changed_is_recognised() {
        for message in [
            "Forbidden: field is immutable when `immutable` is set",
            r#"Invalid value: "x/y": field is immutable"#,
            r#"Invalid value: {"labels":{"job-name":"j"},"Spec":{"Volumes":null}}: field is immutable"#,
            "Forbidden: updates to statefulset spec for fields other than 'replicas', 'template' are forbidden",
            "Forbidden: updates to parameters are forbidden.",
            "Forbidden: spec is immutable after creation except resources.requests\n@@ -1,6 +1,6 @@\n",
            r#"Invalid value: {"APIGroup":"a","Kind":"b","Name":"c"}: cannot change roleRef"#,
            "Forbidden: pod updates may not change fields other than `spec.containers[*].image`",
            "Forbidden: may not be changed in an update.",
            r#"Invalid value: ["10.0.0.7"]: may not change once set"#,
            r#"Invalid value: "2": Value is immutable"#,
            r#"Invalid value: "2": failed rule: self == oldSelf"#,
            r"Invalid value: []string(nil): primary clusterIP can not be unset",
        ] {
            assert_eq!(invalid(message), Cause::Immutable, "{message}");
        }
    }

    #[test]
    fn a_value_that_says_so_does_not_make_it_so() {
        for message in [
            r#"Invalid value: "this is immutable": must be no more than 3 characters"#,
            r#"Invalid value: {"a":"field is immutable"}: must be empty"#,
            "Forbidden: not here\n-  \"is immutable\"\n",
            "Required value",
        ] {
            assert_eq!(invalid(message), Cause::Plain, "{message}");
        }
    }

    #[test]
    fn other_ways_out_are_told_apart() {
        let webhook =
            |text: &str| json!({"message": format!("admission webhook \"a.b\" denied the request: {text}")});
        let leaving = json!({"details": {"causes": [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]}});
        let quota = json!({"message": "configmaps \"a\" is forbidden: exceeded quota: q, requested: count/configmaps=1"});
        for (code, status, cause) in [
            (403, webhook("spec.a is immutable"), Cause::Immutable),
            (403, webhook("no"), Cause::Plain),
            (403, json!({"message": "a value that is immutable"}), Cause::Plain),
            (
                404,
                json!({"details": {"kind": "namespaces", "name": "n"}}),
                Cause::NamespaceMissing,
            ),
            (
                404,
                json!({"details": {"kind": "configmaps", "name": "n"}}),
                Cause::Plain,
            ),
            (403, leaving, Cause::NamespaceLeaving),
            (403, quota, Cause::Quota),
            (409, json!({"reason": "AlreadyExists"}), Cause::Exists),
            (409, json!({"reason": "Conflict"}), Cause::Plain),
        ] {
            assert_eq!(Cause::of(code, &status), cause, "{status}");
        }
    }
}
