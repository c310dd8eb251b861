use super::*;
use crate::keys::KeyState;
use crate::rotation::facts::Objects;
use crate::rotation::status;
use crds::{KeyRotationSpec, KeyRotationStatus, RepositoryRotation};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

fn key(format: KeyFormat, id: &str, created: i64, rotation: Option<&str>) -> KeySecret {
    KeySecret {
        format,
        id: id.into(),
        state: KeyState::Active,
        secret: format!("secret-of-{id}"),
        uid: format!("uid-of-{id}"),
        version: "1".into(),
        created: Timestamp::from_second(created).unwrap(),
        rotation: rotation.map(str::to_owned),
    }
}

/// A rotation of both formats, as it is at first.
fn facts(spec: &serde_json::Value) -> Facts {
    let mut whole = json!({"algorithm": {"v1": "RSA4096", "v2": "X25519"},
        "retire": {"then": "Archive", "recipients": ["age1x"], "grace": "1h"}});
    for (name, value) in spec.as_object().unwrap() {
        whole[name] = value.clone();
    }
    let spec: KeyRotationSpec = serde_json::from_value(whole).unwrap();
    Facts {
        name: "spring".into(),
        barred: BTreeSet::new(),
        left_by_others: BTreeSet::new(),
        shut: Vec::new(),
        walked: None,
        bars: BTreeSet::new(),
        now: Timestamp::from_second(1_000_000).unwrap(),
        generation: 1,
        spec,
        record: KeyRotationStatus::default(),
        unusable: None,
        due: None,
        ahead: None,
        mark: "me".into(),
        opening: ["old1", "old2", "new1", "new2"].map(String::from).into(),
        newest: BTreeMap::from([(KeyFormat::V1, "new1".to_owned())]),
        keys: None,
        unread_keys: Vec::new(),
        published: None,
        git: None,
        objects: None,
        fresh: false,
        request: String::new(),
        trouble: None,
    }
}

fn stored() -> Vec<KeySecret> {
    vec![
        key(KeyFormat::V1, "old1", 1, None),
        key(KeyFormat::V2, "old2", 1, None),
        key(KeyFormat::V1, "new1", 9, Some("me")),
        key(KeyFormat::V2, "new2", 9, Some("me")),
        key(KeyFormat::V1, "newer", 10, None),
    ]
}

fn followed(name: &str, hanging: usize, may_push: bool) -> Followed {
    Followed {
        key: ("team".into(), name.into()),
        branch: "main".into(),
        may_push,
        merges: false,
        asks_for_a_pull: false,
        pull: None,
        head: Ok("c0ffee".into()),
        hanging,
        needs: hanging > 0,
        blockers: Vec::new(),
        behind: Vec::new(),
        outcome: None,
        races: 0,
    }
}

/// One with its keys made and published, and these Repositories.
fn begun(git: Vec<Followed>) -> Facts {
    let mut facts = facts(&json!({}));
    facts.keys = Some(stored());
    let (new, old) = note(&facts, &stored());
    (facts.record.new_keys, facts.record.old_keys) = (new, old);
    facts.published = Some(Ok(()));
    facts.git = Some(git);
    facts.objects = Some(Objects::default());
    facts
}

fn at(facts: &Facts) -> (Step, RotationPhase) {
    let next = next(facts);
    (next.step, next.said.phase)
}

#[test]
fn from_nothing_to_what_hangs_on_the_old_keys() {
    let mut facts = facts(&json!({}));
    assert_eq!(at(&facts), (Step::LookAtKeys, RotationPhase::Publishing));
    facts.keys = Some(stored()[..2].to_vec());
    assert_eq!(at(&facts).0, Step::MakeKey(KeyFormat::V1));
    // Killed behind the making: what is marked as ours is found, and no second one is made.
    facts.keys = Some(stored()[..3].to_vec());
    assert_eq!(at(&facts).0, Step::MakeKey(KeyFormat::V2));
    facts.keys = Some(stored());
    assert_eq!(at(&facts).0, Step::NoteKeys);
    let (new, old) = note(&facts, &stored());
    let ids = |keys: &[RotationKey]| keys.iter().map(|key| key.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&new), ["new1", "new2"]);
    assert_eq!(ids(&old), ["old1", "old2"], "what came later is not left");
    (facts.record.new_keys, facts.record.old_keys) = (new, old);
    assert_eq!(at(&facts), (Step::AskWhoPublishes, RotationPhase::Publishing));
    facts.published = Some(Err("The controller at 10.0.0.9:8080 does not.".into()));
    assert!(matches!(
        at(&facts),
        (Step::Rest(Some(_)), RotationPhase::Publishing)
    ));
    facts.published = Some(Ok(()));
    assert_eq!(at(&facts), (Step::LookAtGit, RotationPhase::Resealing));
}

