//! A Sync that is deleted: whether its objects go with it, in which order, and the finalizer that holds it until then.

use apply::checkpoint::{Record, Wave};
use apply::{ApiError, ErrorKind, Key, Server};
use crds::{DeletionPolicy, FINALIZER, Mode, Sync, SyncSpec};
use http::Method;
use manifest::Phase;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::HashMap;

/// What becomes of the objects of a Sync that is being deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Departure {
    /// They stay, and are nobody's; the finalizer goes.
    LetGo {
        /// Why, as a sentence.
        why: String,
    },
    /// They are deleted.
    DeleteObjects,
    /// Nothing is done now.
    Wait {
        /// For what, as a sentence.
        why: String,
    },
}

/// Whether a Sync is held by the finalizer as long as it has objects.
pub(super) fn wants_finalizer(spec: &SyncSpec) -> bool {
    spec.deletion_policy == DeletionPolicy::Delete && spec.mode != Mode::Detect
}

/// What to do for a Sync that is being deleted. `account_exists` answers for its service account, `suspended` is true also
/// where the whole controller is told to write nothing.
///
/// `prune.enabled` has no say: it is about objects that leave Git, and `deletionPolicy: Delete` is a word of its own. An
/// object's own annotation is honoured either way ([`apply::words::OwnWord`]).
pub(super) fn departure(
    spec: &SyncSpec,
    account_exists: Result<bool, &ApiError>,
    namespace_terminating: Result<bool, &ApiError>,
    suspended: bool,
) -> Departure {
    let let_go = |why: &str| Departure::LetGo { why: why.to_owned() };
    if spec.deletion_policy == DeletionPolicy::Orphan {
        return let_go("The Sync is deleted; its objects stay, as spec.deletionPolicy says.");
    }
    if spec.mode == Mode::Detect {
        return let_go("The Sync is deleted; its objects stay, since nothing is written in mode Detect.");
    }
    if namespace_terminating.as_ref().is_ok_and(|going| *going) {
        // The account and its rights go as well, and nobody could delete anything outside of the namespace.
        return let_go(
            "The Sync's namespace is being deleted, and its service account with it; objects elsewhere stay.",
        );
    }
    if suspended {
        let why = "The Sync is suspended: nothing is deleted before it is resumed. Set spec.deletionPolicy to Orphan to \
                   let it go without its objects.";
        return Departure::Wait { why: why.to_owned() };
    }
    if let Err(error) = namespace_terminating {
        // With the namespace, the Sync has to let go: whoever deletes what could be let go cannot take it back.
        return Departure::Wait {
            why: format!("It cannot be found out whether the Sync's namespace is being deleted: {error}."),
        };
    }
    match account_exists {
        Ok(true) => Departure::DeleteObjects,
        Ok(false) => Departure::LetGo {
            why: format!(
                "There is no service account {}; nothing is deleted without it, and the Sync's objects stay.",
                spec.service_account_name
            ),
        },
        Err(error) => Departure::Wait {
            why: format!(
                "Service account {} cannot be looked up: {error}.",
                spec.service_account_name
            ),
        },
    }
}

/// Which recorded objects to delete now: those of the first step in which any is still there. When it is empty, all are
/// gone. `home` and `account` are the Sync's namespace and service account.
///
/// The steps are the waves backwards; in each what depends on others before those, and then the phases, so that Namespaces and
/// definitions come last; but after them what may give the account its rights, since it is needed until then, and the Sync's
/// own namespace at the very end.
pub(super) fn next_batch(
    records: &HashMap<Key, Record>,
    home: &str,
    account: &str,
    present: impl Fn(&Key) -> bool,
) -> Vec<Key> {
    let mut first: Option<Step> = None;
    let mut batch = Vec::new();
    for (key, record) in records {
        let step = step(key, record, home, account);
        if first.is_some_and(|first| step > first) || !present(key) {
            continue;
        }
        if first.is_none_or(|first| step < first) {
            first = Some(step);
            batch.clear();
        }
        batch.push(key.clone());
    }
    batch.sort_unstable();
    batch
}

