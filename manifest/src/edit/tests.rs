//! What each change does to a text, byte for byte.

use serde_json::{Value, json};

use super::*;

fn path(text: &str) -> Path {
    let mut path = Path::of([]);
    for step in text.split('/') {
        path = path.then(match step.parse() {
            Ok(index) => crate::Step::Index(index),
            Err(_) => crate::Step::Key(step.to_owned()),
        });
    }
    path
}

fn edit(
    text: &str,
    change: impl FnOnce(&mut Editor) -> Result<(), EditError>,
) -> Result<String, EditProblem> {
    let mut editor = Editor::new(text.as_bytes(), Limits::default()).unwrap();
    change(&mut editor).map_err(|err| err.problem)?;
    Ok(String::from_utf8(editor.finish().map_err(|err| err.problem)?).unwrap())
}

fn set(text: &str, at: &str, value: &Value) -> Result<String, EditProblem> {
    edit(text, |editor| editor.set(1, &path(at), value))
}

fn remove(text: &str, at: &str) -> Result<String, EditProblem> {
    edit(text, |editor| editor.remove(1, &path(at)))
}

fn rename(text: &str, at: &str, key: &str) -> Result<String, EditProblem> {
    edit(text, |editor| editor.rename(1, &path(at), key))
}

/// Everything that people put around what is changed.
const OBJECT: &str = "\
# the database
apiVersion: v1 # version
kind: X

spec:
    # above
    a:   'one'   # behind
    c: |   
      block
      # no comment

    # below
    d: {x: 1, z: [a, b]}
    list:
    - name: n # first
      value: v
    - plain
status:
";

#[test]
fn values_are_replaced_where_they_stand() {
    for (at, value, from, to) in [
        ("spec/a", json!("two"), "'one'", "two"),
        ("spec/a", json!("yes"), "'one'", "\"yes\""),
        ("spec/a", json!(7), "'one'", "7"),
        ("spec/a", json!("l\nm\n"), "'one'", "\"l\\nm\\n\""),
        ("spec/a", json!({}), "'one'", "{}"),
        (
            "spec/a",
            json!({"k": ["v"]}),
            "   'one'   # behind",
            "   # behind\n      k:\n      - v",
        ),
        ("spec/c", json!("x"), "|   \n      block\n      # no comment", "x"),
        (
            "spec/c",
            json!("x\ny\n"),
            "|   \n      block\n      # no comment",
            "|\n      x\n      y",
        ),
        ("spec/d/x", json!("yes"), "x: 1", "x: \"yes\""),
        ("spec/d/z", json!({"k": [true]}), "[a, b]", "{\"k\": [true]}"),
        ("spec/d", json!("z"), "{x: 1, z: [a, b]}", "z"),
        ("spec/list/0/value", json!("w"), "value: v", "value: w"),
        ("spec/list/1", json!("p"), "- plain", "- \"p\""),
        ("status", json!("s"), "status:", "status: s"),
        ("status", json!({"k": "v"}), "status:", "status:\n  k: v"),
        ("status/k/l", json!("v"), "status:", "status:\n  k:\n    l: v"),
    ] {
        assert_eq!(
            set(OBJECT, at, &value),
            Ok(OBJECT.replacen(from, to, 1)),
            "{at} {value}"
        );
    }
}

#[test]
fn new_entries_come_where_they_sort() {
    let sorted = "data:\n  # first\n  b: 1 # one\n  d: |\n    text\n\n  # end\nlast: 1\n";
    for (key, from, to) in [
        ("a", "b: 1 # one\n", "b: 1 # one\n  a: new\n"),
        ("c", "b: 1 # one\n", "b: 1 # one\n  c: new\n"),
        ("e", "    text\n", "    text\n  e: new\n"),
    ] {
        let at = format!("data/{key}");
        assert_eq!(
            set(sorted, &at, &json!("new")),
            Ok(sorted.replacen(from, to, 1)),
            "{key}"
        );
    }
    assert_eq!(
        set("data:\n  b: 1\n", "data/a", &json!("new")),
        Ok("data:\n  a: new\n  b: 1\n".into())
    );
    // Others are not sorted: last.
    assert_eq!(
        set("z: 1\nb: 2", "c", &json!("new")),
        Ok("z: 1\nb: 2\nc: new".into())
    );
    // Lines that a block keeps stay its own.
    assert_eq!(
        set("a: |+\n  x\n\n# c\n", "b", &json!("new")),
        Ok("a: |+\n  x\n\nb: new\n# c\n".into())
    );
    assert_eq!(
        set("- k: 1\n  l: 2 # c\n", "0/m", &json!("new")),
        Ok("- k: 1\n  l: 2 # c\n  m: new\n".into())
    );
    assert_eq!(
        set("- k: 1\n", "0/a", &json!("new")),
        Ok("- k: 1\n  a: new\n".into())
    );
    assert_eq!(
        set("a: {b: 1}\n", "a/c", &json!("new")),
        Ok("a: {b: 1, \"c\": \"new\"}\n".into())
    );
    assert_eq!(
        set("a: {} # c\n", "a/c", &json!("new")),
        Ok("a: # c\n  c: new\n".into())
    );
    assert_eq!(
        set("a:\n  b: ~\n", "a/b/c", &json!("new")),
        Ok("a:\n  b:\n    c: new\n".into())
    );
    assert_eq!(set("a: 1", "b/c", &json!("new")), Ok("a: 1\nb:\n  c: new".into()));
    assert_eq!(set("a:", "b", &json!("new")), Ok("a:\nb: new".into()));
}

