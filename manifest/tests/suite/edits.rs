//! Changes in place, on real manifests and on made-up ones: what is changed says what was meant, and nothing else moves.

use std::fs;

use manifest::{EditProblem, Editor, Limits, Path, Step, read_stream, write_yaml};
use proptest::prelude::*;
use serde_json::{Map, Value};

use crate::properties::json;
use crate::repositories::{files, repositories};

/// Every way to an entry of a mapping, and what stands there.
fn entries(value: &Value, path: &Path, out: &mut Vec<Path>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let path = path.then(Step::Key(key.clone()));
                out.push(path.clone());
                entries(value, &path, out);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                entries(value, &path.then(Step::Index(index)), out);
            }
        }
        _ => {}
    }
}

fn fields<'v>(mut value: &'v mut Value, path: &Path) -> (&'v mut Map<String, Value>, String) {
    let (last, before) = path.steps().split_last().unwrap();
    for step in before {
        value = match step {
            Step::Key(key) => &mut value[key],
            Step::Index(index) => &mut value[index],
        };
    }
    let Step::Key(key) = last else { panic!("an item") };
    (value.as_object_mut().unwrap(), key.clone())
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Set,
    Insert,
    Remove,
    Rename,
}

/// Makes one change, and looks at the result with no help of the editor. The problem, where it was refused.
fn check(text: &[u8], number: usize, path: &Path, change: Change, new: &Value) -> Option<EditProblem> {
    let limits = Limits::default();
    let mut expected = read_stream(text, &limits).unwrap();
    let document = expected
        .iter_mut()
        .find(|document| document.number == number)
        .unwrap();
    let (map, key) = fields(document.value.as_mut().unwrap(), path);
    let fresh = format!("{key}2");
    if map.contains_key(&fresh) {
        return None;
    }
    let mut editor = Editor::new(text, limits).unwrap();
    let result = match change {
        Change::Set => {
            map.insert(key, new.clone());
            editor.set(number, path, new)
        }
        Change::Insert => {
            map.insert(fresh.clone(), new.clone());
            let (_, before) = path.steps().split_last().unwrap();
            let parent = before
                .iter()
                .fold(Path::of([]), |path, step| path.then(step.clone()));
            editor.set(number, &parent.then(Step::Key(fresh)), new)
        }
        Change::Remove => {
            map.remove(&key);
            editor.remove(number, path)
        }
        Change::Rename => {
            let value = map.remove(&key).unwrap();
            map.insert(fresh.clone(), value);
            editor.rename(number, path, &fresh)
        }
    };
    if let Err(err) = result {
        assert_eq!(editor.finish().unwrap(), text, "a refusal changes nothing");
        return Some(err.problem);
    }
    let edited = editor.finish().unwrap();
    let shown = || format!("{path} {change:?} {new}\n{}", String::from_utf8_lossy(&edited));
    let read = read_stream(&edited, &limits).unwrap();
    let values = |documents: &[manifest::Document]| -> Vec<Option<Value>> {
        documents
            .iter()
            .map(|document| document.value.clone().ok())
            .collect()
    };
    assert_eq!(values(&read), values(&expected), "{}", shown());
    // One stretch of the text is another one: every line before and behind it is as it was.
    let (old, edited) = (String::from_utf8_lossy(text), String::from_utf8_lossy(&edited));
    let old: Vec<&str> = old.split_inclusive('\n').collect();
    let new: Vec<&str> = edited.split_inclusive('\n').collect();
    let same = |pair: &(&&str, &&str)| pair.0 == pair.1;
    let before = old.iter().zip(&new).take_while(same).count();
    let behind = old[before..]
        .iter()
        .rev()
        .zip(new[before..].iter().rev())
        .take_while(same)
        .count();
    let gone = &old[before..old.len() - behind];
    // A comment on a line of its own is still there, unless it stands inside of what was removed.
    if !matches!(change, Change::Remove) {
        for line in gone.iter().filter(|line| line.trim_start().starts_with('#')) {
            assert!(edited.contains(line.trim_end()), "{line} {path}");
        }
    }
    None
}

#[test]
fn real_manifests_are_changed() {
    let Some(directory) = repositories() else {
        println!("skipped: no example repositories");
        return;
    };
    let mut paths = Vec::new();
    files(&directory, &mut paths);
    let (mut changed, mut refused) = (0, std::collections::BTreeMap::new());
    let values = [
        Value::from("AgBy3i4OJSWK+PiTySYZZA9rO43cGDEq="),
        Value::from("two\nlines\n"),
        serde_json::json!({"a": {"b": ["c"]}, "d": null}),
        Value::from(true),
    ];
    for path in &paths {
        let text = fs::read(path).unwrap();
        // Each edit reads the whole stream several times; one of the files has thousands of lines.
        if text.len() > 20_000 {
            continue;
        }
        for document in read_stream(&text, &Limits::default()).unwrap() {
            let mut found = Vec::new();
            entries(&document.value.unwrap(), &Path::of([]), &mut found);
            // Enough of each file, not all of it: the test has to stay short.
            let step = found.len() / 4 + 1;
            for (index, at) in found.iter().enumerate().step_by(step) {
                let new = &values[index / step % values.len()];
                for change in [Change::Set, Change::Insert, Change::Remove, Change::Rename] {
                    match check(&text, document.number, at, change, new) {
                        None => changed += 1,
                        Some(problem) => {
                            if std::env::var_os("SHOW_REFUSED").is_some() {
                                println!("{} {at} {change:?}: {problem}", path.display());
                            }
                            *refused.entry(format!("{change:?}: {problem}")).or_insert(0) += 1;
                        }
                    }
                }
            }
        }
    }
    println!("{changed} changes, refused: {refused:#?}");
    assert!(changed > 1000);
    assert!(refused.values().sum::<usize>() * 20 < changed, "{refused:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_document_is_changed_or_left_alone(value in json(), new in json(), pick in any::<prop::sample::Index>(),
            crlf in any::<bool>(), as_json in any::<bool>()) {
        let mut text = if as_json { value.to_string() } else { write_yaml(std::slice::from_ref(&value)) };
        if crlf {
            text = text.replace('\n', "\r\n");
        }
        let text = format!("# c\nfirst: 1 # d\n---\n{text}\n---\n# e\nlast: 1");
        let read = read_stream(text.as_bytes(), &Limits::default()).unwrap();
        prop_assume!(read.len() == 3 && read[1].value.is_ok());
        let mut found = Vec::new();
        entries(read[1].value.as_ref().unwrap(), &Path::of([]), &mut found);
        prop_assume!(!found.is_empty());
        for change in [Change::Set, Change::Insert, Change::Remove, Change::Rename] {
            check(text.as_bytes(), read[1].number, pick.get(&found), change, &new);
        }
    }
}
