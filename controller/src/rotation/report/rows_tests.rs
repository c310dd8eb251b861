use super::*;
use crds::ReportCommit;
use std::sync::Arc;

fn at(key: &str) -> Place {
    Place {
        namespace: "shop".into(),
        name: "db".into(),
        key: key.into(),
    }
}

fn commit(id: &str) -> ReportCommit {
    ReportCommit {
        id: id.into(),
        author: format!("{id} <{id}@example.org>"),
        date: "2026-01-01T00:00:00Z".into(),
    }
}

fn leak(key: &str, digest: u8, file: &str, id: &str) -> Leak {
    Leak {
        place: at(key),
        key: "key-old".into(),
        digest: Some([digest; 16]),
        file: file.into(),
        commit: Some(commit(id)),
    }
}

fn value(key: &str, digest: Option<u8>) -> (Value, Arc<str>) {
    let value = Value {
        place: at(key),
        digest: digest.map(|digest| [digest; 16]),
        leaked: None,
    };
    (value, "app/now.yaml".into())
}

fn brought(key: &str, digest: u8, id: &str) -> ((Place, Digest), Arc<ReportCommit>) {
    ((at(key), [digest; 16]), Arc::new(commit(id)))
}

fn judged(report: &mut Report, found: &Findings) -> Vec<(String, &'static str, String)> {
    let now = Now {
        git: [("shop/app", found)].into(),
        cluster: Some(&[]),
    };
    report.judge(&now);
    let rows = report.rows.iter();
    rows.map(|row| {
        let since = row.since.clone().unwrap_or_default().id;
        (row.key.clone(), row.changed.as_str(), since)
    })
    .collect()
}