#[test]
fn a_key_that_is_not_loaded_or_not_the_newest_is_waited_for() {
    let mut facts = begun(vec![]);
    facts.opening.remove("new2");
    assert!(matches!(
        at(&facts),
        (Step::Rest(Some(_)), RotationPhase::Publishing)
    ));
    let mut facts = begun(vec![]);
    facts.newest.insert(KeyFormat::V1, "old1".into());
    let said = next(&facts).said;
    assert!(
        said.stalled && said.message.contains("begins later"),
        "{}",
        said.message
    );
    // A newer one that is not left is as good.
    facts.newest.insert(KeyFormat::V1, "newer".into());
    assert_ne!(at(&facts).1, RotationPhase::Publishing);
    // Gone: nothing is retired without it.
    let mut facts = begun(vec![]);
    facts.keys.as_mut().unwrap().retain(|key| key.id != "new1");
    let said = next(&facts).said;
    assert!(
        said.stalled && said.message.contains("secret-of-new1"),
        "{}",
        said.message
    );
}

#[test]
fn repositories_are_sealed_one_after_the_other_and_persons_are_waited_for() {
    let mut facts = begun(vec![followed("a", 2, true), followed("b", 1, false)]);
    let key = |name: &str| ("team".to_owned(), name.to_owned());
    assert_eq!(at(&facts).0, Step::Reseal(key("a")));
    let made = Outcome::Made {
        branch: "main".into(),
        commit: "c1".into(),
        base: "c0".into(),
        values: 2,
    };
    facts.git.as_mut().unwrap()[0].outcome = Some(made);
    assert_eq!(at(&facts).0, Step::Push(key("a")));
    for (outcome, phase) in [
        (Outcome::Pushed, RotationPhase::AwaitingCommit),
        (Outcome::RolledBack("x".into()), RotationPhase::AwaitingCommit),
    ] {
        facts.git.as_mut().unwrap()[0].outcome = Some(outcome);
        assert!(matches!(at(&facts), (Step::Rest(Some(_)), found) if found == phase));
    }
    // Somebody was faster: at once again, for a while.
    facts.git.as_mut().unwrap()[0].outcome = Some(Outcome::Raced("x".into()));
    assert_eq!(at(&facts).0, Step::Reseal(key("a")));
    facts.git.as_mut().unwrap()[0].races = RACES;
    assert!(matches!(at(&facts).0, Step::Rest(Some(_))));
    facts.git.as_mut().unwrap()[1].hanging = 0;
    for (outcome, phase) in [
        (Outcome::Pushed, RotationPhase::Resealing),
        (Outcome::Behind, RotationPhase::Resealing),
        (Outcome::Failed("x".into()), RotationPhase::Resealing),
        (Outcome::NoRight("x".into()), RotationPhase::AwaitingCommit),
        (Outcome::AwaitsMerge(None), RotationPhase::AwaitingMerge),
        (Outcome::RolledBack("x".into()), RotationPhase::Blocked),
    ] {
        facts.git.as_mut().unwrap()[0].outcome = Some(outcome.clone());
        assert!(
            matches!(at(&facts), (Step::Rest(Some(_)), found) if found == phase),
            "{outcome:?}: {:?}",
            next(&facts)
        );
    }
}

