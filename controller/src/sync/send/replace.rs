//! Objects that cannot be changed in place: deleted and made anew, but only once it is proven that the new one would be
//! accepted.

use super::{One, Trouble};
use crate::sync::body;
use crate::sync::execute::Hand;
use apply::{ApiError, Cause, DeleteOutcome, ErrorKind, GroupKind, Identity, Manner};
use crds::Immutable;
use serde_json::Value;
use std::hash::{BuildHasher, Hasher, RandomState};
use zeroize::Zeroizing;

/// The longest part of a name that is kept in another. A CronJob's has 52 characters at most.
const NAME_KEPT: usize = 46;

impl Hand {
    /// Deletes the object, which the API server does not let change into `body`, so that it can be made anew. Answers when
    /// it is gone.
    ///
    /// Where it stays until its finalizers let it go, that is trouble that passes: a worker does not wait.
    pub(super) async fn make_way(
        &self,
        one: &One<'_>,
        body: &Zeroizing<Vec<u8>>,
        error: &ApiError,
    ) -> Result<(), Trouble> {
        let refuse = |why: &str, hint: &'static str| Err(Trouble::own(format!("{why}: {error}"), hint));
        if let Some(why) = never(&one.key.kind) {
            return refuse(why, "change it back in Git, or delete the object yourself");
        }
        let wanted = one.wanted.item.options().replace;
        if !wanted.unwrap_or(one.policy.immutable == Immutable::Replace) {
            return Err(error.clone().into());
        }
        if wanted.is_none() && is_custom(&one.key.kind) {
            return refuse(
                "what goes with an object of a custom kind is not known, so spec.immutable alone does not have it deleted to be made anew",
                "annotate it with signet.dev/replace: enabled, or change it back in Git",
            );
        }
        let looked = self
            .server
            .look(&self.identity, one.info(), one.key, &self.manager);
        let Some(live) = looked.await? else {
            return Ok(());
        };
        if live.deleting {
            return Err(under_way());
        }
        // Ours is what is recorded and what our manager still owns fields of; anything else may be anybody's.
        let is_recorded = self.uids().get(one.key).is_some_and(|uid| *uid == live.uid);
        if !is_recorded || live.owned.is_none() {
            return refuse(
                "it is not this Sync's, so it is not deleted to be made anew",
                "delete the object yourself, or change it back in Git",
            );
        }
        if self.is_own_binding(one).await? {
            return refuse(
                "it may be what this Sync's service account has its rights from, so it is not deleted to be made anew",
                "delete the binding yourself, with an account that can make it anew",
            );
        }
        if self.takes_claims_along(one).await? {
            return refuse(
                "its volume claims would be deleted with it (spec.persistentVolumeClaimRetentionPolicy), so it is not deleted to be made anew",
                "set whenDeleted to Retain first, or change it back in Git",
            );
        }
        self.prove(one, body).await?;
        match self
            .server
            .delete(&self.identity, one.info(), one.key, &live)
            .await
        {
            Ok(DeleteOutcome::Deleted | DeleteOutcome::Gone) => Ok(()),
            Ok(DeleteOutcome::Leaving) => Err(under_way()),
            Ok(DeleteOutcome::NotOurs) => Err(changed()),
            Err(error) if error.kind == ErrorKind::Precondition => Err(changed()),
            Err(error) => {
                // The answer may hold what the live object does, in the words of whoever refuses.
                let said = if one.quote() {
                    error.to_string()
                } else {
                    error.in_own_words().to_owned()
                };
                let message = format!("it cannot be deleted to be made anew: {said}");
                Err(told(message, error))
            }
        }
    }

    /// Whether the object gives our own service account rights: without it, it may not be able to make it anew.
    async fn is_own_binding(&self, one: &One<'_>) -> Result<bool, ApiError> {
        let kind = &one.key.kind;
        if &*kind.group != "rbac.authorization.k8s.io" || !kind.kind.ends_with("Binding") {
            return Ok(false);
        }
        let live = self.server.object(&self.identity, one.info(), one.key).await?;
        Ok(live.is_some_and(|live| binds(&live, &self.identity)))
    }

