//! Trees that no git client would write.

use source::{EntryKind, PathError, Snapshot, WalkLimits};
use tempfile::TempDir;

use crate::support::http::{Mode, Server};
use crate::support::repo::Repo;
use crate::support::{fetch, store};

fn snapshot(repo: &Repo) -> (Snapshot, TempDir) {
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let snapshot = fetch(&store(dir.path()), &server.remote()).unwrap().snapshot;
    (snapshot, dir)
}

fn walk(snapshot: &Snapshot, path: &str, limits: &WalkLimits) -> Result<Vec<String>, PathError> {
    let mut seen = Vec::new();
    snapshot.walk(path, limits, |entry| {
        let kind = match entry.kind {
            EntryKind::File { .. } => "file",
            EntryKind::Symlink => "link",
            EntryKind::Submodule => "module",
            EntryKind::Odd => "odd",
        };
        seen.push(format!("{kind} {}", entry.path));
    })?;
    Ok(seen)
}

#[test]
fn links_and_submodules_are_reported_and_not_followed() {
    let repo = Repo::with(&[("a/x", "1"), ("secret/token", "s")]);
    for (link, target) in [
        ("a/out", "/etc"),
        ("a/up", "../secret"),
        ("a/self", "self"),
        ("a/file", "../secret/token"),
        ("top", "a"),
    ] {
        std::os::unix::fs::symlink(target, repo.work().join(link)).unwrap();
    }
    repo.commit("links", &[]);
    let head = repo.head();
    repo.git(&[
        "update-index",
        "--add",
        "--cacheinfo",
        &format!("160000,{head},a/module"),
    ]);
    repo.git(&["commit", "-q", "-m", "module"]);
    repo.push();
    let (snapshot, _dir) = snapshot(&repo);
    let seen = walk(&snapshot, "a", &WalkLimits::default()).unwrap();
    assert_eq!(
        seen,
        [
            "link a/file",
            "module a/module",
            "link a/out",
            "link a/self",
            "link a/up",
            "file a/x"
        ]
    );
    assert_eq!(snapshot.tree_id("a/out"), Err(PathError::Symlink));
    assert_eq!(snapshot.tree_id("top/x"), Err(PathError::Symlink));
    assert_eq!(snapshot.tree_id("a/module/x"), Err(PathError::Submodule));
    assert_eq!(
        walk(&snapshot, "top", &WalkLimits::default()),
        Err(PathError::Symlink)
    );
}

#[test]
fn names_that_leave_or_lie_are_not_read() {
    let repo = Repo::with(&[("a", "1")]);
    let blob = repo.object("blob", b"x");
    let inner = repo.tree(&[("100644", b"passwd", &blob)]);
    let tree = repo.tree(&[
        ("40000", b"..", &inner),
        ("40000", b".git", &inner),
        ("40000", b".GIT ", &inner),
        ("100644", b"/etc/passwd", &blob),
        ("100644", b"a/../../b", &blob),
        ("100644", b"back\\slash", &blob),
        ("100644", b"bad\xff", &blob),
        ("100644", b"line\nbreak", &blob),
        ("100644", b"twice", &blob),
        ("40000", b"twice", &inner),
        ("100644", b"z", &blob),
    ]);
    repo.publish_tree(&tree);
    let (snapshot, _dir) = snapshot(&repo);
    let seen = walk(&snapshot, "", &WalkLimits::default()).unwrap();
    assert_eq!(
        seen.iter().filter(|line| line.starts_with("odd ")).count(),
        10,
        "{seen:?}"
    );
    assert_eq!(seen.last().unwrap(), "file z");
    assert!(seen.iter().all(|line| !line.contains('\n')));
    for path in ["..", ".git", "twice", "a/../.."] {
        assert_eq!(snapshot.tree_id(path), Err(PathError::Escapes), "{path}");
    }
}

