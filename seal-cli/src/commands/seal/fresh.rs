//! Sealing whole Secrets.

use super::Job;
use super::input::Overrides;
use super::{unchanged, write};
use crate::command_error::CommandError;
use crate::output;
use std::fs;

impl Job<'_> {
    /// Seals all that was given, or nothing.
    pub(super) fn seal(&self) -> Result<(), CommandError> {
        let name = self.args.name.clone().filter(|name| !name.is_empty());
        let renames = name.is_some();
        let input = self.read_input(&Overrides {
            name,
            namespace: None,
        })?;
        let secrets = self.secrets(input.manifests, input.refused)?;
        if renames && secrets.len() > 1 {
            return Err(CommandError::user(
                format!("--name gives one name, but there are {} Secrets", secrets.len()),
                "seal them one by one, or leave out --name",
            ));
        }
        let seal_for = self.seal_for(self.sealed_format()?)?;
        let mut sealed = self.seal_all(&seal_for, &secrets, self.scope())?;
        // Without a file there are no lines to keep, and no key is read.
        if let Some(file) = self.output_file()
            && let Some(keys) = self.args.private.read()?
        {
            let there = fs::read(file).map(|bytes| unchanged::objects(file, &bytes));
            let there = there.unwrap_or_default();
            for (secret, sealed) in secrets.iter().zip(&mut sealed) {
                if let Some(before) = unchanged::before(&there, sealed) {
                    *sealed = unchanged::keep(&secret.object, sealed.take(), before, &keys, &seal_for);
                }
            }
        }
        let format = self.format(input.all_json)?;
        let text = write::text(&sealed, format, self.dialect)?;
        let Some(file) = self.output_file() else {
            return Ok(self.ui.write(text)?);
        };
        output::replace(file, &text)?;
        let count = match sealed.len() {
            1 => "1 Secret".to_owned(),
            several => format!("{several} Secrets"),
        };
        self.ui.status(format!(
            "Sealed {count} into {}{}.",
            output::show(file),
            seal_for.told()
        ));
        Ok(())
    }
}
