//! `signet history`.

use crate::args::Format;
use crate::cli::GlobalArgs;
use crate::cluster::{self, Cluster};
use crate::command_error::CommandError;
use crate::git::{self, Commit};
use crate::progress::Progress;
use crate::table::{self, Cell};
use crate::ui::{Style, Ui};
use clap::Args;
use crds::Sync;
use kube::{Api, api::ListParams};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Show which commits changed a path, by whom, and which of them is applied
///
/// Run it inside a clone of the repository. It is `git log` of the path; where
/// the cluster can be reached, the commits that Syncs have applied last are
/// marked with their names, and with who signed them, where the Repository has
/// signatures verified.
///
/// Example: who changed the sealed password of the shop, and is it live?
///
///     signet history apps/shop/db.yaml
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct HistoryArgs {
    /// The file or directory [default: the whole repository]
    #[arg(conflicts_with = "sync")]
    path: Option<PathBuf>,
    /// Take the path from this Sync of the cluster
    #[arg(long, value_name = "NAME")]
    sync: Option<String>,
    /// The Sync's namespace [default: that of the kubeconfig's context]
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,
    /// How many commits to show at most
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Print a table or json
    #[arg(
        long,
        short = 'o',
        value_name = "FORMAT",
        default_value = "table",
        hide_possible_values = true
    )]
    output: Format,
    /// Do not ask the cluster what is applied
    #[arg(long, conflicts_with = "sync")]
    offline: bool,
}

/// What Syncs applied last, by the commit.
type Applied = BTreeMap<String, Marks>;

/// What the cluster says of a commit.
#[derive(Default)]
struct Marks {
    /// The Syncs that have applied it last.
    names: Vec<String>,
    /// Who signed it, as their Repositories have verified it.
    signers: BTreeSet<String>,
}

impl HistoryArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        let here = Path::new(".");
        let (commits, applied) = if let Some(name) = &self.sync {
            let (path, applied) = self.of_sync(ui, global, name)?;
            (git::log(&git::top(here)?, &path, self.limit)?, Some(applied))
        } else {
            let path = self.path.as_deref().unwrap_or(here);
            (git::log(here, path, self.limit)?, self.applied(ui, global))
        };
        match self.output {
            Format::Json => {
                let rows: Vec<_> = commits
                    .iter()
                    .map(|commit| row(commit, applied.as_ref()))
                    .collect();
                ui.write(format!("{:#}\n", json!(rows)))?;
            }
            Format::Table if commits.is_empty() => ui.status("No commit touches this path."),
            Format::Table => ui.write(render(ui, &commits, applied.as_ref()))?,
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The path of one Sync, and what it applied.
    fn of_sync(&self, ui: &Ui, global: &GlobalArgs, name: &str) -> Result<(PathBuf, Applied), CommandError> {
        let _progress = Progress::start(ui, "asking the cluster for the Sync");
        let sync = cluster::block_on(async {
            let cluster = Cluster::connect(global).await?;
            let namespace = self.namespace.as_deref().unwrap_or(&cluster.namespace);
            let api: Api<Sync> = Api::namespaced(cluster.client.clone(), namespace);
            let found = api.get_opt(name).await;
            found
                .map_err(|err| cluster::explain(&err, "read the Sync"))?
                .ok_or_else(|| {
                    CommandError::user(
                        format!("there is no Sync {namespace}/{}", sealing::Printable(name)),
                        "`signet status -A` lists all of them; -n chooses the namespace",
                    )
                })
        })??;
        // Paths of Git have no dot; `.` itself is the whole tree.
        let path = PathBuf::from(sync.spec.path.trim_start_matches("./"));
        Ok((path, by_commit(&[sync])))
    }

    /// What all Syncs applied, or none with a note where the cluster does not say.
    fn applied(&self, ui: &Ui, global: &GlobalArgs) -> Option<Applied> {
        if self.offline {
            return None;
        }
        let progress = Progress::start(ui, "asking the cluster what is applied");
        let asked = cluster::block_on(async {
            let cluster = Cluster::connect(global).await?;
            let api: Api<Sync> = match &self.namespace {
                Some(namespace) => Api::namespaced(cluster.client, namespace),
                None => Api::all(cluster.client),
            };
            let list = api.list(&ListParams::default()).await;
            list.map(|list| by_commit(&list.items))
                .map_err(|err| cluster::explain(&err, "list Syncs"))
        });
        drop(progress);
        match asked.and_then(|applied| applied) {
            Ok(applied) => Some(applied),
            Err(err) => {
                ui.warn(
                    format!("applied commits are not marked: {}", err.message()),
                    "--offline leaves the cluster alone",
                );
                None
            }
        }
    }
}

fn by_commit(syncs: &[Sync]) -> Applied {
    let mut applied = Applied::new();
    for sync in syncs {
        let revision = sync
            .status
            .as_ref()
            .and_then(|status| status.last_applied_revision.as_ref());
        if let Some(revision) = revision {
            let of = |field: &Option<String>| field.clone().unwrap_or_default();
            let name = format!("{}/{}", of(&sync.metadata.namespace), of(&sync.metadata.name));
            let marks = applied.entry(revision.commit.clone()).or_default();
            marks.names.push(name);
            if !revision.signer.is_empty() {
                marks.signers.insert(revision.signer.clone());
            }
        }
    }
    applied
}

fn row(commit: &Commit, applied: Option<&Applied>) -> serde_json::Value {
    let marks = applied.map(|applied| applied.get(&commit.id));
    let list = |marks: Option<&Marks>, list: fn(&Marks) -> Vec<String>| marks.map(list).unwrap_or_default();
    json!({
        "commit": commit.id,
        "author": commit.author,
        "time": commit.time,
        "subject": commit.subject,
        // Null: not known. An empty list: applied by no Sync, or not verified.
        "appliedBy": marks.map(|marks| list(marks, |marks| marks.names.clone())),
        "signedBy": marks.map(|marks| list(marks, |marks| marks.signers.iter().cloned().collect())),
    })
}

fn render(ui: &Ui, commits: &[Commit], applied: Option<&Applied>) -> String {
    let marks = |commit: &Commit| applied.and_then(|applied| applied.get(&commit.id));
    // Most Repositories ask for no signatures: no column is empty from top to bottom.
    let signed = commits
        .iter()
        .filter_map(marks)
        .any(|marks| !marks.signers.is_empty());
    let rows: Vec<_> = commits
        .iter()
        .map(|commit| {
            let marks = marks(commit);
            let mut row = vec![
                Cell::new(commit.id.get(..12).unwrap_or(&commit.id)),
                Cell::new(&commit.time),
                Cell::new(&commit.author),
            ];
            if applied.is_some() {
                let names = marks.map(|marks| marks.names.join(",")).unwrap_or_default();
                row.push(Cell::styled(names, Style::Good));
            }
            if signed {
                let signers = marks.map(|marks| marks.signers.iter().map(String::as_str));
                row.push(Cell::new(
                    signers.into_iter().flatten().collect::<Vec<_>>().join(", "),
                ));
            }
            row.push(Cell::new(&commit.subject));
            row
        })
        .collect();
    let mut headings = vec!["COMMIT", "TIME", "AUTHOR", "SUBJECT"];
    if applied.is_some() {
        headings.insert(3, "APPLIED BY");
    }
    if signed {
        headings.insert(4, "SIGNED BY");
    }
    table::render(ui, &headings, &rows)
}
