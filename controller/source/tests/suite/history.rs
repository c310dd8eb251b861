//! Ranges of commits, from stores that hold less than all of it.

use source::{CommitId, RepoPath, Rewritten, SourceError, Store};

use crate::support::http::{Mode, Server};
use crate::support::repo::Repo;
use crate::support::{main_branch, store};

/// Subject, and whether `infra` and `apps` are changed, of every commit of a range.
type Seen = Vec<(String, bool, bool)>;

fn range(store: &Store, server: &Server, old: &str, new: &str) -> Result<(Rewritten, Seen), SourceError> {
    let paths = ["infra", "apps"].map(|path| RepoPath::parse(path).unwrap());
    let old: CommitId = old.parse().unwrap();
    let ids = (&old.into(), new.parse().unwrap());
    let mut seen = Vec::new();
    let forced = store.range(&server.remote(), &main_branch(), ids, &paths, &mut |step| {
        assert!(step.object.starts_with(b"tree "));
        seen.push((step.commit.subject.clone(), step.touches()[0], step.touches()[1]));
    })?;
    Ok((forced, seen))
}

fn subjects(seen: &Seen) -> Vec<&str> {
    seen.iter().map(|(subject, ..)| subject.as_str()).collect()
}

#[test]
fn a_range_is_what_git_log_shows_with_what_each_commit_changes() {
    let repo = Repo::with(&[("infra/a", "1"), ("apps/a", "1")]);
    repo.commits(60);
    let old = repo.head();
    repo.commit("infra", &[("infra/a", "2")]);
    repo.commit("apps", &[("apps/a", "2")]);
    repo.commit("else", &[("readme", "2")]);
    repo.push();
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let (forced, seen) = range(&store, &server, &old, &repo.head()).unwrap();
    assert_eq!(forced, Rewritten::No);
    let expected = [
        ("infra", true, false),
        ("apps", false, true),
        ("else", false, false),
    ];
    assert_eq!(
        seen,
        expected.map(|(subject, infra, apps)| (subject.to_owned(), infra, apps))
    );
    // The head is seen in any case.
    let (forced, seen) = range(&store, &server, &old, &old).unwrap();
    assert_eq!((forced, subjects(&seen)), (Rewritten::No, vec!["number 59"]));

    // Far apart: deepened as far as it takes, and in the order of `git log --reverse`.
    let mid = repo.head();
    repo.commits(70);
    repo.push();
    let (_, seen) = range(&store, &server, &mid, &repo.head()).unwrap();
    let listed = repo.git(&["log", "--reverse", "--format=%s", &format!("{mid}..HEAD")]);
    assert_eq!(subjects(&seen), listed.lines().collect::<Vec<_>>());
}

#[test]
fn an_old_branch_that_is_merged_is_seen_commit_by_commit() {
    let repo = Repo::with(&[("infra/a", "1"), ("apps/a", "1")]);
    let fork = repo.head();
    repo.commits(55);
    repo.commit("infra on main", &[("infra/a", "2")]);
    let old = repo.head();
    repo.git(&["checkout", "-q", "-b", "side", &fork]);
    repo.commit("side apps", &[("apps/a", "2")]);
    repo.commit("side other", &[("x", "1")]);
    repo.git(&["checkout", "-q", "main"]);
    repo.git(&["merge", "-q", "--no-ff", "-m", "merge side", "side"]);
    repo.push();
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let (forced, seen) = range(&store(dir.path()), &server, &old, &repo.head()).unwrap();
    assert_eq!(forced, Rewritten::No);
    // The merge brings both together and changes nothing by itself.
    let expected = [
        ("side apps", false, true),
        ("side other", false, false),
        ("merge side", false, false),
    ];
    assert_eq!(
        seen,
        expected.map(|(subject, infra, apps)| (subject.to_owned(), infra, apps))
    );
}

/// `git merge -s ours`, seen from the branch: the change on main goes, and the result is as one of the parents has it.
#[test]
fn a_merge_that_drops_or_slips_something_in_changes_it() {
    for (name, slip) in [("dropped", false), ("slipped in", true)] {
        let repo = Repo::with(&[("infra/a", "1"), ("infra/b", "1"), ("apps/a", "1")]);
        let fork = repo.head();
        repo.commit("infra on main", &[("infra/a", "2")]);
        let old = repo.head();
        repo.git(&["checkout", "-q", "-b", "side", &fork]);
        repo.commit("side", &[("apps/a", "2")]);
        if slip {
            repo.git(&["merge", "-q", "--no-commit", "--no-ff", "main"]);
            repo.commit("merge", &[("infra/b", "evil")]);
        } else {
            repo.git(&["merge", "-q", "-s", "ours", "-m", "merge", "main"]);
        }
        repo.push();
        let server = Server::start(repo.root(), Mode::Good);
        let dir = tempfile::tempdir().unwrap();
        let (forced, seen) = range(&store(dir.path()), &server, &old, &repo.head()).unwrap();
        assert_eq!(forced, Rewritten::No, "{name}");
        assert_eq!(seen.last().unwrap(), &("merge".to_owned(), true, false), "{name}");
    }
}

