//! Who asked the API server for what: its audit log, which is written before a request is answered.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use serde::Deserialize;

/// The user name of the controller's service account.
pub const CONTROLLER: &str = "system:serviceaccount:signet-system:signet-controller";

/// The API server's audit log.
#[derive(Clone, Debug)]
pub struct Audit {
    file: PathBuf,
}

/// A moment in the log.
#[derive(Clone, Copy, Debug)]
pub struct Mark(u64);

/// One request, as it was received.
#[derive(Clone, Debug)]
pub struct Request {
    /// Who asked: the name that was authenticated, before any impersonation.
    pub user: String,
    /// Whose rights the request asked to have, if it asked. Only of requests that were answered ([`Audit::answered`]): where
    /// one is noted as it is received, the API server has not looked yet.
    pub impersonated: Option<String>,
    /// `get`, `list`, `watch`, `patch` and so on.
    pub verb: String,
    /// The resource's plural name; empty for what is none, such as `/readyz`.
    pub resource: String,
    /// The object's namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// The path and query.
    pub uri: String,
    /// When it came, RFC 3339 with microseconds.
    pub time: String,
}

impl Request {
    /// Whether it can change anything.
    pub fn writes(&self) -> bool {
        matches!(
            self.verb.as_str(),
            "create" | "update" | "patch" | "delete" | "deletecollection"
        )
    }

    /// Whether it renews a claim rather than does something.
    pub fn is_lease(&self) -> bool {
        self.resource == "leases"
    }
}

impl Audit {
    pub(crate) fn new(file: PathBuf) -> Self {
        Self { file }
    }

    /// Now.
    pub fn mark(&self) -> Mark {
        Mark(std::fs::metadata(&self.file).map_or(0, |data| data.len()))
    }

    /// The requests of `user` that were received since `mark`, in order.
    pub fn since(&self, mark: Mark, user: &str) -> Vec<Request> {
        received(self.lines(mark.0).0, user)
    }

    /// The requests of `user` that were answered since `mark`, in the order of their answers, each with its HTTP status.
    pub fn answered(&self, mark: Mark, user: &str) -> Vec<(Request, u16)> {
        let lines = self.lines(mark.0).0.into_iter();
        lines
            .filter(|line| line.stage == "ResponseComplete" && line.user.username == user)
            .map(|line| {
                let code = line.response_status.as_ref().map_or(0, |status| status.code);
                (line.into(), code)
            })
            .collect()
    }

    /// Reads on from `mark`, again and again, without reading anything twice.
    pub fn tail(&self, mark: Mark) -> Tail {
        Tail {
            audit: self.clone(),
            offset: mark.0,
        }
    }

    /// What the controller asked for since `mark`, Leases aside.
    pub fn by_controller(&self, mark: Mark) -> Vec<Request> {
        let mut requests = self.since(mark, CONTROLLER);
        requests.retain(|request| !request.is_lease());
        requests
    }

    /// The whole lines from `offset` on, and where they end: the last line may be half written.
    fn lines(&self, offset: u64) -> (Vec<Line>, u64) {
        let mut content = Vec::new();
        let mut file = File::open(&self.file)
            .unwrap_or_else(|error| panic!("no audit log at {}: {error}", self.file.display()));
        file.seek(SeekFrom::Start(offset)).expect("the log can be read");
        file.read_to_end(&mut content).expect("the log can be read");
        let whole = content
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |last| last + 1);
        let lines = content[..whole]
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect();
        (lines, offset + whole as u64)
    }
}

/// A place in the log that moves on as the log is read.
#[derive(Clone, Debug)]
pub struct Tail {
    audit: Audit,
    offset: u64,
}

impl Tail {
    /// What the controller asked for since the last call, Leases aside.
    pub fn by_controller(&mut self) -> Vec<Request> {
        let (lines, end) = self.audit.lines(self.offset);
        self.offset = end;
        let mut requests = received(lines, CONTROLLER);
        requests.retain(|request| !request.is_lease());
        requests
    }
}

fn received(lines: Vec<Line>, user: &str) -> Vec<Request> {
    let lines = lines.into_iter();
    lines
        .filter(|line| line.stage == "RequestReceived" && line.user.username == user)
        .map(Request::from)
        .collect()
}

/// Counts by verb and resource, for messages.
pub fn summary(requests: &[Request]) -> String {
    let mut counts = BTreeMap::new();
    for request in requests {
        *counts
            .entry(format!("{} {}", request.verb, request.resource))
            .or_insert(0_u32) += 1;
    }
    counts
        .iter()
        .map(|(what, count)| format!("{count}× {what}"))
        .collect::<Vec<_>>()
        .join(", ")
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    stage: String,
    #[serde(rename = "requestURI")]
    uri: String,
    verb: String,
    user: User,
    impersonated_user: Option<User>,
    object_ref: Option<Object>,
    response_status: Option<Answer>,
    request_received_timestamp: String,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    code: u16,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Object {
    resource: String,
    namespace: String,
    name: String,
}

impl From<Line> for Request {
    fn from(line: Line) -> Self {
        let object = line.object_ref.unwrap_or_default();
        Self {
            user: line.user.username,
            impersonated: line.impersonated_user.map(|user| user.username),
            verb: line.verb,
            resource: object.resource,
            namespace: object.namespace,
            name: object.name,
            uri: line.uri,
            time: line.request_received_timestamp,
        }
    }
}
