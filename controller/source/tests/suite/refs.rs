//! Tags, ranges of versions, commits, pull requests; and very many refs.

use std::fmt::Write;

use source::{CommitId, RefSpec, Rewritten, SourceError, TagRange, list_head};

use crate::support::http::{Mode, Server};
use crate::support::repo::Repo;
use crate::support::{main_branch, store};

fn versions(range: &str) -> RefSpec {
    RefSpec::Versions(TagRange::parse(range).unwrap())
}

fn commit(id: &str) -> RefSpec {
    RefSpec::Commit(id.parse().unwrap())
}

/// Fetches into a fresh store: the commit and its label.
fn fetch(server: &Server, reference: &RefSpec) -> Result<(String, String), SourceError> {
    let dir = tempfile::tempdir().unwrap();
    let fetched = store(dir.path()).fetch(&server.remote(), reference)?;
    assert!(fetched.snapshot.tree_id("").is_ok(), "its files are here");
    Ok((fetched.commit().id.to_string(), fetched.label))
}

#[test]
fn tags_plain_and_annotated_stand_for_their_commit() {
    let repo = Repo::with(&[("a", "1")]);
    let first = repo.head();
    repo.git(&["tag", "light"]);
    repo.git(&["tag", "-a", "-m", "one", "annotated"]);
    repo.git(&["tag", "-a", "-m", "two", "nested", "annotated"]);
    repo.git(&["tag", "-a", "-m", "files", "tree", "HEAD^{tree}"]);
    repo.commit("second", &[("a", "2")]);
    repo.git(&["push", "-q", "--tags", "origin", "HEAD:main"]);
    let server = Server::start(repo.root(), Mode::Good);
    for name in ["light", "annotated", "nested"] {
        let tag = RefSpec::Tag(name.into());
        assert_eq!(fetch(&server, &tag), Ok((first.clone(), name.into())), "{name}");
    }
    let none = fetch(&server, &RefSpec::Tag("none".into()));
    assert_eq!(none, Err(SourceError::NoSuchTag("none".into())));
    let tree = fetch(&server, &RefSpec::Tag("tree".into())).unwrap_err();
    assert!(matches!(tree, SourceError::NotGit(_)), "{tree:?}");
}

#[test]
fn a_range_follows_its_highest_tag() {
    let repo = Repo::with(&[("a", "1")]);
    let mut ids = Vec::new();
    for tag in ["v1.0.0", "v1.2.0", "v1.10.0", "v1.11.0-rc.1", "v2.0.0", "nightly"] {
        ids.push((tag, repo.commit(tag, &[("a", tag)])));
        repo.git(&["tag", "-a", "-m", tag, tag]);
    }
    repo.git(&["push", "-q", "--tags", "origin", "HEAD:main"]);
    let id = |tag: &str| ids.iter().find(|(name, _)| *name == tag).unwrap().1.clone();
    let server = Server::start(repo.root(), Mode::Good);
    for (range, tag) in [
        ("1.x", "v1.10.0"),
        ("~1.2", "v1.2.0"),
        (">=1.11.0-rc.1 <2.0.0", "v1.11.0-rc.1"),
        ("*", "v2.0.0"),
    ] {
        assert_eq!(
            fetch(&server, &versions(range)),
            Ok((id(tag), tag.into())),
            "{range}"
        );
    }
    let none = fetch(&server, &versions(">=3.0.0")).unwrap_err();
    assert_eq!(none, SourceError::NoVersion(">=3.0.0".into()));

    // A new version is the head of the same store, and no rewriting of anything.
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    store.fetch(&server.remote(), &versions("1.x")).unwrap();
    repo.git(&["checkout", "-q", "--orphan", "other"]);
    let newest = repo.commit("1.12", &[("a", "12")]);
    repo.git(&["tag", "v1.12.0"]);
    repo.git(&["push", "-q", "--tags", "origin"]);
    let fetched = store.fetch(&server.remote(), &versions("1.x")).unwrap();
    assert_eq!(
        (
            fetched.label.as_str(),
            fetched.commit().id.to_string(),
            fetched.forced
        ),
        ("v1.12.0", newest, Rewritten::No)
    );
}

