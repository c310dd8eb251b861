use super::*;

#[test]
fn who_attends_hears_of_health_and_of_the_end_and_never_of_drift() {
    let mut bench = Bench::listed();
    let mailbox = Arc::<Mailbox>::default();
    bench.objects.show_content(true);
    bench.objects.attend(&key(), &mailbox, Some(&live("job", 10, 1)));
    assert_eq!(bench.health(), Health::Unknown, "it has not been shown");
    bench.judge(live("job", 10, 1), verdict(Status::InProgress, "runs"));
    assert!(mailbox.now().health);
    bench.judge(live("job", 11, 7), verdict(Status::Current, "done"));
    let told = mailbox.now();
    assert!(told.health && told.drifted.is_empty());
    assert_eq!((bench.health(), bench.drift()), (Health::Current, None));
    bench.vanish(12);
    let told = mailbox.now();
    assert!(told.health && told.drifted.is_empty());
    assert_eq!(bench.health(), Health::Absent);
    assert!(!bench.objects.is_idle());
    bench.objects.release(&key(), &mailbox);
    assert!(bench.objects.entries.is_empty());
}

#[test]
fn the_job_of_an_earlier_run_is_not_taken_for_this_one() {
    let mut bench = Bench::listed();
    let mailbox = Arc::<Mailbox>::default();
    bench.objects.show_content(true);
    bench.judge(live("old", 5, 1), verdict(Status::Current, "done"));
    bench.objects.attend(&key(), &mailbox, Some(&live("new", 10, 1)));
    assert_eq!(bench.health(), Health::Unknown);
    bench.judge(live("new", 10, 1), verdict(Status::InProgress, ""));
    assert_eq!(bench.health().status(), Some(Status::InProgress));
    bench.judge(live("newer", 20, 1), verdict(Status::Current, ""));
    assert_eq!(bench.health(), Health::Absent);
}

#[test]
fn without_a_version_whatever_stands_there_is_meant() {
    let mut bench = Bench::listed();
    let mailbox = Arc::<Mailbox>::default();
    bench.objects.attend(&key(), &mailbox, None);
    assert_eq!(bench.health(), Health::Absent);
    bench.see(live("u", 3, 1));
    assert!(mailbox.now().health);
    assert_eq!(bench.health(), Health::Current);
    // It wakes the owner and who attends.
    bench.objects.expect(&key(), &bench.owner, &live("u", 0, 1));
    bench.vanish(4);
    assert!(mailbox.now().health && bench.told().health);
    // Of two who attend, one stays.
    let other = Arc::<Mailbox>::default();
    bench.objects.attend(&key(), &other, None);
    bench.objects.release(&key(), &mailbox);
    bench.see(live("u", 6, 1));
    assert!(other.now().health && !mailbox.now().health);
}

#[test]
fn who_attends_is_woken_when_what_was_frozen_thaws() {
    let mut bench = Bench::listed();
    let mailbox = Arc::<Mailbox>::default();
    bench.objects.attend(&key(), &mailbox, None);
    bench.show(Sight {
        frozen: true,
        ..sight(live("u", 3, 1))
    });
    let told = mailbox.now();
    assert!(told.health && !told.whole);
    bench.show(sight(live("u", 4, 1)));
    assert!(mailbox.now().whole);
}
