//! The request body of one object: the only room where plaintext exists, from opening to the request.

use super::inputs::{Form, Wanted, source_annotation};
use apply::checkpoint::OpenedBy;
use crds::{annotation, label};
use manifest::Manifest;
use sealing::{ItemProblem, KeyRing, ParseProblem, SealedSecret, v2};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use zeroize::{Zeroize, Zeroizing};

/// What every body of a Sync carries.
pub(super) struct Marks<'a> {
    /// The id of the Sync's ApplySet.
    pub(super) applyset: &'a str,
    /// `namespace/name` of the Sync.
    pub(super) sync: &'a str,
    /// The controller's own namespace.
    pub(super) home: &'a str,
    /// For a hook: which operation it runs in, and the object's name.
    pub(super) run: Option<Run<'a>>,
    /// For a workload that is rolled when a Secret changes: what goes into its pod template.
    pub(super) secrets: Option<String>,
}

/// What a hook's object carries beside.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    /// The operation.
    pub(super) operation: &'a str,
    /// The object's name: the hook may have left it to us.
    pub(super) name: &'a str,
}

/// Why no body could be made. Never holds a value.
pub(crate) struct Refusal {
    pub(crate) message: String,
    pub(crate) hint: &'static str,
    /// Keys whose values no sealing key opens here.
    pub(crate) unopened: Vec<String>,
}

/// Makes the body of `wanted` from what Git holds, in the namespace that was resolved.
pub(super) fn make(
    wanted: &Wanted,
    manifest: Manifest,
    namespace: Option<&str>,
    marks: &Marks<'_>,
    ring: &KeyRing,
) -> Result<(Zeroizing<Vec<u8>>, OpenedBy), Refusal> {
    let source = source_annotation(marks.sync, wanted);
    match wanted.form {
        Form::Sealed => {
            let mut opened = open(&manifest.object, namespace.unwrap_or_default(), ring)?;
            spare_our_own(opened.metadata_mut(), namespace, marks)?;
            mark(opened.metadata_mut(), namespace, marks, source);
            Ok((opened.write_json(), opened_by(&opened)))
        }
        Form::Plain | Form::PlainSecret => {
            let mut object = manifest.object;
            if wanted.form == Form::PlainSecret {
                string_data_to_data(&mut object)?;
            }
            if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
                for server_side in [
                    "managedFields",
                    "resourceVersion",
                    "uid",
                    "creationTimestamp",
                    "generation",
                    "selfLink",
                ] {
                    metadata.remove(server_side);
                }
                spare_the_lease(wanted, metadata, namespace, marks)?;
                if wanted.form == Form::PlainSecret {
                    spare_our_own(metadata, namespace, marks)?;
                }
                mark(metadata, namespace, marks, source);
            }
            if marks.run.is_some() && wanted.item.options().ttl.is_some() {
                // It would go before its end is seen, if the controller is away just then. It is set once that is written down.
                if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
                    spec.remove("ttlSecondsAfterFinished");
                }
            }
            if let Some(digest) = &marks.secrets {
                super::restart::mark(&mut object, digest);
            }
            let body = Zeroizing::new(object.to_string().into_bytes());
            if wanted.form == Form::PlainSecret || wanted.item.holds_secret() {
                wipe(&mut object);
            }
            Ok((body, OpenedBy::default()))
        }
    }
}

/// The ids of the sealing keys that values were opened with, and how many with each.
fn opened_by(opened: &sealing::Opened) -> OpenedBy {
    let mut counts: BTreeMap<&str, u16> = BTreeMap::new();
    for key in opened.opened_by().values() {
        let count = counts.entry(key.as_str()).or_default();
        *count = count.saturating_add(1);
    }
    let counts = counts.into_iter();
    counts.map(|(key, count)| (key.into(), count)).collect()
}

/// Changes a body. What it was is wiped; where it cannot be read, which our own can, it stays as it is and there is no
/// answer.
pub(super) fn edit<T>(body: &mut Zeroizing<Vec<u8>>, change: impl FnOnce(&mut Value) -> T) -> Option<T> {
    let mut object = Wiped(serde_json::from_slice(body).ok()?);
    let answer = change(&mut object.0);
    *body = Zeroizing::new(object.0.to_string().into_bytes());
    Some(answer)
}

