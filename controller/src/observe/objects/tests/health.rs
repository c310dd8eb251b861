use super::*;

/// Objects that are shown whole.
fn content() -> Bench {
    let mut bench = Bench::listed();
    bench.objects.show_content(true);
    bench
}

fn status(bench: &Bench) -> Option<Status> {
    bench.health().status()
}

#[test]
fn a_verdict_counts_from_the_version_that_our_apply_returned() {
    let mut bench = content();
    assert_eq!(bench.health(), Health::Absent);
    bench.apply(&live("u", 10, 1));
    assert_eq!(bench.health(), Health::Unknown, "not seen yet");
    assert!(!bench.told().health, "who applied it knows");
    bench.judge(live("u", 10, 1), verdict(Status::Current, ""));
    assert_eq!(bench.health(), Health::Current);
    assert!(bench.told().health);

    bench.apply(&live("u", 20, 2));
    assert_eq!(bench.health(), Health::Unknown);
    bench.judge(live("u", 15, 1), verdict(Status::Current, ""));
    assert_eq!(bench.health(), Health::Unknown, "that was before");
    assert!(!bench.told().health);
    bench.judge(live("u", 20, 2), verdict(Status::InProgress, "half"));
    assert_eq!(status(&bench), Some(Status::InProgress));
    assert!(bench.told().health);

    // An apply that changed nothing returns the version that was shown.
    bench.apply(&live("u", 20, 2));
    assert_eq!(status(&bench), Some(Status::InProgress));
    bench.see(live("other", 30, 2));
    assert_eq!(bench.health(), Health::Absent, "another object of that name");
}

#[test]
fn where_being_there_is_all_our_own_apply_proves_it() {
    let mut bench = Bench::applied();
    assert_eq!(bench.health(), Health::Current);
    bench.judge(live("u", 11, 1), verdict(Status::Terminating, ""));
    assert_eq!(status(&bench), Some(Status::Terminating));
    bench.told();
    bench.vanish(12);
    assert_eq!(bench.health(), Health::Absent);
    assert!(bench.told().health);

    let mut unlisted = Objects::default();
    assert_eq!(unlisted.health(&key()), Health::Unknown);
    unlisted.expect(&key(), &Arc::default(), &live("u", 0, 1));
    assert_eq!(
        unlisted.health(&key()),
        Health::Unknown,
        "a checkpoint is no proof"
    );
    unlisted.finish(&key(), &Arc::default(), Some(&live("u", 10, 1)), At::now());
    assert_eq!(unlisted.health(&key()), Health::Current);
}

#[test]
fn who_owns_it_hears_of_changed_words_and_of_nothing_else() {
    let mut bench = content();
    bench.apply(&live("u", 10, 1));
    let steps = [
        (Status::InProgress, "1 of 3", true, 0),
        (Status::InProgress, "1 of 3", false, 0),
        (Status::InProgress, "2 of 3", true, 0),
        (Status::Failed, "2 of 3", true, 3),
        (Status::Current, "", true, 0),
        (Status::Current, "now with words", false, 0),
        (Status::InProgress, "1 of 3", true, 6),
    ];
    let start = bench.at.time;
    for (step, (status, message, told, since)) in steps.into_iter().enumerate() {
        let version = 10 + u64::try_from(step).unwrap();
        bench.judge(live("u", version, 1), verdict(status, message));
        assert_eq!(bench.told().health, told, "step {step}");
        match bench.health() {
            Health::Of(judged) => {
                assert_eq!((judged.status, &*judged.message), (status, message));
                assert_eq!(judged.since, start + Duration::from_secs(since), "step {step}");
            }
            other => assert_eq!(other.status(), Some(status), "step {step}"),
        }
        bench.wait(Duration::from_secs(1));
    }
}

#[test]
fn a_current_object_costs_nothing_more() {
    let mut bench = content();
    bench.judge(live("u", 10, 1), verdict(Status::Failed, "no"));
    assert!(bench.objects.entries[&key()].extra().is_some());
    bench.judge(live("u", 11, 1), verdict(Status::Current, "yes"));
    assert!(bench.objects.entries[&key()].extra().is_none());
}

#[test]
fn other_rules_judge_the_same_version_anew() {
    let mut bench = Bench::applied();
    bench.see(live("u", 10, 1));
    assert_eq!(bench.health(), Health::Current);
    bench.objects.show_content(true);
    assert_eq!(bench.health(), Health::Unknown, "only its metadata was seen");
    bench.told();
    bench.judge(live("u", 10, 1), verdict(Status::Failed, "by rule"));
    assert_eq!(status(&bench), Some(Status::Failed));
    assert!(bench.told().health);
    bench.judge(live("u", 10, 1), verdict(Status::Current, "by another"));
    assert_eq!(bench.health(), Health::Current);
    assert!(bench.told().health);
}

#[test]
fn since_is_of_the_object_and_not_of_its_name() {
    let mut bench = content();
    bench.judge(live("u", 10, 1), verdict(Status::Failed, "no"));
    bench.wait(Duration::from_mins(1));
    bench.judge(live("v", 20, 1), verdict(Status::Failed, "no"));
    let Health::Of(judged) = bench.health() else {
        panic!("{:?}", bench.health());
    };
    assert_eq!(judged.since, bench.at.time);
    assert!(judged.since > SystemTime::UNIX_EPOCH);
}