#[test]
fn entries_are_removed_with_their_lines() {
    for (at, from) in [
        ("spec/a", "    a:   'one'   # behind\n"),
        ("spec/c", "    c: |   \n      block\n      # no comment\n"),
        ("spec/d", "    d: {x: 1, z: [a, b]}\n"),
        ("spec/d/x", "x: 1, "),
        ("spec/d/z", ", z: [a, b]"),
        ("spec/list/0/value", "      value: v\n"),
        ("status", "status:\n"),
        ("kind", "kind: X\n"),
    ] {
        assert_eq!(remove(OBJECT, at), Ok(OBJECT.replacen(from, "", 1)), "{at}");
    }
    assert_eq!(remove("a: 1\nb: 2", "b"), Ok("a: 1\n".into()));
    assert_eq!(remove("- k: 1\n  l: 2\n", "0/k"), Ok("- l: 2\n".into()));
    assert_eq!(remove("- k: 1 # c\n- l\n", "0/k"), Ok("- {}\n- l\n".into()));
    assert_eq!(
        remove("a: # c\n  # d\n  b: 1 # e\n  # f\n", "a/b"),
        Ok("a: {} # c\n  # d\n  # f\n".into())
    );
    assert_eq!(remove("a: {b: 1}\n", "a/b"), Ok("a: {}\n".into()));
    assert_eq!(remove("a: 1\n", "a"), Err(EditProblem::Form));
    assert_eq!(remove("a:\n  b: 1\n", "a/c"), Err(EditProblem::NoEntry));
}

#[test]
fn keys_are_renamed() {
    assert_eq!(
        rename(OBJECT, "spec/a", "on"),
        Ok(OBJECT.replacen("a:   'one'", "\"on\":   'one'", 1))
    );
    assert_eq!(rename("a: {b: 1}\n", "a/b", "c"), Ok("a: {\"c\": 1}\n".into()));
    assert_eq!(rename("a: 1\nb: 2\n", "a", "b"), Err(EditProblem::KeyTaken));
    assert_eq!(rename("a: 1\n", "c", "b"), Err(EditProblem::NoEntry));
}

#[test]
fn line_ends_stay_as_they_are() {
    let text = "# c\r\na:\r\n  b: 1 # d\r\n  c: |\r\n    x\r\n";
    assert_eq!(set(text, "a/b", &json!("new")), Ok(text.replace('1', "new")));
    assert_eq!(set(text, "a/d", &json!("new")), Ok(format!("{text}  d: new\r\n")));
    assert_eq!(set(text, "a/c", &json!("x\ny\n")), Ok(format!("{text}    y\r\n")));
    assert_eq!(remove(text, "a/b"), Ok(text.replace("  b: 1 # d\r\n", "")));
    assert_eq!(
        set("a:\r\n", "a/b", &json!("new")),
        Ok("a:\r\n  b: new\r\n".into())
    );
}

#[test]
fn json_stays_json() {
    let text = "{\n\t\"a\": {\n\t\t\"b\": \"1\",\n\t\t\"d\": {}\n\t}\n}\n";
    assert_eq!(
        set(text, "a/b", &json!("\u{1f600}\u{7f}\"")),
        Ok(text.replace("\"1\"", "\"\u{1f600}\\u007f\\\"\""))
    );
    assert_eq!(
        set(text, "a/e", &json!("x")),
        Ok(text.replace("{}", "{},\n\t\t\"e\": \"x\""))
    );
    assert_eq!(
        set(text, "a/d/e", &json!("x")),
        Ok(text.replace("{}", "{\"e\":\"x\"}"))
    );
    assert_eq!(remove(text, "a/d"), Ok(text.replace(",\n\t\t\"d\": {}", "")));
    assert_eq!(remove(text, "a/b"), Ok(text.replace("\"b\": \"1\",\n\t\t", "")));
    assert_eq!(
        set("{\"a\":{\"b\":1}}", "a/c", &json!(2)),
        Ok("{\"a\":{\"b\":1,\"c\":2}}".into())
    );
    assert_eq!(rename(text, "a/b", "c"), Ok(text.replace("\"b\"", "\"c\"")));
}