#[test]
fn a_rewritten_branch_is_said_and_its_new_commits_are_seen() {
    let repo = Repo::with(&[("apps/a", "1")]);
    repo.commits(3);
    let old = repo.head();
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    repo.push();
    range(&store, &server, repo.git(&["rev-parse", "HEAD~1"]).trim(), &old).unwrap();
    repo.git(&["reset", "-q", "--hard", "HEAD~2"]);
    repo.commit("other", &[("apps/a", "2")]);
    repo.push();
    let (forced, seen) = range(&store, &server, &old, &repo.head()).unwrap();
    assert_eq!((forced, subjects(&seen)), (Rewritten::Yes, vec!["other"]));
}

#[test]
fn all_of_a_history_is_had_parents_first_and_what_is_new_after_it() {
    let repo = Repo::with(&[("infra/a", "1")]);
    let fork = repo.head();
    repo.commits(600);
    repo.git(&["checkout", "-q", "-b", "side", &fork]);
    repo.commit("side", &[("x", "1")]);
    repo.git(&["checkout", "-q", "main"]);
    repo.git(&["merge", "-q", "--no-ff", "-m", "merge side", "side"]);
    repo.push();
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let head = repo.head().parse().unwrap();
    let all = store
        .chronicle(&server.remote(), &main_branch(), head, None, 10_000)
        .unwrap();
    assert!(!all.cut);
    let count: usize = repo.git(&["rev-list", "--count", "HEAD"]).trim().parse().unwrap();
    assert_eq!(all.commits.len(), count);
    let mut seen = std::collections::HashSet::new();
    for commit in &all.commits {
        assert!(commit.parents.iter().all(|parent| seen.contains(parent)));
        seen.insert(commit.id);
    }
    // Every file of every one of them can be read.
    store
        .snapshot(all.commits[300].id)
        .unwrap()
        .walk("", &source::WalkLimits::default(), |_| {})
        .unwrap();

    repo.commit("new", &[("infra/a", "2")]);
    repo.push();
    let new = repo.head().parse().unwrap();
    let later = store
        .chronicle(&server.remote(), &main_branch(), new, Some(head), 10_000)
        .unwrap();
    let subjects: Vec<_> = later
        .commits
        .iter()
        .map(|commit| commit.subject.as_str())
        .collect();
    assert_eq!((subjects, later.cut), (vec!["new"], false));
    let few = store
        .chronicle(&server.remote(), &main_branch(), new, None, 10)
        .unwrap();
    assert_eq!((few.commits.len(), few.cut), (10, true));
    assert_eq!(few.commits.last().unwrap().id, new);
    // A commit that the branch does not lead to.
    let other = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
    let missing = store.chronicle(&server.remote(), &main_branch(), other, None, 10);
    assert_eq!(missing, Err(SourceError::NoSuchCommit));
}

#[test]
fn a_long_history_may_hold_what_one_look_may_not() {
    let noise = |number: usize| {
        let lines = (0..4_000_u32).map(|n| format!("{:08x}", n.wrapping_mul(2_654_435_761)));
        lines.chain([number.to_string()]).collect::<Vec<_>>().join("\n")
    };
    let repo = Repo::with(&[("infra/large", &noise(0))]);
    let old: CommitId = repo.head().parse().unwrap();
    for number in 1..40 {
        repo.commit("a line", &[("infra/large", &noise(number))]);
    }
    repo.push();
    let new = repo.head().parse().unwrap();
    let server = Server::start(repo.root(), Mode::Good);
    let mut remote = server.remote();
    // Of forty times 36 kB.
    remote.limits.unpacked_bytes = Some(500_000);
    let dir = tempfile::tempdir().unwrap();
    let history = store(dir.path());
    let mut seen = 0;
    history
        .range(&remote, &main_branch(), (&old.into(), new), &[], &mut |_| {
            seen += 1;
        })
        .unwrap();
    assert_eq!(seen, 39);
    let dir = tempfile::tempdir().unwrap();
    let whole = store(dir.path())
        .chronicle(&remote, &main_branch(), new, None, 100)
        .unwrap();
    assert_eq!((whole.commits.len(), whole.cut), (40, false));
    let dir = tempfile::tempdir().unwrap();
    assert!(store(dir.path()).past(&remote, &main_branch(), old).is_ok());
    // Other bounds are kept.
    remote.limits.pack_bytes = 10_000;
    let dir = tempfile::tempdir().unwrap();
    let refused = store(dir.path()).chronicle(&remote, &main_branch(), new, None, 100);
    assert!(matches!(refused, Err(SourceError::TooLarge(_))), "{refused:?}");
}
