//! What was done, for people and for programs.

use super::install::{Change, Told};
use crate::args::Format;
use crate::command_error::CommandError;
use crate::commands::status;
use crate::table::{self, Cell};
use crate::ui::{Style, Ui};
use crds::Sync;
use serde_json::{Value, json};
use std::time::Instant;

/// What has been done so far.
#[derive(Default)]
pub(super) struct Report {
    /// Files that the repository lacked.
    pub(super) files: Vec<String>,
    /// Whether those are committed and pushed.
    pub(super) committed: bool,
    pub(super) objects: Vec<Told>,
    /// Sealing keys that were put back.
    pub(super) keys: usize,
    pub(super) deploy_key: String,
    steps: Vec<(&'static str, f64)>,
}

impl Report {
    /// Says how long a step took that began then.
    pub(super) fn step(&mut self, ui: &Ui, name: &'static str, began: Instant, sentence: &str) {
        let seconds = began.elapsed().as_secs_f64();
        ui.status(format!("{sentence} ({seconds:.1} s)"));
        self.steps.push((name, seconds));
    }

    pub(super) fn count(&self, change: Change) -> usize {
        self.objects.iter().filter(|(_, found)| *found == change).count()
    }

    /// Whether nothing had to be done.
    pub(super) fn is_nothing(&self) -> bool {
        let done = self.count(Change::Created) + self.count(Change::Changed);
        self.files.is_empty() && done + self.keys == 0
    }

    pub(super) fn print(
        &self,
        ui: &Ui,
        format: Format,
        about: &Value,
        sync: Option<&Sync>,
    ) -> Result<(), CommandError> {
        if format == Format::Json {
            let mut value = about.clone();
            value["files"] = json!(self.files);
            value["committed"] = self.committed.into();
            value["keysRestored"] = self.keys.into();
            value["deployKey"] = Some(self.deploy_key.as_str())
                .filter(|key| !key.is_empty())
                .into();
            let objects = self.objects.iter();
            let objects = objects.map(|(object, change)| json!({"object": object, "change": change.word()}));
            value["objects"] = objects.collect();
            let steps = self.steps.iter();
            let steps = steps.map(|(step, seconds)| json!({"step": step, "seconds": seconds}));
            value["steps"] = steps.collect();
            value["ready"] = sync.is_some().into();
            let status = sync.and_then(|sync| sync.status.as_ref());
            value["revision"] = status.map(|status| status.revision.as_str()).into();
            return Ok(ui.write(format!("{value:#}\n"))?);
        }
        if let Some(sync) = sync {
            return Ok(ui.write(status::render(ui, std::slice::from_ref(sync)))?);
        }
        let file = |path: &String| {
            vec![
                Cell::new(format!("file {path}")),
                Cell::styled("committed", Style::Good),
            ]
        };
        let object =
            |(object, change): &Told| vec![Cell::new(object), Cell::styled(change.word(), Style::Waiting)];
        let changed = self
            .objects
            .iter()
            .filter(|(_, change)| matches!(change, Change::Created | Change::Changed));
        let rows: Vec<_> = self.files.iter().map(file).chain(changed.map(object)).collect();
        if !rows.is_empty() {
            ui.write(table::render(ui, &["WHAT", "WOULD BE"], &rows))?;
        }
        Ok(())
    }
}
