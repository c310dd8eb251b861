//! What was found, for people and for programs.

use super::{Checked, Said, Verdict};
use crate::args::Format as Output;
use crate::command_error::CommandError;
use crate::repo_config::Pin;
use crate::sealed_file::Format;
use crate::table::{self, Cell};
use crate::ui::{Style, Ui};
use sealing::v1::Shape;
use sealing::{Printable, v2};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;

pub(super) fn print(ui: &Ui, output: Output, all: &[Checked], pins: &[Pin]) -> Result<(), CommandError> {
    if output == Output::Json {
        let all: Vec<Value> = all.iter().map(|checked| as_json(checked, pins)).collect();
        return Ok(ui.write(format!("{:#}\n", Value::from(all)))?);
    }
    let rows: Vec<Vec<Cell>> = all.iter().map(|checked| row(checked, pins)).collect();
    let headings = ["SEALED SECRET", "FORMAT", "SCOPE", "SEALED FOR", "RESULT", "FILE"];
    let mut out = table::render(ui, &headings, &rows);
    for checked in all {
        let lines = lines(checked);
        if !lines.is_empty() {
            let _ = writeln!(out, "\n{}, {}:", checked.object.shown(), Printable(&checked.file));
            for line in lines {
                let _ = writeln!(out, "  {line}");
            }
        }
    }
    ui.write(out)?;
    ui.status(summary(all));
    Ok(())
}

fn summary(all: &[Checked]) -> String {
    let count = |verdict| all.iter().filter(|checked| checked.verdict() == verdict).count();
    let total = match all.len() {
        1 => "1 SealedSecret".to_owned(),
        several => format!("{several} SealedSecrets"),
    };
    match (count(Verdict::WillNotOpen), count(Verdict::LooksRight)) {
        (0, 0) => format!("{total}: all open."),
        (0, _) => format!("Nothing speaks against {total}; whether the values open, only a key can tell."),
        (bad, _) => format!("{bad} of {total} will not open."),
    }
}

/// Everything that is said of it, what a key said before what can be seen.
fn lines(checked: &Checked) -> Vec<String> {
    let mut lines = match &checked.said {
        Some(Said::Closed(problems)) => problems.clone(),
        // What it says about itself cannot be wrong then.
        Some(Said::Opens) => return Vec::new(),
        None => Vec::new(),
    };
    let known: BTreeSet<String> = lines.iter().cloned().collect();
    let seen = checked.seen.iter().map(|seen| seen.message.clone());
    lines.extend(seen.filter(|message| !known.contains(message)));
    lines
}

fn row(checked: &Checked, pins: &[Pin]) -> Vec<Cell> {
    let result = match checked.verdict() {
        Verdict::Opens => Cell::styled("opens", Style::Good),
        Verdict::LooksRight => Cell::new("looks right"),
        Verdict::WillNotOpen => Cell::styled("will not open", Style::Bad),
    };
    let keys: Vec<String> = keys(checked, pins)
        .into_iter()
        .map(|(key, state)| match state {
            Some("listed") | None => key,
            Some(state) => format!("{key} ({state})"),
        })
        .collect();
    let format = match checked.object.format {
        Format::V1 => "v1",
        Format::V2 => "v2",
    };
    vec![
        Cell::new(checked.object.shown()),
        Cell::new(format),
        Cell::new(checked.object.scope().as_str()),
        Cell::whole(keys.join(", ")),
        result,
        Cell::new(&checked.file),
    ]
}

/// The keys that its values are sealed for, and what is known of each: format v1 shows a key's size, and no more.
fn keys(checked: &Checked, pins: &[Pin]) -> Vec<(String, Option<&'static str>)> {
    let object = &checked.object;
    let found: BTreeSet<(String, Option<&'static str>)> = match object.format {
        Format::V1 => object
            .sealed()
            .into_iter()
            .filter_map(|(_, sealed)| Shape::of(sealed).ok())
            .map(|shape| (format!("RSA {}", shape.key_bits), None))
            .collect(),
        Format::V2 => v2::SealedSecret::parse(&object.value).map_or_else(
            |_| BTreeSet::new(),
            |sealed| {
                let ids = sealed.recipients().into_iter();
                ids.map(|id| (id.to_string(), state(id, pins))).collect()
            },
        ),
    };
    found.into_iter().collect()
}

/// Whether the repository knows a key.
fn state(id: &v2::KeyId, pins: &[Pin]) -> Option<&'static str> {
    if pins.iter().all(|pin| pin.native().next().is_none()) {
        None
    } else if pins.iter().any(|pin| pin.is_recipient(id)) {
        Some("listed")
    } else if pins.iter().any(|pin| pin.is_former(id.as_str())) {
        Some("former")
    } else {
        Some("unknown")
    }
}

fn as_json(checked: &Checked, pins: &[Pin]) -> Value {
    let object = &checked.object;
    let keys: Vec<Value> = keys(checked, pins)
        .into_iter()
        .map(|(key, state)| json!({"key": key, "state": state}))
        .collect();
    let native = (object.format == Format::V2)
        .then(|| v2::SealedSecret::parse(&object.value).ok())
        .flatten();
    json!({
        "file": checked.file,
        "line": object.line,
        "namespace": object.namespace,
        "name": object.name,
        "format": match object.format { Format::V1 => "v1", Format::V2 => "v2" },
        "scope": object.scope().as_str(),
        "sealedFor": keys,
        "templateDigest": native.map(|sealed| sealed.template_digest()),
        "result": match checked.verdict() {
            Verdict::Opens => "opens",
            Verdict::LooksRight => "looks right",
            Verdict::WillNotOpen => "will not open",
        },
        "problems": lines(checked),
    })
}
