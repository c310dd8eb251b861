//! `--fetch-cert`: the certificate, as it is served.

use super::Job;
use crate::command_error::CommandError;
use crate::output;

impl Job<'_> {
    /// Prints the certificate. Unlike kubeseal, it makes sure that it is one: a login page is not what a script wants.
    pub(super) fn fetch_cert(&self) -> Result<(), CommandError> {
        let source = self.certificate()?;
        match self.output_file() {
            Some(file) => output::replace(file, &source.text),
            None => Ok(self.ui.write(&source.text)?),
        }
    }
}
