//! `signet rollback`.

mod choose;
mod pin;

use crate::args::{Format, NamespaceArg, OutputArg, duration};
use crate::cli::GlobalArgs;
use crate::cluster;
use crate::command_error::CommandError;
use crate::git::{self, Commit};
use crate::progress::Progress;
use crate::syncs::{Syncs, full_name};
use crate::ui::Ui;
use choose::Choice;
use clap::Args;
use crds::Sync;
use sealing::Printable;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Revert what Git has under a Sync's path since an earlier revision
///
/// Run it inside a clone, on the branch that the Sync follows. It reverts the
/// commits that touched the Sync's path, newest first, so that the path is as
/// it was; history stays as it is, and Git stays the truth. Without --to, the
/// last change is reverted: that which has failed, or else that which was
/// applied last.
///
/// It asks before it pushes. Without a terminal, say --yes or --no-push.
///
/// With --pin, Git stays as it is, and the Sync applies the earlier commit for
/// the time that --for says; its status says so (condition Pinned). Then, or
/// after --unpin, it follows its branch again. What is newer than the commit
/// is pruned meanwhile, within spec.prune's limits.
///
/// Example: the last change was bad
///
///     signet rollback shop -n shop && signet wait shop -n shop --revision HEAD
///
/// Example: back to what was well, until tomorrow has had a look
///
///     signet rollback shop -n shop --pin --for 16h --reason "incident 4711"
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct RollbackArgs {
    /// The Sync
    name: String,
    #[command(flatten)]
    place: NamespaceArg,
    /// Go back to this commit; see `signet history`
    #[arg(long, value_name = "REVISION")]
    to: Option<String>,
    /// Leave the new commits in the clone
    #[arg(long)]
    no_push: bool,
    /// Revert and push without asking
    #[arg(long, short, conflicts_with = "no_push")]
    yes: bool,
    /// Revert nothing: have the Sync apply the earlier commit for a while
    #[arg(long, requires = "lasts", conflicts_with_all = ["no_push", "yes"])]
    pin: bool,
    /// How long the pin lasts, such as 2h
    #[arg(long = "for", value_name = "DURATION", requires = "pin", value_parser = duration)]
    lasts: Option<Duration>,
    /// Why it is pinned; the Sync's status repeats it
    #[arg(long, value_name = "TEXT", requires = "pin", value_parser = pin::reason)]
    reason: Option<String>,
    /// Take a pin away before its time
    #[arg(long, conflicts_with_all = ["pin", "to", "no_push", "yes"])]
    unpin: bool,
    #[command(flatten)]
    format: OutputArg,
}

impl RollbackArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        if self.pin || self.unpin {
            return self.set_pin(ui, global);
        }
        if !self.no_push && !self.yes && !ui.can_ask() {
            return Err(CommandError::user(
                "there is no terminal to ask whether the reverts may be pushed",
                "--yes pushes them, --no-push leaves them in the clone",
            ));
        }
        let top = git::top(Path::new("."))?;
        refuse_changes(&top)?;
        let sync = {
            let _progress = Progress::start(ui, "asking the cluster for the Sync");
            cluster::block_on(async {
                let syncs = Syncs::connect(global, self.place.namespace.as_deref()).await?;
                syncs.get(&self.name).await
            })??
        };
        let choice = choose::choose(&top, &sync, self.to.as_deref())?;
        let branch = git::branch(&top);
        tell(ui, &sync, &choice, &top, branch.as_deref());
        if !self.no_push && !self.yes && !ui.confirm("Revert, and push?")? {
            return Err(CommandError::user(
                "nothing was reverted",
                "--no-push makes the commits and does not push them",
            ));
        }
        let made = revert(&top, &choice)?;
        if !self.no_push {
            let _progress = Progress::start(ui, "pushing");
            git::push(&top)?;
        }
        match self.format.output {
            Format::Json => ui.write(format!("{:#}\n", self.as_json(&choice, &made)))?,
            Format::Table => {
                let ids: Vec<_> = made.iter().map(|commit| commit.id.as_str()).collect();
                ui.write(ids.join("\n") + "\n")?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn as_json(&self, choice: &Choice, made: &[Commit]) -> serde_json::Value {
        let list = |commits: &[Commit]| -> Vec<_> {
            commits
                .iter()
                .map(|commit| json!({"commit": commit.id, "subject": commit.subject}))
                .collect()
        };
        json!({
            // Null: to before the first commit that touched the path.
            "to": choice.target,
            "reverted": list(&choice.revert),
            "commits": list(made),
            "pushed": !self.no_push,
        })
    }
}

/// Says what will be done.
fn tell(ui: &Ui, sync: &Sync, choice: &Choice, top: &Path, branch: Option<&str>) {
    let target = choice
        .target
        .as_deref()
        .and_then(|id| id.get(..12))
        .unwrap_or("nothing");
    ui.status(format!(
        "Sync {} goes back to {target}. Reverted are, newest first:",
        full_name(sync)
    ));
    for commit in &choice.revert {
        ui.status(format!(
            "  {} {}",
            commit.id.get(..12).unwrap_or(&commit.id),
            Printable(&commit.subject)
        ));
    }
    let elsewhere: Vec<_> = choice
        .revert
        .iter()
        .filter(|commit| git::touches_beside(top, &commit.id, &sync.spec.path))
        .filter_map(|commit| commit.id.get(..12))
        .collect();
    if !elsewhere.is_empty() {
        ui.warn(
            format!(
                "these change files outside of {} too, which are reverted with them: {}",
                Printable(&sync.spec.path),
                elsewhere.join(", ")
            ),
            "with --no-push, look at the result before it is pushed",
        );
    }
    let follows = choice.branch.as_str();
    if !follows.is_empty() && branch != Some(follows) {
        ui.warn(
            format!(
                "the Sync follows {}, and the clone is on {}",
                Printable(follows),
                branch.map_or_else(|| "no branch".to_owned(), |branch| Printable(branch).to_string())
            ),
            "nothing changes in the cluster until it is merged there",
        );
    }
}

fn refuse_changes(top: &Path) -> Result<(), CommandError> {
    if git::is_busy(top)? {
        return Err(CommandError::user(
            "a merge, rebase, cherry-pick or revert is under way in the clone",
            "`git status` says how to finish it",
        ));
    }
    if git::is_clean(top)? {
        return Ok(());
    }
    Err(CommandError::user(
        "the clone has changes that are not committed",
        "commit them, or put them aside with `git stash`",
    ))
}

/// Makes the commits; gives them newest first. After a failure the clone is as it was.
fn revert(top: &Path, choice: &Choice) -> Result<Vec<Commit>, CommandError> {
    let before = git::commit(top, "HEAD")?;
    let ids: Vec<&str> = choice.revert.iter().map(|commit| commit.id.as_str()).collect();
    git::revert(top, &ids)?;
    git::log_since(top, &before, ids.len() + 1)
}

/// The path of a Sync within the clone.
fn path_of(sync: &Sync) -> PathBuf {
    git::tree_path(&sync.spec.path).into()
}
