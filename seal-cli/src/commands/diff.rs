//! `signet diff`.

mod clone;
mod compare;
mod judge;
mod leaving;
mod print;
mod sealed;
mod server;
mod settle;
mod variables;
mod wanted;

use super::plan::{DIFFERENT, TROUBLE};
use super::tree;
use crate::args::NamespaceArg;
use crate::cli::GlobalArgs;
use crate::cluster;
use crate::command_error::CommandError;
use crate::git;
use crate::kinds::{self, CONCURRENCY};
use crate::progress::Progress;
use crate::syncs::{Syncs, full_name};
use crate::ui::Ui;
use clap::{Args, ValueEnum};
use clone::LocalClone;
use compare::Difference;
use crds::{Revision, Sync};
use futures::{StreamExt as _, stream};
use judge::Judge;
use render::Limits;
use sealing::Printable;
use server::Server;
use settle::Managers;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use wanted::Wanted;

/// Show what a directory of the clone would change in the cluster
///
/// Renders the directory at a commit as the controller does, asks the API
/// server what applying each object would make of it (a server-side dry-run,
/// as the Sync's service account where you may, else as yourself), and
/// compares that with what is there. Nothing is written, in the cluster or in
/// the clone.
///
/// Of Secrets, names of keys are shown and never values, and of other objects
/// that hold a variable out of a Secret, which fields change. Sealed values
/// are compared as they are sealed, with the commit that the Sync has applied.
///
/// Fields that others own are judged as the Sync's spec.conflicts says, and
/// what is left to them, or taken from them, is noted.
///
/// Of what left Git it says what stays, by its own word or because Git still
/// holds what is in it, and what waits for an approval (spec.prune). What
/// others have in a Namespace, or of a definition's kind, is not looked for:
/// the controller asks about that.
///
/// Exit codes, as of diff: 0 if there are no differences; 1 if there are; 2 if
/// there was trouble, such as a file that cannot be read, or an object that the
/// API server would refuse.
///
/// Example: what does this branch change? For a comment on a pull request
///
///     signet diff --sync shop -n shop --output markdown > comment.md
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct DiffArgs {
    /// The directory [default: the Sync's path]
    path: Option<PathBuf>,
    /// The Sync that applies the directory
    #[arg(long, value_name = "NAME")]
    sync: String,
    #[command(flatten)]
    place: NamespaceArg,
    /// The commit
    #[arg(long, value_name = "REVISION", default_value = "HEAD")]
    revision: String,
    /// The files as they are, committed or not, but for ignored ones
    #[arg(long, conflicts_with = "revision")]
    worktree: bool,
    /// Print text, json or markdown
    #[arg(
        long,
        short = 'o',
        value_name = "FORMAT",
        default_value = "text",
        hide_possible_values = true
    )]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Text,
    Json,
    Markdown,
}

/// What would be done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Action {
    /// The API server, or we, would refuse it.
    Refused,
    Delete,
    /// It left Git, and stays.
    Keep,
    Create,
    Update,
    Unchanged,
}

/// What is said of one object.
struct Outcome {
    action: Action,
    /// As `Kind namespace/name`.
    object: String,
    /// The file and document it stands in; empty for what leaves Git.
    source: String,
    /// Fields that would change; values are never a Secret's.
    fields: Vec<Difference>,
    /// What else is to be said.
    note: String,
}

/// All of it.
struct Report {
    sync: String,
    /// What was rendered, for people.
    revision: String,
    outcomes: Vec<Outcome>,
    /// What could not be looked at.
    unread: Vec<String>,
}

