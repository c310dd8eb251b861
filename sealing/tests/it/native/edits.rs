//! Changes, with and without a private key: what was not changed keeps its line to the byte.

use super::support::*;
use sealing::v2::EditError;
use sealing::{Plaintext, Scope};
use serde_json::json;
use std::collections::BTreeMap;

fn changes(values: &[(&str, Option<&str>)]) -> BTreeMap<String, Option<Plaintext>> {
    values
        .iter()
        .map(|(key, value)| {
            let value = value.map(|text| Plaintext::new(text.as_bytes().to_vec()));
            ((*key).to_owned(), value)
        })
        .collect()
}

#[test]
fn a_value_is_set_without_a_private_key() {
    let before = sealed();
    let after = parse(&before)
        .set(
            &plain(&[("password", "new"), ("token", "t")]),
            &recipients(&[CLUSTER]),
        )
        .unwrap()
        .to_value();
    assert_eq!(line(&before, "banner"), line(&after, "banner"));
    assert_ne!(line(&before, "password"), line(&after, "password"));
    assert_eq!(after["spec"]["dataKeys"].as_array().unwrap().len(), 2);
    assert!(
        after["spec"]["dataKeys"]
            .as_array()
            .unwrap()
            .contains(&before["spec"]["dataKeys"][0])
    );
    let found = data(&after, &[CLUSTER], "team");
    assert_eq!(
        (&*found["password"], &*found["token"], &*found["banner"]),
        ("new", "t", "welcome")
    );

    // What no value uses any more goes.
    let last = parse(&after).set(
        &plain(&[("banner", "b"), ("password", "p"), ("token", "t")]),
        &recipients(&[CLUSTER]),
    );
    let last = last.unwrap().to_value();
    assert_eq!(last["spec"]["dataKeys"].as_array().unwrap().len(), 1);
    assert_eq!(last["spec"]["template"], before["spec"]["template"]);
}

#[test]
fn two_branches_merge() {
    let base = parse(&sealed());
    let one = base
        .set(&plain(&[("password", "1")]), &recipients(&[CLUSTER]))
        .unwrap()
        .to_value();
    let two = base
        .set(&plain(&[("banner", "2")]), &recipients(&[CLUSTER]))
        .unwrap()
        .to_value();
    let mut merged = one.clone();
    merged["spec"]["values"]["banner"] = two["spec"]["values"]["banner"].clone();
    let keys = merged["spec"]["dataKeys"].as_array_mut().unwrap();
    for key in two["spec"]["dataKeys"].as_array().unwrap() {
        if !keys.contains(key) {
            keys.push(key.clone());
        }
    }
    let found = data(&merged, &[CLUSTER], "team");
    assert_eq!((&*found["password"], &*found["banner"]), ("1", "2"));
}

#[test]
fn values_are_removed_unless_a_text_needs_them() {
    let sealed = parse(&sealed());
    let less = sealed.unset(["banner"]).unwrap().to_value();
    assert_eq!(data(&less, &[CLUSTER], "team").len(), 1);
    assert_eq!(
        sealed.unset(["nothing"]).err(),
        Some(EditError::NoValue("nothing".into()))
    );
    let none = sealed.unset(["banner", "password"]).unwrap().to_value();
    assert_eq!(none["spec"]["dataKeys"], json!([]));

    let unlocked = sealed.unlock(&identities(&[CLUSTER])).ok().unwrap();
    let bound = unlocked
        .retemplate(&json!({"data": {"x": "${banner}"}}), &recipients(&[CLUSTER]))
        .unwrap();
    let refused = bound.unset(["banner"]).err().unwrap().to_string();
    assert!(
        refused.contains("spec.template.data.x") && refused.contains("it refers to a key"),
        "{refused}"
    );
}

#[test]
fn bad_changes_are_refused() {
    let sealed = parse(&sealed());
    let to = recipients(&[CLUSTER]);
    assert!(matches!(
        sealed.set(&plain(&[("a b", "x")]), &to).err(),
        Some(EditError::BadKey(_))
    ));
    let big = "x".repeat((1 << 20) + 1);
    assert!(matches!(
        sealed.set(&plain(&[("a", &big)]), &to).err(),
        Some(EditError::TooLarge(_))
    ));
    let unlocked = sealed.unlock(&identities(&[CLUSTER])).ok().unwrap();
    assert!(matches!(
        unlocked.set(&changes(&[("a", Some(&big))]), &to).err(),
        Some(EditError::TooLarge(_))
    ));
    assert!(matches!(
        unlocked.set(&changes(&[("a", None)]), &to).err(),
        Some(EditError::NoValue(_))
    ));
    assert!(matches!(
        unlocked.reseal(Scope::Strict, None, "db", &to).err(),
        Some(EditError::BadPlace)
    ));
    assert!(matches!(
        unlocked.retemplate(&json!({"stringData": {}}), &to).err(),
        Some(EditError::Invalid(_))
    ));
    assert!(sealed.unlock(&identities(&[STRANGER])).is_err());
}

