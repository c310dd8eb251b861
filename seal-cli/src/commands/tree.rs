//! `signet tree`.

mod members;
mod node;

use crate::args::{Format, NamespaceArg, OutputArg};
use crate::cli::GlobalArgs;
use crate::cluster;
use crate::command_error::CommandError;
use crate::progress::Progress;
use crate::syncs::{Syncs, full_name};
use crate::table::{self, Cell};
use crate::ui::{Style, Ui};
use apply::words::OwnWord;
use apply::{Catalog, Key};
use clap::Args;
use crds::Sync;
use members::Members;
use node::Node;
use serde_json::json;
use std::process::ExitCode;

/// Show the objects of a Sync, what they own, and how they are
///
/// Objects are found as kubectl finds an ApplySet: by label, in the kinds and
/// namespaces that the Sync names. Only their metadata is read, so no value of
/// a Secret is sent. Below workloads stand the ReplicaSets, Jobs and Pods that
/// they own, where they may be listed.
///
/// Example: where does each object come from?
///
///     signet tree shop -n shop --source
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct TreeArgs {
    /// The Sync
    name: String,
    #[command(flatten)]
    place: NamespaceArg,
    /// Show the file and document that each object stands in
    #[arg(long)]
    source: bool,
    #[command(flatten)]
    format: OutputArg,
}

impl TreeArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        let (sync, members) = {
            let _progress = Progress::start(ui, "asking the cluster for the objects");
            cluster::block_on(async {
                let syncs = Syncs::connect(global, self.place.namespace.as_deref()).await?;
                let sync = syncs.get(&self.name).await?;
                let members = members::find(&syncs, &sync).await?;
                Ok::<_, CommandError>((sync, members))
            })??
        };
        for reason in &members.unread {
            ui.warn(reason, "what could not be listed is missing here");
        }
        match self.format.output {
            Format::Json => {
                let objects: Vec<_> = members.nodes.iter().map(Node::as_json).collect();
                let all = json!({
                    "namespace": sync.metadata.namespace,
                    "name": sync.metadata.name,
                    "revision": sync.status.as_ref().map(|status| &status.revision),
                    "objects": objects,
                    "unread": members.unread,
                });
                ui.write(format!("{all:#}\n"))?;
            }
            Format::Table => ui.write(self.table(ui, &sync, &members))?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn table(&self, ui: &Ui, sync: &Sync, members: &Members) -> String {
        let mut rows = vec![self.row(format!("Sync {}", full_name(sync)), None)];
        let lines = if ui.draws() { &DRAWN } else { &PLAIN };
        self.below(&members.nodes, "", lines, &mut rows);
        let mut headings = vec!["OBJECT", "HEALTH", "MESSAGE"];
        if self.source {
            headings.insert(2, "SOURCE");
        }
        table::render(ui, &headings, &rows)
    }

    fn below(&self, nodes: &[Node], indent: &str, lines: &Lines, rows: &mut Vec<Vec<Cell>>) {
        for (index, node) in nodes.iter().enumerate() {
            let last = index + 1 == nodes.len();
            let (branch, below) = if last {
                (lines.last, lines.nothing)
            } else {
                (lines.branch, lines.pass)
            };
            rows.push(self.row(format!("{indent}{branch}{}", node.title()), Some(node)));
            self.below(&node.children, &format!("{indent}{below}"), lines, rows);
        }
    }

    fn row(&self, title: String, node: Option<&Node>) -> Vec<Cell> {
        let of = |field: Option<&String>| field.map(String::as_str).unwrap_or_default().to_owned();
        let health = of(node.and_then(|node| node.health.as_ref()));
        let style = match health.as_str() {
            "Current" => Style::Good,
            "Failed" => Style::Bad,
            _ => Style::Waiting,
        };
        let mut row = vec![
            Cell::new(title),
            Cell::styled(health, style),
            Cell::new(of(node.and_then(|node| node.message.as_ref()))),
        ];
        if self.source {
            row.insert(2, Cell::new(of(node.and_then(|node| node.source.as_ref()))));
        }
        row
    }
}

/// An object of a Sync, and what it says of its own end.
pub(super) struct Member {
    pub(super) key: Key,
    pub(super) word: Option<OwnWord>,
    pub(super) frozen: bool,
}

/// The members of a Sync, and what could not be listed.
pub(super) async fn members(syncs: &Syncs, sync: &Sync, catalog: &Catalog) -> (Vec<Member>, Vec<String>) {
    let Members { nodes, unread } = members::own(syncs, sync, catalog).await;
    let member = |node: Node| Member {
        key: node.key,
        word: node.word,
        frozen: node.frozen,
    };
    (nodes.into_iter().map(member).collect(), unread)
}

/// What a tree is drawn with.
struct Lines {
    branch: &'static str,
    last: &'static str,
    pass: &'static str,
    nothing: &'static str,
}

const DRAWN: Lines = Lines {
    branch: "├─ ",
    last: "└─ ",
    pass: "│  ",
    nothing: "   ",
};
const PLAIN: Lines = Lines {
    branch: "|- ",
    last: "`- ",
    pass: "|  ",
    nothing: "   ",
};
