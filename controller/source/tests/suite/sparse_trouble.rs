//! Parts of a repository where the server does not give them, gives something else, or has too much.

use source::{CommitId, PathError, Rewritten};

use crate::sparse::{bytes, files, noise, of, part, posts, world};
use crate::support::http::Mode;
use crate::support::{fetch, main_branch, store};

#[test]
fn a_server_that_leaves_nothing_out_sends_all_of_it() {
    let (_repo, server) = world();
    server.set(Mode::NoFilter);
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let fetched = fetch(&store, &of(server.remote(), &["deploy"])).unwrap();
    assert_eq!(
        files(&fetched.snapshot),
        ["deploy/.hidden h", "deploy/app/a.yaml a"]
    );
    assert_eq!(fetched.snapshot.tree_id("code"), Err(PathError::NotRead));
    assert_eq!(posts(&server), 2);
}

#[test]
fn a_server_that_gives_no_files_by_their_names_is_asked_for_all() {
    let (repo, server) = world();
    server.set(Mode::NoVersion2);
    let (remote, _dir, store) = part(&server);
    let fetched = fetch(&store, &remote).unwrap();
    assert_eq!(
        files(&fetched.snapshot),
        ["deploy/.hidden h", "deploy/app/a.yaml a"]
    );
    // Without files, for the files, with them.
    assert_eq!(posts(&server), 2 + 1 + 2);
    repo.commit("second", &[("deploy/app/a.yaml", "b: 1\n")]);
    repo.push();
    let again = fetch(&store, &remote).unwrap();
    assert_eq!(
        files(&again.snapshot),
        ["deploy/.hidden h", "deploy/app/a.yaml b"]
    );
    // That it cannot do so is remembered.
    let asked = server.requests();
    let second = asked
        .iter()
        .filter(|request| request.header("git-protocol").is_some());
    assert_eq!(second.count(), 1);

    // One that could, and cannot any more.
    let (repo, server) = world();
    let remote = of(server.remote(), &["deploy"]);
    let dir = tempfile::tempdir().unwrap();
    let store = crate::support::store(dir.path());
    let first = fetch(&store, &remote).unwrap().commit().id;
    server.set(Mode::NoVersion2);
    repo.commit("second", &[("deploy/app/a.yaml", "b: 1\n")]);
    repo.push();
    let fetched = fetch(&store, &remote).unwrap();
    assert_eq!(
        files(&fetched.snapshot),
        ["deploy/.hidden h", "deploy/app/a.yaml b"]
    );
    assert_eq!((fetched.previous, fetched.forced), (Some(first), Rewritten::No));
}

/// Whatever comes in the place of the files: all is fetched instead where the server does not do it, and the look fails where it
/// has failed to. Nothing is read that was not sent.
#[test]
fn nonsense_for_the_files_is_no_file() {
    let answer = |body: &[u8]| {
        let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-result\r\nConnection: close\r\n\r\n";
        [head.as_slice(), body].concat()
    };
    // A pack of nothing at all, which is whole.
    let mut empty = b"000dpackfile\n0025\x01PACK\0\0\0\x02\0\0\0\0".to_vec();
    empty.extend(*b"\x02\x9d\x08\x82\x3b\xd8\xa8\xea\xb5\x10\xad\x6a\xc7\x5c\x82\x3c\xfd\x3e\xd3\x1e0000");
    let refusals: [&[u8]; 4] = [b"", b"0000", b"0011ERR not our ref\n", &empty];
    let failures: [&[u8]; 6] = [
        b"0001",
        b"zzzz",
        b"000dpackfile\n",
        b"000dpackfile\n0000",
        b"000dpackfile\n000a\x03sorry0000",
        b"000dpackfile\n000a\x01PACKX",
    ];
    let bodies = refusals.map(|body| (body, true)).into_iter();
    for (body, refuses) in bodies.chain(failures.map(|body| (body, false))) {
        let (_repo, server) = world();
        server.set(Mode::CannedVersion2(answer(body)));
        let (remote, _dir, store) = part(&server);
        match fetch(&store, &remote) {
            Ok(fetched) => {
                assert!(refuses, "{body:?}");
                assert_eq!(
                    files(&fetched.snapshot),
                    ["deploy/.hidden h", "deploy/app/a.yaml a"]
                );
            }
            Err(error) => {
                assert!(!refuses && error.is_temporary(), "{body:?}: {error}");
                // It is asked for again, and nothing else is.
                server.set(Mode::Good);
                fetch(&store, &remote).unwrap();
                assert!(bytes(&store) < 10_000, "{body:?}: {}", bytes(&store));
            }
        }
    }
    // What only has no time for it is asked again.
    let (_repo, server) = world();
    server.set(Mode::CannedVersion2(busy()));
    let (remote, _dir, store) = part(&server);
    let refused = fetch(&store, &remote);
    assert!(
        matches!(refused, Err(source::SourceError::Status(503))),
        "{refused:?}"
    );
    assert_eq!(posts(&server), 3);
}

