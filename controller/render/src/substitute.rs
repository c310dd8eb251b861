//! Replaces variables in the texts of an object: `spec.substitute`, with the meaning of Flux's post-build substitution.
//!
//! Flux replaces variables in an object's YAML and reads that again, so a value can become structure. Here each key and
//! each scalar is replaced on its own (see [`manifest::Draft`]): a value stays in the place it was put, whatever it
//! holds. Mappings and lists inside a variable are therefore not supported.

mod eval;
mod fault;
pub mod gather;
mod glob;
mod parse;
mod variables;

use manifest::{Draft, DraftError, Limits, Manifest, ManifestError, ManifestErrorKind, Origin};
use manifest::{Path, Replacement, Step, Written};
use serde_json::Value;

use crate::{Facts, facts, options};
use eval::Evaluation;
use fault::Fault;
use parse::Piece;
pub use variables::{VariableError, Variables};

/// An object of a document.
#[derive(Clone)]
pub(crate) struct Object {
    pub(crate) manifest: Manifest,
    /// A secret variable's value is inside.
    pub(crate) secret: bool,
    /// A Secret of which Git holds no value: each is a variable.
    pub(crate) filled: bool,
    /// Bytes that variables made.
    pub(crate) spent: usize,
}

/// The objects of a document that was read from `bytes`, with their variables replaced, if there are any.
pub(crate) fn objects(
    value: Value,
    bytes: &[u8],
    origin: &Origin,
    limits: &Limits,
    variables: Option<&Variables>,
) -> Vec<Result<Object, ManifestError>> {
    if let Some(variables) = variables
        && Draft::has_variables(&value)
    {
        let draft = match manifest::read_draft(bytes, limits) {
            Ok(draft) => draft,
            // It was read before, so this does not come. As it is written, it must not go on.
            Err(error) => {
                let kind = ManifestErrorKind::Variable {
                    path: format!("line {}", error.line),
                    message: error.kind.to_string(),
                    hint: error.hint().unwrap_or_default(),
                };
                let origin = origin.clone();
                return vec![Err(ManifestError { kind, origin })];
            }
        };
        return manifest::manifests_of(draft, origin, limits, |draft| replace(draft, variables))
            .into_iter()
            .map(|found| {
                found.map(|(manifest, (secret, filled, spent))| Object {
                    manifest,
                    secret,
                    filled,
                    spent,
                })
            })
            .collect();
    }
    let plain = |manifest| Object {
        manifest,
        secret: false,
        filled: false,
        spent: 0,
    };
    let found = manifest::manifests(value, origin, limits).into_iter();
    found.map(|found| found.map(plain)).collect()
}

/// The digest of an object: keyed where a secret is inside, since that may be guessable.
pub(crate) fn digest(object: &Value, secret: bool, variables: Option<&Variables>) -> [u8; 32] {
    let digest = manifest::digest(object);
    match variables {
        Some(variables) if secret => variables.digest_of(&digest),
        _ => digest,
    }
}

/// The object, whether a secret is inside, whether it is a Secret of nothing but variables, and the bytes that those made.
fn replace(draft: Draft, variables: &Variables) -> Result<(Value, (bool, bool, usize)), ManifestErrorKind> {
    let written = draft.clone().as_written();
    // What is wrong with annotations is said of the object when it is complete.
    if Facts::of(&written).is_ok_and(|facts| options::substitute_disabled(&facts)) {
        return Ok((written, (false, false, 0)));
    }
    let (sealed, filled) = (is_native_sealed(&written), is_filled(&written));
    drop(written);
    let mut evaluation = Evaluation::new(variables);
    let mut secret = false;
    let replaced = draft.replace(|path, written, text| {
        if sealed && matches!(path.steps().first(), Some(Step::Key(key)) if key == "spec") {
            let text = text.to_owned();
            return Ok(Replacement { text, quoted: true });
        }
        let replacement = scalar(&mut evaluation, written, text);
        let used = evaluation.secret.take();
        secret |= used.is_some();
        match (replacement, used) {
            (Ok(_), Some(name)) if is_shown(path, written) => {
                Err((path.to_string(), Fault::Shown(name.into())))
            }
            (Ok(replacement), _) => Ok(replacement),
            (Err(fault), _) => Err((path.to_string(), fault)),
        }
    });
    match replaced {
        Ok(value) => Ok((value, (secret, filled, evaluation.spent()))),
        Err(DraftError::Replace((path, fault))) => Err(ManifestErrorKind::Variable {
            path,
            message: fault.to_string(),
            hint: fault.hint(),
        }),
        Err(DraftError::SameKey { path }) => Err(ManifestErrorKind::Variable {
            path,
            message: "two keys become the same when variables are replaced".into(),
            hint: "use other variables, or write the key out",
        }),
    }
}

fn scalar(evaluation: &mut Evaluation<'_>, written: Written, text: &str) -> Result<Replacement, Fault> {
    let pieces = parse::parse(text)?;
    // Flux's way to write a string: ${quote}${id}${quote}, where `quote` is a quotation mark.
    if let [first @ Piece::Variable(_), inside @ .., last @ Piece::Variable(_)] = pieces.as_slice() {
        let mut text = String::new();
        evaluation.piece(first, &mut text)?;
        let start = text.len();
        for piece in inside {
            evaluation.piece(piece, &mut text)?;
        }
        let end = text.len();
        evaluation.piece(last, &mut text)?;
        let mark = &text[..start];
        let quoted = matches!(mark, "\"" | "'") && &text[end..] == mark;
        // In quotes, or as a key, the text never loses anything.
        if quoted && written == Written::Plain {
            text.truncate(end);
            text.drain(..start);
        }
        return Ok(Replacement { text, quoted });
    }
    Ok(Replacement {
        text: evaluation.text(&pieces)?,
        quoted: false,
    })
}

/// Signet's own sealed format binds its values to every byte of its template, whose `${key}` stand for those values.
fn is_native_sealed(object: &Value) -> bool {
    let text = |field| object.get(field).and_then(Value::as_str).unwrap_or_default();
    text("kind") == "SealedSecret" && text("apiVersion").starts_with("signet.dev/")
}

/// Whether an object is a Secret each of whose values is one variable, without a default: Git holds none of them.
fn is_filled(object: &Value) -> bool {
    let bare = |value: &Value| {
        let name = value
            .as_str()
            .and_then(|text| text.trim().strip_prefix("${")?.strip_suffix('}'));
        name.is_some_and(|name| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        })
    };
    let of = |field: &str| object.get(field).and_then(Value::as_object);
    let mut values = ["data", "stringData"]
        .into_iter()
        .filter_map(of)
        .flatten()
        .peekable();
    object.get("kind").and_then(Value::as_str) == Some("Secret")
        && values.peek().is_some()
        && values.all(|(_, value)| bare(value))
}

/// Whether a text is part of what statuses, events and logs say of an object: its identity, its keys, and the annotations
/// and labels that the controller reads.
fn is_shown(path: &Path, written: Written) -> bool {
    let key = |index: usize| match path.steps().get(index) {
        Some(Step::Key(key)) => key.as_str(),
        _ => "",
    };
    written == Written::Key
        || match (path.steps().len(), key(0), key(1)) {
            (1, "apiVersion" | "kind", _) | (2, "metadata", "name" | "namespace" | "generateName") => true,
            (3, "metadata", "annotations" | "labels") => facts::is_kept(key(2)),
            _ => false,
        }
}

#[cfg(test)]
mod tests;