#[test]
fn nothing_is_retired_while_anything_may_need_it() {
    let clean = || followed("a", 0, true);
    let blocker = || Blocker {
        place: "p".into(),
        object: "o".into(),
        message: "m".into(),
    };
    let mut unread = clean();
    unread.head = Err("It cannot be followed.".into());
    let mut blocked = clean();
    blocked.blockers = vec![blocker()];
    let mut behind = clean();
    behind.behind = vec![blocker()];
    let mut tag = followed("t", 3, true);
    tag.branch = String::new();
    tag.blockers = vec![blocker()];
    for one in [unread, blocked, behind, tag, followed("b", 1, false)] {
        let mut facts = begun(vec![clean(), one.clone()]);
        facts.fresh = true;
        facts.spec.retire.grace = "0s".into();
        let (step, phase) = at(&facts);
        assert!(matches!(step, Step::Rest(_)), "{one:?}: {step:?}");
        assert!(
            phase < RotationPhase::Unused || phase == RotationPhase::Blocked,
            "{phase:?}"
        );
        let said = next(&facts).said;
        status::note(&mut facts, &said);
        assert_eq!(facts.record.unused_since, None);
    }
    let mut facts = begun(vec![clean()]);
    facts.objects.as_mut().unwrap().blockers = vec![blocker()];
    assert_eq!(at(&facts).1, RotationPhase::Blocked);
    facts.objects.as_mut().unwrap().blockers.clear();
    facts.objects.as_mut().unwrap().count.left = 1;
    assert_eq!(at(&facts).0, Step::ResealObjects);
}

#[test]
fn keys_are_retired_after_their_grace_a_confirmation_and_one_more_look() {
    let mut facts = begun(vec![followed("a", 0, true)]);
    let first = next(&facts);
    assert_eq!(first.said.phase, RotationPhase::Unused);
    status::note(&mut facts, &first.said);
    assert!(facts.record.unused_since.is_some());
    facts.record.unused_since = Some("1970-01-12T12:46:39Z".into()); // one hour and a second ago
    facts.spec.retire.when = RetireWhen::Confirmed;
    facts.spec.retire.confirmed = vec!["old1".into()];
    let waiting = RotationPhase::AwaitingConfirmation;
    // Archived before: who confirms can look whether the archives open.
    assert_eq!(at(&facts), (Step::Archive(stored()[0].clone()), waiting));
    facts.record.old_keys[0].archive = "x".into();
    assert_eq!(at(&facts), (Step::Archive(stored()[1].clone()), waiting));
    facts.record.old_keys[1].archive = "y".into();
    assert_eq!(at(&facts), (Step::Rest(None), waiting));
    facts.record.old_keys[0].archive.clear();
    facts.spec.retire.confirmed.push("old2".into());
    assert_eq!(at(&facts), (Step::LookAgain, RotationPhase::Retiring));
    facts.fresh = true;
    assert_eq!(at(&facts).0, Step::Archive(stored()[0].clone()));
    facts.record.old_keys[0].archive = "x".into();
    assert_eq!(at(&facts).0, Step::Delete(stored()[0].clone()));
    // Killed behind the deletion: it is found out that it is gone.
    facts.keys.as_mut().unwrap().remove(0);
    assert_eq!(at(&facts).0, Step::NoteRetired(facts.record.old_keys[0].clone()));
    facts.record.old_keys[0].retired = true;
    facts.spec.retire.then = RetireThen::Destroy;
    assert_eq!(at(&facts).0, Step::Delete(stored()[1].clone()));
    facts.keys.as_mut().unwrap().remove(0);
    facts.record.old_keys[1].retired = true;
    let known = RepositoryRotation {
        namespace: "team".into(),
        name: "a".into(),
        // On a branch of its own.
        base: "a".repeat(40),
        commit: "b".repeat(40),
        last_needing: "0123456789abcdef".into(),
        first_clean: "fedcba9876543210".into(),
        ..RepositoryRotation::default()
    };
    // One that never hung on an old key is not named.
    let other = RepositoryRotation {
        name: "other".into(),
        ..RepositoryRotation::default()
    };
    facts.record.repositories = vec![known, other];
    let last = next(&facts);
    assert_eq!(
        (last.step, last.said.phase),
        (Step::Rest(None), RotationPhase::Complete)
    );
    assert!(
        last.said.message.contains(
            "team/a up to and with 0123456789ab (`git revert` of a commit of 0123456789ab..fedcba987654 brings back"
        ) && !last.said.message.contains("other"),
        "{}",
        last.said.message
    );
}

#[test]
fn what_goes_first_is_suspended_or_fails_is_said() {
    let mut facts = facts(&json!({"suspend": true}));
    assert_eq!(next(&facts).said.reason, "Suspended");
    facts.spec.suspend = false;
    facts.ahead = Some("spring".into());
    let said = next(&facts).said;
    assert_eq!(said.phase, RotationPhase::Waiting);
    assert!(said.message.contains("spring"), "{}", said.message);
    facts.ahead = None;
    facts.trouble = Some("The key Secrets cannot be listed.".into());
    let next = next(&facts);
    assert!(matches!(next.step, Step::Rest(Some(_))));
    assert_eq!(next.said.message, "The key Secrets cannot be listed.");
}

