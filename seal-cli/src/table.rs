//! Tables for people: columns as wide as they need, headings in capitals, nothing drawn.

use crate::ui::{Style, Ui};
use sealing::Printable;

/// One cell: text from outside, made safe to print, and its colour.
pub(crate) struct Cell {
    text: String,
    style: Option<Style>,
}

impl Cell {
    pub(crate) fn new(text: impl AsRef<str>) -> Self {
        Self {
            text: Printable(text.as_ref()).to_string(),
            style: None,
        }
    }

    /// A text that is shown whole, however long: the caller has seen to it that it is fit for a terminal.
    pub(crate) fn whole(text: String) -> Self {
        Self { text, style: None }
    }

    pub(crate) fn styled(text: impl AsRef<str>, style: Style) -> Self {
        Self {
            style: Some(style),
            ..Self::new(text)
        }
    }
}

/// Renders rows under headings. The last column is as long as it likes.
pub(crate) fn render(ui: &Ui, headings: &[&str], rows: &[Vec<Cell>]) -> String {
    let widths = widths(headings, rows);
    let head: Vec<Cell> = headings
        .iter()
        .map(|text| Cell::styled(text, Style::Heading))
        .collect();
    let mut out = String::new();
    for row in std::iter::once(&head).chain(rows) {
        out.push_str(&line(ui, &widths, row));
    }
    out
}

/// How wide the columns are.
pub(crate) fn widths(headings: &[&str], rows: &[Vec<Cell>]) -> Vec<usize> {
    headings
        .iter()
        .enumerate()
        .map(|(column, heading)| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells
                .map(|cell| cell.text.chars().count())
                .max()
                .unwrap_or(0)
                .max(heading.len())
        })
        .collect()
}

/// One row, below a table of these widths.
pub(crate) fn line(ui: &Ui, widths: &[usize], row: &[Cell]) -> String {
    let mut out = String::new();
    let last = row.len().saturating_sub(1);
    for (column, cell) in row.iter().enumerate() {
        let text = cell
            .style
            .map_or_else(|| cell.text.clone(), |style| ui.paint(style, &cell.text));
        out.push_str(&text);
        if column < last {
            let wide = cell.text.chars().count();
            let padding = widths.get(column).map_or(0, |width| width.saturating_sub(wide));
            out.push_str(&" ".repeat(padding + 2));
        }
    }
    out.push('\n');
    out
}
