//! What is in the cluster: Bitnami's controller, its keys, SealedSecrets, and the Secrets that they made.

use super::keys::{self, Key};
use super::workload::{self, Workload};
use crate::cluster;
use crate::command_error::CommandError;
use crate::commands::keys::stored;
use crds::{annotation, label};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, Client};
use sealing::{KeyRing, SealedSecret};
use serde_json::Value;
use std::collections::BTreeMap;

/// All of it.
pub(super) struct Survey {
    /// The namespace of Bitnami's controller.
    pub(super) theirs: String,
    /// The namespace of Signet's.
    pub(super) ours: String,
    pub(super) workload: Option<Workload>,
    pub(super) keys: Vec<Key>,
    pub(super) objects: Vec<Object>,
}

/// One SealedSecret.
pub(super) struct Object {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    /// As the API server has it.
    pub(super) value: Value,
    pub(super) secret: Target,
    /// Why Signet will not open it.
    pub(super) problems: Vec<String>,
    /// Whether Signet keeps it up already.
    pub(super) taken: bool,
    /// Whether Signet has said anything of it, good or bad.
    pub(super) touched: bool,
}

/// The Secret of a SealedSecret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// There is none.
    Missing,
    /// The SealedSecret owns it: its uid.
    Owned(String),
    /// The SealedSecret made it, and does not own it (`skip-set-owner-references`): its uid.
    Ownerless(String),
    /// Somebody else did.
    Foreign,
}

/// The kind of Bitnami's SealedSecrets.
pub(super) fn resource() -> ApiResource {
    ApiResource {
        group: "bitnami.com".into(),
        version: "v1alpha1".into(),
        api_version: "bitnami.com/v1alpha1".into(),
        kind: "SealedSecret".into(),
        plural: "sealedsecrets".into(),
    }
}

/// What tells one cluster from another: the uid of a namespace that every one has.
pub(super) async fn cluster_id(client: &Client) -> Result<String, CommandError> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let found = namespaces.get_metadata("kube-system").await;
    let found = found.map_err(|err| cluster::explain(&err, "read namespace kube-system"))?;
    Ok(found.metadata.uid.unwrap_or_default())
}

impl Survey {
    pub(super) async fn take(
        client: &Client,
        ours: &str,
        from_namespace: Option<&str>,
        from_name: Option<&str>,
    ) -> Result<Self, CommandError> {
        let workload = workload::find(client, from_namespace, from_name).await?;
        let theirs = match (&workload, from_namespace) {
            (_, Some(named)) => named.to_owned(),
            (Some(found), None) => found.namespace.clone(),
            (None, None) => {
                return Err(CommandError::user(
                    "there is no Deployment of Bitnami's sealed-secrets controller in this cluster",
                    "--from-namespace names the namespace of its keys, --from-name its Deployment",
                ));
            }
        };
        let own = stored::secrets(client, ours).await?;
        let (keys, ring) = keys::read(client, &theirs, &own).await?;
        let objects = objects(client, &ring).await?;
        Ok(Self {
            theirs,
            ours: ours.to_owned(),
            workload,
            keys,
            objects,
        })
    }
}

async fn objects(client: &Client, ring: &KeyRing) -> Result<Vec<Object>, CommandError> {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource());
    let listed = crate::follow::list(&api, None).await;
    let listed = match listed {
        // Without the kind there are none.
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(Vec::new()),
        listed => {
            listed
                .map_err(|err| cluster::explain(&err, "list SealedSecrets"))?
                .0
        }
    };
    let secrets = secrets(client).await?;
    let mut objects = Vec::with_capacity(listed.len());
    for found in listed {
        let (Some(namespace), Some(name), Some(uid)) = (
            found.metadata.namespace.clone(),
            found.metadata.name.clone(),
            found.metadata.uid.clone(),
        ) else {
            continue;
        };
        let mut value = serde_json::to_value(&found)
            .map_err(|err| CommandError::internal(format!("an object is no JSON: {err}")))?;
        value["apiVersion"] = resource().api_version.into();
        value["kind"] = resource().kind.into();
        let secret = secrets.get(&(namespace.clone(), name.clone()));
        objects.push(Object {
            secret: target(secret, &uid),
            problems: problems(&value, &namespace, ring),
            taken: is_taken(&found),
            touched: is_touched(&found),
            namespace,
            name,
            uid,
            value,
        });
    }
    Ok(objects)
}

