//! Everywhere that something could leak to, read as bytes.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kube::discovery::{Discovery, verbs};
use serde_json::Value;
use tests::git::git;
use tests::{Cluster, Controller, command, http};

/// Every kind of place.
pub(super) const SINKS: [Sink; 10] = [
    Sink::Log,
    Sink::Event,
    Sink::Object,
    Sink::Metrics,
    Sink::Http,
    Sink::Cli,
    Sink::File,
    Sink::GitStore,
    Sink::Audit,
    Sink::Process,
];

/// Kinds of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sink {
    /// What the controller logged.
    Log,
    /// Events in the cluster.
    Event,
    /// Every other object in the cluster, with whatever version of it was seen.
    Object,
    /// The metrics listener.
    Metrics,
    /// The public listener.
    Http,
    /// What the command line printed.
    Cli,
    /// Files outside the Git store, however short they lived.
    File,
    /// The controller's Git store.
    GitStore,
    /// The API server's audit log.
    Audit,
    /// What `/proc` tells of the controller.
    Process,
}

/// What was found in a place.
#[derive(Clone, Debug)]
pub(super) struct Capture {
    pub(super) sink: Sink,
    pub(super) place: String,
    pub(super) bytes: Vec<u8>,
}

impl Capture {
    pub(super) fn new(sink: Sink, place: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            sink,
            place: place.into(),
            bytes: bytes.into(),
        }
    }
}

/// Every object of every kind in every version that the API server lists. Of the Secrets in `targets`, which are meant to
/// hold the values, all but the data.
pub(super) async fn objects(cluster: &Cluster, targets: &[&str]) -> Vec<Capture> {
    let client = cluster.client();
    let discovery = Discovery::new(client.clone())
        .run_aggregated()
        .await
        .expect("the API server says what it serves");
    let mut captures = Vec::new();
    for group in discovery.groups() {
        for version in group.versions() {
            for (kind, can) in group.versioned_resources(version) {
                if !can.supports_operation(verbs::LIST) {
                    continue;
                }
                let path = match group.name() {
                    "" => format!("/api/{version}/{}", kind.plural),
                    name => format!("/apis/{name}/{version}/{}", kind.plural),
                };
                let request = ::http::Request::get(&path).body(Vec::new()).expect("a request");
                let list: Value = client
                    .request(request)
                    .await
                    .unwrap_or_else(|error| panic!("{path}: {error}"));
                let sink = if kind.kind == "Event" {
                    Sink::Event
                } else {
                    Sink::Object
                };
                for item in list["items"].as_array().into_iter().flatten() {
                    object(
                        sink,
                        &path,
                        item.clone(),
                        kind.kind == "Secret",
                        targets,
                        &mut captures,
                    );
                }
            }
        }
    }
    captures
}

fn object(
    sink: Sink,
    path: &str,
    mut item: Value,
    is_secret: bool,
    targets: &[&str],
    captures: &mut Vec<Capture>,
) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (namespace, name) = (
        text(&item["metadata"]["namespace"]),
        text(&item["metadata"]["name"]),
    );
    let place = format!("{path} {namespace}/{name}");
    if is_secret && targets.contains(&namespace.as_str()) {
        item["data"].take();
    }
    for field in ["data", "binaryData"] {
        for (key, value) in item[field].as_object().into_iter().flatten() {
            if let Ok(bytes) = BASE64_STANDARD.decode(value.as_str().unwrap_or_default()) {
                captures.push(Capture::new(
                    sink,
                    format!("{place}, {field} {key} decoded"),
                    bytes,
                ));
            }
        }
    }
    captures.push(Capture::new(sink, place, item.to_string()));
}

/// The Secrets of one namespace, data and all: where the values have to be.
pub(super) async fn secrets(cluster: &Cluster, namespace: &str) -> Capture {
    let request = ::http::Request::get(format!("/api/v1/namespaces/{namespace}/secrets"));
    let request = request.body(Vec::new()).expect("a request");
    let list: Value = cluster.client().request(request).await.expect("the Secrets");
    Capture::new(Sink::Object, "Secrets", list.to_string())
}

