//! Variables in real directories.

use std::sync::Arc;

use render::{Limits, Loader, RenderError, Rendered, Variables, directory_with};

use crate::{Fixture, config_map, names, problems};

const SECRET: &str = "hunter2";

fn variables(key: u8, all: &[(&str, &str, bool)]) -> Arc<Variables> {
    let mut variables = Variables::new([key; 32]);
    for (name, value, secret) in all {
        variables.set(name, value, *secret).unwrap();
    }
    Arc::new(variables)
}

fn usual() -> Arc<Variables> {
    variables(
        1,
        &[
            ("team", "shop", false),
            ("replicas", "3", false),
            ("pin", SECRET, true),
        ],
    )
}

fn render(fixture: &Fixture, variables: &Arc<Variables>) -> Rendered {
    directory_with(&fixture.snapshot, "", &Limits::default(), Some(variables)).unwrap()
}

fn web(image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: ${{team}}-web\n  namespace: \"${{team}}\"\n\
         spec:\n  replicas: ${{replicas}}\n  image: {image}\n"
    )
}

#[test]
fn items_are_what_the_variables_make_of_them_and_load_so() {
    let secret = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: pin}\ndata: {pin: \"${pin}\"}\n";
    let list = "apiVersion: v1\nkind: List\nitems:\n\
                - {apiVersion: v1, kind: ConfigMap, metadata: {name: \"${team}-a\"}}\n\
                - {apiVersion: v1, kind: ConfigMap, metadata: {name: b}, data: {a: \"${pin}\"}}\n";
    let fixture = Fixture::new(&[
        ("list.yaml", list),
        ("pin.yaml", secret),
        ("plain.yaml", &config_map("plain")),
        ("web.yaml", &web("\"web:${tag:=1}\"").replace('\n', "\r\n")),
    ]);
    let variables = usual();
    let rendered = render(&fixture, &variables);
    assert_eq!(problems(&rendered), [""; 0]);
    assert_eq!(
        names(&rendered),
        [
            "list.yaml document 1 item 1: ConfigMap shop-a",
            "list.yaml document 1 item 2: ConfigMap b",
            "pin.yaml document 1: ConfigMap pin",
            "plain.yaml document 1: ConfigMap shop/plain",
            "web.yaml document 1: Deployment shop/shop-web",
        ]
    );
    let secret: Vec<_> = rendered.items.iter().map(|item| item.holds_secret()).collect();
    assert_eq!(secret, [false, true, true, false, false]);
    let mut loader = Loader::with(
        fixture.snapshot.clone(),
        Limits::default(),
        Some(Arc::clone(&variables)),
    );
    for item in &rendered.items {
        let manifest = loader.load(item).unwrap();
        assert_eq!((&manifest.id, &manifest.origin), (&item.id, &item.origin));
        let plain = manifest::digest(&manifest.object);
        assert_eq!(plain == item.digest, !item.holds_secret(), "{}", item.origin);
    }
    let web = loader.load(&rendered.items[4]).unwrap().object;
    assert_eq!(web["spec"]["replicas"], 3);
    assert_eq!(web["spec"]["image"], "web:1");
    assert!(!format!("{rendered:?}{variables:?}").contains(SECRET));
    // With other variables, or none, they are not the objects that were rendered.
    for other in [
        None,
        Some(self::variables(
            1,
            &[("team", "till", false), ("replicas", "3", false)],
        )),
    ] {
        let mut loader = Loader::with(fixture.snapshot.clone(), Limits::default(), other);
        assert_eq!(loader.load(&rendered.items[4]), Err(RenderError::NoSuchItem));
        assert!(loader.load(&rendered.items[3]).is_ok());
    }
    let public = self::variables(1, &[("pin", SECRET, false)]);
    let mut loader = Loader::with(fixture.snapshot.clone(), Limits::default(), Some(public));
    assert_eq!(loader.load(&rendered.items[2]), Err(RenderError::NoSuchItem));
}

#[test]
fn without_variables_nothing_is_replaced() {
    let fixture = Fixture::new(&[(
        "a.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {a: \"${x}\"}\n",
    )]);
    let rendered = fixture.render("").unwrap();
    assert_eq!(rendered.items.len(), 1);
    let mut loader = Loader::new(fixture.snapshot.clone(), Limits::default());
    assert_eq!(
        loader.load(&rendered.items[0]).unwrap().object["data"]["a"],
        "${x}"
    );
}

#[test]
fn what_is_not_set_is_its_documents_problem() {
    let fixture = Fixture::new(&[
        ("a.yaml", &format!("{}---\n{}", config_map("a"), web("${tag}"))),
        ("b.yaml", &config_map("b")),
    ]);
    let rendered = render(&fixture, &usual());
    assert_eq!(rendered.items.len(), 2);
    assert_eq!(
        problems(&rendered),
        [
            "a.yaml document 2, line 9: the variable `tag` is not set, in spec.image \
          (set it, or give a default: `${NAME:=default}`; write `$${` for text that is no variable)"
        ]
    );
}

#[test]
fn digests_move_with_the_variables_and_need_the_key() {
    let pin = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: pin}\ndata: {a: \"${pin}\"}\n";
    let fixture = Fixture::new(&[("a.yaml", pin)]);
    let of = |key: u8, value: &str, secret: bool| {
        let rendered = render(&fixture, &variables(key, &[("pin", value, secret)]));
        (rendered.digest, rendered.items[0].digest)
    };
    let first = of(1, SECRET, true);
    assert_eq!(of(1, SECRET, true), first);
    for other in [of(2, SECRET, true), of(1, "x", true), of(1, SECRET, false)] {
        assert_ne!(other.0, first.0);
        assert_ne!(other.1, first.1);
    }
    // What is not secret is compared with what other files say.
    assert_eq!(of(1, SECRET, false).1, of(2, SECRET, false).1);
    assert_ne!(fixture.render("").unwrap().digest, first.0);
}

#[test]
fn what_variables_make_counts_as_bytes() {
    let value = "x".repeat(1 << 20);
    let variables = variables(1, &[("v", &value, false)]);
    let object = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {a: \"${v}\"}\n---\n";
    let fixture = Fixture::new(&[("a.yaml", &object.repeat(5))]);
    let render = |total_bytes: usize| {
        let limits = Limits {
            total_bytes,
            ..Limits::default()
        };
        directory_with(&fixture.snapshot, "", &limits, Some(&variables)).map(|rendered| rendered.items.len())
    };
    assert_eq!(render(6 << 20), Ok(5));
    assert_eq!(
        render(4 << 20),
        Err(RenderError::OverLimit {
            what: "bytes",
            limit: 4 << 20
        })
    );
}
