//! Findings for people and for programs.

use super::Output;
use super::finding::{Finding, Level};
use super::sarif;
use crate::command_error::CommandError;
use crate::ui::{Style, Ui};
use sealing::Printable;
use serde_json::{Value, json};

pub(super) fn print(ui: &Ui, output: Output, found: &[Finding], files: usize) -> Result<(), CommandError> {
    match output {
        Output::Text => {
            let lines: String = found.iter().map(|finding| text(ui, finding)).collect();
            ui.write(lines)?;
        }
        Output::Json => {
            let all: Vec<Value> = found.iter().map(json).collect();
            ui.write(format!("{:#}\n", Value::from(all)))?;
        }
        Output::Sarif => ui.write(format!("{:#}\n", sarif::log(found)))?,
    }
    let count = |level| found.iter().filter(|finding| finding.level == level).count();
    ui.status(format!(
        "{}, {} in {}.",
        several(count(Level::Error), "error"),
        several(count(Level::Warning), "warning"),
        several(files, "file")
    ));
    Ok(())
}

fn several(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// `file:line: error: message [rule]`, which editors understand.
fn text(ui: &Ui, finding: &Finding) -> String {
    let level = match finding.level {
        Level::Error => ui.paint(Style::Bad, "error"),
        Level::Warning => ui.paint(Style::Waiting, "warning"),
    };
    let object = finding
        .object
        .as_ref()
        .map(|object| format!("{object}: "))
        .unwrap_or_default();
    format!(
        "{}:{}: {level}: {object}{} [{}]\n  hint: {}\n",
        Printable(&finding.place.file),
        finding.place.line,
        finding.message,
        finding.rule.id(),
        finding.hint
    )
}

fn json(finding: &Finding) -> Value {
    json!({
        "rule": finding.rule.id(), "level": level(finding.level), "file": finding.place.file,
        "line": finding.place.line, "object": finding.object, "message": finding.message, "hint": finding.hint,
    })
}

pub(super) fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
    }
}