#[test]
fn a_schedule_begins_in_time_and_again() {
    let mut facts = facts(&json!({"schedule": "0 3 1 * *"}));
    let later = Timestamp::from_second(2_000_000).unwrap();
    facts.due = Some(later);
    assert_eq!(at(&facts), (Step::Rest(Some(later)), RotationPhase::Pending));
    facts.due = Some(facts.now);
    assert_eq!(at(&facts).0, Step::LookAtKeys);
    facts.record.completed = Some("1970-01-01T00:00:00Z".into());
    assert_eq!(at(&facts), (Step::Begin, RotationPhase::Pending));
    facts.due = Some(later);
    let said = next(&facts).said;
    assert_eq!(said.phase, RotationPhase::Complete);
    assert!(
        said.message.contains("The next one begins at"),
        "{}",
        said.message
    );
    facts.due = Some(facts.now);
    facts.spec.suspend = true;
    assert_eq!(next(&facts).said.reason, "Suspended");
}

fn report(state: crds::ReportState) -> crds::RotationReport {
    crds::RotationReport {
        state,
        values: 3,
        unchanged: 2,
        changed: 1,
        cluster: true,
        gaps: vec!["Repository a/b: it is away.".into()],
        confirm: "gaps-1".into(),
        ..crds::RotationReport::default()
    }
}

#[test]
fn keys_that_leaked_are_barred_before_new_ones_are_made() {
    let mut facts = facts(&json!({"reason": "Compromised"}));
    let mut keys = stored()[..2].to_vec();
    facts.keys = Some(keys.clone());
    // One that a person has labelled already.
    let mut by_hand = key(KeyFormat::V1, "old0", 1, None);
    by_hand.state = KeyState::Compromised;
    facts.shut = vec![by_hand.clone()];
    assert_eq!(at(&facts), (Step::NoteLeaked, RotationPhase::Publishing));
    facts.record.old_keys = leaked(&facts, &keys);
    facts.record.started = Some("2026-01-01T00:00:00Z".into());
    assert_eq!(facts.record.old_keys.len(), 3);
    for at_key in 0..2 {
        assert_eq!(at(&facts).0, Step::Bar(keys[at_key].clone()));
        keys[at_key].state = KeyState::Leaving;
        facts.keys = Some(keys.clone());
    }
    assert_eq!(at(&facts).0, Step::Bar(by_hand.clone()));
    // Where that changes nothing, it is not done again at once.
    facts.bars.insert(by_hand.secret.clone());
    assert!(matches!(at(&facts).0, Step::Rest(Some(_))));
    facts.bars.clear();
    by_hand.state = KeyState::Leaving;
    keys.push(by_hand);
    (facts.keys, facts.shut) = (Some(keys.clone()), Vec::new());
    // The controller has to have seen it: else they would vouch for the new ones.
    assert!(matches!(at(&facts).0, Step::Rest(Some(_))));
    facts.barred = ["old0", "old1", "old2"].map(String::from).into();
    assert_eq!(at(&facts).0, Step::MakeKey(KeyFormat::V1));
    // One that somebody labels active again is barred again.
    keys[0].state = KeyState::Active;
    facts.keys = Some(keys);
    assert!(matches!(at(&facts).0, Step::Bar(_)));
}

/// One where keys leaked, of which nothing is needed any more, and all of what is followed was looked through.
fn leaked_and_unused() -> Facts {
    let mut facts = begun(vec![followed("a", 0, true)]);
    facts.spec.reason = crds::RotationReason::Compromised;
    (facts.spec.retire.grace, facts.spec.retire.then) = ("0s".into(), RetireThen::Destroy);
    facts.record.started = Some("2026-01-01T00:00:00Z".into());
    facts.barred = ["old1", "old2"].map(String::from).into();
    let mut keys = stored();
    for key in keys.iter_mut().filter(|key| key.id.starts_with("old")) {
        key.state = KeyState::Leaving;
    }
    facts.keys = Some(keys);
    let heads = facts.git.iter().flatten();
    let walked = heads.filter_map(|one| Some((one.key.clone(), one.head.clone().ok()?)));
    facts.walked = Some(walked.collect());
    facts
}

