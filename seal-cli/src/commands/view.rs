//! `signet view`.

use crate::args::{Format as Output, OutputArg};
use crate::command_error::CommandError;
use crate::opening::{self, Outcome};
use crate::output::show;
use crate::private_keys::{PrivateKeyArgs, PrivateKeys};
use crate::sealed_file::{Format, SealedFile, SealedObject};
use crate::table::{self, Cell};
use crate::ui::{Style, Ui};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use sealing::Plaintext;
use sealing::v1::Shape;
use sealing::v2::{self, KeyId, Unlocked};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// Show what is in SealedSecrets
///
/// Names, scopes, keys and sizes can be seen without a private key. With one
/// (--key) it also says which key opened each value. The values
/// themselves are printed only if --show-values asks for it as well.
///
/// Example: what is in a file
///
///     signet view shop/db.yaml
///
/// Example: one value, with the recovery key, for a program
///
///     signet view shop/db.yaml --key recovery.pem --show-values -o json
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct ViewArgs {
    /// Files to look into
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Only this SealedSecret: NAME or NAMESPACE/NAME
    #[arg(long, value_name = "NAME")]
    object: Option<String>,
    /// Print the values in plain text
    #[arg(long)]
    show_values: bool,
    #[command(flatten)]
    private: PrivateKeyArgs,
    #[command(flatten)]
    output: OutputArg,
}

/// One value, as far as it can be seen.
struct Row {
    key: String,
    size: Option<usize>,
    sealed_for: String,
    opened_by: Option<String>,
    problem: Option<String>,
    value: Option<Plaintext>,
}

impl ViewArgs {
    pub(crate) fn run(&self, ui: &Ui) -> Result<ExitCode, CommandError> {
        let keys = self.private.read()?;
        if self.show_values && keys.is_none() {
            return Err(CommandError::user(
                "values cannot be shown without a private key",
                "give --key FILE",
            ));
        }
        let mut texts = Vec::new();
        let mut objects = Vec::new();
        let mut closed = false;
        for path in &self.files {
            let file = SealedFile::read(path)?;
            let selected: Vec<&SealedObject> = match &self.object {
                Some(wanted) => vec![file.select(Some(wanted))?],
                None if file.objects.is_empty() => vec![file.select(None)?],
                None => file.objects.iter().collect(),
            };
            for object in selected {
                let rows = rows(object, keys.as_ref());
                closed |= keys.is_some() && rows.iter().any(|row| row.value.is_none());
                match self.output.output {
                    Output::Table => texts.push(self.text(ui, object, &rows, &show(path))),
                    Output::Json => objects.push(self.json(object, &rows, &show(path))),
                }
            }
        }
        let text = zeroize::Zeroizing::new(match self.output.output {
            Output::Table => texts.join("\n"),
            Output::Json => format!("{:#}\n", Value::from(objects)),
        });
        ui.write(text.as_bytes())?;
        Ok(ExitCode::from(u8::from(closed)))
    }

    fn text(&self, ui: &Ui, object: &SealedObject, rows: &[Row], path: &str) -> String {
        let kind = match object.format {
            Format::V1 => "format v1",
            Format::V2 => "native format",
        };
        let mut out = format!(
            "{} ({path} line {}, {kind}, scope {})\n",
            ui.paint(Style::Heading, &object.shown()),
            object.line,
            object.scope()
        );
        let mut headings = vec!["KEY", "SIZE", "SEALED FOR"];
        let opened = rows
            .iter()
            .any(|row| row.opened_by.is_some() || row.problem.is_some());
        if opened {
            headings.push("OPENED BY");
        }
        if self.show_values {
            headings.push("VALUE");
        }
        let cells: Vec<Vec<Cell>> = rows
            .iter()
            .map(|row| {
                let mut cells = vec![
                    Cell::new(&row.key),
                    Cell::new(row.size.map_or_else(|| "?".to_owned(), |size| size.to_string())),
                    Cell::new(&row.sealed_for),
                ];
                if opened {
                    cells.push(match (&row.opened_by, &row.problem) {
                        (Some(key), _) => Cell::new(key),
                        (None, problem) => Cell::styled(problem.as_deref().unwrap_or("?"), Style::Bad),
                    });
                }
                if self.show_values {
                    cells.push(Cell::whole(shown_value(row)));
                }
                cells
            })
            .collect();
        out.push_str(&table::render(ui, &headings, &cells));
        out
    }

