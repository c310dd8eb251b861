//! What can go wrong with a remote or a store, in our own words.

/// Why a listing, a fetch or a store failed.
///
/// No variant carries a credential, a URL's userinfo or a file's content. Text that a remote sent is
/// cut, and its control characters are escaped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    // The caller's: nothing was sent.
    /// The URL is not one this crate serves.
    #[error("the repository URL cannot be used: {0}")]
    BadUrl(&'static str),
    /// The ref is not a valid one.
    #[error("the name of the ref is not a valid one")]
    BadRef,
    /// The certificate bundle cannot be read.
    #[error("the CA bundle holds no readable certificate")]
    BadCertificates,
    /// A username, password or token with a character that no header can carry.
    #[error("the credentials hold characters that HTTP cannot carry")]
    BadCredentials,
    /// The client certificate or its key cannot be used.
    #[error("the client certificate cannot be used: {0}")]
    BadClientCertificate(&'static str),
    /// The proxy's address cannot be used.
    #[error("the address of the proxy cannot be used: {0}")]
    BadProxy(&'static str),
    /// The proxy does not let us through.
    #[error("the proxy does not connect: {0}")]
    ProxyRefused(String),
    /// SSH without a key.
    #[error("SSH needs a key")]
    NoKey,
    /// A key for an address that is not SSH's.
    #[error("the credentials are an SSH key, and the address is not one of SSH")]
    KeyForHttp,
    /// The private key cannot be used.
    #[error("the SSH key cannot be used: {0}")]
    BadKey(&'static str),
    /// known_hosts has no key of the host, by its name there.
    #[error("known_hosts has no key of {0}")]
    HostUnknown(String),
    /// A `file://` URL outside the directories allowed.
    #[error("repositories on the controller's own disk are not allowed")]
    FilesRefused,

    /// A GitHub App gets no token.
    #[error("the GitHub App gets no token: {0}")]
    App(String),
    /// A host's API opens no pull request.
    #[error("the host opens no pull request: {0}")]
    Host(String),

    // On the way to the remote.
    /// No connection: name, address, port or network.
    #[error("the remote cannot be reached: {0}")]
    Unreachable(String),
    /// The TLS handshake failed.
    #[error("no trusted TLS connection: {0}")]
    Tls(String),
    /// The host is not who it should be. Nothing was sent to it.
    #[error("the SSH host is not trusted: {0}")]
    HostKey(String),
    /// The host does not know the key, by its kind and fingerprint.
    #[error("the host does not accept the key {0}")]
    KeyRefused(String),
    /// SSH itself failed.
    #[error("the SSH connection failed: {0}")]
    Ssh(String),
    /// No answer, or not a whole one, within the limits.
    #[error("the remote did not answer in time ({0})")]
    Timeout(&'static str),
    /// More bytes, objects or refs than the limits allow.
    #[error("the remote sends more than allowed: {0}")]
    TooLarge(String),

    // What the remote said.
    /// 401: no credentials were sent, or not the right ones.
    #[error("{}", if *.sent { "the remote does not accept the credentials" } else { "the remote asks for credentials" })]
    Unauthorized {
        /// Whether credentials were sent.
        sent: bool,
    },
    /// 403.
    #[error("the remote forbids access")]
    Forbidden,
    /// 404 or 410, or no such directory.
    #[error("no repository at this address")]
    NotFound,
    /// 3xx: redirects are not followed, credentials stay where they were meant to go.
    #[error("the remote redirects to {0}: redirects are not followed")]
    Redirected(String),
    /// Any other HTTP status.
    #[error("the remote answers with HTTP status {0}")]
    Status(u16),
    /// The answer is not Git's smart HTTP protocol.
    #[error("the answer is not Git's: {0}")]
    NotGit(String),
    /// The repository has no refs.
    #[error("the repository is empty")]
    EmptyRemote,
    /// The repository has refs, but not this one.
    #[error("there is no branch {0:?}")]
    NoSuchBranch(String),
    /// The repository has refs, but no such tag.
    #[error("there is no tag {0:?}")]
    NoSuchTag(String),
    /// The repository has refs, but not this one, by its full name.
    #[error("there is no ref {0:?}")]
    NoSuchRef(String),
    /// No tag is a version in this range.
    #[error("no tag is a version in the range {0}")]
    NoVersion(String),
    /// No ref points to the commit, and the remote serves nothing else.
    #[error(
        "the remote does not serve commit {0}: no ref points to it, it is not among the last commits of the default \
             branch, and the remote refuses to be asked for commits by their names"
    )]
    CommitNotServed(String),
    /// A fall-back has another commit than the one in use, and not a later one.
    #[error("it is behind: it has not the commit that is in use, nor a later one")]
    Behind,
    /// A submodule may not be followed: its path, or `.gitmodules`, and why.
    #[error("the submodule {0} cannot be used: {1}")]
    BadSubmodule(String, &'static str),
    /// A submodule is not here and cannot be fetched.
    #[error("the submodule {path} cannot be fetched: {why}")]
    Submodule {
        /// Where it is in the repository, fit to print.
        path: String,
        /// What its remote says.
        why: Box<SourceError>,
    },
    /// The remote leaves files out, and then does not give those that are read.
    #[error("the remote leaves files out and does not give them by their names: {0}")]
    NoPart(String),
    /// The remote refused a push.
    #[error("the remote refused the push: {0}")]
    PushRefused(String),

    // Our own disk.
    /// All of it is taken, and this owner has more than its share, in bytes.
    #[error(
        "the controller's disk is full, and the Repositories of this namespace take more than {share} bytes of it"
    )]
    NoRoom {
        /// What each owner would have if all had the same.
        share: u64,
    },
    /// Another process or another [`Store`](crate::Store) uses the directory.
    #[error("the store is in use by another process")]
    StoreBusy,
    /// The store cannot be read or written.
    #[error("the local store failed: {0}")]
    Store(String),
    /// The commit is no part of the branch, as far back as is looked.
    #[error("commit {0} is not among the last {1} commits of the branch")]
    NotInHistory(String, i32),
    /// The commit is not in the store.
    #[error("the commit is not in the local store")]
    NoSuchCommit,
}

impl SourceError {
    /// What to do about it, one sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::BadUrl(_) => {
                "use https://host/path, ssh://git@host/path or git@host:path, without a password, query or fragment"
            }
            Self::BadClientCertificate(_) => {
                "give tls.crt and tls.key as `kubectl create secret tls` takes them"
            }
            Self::BadProxy(_) => "use http://host:port, and username and password in fields of their own",
            Self::ProxyRefused(_) => "check the proxy's rules, and its username and password",
            Self::NoKey => "reference a Secret with identity (the private key) and known_hosts",
            Self::KeyForHttp => {
                "use ssh://git@host/path or git@host:path, or give a username and password, or a token"
            }
            Self::BadKey(_) => {
                "make one with `ssh-keygen -t ed25519`; its passphrase goes into the field password"
            }
            Self::HostUnknown(_) => {
                "get the key with `ssh-keyscan`, compare it with what the host's operators publish, and put the line into \
                 known_hosts; a port other than 22 is written as [host]:port"
            }
            Self::HostKey(_) => {
                "compare with what the host's operators publish; if the change is theirs, put the new line into known_hosts"
            }
            Self::KeyRefused(_) => "add the public half as a deploy key of the repository",
            Self::Ssh(_) => "it is tried again; compare with `ssh -v` to the host if it stays",
            Self::App(_) => {
                "compare githubAppID and githubAppInstallationID with the app's pages, give one of its private keys, and \
                 look whether the controller's clock is right"
            }
            Self::Host(_) => {
                "look whether the token may open pull requests there, and whether the provider and the API's address are right"
            }
            Self::BadRef => {
                "name a branch as `git branch` shows it, such as main; another ref by its full name"
            }
            Self::BadCertificates => "give PEM blocks that begin with -----BEGIN CERTIFICATE-----",
            Self::BadCredentials => "look for line breaks at the end of the values",
            Self::FilesRefused => "use https, or allow the directory in the controller's settings",
            Self::Unreachable(_) => "check host, port, DNS and network policies",
            Self::Tls(_) => "if the server uses a private certificate authority, give its certificate",
            Self::Timeout(_) => "it is tried again; raise the limits if the repository is large",
            Self::TooLarge(_) => "raise the limits, or follow a smaller repository",
            Self::Unauthorized { sent: false } => "reference a Secret with username and password, or a token",
            Self::Unauthorized { sent: true } => {
                "renew the token, and check that it can read this repository"
            }
            Self::Forbidden => "check the rights of the account or token on this repository",
            Self::NotFound => "check the URL; hosts also answer so when an account lacks rights",
            Self::Redirected(_) => "set the URL to the new address, if it is to be trusted",
            Self::Status(_) => "it is tried again; ask the host's operators if it stays",
            Self::NotGit(_) => "check that the URL is the one `git clone` takes",
            Self::EmptyRemote => "push a first commit",
            Self::NoSuchBranch(_) => "push the branch, or correct its name",
            Self::NoSuchTag(_) => "push the tag, or correct its name",
            Self::NoSuchRef(_) => "give the ref's full name, as `git ls-remote` shows it",
            Self::NoVersion(_) => {
                "push a tag such as v1.2.3; pre-releases count only where the range names one of the same version"
            }
            Self::CommitNotServed(_) => {
                "put a tag or branch on the commit, or allow uploadpack.allowReachableSHA1InWant on the server"
            }
            Self::Behind => "have it follow the remote, or wait until it does",
            Self::BadSubmodule(..) => {
                "mend .gitmodules, name its host in spec.submodules.hosts, or leave spec.submodules out"
            }
            Self::Submodule { why, .. } => why.hint(),
            Self::NoPart(_) => "it is fetched whole from the next time on",
            Self::PushRefused(_) => "fetch and try again, or check branch protection",
            Self::NoRoom { .. } => {
                "follow less in this namespace, or give the controller a larger volume and --data-limit"
            }
            Self::StoreBusy => "run one controller a directory",
            Self::Store(_) => "check free space and permissions of the controller's data directory",
            Self::NotInHistory(..) => {
                "name a commit that `git log` of the branch shows; older ones are not fetched"
            }
            Self::NoSuchCommit => "fetch again",
        }
    }

    /// Whether it is the remote, or the way there, that fails, and not what was asked for: another remote may do better.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable(_)
            | Self::Ssh(_)
            | Self::ProxyRefused(_)
            | Self::Timeout(_)
            | Self::NotGit(_) => true,
            Self::Status(status) => *status >= 500 || *status == 429,
            _ => false,
        }
    }

    /// Whether trying again later can help without anyone changing anything here.
    pub fn is_temporary(&self) -> bool {
        if let Self::Submodule { why, .. } = self {
            return why.is_temporary();
        }
        matches!(
            self,
            Self::Unreachable(_)
                | Self::Ssh(_)
                | Self::ProxyRefused(_)
                | Self::Timeout(_)
                | Self::EmptyRemote
                | Self::NoSuchBranch(_)
                | Self::NoSuchTag(_)
                | Self::NoSuchRef(_)
                | Self::NoVersion(_)
                | Self::CommitNotServed(_)
                | Self::NotGit(_)
                | Self::NoPart(_)
                | Self::Behind
                | Self::NoRoom { .. }
                | Self::Store(_)
                | Self::StoreBusy
        ) || matches!(self, Self::Status(status) if *status >= 500 || *status == 429)
    }
}
