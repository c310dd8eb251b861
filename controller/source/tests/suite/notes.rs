//! Lines about commits, pushed to a notes ref out of a shallow store, and read by the real git.

use source::{Line, Notebook, SourceError};

use crate::support::http::{Mode, Server};
use crate::support::repo::{Repo, command};

const REF: &str = "refs/notes/signet/prod";

fn line(commit: &str, text: &str) -> Line {
    Line {
        commit: commit.parse().unwrap(),
        text: text.to_owned(),
        unless: None,
        kind: String::new(),
    }
}

fn book(dir: &std::path::Path) -> Notebook {
    Notebook::open(&dir.join("notes"), REF, "signet (prod)").unwrap()
}

/// What `git log` shows a person of the notes of a commit.
fn shown(repo: &Repo, commit: &str) -> String {
    repo.git(&["fetch", "-q", "origin", "+refs/notes/*:refs/notes/*"]);
    repo.git(&["log", "-1", "--format=%N", "--notes=signet/*", commit])
}

#[test]
fn git_log_tells_the_story() {
    let repo = Repo::with(&[("a", "1")]);
    let (first, last) = (repo.head(), repo.commits(30));
    repo.push();
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let mut notes = book(dir.path());
    let remote = server.remote();
    notes
        .append(
            &remote,
            &[line(&first, "one"), line(&last, "two"), line(&first, "three")],
        )
        .unwrap();
    assert_eq!(shown(&repo, &first), "one\nthree");
    assert_eq!(shown(&repo, &last), "two");
    assert_eq!(repo.git(&["rev-list", "--count", REF]), "1", "one commit for all");
    assert_eq!(
        repo.git(&["log", "-1", "--format=%an %s", REF]),
        "signet (prod) Results of 2 commits"
    );

    // The same again is nothing, also for a process that has to look first.
    let pushes = || {
        server
            .requests()
            .iter()
            .filter(|request| request.method == "POST" && request.target.contains("git-receive-pack"))
            .count()
    };
    let before = pushes();
    notes.append(&remote, &[line(&first, "one")]).unwrap();
    drop(notes);
    let mut notes = book(dir.path());
    let mark = Line {
        unless: Some("thr".into()),
        ..line(&first, "four")
    };
    notes
        .append(&remote, &[line(&last, "two"), mark.clone()])
        .unwrap();
    assert_eq!(pushes(), before);

    // A store that knows nothing, at depth 1 on top of what is there.
    let elsewhere = tempfile::tempdir().unwrap();
    let mut fresh = book(elsewhere.path());
    fresh
        .append(
            &remote,
            &[Line {
                commit: last.parse().unwrap(),
                ..mark
            }],
        )
        .unwrap();
    assert_eq!(shown(&repo, &last), "two\nfour");
    assert_eq!(repo.git(&["rev-list", "--count", REF]), "2");
    assert!(
        command(&repo.bare())
            .args(["fsck", "--strict"])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(
        repo.git(&["rev-parse", "origin/main"]),
        last,
        "the branch is as it was"
    );
}

#[test]
fn others_who_write_there_keep_what_they_wrote() {
    let repo = Repo::with(&[("a", "1")]);
    let (first, last) = (repo.head(), repo.commits(3));
    repo.push();
    let server = Server::start(repo.root(), Mode::Good);
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut ours, mut theirs) = (book(one.path()), book(other.path()));
    let remote = server.remote();
    ours.append(&remote, &[line(&last, "ours 0")]).unwrap();
    // Neither knows what the other did since.
    for round in 1..4 {
        theirs
            .append(&remote, &[line(&last, &format!("theirs {round}"))])
            .unwrap();
        ours.append(&remote, &[line(&last, &format!("ours {round}"))])
            .unwrap();
    }
    let said = shown(&repo, &last);
    let expected = [
        "ours 0", "theirs 1", "ours 1", "theirs 2", "ours 2", "theirs 3", "ours 3",
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
    assert_eq!(
        repo.git(&["rev-list", "--count", REF]),
        "7",
        "nothing was overwritten"
    );

    // A person, with git's own way to lay notes out, which is flat while there are few.
    repo.git(&["notes", &format!("--ref={REF}"), "add", "-m", "by hand", &first]);
    repo.git(&["push", "-q", "origin", REF]);
    ours.append(&remote, &[line(&first, "after the hand")]).unwrap();
    assert_eq!(shown(&repo, &first), "by hand\nafter the hand");
    assert_eq!(shown(&repo, &last), said);
    let files = repo.git(&["ls-tree", "-r", "--name-only", REF]);
    assert_eq!(files.lines().count(), 2, "{files}");
}

#[test]
fn a_remote_that_takes_none_says_so_and_bounds_hold() {
    let repo = Repo::with(&[("a", "1")]);
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let mut notes = book(dir.path());
    let head = repo.head();
    let hook = repo.bare().join("hooks/pre-receive");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, "#!/bin/sh\nexit 1\n").unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let refused = notes.append(&server.remote(), &[line(&head, "one")]);
    assert!(matches!(refused, Err(SourceError::PushRefused(_))), "{refused:?}");
    std::fs::remove_file(&hook).unwrap();
    notes.append(&server.remote(), &[line(&head, "one")]).unwrap();

    let long = "x".repeat(80 << 10);
    notes.append(&server.remote(), &[line(&head, &long)]).unwrap();
    notes
        .append(
            &server.remote(),
            &[line(&head, &"y".repeat(80 << 10)), line(&head, "short")],
        )
        .unwrap();
    assert_eq!(
        shown(&repo, &head),
        format!("one\n{long}\nshort"),
        "what does not fit is left out"
    );

    for bad in ["refs/heads/main", "refs/notes/a..b", "notes/x", "refs/notes/"] {
        let opened = Notebook::open(&dir.path().join("other"), bad, "x");
        assert_eq!(opened.err(), Some(SourceError::BadRef), "{bad}");
    }
}

