//! What can be seen of a SealedSecret without a key: damage, a place that it was not sealed for, keys that are not known.

use crate::repo_config::{FILE, Pin};
use crate::sealed_file::{Format, key_of, v1_values};
use crate::sound;
use sealing::v1::Shape;
use sealing::{Certificate, Printable, Scope, v2};
use serde_json::Value;

/// One thing that is not right. No text in it holds a value.
pub(crate) struct Seen {
    pub(crate) about: About,
    /// Whether it will not open, as far as that can be known.
    pub(crate) fatal: bool,
    /// The field, from the object's root.
    pub(crate) way: Vec<String>,
    pub(crate) message: String,
    pub(crate) hint: &'static str,
}

/// What kind of thing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    Damage,
    Place,
    Scope,
    Key,
}

const RESEAL: &str =
    "move it back, or seal the Secret again for where it is now; `signet rename` does it with a private key";

/// Looks at an object that says it is of this format.
pub(crate) fn look(format: Format, object: &Value, pins: &[Pin]) -> Vec<Seen> {
    let problems = sound::problems(format, object).into_iter();
    let mut seen: Vec<Seen> = problems
        .map(|message| Seen {
            about: About::Damage,
            fatal: true,
            way: message
                .split(':')
                .next()
                .unwrap_or_default()
                .split('.')
                .map(ToOwned::to_owned)
                .collect(),
            message,
            hint: "restore it from Git's history, or seal the Secret again",
        })
        .collect();
    match format {
        Format::V1 => v1(object, pins, &mut seen),
        Format::V2 => native(object, pins, &mut seen),
    }
    seen
}

fn way<'k>(keys: impl IntoIterator<Item = &'k str>) -> Vec<String> {
    keys.into_iter().map(ToOwned::to_owned).collect()
}

/// What the native format says about itself in plain text: its place, and its keys.
fn native(object: &Value, pins: &[Pin], seen: &mut Vec<Seen>) {
    let Ok(sealed) = v2::SealedSecret::parse(object) else {
        return;
    };
    if let Some(refusal) = sealed.misplaced(None) {
        seen.push(Seen {
            about: About::Place,
            fatal: true,
            way: way(["metadata", "name"]),
            message: refusal.to_string(),
            hint: RESEAL,
        });
    }
    if pins.iter().all(|pin| pin.native().next().is_none()) {
        return;
    }
    for (key, outline) in sealed.outline() {
        let unknown: Vec<&str> = outline
            .recipients
            .iter()
            .filter(|id| !pins.iter().any(|pin| pin.is_recipient(id)))
            .map(v2::KeyId::as_str)
            .collect();
        if unknown.is_empty() {
            continue;
        }
        let former = unknown.iter().all(|id| pins.iter().any(|pin| pin.is_former(id)));
        let (what, hint) = if former {
            (
                "which was followed by another key".to_owned(),
                "set the value again, or have a KeyRotation seal it for the newest key",
            )
        } else {
            (
                format!("which {FILE} does not list"),
                "a retired or a foreign key? Set the value again, or list the recipient",
            )
        };
        seen.push(Seen {
            about: About::Key,
            fatal: !former,
            way: way(["spec", "values", key]),
            message: format!(
                "the value of {} is sealed for {}, {what}",
                Printable(key),
                unknown.join(", ")
            ),
            hint,
        });
    }
}

fn v1(object: &Value, pins: &[Pin], seen: &mut Vec<Seen>) {
    let sizes: Vec<usize> = pins
        .iter()
        .filter_map(|pin| Certificate::from_pem(&pin.certificate).ok())
        .map(|certificate| certificate.bits())
        .collect();
    for (keys, value) in v1_values(object) {
        let key = key_of(&keys);
        let way = way(keys);
        match Shape::of(value.as_str().unwrap_or_default()) {
            Err(err) => seen.push(Seen {
                about: About::Damage,
                fatal: true,
                way,
                message: format!("the value of {} is damaged: {err}", Printable(key)),
                hint: "restore it from Git's history, or set it again with `signet set`",
            }),
            Ok(shape) if !sizes.is_empty() && !sizes.contains(&shape.key_bits) => seen.push(Seen {
                about: About::Key,
                fatal: false,
                way,
                message: format!(
                    "the value of {} is sealed for a key of {} bits, and no key that {FILE} pins has that size",
                    Printable(key),
                    shape.key_bits
                ),
                hint: "is it sealed for another cluster, or for a key before the last? Seal it again",
            }),
            Ok(_) => {}
        }
    }
    moved(object, seen);
    scope(object, seen);
}

/// kubeseal and signet write the place into the template as well: where the two differ, the object was renamed by hand.
fn moved(object: &Value, seen: &mut Vec<Seen>) {
    let scope = Scope::from_annotations(object.pointer("/metadata/annotations"));
    let binding: &[&str] = match scope {
        Scope::Strict => &["name", "namespace"],
        Scope::Namespace => &["namespace"],
        Scope::Cluster => &[],
    };
    for field in binding {
        let text = |way: String| {
            let text = object.pointer(&way).and_then(Value::as_str);
            text.filter(|text| !text.is_empty())
        };
        let template = text(format!("/spec/template/metadata/{field}"));
        let (Some(sealed), Some(own)) = (template, text(format!("/metadata/{field}"))) else {
            continue;
        };
        if sealed != own {
            seen.push(Seen {
                about: About::Place,
                fatal: true,
                way: way(["metadata", field]),
                message: format!(
                    "its {field} is {}, but it was sealed for {}: scope {scope} binds the values to it",
                    Printable(own),
                    Printable(sealed)
                ),
                hint: RESEAL,
            });
        }
    }
}

fn scope(object: &Value, seen: &mut Vec<Seen>) {
    let own = Scope::from_annotations(object.pointer("/metadata/annotations"));
    let template = Scope::from_annotations(object.pointer("/spec/template/metadata/annotations"));
    if template != Scope::Strict && template != own {
        seen.push(Seen {
            about: About::Scope,
            fatal: true,
            way: way(["metadata"]),
            message: format!(
                "its annotations say scope {own}, but its template was sealed with scope {template}"
            ),
            hint: "restore the annotation, or seal the Secret again",
        });
    }
}
