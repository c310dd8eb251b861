//! `signet unset`.

use super::set::{ObjectArgs, names};
use crate::command_error::CommandError;
use crate::native;
use crate::output::show;
use crate::sealed_file::Format;
use crate::sound;
use crate::ui::Ui;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Remove values from a SealedSecret
///
/// The file is changed in place; all else in it stays as it is, byte for byte.
/// No private key is needed. A value that a template uses is not removed.
///
/// Git's history keeps the sealed value, and the key that opens it may be old:
/// change the value at its source if it must not be known any more.
///
/// Example: a token that is no longer used
///
///     signet unset shop/db.yaml legacy-token
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct UnsetArgs {
    /// The file to change
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The keys to remove
    #[arg(value_name = "KEY", required = true)]
    keys: Vec<String>,
    #[command(flatten)]
    object: ObjectArgs,
}

impl UnsetArgs {
    pub(crate) fn run(&self, ui: &Ui) -> Result<ExitCode, CommandError> {
        let (mut file, index) = self.object.in_file(&self.file)?;
        let object = &file.objects[index];
        let missing: Vec<&str> = self
            .keys
            .iter()
            .map(String::as_str)
            .filter(|key| !object.has(key))
            .collect();
        if !missing.is_empty() {
            return Err(CommandError::user(
                format!(
                    "{} has no value of {}",
                    object.shown(),
                    names(missing.into_iter())
                ),
                format!(
                    "it has {}",
                    names(object.sealed().into_iter().map(|(key, _)| key))
                ),
            ));
        }
        if object.format == Format::V2 {
            let new = native::parse(object)?
                .unset(self.keys.iter().map(String::as_str))
                .map_err(|err| native::refused(object, &err))?;
            native::put(&mut file, index, &new)?;
        } else {
            file.change(index, |editor, document, at| {
                self.keys
                    .iter()
                    .try_for_each(|key| editor.remove(document, &at.within(["spec", "encryptedData", key])))
            })?;
        }
        sound::check(&file, index)?;
        let done = format!(
            "Removed {} of {} from {}.",
            names(self.keys.iter().map(String::as_str)),
            file.objects[index].shown(),
            show(&self.file)
        );
        file.write()?;
        ui.status(done);
        Ok(ExitCode::SUCCESS)
    }
}
