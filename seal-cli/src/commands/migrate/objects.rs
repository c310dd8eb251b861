//! SealedSecret objects and the Secrets that they own: waiting for Signet, letting go, and giving back.

use super::record::Removed;
use super::survey::{Object, Target, is_taken, is_touched, resource};
use crate::cluster;
use crate::command_error::CommandError;
use crate::follow::{Seen, follow};
use crate::syncs::MANAGER;
use crds::annotation;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{
    DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy,
};
use kube::{Api, Client};
use sealing::Printable;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Duration;
use tokio::time::timeout;

/// Somebody else may write the Secret at the same moment.
const TRIES: usize = 10;
const DETACHING: &str = "detach the Secret from its SealedSecret";

/// An error about a Secret in our own words: the API server's could quote what is in it.
pub(super) fn secret_error(err: &kube::Error, doing: &str) -> CommandError {
    match err {
        kube::Error::Api(status) => CommandError::user(
            format!(
                "cannot {doing}: the API server answered with status {} ({})",
                status.code,
                Printable(&status.reason)
            ),
            "may you do that there? `kubectl auth can-i` tells",
        ),
        err => cluster::explain(err, doing),
    }
}

/// Waits until Signet has taken all of these over. Gives those that it has not.
pub(super) async fn taken_over(
    client: &Client,
    wanted: BTreeSet<(String, String)>,
    patience: Duration,
) -> Result<BTreeSet<(String, String)>, CommandError> {
    if wanted.is_empty() {
        return Ok(wanted);
    }
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource());
    let mut left = wanted.clone();
    let place = |object: &DynamicObject| {
        let metadata = &object.metadata;
        Some((metadata.namespace.clone()?, metadata.name.clone()?))
    };
    let mut look = |seen: Seen<DynamicObject>| {
        let seen = match seen {
            Seen::All(all) => {
                // What is not there any more needs nobody.
                let there: BTreeSet<_> = all.iter().filter_map(place).collect();
                left = wanted.intersection(&there).cloned().collect();
                all
            }
            Seen::One(one) => vec![one],
            Seen::Gone(gone) => {
                if let Some(place) = place(&gone) {
                    left.remove(&place);
                }
                Vec::new()
            }
        };
        for object in seen.iter().filter(|object| is_taken(object)) {
            if let Some(place) = place(object) {
                left.remove(&place);
            }
        }
        if left.is_empty() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let followed = follow(&api, None, "follow SealedSecrets", &mut look);
    if let Ok(followed) = timeout(patience, followed).await {
        followed?;
    }
    Ok(left)
}

/// Takes back what Signet has said of a SealedSecret, so that it has to say it again: what stands there may be from a time when
/// its controller ran, or opened SealedSecret objects. It looks at the object, and writes nothing but the status.
pub(super) async fn ask_again(client: &Client, object: &Object) -> Result<(), CommandError> {
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &object.namespace, &resource());
    let doing = "change the status of the SealedSecret";
    for _ in 0..TRIES {
        let there = api.get_opt(&object.name).await;
        let there = there.map_err(|err| cluster::explain(&err, doing))?;
        let Some(there) = there.filter(|there| there.metadata.uid.as_ref() == Some(&object.uid)) else {
            return Ok(());
        };
        let patch = json!({
            "metadata": {"uid": object.uid, "resourceVersion": there.metadata.resource_version},
            "status": {"observedGeneration": null, "conditions": unsaid(&there.data)},
        });
        match api
            .patch_status(&object.name, &manager(), &Patch::Merge(patch))
            .await
        {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
            // Somebody changed it: once more round.
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(err) => return Err(cluster::explain(&err, doing)),
        }
    }
    Err(CommandError::user(
        format!("cannot {doing}: somebody keeps changing it"),
        "run it again",
    ))
}

/// The conditions, Signet's own left open.
fn unsaid(object: &Value) -> Value {
    let mut conditions = object.pointer("/status/conditions").cloned().unwrap_or_default();
    for known in conditions.as_array_mut().into_iter().flatten() {
        if known["type"] == "Ready" {
            known["status"] = "Unknown".into();
            known["message"] = "It is asked whether this still holds.".into();
        }
    }
    conditions
}

/// Marks a Secret that a SealedSecret made and does not own as managed: only so may it be written, by Bitnami's rules.
pub(super) async fn permit(client: &Client, object: &Object) -> Result<(), CommandError> {
    match &object.secret {
        Target::Ownerless(uid) => mark_managed(client, &object.namespace, &object.name, uid).await,
        _ => Ok(()),
    }
}

async fn mark_managed(client: &Client, namespace: &str, name: &str, uid: &str) -> Result<(), CommandError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let patch = json!({"metadata": {"uid": uid, "annotations": {(annotation::MANAGED): "true"}}});
    match api.patch_metadata(name, &manager(), &Patch::Merge(patch)).await {
        Ok(_) => Ok(()),
        // It is gone, or another one: there is nothing to mark.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(err) => Err(secret_error(&err, "mark the Secret as managed")),
    }
}

