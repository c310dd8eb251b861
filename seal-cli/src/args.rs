//! Arguments that several commands take, and how they are read.

use clap::{Args, ValueEnum};
use jiff::SignedDuration;
use std::time::Duration;

/// How data is printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// `--output`.
#[derive(Args)]
pub(crate) struct OutputArg {
    /// Print a table or json
    #[arg(
        long,
        short = 'o',
        value_name = "FORMAT",
        default_value = "table",
        hide_possible_values = true
    )]
    pub(crate) output: Format,
}

/// How a report is printed that people also take into a spreadsheet or a text.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SheetFormat {
    /// For people at a terminal.
    Table,
    /// For programs.
    Json,
    /// For spreadsheets: no cell is one that they would compute.
    Csv,
    /// For reports.
    Markdown,
}

/// `--output` of such a report.
#[derive(Args)]
pub(crate) struct SheetArg {
    /// Print a table, json, csv or markdown
    #[arg(
        long,
        short = 'o',
        value_name = "FORMAT",
        default_value = "table",
        hide_possible_values = true
    )]
    pub(crate) output: SheetFormat,
}

/// `--namespace`.
#[derive(Args)]
pub(crate) struct NamespaceArg {
    /// The Sync's namespace [default: that of the kubeconfig's context]
    #[arg(long, short, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
}

/// Reads a duration such as `30s`, for clap.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text
        .parse::<SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok());
    parsed.ok_or_else(|| "a duration is a number with its unit, such as 30s or 10m".to_owned())
}

/// A duration as people write it.
pub(crate) fn human(duration: Duration) -> String {
    SignedDuration::try_from(duration).map_or_else(
        |_| "the time given".to_owned(),
        |duration| format!("{duration:#}"),
    )
}