#[test]
fn refs_of_pull_requests_are_followed_by_their_full_name() {
    let repo = Repo::with(&[("a", "1")]);
    let head = repo.commit("proposal", &[("a", "2")]);
    for name in ["refs/pull/7/head", "refs/merge-requests/7/head"] {
        repo.git(&["push", "-q", "origin", &format!("HEAD:{name}")]);
    }
    let server = Server::start(repo.root(), Mode::Good);
    for name in ["refs/pull/7/head", "refs/merge-requests/7/head"] {
        let full = RefSpec::Full(name.into());
        assert_eq!(fetch(&server, &full), Ok((head.clone(), name.into())));
    }
    let none = RefSpec::Full("refs/pull/8/head".into());
    assert_eq!(
        fetch(&server, &none),
        Err(SourceError::NoSuchRef("refs/pull/8/head".into()))
    );
}

#[test]
fn a_commit_is_found_by_a_ref_by_its_name_or_in_the_history() {
    let repo = Repo::with(&[("a", "1")]);
    let first = repo.head();
    repo.commits(60);
    let tip = repo.commit("tip", &[("a", "2")]);
    repo.push();
    let server = Server::start(repo.root(), Mode::Good);
    assert_eq!(fetch(&server, &commit(&tip)), Ok((tip, String::new())));

    // git's default serves what refs point to, and nothing else: the default branch's history is looked through.
    assert_eq!(
        fetch(&server, &commit(&first)),
        Ok((first.clone(), String::new()))
    );
    let elsewhere = repo.git(&["commit-tree", "-m", "nowhere", "HEAD^{tree}"]);
    repo.git(&["push", "-q", "origin", &format!("{elsewhere}:refs/heads/gone")]);
    repo.git(&["push", "-q", "origin", ":refs/heads/gone"]);
    let error = fetch(&server, &commit(&elsewhere)).unwrap_err();
    assert_eq!(error, SourceError::CommitNotServed(elsewhere));

    // A server that serves commits by name is asked for this one alone.
    repo.configure("uploadpack.allowAnySHA1InWant", "true");
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let fetched = store.fetch(&server.remote(), &commit(&first)).unwrap();
    assert_eq!(fetched.commit().id.to_string(), first);
    let tip: CommitId = repo.head().parse().unwrap();
    assert_eq!(store.snapshot(tip).unwrap_err(), SourceError::NoSuchCommit);
}

#[test]
fn ten_thousand_refs_are_one_request() {
    let repo = Repo::with(&[("a", "1")]);
    let head = repo.head();
    let mut packed = String::from("# pack-refs with: peeled fully-peeled sorted \n");
    let mut names: Vec<String> = (0..5_000).map(|n| format!("refs/pull/{n}/head")).collect();
    names.extend((0..5_000).map(|n| format!("refs/tags/v1.{}.{}", n / 100, n % 100)));
    names.sort();
    for name in names {
        writeln!(packed, "{head} {name}").unwrap();
    }
    std::fs::write(repo.bare().join("packed-refs"), packed).unwrap();
    let server = Server::start(repo.root(), Mode::Good);
    let choice = list_head(&server.remote(), &versions("1.x")).unwrap();
    assert_eq!((choice.label.as_str(), choice.id.to_string()), ("v1.49.99", head));
    assert_eq!(server.requests().len(), 1);
    let mut remote = server.remote();
    remote.limits.listing_bytes = 100_000;
    let error = list_head(&remote, &versions("1.x")).unwrap_err();
    assert!(matches!(error, SourceError::TooLarge(_)), "{error:?}");
}

#[test]
fn a_name_that_is_not_utf_8_hurts_nobody() {
    use std::os::unix::ffi::OsStrExt;
    let repo = Repo::with(&[("a", "1")]);
    let heads = repo.bare().join("refs/heads");
    let odd = std::ffi::OsStr::from_bytes(b"caf\xe9");
    std::fs::write(heads.join(odd), format!("{}\n", repo.head())).unwrap();
    let german = RefSpec::Branch("m\u{fc}ller".into());
    std::fs::write(heads.join("m\u{fc}ller"), format!("{}\n", repo.head())).unwrap();
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    for reference in [main_branch(), german] {
        assert_eq!(
            list_head(&server.remote(), &reference).unwrap().id.to_string(),
            repo.head()
        );
        assert!(store.fetch(&server.remote(), &reference).is_ok());
    }
    // It is not taken for another one, nor for itself.
    for name in ["caf\u{e9}", "caf?", "caf\u{fffd}"] {
        assert!(list_head(&server.remote(), &RefSpec::Branch(name.into())).is_err());
    }
}