/// What both listeners answer, to questions that they know and to others.
pub(super) async fn replies(controller: &Controller) -> Vec<Capture> {
    let mut captures = Vec::new();
    for path in [
        "/v1/cert.pem",
        "/v1/keys",
        "/healthz",
        "/readyz",
        "/",
        "/metrics",
        "/v1/",
        "/v1/verify",
        "/debug/pprof/",
    ] {
        for (sink, url) in [
            (Sink::Http, controller.url()),
            (Sink::Metrics, controller.metrics_url()),
        ] {
            let reply = http::get(&format!("{url}{path}")).await.expect("it answers");
            let text = format!("{}\n\n{}", reply.head, reply.body);
            captures.push(Capture::new(sink, format!("{path} ({})", reply.status), text));
        }
    }
    captures
}

/// Every object of every bare repository below `dir`, unpacked, and the other files as they are.
pub(super) fn git_stores(dir: &Path) -> Vec<Capture> {
    let files = files(dir);
    let stores: BTreeSet<PathBuf> = files
        .iter()
        .filter(|file| file.ends_with("HEAD"))
        .filter_map(|file| file.parent())
        .filter(|store| store.join("objects").is_dir())
        .map(Path::to_owned)
        .collect();
    let mut captures: Vec<_> = files
        .iter()
        .filter_map(|file| read(Sink::GitStore, file))
        .collect();
    for store in stores {
        let run = |arguments: &[&str]| {
            let mut command = git(&store);
            command.args(arguments);
            let output = command.output().expect("git runs");
            assert!(output.status.success(), "{}: {output:?}", store.display());
            output.stdout
        };
        let objects = run(&["cat-file", "--batch-all-objects", "--batch", "--unordered"]);
        captures.push(Capture::new(
            Sink::GitStore,
            format!("{} unpacked", store.display()),
            objects,
        ));
    }
    captures
}

/// All files below a directory, as they are.
pub(super) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&entry.path())),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    found
}

/// A file, with its name; none where it has gone.
pub(super) fn read(sink: Sink, file: &Path) -> Option<Capture> {
    let mut bytes = fs::read(file).ok()?;
    bytes.extend_from_slice(file.as_os_str().as_encoded_bytes());
    Some(Capture::new(sink, file.display().to_string(), bytes))
}

/// The audit log, one capture a request. What the API server answered is left out: an admission policy of somebody
/// else's may make it quote a value, as one of this test does. The messages that were left out come second.
pub(super) fn audit(file: &Path) -> (Vec<Capture>, String) {
    let mut answers = String::new();
    let mut lines = String::new();
    for line in fs::read_to_string(file).expect("an audit log").lines() {
        let mut line: Value = serde_json::from_str(line).expect("a line of JSON");
        if line["responseStatus"].is_object() {
            answers += &line["responseStatus"].take().to_string();
            answers.push('\n');
        }
        lines += &line.to_string();
        lines.push('\n');
    }
    (vec![Capture::new(Sink::Audit, "requests", lines)], answers)
}

/// What the kernel tells of a process: environment, command line, and the files that it holds open, deleted ones too.
/// Without the right to look, nothing.
pub(super) fn process(id: i32, known: &[&Path]) -> Vec<Capture> {
    let proc = PathBuf::from(format!("/proc/{id}"));
    let mut captures: Vec<_> = ["environ", "cmdline", "comm", "status", "maps"]
        .iter()
        .filter_map(|name| read(Sink::Process, &proc.join(name)))
        .collect();
    for entry in fs::read_dir(proc.join("fd")).into_iter().flatten().flatten() {
        let Ok(target) = fs::read_link(entry.path()) else {
            continue;
        };
        let is_file = fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_file());
        if is_file && !known.iter().any(|known| target.starts_with(known)) {
            let place = format!("open file {}", target.display());
            let bytes = fs::read(entry.path()).unwrap_or_default();
            captures.push(Capture::new(Sink::File, place, bytes));
        }
    }
    captures
}

/// Whether the process leaves core dumps.
pub(super) fn may_dump(id: i32) -> io::Result<bool> {
    let limits = fs::read_to_string(format!("/proc/{id}/limits"))?;
    let line = limits.lines().find(|line| line.starts_with("Max core file size"));
    Ok(line.is_none_or(|line| {
        line.split_whitespace().nth(4) != Some("0") || line.split_whitespace().nth(5) != Some("0")
    }))
}

/// What a tool printed.
pub(super) fn printed(answer: &command::Answer) -> Capture {
    let text = format!("{}\n{}", answer.stdout, answer.stderr);
    Capture::new(Sink::Cli, answer.command.clone(), text)
}