    /// Whether a StatefulSet's claims, and their data, are deleted with it (KEP-1847).
    async fn takes_claims_along(&self, one: &One<'_>) -> Result<bool, ApiError> {
        let kind = &one.key.kind;
        if (&*kind.group, &*kind.kind) != ("apps", "StatefulSet") {
            return Ok(false);
        }
        let live = self.server.object(&self.identity, one.info(), one.key).await?;
        let policy = "/spec/persistentVolumeClaimRetentionPolicy/whenDeleted";
        Ok(live.is_some_and(|live| live.pointer(policy).and_then(Value::as_str) == Some("Delete")))
    }

    /// Asks whether an object like this one could be made, under a name that is not taken.
    async fn prove(&self, one: &One<'_>, body: &Zeroizing<Vec<u8>>) -> Result<(), Trouble> {
        let manner = Manner {
            manager: &self.manager,
            force: false,
            dry_run: true,
            quote: one.quote(),
        };
        let mut tries = 0;
        loop {
            let mut other = body.clone();
            let name = other_name(&one.key.name, RandomState::new().build_hasher().finish());
            body::edit(&mut other, |object| rename(object, &name))
                .ok_or_else(|| Trouble::own("the object cannot be read again", "report this as a defect"))?;
            let copy = other.to_vec();
            let answer = self
                .server
                .try_create(&self.identity, one.info(), one.key, &manner, copy)
                .await;
            let error = match answer {
                Ok(()) => return Ok(()),
                Err(error) if error.cause == Cause::Exists && tries == 0 => {
                    tries += 1;
                    continue;
                }
                Err(error) => error,
            };
            let message = if error.cause == Cause::Quota {
                format!(
                    "it is not made anew, since a quota leaves no room to prove that it could be: {error}"
                )
            } else {
                format!("it is not made anew, since the new one would be refused: {error}")
            };
            return Err(told(message, error));
        }
    }
}

/// What is said where the object was deleted and its successor is not accepted.
pub(super) fn in_the_way(trouble: Trouble) -> Trouble {
    match trouble {
        // It was answered as gone, and is not quite.
        Trouble::Api(error) if error.cause == Cause::Immutable || error.kind == ErrorKind::Precondition => {
            under_way()
        }
        Trouble::Api(error) if !lost(&error) => {
            let message = format!("it was deleted to be made anew, and cannot be made: {error}");
            Trouble::Own {
                message,
                hint: error.hint().into(),
                // Nothing may heal it, but a hole is worth every try.
                transient: true,
            }
        }
        trouble => trouble,
    }
}

fn told(message: String, error: ApiError) -> Trouble {
    if lost(&error) {
        return error.into();
    }
    Trouble::Own {
        message,
        hint: error.hint().into(),
        transient: error.is_transient(),
    }
}

fn lost(error: &ApiError) -> bool {
    matches!(
        error.kind,
        ErrorKind::Unavailable | ErrorKind::Unreachable | ErrorKind::Impersonation
    )
}

fn under_way() -> Trouble {
    Trouble::passing(
        "it is being replaced: it is deleted, and made anew when it is gone",
        "nothing has to be done; if it stays, look at the object's finalizers",
    )
}

fn changed() -> Trouble {
    Trouble::passing(
        "it changed while it was to be replaced",
        "this is tried again by itself",
    )
}

/// Why objects of a kind are never deleted to be made anew.
fn never(kind: &GroupKind) -> Option<&'static str> {
    match (&*kind.group, &*kind.kind) {
        ("", "PersistentVolumeClaim" | "PersistentVolume") => {
            Some("it is never deleted to be made anew, since its data could go with it")
        }
        ("", "Namespace") => {
            Some("it is never deleted to be made anew, since all that is in it would go with it")
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            Some("it is never deleted to be made anew, since all objects of its kind would go with it")
        }
        // What an apply of the new one would need to be proven under another name, these do not allow.
        ("apiregistration.k8s.io", "APIService") | ("", "Node") => {
            Some("it is not deleted to be made anew, since its name decides what it is")
        }
        _ => None,
    }
}

