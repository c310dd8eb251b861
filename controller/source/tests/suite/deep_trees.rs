//! Trees that are made to be too much for whoever compares or sends them, or to be two things at once.

use std::thread;
use std::time::Instant;

use git2::{ObjectType, Oid, Repository};
use source::{
    CommitId, Line, NewCommit, Notebook, RefSpec, RepoPath, SourceError, Step, Store, StoreOptions,
};

use crate::submodules::{beside, whole};
use crate::support::http::{Mode, Server};
use crate::support::repo::Repo;
use crate::support::{fetch, main_branch, store};

const FILE: &str = "100644";
const DIRECTORY: &str = "40000";
const LINK: &str = "160000";
const SYMLINK: &str = "120000";

/// Writes objects as they are into the served repository, thousands in no time.
struct Maker(Repository);

type Entry<'a> = (&'a str, &'a str, Oid);

impl Maker {
    fn of(repo: &Repo) -> Self {
        Self(Repository::open_bare(repo.bare()).unwrap())
    }

    fn object(&self, kind: ObjectType, content: &[u8]) -> Oid {
        self.0.odb().unwrap().write(kind, content).unwrap()
    }

    fn blob(&self, text: &str) -> Oid {
        self.object(ObjectType::Blob, text.as_bytes())
    }

    fn tree(&self, entries: &[Entry<'_>]) -> Oid {
        let mut content = Vec::new();
        for (mode, name, id) in entries {
            content.extend_from_slice(format!("{mode} {name}\0").as_bytes());
            content.extend_from_slice(id.as_bytes());
        }
        self.object(ObjectType::Tree, &content)
    }

    /// So many directories, each in another one, with this one at the bottom.
    fn nested(&self, depth: usize, bottom: Oid) -> Oid {
        (0..depth).fold(bottom, |below, _| self.tree(&[(DIRECTORY, "d", below)]))
    }

    /// A directory of these two files.
    fn pair(&self, a: &str, b: &str) -> Oid {
        self.tree(&[(FILE, "a", self.blob(a)), (FILE, "b", self.blob(b))])
    }

    fn commit(&self, subject: &str, tree: Oid, parents: &[Oid]) -> Oid {
        let parents: Vec<String> = parents.iter().map(|id| format!("parent {id}\n")).collect();
        let parents = parents.concat();
        let who = "Ann <ann@example.org> 1700000000 +0000";
        let text = format!("tree {tree}\n{parents}author {who}\ncommitter {who}\n\n{subject}\n");
        self.object(ObjectType::Commit, text.as_bytes())
    }

    fn point(&self, reference: &str, commit: Oid) {
        self.0.reference(reference, commit, true, "").unwrap();
    }

    /// Puts these into a root as `infra`: the sides of a merge, and the merge on main. Says whether the merge changes it.
    fn is_changed_by_merge(&self, server: &Server, infra: [Oid; 4]) -> bool {
        let root = |infra| self.tree(&[(DIRECTORY, "infra", infra)]);
        let [base, one, other, merged] = infra.map(root);
        let base = self.commit("base", base, &[]);
        let one = self.commit("one", one, &[base]);
        let other = self.commit("other", other, &[base]);
        let merge = self.commit("merge", merged, &[one, other]);
        self.point("refs/heads/main", merge);
        let seen = touched(server, "infra", base, merge);
        assert_eq!(seen.len(), 3, "{seen:?}");
        seen.into_iter().next_back().unwrap().1
    }
}

fn touches(step: &Step<'_>) -> bool {
    step.touches()[0]
}

fn id(oid: Oid) -> CommitId {
    oid.to_string().parse().unwrap()
}

/// Subject of every commit of a range, and whether it changes the path.
fn touched(server: &Server, path: &str, old: Oid, new: Oid) -> Vec<(String, bool)> {
    let dir = tempfile::tempdir().unwrap();
    let paths = [RepoPath::parse(path).unwrap()];
    let (old, mut seen) = (id(old).into(), Vec::new());
    store(dir.path())
        .range(
            &server.remote(),
            &main_branch(),
            (&old, id(new)),
            &paths,
            &mut |step| {
                seen.push((step.commit.subject.clone(), touches(step)));
            },
        )
        .unwrap();
    seen
}

/// As small as none of the controller's is: what calls itself once for each directory ends here sooner.
fn on_a_small_stack<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let started = thread::Builder::new()
            .stack_size(1 << 20)
            .spawn_scoped(scope, run);
        started.unwrap().join().unwrap()
    })
}

