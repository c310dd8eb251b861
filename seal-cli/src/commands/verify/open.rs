//! With private keys: they know. What does not open is tried for other places.

use super::Said;
use crate::opening::{self, MOST_PLACES, Outcome, Place};
use crate::private_keys::PrivateKeys;
use crate::sealed_file::{Format, SealedObject};
use crate::sound;
use sealing::{Printable, v2};
use serde_json::{Value, json};

/// Opens every value, and forgets it.
pub(super) fn try_keys(object: &SealedObject, keys: &PrivateKeys, known: &[(String, String)]) -> Said {
    let mut problems = Vec::new();
    match object.format {
        Format::V1 => {
            problems = sound::problems(object.format, &object.value);
            v1(object, keys, known, &mut problems);
        }
        Format::V2 => native(object, keys, known, &mut problems),
    }
    if problems.is_empty() {
        Said::Opens
    } else {
        Said::Closed(problems)
    }
}

/// Where it stands, for a sentence.
pub(super) fn here(object: &SealedObject) -> String {
    format!("{}, scope {}", object.shown(), object.scope())
}

fn v1(object: &SealedObject, keys: &PrivateKeys, known: &[(String, String)], problems: &mut Vec<String>) {
    for (key, sealed) in object.sealed() {
        let key = Printable(key);
        match opening::open(&keys.ring, object, sealed, known) {
            Outcome::Opened { .. } => {}
            Outcome::Elsewhere(place) => problems.push(format!(
                "{key}: it was sealed for {place}, and stands here as {}",
                here(object)
            )),
            Outcome::Closed(err) => problems.push(format!(
                "{key}: {err}, nor under any other name, namespace or scope that was tried"
            )),
        }
    }
}

fn native(object: &SealedObject, keys: &PrivateKeys, known: &[(String, String)], problems: &mut Vec<String>) {
    let opened = v2::SealedSecret::parse(&object.value)
        .map_err(|errors| said(&errors))
        .and_then(|sealed| {
            // It says itself that it stands elsewhere than it is sealed for. Whether it is right about that, the keys tell.
            problems.extend(sealed.misplaced(None).map(|refusal| refusal.to_string()));
            sealed
                .unlock_as_sealed(&keys.identities)
                .map_err(|errors| said(&errors))
        });
    let Err(errors) = opened else { return };
    // The place may have been changed in both of the places that name it, which looks like damage of every kind.
    let opens_at = |place: &Place| {
        let moved = v2::SealedSecret::parse(&at_place(&object.value, place)).ok();
        moved.is_some_and(|moved| {
            let mut ids = moved.recipients().into_iter();
            ids.any(|id| keys.identities.get(id).is_some())
                && moved.unlock_as_sealed(&keys.identities).is_ok()
        })
    };
    let mut places = opening::candidates(object, known).into_iter().take(MOST_PLACES);
    match places.find(|place| opens_at(place)) {
        Some(place) => problems.push(format!(
            "it was sealed for {place}, and stands here as {}",
            here(object)
        )),
        None => problems.extend(errors),
    }
}

fn said(errors: &[impl std::fmt::Display]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

/// The object as it would be at another place, its values as they are.
pub(super) fn at_place(object: &Value, place: &Place) -> Value {
    let mut moved = object.clone();
    let metadata = &mut moved["metadata"];
    metadata["name"] = place.name.as_str().into();
    if !place.namespace.is_empty() {
        metadata["namespace"] = place.namespace.as_str().into();
    }
    if v2::SealedSecret::is(object) {
        let sealed_for = v2::Place::new(place.scope, &place.namespace, &place.name);
        let mut fields = json!({});
        for (field, text) in [("namespace", sealed_for.namespace()), ("name", sealed_for.name())] {
            if !text.is_empty() {
                fields[field] = text.into();
            }
        }
        moved["spec"]["scope"] = v2::scope_name(place.scope).into();
        if let Some(spec) = moved["spec"].as_object_mut() {
            spec.remove("sealedFor");
            if fields != json!({}) {
                spec.insert("sealedFor".to_owned(), fields);
            }
        }
        return moved;
    }
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.retain(|name, _| name != sealing::CLUSTER_WIDE && name != sealing::NAMESPACE_WIDE);
    }
    if let Some(name) = place.scope.annotation() {
        if metadata["annotations"].is_null() {
            metadata["annotations"] = json!({});
        }
        metadata["annotations"][name] = "true".into();
    }
    moved
}
