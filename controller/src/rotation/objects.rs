//! SealedSecret objects of the cluster that come from elsewhere than a Sync: sealed again where they are.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crds::Blocker;
use kube::api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use manifest::Limits;
use serde_json::{Value, json};

use super::facts::Objects;
use super::git::Keys;
use super::scan::{self, Standing};
use crate::config::{Config, SealedScope};
use crate::request::{RequestError, bounded};

/// Objects of one page of a list.
const PAGE: u32 = 500;
const MANAGER: &str = "signet/key-rotation";
/// How often one is sealed again: somebody who puts it back each time is not fought.
const MOST_TRIES: u32 = 3;

/// What is remembered of objects.
#[derive(Default)]
pub(super) struct Known {
    /// How often each was sealed again, by kind, namespace and name.
    tries: HashMap<String, u32>,
    /// Those that need no old key, by uid: the resource version that was looked at. They are not opened again.
    clean: HashMap<String, String>,
    /// From which keys to which.
    about: (BTreeSet<String>, BTreeSet<String>),
}

impl Known {
    /// The keys have changed: everything is looked at again.
    pub(super) fn forget(&mut self) {
        self.clean.clear();
    }

    fn is_clean(&self, object: &DynamicObject) -> bool {
        let known = object.metadata.uid.as_ref().and_then(|uid| self.clean.get(uid));
        known.is_some() && known == object.metadata.resource_version.as_ref()
    }

    fn note_clean(&mut self, (uid, version): (Option<String>, Option<String>)) {
        if let (Some(uid), Some(version)) = (uid, version) {
            self.clean.insert(uid, version);
        }
    }
}

/// Versions of objects: the resource version, by uid.
pub(super) type Versions = HashMap<String, String>;

fn version_of(object: &DynamicObject) -> (Option<String>, Option<String>) {
    (object.uid(), object.resource_version())
}

/// One that hangs on an old key, sealed again.
struct Again {
    resource: ApiResource,
    namespace: String,
    name: String,
    patch: Value,
}

/// What is done with objects that hang on the old keys.
pub(super) struct Task<'a> {
    pub(super) keys: &'a Keys,
    /// Whether they are sealed again now.
    pub(super) write: bool,
    /// Where a key leaked: the versions that were looked through for the report. Others are not sealed again before.
    pub(super) taken: Option<&'a Versions>,
}

impl Task<'_> {
    /// Whether it would be sealed again before anybody knows what was sealed for the old key.
    fn is_unseen(&self, (uid, version): &(Option<String>, Option<String>)) -> bool {
        let known = |taken: &Versions| uid.as_ref().and_then(|uid| taken.get(uid)) == version.as_ref();
        self.taken.is_some_and(|taken| version.is_none() || !known(taken))
    }
}

/// Looks at all that the controller opens, and, if told so, seals again what hangs on the old keys. All others are looked at as
/// well, and left as they are: another controller may open them with the same keys.
pub(super) async fn look(
    client: &Client,
    config: &Config,
    task: &Task<'_>,
    before: u64,
    known: &mut Known,
) -> Result<Objects, String> {
    let keys = task.keys;
    let mut found = Objects {
        tried: task.write,
        ..Objects::default()
    };
    found.count.resealed = before;
    let about = (keys.leaving.clone(), keys.new.clone());
    if known.about != about {
        known.forget();
        known.about = about;
    }
    for group in ["bitnami.com", "signet.dev"] {
        let resource = resource(group);
        let opened = match opened(client, &resource, config).await {
            Ok(opened) => opened,
            // The kind is not installed: nobody has any.
            Err(error) if error.is_not_found() => continue,
            Err(error) => return Err(format!("SealedSecrets of {group} cannot be listed: {error}.")),
        };
        let mut seen = HashSet::with_capacity(opened.len());
        for object in opened {
            seen.insert(object.uid().unwrap_or_default());
            found.count.total += 1;
            if known.is_clean(&object) {
                continue;
            }
            let version = version_of(&object);
            let (again, blockers) = one(object, &resource, keys, Standing::Applied).await;
            let stays = !blockers.is_empty();
            found.blockers.extend(blockers);
            let Some(again) = again else {
                if !stays {
                    known.note_clean(version);
                }
                continue;
            };
            if task.is_unseen(&version) {
                found.count.left += 1;
                found.unseen += 1;
                found.is_news = true;
                continue;
            }
            let tried = known.tries.entry(again.id()).or_default();
            if *tried >= MOST_TRIES {
                found.count.left += 1;
                let message =
                    "It was sealed again, and somebody puts it back: seal it again where it comes from.";
                found.blockers.push(again.blocker(message.into()));
                continue;
            }
            if !task.write {
                found.count.left += 1;
                continue;
            }
            *tried += 1;
            match send(client, &again).await {
                Ok(()) => found.count.resealed += u64::from(!stays),
                Err(error) => {
                    found.count.left += 1;
                    found.blockers.push(refused(&again, &error));
                }
            }
        }
        others(client, &resource, &seen, task, known, &mut found).await?;
    }
    Ok(found)
}

