//! SealedSecrets, as far as they can be judged without a key.

use super::finding::{Finding, Level, Object, Place, Rule};
use crate::repo_config::{FILE, RepoConfig};
use crate::sealed_file::Format;
use crate::sound;
use sealing::v1::Shape;
use sealing::{Certificate, Printable, Scope, v2};
use serde_json::Value;
use std::time::{Duration, SystemTime};

/// How long before its end a certificate is spoken of.
const SOON: Duration = Duration::from_hours(30 * 24);
const RESEAL: &str =
    "move it back, or seal the Secret again for where it is now; `signet rename` does it with a private key";

/// Looks at one object.
pub(super) fn object(object: &Object<'_>, config: &RepoConfig, found: &mut Vec<Finding>) {
    let Some(format) = Format::of(object.value) else {
        return;
    };
    for problem in sound::problems(format, object.value) {
        let way: Vec<&str> = problem.split(':').next().unwrap_or_default().split('.').collect();
        found.push(object.finding(
            Rule::SealedInvalid,
            Level::Error,
            way,
            problem.clone(),
            "restore it from Git's history, or seal the Secret again",
        ));
    }
    match format {
        Format::V1 => v1(object, config, found),
        Format::V2 => native(object, config, found),
    }
}

/// What the native format says about itself in plain text: its place, and its keys.
fn native(object: &Object<'_>, config: &RepoConfig, found: &mut Vec<Finding>) {
    let Ok(sealed) = v2::SealedSecret::parse(object.value) else {
        return;
    };
    if let Some(refusal) = sealed.misplaced(None) {
        found.push(object.finding(
            Rule::SealedMoved,
            Level::Error,
            ["metadata", "name"],
            refusal.to_string(),
            RESEAL,
        ));
    }
    let pinned: Vec<v2::Recipient> = config
        .sealing_keys
        .iter()
        .flat_map(|pin| &pin.recipients)
        .filter_map(|text| text.trim().parse().ok())
        .collect();
    if pinned.is_empty() {
        return;
    }
    for (key, outline) in sealed.outline() {
        let unknown: Vec<&str> = outline
            .recipients
            .iter()
            .filter(|id| !pinned.iter().any(|recipient| recipient.key_id() == *id))
            .map(v2::KeyId::as_str)
            .collect();
        if !unknown.is_empty() {
            found.push(object.finding(
                Rule::UnknownKey,
                Level::Error,
                ["spec", "values", key],
                format!(
                    "the value of {} is sealed for {}, which {FILE} does not list",
                    Printable(key),
                    unknown.join(", ")
                ),
                "a retired or a foreign key? Set the value again, or list the recipient",
            ));
        }
    }
}

fn v1(object: &Object<'_>, config: &RepoConfig, found: &mut Vec<Finding>) {
    let sizes: Vec<usize> = config
        .sealing_keys
        .iter()
        .filter_map(|pin| Certificate::from_pem(&pin.certificate).ok())
        .map(|certificate| certificate.bits())
        .collect();
    let values = object
        .value
        .pointer("/spec/encryptedData")
        .and_then(Value::as_object);
    for (key, value) in values.into_iter().flatten() {
        let way = ["spec", "encryptedData", key.as_str()];
        match Shape::of(value.as_str().unwrap_or_default()) {
            Err(err) => found.push(object.finding(
                Rule::SealedInvalid,
                Level::Error,
                way,
                format!("the value of {} is damaged: {err}", Printable(key)),
                "restore it from Git's history, or set it again with `signet set`",
            )),
            Ok(shape) if !sizes.is_empty() && !sizes.contains(&shape.key_bits) => found.push(object.finding(
                Rule::UnknownKey,
                Level::Warning,
                way,
                format!(
                    "the value of {} is sealed for a key of {} bits, and no key that {FILE} pins has that size",
                    Printable(key),
                    shape.key_bits
                ),
                "is it sealed for another cluster, or for a key before the last? Seal it again",
            )),
            Ok(_) => {}
        }
    }
    moved(object, found);
    scope(object, found);
}

/// kubeseal and signet write the place into the template as well: where the two differ, the object was renamed by hand.
fn moved(object: &Object<'_>, found: &mut Vec<Finding>) {
    let scope = Scope::from_annotations(object.value.pointer("/metadata/annotations"));
    let binding: &[&str] = match scope {
        Scope::Strict => &["name", "namespace"],
        Scope::Namespace => &["namespace"],
        Scope::Cluster => &[],
    };
    for field in binding {
        let template = object.value.pointer(&format!("/spec/template/metadata/{field}"));
        let (Some(sealed), Some(own)) = (template.and_then(Value::as_str), object.metadata(field)) else {
            continue;
        };
        if sealed != own && !sealed.is_empty() {
            found.push(object.finding(
                Rule::SealedMoved,
                Level::Error,
                ["metadata", field],
                format!(
                    "its {field} is {}, but it was sealed for {}: scope {scope} binds the values to it",
                    Printable(own),
                    Printable(sealed)
                ),
                RESEAL,
            ));
        }
    }
}

fn scope(object: &Object<'_>, found: &mut Vec<Finding>) {
    let own = Scope::from_annotations(object.value.pointer("/metadata/annotations"));
    let template = Scope::from_annotations(object.value.pointer("/spec/template/metadata/annotations"));
    if template != Scope::Strict && template != own {
        found.push(object.finding(
            Rule::SealedScope,
            Level::Error,
            ["metadata"],
            format!("its annotations say scope {own}, but its template was sealed with scope {template}"),
            "restore the annotation, or seal the Secret again",
        ));
    }
}

/// The pinned certificates themselves.
pub(super) fn pins(config: &RepoConfig) -> Vec<Finding> {
    let now = SystemTime::now();
    let expired = config.sealing_keys.iter().filter_map(|pin| {
        let certificate = Certificate::from_pem(&pin.certificate).ok()?;
        let (level, message) = if certificate.not_after() < now {
            (Level::Error, "has expired; nothing can be sealed for it")
        } else if certificate.not_after() < now + SOON {
            (Level::Warning, "expires within 30 days")
        } else {
            return None;
        };
        Some(Finding {
            rule: Rule::ExpiredCertificate,
            level,
            place: Place {
                file: FILE.to_owned(),
                line: 1,
            },
            object: None,
            message: format!("the pinned certificate of key {} {message}", certificate.fingerprint()),
            hint: "has the controller renewed its key? Seal once where the cluster can be reached, and commit the file",
        })
    });
    expired.collect()
}
