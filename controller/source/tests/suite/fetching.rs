//! Listing, fetching, reading.

use source::{EntryKind, PathError, RefSpec, Rewritten, SourceError, WalkLimits, list_head};

use crate::support::http::{Mode, Server};
use crate::support::repo::Repo;
use crate::support::{fetch, main_branch, store};

#[test]
fn lists_and_fetches_the_head() {
    let repo = Repo::with(&[("apps/web/deploy.yaml", "a: 1\n"), ("README.md", "hello\n")]);
    let server = Server::start(repo.root(), Mode::Good);
    let remote = server.remote();
    assert_eq!(
        list_head(&remote, &main_branch()).unwrap().id.to_string(),
        repo.head()
    );

    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    assert!(store.held(&remote, &main_branch()).unwrap().is_none());
    let fetched = fetch(&store, &remote).unwrap();
    let commit = fetched.commit();
    assert_eq!(commit.id.to_string(), repo.head());
    assert_eq!(
        (commit.author.name.as_str(), commit.author.email.as_str()),
        ("Ann", "ann@example.org")
    );
    assert_eq!((commit.author.time, commit.author.offset), (1_700_000_000, 60));
    assert_eq!(
        (commit.committer.name.as_str(), commit.subject.as_str()),
        ("Bob", "first")
    );
    assert_eq!(
        (fetched.previous, fetched.forced, fetched.changed()),
        (None, Rewritten::No, true)
    );

    let mut seen = Vec::new();
    fetched
        .snapshot
        .walk("apps", &WalkLimits::default(), |entry| seen.push(entry))
        .unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!(&*seen[0].path, "apps/web/deploy.yaml");
    let EntryKind::File { blob, .. } = seen[0].kind else {
        panic!("{seen:?}")
    };
    assert_eq!(fetched.snapshot.blob(&blob, 5).unwrap(), b"a: 1\n");
    assert!(matches!(
        fetched.snapshot.blob(&blob, 4),
        Err(PathError::TooLarge(_))
    ));
    assert_eq!(
        store.held(&remote, &main_branch()).unwrap().unwrap().commit(),
        commit
    );
}

#[test]
fn nothing_new_costs_one_request_and_no_pack() {
    let repo = Repo::with(&[("a", "1")]);
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    fetch(&store, &server.remote()).unwrap();
    let (requests, before) = (server.requests().len(), packs(&store));
    let again = fetch(&store, &server.remote()).unwrap();
    assert!(!again.changed());
    assert_eq!(again.previous, Some(again.commit().id));
    assert_eq!((server.requests().len(), packs(&store)), (requests + 1, before));
}

fn packs(store: &source::Store) -> usize {
    std::fs::read_dir(store.repository_dir().join("objects/pack"))
        .unwrap()
        .filter(|file| {
            file.as_ref()
                .unwrap()
                .path()
                .extension()
                .is_some_and(|ending| ending == "pack")
        })
        .count()
}

#[test]
fn a_new_commit_comes_and_unchanged_trees_keep_their_id() {
    let repo = Repo::with(&[("a/x", "1"), ("b/x", "1")]);
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let first = fetch(&store, &server.remote()).unwrap();
    repo.commit("second", &[("b/x", "2")]);
    repo.push();
    let second = fetch(&store, &server.remote()).unwrap();
    assert_eq!(second.commit().id.to_string(), repo.head());
    assert_eq!(
        (second.previous, second.forced),
        (Some(first.commit().id), Rewritten::No)
    );
    assert_eq!(second.commit().parents, [first.commit().id]);
    assert_eq!(
        first.snapshot.tree_id("a").unwrap(),
        second.snapshot.tree_id("a").unwrap()
    );
    assert_ne!(
        first.snapshot.tree_id("b").unwrap(),
        second.snapshot.tree_id("./b/").unwrap()
    );
    assert_eq!(second.snapshot.tree_id("c"), Err(PathError::NotFound));
    assert_eq!(second.snapshot.tree_id("a/x"), Err(PathError::NotADirectory));
    assert_eq!(second.snapshot.tree_id("../a"), Err(PathError::Escapes));
}

/// Bytes of the packs of a store.
fn weight(store: &source::Store) -> u64 {
    let files = std::fs::read_dir(store.repository_dir().join("objects/pack")).unwrap();
    files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

/// 16 kB that do not shrink (xorshift64).
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()
    };
    (0..2_000).flat_map(|_| next()).collect()
}

#[test]
fn what_is_held_does_not_come_again() {
    let repo = Repo::with(&[("a", "1")]);
    for file in 0..40 {
        repo.write(&format!("dir/{file}"), noise(file + 1));
    }
    repo.commit("much", &[]);
    repo.push();
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    fetch(&store, &server.remote()).unwrap();
    let all = weight(&store);
    assert!(all > 400_000, "{all}");
    let less = |what: &str| {
        let before = weight(&store);
        let fetched = fetch(&store, &server.remote()).unwrap();
        assert_eq!(fetched.commit().id.to_string(), repo.head());
        let new = weight(&store) - before;
        assert!(new < all / 10, "{what}: {new} of {all} bytes");
        fetched.forced
    };
    repo.commit("one", &[("a", "2")]);
    repo.push();
    assert_eq!(less("one commit"), Rewritten::No);
    for text in ["3", "4", "5", "6"] {
        repo.commit("several", &[("a", text)]);
    }
    repo.push();
    assert_eq!(less("several commits"), Rewritten::No);
    repo.git(&["checkout", "--quiet", "-b", "side", "HEAD~3"]);
    repo.commit("side", &[("b", "1")]);
    repo.git(&["checkout", "--quiet", "main"]);
    repo.git(&["merge", "--quiet", "--no-ff", "--message", "merge", "side"]);
    repo.push();
    assert_eq!(less("a merge"), Rewritten::No);
    repo.git(&["commit", "--quiet", "--amend", "--message", "another"]);
    repo.git(&["push", "--quiet", "--force", "origin", "main"]);
    assert_eq!(less("a rewritten branch"), Rewritten::Yes);
}

