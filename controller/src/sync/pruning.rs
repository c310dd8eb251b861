//! Why the deletion of what left Git waits for a person, and what an approval is about. Pure.

use super::inside::Lodged;
use super::names::syncs;
use super::strangers::Strangers;
use apply::Key;
use apply::checkpoint::InputDigest;
use apply::prune::objects;
use crds::{SyncSpec, annotation};
use serde_json::Value;
use std::collections::BTreeMap;

/// Why the deletion of one object waits for an approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// It says so itself.
    Itself,
    /// What these Syncs have would go with it.
    Others(Vec<String>),
    /// What no Sync has would: its names.
    Strangers(String),
    /// What is in it does.
    Inside,
}

impl Asks {
    /// Why an object waits as long as what is in it does: whoever lets that go lets this go as well, with all in it.
    pub(super) fn about(key: &Key, lodged: &Lodged) -> Self {
        if let others @ [_, ..] = lodged.of(key) {
            return Self::Others(others.to_vec());
        }
        let strangers = lodged.strangers(key).and_then(Strangers::names);
        strangers.map_or(Self::Inside, Self::Strangers)
    }
}

/// What is said of objects whose deletion asks for an approval of its own, if there are any.
pub(super) fn waits(waiting: &[(Key, Asks)]) -> Option<String> {
    let noun = |count: usize| if count == 1 { "is" } else { "are" };
    let lodged = waiting.iter().find_map(|(key, asks)| match asks {
        Asks::Others(others) => {
            let have = if others.len() == 1 { "has" } else { "have" };
            Some((key, format!("{} {have} objects that", syncs(others))))
        }
        Asks::Strangers(names) => Some((key, format!("{names}, which no Sync has,"))),
        Asks::Itself | Asks::Inside => None,
    });
    let Some((key, others)) = lodged else {
        let (annotation, count) = (annotation::PRUNE, waiting.len());
        return (count > 0).then(|| {
            format!(
                "{} left Git and {} deleted once the plan is approved ({annotation}: confirm).",
                objects(count),
                noun(count),
            )
        });
    };
    let more = match waiting.len() - 1 {
        0 => String::new(),
        count => format!(", and {count} more"),
    };
    Some(format!(
        "{key}{more} left Git and {} deleted once the plan is approved: {others} would go with it.",
        noun(waiting.len()),
    ))
}

/// Fields of the spec that say when something is applied, or what is said of it, and not what.
const NOT_IN_A_PLAN: [&str; 6] = ["suspend", "mode", "windows", "timeout", "driftTimeout", "pin"];

/// The digest of a plan, which an Approval names: 32 hexadecimal digits. It covers the spec but for the fields that do not
/// change what is applied, what Git holds (`inputs`, itself a keyed digest), and the objects to delete, as key and uid, in
/// any order. Keyed, since inputs may hold what can be guessed.
pub(super) fn plan_digest(
    key: &[u8; 32],
    spec: &SyncSpec,
    inputs: &str,
    prune_uids: &[(String, String)],
) -> String {
    let mut canonical = String::new();
    // A spec always becomes JSON: it has only text, numbers, lists and maps with text for keys.
    let mut spec = serde_json::to_value(spec).unwrap_or_default();
    if let Value::Object(fields) = &mut spec {
        fields.retain(|name, _| !NOT_IN_A_PLAN.contains(&name.as_str()));
    }
    write(&mut canonical, &spec);
    let mut uids: Vec<_> = prune_uids.iter().collect();
    uids.sort_unstable();
    uids.dedup();
    let mut parts: Vec<&[u8]> = vec![b"plan", canonical.as_bytes(), inputs.as_bytes()];
    parts.extend(
        uids.iter()
            .flat_map(|(key, uid)| [key.as_bytes(), uid.as_bytes()]),
    );
    crate::text::hex(&InputDigest::keyed(key, &parts).0)
}

/// JSON with sorted keys, whatever order the map has: that depends on features that other crates switch on.
fn write(out: &mut String, value: &Value) {
    match value {
        Value::Object(fields) => {
            let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
            out.push('{');
            for (index, (name, value)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write(out, value);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(out, item);
            }
            out.push(']');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::{Mode, Window, WindowKind};

    #[test]
    fn a_plan_s_digest_covers_what_would_be_done() {
        let uids = |names: &[&str]| -> Vec<(String, String)> {
            names
                .iter()
                .map(|name| (format!("ConfigMap shop/{name}"), format!("uid-{name}")))
                .collect()
        };
        let digest =
            |spec: &SyncSpec, inputs: &str, names: &[&str]| plan_digest(&[7; 32], spec, inputs, &uids(names));
        let spec = SyncSpec::new("team", "apps", "deployer");
        let base = digest(&spec, "i", &["a", "b"]);
        assert_eq!(base.len(), 32);
        assert!(
            base.bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        );
        assert_eq!(
            digest(&spec, "i", &["b", "a", "a"]),
            base,
            "the order of objects does not matter"
        );
        for (what, other) in [
            ("inputs", digest(&spec, "j", &["a", "b"])),
            ("fewer objects", digest(&spec, "i", &["a"])),
            ("other objects", digest(&spec, "i", &["a", "c"])),
            ("the key", plan_digest(&[8; 32], &spec, "i", &uids(&["a", "b"]))),
            (
                "a uid",
                plan_digest(
                    &[7; 32],
                    &spec,
                    "i",
                    &[uids(&["a"]).remove(0), ("ConfigMap shop/b".into(), "x".into())],
                ),
            ),
        ] {
            assert_ne!(other, base, "{what}");
        }
        let window = Window {
            kind: WindowKind::Deny,
            schedule: "0 0 * * *".into(),
            duration: "1h".into(),
            time_zone: String::new(),
        };
        let when = SyncSpec {
            suspend: true,
            mode: Mode::Approval,
            windows: vec![window],
            timeout: "1h".into(),
            drift_timeout: "1h".into(),
            ..spec.clone()
        };
        assert_eq!(digest(&when, "i", &["a", "b"]), base, "when is not what");
        let mut prune = spec.clone();
        prune.prune.limit = "10".into();
        for what in [
            SyncSpec {
                path: "other".into(),
                ..spec.clone()
            },
            SyncSpec {
                service_account_name: "other".into(),
                ..spec.clone()
            },
            SyncSpec {
                target_namespace: Some("other".into()),
                ..spec.clone()
            },
            SyncSpec {
                create_namespaces: true,
                ..spec.clone()
            },
            prune,
        ] {
            assert_ne!(digest(&what, "i", &["a", "b"]), base);
        }
    }

    #[test]
    fn canonical_json_is_sorted_and_complete() {
        let value: Value = serde_json::from_str(r#"{"b":[1,{"d":null,"c":"x\"y"}],"a":true}"#).unwrap();
        let mut out = String::new();
        write(&mut out, &value);
        assert_eq!(out, r#"{"a":true,"b":[1,{"c":"x\"y","d":null}]}"#);
    }
}