#[test]
fn nobody_is_forced_when_two_make_the_first_note_at_once() {
    let repo = Repo::with(&[("a", "1")]);
    let server = Server::start(repo.root(), Mode::Good);
    let head = repo.head();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (remote, line) = (server.remote(), line(&head, &format!("writer {writer}")));
            scope.spawn(move || {
                let dir = tempfile::tempdir().unwrap();
                let mut notes = book(dir.path());
                // Whoever loses five races in a row comes again.
                while notes.append(&remote, std::slice::from_ref(&line)).is_err() {}
            });
        }
    });
    let said = shown(&repo, &head);
    let mut lines: Vec<_> = said.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["writer 0", "writer 1", "writer 2", "writer 3"]);
}

#[test]
fn what_happens_over_and_over_keeps_its_beginning_its_end_and_its_number() {
    let repo = Repo::with(&[("a", "1")]);
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let (mut notes, head) = (book(dir.path()), repo.head());
    let flap = |number: u32| Line {
        kind: " shop/web Failed:".into(),
        ..line(&head, &format!("T{number} shop/web Failed: 1 of 3 objects"))
    };
    let other = line(&head, "T0 shop/api Ready: 3 objects");
    let by_hand = line(&head, "what does shop/web Failed: mean?");
    notes
        .append(&server.remote(), &[other.clone(), by_hand.clone()])
        .unwrap();
    // In several goes, and by a process that has to read what is there.
    let lines: Vec<Line> = (1..=9).map(flap).collect();
    notes.append(&server.remote(), &lines).unwrap();
    let lines: Vec<Line> = (10..=1_000).map(flap).collect();
    notes.append(&server.remote(), &lines).unwrap();
    drop(notes);
    let mut notes = book(dir.path());
    notes.append(&server.remote(), &[flap(1_001)]).unwrap();
    let mut expected = vec![other.text, by_hand.text];
    expected.extend((1..=5).map(|number| flap(number).text));
    expected.push("T996 shop/web Failed: 991 more since T6".into());
    expected.extend((997..=1_001).map(|number| flap(number).text));
    assert_eq!(shown(&repo, &head), expected.join("\n"));
}
