//! What one run came to, in a form in which two can be compared.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use sealing::{Certificate, KeyRing, PrivateKey, SealingKey};
use serde_json::{Value, json};
use tests::command::Answer;

use super::{Departure, inputs};

/// What scripts look for on standard error. Where kubeseal says one of these, so does `signet`.
const LOOKED_FOR: [&str; 16] = [
    "no secrets found. Ensure the input is valid and UTF-8 encoded",
    "secret.data is empty in input Secret, assuming this is an error and aborting. To work with empty data, \
     --allow-empty-data can be used",
    "missing metadata.name in input Secret",
    "secret must declare a namespace",
    "namespace mismatch: input secret is in namespace",
    "must provide the --name flag with --raw and --scope",
    "must provide the --namespace flag with --raw and --scope",
    "must provide only one --from-file when encrypting a single item with --raw",
    "failed to encrypt using an expired certificate on July 16, 2017",
    "--from-file requires --raw",
    "unsupported output format: xml",
    "no such file or directory",
    "Could not read file specified with --secret-file",
    "no key could decrypt secret",
    "cannot get sealed secret service",
    "cannot fetch",
];

/// One run.
pub(super) struct Outcome {
    answer: Answer,
    /// Standard output and each new or changed file: its objects with every sealed value opened, or its text.
    written: BTreeMap<String, Vec<Value>>,
    format: String,
    new_files: usize,
}

impl Outcome {
    pub(super) fn new(answer: Answer, dir: &Path, files_before: usize) -> Self {
        let mut written = BTreeMap::new();
        let mut format = shape(&answer.stdout);
        // What a wrong command line prints is for people.
        if answer.code != 2 {
            written.insert("standard output".to_owned(), opened(&answer.stdout));
        }
        for name in ["out", "out.yaml", "out.json"] {
            if let Ok(text) = std::fs::read_to_string(dir.join(name)) {
                format += &shape(&text);
                written.insert(name.to_owned(), opened(&text));
            }
        }
        let new_files = std::fs::read_dir(dir).unwrap().count() - files_before;
        Self {
            answer,
            written,
            format,
            new_files,
        }
    }

    pub(super) fn shown(&self) -> String {
        format!(
            "{}\n{}\n",
            self.answer,
            serde_json::to_string_pretty(&self.written).unwrap()
        )
    }

    /// Compares, and says what differs.
    pub(super) fn against(&self, theirs: &Self, departs: Option<(&str, Departure)>) -> Result<(), String> {
        let said = &self.answer.stderr;
        if let Some((why, what)) = departs {
            return match what {
                Departure::Refuses(message) if self.answer.code == 1 && said.contains(message) => Ok(()),
                Departure::Writes(text) if self.answer.code == 0 && self.has(text) => Ok(()),
                _ => Err(format!("it departs ({why}), but not so")),
            };
        }
        if self.answer.code != theirs.answer.code {
            return Err("the exit codes".to_owned());
        }
        if self.answer.code == 1 && !said.starts_with("error: ") {
            return Err("standard error begins otherwise".to_owned());
        }
        if self.answer.code == 0 && !said.is_empty() {
            return Err("standard error is not empty".to_owned());
        }
        let missing = LOOKED_FOR
            .iter()
            .find(|text| theirs.answer.stderr.contains(**text) && !said.contains(**text));
        if let Some(missing) = missing {
            return Err(format!("kubeseal says `{missing}`"));
        }
        // kubeseal writes one document before it finds that the next is bad. Nothing or all is written here.
        if self.answer.code == 1 {
            return if self.answer.stdout.is_empty() {
                Ok(())
            } else {
                Err("there is output".to_owned())
            };
        }
        if self.answer.code == 2 {
            let last = |text: &str| text.trim_end().lines().last().unwrap_or_default().to_owned();
            let strip = |text: String| text.split(": strconv").next().unwrap_or_default().to_owned();
            let (ours, theirs) = (
                strip(last(&self.answer.stdout)),
                strip(last(&theirs.answer.stdout)),
            );
            return if ours.starts_with(&theirs) {
                Ok(())
            } else {
                Err(format!("`{theirs}` is said as `{ours}`"))
            };
        }
        if (self.format.as_str(), self.new_files) != (theirs.format.as_str(), theirs.new_files) {
            return Err("the format, or the files".to_owned());
        }
        if self.written != theirs.written {
            return Err("the content".to_owned());
        }
        Ok(())
    }

    fn has(&self, text: &str) -> bool {
        serde_json::to_string(&self.written).unwrap().contains(text)
    }
}

/// Whether a text is JSON or YAML, and whether it ends with a line end.
fn shape(text: &str) -> String {
    let kind = match text.trim_start() {
        "" => "nothing",
        text if text.starts_with('{') => "JSON",
        text if text.starts_with("---\n") => "YAML",
        _ => "text",
    };
    format!(
        "{kind}{} ",
        if text.ends_with('\n') {
            ""
        } else {
            " without a line end"
        }
    )
}

/// The objects of a text, with their sealed values opened; a sealed value alone, opened; else the text.
fn opened(text: &str) -> Vec<Value> {
    if text.contains("-----BEGIN") {
        return vec![json!(text)];
    }
    let ring = ring();
    let documents = manifest::read_stream(text.as_bytes(), &manifest::Limits::default()).unwrap_or_default();
    documents
        .into_iter()
        .map(|document| match document.value {
            Ok(Value::String(text)) => {
                let opens = inputs::LABELS.iter().find_map(|label| {
                    let value = ring.open(&text, label.as_bytes()).ok()?;
                    Some(json!({(*label): String::from_utf8_lossy(value.expose())}))
                });
                opens.unwrap_or_else(|| json!(text))
            }
            Ok(object) => open_object(object, &ring),
            Err(error) => json!(error.to_string()),
        })
        .collect()
}

fn open_object(mut object: Value, ring: &KeyRing) -> Value {
    if object["kind"] == "SealedSecret" {
        let namespace = object["metadata"]["namespace"]
            .as_str()
            .unwrap_or("anywhere")
            .to_owned();
        let opens = sealing::SealedSecret::parse(&object)
            .map_err(|errors| format!("{errors:?}"))
            .and_then(|sealed| {
                sealed
                    .open(ring, &namespace)
                    .map_err(|errors| format!("{errors:?}"))
            });
        object["spec"]["encryptedData"] = match opens {
            Ok(opened) => {
                let secret: Value = serde_json::from_slice(&opened.write_json()).unwrap();
                secret["data"].clone()
            }
            Err(errors) => json!(errors),
        };
    }
    // A field that is empty says what a field that is absent says, and an owner without a uid is none.
    strip_empty(&mut object);
    object
}

fn strip_empty(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.values_mut().for_each(strip_empty);
        let empty = |value: &Value| value.is_null() || *value == json!({});
        fields.retain(|name, value| !empty(value) && name != "ownerReferences");
    }
}

fn ring() -> KeyRing {
    let key = PrivateKey::from_pem(inputs::KEY).unwrap();
    KeyRing::new([SealingKey::new(key, Certificate::from_pem(inputs::CERTIFICATE).unwrap()).unwrap()])
}

/// A certificate of July 2017.
pub(super) fn expired() -> String {
    let key = PrivateKey::from_pem(inputs::KEY).unwrap();
    let from = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_500_086_407);
    let certificate = sealing::SelfSigned::new(from, std::time::Duration::from_hours(24))
        .sign(&key)
        .unwrap();
    certificate.to_pem().to_owned()
}