fn said(expected: &[(&str, &'static str, &str)]) -> Vec<(String, &'static str, String)> {
    let all = expected.iter();
    all.map(|(key, changed, since)| ((*key).to_owned(), *changed, (*since).to_owned()))
        .collect()
}

#[test]
fn a_value_has_changed_when_it_is_none_of_those_that_leaked() {
    let found = Findings {
        head: "3".into(),
        leaked: vec![
            leak("changed", 1, "a.yaml", "1"),
            leak("same", 2, "a.yaml", "1"),
            leak("removed", 3, "a.yaml", "1"),
            leak("closed", 4, "a.yaml", "1"),
            leak("back", 5, "a.yaml", "1"),
            leak("back", 6, "b.yaml", "2"),
            // Swapped for what another one was.
            leak("swapped", 7, "a.yaml", "1"),
        ],
        brought: [brought("changed", 9, "3"), brought("same", 2, "1")].into(),
        current: vec![
            value("changed", Some(9)),
            value("same", Some(2)),
            value("closed", None),
            value("back", Some(5)),
            value("swapped", Some(1)),
            // What was removed stands elsewhere.
            value("elsewhere", Some(3)),
        ],
        commits: 3,
        afresh: true,
        ..Findings::default()
    };
    let mut report = Report::default();
    report.take("uid", "shop/app", &Terms::default(), &found);
    let expected = said(&[
        ("changed", "yes", "3"),
        ("same", "no", ""),
        ("removed", "removed", ""),
        ("closed", "unknown", ""),
        ("back", "no", ""),
        ("swapped", "no", ""),
        ("elsewhere", "no", ""),
    ]);
    assert_eq!(judged(&mut report, &found), expected);
    assert_eq!(report.rows[4].files, ["a.yaml", "b.yaml"]);
    assert_eq!(report.rows[4].first, Some(commit("1")));
    assert_eq!(report.rows[6].sealed_for, "");
    let sum = report.sum(&BTreeSet::new(), 1);
    assert_eq!(
        (sum.values, sum.unchanged, sum.changed, sum.removed, sum.unknown),
        (7, 4, 1, 1, 1)
    );
    assert_eq!(sum.state, ReportState::Complete);

    // The same once more from what is kept, when nothing new has come: who changed it is still known.
    let mut kept = Report::of(report.rows.clone(), report.digests.clone());
    let later = Findings {
        leaked: Vec::new(),
        brought: HashMap::new(),
        ..found
    };
    assert_eq!(judged(&mut kept, &later), expected);
    // And what is changed back is not.
    let back = Findings {
        current: vec![value("changed", Some(1))],
        ..later
    };
    assert_eq!(judged(&mut kept, &back)[0], said(&[("changed", "no", "")])[0]);
}

#[test]
fn what_cannot_be_looked_at_keeps_what_was_said_of_it() {
    let found = Findings {
        leaked: vec![leak("a", 1, "a.yaml", "1")],
        current: vec![value("a", Some(1))],
        ..Findings::default()
    };
    let mut report = Report::default();
    report.take("uid", "shop/app", &Terms::default(), &found);
    judged(&mut report, &found);
    report.judge(&Now::default());
    assert_eq!(report.rows[0].changed, ValueChanged::No, "absence is not removal");
    let gaps = BTreeSet::from(["Repository a/b: it cannot be followed.".to_owned()]);
    assert_eq!(report.sum(&gaps, 1).state, ReportState::Incomplete);
}

#[test]
fn an_object_of_the_cluster_that_a_repository_has_is_named_once() {
    let value = |key: &str| Value {
        place: at(key),
        digest: Some([1; 16]),
        leaked: Some("key-old".into()),
    };
    let mut report = Report::default();
    report.take_cluster(&[value("a"), value("b")]);
    let found = Findings {
        leaked: vec![leak("a", 1, "a.yaml", "1")],
        ..Findings::default()
    };
    report.take("uid", "shop/app", &Terms::default(), &found);
    let rows: Vec<_> = report
        .rows
        .iter()
        .map(|row| (row.key.as_str(), row.repository.as_str()))
        .collect();
    assert_eq!(rows, [("a", "shop/app"), ("b", "")]);
    assert_eq!(report.digests.len(), 1);
}

#[test]
fn gaps_are_bounded() {
    let gaps = (0..50)
        .map(|number| format!("{number} {}", "x".repeat(2000)))
        .collect();
    let sum = Report::default().sum(&gaps, 0);
    assert_eq!(sum.gaps.len(), GAPS);
    assert_eq!(sum.gaps[GAPS - 1], "And 31 more.");
    assert!(sum.gaps.iter().all(|gap| gap.chars().count() <= LONGEST_GAP));
}

#[test]
fn what_was_taken_in_and_not_judged_is_looked_at_again_after_a_restart() {
    let found = Findings {
        head: "1".into(),
        leaked: vec![leak("a", 1, "a.yaml", "1")],
        current: vec![value("a", Some(1))],
        ..Findings::default()
    };
    let terms = |namespace: &str| Terms {
        namespaces: vec![namespace.to_owned()],
        ..Terms::default()
    };
    let mut report = Report::default();
    report.take("uid", "shop/app", &terms("shop"), &found);
    assert!(
        !report.is_told("uid", "1", &terms("shop")),
        "killed here, it is not known"
    );
    judged(&mut report, &found);
    assert!(report.is_told("uid", "1", &terms("shop")) && report.cluster_judged);
    assert!(!report.is_told("uid", "2", &terms("shop")));
    assert!(!report.is_told("uid", "1", &terms("bank")));
    report.take("uid", "shop/app", &terms("shop"), &found);
    assert!(!report.is_told("uid", "1", &terms("shop")));
}

#[test]
fn without_the_digests_nothing_is_said_to_be_changed() {
    let found = Findings {
        head: "1".into(),
        leaked: vec![leak("changed", 1, "a.yaml", "1"), leak("gone", 2, "a.yaml", "1")],
        current: vec![value("changed", Some(9))],
        ..Findings::default()
    };
    let mut report = Report {
        cluster: true,
        ..Report::default()
    };
    report.take("uid", "shop/app", &Terms::default(), &found);
    assert_eq!(judged(&mut report, &found)[0].1, "yes");
    // The keys are gone: what they opened cannot be digested again.
    report.forget_digests(false);
    assert!(report.lost && report.digests.is_empty());
    assert_eq!(report.rows[0].changed, ValueChanged::Unknown);
    assert!(!report.is_told("uid", "1", &Terms::default()));
    let expected = said(&[("changed", "unknown", ""), ("gone", "removed", "")]);
    assert_eq!(judged(&mut report, &found), expected);
    let sum = report.sum(&BTreeSet::new(), 1);
    assert_eq!(
        (sum.state, sum.unknown, sum.changed),
        (ReportState::Incomplete, 1, 0)
    );
    assert!(sum.gaps[0].contains("signet-digest-key"), "{:?}", sum.gaps);
    // The keys are there: it is looked through anew.
    report.forget_digests(true);
    assert!(!report.lost && !report.cluster && report.walked.is_empty());
    report.take("uid", "shop/app", &Terms::default(), &found);
    assert_eq!(judged(&mut report, &found)[0].1, "yes");
}

#[test]
fn what_has_no_room_is_told_and_nothing_is_said_to_be_changed() {
    let long = |number: usize| format!("{number:0>250}");
    let leaked = (0..MOST_ROWS + 10).map(|number| leak(&long(number), 1, &"f".repeat(9_000), "1"));
    let found = Findings {
        head: "1".into(),
        leaked: leaked.collect(),
        current: vec![value(&long(0), Some(9))],
        ..Findings::default()
    };
    let mut report = Report::default();
    report.take("uid", "shop/app", &Terms::default(), &found);
    assert!(report.cut && report.rows.len() <= MOST_ROWS);
    let real: usize = report.rows.iter().map(weight).sum();
    assert_eq!(report.bytes, real);
    assert!(report.bytes <= MOST_BYTES + 4096, "{}", report.bytes);
    assert_eq!(judged(&mut report, &found)[0].1, "unknown");
    let sum = report.sum(&BTreeSet::new(), 1);
    assert!(sum.state == ReportState::Incomplete && sum.gaps[0].contains("not listed"));
    // What stands somewhere and could not be kept is not taken for removed.
    let mut report = Report::default();
    let cut = Findings {
        leaked: vec![leak("a", 1, "a.yaml", "1")],
        cut: true,
        ..Findings::default()
    };
    report.take("uid", "shop/app", &Terms::default(), &cut);
    assert_eq!(judged(&mut report, &cut)[0].1, "unknown");
}

#[test]
fn each_set_of_gaps_has_a_word_of_its_own() {
    let of = |gaps: &[&str]| {
        let gaps = gaps.iter().map(|gap| (*gap).to_owned()).collect();
        Report::default().sum(&gaps, 0).confirm
    };
    assert_eq!(of(&[]), "");
    let one = of(&["a"]);
    assert!(one.starts_with("gaps-") && one.len() == 21, "{one}");
    assert_eq!(one, of(&["a"]));
    assert!(one != of(&["b"]) && one != of(&["a", "b"]) && of(&["a b"]) != of(&["a", "b"]));
    // Those that are only counted as well.
    let found = |count: usize| Findings {
        gaps: (0..count).map(|number| format!("gap {number}")).collect(),
        ..Findings::default()
    };
    let words: BTreeSet<_> = (REPOSITORY_GAPS - 1..REPOSITORY_GAPS + 4)
        .map(|count| {
            let mut report = Report::default();
            report.take("uid", "shop/app", &Terms::default(), &found(count));
            let sum = report.sum(&BTreeSet::new(), 1);
            assert!(sum.gaps.len() <= REPOSITORY_GAPS + 1);
            sum.confirm
        })
        .collect();
    assert_eq!(words.len(), 5);
}

#[test]
fn what_keys_that_are_gone_did_not_open_stays_a_gap() {
    let found = |head: &str, gaps: &[&str], afresh, with_all_keys| Findings {
        head: head.into(),
        gaps: gaps.iter().map(|gap| (*gap).to_owned()).collect(),
        commits: 2,
        afresh,
        with_all_keys,
        ..Findings::default()
    };
    let mut report = Report::default();
    let terms = Terms::default();
    let state = |report: &Report| report.sum(&BTreeSet::new(), 1).state;
    report.take("uid", "shop/app", &terms, &found("1", &["a"], true, true));
    // Looked through once more, with a namespace that was not known then: nothing is missing any more.
    report.take("uid", "shop/app", &terms, &found("2", &[], true, true));
    assert_eq!(state(&report), ReportState::Complete);
    report.take("uid", "shop/app", &terms, &found("3", &["a"], true, true));
    // The same when one of the keys is gone: what it would open now is not known.
    report.take("uid", "shop/app", &terms, &found("4", &[], true, false));
    assert_eq!(state(&report), ReportState::Incomplete);
    assert_eq!(report.walked["uid"].commits, 2);
    // Another key that leaked is looked for from the beginning.
    report.walk_again();
    assert!(report.history("uid").is_none() && !report.is_told("uid", "4", &terms));
    assert_eq!(state(&report), ReportState::Incomplete);
    report.take("uid", "shop/app", &terms, &found("4", &[], true, false));
    assert_eq!(state(&report), ReportState::Incomplete);
    assert!(report.history("uid").is_some());
}

#[test]
fn paths_of_other_clusters_are_part_of_what_a_walk_covers() {
    let terms = |elsewhere: &[&str]| Terms {
        elsewhere: elsewhere.iter().map(|path| (*path).to_owned()).collect(),
        ..Terms::default()
    };
    let mut report = Report::default();
    report.take("uid", "shop/app", &terms(&[]), &Findings::default());
    assert!(report.walked["uid"].covers(&terms(&[])));
    assert!(!report.walked["uid"].covers(&terms(&["clusters/b"])));
}
