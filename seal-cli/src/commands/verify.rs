//! `signet verify`.

mod ask;
mod open;
mod report;

use crate::args::OutputArg;
use crate::cli::GlobalArgs;
use crate::command_error::CommandError;
use crate::controller::{CallerArgs, ControllerArgs};
use crate::private_keys::PrivateKeyArgs;
use crate::repo_config::{self, Pin, RepoConfig};
use crate::repo_files;
use crate::sealed_file::{SealedFile, SealedObject};
use crate::seen::{self, Seen};
use crate::ui::Ui;
use clap::Args;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Check that SealedSecrets will open
///
/// Without more, nobody is asked, and what can be seen without a key is
/// checked: form, name, namespace and scope against what was sealed, and the
/// keys that it was sealed for against those in .signet.yaml.
///
/// With private keys (--key; a team's or a recovery key) each value is opened
/// and forgotten. With --controller the controller is asked, which answers yes
/// or no and nothing more. After a no, the likely reasons are tried: another
/// scope, name or namespace, so that the one that was sealed for is named. It is
/// asked as a service account, with a token that is good for nothing else.
///
/// Without PATH it takes what Git follows.
///
/// Exit codes: 0 all of them open (without a key: nothing speaks against it); 1
/// some will not; 2 it could not be looked.
///
/// Example: in a pull request, with no key and no cluster
///
///     signet verify apps/
///
/// Example: with a backup of the keys
///
///     signet verify --key keys.yaml
///
/// Example: ask the cluster before a push
///
///     signet verify --controller apps/shop
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct VerifyArgs {
    /// Files and directories to check
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Ask the controller whether it can open them
    #[arg(long = "controller")]
    ask_controller: bool,
    #[command(flatten)]
    private: PrivateKeyArgs,
    #[command(flatten)]
    output: OutputArg,
    #[command(flatten)]
    controller: ControllerArgs,
    #[command(flatten)]
    caller: CallerArgs,
}

/// One object that is checked.
struct Checked {
    file: String,
    object: SealedObject,
    /// What can be seen without a key.
    seen: Vec<Seen>,
    /// What a key, or the controller, said of it. None: nobody was asked.
    said: Option<Said>,
}

/// What somebody who can open it said.
enum Said {
    /// All of it opens where it stands.
    Opens,
    /// It does not, and why, as far as that could be found out.
    Closed(Vec<String>),
}

/// What is known in the end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Opens,
    /// Nothing speaks against it, and nobody was asked.
    LooksRight,
    WillNotOpen,
}

impl Checked {
    fn verdict(&self) -> Verdict {
        match &self.said {
            Some(Said::Opens) => Verdict::Opens,
            Some(Said::Closed(_)) => Verdict::WillNotOpen,
            None if self.seen.iter().any(|seen| seen.fatal) => Verdict::WillNotOpen,
            None => Verdict::LooksRight,
        }
    }
}

impl VerifyArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        self.check(ui, global).map_err(|err| err.exits(2))
    }

    fn check(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        let keys = self.private.read()?;
        let (mut all, pins) = self.objects()?;
        let known = places(&all);
        if let Some(keys) = &keys {
            for checked in &mut all {
                checked.said = Some(open::try_keys(&checked.object, keys, &known));
            }
        }
        if self.ask_controller {
            ask::controller(ui, global, (&self.controller, &self.caller), &mut all, &known)?;
        }
        report::print(ui, self.output.output, &all, &pins)?;
        let bad = all
            .iter()
            .any(|checked| checked.verdict() == Verdict::WillNotOpen);
        Ok(ExitCode::from(u8::from(bad)))
    }

    /// Every SealedSecret below the paths, and what the repository pins.
    fn objects(&self) -> Result<(Vec<Checked>, Vec<Pin>), CommandError> {
        let place = self.paths.first().map_or(Path::new("."), PathBuf::as_path);
        let top = repo_config::top_of(place);
        let config = match &top {
            Some(top) => RepoConfig::read(top)?,
            None => RepoConfig::default(),
        };
        let mut all = Vec::new();
        for text in repo_files::read(top.as_deref(), &self.paths, false, &config.lint)? {
            // Most files have none, and may be of any form.
            if !text.is_manifest() || !manifest::may_say(&text.bytes, "SealedSecret") {
                continue;
            }
            let file = SealedFile::parse(Path::new(&text.name), &text.bytes)?;
            all.extend(file.objects.into_iter().map(|object| Checked {
                file: text.name.clone(),
                seen: seen::look(object.format, &object.value, &config.sealing_keys),
                object,
                said: None,
            }));
        }
        if all.is_empty() {
            return Err(CommandError::user(
                "there is no SealedSecret here",
                "name files or directories that have some",
            ));
        }
        Ok((all, config.sealing_keys))
    }
}

/// Namespaces and names that values may have been sealed for.
fn places(all: &[Checked]) -> Vec<(String, String)> {
    let places: BTreeSet<_> = all
        .iter()
        .map(|checked| {
            let namespace = checked.object.namespace.clone().unwrap_or_default();
            (namespace, checked.object.name.clone())
        })
        .collect();
    places.into_iter().collect()
}
