//! Held against the real Sealed Secrets: its own Go code, and its kubeseal, built by `tests/kubeseal/build.sh`.

mod generated;
mod matrix;
mod templates;

use crate::support;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealing::SealedSecret;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// A program of `target/cluster`.
pub(crate) fn program(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/cluster");
    let target = std::env::var_os("CARGO_TARGET_DIR").map(|dir| PathBuf::from(dir).join("cluster"));
    let found = [Some(root), target]
        .into_iter()
        .flatten()
        .map(|dir| dir.join(name))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("`{name}` is not built: run `make kubeseal`, or `make test` for everything")
    })
}

/// A SealedSecret to render: its values, and its `spec.template.data`.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) values: Vec<(&'static str, Vec<u8>)>,
    pub(crate) template: Value,
}

pub(crate) type Data = BTreeMap<String, Vec<u8>>;

/// What upstream makes of each: the Secret's data, or its error.
pub(crate) fn upstream(cases: &[Case]) -> Vec<Result<Data, String>> {
    let asked: Vec<_> = cases
        .iter()
        .map(|case| {
            let values = case
                .values
                .iter()
                .map(|(key, value)| ((*key).to_owned(), STANDARD.encode(value).into()));
            json!({"values": values.collect::<Map<_, Value>>(), "template": case.template})
        })
        .collect();
    let mut child = Command::new(program("sealed-secrets-peer"))
        .arg("render")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let asked = Value::from(asked).to_string();
    let writer = std::thread::spawn(move || input.write_all(asked.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "the peer fails");
    let results: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(results.len(), cases.len());
    results
        .iter()
        .map(|result| match result["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(decoded(&result["data"])),
        })
        .collect()
}

fn decoded(data: &Value) -> Data {
    let entries = data.as_object().into_iter().flatten();
    entries
        .map(|(key, value)| {
            (
                key.clone(),
                STANDARD.decode(value.as_str().unwrap_or_default()).unwrap(),
            )
        })
        .collect()
}

/// What we make of it: the Secret's data, or our refusals.
pub(crate) fn ours(case: &Case) -> Result<Data, Vec<String>> {
    let mut object = sealed_once(&case.values);
    object["spec"]["template"] = json!({"data": case.template});
    let sealed = match SealedSecret::parse(&object) {
        Ok(sealed) => sealed,
        Err(errors) => return Err(errors.iter().map(ToString::to_string).collect()),
    };
    match sealed.open(&support::ring(), "team") {
        Ok(opened) => Ok(opened
            .data()
            .iter()
            .map(|(key, value)| (key.clone(), value.expose().to_vec()))
            .collect()),
        Err(errors) => panic!("what is accepted opens: {errors:?}"),
    }
}

/// Sealing the same values once is enough: templates are not bound to them.
fn sealed_once(values: &[(&'static str, Vec<u8>)]) -> Value {
    type Sealed = Vec<(Vec<(&'static str, Vec<u8>)>, Value)>;
    static SEALED: Mutex<Sealed> = Mutex::new(Vec::new());
    let mut sealed = SEALED.lock().unwrap();
    if let Some((_, object)) = sealed.iter().find(|(known, _)| known == values) {
        return object.clone();
    }
    let object = support::object_of(values);
    sealed.push((values.to_vec(), object.clone()));
    object
}
