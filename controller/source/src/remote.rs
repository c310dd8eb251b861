//! Where a repository is, how to authenticate, and how much it may send.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::{Budget, Part, RepoPath};

/// How much more a long history may hold, unpacked, than a store's packs take on disk.
const HISTORY: u64 = 256;

/// A Git remote.
///
/// Over HTTP: no redirect is followed, so credentials reach only the host of `url`; no proxy is taken
/// from the environment; link-local addresses and the clouds' metadata services are out of reach; every
/// request ends within [`RemoteLimits`].
#[derive(Debug, Clone)]
pub struct Remote {
    /// `https://`, `http://`, `ssh://git@host/path`, `git@host:path` or (see `files`) `file://`. Without password, query or
    /// fragment.
    pub url: String,
    /// Credentials, sent with every request to `url`.
    pub auth: Auth,
    /// PEM certificates of authorities trusted for this remote, beside the platform's.
    pub ca_pem: Option<String>,
    /// What this side shows of itself over TLS.
    pub client: Option<ClientCertificate>,
    /// The proxy that HTTP goes through.
    pub proxy: Option<Proxy>,
    /// Bounds on time and size.
    pub limits: RemoteLimits,
    /// What counts against the limits beside a call's own cost. Without one, each call counts by itself.
    pub budget: Option<Budget>,
    /// Where what comes is kept, if that is bounded.
    pub disk: Option<Part>,
    /// What of the repository is read: directories, or files. All of it where none is named. The files of all else stay where they
    /// are, if the server can leave them out (partial-clone(7)).
    pub sparse: Vec<RepoPath>,
    /// Whether, and where, `file://` is allowed. For tests and air-gapped hosts.
    pub files: FileRemotes,
}

impl Remote {
    /// A remote without credentials, with default limits, `file://` refused.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            auth: Auth::None,
            ca_pem: None,
            client: None,
            proxy: None,
            limits: RemoteLimits::default(),
            budget: None,
            disk: None,
            sparse: Vec::new(),
            files: FileRemotes::Refused,
        }
    }

    /// What counts its cost: that of the look that it is a part of, or one that begins now.
    pub(crate) fn cost(&self) -> Budget {
        let look = self.budget.clone();
        look.unwrap_or_else(|| Budget::begin(&self.limits))
    }

    /// The same remote with all of the repository: what is read of it says nothing of its notes.
    pub(crate) fn with_all(&self) -> Self {
        Self {
            sparse: Vec::new(),
            ..self.clone()
        }
    }

    /// The same remote for one look: all calls with it, and with copies of it, count together, and time begins to run. Whoever cancels
    /// the look before it cancels this one.
    #[must_use]
    pub fn for_one_look(&self) -> Self {
        let budget = match &self.budget {
            Some(before) => before.next(&self.limits),
            None => Budget::begin(&self.limits),
        };
        Self {
            budget: Some(budget),
            ..self.clone()
        }
    }

    /// Whether a file is among what is [read](Self::sparse).
    #[must_use]
    pub fn reads(&self, path: &str) -> bool {
        let inside = |read: &RepoPath| {
            let rest = path.strip_prefix(read.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.sparse.is_empty() || self.sparse.iter().any(inside)
    }

    /// The same remote for long histories, in a store of at most so many bytes: see [`RemoteLimits::unpacked_bytes`].
    pub(crate) fn for_history(&self, stored: u64) -> Self {
        let mut remote = self.clone();
        let allowed = remote.limits.unpacked_bytes;
        remote.limits.unpacked_bytes = allowed.map(|bytes| bytes.max(stored.saturating_mul(HISTORY)));
        remote
    }
}

/// How to authenticate.
#[derive(Clone, Default)]
pub enum Auth {
    /// No credentials.
    #[default]
    None,
    /// HTTP basic authentication (RFC 7617).
    Basic {
        /// Without a colon.
        username: Zeroizing<String>,
        /// Password or token.
        password: Zeroizing<String>,
    },
    /// A bearer token (RFC 6750).
    Bearer(Zeroizing<String>),
    /// An SSH key. Nothing else logs in over SSH: no password, no agent, no file of this machine.
    Key {
        /// The private key, as `ssh-keygen` writes it.
        identity: Zeroizing<String>,
        /// What opens it.
        passphrase: Option<Zeroizing<String>>,
        /// Which keys hosts may show (sshd(8)).
        known_hosts: String,
    },
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic { .. } => "Basic(..)",
            Self::Bearer(_) => "Bearer(..)",
            Self::Key { .. } => "Key(..)",
        })
    }
}

