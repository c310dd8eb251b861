//! Sealing again for the newest key: what `/v1/rotate` answers. Only sealed values change. Template, labels, annotations and
//! scope stay as they are: upstream loses some of them, and once took the scope from the template, so that whoever could
//! not open a value could have it sealed for everywhere (CVE-2026-22728).

use crate::path::{Printable, is_namespace, is_object_name};
use crate::ring::KeyRing;
use crate::v1::{self, Envelope};
use crate::{OpenError, Scope};
use serde_json::Value;
use std::time::SystemTime;

/// Why an object was not sealed again. Says nothing about a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResealError {
    /// The object is no SealedSecret, or lacks what a value is sealed for.
    #[error("{0}")]
    Malformed(&'static str),
    /// One value does not open, so none is answered.
    #[error("key {}: {problem}", Printable(key))]
    Closed {
        /// The key in `spec.encryptedData`, or `data` for the deprecated `spec.data`.
        key: String,
        /// Why.
        problem: OpenError,
    },
    /// There is no certificate that may be sealed for.
    #[error("the newest sealing key's certificate cannot be sealed for: {0}")]
    NoCertificate(String),
    /// The library failed.
    #[error("a value could not be sealed")]
    Unavailable,
}

/// The object with its values sealed for the newest key, in the place and scope that they open in. A value that the newest
/// key opens stays as it is, byte for byte. The status, which speaks of an object in a cluster, is left out.
pub fn reseal(mut object: Value, ring: &KeyRing, now: SystemTime) -> Result<Value, ResealError> {
    let newest = ring.newest().ok_or_else(|| closed("", OpenError::EmptyRing))?;
    let public = newest
        .certificate()
        .public_key_at(now)
        .map_err(|error| ResealError::NoCertificate(error.to_string()))?;
    let label = label(&object)?;
    for (key, sealed) in values(&mut object)? {
        let text = sealed
            .as_str()
            .ok_or(ResealError::Malformed("every sealed value must be a string"))?;
        let envelope = Envelope::parse(text).map_err(|error| closed(key, error))?;
        let opened = ring.open_envelope(&envelope, &label);
        let (plaintext, by) = opened.map_err(|error| closed(key, error))?;
        if by.fingerprint() != newest.fingerprint() {
            let again = v1::seal(public, &label, plaintext.expose());
            *sealed = again.map_err(|_| ResealError::Unavailable)?.into();
        }
    }
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    Ok(object)
}

/// Every sealed value, by the key that it is spoken of. In the deprecated form there is one, `spec.data`, beside an
/// `encryptedData` that is empty: the CRD demands that.
fn values(object: &mut Value) -> Result<Vec<(&str, &mut Value)>, ResealError> {
    let spec = object.get_mut("spec").and_then(Value::as_object_mut);
    let (mut items, mut whole) = (None, None);
    for (field, value) in spec.into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        match field.as_str() {
            "encryptedData" => items = Some(value),
            "data" => whole = Some(value),
            _ => {}
        }
    }
    let missing = items.is_none() && whole.is_none();
    let items = items.map(Value::as_object_mut);
    if missing || items.as_ref().is_some_and(Option::is_none) {
        return Err(ResealError::Malformed("spec.encryptedData must be an object"));
    }
    let items = items.flatten().into_iter().flatten();
    let mut all: Vec<_> = items.map(|(key, value)| (key.as_str(), value)).collect();
    if !all.is_empty() && whole.is_some() {
        return Err(ResealError::Malformed(
            "encryptedData and the deprecated data cannot be used at the same time",
        ));
    }
    all.extend(whole.map(|value| ("data", value)));
    Ok(all)
}

/// What every value of the object is sealed for, by the object's own metadata. The template has no say in it.
fn label(object: &Value) -> Result<Vec<u8>, ResealError> {
    let is = |field: &str, text: &str| object.get(field).and_then(Value::as_str) == Some(text);
    if !is("apiVersion", "bitnami.com/v1alpha1") || !is("kind", "SealedSecret") {
        return Err(ResealError::Malformed(
            "not a SealedSecret of bitnami.com/v1alpha1",
        ));
    }
    let metadata = &object["metadata"];
    let text = |field: &str| metadata.get(field).and_then(Value::as_str).unwrap_or_default();
    let (namespace, name) = (text("namespace"), text("name"));
    let scope = Scope::from_annotations(metadata.get("annotations"));
    if !is_object_name(name) {
        return Err(ResealError::Malformed(
            "metadata.name is not a name that Kubernetes accepts",
        ));
    }
    let needs_namespace = scope != Scope::Cluster || !namespace.is_empty();
    if needs_namespace && !is_namespace(namespace) {
        return Err(ResealError::Malformed(
            "metadata.namespace is not a name that Kubernetes accepts",
        ));
    }
    Ok(scope.label(namespace, name))
}

