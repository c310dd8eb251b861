//! The audit as a table, JSON, CSV and Markdown.

use super::Entry;
use super::changes::{Change, Detail};
use crate::sheet::{escaped, line};
use crate::table::{self, Cell};
use crate::ui::{Style, Ui};
use serde_json::json;
use std::fmt::Write as _;

/// For people: a line a commit, and its changes below.
pub(super) fn table(ui: &Ui, entries: &[Entry]) -> String {
    let headings = ["COMMIT", "TIME", "SIGNATURE", "AUTHOR", "CHANGE"];
    let mut rows = Vec::new();
    for entry in entries {
        let commit = &entry.commit;
        let style = match entry.signature.0.as_str() {
            "good" => Style::Good,
            "unchecked" | "unsigned" => Style::Heading,
            _ => Style::Bad,
        };
        let merge = if commit.merge { "merge: " } else { "" };
        rows.push(vec![
            Cell::new(short(&commit.id)),
            Cell::new(&commit.committed),
            Cell::styled(&entry.signature.0, style),
            Cell::new(&commit.author),
            Cell::new(format!("{merge}{}", commit.subject)),
        ]);
        let blank = || Cell::new("");
        for change in &entry.changes {
            let text = format!("  {}", sentence(change));
            rows.push(vec![blank(), blank(), blank(), blank(), Cell::new(text)]);
        }
        for result in &entry.results {
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
pub(super) fn json(entries: &[Entry]) -> String {
    let rows: Vec<_> = entries
        .iter()
        .map(|entry| {
            let commit = &entry.commit;
            let changes: Vec<_> = entry
                .changes
                .iter()
                .map(|change| {
                    let details: Vec<_> = change
                        .details
                        .iter()
                        .map(|detail| json!({"what": detail.what, "text": detail.text, "sealedFor": detail.by}))
                        .collect();
                    json!({"what": change.what, "object": change.object, "sealed": details})
                })
                .collect();
            let results: Vec<_> = entry
                .results
                .iter()
                .map(|found| {
                    json!({"cluster": found.cluster, "time": found.time, "sync": found.sync,
                        "result": found.result, "detail": found.detail})
                })
                .collect();
            json!({
                "commit": commit.id,
                "author": commit.author,
                "authored": commit.authored,
                "committer": commit.committer,
                "committed": commit.committed,
                "subject": commit.subject,
                "merge": commit.merge,
                "signature": {"verdict": entry.signature.0, "message": entry.signature.1},
                "changes": changes,
                "results": results,
            })
        })
        .collect();
    format!("{:#}\n", json!(rows))
}

/// For spreadsheets (RFC 4180): a line a change, or one for a commit without any.
pub(super) fn csv(entries: &[Entry]) -> String {
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
    for (entry, change) in lines(entries) {
        let commit = &entry.commit;
        let of = |pick: fn(&Change) -> String| change.map(pick).unwrap_or_default();
        out += &line(&[
            commit.id.clone(),
            commit.committed.clone(),
            commit.author.clone(),
            commit.committer.clone(),
            entry.signature.1.clone(),
            commit.subject.clone(),
            of(|change| change.what.to_owned()),
            of(|change| change.object.clone()),
            of(|change| told(&change.details)),
            results(entry),
        ]);
    }
    out
}

/// For reports.
pub(super) fn markdown(entries: &[Entry]) -> String {
    let mut out =
        "| commit | time | author | signature | subject | change | results |\n|---|---|---|---|---|---|---|\n".to_owned();
    for (entry, change) in lines(entries) {
        let commit = &entry.commit;
        let cells = [
            short(&commit.id).to_owned(),
            commit.committed.clone(),
            commit.author.clone(),
            entry.signature.1.clone(),
            commit.subject.clone(),
            change.map(sentence).unwrap_or_default(),
            results(entry),
        ];
        let cells = cells.map(|cell| escaped(&cell));
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out
}

/// A commit with each of its changes, or alone.
fn lines(entries: &[Entry]) -> impl Iterator<Item = (&Entry, Option<&Change>)> {
    entries.iter().flat_map(|entry| {
        let alone = entry.changes.is_empty().then_some((entry, None));
        let each = entry.changes.iter().map(move |change| (entry, Some(change)));
        alone.into_iter().chain(each)
    })
}

fn results(entry: &Entry) -> String {
    let results = entry.results.iter().map(super::Outcome::sentence);
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
        let what = match detail.what {
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
