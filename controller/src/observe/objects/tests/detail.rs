use super::*;

/// An object with our entry and one of kubectl's, which is newer.
fn before() -> Vec<ManagedFieldsEntry> {
    vec![
        entry(US, "Apply", "f:a", 1),
        entry("kubectl-label", "Update", "f:l", 9),
    ]
}

#[test]
fn who_changed_our_fields_is_told_from_who_wrote_last() {
    let mut bench = Bench::applied();
    let mut entries = before();
    bench.show(Sight {
        entries: &entries,
        ..sight(live("u", 10, 1))
    });
    entries[0] = entry(US, "Apply", "f:b", 5);
    entries.push(entry("kubectl-patch", "Update", "f:a", 5));
    bench.show(Sight {
        entries: &entries,
        ..sight(live("u", 11, 2))
    });
    assert_eq!(bench.drift(), Some(changed(Some("kubectl-patch"))));
    let detail = bench.objects.drift_detail(&key()).unwrap();
    assert_eq!(detail.at.unwrap().to_string(), "2026-01-01T00:00:05Z");
    assert_eq!(detail.own, Some(json!({"f:b": {}})));
    assert_eq!(detail.entries.len(), 3);
    // Who writes other fields then did not do it.
    entries.push(entry("sidecar", "Update", "f:s", 20));
    bench.show(Sight {
        entries: &entries,
        ..sight(live("u", 12, 2))
    });
    assert_eq!(bench.drift(), Some(changed(Some("kubectl-patch"))));
    // Repaired, it costs nothing more.
    bench.apply(&live("u", 13, 1));
    assert_eq!((bench.drift(), bench.objects.drift_detail(&key())), (None, None));
    assert_eq!(bench.objects.details, 0);
}

#[test]
fn what_drifted_before_anybody_expected_it_is_shown_again() {
    let mut bench = Bench::listed();
    let entries = before();
    let shown = || Sight {
        entries: &entries,
        ..sight(live("u", 10, 2))
    };
    bench.show(shown());
    assert!(bench.objects.expect(&key(), &bench.owner, &live("u", 0, 1)));
    assert!(
        !bench.objects.expect(&key(), &bench.owner, &live("u", 0, 1)),
        "once"
    );
    assert_eq!(bench.drift(), Some(changed(None)));
    bench.show(shown());
    assert_eq!(bench.drift(), Some(changed(Some("kubectl-label"))));
    assert_eq!(bench.told_drift(), None, "who expected it knows");
}

#[test]
fn the_details_of_a_kind_are_bounded() {
    let mut bench = Bench::listed();
    let entries = before();
    let name = |n: usize| Key {
        name: n.to_string().into(),
        ..key()
    };
    for n in 0..=DETAILS {
        bench
            .objects
            .finish(&name(n), &bench.owner, Some(&live("u", 10, 1)), bench.at);
        let drifted = Sight {
            entries: &entries,
            ..sight(live("u", 11, 2))
        };
        bench.objects.seen(&name(n), drifted, bench.at);
    }
    let last = bench.objects.drift_detail(&name(DETAILS)).unwrap();
    assert_eq!(last.by.as_deref(), Some("kubectl-label"));
    assert!(last.entries.is_empty() && last.own.is_none());
    for n in 0..=DETAILS {
        bench.objects.vanished(&name(n), 12, bench.at);
        bench.objects.release(&name(n), &bench.owner);
    }
    assert_eq!((bench.objects.details, bench.objects.entries.len()), (0, 0));
}

#[test]
fn rivals_are_flagged_and_what_was_not_shown_may_have_some() {
    let mut bench = Bench::applied();
    assert!(bench.objects.contested(&key(), &[]));
    bench.show(Sight {
        entries: &before(),
        ..sight(live("u", 10, 1))
    });
    assert!(!bench.objects.contested(&key(), &[]));
    let mut entries = before();
    entries.push(entry("signet/other", "Apply", "f:x", 3));
    bench.show(Sight {
        entries: &entries,
        ..sight(live("u", 11, 1))
    });
    assert!(bench.objects.contested(&key(), &[]));
    assert_eq!(bench.drift(), None);
}

#[test]
fn a_sync_may_trust_more_managers() {
    let mut bench = Bench::applied();
    bench.show(Sight {
        entries: &before(),
        ..sight(live("u", 10, 1))
    });
    for (trusted, want) in [("kubectl-*", true), ("kubelet", false)] {
        assert_eq!(
            bench.objects.contested(&key(), &[trusted.to_owned()]),
            want,
            "{trusted}"
        );
    }
}
