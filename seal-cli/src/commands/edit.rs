//! `signet edit`.

use super::rename::open_all;
use super::set::{ObjectArgs, names, public_key, seal_all};
use crate::cli::GlobalArgs;
use crate::command_error::CommandError;
use crate::editor;
use crate::native;
use crate::new_value::NewValue;
use crate::output::show;
use crate::private_file::PrivateFile;
use crate::private_keys::PrivateKeyArgs;
use crate::sealed_file::Format;
use crate::sound;
use crate::trust::SealForArgs;
use crate::ui::Ui;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use manifest::{Limits, read_document};
use sealing::{Plaintext, is_data_key};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use zeroize::Zeroizing;

const HEADER: &str = "\
# The values of this SealedSecret. Change, add and remove entries, save, and leave the editor: what was changed is sealed
# again, all else stays. Texts stand in stringData; what is no text stands in data, as base64. Leave it as it is to change
# nothing.
";

/// Edit the values of a SealedSecret in your editor
///
/// Opens them with a private key (--key), shows them in the editor that EDITOR
/// names, and seals what was changed. Values that were not changed keep their
/// lines. Without a private key nothing can be shown: use `signet set` then.
///
/// The editor gets a file that lies in memory (XDG_RUNTIME_DIR or /dev/shm) and
/// not on a disk, can be read by you only, and is wiped afterwards, whatever
/// happens short of a SIGKILL. An editor that keeps copies elsewhere (backups,
/// undo files) keeps them: switch that off.
///
/// Example:
///
///     signet edit shop/db.yaml --key recovery.pem
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct EditArgs {
    /// The file to change
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    object: ObjectArgs,
    #[command(flatten)]
    private: PrivateKeyArgs,
    #[command(flatten)]
    seal_for: SealForArgs,
}

impl EditArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        let (mut file, index) = self.object.in_file(&self.file)?;
        let object = &file.objects[index];
        let namespace = self.object.place(object)?;
        let keys = self.private.read()?.ok_or_else(|| {
            CommandError::user(
                "values cannot be shown without a private key",
                "give --key FILE; without one, `signet set FILE KEY` seals a new value for a key",
            )
        })?;
        let unlocked = match object.format {
            Format::V1 => None,
            Format::V2 => Some(native::unlock(object, Some(&keys), "their keys")?),
        };
        let before = match &unlocked {
            None => open_all(&keys.ring, object)?,
            Some(unlocked) => unlocked
                .values()
                .iter()
                .map(|(key, value)| NewValue {
                    key: key.clone(),
                    value: Plaintext::new(value.expose().to_vec()),
                })
                .collect(),
        };
        let changes = edited(ui, &before)?;
        let set: Vec<NewValue> = changes
            .set
            .into_iter()
            .map(|(key, value)| NewValue { key, value })
            .collect();
        if set.is_empty() && changes.removed.is_empty() {
            ui.status("Nothing was changed.");
            return Ok(ExitCode::SUCCESS);
        }
        let keys: Vec<String> = set.iter().map(|new| new.key.clone()).collect();
        if let Some(unlocked) = unlocked {
            let recipients = self.seal_for.recipients(ui, global, &self.file)?;
            let set = set.into_iter().map(|new| (new.key, Some(new.value)));
            let all = set
                .chain(changes.removed.iter().map(|key| (key.clone(), None)))
                .collect();
            let new = unlocked
                .set(&all, &recipients)
                .map_err(|err| native::refused(object, &err))?;
            native::put(&mut file, index, &new)?;
        } else {
            let mut sealed = Vec::new();
            if !set.is_empty() {
                let certificate = self.seal_for.certificate(ui, global, &self.file)?;
                let label = object.scope().label(&namespace, &object.name);
                sealed = seal_all(public_key(&certificate)?, &label, &set)?;
            }
            file.change(index, |editor, document, at| {
                for (key, text) in &sealed {
                    let way = at.within(["spec", "encryptedData", key]);
                    editor.set(document, &way, &text.as_str().into())?;
                }
                changes
                    .removed
                    .iter()
                    .try_for_each(|key| editor.remove(document, &at.within(["spec", "encryptedData", key])))
            })?;
        }
        sound::check(&file, index)?;
        let told = file.objects[index].shown();
        file.write()?;
        let mut done = Vec::new();
        if !keys.is_empty() {
            done.push(format!("set {}", names(keys.iter().map(String::as_str))));
        }
        if !changes.removed.is_empty() {
            done.push(format!(
                "removed {}",
                names(changes.removed.iter().map(String::as_str))
            ));
        }
        ui.status(format!(
            "Changed {told} in {}: {}.",
            show(&self.file),
            done.join(", ")
        ));
        Ok(ExitCode::SUCCESS)
    }
}

