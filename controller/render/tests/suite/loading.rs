//! Bodies come back as they were rendered.

use render::{Described, Limits, Loader, RenderError, load};

use crate::{Fixture, config_map};

#[test]
fn every_item_loads_to_its_digest() {
    let list = "apiVersion: v1\nkind: List\nitems:\n\
                - {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n- 7\n\
                - {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n";
    let typed = "apiVersion: v1\nkind: ConfigMapList\nitems:\n- metadata: {name: c}\n";
    let json = "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"d\"}}\n";
    let many = format!(
        "%YAML 1.1\n---\n{}...\n---\n# comment\n{}",
        config_map("e"),
        config_map("f")
    );
    let fixture = Fixture::new(&[
        ("list.yaml", list),
        ("typed.yaml", typed),
        ("two.json", &json.repeat(2)),
        ("many.yaml", &many),
        (
            "crlf.yaml",
            &format!("---\n{}---\n{}", config_map("g"), config_map("h")).replace('\n', "\r\n"),
        ),
        ("bom.yaml", &format!("\u{feff}{}", config_map("i"))),
    ]);
    let rendered = fixture.render("").unwrap();
    assert!(rendered.items.len() >= 9, "{:?}", rendered.problems);
    let mut loader = Loader::new(fixture.snapshot.clone(), Limits::default());
    let check = |manifest: &manifest::Manifest, item: &render::Item| {
        assert_eq!((&manifest.id, &manifest.origin), (&item.id, &item.origin));
        assert_eq!(manifest::digest(&manifest.object), item.digest, "{}", item.origin);
    };
    for item in rendered.items.iter().chain(rendered.items.iter().rev()) {
        check(&loader.load(item).unwrap(), item);
    }
    for item in &rendered.items {
        check(&load(&fixture.snapshot, item, &Limits::default()).unwrap(), item);
    }
}

#[test]
fn one_blob_at_two_paths_keeps_both_origins() {
    let fixture = Fixture::new(&[("a.yaml", &config_map("x")), ("b.yaml", &config_map("x"))]);
    let rendered = fixture.render("").unwrap();
    let mut loader = Loader::new(fixture.snapshot.clone(), Limits::default());
    let files: Vec<_> = rendered
        .items
        .iter()
        .map(|item| loader.load(item).unwrap().origin.file)
        .collect();
    assert_eq!(files, ["a.yaml".into(), "b.yaml".into()]);
}

#[test]
fn ten_thousand_documents_load_quickly() {
    let mut text = String::new();
    for number in 0..10_000 {
        text += &config_map(&format!("c{number}"));
        text += "---\n";
    }
    let fixture = Fixture::new(&[("a.yaml", &text)]);
    let rendered = fixture.render("").unwrap();
    assert_eq!(rendered.items.len(), 10_000);
    let mut loader = Loader::new(fixture.snapshot.clone(), Limits::default());
    let start = std::time::Instant::now();
    for item in &rendered.items {
        loader.load(item).unwrap();
    }
    // Read again and again, the file alone would take minutes.
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
}

#[test]
fn an_item_of_another_commit_is_refused() {
    let one = Fixture::new(&[("a.yaml", &config_map("x"))]);
    let two = Fixture::new(&[("a.yaml", &config_map("y"))]);
    let item = &one.render("").unwrap().items[0];
    // Its blob is not in the other store.
    assert!(load(&two.snapshot, item, &Limits::default()).is_err());
    let mut wrong = Described::clone(item);
    wrong.locator.range = 0..1_000_000;
    assert_eq!(
        load(&one.snapshot, &wrong.clone().into(), &Limits::default()),
        Err(RenderError::NoSuchItem)
    );
    wrong = Described::clone(item);
    wrong.locator.index = 1;
    assert_eq!(
        load(&one.snapshot, &wrong.clone().into(), &Limits::default()),
        Err(RenderError::NoSuchItem)
    );
    wrong = Described::clone(item);
    wrong.id.name = "z".into();
    assert_eq!(
        load(&one.snapshot, &wrong.clone().into(), &Limits::default()),
        Err(RenderError::NoSuchItem)
    );
}

#[test]
fn a_hook_without_a_name_renders_and_loads() {
    let hook = |key: &str, value: &str| {
        format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata:\n  generateName: migrate-\n  annotations: {{{key}: {value}}}\n"
        )
    };
    let fixture = Fixture::new(&[
        ("argo.yaml", &hook("argocd.argoproj.io/hook", "PreSync")),
        ("crd.yaml", &hook("helm.sh/hook", "crd-install")),
        ("none.yaml", &hook("signet.dev/wave", "1")),
        ("test.yaml", &hook("helm.sh/hook", "test")),
    ]);
    let rendered = fixture.render("").unwrap();
    let shown: Vec<_> = rendered
        .items
        .iter()
        .map(|item| (&*item.origin.file, item.generate_name, item.options().skip))
        .collect();
    assert_eq!(shown, [("argo.yaml", true, false), ("test.yaml", true, true)]);
    assert_eq!(rendered.items[0].id.name, "migrate-");
    for problem in &rendered.problems {
        assert_eq!(
            (problem.message.as_str(), problem.hint.as_str()),
            (
                "metadata.generateName is used, and the object has no name of its own",
                "give the object a fixed metadata.name: each apply would create another one"
            )
        );
    }
    assert_eq!(rendered.problems.len(), 2);
    let loaded = load(&fixture.snapshot, &rendered.items[0], &Limits::default()).unwrap();
    assert!(loaded.generate_name);
    assert_eq!(loaded.id, rendered.items[0].id);
}
