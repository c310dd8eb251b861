//! The objects: what Git holds of them, and what the API server has to show in the end.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::ops::Range;

use serde_json::{Value, json};

/// The data of an object, byte for byte.
pub(crate) type Data = BTreeMap<String, Vec<u8>>;
/// The data of every object, by name.
pub(crate) type Expected = HashMap<String, Data>;

/// Documents in one file.
const PER_FILE: usize = 100;

pub(crate) fn name(index: usize) -> String {
    format!("settings-{index:05}")
}

/// Looks random, and is the same in every run (SplitMix64).
pub(crate) fn noise(seed: usize, round: usize) -> u64 {
    let mut z = ((seed as u64) << 20 | round as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Two values: one of its own, 16 characters, and one of some lines. `round` makes another content of the same size.
fn values(index: usize, round: usize) -> [(&'static str, String); 2] {
    let token = format!("{:016x}", noise(index, round));
    let lines = format!(
        "listen = 0.0.0.0:8080\nupstream = backend-{index:05}.internal:9000\ntimeout = 30s\nretries = 3\nlog = info\n\
         instance = {token}\nfeatures = search,export,audit\n"
    );
    [("token", token), ("settings.conf", lines)]
}

pub(crate) fn data(index: usize, round: usize) -> Data {
    values(index, round)
        .map(|(key, value)| (key.to_owned(), value.into_bytes()))
        .into()
}

/// One file of the repository: its name and its documents. Object `changed` has the content of its next round.
pub(crate) fn file(number: usize, objects: usize, changed: Option<(usize, usize)>) -> (String, String) {
    let text = documents(number * PER_FILE..objects.min((number + 1) * PER_FILE), changed);
    (format!("objects/{number:04}.yaml"), text)
}

/// The documents of some objects. Object `changed` has the content of its next round.
pub(crate) fn documents(indexes: Range<usize>, changed: Option<(usize, usize)>) -> String {
    let mut text = String::new();
    for index in indexes {
        let round = changed
            .filter(|(at, _)| *at == index)
            .map_or(0, |(_, round)| round);
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {}\n  labels:\n    app.kubernetes.io/name: settings\ndata:\n",
            name(index)
        );
        let [(token, value), (settings, lines)] = values(index, round);
        let _ = writeln!(text, "  {token}: {value:?}\n  {settings}: |");
        for line in lines.lines() {
            let _ = writeln!(text, "    {line}");
        }
    }
    text
}

pub(crate) fn files(objects: usize) -> impl Iterator<Item = (String, String)> {
    (0..objects.div_ceil(PER_FILE)).map(move |number| file(number, objects, None))
}

pub(crate) fn file_of(index: usize) -> usize {
    index / PER_FILE
}

pub(crate) fn expected(objects: usize) -> Expected {
    (0..objects).map(|index| (name(index), data(index, 0))).collect()
}

/// The same object as a plain client sends it, with marks as long as those that Signet adds. Not the same marks: a
/// controller that runs later would watch these objects too.
pub(crate) fn body(namespace: &str, index: usize) -> Vec<u8> {
    let data: BTreeMap<_, _> = values(index, 0).into();
    let mut object = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name(index), "labels": {"app.kubernetes.io/name": "settings"}},
        "data": data,
    });
    mark(&mut object, namespace, index);
    object.to_string().into_bytes()
}

/// Gives an object a namespace and marks of the right length.
pub(crate) fn mark(object: &mut Value, namespace: &str, index: usize) {
    let metadata = &mut object["metadata"];
    metadata["namespace"] = namespace.into();
    metadata["labels"]["benchmark.example.org/floor"] =
        "floorset-0123456789012345678901234567890123456789012-v1".into();
    let source = format!(
        "{namespace}/objects:objects/{:04}.yaml#{}",
        file_of(index),
        index % PER_FILE + 1
    );
    metadata["annotations"]["bench.dev/source"] = source.into();
}

/// A Secret of two values, before it is sealed.
pub(crate) fn secret(namespace: &str, index: usize) -> Value {
    let values: BTreeMap<_, _> = secret_values(index).into();
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": format!("login-{index:05}"), "namespace": namespace},
        "type": "Opaque",
        "stringData": values,
    })
}

fn secret_values(index: usize) -> [(&'static str, String); 2] {
    [
        ("user", format!("user-{index:05}")),
        (
            "password",
            format!("{:016x}{:016x}", noise(index, 1), noise(index, 2)),
        ),
    ]
}

pub(crate) fn expected_secrets(secrets: usize) -> Expected {
    (0..secrets)
        .map(|index| {
            let data = secret_values(index).map(|(key, value)| (key.to_owned(), value.into_bytes()));
            (format!("login-{index:05}"), data.into())
        })
        .collect()
}