/// An object that is wiped when it is dropped.
pub(super) struct Wiped(pub(super) Value);

impl Drop for Wiped {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// What to do where there is no key at all.
const RESTORE: &str = "restore the keys from a backup with `signet keys restore`; they are taken in at once";

/// Opens a sealed object of either format, or says in words for people why it does not open.
pub(crate) fn open(object: &Value, namespace: &str, ring: &KeyRing) -> Result<sealing::Opened, Refusal> {
    let api_version = object.get("apiVersion").and_then(Value::as_str);
    if api_version.is_some_and(|text| text.starts_with("signet.dev/")) {
        open_native(object, namespace, ring)
    } else {
        open_bitnamis(object, namespace, ring)
    }
}

fn open_bitnamis(object: &Value, namespace: &str, ring: &KeyRing) -> Result<sealing::Opened, Refusal> {
    let sealed = SealedSecret::parse(object).map_err(|problems| {
        let template = problems
            .iter()
            .any(|found| matches!(found.problem, ParseProblem::Template(_)));
        Refusal {
            message: joined(&problems),
            hint: if template {
                "docs/templates.md lists what templates can do; nothing has to be sealed again"
            } else {
                "seal the Secret again with `signet seal`, or restore the field from Git's history"
            },
            unopened: Vec::new(),
        }
    })?;
    sealed.open(ring, namespace).map_err(|problems| {
        let all = |of: fn(&ItemProblem) -> bool| problems.iter().all(|found| of(&found.problem));
        let scope = all(|problem| matches!(problem, ItemProblem::OtherScope { .. }));
        Refusal {
            message: joined(&problems),
            hint: if all(|problem| *problem == ItemProblem::NoKeys) {
                RESTORE
            } else if scope {
                "correct the annotation; nothing has to be sealed again"
            } else {
                "seal the value again for this namespace and name with `signet seal`, with this cluster's certificate \
                 (`signet cert`)"
            },
            unopened: unopened(&problems),
        }
    })
}

/// The keys that Bitnami's controller would name in "no key could decrypt secret".
fn unopened(problems: &[sealing::ItemError]) -> Vec<String> {
    let no_key = |problem: &ItemProblem| {
        matches!(
            problem,
            ItemProblem::NotForHere { .. }
                | ItemProblem::OtherScope { .. }
                | ItemProblem::OtherKeySize { .. }
        )
    };
    problems
        .iter()
        .filter(|found| no_key(&found.problem))
        .filter_map(|found| Some(sealing::Printable(found.key.as_deref()?).to_string()))
        .take(20)
        .collect()
}

fn open_native(object: &Value, namespace: &str, ring: &KeyRing) -> Result<sealing::Opened, Refusal> {
    let sealed = v2::SealedSecret::parse(object).map_err(|problems| Refusal {
        message: joined(&problems),
        hint: "restore the field from Git's history, or seal the Secret again with `signet seal`",
        unopened: Vec::new(),
    })?;
    sealed.open(ring.native(), namespace).map_err(|problems| {
        let is = |wanted: fn(&v2::Refusal) -> bool| {
            problems
                .iter()
                .any(|found| matches!(&found.problem, ItemProblem::Native(refusal) if wanted(refusal)))
        };
        let hint = if problems.iter().any(|found| found.problem == ItemProblem::NoKeys) {
            RESTORE
        } else if is(|refusal| matches!(refusal, v2::Refusal::OtherPlace { .. })) {
            "move it back; or seal it again for where it is now: without a private key its values cannot be moved"
        } else if is(|refusal| matches!(refusal, v2::Refusal::NoRecipient { .. })) {
            "seal it again for this cluster's keys, or restore the key from a backup with `signet keys restore`"
        } else {
            "restore the object from Git's history, or seal it again with `signet seal`"
        };
        Refusal {
            message: joined(&problems),
            hint,
            unopened: Vec::new(),
        }
    })
}

fn joined(problems: &[impl ToString]) -> String {
    let shown: Vec<_> = problems.iter().take(5).map(ToString::to_string).collect();
    let more = problems.len().saturating_sub(5);
    let tail = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    format!("{}{tail}", shown.join("; "))
}

/// Whoever could write the Lease from Git could stop the controller, again and again.
fn spare_the_lease(
    wanted: &Wanted,
    metadata: &Map<String, Value>,
    namespace: Option<&str>,
    marks: &Marks<'_>,
) -> Result<(), Refusal> {
    let gvk = &wanted.item.id.gvk;
    let name = metadata.get("name").and_then(Value::as_str);
    let is_it = namespace == Some(marks.home) && name == Some(crate::leader::NAME);
    if !is_it || (&*gvk.group, &*gvk.kind) != ("coordination.k8s.io", "Lease") {
        return Ok(());
    }
    Err(Refusal {
        message: "this Lease says which controller acts, and does not come from Git".to_owned(),
        hint: "remove it from Git",
        unopened: Vec::new(),
    })
}

/// Sealing keys, checkpoints and the key of digests are the controller's: whoever could write them from Git, with an account
/// that may do everything, could have Secrets opened, or objects deleted, that are not theirs.
fn spare_our_own(
    metadata: &Map<String, Value>,
    namespace: Option<&str>,
    marks: &Marks<'_>,
) -> Result<(), Refusal> {
    if namespace != Some(marks.home) {
        return Ok(());
    }
    let name = metadata.get("name").and_then(Value::as_str).unwrap_or_default();
    let labels = metadata.get("labels").and_then(Value::as_object);
    let labelled = [label::SEALING_KEY, label::NATIVE_SEALING_KEY, label::CHECKPOINT]
        .iter()
        .any(|label| labels.is_some_and(|labels| labels.contains_key(*label)));
    let named = OWN_SECRETS.iter().any(|prefix| name.starts_with(prefix));
    if !labelled && !named {
        return Ok(());
    }
    Err(Refusal {
        message: "this Secret would be one of the controller's own: sealing keys, checkpoints and the key of digests do \
                  not come from Git"
            .to_owned(),
        hint: "remove it from Git; keys are brought in by whoever runs the controller",
        unopened: Vec::new(),
    })
}

/// What the names of the controller's own Secrets begin with.
const OWN_SECRETS: [&str; 6] = [
    "sealed-secrets-key",
    "signet-sealing-key",
    "signet-checkpoint-",
    "signet-journal-",
    "signet-digest-key",
    "signet-archived-key-",
];

fn mark(metadata: &mut Map<String, Value>, namespace: Option<&str>, marks: &Marks<'_>, source: String) {
    if let Some(namespace) = namespace {
        metadata.insert("namespace".into(), namespace.into());
    }
    entry(metadata, "labels").insert(label::APPLYSET_PART_OF.into(), marks.applyset.into());
    entry(metadata, "annotations").insert(annotation::SOURCE.into(), source.into());
    if let Some(run) = marks.run {
        metadata.remove("generateName");
        metadata.insert("name".into(), run.name.into());
        entry(metadata, "annotations").insert(annotation::RUN.into(), run.operation.into());
    }
}

pub(super) fn entry<'a>(metadata: &'a mut Map<String, Value>, name: &str) -> &'a mut Map<String, Value> {
    let slot = metadata.entry(name).or_insert(Value::Null);
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    match slot {
        Value::Object(map) => map,
        // It was made an object above.
        _ => unreachable!("an object"),
    }
}

