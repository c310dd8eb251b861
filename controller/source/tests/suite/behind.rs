//! A store that is far behind its branch.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Stdio;

use source::{Rewritten, SourceError};

use crate::support::http::{Mode, Server};
use crate::support::repo::{Repo, command};
use crate::support::{fetch, main_branch, store};

/// Adds `count` commits of one file to the served branch, in one go.
pub(crate) fn grow(repo: &Repo, count: usize) {
    let mut stream = String::new();
    for number in 0..count {
        let text = format!("value: {number}\n");
        let from = if number == 0 {
            "from refs/heads/main^0\n"
        } else {
            ""
        };
        write!(
            stream,
            "commit refs/heads/main\ncommitter Bob <bob@example.org> {} +0000\ndata 1\nx\n{from}M 100644 inline a\ndata {}\n{text}\n",
            1_700_000_100 + number,
            text.len(),
        )
        .unwrap();
    }
    let mut child = command(&repo.bare())
        .args(["fast-import", "--quiet"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stream.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn five_thousand_commits_are_skipped_in_a_bounded_number_of_requests() {
    let repo = Repo::with(&[("a", "1")]);
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let first = fetch(&store, &server.remote()).unwrap();
    grow(&repo, 5_000);
    let before = server.requests().len();
    let fetched = fetch(&store, &server.remote()).unwrap();
    // Whether it was rewritten is looked for 500 commits deep, and no further.
    assert_eq!(
        (fetched.previous, fetched.forced),
        (Some(first.commit().id), Rewritten::Unknown)
    );
    let requests = server.requests().len() - before;
    assert_eq!(
        requests, 9,
        "the list of refs, the boundary and the pack: of the head, and at two depths"
    );
    // The next poll is one request.
    fetch(&store, &server.remote()).unwrap();
    assert_eq!(server.requests().len() - before, requests + 1);
    assert_eq!(
        store
            .past(&server.remote(), &main_branch(), first.commit().id)
            .unwrap_err(),
        SourceError::NotInHistory(first.commit().id.to_string(), 500)
    );
}
