//! One call of this crate towards one remote: where, as whom, until when, how much.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ureq::Agent;
use ureq::http::HeaderValue;
use ureq::unversioned::transport::DefaultConnector;
use zeroize::Zeroizing;

use super::address::Filtered;
use super::{proxy, tls};
use crate::budget::Ends;
use crate::ssh_address::SshAddress;
use crate::url::Target;
use crate::{Auth, Budget, Part, Remote, RemoteLimits, SourceError, ration};

/// The state that all requests of one call share.
pub(crate) struct Operation {
    way: Way,
    auth: Auth,
    limits: RemoteLimits,
    /// Its own, or that of the look that it is a part of.
    budget: Budget,
    disk: Option<Part>,
    /// Whoever cancels that ends what is asked over HTTP.
    _ends: Option<Ends>,
    /// Whether files are to be left out, and whether the server can do so.
    without_files: AtomicBool,
    offers_filter: AtomicBool,
    /// The first failure, typed: libgit2 passes on a string only.
    failure: Mutex<Option<SourceError>>,
}

/// How the remote is reached.
enum Way {
    Http(Http),
    Ssh(SshAddress),
    /// By libgit2 itself.
    Local,
}

/// What HTTP requests share.
pub(super) struct Http {
    /// `http(s)://host/path`.
    pub(super) base: String,
    pub(super) authorization: Option<HeaderValue>,
    pub(super) agent: Agent,
}

impl Http {
    fn new(base: String, uses_tls: bool, remote: &Remote) -> Result<Self, SourceError> {
        let limits = remote.limits;
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(
                remote
                    .proxy
                    .as_ref()
                    .map(|way| proxy::config(way, &base))
                    .transpose()?,
            )
            .https_only(uses_tls)
            .user_agent(concat!("git/2.0 (signet ", env!("CARGO_PKG_VERSION"), ")"))
            .accept_encoding("identity")
            .timeout_connect(Some(limits.connect))
            .timeout_per_read(Some(limits.read))
            .timeout_per_write(Some(limits.read))
            .timeout_recv_response(Some(limits.read))
            .max_response_header_size(64 << 10);
        if uses_tls {
            config = config.tls_config(tls::config(remote.ca_pem.as_deref(), remote.client.as_ref())?);
        }
        Ok(Self {
            base,
            authorization: authorization(&remote.auth)?,
            agent: Agent::with_parts(config.build(), DefaultConnector::default(), Filtered::default()),
        })
    }
}

impl Operation {
    pub(crate) fn new(target: Target, remote: &Remote) -> Result<Self, SourceError> {
        let limits = remote.limits;
        let way = match target {
            Target::Http { base, tls } => Way::Http(Http::new(base, tls, remote)?),
            Target::Ssh(address) => Way::Ssh(address),
            Target::File(_) => Way::Local,
        };
        let ends = match (&way, &remote.budget) {
            (Way::Http(http), Some(budget)) => Some(budget.ends(&http.agent)),
            _ => None,
        };
        Ok(Self {
            way,
            _ends: ends,
            auth: remote.auth.clone(),
            limits,
            budget: remote.cost(),
            disk: remote.disk.clone(),
            without_files: AtomicBool::new(false),
            offers_filter: AtomicBool::new(false),
            failure: Mutex::new(None),
        })
    }

    pub(super) fn is_ssh(&self) -> bool {
        matches!(self.way, Way::Ssh(_))
    }

    pub(super) fn http(&self) -> Result<&Http, SourceError> {
        match &self.way {
            Way::Http(http) => Ok(http),
            _ => Err(SourceError::BadUrl("it is not an HTTP address")),
        }
    }

