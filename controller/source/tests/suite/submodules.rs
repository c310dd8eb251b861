//! Submodules: followed where it is asked for, and no further than that.

use source::{Remote, Snapshot, SourceError, Store, StoreOptions, Submodules, WalkLimits};
use std::time::Duration;

use crate::support::http::{Mode, Server};
use crate::support::repo::Repo;
use crate::support::{fetch, store};

/// A repository whose server serves another one as `NAME.git`.
pub(crate) fn beside(repo: &Repo, name: &str, other: &Repo) {
    std::os::unix::fs::symlink(other.bare(), repo.root().join(format!("{name}.git"))).unwrap();
}

/// Commits a link, listed with this address.
fn link(repo: &Repo, path: &str, url: &str, commit: &str) -> String {
    let listed = repo.work().join(".gitmodules");
    let before = std::fs::read_to_string(listed).unwrap_or_default();
    let text = format!("{before}[submodule \"{path}\"]\n\tpath = {path}\n\turl = {url}\n");
    repo.write(".gitmodules", text);
    // An empty directory is what a clone has of it; without one, `git add` takes the link away.
    std::fs::create_dir_all(repo.work().join(path)).unwrap();
    repo.git(&["add", ".gitmodules"]);
    repo.git(&[
        "update-index",
        "--add",
        "--cacheinfo",
        &format!("160000,{commit},{path}"),
    ]);
    repo.git(&["commit", "-q", "-m", &format!("link {path}")]);
    repo.push();
    repo.head()
}

fn files(snapshot: &Snapshot) -> Vec<String> {
    let mut seen = Vec::new();
    snapshot
        .walk("", &WalkLimits::default(), |entry| {
            seen.push(format!("{:?} {}", entry.kind, entry.path));
        })
        .unwrap();
    seen.iter()
        .map(|line| line.rsplit(' ').next().unwrap().to_owned())
        .collect()
}

pub(crate) fn whole(store: &Store, remote: &Remote, hosts: &[&str]) -> Result<Snapshot, SourceError> {
    let found = fetch(store, remote).unwrap().snapshot;
    let wanted = Submodules {
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
    };
    store.with_submodules(&found, remote, &[], &wanted, true)
}

fn packs(server: &Server) -> usize {
    let requests = server.requests();
    requests.iter().filter(|request| request.method == "POST").count()
}

/// No submodule was asked for.
fn only_repo_was_asked(server: &Server) {
    let mut requests = server.requests().into_iter();
    assert!(requests.all(|request| request.target.starts_with("/repo.git/")));
}

#[test]
fn submodules_are_directories_and_so_are_theirs() {
    let (leaf, lib, repo) = (
        Repo::with(&[("leaf.yaml", "1")]),
        Repo::with(&[("lib.yaml", "1")]),
        Repo::with(&[("apps/web.yaml", "1")]),
    );
    beside(&repo, "lib", &lib);
    beside(&repo, "leaf", &leaf);
    let inner = link(&lib, "deep/leaf", "./../leaf.git", &leaf.head());
    // Not the branch's head any more: what the link names counts.
    lib.commit("later", &[("later.yaml", "1")]);
    lib.push();
    link(&repo, "apps/lib", "../lib.git", &inner);
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let first = store(dir.path());
    let found = whole(&first, &server.remote(), &[]).unwrap();
    assert_eq!(
        files(&found),
        [
            "apps/lib/deep/leaf/leaf.yaml",
            "apps/lib/lib.yaml",
            "apps/web.yaml"
        ]
    );
    assert_eq!(found.commit().id.to_string(), repo.head());
    // Whose to change each file is.
    for (path, submodule) in [
        ("apps/web.yaml", None),
        ("apps/lib/lib.yaml", Some("apps/lib")),
        ("apps/lib/deep/leaf/leaf.yaml", Some("apps/lib")),
        ("apps/lib.yaml", None),
    ] {
        assert_eq!(found.submodule_of(path).unwrap().as_deref(), submodule, "{path}");
    }
    assert!(!found.is_same(&first.snapshot(found.commit().id).unwrap()));

    // Nothing is fetched again, also after a restart, also without the network.
    let before = packs(&server);
    let again = whole(&first, &server.remote(), &[]).unwrap();
    assert!(again.is_same(&found));
    drop((found, again, first));
    let held = store(dir.path());
    let head = held
        .held(&server.remote(), &crate::support::main_branch())
        .unwrap()
        .unwrap();
    let offline = held
        .with_submodules(&head, &server.remote(), &[], &Submodules::default(), false)
        .unwrap();
    assert_eq!(packs(&server), before);
    assert_eq!(
        offline.submodule_of("apps/lib/x").unwrap().as_deref(),
        Some("apps/lib")
    );

    // Another store makes the same trees, so that what did not change is the same.
    let elsewhere = tempfile::tempdir().unwrap();
    let same = whole(&store(elsewhere.path()), &server.remote(), &[]).unwrap();
    assert_eq!(same.tree_id("apps").unwrap(), offline.tree_id("apps").unwrap());
    repo.commit("beside", &[("other.yaml", "1")]);
    repo.push();
    let later = whole(&held, &server.remote(), &[]).unwrap();
    assert_eq!(later.tree_id("apps").unwrap(), offline.tree_id("apps").unwrap());
}

