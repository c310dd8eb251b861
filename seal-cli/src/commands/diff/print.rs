//! The report as text, as JSON, and as Markdown for pull requests.

use super::compare::Difference;
use super::{Action, Outcome, Report};
use crate::ui::{Style, Ui};
use sealing::Printable;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Fields that are printed of one object, and characters of one value. JSON has all.
const FIELDS: usize = 100;
const WIDE: usize = 200;

impl Action {
    fn word(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Delete => "delete",
            Self::Keep => "keep",
            Self::Create => "create",
            Self::Update => "update",
            Self::Unchanged => "unchanged",
        }
    }

    fn style(self) -> Style {
        match self {
            Self::Refused | Self::Delete => Style::Bad,
            Self::Create | Self::Unchanged => Style::Good,
            Self::Update | Self::Keep => Style::Waiting,
        }
    }
}

impl Report {
    fn count(&self, action: Action) -> usize {
        self.outcomes
            .iter()
            .filter(|outcome| outcome.action == action)
            .count()
    }

    fn summary(&self) -> String {
        let count = |action| self.count(action);
        let mut text = format!(
            "{} with {}: {} to create, {} to change, {} to delete, {} unchanged",
            self.sync,
            self.revision,
            count(Action::Create),
            count(Action::Update),
            count(Action::Delete),
            count(Action::Unchanged)
        );
        for (action, word) in [(Action::Keep, "kept"), (Action::Refused, "refused")] {
            if count(action) > 0 {
                let _ = write!(text, ", {} {word}", count(action));
            }
        }
        text
    }

    fn shown(&self) -> impl Iterator<Item = &Outcome> {
        self.outcomes
            .iter()
            .filter(|outcome| outcome.action != Action::Unchanged)
    }
}

pub(super) fn text(ui: &Ui, report: &Report) -> String {
    let mut out = String::new();
    for outcome in report.shown() {
        let line = format!("{} {}", outcome.action.word(), Printable(&outcome.object));
        let _ = write!(out, "{}", ui.paint(outcome.action.style(), &line));
        if !outcome.note.is_empty() {
            let _ = write!(out, ": {}", Printable(&outcome.note));
        }
        out.push('\n');
        for line in lines(&outcome.fields) {
            let style = match line.chars().next() {
                Some('+') => Style::Good,
                Some('-') => Style::Bad,
                _ => Style::Waiting,
            };
            let _ = writeln!(out, "  {}", ui.paint(style, &line));
        }
    }
    let _ = writeln!(out, "{}", report.summary());
    out
}

/// One line a field that came or went, two for one that changed.
fn lines(fields: &[Difference]) -> Vec<String> {
    let mut lines = Vec::new();
    for field in fields.iter().take(FIELDS) {
        let path = Printable(&field.path).to_string();
        if field.masked {
            lines.push(match (&field.before, &field.after) {
                (None, _) => format!("+ {path}"),
                (_, None) => format!("- {path}"),
                _ => format!("! {path}: its value changes"),
            });
            continue;
        }
        if let Some(before) = &field.before {
            lines.push(format!("- {path}: {}", short(before)));
        }
        if let Some(after) = &field.after {
            lines.push(format!("+ {path}: {}", short(after)));
        }
    }
    if fields.len() > FIELDS {
        lines.push(format!("! and {} more fields", fields.len() - FIELDS));
    }
    lines
}

fn short(value: &Value) -> String {
    let text = Printable(&value.to_string()).to_string();
    let cut: String = text.chars().take(WIDE).collect();
    if cut.len() < text.len() { cut + "…" } else { cut }
}

pub(super) fn json(report: &Report) -> Value {
    let field = |field: &Difference| {
        let change = match (&field.before, &field.after) {
            (None, _) => "added",
            (_, None) => "removed",
            _ => "changed",
        };
        let shown = |value: &Option<Value>| value.clone().filter(|_| !field.masked);
        json!({
            "path": field.path, "change": change, "masked": field.masked,
            "before": shown(&field.before), "after": shown(&field.after),
        })
    };
    let objects: Vec<_> = report
        .shown()
        .map(|outcome| {
            json!({
                "action": outcome.action.word(),
                "object": outcome.object,
                "source": outcome.source,
                "note": outcome.note,
                "fields": outcome.fields.iter().map(field).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "sync": report.sync,
        "revision": report.revision,
        "create": report.count(Action::Create),
        "update": report.count(Action::Update),
        "delete": report.count(Action::Delete),
        "keep": report.count(Action::Keep),
        "unchanged": report.count(Action::Unchanged),
        "refused": report.count(Action::Refused),
        "objects": objects,
        "unread": report.unread,
    })
}

/// A heading, and a paragraph that opens for each object.
pub(super) fn markdown(report: &Report) -> String {
    let mut out = format!("**{}**\n", html(&report.summary()));
    for outcome in report.shown() {
        let note = match outcome.note.as_str() {
            "" => String::new(),
            note => format!(": {}", html(note)),
        };
        let _ = write!(
            out,
            "\n<details><summary>{} <code>{}</code>{note}</summary>\n\n",
            outcome.action.word(),
            html(&outcome.object)
        );
        if !outcome.source.is_empty() {
            let _ = write!(out, "<code>{}</code>\n\n", html(&outcome.source));
        }
        let body = lines(&outcome.fields).join("\n");
        if !body.is_empty() {
            // Longer than anything inside, so that nothing inside can end it.
            let mark = "`".repeat(longest_run(&body).max(2) + 1);
            let _ = write!(out, "{mark}diff\n{body}\n{mark}\n\n");
        }
        out.push_str("</details>\n");
    }
    for reason in &report.unread {
        let _ = write!(out, "\nNot read: {}\n", html(reason));
    }
    out
}

fn longest_run(text: &str) -> usize {
    text.split(|char| char != '`').map(str::len).max().unwrap_or(0)
}

fn html(text: &str) -> String {
    let text = Printable(text).to_string();
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // Markdown's own marks, as character references.
            '*' | '_' | '`' | '[' | ']' | '\\' | '@' | '#' | '|' | '!' | '~' => {
                let _ = write!(out, "&#{};", u32::from(char));
            }
            char => out.push(char),
        }
    }
    out
}
