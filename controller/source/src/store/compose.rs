//! A new commit on top of one that is held: some files with another content, and all else as it was. No checkout.

use git2::build::TreeUpdateBuilder;
use git2::{FileMode, Repository, Signature, Time, Tree};

use super::{Store, problem};
use crate::signing::SigningKey;
use crate::{CommitId, RepoPath, Snapshot, SourceError, TreeId, tree};

/// What a commit says, and who signs it.
#[derive(Debug)]
pub struct NewCommit<'a> {
    /// Name of author and committer.
    pub name: &'a str,
    /// E-mail address of both.
    pub email: &'a str,
    /// The message: a subject, and paragraphs after an empty line.
    pub message: &'a str,
    /// Seconds since 1970-01-01T00:00Z.
    pub time: i64,
    /// Signs it, if anybody does.
    pub key: Option<&'a SigningKey>,
}

impl Store {
    /// Writes a commit whose one parent is `parent`, in which the files at these paths have other contents. The store holds it
    /// then, and no ref does: [`Store::push`] sends it. The files have to be there; their modes stay.
    ///
    /// # Errors
    /// [`SourceError::NoSuchCommit`] where the parent is no longer in the repository that the store uses now: fetch again.
    pub fn commit(
        &self,
        parent: &Snapshot,
        files: &[(&str, &[u8])],
        new: &NewCommit<'_>,
    ) -> Result<CommitId, SourceError> {
        let parent = parent.commit().id;
        self.current().with(|repository| {
            let parent = repository
                .find_commit(parent.oid())
                .map_err(|_| SourceError::NoSuchCommit)?;
            let tree = changed(
                repository,
                &parent.tree().map_err(|error| problem(&error))?,
                files,
            )?;
            let who = Signature::new(new.name, new.email, &Time::new(new.time, 0))
                .map_err(|error| problem(&error))?;
            let content = repository
                .commit_create_buffer(&who, &who, new.message, &tree, &[&parent])
                .map_err(|error| problem(&error))?;
            let Some(content) = content.as_str().ok() else {
                return Err(SourceError::Store("a commit message that is not UTF-8".into()));
            };
            let signature = new.key.map(|key| key.sign(content.as_bytes())).transpose()?;
            let id = match signature {
                Some(signature) => repository.commit_signed(content, &signature, None),
                None => repository
                    .odb()
                    .and_then(|odb| odb.write(git2::ObjectType::Commit, content.as_bytes())),
            };
            id.map(CommitId::of).map_err(|error| problem(&error))
        })?
    }
}

fn changed<'r>(
    repository: &'r Repository,
    before: &Tree<'_>,
    files: &[(&str, &[u8])],
) -> Result<Tree<'r>, SourceError> {
    let odb = repository.odb().map_err(|error| problem(&error))?;
    let root = TreeId::of(before.id());
    let mut update = TreeUpdateBuilder::new();
    for (path, content) in files {
        let missing = || SourceError::Store("a file to be changed is not there".into());
        RepoPath::parse(path).map_err(|_| missing())?;
        let (parent, _) = path.rsplit_once('/').unwrap_or_default();
        let parent = RepoPath::parse(parent).map_err(|_| missing())?;
        if !tree::is_rewritable(&odb, root, &parent).map_err(|_| missing())? {
            return Err(SourceError::Store(
                "a directory on the way to a file to be changed has a name twice, or a mode that git does not write".into(),
            ));
        }
        let mode = before
            .get_path(std::path::Path::new(path))
            .map_err(|_| missing())?
            .filemode();
        let mode = match mode {
            0o100_755 => FileMode::BlobExecutable,
            0o100_644 | 0o100_664 => FileMode::Blob,
            _ => return Err(missing()),
        };
        let blob = repository.blob(content).map_err(|error| problem(&error))?;
        update.upsert(*path, blob, mode);
    }
    let tree = update
        .create_updated(repository, before)
        .map_err(|error| problem(&error))?;
    repository.find_tree(tree).map_err(|error| problem(&error))
}
