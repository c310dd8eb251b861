//! Who else is in a Namespace, or of a definition's kind, that is about to be deleted: what no Sync has, and nobody's plan would show.

use super::inside::Inside;
use super::listing::list;
use super::worker::Worker;
use apply::{ApiError, Catalog, ErrorKind, GroupKind, Identity, Key, KindInfo};
use crds::{annotation, label};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Of a Namespace, what is looked for: data, and what somebody runs there. All else comes from these, or with the Namespace.
const LOOKED_FOR: [(&str, &str); 5] = [
    ("", "PersistentVolumeClaim"),
    ("apps", "StatefulSet"),
    ("apps", "Deployment"),
    ("apps", "DaemonSet"),
    ("batch", "CronJob"),
];

/// Strangers of a kind that are looked for.
const MOST: usize = 100;

/// What would go with an object and is no Sync's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Strangers {
    /// By uid.
    found: BTreeMap<Box<str>, Key>,
    /// Kinds that nobody of us can list, with the reason.
    unlisted: BTreeMap<String, String>,
}

impl Strangers {
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty() && self.unlisted.is_empty()
    }

    /// Whether all of `now` was known.
    pub(super) fn know(&self, now: &Self) -> bool {
        now.found.keys().all(|uid| self.found.contains_key(uid))
            && now.unlisted.keys().all(|kind| self.unlisted.contains_key(kind))
    }

    /// What an approval of them is of.
    pub(super) fn mark(&self) -> String {
        let uids = self.found.keys().map(|uid| &**uid);
        let kinds = self.unlisted.keys().map(String::as_str);
        uids.chain(kinds).collect::<Vec<_>>().join(" ")
    }

    /// Their names, the first ones; nothing where there are none.
    pub(super) fn names(&self) -> Option<String> {
        let mut keys: Vec<&Key> = self.found.values().collect();
        keys.sort_unstable();
        Some(match (&*keys, self.unlisted.first_key_value()) {
            ([], None) => return None,
            ([], Some((kind, why))) => format!("whatever is of kind {kind}, which cannot be listed ({why})"),
            ([first], _) => first.to_string(),
            ([first, more @ ..], _) => format!("{first} and {} more", more.len()),
        })
    }
}

/// How long a look counts while its plan waits. Before anything is deleted there is another one.
const LOOK_COUNTS: Duration = Duration::from_secs(30);

/// Who was found in what a plan deletes.
pub(super) struct Look {
    /// The digest of the inputs, the spec's generation, and what is deleted.
    of: (String, i64, Vec<Key>),
    at: Instant,
    pub(super) found: HashMap<Key, Strangers>,
}

impl Look {
    pub(super) fn new(of: (String, i64, Vec<Key>), found: HashMap<Key, Strangers>) -> Self {
        let at = Instant::now();
        Self { of, at, found }
    }

    /// Whether it still tells of this plan.
    pub(super) fn counts(&self, of: &(String, i64, Vec<Key>)) -> bool {
        self.at.elapsed() < LOOK_COUNTS && self.of == *of
    }
}

impl Worker {
    /// Looks for what would go with an object. `ours`: the uids that were recorded. What the account of the Sync may not list, the
    /// controller does, if it may. Of what nobody can list a person is asked.
    pub(super) async fn strangers(
        &self,
        identity: &Identity,
        inside: &Inside,
        catalog: &Catalog,
        ours: &HashSet<Box<str>>,
    ) -> Result<Strangers, ApiError> {
        let (kinds, namespace) = match inside {
            Inside::Kind(kind) => (vec![kind.clone()], None),
            Inside::Namespace(name) => {
                let kinds = LOOKED_FOR.map(|(group, kind)| GroupKind::new(group, kind));
                (kinds.to_vec(), Some(name))
            }
        };
        let mut strangers = Strangers::default();
        for kind in kinds {
            let Some(info) = catalog.preferred(&kind) else {
                continue;
            };
            let mut answer = self.strangers_of(identity, info, namespace, ours).await;
            if answer.as_ref().is_err_and(|error| !passes(error)) {
                answer = self
                    .strangers_of(&Identity::Controller, info, namespace, ours)
                    .await;
            }
            match answer {
                Ok(found) => strangers.found.extend(found),
                Err(error) if passes(&error) => return Err(error.unquoted()),
                Err(error) => {
                    let why = error.in_own_words().to_owned();
                    strangers.unlisted.insert(kind.to_string(), why);
                }
            }
        }
        Ok(strangers)
    }