/// Tells Signet to set no owner on the Secrets of these: it would put back one that somebody takes away. Those that it has not
/// begun on are told too, since it may begin now. Gives those that it keeps up and of which it has not said in time that it has
/// seen that.
pub(super) async fn let_go(
    client: &Client,
    objects: &[&Object],
    patience: Duration,
) -> Result<BTreeSet<(String, String)>, CommandError> {
    let mut told = BTreeSet::new();
    for object in objects {
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &object.namespace, &resource());
        let patch = json!({
            "metadata": {"uid": object.uid},
            "spec": {"template": {"metadata": {"annotations": {(annotation::SKIP_OWNER): "true"}}}},
        });
        match api.patch(&object.name, &manager(), &Patch::Merge(patch)).await {
            Ok(_) => {}
            // It is gone, or another one: nothing of it will be removed.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => continue,
            Err(err) => return Err(cluster::explain(&err, "change the SealedSecret")),
        }
        if object.taken {
            told.insert((object.namespace.clone(), object.name.clone()));
        }
    }
    taken_over(client, told, patience).await
}

/// Detaches the Secret of a SealedSecret, and then removes the SealedSecret. Nothing is removed before the Secret has been seen
/// without its owner, nor where Signet has begun on it meanwhile: then it says false.
pub(super) async fn remove(client: &Client, object: &Object) -> Result<bool, CommandError> {
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &object.namespace, &resource());
    let doing = "delete the SealedSecret";
    for _ in 0..TRIES {
        detach(client, object).await?;
        let there = api.get_opt(&object.name).await;
        let there = there.map_err(|err| cluster::explain(&err, doing))?;
        let Some(there) = there.filter(|there| there.metadata.uid.as_ref() == Some(&object.uid)) else {
            return Ok(true);
        };
        if is_touched(&there) && !(object.taken && is_taken(&there)) {
            return Ok(false);
        }
        let params = DeleteParams {
            // Whatever happened in between, the garbage collector leaves what was owned.
            propagation_policy: Some(PropagationPolicy::Orphan),
            preconditions: Some(Preconditions {
                uid: Some(object.uid.clone()),
                // As it was looked at.
                resource_version: there.metadata.resource_version,
            }),
            ..DeleteParams::default()
        };
        match api.delete(&object.name, &params).await {
            Ok(_) => return Ok(true),
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(true),
            // Somebody changed it: once more round.
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(err) => return Err(cluster::explain(&err, doing)),
        }
    }
    Ok(false)
}

/// Takes the owner reference of a SealedSecret from its Secret, and sees that it is gone.
async fn detach(client: &Client, object: &Object) -> Result<(), CommandError> {
    let Target::Owned(uid) = &object.secret else {
        return Ok(());
    };
    change_owners(client, &object.namespace, &object.name, uid, |owners| {
        let before = owners.len();
        owners.retain(|owner| owner.uid != object.uid);
        owners.len() != before
    })
    .await
    .map(drop)
}

/// Creates a SealedSecret again, and gives it its Secret back. Says whether it owns one.
pub(super) async fn give_back(client: &Client, removed: &Removed) -> Result<bool, CommandError> {
    let object = &removed.object;
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    let (namespace, name) = (text("namespace"), text("name"));
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &resource());
    let new: DynamicObject = serde_json::from_value(object.clone())
        .map_err(|_| CommandError::user("the record is damaged", "restore the file"))?;
    let doing = "create the SealedSecret again";
    let there = match api.create(&PostParams::default(), &new).await {
        Ok(created) => created,
        Err(kube::Error::Api(status)) if status.code == 409 => {
            let there = api
                .get(&name)
                .await
                .map_err(|err| cluster::explain(&err, doing))?;
            unmark(&api, there, removed).await?
        }
        Err(err) => return Err(cluster::explain(&err, doing)),
    };
    let (Some(secret), Some(uid)) = (&removed.secret, there.metadata.uid) else {
        return Ok(false);
    };
    if !removed.owned {
        // It never owned it. Only what is marked as managed may it write.
        mark_managed(client, &namespace, &name, secret).await?;
        return Ok(false);
    }
    let owner = OwnerReference {
        api_version: resource().api_version,
        kind: resource().kind,
        name: name.clone(),
        uid: uid.clone(),
        controller: Some(true),
        block_owner_deletion: None,
    };
    change_owners(client, &namespace, &name, secret, |owners| {
        let controlled = owners.iter().any(|other| other.controller == Some(true));
        if controlled || owners.iter().any(|other| other.uid == uid) {
            return false;
        }
        owners.push(owner.clone());
        true
    })
    .await
}