fn busy() -> Vec<u8> {
    b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec()
}

/// Files that do not come the first time come once they are read.
#[test]
fn an_earlier_commit_is_not_read_without_its_files() {
    let (repo, server) = world();
    let first: CommitId = repo.head().parse().unwrap();
    for number in 2..20 {
        repo.commit("more", &[("deploy/app/a.yaml", &format!("{number}\n"))]);
    }
    repo.push();
    let (remote, dir, store) = part(&server);
    fetch(&store, &remote).unwrap();
    server.set(Mode::CannedVersion2(busy()));
    for _ in 0..2 {
        let past = store.past(&remote, &main_branch(), first);
        assert!(matches!(past, Err(source::SourceError::Status(503))), "{past:?}");
    }
    server.set(Mode::Good);
    let past = store.past(&remote, &main_branch(), first).unwrap();
    assert_eq!(files(&past), ["deploy/.hidden h", "deploy/app/a.yaml a"]);

    let history = crate::support::store(&dir.path().join("history"));
    let head = repo.head().parse().unwrap();
    let chronicle = || history.chronicle(&remote, &main_branch(), head, None, 1_000);
    server.set(Mode::CannedVersion2(busy()));
    for _ in 0..2 {
        assert!(chronicle().is_err());
    }
    server.set(Mode::Good);
    assert_eq!(chronicle().unwrap().commits.len(), 19);
    assert_eq!(files(&history.snapshot(first).unwrap()).len(), 2);

    // One that gives no files by their names is asked for all of the history, too.
    server.set(Mode::NoVersion2);
    for place in ["past", "all"] {
        let store = crate::support::store(&dir.path().join(place));
        let commit = if place == "past" {
            store.past(&remote, &main_branch(), first).unwrap().commit().id
        } else {
            let all = store.chronicle(&remote, &main_branch(), head, None, 1_000);
            all.unwrap().commits[0].id
        };
        assert_eq!(commit, first);
        assert_eq!(
            files(&store.snapshot(first).unwrap()),
            ["deploy/.hidden h", "deploy/app/a.yaml a"]
        );
    }
}

/// A file that was too large and has been taken back holds nothing up.
#[test]
fn what_was_too_large_and_is_gone_is_not_asked_for() {
    let (repo, server) = world();
    let (mut remote, _dir, store) = part(&server);
    remote.limits.object_bytes = 100_000;
    fetch(&store, &remote).unwrap();
    repo.write("deploy/large", noise());
    repo.commit("too large", &[]);
    repo.push();
    for _ in 0..2 {
        let refused = fetch(&store, &remote.for_one_look());
        assert!(
            matches!(refused, Err(source::SourceError::TooLarge(_))),
            "{refused:?}"
        );
    }
    repo.git(&["rm", "-q", "deploy/large"]);
    repo.commit("taken back", &[]);
    repo.push();
    let fetched = fetch(&store, &remote.for_one_look()).unwrap();
    assert_eq!(
        files(&fetched.snapshot),
        ["deploy/.hidden h", "deploy/app/a.yaml a"]
    );
    assert_eq!(fetched.forced, Rewritten::No);
}