/// A certificate for TLS, and its key.
#[derive(Clone)]
pub struct ClientCertificate {
    /// PEM certificates, one's own first.
    pub chain_pem: String,
    /// PEM private key.
    pub key_pem: Zeroizing<String>,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificate(..)")
    }
}

/// An HTTP proxy.
#[derive(Clone)]
pub struct Proxy {
    /// `http://host:port`.
    pub address: String,
    /// For basic authentication.
    pub username: Option<Zeroizing<String>>,
    /// For basic authentication.
    pub password: Option<Zeroizing<String>>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proxy(..)")
    }
}

/// Bounds on what a remote may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteLimits {
    /// For name, connection and TLS handshake.
    pub connect: Duration,
    /// The longest silence while an answer is awaited or read.
    pub read: Duration,
    /// For one call of this crate, or for one look, everything included.
    pub total: Duration,
    /// Bytes of one list of refs.
    pub listing_bytes: u64,
    /// Bytes of all packs that one call, or one look, receives.
    pub pack_bytes: u64,
    /// Objects in all of its packs.
    pub objects: usize,
    /// Bytes of one object, unpacked. It is what a pack takes of memory, up to three times.
    pub object_bytes: u64,
    /// Bytes of all objects of one call, or of one look, unpacked, each of them whole. A call that fetches a long history may have
    /// 256 times of what its store takes on disk: there a file that changes often is whole in each commit and a few bytes in the
    /// pack, so that this is what honest histories meet first. No more than one object at a time is unpacked, and nothing
    /// unpacked is kept.
    pub unpacked_bytes: Option<u64>,
}

impl Default for RemoteLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            read: Duration::from_secs(30),
            total: Duration::from_mins(2),
            listing_bytes: 32 << 20,
            pack_bytes: 512 << 20,
            objects: 2_000_000,
            // What GitHub and GitLab take of a file.
            object_bytes: 100 << 20,
            unpacked_bytes: Some(4 << 30),
        }
    }
}

/// Where `file://` remotes may lie.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum FileRemotes {
    /// Nowhere.
    #[default]
    Refused,
    /// Below these directories, after symbolic links are resolved.
    Below(Vec<PathBuf>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_history_has_a_bound_of_its_own() {
        let mut remote = Remote::new("https://git.example/r");
        assert_eq!(remote.for_history(1 << 30).limits.unpacked_bytes, Some(256 << 30));
        assert_eq!(remote.for_history(1).limits.unpacked_bytes, Some(4 << 30));
        remote.limits.unpacked_bytes = None;
        assert_eq!(remote.for_history(1).limits.unpacked_bytes, None);
    }

    #[test]
    fn who_cancels_a_look_cancels_those_after_it() {
        let remote = Remote::new("https://git.example/r").for_one_look();
        let next = remote.for_one_look().budget.unwrap();
        assert!(next.remaining().is_ok());
        remote.budget.unwrap().cancel();
        assert!(next.is_cancelled() && next.remaining().is_err());
    }

    #[test]
    fn debug_shows_no_secret() {
        let mut remote = Remote::new("https://git.example/r");
        remote.auth = Auth::Basic {
            username: Zeroizing::new("bob".into()),
            password: Zeroizing::new("hunter2".into()),
        };
        assert!(!format!("{remote:?}").contains("hunter2"));
        remote.auth = Auth::Bearer(Zeroizing::new("hunter2".into()));
        assert!(!format!("{remote:?}").contains("hunter2"));
        remote.auth = Auth::Key {
            identity: Zeroizing::new("hunter2".into()),
            passphrase: Some(Zeroizing::new("hunter2".into())),
            known_hosts: String::new(),
        };
        assert!(!format!("{remote:?}").contains("hunter2"));
    }
}
