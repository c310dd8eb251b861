//! What an API request can end in, in our own words.
//!
//! An API server quotes what it refuses. About a Secret that would be a leak, so answers about Secrets are reduced to
//! their code, reason and field paths before anything else sees them (DESIGN §3.2).

mod cause;

pub use cause::Cause;

use serde_json::Value;
use std::time::Duration;

/// The longest text taken over from an API server's answer, in bytes.
const QUOTED: usize = 1024;
/// The longest path of a field, in bytes: it is looked up in the object again. An annotation's key alone has up to 317.
const FIELD: usize = 2048;
/// The most conflicts that are read of one answer.
const CONFLICTS: usize = 2000;

/// The reason of a cause that is about a field of somebody else.
const CONFLICT: &str = "FieldManagerConflict";
/// How the API server's answer to an apply with fields of wrong types starts. It comes with code 500.
const UNTYPED: &str = "failed to create typed patch object (";
/// What etcd, and the API server's client of it, say of an object that is too large. It comes with code 500.
const STORE_LIMITS: [&str; 2] = [
    "etcdserver: request is too large",
    "trying to send message larger than max",
];

/// Who is at fault, as far as the next step depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Fields belong to other managers (HTTP 409 to an apply).
    Conflict,
    /// The identity lacks the right (403), or is not known (401).
    Forbidden,
    /// The controller may not act as the identity (403): the same for every object.
    Impersonation,
    /// The object is wrong (400, 422).
    Invalid,
    /// The object is larger than the server or its store takes (413, 500).
    TooLarge,
    /// There is no such object, namespace or kind (404).
    NotFound,
    /// A precondition no longer holds (409 to anything but an apply).
    Precondition,
    /// The server asks for patience (429).
    TooManyRequests,
    /// No answer in time, or a server, or a part of it, that cannot serve (502 and up).
    Unavailable,
    /// No connection: the same for every object.
    Unreachable,
    /// The server answered, and failed on this very request (500): a webhook it asks, or its store.
    Failed,
    /// Anything else.
    Other,
}

/// One field that somebody else owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldConflict {
    /// The other field manager.
    pub manager: String,
    /// The field's path, such as `.spec.replicas`.
    pub field: String,
}

impl FieldConflict {
    /// Reads one cause of an API server's answer; none where it is about something else. The message is `conflict with
    /// "manager" ...`; the manager's name is its only quoted word.
    #[must_use]
    pub fn read(reason: &str, message: &str, field: &str) -> Option<Self> {
        if reason != CONFLICT {
            return None;
        }
        let manager = message.split('"').nth(1)?;
        Some(Self {
            manager: bounded(manager, 128),
            field: bounded(field, FIELD),
        })
    }
}

/// A request that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// Who is at fault.
    pub kind: ErrorKind,
    /// What it is about, where more is known.
    pub cause: Cause,
    /// A sentence for people; never holds a value of a Secret.
    pub message: String,
    /// Other owners of fields, for [`ErrorKind::Conflict`].
    pub conflicts: Vec<FieldConflict>,
    /// How long the server asked us to wait.
    pub retry_after: Option<Duration>,
}

