//! What the signatures of commits are worth.

use crate::command_error::CommandError;
use crate::output::{reason, show};
use audit::Verdict;
use proof::Trust;
use std::fs;
use std::path::PathBuf;

/// Whose signatures count, if anybody says so.
pub(super) struct Signers(Option<Trust>);

impl Signers {
    pub(super) fn read(files: &[PathBuf]) -> Result<Self, CommandError> {
        if files.is_empty() {
            return Ok(Self(None));
        }
        let mut contents = Vec::new();
        for path in files {
            let bytes = fs::read(path).map_err(|err| {
                CommandError::user(
                    format!("cannot read {}: {}", show(path), reason(&err)),
                    "--signers takes files: allowed_signers, NAME.asc, revoked_keys",
                )
            })?;
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            contents.push((name, bytes));
        }
        let trust = Trust::read(
            contents
                .iter()
                .map(|(name, bytes)| (name.as_str(), bytes.as_slice())),
        );
        let trust = trust.map_err(|err| {
            CommandError::user(
                sealing::Printable(&err.to_string()),
                "the files are those of spec.verify: see docs/verification.md",
            )
        })?;
        Ok(Self(Some(trust)))
    }

    pub(super) fn judge(&self, object: &[u8]) -> Verdict {
        Verdict::of(object, self.0.as_ref())
    }
}
