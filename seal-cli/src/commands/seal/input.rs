//! Reading what is to be sealed.

use super::Refused;
use crate::command_error::CommandError;
use crate::output::show;
use manifest::{Limits, Manifest, Origin, manifests, read_stream};
use std::fs;
use std::io::{self, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Everything that was given, in order.
pub(super) struct Input {
    pub(super) manifests: Vec<Manifest>,
    /// Whether all of it was JSON.
    pub(super) all_json: bool,
    /// What could not be read as objects.
    pub(super) refused: Refused,
}

impl Input {
    /// Reads all files before anything is done with one of them.
    pub(super) fn read(files: &[PathBuf]) -> Result<Self, CommandError> {
        let stdin = [PathBuf::from("-")];
        let files = if files.is_empty() { &stdin } else { files };
        if files.iter().filter(|file| file.as_os_str() == "-").count() > 1 {
            return Err(CommandError::user(
                "standard input is named twice",
                "give `-` once",
            ));
        }
        let mut input = Self {
            manifests: Vec::new(),
            all_json: true,
            refused: Refused::default(),
        };
        for file in files {
            let (name, bytes) = read(file)?;
            input.all_json &= is_json(&bytes);
            input.add(&name, &bytes);
        }
        Ok(input)
    }

    fn add(&mut self, name: &str, bytes: &[u8]) {
        const SYNTAX: &str = "`kubectl create --dry-run=client -f FILE` says more; here the text is not repeated, as it may be secret";
        let limits = Limits::default();
        let file: Arc<str> = name.into();
        let documents = match read_stream(bytes, &limits) {
            Ok(documents) => documents,
            Err(err) => {
                return self.refused.line(
                    format!("{}: {err}", sealing::Printable(name)),
                    err.hint().unwrap_or(SYNTAX),
                );
            }
        };
        for document in documents {
            let origin = Origin {
                file: Arc::clone(&file),
                document: document.number,
                item: None,
                line: document.line,
            };
            let value = match document.value {
                Ok(value) => value,
                Err(err) => {
                    self.refused
                        .line(format!("{origin}: {err}"), err.hint().unwrap_or(SYNTAX));
                    continue;
                }
            };
            for found in manifests(value, &origin, &limits) {
                match found {
                    Ok(found) => self.manifests.push(found),
                    Err(err) => self.refused.line(
                        err.to_string(),
                        err.hint()
                            .unwrap_or("a Secret has apiVersion, kind, and a name in its metadata"),
                    ),
                }
            }
        }
    }
}

fn read(file: &Path) -> Result<(String, Zeroizing<Vec<u8>>), CommandError> {
    if file.as_os_str() != "-" {
        let bytes = fs::read(file).map_err(|err| {
            CommandError::user(
                format!("cannot read {}: {err}", show(file)),
                "give files with manifests, or `-` for standard input",
            )
        })?;
        return Ok((file.to_string_lossy().into_owned(), Zeroizing::new(bytes)));
    }
    if io::stdin().is_terminal() {
        return Err(CommandError::user(
            "standard input is a terminal",
            "give a file, or pipe a manifest in: kubectl create secret … --dry-run=client -o yaml | signet seal",
        ));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    io::stdin().lock().read_to_end(&mut bytes).map_err(|err| {
        CommandError::user(
            format!("cannot read standard input: {err}"),
            "does what is piped in succeed on its own?",
        )
    })?;
    Ok(("standard input".to_owned(), bytes))
}

/// As kubectl tells JSON from YAML: by the first character.
fn is_json(bytes: &[u8]) -> bool {
    matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'['))
}
