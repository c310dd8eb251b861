//! The private keys for `--recovery-unseal`: PEM files, and backups of the controller's key Secrets.

use super::raw::csv;
use crate::command_error::CommandError;
use crate::output::{reason, show};
use manifest::{Limits, Origin, manifests, read_stream};
use sealing::{KeyRing, PrivateKey, PrivateKeyError, SealingKey, SelfSigned};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

const HINT: &str =
    "a key is a PEM file, or what `kubectl get secret -o yaml` printed of the controller's keys";

/// Reads every key of every file.
pub(super) fn read(files: &[String]) -> Result<KeyRing, CommandError> {
    let mut keys = Vec::new();
    for file in files.iter().flat_map(|list| csv(list)) {
        let path = Path::new(&file);
        let bytes = fs::read(path).map(Zeroizing::new).map_err(|err| {
            CommandError::user(format!("cannot read {}: {}", show(path), reason(&err)), HINT)
        })?;
        let fail = |place: &str, err: &PrivateKeyError| {
            CommandError::user(
                format!("cannot use the key in {}{place}: {err}", show(path)),
                HINT,
            )
        };
        // A backup may hold a key in `stringData`: what begins like an object is read as one.
        let text = std::str::from_utf8(&bytes).unwrap_or_default();
        if text.trim_start().starts_with("-----BEGIN") {
            keys.push(key(text).map_err(|err| fail("", &err))?);
            continue;
        }
        for (place, pem) in key_secrets(path, &bytes)? {
            keys.push(key(&pem).map_err(|err| fail(&place, &err))?);
        }
    }
    Ok(KeyRing::new(keys))
}

/// A ring is made of pairs with certificates. Which certificate a key had does not matter for opening.
fn key(pem: &str) -> Result<SealingKey, PrivateKeyError> {
    let private = PrivateKey::from_pem(pem)?;
    let certificate = SelfSigned::new(SystemTime::UNIX_EPOCH, Duration::from_secs(1))
        .sign(&private)
        .map_err(|_| PrivateKeyError::Unavailable)?;
    SealingKey::new(private, certificate).map_err(|_| PrivateKeyError::Unavailable)
}

/// The `tls.key` of every Secret in a stream of Secrets and Lists.
fn key_secrets(path: &Path, bytes: &[u8]) -> Result<Vec<(String, Zeroizing<String>)>, CommandError> {
    let fail = |what: String| CommandError::user(format!("{}: {what}", show(path)), HINT);
    let limits = Limits::default();
    let mut found = Vec::new();
    for document in read_stream(bytes, &limits).map_err(|err| fail(err.to_string()))? {
        let origin = Origin {
            file: path.to_string_lossy().into(),
            document: document.number,
            item: None,
            line: document.line,
        };
        let value = document
            .value
            .map_err(|err| fail(format!("document {}: {err}", document.number)))?;
        for secret in manifests(value, &origin, &limits) {
            let secret = secret.map_err(|err| CommandError::user(&err, err.hint().unwrap_or(HINT)))?;
            let place = format!(" document {}, {}", secret.origin.document, secret.id);
            let plain = secret
                .object
                .pointer("/stringData/tls.key")
                .and_then(Value::as_str);
            let pem = match plain {
                Some(pem) => Some(Zeroizing::new(pem.to_owned())),
                None => secret
                    .object
                    .pointer("/data/tls.key")
                    .and_then(Value::as_str)
                    .and_then(decode),
            };
            let pem =
                pem.ok_or_else(|| fail(format!("{}: secret must contain a 'tls.key' key", secret.id)))?;
            found.push((place, pem));
        }
    }
    if found.is_empty() {
        return Err(fail("there is no key in it".to_owned()));
    }
    Ok(found)
}

fn decode(text: &str) -> Option<Zeroizing<String>> {
    use base64::Engine as _;
    let joined: Zeroizing<String> =
        Zeroizing::new(text.chars().filter(|c| !c.is_ascii_whitespace()).collect());
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(joined.as_bytes())
        .ok()?;
    String::from_utf8(bytes).ok().map(Zeroizing::new)
}
