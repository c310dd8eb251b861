//! `signet wait`.

pub(super) mod revision;
pub(super) mod verdict;

use super::status;
use crate::args::{Format, NamespaceArg, OutputArg, duration, human};
use crate::cli::GlobalArgs;
use crate::cluster;
use crate::command_error::CommandError;
use crate::follow::{Seen, follow};
use crate::progress::Progress;
use crate::syncs::{Syncs, full_name};
use crate::ui::Ui;
use clap::{Args, ValueEnum};
use crds::Sync;
use kube::ResourceExt as _;
use revision::Wanted;
use sealing::Printable;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use verdict::Verdict;

/// One of them cannot become what is waited for by itself.
const FAILED: u8 = 1;
/// It did not happen in time.
const LATE: u8 = 3;

/// Wait until Syncs are as they should be
///
/// It watches the Syncs, and ends as soon as all of them are, or one cannot
/// become so by itself: it is stalled, suspended or deleted, or, for ready and
/// healthy, one of its objects has failed.
///
/// With --revision, what is waited for has to be true of that commit or of a
/// later one. Inside a clone, Git says whether a commit is later, or changes
/// nothing under a Sync's path; elsewhere the controller is asked to look again
/// once the Repository has that commit.
///
/// Exit codes: 0 if all are so; 1 if one has failed, or cannot be asked for; 3
/// if it did not happen in time.
///
/// Example: after a push, wait until what was pushed is live and well
///
///     git push && signet wait shop blog -n shop --revision HEAD --for healthy
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct WaitArgs {
    /// The Syncs
    #[arg(value_name = "SYNC", required_unless_present = "all")]
    names: Vec<String>,
    /// Every Sync that the namespace has now
    #[arg(long, conflicts_with = "names")]
    all: bool,
    #[command(flatten)]
    place: NamespaceArg,
    /// What to wait for: ready, applied (all of it, well or not) or healthy
    #[arg(
        long = "for",
        value_name = "STATE",
        default_value = "ready",
        hide_possible_values = true
    )]
    goal: Goal,
    /// The commit that has to be applied: its full id, or whatever the clone at hand knows, such as HEAD
    #[arg(long, value_name = "COMMIT")]
    revision: Option<String>,
    /// How long to wait, such as 30s or 10m
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    timeout: Duration,
    #[command(flatten)]
    format: OutputArg,
}

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Goal {
    Ready,
    Applied,
    Healthy,
}

/// What is known of each Sync, by name.
type Known = BTreeMap<String, (Option<Sync>, Verdict)>;

