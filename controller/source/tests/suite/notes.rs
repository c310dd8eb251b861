//! Lines about commits, pushed to a notes ref out of a shallow store, and read by the real git.

use source::{Line, Notebook, SourceError, StoreOptions};

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

/// Has the served repository take nothing.
fn refuse(repo: &Repo) {
    let hook = repo.bare().join("hooks/pre-receive");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, "#!/bin/sh\nexit 1\n").unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
}

/// Makes the served notes a commit of this tree, without asking the served repository.
fn serve(repo: &Repo, tree: &str) {
    let commit = repo.git(&["commit-tree", "-m", "notes", tree]);
    repo.git(&["update-ref", REF, &commit]);
    let fetch = ["fetch", "-q", "../work", &format!("+{REF}:{REF}")];
    assert!(command(&repo.bare()).args(fetch).status().unwrap().success());
}

/// What does not get smaller when it is packed.
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed * 2 + 1;
    let next = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    next.flatten().take(bytes).collect()
}

/// A tree of so many files, with a name of its own.
fn wide(repo: &Repo, seed: u64, count: usize) -> String {
    let names = noise(seed, count * 8);
    let file = repo.object("blob", b"x");
    let mut names: Vec<String> = names
        .chunks(8)
        .map(|name| format!("f{:016x}", u64::from_le_bytes(name.try_into().unwrap())))
        .collect();
    names.sort_unstable();
    let entries: Vec<(&str, &[u8], &str)> = names
        .iter()
        .map(|name| ("100644", name.as_bytes(), &*file))
        .collect();
    repo.tree(&entries)
}

fn size(dir: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| match entry.metadata().unwrap() {
            data if data.is_dir() => size(&entry.path()),
            data => data.len(),
        })
        .sum()
}

#[test]
fn a_remote_that_has_other_notes_each_time_and_takes_none_fills_no_disk() {
    const ONE: usize = 100 << 10;
    let repo = Repo::with(&[("a", "1")]);
    refuse(&repo);
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        max_bytes: 3 * ONE as u64,
        ..StoreOptions::default()
    };
    let mut remote = server.remote();
    // One comes, and no second one with it.
    remote.limits.pack_bytes = (ONE + ONE / 2) as u64;
    let head = repo.head();
    for round in 0..12 {
        let file = repo.object("blob", &noise(round, ONE));
        serve(&repo, &repo.tree(&[("100644", b"file", &*file)]));
        // What is refused is forgotten.
        let mut notes =
            Notebook::open_with(&dir.path().join("notes"), REF, "signet (prod)", options).unwrap();
        let refused = notes.append(&remote.for_one_look(), &[line(&head, "one")]);
        // All that it may receive is received where the store was made anew meanwhile.
        let is_refused = matches!(
            refused,
            Err(SourceError::PushRefused(_) | SourceError::TooLarge(_))
        );
        assert!(is_refused, "{refused:?}");
        assert!(size(dir.path()) < 5 * ONE as u64, "{round}: {}", size(dir.path()));
    }
}

#[test]
fn what_is_written_and_not_taken_fills_no_disk() {
    let repo = Repo::with(&[("a", "1")]);
    refuse(&repo);
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    serve(&repo, &wide(&repo, 1, 5_000));
    let options = StoreOptions {
        max_bytes: 300 << 10,
        ..StoreOptions::default()
    };
    let mut notes = Notebook::open_with(&dir.path().join("notes"), REF, "signet (prod)", options).unwrap();
    let head = repo.head();
    for round in 0..20 {
        let refused = notes.append(
            &server.remote().for_one_look(),
            &[line(&head, &format!("line {round}"))],
        );
        assert!(matches!(refused, Err(SourceError::PushRefused(_))), "{refused:?}");
        assert!(size(dir.path()) < 600 << 10, "{round}: {}", size(dir.path()));
    }
}

#[test]
fn directories_that_are_too_large_to_write_anew_are_refused() {
    let repo = Repo::with(&[("a", "1")]);
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    // One directory under many names is one object, and many once a note is put into each.
    let large = wide(&repo, 1, 30_000);
    let names: Vec<String> = (0..=255).map(|name| format!("{name:02x}")).collect();
    let entries: Vec<(&str, &[u8], &str)> = names
        .iter()
        .map(|name| ("40000", name.as_bytes(), &*large))
        .collect();
    serve(&repo, &repo.tree(&entries));
    let lines: Vec<Line> = (0..=255)
        .map(|name| line(&format!("{name:02x}{}", "0".repeat(38)), "one"))
        .collect();
    let mut notes = book(dir.path());
    let refused = notes.append(&server.remote(), &lines).unwrap_err();
    assert!(matches!(refused, SourceError::TooLarge(_)), "{refused:?}");
    notes.append(&server.remote(), &lines[..3]).unwrap();
}

#[test]
fn a_namespace_that_has_its_share_of_the_disk_gives_its_notes_back() {
    let repo = Repo::with(&[("a", "1")]);
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let disk = source::Disk::new(400 << 10);
    let part = disk.part("shop");
    let mut remote = server.remote();
    remote.disk = Some(part.clone());
    let head = repo.head();
    let mut notes = book(dir.path());
    let results: Vec<bool> = (0..8)
        .map(|round| {
            let file = repo.object("blob", &noise(round, 100 << 10));
            serve(&repo, &repo.tree(&[("100644", b"file", &*file)]));
            let text = format!("line {round}");
            let done = notes.append(&remote.for_one_look(), &[line(&head, &text)]);
            part.count(dir.path());
            assert!(
                matches!(done, Ok(()) | Err(SourceError::NoRoom { .. })),
                "{done:?}"
            );
            done.is_ok()
        })
        .collect();
    assert!(results.contains(&false) && results[0], "{results:?}");
    let refused = results.iter().position(|done| !done).unwrap();
    assert!(results[refused + 1], "{results:?}");
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
