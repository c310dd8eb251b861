//! The plan and the result, for people and for programs.

use super::carry_out::{Done, Extent};
use super::plan::{Action, KeyAction, Plan};
use crate::args::Format;
use crate::command_error::CommandError;
use crate::table::{self, Cell};
use crate::ui::{Style, Ui};
use serde_json::{Value, json};

pub(super) fn plan(ui: &Ui, output: Format, plan: &Plan, remove: bool) -> Result<(), CommandError> {
    if output == Format::Json {
        return Ok(ui.write(format!("{:#}\n", as_json(plan)))?);
    }
    let mut rows = Vec::new();
    for key in &plan.keys {
        let (action, note) = match key.action {
            KeyAction::Copy => (Cell::styled("copy", Style::Waiting), format!("to {}", plan.ours)),
            KeyAction::There => (Cell::new("none"), "Signet has it".to_owned()),
            KeyAction::NotActive => (
                Cell::new("none"),
                "not active: Bitnami's controller does not load it".to_owned(),
            ),
            KeyAction::Unusable => (
                Cell::styled("none", Style::Bad),
                "not a key that can be used".to_owned(),
            ),
        };
        let note = match &key.fingerprint {
            Some(fingerprint) => format!("{note}, {fingerprint}"),
            None => note,
        };
        rows.push(vec![
            Cell::new(format!("key {}/{}", plan.theirs, key.name)),
            action,
            Cell::new(note),
        ]);
    }
    rows.push(match &plan.workload {
        Some(workload) => vec![
            Cell::new(format!("Deployment {}", workload.shown())),
            if workload.replicas == 0 {
                Cell::new("none")
            } else {
                Cell::styled("stop", Style::Waiting)
            },
            Cell::new(format!("{} replicas", workload.replicas)),
        ],
        None => vec![
            Cell::new(format!("Bitnami's controller in {}", plan.theirs)),
            Cell::styled("none", Style::Bad),
            Cell::new("it has no Deployment there: stop it yourself, and say --stopped"),
        ],
    });
    for step in &plan.objects {
        let style = match step.action {
            Action::TakeOver | Action::Remove => Style::Waiting,
            Action::Refused => Style::Bad,
            Action::None | Action::Foreign => Style::Good,
        };
        rows.push(vec![
            Cell::new(format!("SealedSecret {}", step.object)),
            Cell::styled(step.action.as_str(), style),
            Cell::new(step.notes.join("; ")),
        ]);
    }
    ui.write(table::render(ui, &["OBJECT", "CHANGE", "NOTE"], &rows))?;
    ui.status(if !plan.is_pending() {
        "Nothing is left to do.".to_owned()
    } else if remove {
        "Nothing was changed. --apply detaches each Secret, and then removes its SealedSecret.".to_owned()
    } else {
        "Nothing was changed. --apply does it; every Secret stays as it is.".to_owned()
    });
    Ok(())
}

fn as_json(plan: &Plan) -> Value {
    let keys: Vec<Value> = plan
        .keys
        .iter()
        .map(|key| json!({"name": key.name, "fingerprint": key.fingerprint, "change": key.action.as_str()}))
        .collect();
    let objects: Vec<Value> = plan
        .objects
        .iter()
        .map(|step| json!({"object": step.object, "change": step.action.as_str(), "notes": step.notes}))
        .collect();
    json!({
        "fromNamespace": plan.theirs, "toNamespace": plan.ours, "pending": plan.is_pending(),
        "controller": plan.workload, "keys": keys, "objects": objects,
    })
}

pub(super) fn done(ui: &Ui, output: Format, done: &Done, extent: Extent) -> Result<(), CommandError> {
    if output == Format::Json {
        let text = json!({
            "keys": done.keys, "taken": done.taken, "removed": done.removed, "left": done.left, "record": done.record,
        });
        ui.write(format!("{text:#}\n"))?;
    } else {
        for line in &done.left {
            ui.error(line);
        }
    }
    let count = |count: usize| match count {
        1 => "1 SealedSecret".to_owned(),
        several => format!("{several} SealedSecrets"),
    };
    let what = match extent {
        Extent::Keys => format!("Signet has all keys, {} of them new", done.keys.len()),
        Extent::TakeOver => format!("Signet has taken over {}", count(done.taken.len())),
        Extent::Removal => format!("Removed {}; the Secrets stay", count(done.removed.len())),
    };
    ui.status(format!(
        "{what}. `--undo --record {}` puts all back.",
        done.record
    ));
    Ok(())
}
