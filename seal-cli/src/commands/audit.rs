//! `signet audit`.

mod changes;
mod history;
mod objects;
mod render;
mod results;
mod signature;

use crate::args::{SheetArg, SheetFormat};
use crate::command_error::CommandError;
use crate::git;
use crate::progress::Progress;
use crate::ui::Ui;
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use changes::Change;
use history::{Commit, Filter};
use results::Outcome;
use signature::Signers;

/// Show who changed what, commit by commit, and what became of it
///
/// Run it inside a clone of the repository. For each commit it tells author
/// and committer, what the signature is worth, which objects the manifests
/// gained, lost or changed, and which keys of SealedSecrets were added,
/// removed or sealed again, for which sealing keys. A merge is listed with
/// what it changes beyond the sides that it brings together. Values are
/// sealed in Git and are never shown.
///
/// When which cluster applied a commit, and with what result, is told where
/// controllers write it down (spec.notes of a Repository) and the clone has it:
///
///     git fetch origin '+refs/notes/signet/*:refs/notes/signet/*'
///
/// Example: everybody who touched the password of the shop, as a
/// spreadsheet:
///
///     signet audit --secret shop/database --signers team.allowed_signers -o csv
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct AuditArgs {
    /// The last commit to look at
    #[arg(value_name = "REVISION", default_value = "HEAD")]
    revision: String,
    /// Only commits that touch this file or directory
    #[arg(long, value_name = "PATH")]
    path: Option<PathBuf>,
    /// Only commits that touch the path of this Sync, which the clone's manifests hold
    #[arg(long, value_name = "NAME", conflicts_with = "path")]
    sync: Option<String>,
    /// Only changes of this SealedSecret or Secret, as NAMESPACE/NAME
    #[arg(long, value_name = "NAMESPACE/NAME")]
    secret: Option<String>,
    /// Only changes that sealed something for this sealing key of format v2, such as key-5f0c…
    #[arg(long, value_name = "ID")]
    key: Option<String>,
    /// Only commits behind this one, or after a date that git understands
    #[arg(long, value_name = "COMMIT|DATE")]
    since: Option<String>,
    /// Only commits whose author's name or address contains this
    #[arg(long, value_name = "TEXT")]
    author: Option<String>,
    /// Check signatures against these files: `allowed_signers`, NAME.asc, `revoked_keys`
    #[arg(long, value_name = "FILE")]
    signers: Vec<PathBuf>,
    /// How many commits to look at, at most
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    limit: usize,
    #[command(flatten)]
    format: SheetArg,
}

/// One commit, and what it did.
struct Entry {
    commit: Commit,
    /// One word, and a clause.
    signature: (String, String),
    changes: Vec<Change>,
    /// What clusters made of it.
    results: Vec<Outcome>,
}

impl AuditArgs {
    pub(crate) fn run(&self, ui: &Ui) -> Result<ExitCode, CommandError> {
        let here = Path::new(".");
        let top = git::top(here)?;
        let signers = Signers::read(&self.signers)?;
        let path = match (&self.path, &self.sync) {
            (Some(path), _) => Some(git::below_top(&top, path)?),
            (None, Some(sync)) => Some(objects::path_of_sync(&top, sync)?),
            (None, None) => None,
        };
        let filter = Filter {
            revision: &self.revision,
            path: path.as_deref(),
            since: self.since.as_deref(),
            author: self.author.as_deref(),
            limit: self.limit,
        };
        let progress = Progress::start(ui, "reading the history");
        let entries = self.entries(&top, &filter, &signers)?;
        drop(progress);
        match self.format.output {
            SheetFormat::Table if entries.is_empty() => ui.status("No commit fits."),
            SheetFormat::Table => ui.write(render::table(ui, &entries))?,
            SheetFormat::Json => ui.write(render::json(&entries))?,
            SheetFormat::Csv => ui.write(render::csv(&entries))?,
            SheetFormat::Markdown => ui.write(render::markdown(&entries))?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn entries(
        &self,
        top: &Path,
        filter: &Filter<'_>,
        signers: &Signers,
    ) -> Result<Vec<Entry>, CommandError> {
        let commits = history::log(top, filter)?;
        let mut results = results::read(top, self.sync.as_deref())?;
        let mut entries = Vec::new();
        // In portions: memory stays small, and git is started once for each.
        for portion in commits.chunks(200) {
            let bytes = history::contents(top, portion)?;
            for commit in portion {
                let mut changes = changes::of(commit, &bytes);
                let narrowed = self.secret.is_some() || self.key.is_some();
                changes.retain(|change| self.wants(change));
                if narrowed && changes.is_empty() {
                    continue;
                }
                let object = bytes.get(&commit.id).map(Vec::as_slice).unwrap_or_default();
                entries.push(Entry {
                    commit: commit.clone(),
                    signature: signers.judge(object),
                    changes,
                    results: results.remove(&commit.id).unwrap_or_default(),
                });
            }
        }
        Ok(entries)
    }

    fn wants(&self, change: &Change) -> bool {
        let secret = self.secret.as_ref().is_none_or(|wanted| change.is_of(wanted));
        let key = self.key.as_ref().is_none_or(|wanted| change.is_for(wanted));
        secret && key
    }
}