#[test]
fn nesting_and_size_are_bounded() {
    let repo = Repo::with(&[("a", "1")]);
    let blob = repo.object("blob", b"x");
    let mut tree = repo.tree(&[("100644", b"f", &blob)]);
    for _ in 0..40 {
        // Each names the one below ten times: ten to the fortieth files in 40 objects.
        let names: Vec<String> = (0..10).map(|number| format!("d{number}")).collect();
        let entries: Vec<_> = names
            .iter()
            .map(|name| ("40000", name.as_bytes(), tree.as_str()))
            .collect();
        tree = repo.tree(&entries);
    }
    repo.publish_tree(&tree);
    let (snapshot, _dir) = snapshot(&repo);
    let start = std::time::Instant::now();
    let limits = WalkLimits {
        entries: 10_000,
        ..WalkLimits::default()
    };
    assert_eq!(
        walk(&snapshot, "", &limits),
        Err(PathError::TooLarge("too many files"))
    );
    let limits = WalkLimits {
        depth: 10,
        ..WalkLimits::default()
    };
    assert_eq!(
        walk(&snapshot, "", &limits),
        Err(PathError::TooLarge("directories nested too deeply"))
    );
    let limits = WalkLimits {
        path_bytes: 50,
        ..WalkLimits::default()
    };
    assert_eq!(
        walk(&snapshot, "", &limits),
        Err(PathError::TooLarge("a path is too long"))
    );
    assert!(start.elapsed().as_secs() < 5);
}

#[test]
fn order_is_bytewise_and_hidden_files_can_be_left_out() {
    let repo = Repo::with(&[
        ("b.c", "1"),
        ("b/a", "1"),
        ("b-a", "1"),
        ("a", "1"),
        (".hid/x", "1"),
        ("b/.x", "1"),
    ]);
    let (snapshot, _dir) = snapshot(&repo);
    let seen = walk(&snapshot, ".", &WalkLimits::default()).unwrap();
    assert_eq!(seen, ["file a", "file b-a", "file b.c", "file b/a"]);
    let all = WalkLimits {
        skip_hidden: false,
        ..WalkLimits::default()
    };
    assert_eq!(walk(&snapshot, "", &all).unwrap()[0], "file .hid/x");
    assert_eq!(walk(&snapshot, "b", &all).unwrap(), ["file b/.x", "file b/a"]);
}

#[test]
fn a_commit_message_is_made_safe_to_show() {
    let repo = Repo::with(&[("a", "1")]);
    repo.commit("red \u{1b}[31m\u{202e} text", &[]);
    repo.push();
    let (snapshot, _dir) = snapshot(&repo);
    assert_eq!(
        source::display_safe(&snapshot.commit().subject),
        "red \\u{1b}[31m\\u{202e} text"
    );
}

/// Hooks, filters and configuration are for who checks out.
#[test]
fn what_attacks_a_checkout_is_read_as_it_stands() {
    let repo = Repo::with(&[
        (".gitattributes", "* filter=evil text eol=crlf ident\n"),
        (
            "config",
            "[core]\n\tfsmonitor = touch /tmp/owned\n[filter \"evil\"]\n\tsmudge = touch /tmp/owned\n",
        ),
        ("hooks/post-checkout", "#!/bin/sh\ntouch /tmp/owned\n"),
        ("a", "one\n$Id$\n"),
        ("A", "another\n"),
    ]);
    let (snapshot, _dir) = snapshot(&repo);
    let mut seen = Vec::new();
    let everything = WalkLimits {
        skip_hidden: false,
        ..WalkLimits::default()
    };
    snapshot
        .walk("", &everything, |entry| {
            if let EntryKind::File { blob, .. } = entry.kind {
                seen.push((entry.path.to_string(), blob));
            }
        })
        .unwrap();
    let names: Vec<&str> = seen.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        names,
        [".gitattributes", "A", "a", "config", "hooks/post-checkout"]
    );
    assert_eq!(snapshot.blob(&seen[2].1, 100).unwrap(), b"one\n$Id$\n");
    assert_eq!(snapshot.blob(&seen[1].1, 100).unwrap(), b"another\n");
}