#[test]
fn without_being_asked_for_and_without_being_listed_a_link_is_a_link() {
    let (lib, repo) = (Repo::with(&[("lib.yaml", "1")]), Repo::with(&[("a", "1")]));
    beside(&repo, "lib", &lib);
    repo.git(&[
        "update-index",
        "--add",
        "--cacheinfo",
        &format!("160000,{},lib", lib.head()),
    ]);
    repo.git(&["commit", "-q", "-m", "a link that nothing lists"]);
    repo.push();
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(
        files(&whole(&store(dir.path()), &server.remote(), &[]).unwrap()),
        ["a", "lib"]
    );
    only_repo_was_asked(&server);
}

#[test]
fn the_login_goes_to_no_other_port_and_no_host_that_is_not_named() {
    let (lib, far, repo) = (
        Repo::with(&[("lib.yaml", "1")]),
        Repo::with(&[("far.yaml", "1")]),
        Repo::with(&[("a", "1")]),
    );
    let other = Server::start(far.root(), Mode::Good);
    let own = Server::start(repo.root(), Mode::Guarded("Bearer hunter2".into()));
    beside(&repo, "own", &lib);
    link(&repo, "near", "../own.git", &lib.head());
    link(&repo, "far", &other.url(), &far.head());
    let mut remote = own.remote();
    remote.auth = source::Auth::Bearer(zeroize::Zeroizing::new("hunter2".into()));
    let dir = tempfile::tempdir().unwrap();
    let found = whole(&store(dir.path()), &remote, &[]).unwrap();
    assert_eq!(files(&found), ["a", "far/far.yaml", "near/lib.yaml"]);
    let anonymous = || {
        let requests = other.requests();
        let shown = requests
            .iter()
            .any(|request| request.header("authorization").is_some());
        assert!(!shown, "it was shown the login");
        requests.len()
    };
    assert!(anonymous() > 0);

    // By another name it is another host.
    let new = far.commit("new", &[("new", "1")]);
    far.push();
    link(
        &repo,
        "named",
        &other.url().replace("127.0.0.1", "localhost"),
        &new,
    );
    let (before, dir) = (anonymous(), tempfile::tempdir().unwrap());
    let kept = store(dir.path());
    let refused = whole(&kept, &remote, &[]).unwrap_err();
    assert!(
        matches!(&refused, SourceError::BadSubmodule(path, _) if path == "named"),
        "{refused:?}"
    );
    assert!(refused.to_string().contains("spec.submodules.hosts"), "{refused}");
    let asked = anonymous();
    assert!(whole(&kept, &remote, &["localhost"]).is_ok());
    assert!(
        asked > before && anonymous() > asked,
        "each was asked when it was allowed"
    );
}

