//! Whether the test was able to find anything, and what it found.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::policies;
use super::scanner::Scanner;
use super::sinks::{Capture, SINKS, Sink};
use super::values::{Class, Value};

/// Values that are applied at the end, among them every shape.
const APPLIED: [&str; 15] = [
    "short",
    "long",
    "awkward",
    "binary",
    "copied",
    "rendered",
    "warned by a policy",
    "file",
    "namespace-wide",
    "tls, mended",
    "many, killed",
    "substituted",
    "native-strict",
    "native-text",
    "native-object",
];

/// Fails unless every trap was there to be stepped into: the API server did quote values at us, and the values that were
/// searched for are those that were applied.
pub(super) fn armed(values: &[Value], targets: &Capture, answers: &str) {
    for name in ["denied", "plain-denied"] {
        let value = values.iter().find(|value| value.name == name);
        let value = BASE64_STANDARD.encode(&value.expect("it was made").bytes);
        let quote = format!("{} {value}", policies::QUOTE);
        assert!(
            answers.contains(&quote),
            "the API server did not quote the value {name:?}"
        );
    }
    let hits = Scanner::new(values).scan(targets);
    let found: BTreeSet<_> = hits.iter().map(|hit| hit.value.as_str()).collect();
    for name in APPLIED {
        assert!(found.contains(name), "the value {name:?} is not in its Secret");
    }
}

/// Searches everything, and fails with all that was found.
pub(super) fn judge(values: &[Value], captures: &[Capture], memory: Option<Vec<Vec<u8>>>) {
    for sink in SINKS {
        let of_sink = || captures.iter().filter(|capture| capture.sink == sink);
        let bytes: usize = of_sink().map(|capture| capture.bytes.len()).sum();
        eprintln!("{sink:?}: {} captures, {bytes} bytes", of_sink().count());
        // Without the right to trace, /proc tells less.
        assert!(bytes > 0 || sink == Sink::Process, "nothing was seen of {sink:?}");
    }
    let scanner = Scanner::new(values);
    eprintln!("{} values in {} forms", values.len(), scanner.len());
    remember(&scanner, memory);

    // One report for each value in each kind of place is enough to go by.
    let (mut leaks, mut in_git) = (BTreeMap::new(), BTreeSet::new());
    for hit in captures.iter().flat_map(|capture| scanner.scan(capture)) {
        if hit.allowed {
            in_git.insert(hit.value);
        } else {
            leaks.entry((hit.sink, hit.value.clone())).or_insert(hit);
        }
    }
    for value in values.iter().filter(|value| value.class == Class::Committed) {
        let name = &value.name;
        assert!(
            in_git.contains(name),
            "{name:?} was committed, and is not seen in the Git store"
        );
    }
    let list: Vec<_> = leaks.values().take(60).map(ToString::to_string).collect();
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), list.join("\n"));
}

/// What the idle controller has in memory still, for information. No promise: what a connection sent or received last
/// stays in its buffer until it is closed, and libgit2 wipes nothing.
fn remember(scanner: &Scanner<'_>, memory: Option<Vec<Vec<u8>>>) {
    let Some(regions) = memory else {
        eprintln!("the memory of the controller cannot be read here");
        return;
    };
    let mut counts = BTreeMap::<_, u32>::new();
    for region in &regions {
        for (found, count) in scanner.count(region) {
            *counts.entry(found).or_default() += count;
        }
    }
    let bytes: usize = regions.iter().map(Vec::len).sum();
    eprintln!("memory of the idle controller, {bytes} bytes: {counts:?}");
}
