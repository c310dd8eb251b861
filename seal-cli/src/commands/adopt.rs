//! `signet adopt`.

mod find;
mod steps;

use crate::args::{Format, OutputArg};
use crate::cli::GlobalArgs;
use crate::cluster::{self, Cluster};
use crate::command_error::CommandError;
use crate::progress::Progress;
use crate::syncs::{Syncs, current_status, full_name};
use crate::table::{self, Cell};
use crate::ui::{Style, Ui};
use clap::{Args, ValueEnum};
use crds::{Mode, Sync, SyncStatus};
use find::{Found, Owner};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

/// Show what Flux or Argo CD manages, and how Signet takes it over
///
/// Lists the objects of each Kustomization, HelmRelease or Application by the
/// labels and annotations that Flux and Argo CD write, with metadata only, and
/// says how to hand them over. With --sync, it shows what that Sync, in mode
/// Detect, would change of each. It changes nothing.
///
/// Example: would the Sync change anything that Flux has applied?
///
///     signet adopt --from flux -n shop --sync shop
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct AdoptArgs {
    /// Whose objects: flux or argocd
    #[arg(long, value_name = "TOOL", hide_possible_values = true)]
    from: Tool,
    /// The Sync that is to take over
    #[arg(long, value_name = "NAME")]
    sync: Option<String>,
    /// Objects of this namespace only, and the Sync's namespace [default: the whole cluster, and that of the context]
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,
    #[command(flatten)]
    format: OutputArg,
}

/// Who manages objects so far.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tool {
    Flux,
    Argocd,
}

/// What a Sync would do to an object that is there.
enum Change {
    /// It would be changed, in these fields as far as they are known.
    Changes(Vec<String>),
    /// It is as Git has it, or Git does not have it: a Sync names differences only.
    None,
    /// The Sync does not say.
    Unknown,
}

impl AdoptArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        let (sync, found) = {
            let _progress = Progress::start(ui, "asking the cluster for its objects");
            cluster::block_on(async {
                let sync = match &self.sync {
                    Some(name) => {
                        let syncs = Syncs::connect(global, self.namespace.as_deref()).await?;
                        Some(syncs.get(name).await?)
                    }
                    None => None,
                };
                let cluster = Cluster::connect(global).await?;
                let found = find::find(&cluster.client, self.from, self.namespace.as_deref()).await?;
                Ok::<_, CommandError>((sync, found))
            })??
        };
        for reason in &found.unread {
            ui.warn(reason, "what could not be listed is missing here");
        }
        if let Some(sync) = &sync
            && sync.spec.mode != Mode::Detect
        {
            ui.warn(
                format!(
                    "Sync {} is not in mode Detect: it applies what it finds in Git",
                    full_name(sync)
                ),
                "set spec.mode to Detect until the other tool has let go",
            );
        }
        match self.format.output {
            Format::Json => ui.write(format!("{:#}\n", as_json(self.from, sync.as_ref(), &found)))?,
            Format::Table if found.owners.is_empty() => ui.status("Nothing here is managed by it."),
            Format::Table => ui.write(text(ui, self.from, sync.as_ref(), &found))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Change {
    fn of(sync: &Sync, object: &str) -> Self {
        let Some(status) = current_status(sync) else {
            return Self::Unknown;
        };
        let drift = status.drift.iter().find(|drift| drift.object == object);
        let plan = status.plan.as_ref();
        let taken = plan.and_then(|plan| plan.actions.iter().find_map(|action| taken(action, object)));
        if taken.is_some() || drift.is_some() {
            let lost = drift.map(|drift| drift.fields.clone());
            let known = lost.filter(|fields| !fields.is_empty());
            return Self::Changes(known.or(taken).unwrap_or_default());
        }
        if is_complete(status) {
            Self::None
        } else {
            Self::Unknown
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Changes(_) => "changes",
            Self::None => "none",
            Self::Unknown => "unknown",
        }
    }
}

/// The fields that an action takes from others, where it is about this object: `update KIND NAME (takes FIELD from WHOM, …)`.
fn taken(action: &str, object: &str) -> Option<Vec<String>> {
    let rest = action.split_once(' ')?.1.strip_prefix(object)?;
    if rest.is_empty() {
        return Some(Vec::new());
    }
    let taken = rest.strip_prefix(" (takes ")?.strip_suffix(')')?;
    let fields = taken.split(", ").filter_map(|field| field.split_once(" from "));
    Some(fields.map(|(field, _)| field.to_owned()).collect())
}

/// Whether the Sync has looked, and names all that differs: no list holds more than fifty.
fn is_complete(status: &SyncStatus) -> bool {
    let listed = status.plan.as_ref().is_none_or(|plan| {
        plan.actions.len() as u64 >= u64::from(plan.create) + u64::from(plan.update) + u64::from(plan.delete)
    });
    listed && status.counts.objects > 0
}

fn text(ui: &Ui, tool: Tool, sync: Option<&Sync>, found: &Found) -> String {
    let mut out = String::new();
    for (owner, objects) in &found.owners {
        let plural = if objects.len() == 1 { "" } else { "s" };
        let _ = writeln!(out, "{owner}: {} object{plural}", objects.len());
        if let Some(sync) = sync {
            let rows: Vec<_> = objects
                .iter()
                .map(|object| {
                    let change = Change::of(sync, object);
                    let (style, fields) = match &change {
                        Change::Changes(fields) => (Style::Waiting, fields.join(", ")),
                        Change::None => (Style::Good, String::new()),
                        Change::Unknown => (Style::Bad, String::new()),
                    };
                    vec![
                        Cell::new(object),
                        Cell::styled(change.word(), style),
                        Cell::new(fields),
                    ]
                })
                .collect();
            out.push_str(&table::render(ui, &["OBJECT", "CHANGE", "FIELDS"], &rows));
        } else {
            for object in objects {
                let _ = writeln!(out, "  {}", sealing::Printable(object));
            }
        }
        let _ = writeln!(out, "\nto take over:");
        for (number, step) in steps::of(tool, owner, sync).iter().enumerate() {
            let _ = writeln!(out, "  {}. {step}", number + 1);
        }
        out.push('\n');
    }
    if let Some(status) = sync.and_then(current_status) {
        let plan = status.plan.clone().unwrap_or_default();
        let _ = writeln!(
            out,
            "Git has {} objects for the Sync: {} would be created, {} changed.",
            status.counts.objects, plan.create, plan.update
        );
    }
    out
}

fn as_json(tool: Tool, sync: Option<&Sync>, found: &Found) -> Value {
    let object = |name: &String| -> Value {
        let change = sync.map(|sync| Change::of(sync, name));
        let fields = match &change {
            Some(Change::Changes(fields)) => fields.clone(),
            _ => Vec::new(),
        };
        json!({"object": name, "change": change.as_ref().map(Change::word), "fields": fields})
    };
    let owners = |owners: &BTreeMap<Owner, Vec<String>>| -> Vec<Value> {
        let one = |(owner, objects): (&Owner, &Vec<String>)| {
            json!({
                "kind": owner.kind, "namespace": owner.namespace, "name": owner.name,
                "objects": objects.iter().map(object).collect::<Vec<_>>(),
                "steps": steps::of(tool, owner, sync),
            })
        };
        owners.iter().map(one).collect()
    };
    json!({"owners": owners(&found.owners), "unread": found.unread})
}
