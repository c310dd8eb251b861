//! Some directories of a repository: the files of the others stay where they are.

use std::path::Path;
use std::process::Command;

use source::{
    Auth, CommitId, EntryKind, Line, NewCommit, Notebook, PathError, RefSpec, Remote, RepoPath, Rewritten,
    Snapshot, Store, Submodules, WalkLimits,
};
use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::support::http::{Mode, Server};
use crate::support::repo::{Repo, command};
use crate::support::ssh::{Keys, Setup};
use crate::support::{fetch, main_branch, store};

/// What does not shrink, and is not read.
const LARGE: usize = 1 << 20;

pub(crate) fn noise() -> Vec<u8> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..LARGE).map(next).collect()
}

/// A repository of which `deploy` is read, on a server that can leave files out.
pub(crate) fn world() -> (Repo, Server) {
    let repo = Repo::empty();
    repo.write("code/large", noise());
    repo.commit(
        "first",
        &[
            ("deploy/app/a.yaml", "a: 1\n"),
            ("deploy/.hidden", "h\n"),
            ("code/main.rs", "fn main() {}\n"),
            ("README.md", "hello\n"),
        ],
    );
    repo.push();
    repo.configure("uploadpack.allowFilter", "true");
    let server = Server::start(repo.root(), Mode::Good);
    (repo, server)
}

pub(crate) fn of(remote: Remote, paths: &[&str]) -> Remote {
    Remote {
        sparse: paths.iter().map(|path| RepoPath::parse(path).unwrap()).collect(),
        ..remote
    }
}

/// What is read of it, and a store for that.
pub(crate) fn part(server: &Server) -> (Remote, TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    (of(server.remote(), &["deploy"]), dir, store)
}

/// Every file that is seen, with its content.
pub(crate) fn files(snapshot: &Snapshot) -> Vec<String> {
    let limits = WalkLimits {
        skip_hidden: false,
        ..WalkLimits::default()
    };
    let mut seen = Vec::new();
    snapshot.walk("", &limits, |entry| seen.push(entry)).unwrap();
    let text = |kind| match kind {
        EntryKind::File { blob, .. } => {
            String::from_utf8_lossy(&snapshot.blob(&blob, LARGE).unwrap()[..1]).into_owned()
        }
        other => format!("{other:?}"),
    };
    seen.iter()
        .map(|entry| format!("{} {}", entry.path, text(entry.kind)))
        .collect()
}

fn is_here(store: &Store, object: &str) -> bool {
    let output = command(&store.repository_dir())
        .args(["cat-file", "-e", object])
        .output();
    output.unwrap().status.success()
}

