//! `spec.deployKey`: a key of the controller's own making, in a Secret beside the Repository.
//!
//! The Secret holds `identity`, and while the key is renewed `next-identity`. The newer one is shown first; the host's first
//! yes to it ends the older one. Every step can be repeated: the Secret is written before the status tells of it.

use crds::{DeployKeyStatus, Repository, annotation};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, PostParams};
use kube::{Client, Resource, ResourceExt};
use source::{Auth, SshKey};
use zeroize::Zeroizing;

use super::failure::Failure;
use crate::request::{RequestError, bounded};
use crate::text;

const TYPE: &str = "signet.dev/deploy-key";
const CURRENT: &str = "identity";
const NEXT: &str = "next-identity";
/// On the Secret: the request for a renewal that was acted on last.
const RENEWED: &str = "signet.dev/renewDeployKey";

/// The keys of one Repository.
pub(super) struct DeployKeys {
    current: SshKey,
    next: Option<SshKey>,
    pub(super) made: bool,
}

impl DeployKeys {
    /// Reads them, makes them where there are none, and a next one where a renewal is asked for.
    pub(super) async fn ensure(client: Client, object: &Repository) -> Result<Self, Failure> {
        let api: Api<Secret> = Api::namespaced(client, &object.namespace().unwrap_or_default());
        let name = secret_name(object);
        let wanted = request(object);
        let Some(mut secret) = found(bounded(api.get(&name)).await).map_err(|error| failed(&name, &error))?
        else {
            let key = generate(object)?;
            let mut secret = blank(object, &name);
            set(&mut secret, CURRENT, &key);
            annotate(&mut secret, &wanted);
            return match bounded(api.create(&PostParams::default(), &secret)).await {
                Ok(_) => Ok(Self {
                    current: key,
                    next: None,
                    made: true,
                }),
                Err(error) => Err(failed(&name, &error)),
            };
        };
        if !is_ours(&secret, object) {
            return Err(Failure {
                reason: "DeployKeyTaken",
                message: format!(
                    "The deploy key belongs into Secret {name}, which exists and is not this Repository's. Rename the \
                     Repository, or delete that Secret if nobody needs it."
                ),
                temporary: false,
            });
        }
        let current = stored(&secret, CURRENT)?.ok_or_else(|| damaged(&name))?;
        let mut next = stored(&secret, NEXT)?;
        let mut made = false;
        let seen = secret.annotations().get(RENEWED).cloned().unwrap_or_default();
        if !wanted.is_empty() && seen != wanted {
            let key = generate(object)?;
            set(&mut secret, NEXT, &key);
            annotate(&mut secret, &wanted);
            let written = bounded(api.replace(&name, &PostParams::default(), &secret)).await;
            written.map_err(|error| failed(&name, &error))?;
            next = Some(key);
            made = true;
        }
        Ok(Self { current, next, made })
    }

    /// What to log in with, the newer key first.
    pub(super) fn auths(&self, known_hosts: &str) -> Vec<Auth> {
        let auth = |key: &SshKey| Auth::Key {
            identity: key.identity.clone(),
            passphrase: None,
            known_hosts: known_hosts.to_owned(),
        };
        self.next.iter().chain([&self.current]).map(auth).collect()
    }

    /// The host has accepted the newer key: it is the only one from now on. Gives the fingerprint of the one that is gone.
    pub(super) async fn promote(
        &mut self,
        client: Client,
        object: &Repository,
    ) -> Result<Option<String>, Failure> {
        let Some(next) = &self.next else { return Ok(None) };
        let api: Api<Secret> = Api::namespaced(client, &object.namespace().unwrap_or_default());
        let name = secret_name(object);
        let mut secret = bounded(api.get(&name))
            .await
            .map_err(|error| failed(&name, &error))?;
        set(&mut secret, CURRENT, next);
        if let Some(data) = &mut secret.data {
            data.remove(NEXT);
            data.remove(&format!("{NEXT}.pub"));
        }
        let written = bounded(api.replace(&name, &PostParams::default(), &secret)).await;
        written.map_err(|error| failed(&name, &error))?;
        let old = self.current.fingerprint.clone();
        if let Some(next) = self.next.take() {
            self.current = next;
        }
        Ok(Some(old))
    }

    pub(super) fn status(&self) -> DeployKeyStatus {
        let next = self.next.as_ref();
        DeployKeyStatus {
            public_key: self.current.public.clone(),
            fingerprint: self.current.fingerprint.clone(),
            next_public_key: next.map(|key| key.public.clone()).unwrap_or_default(),
            next_fingerprint: next.map(|key| key.fingerprint.clone()).unwrap_or_default(),
        }
    }

    /// The key that somebody has to add at the host.
    pub(super) fn to_add(&self) -> &str {
        &self.next.as_ref().unwrap_or(&self.current).public
    }
}

fn secret_name(object: &Repository) -> String {
    // Names have at most 253 characters.
    format!("{}-deploy-key", text::bounded(&object.name_any(), 240))
}

