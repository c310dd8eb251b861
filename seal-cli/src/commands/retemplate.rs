//! `signet retemplate`.

use super::set::ObjectArgs;
use crate::cli::GlobalArgs;
use crate::command_error::CommandError;
use crate::native;
use crate::output::show;
use crate::private_keys::PrivateKeyArgs;
use crate::sealed_file::Format;
use crate::sound;
use crate::trust::SealForArgs;
use crate::ui::Ui;
use clap::Args;
use sealing::{Printable, is_data_key};
use serde_json::{Map, Value};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Change what a SealedSecret's Secret looks like beside its values
///
/// Type, labels, annotations, and texts that sealed values are put into. The
/// file is changed in place. In format v1 values are not bound to the template, so
/// no private key is needed. In the native format they are: it takes one (--key).
///
/// `KEY=VALUE` sets a label, an annotation or a text, `KEY-` removes it.
///
/// Example: a label, and a file with the password in it
///
///     signet retemplate shop/db.yaml --label app=db \
///       --data 'pgpass=db:5432:*:shop:{{ .password }}'
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct RetemplateArgs {
    /// The file to change
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The Secret's type, such as kubernetes.io/tls
    #[arg(long = "type", value_name = "TYPE")]
    type_: Option<String>,
    /// Whether the Secret is immutable
    #[arg(long, value_name = "true|false")]
    immutable: Option<bool>,
    /// A label of the Secret
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// An annotation of the Secret
    #[arg(long, value_name = "KEY=VALUE")]
    annotation: Vec<String>,
    /// A text of the Secret, with `{{ .key }}` for sealed values (native format: `${key}`); `KEY@FILE` takes it from a file
    #[arg(long, value_name = "KEY=TEMPLATE")]
    data: Vec<String>,
    #[command(flatten)]
    object: ObjectArgs,
    #[command(flatten)]
    private: PrivateKeyArgs,
    #[command(flatten)]
    seal_for: SealForArgs,
}

/// One entry to set or, without a value, to remove.
struct Change {
    way: Vec<String>,
    value: Option<Value>,
}

impl Change {
    fn apply(&self, template: &mut Value) -> Result<(), CommandError> {
        let Some((last, before)) = self.way.split_last() else {
            return Ok(());
        };
        let mut at = template;
        for key in before {
            if !at.get(key).is_some_and(Value::is_object) {
                at[key] = Value::Object(Map::new());
            }
            at = &mut at[key];
        }
        if let Some(value) = &self.value {
            at[last] = value.clone();
            return Ok(());
        }
        let gone = at.as_object_mut().and_then(|fields| fields.remove(last));
        gone.map(drop).ok_or_else(|| {
            CommandError::user(
                format!("the template has no {}", Printable(&self.way.join("."))),
                "is it the right key?",
            )
        })
    }
}

impl RetemplateArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        let changes = self.changes()?;
        let (mut file, index) = self.object.in_file(&self.file)?;
        let object = &file.objects[index];
        if object.format == Format::V2 {
            let keys = self.private.read()?;
            let unlocked = native::unlock(object, keys.as_ref(), "their template")?;
            let mut template = unlocked.template();
            for change in &changes {
                change.apply(&mut template)?;
            }
            // Every value is sealed anew: all of them are bound to the template.
            let recipients = self.seal_for.recipients(ui, global, &self.file)?;
            let new = unlocked
                .retemplate(&template, &recipients)
                .map_err(|err| native::refused(object, &err))?;
            native::put(&mut file, index, &new)?;
            let braces = |change: &Change| {
                let text = change.value.as_ref().and_then(Value::as_str);
                change.way[0] == "data" && text.is_some_and(|text| text.contains("{{"))
            };
            if changes.iter().any(braces) {
                ui.warn(
                    "`{{ … }}` means nothing in a text of the native format: it stays as it is written",
                    "a value is named as ${key}",
                );
            }
        } else {
            file.change(index, |editor, document, at| {
                changes.iter().try_for_each(|change| {
                    let way = at.within(
                        ["spec", "template"]
                            .into_iter()
                            .chain(change.way.iter().map(String::as_str)),
                    );
                    match &change.value {
                        Some(value) => editor.set(document, &way, value),
                        None => editor.remove(document, &way),
                    }
                })
            })?;
        }
        sound::check(&file, index)?;
        let done = format!(
            "Changed the template of {} in {}.",
            file.objects[index].shown(),
            show(&self.file)
        );
        file.write()?;
        ui.status(done);
        Ok(ExitCode::SUCCESS)
    }

    fn changes(&self) -> Result<Vec<Change>, CommandError> {
        let mut changes = Vec::new();
        let mut add = |way: &[&str], value: Option<Value>| {
            changes.push(Change {
                way: way.iter().map(|step| (*step).to_owned()).collect(),
                value,
            });
        };
        if let Some(type_) = &self.type_ {
            add(&["type"], Some(type_.as_str().into()));
        }
        if let Some(immutable) = self.immutable {
            add(&["immutable"], Some(immutable.into()));
        }
        for (field, arguments) in [("labels", &self.label), ("annotations", &self.annotation)] {
            for argument in arguments {
                let (key, value) = entry(argument)?;
                add(&["metadata", field, key], value.map(Into::into));
            }
        }
        for argument in &self.data {
            let (key, value) = match argument.split_once(['=', '@']) {
                Some((key, file)) if argument.as_bytes().get(key.len()) == Some(&b'@') => {
                    (key, Some(read(Path::new(file))?))
                }
                _ => {
                    let (key, value) = entry(argument)?;
                    (key, value.map(str::to_owned))
                }
            };
            if !is_data_key(key) {
                return Err(CommandError::user(
                    format!("`{}` is not a key that a Secret can have", Printable(key)),
                    "a key holds only letters, digits, `-`, `_` and `.`, at most 253 of them",
                ));
            }
            add(&["data", key], value.map(Into::into));
        }
        if changes.is_empty() {
            return Err(CommandError::user(
                "there is nothing to change",
                "give --type, --immutable, --label, --annotation or --data",
            ));
        }
        Ok(changes)
    }
}

fn entry(argument: &str) -> Result<(&str, Option<&str>), CommandError> {
    let parsed = match argument.split_once('=') {
        Some((key, value)) => Some((key, Some(value))),
        None => argument.strip_suffix('-').map(|key| (key, None)),
    };
    parsed.filter(|(key, _)| !key.is_empty()).ok_or_else(|| {
        CommandError::user(
            format!("`{}` is neither KEY=VALUE nor KEY-", Printable(argument)),
            "KEY=VALUE sets, KEY- removes",
        )
    })
}

fn read(path: &Path) -> Result<String, CommandError> {
    fs::read_to_string(path).map_err(|err| {
        CommandError::user(
            format!("cannot read {}: {err}", show(path)),
            "a template is a text in UTF-8",
        )
    })
}