pub(crate) fn bytes(store: &Store) -> u64 {
    let packs = std::fs::read_dir(store.repository_dir().join("objects/pack")).unwrap();
    packs.map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

pub(crate) fn posts(server: &Server) -> usize {
    server
        .requests()
        .iter()
        .filter(|request| request.method == "POST")
        .count()
}

#[test]
fn only_what_is_read_comes() {
    let (repo, server) = world();
    let (remote, dir, store) = part(&server);
    let first = fetch(&store, &remote).unwrap();
    assert_eq!(
        files(&first.snapshot),
        ["deploy/.hidden h", "deploy/app/a.yaml a"]
    );
    assert!(bytes(&store) < 10_000, "{}", bytes(&store));
    assert!(
        !is_here(&store, "HEAD:code/large")
            && !is_here(&store, &repo.git(&["rev-parse", "HEAD:code/main.rs"]))
    );
    // The list of refs; where history ends, and all but the files; the files.
    assert_eq!((server.requests().len(), posts(&server)), (4, 3));
    assert_eq!(first.commit().id.to_string(), repo.head());

    let tree = |path: &str| first.snapshot.tree_id(path);
    assert_eq!(tree("code"), Err(PathError::NotRead));
    assert_eq!(tree("deploy2"), Err(PathError::NotRead));
    assert_eq!(first.snapshot.entry("code", "main.rs"), Err(PathError::NotRead));
    assert_eq!(tree("deploy/none"), Err(PathError::NotFound));

    // What is changed elsewhere is nothing new.
    repo.commit("elsewhere", &[("code/main.rs", "fn other() {}\n")]);
    repo.push();
    let second = fetch(&store, &remote).unwrap();
    assert!(second.changed());
    assert_eq!(second.snapshot.tree_id("").unwrap(), tree("").unwrap());
    assert_eq!(second.forced, Rewritten::No);

    repo.commit("here", &[("deploy/app/a.yaml", "b: 1\n"), ("code/new", "n\n")]);
    repo.push();
    let third = fetch(&store, &remote).unwrap();
    assert_eq!(
        files(&third.snapshot),
        ["deploy/.hidden h", "deploy/app/a.yaml b"]
    );
    // Of a commit before it, too.
    assert_eq!(
        files(&first.snapshot),
        ["deploy/.hidden h", "deploy/app/a.yaml a"]
    );

    // The same after a restart, and nothing is fetched again.
    drop((first, second, third));
    drop(store);
    let store = crate::support::store(dir.path());
    let held = store.held(&remote, &main_branch()).unwrap().unwrap();
    assert_eq!(files(&held), ["deploy/.hidden h", "deploy/app/a.yaml b"]);
    let before = posts(&server);
    assert!(!fetch(&store, &remote).unwrap().changed());
    assert_eq!(posts(&server), before);
}

#[test]
fn another_list_is_another_store() {
    let (repo, server) = world();
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let lists: [(&[&str], &[&str]); 5] = [
        (&["deploy/app"], &["deploy/app/a.yaml"]),
        (
            &["code", "deploy/app/a.yaml", "none"],
            &["code/large", "code/main.rs", "deploy/app/a.yaml"],
        ),
        (&["none"], &[]),
        (
            &[],
            &[
                "README.md",
                "code/large",
                "code/main.rs",
                "deploy/.hidden",
                "deploy/app/a.yaml",
            ],
        ),
        (&["deploy"], &["deploy/.hidden", "deploy/app/a.yaml"]),
    ];
    for (number, (list, seen)) in lists.iter().enumerate() {
        let remote = of(server.remote(), list);
        assert!(!store.is_of(&remote) || list.is_empty());
        let fetched = fetch(&store, &remote).unwrap();
        let found = files(&fetched.snapshot);
        let names: Vec<&str> = found.iter().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(names, *seen);
        assert!(store.is_of(&remote));
        // It is the same head: nothing was rewritten.
        let previous = (number > 0).then(|| fetched.commit().id);
        assert_eq!((fetched.previous, fetched.forced), (previous, Rewritten::No));
    }
    assert_eq!(repo.git(&["rev-list", "--count", "HEAD"]), "1");
}

#[test]
fn notes_are_whole() {
    let (repo, server) = world();
    let (remote, dir, store) = part(&server);
    repo.git(&["notes", "--ref=signet/other", "add", "-m", "theirs"]);
    repo.git(&["push", "-q", "origin", "refs/notes/signet/other"]);
    let commit: CommitId = repo.head().parse().unwrap();
    let line = |text: &str| Line {
        commit,
        text: text.into(),
        unless: None,
        kind: "kind".into(),
    };
    for text in ["one", "two"] {
        // Each as after a restart.
        let mut notes = Notebook::open(&dir.path().join("notes"), "refs/notes/signet/prod", "prod").unwrap();
        notes.append(&remote, &[line(text)]).unwrap();
    }
    store
        .chronicle(&remote, &main_branch(), commit, None, 10)
        .unwrap();
    let all = store
        .notes(&remote, "refs/notes/signet/", &[commit], 1_000)
        .unwrap();
    let texts: Vec<String> = all
        .iter()
        .map(|note| String::from_utf8_lossy(&note.text).into_owned())
        .collect();
    assert_eq!(texts, ["theirs\n", "one\ntwo\n"]);
}

#[test]
fn over_ssh_as_well() {
    let (repo, _) = world();
    let keys = Keys::new();
    keys.make("host", "ed25519", "").make("deploy", "ed25519", "");
    let server = Setup::default()
        .host_key(&keys, "host")
        .authorize(&keys, "deploy")
        .start(repo.root());
    let mut remote = of(Remote::new(server.url()), &["deploy"]);
    remote.auth = Auth::Key {
        identity: Zeroizing::new(keys.text("deploy")),
        passphrase: None,
        known_hosts: server.known(&keys.public("host")),
    };
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let first = fetch(&store, &remote).unwrap();
    assert_eq!(
        files(&first.snapshot),
        ["deploy/.hidden h", "deploy/app/a.yaml a"]
    );
    assert!(bytes(&store) < 10_000, "{}", bytes(&store));
    assert_eq!(server.commands().len(), 2);
    repo.commit("second", &[("deploy/app/a.yaml", "b: 1\n")]);
    repo.push();
    let second = fetch(&store, &remote).unwrap();
    assert_eq!(
        files(&second.snapshot),
        ["deploy/.hidden h", "deploy/app/a.yaml b"]
    );
}

#[test]
fn earlier_commits_have_their_files() {
    let (repo, server) = world();
    let remote = of(server.remote(), &["deploy"]);
    let first: CommitId = repo.head().parse().unwrap();
    for number in 2..40 {
        repo.commit(
            "more",
            &[
                ("deploy/app/a.yaml", &format!("{number}\n")),
                ("code/x", &format!("{number}\n")),
            ],
        );
    }
    repo.push();
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    fetch(&store, &remote).unwrap();
    let past = store.past(&remote, &main_branch(), first).unwrap();
    assert_eq!(files(&past), ["deploy/.hidden h", "deploy/app/a.yaml a"]);
    assert!(bytes(&store) < 100_000, "{}", bytes(&store));

    let history = crate::support::store(&dir.path().join("history"));
    let head = repo.head().parse().unwrap();
    let all = history
        .chronicle(&remote, &main_branch(), head, None, 1_000)
        .unwrap();
    assert_eq!((all.commits.len(), all.cut), (39, false));
    for commit in &all.commits {
        assert_eq!(files(&history.snapshot(commit.id).unwrap()).len(), 2);
    }
    assert!(bytes(&history) < 100_000, "{}", bytes(&history));
}

#[test]
fn verification_takes_no_file_at_all() {
    let (repo, server) = world();
    let first: CommitId = repo.head().parse().unwrap();
    repo.commit("second", &[("deploy/app/a.yaml", "b: 1\n"), ("code/new", "n\n")]);
    repo.push();
    let dir = tempfile::tempdir().unwrap();
    let history = store(dir.path());
    let mut seen = Vec::new();
    let paths = [RepoPath::parse("code").unwrap(), RepoPath::parse("none").unwrap()];
    let new = repo.head().parse().unwrap();
    let forced = history
        .range(
            &server.remote(),
            &main_branch(),
            (&first.into(), new),
            &paths,
            &mut |step| {
                seen.push((step.commit.subject.clone(), step.touches()));
            },
        )
        .unwrap();
    assert_eq!(
        (forced, seen),
        (Rewritten::No, vec![("second".to_owned(), vec![true, false])])
    );
    assert!(bytes(&history) < 10_000, "{}", bytes(&history));
}

#[test]
fn a_commit_goes_out_of_a_part() {
    let (repo, server) = world();
    repo.commits(5);
    repo.push();
    repo.configure("http.receivepack", "true");
    let (remote, _dir, store) = part(&server);
    let head = fetch(&store, &remote).unwrap().snapshot;
    let new = NewCommit {
        name: "Signet",
        email: "signet@example.org",
        message: "rotate\n",
        time: 1_700_000_100,
        key: None,
    };
    let made = store
        .commit(&head, &[("deploy/app/a.yaml", b"new: content\n")], &new)
        .unwrap();
    store.push(&remote, &main_branch(), made).unwrap();
    repo.git(&["fetch", "-q", "origin"]);
    assert_eq!(
        repo.git(&["diff", "--name-only", "origin/main~1", "origin/main"]),
        "deploy/app/a.yaml"
    );
    let whole = command(&repo.bare()).args(["fsck", "--strict"]).status();
    assert!(whole.unwrap().success());
    let fetched = fetch(&store, &remote).unwrap();
    assert_eq!((fetched.commit().id, fetched.forced), (made, Rewritten::No));
    assert_eq!(
        files(&fetched.snapshot),
        ["deploy/.hidden h", "deploy/app/a.yaml n"]
    );
}

#[test]
fn submodules_below_what_is_read_are_whole_and_others_are_left() {
    let library = Repo::with(&[("chart/c.yaml", "c\n"), ("code", "x\n")]);
    library.configure("uploadpack.allowFilter", "true");
    library.configure("uploadpack.allowAnySHA1InWant", "true");
    let (repo, server) = world();
    std::os::unix::fs::symlink(library.bare(), repo.root().join("lib.git")).unwrap();
    let link = |path: &str| format!("[submodule \"{path}\"]\n\tpath = {path}\n\turl = ../lib.git\n");
    repo.write(
        ".gitmodules",
        link("deploy/lib") + &link("code/lib").replace("lib.git", "none.git"),
    );
    for path in ["deploy/lib", "code/lib"] {
        std::fs::create_dir_all(repo.work().join(path)).unwrap();
        let cache = format!("160000,{},{path}", library.head());
        repo.git(&["update-index", "--add", "--cacheinfo", &cache]);
    }
    repo.git(&["add", ".gitmodules"]);
    repo.git(&["commit", "-q", "-m", "links"]);
    repo.push();
    let (remote, _dir, store) = part(&server);
    let found = fetch(&store, &remote).unwrap().snapshot;
    let whole = store
        .with_submodules(&found, &remote, &[], &Submodules::default(), true)
        .unwrap();
    assert_eq!(
        files(&whole),
        [
            ".gitmodules [",
            "deploy/.hidden h",
            "deploy/app/a.yaml a",
            "deploy/lib/chart/c.yaml c",
            "deploy/lib/code x"
        ]
    );
    assert_eq!(
        whole.submodule_of("deploy/lib/code").unwrap().as_deref(),
        Some("deploy/lib")
    );
    assert_eq!(whole.tree_id("code/lib"), Err(PathError::NotRead));
}

/// A submodule of the same remote: what is had of that is no reason to leave anything of it out.
#[test]
fn a_repository_may_have_itself_as_a_submodule() {
    let (repo, server) = world();
    repo.configure("uploadpack.allowAnySHA1InWant", "true");
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let remote = of(server.remote(), &["deploy"]);
    fetch(&store, &remote).unwrap();
    let first = repo.head();
    repo.write(
        ".gitmodules",
        "[submodule \"self\"]\n\tpath = deploy/self\n\turl = ../repo.git\n",
    );
    std::fs::create_dir_all(repo.work().join("deploy/self")).unwrap();
    let cache = format!("160000,{first},deploy/self");
    repo.git(&["add", ".gitmodules"]);
    repo.git(&["update-index", "--add", "--cacheinfo", &cache]);
    repo.git(&["commit", "-q", "-m", "self"]);
    repo.push();
    let found = fetch(&store, &remote).unwrap().snapshot;
    let whole = store
        .with_submodules(&found, &remote, &[], &Submodules::default(), true)
        .unwrap();
    let all = files(&whole);
    assert!(
        all.iter()
            .any(|line| line.starts_with("deploy/self/code/main.rs")),
        "{all:?}"
    );
    assert!(!store.is_damaged());
}

#[test]
fn links_are_not_followed_out_of_it() {
    let (repo, server) = world();
    repo.git(&["rm", "-q", "-r", "deploy"]);
    std::os::unix::fs::symlink("code", repo.work().join("deploy")).unwrap();
    repo.commit("a link", &[]);
    repo.push();
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let fetched = fetch(&store, &of(server.remote(), &["deploy", "deploy/app"])).unwrap();
    assert_eq!(fetched.snapshot.tree_id("deploy"), Err(PathError::Symlink));
    assert_eq!(fetched.snapshot.tree_id("deploy/app"), Err(PathError::Symlink));
    assert_eq!(files(&fetched.snapshot), ["deploy Symlink"]);
}

#[test]
fn on_our_own_disk_as_well() {
    let (repo, _) = world();
    let mut remote = of(
        Remote::new(format!("file://{}", repo.bare().display())),
        &["deploy"],
    );
    remote.files = source::FileRemotes::Below(vec![repo.root().canonicalize().unwrap()]);
    let dir = tempfile::tempdir().unwrap();
    let fetched = fetch(&store(dir.path()), &remote).unwrap();
    assert_eq!(
        files(&fetched.snapshot),
        ["deploy/.hidden h", "deploy/app/a.yaml a"]
    );
}

#[test]
fn tags_and_commits_have_parts_too() {
    let (repo, server) = world();
    repo.git(&["tag", "-a", "-m", "one", "v1.0.0"]);
    repo.git(&["push", "-q", "origin", "v1.0.0"]);
    let commit: CommitId = repo.head().parse().unwrap();
    let remote = of(server.remote(), &["deploy"]);
    for reference in [RefSpec::Tag("v1.0.0".into()), RefSpec::Commit(commit)] {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let fetched = store.fetch(&remote, &reference).unwrap();
        assert_eq!(
            files(&fetched.snapshot),
            ["deploy/.hidden h", "deploy/app/a.yaml a"]
        );
        assert!(bytes(&store) < 10_000, "{reference:?}: {}", bytes(&store));
        let tag = store.tag_object(&remote, &reference);
        assert_eq!(
            tag.is_ok_and(|tag| tag.is_some()),
            matches!(reference, RefSpec::Tag(_))
        );
        assert_eq!(files(&store.snapshot(commit).unwrap()).len(), 2);
    }
}

/// What the real git says of the same: the store has what `git sparse-checkout` would write out.
#[test]
fn it_is_what_git_checks_out() {
    let (repo, server) = world();
    let dir = tempfile::tempdir().unwrap();
    let git = |at: &Path, args: &[&str]| {
        let status: &mut Command = &mut command(at);
        assert!(status.args(args).status().unwrap().success(), "{args:?}");
    };
    git(
        dir.path(),
        &[
            "clone",
            "-q",
            "--no-checkout",
            "--depth=1",
            "--filter=blob:none",
            &server.url(),
            "clone",
        ],
    );
    let clone = dir.path().join("clone");
    git(&clone, &["sparse-checkout", "set", "--no-cone", "/deploy/"]);
    git(&clone, &["checkout", "-q"]);
    let mut theirs = Vec::new();
    for path in ["deploy/.hidden", "deploy/app/a.yaml"] {
        let text = std::fs::read_to_string(clone.join(path)).unwrap();
        theirs.push(format!("{path} {}", &text[..1]));
    }
    assert!(!clone.join("code").exists());
    let fetched = fetch(&store(dir.path()), &of(server.remote(), &["deploy"])).unwrap();
    assert_eq!(files(&fetched.snapshot), theirs);
    drop(repo);
}
