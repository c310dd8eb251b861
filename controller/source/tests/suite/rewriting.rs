//! Force-pushes, seen from shallow stores.

use std::fmt::Write;

use source::{CommitId, Rewritten};

use crate::support::http::{Mode, Server};
use crate::support::repo::{Repo, command};
use crate::support::{fetch, main_branch, store};

/// Fetches, lets `change` work on the repository, fetches again; the answer and the number of requests
/// that the second fetch took.
fn after(repo: &Repo, change: impl FnOnce(&Repo)) -> (Rewritten, usize) {
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    fetch(&store, &server.remote()).unwrap();
    let before = server.requests().len();
    change(repo);
    repo.push();
    let fetched = fetch(&store, &server.remote()).unwrap();
    assert_eq!(fetched.commit().id.to_string(), repo.head());
    (fetched.forced, server.requests().len() - before)
}

fn repo(commits: usize) -> Repo {
    let repo = Repo::with(&[("a", "1")]);
    repo.commits(commits - 1);
    repo.push();
    repo
}

#[test]
fn a_child_is_no_rewrite_and_costs_nothing_more() {
    let (forced, requests) = after(&repo(3), |repo| drop(repo.commits(1)));
    assert_eq!(forced, Rewritten::No);
    // The list of refs, the boundary, the pack.
    assert_eq!(requests, 3);
}

#[test]
fn several_commits_are_no_rewrite() {
    let (forced, requests) = after(&repo(3), |repo| drop(repo.commits(7)));
    assert_eq!(forced, Rewritten::No);
    assert_eq!(requests, 3);
    let (forced, requests) = after(&repo(3), |repo| drop(repo.commits(20)));
    assert_eq!(forced, Rewritten::No);
    assert_eq!(requests, 6);
}

#[test]
fn a_merge_of_the_old_head_is_no_rewrite() {
    let (forced, _) = after(&repo(3), |repo| {
        repo.git(&["checkout", "-q", "-b", "side", "HEAD~2"]);
        repo.commit("side", &[("b", "1")]);
        repo.git(&["merge", "-q", "--no-edit", "main"]);
    });
    assert_eq!(forced, Rewritten::No);
}

#[test]
fn an_amended_head_is_a_rewrite_and_costs_nothing_more() {
    let (forced, requests) = after(&repo(3), |repo| {
        repo.git(&["commit", "-q", "--amend", "--allow-empty", "-m", "amended"]);
    });
    assert_eq!(forced, Rewritten::Yes);
    assert_eq!(requests, 3);
}

#[test]
fn another_root_is_a_rewrite() {
    let (forced, _) = after(&repo(3), |repo| {
        repo.git(&["checkout", "-q", "--orphan", "fresh"]);
        repo.commit("other root", &[("b", "1")]);
    });
    assert_eq!(forced, Rewritten::Yes);
}

#[test]
fn a_reset_to_an_older_commit_is_a_rewrite() {
    let (forced, _) = after(&repo(5), |repo| {
        repo.git(&["reset", "-q", "--hard", "HEAD~3"]);
    });
    assert_eq!(forced, Rewritten::Yes);
}

#[test]
fn a_rewrite_above_a_long_history_is_proven_from_what_earlier_fetches_left() {
    let repo = repo(90);
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    for _ in 0..3 {
        fetch(&store, &server.remote()).unwrap();
        repo.commits(1);
        repo.push();
    }
    fetch(&store, &server.remote()).unwrap();
    let before = server.requests().len();
    repo.git(&["reset", "-q", "--hard", "HEAD~2"]);
    repo.commit("other", &[("b", "1")]);
    repo.commits(5);
    repo.push();
    assert_eq!(fetch(&store, &server.remote()).unwrap().forced, Rewritten::Yes);
    assert_eq!(server.requests().len() - before, 3);
}

#[test]
fn a_rewrite_below_what_is_held_is_proven_by_the_whole_history() {
    let (forced, requests) = after(&repo(90), |repo| {
        repo.git(&["reset", "-q", "--hard", "HEAD~2"]);
        repo.commit("other", &[("b", "1")]);
        repo.commits(5);
    });
    assert_eq!(forced, Rewritten::Yes);
    assert_eq!(requests, 9);
}

#[test]
fn a_long_way_ahead_is_found_by_the_second_deepening() {
    let (forced, requests) = after(&repo(3), |repo| drop(repo.commits(70)));
    assert_eq!(forced, Rewritten::No);
    assert_eq!(requests, 9);
}

#[test]
fn beyond_the_bound_the_answer_is_unknown() {
    let old = repo(2);
    let (forced, _) = after(&old, |repo| {
        // 520 commits, quickly: git itself takes seconds.
        let mut stream = String::new();
        for number in 0..520 {
            let from = if number == 0 {
                "from refs/heads/main^0\n"
            } else {
                ""
            };
            let message = format!("fast {number}");
            write!(
                stream,
                "commit refs/heads/main\ncommitter Bob <bob@example.org> 1700000002 +0000\ndata {}\n{message}\n{from}\n",
                message.len()
            )
            .unwrap();
        }
        repo.write(".git/stream", stream);
        let status = command(&repo.work())
            .args(["fast-import", "--quiet"])
            .stdin(std::fs::File::open(repo.work().join(".git/stream")).unwrap())
            .status();
        assert!(status.unwrap().success());
    });
    assert_eq!(forced, Rewritten::Unknown);
}

#[test]
fn a_head_remembered_elsewhere_can_be_compared() {
    let repo = repo(3);
    let old: CommitId = repo.head().parse().unwrap();
    repo.commits(4);
    repo.push();
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let new = fetch(&store, &server.remote()).unwrap().commit().id;
    let compare = |old: CommitId| store.compare(&server.remote(), &main_branch(), old, new).unwrap();
    assert_eq!(compare(old), Rewritten::No);
    let stranger = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
    assert_eq!(compare(stranger), Rewritten::Yes);
}
