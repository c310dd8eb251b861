//! Reports for spreadsheets and for Markdown, in which text from outside is text and nothing else.

use sealing::Printable;

/// A line of CSV (RFC 4180): quoted, on one line, and never a formula: spreadsheets compute what begins with one of these
/// signs.
pub(crate) fn line(cells: &[String]) -> String {
    let cells = cells.iter().map(|cell| {
        let text = Printable(cell).to_string();
        let computes = text.starts_with(['=', '+', '-', '@', '\t', '\r', '|', '%']);
        let guard = if computes { "'" } else { "" };
        format!("\"{guard}{}\"", text.replace('"', "\"\""))
    });
    cells.collect::<Vec<_>>().join(",") + "\r\n"
}

/// Text and nothing else, in Markdown and in the HTML that becomes of it.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in Printable(text).to_string().chars() {
        match c {
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '&' => out += "&amp;",
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '!' | '#' | '~' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{escaped, line};

    #[test]
    fn a_cell_is_text_and_nothing_else() {
        let cells = ["=1+1", "a\"b", "x\ny", "-2"].map(str::to_owned);
        assert_eq!(line(&cells), "\"'=1+1\",\"a\"\"b\",\"x\\ny\",\"'-2\"\r\n");
        assert_eq!(escaped("<b>|*_a`"), "&lt;b&gt;\\|\\*\\_a\\`");
    }
}
