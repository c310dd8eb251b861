//! `signet audit`.

mod history;
mod remote;
mod render;
mod results;
mod signature;
mod since;

use crate::args::{SheetArg, SheetFormat};
use crate::cli::GlobalArgs;
use crate::command_error::CommandError;
use crate::controller::{CallerArgs, ControllerArgs};
use crate::git;
use crate::progress::Progress;
use crate::ui::Ui;
use audit::{Change, Record};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use history::Filter;
use signature::Signers;

/// Show who changed what, commit by commit, and what became of it
///
/// Run it inside a clone of the repository; or name a Repository of the
/// cluster, and the controller tells of the history that it follows, to whom
/// may `get` `repositories/audit` there. For each commit it tells author
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
///
/// Example: the same without a clone, signatures by the Repository's own
/// spec.verify:
///
///     signet audit --repository shop/shop --secret shop/database
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct AuditArgs {
    /// The last commit to look at [default: HEAD; of a Repository, the commit in use]
    #[arg(value_name = "REVISION", conflicts_with = "repository")]
    revision: Option<String>,
    /// Ask the controller about this Repository of the cluster
    #[arg(long, value_name = "NAMESPACE/NAME")]
    repository: Option<String>,
    /// Only commits that touch this file or directory
    #[arg(long, value_name = "PATH")]
    path: Option<PathBuf>,
    /// Only commits that touch the path of this Sync, which the clone's manifests hold, or the Repository's namespace
    #[arg(long, value_name = "NAME", conflicts_with = "path")]
    sync: Option<String>,
    /// Only changes of this SealedSecret or Secret, as NAMESPACE/NAME
    #[arg(long, value_name = "NAMESPACE/NAME")]
    secret: Option<String>,
    /// Only changes that sealed something for this sealing key of format v2, such as key-5f0c…
    #[arg(long, value_name = "ID")]
    key: Option<String>,
    /// Only commits behind this one, or that were committed since a date: 2026-10-01, which begins in UTC, or RFC 3339. In a clone
    /// also as git writes them, such as "2 weeks ago"; of a Repository, commits by their full ids
    #[arg(long, value_name = "COMMIT|DATE")]
    since: Option<String>,
    /// Only commits whose author's name or address contains this
    #[arg(long, value_name = "TEXT")]
    author: Option<String>,
    /// Check signatures against these files: `allowed_signers`, NAME.asc, `revoked_keys`
    #[arg(long, value_name = "FILE", conflicts_with = "repository")]
    signers: Vec<PathBuf>,
    /// How many commits to look at, at most
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    limit: usize,
    #[command(flatten)]
    format: SheetArg,
    #[command(flatten)]
    controller: ControllerArgs,
    #[command(flatten)]
    caller: CallerArgs,
}

impl AuditArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        let records = match &self.repository {
            Some(repository) => remote::records(self, ui, global, repository)?,
            None => self.of_clone(ui)?,
        };
        match self.format.output {
            SheetFormat::Table if records.is_empty() => ui.status("No commit fits."),
            SheetFormat::Table => ui.write(render::table(ui, &records))?,
            SheetFormat::Json => ui.write(render::json(&records))?,
            SheetFormat::Csv => ui.write(render::csv(&records))?,
            SheetFormat::Markdown => ui.write(render::markdown(&records))?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn of_clone(&self, ui: &Ui) -> Result<Vec<Record>, CommandError> {
        let here = Path::new(".");
        let top = git::top(here)?;
        let signers = Signers::read(&self.signers)?;
        let path = match (&self.path, &self.sync) {
            (Some(path), _) => Some(git::below_top(&top, path)?),
            (None, Some(sync)) => Some(history::path_of_sync(&top, sync)?),
            (None, None) => None,
        };
        let filter = Filter {
            revision: self.revision.as_deref().unwrap_or("HEAD"),
            path: path.as_deref(),
            since: self.since.as_deref(),
            author: self.author.as_deref(),
            limit: self.limit,
        };
        let _progress = Progress::start(ui, "reading the history");
        self.records(&top, &filter, &signers)
    }

    fn records(
        &self,
        top: &Path,
        filter: &Filter<'_>,
        signers: &Signers,
    ) -> Result<Vec<Record>, CommandError> {
        let commits = history::log(top, filter)?;
        let mut results = results::read(top, self.sync.as_deref())?;
        let mut records = Vec::new();
        // In portions: memory stays small, and git is started once for each.
        for portion in commits.chunks(200) {
            let bytes = history::contents(top, portion)?;
            for commit in portion {
                let mut changes = audit::changes(&commit.files, &bytes);
                let narrowed = self.secret.is_some() || self.key.is_some();
                changes.retain(|change| self.wants(change));
                if narrowed && changes.is_empty() {
                    continue;
                }
                let object = bytes.get(&commit.id).map(Vec::as_slice).unwrap_or_default();
                records.push(Record {
                    commit: commit.id.clone(),
                    author: commit.author.clone(),
                    authored: commit.authored.clone(),
                    committer: commit.committer.clone(),
                    committed: commit.committed.clone(),
                    subject: commit.subject.clone(),
                    merge: commit.merge,
                    signature: signers.judge(object),
                    changes,
                    results: results.remove(&commit.id).unwrap_or_default(),
                });
            }
        }
        Ok(records)
    }

    fn wants(&self, change: &Change) -> bool {
        let secret = self.secret.as_ref().is_none_or(|wanted| change.is_of(wanted));
        let key = self.key.as_ref().is_none_or(|wanted| change.is_for(wanted));
        secret && key
    }
}