fn closed(key: &str, problem: OpenError) -> ResealError {
    ResealError::Closed {
        key: key.to_owned(),
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PrivateKey, SealingKey, SelfSigned};
    use serde_json::json;
    use std::time::Duration;

    fn key(age: u64) -> SealingKey {
        let private = PrivateKey::generate(2048).unwrap();
        let from = SystemTime::now() - Duration::from_secs(age);
        let certificate = SelfSigned::new(from, Duration::from_hours(9))
            .sign(&private)
            .unwrap();
        SealingKey::new(private, certificate).unwrap()
    }

    fn object(sealed: &str) -> Value {
        json!({
            "apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret",
            "metadata": {"name": "db", "namespace": "shop", "labels": {"a": "b"}, "annotations": {"wave": "1"}},
            "spec": {"encryptedData": {"password": sealed}, "template": {
                "type": "x", "immutable": true, "data": {"url": "{{ fail .password }}"},
                "metadata": {"annotations": {
                    "sealedsecrets.bitnami.com/cluster-wide": "true", "sealedsecrets.bitnami.com/managed": "true"}}}},
            "status": {"observedGeneration": 1},
        })
    }

    #[test]
    fn only_values_change_and_the_scope_stays() {
        let (old, new) = (key(60), key(0));
        let now = SystemTime::now();
        let label = Scope::Strict.label("shop", "db");
        let sealed = v1::seal(old.certificate().public_key_at(now).unwrap(), &label, b"hunter2").unwrap();
        let newest = new.fingerprint().clone();
        let ring = KeyRing::new([old, new]);

        let mut before = object(&sealed);
        let mut after = reseal(before.clone(), &ring, now).unwrap();
        let again = after["spec"]["encryptedData"]["password"].take();
        before["spec"]["encryptedData"]["password"] = Value::Null;
        before.as_object_mut().unwrap().remove("status");
        assert_eq!(after, before, "template, labels and annotations are as they were");

        // Sealed for the newest key, and for this place only, whatever the template says.
        let envelope = Envelope::parse(again.as_str().unwrap()).unwrap();
        let (value, by) = ring.open_envelope(&envelope, &label).unwrap();
        assert_eq!((value.expose(), by.fingerprint()), (&b"hunter2"[..], &newest));
        assert!(ring.open_envelope(&envelope, b"").is_err());

        // And then it stays.
        let same = reseal(object(again.as_str().unwrap()), &ring, now).unwrap();
        assert_eq!(same["spec"]["encryptedData"]["password"], again);
    }

    /// The deprecated form: one value for the whole Secret.
    #[test]
    fn the_one_value_of_the_deprecated_form_is_sealed_again() {
        let (old, new) = (key(60), key(0));
        let now = SystemTime::now();
        let label = Scope::Strict.label("shop", "db");
        let sealed = v1::seal(old.certificate().public_key_at(now).unwrap(), &label, b"{}").unwrap();
        let newest = new.fingerprint().clone();
        let ring = KeyRing::new([old, new]);
        for items in [json!({}), Value::Null] {
            let mut whole = object("");
            (whole["spec"]["encryptedData"], whole["spec"]["data"]) = (items.clone(), sealed.as_str().into());
            let after = reseal(whole, &ring, now).unwrap();
            let again = after["spec"]["data"].as_str().unwrap();
            let (_, by) = ring.open_and_tell(again, &label).unwrap();
            assert_eq!(
                (by.fingerprint(), &after["spec"]["encryptedData"]),
                (&newest, &items)
            );
        }
        let with = |items: Value, whole: Value| {
            let mut object = object("");
            (object["spec"]["encryptedData"], object["spec"]["data"]) = (items, whole);
            reseal(object, &ring, now).map_err(|error| error.to_string())
        };
        let closed = with(json!({}), "AgA=".into());
        assert_eq!(closed.unwrap_err(), "key data: it is truncated");
        assert!(with(json!({}), json!({})).is_err());
        assert!(with(json!({"a": "AgA="}), sealed.into()).is_err());
        assert!(with(Value::Null, Value::Null).is_err());
        assert!(with(json!("x"), Value::Null).is_err());
        assert!(
            with(json!({}), Value::Null).is_ok(),
            "what holds nothing holds nothing"
        );
    }

    #[test]
    fn a_widened_scope_is_refused() {
        let key = key(0);
        let now = SystemTime::now();
        let public = key.certificate().public_key_at(now).unwrap();
        let sealed = v1::seal(public, &Scope::Strict.label("shop", "db"), b"hunter2").unwrap();
        let ring = KeyRing::new([key]);
        let with = |field: &str, value: Value| {
            let mut object = object(&sealed);
            object["metadata"][field] = value;
            reseal(object, &ring, now)
        };
        for (field, value) in [
            (
                "annotations",
                json!({"sealedsecrets.bitnami.com/cluster-wide": "true"}),
            ),
            (
                "annotations",
                json!({"sealedsecrets.bitnami.com/namespace-wide": "true"}),
            ),
            ("name", json!("other")),
            ("namespace", json!("other")),
        ] {
            let refused = with(field, value.clone());
            assert!(
                matches!(refused, Err(ResealError::Closed { .. })),
                "{field} {value}"
            );
        }
        for (field, value) in [
            ("name", json!("a/b")),
            ("name", json!(null)),
            ("namespace", json!("")),
        ] {
            let refused = with(field, value.clone());
            assert!(
                matches!(refused, Err(ResealError::Malformed(_))),
                "{field} {value}"
            );
        }
    }

    #[test]
    fn one_value_that_does_not_open_refuses_all() {
        let ring = KeyRing::new([key(0)]);
        let now = SystemTime::now();
        let error = reseal(object("AgA="), &ring, now).unwrap_err();
        assert_eq!(error.to_string(), "key password: it is truncated");
        assert!(reseal(json!({"kind": "Secret"}), &ring, now).is_err());
        assert!(reseal(json!([]), &ring, now).is_err());
    }
}
