//! What is wrong is said, with its place; what is right beside it comes out.

use std::fmt::Write;

use render::{Limits, directory};

use crate::repo::Repo;
use crate::{Fixture, config_map, names, problems};

/// In every broken text: no message may repeat it.
const SECRET: &str = "hunter2";

/// Renders one file beside a good one, and returns its problems.
fn of(text: impl AsRef<[u8]>) -> Vec<String> {
    let repo = Repo::empty();
    repo.write("a/bad.yaml", text);
    repo.commit("first", &[("a/good.yaml", &config_map("good"))]);
    repo.push();
    let rendered = Fixture::of(&repo).render("a").unwrap();
    assert!(names(&rendered).contains(&"a/good.yaml document 1: ConfigMap shop/good".to_owned()));
    let shown = problems(&rendered);
    assert!(!format!("{:?}", rendered.problems).contains(SECRET), "{shown:?}");
    shown
}

#[test]
fn a_broken_document_does_not_take_its_neighbours() {
    let text = format!(
        "{}---\nkey: [{SECRET}\n---\n{}",
        config_map("one"),
        config_map("three")
    );
    let fixture = Fixture::new(&[("a.yaml", &text)]);
    let rendered = fixture.render("").unwrap();
    assert_eq!(
        names(&rendered),
        [
            "a.yaml document 1: ConfigMap shop/one",
            "a.yaml document 3: ConfigMap shop/three"
        ]
    );
    let [problem] = &rendered.problems[..] else {
        panic!("{:?}", rendered.problems)
    };
    assert_eq!((problem.file.as_str(), problem.document), ("a.yaml", Some(2)));
    assert!(
        problem.line.is_some_and(|line| (9..=12).contains(&line)),
        "{problem:?}"
    );
}

#[test]
fn files_that_are_no_manifests() {
    let shown = of(format!("replicas: 3\npassword: {SECRET}\n"));
    assert!(
        shown[0]
            .starts_with("a/bad.yaml document 1, line 1: apiVersion is missing (if the file is no manifest"),
        "{shown:?}"
    );
    for text in [
        SECRET,
        &format!("- {SECRET}"),
        "7",
        "apiVersion: v1\nkind: Secret\ndata: hunter2\n",
    ] {
        assert_eq!(of(text).len(), 1, "{text}");
    }
    assert_eq!(of("").len(), 0);
    assert_eq!(of("# only a comment\n---\n").len(), 0);
}

#[test]
fn texts_that_are_not_yaml() {
    let utf16: Vec<u8> = "kind: x\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let cases: [&[u8]; 6] = [
        b"\xff\xfe\x00",
        &utf16,
        b"a: \xc3\x28 hunter2",
        b"a: {",
        b"\x00\x01\x02hunter2",
        b"a: *nowhere\n",
    ];
    for text in cases {
        assert_eq!(of(text).len(), 1, "{text:?}");
    }
}

#[test]
fn bombs_are_defused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let names = format!("*a{}, ", level - 1).repeat(9);
        writeln!(bomb, "a{level}: &a{level} [{names}]").unwrap();
    }
    let deep = "[".repeat(200_000);
    for text in [bomb, deep] {
        let start = std::time::Instant::now();
        assert_eq!(of(&text).len(), 1);
        assert!(start.elapsed().as_secs() < 20);
    }
}

#[test]
fn what_is_too_large() {
    let big = format!("{}  big: {}\n", config_map("big"), "x".repeat(10 << 20));
    let shown = of(&big);
    assert_eq!(shown.len(), 1);
    assert!(shown[0].contains("larger than"), "{shown:?}");

    let fixture = Fixture::new(&[
        ("a.yaml", &config_map("a")),
        ("b.yaml", &config_map("a").repeat(3)),
    ]);
    let limits = Limits {
        file_bytes: 150,
        ..Limits::default()
    };
    let rendered = directory(&fixture.snapshot, "", &limits).unwrap();
    assert_eq!(rendered.items.len(), 1);
    let hint = "split it, or move it out of the path";
    assert_eq!(
        problems(&rendered),
        [format!("b.yaml: the file is larger than 150 bytes ({hint})")]
    );
}

#[test]
fn links_and_submodules() {
    let repo = Repo::with(&[("a/x.yaml", &config_map("x")), ("b/y.yaml", &config_map("y"))]);
    std::os::unix::fs::symlink("../b/y.yaml", repo.work().join("a/link.yaml")).unwrap();
    std::os::unix::fs::symlink("/etc", repo.work().join("a/etc")).unwrap();
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
    let rendered = Fixture::of(&repo).render("a").unwrap();
    assert_eq!(names(&rendered), ["a/x.yaml document 1: ConfigMap shop/x"]);
    let files: Vec<_> = rendered
        .problems
        .iter()
        .map(|problem| problem.file.as_str())
        .collect();
    assert_eq!(files, ["a/etc", "a/link.yaml", "a/module"]);
    assert!(rendered.problems.iter().all(|problem| !problem.hint.is_empty()));
}

#[test]
fn names_that_lie_are_printed_safely() {
    let repo = Repo::with(&[("a", "1")]);
    let blob = repo.object("blob", config_map("x").as_bytes());
    let tree = repo.tree(&[
        ("100644", b"../up.yaml", &blob),
        ("100644", b"new\nline.yaml", &blob),
        ("100644", "right\u{202e}left.yaml".as_bytes(), &blob),
        ("100644", b"x.yaml", &blob),
    ]);
    repo.publish_tree(&tree);
    let rendered = Fixture::of(&repo).render("").unwrap();
    assert_eq!(rendered.problems.len(), 2);
    assert_eq!(rendered.items.len(), 2);
    let shown = [problems(&rendered), names(&rendered)].concat().concat();
    assert!(!shown.contains(['\n', '\u{202e}']), "{shown}");
}

#[test]
fn instructions_to_kustomize_are_never_objects() {
    let shown = of("apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nmetadata: {name: x}\n");
    assert_eq!(shown.len(), 1);
    assert!(shown[0].contains("kustomize"), "{shown:?}");
}

#[test]
fn annotations_for_the_controller_are_bounded() {
    let long = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n  annotations:\n    signet.dev/x: {SECRET}{}\n",
        "x".repeat(5000)
    );
    assert!(of(&long)[0].contains("longer than"));
}

#[test]
fn one_bad_item_of_a_list_stands_alone() {
    let list = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: a}\n- 7\n";
    let rendered = Fixture::new(&[("a.yaml", list)]).render("").unwrap();
    assert_eq!(names(&rendered), ["a.yaml document 1 item 1: ConfigMap a"]);
    assert_eq!(
        (rendered.problems[0].document, rendered.problems[0].item),
        (Some(1), Some(2))
    );
}

#[test]
fn an_annotation_that_is_not_understood_is_its_documents_problem() {
    let text = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n  annotations: {{signet.dev/prune: {SECRET}}}\n"
    );
    assert_eq!(
        of(&text),
        [
            "a/bad.yaml document 1, line 1: the annotation signet.dev/prune is not understood \
          (write `disabled`, `orphan`, `confirm` or `enabled`)"
        ]
    );
}
