//! What may be deleted of what left Git, and what an approval is about. Pure.

use super::names::syncs;
use apply::Key;
use apply::checkpoint::InputDigest;
use crds::{Prune, PrunePolicy, SyncSpec, annotation};
use serde_json::Value;
use std::collections::BTreeMap;

/// What becomes of objects that left Git.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pruning {
    /// They are deleted.
    pub(super) now: Vec<Key>,
    /// They stay, and are nobody's.
    pub(super) orphan: Vec<Key>,
    /// They are deleted after an approval, and ours until then.
    pub(super) held: Vec<Key>,
    /// Why something is held, as a sentence.
    pub(super) refusal: Option<String>,
}

/// Decides about the objects in `left`, of `recorded` in all: those that left and those that stay, but not what came beside them
/// ([`Record::beside`](apply::checkpoint::Record)). What is said about one
/// object ([`OwnWord`](apply::words::OwnWord)) comes after this, when it is looked at.
///
/// Without an approval no more than `prune.limit` are deleted, and never all, unless `prune.allowEmpty` says that all may
/// go. `emptied`: Git holds nothing of what is recorded. Then what left is all of it, however much of that is to be deleted
/// now: some may be frozen, or of a kind that is not served. A share is rounded down, but is at least one object unless it is 0%: a Sync of two objects can lose one. A limit
/// that cannot be read is 0.
pub(super) fn decide(
    left: Vec<Key>,
    recorded: usize,
    emptied: bool,
    prune: &Prune,
    approved: bool,
) -> Pruning {
    let mut pruning = Pruning::default();
    if !prune.enabled || left.is_empty() {
        return pruning;
    }
    let (count, most) = (left.len(), limit(&prune.limit, recorded));
    let refusal = match prune.policy {
        PrunePolicy::Orphan => {
            pruning.orphan = left;
            return pruning;
        }
        _ if approved => None,
        PrunePolicy::Confirm => Some(format!(
            "{} left Git and {} deleted once the plan is approved (spec.prune.policy: Confirm).",
            objects(count),
            if count == 1 { "is" } else { "are" },
        )),
        PrunePolicy::Delete if (emptied && !prune.allow_empty) || count >= recorded => (!prune.allow_empty)
            .then(|| {
                let all = match recorded {
                    0 | 1 => "The only object".to_owned(),
                    _ => format!("All {recorded} objects"),
                };
                format!(
                    "{all} left Git, and nothing is deleted. Restore the path, approve the plan, or set \
                 spec.prune.allowEmpty if that is what you want."
                )
            }),
        PrunePolicy::Delete => (count > most).then(|| {
            format!(
                "{count} of {} left Git, and without an approval at most {most} may be deleted at once \
                 (spec.prune.limit: {}). Nothing is deleted before the plan is approved.",
                objects(recorded),
                crate::text::bounded(&prune.limit, 16),
            )
        }),
    };
    match refusal {
        None => pruning.now = left,
        Some(why) => {
            pruning.held = left;
            pruning.refusal = Some(why);
        }
    }
    pruning
}

/// Why the deletion of one object waits for an approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// It says so itself.
    Itself,
    /// What these Syncs have would go with it.
    Others(Vec<String>),
    /// What no Sync has would: its names.
    Strangers(String),
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
        Asks::Itself => None,
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

fn objects(count: usize) -> String {
    format!("{count} {}", if count == 1 { "object" } else { "objects" })
}

