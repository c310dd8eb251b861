//! Commits made in the shallow store, sent back.

use git2::{ErrorCode, Repository, RepositoryOpenFlags, Signature};
use source::{CommitId, SourceError, Store};

use crate::support::http::{Mode, Server};
use crate::support::repo::{Repo, command};
use crate::support::{fetch, main_branch, store};

/// Writes a commit on top of `parent` that changes one file two directories down.
fn commit(store: &Store, parent: CommitId) -> CommitId {
    let flags = RepositoryOpenFlags::NO_SEARCH | RepositoryOpenFlags::BARE;
    let repository = Repository::open_ext(store.repository_dir(), flags, &[] as &[&str]).unwrap();
    let parent = repository
        .find_commit(parent.to_string().parse().unwrap())
        .unwrap();
    let blob = repository.blob(b"new: content\n").unwrap();
    let mut update = git2::build::TreeUpdateBuilder::new();
    update.upsert("deep/down/file.yaml", blob, git2::FileMode::Blob);
    let tree = update
        .create_updated(&repository, &parent.tree().unwrap())
        .unwrap();
    let tree = repository.find_tree(tree).unwrap();
    let who = Signature::new("Signet", "signet@example.org", &git2::Time::new(1_700_000_100, 0)).unwrap();
    repository
        .commit(None, &who, &who, "rotate", &tree, &[&parent])
        .unwrap()
        .to_string()
        .parse()
        .unwrap()
}

#[test]
fn a_commit_goes_out_of_the_shallow_store() {
    let repo = Repo::with(&[("deep/down/file.yaml", "old: content\n"), ("other", "kept\n")]);
    repo.commits(10);
    repo.push();
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let head = fetch(&store, &server.remote()).unwrap().commit().id;
    let made = commit(&store, head);
    store.push(&server.remote(), &main_branch(), made).unwrap();

    repo.git(&["fetch", "-q", "origin"]);
    assert_eq!(repo.git(&["rev-parse", "origin/main"]), made.to_string());
    assert_eq!(repo.git(&["rev-list", "--count", "origin/main"]), "12");
    assert_eq!(
        repo.git(&["show", "origin/main:deep/down/file.yaml"]),
        "new: content"
    );
    assert_eq!(repo.git(&["show", "origin/main:other"]), "kept");
    command(&repo.bare()).args(["fsck", "--strict"]).status().unwrap();

    let fetched = fetch(&store, &server.remote()).unwrap();
    assert_eq!(
        (fetched.commit().id, fetched.forced),
        (made, source::Rewritten::No)
    );
}

#[test]
fn a_branch_that_moved_on_is_not_overwritten() {
    let repo = Repo::with(&[("a", "1")]);
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let head = fetch(&store, &server.remote()).unwrap().commit().id;
    let made = commit(&store, head);
    repo.commit("second", &[("a", "2")]);
    repo.push();
    let error = store.push(&server.remote(), &main_branch(), made).unwrap_err();
    assert!(matches!(error, SourceError::PushRefused(_)), "{error:?}");
    repo.git(&["fetch", "-q", "origin"]);
    assert_eq!(repo.git(&["rev-parse", "origin/main"]), repo.head());
    // Nothing of the attempt stays behind as a ref.
    let flags = RepositoryOpenFlags::NO_SEARCH | RepositoryOpenFlags::BARE;
    let repository = Repository::open_ext(store.repository_dir(), flags, &[] as &[&str]).unwrap();
    let left = repository.find_reference(&format!("refs/signet-push/{made}"));
    assert_eq!(left.err().map(|error| error.code()), Some(ErrorCode::NotFound));
}

#[test]
fn a_remote_that_takes_no_pushes_says_so() {
    let repo = Repo::with(&[("a", "1")]);
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let head = fetch(&store, &server.remote()).unwrap().commit().id;
    let made = commit(&store, head);
    command(&repo.bare())
        .args(["config", "http.receivepack", "false"])
        .status()
        .unwrap();
    assert_eq!(
        store.push(&server.remote(), &main_branch(), made),
        Err(SourceError::Forbidden)
    );

    command(&repo.bare())
        .args(["config", "http.receivepack", "true"])
        .status()
        .unwrap();
    let hook = repo.bare().join("hooks/pre-receive");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, "#!/bin/sh\nexit 1\n").unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let error = store.push(&server.remote(), &main_branch(), made).unwrap_err();
    assert!(matches!(error, SourceError::PushRefused(_)), "{error:?}");
}