#[test]
fn what_would_change_more_than_was_meant_is_refused() {
    use EditProblem as P;
    for (text, at, problem) in [
        ("a: &x 1\nb: *x\n", "a", P::NotAsMeant),
        ("a: &x {k: 1}\nb: *x\n", "b/k", P::Elsewhere),
        ("a: &x {l: 1}\nb:\n  l: 2\n  <<: *x\n", "b/l", P::NotAsMeant),
        ("a: 1\na: 2\n", "a", P::KeyTwice),
        ("yes: 1\n", "true", P::NotAsMeant),
        ("? a\n: 1\n", "a", P::Form),
        ("a:\n  # c\n  b: 1\n", "a", P::CommentLost),
        ("a: | # c\n  b\n", "a", P::CommentLost),
        ("a: [b, # c\n  d]\n", "a", P::CommentLost),
        ("a: 1\n", "a/b", P::NotAMapping),
        ("a: [1]\n", "a/3", P::NoEntry),
        ("a: [1]\n", "a/b", P::NotAMapping),
        ("{}\n", "a", P::Form),
    ] {
        assert_eq!(set(text, at, &json!("new")), Err(problem), "{text}");
    }
    assert_eq!(
        set("a: &x {k: 1}\nb: *x\n", "b", &json!("new")),
        Ok("a: &x {k: 1}\nb: new\n".into())
    );
    assert_eq!(remove("a: &x 1\nb: *x\n", "a"), Err(P::NotAsMeant));
    assert_eq!(remove("- k: 1\n  # c\n  l: 2\n", "0/k"), Err(P::Form));
    let key = "k".repeat(1100);
    assert_eq!(set("a: 1\n", &key, &json!("new")), Err(P::Form));
}

#[test]
fn documents_keep_their_neighbours() {
    let text =
        "# one\na: 1\n---\n---\n# two\nb: 2 # c\n--- # three\n{\"c\": 3}\n{\"d\": 4}\n---\nnot: [yaml\n";
    let mut editor = Editor::new(text.as_bytes(), Limits::default()).unwrap();
    editor.set(3, &path("b"), &json!("bb")).unwrap();
    editor.set(5, &path("e"), &json!("x")).unwrap();
    editor.set(1, &path("a"), &json!("aa")).unwrap();
    editor.replace(4, "{\"c\": 33}").unwrap();
    assert_eq!(editor.value(3), Some(&json!({"b": "bb"})));
    let gone = editor.set(6, &path("x"), &json!(1)).unwrap_err();
    assert_eq!(gone.to_string(), "document 6, x: the document cannot be read");
    let gone = editor.set(2, &path("x"), &json!(1)).unwrap_err();
    assert_eq!(gone.to_string(), "document 2, x: there is no such document");
    editor.append("f: 6\n").unwrap();
    assert_eq!(
        String::from_utf8(editor.finish().unwrap()).unwrap(),
        "# one\na: aa\n---\n---\n# two\nb: bb # c\n--- # three\n{\"c\": 33}\n{\"d\": 4,\"e\": \"x\"}\n---\n\
         not: [yaml\n---\nf: 6\n"
    );
}

#[test]
fn a_document_is_replaced_whole() {
    let text = "a: 1\r\n---\r\n# secret\r\nb: 2";
    let new = edit(text, |editor| editor.replace(2, "c: 3\nd: 4\n"));
    assert_eq!(new, Ok("a: 1\r\n---\r\nc: 3\r\nd: 4".into()));
    assert_eq!(
        edit(text, |editor| editor.replace(2, "# x")),
        Err(EditProblem::NoDocument)
    );
    let broken = edit(text, |editor| editor.replace(2, "a: [")).unwrap_err();
    assert!(matches!(broken, EditProblem::Read(_)));
    assert_eq!(edit("", |editor| editor.append("a: 1")), Ok("---\na: 1\n".into()));
}

#[test]
fn entries_have_lines() {
    let line = |at: &str| line_of(OBJECT.as_bytes(), &path(at));
    assert_eq!(line("apiVersion"), Some(1));
    assert_eq!(line("spec/a"), Some(6));
    assert_eq!(line("spec/d/x"), Some(12));
    assert_eq!(line("spec/list/1"), Some(16));
    assert_eq!(line("spec/none"), None);
    assert_eq!(line_of(b"[", &path("a")), None);
}
