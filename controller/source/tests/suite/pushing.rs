//! Commits made in the shallow store, sent back.

use git2::{ErrorCode, Repository, RepositoryOpenFlags};
use source::{CommitId, NewCommit, RefSpec, SigningKey, Snapshot, SourceError, SshKey, Store};

use crate::support::http::{Mode, Server};
use crate::support::repo::{Repo, command};
use crate::support::{fetch, main_branch, store};

/// Writes a commit on top of `parent` that changes one file.
fn commit(store: &Store, parent: &Snapshot, path: &str, key: Option<&SigningKey>) -> CommitId {
    let new = NewCommit {
        name: "Signet",
        email: "signet@example.org",
        message: "rotate\n\nWhy: because.\n",
        time: 1_700_000_100,
        key,
    };
    store.commit(parent, &[(path, b"new: content\n")], &new).unwrap()
}

#[test]
fn a_commit_goes_out_of_the_shallow_store() {
    let repo = Repo::with(&[("deep/down/file.yaml", "old: content\n"), ("other", "kept\n")]);
    repo.commits(10);
    repo.push();
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let head = fetch(&store, &server.remote()).unwrap().snapshot;
    let made = commit(&store, &head, "deep/down/file.yaml", None);
    store.push(&server.remote(), &main_branch(), made).unwrap();

    repo.git(&["fetch", "-q", "origin"]);
    assert_eq!(repo.git(&["rev-parse", "origin/main"]), made.to_string());
    assert_eq!(repo.git(&["rev-list", "--count", "origin/main"]), "12");
    assert_eq!(
        repo.git(&["show", "origin/main:deep/down/file.yaml"]),
        "new: content"
    );
    assert_eq!(repo.git(&["show", "origin/main:other"]), "kept");
    let whole = command(&repo.bare()).args(["fsck", "--strict"]).status();
    assert!(whole.unwrap().success());

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
    let head = fetch(&store, &server.remote()).unwrap().snapshot;
    let made = commit(&store, &head, "a", None);
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
    let head = fetch(&store, &server.remote()).unwrap().snapshot;
    let made = commit(&store, &head, "a", None);
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

#[test]
fn a_commit_is_signed_keeps_modes_and_changes_nothing_else() {
    let repo = Repo::with(&[("run.sh", "old\n"), ("other", "kept\n"), ("d/link.yaml", "x\n")]);
    std::fs::set_permissions(
        repo.work().join("run.sh"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    repo.commit("executable", &[]);
    repo.push();
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let head = fetch(&store, &server.remote()).unwrap().snapshot;
    let pair = SshKey::generate("signet").unwrap();
    let key = SigningKey::read(&pair.identity, None).unwrap();
    assert_eq!(key.fingerprint(), pair.fingerprint);
    assert!(!format!("{key:?}").contains("PRIVATE"));
    let made = commit(&store, &head, "run.sh", Some(&key));
    store.push(&server.remote(), &main_branch(), made).unwrap();

    repo.git(&["fetch", "-q", "origin"]);
    let allowed = dir.path().join("allowed");
    std::fs::write(&allowed, format!("signet@example.org {}\n", pair.public)).unwrap();
    let file = format!("gpg.ssh.allowedSignersFile={}", allowed.display());
    // Git itself judges the signature.
    repo.git(&["-c", &file, "verify-commit", "origin/main"]);
    assert_eq!(
        repo.git(&[
            "diff",
            "--raw",
            "--abbrev=4",
            "--no-renames",
            "origin/main~1",
            "origin/main"
        ])
        .split_whitespace()
        .filter(|word| !word.chars().all(|c| c.is_ascii_hexdigit()) || word.len() != 4)
        .collect::<Vec<_>>(),
        [":100755", "100755", "M", "run.sh"]
    );
    assert_eq!(
        repo.git(&["log", "-1", "--format=%B", "origin/main"]),
        "rotate\n\nWhy: because."
    );
    // What is not there is not made.
    let new = NewCommit {
        name: "a",
        email: "b",
        message: "c",
        time: 0,
        key: None,
    };
    for path in ["new", "d", "../x", "d/none"] {
        assert!(store.commit(&head, &[(path, b"x")], &new).is_err(), "{path}");
    }
}

#[test]
fn a_branch_of_its_own_is_made_from_the_shallow_store() {
    let repo = Repo::with(&[("a", "1")]);
    repo.commits(5);
    repo.push();
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let head = fetch(&store, &server.remote()).unwrap().snapshot;
    let made = commit(&store, &head, "a", None);
    let branch = RefSpec::Branch("signet/rotation".into());
    store.push(&server.remote(), &branch, made).unwrap();
    repo.git(&["fetch", "-q", "origin"]);
    assert_eq!(
        repo.git(&["rev-parse", "origin/signet/rotation"]),
        made.to_string()
    );
    assert_eq!(
        repo.git(&["rev-parse", "origin/signet/rotation~1"]),
        repo.git(&["rev-parse", "origin/main"])
    );
}
