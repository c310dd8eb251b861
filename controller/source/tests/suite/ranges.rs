//! Ranges at their bounds, heads that went back, single commits, and whether one commit descends from another.

use std::path::Path;

use source::{Commit, CommitId, Known, RefSpec, RepoPath, Rewritten, SourceError, Store, StoreOptions};

use crate::behind::grow;
use crate::support::http::{Mode, Server};
use crate::support::repo::Repo;
use crate::support::{fetch, main_branch, store};

fn id(text: &str) -> CommitId {
    text.parse().unwrap()
}

/// What is shown, with whether it changes `infra`.
type Seen = Vec<(String, bool)>;

fn infra() -> [RepoPath; 1] {
    [RepoPath::parse("infra").unwrap()]
}

fn between(
    store: &Store,
    server: &Server,
    reference: &RefSpec,
    (old, new): (&Known, CommitId),
) -> Result<(Rewritten, Seen), SourceError> {
    let mut seen = Vec::new();
    let forced = store.range(&server.remote(), reference, (old, new), &infra(), &mut |step| {
        seen.push((step.commit.subject.clone(), step.touches()[0]));
    })?;
    Ok((forced, seen))
}

fn alone(store: &Store, server: &Server, commit: CommitId) -> Result<Seen, SourceError> {
    let mut seen = Vec::new();
    store.alone(&server.remote(), &main_branch(), commit, &infra(), &mut |step| {
        seen.push((step.commit.subject.clone(), step.touches()[0]));
    })?;
    Ok(seen)
}

fn of(seen: &[(&str, bool)]) -> Seen {
    seen.iter()
        .map(|(subject, infra)| ((*subject).to_owned(), *infra))
        .collect()
}

fn served_head(repo: &Repo) -> CommitId {
    repo.git(&["fetch", "-q", "origin", "main"]);
    id(&repo.git(&["rev-parse", "FETCH_HEAD"]))
}

fn narrow(dir: &Path, max_walk: usize) -> Store {
    let options = StoreOptions {
        max_walk,
        ..StoreOptions::default()
    };
    Store::open_with(&dir.join("store"), options).unwrap()
}

#[test]
fn five_thousand_commits_are_a_range_and_one_more_is_not() {
    let repo = Repo::with(&[("a", "1"), ("infra/a", "1")]);
    let server = Server::start(repo.root(), Mode::Good);
    let old = id(&repo.head());
    grow(&repo, 5_000);
    let new = served_head(&repo);
    let dir = tempfile::tempdir().unwrap();
    let empty = store(dir.path());
    let (forced, seen) = between(&empty, &server, &main_branch(), (&old.into(), new)).unwrap();
    assert_eq!((forced, seen.len()), (Rewritten::No, 5_000));
    let below = repo.git(&["rev-parse", "FETCH_HEAD~4990"]);
    assert_eq!(alone(&empty, &server, id(&below)).unwrap().len(), 1);

    grow(&repo, 1);
    let new = served_head(&repo);
    let over = between(&empty, &server, &main_branch(), (&old.into(), new));
    assert!(matches!(over, Err(SourceError::TooLarge(_))), "{over:?}");
    // It is looked at again and again, and not fetched again.
    let before = server.requests().len();
    let again = between(&empty, &server, &main_branch(), (&old.into(), new));
    assert_eq!((again, server.requests().len()), (over, before));
    // And somebody says from where on it is to be looked at.
    let since = id(&repo.git(&["rev-parse", "FETCH_HEAD~3"]));
    let (_, seen) = between(&empty, &server, &main_branch(), (&since.into(), new)).unwrap();
    assert_eq!(seen.len(), 3);
}

/// Thirty commits in a row, and forty on a side that was merged at their end: more than what is walked.
fn wide() -> (Repo, CommitId) {
    let repo = Repo::with(&[("infra/a", "1")]);
    repo.git(&["checkout", "-q", "-b", "side"]);
    repo.commits(40);
    repo.git(&["checkout", "-q", "main"]);
    repo.commits(30);
    repo.git(&["merge", "-q", "--no-ff", "-m", "merge side", "side"]);
    let old = id(&repo.head());
    (repo, old)
}

#[test]
fn a_history_wider_than_what_is_walked_of_it_stops_no_range() {
    let (repo, old) = wide();
    repo.commit("new", &[("infra/a", "2")]);
    repo.push();
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let narrow = narrow(dir.path(), 20);
    let found = between(&narrow, &server, &main_branch(), (&old.into(), id(&repo.head()))).unwrap();
    assert_eq!(found, (Rewritten::No, of(&[("new", true)])));
}

