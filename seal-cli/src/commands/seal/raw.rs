//! `--raw`: one value, for a place that is given by flags.

use super::Job;
use super::input::UNREADABLE;
use super::sealer;
use crate::command_error::CommandError;
use crate::output::{self, reason, show};
use crate::sealed_file::Format;
use sealing::{Scope, v1};
use std::fs;
use std::path::Path;
use zeroize::Zeroizing;

impl Job<'_> {
    /// Seals the value and writes the sealed text, without a line end, so that `$(…)` and files have the same.
    pub(super) fn raw(&self) -> Result<(), CommandError> {
        if self.is_asked_for(Format::V2) {
            return Err(CommandError::user(
                "--raw seals a value of format v1 only",
                "a value of the native format is bound to the template and the data key of its object: `signet set FILE KEY=-` \
                 puts it there",
            ));
        }
        let scope = self.scope().unwrap_or_default();
        let (namespace, name) = self.raw_place(scope)?;
        let file = self.raw_file()?;
        let source = self.certificate()?;
        let key = sealer::key(&source.certificate)?;
        let value = match file {
            Some(file) => self.read_value(&file)?,
            None => self.read_stdin("a secret to encrypt in stdin")?,
        };
        if value.last() == Some(&b'\n') {
            self.ui.warn(
                "the value ends with a line end, which is sealed too",
                "printf %s VALUE gives it without one",
            );
        }
        let sealed = v1::seal(key, &scope.label(&namespace, &name), &value)
            .map_err(|err| CommandError::internal(format!("cannot seal: {err}")))?;
        match self.output_file() {
            Some(file) => output::replace(file, &sealed),
            None => Ok(self.ui.write(sealed)?),
        }
    }

    fn read_value(&self, file: &str) -> Result<Zeroizing<Vec<u8>>, CommandError> {
        let by_flag = self.args.jobs.from_file.is_empty() && self.is_kubeseal();
        let problem = if by_flag { UNREADABLE } else { "cannot read" };
        fs::read(file).map(Zeroizing::new).map_err(|err| {
            CommandError::user(
                format!("{problem} {}: {}", show(Path::new(file)), reason(&err)),
                "--from-file names the file that holds the value",
            )
        })
    }

    /// The namespace and the name that the value is bound to; empty where the scope does not bind it.
    fn raw_place(&self, scope: Scope) -> Result<(String, String), CommandError> {
        if scope == Scope::Cluster {
            return Ok((String::new(), String::new()));
        }
        let Some(namespace) = self.default_namespace()?.filter(|name| !name.is_empty()) else {
            return Err(CommandError::user(
                format!("must provide the --namespace flag with --raw and --scope {scope}"),
                "a value of this scope opens in one namespace only",
            ));
        };
        if manifest::check_namespace(&namespace).is_err() {
            return Err(not_a_name(&namespace, "--namespace names a namespace"));
        }
        if scope == Scope::Namespace {
            return Ok((namespace, String::new()));
        }
        let Some(name) = self.args.name.clone().filter(|name| !name.is_empty()) else {
            return Err(CommandError::user(
                format!("must provide the --name flag with --raw and --scope {scope}"),
                "a value of this scope opens under one name only",
            ));
        };
        if manifest::check_name(&name).is_err() || name != name.to_lowercase() || name.contains('_') {
            return Err(not_a_name(&name, "--name is the name of the Secret"));
        }
        Ok((namespace, name))
    }

    /// The one file that holds the value: `--from-file [KEY=]FILE`, or the file of `-f`. kubeseal opens the latter, and
    /// then reads standard input nevertheless.
    fn raw_file(&self) -> Result<Option<String>, CommandError> {
        let named: Vec<String> = self
            .args
            .jobs
            .from_file
            .iter()
            .flat_map(|list| csv(list))
            .collect();
        match named.as_slice() {
            [] => Ok(self
                .files()
                .first()
                .filter(|file| file.as_os_str() != "-")
                .map(|file| file.to_string_lossy().into_owned())),
            [one] => Ok(Some(
                one.split_once('=')
                    .map_or(one.as_str(), |(_, file)| file)
                    .to_owned(),
            )),
            _ => Err(CommandError::user(
                "must provide only one --from-file when encrypting a single item with --raw",
                "call it once for each value",
            )),
        }
    }
}

fn not_a_name(name: &str, hint: &str) -> CommandError {
    CommandError::user(
        format!(
            "`{}` is not a name that Kubernetes accepts",
            sealing::Printable(name)
        ),
        hint,
    )
}

/// The entries of a flag that takes a list, as pflag reads it (`StringSlice`): separated by commas, which quotes protect.
pub(super) fn csv(text: &str) -> Vec<String> {
    let mut entries = vec![String::new()];
    let mut quoted = false;
    for char in text.chars() {
        match char {
            '"' => quoted = !quoted,
            ',' if !quoted => entries.push(String::new()),
            _ => {
                if let Some(entry) = entries.last_mut() {
                    entry.push(char);
                }
            }
        }
    }
    entries.retain(|entry| !entry.is_empty());
    entries
}
