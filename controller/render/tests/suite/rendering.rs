//! What comes out of good directories.

use render::{Limits, Options, RenderError, directory};
use source::PathError;

use crate::repo::Repo;
use crate::{Fixture, config_map, names, problems};

#[test]
fn all_manifest_files_below_the_path_in_order() {
    let two = format!("# first\n{}---\n{}", config_map("one"), config_map("two"));
    let list = format!(
        r#"{{"apiVersion": "v1", "kind": "List", "items": [{}, {}]}}"#,
        r#"{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}"#,
        r#"{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "till"}}"#
    );
    let fixture = Fixture::new(&[
        ("apps/z.yaml", &config_map("z")),
        ("apps/deep/down/two.yml", &two),
        ("apps/list.json", &list),
        ("apps/README.md", "# no manifest\n"),
        ("apps/.hidden.yaml", "not: a manifest\n"),
        ("apps/.github/workflow.yaml", "not: a manifest\n"),
        ("other/x.yaml", &config_map("x")),
    ]);
    let rendered = fixture.render("./apps/").unwrap();
    assert_eq!(problems(&rendered), [""; 0]);
    assert_eq!(
        names(&rendered),
        [
            "apps/deep/down/two.yml document 1: ConfigMap shop/one",
            "apps/deep/down/two.yml document 2: ConfigMap shop/two",
            "apps/list.json document 1 item 1: Namespace shop",
            "apps/list.json document 1 item 2: Namespace till",
            "apps/z.yaml document 1: ConfigMap shop/z",
        ]
    );
    assert_eq!(fixture.render("").unwrap().items.len(), 6);
}

#[test]
fn the_same_commit_renders_to_the_same() {
    let files = [("a/x.yaml", &*config_map("x")), ("a/y.yaml", "kind: 7\n")];
    let (one, two) = (
        Fixture::new(&files).render("a").unwrap(),
        Fixture::new(&files).render("a").unwrap(),
    );
    assert_eq!(one, two);
}

#[test]
fn the_digest_moves_with_what_is_read_and_only_with_it() {
    let repo = Repo::with(&[
        ("a/x.yaml", &config_map("x")),
        ("a/README.md", "1"),
        ("b/x.yaml", &config_map("x")),
    ]);
    let digest = |repo: &Repo| Fixture::of(repo).render("a").unwrap().digest;
    let first = digest(&repo);
    let change = |path: &str, text: &str| {
        repo.commit("change", &[(path, text)]);
        repo.push();
        digest(&repo)
    };
    assert_eq!(change("a/README.md", "2"), first);
    assert_eq!(change("b/x.yaml", "x"), first);
    assert_eq!(change("a/.x.yaml", "x"), first);
    let mut seen = vec![first];
    for (path, text) in [
        ("a/x.yaml", config_map("y")),
        ("a/y.yaml", config_map("z")),
        ("a/broken.yaml", "{".into()),
        ("a/b/Kustomization", String::new()),
    ] {
        let digest = change(path, &text);
        assert!(!seen.contains(&digest), "{path}");
        seen.push(digest);
    }
    repo.git(&["mv", "a/x.yaml", "a/w.yaml"]);
    assert!(!seen.contains(&change("a/README.md", "3")));
}

