//! The store's directory: permissions, crashes, damage, renewal.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use source::{EntryKind, PathError, Rewritten, Snapshot, SourceError, Store, StoreOptions, WalkLimits};

use crate::support::http::{Mode, Server};
use crate::support::repo::Repo;
use crate::support::{fetch, main_branch, store};

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

fn content(snapshot: &Snapshot) -> Result<String, PathError> {
    let mut text = Vec::new();
    let mut result = Ok(());
    snapshot.walk("", &WalkLimits::default(), |entry| {
        let EntryKind::File { blob, .. } = entry.kind else {
            return;
        };
        match snapshot.blob(&blob, 1000) {
            Ok(bytes) => text.extend(bytes),
            Err(error) => result = Err(error),
        }
    })?;
    result.map(|()| String::from_utf8(text).unwrap())
}

#[test]
fn it_is_private_and_has_one_owner() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir.path().join("store")), 0o700);
    assert_eq!(mode(&store.repository_dir()), 0o700);
    assert_eq!(
        Store::open(&dir.path().join("store")).unwrap_err(),
        SourceError::StoreBusy
    );
    drop(store);
    Store::open(&dir.path().join("store")).unwrap();
}

#[test]
fn it_survives_a_restart() {
    let repo = Repo::with(&[("a", "1")]);
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let first = fetch(&store(dir.path()), &server.remote()).unwrap().commit().id;
    let store = store(dir.path());
    let held = store.held(&server.remote(), &main_branch()).unwrap().unwrap();
    assert_eq!(held.commit().id, first);
    assert_eq!(content(&held).unwrap(), "1");
    assert!(!fetch(&store, &server.remote()).unwrap().changed());
}

#[test]
fn leftovers_of_a_crash_are_removed() {
    let repo = Repo::with(&[("a", "1")]);
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    fetch(&store(dir.path()), &server.remote()).unwrap();
    let root = dir.path().join("store");
    fs::create_dir_all(root.join("tmp-9/objects")).unwrap();
    fs::create_dir_all(root.join("gen-0")).unwrap();
    fs::write(root.join("tmp-x"), "garbage").unwrap();
    fs::write(root.join("unrelated"), "kept").unwrap();
    let half_a_pack = root.join("gen-1/objects/pack/pack_git2_x");
    fs::write(&half_a_pack, "PACK").unwrap();
    let store = store(dir.path());
    let mut names: Vec<_> = fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["gen-1", "lock", "unrelated"]);
    assert!(!half_a_pack.exists());
    assert!(store.held(&server.remote(), &main_branch()).unwrap().is_some());
}

/// Whatever a crash or a bad disk does to whichever file: the store opens, and fetches.
#[test]
fn damage_anywhere_is_repaired_by_fetching() {
    let repo = Repo::with(&[("a", "1"), ("b/c", "2")]);
    let server = Server::start(repo.root(), Mode::Good);
    let make = || {
        let dir = tempfile::tempdir().unwrap();
        fetch(&store(dir.path()), &server.remote()).unwrap();
        dir
    };
    let names: Vec<PathBuf> = {
        let dir = make();
        files(dir.path())
            .iter()
            .map(|path| path.strip_prefix(dir.path()).unwrap().to_owned())
            .collect()
    };
    assert!(names.len() > 4, "{names:?}");
    for name in names {
        for damage in ["empty", "garbage", "gone"] {
            let dir = make();
            let path = dir.path().join(&name);
            fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
            match damage {
                "empty" => fs::write(&path, "").unwrap(),
                "garbage" => fs::write(&path, [0xa5; 700]).unwrap(),
                _ => fs::remove_file(&path).unwrap(),
            }
            let store = store(dir.path());
            let mut fetched = fetch(&store, &server.remote())
                .unwrap_or_else(|error| panic!("{} {damage}: {error}", name.display()));
            // What was damaged below the root shows when it is read; then the next fetch repairs it.
            if content(&fetched.snapshot).is_err() {
                fetched = fetch(&store, &server.remote()).unwrap();
            }
            assert_eq!(
                content(&fetched.snapshot).unwrap(),
                "12",
                "{} {damage}",
                name.display()
            );
        }
    }
}

#[test]
fn locks_of_a_crash_do_not_stop_fetching() {
    let repo = Repo::with(&[("a", "1")]);
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    fetch(&store(dir.path()), &server.remote()).unwrap();
    for path in files(&dir.path().join("store/gen-1")) {
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.starts_with("pack-") {
            fs::write(path.with_file_name(format!("{name}.lock")), "").unwrap();
        }
    }
    let store = store(dir.path());
    let first = store
        .held(&server.remote(), &main_branch())
        .unwrap()
        .unwrap()
        .commit()
        .id;
    repo.commit("second", &[("a", "2")]);
    repo.push();
    let fetched = fetch(&store, &server.remote()).unwrap();
    assert_eq!((fetched.previous, fetched.forced), (Some(first), Rewritten::No));
    assert_eq!(content(&fetched.snapshot).unwrap(), "2");
}

#[test]
fn damage_under_a_running_store_is_repaired_too() {
    let repo = Repo::with(&[("a", "1")]);
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    fetch(&store, &server.remote()).unwrap();
    fs::remove_dir_all(store.repository_dir().join("objects")).unwrap();
    repo.commit("second", &[("a", "2")]);
    repo.push();
    let fetched = fetch(&store, &server.remote()).unwrap();
    assert_eq!(content(&fetched.snapshot).unwrap(), "2");
}

#[test]
fn many_packs_are_replaced_and_old_snapshots_stay_readable() {
    let repo = Repo::with(&[("a", "0")]);
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_with(
        &dir.path().join("store"),
        StoreOptions {
            max_packs: 3,
            ..StoreOptions::default()
        },
    )
    .unwrap();
    let mut snapshots = vec![fetch(&store, &server.remote()).unwrap().snapshot];
    let first_dir = store.repository_dir();
    for number in 1..6 {
        repo.commit("next", &[("a", &number.to_string())]);
        repo.push();
        let fetched = fetch(&store, &server.remote()).unwrap();
        assert_eq!(fetched.forced, Rewritten::No, "{number}");
        snapshots.push(fetched.snapshot);
    }
    assert_ne!(store.repository_dir(), first_dir);
    for (number, snapshot) in snapshots.iter().enumerate() {
        assert_eq!(content(snapshot).unwrap(), number.to_string());
    }
    assert!(first_dir.exists());
    snapshots.clear();
    assert!(!first_dir.exists() && store.repository_dir().exists());
    // And after a restart.
    let id = store
        .held(&server.remote(), &main_branch())
        .unwrap()
        .unwrap()
        .commit()
        .id;
    drop(store);
    let store = Store::open(&dir.path().join("store")).unwrap();
    assert_eq!(
        store
            .held(&server.remote(), &main_branch())
            .unwrap()
            .unwrap()
            .commit()
            .id,
        id
    );
}
