//! A commit that one store has fetched, taken over by another one.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use source::{CommitId, RefSpec, Rewritten, SourceError, Store, StoreOptions};

use crate::support::http::{Mode, Server};
use crate::support::repo::{Repo, command};
use crate::support::{fetch, main_branch};

/// What Git itself makes of the store: everything that the commit needs is there.
fn is_whole(store: &Store, commit: &str) -> bool {
    let dir = store.repository_dir();
    let run = |arguments: &[&str]| {
        let mut git = command(&dir);
        git.args(["--git-dir", "."]).args(arguments);
        git.output().unwrap().status.success()
    };
    run(&["fsck", "--connectivity-only", commit]) && run(&["archive", "--output", "/dev/null", commit])
}

fn packs(store: &Store) -> Vec<PathBuf> {
    let files = fs::read_dir(store.repository_dir().join("objects/pack")).unwrap();
    let files = files.map(|file| file.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|ending| ending == "pack"))
        .collect()
}

fn open(dir: &Path, max_packs: usize) -> Store {
    let options = StoreOptions {
        max_packs,
        ..StoreOptions::default()
    };
    Store::open_with(dir, options).unwrap()
}

struct World {
    repo: Repo,
    server: Server,
    dir: tempfile::TempDir,
    first: Store,
    second: Store,
}

impl World {
    fn new() -> Self {
        Self::with(50)
    }

    fn with(max_packs: usize) -> Self {
        let repo = Repo::with(&[("a", "1"), ("dir/b", "1")]);
        let dir = tempfile::tempdir().unwrap();
        Self {
            server: Server::start(repo.root(), Mode::Good),
            repo,
            first: open(&dir.path().join("first"), max_packs),
            second: open(&dir.path().join("second"), max_packs),
            dir,
        }
    }

    fn fetch(&self) -> source::Fetched {
        fetch(&self.first, &self.server.remote()).unwrap()
    }

    fn take(&self, from: &source::Fetched) -> Result<source::Fetched, SourceError> {
        let remote = self.server.remote();
        self.second
            .take(&from.snapshot, &from.label, &remote, &main_branch())
    }

    /// Requests so far.
    fn asked(&self) -> usize {
        self.server.requests().len()
    }
}

#[test]
fn nothing_is_asked_and_the_disk_holds_it_once() {
    let world = World::new();
    let fetched = world.fetch();
    let asked = world.asked();
    let taken = world.take(&fetched).unwrap();
    assert_eq!(world.asked(), asked);
    assert_eq!((taken.previous, taken.forced), (None, Rewritten::No));
    assert_eq!(taken.label, fetched.label);
    let commit = world.repo.head();
    assert!(is_whole(&world.second, &commit));
    for pack in packs(&world.second) {
        assert_eq!(fs::metadata(pack).unwrap().nlink(), 2);
    }

    // It is this store's own from now on: without the other one, after a restart, and as what the next fetch begins from.
    let World {
        repo,
        server,
        dir,
        first,
        second,
    } = world;
    drop((fetched, taken, first, second));
    fs::remove_dir_all(dir.path().join("first")).unwrap();
    let second = open(&dir.path().join("second"), 50);
    let held = second.held(&server.remote(), &main_branch()).unwrap().unwrap();
    assert_eq!(held.commit().id.to_string(), commit);
    assert!(is_whole(&second, &commit));
    let next = repo.commit("Two", &[("a", "2")]);
    repo.push();
    let fetched = fetch(&second, &server.remote()).unwrap();
    assert_eq!(fetched.previous, Some(commit.parse::<CommitId>().unwrap()));
    assert_eq!(fetched.forced, Rewritten::No);
    assert!(is_whole(&second, &next));
}

#[test]
fn each_commit_is_taken_and_a_rewritten_branch_is_noticed() {
    let world = World::new();
    world.take(&world.fetch()).unwrap();
    // Three at once: whoever fetches has to look into history, and that is taken over as well.
    for text in ["2", "3", "4"] {
        world.repo.commit("Next", &[("a", text)]);
    }
    world.repo.push();
    let fetched = world.fetch();
    let asked = world.asked();
    let taken = world.take(&fetched).unwrap();
    assert_eq!((taken.previous, taken.forced), (fetched.previous, Rewritten::No));
    assert!(is_whole(&world.second, &world.repo.head()));
    world
        .repo
        .git(&["commit", "--quiet", "--amend", "--message", "Another"]);
    world.repo.git(&["push", "--quiet", "--force", "origin", "HEAD"]);
    let fetched = world.fetch();
    let before = world.asked();
    let taken = world.take(&fetched).unwrap();
    assert_eq!(taken.forced, Rewritten::Yes);
    assert_eq!(fetched.forced, Rewritten::Yes);
    assert_eq!(world.asked(), before);
    assert!(asked < before, "the other one fetched in between");
    assert!(is_whole(&world.second, &world.repo.head()));
}

#[test]
fn one_that_is_full_begins_anew_with_what_the_other_has() {
    let world = World::with(3);
    let mut generations = Vec::new();
    for number in 0..12 {
        world.repo.commit("Next", &[("a", &format!("{number}"))]);
        world.repo.push();
        world.take(&world.fetch()).unwrap();
        assert!(packs(&world.second).len() <= 4, "{number}");
        assert!(is_whole(&world.second, &world.repo.head()), "{number}");
        generations.push(world.second.repository_dir());
    }
    generations.dedup();
    assert!(generations.len() > 1);
}

#[test]
fn what_is_gone_cannot_be_taken_and_changes_nothing() {
    let world = World::new();
    let one = world.repo.head();
    world.take(&world.fetch()).unwrap();
    world.repo.commit("Two", &[("a", "2")]);
    world.repo.push();
    let fetched = world.fetch();
    fs::remove_dir_all(world.first.repository_dir()).unwrap();
    assert!(matches!(world.take(&fetched), Err(SourceError::Store(_))));
    let held = world
        .second
        .held(&world.server.remote(), &main_branch())
        .unwrap()
        .unwrap();
    assert_eq!(held.commit().id.to_string(), one);
    assert!(is_whole(&world.second, &one));
    // Then it is fetched.
    fetch(&world.second, &world.server.remote()).unwrap();
    assert!(is_whole(&world.second, &world.repo.head()));
}

#[test]
fn nobody_is_given_what_came_from_another_remote() {
    let world = World::new();
    let other = Repo::with(&[("secret", "1")]);
    let theirs = Server::start(other.root(), Mode::Good);
    let secret: CommitId = other.head().parse().unwrap();
    // A store that has followed something else before.
    fetch(&world.first, &theirs.remote()).unwrap();
    let fetched = world.fetch();
    assert!(matches!(world.take(&fetched), Err(SourceError::Store(_))));
    assert!(world.second.snapshot(secret).is_err());
    // Nor is it given to whoever follows that commit by its name, here.
    let by_name = RefSpec::Commit(secret);
    let asked = world.first.fetch(&world.server.remote(), &by_name).unwrap_err();
    assert!(matches!(asked, SourceError::CommitNotServed(_)), "{asked:?}");
    assert!(world.first.snapshot(secret).is_ok(), "it is there all the same");
}
