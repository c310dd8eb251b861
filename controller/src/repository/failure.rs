//! Failures of remotes and specifications, for people.

use source::SourceError;

use super::credentials::Problem;
use super::reference::capital;

/// A failure, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) reason: &'static str,
    pub(super) message: String,
    /// Whether it may pass without anybody doing anything.
    pub(super) temporary: bool,
}

impl From<&SourceError> for Failure {
    fn from(error: &SourceError) -> Self {
        Self {
            reason: reason(error),
            message: sentences(&error.to_string(), error.hint()),
            temporary: error.is_temporary(),
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self {
            reason: problem.reason,
            message: format!("{}.", problem.message),
            temporary: problem.temporary,
        }
    }
}

/// Two sentences out of an error and a hint that are none.
fn sentences(what: &str, hint: &str) -> String {
    format!(
        "{}. {}.",
        capital(what.trim_end_matches('.')),
        capital(hint.trim_end_matches('.'))
    )
}

fn reason(error: &SourceError) -> &'static str {
    match error {
        SourceError::BadUrl(_) => "BadUrl",
        SourceError::BadRef => "BadRef",
        SourceError::BadCertificates => "BadCertificates",
        SourceError::BadCredentials
        | SourceError::NoKey
        | SourceError::KeyForHttp
        | SourceError::BadKey(_)
        | SourceError::BadClientCertificate(_) => "BadCredentials",
        SourceError::App(_) => "AppRefused",
        SourceError::Host(_) => "HostRefused",
        SourceError::BadProxy(_) => "BadProxy",
        SourceError::ProxyRefused(_) => "ProxyRefused",
        SourceError::HostUnknown(_) => "HostUnknown",
        SourceError::HostKey(_) => "HostKeyRefused",
        SourceError::KeyRefused(_) => "KeyRefused",
        SourceError::Ssh(_) => "SshFailed",
        SourceError::FilesRefused => "FilesRefused",
        SourceError::Unreachable(_) => "Unreachable",
        SourceError::Tls(_) => "TlsFailed",
        SourceError::Timeout(_) => "Timeout",
        SourceError::TooLarge(_) => "TooLarge",
        SourceError::Unauthorized { .. } => "Unauthorized",
        SourceError::Forbidden => "Forbidden",
        SourceError::NotFound => "NotFound",
        SourceError::Redirected(_) => "Redirected",
        SourceError::Status(_) => "HttpStatus",
        SourceError::NotGit(_) => "NotGit",
        SourceError::NoPart(_) => "PartRefused",
        SourceError::EmptyRemote => "EmptyRemote",
        SourceError::NoSuchBranch(_) => "NoSuchBranch",
        SourceError::NoSuchTag(_) => "NoSuchTag",
        SourceError::NoSuchRef(_) => "NoSuchRef",
        SourceError::NoVersion(_) => "NoVersion",
        SourceError::CommitNotServed(_) => "CommitNotServed",
        SourceError::BadSubmodule(..) => "BadSubmodule",
        SourceError::Submodule { .. } => "SubmoduleFailed",
        SourceError::NoRoom { .. } => "NoRoom",
        SourceError::StoreBusy => "StoreBusy",
        SourceError::Store(_) => "StoreFailed",
        _ => "Failed",
    }
}

#[cfg(test)]
mod tests {
    use super::Failure;
    use source::SourceError;

    #[test]
    fn a_failure_is_two_sentences() {
        let failure = Failure::from(&SourceError::NotFound);
        assert_eq!(failure.reason, "NotFound");
        assert!(
            failure
                .message
                .starts_with("No repository at this address. Check the URL"),
            "{}",
            failure.message
        );
        assert!(failure.message.ends_with('.'), "{}", failure.message);
        assert!(!failure.temporary);
        assert!(Failure::from(&SourceError::Unreachable("connection refused".into())).temporary);
    }
}