/// Takes from an object that was never removed what it was told on the way there.
async fn unmark(
    api: &Api<DynamicObject>,
    there: DynamicObject,
    removed: &Removed,
) -> Result<DynamicObject, CommandError> {
    let doing = "put the SealedSecret back as it was";
    let mut there = there;
    for _ in 0..TRIES {
        let spec = told_nothing(&there.data["spec"], &removed.object["spec"]);
        if there.metadata.uid.as_ref() != Some(&removed.uid) || spec == there.data["spec"] {
            return Ok(there);
        }
        let name = there.metadata.name.clone().unwrap_or_default();
        there.data["spec"] = spec;
        let params = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        };
        // With the resource version that it was read with.
        match api.replace(&name, &params, &there).await {
            Ok(changed) => return Ok(changed),
            Err(kube::Error::Api(status)) if status.code == 409 => {
                let again = api.get(&name).await;
                there = again.map_err(|err| cluster::explain(&err, doing))?;
            }
            Err(err) => return Err(cluster::explain(&err, doing)),
        }
    }
    Err(CommandError::user(
        format!("cannot {doing}: somebody keeps changing it"),
        "run it again",
    ))
}

/// A spec without what [`let_go`] wrote into it. What people have changed since it was noted stays.
fn told_nothing(spec: &Value, noted: &Value) -> Value {
    let place = format!(
        "/template/metadata/annotations/{}",
        annotation::SKIP_OWNER.replace('/', "~1")
    );
    let mut told = noted.clone();
    told["template"]["metadata"]["annotations"][annotation::SKIP_OWNER] = "true".into();
    if *spec == told {
        return noted.clone();
    }
    let mut spec = spec.clone();
    match (spec.pointer_mut(&place), noted.pointer(&place)) {
        (Some(own), Some(noted)) => *own = noted.clone(),
        (Some(_), None) => {
            let annotations = spec.pointer_mut("/template/metadata/annotations");
            if let Some(Value::Object(annotations)) = annotations {
                annotations.remove(annotation::SKIP_OWNER);
            }
        }
        (None, _) => {}
    }
    spec
}

/// Changes the owners of a Secret of this uid; says whether it is there. Its content is neither read nor written.
async fn change_owners(
    client: &Client,
    namespace: &str,
    name: &str,
    uid: &str,
    mut change: impl FnMut(&mut Vec<OwnerReference>) -> bool,
) -> Result<bool, CommandError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    for _ in 0..TRIES {
        let found = api.get_metadata_opt(name).await;
        let found = found.map_err(|err| secret_error(&err, DETACHING))?;
        let Some(ObjectMeta {
            uid: Some(own),
            resource_version: Some(version),
            owner_references,
            ..
        }) = found.map(|found| found.metadata)
        else {
            return Ok(false);
        };
        if own != uid {
            return Ok(false);
        }
        let mut owners = owner_references.unwrap_or_default();
        if !change(&mut owners) {
            return Ok(true);
        }
        let owners = if owners.is_empty() {
            Value::Null
        } else {
            json!(owners)
        };
        let patch = json!({"metadata": {"uid": uid, "resourceVersion": version, "ownerReferences": owners}});
        match api.patch_metadata(name, &manager(), &Patch::Merge(patch)).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(err) => return Err(secret_error(&err, DETACHING)),
        }
        // Once more round: it counts when it is seen.
    }
    Err(CommandError::user(
        format!(
            "cannot {DETACHING}: {}/{} keeps being changed by somebody else",
            Printable(namespace),
            Printable(name)
        ),
        "who writes it? `kubectl get secret --show-managed-fields` tells; the SealedSecret was not removed",
    ))
}

fn manager() -> PatchParams {
    PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_object_was_told_is_taken_back_and_nothing_else() {
        let skip = annotation::SKIP_OWNER;
        let told = |value: &str, template: Value| {
            let mut spec = json!({"encryptedData": {"a": value}, "template": template});
            spec["template"]["metadata"]["annotations"][skip] = "true".into();
            spec
        };
        for noted in [
            json!({"encryptedData": {"a": "one"}}),
            json!({"encryptedData": {"a": "one"}, "template": {"type": "Opaque"}}),
            json!({"encryptedData": {"a": "one"}, "template": {"metadata": {"annotations": {skip: "false"}}}}),
        ] {
            let template = noted.get("template").cloned().unwrap_or_else(|| json!({}));
            assert_eq!(told_nothing(&told("one", template.clone()), &noted), noted);
            assert_eq!(told_nothing(&noted, &noted), noted);
            // A value that was sealed since then stays.
            let changed = told_nothing(&told("two", template), &noted);
            assert_eq!(changed["encryptedData"]["a"], "two");
            let place = &changed["template"]["metadata"]["annotations"][skip];
            assert_ne!(place, "true");
        }
        // People's own word stays.
        let noted = told("one", json!({}));
        assert_eq!(told_nothing(&noted, &noted), noted);
    }
}
