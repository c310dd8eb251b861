//! Workloads that are rolled when a Secret that their pods read changes: a keyed digest of what those Secrets hold stands in the pod
//! template.
//!
//! The digest is of the opened values, so that a value that is sealed again rolls nothing. It is keyed: a plain hash of a
//! password is the password.

use super::body::{self, Wiped};
use super::inputs::{Form, Inputs, Wanted};
use super::order;
use super::report::Failure;
use super::worker::Worker;
use apply::checkpoint::InputDigest;
use apply::{GroupKind, Key};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use crds::{SyncSpec, annotation};
use render::Loader;
use sealing::KeyRing;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// Which Secrets the pods of an object read, by its place in the inputs.
pub(super) type Reads = HashMap<usize, Read>;

/// Which Secrets are read.
#[derive(Default)]
pub(super) struct Read {
    /// Those of the same Sync that come before it, or could, by place in the inputs.
    secrets: Vec<usize>,
    /// How many of them, which come first, change with Git: what is only created stays as it was then.
    follow: usize,
    /// Those that Git does not hold, or not so that it could be read.
    others: Vec<Key>,
}

impl Read {
    /// Those with which the pods are made anew.
    fn followed(&self) -> &[usize] {
        self.secrets.get(..self.follow).unwrap_or_default()
    }
}

impl Worker {
    /// What an object that is to be rolled with Secrets has to wait for: the first of them that is not applied as Git has it. Its
    /// pods would be made anew with what it held before, and not again once it is applied.
    pub(super) fn awaits_secret<'a>(&self, inputs: &'a Inputs, at: usize) -> Option<&'a Key> {
        let read = inputs.reads.get(&at)?;
        // What somebody froze is nobody's to wait for.
        let frozen = |secret: usize| self.rooms.observer.frozen(&inputs.desired[secret].key);
        let mut own = read.secrets.iter();
        let first = own.find(|secret| !self.is_applied(inputs, **secret) && !frozen(**secret));
        if let Some(first) = first {
            return Some(&inputs.desired[*first].key);
        }
        // One that was applied, and that a file which cannot be read, or a refusal, has taken out of sight.
        let whole = !inputs.unread && inputs.failures.is_empty();
        let mut others = read.others.iter().filter(|_| !whole);
        others.find(|key| self.checkpoint.records().contains_key(*key))
    }
}

/// Why an object waits for a Secret.
pub(super) fn waits_for(secret: &Key) -> String {
    format!("It is to be restarted with {secret}, which is not applied as Git has it.")
}

/// Finds them for the objects that are to be rolled, and has what is known of those objects change with the Secrets. A Secret of a later
/// wave, or one that waits for such an object itself, is applied after that and does not count.
pub(super) fn link(inputs: &mut Inputs, spec: &SyncSpec, digest_key: &[u8; 32]) {
    let secret = Arc::new(GroupKind::new("", "Secret"));
    // What waits for what: by its word, and to be rolled.
    let mut waits = inputs.needs.clone();
    for at in 0..inputs.groups.len() {
        let options = inputs.options(at);
        if options.reads.is_empty() || !options.restart.unwrap_or(spec.restart_on_secret_change) {
            continue;
        }
        let namespace = &inputs.desired[at].key.namespace;
        let mut read = Read::default();
        for name in &options.reads {
            let key = Key {
                kind: Arc::clone(&secret),
                namespace: namespace.clone(),
                name: (&**name).into(),
            };
            match inputs.find(&key) {
                Some(place) if inputs.groups.get(place) > inputs.groups.get(at) => {}
                Some(place) if order::leads_to(&waits, place, at) => {}
                Some(place) => {
                    read.secrets.push(place);
                    waits.entry(at).or_default().push(place);
                }
                None => read.others.push(key),
            }
        }
        read.secrets
            .sort_by_key(|secret| inputs.options(*secret).create_only);
        read.follow = read
            .secrets
            .partition_point(|secret| !inputs.options(*secret).create_only);
        if !read.followed().is_empty() {
            let own = [at].into_iter().chain(read.followed().iter().copied());
            let parts: Vec<InputDigest> = own.map(|at| inputs.desired[at].digest).collect();
            let parts: Vec<&[u8]> = parts.iter().map(|digest| &digest.0[..]).collect();
            inputs.desired[at].digest = InputDigest::keyed(digest_key, &parts);
        }
        inputs.reads.insert(at, read);
    }
}

/// Digests of what Secrets hold, each opened once for all who read it.
pub(super) struct Contents {
    key: Zeroizing<[u8; 32]>,
    known: Mutex<HashMap<usize, InputDigest>>,
}