#[test]
fn what_is_new_is_seen_although_it_left_behind_what_is_walked() {
    let (repo, old) = wide();
    // Off the first commit, which lies beyond the bound.
    repo.git(&["checkout", "-q", "-b", "late", "main~20"]);
    repo.commit("late", &[("infra/b", "1")]);
    repo.git(&["checkout", "-q", "main"]);
    repo.git(&["merge", "-q", "--no-ff", "-m", "merge late", "late"]);
    repo.push();
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let narrow = narrow(dir.path(), 20);
    let new = id(&repo.head());
    let (forced, seen) = between(&narrow, &server, &main_branch(), (&old.into(), new)).unwrap();
    assert_eq!(forced, Rewritten::No);
    // Old commits again, which is harmless; and every new one.
    for wanted in of(&[("late", true), ("merge late", false)]) {
        assert!(seen.contains(&wanted), "{wanted:?} in {seen:?}");
    }
    assert!(seen.len() > 2, "{seen:?}");
}

#[test]
fn a_head_that_went_back_is_seen_by_itself() {
    let repo = Repo::with(&[("infra/a", "1")]);
    repo.commits(60);
    let first = repo.commit("first", &[("infra/a", "2")]);
    let second = repo.commit("second", &[("infra/a", "3")]);
    repo.push();
    repo.git(&["tag", "stable"]);
    repo.git(&["push", "-q", "origin", "stable"]);
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let held = store(dir.path());
    let tag = RefSpec::Tag("stable".into());
    let (old, new) = (id(&second), id(&first));
    for reference in [main_branch(), tag.clone()] {
        assert_eq!(
            between(&held, &server, &reference, (&new.into(), old)).unwrap(),
            (Rewritten::No, of(&[("second", true)]))
        );
    }
    repo.git(&["reset", "-q", "--hard", &first]);
    repo.push();
    repo.git(&["tag", "-f", "stable"]);
    repo.git(&["push", "-q", "-f", "origin", "stable"]);
    let back = of(&[("first", true)]);
    for (reference, forced) in [(main_branch(), Rewritten::Yes), (tag, Rewritten::No)] {
        let found = between(&held, &server, &reference, (&old.into(), new)).unwrap();
        assert_eq!(found, (forced, back.clone()));
    }

    // A store that never had the old head: by what is known of it elsewhere, or from the remote, if that serves it.
    let dir = tempfile::tempdir().unwrap();
    let known = Known {
        id: old,
        parents: vec![new],
    };
    let found = between(&store(dir.path()), &server, &main_branch(), (&known, new)).unwrap();
    assert_eq!(found, (Rewritten::Yes, back.clone()));
    repo.configure("uploadpack.allowAnySHA1InWant", "true");
    let dir = tempfile::tempdir().unwrap();
    let found = between(&store(dir.path()), &server, &main_branch(), (&old.into(), new)).unwrap();
    assert_eq!(found, (Rewritten::Yes, back));
    // Else everything is new, down to the first commit.
    repo.configure("uploadpack.allowAnySHA1InWant", "false");
    let dir = tempfile::tempdir().unwrap();
    let (forced, seen) = between(&store(dir.path()), &server, &main_branch(), (&old.into(), new)).unwrap();
    assert_eq!((forced, seen.len()), (Rewritten::Yes, 62));
}

#[test]
fn one_commit_is_compared_with_its_parents() {
    let repo = Repo::with(&[("infra/a", "1")]);
    repo.commits(3);
    let changes = repo.commit("changes", &[("infra/a", "2")]);
    let leaves = repo.commit("leaves", &[("b", "2")]);
    repo.push();
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let held = store(dir.path());
    for (commit, shown) in [(&leaves, ("leaves", false)), (&changes, ("changes", true))] {
        assert_eq!(alone(&held, &server, id(commit)).unwrap(), of(&[shown]));
    }
    let first = repo.git(&["rev-list", "--max-parents=0", "HEAD"]);
    assert_eq!(alone(&held, &server, id(&first)).unwrap(), of(&[("first", true)]));
    // What is held needs no question.
    let before = server.requests().len();
    alone(&held, &server, id(&leaves)).unwrap();
    assert_eq!(server.requests().len(), before);
    let stranger = alone(&held, &server, id(&"1".repeat(40)));
    assert_eq!(stranger, Err(SourceError::NoSuchCommit));
}

#[test]
fn a_merge_by_itself_is_compared_with_what_merging_alone_makes() {
    for (name, evil) in [("merge", false), ("merge with more", true)] {
        let repo = Repo::with(&[("infra/a", "1"), ("infra/b", "1"), ("apps/a", "1")]);
        repo.git(&["checkout", "-q", "-b", "side"]);
        repo.commit("infra on the side", &[("infra/a", "2")]);
        repo.commits(55);
        repo.git(&["checkout", "-q", "main"]);
        repo.commit("apps", &[("apps/a", "2")]);
        repo.git(&["merge", "-q", "--no-commit", "--no-ff", "side"]);
        let files: &[(&str, &str)] = if evil { &[("infra/b", "evil")] } else { &[] };
        repo.commit(name, files);
        repo.push();
        let server = Server::start(repo.root(), Mode::Good);
        let dir = tempfile::tempdir().unwrap();
        let seen = alone(&store(dir.path()), &server, id(&repo.head())).unwrap();
        assert_eq!(seen, of(&[(name, evil)]));
    }
}