/// Whether what is left, if anything, is only what the account itself needs: its rights, itself, and its namespace.
pub(super) fn only_rights_left(records: &HashMap<Key, Record>, home: &str, account: &str) -> bool {
    let mut steps = records
        .iter()
        .map(|(key, record)| step(key, record, home, account));
    steps.all(|step| matches!(step, Step::Rights | Step::Home))
}

/// A step of leaving, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// By wave and round, and then by phase, backwards.
    Objects(Reverse<Wave>, usize),
    Rights,
    Home,
}

fn step(key: &Key, record: &Record, home: &str, account: &str) -> Step {
    let (group, kind) = (&*key.kind.group, &*key.kind.kind);
    let phases = Phase::DELETE_ORDER.len();
    let own_account = (group, kind) == ("", "ServiceAccount")
        && &*key.name == account
        && key.namespace.as_deref() == Some(home);
    if (group, kind) == ("", "Namespace") && &*key.name == home {
        Step::Home
    } else if group == "rbac.authorization.k8s.io" || own_account {
        Step::Rights
    } else {
        let phase = Phase::of(group, kind);
        let place = Phase::DELETE_ORDER.iter().position(|other| *other == phase);
        Step::Objects(Reverse(record.wave), place.unwrap_or(phases))
    }
}

/// Whether the Sync is held.
pub(super) fn is_held(sync: &Sync) -> bool {
    sync.metadata
        .finalizers
        .iter()
        .flatten()
        .any(|finalizer| finalizer == FINALIZER)
}

/// Holds the Sync, if it is still the one that was read.
///
/// # Errors
/// [`ErrorKind::Precondition`] where it changed since, [`ErrorKind::Invalid`] where another one has its name; otherwise as
/// the server answers. The watch on Syncs tells of either change.
pub(super) async fn hold(server: &Server, sync: &Sync) -> Result<(), ApiError> {
    set_finalizer(server, sync, true).await
}