#[test]
fn where_what_came_between_is_too_much_the_head_alone_comes() {
    let repo = Repo::with(&[("a", "1")]);
    let server = Server::start(repo.root(), Mode::Good);
    for bound in ["bytes", "objects", "unpacked"] {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        fetch(&store, &server.remote()).unwrap();
        for seed in 1..10 {
            repo.write("large", noise(seed));
            repo.commit("large", &[]);
        }
        repo.push();
        let mut remote = server.remote();
        match bound {
            "bytes" => remote.limits.pack_bytes = 60_000,
            "objects" => remote.limits.objects = 10,
            _ => remote.limits.unpacked_bytes = Some(60_000),
        }
        let fetched = fetch(&store, &remote).unwrap();
        assert_eq!(fetched.commit().id.to_string(), repo.head(), "{bound}");
        // What is too much by itself stays so.
        repo.write("larger", (0..9).flat_map(noise).collect::<Vec<u8>>());
        for more in 0..12 {
            repo.write(&format!("more/{more}"), format!("{more}"));
        }
        repo.commit("larger", &[]);
        repo.push();
        let refused = fetch(&store, &remote).unwrap_err();
        assert!(
            matches!(refused, SourceError::TooLarge(_)),
            "{bound}: {refused:?}"
        );
        repo.git(&["rm", "-r", "--quiet", "larger", "more", "large"]);
        repo.commit("less", &[]);
        repo.push();
    }
}

#[test]
fn a_full_disk_refuses_packs_and_no_question() {
    let repo = Repo::with(&[("a", "1")]);
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let mut remote = server.remote();
    let disk = source::Disk::new(10);
    let part = disk.part("shop");
    fetch(&store, &remote).unwrap();
    part.count(dir.path());
    remote.disk = Some(part.clone());
    list_head(&remote, &main_branch()).unwrap();
    fetch(&store, &remote).unwrap();
    assert!(!part.is_uncounted());
    repo.commit("more", &[("a", "2")]);
    repo.push();
    assert!(matches!(fetch(&store, &remote), Err(SourceError::NoRoom { .. })));
}

#[test]
fn only_the_branch_comes_and_its_history_does_not() {
    let repo = Repo::with(&[("a", "1")]);
    repo.commits(5);
    repo.push();
    repo.git(&["tag", "-a", "-m", "t", "v1", "HEAD~2"]);
    repo.git(&["push", "-q", "origin", "v1", "HEAD~3:refs/heads/other"]);
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let fetched = fetch(&store, &server.remote()).unwrap();
    assert_eq!(fetched.commit().parents.len(), 1);
    let parent = fetched.commit().parents[0];
    assert_eq!(store.snapshot(parent).unwrap_err(), SourceError::NoSuchCommit);
    // Two branches of one repository live side by side in one store.
    let other = store
        .fetch(&server.remote(), &RefSpec::Branch("other".into()))
        .unwrap();
    assert_eq!((other.previous, other.forced), (None, Rewritten::No));
    assert!(!fetch(&store, &server.remote()).unwrap().changed());
}

#[test]
fn a_server_without_shallow_fetches_sends_everything() {
    let repo = Repo::with(&[("a", "1")]);
    let first = repo.head();
    repo.commits(3);
    repo.push();
    let server = Server::start(repo.root(), Mode::NoShallow);
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    assert!(fetch(&store, &server.remote()).is_ok());
    assert!(store.snapshot(first.parse().unwrap()).is_ok());
    repo.git(&["reset", "-q", "--hard", "HEAD~2"]);
    repo.push();
    assert_eq!(fetch(&store, &server.remote()).unwrap().forced, Rewritten::Yes);
}

#[test]
fn an_empty_repository_and_a_missing_branch_are_told_apart() {
    let repo = Repo::empty();
    let server = Server::start(repo.root(), Mode::Good);
    assert_eq!(
        list_head(&server.remote(), &main_branch()),
        Err(SourceError::EmptyRemote)
    );
    repo.commit("first", &[("a", "1")]);
    repo.push();
    let missing = RefSpec::Branch("x".into());
    assert_eq!(
        list_head(&server.remote(), &missing),
        Err(SourceError::NoSuchBranch("x".into()))
    );
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    assert_eq!(
        store.fetch(&server.remote(), &missing).unwrap_err(),
        SourceError::NoSuchBranch("x".into())
    );
    assert!(fetch(&store, &server.remote()).is_ok());
}

#[test]
fn snapshots_are_read_from_many_threads() {
    let repo = Repo::with(&[("a/x", "1"), ("a/y", "2")]);
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let fetched = fetch(&store(dir.path()), &server.remote()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let snapshot = fetched.snapshot.clone();
            scope.spawn(move || {
                for _ in 0..20 {
                    let mut files = 0;
                    snapshot
                        .walk("a", &WalkLimits::default(), |entry| {
                            let EntryKind::File { blob, .. } = entry.kind else {
                                panic!()
                            };
                            files += snapshot.blob(&blob, 10).unwrap().len();
                        })
                        .unwrap();
                    assert_eq!(files, 2);
                }
            });
        }
    });
}