    fn json(&self, object: &SealedObject, rows: &[Row], path: &str) -> Value {
        let values: Vec<Value> = rows
            .iter()
            .map(|row| {
                let mut value = json!({"key": row.key, "size": row.size, "sealedFor": row.sealed_for});
                if let Some(by) = &row.opened_by {
                    value["openedBy"] = by.as_str().into();
                }
                if let Some(problem) = &row.problem {
                    value["problem"] = problem.as_str().into();
                }
                if let Some(plain) = row.value.as_ref().filter(|_| self.show_values) {
                    value["value"] = STANDARD.encode(plain.expose()).into();
                }
                value
            })
            .collect();
        json!({
            "file": path, "line": object.line, "name": object.name, "namespace": object.namespace,
            "format": match object.format { Format::V1 => "v1", Format::V2 => "v2" },
            "scope": object.scope().as_str(), "values": values,
        })
    }
}

fn rows(object: &SealedObject, keys: Option<&PrivateKeys>) -> Vec<Row> {
    let native = match object.format {
        Format::V1 => Err(String::new()),
        Format::V2 => v2::SealedSecret::parse(&object.value).map_err(|problems| first(&problems)),
    };
    let opened = match (&native, keys) {
        (Ok(sealed), Some(keys)) => Some(
            sealed
                .unlock(&keys.identities)
                .map_err(|problems| first(&problems)),
        ),
        _ => None,
    };
    object
        .sealed()
        .into_iter()
        .map(|(key, sealed)| match object.format {
            Format::V1 => v1_row(object, key, sealed, keys),
            Format::V2 => v2_row(&native, opened.as_ref(), key),
        })
        .collect()
}

impl Row {
    /// Of which only the key is known.
    fn unknown(key: &str) -> Self {
        Self {
            key: key.to_owned(),
            size: None,
            sealed_for: "?".to_owned(),
            opened_by: None,
            problem: None,
            value: None,
        }
    }
}

fn first(problems: &[impl ToString]) -> String {
    problems.first().map_or_else(String::new, ToString::to_string)
}

/// A value of the native format: the keys that open it stand in the file.
fn v2_row(
    native: &Result<v2::SealedSecret, String>,
    opened: Option<&Result<Unlocked, String>>,
    key: &str,
) -> Row {
    let mut row = Row::unknown(key);
    match native {
        Err(problem) => row.problem = Some(problem.clone()),
        Ok(sealed) => {
            if let Some((_, outline)) = sealed.outline().find(|(own, _)| *own == key) {
                row.size = Some(outline.at_most);
                let ids: Vec<&str> = outline.recipients.iter().map(KeyId::as_str).collect();
                row.sealed_for = ids.join(" ");
            }
        }
    }
    match opened {
        None => {}
        Some(Err(problem)) => row.problem = Some(problem.clone()),
        Some(Ok(unlocked)) => {
            row.value = unlocked
                .values()
                .get(key)
                .map(|value| Plaintext::new(value.expose().to_vec()));
            row.opened_by = row.value.as_ref().map(|_| "a key that was given".to_owned());
        }
    }
    row
}

fn v1_row(object: &SealedObject, key: &str, sealed: &str, keys: Option<&PrivateKeys>) -> Row {
    let mut row = Row::unknown(key);
    match Shape::of(sealed) {
        Ok(shape) => {
            row.size = Some(shape.value_len);
            row.sealed_for = format!("a key of {} bits", shape.key_bits);
        }
        Err(err) => row.problem = Some(err.to_string()),
    }
    if let (Some(keys), None) = (keys, &row.problem) {
        match opening::open(&keys.ring, object, sealed, &[]) {
            Outcome::Opened { value, by } => {
                row.opened_by = Some(by.as_str().to_owned());
                row.value = Some(value);
            }
            Outcome::Elsewhere(place) => row.problem = Some(format!("it is sealed for {place}")),
            Outcome::Closed(err) => row.problem = Some(err.to_string()),
        }
    }
    row
}

/// A value on one line; what is no text is base64, and says so.
fn shown_value(row: &Row) -> String {
    match &row.value {
        None => String::new(),
        Some(value) => match std::str::from_utf8(value.expose()) {
            Ok(text) if !text.contains(|c: char| c.is_control()) => text.to_owned(),
            _ => format!("base64:{}", STANDARD.encode(value.expose())),
        },
    }
}
