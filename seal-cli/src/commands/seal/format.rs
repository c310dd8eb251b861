//! Which sealed format is written, and for which keys.

use super::Job;
use super::sealer;
use crate::certificate::Source;
use crate::command_error::CommandError;
use crate::key_source::KeySource;
use crate::sealed_file::Format;
use crate::trust::Pins;
use sealing::Certificate;
use sealing::v2::Recipients;
use std::path::{Path, PathBuf};

/// Whom Secrets are sealed for, which tells the format.
pub(super) enum SealFor {
    /// Format v1.
    Certificate(Certificate),
    /// The native format.
    Recipients(Recipients),
}

/// The sealed format of this name.
pub(super) fn sealed_format(name: &str) -> Option<Format> {
    match name {
        "v1" => Some(Format::V1),
        "v2" => Some(Format::V2),
        _ => None,
    }
}

impl SealFor {
    /// What to say of it after what was done.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Certificate(_) => String::new(),
            Self::Recipients(recipients) => {
                let ids: Vec<String> = recipients.key_ids().iter().map(ToString::to_string).collect();
                format!(", in format v2 for {}", ids.join(", "))
            }
        }
    }
}

impl Job<'_> {
    /// The format that is named; else the one that the keys are of; else the one of the keys that are pinned.
    pub(super) fn sealed_format(&self) -> Result<Format, CommandError> {
        let args = self.args;
        let asked = args.output.iter().rev().find_map(|name| sealed_format(name));
        let named = !args.keys.recipient.is_empty() || args.keys.key_set.is_some();
        let certificate = self.cert().is_some();
        match asked {
            Some(Format::V1) if !args.keys.recipient.is_empty() => Err(CommandError::user(
                "--recipient names keys of the native format, and --format says v1",
                "leave out one of the two; format v1 is sealed for a certificate",
            )),
            Some(Format::V2) if certificate && !named => Err(CommandError::user(
                "--cert names a key of format v1, and --format says v2",
                "leave out one of the two; the native format is sealed for age recipients: --recipient, --keys",
            )),
            None if named && certificate => Err(CommandError::user(
                "--cert names a key of format v1, and --recipient or --keys of the native format",
                "say which format with --format v1 or --format v2",
            )),
            Some(format) => Ok(format),
            None if named => Ok(Format::V2),
            None if certificate || self.is_kubeseal() => Ok(Format::V1),
            None => {
                let pins = Pins::of(&self.destination())?;
                let all = args.pins.all();
                let native = all.iter().filter_map(|whose| pins.config.pin(*whose));
                Ok(if native.into_iter().any(|pin| pin.native().next().is_some()) {
                    Format::V2
                } else {
                    Format::V1
                })
            }
        }
    }

    /// Whether the command line asks for this format, whatever is pinned.
    pub(super) fn is_asked_for(&self, format: Format) -> bool {
        let asked = self.args.output.iter().rev().find_map(|name| sealed_format(name));
        let named = !self.args.keys.recipient.is_empty();
        asked.or(named.then_some(Format::V2)) == Some(format)
    }

    /// Whom to seal for in this format.
    pub(super) fn seal_for(&self, format: Format) -> Result<SealFor, CommandError> {
        Ok(match format {
            Format::V1 => {
                let certificate = self.certificate()?.certificate;
                sealer::key(&certificate)?;
                SealFor::Certificate(certificate)
            }
            Format::V2 => SealFor::Recipients(self.key_source().recipients(&self.destination())?),
        })
    }

    /// The certificate to seal for: as named, else the controller's.
    pub(super) fn certificate(&self) -> Result<Source, CommandError> {
        self.key_source().certificate(&self.destination())
    }

    fn key_source(&self) -> KeySource<'_> {
        let args = self.args;
        KeySource {
            ui: self.ui,
            global: self.global,
            cert: self.cert(),
            keys: &args.keys,
            pins: &args.pins,
            trust: &args.trust,
            controller: &args.controller,
            connection: &args.connection,
            as_kubeseal: self.is_kubeseal(),
            writes: !self.is_kubeseal() && !args.jobs.fetch_cert,
        }
    }

    fn cert(&self) -> Option<&str> {
        self.args.cert.as_deref().filter(|cert| !cert.is_empty())
    }

    /// Where the result will be, and with it the repository that says which keys to trust.
    fn destination(&self) -> PathBuf {
        let jobs = &self.args.jobs;
        let output = self.output_file().map(Path::to_owned);
        output
            .or_else(|| jobs.merge_into.clone())
            .or_else(|| jobs.in_place.clone())
            .filter(|path| !path.as_os_str().is_empty())
            .unwrap_or_else(|| PathBuf::from("."))
    }
}
