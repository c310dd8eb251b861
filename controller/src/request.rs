//! One request to the API server: bounded in time, its failure in our own words.
//!
//! An API server's error text can quote the object, and with it a secret value. So the text is dropped here; the code,
//! the reason and what was attempted say enough. Only where the request holds no Secret may a caller ask for more.

use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;

use crate::text;

/// How long an ordinary request may take.
pub const TIMEOUT: Duration = Duration::from_secs(15);

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No answer in time.
    #[error("the API server did not answer in time")]
    Timeout,
    /// The API server refused.
    #[error("the API server answers {code}{}{reason}", if .reason.is_empty() { "" } else { " " })]
    Refused {
        /// HTTP status.
        code: u16,
        /// Kubernetes' word for it, such as `Forbidden`.
        reason: String,
    },
    /// No connection, or a broken one.
    #[error("the API server cannot be reached")]
    Unreachable,
    /// The answer is not what was asked for.
    #[error("the API server's answer cannot be read")]
    Unreadable,
}

impl RequestError {
    /// 404.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    /// 409: it exists already, or a precondition does not hold.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.code() == Some(409)
    }

    /// 403.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.code() == Some(403)
    }

    fn code(&self) -> Option<u16> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }
}

impl From<&kube::Error> for RequestError {
    fn from(error: &kube::Error) -> Self {
        use kube::Error;
        match error {
            Error::Api(status) => refused(status),
            Error::HyperError(_) | Error::Service(_) | Error::ReadEvents(_) => Self::Unreachable,
            _ => Self::Unreadable,
        }
    }
}

/// A refusal, without its text.
pub(crate) fn refused(status: &kube::core::Status) -> RequestError {
    RequestError::Refused {
        code: status.code,
        reason: text::bounded(&status.reason, 64),
    }
}

/// Runs one request within [`TIMEOUT`].
pub async fn bounded<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, RequestError> {
    within(TIMEOUT, call).await
}

/// Runs one request within a time.
pub async fn within<T>(
    time: Duration,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, RequestError> {
    match timeout(time, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(RequestError::from(&error)),
        Err(_) => Err(RequestError::Timeout),
    }
}

#[cfg(test)]
mod tests {
    use super::{RequestError, bounded};
    use kube::core::Status;

    #[test]
    fn the_servers_text_is_dropped() {
        let status = Status::failure("Secret \"x\" is invalid: data: \"hunter2\"", "Invalid").with_code(422);
        let error = RequestError::from(&kube::Error::Api(Box::new(status)));
        assert_eq!(error.to_string(), "the API server answers 422 Invalid");
        assert!(!format!("{error:?}").contains("hunter2"));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends() {
        let result = bounded(std::future::pending::<Result<(), kube::Error>>()).await;
        assert_eq!(result, Err(RequestError::Timeout));
    }
}