/// What two files are in the base, on both sides, and in a merge that brings both together.
const SIDES: [(&str, &str); 4] = [("0", "0"), ("1", "0"), ("0", "1"), ("1", "1")];

/// Nested so deep that nothing that calls itself gets to the bottom.
const ABYSS: usize = 16_000;

#[test]
fn a_merge_of_directories_nested_without_end_is_a_change() {
    let repo = Repo::with(&[("a", "1")]);
    let (maker, server) = (Maker::of(&repo), Server::start(repo.root(), Mode::Good));
    // Merging alone makes it: as far as that is looked at.
    for (depth, changed) in [(4_000, true), (70, true), (60, false), (0, false)] {
        let sides = SIDES.map(|(a, b)| maker.nested(depth, maker.pair(a, b)));
        let is_changed = maker.is_changed_by_merge(&server, sides);
        assert_eq!(is_changed, changed, "{depth} deep");
    }
}

/// A directory of so many files, and of `a` and `b`.
fn large(maker: &Maker, files: usize, name: impl Fn(usize) -> String, (a, b): (&str, &str)) -> Oid {
    let one_file = maker.blob("");
    let names: Vec<String> = (0..files).map(name).collect();
    let mut entries: Vec<Entry<'_>> = names.iter().map(|name| (FILE, &**name, one_file)).collect();
    entries.extend([(FILE, "a", maker.blob(a)), (FILE, "b", maker.blob(b))]);
    maker.tree(&entries)
}

#[test]
fn a_merge_of_large_directories_ends_and_of_too_large_ones_is_a_change() {
    let repo = Repo::with(&[("a", "1")]);
    let (maker, server) = (Maker::of(&repo), Server::start(repo.root(), Mode::Good));
    for (files, changed) in [(60_000, false), (120_000, true), (260_000, true)] {
        let sides = SIDES.map(|sides| large(&maker, files, |number| format!("{number:06}"), sides));
        let start = Instant::now();
        let is_changed = maker.is_changed_by_merge(&server, sides);
        assert_eq!(is_changed, changed, "{files} files");
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    }
}

#[test]
fn whoever_tells_of_a_commit_reads_no_directory_that_is_too_large() {
    let repo = Repo::with(&[("a", "1")]);
    let (maker, server) = (Maker::of(&repo), Server::start(repo.root(), Mode::Good));
    let dir = tempfile::tempdir().unwrap();
    let kept = store(dir.path());
    for (digits, fits) in [(6, true), (150, false)] {
        let infra = large(&maker, 60_000, |number| format!("{number:0digits$}"), ("0", "0"));
        let root = maker.tree(&[(DIRECTORY, "infra", infra)]);
        maker.point("refs/heads/main", maker.commit("large", root, &[]));
        let found = fetch(&kept, &server.remote()).unwrap();
        let told = ["infra", "infra/a"].map(|path| {
            let changed = kept.changed(found.commit(), &RepoPath::parse(path).unwrap(), &|| Ok(()));
            assert!(
                matches!(changed, Ok(_) | Err(SourceError::TooLarge(_))),
                "{changed:?}"
            );
            changed.is_ok()
        });
        assert_eq!(told, [fits; 2]);
    }
}