/// Metadata of every Secret. No value is asked for.
async fn secrets(client: &Client) -> Result<BTreeMap<(String, String), ObjectMeta>, CommandError> {
    let api: Api<Secret> = Api::all(client.clone());
    let mut params = ListParams::default().limit(crate::syncs::PAGE);
    let mut all = BTreeMap::new();
    loop {
        let page = api.list_metadata(&params).await;
        let page = page.map_err(|err| super::objects::secret_error(&err, "list Secrets"))?;
        for secret in page.items {
            if let (Some(namespace), Some(name)) = (&secret.metadata.namespace, &secret.metadata.name) {
                all.insert((namespace.clone(), name.clone()), secret.metadata);
            }
        }
        match page.metadata.continue_ {
            Some(token) if !token.is_empty() => params.continue_token = Some(token),
            _ => return Ok(all),
        }
    }
}

fn target(secret: Option<&ObjectMeta>, uid: &str) -> Target {
    let Some(secret) = secret else {
        return Target::Missing;
    };
    let owners = secret.owner_references.as_deref().unwrap_or_default();
    let annotation = |name: &str| secret.annotations.as_ref()?.get(name).map(String::as_str);
    let is = |name: &str| annotation(name) == Some("true");
    let synced = secret
        .labels
        .as_ref()
        .is_some_and(|labels| labels.contains_key(label::APPLYSET_PART_OF));
    let own = owners.iter().any(|owner| owner.uid == uid);
    let controlled = owners.iter().any(|owner| owner.controller == Some(true));
    // What Signet writes there of a Secret that a SealedSecret of this kind made, and did not only patch.
    let whole = annotation(annotation::UNSEALED).is_some_and(|mark| mark.starts_with("whole."));
    let uid = secret.uid.clone().unwrap_or_default();
    if own && !synced {
        Target::Owned(uid)
    } else if (whole || is(annotation::SKIP_OWNER)) && !(synced || controlled || is(annotation::PATCH)) {
        Target::Ownerless(uid)
    } else {
        Target::Foreign
    }
}

/// Why it does not open here. The texts hold no values.
fn problems(value: &Value, namespace: &str, ring: &KeyRing) -> Vec<String> {
    match SealedSecret::parse(value) {
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
        Ok(sealed) => match sealed.open(ring, namespace) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.iter().map(ToString::to_string).collect(),
        },
    }
}

/// Whether Signet says of this very generation that the Secret is there: Bitnami's controller has no such condition.
pub(super) fn is_taken(object: &DynamicObject) -> bool {
    let observed = object
        .data
        .get("status")
        .and_then(|status| status.get("observedGeneration")?.as_i64());
    let ready = |known: &Value| known["type"] == "Ready" && known["status"] == "True";
    observed.is_some() && observed == object.metadata.generation && conditions(object).any(ready)
}

/// Whether Signet has said anything of it.
pub(super) fn is_touched(object: &DynamicObject) -> bool {
    conditions(object).any(|known| known["type"] == "Ready")
}

fn conditions(object: &DynamicObject) -> impl Iterator<Item = &Value> {
    let status = object.data.get("status");
    let all = status.and_then(|status| status.get("conditions")?.as_array());
    all.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_secret_that_others_made_is_never_ours_to_mark() {
        let of = |annotations: Value, owners: Value| {
            let meta =
                json!({"name": "db", "uid": "s", "annotations": annotations, "ownerReferences": owners});
            target(Some(&serde_json::from_value(meta).unwrap()), "u")
        };
        let owner = |uid: &str| json!([{"apiVersion": "v1", "kind": "X", "name": "x", "uid": uid, "controller": true}]);
        let (skip, mark) = (annotation::SKIP_OWNER, annotation::UNSEALED);
        let ownerless = Target::Ownerless("s".into());
        assert_eq!(of(json!({skip: "true"}), json!([])), ownerless);
        assert_eq!(of(json!({mark: "whole.aa"}), json!([])), ownerless);
        assert_eq!(of(json!({}), owner("u")), Target::Owned("s".into()));
        for (annotations, owners) in [
            (json!({}), json!([])),
            (json!({skip: "false"}), json!([])),
            (json!({mark: "patch.aa"}), json!([])),
            (json!({mark: "v2-whole.aa"}), json!([])),
            (json!({mark: "whole.aa"}), owner("other")),
            (json!({skip: "true"}), owner("other")),
            (json!({skip: "true", annotation::PATCH: "true"}), json!([])),
        ] {
            assert_eq!(of(annotations.clone(), owners), Target::Foreign, "{annotations}");
        }
    }
}