impl ApiError {
    /// A failure without an answer.
    #[must_use]
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Unavailable,
            cause: Cause::Plain,
            message: message.into(),
            conflicts: Vec::new(),
            retry_after: None,
        }
    }

    /// A connection that could not be made, or broke.
    #[must_use]
    pub(crate) fn unreachable(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Unreachable,
            ..Self::unavailable(message)
        }
    }

    /// Whether the same request may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.cause == Cause::NamespaceLeaving
            || matches!(
                self.kind,
                ErrorKind::Unavailable
                    | ErrorKind::Unreachable
                    | ErrorKind::Failed
                    | ErrorKind::TooManyRequests
                    | ErrorKind::Precondition
            )
    }

    /// The error without a word of the API server's: for an object that is no Secret and yet holds one.
    #[must_use]
    pub fn in_own_words(&self) -> &'static str {
        own_word(self.kind, self.cause)
    }

    /// The same failure, said so.
    #[must_use]
    pub fn unquoted(self) -> Self {
        Self {
            message: self.in_own_words().to_owned(),
            ..self
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self.cause {
            Cause::Plain | Cause::Exists => {}
            Cause::OtherUid => return "this is tried again by itself",
            Cause::Immutable => {
                return "this cannot be changed on an existing object: allow that it is deleted and made anew, with the \
                        annotation signet.dev/replace: enabled or with spec.immutable: Replace";
            }
            Cause::NamespaceMissing => {
                return "add what is missing to Git, its Namespace, or set spec.createNamespaces: true; this is tried \
                        again";
            }
            Cause::NamespaceLeaving => return "this is tried again by itself once the namespace is gone",
            Cause::Quota => return "raise the quota, or make room; this is tried again",
        }
        match self.kind {
            ErrorKind::Conflict => {
                "let one owner set these fields, or remove them from one of the two sources"
            }
            ErrorKind::Forbidden => "grant the Sync's service account this right, or leave the object out",
            ErrorKind::Impersonation => {
                "bind the ClusterRole signet-impersonator to the controller in this namespace (deploy/README.md)"
            }
            ErrorKind::Invalid => "correct the object in Git",
            ErrorKind::TooLarge => {
                "the API server's store takes no object over 1.5 MB: split it, or keep large data elsewhere"
            }
            ErrorKind::Failed => {
                "this is tried again by itself; if it stays, look at the webhook or at the API server's log"
            }
            ErrorKind::NotFound => "add what is missing to Git, or wait until it exists; this is tried again",
            ErrorKind::Precondition
            | ErrorKind::TooManyRequests
            | ErrorKind::Unavailable
            | ErrorKind::Unreachable
            | ErrorKind::Other => "this is tried again by itself",
        }
    }

    /// Reads a `metav1.Status`. `quote` says whether the server's words may be repeated: never about a Secret.
    pub(crate) fn from_status(code: u16, body: &[u8], quote: bool, applying: bool) -> Self {
        let status: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let reason = status["reason"].as_str().unwrap_or_default();
        let said = status["message"].as_str().unwrap_or_default();
        let causes = status["details"]["causes"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let has_conflicts = causes.iter().any(|cause| cause["reason"] == CONFLICT);
        let kind = match code {
            400 | 422 => ErrorKind::Invalid,
            413 => ErrorKind::TooLarge,
            403 if said.contains("cannot impersonate resource") => ErrorKind::Impersonation,
            401 | 403 => ErrorKind::Forbidden,
            404 => ErrorKind::NotFound,
            // Quotas and storage say Conflict too, of a race and of no field.
            409 if applying && reason == "Conflict" && has_conflicts => ErrorKind::Conflict,
            409 => ErrorKind::Precondition,
            429 => ErrorKind::TooManyRequests,
            // The API server answers so to an apply whose fields have the wrong types.
            500 if said.starts_with(UNTYPED) => ErrorKind::Invalid,
            500 if STORE_LIMITS.iter().any(|limit| said.contains(limit)) => ErrorKind::TooLarge,
            500 if status["kind"] == "Status" => ErrorKind::Failed,
            500..=599 => ErrorKind::Unavailable,
            _ => ErrorKind::Other,
        };
        let cause = Cause::of(code, &status);
        let conflicts: Vec<_> = causes
            .iter()
            .filter_map(|cause| {
                let text = |name: &str| cause[name].as_str().unwrap_or_default();
                FieldConflict::read(text("reason"), text("message"), text("field"))
            })
            .take(CONFLICTS)
            .collect();
        let message = if let (ErrorKind::Conflict, [first, rest @ ..]) = (kind, conflicts.as_slice()) {
            let more = if rest.is_empty() {
                String::new()
            } else {
                format!(" and {} more fields", rest.len())
            };
            format!(
                "field {}{more} belongs to field manager {:?}",
                bounded(&first.field, 256),
                first.manager
            )
        } else if kind == ErrorKind::Impersonation {
            let name = status["details"]["name"].as_str().unwrap_or("it names");
            format!(
                "the controller may not act as service account {}",
                bounded(name, 253)
            )
        } else if quote && !said.is_empty() {
            bounded(said, QUOTED)
        } else {
            own_words(code, kind, cause, reason, causes) + &untyped_field(said)
        };
        let retry_after = status["details"]["retryAfterSeconds"]
            .as_u64()
            .map(|s| Duration::from_secs(s.min(60)));
        Self {
            kind,
            cause,
            message,
            conflicts,
            retry_after,
        }
    }
}

/// Code, reason and field paths: all that may be said of an answer about a Secret. Field paths can hold a data key's
/// name, never its value.
fn own_words(code: u16, kind: ErrorKind, cause: Cause, reason: &str, causes: &[Value]) -> String {
    let what = own_word(kind, cause);
    let reason: String = reason
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(40)
        .collect();
    let mut text = format!(
        "{what} (HTTP {code}{}{reason})",
        if reason.is_empty() { "" } else { ", " }
    );
    let fields: Vec<_> = causes
        .iter()
        .filter_map(|cause| cause["field"].as_str())
        .filter(|field| begins_with_a_known_field(field))
        .take(5)
        .map(|f| bounded(f, 80))
        .collect();
    if !fields.is_empty() {
        text.push_str(": ");
        text.push_str(&fields.join(", "));
    }
    text
}

fn own_word(kind: ErrorKind, cause: Cause) -> &'static str {
    match kind {
        _ if cause == Cause::Immutable => {
            "a field was to change that cannot be changed on an existing object"
        }
        _ if cause == Cause::NamespaceLeaving => "the namespace is being deleted",
        _ if cause == Cause::Quota => "a quota leaves no room for the object",
        _ if cause == Cause::Exists => "there is such an object already",
        _ if cause == Cause::OtherUid => "another object of its name stands in its place",
        ErrorKind::Invalid => "the API server finds the object invalid",
        ErrorKind::Forbidden | ErrorKind::Impersonation => "the service account lacks the right",
        ErrorKind::NotFound => "the namespace or the kind does not exist",
        ErrorKind::Conflict | ErrorKind::Precondition => "the object changed meanwhile",
        ErrorKind::TooLarge => "the object is too large",
        ErrorKind::TooManyRequests => "the API server asks to try again later",
        ErrorKind::Unavailable | ErrorKind::Unreachable | ErrorKind::Failed | ErrorKind::Other => {
            "the API server failed"
        }
    }
}

