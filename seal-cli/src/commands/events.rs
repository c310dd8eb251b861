//! `signet events`.

use crate::args::{Format, OutputArg};
use crate::cli::GlobalArgs;
use crate::cluster::{self, Cluster};
use crate::command_error::CommandError;
use crate::follow::{self, Seen, follow};
use crate::progress::Progress;
use crate::table::{self, Cell};
use crate::ui::{Style, Ui};
use clap::Args;
use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::process::ExitCode;

/// What the controller calls itself in its events.
const CONTROLLER: &str = "signet.dev/controller";
const HEADINGS: [&str; 5] = ["TIME", "TYPE", "REASON", "OBJECT", "MESSAGE"];

/// Show what happened to Syncs and Repositories, newest last
///
/// Kubernetes keeps events for an hour, unless its administrator has chosen
/// otherwise. What is so now is in `signet status`.
///
/// Example: see what goes wrong in the whole cluster, as it happens
///
///     signet events --all-namespaces --warnings --watch
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct EventsArgs {
    /// One Sync
    #[arg(value_name = "SYNC")]
    name: Option<String>,
    /// The namespace [default: that of the kubeconfig's context]
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,
    /// Events of every namespace
    #[arg(long, short = 'A', conflicts_with_all = ["namespace", "name"])]
    all_namespaces: bool,
    /// Go on with what happens, until interrupted; json is one object a line then
    #[arg(long, short)]
    watch: bool,
    /// Warnings only
    #[arg(long)]
    warnings: bool,
    #[command(flatten)]
    format: OutputArg,
}

impl EventsArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        if let Some(name) = &self.name
            && !name
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
        {
            // It becomes part of a selector.
            return Err(CommandError::user(
                format!("`{}` is not the name of a Sync", sealing::Printable(name)),
                "`signet status -A` lists all Syncs",
            ));
        }
        cluster::block_on(self.show(ui, global))??;
        Ok(ExitCode::SUCCESS)
    }

    async fn show(&self, ui: &Ui, global: &GlobalArgs) -> Result<(), CommandError> {
        let cluster = Cluster::connect_to_watch(global).await?;
        let api: Api<Event> = if self.all_namespaces {
            Api::all(cluster.client)
        } else {
            let namespace = self.namespace.as_deref().unwrap_or(&cluster.namespace);
            Api::namespaced(cluster.client, namespace)
        };
        let fields = self.selector();
        if self.watch {
            let mut printer = Printer::new(ui, self.format.output);
            let look = |seen| match printer.take(seen) {
                Ok(()) => ControlFlow::Continue(()),
                Err(err) => ControlFlow::Break(err),
            };
            return Err(follow(&api, Some(&fields), "watch events", look).await?);
        }
        let mut events = {
            let _progress = Progress::start(ui, "asking the cluster for events");
            let listed = follow::list(&api, Some(&fields)).await;
            listed.map_err(|err| cluster::explain(&err, "list events"))?.0
        };
        sort(&mut events);
        match self.format.output {
            Format::Json => {
                let rows: Vec<_> = events.iter().map(as_json).collect();
                ui.write(format!("{:#}\n", json!(rows)))?;
            }
            Format::Table if events.is_empty() => ui.status("There are no events here."),
            Format::Table => {
                let rows: Vec<_> = events.iter().map(row).collect();
                ui.write(table::render(ui, &HEADINGS, &rows))?;
            }
        }
        Ok(())
    }

    fn selector(&self) -> String {
        let mut fields = vec![format!("reportingController={CONTROLLER}")];
        if let Some(name) = &self.name {
            fields.push(format!("regarding.kind=Sync,regarding.name={name}"));
        }
        if self.warnings {
            fields.push("type=Warning".to_owned());
        }
        fields.join(",")
    }
}

/// Prints what is new, under one heading.
struct Printer<'a> {
    ui: &'a Ui,
    format: Format,
    /// Versions that were printed, by uid, as long as the API server keeps them.
    printed: BTreeMap<String, String>,
    widths: Option<Vec<usize>>,
}

impl<'a> Printer<'a> {
    fn new(ui: &'a Ui, format: Format) -> Self {
        Self {
            ui,
            format,
            printed: BTreeMap::new(),
            widths: None,
        }
    }

    fn take(&mut self, seen: Seen<Event>) -> Result<(), CommandError> {
        let mut new = match seen {
            Seen::Gone(event) => {
                self.printed.remove(&id(&event).0);
                return Ok(());
            }
            Seen::One(event) => vec![event],
            Seen::All(events) => {
                let ids: BTreeMap<_, _> = events.iter().map(id).collect();
                self.printed.retain(|uid, _| ids.contains_key(uid));
                events
            }
        };
        new.retain(|event| {
            let (uid, version) = id(event);
            self.printed.insert(uid, version.clone()).as_ref() != Some(&version)
        });
        sort(&mut new);
        let text = match self.format {
            Format::Json => new
                .iter()
                .map(|event| as_json(event).to_string() + "\n")
                .collect(),
            Format::Table => self.lines(&new),
        };
        if !text.is_empty() {
            self.ui.write(text)?;
        }
        Ok(())
    }

    fn lines(&mut self, events: &[Event]) -> String {
        let rows: Vec<_> = events.iter().map(row).collect();
        if let Some(widths) = &self.widths {
            return rows.iter().map(|row| table::line(self.ui, widths, row)).collect();
        }
        self.widths = Some(table::widths(&HEADINGS, &rows));
        table::render(self.ui, &HEADINGS, &rows)
    }
}

fn id(event: &Event) -> (String, String) {
    let of = |field: &Option<String>| field.clone().unwrap_or_default();
    (of(&event.metadata.uid), of(&event.metadata.resource_version))
}

/// Oldest first.
fn sort(events: &mut [Event]) {
    events.sort_by_cached_key(|event| (time(event), event.metadata.name.clone()));
}

/// When it happened last.
fn time(event: &Event) -> Timestamp {
    let series = event.series.as_ref().map(|series| series.last_observed_time.0);
    let first = event.event_time.as_ref().map(|time| time.0);
    let old = event.deprecated_last_timestamp.as_ref().map(|time| time.0);
    let created = event.metadata.creation_timestamp.as_ref().map(|time| time.0);
    series.or(first).or(old).or(created).unwrap_or_default()
}

fn object(event: &Event) -> String {
    let of = |field: Option<&String>| field.cloned().unwrap_or_default();
    let about = event.regarding.as_ref();
    format!(
        "{} {}/{}",
        of(about.and_then(|about| about.kind.as_ref())),
        of(about.and_then(|about| about.namespace.as_ref())),
        of(about.and_then(|about| about.name.as_ref()))
    )
}

fn row(event: &Event) -> Vec<Cell> {
    let type_ = event.type_.as_deref().unwrap_or_default();
    let style = if type_ == "Warning" {
        Style::Bad
    } else {
        Style::Good
    };
    vec![
        Cell::new(time(event).strftime("%FT%TZ").to_string()),
        Cell::styled(type_, style),
        Cell::new(event.reason.as_deref().unwrap_or_default()),
        Cell::new(object(event)),
        Cell::new(event.note.as_deref().unwrap_or_default()),
    ]
}

fn as_json(event: &Event) -> Value {
    let about = event.regarding.as_ref();
    json!({
        "time": time(event).to_string(),
        "type": event.type_,
        "reason": event.reason,
        "kind": about.and_then(|about| about.kind.as_ref()),
        "namespace": about.and_then(|about| about.namespace.as_ref()),
        "name": about.and_then(|about| about.name.as_ref()),
        "message": event.note,
    })
}
