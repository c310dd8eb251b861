//! What `signet reseal` prints.

use crate::args::Format as Output;
use crate::command_error::CommandError;
use crate::output::show;
use crate::table::{self, Cell};
use crate::ui::Ui;
use reseal::{Changed, Format, Kept, Resealed, Where};
use sealing::Printable;
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;

/// Prints it, and gives the exit code.
pub(super) fn print(
    ui: &Ui,
    output: Output,
    dry_run: bool,
    files: &[(&str, &Resealed)],
) -> Result<ExitCode, CommandError> {
    let left: Vec<(&str, &Kept)> = each(files, |resealed| &resealed.kept)
        .filter(|(_, kept)| !kept.why.is_other_key())
        .collect();
    if output == Output::Json {
        ui.write(format!("{:#}\n", as_json(files)))?;
    } else {
        let rows: Vec<Vec<Cell>> = each(files, |resealed| &resealed.changed).map(row).collect();
        if !rows.is_empty() {
            ui.write(table::render(
                ui,
                &["FILE", "OBJECT", "VALUES", "FROM", "TO"],
                &rows,
            ))?;
        }
    }
    for (file, kept) in &left {
        let key = kept.key.as_deref().map(|key| format!(", key {}", Printable(key)));
        ui.error(format_args!(
            "{}: {}{}: {}",
            show(Path::new(file)),
            kept.place,
            key.unwrap_or_default(),
            kept.why
        ));
    }
    let values: usize = each(files, |resealed| &resealed.changed)
        .map(|(_, changed)| changed.keys.len())
        .sum();
    let count = files
        .iter()
        .filter(|(_, resealed)| !resealed.changed.is_empty())
        .count();
    let others = each(files, |resealed| &resealed.kept).count() - left.len();
    let current: usize = files.iter().map(|(_, resealed)| resealed.current).sum();
    let would = if dry_run { "Would seal" } else { "Sealed" };
    ui.status(format!(
        "{would} {} again in {}; {current} needed no change.",
        plural(values, "value"),
        plural(count, "file")
    ));
    if others > 0 {
        ui.status(format!(
            "{} opened by none of these keys where {}, and stay as they are: `signet keys usage` shows more.",
            if others == 1 {
                "1 value is".to_owned()
            } else {
                format!("{others} values are")
            },
            if others == 1 { "it stands" } else { "they stand" },
        ));
    }
    if left.is_empty() {
        if values > 0 && !dry_run {
            ui.note("hint: look at it with `git diff`, and commit; the old key still opens what is in Git's history");
        }
        return Ok(ExitCode::SUCCESS);
    }
    ui.hint("the old key is still needed for these: seal them again from their source, or give the key that opens them");
    Ok(ExitCode::from(1))
}

fn each<'f, T: 'f>(
    files: &'f [(&'f str, &'f Resealed)],
    of: impl Fn(&'f Resealed) -> &'f Vec<T> + Copy + 'f,
) -> impl Iterator<Item = (&'f str, &'f T)> {
    files
        .iter()
        .flat_map(move |(file, resealed)| of(resealed).iter().map(move |item| (*file, item)))
}

fn row((file, changed): (&str, &Changed)) -> Vec<Cell> {
    vec![
        Cell::new(file),
        Cell::new(changed.place.to_string()),
        Cell::new(changed.keys.join(", ")),
        Cell::new(changed.from.join(", ")),
        Cell::new(changed.to.join(", ")),
    ]
}

fn as_json(files: &[(&str, &Resealed)]) -> Value {
    let changed: Vec<Value> = each(files, |resealed| &resealed.changed)
        .map(|(file, changed)| {
            let mut value = place(file, &changed.place);
            value["keys"] = json!(changed.keys);
            value["from"] = json!(changed.from);
            value["to"] = json!(changed.to);
            value
        })
        .collect();
    let kept: Vec<Value> = each(files, |resealed| &resealed.kept)
        .map(|(file, kept)| {
            let mut value = place(file, &kept.place);
            value["key"] = json!(kept.key);
            value["why"] = kept.why.to_string().into();
            value["otherKey"] = kept.why.is_other_key().into();
            value
        })
        .collect();
    let current: usize = files.iter().map(|(_, resealed)| resealed.current).sum();
    json!({"changed": changed, "kept": kept, "current": current})
}

fn place(file: &str, place: &Where) -> Value {
    let format = match place.format {
        Format::V1 => "V1",
        Format::V2 => "V2",
    };
    json!({"file": file, "document": place.document, "object": place.to_string(), "format": format})
}

fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