#[test]
fn an_incomplete_report_is_accepted_as_it_was_shown_and_in_no_other_way() {
    use crds::ReportState::{Complete, Incomplete, Walking};
    for when in [RetireWhen::Unused, RetireWhen::Confirmed] {
        let mut facts = leaked_and_unused();
        facts.spec.retire.when = when;
        // Nobody is asked before it is known what there is to be accepted.
        let waiting = (Step::Rest(None), RotationPhase::Reporting);
        assert_eq!(at(&facts), waiting);
        facts.record.report = Some(report(Walking));
        assert_eq!(at(&facts), waiting);
        // Confirmed early: that says nothing of what was not looked through, least of all while it is tried again.
        facts.spec.retire.confirmed = vec!["old1".into(), "old2".into()];
        assert_eq!(at(&facts), waiting);
        let mut tried_again = report(Incomplete);
        tried_again.confirm.clear();
        facts.record.report = Some(tried_again);
        assert_eq!(at(&facts), waiting);
        assert!(
            next(&facts)
                .said
                .message
                .ends_with("it is away. It is tried again.")
        );
        facts.record.report = Some(report(Incomplete));
        let asked = next(&facts).said;
        assert_eq!(asked.phase, RotationPhase::AwaitingConfirmation);
        assert!(
            asked.message.contains("it is away") && asked.message.ends_with("spec.retire.confirmed: gaps-1."),
            "{}",
            asked.message
        );
        facts.spec.retire.confirmed.push("gaps-1".into());
        assert_eq!(at(&facts), (Step::LookAgain, RotationPhase::Retiring));
        // What came since it was looked through may be one more gap.
        let walked = std::mem::take(&mut facts.walked);
        assert_eq!(at(&facts), waiting);
        facts.walked = walked;
        // Another gap is another word.
        facts.record.report.as_mut().unwrap().confirm = "gaps-2".into();
        assert_eq!(at(&facts).1, RotationPhase::AwaitingConfirmation);
        facts.record.report = Some(report(Complete));
        assert_eq!(at(&facts).0, Step::LookAgain);
    }
}

#[test]
fn keys_that_leaked_stay_until_it_is_known_what_was_sealed_for_them() {
    use crds::ReportState::{Complete, Incomplete, Walking};
    let mut facts = leaked_and_unused();
    let walked = std::mem::take(&mut facts.walked);
    assert_eq!(at(&facts), (Step::Rest(None), RotationPhase::Reporting));
    facts.record.report = Some(report(Walking));
    assert_eq!(at(&facts).1, RotationPhase::Reporting);
    facts.walked.clone_from(&walked);
    facts.record.report = Some(report(Incomplete));
    let held = next(&facts);
    assert_eq!(held.said.phase, RotationPhase::AwaitingConfirmation);
    assert!(
        held.said.message.contains("it is away") && held.said.message.contains("old1, old2, gaps-1"),
        "{}",
        held.said.message
    );
    facts.spec.retire.confirmed = vec!["old1".into(), "gaps-1".into()];
    assert_eq!(at(&facts).1, RotationPhase::AwaitingConfirmation);
    facts.spec.retire.confirmed.push("old2".into());
    assert_eq!(at(&facts), (Step::LookAgain, RotationPhase::Retiring));
    facts.walked = Some(BTreeMap::new());
    facts.spec.retire.confirmed.clear();
    facts.record.report = Some(report(Complete));
    // What came since it was looked through may be one more value.
    assert_eq!(at(&facts), (Step::Rest(None), RotationPhase::Reporting));
    facts.walked = walked;
    assert_eq!(at(&facts).0, Step::LookAgain);
    let reported = next(&facts).said.phases;
    let reported = reported
        .iter()
        .find(|(type_, ..)| *type_ == condition::REPORTED)
        .unwrap();
    assert!(
        reported.1
            && reported.2.contains("2 have to be changed")
            && reported.2.contains("rotation report spring"),
        "{}",
        reported.2
    );
}

#[test]
fn objects_of_the_cluster_are_looked_through_before_they_are_sealed_again() {
    let mut facts = leaked_and_unused();
    facts.record.report = Some(report(crds::ReportState::Complete));
    facts.record.unused_since = Some("2026-01-01T00:00:00Z".into());
    let of = |left, unseen, tried| Objects {
        count: crds::RotationObjects {
            total: 2,
            resealed: 0,
            left,
        },
        unseen,
        is_news: unseen > 0,
        tried,
        ..Objects::default()
    };
    facts.objects = Some(of(2, 1, false));
    assert_eq!(at(&facts).0, Step::ResealObjects, "one of them is known");
    // One that came since is waited for, and the time of grace begins again.
    facts.objects = Some(of(1, 1, true));
    let waits = next(&facts);
    assert!(matches!(waits.step, Step::Rest(Some(_))), "{:?}", waits.step);
    assert_eq!(waits.said.phase, RotationPhase::Resealing);
    status::note(&mut facts, &waits.said);
    assert_eq!(facts.record.unused_since, None);
    facts.objects = Some(of(1, 0, false));
    assert_eq!(at(&facts).0, Step::ResealObjects);
}