#[test]
fn a_name_that_is_there_twice_is_a_change() {
    let repo = Repo::with(&[("a", "1")]);
    let (maker, server) = (Maker::of(&repo), Server::start(repo.root(), Mode::Good));
    let (good, evil) = (maker.pair("good", ""), maker.pair("evil", ""));
    let before = maker.commit("before", maker.tree(&[(DIRECTORY, "infra", good)]), &[]);
    let twice = [(DIRECTORY, "infra", good), (DIRECTORY, "infra", evil)];
    let tree = maker.tree(&twice);
    let after = maker.commit("twice", tree, &[before]);
    let beside = maker.commit("the same", tree, &[after]);
    maker.point("refs/heads/main", beside);
    let seen = touched(&server, "infra", before, beside);
    assert_eq!(seen, [("twice".to_owned(), true), ("the same".to_owned(), false)]);

    // By a merge, of which the first is as it should be; and a mode that is no one's to read.
    let [base, one, other, fair] = SIDES.map(|(a, b)| maker.pair(a, b));
    let (a, b) = (maker.blob("1"), maker.blob("1"));
    let slipped = maker.tree(&[(FILE, "a", a), (FILE, "b", b), (FILE, "b", maker.blob("evil"))]);
    assert!(maker.is_changed_by_merge(&server, [base, one, other, slipped]));
    let padded = maker.tree(&[(FILE, "a", a), ("0100644", "b", b)]);
    assert!(maker.is_changed_by_merge(&server, [base, one, other, padded]));
    assert!(!maker.is_changed_by_merge(&server, [base, one, other, fair]));
}

