//! What a commit changes, beside what `git diff-tree` says of it; and notes by the real git.

use std::os::unix::fs::PermissionsExt;

use source::{Commit, FileChange, Note, RepoPath, SourceError, Store};

use crate::support::http::{Mode, Server};
use crate::support::repo::Repo;
use crate::support::{main_branch, store};

/// Everything that can become of a file, on two lines that meet.
fn history(repo: &Repo) {
    repo.commit(
        "add",
        &[("a/one", "1"), ("a/two", "1"), ("a.b", "1"), ("both", "1")],
    );
    repo.commit("change", &[("a/one", "2")]);
    repo.git(&["mv", "a/two", "a/three"]);
    repo.git(&["commit", "-q", "-m", "move"]);
    let script = repo.work().join("a/one");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    repo.commit("a mode", &[]);
    repo.git(&["rm", "-q", "-r", "a"]);
    repo.commit("a directory becomes a file", &[("a", "file")]);
    repo.git(&["rm", "-q", "a"]);
    repo.commit("and back", &[("a/one", "3"), ("a/deep/er", "1")]);
    std::os::unix::fs::symlink("a/one", repo.work().join("link")).unwrap();
    repo.commit("a link", &[]);
    repo.git(&["commit", "-q", "--allow-empty", "-m", "nothing"]);
    repo.git(&["checkout", "-q", "-b", "side", "HEAD~3"]);
    repo.commit("on the side", &[("side/new", "1"), ("both", "2")]);
    repo.git(&["checkout", "-q", "main"]);
    repo.commit("meanwhile", &[("both", "3")]);
    let merged = std::panic::catch_unwind(|| repo.git(&["merge", "-q", "--no-ff", "-m", "merge", "side"]));
    assert!(merged.is_err(), "both changed it");
    repo.commit("merged by hand", &[("both", "4"), ("slipped", "in")]);
    repo.push();
}

fn all(repo: &Repo, server: &Server, store: &Store) -> Vec<Commit> {
    let head = repo.head().parse().unwrap();
    let found = store.chronicle(&server.remote(), &main_branch(), head, None, 100);
    found.unwrap().commits
}

/// Path, before and after of every file, as git has it.
fn by_git(repo: &Repo, commit: &str, path: &str) -> Vec<(String, String, String)> {
    let raw = repo.git(&[
        "diff-tree",
        "-r",
        "-c",
        "--root",
        "--raw",
        "--no-renames",
        "--no-abbrev",
        "--no-commit-id",
        commit,
        "--",
        path,
    ]);
    raw.lines()
        .map(|line| {
            let (head, path) = line.split_once('\t').unwrap();
            let parents = head.bytes().take_while(|byte| *byte == b':').count();
            let words: Vec<&str> = head.trim_start_matches(':').split(' ').collect();
            let (before, after) = (words[parents + 1], words[2 * parents + 1]);
            (path.to_owned(), before.to_owned(), after.to_owned())
        })
        .collect()
}

fn by_us(files: &[FileChange]) -> Vec<(String, String, String)> {
    let id = |id: Option<source::BlobId>| id.map_or_else(|| "0".repeat(40), |id| id.to_string());
    files
        .iter()
        .map(|file| (file.path.clone(), id(file.before), id(file.after)))
        .collect()
}

#[test]
fn a_commit_changes_what_git_says_that_it_changes() {
    let repo = Repo::with(&[("first", "1")]);
    history(&repo);
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let kept = store(dir.path());
    let commits = all(&repo, &server, &kept);
    assert_eq!(commits.len(), 12);
    for path in ["", "a", "both", "nowhere"] {
        let below = RepoPath::parse(path).unwrap();
        let git_path = if path.is_empty() { "." } else { path };
        for commit in &commits {
            let changed = kept.changed(commit, &below, &|| Ok(())).unwrap();
            let id = commit.id.to_string();
            assert_eq!(
                by_us(&changed.files),
                by_git(&repo, &id, git_path),
                "{path}: {}",
                commit.subject
            );
        }
        // Those that touch it are those that git lists for it, side branches too.
        let listed = repo.git(&["log", "--format=%H", "--full-history", "--", git_path]);
        let mut listed: Vec<&str> = listed.lines().collect();
        let touching = commits
            .iter()
            .filter(|commit| kept.changed(commit, &below, &|| Ok(())).unwrap().touches);
        let mut touching: Vec<String> = touching.map(|commit| commit.id.to_string()).collect();
        listed.sort_unstable();
        touching.sort_unstable();
        assert_eq!(touching, listed, "{path}");
    }
}

