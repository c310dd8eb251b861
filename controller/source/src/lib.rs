//! Git remotes and bare stores: list, fetch, read trees in place.
//!
//! The way through this crate: a [`Remote`] says where a repository is and how to authenticate;
//! [`list_head`] asks for the commit of a ref (cheap: a poll); a [`Store`] keeps what was fetched in a
//! private directory; a [`Snapshot`] reads one commit's tree out of it, never checked out.
//!
//! Everything here blocks: call it from a blocking thread. Everything that a remote or a repository
//! says is untrusted: sizes, times, depths and counts are bounded, symbolic links are reported and never
//! followed, and so are submodules unless [`Store::with_submodules`] is asked for; no error carries a credential.
//!
//! HTTP is ours (ureq and rustls), and so is SSH (russh), not libgit2's: no OpenSSL, no libssh2, per-remote certificate
//! authorities and known hosts, time and size limits, no redirects. See [`Remote`] for what is promised.
//!
//! Not here: what files mean (crate `render`), who may use which remote (the controller).

mod budget;
mod commit;
mod disk;
mod error;
mod github_app;
mod id;
mod init;
mod key;
mod path;
mod pull_request;
mod ration;
mod reference;
mod remote;
mod session;
mod signing;
mod snapshot;
mod ssh_address;
mod store;
mod submodule;
mod text;
mod transport;
mod tree;
mod url;
mod walk;

pub use budget::Budget;
pub use commit::{Commit, Person};
pub use disk::{Disk, Part};
pub use error::SourceError;
pub use github_app::{AppToken, GitHubApp};
pub use id::{BlobId, CommitId, ParseIdError, TreeId};
pub use key::SshKey;
pub use path::{PathError, RepoPath};
pub use pull_request::{Host, PullRequest};
pub use reference::{Choice, RangeError, RefSpec, TagRange};
pub use remote::{Auth, ClientCertificate, FileRemotes, Proxy, Remote, RemoteLimits};
pub use session::list_head;
pub use signing::SigningKey;
pub use snapshot::Snapshot;
pub use store::{
    Changed, Chronicle, Fetched, FileChange, Known, Line, NewCommit, Note, Notebook, Rewritten, Step, Store,
    StoreOptions,
};
pub use submodule::Submodules;
pub use text::display_safe;
pub use walk::{EntryKind, FileEntry, WalkLimits};
