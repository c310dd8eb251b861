//! SealedSecret objects of the cluster that come from elsewhere than a Sync: sealed again where they are.

use std::collections::{BTreeMap, HashMap};

use crds::Blocker;
use kube::api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use manifest::Limits;
use serde_json::{Value, json};

use super::facts::Objects;
use super::git::Keys;
use super::scan;
use crate::config::{Config, SealedScope};
use crate::request::{RequestError, bounded};

/// Objects of one page of a list.
const PAGE: u32 = 500;
const MANAGER: &str = "signet/key-rotation";
/// How often one is sealed again: somebody who puts it back each time is not fought.
const MOST_TRIES: u32 = 3;

/// How often each was sealed again, by kind, namespace and name.
pub(super) type Tries = HashMap<String, u32>;

/// One that hangs on an old key, sealed again.
struct Again {
    resource: ApiResource,
    namespace: String,
    name: String,
    patch: Value,
}

/// Looks at all that the controller opens, and, if told so, seals again what hangs on the old keys. Where SealedSecret objects
/// are not opened here, there are none.
pub(super) async fn look(
    client: &Client,
    config: &Config,
    keys: &Keys,
    write: bool,
    before: u64,
    tries: &mut Tries,
) -> Result<Objects, String> {
    let mut found = Objects {
        tried: write,
        ..Objects::default()
    };
    found.count.resealed = before;
    let scopes = scopes(config);
    for group in ["bitnami.com", "signet.dev"] {
        let resource = resource(group);
        for scope in &scopes {
            let objects = match list(client, &resource, *scope, config).await {
                Ok(objects) => objects,
                // The kind is not installed: nobody has any.
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(format!("SealedSecrets of {group} cannot be listed: {error}.")),
            };
            for object in objects {
                // The Secrets of the controller's own namespace are its own: nothing is opened there.
                if object.namespace().as_deref() == Some(config.namespace.as_str()) {
                    continue;
                }
                found.count.total += 1;
                let (again, blockers) = one(object, &resource, keys).await;
                let stays = !blockers.is_empty();
                found.blockers.extend(blockers);
                let Some(again) = again else {
                    continue;
                };
                let tried = tries.entry(again.id()).or_default();
                if *tried >= MOST_TRIES {
                    found.count.left += 1;
                    let message =
                        "It was sealed again, and somebody puts it back: seal it again where it comes from.";
                    found.blockers.push(again.blocker(message.into()));
                    continue;
                }
                if !write {
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
        }
    }
    Ok(found)
}

/// All that the controller opens, as they are.
pub(super) async fn all(client: &Client, config: &Config) -> Result<Vec<Value>, String> {
    let mut all = Vec::new();
    for group in ["bitnami.com", "signet.dev"] {
        let resource = resource(group);
        for scope in scopes(config) {
            match list(client, &resource, scope, config).await {
                Ok(objects) => all.extend(objects),
                // The kind is not installed: nobody has any.
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(format!("SealedSecrets of {group} cannot be listed: {error}.")),
            }
        }
    }
    all.retain(|object| object.namespace().as_deref() != Some(config.namespace.as_str()));
    Ok(all.iter().map(|object| json!(object)).collect())
}

/// Where SealedSecret objects are opened; none in all namespaces.
fn scopes(config: &Config) -> Vec<Option<&str>> {
    match &config.sealed_secrets {
        SealedScope::Off => Vec::new(),
        SealedScope::All => vec![None],
        SealedScope::In(namespaces) => namespaces.iter().map(|name| Some(name.as_str())).collect(),
    }
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
    config: &Config,
) -> Result<Vec<DynamicObject>, RequestError> {
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, resource),
        None => Api::all_with(client.clone(), resource),
    };
    let mut params = ListParams::default().limit(PAGE);
    if let Some(selector) = &config.sealed_secrets_selector {
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
async fn one(object: DynamicObject, resource: &ApiResource, keys: &Keys) -> (Option<Again>, Vec<Blocker>) {
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
        keys.with(|change| scan::again(text.as_bytes(), &[], change, &limits))
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
        .filter(|kept| scan::holds(kept, true))
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