#[test]
fn contents_are_read_within_bounds_and_what_is_not_here_is_left_out() {
    let repo = Repo::with(&[("small", "1"), ("large", &"x".repeat(2_000))]);
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let kept = store(dir.path());
    let commits = all(&repo, &server, &kept);
    let files = kept
        .changed(&commits[0], &RepoPath::parse("").unwrap(), &|| Ok(()))
        .unwrap()
        .files;
    let over = || Err(SourceError::Timeout("nobody waits for it"));
    let ended = kept.changed(&commits[0], &RepoPath::root(), &over);
    assert_eq!(ended, Err(SourceError::Timeout("nobody waits for it")));
    let ids: Vec<_> = files.iter().filter_map(|file| file.after).collect();
    let nowhere = "0123456789012345678901234567890123456789".parse().unwrap();
    assert!(matches!(
        kept.contents(ids.clone(), 5_000, 2_000),
        Err(SourceError::TooLarge(_))
    ));
    assert_eq!(kept.contents(ids.clone(), 5_000, 2_001).unwrap().len(), 2);
    let contents = kept.contents(ids.into_iter().chain([nowhere]), 1_000, 1).unwrap();
    assert_eq!(contents.into_values().collect::<Vec<_>>(), [b"1".to_vec()]);
}

#[test]
fn notes_are_had_from_every_ref_that_begins_so() {
    let repo = Repo::with(&[("a", "1")]);
    let first = repo.head();
    let second = repo.commit("second", &[("a", "2")]);
    repo.push();
    let note = |reference: &str, commit: &str, text: &str| {
        repo.git(&["notes", "--ref", reference, "add", "-m", text, commit]);
        repo.git(&[
            "push",
            "-q",
            "origin",
            &format!("+refs/notes/{reference}:refs/notes/{reference}"),
        ]);
    };
    note("signet/prod", &first, "of prod");
    note("signet/prod", &second, &"x".repeat(500));
    note("signet/test", &second, "of test");
    note("commits", &second, "of others");
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let kept = store(dir.path());
    let ids = [first.parse().unwrap(), second.parse().unwrap()];
    let told = || {
        let notes = kept
            .notes(&server.remote(), "refs/notes/signet/", &ids, 100)
            .unwrap();
        let told = |note: &Note| {
            let text = String::from_utf8(note.text.clone()).unwrap();
            format!("{} {} {}", note.reference, note.commit == ids[0], text.trim())
        };
        notes.iter().map(told).collect::<Vec<_>>()
    };
    let expected = [
        "refs/notes/signet/prod true of prod",
        "refs/notes/signet/test false of test",
    ];
    assert_eq!(told(), expected);
    let posts = || {
        server
            .requests()
            .iter()
            .filter(|request| request.method == "POST")
            .count()
    };
    let before = posts();
    let gone = server.remote().for_one_look();
    gone.budget.as_ref().unwrap().cancel();
    let nobody = kept.notes(&gone, "refs/notes/signet/", &ids, 100);
    assert!(matches!(nobody, Err(SourceError::Timeout(_))), "{nobody:?}");
    assert_eq!(told(), expected);
    assert_eq!(posts(), before, "what is held is not fetched again");

    // Spread over directories, as git does with many.
    repo.git(&["fetch", "-q", "origin", "refs/notes/signet/test"]);
    let blob = repo.git(&["notes", "--ref", "signet/test", "list", &second]);
    let inner = repo.tree(&[("100644", &second.as_bytes()[4..], blob.trim())]);
    let middle = repo.tree(&[("40000", &second.as_bytes()[2..4], &inner)]);
    let top = repo.tree(&[("40000", &second.as_bytes()[..2], &middle)]);
    let commit = repo.git(&["commit-tree", "-m", "spread", &top]);
    repo.git(&[
        "push",
        "-q",
        "-f",
        "origin",
        &format!("{}:refs/notes/signet/test", commit.trim()),
    ]);
    assert_eq!(told(), expected);
}