/// Lets the Sync go, if it is still the one that was read. One that is gone is fine.
///
/// # Errors
/// Those of [`hold`].
pub(super) async fn release(server: &Server, sync: &Sync) -> Result<(), ApiError> {
    match set_finalizer(server, sync, false).await {
        Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

async fn set_finalizer(server: &Server, sync: &Sync, held: bool) -> Result<(), ApiError> {
    let Some(patch) = finalizer_patch(sync, held) else {
        return Ok(());
    };
    let metadata = &sync.metadata;
    let (namespace, name) = (metadata.namespace.as_deref(), metadata.name.as_deref());
    let path = super::status::path(namespace.unwrap_or_default(), name.unwrap_or_default());
    server.own(Method::PATCH, &path, Some(&patch)).await.map(|_| ())
}

/// A merge patch that sets or removes the finalizer; none where it is so already. A list is patched as a whole, so that
/// it is refused if the Sync changed since: with the finalizer of somebody else lost, that one's work would be.
fn finalizer_patch(sync: &Sync, held: bool) -> Option<Value> {
    if is_held(sync) == held {
        return None;
    }
    let mut finalizers: Vec<&str> = sync
        .metadata
        .finalizers
        .iter()
        .flatten()
        .map(String::as_str)
        .filter(|finalizer| *finalizer != FINALIZER)
        .collect();
    if held {
        finalizers.push(FINALIZER);
    }
    Some(json!({"metadata": {
        "uid": sync.metadata.uid.as_deref()?,
        "resourceVersion": sync.metadata.resource_version.as_deref()?,
        "finalizers": finalizers,
    }}))
}

/// Whether a namespace is going away, or gone.
pub(super) async fn namespace_is_going(server: &Server, namespace: &str) -> Result<bool, ApiError> {
    let answer = match server
        .own(Method::GET, &format!("/api/v1/namespaces/{namespace}"), None)
        .await
    {
        Ok(answer) => answer,
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    };
    let found: Value = serde_json::from_slice(&answer).map_err(|_| {
        ApiError::unavailable("the API server answered with something that is not a Namespace")
    })?;
    Ok(found["metadata"]["deletionTimestamp"].is_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use apply::GroupKind;
    use apply::checkpoint::{InputDigest, Wave};
    use std::collections::HashSet;
    use std::sync::Arc;

    fn spec(policy: DeletionPolicy) -> SyncSpec {
        SyncSpec {
            deletion_policy: policy,
            ..SyncSpec::new("team", ".", "deployer")
        }
    }

    #[test]
    fn objects_are_deleted_only_where_everything_says_so() {
        let error = ApiError::unavailable("it does not answer");
        let delete = || spec(DeletionPolicy::Delete);
        let detect = SyncSpec {
            mode: Mode::Detect,
            ..delete()
        };
        let mut keeping = delete();
        keeping.prune.enabled = false;
        // (what, spec, account, namespace is going, suspended, expected)
        let cases = [
            ("all is well", delete(), Ok(true), false, false, "delete"),
            ("pruning is off", keeping, Ok(true), false, false, "delete"),
            (
                "orphan",
                spec(DeletionPolicy::Orphan),
                Ok(true),
                false,
                false,
                "go",
            ),
            (
                "orphan, suspended",
                spec(DeletionPolicy::Orphan),
                Ok(true),
                false,
                true,
                "go",
            ),
            (
                "orphan, in the dark",
                spec(DeletionPolicy::Orphan),
                Err(&error),
                false,
                false,
                "go",
            ),
            ("detect", detect, Ok(true), false, false, "go"),
            ("no account", delete(), Ok(false), false, false, "go"),
            ("in the dark", delete(), Err(&error), false, false, "wait"),
            ("the namespace goes", delete(), Ok(true), true, false, "go"),
            (
                "the namespace goes, suspended",
                delete(),
                Ok(true),
                true,
                true,
                "go",
            ),
            ("suspended", delete(), Ok(true), false, true, "wait"),
            ("suspended, no account", delete(), Ok(false), false, true, "wait"),
        ];
        for (what, spec, account, going, suspended, expected) in cases {
            let found = match departure(&spec, account, Ok(going), suspended) {
                Departure::LetGo { why } => ("go", why),
                Departure::DeleteObjects => ("delete", "Yes.".into()),
                Departure::Wait { why } => ("wait", why),
            };
            assert_eq!(found.0, expected, "{what}");
            assert!(found.1.ends_with('.'), "{}", found.1);
        }
        // A namespace that cannot be read may be going, and the account with it.
        for account in [Ok(true), Ok(false), Err(&error)] {
            let found = departure(&delete(), account, Err(&error), false);
            assert!(matches!(found, Departure::Wait { .. }), "{account:?}: {found:?}");
        }
        let orphan = departure(&spec(DeletionPolicy::Orphan), Ok(true), Err(&error), false);
        assert!(matches!(orphan, Departure::LetGo { .. }), "{orphan:?}");
    }

    #[test]
    fn the_finalizer_is_there_where_objects_are_to_be_deleted() {
        assert!(wants_finalizer(&spec(DeletionPolicy::Delete)));
        assert!(!wants_finalizer(&spec(DeletionPolicy::Orphan)));
        let detect = SyncSpec {
            mode: Mode::Detect,
            ..spec(DeletionPolicy::Delete)
        };
        assert!(!wants_finalizer(&detect));
    }

    fn key(group: &str, kind: &str, namespace: Option<&str>, name: &str) -> Key {
        Key {
            kind: Arc::new(GroupKind::new(group, kind)),
            namespace: namespace.map(Into::into),
            name: name.into(),
        }
    }

    #[test]
    fn one_step_at_a_time_in_reverse_and_rights_and_home_last() {
        const RBAC: &str = "rbac.authorization.k8s.io";
        let keys = [
            key(
                "admissionregistration.k8s.io",
                "ValidatingWebhookConfiguration",
                None,
                "hook",
            ),
            key("apps", "Deployment", Some("shop"), "web"),
            key("apps", "Deployment", Some("shop"), "api"),
            key("example.com", "Widget", Some("shop"), "w"),
            key("", "Service", Some("shop"), "web"),
            key("", "ConfigMap", Some("shop"), "web"),
            key("", "ConfigMap", Some("shop"), "late"),
            key("", "ConfigMap", Some("shop"), "needy"),
            key("", "ServiceAccount", Some("shop"), "deployer"),
            key("", "Namespace", None, "shop"),
            key(
                "apiextensions.k8s.io",
                "CustomResourceDefinition",
                None,
                "widgets.example.com",
            ),
            key(RBAC, "RoleBinding", Some("shop"), "deployer"),
            key("", "ServiceAccount", Some("home"), "deployer"),
            key("", "Namespace", None, "home"),
        ];
        let records: HashMap<Key, Record> = keys
            .iter()
            .map(|key| {
                let wave = match &*key.name {
                    "late" => Wave::of(3),
                    "needy" => Wave { number: 0, round: 1 },
                    _ => Wave::of(0),
                };
                (key.clone(), Record::intended(InputDigest([0; 16]), wave))
            })
            .collect();
        let mut gone: HashSet<Key> = HashSet::new();
        let mut batches = Vec::new();
        loop {
            let batch = next_batch(&records, "home", "deployer", |key| !gone.contains(key));
            if batch.is_empty() {
                break;
            }
            // As long as one of them is there, it is its turn.
            gone.extend(batch[1..].iter().cloned());
            assert_eq!(
                next_batch(&records, "home", "deployer", |key| !gone.contains(key)),
                batch[..1]
            );
            gone.insert(batch[0].clone());
            batches.push(
                batch
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(", "),
            );
        }
        assert_eq!(
            batches,
            [
                "ConfigMap shop/late",
                "ConfigMap shop/needy",
                "ValidatingWebhookConfiguration hook",
                "Deployment shop/api, Deployment shop/web",
                "Widget.example.com shop/w",
                "Service shop/web",
                "ConfigMap shop/web",
                "ServiceAccount shop/deployer",
                "Namespace shop",
                "CustomResourceDefinition widgets.example.com",
                "ServiceAccount home/deployer, RoleBinding shop/deployer",
                "Namespace home",
            ]
        );
    }

    fn sync(finalizers: &[&str]) -> Sync {
        let mut sync = Sync::new("web", spec(DeletionPolicy::Delete));
        sync.metadata.uid = Some("u".into());
        sync.metadata.resource_version = Some("7".into());
        sync.metadata.finalizers = Some(finalizers.iter().map(ToString::to_string).collect());
        sync
    }

    #[test]
    fn the_finalizer_is_patched_without_touching_those_of_others() {
        let patch = |finalizers: &[&str], held| {
            let patch = finalizer_patch(&sync(finalizers), held)?;
            assert_eq!(
                (&patch["metadata"]["uid"], &patch["metadata"]["resourceVersion"]),
                (&json!("u"), &json!("7"))
            );
            Some(patch["metadata"]["finalizers"].clone())
        };
        assert_eq!(patch(&[], true), Some(json!([FINALIZER])));
        assert_eq!(patch(&["x/y"], true), Some(json!(["x/y", FINALIZER])));
        assert_eq!(patch(&["x/y", FINALIZER], true), None);
        assert_eq!(
            patch(&["x/y", FINALIZER, "z/z"], false),
            Some(json!(["x/y", "z/z"]))
        );
        assert_eq!(patch(&["x/y"], false), None);
        let mut unread = sync(&[]);
        unread.metadata.resource_version = None;
        assert_eq!(
            finalizer_patch(&unread, true),
            None,
            "without what guards it nothing is sent"
        );
    }
}
