//! Events to a tree, within limits: anchors and aliases, merge keys, duplicate keys, as go-yaml v2 does them.

use std::collections::HashMap;
use std::rc::Rc;

use serde_json::Value;

use super::error::ReadErrorKind as Kind;
use super::fault::Fault;
use super::limits::Limits;
use super::node::{Key, Mapping, Node, Size, is_ambiguous};
use super::parser::{Event, Events};
use super::scalar;

/// Reads the one document of a text as YAML. Nothing, and nothing but comments, reads as null.
/// With `marked`, texts are as a [`crate::Draft`] has them.
pub(super) fn yaml(text: &str, limits: &Limits, marked: bool) -> Result<Value, Fault> {
    let mut events = Events::new(text);
    match events.next()? {
        (Event::StreamEnd, _) => return Ok(Value::Null),
        (Event::Start { other_version: true }, offset) => return Err(Fault::new(Kind::YamlVersion, offset)),
        _ => {}
    }
    let mut builder = Builder {
        limits,
        marked,
        used: Size::default(),
        stack: Vec::new(),
        anchors: HashMap::new(),
        root: None,
    };
    loop {
        match events.next()? {
            (Event::End, _) => break,
            (event, offset) => builder.take(event).map_err(|kind| Fault::new(kind, offset))?,
        }
    }
    // Go stops reading here, whatever comes; text that would be dropped without a word is refused.
    match events.next() {
        Ok((Event::StreamEnd, _)) => {}
        Ok((_, offset)) | Err(Fault { offset, .. }) => return Err(Fault::new(Kind::TrailingText, offset)),
    }
    let root = builder.root.take().unwrap_or(Node::Null);
    // Whatever is not shared any more need not be copied.
    drop(builder);
    // As a key, infinity is a text; an alias may have brought it back as a value.
    root.into_json(marked).ok_or(Fault::new(Kind::NotFinite, 0))
}

struct Builder<'l> {
    limits: &'l Limits,
    /// Plain scalars with variables are kept as such.
    marked: bool,
    /// What was read so far, aliases and merged mappings counted each time: nothing below can grow beyond it.
    used: Size,
    /// The collections that are open, the innermost last.
    stack: Vec<Frame>,
    anchors: HashMap<String, Anchor>,
    root: Option<Node>,
}

enum Anchor {
    /// The collection at this depth of the stack, which is still open.
    Open(usize),
    Done(Node),
}

struct Frame {
    anchor: Option<String>,
    flow: bool,
    size: Size,
    content: Content,
}

enum Content {
    Seq(Vec<Node>),
    Map(Mapping, Option<Slot>),
}

/// A mapping's key whose value comes next.
enum Slot {
    Key(Key),
    Merge,
}

