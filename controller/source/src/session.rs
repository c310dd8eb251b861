//! One call towards one remote, over HTTP or SSH or to a local directory.

use std::sync::Arc;

use git2::{Direction, ErrorClass, ErrorCode};

use crate::reference::{Choice, choose};
use crate::transport::{Operation, Registered};
use crate::url::Target;
use crate::{RefSpec, Remote, RepoPath, SourceError, display_safe, init, text};

/// The commit that a ref of the remote points to now. One request; nothing is stored.
pub fn list_head(remote: &Remote, reference: &RefSpec) -> Result<Choice, SourceError> {
    reference.check()?;
    let session = Session::open(remote)?;
    let url = session.url();
    let mut detached = git2::Remote::create_detached(url).map_err(|error| session.explain(&error))?;
    let connection = detached
        .connect_auth(Direction::Fetch, None, None)
        .map_err(|error| session.explain(&error))?;
    session.pick(&connection, reference)
}

/// A remote made known to libgit2 for the time of one call.
pub(crate) struct Session {
    registered: Registered,
    /// As it was given.
    address: String,
    /// The path of a local repository; remotes go by the registered number.
    local: Option<String>,
    sparse: Vec<RepoPath>,
    /// Whether files are left out altogether.
    is_without_files: bool,
}

impl Session {
    pub(crate) fn open(remote: &Remote) -> Result<Self, SourceError> {
        init::init()?;
        let target = Target::parse(remote)?;
        let local = match &target {
            Target::File(path) => {
                let path = path.to_str();
                Some(
                    path.ok_or(SourceError::BadUrl("its path is not UTF-8"))?
                        .to_owned(),
                )
            }
            _ => None,
        };
        let registered = Registered::new(Operation::new(target, remote)?);
        Ok(Self {
            registered,
            address: remote.url.clone(),
            local,
            sparse: remote.sparse.clone(),
            is_without_files: false,
        })
    }

    /// The same for who looks at commits and directories alone: no file comes, where the server can leave them out.
    pub(crate) fn without_files(self) -> Self {
        Self {
            is_without_files: true,
            ..self
        }
    }

    pub(crate) fn is_without_files(&self) -> bool {
        self.is_without_files
    }

    /// What of the repository is read; nothing where that is all of it.
    pub(crate) fn sparse(&self) -> &[RepoPath] {
        &self.sparse
    }

    pub(crate) fn url(&self) -> String {
        self.local.clone().unwrap_or_else(|| self.registered.url())
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn operation(&self) -> &Arc<Operation> {
        self.registered.operation()
    }

    /// libgit2's local transport has no shallow fetch.
    pub(crate) fn is_local(&self) -> bool {
        self.local.is_some()
    }

    /// Finds the ref in what the remote listed.
    pub(crate) fn pick(
        &self,
        connection: &git2::RemoteConnection<'_, '_, '_>,
        reference: &RefSpec,
    ) -> Result<Choice, SourceError> {
        choose(
            connection.list().map_err(|error| self.explain(&error))?,
            reference,
        )
    }

    /// What libgit2's error means.
    pub(crate) fn explain(&self, error: &git2::Error) -> SourceError {
        if let Some(failure) = self.operation().take_failure() {
            return failure;
        }
        if self.is_local() && (error.code() == ErrorCode::NotFound || error.class() == ErrorClass::Repository)
        {
            return SourceError::NotFound;
        }
        match error.class() {
            // Said by the remote, or about what it said.
            ErrorClass::Net | ErrorClass::Http | ErrorClass::Ssh | ErrorClass::Indexer | ErrorClass::Zlib => {
                SourceError::NotGit(self.remote_words(error.message()))
            }
            _ => SourceError::Store(self.remote_words(error.message())),
        }
    }

    /// A message that may hold text of the remote: bounded, escaped, without our credentials.
    pub(crate) fn remote_words(&self, message: &str) -> String {
        if self.operation().holds_secret(message) {
            return "the remote repeats the credentials it was sent".into();
        }
        display_safe(text::bounded(message, 200))
    }
}