impl WaitArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        cluster::block_on(self.wait(ui, global))?
    }

    async fn wait(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        let deadline = Instant::now()
            .checked_add(self.timeout)
            .ok_or_else(|| CommandError::user("--timeout is too long", "give some days at most"))?;
        let mut wanted = self.revision.as_deref().map(Wanted::parse).transpose()?;
        let syncs = Syncs::connect_to_watch(global, self.place.namespace.as_deref()).await?;
        let found = syncs.named(&self.names).await?;
        if found.is_empty() {
            ui.status("There are no Syncs here.");
            return Ok(ExitCode::SUCCESS);
        }
        let mut known: Known = found
            .into_iter()
            .map(|sync| {
                (
                    sync.name_any(),
                    (Some(sync), Verdict::Waiting("nothing is known yet".to_owned())),
                )
            })
            .collect();
        let _progress = Progress::start(ui, "waiting");
        if let Some(wanted) = &mut wanted {
            let present: Vec<&Sync> = known.values().filter_map(|(sync, _)| sync.as_ref()).collect();
            let asking = wanted.bring(ui, &syncs, &present);
            if timeout_at(deadline, asking)
                .await
                .map_or(Ok(true), |asked| asked.map(|()| false))?
            {
                let waits = format!("its Repository has not fetched {}", wanted.short());
                for (_, verdict) in known.values_mut() {
                    *verdict = Verdict::Waiting(waits.clone());
                }
                return self.end(ui, &known);
            }
        }
        for (sync, verdict) in known.values_mut() {
            if let Some(sync) = sync {
                *verdict = verdict::of(sync, self.goal, wanted.as_mut());
            }
        }
        let fields = match self.names.as_slice() {
            [name] => Some(format!("metadata.name={name}")),
            _ => None,
        };
        let look = |seen| {
            self.look(ui, &mut known, wanted.as_mut(), seen);
            if known.values().all(|(_, verdict)| *verdict == Verdict::Done)
                || known
                    .values()
                    .any(|(_, verdict)| matches!(verdict, Verdict::Failed(_)))
            {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let watching = follow(&syncs.api, fields.as_deref(), "watch Syncs", look);
        if let Ok(ended) = timeout_at(deadline, watching).await {
            ended?;
        }
        self.end(ui, &known)
    }

    /// Takes in what was seen, and says what has changed.
    fn look(&self, ui: &Ui, known: &mut Known, mut wanted: Option<&mut Wanted>, seen: Seen<Sync>) {
        let mut judge = |known: &mut Known, sync: Sync| {
            let Some((last, verdict)) = known.get_mut(&sync.name_any()) else {
                return;
            };
            let now = verdict::of(&sync, self.goal, wanted.as_deref_mut());
            if now != *verdict {
                if let Verdict::Waiting(reason) = &now
                    && ui.shows_progress()
                {
                    ui.status(format!("{}: {reason}", full_name(&sync)));
                }
                *verdict = now;
            }
            *last = Some(sync);
        };
        let gone = || Verdict::Failed("it was deleted".to_owned());
        match seen {
            Seen::One(sync) => judge(known, sync),
            Seen::Gone(sync) => {
                if let Some((_, verdict)) = known.get_mut(&sync.name_any()) {
                    *verdict = gone();
                }
            }
            Seen::All(all) => {
                let names: Vec<String> = all.iter().map(kube::ResourceExt::name_any).collect();
                for sync in all {
                    judge(known, sync);
                }
                for (name, (_, verdict)) in known {
                    if !names.contains(name) {
                        *verdict = gone();
                    }
                }
            }
        }
    }

    fn end(&self, ui: &Ui, known: &Known) -> Result<ExitCode, CommandError> {
        match self.format.output {
            Format::Json => {
                let rows: Vec<_> = known.values().map(as_json).collect();
                ui.write(format!("{:#}\n", json!(rows)))?;
            }
            Format::Table => {
                let all: Vec<Sync> = known.values().filter_map(|(sync, _)| sync.clone()).collect();
                ui.write(status::render(ui, &all))?;
            }
        }
        let mut failed = Vec::new();
        let mut waiting = Vec::new();
        for (name, (sync, verdict)) in known {
            let name = sync
                .as_ref()
                .map_or_else(|| Printable(name).to_string(), full_name);
            match verdict {
                Verdict::Done => {}
                Verdict::Failed(reason) => failed.push(format!("{name}: {reason}")),
                Verdict::Waiting(reason) => waiting.push(format!("{name}: {reason}")),
            }
        }
        let what = match self.goal {
            Goal::Ready => "ready",
            Goal::Applied => "applied",
            Goal::Healthy => "healthy",
        };
        if !failed.is_empty() {
            return Err(CommandError::user(
                format!("this will not become {what} by itself:"),
                "`signet status NAME` shows each failure with what to do",
            )
            .details(failed)
            .exits(FAILED));
        }
        if !waiting.is_empty() {
            return Err(CommandError::not_ready(
                format!("not {what} within {}:", human(self.timeout)),
                "`signet status NAME` shows what is known; --timeout waits longer",
            )
            .details(waiting)
            .exits(LATE));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn as_json((sync, verdict): &(Option<Sync>, Verdict)) -> Value {
    let (state, reason) = match verdict {
        Verdict::Done => ("done", None),
        Verdict::Failed(reason) => ("failed", Some(reason)),
        Verdict::Waiting(reason) => ("waiting", Some(reason)),
    };
    let status = sync.as_ref().and_then(|sync| sync.status.as_ref());
    json!({
        "namespace": sync.as_ref().and_then(|sync| sync.metadata.namespace.as_ref()),
        "name": sync.as_ref().and_then(|sync| sync.metadata.name.as_ref()),
        "state": state,
        "reason": reason,
        "revision": status.map(|status| &status.revision),
        "lastAppliedRevision": status.and_then(|status| status.last_applied_revision.as_ref()),
    })
}