    pub(super) fn ssh(&self) -> Result<(&SshAddress, &Auth), SourceError> {
        match &self.way {
            Way::Ssh(address) => Ok((address, &self.auth)),
            _ => Err(SourceError::BadUrl("it is not an SSH address")),
        }
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    pub(crate) fn limits(&self) -> &RemoteLimits {
        &self.limits
    }

    /// Has files left out of what is fetched from here on, where the server can do so.
    pub(crate) fn leave_files(&self, leave: bool) {
        self.without_files.store(leave, Ordering::Relaxed);
    }

    pub(super) fn offers_filter(&self) {
        self.offers_filter.store(true, Ordering::Relaxed);
    }

    /// Whether files are left out.
    pub(super) fn leaves_files(&self) -> bool {
        self.without_files.load(Ordering::Relaxed) && self.offers_filter.load(Ordering::Relaxed)
    }

    /// What is left of the total time, or the error that nothing is.
    pub(crate) fn remaining(&self) -> Result<Duration, SourceError> {
        self.budget.remaining()
    }

    /// Counts received bytes against the limit.
    pub(crate) fn count(&self, bytes: u64) -> Result<(), SourceError> {
        self.budget.receive(bytes, &self.limits)
    }

    /// Counts the bytes of packs, which are kept.
    pub(super) fn keep(&self, bytes: u64) -> Result<(), SourceError> {
        self.disk.as_ref().map_or(Ok(()), |disk| disk.receive(bytes))
    }

    /// Whose disk it is that they are kept on, if that is bounded.
    pub(crate) fn owner(&self) -> Option<Arc<str>> {
        self.disk.as_ref().and_then(Part::owner)
    }

    /// Refuses an object that is too large, whole or as a delta makes it.
    pub(super) fn admit_object(&self, size: u64) -> Result<(), SourceError> {
        let limit = self.limits.object_bytes;
        if size > limit {
            return Err(SourceError::TooLarge(format!("an object over {limit} bytes")));
        }
        ration::weighed(size);
        Ok(())
    }

    /// Counts what packs hold against the limit.
    pub(super) fn count_unpacked(&self, bytes: u64) -> Result<(), SourceError> {
        self.budget.unpack(bytes, &self.limits)
    }

    /// Counts the objects that a pack says to have against the limit.
    pub(super) fn count_objects(&self, objects: u32) -> Result<(), SourceError> {
        self.budget.expect(objects, &self.limits)
    }

    /// Remembers the first failure and returns what to report.
    pub(crate) fn fail(&self, error: SourceError) -> SourceError {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(error).clone()
    }

    /// Whether `text` repeats a credential, plain or as it went over the wire.
    pub(crate) fn holds_secret(&self, text: &str) -> bool {
        let header = match &self.way {
            Way::Http(http) => http.authorization.as_ref().and_then(|value| value.to_str().ok()),
            _ => None,
        };
        let sent = header
            .and_then(|header| header.split_once(' '))
            .map(|(_, sent)| sent);
        let secret = match &self.auth {
            Auth::None => None,
            Auth::Basic { password, .. } => Some(password.as_str()),
            Auth::Bearer(token) => Some(token.as_str()),
            Auth::Key { passphrase, .. } => passphrase.as_ref().map(|text| text.as_str()),
        };
        [sent, secret]
            .into_iter()
            .flatten()
            .any(|secret| !secret.is_empty() && text.contains(secret))
    }

    /// The failure behind what libgit2 reports, if it was ours.
    pub(crate) fn take_failure(&self) -> Option<SourceError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The `Authorization` header, marked sensitive so that no debug output prints it.
fn authorization(auth: &Auth) -> Result<Option<HeaderValue>, SourceError> {
    let text = match auth {
        Auth::None => return Ok(None),
        Auth::Key { .. } => return Err(SourceError::KeyForHttp),
        Auth::Basic { username, password } => {
            let controls = |text: &str| text.chars().any(char::is_control);
            if username.contains(':') || controls(username) || controls(password) {
                return Err(SourceError::BadCredentials);
            }
            let pair = Zeroizing::new(format!("{}:{}", username.as_str(), password.as_str()));
            let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
            Zeroizing::new(format!("Basic {}", encoded.as_str()))
        }
        Auth::Bearer(token) => {
            if token.is_empty() || !token.chars().all(|c| c.is_ascii_graphic()) {
                return Err(SourceError::BadCredentials);
            }
            Zeroizing::new(format!("Bearer {}", token.as_str()))
        }
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| SourceError::BadCredentials)?;
    value.set_sensitive(true);
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.into())
    }

    #[test]
    fn headers_follow_their_rfcs() {
        // The example of RFC 7617, section 2.
        let auth = Auth::Basic {
            username: secret("Aladdin"),
            password: secret("open sesame"),
        };
        let value = authorization(&auth).unwrap().unwrap();
        assert_eq!(value.as_bytes(), b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(format!("{value:?}"), "Sensitive");
        let value = authorization(&Auth::Bearer(secret("t0ken"))).unwrap().unwrap();
        assert_eq!(value.as_bytes(), b"Bearer t0ken");
    }

    #[test]
    fn credentials_that_would_break_the_header_are_refused() {
        let bad = [
            Auth::Bearer(secret("t\r\nHost: evil")),
            Auth::Bearer(secret("")),
            Auth::Basic {
                username: secret("a:b"),
                password: secret("c"),
            },
            Auth::Basic {
                username: secret("a"),
                password: secret("c\n"),
            },
        ];
        for auth in bad {
            assert_eq!(authorization(&auth), Err(SourceError::BadCredentials));
        }
    }
}
