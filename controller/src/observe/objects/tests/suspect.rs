use super::*;
use crate::observe::objects::later::SUSPICION_PAUSE;

fn suspect() -> Drift {
    Drift::Suspect { by: None }
}

#[test]
fn a_spec_that_moves_without_our_entry_is_suspected_once_a_generation() {
    let mut bench = Bench::with(&of_generation(10, 1, 1));
    bench.see(of_generation(11, 1, 1));
    assert_eq!(bench.told_drift(), None, "a status, or metadata");
    let entries = [entry("kubectl-scale", "Update", "f:spec", 4)];
    bench.show(Sight {
        entries: &entries,
        ..sight(of_generation(12, 1, 2))
    });
    let by = Some(Drift::Suspect {
        by: Some("kubectl-scale".into()),
    });
    assert_eq!(bench.told_drift(), by);
    bench.show(Sight {
        entries: &entries,
        ..sight(of_generation(13, 1, 2))
    });
    assert_eq!(bench.told_drift(), None, "it was told");
    assert_eq!(bench.drift(), by, "and is not settled");
    bench.objects.settle(&key());
    assert_eq!(bench.drift(), None);
    assert_eq!(bench.objects.drift_detail(&key()), None);
}

#[test]
fn suspicions_keep_a_distance_and_none_is_lost() {
    let mut bench = Bench::with(&of_generation(10, 1, 1));
    bench.see(of_generation(11, 1, 2));
    assert_eq!(bench.told_drift(), Some(suspect()));
    bench.objects.settle(&key());
    for generation in 3..20 {
        bench.see(of_generation(u64::from(generation) + 20, 1, generation));
        bench.wait(Duration::from_secs(1));
    }
    assert_eq!((bench.told_drift(), bench.drift()), (None, None));
    bench.wait(SUSPICION_PAUSE);
    assert_eq!(bench.told_drift(), Some(suspect()));
    bench.objects.settle(&key());
    bench.wait(SUSPICION_PAUSE);
    assert_eq!((bench.told_drift(), bench.objects.next_due()), (None, None));
    bench.see(of_generation(99, 1, 99));
    assert_eq!(bench.told_drift(), Some(suspect()));
}

#[test]
fn our_own_applies_are_above_suspicion() {
    let mut bench = Bench::with(&of_generation(10, 1, 1));
    // The event comes before the answer, and a value changed that leaves our entry as it was.
    bench.objects.begin(&key());
    bench.see(of_generation(12, 1, 2));
    bench.finish(Some(&of_generation(12, 1, 2)));
    bench.see(of_generation(13, 1, 2));
    // The other way round.
    bench.apply(&of_generation(14, 1, 3));
    bench.see(of_generation(14, 1, 3));
    assert_eq!((bench.told_drift(), bench.drift()), (None, None));
    // Somebody wrote between our apply and its answer.
    bench.objects.begin(&key());
    bench.see(of_generation(16, 1, 5));
    assert_eq!(bench.told_drift(), None);
    bench.finish(Some(&of_generation(15, 1, 4)));
    assert_eq!(bench.told_drift(), Some(suspect()));
    // An apply settles it.
    bench.apply(&of_generation(17, 1, 5));
    assert_eq!(bench.drift(), None);
}

#[test]
fn a_changed_entry_is_more_than_a_suspicion_and_a_restart_is_none() {
    let mut bench = Bench::with(&of_generation(10, 1, 1));
    bench.see(of_generation(11, 9, 2));
    assert_eq!(bench.told_drift(), Some(changed(None)));

    let mut bench = Bench::listed();
    bench.see(of_generation(50, 1, 7));
    assert!(!bench.objects.expect(&key(), &bench.owner, &live("u", 0, 1)));
    bench.see(of_generation(51, 1, 7));
    assert_eq!(bench.told_drift(), None);
    bench.see(of_generation(52, 1, 8));
    assert_eq!(bench.told_drift(), Some(suspect()));
}