/// What cannot be read does not go unsaid: what a directory held would be gone.
#[test]
fn a_name_that_is_there_twice_is_odd_here_as_well() {
    let (repo, server) = world();
    let tree = repo.git(&["rev-parse", "HEAD:deploy"]);
    let other = repo.git(&["rev-parse", "HEAD:code"]);
    let doubled = repo.tree(&[("40000", b"deploy", &tree), ("40000", b"deploy", &other)]);
    repo.publish_tree(&doubled);
    let (remote, _dir, store) = part(&server);
    let fetched = fetch(&store, &remote).unwrap();
    assert_eq!(files(&fetched.snapshot), ["deploy Odd", "deploy Odd"]);
    assert_eq!(fetched.snapshot.tree_id("deploy"), Err(PathError::Escapes));
}

/// What was fetched on the way to another commit is not taken for what can be read.
#[test]
fn a_commit_without_its_files_is_not_whole() {
    let (repo, server) = world();
    let (remote, _dir, store) = part(&server);
    fetch(&store, &remote).unwrap();
    let between: CommitId = repo
        .commit("between", &[("deploy/app/a.yaml", "b\n")])
        .parse()
        .unwrap();
    repo.commit("head", &[("deploy/app/a.yaml", "c\n")]);
    repo.push();
    let head = fetch(&store, &remote).unwrap().commit().id;
    assert_eq!(store.snapshot(between).unwrap().commit().id, between);
    let refused = store.whole(&remote, between);
    assert!(
        matches!(refused, Err(source::SourceError::NoSuchCommit)),
        "{refused:?}"
    );
    assert_eq!(files(&store.whole(&remote, head).unwrap()).len(), 2);
    store.past(&remote, &main_branch(), between).unwrap();
    assert_eq!(
        files(&store.whole(&remote, between).unwrap()),
        ["deploy/.hidden h", "deploy/app/a.yaml b"]
    );
}

/// A path that nobody can read keeps nobody from what lies beside it, and long names are not kept in memory.
#[test]
fn deep_and_long_paths_are_no_trouble() {
    let (repo, server) = world();
    let deploy = repo.git(&["rev-parse", "HEAD:deploy"]);
    let blob = repo.git(&["rev-parse", "HEAD:README.md"]);
    let mut tree = repo.tree(&[("100644", b"file", &blob)]);
    let long = "x".repeat(250);
    for _ in 0..100 {
        tree = repo.tree(&[("40000", long.as_bytes(), &tree)]);
    }
    let tree = repo.tree(&[("40000", b"app", &deploy), ("40000", b"deep", &tree)]);
    let root = repo.tree(&[("40000", b"deploy", &tree)]);
    repo.publish_tree(&root);
    let (remote, _dir, store) = part(&server);
    let fetched = fetch(&store, &remote).unwrap();
    let app = fetched.snapshot.tree_id("deploy/app/app").unwrap();
    assert_ne!(app, fetched.snapshot.tree_id("deploy/deep").unwrap());
    let mut seen = 0;
    let all = source::WalkLimits::default();
    fetched.snapshot.walk("deploy/app", &all, |_| seen += 1).unwrap();
    assert_eq!(seen, 1);
}

/// The oldest commit of a history that is cut is compared with what was before it.
#[test]
fn the_oldest_commit_is_compared_with_all_files() {
    let (repo, server) = world();
    for number in 2..20 {
        repo.commit("more", &[("deploy/app/a.yaml", &format!("{number}\n"))]);
    }
    repo.push();
    let (remote, _dir, store) = part(&server);
    let head = repo.head().parse().unwrap();
    let all = store.chronicle(&remote, &main_branch(), head, None, 5).unwrap();
    assert_eq!((all.commits.len(), all.cut), (5, true));
    let changed = store
        .changed(&all.commits[0], &source::RepoPath::root(), &|| Ok(()))
        .unwrap();
    let ids = changed
        .files
        .iter()
        .flat_map(|file| file.before.into_iter().chain(file.after));
    assert_eq!(store.contents(ids, 100, 1_000).unwrap().len(), 2);
}