#[test]
fn a_hostile_list_is_refused_and_nobody_is_asked() {
    let repo = Repo::with(&[("a", "1"), ("dir/x", "1")]);
    std::os::unix::fs::symlink("dir", repo.work().join("to")).unwrap();
    let head = repo.commit("a way round", &[]);
    repo.git(&[
        "update-index",
        "--add",
        "--cacheinfo",
        &format!("160000,{head},lib"),
    ]);
    repo.git(&["commit", "-q", "-m", "a link"]);
    let server = Server::start(repo.root(), Mode::Good);
    let list = |path: &str, url: &str| format!("[submodule \"x\"]\npath = {path}\nurl = {url}\n");
    let good = "../lib.git";
    for (text, part) in [
        (list("lib", "file:///etc"), "own disk"),
        (list("lib", "/etc/passwd"), "scheme"),
        (list("lib", "ext::sh -c id"), "cannot be used"),
        (list("lib", "-u./payload"), "scheme"),
        (list("lib", "--upload-pack=id"), "scheme"),
        (list("lib", "https://169.254.169.254/latest"), "host"),
        (list("lib", "../../../169.254.169.254/x"), "leaves the host"),
        (list("lib", "http://127.0.0.1@evil.example/x"), "credentials"),
        (list("lib", "git@127.0.0.1:x"), "SSH"),
        (list("../lib", good), "leaves the repository"),
        (list("/lib", good), "leaves the repository"),
        (list("dir/../lib", good), "leaves the repository"),
        (list(".git/modules/x", good), "leaves the repository"),
        (list("-u", good), "leaves the repository"),
        (list("to/lib", good), "symbolic link"),
        (
            list("lib", good) + "[submodule \"y\"]\npath = lib/in\nurl = ../x\n",
            "inside it",
        ),
        (
            list("lib", good) + "[submodule \"y\"]\npath = lib\nurl = ../x\n",
            "that of another",
        ),
        (list("lib", good) + "path = other\n", "twice"),
        ("x".repeat(70_000), "very long"),
    ] {
        repo.write(".gitmodules", &text);
        repo.git(&["add", ".gitmodules"]);
        repo.git(&["commit", "-q", "-m", "a list"]);
        repo.push();
        let dir = tempfile::tempdir().unwrap();
        let refused = whole(&store(dir.path()), &server.remote(), &[]).unwrap_err();
        assert!(
            matches!(refused, SourceError::BadSubmodule(..)),
            "{text}: {refused:?}"
        );
        assert!(refused.to_string().contains(part), "{text}: {refused}");
    }
    // The list itself is a link, which git does not write.
    let target = repo.object("blob", b"/etc/passwd");
    let tree = repo.tree(&[("120000", b".gitmodules", &target), ("160000", b"lib", &head)]);
    repo.publish_tree(&tree);
    let dir = tempfile::tempdir().unwrap();
    let refused = whole(&store(dir.path()), &server.remote(), &[]).unwrap_err();
    assert!(matches!(refused, SourceError::BadSubmodule(..)), "{refused:?}");
    only_repo_was_asked(&server);
}

#[test]
fn what_cannot_be_had_and_what_is_too_much_is_said_with_its_path() {
    let (lib, repo) = (Repo::with(&[("lib.yaml", "1")]), Repo::with(&[("a", "1")]));
    beside(&repo, "lib", &lib);
    let server = Server::start(repo.root(), Mode::Good);
    let refused = |part: &str| {
        let dir = tempfile::tempdir().unwrap();
        let error = whole(&store(dir.path()), &server.remote(), &[]).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        error
    };
    // A commit that the server does not give by its name, and that its branch does not hold.
    let gone = lib.git(&["commit-tree", "-m", "nowhere", "HEAD^{tree}"]);
    link(&repo, "lib", "../lib.git", &gone);
    assert!(matches!(
        refused("the submodule lib"),
        SourceError::Submodule { .. }
    ));
    repo.git(&["rm", "-q", "--cached", "lib"]);
    repo.write(".gitmodules", "");
    let gone = link(&repo, "none", "../none.git", &lib.head());
    assert_eq!(gone, repo.head());
    let error = refused("the submodule none cannot be fetched: no repository");
    assert!(!error.is_outage() && error.hint().contains("URL"));
    repo.git(&["rm", "-q", "--cached", "none"]);
    repo.write(".gitmodules", "");

    for number in 0..65 {
        let listed = std::fs::read_to_string(repo.work().join(".gitmodules")).unwrap();
        repo.write(
            ".gitmodules",
            format!("{listed}[submodule \"{number}\"]\npath = m{number}\nurl = ../lib.git\n"),
        );
        repo.git(&[
            "update-index",
            "--add",
            "--cacheinfo",
            &format!("160000,{},m{number}", lib.head()),
        ]);
    }
    repo.git(&["add", ".gitmodules"]);
    repo.git(&["commit", "-q", "-m", "many"]);
    repo.push();
    assert!(matches!(refused("over 64 submodules"), SourceError::TooLarge(_)));

    // Each links to the one before.
    let mut chain = lib.head();
    for number in 0..5 {
        let next = Repo::with(&[("x", "1")]);
        beside(&repo, &format!("chain{number}"), &next);
        let before = if number == 0 {
            "lib".to_owned()
        } else {
            format!("chain{}", number - 1)
        };
        chain = link(&next, "in", &format!("../{before}.git"), &chain);
        std::mem::forget(next);
    }
    repo.git(&["rm", "-q", "-r", "--cached", "."]);
    repo.write(".gitmodules", "");
    link(&repo, "deep", "../chain4.git", &chain);
    assert!(matches!(refused("in each other"), SourceError::TooLarge(_)));
}

