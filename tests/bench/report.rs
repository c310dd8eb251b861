//! What was measured: said on standard error as it comes, and in the end as a table or as JSON.

use std::fmt::Write as _;
use std::time::Instant;

use serde_json::{Value, json};

use crate::host;
use crate::process::Machine;

struct Row {
    case: &'static str,
    what: &'static str,
    value: f64,
    unit: &'static str,
    note: String,
}

pub(crate) struct Report {
    objects: usize,
    began: Instant,
    before: Machine,
    /// Processors that others kept busy, on average.
    others: f64,
    load: [String; 2],
    rows: Vec<Row>,
    promises: Vec<(String, bool)>,
    /// Objects a second of each floor.
    floors: Vec<f64>,
}

impl Report {
    pub(crate) fn new(objects: usize) -> Self {
        Self {
            objects,
            began: Instant::now(),
            before: Machine::now(),
            others: 0.0,
            load: [host::load(), String::new()],
            rows: Vec::new(),
            promises: Vec::new(),
            floors: Vec::new(),
        }
    }

    /// Progress.
    pub(crate) fn say(&self, text: &str) {
        eprintln!(
            "[{:5.1} s, load {}] {text}",
            self.began.elapsed().as_secs_f64(),
            host::load()
        );
    }

    pub(crate) fn add(&mut self, case: &'static str, what: &'static str, value: f64, unit: &'static str) {
        self.add_with(case, what, value, unit, "");
    }

    pub(crate) fn add_with(
        &mut self,
        case: &'static str,
        what: &'static str,
        value: f64,
        unit: &'static str,
        note: impl Into<String>,
    ) {
        let note = note.into();
        self.say(&format!("{case}: {what}: {} {unit} {note}", short(value)));
        self.rows.push(Row {
            case,
            what,
            value,
            unit,
            note,
        });
    }

    /// A count that the design promises.
    pub(crate) fn promise(&mut self, what: String, kept: bool) {
        self.promises.push((what, kept));
    }

    pub(crate) fn broken(&self) -> Vec<&str> {
        let broken = self.promises.iter().filter(|(_, kept)| !kept);
        broken.map(|(what, _)| what.as_str()).collect()
    }

    pub(crate) fn floor(&mut self, rate: f64) {
        self.floors.push(rate);
    }

    pub(crate) fn finish(&mut self) {
        self.load[1] = host::load();
        self.others = self.before.used().others;
        // The floor after was not known when Signet was measured.
        let rate = self.rows.iter().find(|row| row.what == RATE).map(|row| row.value);
        if let (Some(rate), [_, ..]) = (rate, &self.floors[..]) {
            let floors: f64 = self.floors.iter().sum::<f64>() / crate::numbers::count(self.floors.len());
            self.add_with(
                "apply",
                "share of the floor",
                100.0 * rate / floors,
                "%",
                "of the mean of the floors",
            );
        }
    }

    pub(crate) fn json(&self) -> Value {
        let rows = self.rows.iter().map(
            |row| json!({"case": row.case, "what": row.what, "value": row.value, "unit": row.unit, "note": row.note}),
        );
        let promises = self
            .promises
            .iter()
            .map(|(what, kept)| json!({"what": what, "kept": kept}));
        let budgets = self.budgets().map(|(row, limit, met)| {
            json!({"case": row.case, "what": row.what, "value": row.value, "unit": row.unit, "limit": limit, "met": met})
        });
        json!({
            "objects": self.objects,
            "host": host::describe(),
            "load": {"before": self.load[0], "after": self.load[1], "processorsBusyWithOthers": self.others},
            "rows": rows.collect::<Vec<_>>(),
            "promises": promises.collect::<Vec<_>>(),
            "budgets": budgets.collect::<Vec<_>>(),
        })
    }

    /// Each budget of the design that was measured: what, the value, the limit, and whether it is met.
    fn budgets(&self) -> impl Iterator<Item = (&Row, f64, bool)> {
        BUDGETS.iter().filter_map(|(case, what, limit)| {
            let row = self
                .rows
                .iter()
                .find(|row| row.case == *case && row.what == *what)?;
            Some((row, *limit, row.value <= *limit))
        })
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("{} objects; {}\n", self.objects, host::describe());
        let _ = writeln!(
            text,
            "load {} before, {} after; {:.2} processors busy with others on average\n",
            self.load[0], self.load[1], self.others
        );
        text.push_str("| budget | | measured | at most | |\n|---|---|---:|---:|---|\n");
        for (row, limit, met) in self.budgets() {
            let word = if met { "met" } else { "missed" };
            let Row { case, what, unit, .. } = row;
            let (value, limit) = (short(row.value), short(limit));
            let _ = writeln!(
                text,
                "| {case} | {what} | {value} {unit} | {limit} {unit} | {word} |"
            );
        }
        text.push_str("\n| part | measured | | |\n|---|---|---:|---|\n");
        for row in &self.rows {
            let value = short(row.value);
            let _ = writeln!(
                text,
                "| {} | {} | {value} {} | {} |",
                row.case, row.what, row.unit, row.note
            );
        }
        text.push('\n');
        for (what, kept) in &self.promises {
            let _ = writeln!(text, "- {}: {what}", if *kept { "kept" } else { "BROKEN" });
        }
        text
    }
}

/// The budgets, for the sizes that a run has by default: 300 Syncs of four objects, 10,000 objects, 1,000 sealed Secrets.
/// Memory: 60 and 35 million bytes. Unchanged: none but the answers.
const BUDGETS: [(&str, &str, f64); 17] = [
    ("many", "created → all Ready", 4.0),
    ("many", "fresh: controller CPU, to rest", 4.0),
    ("many", "fresh: peak RSS", 57.2),
    ("many", "unchanged: API requests", 300.0),
    ("many", "unchanged: controller CPU, to rest", 0.1),
    ("drift", "edited → right, p50", 5.0),
    ("drift", "edited → right, p99", 25.0),
    ("drift", "many edits: edited → right, p99", 100.0),
    ("apply", "RSS at rest", 33.4),
    ("restart", "writes", 0.0),
    ("lost", "objects written", 0.0),
    ("sealed", "visible → live", 5.0),
    ("sealed", "sealed by one call of `signet seal`", 0.5),
    ("sealed, restart", "writes", 0.0),
    ("sealed, restart", "private-key operations", 0.0),
    ("paths", "Syncs that ran", 1.0),
    ("push", "webhook: pushed → applied, p50", 150.0),
];

/// The row that the floors are compared with.
pub(crate) const RATE: &str = "objects a second, visible → live";

/// Three digits that matter, and every digit of a count.
fn short(value: f64) -> String {
    match value.abs() {
        _ if value.fract() == 0.0 => format!("{value:.0}"),
        large if large >= 100.0 => format!("{value:.0}"),
        medium if medium >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