    async fn strangers_of(
        &self,
        identity: &Identity,
        info: &KindInfo,
        namespace: Option<&Arc<str>>,
        ours: &HashSet<Box<str>>,
    ) -> Result<Vec<(Box<str>, Key)>, ApiError> {
        let collection = match namespace {
            Some(namespace) => info.collection_in(namespace),
            None => info.collection(),
        };
        let stranger = |metadata: ObjectMeta| {
            let uid: Box<str> = metadata.uid.as_deref()?.into();
            let owners = metadata.owner_references.as_deref().unwrap_or_default();
            let is_made = namespace.is_some() && owners.iter().any(|owner| is_counted(owner, ours));
            if ours.contains(&uid)
                || is_made
                || metadata.deletion_timestamp.is_some()
                || self.is_own_hook(&metadata)
            {
                return None;
            }
            let key = Key {
                kind: Arc::clone(&info.kind),
                namespace: metadata.namespace.as_deref().map(Into::into),
                name: metadata.name.as_deref()?.into(),
            };
            Some((uid, key))
        };
        list((&self.rooms.server, identity), &collection, "", MOST, stranger).await
    }

    /// Hooks have a journal, and no record.
    fn is_own_hook(&self, metadata: &ObjectMeta) -> bool {
        let labels = metadata.labels.as_ref();
        let set = labels.and_then(|labels| labels.get(label::APPLYSET_PART_OF));
        let annotations = metadata.annotations.as_ref();
        set == Some(&self.id.applyset) && annotations.is_some_and(|all| all.contains_key(annotation::RUN))
    }
}

/// Whether time alone heals what is in the way of a look. What fails in the API server, such as a webhook that converts objects, may
/// do so for ever.
fn passes(error: &ApiError) -> bool {
    error.is_transient() && error.kind != ErrorKind::Failed
}

/// Whether what is controlled by this owner goes, or is counted, with the owner: it is ours, or of a kind that is looked for itself.
fn is_counted(owner: &OwnerReference, ours: &HashSet<Box<str>>) -> bool {
    let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
    let looked_for = LOOKED_FOR.contains(&(group, owner.kind.as_str()));
    owner.controller == Some(true) && (looked_for || ours.contains(&*owner.uid))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strangers(names: &[&str]) -> Strangers {
        let key = |name: &&str| Key {
            kind: Arc::new(GroupKind::new("apps", "Deployment")),
            namespace: Some("shop".into()),
            name: (*name).into(),
        };
        Strangers {
            found: names
                .iter()
                .map(|name| (format!("uid-{name}").into(), key(name)))
                .collect(),
            unlisted: BTreeMap::new(),
        }
    }

    #[test]
    fn an_approval_knows_those_that_it_named() {
        let (none, one, two) = (strangers(&[]), strangers(&["a"]), strangers(&["a", "b"]));
        assert!(two.know(&one) && two.know(&two) && one.know(&none));
        assert!(!one.know(&two) && !none.know(&one));
        assert_ne!(one.mark(), two.mark());
        assert_eq!(none.names(), None);
        assert_eq!(one.names().unwrap(), "Deployment shop/a");
        assert_eq!(two.names().unwrap(), "Deployment shop/a and 1 more");
        let mut blind = strangers(&[]);
        blind
            .unlisted
            .insert("Cart.example.com".into(), "no right".into());
        assert!(!blind.is_empty() && !none.know(&blind));
        assert!(
            blind
                .names()
                .unwrap()
                .contains("which cannot be listed (no right)")
        );
    }

    #[test]
    fn what_is_made_by_what_is_counted_is_no_stranger_and_what_an_operator_made_is() {
        let owner = |api_version: &str, kind: &str, uid: &str, controller: bool| OwnerReference {
            api_version: api_version.into(),
            kind: kind.into(),
            name: "x".into(),
            uid: uid.into(),
            controller: Some(controller),
            block_owner_deletion: None,
        };
        let ours = HashSet::from([Box::from("ours")]);
        assert!(is_counted(
            &owner("apps/v1", "StatefulSet", "theirs", true),
            &ours
        ));
        assert!(is_counted(
            &owner("db.example.com/v1", "Cluster", "ours", true),
            &ours
        ));
        assert!(!is_counted(
            &owner("db.example.com/v1", "Cluster", "theirs", true),
            &ours
        ));
        assert!(!is_counted(
            &owner("apps/v1", "StatefulSet", "theirs", false),
            &ours
        ));
    }
}
