//! A document as it is written: which bytes each value stands on.

use std::ops::Range;

use super::EditProblem as Problem;
use crate::draft::Step;
use crate::read::{Event, Events};

/// A value and its bytes, with its anchor and tag.
pub(super) struct Node {
    /// A block collection ends with its last value. A block scalar ends before its last line end.
    pub(super) span: Range<usize>,
    pub(super) form: Form,
}

pub(super) enum Form {
    /// A text of any kind.
    Scalar {
        block: bool,
    },
    Alias,
    Seq(Vec<Node>),
    Map {
        flow: bool,
        entries: Vec<Entry>,
    },
}

/// A mapping's entry.
pub(super) struct Entry {
    /// None for a merge key, and for a key that is no scalar.
    pub(super) key: Option<String>,
    pub(super) key_span: Range<usize>,
    pub(super) value: Node,
}

impl Node {
    /// The tree of a text that the reader has read before, so that its depth is bounded.
    pub(super) fn of(text: &str) -> Result<Self, Problem> {
        let mark = if text.starts_with('\u{feff}') { 3 } else { 0 };
        let mut builder = Builder {
            events: Events::new(&text[mark..]),
            text,
            mark,
        };
        loop {
            match builder.next()? {
                (Event::Start { .. }, _) => {}
                (Event::StreamEnd | Event::End, _) => return Err(Problem::NoDocument),
                first => return builder.node(first),
            }
        }
    }

    /// The value at a path.
    pub(super) fn find(&self, steps: &[Step]) -> Result<&Self, Problem> {
        let mut node = self;
        for step in steps {
            node = match (&node.form, step) {
                (Form::Map { .. }, Step::Key(key)) => &node.entry(key)?.1.value,
                (Form::Seq(items), Step::Index(index)) => items.get(*index).ok_or(Problem::NoEntry)?,
                (Form::Alias, _) => return Err(Problem::Elsewhere),
                _ => return Err(Problem::NotAMapping),
            };
        }
        Ok(node)
    }

    /// The one entry of a mapping with this key.
    pub(super) fn entry(&self, key: &str) -> Result<(usize, &Entry), Problem> {
        let Form::Map { entries, .. } = &self.form else {
            return Err(match self.form {
                Form::Alias => Problem::Elsewhere,
                _ => Problem::NotAMapping,
            });
        };
        let mut found = entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.key.as_deref() == Some(key));
        match (found.next(), found.next()) {
            (Some(entry), None) => Ok(entry),
            (Some(_), Some(_)) => Err(Problem::KeyTwice),
            (None, _) => Err(Problem::NoEntry),
        }
    }

    /// How many comments stand in a part of the text: lines with a `#` outside of every text.
    pub(super) fn comments(&self, text: &str, part: Range<usize>) -> usize {
        let mut leaves = Vec::new();
        self.leaves(text, &mut leaves);
        leaves.push(text.len()..text.len());
        let mut start = 0;
        let mut count = 0;
        for leaf in leaves {
            let gap = start.max(part.start)..leaf.start.min(part.end);
            // What stands between two texts on one line is at most one comment.
            if let Some(gap) = text.get(gap) {
                count += gap.split(['\n', '\r']).filter(|line| line.contains('#')).count();
            }
            start = leaf.end;
        }
        count
    }

    /// Where texts stand, in their order. The header of a block scalar is none.
    fn leaves(&self, text: &str, out: &mut Vec<Range<usize>>) {
        match &self.form {
            Form::Scalar { block: true } => {
                let header = text[self.span.clone()].find('\n').unwrap_or(self.span.len());
                out.push(self.span.start + header..self.span.end);
            }
            Form::Scalar { .. } | Form::Alias => out.push(self.span.clone()),
            Form::Seq(items) => items.iter().for_each(|item| item.leaves(text, out)),
            Form::Map { entries, .. } => {
                for entry in entries {
                    out.push(entry.key_span.clone());
                    entry.value.leaves(text, out);
                }
            }
        }
    }
}

struct Builder<'t> {
    events: Events<'t>,
    text: &'t str,
    /// Bytes before the text that the parser sees.
    mark: usize,
}

impl Builder<'_> {
    fn next(&mut self) -> Result<(Event, Range<usize>), Problem> {
        let (event, span) = self.events.next_spanned().map_err(|_| Problem::Form)?;
        Ok((event, span.start + self.mark..span.end + self.mark))
    }

    fn node(&mut self, (event, span): (Event, Range<usize>)) -> Result<Node, Problem> {
        let start = span.start;
        let (form, end) = match event {
            Event::Scalar { block, .. } => {
                let end = if block { self.block_end(&span) } else { span.end };
                (Form::Scalar { block }, end)
            }
            Event::Alias(_) => (Form::Alias, span.end),
            Event::SeqStart { flow, .. } => {
                let mut items: Vec<Node> = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SeqEnd, close) => {
                            let last = items.last().map_or(span.end, |item| item.span.end);
                            break (Form::Seq(items), if flow { close.end } else { last });
                        }
                        item => items.push(self.node(item)?),
                    }
                }
            }
            Event::MapStart { flow, .. } => {
                let mut entries: Vec<Entry> = Vec::new();
                loop {
                    match self.next()? {
                        (Event::MapEnd, close) => {
                            let last = entries
                                .last()
                                .map_or(span.end, |entry| entry.value.span.end.max(entry.key_span.end));
                            break (Form::Map { flow, entries }, if flow { close.end } else { last });
                        }
                        key => entries.push(self.entry(key)?),
                    }
                }
            }
            _ => return Err(Problem::Unreadable),
        };
        Ok(Node {
            span: start..end.max(start),
            form,
        })
    }

    fn entry(&mut self, key: (Event, Range<usize>)) -> Result<Entry, Problem> {
        let text = match &key.0 {
            Event::Scalar {
                plain: true, text, ..
            } if text == "<<" => None,
            // A key of another type has another text in JSON; it is not found under this one, and then refused.
            Event::Scalar { plain, text, .. } if !plain || crate::read::is_plain_string(text) => {
                Some(text.clone())
            }
            _ => None,
        };
        let key = self.node(key)?;
        let value = self.next()?;
        Ok(Entry {
            key: text,
            key_span: key.span,
            value: self.node(value)?,
        })
    }

    /// Before the last line end of a block scalar, where blank lines below it are not a part of what it says.
    fn block_end(&self, span: &Range<usize>) -> usize {
        let text = &self.text[span.clone()];
        let header = text.lines().next().unwrap_or_default();
        let kept = header.split('#').next().unwrap_or_default().contains('+');
        let body = if kept {
            text.strip_suffix('\n').unwrap_or(text)
        } else {
            text.trim_end_matches(['\n', '\r', ' ', '\t'])
        };
        span.start + body.strip_suffix('\r').unwrap_or(body).len()
    }
}
