use super::*;
use crate::observe::objects::later::UNSEEN_PAUSE;

#[test]
fn what_a_new_listing_lacks_is_gone_unless_it_was_applied_meanwhile() {
    let mut bench = Bench::applied();
    bench.objects.listing_begins();
    bench.apply(&live("u", 20, 1));
    bench.objects.listing_ends(bench.at);
    assert_eq!(bench.drift(), None);
    bench.list(&[]);
    assert_eq!(bench.drift(), Some(Drift::Deleted));
}

#[test]
fn nothing_is_known_before_a_listing_is_complete() {
    let mut objects = Objects::default();
    objects.listing_begins();
    assert_eq!(objects.as_seen(&key()), Seen::Unwatched);
    objects.listing_ends(At::now());
    assert_eq!(objects.as_seen(&key()), Seen::Absent);
    assert_eq!(objects.health(&key()), Health::Absent);
    objects.blind();
    assert_eq!(objects.as_seen(&key()), Seen::Unwatched);
    assert_eq!(objects.health(&key()), Health::Unknown);
}

/// Applied after the listing began, and deleted before the server made it.
#[test]
fn a_delete_between_a_listings_start_and_its_making_is_found() {
    let other = Key {
        name: "b".into(),
        ..key()
    };
    // Something in the listing is newer than our apply: so is the listing.
    let mut bench = Bench::listed();
    bench.objects.listing_begins();
    bench.apply(&live("u", 20, 1));
    bench.objects.seen(&other, sight(live("b", 21, 1)), bench.at);
    bench.objects.listing_ends(bench.at);
    assert_eq!(bench.told_drift(), Some(Drift::Deleted));

    // Nothing tells: the watch has to show it before long.
    for shown in [true, false] {
        let mut bench = Bench::listed();
        bench.objects.listing_begins();
        bench.objects.seen(&other, sight(live("b", 19, 1)), bench.at);
        bench.apply(&live("u", 20, 1));
        bench.objects.listing_ends(bench.at);
        assert_eq!(bench.told_drift(), None);
        if shown {
            bench.see(live("u", 20, 1));
        }
        assert!(bench.objects.next_due().is_some());
        bench.wait(UNSEEN_PAUSE);
        let want = (!shown).then_some(Drift::Suspect { by: None });
        assert_eq!(bench.told_drift(), want);
        assert_eq!(bench.drift(), want);
    }
}

#[test]
fn what_the_listing_showed_before_we_applied_it_needs_no_proof() {
    let mut bench = Bench::listed();
    bench.objects.listing_begins();
    bench.see(live("u", 19, 1));
    bench.apply(&live("u", 20, 1));
    bench.objects.listing_ends(bench.at);
    assert_eq!((bench.drift(), bench.objects.next_due()), (None, None));
}