#[test]
fn a_store_made_anew_keeps_its_submodules() {
    let (leaf, lib, repo) = (
        Repo::with(&[("leaf.yaml", "1")]),
        Repo::with(&[("lib.yaml", "1")]),
        Repo::with(&[("a", "0")]),
    );
    beside(&repo, "lib", &lib);
    beside(&repo, "leaf", &leaf);
    let inner = link(&lib, "leaf", "../leaf.git", &leaf.head());
    link(&repo, "lib", "../lib.git", &inner);
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        max_packs: 4,
        ..StoreOptions::default()
    };
    let kept = Store::open_with(&dir.path().join("store"), options).unwrap();
    let first = whole(&kept, &server.remote(), &[]).unwrap();
    let before = kept.repository_dir();
    // Both are gone from where they were.
    for name in ["lib", "leaf"] {
        std::fs::remove_file(repo.root().join(format!("{name}.git"))).unwrap();
    }
    for number in 1..8 {
        repo.commit("next", &[("a", &number.to_string())]);
        repo.push();
        let found = whole(&kept, &server.remote(), &[]).unwrap();
        assert_eq!(found.tree_id("lib").unwrap(), first.tree_id("lib").unwrap());
        assert_eq!(files(&found), ["a", "lib/leaf/leaf.yaml", "lib/lib.yaml"]);
    }
    assert_ne!(kept.repository_dir(), before);
    drop((first, kept));
    let again = Store::open(&dir.path().join("store")).unwrap();
    repo.commit("after", &[("a", "after")]);
    repo.push();
    assert_eq!(files(&whole(&again, &server.remote(), &[]).unwrap()).len(), 3);
}

#[test]
fn what_one_look_may_cost_is_for_all_submodules_together() {
    let repo = Repo::with(&[("a", "1")]);
    for number in 0..4_u8 {
        let noise: Vec<u8> = (0..30_000_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 7).to_le_bytes()[0] ^ number)
            .collect();
        let lib = Repo::empty();
        lib.write("noise", noise);
        lib.commit("noise", &[]);
        lib.push();
        beside(&repo, &format!("lib{number}"), &lib);
        link(
            &repo,
            &format!("lib{number}"),
            &format!("../lib{number}.git"),
            &lib.head(),
        );
        std::mem::forget(lib);
    }
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let too_large = |remote: &Remote, words: &str| {
        let store = store(&dir.path().join(words.replace(' ', "-")));
        let error = whole(&store, remote, &[]).unwrap_err();
        let SourceError::Submodule { path, why } = error else {
            panic!("{error:?}");
        };
        assert!(path != "lib0" && why.to_string().contains(words), "{path}: {why}");
    };
    let mut remote = server.remote();
    remote.limits.unpacked_bytes = Some(100_000);
    too_large(&remote, "packs that hold over");
    let mut remote = server.remote();
    remote.limits.objects = 8;
    too_large(&remote, "over 8 objects");

    // With a budget of its own, what was fetched before them counts, too: three objects of the repository itself.
    let mut remote = server.remote();
    remote.limits.objects = 14;
    let fresh = store(&dir.path().join("alone"));
    assert!(whole(&fresh, &remote, &[]).is_ok());
    let looking = remote.for_one_look();
    let fresh = store(&dir.path().join("together"));
    assert!(whole(&fresh, &looking, &[]).is_err());
}