impl DiffArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        self.show(ui, global).map_err(|err| err.exits(TROUBLE))
    }

    fn show(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        let top = git::top(Path::new("."))?;
        let report = {
            let _progress = Progress::start(ui, "comparing with the cluster");
            cluster::block_on(self.compare(global, &top))??
        };
        for reason in &report.unread {
            ui.warn(reason, "what could not be read is missing here");
        }
        ui.write(match self.output {
            Output::Text => print::text(ui, &report),
            Output::Json => format!("{:#}\n", print::json(&report)),
            Output::Markdown => print::markdown(&report),
        })?;
        let has = |wanted: fn(Action) -> bool| report.outcomes.iter().any(|outcome| wanted(outcome.action));
        Ok(if has(|action| action == Action::Refused) {
            ExitCode::from(TROUBLE)
        } else if has(|action| !matches!(action, Action::Unchanged | Action::Keep)) {
            ExitCode::from(DIFFERENT)
        } else {
            ExitCode::SUCCESS
        })
    }

    async fn compare(&self, global: &GlobalArgs, top: &Path) -> Result<Report, CommandError> {
        let syncs = Syncs::connect(global, self.place.namespace.as_deref()).await?;
        let sync = syncs.get(&self.sync).await?;
        let path = match &self.path {
            Some(path) => git::below_top(top, path)?,
            None => git::tree_path(&sync.spec.path).to_owned(),
        };
        let clone = LocalClone::open(top)?;
        let (commit, revision) = if self.worktree {
            (clone.worktree(top, &path)?, "the working tree".to_owned())
        } else {
            let commit = git::commit(top, &self.revision)?;
            let short = commit.get(..12).unwrap_or(&commit).to_owned();
            (commit, short)
        };
        let catalog = kinds::catalog(&syncs.client).await?;
        let server = Server::connect(&syncs.client, &sync).await?;
        let variables = variables::read(&server, &sync).await?;
        let rendered = clone.render(&commit, &path, variables.as_ref())?;
        if !rendered.problems.is_empty() {
            return Err(
                CommandError::user("these files cannot be applied:", "correct them, and ask again")
                    .details(rendered.problems.iter().take(50).map(ToString::to_string)),
            );
        }
        let wanted = wanted::resolve(&rendered, &catalog, &sync)?;
        let base = applied(&sync).and_then(|commit| {
            let path = git::tree_path(&sync.spec.path);
            let rendered = clone.render(commit, path, variables.as_ref()).ok()?;
            Some((clone.snapshot(commit).ok()?, rendered))
        });
        let mut report = Report {
            sync: full_name(&sync),
            revision,
            outcomes: Vec::new(),
            unread: Vec::new(),
        };
        let judge = Judge {
            server: &server,
            sync: &sync,
            base: base.as_ref(),
            managers: Managers::of(&syncs),
            variables: variables.clone(),
            namespaces: wanted::namespaces(&wanted),
        };
        let mut loader = render::Loader::with(clone.snapshot(&commit)?, Limits::default(), variables);
        let loaded = wanted.iter().map(|wanted| (wanted, loader.load(&wanted.item)));
        let judge = &judge;
        let mut outcomes = stream::iter(loaded)
            .map(|(wanted, manifest)| async move {
                match manifest {
                    Ok(manifest) => Ok(judge.judge(wanted, manifest).await),
                    Err(err) => Err(CommandError::user(
                        Printable(&err.to_string()),
                        "has the clone changed meanwhile?",
                    )),
                }
            })
            .buffered(CONCURRENCY);
        while let Some(outcome) = outcomes.next().await {
            report.outcomes.push(outcome?);
        }
        if sync.spec.prune.enabled {
            let (members, unread) = tree::members(&syncs, &sync, &catalog).await;
            report.unread = unread;
            let rules = &sync.spec.prune;
            report
                .outcomes
                .extend(leaving::outcomes(rules, &members, &wanted, &catalog));
        }
        report.outcomes.sort_by_key(|outcome| outcome.action);
        Ok(report)
    }
}

impl Outcome {
    fn of(wanted: &Wanted, action: Action) -> Self {
        Self {
            action,
            object: wanted.key.to_string(),
            source: wanted.item.origin.to_string(),
            fields: Vec::new(),
            note: String::new(),
        }
    }

    fn with(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// An object that left Git.
    fn left(key: &apply::Key, action: Action) -> Self {
        Self {
            action,
            object: key.to_string(),
            source: String::new(),
            fields: Vec::new(),
            note: String::new(),
        }
    }
}

/// The commit that the Sync has applied.
fn applied(sync: &Sync) -> Option<&str> {
    let revision: Option<&Revision> = sync.status.as_ref()?.last_applied_revision.as_ref();
    revision.map(|revision| revision.commit.as_str())
}
