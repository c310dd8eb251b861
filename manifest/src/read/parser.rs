//! The boundary to libyaml-safer, a port of libyaml: YAML text to events.
//!
//! The port is safe Rust, but it panics on at least one input (`[!a,` in version 0.3), and an input from outside must
//! never be a panic. So each call is caught here, and this is the only place that calls it. It does not recurse, and
//! what it keeps grows with the nesting, which [`super::build`] bounds.

use std::io::{self, BufRead, Read};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use libyaml_safer::{Encoding, EventData, MappingStyle, Parser, ScalarStyle, SequenceStyle};

use super::error::ReadErrorKind as Kind;
use super::fault::Fault;
use super::words::words;

/// What the parser says, reduced to what matters.
pub(crate) enum Event {
    /// The document begins.
    Start {
        /// It declares a version other than YAML 1.1.
        other_version: bool,
    },
    /// The document ends.
    End,
    /// There is no more text.
    StreamEnd,
    Scalar {
        anchor: Option<String>,
        tag: Option<String>,
        text: String,
        /// Without quotes and without tag, or with the tag `!`.
        implicit: bool,
        /// Without quotes.
        plain: bool,
        /// As a block, literal or folded.
        block: bool,
    },
    SeqStart {
        anchor: Option<String>,
        flow: bool,
    },
    SeqEnd,
    MapStart {
        anchor: Option<String>,
        flow: bool,
    },
    MapEnd,
    Alias(String),
}

/// The events of one text.
pub(crate) struct Events<'a> {
    parser: Parser<Text<'a>>,
    length: usize,
}

impl<'a> Events<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let mut parser = Parser::new();
        // Or a text whose first character only begins like a byte order mark is refused.
        parser.set_encoding(Encoding::Utf8);
        parser.set_input(Text {
            rest: text,
            newline: !text.ends_with('\n'),
        });
        Self {
            parser,
            length: text.len(),
        }
    }

    /// The next event and the byte at which it starts.
    pub(super) fn next(&mut self) -> Result<(Event, usize), Fault> {
        self.next_spanned().map(|(event, span)| (event, span.start))
    }

    /// The next event and the bytes that it stands on: a scalar with its anchor and its tag, a block scalar to the start of
    /// the line that is no part of it. Where a block collection ends, the parser does not know.
    pub(crate) fn next_spanned(&mut self) -> Result<(Event, Range<usize>), Fault> {
        loop {
            let parser = &mut self.parser;
            // The parser is not used again after it failed: every caller stops at the first error.
            let event = match catch_unwind(AssertUnwindSafe(|| parser.parse())) {
                Ok(Ok(event)) => event,
                Ok(Err(error)) => return Err(self.fault(&error)),
                Err(_) => return Err(Fault::new(Kind::ParserFailed, 0)),
            };
            let span = self.offset(event.start_mark.index)..self.offset(event.end_mark.index);
            let event = match event.data {
                EventData::StreamStart { .. } => continue,
                EventData::StreamEnd => Event::StreamEnd,
                EventData::DocumentStart {
                    version_directive, ..
                } => Event::Start {
                    other_version: version_directive
                        .is_some_and(|version| (version.major, version.minor) != (1, 1)),
                },
                EventData::DocumentEnd { .. } => Event::End,
                EventData::Alias { anchor } => Event::Alias(anchor),
                EventData::Scalar {
                    anchor,
                    tag,
                    value,
                    plain_implicit,
                    style,
                    ..
                } => Event::Scalar {
                    anchor,
                    tag,
                    text: value,
                    implicit: plain_implicit,
                    plain: style == ScalarStyle::Plain,
                    block: matches!(style, ScalarStyle::Literal | ScalarStyle::Folded),
                },
                EventData::SequenceStart { anchor, style, .. } => Event::SeqStart {
                    anchor,
                    flow: style == SequenceStyle::Flow,
                },
                EventData::SequenceEnd => Event::SeqEnd,
                EventData::MappingStart { anchor, style, .. } => Event::MapStart {
                    anchor,
                    flow: style == MappingStyle::Flow,
                },
                EventData::MappingEnd => Event::MapEnd,
            };
            return Ok((event, span));
        }
    }

    fn fault(&self, error: &libyaml_safer::Error) -> Fault {
        let offset = error.problem_mark().map_or(0, |mark| self.offset(mark.index));
        Fault::new(Kind::Syntax(words(error.problem())), offset)
    }

    /// Marks count bytes, and may point at the line end that was added.
    fn offset(&self, index: u64) -> usize {
        usize::try_from(index).unwrap_or(usize::MAX).min(self.length)
    }
}

/// The text in small pieces, since the parser takes all it is given into a buffer four times as large. The last line
/// gets an end if it has none: kubectl hands its parser whole lines, and a block scalar can tell the difference.
struct Text<'a> {
    rest: &'a str,
    newline: bool,
}

impl BufRead for Text<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.rest.is_empty() && self.newline {
            return Ok(b"\n");
        }
        let mut end = self.rest.len().min(4096);
        while !self.rest.is_char_boundary(end) {
            end -= 1;
        }
        Ok(&self.rest.as_bytes()[..end])
    }

    fn consume(&mut self, amount: usize) {
        if self.rest.is_empty() && amount > 0 {
            self.newline = false;
        }
        self.rest = self.rest.get(amount..).unwrap_or_default();
    }
}

impl Read for Text<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let amount = self.fill_buf()?.read(out)?;
        self.consume(amount);
        Ok(amount)
    }
}
