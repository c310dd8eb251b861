//! The audit as a table, JSON, CSV and Markdown.

use crate::sheet::{escaped, line};
use crate::table::{self, Cell};
use crate::ui::{Style, Ui};
use audit::{Change, Detail, Outcome, Record};
use serde_json::json;
use std::fmt::Write as _;

/// For people: a line a commit, and its changes below.
pub(super) fn table(ui: &Ui, records: &[Record]) -> String {
    let headings = ["COMMIT", "TIME", "SIGNATURE", "AUTHOR", "CHANGE"];
    let mut rows = Vec::new();
    for record in records {
        let style = match record.signature.verdict.as_str() {
            "good" => Style::Good,
            "unchecked" | "unsigned" => Style::Heading,
            _ => Style::Bad,
        };
        let merge = if record.merge { "merge: " } else { "" };
        rows.push(vec![
            Cell::new(short(&record.commit)),
            Cell::new(&record.committed),
            Cell::styled(&record.signature.verdict, style),
            Cell::new(&record.author),
            Cell::new(format!("{merge}{}", record.subject)),
        ]);
        let blank = || Cell::new("");
        for change in &record.changes {
            let text = format!("  {}", sentence(change));
            rows.push(vec![blank(), blank(), blank(), blank(), Cell::new(text)]);
        }
        for result in &record.results {
            let style = if result.result == "Failed" {
                Style::Bad
            } else {
                Style::Good
            };
            let text = Cell::styled(format!("  {}", result.sentence()), style);
            rows.push(vec![blank(), blank(), blank(), blank(), text]);
        }
    }
    table::render(ui, &headings, &rows)
}

/// For programs.
pub(super) fn json(records: &[Record]) -> String {
    format!("{:#}\n", json!(records))
}

/// For spreadsheets (RFC 4180): a line a change, or one for a commit without any.
pub(super) fn csv(records: &[Record]) -> String {
    let head = [
        "commit",
        "committed",
        "author",
        "committer",
        "signature",
        "subject",
        "change",
        "object",
        "details",
        "results",
    ];
    let mut out = line(&head.map(str::to_owned));
    for (record, change) in lines(records) {
        let of = |pick: fn(&Change) -> String| change.map(pick).unwrap_or_default();
        out += &line(&[
            record.commit.clone(),
            record.committed.clone(),
            record.author.clone(),
            record.committer.clone(),
            record.signature.message.clone(),
            record.subject.clone(),
            of(|change| change.what.clone()),
            of(|change| change.object.clone()),
            of(|change| told(&change.details)),
            results(record),
        ]);
    }
    out
}

/// For reports.
pub(super) fn markdown(records: &[Record]) -> String {
    let mut out =
        "| commit | time | author | signature | subject | change | results |\n|---|---|---|---|---|---|---|\n".to_owned();
    for (record, change) in lines(records) {
        let cells = [
            short(&record.commit).to_owned(),
            record.committed.clone(),
            record.author.clone(),
            record.signature.message.clone(),
            record.subject.clone(),
            change.map(sentence).unwrap_or_default(),
            results(record),
        ];
        let cells = cells.map(|cell| escaped(&cell));
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out
}

/// A commit with each of its changes, or alone.
fn lines(records: &[Record]) -> impl Iterator<Item = (&Record, Option<&Change>)> {
    records.iter().flat_map(|record| {
        let alone = record.changes.is_empty().then_some((record, None));
        let each = record.changes.iter().map(move |change| (record, Some(change)));
        alone.into_iter().chain(each)
    })
}

fn results(record: &Record) -> String {
    let results = record.results.iter().map(Outcome::sentence);
    results.collect::<Vec<_>>().join("; ")
}

fn sentence(change: &Change) -> String {
    let details = told(&change.details);
    let between = if details.is_empty() { "" } else { ": " };
    format!("{} {}{between}{details}", change.what, change.object)
}

fn told(details: &[Detail]) -> String {
    let told = details.iter().map(|detail| {
        let by = if detail.by.is_empty() {
            String::new()
        } else {
            format!(" (for {})", detail.by.join(", "))
        };
        let what = match detail.what.as_str() {
            "resealed" => "sealed again",
            other => other,
        };
        format!("{what} {}{by}", detail.text).trim_end().to_owned()
    });
    told.collect::<Vec<_>>().join("; ")
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}