impl Contents {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self {
            key: Zeroizing::new(*key),
            known: Mutex::default(),
        }
    }

    /// What goes into the template of the object at a place, if it is to be rolled.
    pub(super) fn of(
        &self,
        inputs: &Inputs,
        at: usize,
        loader: &mut Loader,
        ring: &KeyRing,
    ) -> Result<Option<String>, Failure> {
        let secrets = inputs.reads.get(&at).map_or(&[][..], Read::followed);
        if secrets.is_empty() {
            return Ok(None);
        }
        let mut parts = Vec::with_capacity(secrets.len());
        for secret in secrets {
            let digest = self.content(inputs, *secret, loader, ring).map_err(|why| {
                let message = format!(
                    "it is to be restarted when {} changes, and that cannot be opened: {}",
                    inputs.desired[*secret].key, why.message
                );
                let origin = Some(&inputs.wanted[at].item.origin);
                // Whatever is wrong with the Secret, it is the Secret's failure.
                Failure::of(&inputs.desired[at].key, origin, &message, why.hint, true)
            })?;
            parts.push(digest);
        }
        let mut all: Vec<&[u8]> = vec![b"restart"];
        all.extend(parts.iter().map(|digest| &digest.0[..]));
        let digest = InputDigest::keyed(&self.key, &all);
        Ok(Some(crate::text::hex(&digest.0)))
    }

    fn content(
        &self,
        inputs: &Inputs,
        at: usize,
        loader: &mut Loader,
        ring: &KeyRing,
    ) -> Result<InputDigest, body::Refusal> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(digest) = known().get(&at) {
            return Ok(*digest);
        }
        let (wanted, key) = (&inputs.wanted[at], &inputs.desired[at].key);
        let manifest = loader.load(&wanted.item).map_err(|error| body::Refusal {
            message: error.to_string(),
            hint: error.hint(),
            unopened: Vec::new(),
        })?;
        let digest = digest(&self.key, wanted, manifest.object, key, ring)?;
        known().insert(at, digest);
        Ok(digest)
    }
}

/// A keyed digest of a Secret's place and of what it holds.
fn digest(
    digest_key: &[u8; 32],
    wanted: &Wanted,
    object: Value,
    key: &Key,
    ring: &KeyRing,
) -> Result<InputDigest, body::Refusal> {
    let namespace = key.namespace.as_deref().unwrap_or_default();
    if wanted.form != Form::Sealed {
        return plain(digest_key, object, namespace, &key.name);
    }
    let opened = body::open(&object, namespace, ring)?;
    let values = opened.data().iter();
    let values = values.map(|(name, value)| (name.as_str(), value.expose()));
    Ok(keyed(digest_key, namespace, &key.name, values))
}

/// That of a Secret that Git has in plain text.
fn plain(
    digest_key: &[u8; 32],
    object: Value,
    namespace: &str,
    name: &str,
) -> Result<InputDigest, body::Refusal> {
    let mut object = Wiped(object);
    body::string_data_to_data(&mut object.0)?;
    let data = object.0.get("data").and_then(Value::as_object);
    let mut values: Vec<(&str, Zeroizing<Vec<u8>>)> = data
        .into_iter()
        .flatten()
        .map(|(name, value)| {
            let text = value.as_str().unwrap_or_default();
            // What is no base64 is refused when it is applied.
            let decoded = BASE64_STANDARD.decode(text);
            let value = Zeroizing::new(decoded.unwrap_or_else(|_| text.as_bytes().to_vec()));
            (name.as_str(), value)
        })
        .collect();
    values.sort_unstable_by_key(|(name, _)| *name);
    let values = values.iter().map(|(name, value)| (*name, value.as_slice()));
    Ok(keyed(digest_key, namespace, name, values))
}

fn keyed<'a>(
    digest_key: &[u8; 32],
    namespace: &'a str,
    name: &'a str,
    values: impl Iterator<Item = (&'a str, &'a [u8])>,
) -> InputDigest {
    let mut parts: Vec<&[u8]> = vec![b"content", namespace.as_bytes(), name.as_bytes()];
    for (name, value) in values {
        parts.extend([name.as_bytes(), value]);
    }
    InputDigest::keyed(digest_key, &parts)
}

/// Puts it into a workload's pod template.
pub(super) fn mark(object: &mut Value, digest: &str) {
    let Some(template) = object
        .pointer_mut("/spec/template")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    let metadata = body::entry(template, "metadata");
    body::entry(metadata, "annotations").insert(annotation::SECRETS.into(), digest.into());
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_template_is_marked_and_nothing_else() {
        let mut object =
            json!({"metadata": {"name": "web"}, "spec": {"template": {"metadata": {"labels": {"a": "b"}}}}});
        mark(&mut object, "0a");
        let marked = json!({"labels": {"a": "b"}, "annotations": {"signet.dev/secrets": "0a"}});
        assert_eq!(object["spec"]["template"]["metadata"], marked);
        assert_eq!(object["metadata"], json!({"name": "web"}));
        for mut odd in [json!(7), json!({"spec": 7}), json!({"spec": {"template": []}})] {
            let before = odd.clone();
            mark(&mut odd, "0a");
            assert_eq!(odd, before);
        }
    }

    #[test]
    fn a_plain_secret_counts_by_what_the_api_server_keeps_of_it() {
        let of = |object: Value| plain(&[7; 32], object, "shop", "db").ok().unwrap();
        let base = of(json!({"data": {"a": "b25l", "b": "dHdv"}}));
        for same in [
            json!({"data": {"b": "dHdv", "a": "b25l"}, "metadata": {"labels": {"x": "y"}}}),
            json!({"stringData": {"a": "one"}, "data": {"a": "b2xk", "b": "dHdv"}}),
        ] {
            assert_eq!(of(same.clone()), base, "{same}");
        }
        for other in [
            json!({"data": {"a": "b25l"}}),
            json!({"data": {"a": "b25l", "b": "dHdo"}}),
            json!({"data": {"ab": "25l", "b": "dHdv"}}),
            json!({}),
        ] {
            assert_ne!(of(other.clone()), base, "{other}");
        }
        let elsewhere = plain(
            &[7; 32],
            json!({"data": {"a": "b25l", "b": "dHdv"}}),
            "shop",
            "other",
        );
        assert_ne!(elsewhere.ok().unwrap(), base);
        let keyed = plain(
            &[8; 32],
            json!({"data": {"a": "b25l", "b": "dHdv"}}),
            "shop",
            "db",
        );
        assert_ne!(keyed.ok().unwrap(), base);
    }
}