fn request(object: &Repository) -> String {
    let request = object.annotations().get(annotation::RENEW_DEPLOY_KEY);
    request.map(|text| text::bounded(text, 256)).unwrap_or_default()
}

fn generate(object: &Repository) -> Result<SshKey, Failure> {
    let place = object.namespace().unwrap_or_default();
    SshKey::generate(&format!("signet:{place}/{}", object.name_any())).map_err(|error| Failure::from(&error))
}

fn blank(object: &Repository, name: &str) -> Secret {
    let mut secret = Secret {
        type_: Some(TYPE.to_owned()),
        ..Secret::default()
    };
    secret.metadata.name = Some(name.to_owned());
    // Without `blockOwnerDeletion`, which some clusters ask a right for that nobody else needs.
    secret.metadata.owner_references = object.owner_ref(&()).map(|owner| vec![owner]);
    secret
}

fn annotate(secret: &mut Secret, request: &str) {
    if !request.is_empty() {
        secret
            .annotations_mut()
            .insert(RENEWED.to_owned(), request.to_owned());
    }
}

fn set(secret: &mut Secret, field: &str, key: &SshKey) {
    let data = secret.data.get_or_insert_default();
    data.insert(field.to_owned(), ByteString(key.identity.as_bytes().to_vec()));
    data.insert(
        format!("{field}.pub"),
        ByteString(key.public.clone().into_bytes()),
    );
}

fn stored(secret: &Secret, field: &str) -> Result<Option<SshKey>, Failure> {
    let Some(bytes) = secret.data.as_ref().and_then(|data| data.get(field)) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes.0).map_err(|_| damaged(&secret.name_any()))?;
    SshKey::read(Zeroizing::new(text.to_owned()))
        .map(Some)
        .map_err(|_| damaged(&secret.name_any()))
}

/// By the uid: a Repository that was deleted and made again is another one.
fn is_ours(secret: &Secret, object: &Repository) -> bool {
    let uid = object.uid();
    secret.type_.as_deref() == Some(TYPE)
        && secret
            .owner_references()
            .iter()
            .any(|owner| Some(&owner.uid) == uid.as_ref())
}

fn found(answer: Result<Secret, RequestError>) -> Result<Option<Secret>, RequestError> {
    match answer {
        Ok(secret) => Ok(Some(secret)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn failed(name: &str, error: &RequestError) -> Failure {
    if error.is_forbidden() {
        return Failure {
            reason: "DeployKeyForbidden",
            message: format!(
                "The controller may not keep the deploy key in Secret {name} of this namespace. Grant it get and update on \
                 that Secret, and create on secrets, with a Role (see docs/git.md)."
            ),
            temporary: false,
        };
    }
    Failure {
        reason: "DeployKeyUnread",
        message: format!("The deploy key in Secret {name} cannot be read or written: {error}."),
        temporary: true,
    }
}

fn damaged(name: &str) -> Failure {
    Failure {
        reason: "DeployKeyDamaged",
        message: format!(
            "Secret {name} does not hold the deploy key that was made. Delete it: another key is made, which the Git host has \
             to be told."
        ),
        temporary: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(uid: &str, request: Option<&str>) -> Repository {
        let annotations = request.map(|value| serde_json::json!({annotation::RENEW_DEPLOY_KEY: value}));
        serde_json::from_value(serde_json::json!({
            "apiVersion": "signet.dev/v1alpha1", "kind": "Repository",
            "metadata": {"name": "app", "namespace": "team", "uid": uid, "annotations": annotations},
            "spec": {"url": "git@git.example:app"},
        }))
        .unwrap()
    }

    #[test]
    fn a_secret_belongs_to_one_repository() {
        let one = object("1", None);
        let mut secret = blank(&one, "app-deploy-key");
        assert!(is_ours(&secret, &one));
        assert!(!is_ours(&secret, &object("2", None)), "made again");
        secret.type_ = Some("Opaque".into());
        assert!(!is_ours(&secret, &one));
    }

    #[test]
    fn what_is_stored_is_read_and_shown_by_its_public_half() {
        let one = object("1", Some("now"));
        assert_eq!(request(&one), "now");
        let (current, next) = (generate(&one).unwrap(), generate(&one).unwrap());
        let mut secret = blank(&one, "app-deploy-key");
        set(&mut secret, CURRENT, &current);
        set(&mut secret, NEXT, &next);
        let keys = DeployKeys {
            current: stored(&secret, CURRENT).unwrap().unwrap(),
            next: stored(&secret, NEXT).unwrap(),
            made: false,
        };
        let status = serde_json::to_string(&keys.status()).unwrap();
        assert!(status.contains(&current.fingerprint) && status.contains(&next.fingerprint));
        assert!(!status.contains("PRIVATE"), "{status}");
        assert_eq!(keys.to_add(), next.public);
        assert_eq!(keys.auths("x").len(), 2);
        secret
            .data
            .as_mut()
            .unwrap()
            .insert(CURRENT.into(), ByteString(b"hunter2".to_vec()));
        let why = stored(&secret, CURRENT).unwrap_err();
        assert!(!why.message.contains("hunter2"), "{}", why.message);
    }
}