/// The path of the first field that has the wrong type, from an answer that starts with [`UNTYPED`]. What follows the path
/// may be a value.
fn untyped_field(said: &str) -> String {
    let after = said
        .strip_prefix(UNTYPED)
        .and_then(|rest| rest.split_once("): "))
        .map(|(_, after)| after);
    let path: String = after
        .unwrap_or_default()
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || "._-[]=\"".contains(*c))
        .take(80)
        .collect();
    let undeclared = after.is_some_and(|after| after[path.len()..].starts_with(": field not declared"));
    match path.strip_prefix('.') {
        // Where indentation is lost, a line of a value becomes the name of a field.
        Some(_) if undeclared => ": it has a field that its kind does not have".to_owned(),
        Some(field) if begins_with_a_known_field(field) => format!(": {path}"),
        _ => String::new(),
    }
}

/// Whether a path leads into a field that Secrets and our own objects have. Any other name may be anything.
fn begins_with_a_known_field(path: &str) -> bool {
    let first = path.split(['.', '[']).next().unwrap_or_default();
    [
        "apiVersion",
        "kind",
        "metadata",
        "data",
        "stringData",
        "type",
        "immutable",
        "spec",
        "status",
    ]
    .contains(&first)
}

/// At most `limit` bytes of outside text, without control characters.
pub(crate) fn bounded(text: &str, limit: usize) -> String {
    let mut out: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if out.len() > limit {
        let end = (0..=limit).rev().find(|&i| out.is_char_boundary(i)).unwrap_or(0);
        out.truncate(end);
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status(code: u16, quote: bool, body: &Value) -> ApiError {
        ApiError::from_status(code, body.to_string().as_bytes(), quote, true)
    }

    #[test]
    fn an_answer_about_a_secret_is_never_quoted() {
        let body = json!({"reason": "Invalid", "message": "Secret \"s\" is invalid: data[pw]: Invalid value: \"hunter2\"",
            "details": {"causes": [{"reason": "FieldValueInvalid", "message": "Invalid value: \"hunter2\"", "field": "data[pw]"}]}});
        let error = status(422, false, &body);
        assert!(!error.message.contains("hunter2"), "{}", error.message);
        assert_eq!(
            error.message,
            "the API server finds the object invalid (HTTP 422, Invalid): data[pw]"
        );
        assert!(
            status(422, true, &body).message.contains("hunter2"),
            "other kinds keep the server's words"
        );
    }

    #[test]
    fn conflicts_name_manager_and_field() {
        let body = json!({"reason": "Conflict", "message": "Apply failed", "details": {"causes": [
            {"reason": "FieldManagerConflict", "message": "conflict with \"signet/abc\" using apps/v1", "field": ".spec.replicas"},
            {"reason": "FieldManagerConflict", "message": "conflict with \"signet/abc\" using apps/v1", "field": ".spec.paused"}]}});
        let error = status(409, false, &body);
        assert_eq!(error.kind, ErrorKind::Conflict);
        assert_eq!(error.conflicts.len(), 2);
        assert_eq!(
            error.message,
            "field .spec.replicas and 1 more fields belongs to field manager \"signet/abc\""
        );
    }

    #[test]
    fn an_answer_about_this_object_is_told_from_a_server_that_cannot_serve() {
        let answer = |message: &str| json!({"kind": "Status", "reason": "InternalError", "message": message});
        let untyped =
            "failed to create typed patch object (n/s; /v1, Kind=Secret): .data: expected map, got hunter2";
        for (message, kind) in [
            (untyped, ErrorKind::Invalid),
            ("etcdserver: request is too large", ErrorKind::TooLarge),
            ("failed calling webhook \"a.b.c\"", ErrorKind::Failed),
        ] {
            assert_eq!(status(500, true, &answer(message)).kind, kind, "{message}");
        }
        assert_eq!(
            status(500, false, &answer(untyped)).message,
            "the API server finds the object invalid (HTTP 500, InternalError): .data"
        );
        for place in [".", ".metadata."] {
            let misplaced = format!(
                "failed to create typed patch object (n/s; /v1, Kind=Secret): {place}hunter2: field not declared in schema"
            );
            assert_eq!(
                status(500, false, &answer(&misplaced)).message,
                "the API server finds the object invalid (HTTP 500, InternalError): it has a field that its kind does not \
                 have"
            );
        }
        let body = json!({"kind": "Status", "details": {"name": "deployer"}, "message": "serviceaccounts \"deployer\" is \
            forbidden: User \"c\" cannot impersonate resource \"serviceaccounts\" in API group \"\" in the namespace \"n\""});
        let error = status(403, false, &body);
        assert_eq!(error.kind, ErrorKind::Impersonation);
        assert_eq!(
            error.message,
            "the controller may not act as service account deployer"
        );
        assert_eq!(status(503, true, &answer("")).kind, ErrorKind::Unavailable);
        assert_eq!(status(413, false, &json!({})).kind, ErrorKind::TooLarge);
    }

    #[test]
    fn an_answer_that_is_not_a_status_is_survived() {
        for body in ["", "<html>", "[]", "{\"details\":7}"] {
            let error = ApiError::from_status(502, body.as_bytes(), true, false);
            assert_eq!(error.kind, ErrorKind::Unavailable);
            assert_eq!(error.message, "the API server failed (HTTP 502)");
        }
    }
}