#[test]
fn a_key_that_is_not_read_is_not_judged_and_one_that_comes_late_is() {
    // Not loaded yet: what hangs on it would look like another cluster's.
    let mut facts = begun(vec![followed("a", 0, true)]);
    facts.fresh = true;
    facts.spec.retire.grace = "0s".into();
    facts.opening.remove("old2");
    let said = next(&facts).said;
    assert!(matches!(at(&facts).0, Step::Rest(Some(_))));
    assert!(said.message.contains("old2"), "{}", said.message);
    // One that cannot be read: nothing is retired.
    let mut facts = begun(vec![followed("a", 0, true)]);
    facts.fresh = true;
    facts.spec.retire.grace = "0s".into();
    facts.unread_keys = vec![(KeyFormat::V2, "broken".into(), "it has no identity".into())];
    let said = next(&facts).said;
    assert_eq!(at(&facts).1, RotationPhase::Blocked);
    assert!(said.message.contains("broken"), "{}", said.message);
    status::note(&mut facts, &said);
    assert_eq!(facts.record.unused_since, None);
    // Of a format that is not rotated it is nobody's business.
    facts.spec.algorithm.v2 = None;
    assert_eq!(at(&facts).1, RotationPhase::Retiring);
    // One that is older and was not read at first.
    let mut facts = begun(vec![followed("a", 0, true)]);
    facts
        .keys
        .as_mut()
        .unwrap()
        .push(key(KeyFormat::V1, "late", 2, None));
    assert_eq!(at(&facts).0, Step::NoteKeys);
    let (_, old) = note(&facts, facts.keys.as_ref().unwrap());
    assert!(old.iter().any(|key| key.id == "late"));
    // Another copy of one that is left, made since.
    let mut facts = begun(vec![followed("a", 0, true)]);
    let copy = KeySecret {
        secret: "copy".into(),
        ..key(KeyFormat::V1, "old1", 50, None)
    };
    facts.keys.as_mut().unwrap().push(copy);
    assert_eq!(at(&facts).0, Step::NoteKeys);
}

#[test]
fn what_is_sealed_for_is_never_deleted() {
    let mut facts = begun(vec![followed("a", 0, true)]);
    facts.fresh = true;
    (facts.spec.retire.grace, facts.spec.retire.then) = ("0s".into(), RetireThen::Destroy);
    facts.record.conditions = vec![crds::Condition {
        type_: condition::PUBLISHED.into(),
        status: crds::ConditionStatus::True,
        observed_generation: 1,
        last_transition_time: "2026-01-01T00:00:00Z".into(),
        reason: "Done".into(),
        message: String::new(),
    }];
    assert_eq!(at(&facts).0, Step::Delete(stored()[0].clone()));
    facts.newest.insert(KeyFormat::V1, "old1".into());
    assert!(matches!(at(&facts).0, Step::Rest(Some(_))));
    facts.newest.insert(KeyFormat::V1, "new1".into());
    // A status that names the new key among the old ones, whoever wrote that.
    let mut forged = facts.record.new_keys[0].clone();
    forged.retired = false;
    facts.record.old_keys.insert(0, forged);
    assert!(!matches!(at(&facts).0, Step::Delete(_)), "{:?}", at(&facts));
}

