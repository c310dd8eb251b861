use super::*;

#[test]
fn our_own_echo_is_not_drift_in_either_order() {
    let mut bench = Bench::applied();
    bench.see(live("u", 10, 1));
    assert_eq!(bench.drift(), None);
    // The event comes before the answer.
    bench.objects.begin(&key());
    bench.see(live("u", 12, 2));
    bench.finish(Some(&live("u", 12, 2)));
    assert_eq!(bench.drift(), None);
    assert_eq!(
        bench.objects.as_seen(&key()),
        Seen::Present {
            uid: "u".into(),
            owned: Some(FieldSet([2; 16])),
            deleting: false
        }
    );
    assert!(bench.told().drifted.is_empty());
}

#[test]
fn changed_replaced_and_deleted_are_told_apart() {
    let mut bench = Bench::applied();
    bench.see(live("u", 11, 1));
    assert_eq!(bench.drift(), None, "fields that others own are theirs");
    let entries = [entry("kubectl-edit", "Update", "f:a", 2)];
    bench.show(Sight {
        entries: &entries,
        ..sight(live("u", 12, 9))
    });
    assert_eq!(bench.drift(), Some(changed(Some("kubectl-edit"))));
    assert_eq!(bench.told_drift(), Some(changed(Some("kubectl-edit"))));
    bench.see(live("v", 13, 1));
    assert_eq!(bench.drift(), Some(Drift::Replaced { by: None }));
    bench.vanish(14);
    assert_eq!(bench.drift(), Some(Drift::Deleted));
}

#[test]
fn a_stale_delete_does_not_undo_our_own_create() {
    let mut bench = Bench::applied();
    bench.vanish(9);
    assert_eq!(bench.drift(), None);
}

#[test]
fn nobody_releases_what_is_another_s() {
    let mut bench = Bench::applied();
    bench.objects.release(&key(), &Arc::default());
    bench.vanish(99);
    assert_eq!(bench.drift(), Some(Drift::Deleted));
}

#[test]
fn what_is_released_and_gone_costs_no_memory() {
    let mut bench = Bench::applied();
    assert!(!bench.objects.is_idle());
    bench.objects.release(&key(), &bench.owner);
    assert!(bench.objects.is_idle());
    bench.vanish(99);
    assert!(bench.objects.entries.is_empty());
    bench.objects.begin(&key());
    bench.finish(None);
    assert!(bench.objects.entries.is_empty());
}

#[test]
fn drift_during_a_request_of_another_sync_is_told_when_that_failed() {
    let mut bench = Bench::applied();
    let other: Arc<Mailbox> = Arc::default();
    bench.objects.begin(&key());
    bench.see(live("u", 11, 9));
    assert_eq!(bench.told_drift(), None, "the request may be what changed it");
    bench.objects.finish(&key(), &other, None, bench.at);
    assert_eq!(bench.told_drift(), Some(changed(None)));
    // One's own failure is known: to be told of it would be a loop.
    bench.objects.begin(&key());
    bench.finish(None);
    assert_eq!(bench.told_drift(), None);
}

#[test]
fn what_is_frozen_is_no_drift_until_it_thaws_or_goes() {
    let frozen = |live: LiveMeta| Sight {
        frozen: true,
        ..sight(live)
    };
    let mut bench = Bench::with(&of_generation(10, 1, 1));
    bench.show(frozen(of_generation(11, 9, 1)));
    bench.show(frozen(of_generation(12, 9, 2)));
    assert!(bench.objects.frozen(&key()));
    assert_eq!((bench.drift(), bench.told_drift()), (None, None));
    bench.see(of_generation(13, 9, 2));
    assert!(!bench.objects.frozen(&key()));
    assert_eq!(bench.told_drift(), Some(changed(None)));

    // A spec that was changed meanwhile is suspect when it thaws.
    let mut bench = Bench::with(&of_generation(10, 1, 1));
    bench.show(frozen(of_generation(11, 1, 2)));
    assert_eq!(bench.told_drift(), None);
    bench.see(of_generation(12, 1, 2));
    assert_eq!(bench.told_drift(), Some(Drift::Suspect { by: None }));

    bench.show(frozen(of_generation(13, 1, 2)));
    bench.vanish(14);
    assert!(!bench.objects.frozen(&key()));
    assert_eq!(bench.told_drift(), Some(Drift::Deleted));
}