#[test]
fn what_lies_where_a_directory_should_is_what_lies_below_it() {
    let repo = Repo::with(&[("a", "1")]);
    let (maker, server) = (Maker::of(&repo), Server::start(repo.root(), Mode::Good));
    let (text, readme) = (maker.blob("clusters"), maker.blob("readme"));
    let (one, two) = (maker.blob("one"), maker.blob("two"));
    let prod = maker.tree(&[(FILE, "prod", text)]);
    let within = maker.tree(&[(LINK, "in", two)]);
    let steps: [(&str, Entry<'_>, bool); 9] = [
        ("a link", (LINK, "clusters", one), true),
        ("the link moves", (LINK, "clusters", two), true),
        ("the link stays", (LINK, "clusters", two), false),
        ("the link one down", (DIRECTORY, "clusters", within), true),
        ("a symbolic link", (SYMLINK, "clusters", text), true),
        ("a file", (FILE, "clusters", text), true),
        ("the file below it", (DIRECTORY, "clusters", prod), true),
        ("the file is back", (FILE, "clusters", text), true),
        ("nothing", (FILE, "other", text), true),
    ];
    let first = maker.commit("first", maker.tree(&[(FILE, "readme", readme)]), &[]);
    let (mut head, mut expected) = (first, Vec::new());
    for (number, (subject, entry, changed)) in steps.into_iter().enumerate() {
        let beside = maker.blob(&number.to_string());
        head = maker.commit(subject, maker.tree(&[entry, (FILE, "readme", beside)]), &[head]);
        expected.push((subject.to_owned(), changed));
    }
    maker.point("refs/heads/main", head);
    for path in ["clusters/prod", "clusters/in/prod"] {
        assert_eq!(touched(&server, path, first, head), expected, "{path}");
    }
}

fn line(commit: Oid) -> Line {
    Line {
        commit: id(commit),
        text: "a line".to_owned(),
        unless: None,
        kind: String::new(),
    }
}

#[test]
fn notes_are_not_put_on_top_of_an_abyss() {
    const REF: &str = "refs/notes/signet/prod";
    let repo = Repo::with(&[("a", "1")]);
    let (maker, server) = (Maker::of(&repo), Server::start(repo.root(), Mode::Good));
    let bottom = maker.pair("0", "0");
    let about = maker.commit("about", bottom, &[]);
    maker.point(REF, maker.commit("notes", maker.nested(ABYSS, bottom), &[]));
    let dir = tempfile::tempdir().unwrap();
    let append = || {
        let mut notes = Notebook::open(&dir.path().join("notes"), REF, "signet (prod)").unwrap();
        notes.append(&server.remote(), &[line(about)])
    };
    let refused = on_a_small_stack(append);
    assert!(matches!(refused, Err(SourceError::TooLarge(_))), "{refused:?}");
    // Somebody has cleaned up.
    maker.point(REF, maker.commit("notes", maker.nested(30, bottom), &[]));
    on_a_small_stack(append).unwrap();
}

/// Changes the file `a` of a head.
fn changed(store: &Store, server: &Server) -> Result<CommitId, SourceError> {
    let head = fetch(store, &server.remote()).unwrap().snapshot;
    let new = NewCommit {
        name: "Signet",
        email: "signet@example.org",
        message: "a line\n",
        time: 1_700_000_100,
        key: None,
    };
    store.commit(&head, &[("a", b"new\n")], &new)
}

#[test]
fn a_commit_is_not_sent_with_an_abyss_in_it_or_where_one_is() {
    let repo = Repo::with(&[("a", "1")]);
    let (maker, server) = (Maker::of(&repo), Server::start(repo.root(), Mode::Good));
    let bottom = maker.pair("0", "0");
    let root = |depth| {
        maker.tree(&[
            (FILE, "a", maker.blob("a")),
            (DIRECTORY, "d", maker.nested(depth, bottom)),
        ])
    };
    let dir = tempfile::tempdir().unwrap();
    let kept = store(dir.path());
    let push = || {
        let made = changed(&kept, &server).unwrap();
        kept.push(&server.remote(), &main_branch(), made)
    };
    let good = maker.commit("good", root(30), &[]);
    maker.point("refs/heads/main", good);
    on_a_small_stack(push).unwrap();
    // Of a ref that only comes along.
    let deep = maker.commit("deep", root(ABYSS), &[]);
    maker.point("refs/heads/deep", deep);
    kept.fetch(&server.remote(), &RefSpec::Branch("deep".into()))
        .unwrap();
    maker.point("refs/heads/main", good);
    let refused = on_a_small_stack(push);
    assert!(matches!(refused, Err(SourceError::TooLarge(_))), "{refused:?}");
    // The head itself, behind which the remote does not hide it.
    let dir = tempfile::tempdir().unwrap();
    let kept = store(dir.path());
    maker.point("refs/heads/main", deep);
    let made = changed(&kept, &server).unwrap();
    let new = RefSpec::Branch("new".into());
    for name in ["refs/heads/main", "refs/heads/deep"] {
        let refused = on_a_small_stack(|| kept.push(&server.remote(), &new, made));
        assert!(matches!(refused, Err(SourceError::TooLarge(_))), "{refused:?}");
        maker.point(name, good);
    }
    let refused = on_a_small_stack(|| kept.push(&server.remote(), &new, made));
    assert!(matches!(refused, Err(SourceError::TooLarge(_))), "{refused:?}");
}

/// A list of one submodule at this path.
fn listed(maker: &Maker, path: &str) -> Oid {
    maker.blob(&format!(
        "[submodule \"{path}\"]\n\tpath = {path}\n\turl = ../lib.git\n"
    ))
}

#[test]
fn a_submodule_that_cannot_be_taken_along_is_left_and_fetched_again() {
    let (lib, repo) = (Repo::with(&[("lib.yaml", "1")]), Repo::with(&[("a", "1")]));
    beside(&repo, "lib", &lib);
    let (library, maker) = (Maker::of(&lib), Maker::of(&repo));
    let server = Server::start(repo.root(), Mode::Good);
    let file = library.blob("1");
    // Ten to the fortieth files, in forty directories.
    let names: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    let bomb = (0..40).fold(library.pair("0", "0"), |below, _| {
        let entries: Vec<Entry<'_>> = names.iter().map(|name| (DIRECTORY, &**name, below)).collect();
        library.tree(&entries)
    });
    for hostile in [library.nested(ABYSS, library.pair("0", "0")), bomb] {
        let tree = library.tree(&[(DIRECTORY, "hostile", hostile), (FILE, "lib.yaml", file)]);
        let linked = library.commit("linked", tree, &[]);
        library.point("refs/heads/main", linked);
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions {
            max_packs: 2,
            ..StoreOptions::default()
        };
        let kept = Store::open_with(&dir.path().join("store"), options).unwrap();
        let mut directories = Vec::new();
        for number in 0..3 {
            let root = maker.tree(&[
                (FILE, ".gitmodules", listed(&maker, "lib")),
                (FILE, "a", maker.blob(&number.to_string())),
                (LINK, "lib", linked),
            ]);
            maker.point("refs/heads/main", maker.commit("next", root, &[]));
            let found = on_a_small_stack(|| whole(&kept, &server.remote(), &[])).unwrap();
            assert!(found.tree_id("lib/hostile").is_ok());
            directories.push(kept.repository_dir());
        }
        directories.dedup();
        assert!(directories.len() > 1, "it was made anew");
    }
}

#[test]
fn a_tree_with_a_name_twice_is_not_written_again() {
    let (lib, repo) = (Repo::with(&[("lib.yaml", "1")]), Repo::with(&[("a", "1")]));
    beside(&repo, "lib", &lib);
    let (maker, server) = (Maker::of(&repo), Server::start(repo.root(), Mode::Good));
    let linked = Oid::from_str(&lib.head()).unwrap();
    let (good, evil) = (maker.pair("good", ""), maker.pair("evil", ""));
    let file = maker.blob("1");
    let list = |path| (FILE, ".gitmodules", listed(&maker, path));
    let twice: [Entry<'_>; 2] = [(DIRECTORY, "infra", good), (DIRECTORY, "infra", evil)];
    let padded: [Entry<'_>; 2] = [(DIRECTORY, "infra", good), ("0100644", "infra.yaml", file)];
    for infra in [twice, padded] {
        let [first, second] = infra;
        let a = (FILE, "a", file);
        let root = maker.tree(&[list("lib"), a, first, second, (LINK, "lib", linked)]);
        maker.point("refs/heads/main", maker.commit("by hand", root, &[]));
        let dir = tempfile::tempdir().unwrap();
        let kept = store(dir.path());
        let refused = whole(&kept, &server.remote(), &[]).err();
        assert!(
            matches!(&refused, Some(SourceError::BadSubmodule(path, _)) if path == "lib"),
            "{refused:?}"
        );
        let refused = changed(&kept, &server);
        assert!(matches!(refused, Err(SourceError::Store(_))), "{refused:?}");
        // Where the directory on the way is none of those that are written, it does not matter.
        let apps = maker.tree(&[first, second]);
        let root = maker.tree(&[list("lib"), a, (DIRECTORY, "apps", apps), (LINK, "lib", linked)]);
        maker.point("refs/heads/main", maker.commit("by hand", root, &[]));
        assert!(whole(&kept, &server.remote(), &[]).is_ok());
        assert!(changed(&kept, &server).is_ok());
    }
    // As deep as a path can name.
    let deep = vec!["d"; 100].join("/") + "/lib";
    let top = maker.nested(99, maker.tree(&[(LINK, "lib", linked)]));
    let root = maker.tree(&[list(&deep), (DIRECTORY, "d", top)]);
    maker.point("refs/heads/main", maker.commit("deep", root, &[]));
    let dir = tempfile::tempdir().unwrap();
    let refused = whole(&store(dir.path()), &server.remote(), &[]).err();
    assert!(
        matches!(refused, Some(SourceError::BadSubmodule(..))),
        "{refused:?}"
    );
}