#[test]
fn item_digests_are_of_the_meaning_and_facts_are_picked() {
    let spaced = "kind: ConfigMap\n\napiVersion: \"v1\" # quoted\nmetadata: {namespace: shop, name: x}\ndata: {of: x}\n";
    let waved = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: w\n  annotations: {signet.dev/wave: \"-5\", x: v}\n";
    let fixture = Fixture::new(&[
        ("a.yaml", &config_map("x")),
        ("b.yaml", spaced),
        ("c.yaml", waved),
    ]);
    let rendered = fixture.render(".").unwrap();
    assert_eq!(rendered.items[0].digest, rendered.items[1].digest);
    assert_ne!(rendered.items[0].digest, rendered.items[2].digest);
    assert_eq!(rendered.items[2].options().wave, Some(-5));
    assert_eq!(rendered.items[0].options(), &Options::NONE);
    assert_eq!(rendered.items[2].facts.annotation("x"), None);
}

#[test]
fn an_empty_directory_is_no_objects_and_a_missing_one_is_an_error() {
    let fixture = Fixture::new(&[("a/README.md", "x"), ("file.yaml", &config_map("x"))]);
    let rendered = fixture.render("a").unwrap();
    assert!(rendered.items.is_empty() && rendered.problems.is_empty());
    assert_eq!(fixture.render("b"), Err(RenderError::Path(PathError::NotFound)));
    assert_eq!(
        fixture.render("file.yaml"),
        Err(RenderError::Path(PathError::NotADirectory))
    );
    for path in ["../a", "/a", "a/../..", ".git", "a\\b"] {
        assert_eq!(
            fixture.render(path),
            Err(RenderError::Path(PathError::Escapes)),
            "{path}"
        );
    }
}

#[test]
fn limits_fail_the_whole() {
    let many: String = (0..30)
        .map(|number| config_map(&format!("c{number}")) + "---\n")
        .collect();
    let fixture = Fixture::new(&[("a/many.yaml", &many), ("a/b/c/d.yaml", &config_map("d"))]);
    let over = |limits: Limits| directory(&fixture.snapshot, "a", &limits).unwrap_err();
    let limits = Limits {
        objects: 20,
        ..Limits::default()
    };
    assert_eq!(
        over(limits),
        RenderError::OverLimit {
            what: "objects",
            limit: 20
        }
    );
    let limits = Limits {
        total_bytes: 1000,
        ..Limits::default()
    };
    assert_eq!(
        over(limits),
        RenderError::OverLimit {
            what: "bytes",
            limit: 1000
        }
    );
    let limits = Limits {
        entries: 2,
        ..Limits::default()
    };
    assert!(matches!(over(limits), RenderError::Path(PathError::TooLarge(_))));
    let limits = Limits {
        depth: 1,
        ..Limits::default()
    };
    assert!(matches!(over(limits), RenderError::Path(PathError::TooLarge(_))));
    assert_eq!(fixture.render("a").unwrap().items.len(), 31);
}

#[test]
fn another_tools_directory_is_refused() {
    let fixture = Fixture::new(&[
        ("k/kustomization.yaml", "resources: [x.yaml]\n"),
        ("k/x.yaml", &config_map("x")),
        ("h/Chart.yaml", "name: h\n"),
        ("h/templates/x.yaml", "{{ if }}\n"),
        ("both/k/kustomization.yml", "resources: [x.yaml]\n"),
        ("both/k/x.yaml", &config_map("x")),
        ("both/plain.yaml", &config_map("plain")),
    ]);
    let error = fixture.render("k").unwrap_err();
    assert_eq!(
        error.to_string(),
        "kustomize is not supported yet, and the path has a kustomization.yaml"
    );
    assert!(matches!(
        fixture.render("h"),
        Err(RenderError::NeedsTool { tool: "Helm", .. })
    ));
    let rendered = fixture.render("both").unwrap();
    assert_eq!(
        names(&rendered),
        ["both/plain.yaml document 1: ConfigMap shop/plain"]
    );
    assert_eq!(rendered.problems.len(), 1);
    assert_eq!(rendered.problems[0].file, "both/k/kustomization.yml");
}

#[test]
fn what_signetignore_names_is_left_out() {
    let map = config_map("a");
    let files = [
        ("app/.signetignore", "ci/\n*.tmp.yaml\n!keep.tmp.yaml\nlink\n"),
        ("app/a.yaml", map.as_str()),
        ("app/ci/pipeline.yaml", "stages: [test]"),
        ("app/x.tmp.yaml", "not: [a manifest"),
        ("app/keep.tmp.yaml", &config_map("keep")),
        ("app/deep/.signetignore", "*"),
        ("app/deep/b.yaml", &config_map("b")),
        ("other/ci/c.yaml", &config_map("c")),
    ];
    let fixture = Fixture::new(&files);
    let names = |path: &str| {
        let rendered = fixture.render(path).unwrap();
        assert!(rendered.problems.is_empty(), "{:?}", rendered.problems);
        let mut names: Vec<_> = rendered.items.iter().map(|item| item.id.name.clone()).collect();
        names.sort();
        names
    };
    assert_eq!(
        names("app"),
        ["a", "b", "keep"],
        "only the path's own file counts"
    );
    assert_eq!(names("other"), ["c"]);

    // Nothing of a path is known whose file cannot be read.
    for (text, part) in [("a\n[z-a]\n", "line 2"), (&*"x".repeat(70_000), "64 KiB")] {
        let fixture = Fixture::new(&[("app/.signetignore", text), ("app/a.yaml", &map)]);
        let refused = fixture.render("app").unwrap_err().to_string();
        assert!(refused.contains(part), "{refused}");
    }
}