/// All of the cluster, whoever opens them, as they are, and which versions.
pub(super) async fn all(client: &Client) -> Result<(Vec<Value>, Versions), String> {
    let mut all = Vec::new();
    for group in ["bitnami.com", "signet.dev"] {
        match list(client, &resource(group), None, None).await {
            Ok(objects) => all.extend(objects),
            // The kind is not installed: nobody has any.
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(format!("SealedSecrets of {group} cannot be listed: {error}.")),
        }
    }
    let versions = all.iter().filter_map(|object| match version_of(object) {
        (Some(uid), Some(version)) => Some((uid, version)),
        _ => None,
    });
    Ok((
        all.iter().map(|object| json!(object)).collect(),
        versions.collect(),
    ))
}

/// What the controller opens. The Secrets of its own namespace are its own: nothing is opened there.
async fn opened(
    client: &Client,
    resource: &ApiResource,
    config: &Config,
) -> Result<Vec<DynamicObject>, RequestError> {
    let scopes: Vec<Option<&str>> = match &config.sealed_secrets {
        SealedScope::Off => return Ok(Vec::new()),
        SealedScope::All => vec![None],
        SealedScope::In(namespaces) => namespaces.iter().map(|name| Some(name.as_str())).collect(),
    };
    let selector = config.sealed_secrets_selector.as_deref();
    let mut all = Vec::new();
    for scope in scopes {
        all.extend(list(client, resource, scope, selector).await?);
    }
    all.retain(|object| object.namespace().as_deref() != Some(config.namespace.as_str()));
    Ok(all)
}

/// Looks at the objects that the controller does not open. Where it may not, it is not known what they need.
async fn others(
    client: &Client,
    resource: &ApiResource,
    seen: &HashSet<String>,
    task: &Task<'_>,
    known: &mut Known,
    found: &mut Objects,
) -> Result<(), String> {
    let objects = match list(client, resource, None, None).await {
        Ok(objects) => objects,
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) if error.is_forbidden() => {
            found.blockers.push(Blocker {
                place: "the cluster".into(),
                object: String::new(),
                message: format!(
                    "The controller may not list the SealedSecrets of {} in all namespaces, and another controller may open them \
                     with the old keys: give the ClusterRole signet-controller that right (deploy/install.yaml).",
                    resource.group
                ),
            });
            return Ok(());
        }
        Err(error) => {
            return Err(format!(
                "SealedSecrets of {} cannot be listed: {error}.",
                resource.group
            ));
        }
    };
    for object in objects {
        if seen.contains(&object.uid().unwrap_or_default()) || known.is_clean(&object) {
            continue;
        }
        let version = version_of(&object);
        let (again, blockers) = one(object, resource, task.keys, Standing::Followed).await;
        found.is_news |= again.is_some() && task.is_unseen(&version);
        if again.is_none() && blockers.is_empty() {
            known.note_clean(version);
        }
        found.blockers.extend(blockers);
        if let Some(again) = again {
            let message = "It is sealed for an old key, and this controller does not open it (--sealed-secrets): seal it again \
                           where it comes from, or have it opened here.";
            found.blockers.push(again.blocker(message.into()));
        }
    }
    Ok(())
}

fn resource(group: &str) -> ApiResource {
    ApiResource {
        group: group.to_owned(),
        version: "v1alpha1".into(),
        api_version: format!("{group}/v1alpha1"),
        kind: "SealedSecret".into(),
        plural: "sealedsecrets".into(),
    }
}

async fn list(
    client: &Client,
    resource: &ApiResource,
    namespace: Option<&str>,
    selector: Option<&str>,
) -> Result<Vec<DynamicObject>, RequestError> {
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, resource),
        None => Api::all_with(client.clone(), resource),
    };
    let mut params = ListParams::default().limit(PAGE);
    if let Some(selector) = selector {
        params = params.labels(selector);
    }
    let mut all = Vec::new();
    loop {
        let page = bounded(api.list(&params)).await?;
        all.extend(page.items);
        match page.metadata.continue_ {
            Some(next) if !next.is_empty() => params = params.continue_token(&next),
            _ => return Ok(all),
        }
    }
}

