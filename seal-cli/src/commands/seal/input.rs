//! Reading what is to be worked on.

use super::Job;
use super::refused::Refused;
use crate::command_error::CommandError;
use crate::output::show;
use manifest::{Limits, Manifest, Origin, manifests, read_stream};
use serde_json::Value;
use std::fs;
use std::io::{self, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What kubeseal says of a file that it cannot read.
pub(super) const UNREADABLE: &str = "Could not read file specified with --secret-file";

/// Everything that was given, in order.
pub(super) struct Input {
    pub(super) manifests: Vec<Manifest>,
    /// Whether all of it was JSON.
    pub(super) all_json: bool,
    /// What could not be read as objects.
    pub(super) refused: Refused,
}

/// Bytes of a file, and what it is called in messages.
type Named = (String, Zeroizing<Vec<u8>>);

/// Name and namespace that win over what a Secret says of itself.
#[derive(Default)]
pub(super) struct Overrides {
    pub(super) name: Option<String>,
    pub(super) namespace: Option<String>,
}

impl Job<'_> {
    /// Reads all files before anything is done with one of them.
    pub(super) fn read_input(&self, overrides: &Overrides) -> Result<Input, CommandError> {
        let mut input = Input {
            manifests: Vec::new(),
            all_json: true,
            refused: Refused::default(),
        };
        for (name, bytes) in self.read_files()? {
            input.all_json &= is_json(&bytes);
            input.add(&name, &bytes, overrides);
        }
        Ok(input)
    }

    /// The bytes of every file, with a name for messages.
    fn read_files(&self) -> Result<Vec<Named>, CommandError> {
        let mut files = self.files();
        if files.is_empty() {
            files.push(PathBuf::from("-"));
        }
        if files.iter().filter(|file| file.as_os_str() == "-").count() > 1 {
            return Err(CommandError::user(
                "standard input is named twice",
                "give `-` once",
            ));
        }
        files.iter().map(|file| self.read_file(file)).collect()
    }

    fn read_file(&self, file: &Path) -> Result<Named, CommandError> {
        if file.as_os_str() != "-" {
            let problem = if self.is_kubeseal() {
                UNREADABLE
            } else {
                "cannot read"
            };
            let bytes = fs::read(file).map_err(|err| {
                CommandError::user(
                    format!("{problem} {}: {err}", show(file)),
                    "give files with manifests, or `-` for standard input",
                )
            })?;
            return Ok((file.to_string_lossy().into_owned(), Zeroizing::new(bytes)));
        }
        self.read_stdin("json/yaml k8s resource in stdin")
            .map(|bytes| ("standard input".to_owned(), bytes))
    }

    /// All of standard input. kubeseal tells a person at a terminal that it waits, and waits.
    pub(super) fn read_stdin(&self, expected: &str) -> Result<Zeroizing<Vec<u8>>, CommandError> {
        if io::stdin().is_terminal() {
            if !self.is_kubeseal() {
                return Err(CommandError::user(
                    "standard input is a terminal",
                    "give a file, or pipe a manifest in: kubectl create secret … --dry-run=client -o yaml | signet seal",
                ));
            }
            self.ui.note(format!("(tty detected: expecting {expected})"));
        }
        let mut bytes = Zeroizing::new(Vec::new());
        io::stdin().lock().read_to_end(&mut bytes).map_err(|err| {
            CommandError::user(
                format!("cannot read standard input: {err}"),
                "does what is piped in succeed on its own?",
            )
        })?;
        Ok(bytes)
    }
}

impl Input {
    /// Takes a stream apart.
    pub(super) fn add(&mut self, name: &str, bytes: &[u8], overrides: &Overrides) {
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
            let mut value = match document.value {
                Ok(value) => value,
                Err(err) => {
                    self.refused
                        .line(format!("{origin}: {err}"), err.hint().unwrap_or(SYNTAX));
                    continue;
                }
            };
            overrides.apply(&mut value);
            for found in manifests(value, &origin, &limits) {
                match found {
                    Ok(found) => self.manifests.push(found),
                    Err(err) => self.refused.no_object(&err),
                }
            }
        }
    }
}

impl Overrides {
    fn apply(&self, value: &mut Value) {
        if self.name.is_none() && self.namespace.is_none() {
            return;
        }
        // A List's items; how deep it may go, the reader has bounded.
        if let Some(items) = value.get_mut("items").and_then(Value::as_array_mut) {
            for item in items {
                self.apply(item);
            }
            return;
        }
        let Some(object) = value.as_object_mut() else {
            return;
        };
        let metadata = object
            .entry("metadata")
            .or_insert_with(|| Value::Object(serde_json::Map::new()));
        if metadata.is_null() {
            *metadata = Value::Object(serde_json::Map::new());
        }
        let Some(metadata) = metadata.as_object_mut() else {
            return;
        };
        for (field, text) in [("name", &self.name), ("namespace", &self.namespace)] {
            if let Some(text) = text {
                metadata.insert(field.to_owned(), text.as_str().into());
            }
        }
    }
}

/// As kubectl tells JSON from YAML: by the first character.
fn is_json(bytes: &[u8]) -> bool {
    matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'['))
}