#[test]
fn a_key_that_somebody_else_made_is_taken_once_it_is_not_the_only_one() {
    let mut facts = facts(&json!({"newKeys": "TakeNewest", "algorithm": {"v1": "RSA4096"}}));
    facts.opening = ["SHA256:b", "key-1", "key-2"].map(String::from).into();
    facts.newest = BTreeMap::from([(KeyFormat::V1, "SHA256:b".to_owned())]);
    assert_eq!(at(&facts), (Step::Rest(None), RotationPhase::Pending));
    assert_eq!(next(&facts).said.reason, "NoNewerKey");
    facts.opening.insert("SHA256:a".into());
    assert_eq!(at(&facts).0, Step::LookAtKeys);
    let (a, b) = (
        key(KeyFormat::V1, "SHA256:a", 1, None),
        key(KeyFormat::V1, "SHA256:b", 5, None),
    );
    facts.keys = Some(vec![a.clone(), b.clone()]);
    assert_eq!(at(&facts).0, Step::TakeKey(b.clone()));
    let taken = KeySecret {
        rotation: Some("me".into()),
        ..b
    };
    facts.keys = Some(vec![a, taken]);
    assert_eq!(at(&facts).0, Step::NoteKeys);
    let (new, old) = note(&facts, facts.keys.as_ref().unwrap());
    assert_eq!((new[0].id.as_str(), old[0].id.as_str()), ("SHA256:b", "SHA256:a"));
    // With a schedule, it begins again only when there is something to take.
    facts.record.completed = Some("1970-01-01T00:00:00Z".into());
    facts.due = Some(facts.now);
    assert_eq!(at(&facts).0, Step::Begin);
    facts.opening.remove("SHA256:a");
    assert_eq!(at(&facts), (Step::Rest(None), RotationPhase::Complete));
}

#[test]
fn keys_that_leaked_are_barred_and_followed_by_others_whoever_goes_first() {
    let mut facts = facts(&json!({"reason": "Compromised", "algorithm": {"v2": "X25519"}}));
    facts.ahead = Some("other".into());
    let mut old = key(KeyFormat::V2, "old2", 1, None);
    facts.keys = Some(vec![old.clone()]);
    assert_eq!(at(&facts).0, Step::NoteLeaked);
    facts.record.old_keys = leaked(&facts, &[old.clone()]);
    facts.record.started = Some("2026-01-01T00:00:00Z".into());
    assert_eq!(at(&facts).0, Step::Bar(old.clone()));
    old.state = KeyState::Leaving;
    facts.keys = Some(vec![old.clone()]);
    facts.barred.insert("old2".into());
    assert_eq!(at(&facts).0, Step::MakeKey(KeyFormat::V2));
    let new = key(KeyFormat::V2, "new2", 9, Some("me"));
    facts.keys = Some(vec![old, new]);
    let (new, _) = note(&facts, facts.keys.as_ref().unwrap());
    facts.record.new_keys = new;
    // All else waits.
    assert_eq!(at(&facts), (Step::Rest(None), RotationPhase::Waiting));
    let mut routine = begun(vec![followed("a", 1, true)]);
    routine.ahead = Some("other".into());
    routine.record.unused_since = Some("2026-01-01T00:00:00Z".into());
    assert_eq!(at(&routine), (Step::Rest(None), RotationPhase::Waiting));
    let said = next(&routine).said;
    status::note(&mut routine, &said);
    assert_eq!(routine.record.unused_since, None, "its grace time begins again");
}

#[test]
fn a_new_key_that_leaked_is_followed_by_the_one_that_is_sealed_for() {
    let mut facts = begun(vec![followed("a", 1, true)]);
    facts.published = None;
    facts.record.conditions.push(crds::Condition {
        type_: condition::PUBLISHED.into(),
        status: crds::ConditionStatus::True,
        observed_generation: 1,
        last_transition_time: "2026-01-01T00:00:00Z".into(),
        reason: "Done".into(),
        message: String::new(),
    });
    assert!(matches!(at(&facts).0, Step::Reseal(_)));
    // Another rotation leaves both, and has made one of the first format so far.
    for key in facts.keys.as_mut().unwrap().iter_mut().take(4) {
        key.state = KeyState::Leaving;
        facts.barred.insert(key.id.clone());
    }
    facts.newest.insert(KeyFormat::V1, "newer".into());
    let newer = stored().swap_remove(4);
    let next = next(&facts);
    assert_eq!(next.step, Step::Follow(newer.clone()));
    status::note(&mut facts, &next.said);
    facts.record.new_keys[0] = of(&newer);
    // Not before there is another one, and never for a key that is left.
    assert!(matches!(
        at(&facts),
        (Step::Rest(Some(_)), RotationPhase::Publishing)
    ));
    let newest = key(KeyFormat::V2, "newest2", 20, None);
    facts.keys.as_mut().unwrap().push(newest.clone());
    assert_eq!(at(&facts).0, Step::Follow(newest.clone()));
    facts.record.new_keys[1] = of(&newest);
    facts.opening.extend(["newer".to_owned(), "newest2".to_owned()]);
    // What was the new one is left as well.
    assert_eq!(at(&facts).0, Step::NoteKeys);
    let (_, old) = note(&facts, facts.keys.as_ref().unwrap());
    assert_eq!(
        old.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(),
        ["old1", "new1", "old2", "new2"]
    );
    facts.record.old_keys = old;
    assert_eq!(
        at(&facts).0,
        Step::AskWhoPublishes,
        "it is asked for the new ones"
    );
    // Found out later, when the other rotation has deleted them.
    let mut late = begun(vec![]);
    late.keys.as_mut().unwrap().retain(|key| key.id != "new1");
    assert_eq!(
        at(&late).0,
        Step::Rest(Some(soon(&late, LATER))),
        "somebody may have removed it"
    );
    late.left_by_others.insert("new1".into());
    late.newest.insert(KeyFormat::V1, "newer".into());
    assert_eq!(at(&late).0, Step::Follow(newer));
}