/// Moves `stringData` into `data`: server-side apply would own `stringData`, and an edit of `data` would go unseen.
pub(super) fn string_data_to_data(object: &mut Value) -> Result<(), Refusal> {
    use base64::Engine;
    let refusal = |path: &str| Refusal {
        message: format!("{path} must be an object of strings"),
        hint: "correct the Secret in Git; better, seal it with `signet seal`",
        unopened: Vec::new(),
    };
    let Some(fields) = object.as_object_mut() else {
        return Ok(());
    };
    let strings = match fields.remove("stringData") {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Object(strings)) => strings,
        Some(_) => return Err(refusal("stringData")),
    };
    let data = fields.entry("data").or_insert(Value::Null);
    if data.is_null() {
        *data = Value::Object(Map::new());
    }
    let Value::Object(data) = data else {
        return Err(refusal("data"));
    };
    for (key, value) in strings {
        let Value::String(mut text) = value else {
            return Err(refusal("stringData"));
        };
        data.insert(
            key,
            base64::prelude::BASE64_STANDARD.encode(text.as_bytes()).into(),
        );
        text.zeroize();
    }
    Ok(())
}

/// Wipes every string of a Secret's object before it is dropped.
fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn string_data_wins_over_data_as_the_api_server_has_it() {
        let mut secret = json!({"data": {"a": "b2xk", "b": "Yg=="}, "stringData": {"a": "new"}});
        assert!(string_data_to_data(&mut secret).is_ok());
        assert_eq!(secret, json!({"data": {"a": "bmV3", "b": "Yg=="}}));
    }

    #[test]
    fn a_malformed_secret_is_refused_without_its_content() {
        for mut secret in [
            json!({"stringData": "hunter2"}),
            json!({"stringData": {"a": ["hunter2"]}}),
            json!({"data": "hunter2", "stringData": {"a": "x"}}),
        ] {
            let refusal = string_data_to_data(&mut secret).unwrap_err();
            assert!(!refusal.message.contains("hunter2"), "{}", refusal.message);
        }
    }

    #[test]
    fn a_body_is_changed_in_place() {
        let mut body = Zeroizing::new(br#"{"spec":{"replicas":3,"paused":false}}"#.to_vec());
        let removed = edit(&mut body, |object| {
            object["spec"]
                .as_object_mut()
                .and_then(|spec| spec.remove("replicas"))
        });
        assert_eq!(removed, Some(Some(json!(3))));
        assert_eq!(&**body, br#"{"spec":{"paused":false}}"#);
        let mut broken = Zeroizing::new(b"{".to_vec());
        assert_eq!(edit(&mut broken, |_| ()), None);
        assert_eq!(&**broken, b"{");
    }

    #[test]
    fn the_controllers_own_secrets_do_not_come_from_git() {
        let marks = Marks {
            applyset: "applyset-x-v1",
            sync: "n/s",
            home: "signet-system",
            run: None,
            secrets: None,
        };
        let refused = |namespace: &str, metadata: Value| {
            spare_our_own(metadata.as_object().unwrap(), Some(namespace), &marks).is_err()
        };
        for name in [
            "sealed-secrets-key00001",
            "signet-checkpoint-x-1-0",
            "signet-journal-x",
            "signet-digest-key",
        ] {
            assert!(refused("signet-system", json!({"name": name})), "{name}");
            assert!(
                !refused("shop", json!({"name": name})),
                "{name} elsewhere is anybody's"
            );
        }
        for label in [label::SEALING_KEY, label::NATIVE_SEALING_KEY, label::CHECKPOINT] {
            assert!(
                refused("signet-system", json!({"name": "x", "labels": {label: "active"}})),
                "{label}"
            );
        }
        assert!(!refused(
            "signet-system",
            json!({"name": "git-token", "labels": {"a": "b"}})
        ));
    }

    #[test]
    fn marks_replace_what_git_says_of_them() {
        let mut metadata = json!({"name": "a", "labels": null, "annotations": {"x": "y"}});
        let marks = Marks {
            applyset: "applyset-x-v1",
            sync: "n/s",
            home: "signet-system",
            run: None,
            secrets: None,
        };
        mark(
            metadata.as_object_mut().unwrap(),
            Some("n"),
            &marks,
            "n/s:f#1".into(),
        );
        assert_eq!(
            metadata,
            json!({"name": "a", "namespace": "n", "labels": {"applyset.kubernetes.io/part-of": "applyset-x-v1"},
                "annotations": {"x": "y", "signet.dev/source": "n/s:f#1"}})
        );
    }
}