/// What an edit came to.
struct Changes {
    set: BTreeMap<String, Plaintext>,
    removed: Vec<String>,
}

/// Shows values in the editor until what comes back can be read.
fn edited(ui: &Ui, before: &[NewValue]) -> Result<Changes, CommandError> {
    let text = written(before);
    let file = PrivateFile::new(&text)?;
    loop {
        editor::run(&file.path)?;
        let bytes = file.read()?;
        if *bytes == text.as_bytes() {
            return Ok(Changes {
                set: BTreeMap::new(),
                removed: Vec::new(),
            });
        }
        match parse(&bytes) {
            Ok(after) => return Ok(compare(before, after)),
            Err(problem) => {
                let err = CommandError::user(
                    format!("what was edited cannot be read, so nothing was changed: {problem}"),
                    "texts stand in stringData, in quotes where they look like numbers or switches; data is base64",
                );
                if !ui.can_ask() {
                    return Err(err);
                }
                err.print(ui);
                if !ui.confirm("Open the editor again?")? {
                    return Err(err);
                }
            }
        }
    }
}

fn written(values: &[NewValue]) -> Zeroizing<String> {
    let (mut texts, mut binary) = (Map::new(), Map::new());
    for new in values {
        match std::str::from_utf8(new.value.expose()) {
            Ok(text) => texts.insert(new.key.clone(), text.into()),
            Err(_) => binary.insert(new.key.clone(), STANDARD.encode(new.value.expose()).into()),
        };
    }
    let mut object = json!({"stringData": texts});
    if !binary.is_empty() {
        object["data"] = Value::Object(binary);
    }
    Zeroizing::new(format!("{HEADER}{}", manifest::write_yaml(&[object])))
}

/// Reads it back. The problem names a place or a key, and quotes no value.
fn parse(bytes: &[u8]) -> Result<BTreeMap<String, Plaintext>, String> {
    let value = read_document(bytes, &Limits::default()).map_err(|err| err.to_string())?;
    let fields = match value {
        Value::Null => Map::new(),
        Value::Object(fields) => fields,
        _ => return Err("it is no mapping with stringData".to_owned()),
    };
    let mut values = BTreeMap::new();
    for (field, entries) in fields {
        let binary = match field.as_str() {
            "stringData" => false,
            "data" => true,
            _ => return Err("only stringData and data may stand at the left".to_owned()),
        };
        let entries = match entries {
            Value::Null => Map::new(),
            Value::Object(entries) => entries,
            _ => return Err(format!("{field} is no mapping")),
        };
        for (key, entry) in entries {
            if !is_data_key(&key) {
                return Err(format!(
                    "{field}.{}: a key holds only letters, digits, `-`, `_` and `.`",
                    sealing::Printable(&key)
                ));
            }
            let Value::String(text) = entry else {
                return Err(format!("{field}.{key} is no text; put quotes around it"));
            };
            let value = if binary {
                let bytes = STANDARD.decode(text.split_whitespace().collect::<String>());
                Plaintext::new(bytes.map_err(|_| format!("data.{key} is not base64"))?)
            } else {
                Plaintext::new(text.into_bytes())
            };
            if values.insert(key.clone(), value).is_some() {
                return Err(format!("{key} stands in stringData and in data"));
            }
        }
    }
    Ok(values)
}

fn compare(before: &[NewValue], mut after: BTreeMap<String, Plaintext>) -> Changes {
    let mut removed = Vec::new();
    for old in before {
        match after.get(&old.key) {
            None => removed.push(old.key.clone()),
            Some(new) if new.expose() == old.value.expose() => drop(after.remove(&old.key)),
            Some(_) => {}
        }
    }
    Changes { set: after, removed }
}