#[test]
fn a_pull_request_is_asked_for_once_and_holds_nothing_up() {
    let mut facts = begun(vec![followed("a", 2, true)]);
    let of = |facts: &mut Facts, pull: Option<Result<String, String>>| {
        let one = &mut facts.git.as_mut().unwrap()[0];
        one.outcome = Some(Outcome::AwaitsMerge(None));
        (one.merges, one.asks_for_a_pull, one.pull) = (true, true, pull);
        let message = one.step().1;
        (at(facts), message)
    };
    let key = ("team".to_owned(), "a".to_owned());
    assert_eq!(of(&mut facts, None).0.0, Step::OpenPull(key));
    for (pull, part) in [
        (
            Err("No pull request is open: no.".to_owned()),
            "No pull request is open: no.",
        ),
        (Ok("https://x/7".to_owned()), "Merge https://x/7."),
    ] {
        let ((step, phase), message) = of(&mut facts, Some(pull));
        assert!(matches!(step, Step::Rest(Some(_))), "{step:?}");
        assert_eq!(phase, RotationPhase::AwaitingMerge);
        assert!(message.contains(part), "{message}");
    }
    // Without being asked for, there is none.
    facts.git.as_mut().unwrap()[0].asks_for_a_pull = false;
    facts.git.as_mut().unwrap()[0].pull = None;
    assert!(matches!(at(&facts).0, Step::Rest(Some(_))));
}

#[test]
fn what_a_person_asks_for_is_done_in_each_repository_for_itself() {
    let mut git = ["good", "stuck", "unread", "away", "later"].map(|name| followed(name, 0, true));
    git[1].outcome = Some(Outcome::Failed("x".into()));
    (git[2].head, git[3].head) = (Err("x".into()), Err("x".into()));
    let mut facts = begun(git.to_vec());
    let known = |name: &str| RepositoryRotation {
        namespace: "team".into(),
        name: name.into(),
        last_needing: "c0".into(),
        ..RepositoryRotation::default()
    };
    facts.record.repositories = ["good", "stuck", "unread", "away"].map(known).into();
    facts.record.repositories[3].first_clean = "c1".into();
    let asked = |facts: &Facts| {
        let all = ["good", "stuck", "unread", "away", "later"];
        all.map(|name| facts.is_asked(&("team".to_owned(), name.to_owned())))
    };
    assert_eq!(asked(&facts), [false; 5]);
    facts.request = "now".into();
    assert_eq!(asked(&facts), [true; 5]);
    status::handled(&mut facts);
    // One that has gone on is done with: a revert there is not pushed over, whatever the others are at. So is one that was clean
    // before it went away.
    assert_eq!(asked(&facts), [false, true, true, false, true]);
    assert_eq!(facts.record.last_handled_request, "");
    let git = facts.git.as_mut().unwrap();
    (git[1].outcome, git[2].head) = (Some(Outcome::Pushed), Ok("c0ffee".into()));
    status::handled(&mut facts);
    assert_eq!(asked(&facts), [false; 5]);
    assert_eq!(facts.record.last_handled_request, "now");
    // A word that is taken away asks for nothing.
    facts.request.clear();
    assert_eq!(asked(&facts), [false; 5]);
    status::handled(&mut facts);
    facts.request = "now".into();
    assert_eq!(asked(&facts), [false; 5]);
    facts.request = "again".into();
    assert_eq!(asked(&facts), [true; 5]);
}