/// What a merge's sides share lies behind what is fetched first of the one side; an older commit that they share as well does not.
#[test]
fn where_the_sides_of_a_merge_part_is_looked_for_behind_what_is_held() {
    for (name, evil) in [("merge", false), ("merge that undoes", true)] {
        let repo = Repo::with(&[("infra/a", "1"), ("apps/a", "1")]);
        repo.git(&["branch", "-q", "old"]);
        let shared = repo.commit("shared", &[("infra/a", "2")]);
        repo.commit("taken back", &[("infra/a", "1")]);
        repo.commits(60);
        repo.git(&["checkout", "-q", "old"]);
        repo.commit("apps", &[("apps/a", "2")]);
        repo.git(&["checkout", "-q", "main"]);
        repo.git(&["merge", "-q", "--no-ff", "-m", "old merged", "old"]);
        let old = id(&repo.head());
        repo.git(&["checkout", "-q", "-b", "side", &shared]);
        repo.commit("side", &[("apps/b", "1")]);
        repo.git(&["checkout", "-q", "main"]);
        repo.git(&["merge", "-q", "--no-commit", "--no-ff", "side"]);
        let files: &[(&str, &str)] = if evil { &[("infra/a", "2")] } else { &[] };
        repo.commit(name, files);
        repo.push();
        let server = Server::start(repo.root(), Mode::Good);
        let dir = tempfile::tempdir().unwrap();
        let (store, new) = (store(dir.path()), id(&repo.head()));
        let (_, seen) = between(&store, &server, &main_branch(), (&old.into(), new)).unwrap();
        assert_eq!(seen, of(&[("side", false), (name, evil)]));
    }
}

/// An old branch is merged into a store that holds much, and is told only of the newest: where the sides part is known still.
#[test]
fn what_was_fetched_deep_is_not_forgotten_by_what_is_fetched_after_it() {
    let repo = Repo::with(&[("infra/a", "1"), ("apps/a", "1")]);
    let fork = repo.head();
    repo.commit("infra on main", &[("infra/a", "2")]);
    repo.commits(80);
    let old = id(&repo.head());
    repo.commits(60);
    let mid = id(&repo.head());
    repo.push();
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let held = store(dir.path());
    let (_, seen) = between(&held, &server, &main_branch(), (&old.into(), mid)).unwrap();
    assert_eq!(seen.len(), 60);
    repo.git(&["checkout", "-q", "-b", "side", &fork]);
    repo.commit("side", &[("infra/b", "1")]);
    repo.git(&["checkout", "-q", "main"]);
    repo.git(&["merge", "-q", "--no-ff", "-m", "merge side", "side"]);
    repo.push();
    let new = id(&repo.head());
    let found = between(&held, &server, &main_branch(), (&mid.into(), new)).unwrap();
    assert_eq!(
        found,
        (Rewritten::No, of(&[("side", true), ("merge side", false)]))
    );
}

#[test]
fn whether_a_far_head_descends_is_told_or_said_to_be_unknown() {
    let repo = Repo::with(&[("a", "1")]);
    let server = Server::start(repo.root(), Mode::Good);
    let old = id(&repo.head());
    let remote = server.remote();
    let dir = tempfile::tempdir().unwrap();
    let held = store(dir.path());
    let first: Commit = fetch(&held, &remote).unwrap().commit().clone();
    assert_eq!(first.id, old);
    grow(&repo, 520);
    let new = served_head(&repo);
    let dir = tempfile::tempdir().unwrap();
    let history = store(dir.path());
    let descends = |old: &Known, new| history.descends(&remote, &main_branch(), old, new);
    assert_eq!(descends(&old.into(), new), Ok(Rewritten::No));
    let tag = RefSpec::Tag("x".into());
    assert_eq!(
        history.descends(&remote, &tag, &old.into(), new),
        Ok(Rewritten::No)
    );
    grow(&repo, 4_600);
    let far = served_head(&repo);
    assert_eq!(descends(&new.into(), far), Ok(Rewritten::No));
    // Beyond the bound nobody knows, and that is no rewrite.
    let dir = tempfile::tempdir().unwrap();
    let empty = store(dir.path());
    let unknown = empty.descends(&remote, &main_branch(), &old.into(), far);
    assert_eq!(unknown, Ok(Rewritten::Unknown));
    let before = server.requests().len();
    let again = empty.descends(&remote, &main_branch(), &old.into(), far);
    assert_eq!((again, server.requests().len()), (unknown, before));
    // Nor is a remote that fails.
    server.set(Mode::Canned(
        b"HTTP/1.1 503 Away\r\nContent-Length: 0\r\n\r\n".to_vec(),
    ));
    let dir = tempfile::tempdir().unwrap();
    let failed = store(dir.path()).descends(&remote, &main_branch(), &old.into(), far);
    assert!(
        failed.as_ref().is_err_and(SourceError::is_temporary),
        "{failed:?}"
    );
}