#[test]
fn with_a_key_an_equal_value_keeps_its_line() {
    let before = sealed_for(Scope::Strict, &[CLUSTER, TEAM]);
    let unlocked = parse(&before).unlock(&identities(&[TEAM])).ok().unwrap();
    assert_eq!(texts(unlocked.values())["password"], "hunter2");
    let to = recipients(&[CLUSTER, TEAM]);
    let same = unlocked.set(
        &changes(&[("password", Some("hunter2")), ("banner", Some("welcome"))]),
        &to,
    );
    assert_eq!(same.unwrap().to_value(), before);

    // What was changed goes under a data key of its own: who made the one that is there is not known.
    let changed = unlocked
        .set(
            &changes(&[("password", Some("new")), ("banner", Some("welcome"))]),
            &to,
        )
        .unwrap()
        .to_value();
    assert_eq!(changed["spec"]["dataKeys"].as_array().unwrap().len(), 2);
    assert_eq!(line(&changed, "banner"), line(&before, "banner"));
    assert_ne!(line(&changed, "password")[..16], line(&before, "password")[..16]);
    assert_eq!(data(&changed, &[CLUSTER], "team")["password"], "new");

    let other = unlocked
        .set(&changes(&[("password", Some("new"))]), &recipients(&[CLUSTER]))
        .unwrap()
        .to_value();
    assert_eq!(
        other["spec"]["dataKeys"].as_array().unwrap().len(),
        2,
        "other recipients, another data key"
    );
    assert_eq!(line(&other, "banner"), line(&before, "banner"));
}

#[test]
fn the_template_changes_with_a_key_and_every_nonce_with_it() {
    let before = sealed();
    let unlocked = parse(&before).unlock(&identities(&[CLUSTER])).ok().unwrap();
    let mut template = unlocked.template();
    template["type"] = "Opaque".into();
    let to = recipients(&[CLUSTER]);
    let same = unlocked.retemplate(&unlocked.template(), &to).unwrap();
    assert_eq!(same.to_value(), before, "the same template changes nothing");
    let after = unlocked.retemplate(&template, &to).unwrap().to_value();
    assert_eq!(after["spec"]["dataKeys"].as_array().unwrap().len(), 1);
    assert_ne!(after["spec"]["dataKeys"], before["spec"]["dataKeys"]);
    for name in ["banner", "password"] {
        let nonce = |object| line(object, name)[17..33].to_owned();
        assert_ne!(
            nonce(&before),
            nonce(&after),
            "one nonce for two texts gives the authentication key away"
        );
    }
    assert_eq!(
        data(&after, &[CLUSTER], "team"),
        data(&before, &[CLUSTER], "team")
    );
}

#[test]
fn an_object_that_was_moved_is_sealed_for_elsewhere_only_on_purpose() {
    let before = sealed();
    let mut renamed = before.clone();
    renamed["metadata"]["name"] = "cache".into();
    assert!(open(&renamed, &[CLUSTER], "team").is_err());
    for (field, other) in [("name", "cache"), ("namespace", "dev")] {
        let mut moved = before.clone();
        moved["metadata"][field] = other.into();
        let problems = parse(&moved).unlock(&identities(&[CLUSTER])).err();
        let problems = problems.unwrap_or_else(|| panic!("a changed {field} opens for editing"));
        assert!(
            problems[0].to_string().contains("it is sealed for"),
            "{problems:?}"
        );
    }
    let unlocked = parse(&renamed)
        .unlock_as_sealed(&identities(&[CLUSTER]))
        .ok()
        .unwrap();
    let mended = unlocked
        .reseal(Scope::Strict, Some("team"), "cache", &recipients(&[CLUSTER]))
        .unwrap()
        .to_value();
    assert_eq!(
        data(&mended, &[CLUSTER], "team"),
        data(&before, &[CLUSTER], "team")
    );
}

#[test]
fn rotation_seals_under_a_fresh_data_key() {
    let before = sealed_for(Scope::Namespace, &[CLUSTER]);
    let unlocked = parse(&before).unlock(&identities(&[CLUSTER])).ok().unwrap();
    let after = unlocked
        .reseal(Scope::Namespace, Some("team"), "db", &recipients(&[TEAM]))
        .unwrap()
        .to_value();
    assert_ne!(
        before["spec"]["dataKeys"][0]["id"],
        after["spec"]["dataKeys"][0]["id"]
    );
    assert_ne!(line(&before, "password")[17..], line(&after, "password")[17..]);
    assert!(
        open(&after, &[CLUSTER], "team").is_err(),
        "the old key opens nothing new"
    );
    assert_eq!(data(&after, &[TEAM], "team"), data(&before, &[CLUSTER], "team"));
    assert_eq!(after["metadata"], before["metadata"]);
    assert_eq!(after["spec"]["template"], before["spec"]["template"]);
}
