//! A change as one splice of the text.

use std::ops::Range;

use serde_json::Value;

use super::EditProblem as Problem;
use super::tree::{Entry, Form, Node};
use crate::draft::Step;
use crate::write;

/// A document in which something is to be changed.
pub(super) struct Splice<'t> {
    pub(super) text: &'t str,
    pub(super) tree: &'t Node,
    /// It is JSON and has to stay it.
    pub(super) json: bool,
    pub(super) line_end: &'static str,
}

/// New text for a range of the old one.
pub(super) struct Cut {
    pub(super) range: Range<usize>,
    pub(super) text: String,
    /// The part of the range that is removed with all that stands in it.
    pub(super) gone: Range<usize>,
}

impl Splice<'_> {
    pub(super) fn set(&self, steps: &[Step], new: &Value) -> Result<Cut, Problem> {
        let (last, before) = steps.split_last().ok_or(Problem::NotAMapping)?;
        let parent = self.tree.find(before)?;
        match (&parent.form, last) {
            (Form::Map { flow, entries }, Step::Key(key)) => match parent.entry(key) {
                Ok((_, entry)) => self.set_entry(entry, *flow, new),
                Err(Problem::NoEntry) if entries.is_empty() => Err(Problem::Form),
                Err(Problem::NoEntry) if *flow => Ok(self.insert_flow(entries, key, new)),
                Err(Problem::NoEntry) => self.insert_block(entries, key, new),
                Err(problem) => Err(problem),
            },
            (Form::Seq(items), Step::Index(index)) => {
                let item = items.get(*index).ok_or(Problem::NoEntry)?;
                let simple = !new.is_object() && !new.is_array();
                if simple && matches!(item.form, Form::Scalar { block: false }) && !item.span.is_empty() {
                    return Ok(cut(item.span.clone(), self.flow(new)));
                }
                Err(Problem::Form)
            }
            (Form::Alias, _) => Err(Problem::Elsewhere),
            _ => Err(Problem::NotAMapping),
        }
    }

    pub(super) fn rename(&self, steps: &[Step], key: &str) -> Result<Cut, Problem> {
        let (entry, flow) = match steps.split_last() {
            Some((Step::Key(old), before)) => {
                let parent = self.tree.find(before)?;
                let flow = matches!(parent.form, Form::Map { flow: true, .. });
                (parent.entry(old)?.1, flow)
            }
            _ => return Err(Problem::NotAMapping),
        };
        Ok(cut(entry.key_span.clone(), self.key(key, flow)?))
    }

    pub(super) fn remove(&self, steps: &[Step]) -> Result<Cut, Problem> {
        let Some((Step::Key(key), before)) = steps.split_last() else {
            return Err(Problem::NotAMapping);
        };
        let parent = self.tree.find(before)?;
        let (index, entry) = parent.entry(key)?;
        let Form::Map { flow, entries } = &parent.form else {
            return Err(Problem::NotAMapping);
        };
        let range = if *flow {
            self.flow_range(parent, entries, index)
        } else if entries.len() == 1 {
            return self.empty(before, entry);
        } else if self.before_on_line(entry.key_span.start).trim().is_empty() {
            self.line_start(entry.key_span.start)..self.next_line(self.end(entry))
        } else {
            // Behind a `- `: the next entry takes its place.
            let next = entries.get(index + 1).ok_or(Problem::Form)?;
            let gap = self.line_stop(self.end(entry))..next.key_span.start;
            if self.text[gap].contains('#') {
                return Err(Problem::Form);
            }
            entry.key_span.start..next.key_span.start
        };
        Ok(Cut {
            gone: range.clone(),
            ..cut(range, String::new())
        })
    }

    fn set_entry(&self, entry: &Entry, flow: bool, new: &Value) -> Result<Cut, Problem> {
        let old = &entry.value;
        let colon = self.after_colon(entry)?;
        if flow {
            let blank = if old.span.is_empty() { " " } else { "" };
            let start = if old.span.is_empty() {
                colon
            } else {
                old.span.start
            };
            return Ok(cut(
                start..old.span.end.max(start),
                format!("{blank}{}", self.flow(new)),
            ));
        }
        let column = self.column(entry.key_span.start)?;
        let end = old.span.end.max(colon);
        let rest = &self.text[end..self.line_stop(end)];
        let collection = is_block(new);
        let was_block = match &old.form {
            Form::Seq(_) => self.text[old.span.clone()].starts_with('-'),
            Form::Map { flow, .. } => !flow,
            _ => false,
        };
        if collection || was_block || old.span.is_empty() {
            let written = self.lines(&write::after_colon(new, column, rest.trim().is_empty()));
            // A comment behind the old value comes before the lines of the new one.
            return Ok(if collection && !was_block {
                cut(
                    colon..self.line_stop(end),
                    format!("{}{written}", rest.trim_end()),
                )
            } else {
                cut(colon..end, written)
            });
        }
        let written = self.lines(&write::after_colon(new, column, rest.trim().is_empty()));
        Ok(cut(old.span.clone(), written[1..].to_owned()))
    }

    fn insert_block(&self, entries: &[Entry], key: &str, new: &Value) -> Result<Cut, Problem> {
        let first = entries.first().ok_or(Problem::Form)?;
        let column = self.column(first.key_span.start)?;
        let line = format!(
            "{}{}:{}",
            " ".repeat(column),
            self.key(key, false)?,
            self.lines(&write::after_colon(new, column, true))
        );
        let keys: Vec<&str> = entries.iter().filter_map(|entry| entry.key.as_deref()).collect();
        let smaller = keys.iter().filter(|old| **old < key).count();
        if smaller == 0 && keys.is_sorted() && keys.len() == entries.len() {
            let start = self.line_start(first.key_span.start);
            let above = self.text[..start].trim_end_matches(['\r', '\n']);
            let above = &above[above.rfind('\n').map_or(0, |end| end + 1)..];
            // A comment above the first entry says something about that one.
            if self.before_on_line(first.key_span.start).trim().is_empty() && !above.contains('#') {
                return Ok(cut(start..start, line + self.line_end));
            }
        }
        let behind = if keys.is_sorted() && keys.len() == entries.len() {
            smaller.max(1) - 1
        } else {
            entries.len() - 1
        };
        let stop = self.line_stop(self.end(&entries[behind]));
        Ok(cut(stop..stop, format!("{}{line}", self.line_end)))
    }

    fn insert_flow(&self, entries: &[Entry], key: &str, new: &Value) -> Cut {
        let index = entries.len() - 1;
        let last = &entries[index];
        let blank: &str = {
            let before = &self.text[..last.key_span.start];
            &before[before.trim_end().len()..]
        };
        let blank = if blank.is_empty() && !self.json {
            " "
        } else {
            blank
        };
        let colon = Some(&self.text[last.key_span.end..last.value.span.start.max(last.key_span.end)])
            .filter(|colon| colon.trim() == ":" && !colon.contains('\n'))
            .filter(|colon| self.json || colon.ends_with(' '))
            .unwrap_or(": ");
        let end = self.end(last);
        let key = if self.json {
            self.flow(&key.into())
        } else {
            self.key(key, true).unwrap_or_default()
        };
        cut(end..end, format!(",{blank}{key}{colon}{}", self.flow(new)))
    }

    /// An entry inside brackets with the comma that it needs no more.
    fn flow_range(&self, parent: &Node, entries: &[Entry], index: usize) -> Range<usize> {
        let entry = &entries[index];
        if let Some(next) = entries.get(index + 1) {
            entry.key_span.start..next.key_span.start
        } else if let Some(before) = index.checked_sub(1).and_then(|index| entries.get(index)) {
            self.end(before)..self.end(entry)
        } else {
            let open = self.text[parent.span.start..entry.key_span.start]
                .rfind('{')
                .unwrap_or(0);
            parent.span.start + open + 1..parent.span.end - 1
        }
    }

    /// The mapping that loses its only entry stays, empty, and keeps what is said about it.
    fn empty(&self, mapping: &[Step], entry: &Entry) -> Result<Cut, Problem> {
        if !self.before_on_line(entry.key_span.start).trim().is_empty() {
            // Behind a `- `: what stands there is the mapping.
            self.column(entry.key_span.start)?;
            let range = entry.key_span.start..self.line_stop(self.end(entry));
            return Ok(Cut {
                gone: range.clone(),
                ..cut(range, "{}".to_owned())
            });
        }
        let Some((Step::Key(key), before)) = mapping.split_last() else {
            return Err(Problem::Form);
        };
        let colon = self.after_colon(self.tree.find(before)?.entry(key)?.1)?;
        let start = self.line_start(entry.key_span.start);
        let stop = self.next_line(self.end(entry));
        Ok(Cut {
            range: colon..stop,
            text: format!(" {{}}{}", &self.text[colon..start]),
            gone: start..stop,
        })
    }

    fn key(&self, key: &str, flow: bool) -> Result<String, Problem> {
        let mut out = String::new();
        if flow || self.json {
            return Ok(self.flow(&key.into()));
        }
        if write::scalar::write_key(&mut out, key) {
            return Err(Problem::Form);
        }
        Ok(out)
    }

    fn flow(&self, new: &Value) -> String {
        if self.json {
            return write::json(new);
        }
        let mut out = String::new();
        write::flow(&mut out, new);
        out
    }

    fn lines(&self, text: &str) -> String {
        text.replace('\n', self.line_end)
    }

    /// Where an entry's value ends; where there is none, its colon.
    fn end(&self, entry: &Entry) -> usize {
        let colon = self.after_colon(entry).unwrap_or(entry.key_span.end);
        entry
            .value
            .span
            .end
            .max(colon.min(entry.value.span.start.max(colon)))
    }

    fn after_colon(&self, entry: &Entry) -> Result<usize, Problem> {
        let behind = &self.text[entry.key_span.end..];
        let blank = behind.len() - behind.trim_start_matches([' ', '\t']).len();
        if behind[blank..].starts_with(':') {
            Ok(entry.key_span.end + blank + 1)
        } else {
            Err(Problem::Form)
        }
    }

    /// The column of a key, in blanks: before it on its line stand only those, and the dashes of lists.
    fn column(&self, start: usize) -> Result<usize, Problem> {
        let before = self.before_on_line(start).trim_start_matches('\u{feff}');
        if before.bytes().all(|byte| matches!(byte, b' ' | b'-')) {
            Ok(before.len())
        } else {
            Err(Problem::Form)
        }
    }

    fn before_on_line(&self, offset: usize) -> &str {
        &self.text[self.line_start(offset)..offset]
    }

    fn line_start(&self, offset: usize) -> usize {
        self.text[..offset].rfind('\n').map_or(0, |end| end + 1)
    }

    /// Where a line ends, before its end.
    fn line_stop(&self, offset: usize) -> usize {
        let stop = self.text[offset..]
            .find('\n')
            .map_or(self.text.len(), |end| offset + end);
        if stop > offset && self.text[..stop].ends_with('\r') {
            stop - 1
        } else {
            stop
        }
    }

    fn next_line(&self, offset: usize) -> usize {
        self.text[offset..]
            .find('\n')
            .map_or(self.text.len(), |end| offset + end + 1)
    }
}

/// Whether a value is written on lines of its own.
fn is_block(value: &Value) -> bool {
    match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    }
}

fn cut(range: Range<usize>, text: String) -> Cut {
    Cut {
        gone: range.start..range.start,
        range,
        text,
    }
}