#[test]
fn a_list_that_takes_too_long_to_read_ends() {
    let repo = Repo::with(&[("a", "1")]);
    let list: Vec<String> = (0..500)
        .map(|n| format!("[submodule \"{n}\"]\npath = no/{n}\nurl = ../x\n"))
        .collect();
    repo.commit("a list of nothing", &[(".gitmodules", &list.concat())]);
    repo.push();
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let kept = store(dir.path());
    let found = fetch(&kept, &server.remote()).unwrap().snapshot;
    let mut remote = server.remote();
    let wanted = Submodules::default();
    assert!(kept.with_submodules(&found, &remote, &[], &wanted, true).is_ok());
    remote.limits.total = Duration::ZERO;
    let ended = kept.with_submodules(&found, &remote, &[], &wanted, true);
    assert!(matches!(ended, Err(SourceError::Timeout(_))), "{ended:?}");
}

#[test]
fn a_fall_back_is_asked_for_what_lies_beside_it_and_the_remote_for_what_is_listed_there() {
    let (lib, far, repo) = (
        Repo::with(&[("lib.yaml", "1")]),
        Repo::with(&[("far.yaml", "1")]),
        Repo::with(&[("a", "1")]),
    );
    beside(&repo, "lib", &lib);
    // The remote itself has it at its own address, with a login of its own.
    let home = Server::start(far.root(), Mode::Guarded("Bearer for-the-remote".into()));
    let mirror = Server::start(repo.root(), Mode::Guarded("Bearer for-the-mirror".into()));
    link(&repo, "near", "../lib.git", &lib.head());
    link(
        &repo,
        "far",
        &home.url().replace("127.0.0.1", "localhost"),
        &far.head(),
    );
    let with = |server: &Server, token: &str| {
        let mut remote = server.remote();
        remote.auth = source::Auth::Bearer(zeroize::Zeroizing::new(token.into()));
        remote
    };
    let mut primary = with(&home, "for-the-remote");
    primary.url = primary.url.replace("127.0.0.1", "localhost");
    let fallback = with(&mirror, "for-the-mirror");
    let dir = tempfile::tempdir().unwrap();
    let kept = store(dir.path());
    let found = fetch(&kept, &fallback).unwrap().snapshot;
    let wanted = Submodules::default();
    // On a host that is not the mirror's: nobody named it.
    let refused = kept.with_submodules(&found, &fallback, &[], &wanted, true);
    assert!(
        matches!(&refused, Err(SourceError::BadSubmodule(path, _)) if path == "far"),
        "{refused:?}"
    );
    let others = [primary];
    let grown = kept
        .with_submodules(&found, &fallback, &others, &wanted, true)
        .unwrap();
    assert_eq!(files(&grown), ["a", "far/far.yaml", "near/lib.yaml"]);
    let shown = |server: &Server, token: &str| {
        let requests = server.requests();
        let mut logins = requests
            .iter()
            .filter_map(|request| request.header("authorization"));
        assert!(logins.all(|login| login == format!("Bearer {token}")));
    };
    shown(&home, "for-the-remote");
    shown(&mirror, "for-the-mirror");

    // Held, it is not asked for again: while the remote is away its submodules are still there.
    home.set(Mode::Canned(
        b"HTTP/1.1 503 Away\r\nContent-Length: 0\r\n\r\n".to_vec(),
    ));
    repo.commit("next", &[("a", "2")]);
    repo.push();
    let next = fetch(&kept, &fallback).unwrap().snapshot;
    let grown = kept
        .with_submodules(&next, &fallback, &others, &wanted, true)
        .unwrap();
    assert_eq!(files(&grown).len(), 3);
}
