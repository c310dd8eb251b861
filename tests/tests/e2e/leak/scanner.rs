//! Searches bytes for every form of every value. Pure.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::encodings::needles;
use super::sinks::{Capture, Sink};
use super::values::{Class, Value};

/// Texts are told apart by their first bytes before they are compared.
const HEAD: usize = 4;
/// So many slots that few bytes of a text have to be looked up.
const SLOT_BITS: u32 = 20;

/// A value that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hit {
    pub(super) sink: Sink,
    pub(super) place: String,
    /// The value's name.
    pub(super) value: String,
    pub(super) form: &'static str,
    /// Whether it may stand there.
    pub(super) allowed: bool,
    /// What stands around it.
    pub(super) around: String,
}

impl fmt::Display for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sink,
            place,
            value,
            form,
            around,
            ..
        } = self;
        write!(f, "{sink:?}, {place}: the value {value:?} ({form}): …{around}…")
    }
}

struct Needle {
    text: Vec<u8>,
    form: &'static str,
    value: usize,
}

/// Knows every form of a set of values.
pub(super) struct Scanner<'a> {
    values: &'a [Value],
    needles: Vec<Needle>,
    by_head: HashMap<[u8; HEAD], Vec<usize>>,
    heads: Vec<bool>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(values: &'a [Value]) -> Self {
        let mut scanner = Self {
            values,
            needles: Vec::new(),
            by_head: HashMap::new(),
            heads: vec![false; 1 << SLOT_BITS],
        };
        for (index, value) in values.iter().enumerate() {
            for (text, form) in needles(&value.bytes) {
                let head: [u8; HEAD] = text[..HEAD].try_into().expect("no form is that short");
                scanner.heads[slot(head)] = true;
                scanner
                    .by_head
                    .entry(head)
                    .or_default()
                    .push(scanner.needles.len());
                scanner.needles.push(Needle {
                    text,
                    form,
                    value: index,
                });
            }
        }
        scanner
    }

    /// How many texts are searched for.
    pub(super) fn len(&self) -> usize {
        self.needles.len()
    }

    /// What a capture holds: each value once in each form.
    pub(super) fn scan(&self, capture: &Capture) -> Vec<Hit> {
        let mut hits = BTreeMap::new();
        self.each(&capture.bytes, |at, needle| {
            let value = &self.values[needle.value];
            hits.entry((needle.value, needle.form)).or_insert_with(|| Hit {
                sink: capture.sink,
                place: capture.place.clone(),
                value: value.name.clone(),
                form: needle.form,
                allowed: allowed(value.class, capture.sink),
                around: around(&capture.bytes, at, needle.text.len()),
            });
        });
        hits.into_values().collect()
    }

    /// How often each value stands in some bytes, in any form.
    pub(super) fn count(&self, bytes: &[u8]) -> BTreeMap<(&'a str, &'static str), u32> {
        let mut counts = BTreeMap::new();
        self.each(bytes, |_, needle| {
            let name = self.values[needle.value].name.as_str();
            *counts.entry((name, needle.form)).or_default() += 1;
        });
        counts
    }

    fn each(&self, bytes: &[u8], mut found: impl FnMut(usize, &Needle)) {
        for (at, head) in bytes.array_windows::<HEAD>().enumerate() {
            if !self.heads[slot(*head)] {
                continue;
            }
            for index in self.by_head.get(head).into_iter().flatten() {
                let needle = &self.needles[*index];
                if bytes[at..].starts_with(&needle.text) {
                    found(at, needle);
                }
            }
        }
    }
}

fn allowed(class: Class, sink: Sink) -> bool {
    class == Class::Committed && sink == Sink::GitStore
}

fn slot(head: [u8; HEAD]) -> usize {
    (u32::from_le_bytes(head).wrapping_mul(0x9e37_79b1) >> (32 - SLOT_BITS)) as usize
}

fn around(bytes: &[u8], at: usize, length: usize) -> String {
    let from = at.saturating_sub(120);
    let to = bytes.len().min(at + length + 120);
    bytes[from..to].escape_ascii().to_string()
}