/// How many of `recorded` objects may go without an approval.
fn limit(text: &str, recorded: usize) -> usize {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<usize>().ok().filter(|_| digits)
    };
    match text.strip_suffix('%') {
        Some(share) => match number(share) {
            None | Some(0) => 0,
            Some(share) => (recorded.saturating_mul(share.min(100)) / 100).max(1),
        },
        None => number(text).unwrap_or(0),
    }
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
    use apply::GroupKind;
    use crds::{Mode, Window, WindowKind};
    use std::sync::Arc;

    fn keys(count: usize) -> Vec<Key> {
        let key = |i| Key {
            kind: Arc::new(GroupKind::new("", "ConfigMap")),
            namespace: Some("shop".into()),
            name: format!("m{i}").into(),
        };
        (0..count).map(key).collect()
    }

    fn prune(limit: &str, policy: PrunePolicy) -> Prune {
        Prune {
            limit: limit.into(),
            policy,
            ..Prune::default()
        }
    }

    #[test]
    fn more_than_the_limit_and_all_at_once_need_an_approval() {
        // (limit, left, recorded, deleted without an approval)
        let cases = [
            ("50%", 1, 2, true),
            ("50%", 1, 3, true),
            ("50%", 2, 3, false),
            ("50%", 5, 10, true),
            ("50%", 6, 10, false),
            ("1%", 1, 20, true),
            ("1%", 2, 20, false),
            ("100%", 19, 20, true),
            ("100%", 20, 20, false),
            ("0%", 1, 20, false),
            ("0", 1, 20, false),
            ("10", 10, 100, true),
            ("10", 11, 100, false),
            ("999999", 1, 1, false),
            ("50%", 1, 1, false),
            ("half", 1, 100, false),
            ("", 1, 100, false),
            ("%", 1, 100, false),
            ("-5", 1, 100, false),
            ("+5", 1, 100, false),
        ];
        for (limit, left, recorded, deleted) in cases {
            let what = format!("{limit}: {left} of {recorded}");
            let prune = prune(limit, PrunePolicy::Delete);
            let found = decide(keys(left), recorded, left >= recorded, &prune, false);
            let (now, held) = if deleted { (left, 0) } else { (0, left) };
            assert_eq!((found.now.len(), found.held.len()), (now, held), "{what}");
            assert_eq!(found.refusal.is_some(), !deleted, "{what}");
            let approved = decide(keys(left), recorded, left >= recorded, &prune, true);
            assert_eq!((approved.now.len(), approved.refusal), (left, None), "{what}");
        }
    }

    #[test]
    fn all_may_go_where_the_sync_says_so() {
        let prune = Prune {
            allow_empty: true,
            ..Prune::default()
        };
        assert_eq!(decide(keys(9), 9, true, &prune, false).now.len(), 9);
        assert_eq!(
            decide(keys(8), 9, false, &prune, false).held.len(),
            8,
            "most of them is another matter"
        );
    }

    #[test]
    fn what_is_emptied_stays_however_little_would_go() {
        // One of two is frozen, and no part of what would be deleted.
        let careful = prune("50%", PrunePolicy::Delete);
        let refused = decide(keys(1), 2, true, &careful, false);
        assert_eq!((refused.now.len(), refused.held.len()), (0, 1));
        assert!(refused.refusal.unwrap().starts_with("All 2 objects left Git"));
        assert_eq!(decide(keys(1), 2, true, &careful, true).now.len(), 1);
        let allowed = Prune {
            allow_empty: true,
            ..Prune::default()
        };
        assert_eq!(decide(keys(1), 2, true, &allowed, false).now.len(), 1);
        assert_eq!(
            decide(keys(3), 4, true, &allowed, false).held.len(),
            3,
            "its limit holds"
        );
        let confirm = decide(keys(1), 2, true, &prune("50%", PrunePolicy::Confirm), false);
        assert!(confirm.refusal.unwrap().contains("Confirm"));
    }

    #[test]
    fn the_policy_decides() {
        let none = Pruning::default();
        let off = Prune {
            enabled: false,
            ..Prune::default()
        };
        assert_eq!(decide(keys(3), 9, false, &off, true), none);
        assert_eq!(decide(Vec::new(), 0, true, &Prune::default(), false), none);
        let orphan = decide(keys(9), 9, true, &prune("50%", PrunePolicy::Orphan), false);
        assert_eq!(
            orphan,
            Pruning {
                orphan: keys(9),
                ..Pruning::default()
            }
        );
        let confirm = prune("50%", PrunePolicy::Confirm);
        let held = decide(keys(1), 9, false, &confirm, false);
        assert_eq!((held.now.len(), held.held.len()), (0, 1));
        assert_eq!(
            held.refusal.unwrap(),
            "1 object left Git and is deleted once the plan is approved (spec.prune.policy: Confirm)."
        );
        assert_eq!(decide(keys(9), 9, true, &confirm, true).now.len(), 9);
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let refusal = |left, recorded| {
            let prune = prune("50%", PrunePolicy::Delete);
            decide(keys(left), recorded, left >= recorded, &prune, false)
                .refusal
                .unwrap()
        };
        assert_eq!(
            refusal(12, 20),
            "12 of 20 objects left Git, and without an approval at most 10 may be deleted at once (spec.prune.limit: 50%). \
             Nothing is deleted before the plan is approved."
        );
        assert_eq!(
            refusal(20, 20),
            "All 20 objects left Git, and nothing is deleted. Restore the path, approve the plan, or set \
             spec.prune.allowEmpty if that is what you want."
        );
        assert!(refusal(1, 1).starts_with("The only object left Git"));
    }

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