/// Whether a kind is none of Kubernetes' own: their groups have no dot, or belong to k8s.io.
fn is_custom(kind: &GroupKind) -> bool {
    kind.group.contains('.') && !kind.group.ends_with(".k8s.io")
}

/// Whether a binding's subjects are, or may be, this identity.
fn binds(binding: &Value, identity: &Identity) -> bool {
    let Identity::ServiceAccount { namespace, name } = identity else {
        return false;
    };
    let own = binding["metadata"]["namespace"].as_str().unwrap_or_default();
    let of_namespace = |subject: &Value| subject["namespace"].as_str().unwrap_or(own) == &**namespace;
    let mut subjects = binding["subjects"].as_array().into_iter().flatten();
    subjects.any(|subject| {
        let is = subject["name"].as_str().unwrap_or_default();
        match subject["kind"].as_str().unwrap_or_default() {
            "ServiceAccount" => is == &**name && of_namespace(subject),
            "User" => is == format!("system:serviceaccount:{namespace}:{name}"),
            "Group" => {
                is == "system:authenticated"
                    || is == "system:serviceaccounts"
                    || is == format!("system:serviceaccounts:{namespace}")
            }
            _ => false,
        }
    })
}

/// A name that nothing has, and that is valid wherever `name` is.
fn other_name(name: &str, random: u64) -> String {
    let end = (0..=NAME_KEPT.min(name.len()))
        .rev()
        .find(|&at| name.is_char_boundary(at))
        .unwrap_or(0);
    let start = name
        .get(..end)
        .unwrap_or_default()
        .trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    let start = if start.is_empty() { "x" } else { start };
    format!("{start}-{:05x}", random & 0xf_ffff)
}

fn rename(object: &mut Value, name: &str) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("name".into(), name.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn another_name_is_valid_where_the_first_is() {
        for (name, other) in [
            ("web", "web-0002a"),
            ("a.-", "a-0002a"),
            (&*"x".repeat(253), &*format!("{}-0002a", "x".repeat(46))),
            (
                &*format!("{}.{}", "y".repeat(45), "z"),
                &*format!("{}-0002a", "y".repeat(45)),
            ),
            ("system:node", "system:node-0002a"),
        ] {
            assert_eq!(other_name(name, 42), other);
        }
    }

    #[test]
    fn a_binding_that_rights_may_come_from_is_known() {
        let identity = Identity::ServiceAccount {
            namespace: "shop".into(),
            name: "deployer".into(),
        };
        for (subject, own) in [
            (
                json!({"kind": "ServiceAccount", "name": "deployer", "namespace": "shop"}),
                true,
            ),
            (json!({"kind": "ServiceAccount", "name": "deployer"}), true),
            (
                json!({"kind": "ServiceAccount", "name": "deployer", "namespace": "other"}),
                false,
            ),
            (
                json!({"kind": "ServiceAccount", "name": "web", "namespace": "shop"}),
                false,
            ),
            (
                json!({"kind": "User", "name": "system:serviceaccount:shop:deployer"}),
                true,
            ),
            (
                json!({"kind": "Group", "name": "system:serviceaccounts:shop"}),
                true,
            ),
            (json!({"kind": "Group", "name": "system:serviceaccounts"}), true),
            (json!({"kind": "Group", "name": "admins"}), false),
        ] {
            let binding = json!({"metadata": {"namespace": "shop"}, "subjects": [subject]});
            assert_eq!(binds(&binding, &identity), own, "{binding}");
        }
        assert!(!binds(&json!({}), &identity));
    }

    #[test]
    fn what_would_take_data_with_it_is_never_deleted() {
        for (group, kind, never_is) in [
            ("", "PersistentVolumeClaim", true),
            ("", "PersistentVolume", true),
            ("", "Namespace", true),
            ("apiextensions.k8s.io", "CustomResourceDefinition", true),
            ("apiregistration.k8s.io", "APIService", true),
            ("", "ConfigMap", false),
            ("batch", "Job", false),
            ("x.io", "Namespace", false),
        ] {
            assert_eq!(never(&GroupKind::new(group, kind)).is_some(), never_is, "{kind}");
        }
    }
}