/// An object sealed again, if it hangs on an old key, and what cannot be.
async fn one(
    object: DynamicObject,
    resource: &ApiResource,
    keys: &Keys,
    standing: Standing,
) -> (Option<Again>, Vec<Blocker>) {
    let namespace = object.namespace().unwrap_or_default();
    let name = object.name_any();
    let metadata = json!({"uid": object.metadata.uid, "resourceVersion": object.metadata.resource_version});
    let annotations: BTreeMap<_, _> = object.metadata.annotations.clone().unwrap_or_default();
    let spec = object.data.get("spec").cloned().unwrap_or(Value::Null);
    let text = json!({
        "apiVersion": resource.api_version, "kind": "SealedSecret",
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
        "spec": spec,
    })
    .to_string();
    let keys = keys.clone();
    let work = move || {
        let limits = Limits::default();
        keys.with(|change| scan::again(text.as_bytes(), &[], change, standing, &limits))
    };
    let blocker = |message: String| Blocker {
        place: "the cluster".into(),
        object: format!("{} SealedSecret {namespace}/{name}", resource.group),
        message,
    };
    let resealed = match tokio::task::spawn_blocking(work).await {
        Ok(Ok(resealed)) => resealed,
        Ok(Err(error)) => return (None, vec![blocker(format!("It cannot be read: {error}."))]),
        Err(_) => return (None, vec![blocker("The look at it stopped unexpectedly.".into())]),
    };
    let blockers = resealed
        .kept
        .iter()
        .filter(|kept| scan::holds(kept, standing))
        .map(|kept| {
            let key = kept.key.as_deref().map(sealing::Printable);
            let key = key.map(|key| format!("key {key}: ")).unwrap_or_default();
            blocker(format!("{key}It was not sealed again: {}.", kept.why))
        })
        .collect();
    if resealed.changed.is_empty() {
        return (None, blockers);
    }
    let again: Value = serde_json::from_slice(&resealed.bytes).unwrap_or_default();
    let mut fields = serde_json::Map::new();
    for field in ["encryptedData", "data", "dataKeys", "values"] {
        let new = again.pointer(&format!("/spec/{field}"));
        if let Some(new) = new.filter(|new| spec.get(field) != Some(new)) {
            fields.insert(field.to_owned(), new.clone());
        }
    }
    let again = Again {
        resource: resource.clone(),
        namespace,
        name,
        patch: json!({"metadata": metadata, "spec": fields}),
    };
    (Some(again), blockers)
}

async fn send(client: &Client, again: &Again) -> Result<(), RequestError> {
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &again.namespace, &again.resource);
    let params = PatchParams {
        field_manager: Some(MANAGER.into()),
        ..PatchParams::default()
    };
    let patch = Patch::Merge(&again.patch);
    bounded(api.patch(&again.name, &params, &patch)).await.map(|_| ())
}

fn refused(again: &Again, error: &RequestError) -> Blocker {
    let message = if error.is_forbidden() {
        "The controller may not change it: bind the ClusterRole signet-key-rotation (deploy/sealed-secrets.yaml), or seal it \
         again where it comes from."
            .to_owned()
    } else {
        format!("It could not be written: {error}. It is tried again.")
    };
    again.blocker(message)
}

impl Again {
    fn id(&self) -> String {
        format!(
            "{} SealedSecret {}/{}",
            self.resource.group, self.namespace, self.name
        )
    }

    fn blocker(&self, message: String) -> Blocker {
        Blocker {
            place: "the cluster".into(),
            object: self.id(),
            message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_version_that_was_looked_through_is_seen() {
        let ring = std::sync::Arc::new(sealing::KeyRing::new([]));
        let keys = Keys {
            ring,
            leaving: BTreeSet::new(),
            new: BTreeSet::new(),
            others: BTreeMap::new(),
        };
        let taken = Versions::from([("one".to_owned(), "7".to_owned())]);
        let is_unseen = |taken, uid: &str, version: Option<&str>| {
            let task = Task {
                keys: &keys,
                write: true,
                taken,
            };
            task.is_unseen(&(Some(uid.to_owned()), version.map(str::to_owned)))
        };
        assert!(!is_unseen(Some(&taken), "one", Some("7")));
        for (uid, version) in [
            ("one", Some("8")),
            ("other", Some("7")),
            ("one", None),
            ("other", None),
        ] {
            assert!(is_unseen(Some(&taken), uid, version), "{uid} {version:?}");
            assert!(!is_unseen(None, uid, version), "no key leaked");
        }
    }
}
