//! Repositories on the controller's own disk.

use source::{FileRemotes, Remote, Rewritten, SourceError, list_head};

use crate::support::repo::Repo;
use crate::support::{fetch, main_branch, store};

#[test]
fn only_where_it_is_allowed() {
    let repo = Repo::with(&[("a", "1")]);
    let mut remote = Remote::new(format!("file://{}", repo.bare().display()));
    assert_eq!(list_head(&remote, &main_branch()), Err(SourceError::FilesRefused));
    remote.files = FileRemotes::Below(vec![repo.work()]);
    assert_eq!(list_head(&remote, &main_branch()), Err(SourceError::FilesRefused));
    remote.files = FileRemotes::Below(vec![repo.root().to_owned()]);
    assert_eq!(
        list_head(&remote, &main_branch()).unwrap().id.to_string(),
        repo.head()
    );
}

#[test]
fn fetches_and_tells_rewrites() {
    let repo = Repo::with(&[("a", "1")]);
    let mut remote = Remote::new(format!("file://{}", repo.bare().display()));
    remote.files = FileRemotes::Below(vec![repo.root().to_owned()]);
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    fetch(&store, &remote).unwrap();
    repo.commits(3);
    repo.push();
    assert_eq!(fetch(&store, &remote).unwrap().forced, Rewritten::No);
    repo.git(&["reset", "-q", "--hard", "HEAD~1"]);
    repo.push();
    assert_eq!(fetch(&store, &remote).unwrap().forced, Rewritten::Yes);
    assert!(!fetch(&store, &remote).unwrap().changed());
}

#[test]
fn a_directory_that_is_no_repository() {
    let repo = Repo::empty();
    let mut remote = Remote::new(format!("file://{}", repo.root().display()));
    remote.files = FileRemotes::Below(vec![repo.root().to_owned()]);
    assert_eq!(list_head(&remote, &main_branch()), Err(SourceError::NotFound));
}