impl Builder<'_> {
    fn take(&mut self, event: Event) -> Result<(), Kind> {
        match event {
            Event::Scalar {
                anchor,
                tag,
                text,
                implicit,
                plain,
                block: _,
            } => {
                self.spend(Size {
                    nodes: 1,
                    bytes: text.len(),
                    height: 0,
                })?;
                // go-yaml ends a plain scalar at `?` inside brackets, and then always fails.
                if plain && text.contains('?') && self.stack.last().is_some_and(|frame| frame.flow) {
                    return Err(Kind::Syntax("inside brackets, a text with `?` needs quotes"));
                }
                if self.expects_key() && scalar::is_merge(tag.as_deref(), implicit, &text) {
                    // An anchor on a merge key names the text, which nobody can want; go-yaml allows it.
                    if let Some(anchor) = anchor {
                        self.anchors
                            .insert(anchor, Anchor::Done(Node::Str(Rc::new(text))));
                    }
                    return self.set_slot(Slot::Merge);
                }
                let untagged = plain && tag.as_deref().is_none_or(str::is_empty);
                let node = if self.marked && untagged && text.contains(crate::draft::VARIABLE) {
                    Node::Expression(Rc::new(text))
                } else {
                    scalar::resolve(tag.as_deref(), implicit, text)?
                };
                if matches!(node, Node::Float(float) if !float.is_finite()) && !self.expects_key() {
                    return Err(Kind::NotFinite);
                }
                if let Some(anchor) = anchor {
                    self.anchors.insert(anchor, Anchor::Done(node.clone()));
                }
                self.put(node)
            }
            Event::Alias(name) => {
                let node = match self.anchors.get(&name) {
                    None => return Err(Kind::UnknownAnchor),
                    Some(Anchor::Open(_)) => return Err(Kind::RecursiveAnchor),
                    Some(Anchor::Done(node)) => node.clone(),
                };
                self.spend(node.size())?;
                if self.stack.len() + node.size().height > self.limits.depth {
                    return Err(Kind::TooDeep {
                        limit: self.limits.depth,
                    });
                }
                self.put(node)
            }
            Event::SeqStart { anchor, flow } => self.open(anchor, flow, Content::Seq(Vec::new())),
            Event::MapStart { anchor, flow } => self.open(anchor, flow, Content::Map(Mapping::new(), None)),
            Event::SeqEnd | Event::MapEnd => self.close(),
            Event::Start { .. } | Event::End | Event::StreamEnd => Err(Kind::ParserFailed),
        }
    }

    fn spend(&mut self, size: Size) -> Result<(), Kind> {
        self.used.add(size);
        if self.used.nodes > self.limits.nodes {
            Err(Kind::TooManyNodes {
                limit: self.limits.nodes,
            })
        } else if self.used.bytes > self.limits.expanded_bytes {
            Err(Kind::TooMuchText {
                limit: self.limits.expanded_bytes,
            })
        } else {
            Ok(())
        }
    }

    fn expects_key(&self) -> bool {
        matches!(
            self.stack.last(),
            Some(Frame {
                content: Content::Map(_, None),
                ..
            })
        )
    }

    fn set_slot(&mut self, new: Slot) -> Result<(), Kind> {
        match self.stack.last_mut() {
            Some(Frame {
                content: Content::Map(_, slot),
                ..
            }) => {
                *slot = Some(new);
                Ok(())
            }
            _ => Err(Kind::ParserFailed),
        }
    }

    fn open(&mut self, anchor: Option<String>, flow: bool, content: Content) -> Result<(), Kind> {
        if self.stack.len() >= self.limits.depth {
            return Err(Kind::TooDeep {
                limit: self.limits.depth,
            });
        }
        if self.expects_key() {
            return Err(Kind::InvalidKey);
        }
        let own = Size {
            nodes: 1,
            bytes: 0,
            height: 1,
        };
        self.spend(own)?;
        if let Some(anchor) = &anchor {
            self.anchors
                .insert(anchor.clone(), Anchor::Open(self.stack.len()));
        }
        self.stack.push(Frame {
            anchor,
            flow,
            size: own,
            content,
        });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Kind> {
        let Some(Frame {
            anchor,
            size,
            content,
            ..
        }) = self.stack.pop()
        else {
            return Err(Kind::ParserFailed);
        };
        let node = match content {
            Content::Seq(items) => Node::Seq(Rc::new(items), size),
            Content::Map(entries, _) if is_ambiguous(&entries) => return Err(Kind::AmbiguousKey),
            Content::Map(entries, _) => Node::Map(Rc::new(entries), size),
        };
        if let Some(anchor) = anchor {
            // Unless the name was given to something inside in the meantime.
            let depth = self.stack.len();
            if matches!(self.anchors.get(&anchor), Some(Anchor::Open(open)) if *open == depth) {
                self.anchors.insert(anchor, Anchor::Done(node.clone()));
            }
        }
        self.put(node)
    }

    /// A finished value goes where the innermost open collection wants it.
    fn put(&mut self, node: Node) -> Result<(), Kind> {
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        frame.size.add(node.size());
        match &mut frame.content {
            Content::Seq(items) => items.push(node),
            Content::Map(entries, slot) => match slot.take() {
                None => *slot = Some(Slot::Key(Key::new(&node)?)),
                // The last of equal keys wins.
                Some(Slot::Key(key)) => drop(entries.insert(key, node)),
                // Its work is paid for: what is merged was read here, or counted again at its alias.
                Some(Slot::Merge) => merge(entries, &node)?,
            },
        }
        Ok(())
    }
}

/// Takes over the entries of a mapping, or of a list of mappings in which the first has precedence. As in go-yaml v2,
/// they replace the entries that are written before the merge key, and are replaced by those after it.
fn merge(entries: &mut Mapping, from: &Node) -> Result<(), Kind> {
    let mut copy = |from: &Node| match from {
        Node::Map(other, _) => {
            entries.extend(other.iter().map(|(key, value)| (key.clone(), value.clone())));
            Ok(())
        }
        _ => Err(Kind::MergeNotMapping),
    };
    match from {
        Node::Seq(items, _) => items.iter().rev().try_for_each(copy),
        other => copy(other),
    }
}
