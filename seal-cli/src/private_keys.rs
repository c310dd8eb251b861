//! Private keys from files that a person names: those of a recovery, a team, or a backup. They are read, used and wiped.

use crate::command_error::CommandError;
use crate::output::{reason, show};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use manifest::{Limits, read_stream};
use sealing::v2::{Identities, Identity};
use sealing::{Certificate, KeyRing, PrivateKey, SealingKey, SelfSigned};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

/// Where private keys are.
#[derive(Args)]
#[command(next_help_heading = "Private keys")]
pub(crate) struct PrivateKeyArgs {
    /// Open with the private keys in this file: PEM (format v1), an age identity file (native format), or Secrets of a
    /// controller's keys as `kubectl get secret -o yaml` prints them. May be given several times [env: SIGNET_KEY]
    #[arg(long = "key", value_name = "FILE")]
    private_keys: Vec<PathBuf>,
}

/// Keys that open.
pub(crate) struct PrivateKeys {
    /// For format v1.
    pub(crate) ring: KeyRing,
    /// For the native format.
    pub(crate) identities: Identities,
}

/// Keys of both formats, as they are read.
#[derive(Default)]
struct Read {
    v1: Vec<SealingKey>,
    native: Vec<Identity>,
}

/// More than any file of keys.
const LARGEST: u64 = 4 << 20;

impl PrivateKeyArgs {
    fn paths(&self) -> Vec<PathBuf> {
        if !self.private_keys.is_empty() {
            return self.private_keys.clone();
        }
        let from_env = std::env::var_os("SIGNET_KEY").filter(|value| !value.is_empty());
        from_env.map(PathBuf::from).into_iter().collect()
    }

    /// Reads all of them, if any is given.
    pub(crate) fn read(&self) -> Result<Option<PrivateKeys>, CommandError> {
        let paths = self.paths();
        if paths.is_empty() {
            return Ok(None);
        }
        read_files(&paths).map(Some)
    }
}

/// Reads the keys of all these files.
pub(crate) fn read_files(paths: &[PathBuf]) -> Result<PrivateKeys, CommandError> {
    let mut keys = Read::default();
    for path in paths {
        read(path, &mut keys)?;
    }
    Ok(PrivateKeys {
        ring: KeyRing::new(keys.v1),
        identities: Identities::new(keys.native),
    })
}

fn read(path: &Path, keys: &mut Read) -> Result<(), CommandError> {
    let hint = "keys are in a PEM file, an age identity file, or what `kubectl get secret -o yaml` printed of a controller's keys";
    let bad = |problem: &str| CommandError::user(format!("{}: {problem}", show(path)), hint);
    let size = fs::metadata(path).map_or(0, |metadata| metadata.len());
    if size > LARGEST {
        return Err(bad("too large to be a file of keys"));
    }
    let bytes =
        Zeroizing::new(fs::read(path).map_err(|err| {
            CommandError::user(format!("cannot read {}: {}", show(path), reason(&err)), hint)
        })?);
    let text = std::str::from_utf8(&bytes).map_err(|_| bad("not a text"))?;
    let before = keys.v1.len() + keys.native.len();
    let identity = |line: &str| line.trim_start().starts_with("AGE-SECRET-KEY-");
    let done = if text.trim_start().starts_with("-----BEGIN ") {
        pem_keys(text).map(|found| keys.v1.extend(found))
    } else if text.lines().any(identity) {
        Identity::parse_file(text)
            .map(|found| keys.native.extend(found))
            .map_err(|err| err.to_string())
    } else {
        secrets(text.as_bytes(), keys)
    };
    done.map_err(|problem| bad(&problem))?;
    if keys.v1.len() + keys.native.len() == before {
        return Err(bad("there is no private key in it"));
    }
    Ok(())
}

/// Every private key of a PEM text.
fn pem_keys(text: &str) -> Result<Vec<SealingKey>, String> {
    let mut keys = Vec::new();
    let starts: Vec<usize> = text
        .match_indices("-----BEGIN ")
        .map(|(start, _)| start)
        .collect();
    for (index, start) in starts.iter().enumerate() {
        let block = &text[*start..starts.get(index + 1).copied().unwrap_or(text.len())];
        let label = block.lines().next().unwrap_or_default();
        if label.contains("PRIVATE KEY") {
            keys.push(bare_key(block)?);
        }
    }
    Ok(keys)
}

/// A key without its certificate gets one of its own, which nobody sees: a ring orders its keys by their dates.
fn bare_key(pem: &str) -> Result<SealingKey, String> {
    let key = PrivateKey::from_pem(pem).map_err(|err| err.to_string())?;
    let certificate = SelfSigned::new(SystemTime::now(), Duration::from_hours(1))
        .sign(&key)
        .map_err(|err| err.to_string())?;
    SealingKey::new(key, certificate).map_err(|err| err.to_string())
}

/// The keys of Secrets, alone, in a List or in several documents.
fn secrets(bytes: &[u8], keys: &mut Read) -> Result<(), String> {
    // The error names a place and no text: the file is one of keys.
    let documents = read_stream(bytes, &Limits::default()).map_err(|err| err.to_string())?;
    for document in documents {
        let value = document.value.map_err(|err| err.to_string())?;
        let items = match value.get("items").and_then(Value::as_array) {
            Some(items) => items.iter().collect(),
            None => vec![&value],
        };
        for secret in items {
            of_secret(secret, keys)?;
        }
    }
    Ok(())
}

fn of_secret(secret: &Value, keys: &mut Read) -> Result<(), String> {
    let field = |name: &str| -> Option<Result<Zeroizing<String>, String>> {
        // A backup may have been written by hand.
        let plain = secret.get("stringData").and_then(|data| data.get(name)?.as_str());
        if let Some(plain) = plain {
            return Some(Ok(Zeroizing::new(plain.to_owned())));
        }
        let text = secret.get("data")?.get(name)?.as_str()?;
        let text: Zeroizing<String> =
            Zeroizing::new(text.chars().filter(|c| !c.is_ascii_whitespace()).collect());
        let bytes = STANDARD.decode(text.as_bytes()).ok().map(String::from_utf8);
        Some(match bytes {
            Some(Ok(text)) => Ok(Zeroizing::new(text)),
            _ => Err(format!("data.{name} is not a text in base64")),
        })
    };
    if let Some(identity) = field("identity").transpose()? {
        let identity = Identity::parse(identity.trim()).map_err(|err| format!("data.identity: {err}"))?;
        keys.native.push(identity);
    }
    let Some(key) = field("tls.key").transpose()? else {
        return Ok(());
    };
    let private = PrivateKey::from_pem(&key).map_err(|err| format!("data.tls.key: {err}"))?;
    // For opening it does not matter which certificate a key had, nor whether it is sound.
    let certificate = field("tls.crt").and_then(Result::ok);
    let pair = certificate
        .and_then(|text| Certificate::from_pem(&text).ok())
        .and_then(|certificate| SealingKey::new(private, certificate).ok());
    keys.v1.push(match pair {
        Some(pair) => pair,
        None => bare_key(&key)?,
    });
    Ok(())
}
