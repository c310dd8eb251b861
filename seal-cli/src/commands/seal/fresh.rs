//! Sealing whole Secrets.

use super::Job;
use super::input::Overrides;
use super::{sealer, write};
use crate::command_error::CommandError;
use crate::output;

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
        let source = self.certificate()?;
        let sealed = self.seal_all(sealer::key(&source.certificate)?, &secrets, self.scope())?;
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
        self.ui
            .status(format!("Sealed {count} into {}.", output::show(file)));
        Ok(())
    }
}
