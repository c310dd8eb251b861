//! The verdicts over tables of objects, one file of YAML for each family of kinds.

use health::Rules;
use manifest::{Limits, read_stream};
use std::collections::BTreeSet;
use std::path::Path;

/// A case: `want` is a status and a reason, `say` a part of the message.
#[test]
fn cases() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/cases");
    let (mut count, mut wrong) = (0, Vec::new());
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read(&path).unwrap();
        for document in read_stream(&text, &Limits::default()).unwrap() {
            let case = document.value.unwrap();
            let name = case["name"].as_str().unwrap().to_owned();
            assert!(names.insert(name.clone()), "{name} is there twice");
            let verdict = health::of(&case["object"], &Rules::default());
            let got = format!("{} {}", verdict.status, verdict.reason);
            let said = case["say"]
                .as_str()
                .is_none_or(|part| verdict.message.contains(part));
            if case["want"] != got.as_str() || !said {
                wrong.push(format!("{name}: {got}: {}", verdict.message));
            }
            count += 1;
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {count} cases:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(count >= 180, "only {count} cases were found");
}
