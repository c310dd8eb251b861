//! What is done next, and what is said of it. Pure: from what was found out to one step. Every step can be done twice, so
//! that it does not matter where the controller was killed.

#![allow(
    clippy::result_large_err,
    reason = "an `Err` is what is decided, once a step, and no failure"
)]

use crds::{Blocker, NewKeys, RetireThen, RetireWhen, RotationKey, RotationPhase, RotationStep, condition};
use jiff::Timestamp;

use super::compromise;
use super::facts::{Facts, Followed, Outcome};
use crate::duration;
use crate::keys::{KeyFormat, KeySecret, KeyState};
use crate::repository::Key;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing, until something happens, or until then.
    Rest(Option<Timestamp>),
    /// Begin the next run of a schedule: what was written down of the one before goes.
    Begin,
    /// Look which keys are stored.
    LookAtKeys,
    /// Write down which keys leaked.
    NoteLeaked,
    /// Bar one of them from sealing.
    Bar(KeySecret),
    MakeKey(KeyFormat),
    /// Take a key that somebody else has made as the new one.
    TakeKey(KeySecret),
    /// Have this key in the place of a new one that another rotation leaves.
    Follow(KeySecret),
    /// Write down which keys are new and which are left.
    NoteKeys,
    AskWhoPublishes,
    /// Look what hangs on the old keys in what is followed.
    LookAtGit,
    /// Seal this Repository again, up to a commit that is not pushed.
    Reseal(Key),
    /// Push the commit that was made of it.
    Push(Key),
    /// Have the host open a pull request of the branch that was pushed.
    OpenPull(Key),
    LookAtObjects,
    ResealObjects,
    /// Ask every remote once more.
    LookAgain,
    Archive(KeySecret),
    Delete(KeySecret),
    /// Write down that this key is gone, if it is.
    NoteRetired(RotationKey),
}

/// What the machine says: the phase, and conditions as they become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) phase: RotationPhase,
    pub(super) reason: &'static str,
    pub(super) message: String,
    /// Nothing improves until a person does something.
    pub(super) stalled: bool,
    /// Conditions of phases that hold, or do not, with a sentence.
    pub(super) phases: Vec<(&'static str, bool, String)>,
}

/// A step and what is said before it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) step: Step,
    pub(super) said: Said,
}

/// How soon what did not work is tried again, in seconds.
const AGAIN: i64 = 5;
/// The same, where somebody else has to do something first.
const LATER: i64 = 60;

/// How often a commit is made again at once because somebody was faster; after that in the next pass.
pub(super) const RACES: u32 = 10;

/// Decides.
pub(super) fn next(facts: &Facts) -> Next {
    let mut phases = Vec::new();
    let decided = decide(facts, &mut phases);
    let (step, said) = match decided {
        Ok(step_said) | Err(step_said) => step_said,
    };
    // What did not work is said in any case, and tried again.
    if let (Some(trouble), true) = (&facts.trouble, !matches!(said.phase, RotationPhase::Complete)) {
        return Next {
            step: Step::Rest(Some(soon(facts, AGAIN))),
            said: Said {
                reason: "Failed",
                message: trouble.clone(),
                stalled: false,
                phases,
                phase: said.phase,
            },
        };
    }
    Next {
        step,
        said: Said { phases, ..said },
    }
}

pub(super) type Decided = (Step, Said);

fn decide(facts: &Facts, phases: &mut Vec<(&'static str, bool, String)>) -> Result<Decided, Decided> {
    let record = &facts.record;
    let ahead = facts.due.filter(|due| *due > facts.now);
    if record.completed.is_some() && (ahead.is_some() || facts.due.is_none()) {
        compromise::reported(facts, phases);
        let next = ahead
            .map(|at| format!(" The next one begins at {at}."))
            .unwrap_or_default();
        let message = format!("{}{next}", end(facts));
        return Ok((
            Step::Rest(ahead),
            said(RotationPhase::Complete, "Complete", message),
        ));
    }
    if let Some(why) = &facts.unusable {
        let phase = record.phase;
        return Err((Step::Rest(None), stalled(phase, "BadSpec", why.clone())));
    }
    if facts.spec.suspend {
        return Err((
            Step::Rest(None),
            said(
                record.phase,
                "Suspended",
                "spec.suspend is true: nothing more is done.",
            ),
        ));
    }
    if let Some(at) = ahead {
        let message = format!("It begins at {at}.");
        return Err((
            Step::Rest(Some(at)),
            said(RotationPhase::Pending, "Scheduled", message),
        ));
    }
    if let Some(ahead) = &facts.ahead {
        // A key that leaked is barred at once, whoever goes first, and another one is there to seal for.
        if compromise::is_one(facts) || facts.record.new_keys.iter().any(|new| is_left(facts, &new.id)) {
            made(facts, phases)?;
        }
        let message = format!("KeyRotation {ahead} is not complete: one goes after the other.");
        return Err((
            Step::Rest(None),
            said(RotationPhase::Waiting, "AnotherIsUnderWay", message),
        ));
    }
    if waits_for_a_key(facts) {
        let message = "There is no key that is older than the newest one: it begins once there is.";
        let (phase, message) = match record.completed {
            Some(_) => (RotationPhase::Complete, format!("{} {message}", end(facts))),
            None => (RotationPhase::Pending, message.to_owned()),
        };
        return Err((Step::Rest(None), said(phase, "NoNewerKey", message)));
    }
    if record.completed.is_some() {
        return Err((Step::Begin, said(RotationPhase::Pending, "Begins", "It begins.")));
    }
    let keys = made(facts, phases)?;
    compromise::reported(facts, phases);
    published(facts, phases)?;
    let (git, blocked) = resealed(facts, phases)?;
    applied(facts, git, phases)?;
    verified(facts, blocked, phases)?;
    compromise::hold(facts)?;
    confirmed(facts, keys)?;
    retired(facts, keys, phases)
}

/// The new keys are there, and it is written down which are left.
fn made<'f>(
    facts: &'f Facts,
    phases: &mut Vec<(&'static str, bool, String)>,
) -> Result<&'f [KeySecret], Decided> {
    let at = |step, message: &str| (step, said(RotationPhase::Publishing, "Making", message));
    let Some(keys) = &facts.keys else {
        return Err(at(Step::LookAtKeys, "The keys are looked at."));
    };
    compromise::barred(facts, keys, phases)?;
    let own = |format| {
        let mut own = keys.iter();
        own.find(|key| key.format == format && key.rotation.as_deref() == Some(&facts.mark))
    };
    if facts.record.new_keys.is_empty() {
        for format in formats(facts).filter(|format| own(*format).is_none()) {
            if facts.spec.new_keys == NewKeys::Make {
                phases.push((condition::KEY_MADE, false, "They are being made.".into()));
                return Err(at(Step::MakeKey(format), "The new keys are made."));
            }
            if let Some(newest) = to_take(facts, keys, format) {
                phases.push((condition::KEY_MADE, false, "The newest keys are taken.".into()));
                return Err(at(
                    Step::TakeKey(newest.clone()),
                    "The newest keys are taken as the new ones.",
                ));
            }
        }
        if formats(facts).all(|format| own(format).is_none()) {
            // The list is behind what is loaded, or before it.
            return Err(at(
                Step::Rest(Some(soon(facts, AGAIN))),
                "There is no older key any more.",
            ));
        }
        return Err(at(Step::NoteKeys, "The new keys are made."));
    }
    follow(facts, keys, phases)?;
    // One may be read now that could not be, or be stored once more.
    let known = |key: &RotationKey| {
        let all = &facts.record.old_keys;
        all.iter()
            .any(|known| (&known.id, &known.secret) == (&key.id, &key.secret))
    };
    if !note(facts, keys).1.iter().all(known) {
        return Err(at(Step::NoteKeys, "Another old key is there."));
    }
    // Somebody may have removed it.
    let missing = facts
        .record
        .new_keys
        .iter()
        .find(|new| !keys.iter().any(|key| key.id == new.id));
    if let Some(missing) = missing {
        let message = format!(
            "The new key {} is gone or not to be used: Secret {} in the controller's namespace. What was sealed for it \
             opens only with it: restore it from a backup.",
            missing.id, missing.secret
        );
        phases.push((condition::KEY_MADE, false, message.clone()));
        let phase = facts.record.phase;
        return Err((
            Step::Rest(Some(soon(facts, LATER))),
            stalled(phase, "NewKeyGone", message),
        ));
    }
    let names: Vec<_> = facts.record.new_keys.iter().map(|key| key.id.as_str()).collect();
    phases.push((condition::KEY_MADE, true, format!("New: {}.", names.join(", "))));
    // What hangs on a key that is not loaded would look as if it were another cluster's.
    let is_stored = |old: &RotationKey| keys.iter().any(|key| key.id == old.id);
    let mut old = facts.record.old_keys.iter();
    if let Some(old) = old.find(|old| is_stored(old) && !facts.opening.contains(&old.id)) {
        let phase = facts.record.phase.max(RotationPhase::Publishing);
        let message = format!("The controller has not loaded the old key {} yet.", old.id);
        return Err((
            Step::Rest(Some(soon(facts, 1))),
            said(phase, "LoadingKeys", message),
        ));
    }
    Ok(keys)
}

/// Whether the newest key is to be taken as the new one, and there is no older one yet.
fn waits_for_a_key(facts: &Facts) -> bool {
    let is_new = facts.record.new_keys.is_empty() || facts.record.completed.is_some();
    let more = |format| {
        let of = match format {
            KeyFormat::V1 => "SHA256:",
            KeyFormat::V2 => "key-",
        };
        facts.opening.iter().filter(|id| id.starts_with(of)).count() > 1
    };
    facts.spec.new_keys == NewKeys::TakeNewest && is_new && !formats(facts).any(more)
}

/// The key that is sealed for, if there is an older one.
fn to_take<'k>(facts: &Facts, keys: &'k [KeySecret], format: KeyFormat) -> Option<&'k KeySecret> {
    let newest = newest(facts, keys, format)?;
    let is_older = |key: &KeySecret| key.id != newest.id && key.created <= newest.created;
    let mut all = keys.iter().filter(|key| key.format == format);
    all.any(is_older).then_some(newest)
}

/// The key that is sealed for, as it is published: never one that is barred.
fn newest<'k>(facts: &Facts, keys: &'k [KeySecret], format: KeyFormat) -> Option<&'k KeySecret> {
    let of = || {
        let all = keys.iter().filter(move |key| key.format == format);
        all.filter(|key| key.state == KeyState::Active && !facts.barred.contains(&key.id))
    };
    match facts.newest.get(&format) {
        Some(id) => of().find(|key| key.id == *id),
        None => of().max_by_key(|key| (key.created, &key.secret)),
    }
}

/// Whether a key is barred, or left by another rotation.
fn is_left(facts: &Facts, id: &str) -> bool {
    facts.barred.contains(id) || facts.left_by_others.contains(id)
}

/// Where a new key has leaked as well, the one after it takes its place: nothing is sealed for what another rotation leaves.
fn follow(
    facts: &Facts,
    keys: &[KeySecret],
    phases: &mut Vec<(&'static str, bool, String)>,
) -> Result<(), Decided> {
    let is_shut = |id: &str| {
        let mut all = keys.iter().chain(&facts.shut);
        all.any(|key| key.id == id && key.state != KeyState::Active)
    };
    let mut new = facts.record.new_keys.iter();
    let Some(left) = new.find(|new| is_left(facts, &new.id) || is_shut(&new.id)) else {
        return Ok(());
    };
    let message = format!(
        "Its new key {} leaked as well, or another KeyRotation leaves it: the key that is sealed for now takes its place.",
        left.id
    );
    for phase in [condition::KEY_MADE, condition::PUBLISHED] {
        phases.push((phase, false, message.clone()));
    }
    let mut formats = formats(facts).filter(|format| format.as_str() == left.format);
    let next = formats.find_map(|format| newest(facts, keys, format));
    let next = next.filter(|key| !is_left(facts, &key.id) && !facts.leaving().contains(&key.id));
    let step = match next {
        Some(key) => Step::Follow(key.clone()),
        None => Step::Rest(Some(soon(facts, AGAIN))),
    };
    Err((step, said(RotationPhase::Publishing, "NewKeyLeft", message)))
}

/// Every controller publishes them.
fn published(facts: &Facts, phases: &mut Vec<(&'static str, bool, String)>) -> Result<(), Decided> {
    let is_known = facts
        .record
        .conditions
        .iter()
        .any(|known| known.type_ == condition::PUBLISHED && known.status == crds::ConditionStatus::True);
    let phase = RotationPhase::Publishing;
    let leaving = facts.leaving();
    let loaded = facts
        .record
        .new_keys
        .iter()
        .all(|key| facts.opening.contains(&key.id));
    if !loaded {
        let message = "The controller has not loaded the new keys yet.";
        return Err((
            Step::Rest(Some(soon(facts, 1))),
            said(phase, "Publishing", message),
        ));
    }
    let old = formats(facts).find_map(|format| {
        let newest = facts.newest.get(&format)?;
        leaving.contains(newest).then(|| newest.clone())
    });
    if let Some(old) = old.filter(|_| !is_known) {
        let message = format!(
            "Key {old} is still what is sealed for: its certificate begins later than the new key's. Wait until its time has \
             come, or give the new key's Secret a newer certificate."
        );
        phases.push((condition::PUBLISHED, false, message.clone()));
        return Err((
            Step::Rest(Some(soon(facts, LATER))),
            stalled(phase, "OldKeyIsNewest", message),
        ));
    }
    match &facts.published {
        _ if is_known => {}
        None => {
            let message = "It is asked whether every controller publishes the new keys.";
            return Err((Step::AskWhoPublishes, said(phase, "Publishing", message)));
        }
        Some(Err(who)) => {
            phases.push((condition::PUBLISHED, false, who.clone()));
            return Err((
                Step::Rest(Some(soon(facts, 2))),
                said(phase, "Publishing", who.clone()),
            ));
        }
        Some(Ok(())) => {}
    }
    let message = compromise::published(facts)
        .unwrap_or("Every controller publishes the new keys, endorsed by those before them.");
    phases.push((condition::PUBLISHED, true, message.into()));
    Ok(())
}

/// What hangs on the old keys is sealed again, as far as we can.
fn resealed<'f>(
    facts: &'f Facts,
    phases: &mut Vec<(&'static str, bool, String)>,
) -> Result<(&'f [Followed], Option<Decided>), Decided> {
    let phase = RotationPhase::Resealing;
    let Some(git) = &facts.git else {
        let message = "It is looked at what hangs on the old keys.";
        return Err((Step::LookAtGit, said(phase, "Looking", message)));
    };
    for one in git {
        let message = || {
            said(
                phase,
                "Resealing",
                format!("Repository {}/{} is sealed again.", one.key.0, one.key.1),
            )
        };
        match &one.outcome {
            Some(Outcome::Raced(_)) if one.races < RACES => {
                return Err((Step::Reseal(one.key.clone()), message()));
            }
            None if one.asks_for_a_commit() => {
                return Err((Step::Reseal(one.key.clone()), message()));
            }
            Some(Outcome::Made { .. }) => return Err((Step::Push(one.key.clone()), message())),
            Some(Outcome::AwaitsMerge(_)) if one.asks_for_a_pull && one.pull.is_none() => {
                return Err((Step::OpenPull(one.key.clone()), message()));
            }
            _ => {}
        }
    }
    let Some(objects) = &facts.objects else {
        let message = "SealedSecret objects of the cluster are looked at.";
        return Err((Step::LookAtObjects, said(phase, "Looking", message)));
    };
    if objects.count.left > objects.unseen && !objects.tried {
        let message = "SealedSecret objects of the cluster are sealed again.";
        return Err((Step::ResealObjects, said(phase, "Resealing", message)));
    }
    if objects.unseen > 0 {
        let message = "SealedSecret objects of the cluster are looked through for the report first.";
        phases.push((condition::RESEALED, false, message.into()));
        let wait = Step::Rest(Some(soon(facts, AGAIN)));
        return Err((wait, said(phase, "Reporting", message)));
    }

    let steps: Vec<_> = git.iter().map(|one| (one, one.step())).collect();
    let unclean = |step| steps.iter().filter(move |(_, found)| found.0 == step);
    let name = |one: &Followed| format!("{}/{}", one.key.0, one.key.1);
    let listed = |step| {
        let names: Vec<_> = unclean(step).map(|(one, _)| name(one)).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    let clean = steps
        .iter()
        .filter(|(_, step)| step.0 == RotationStep::Clean)
        .count();
    let left = steps.len() - clean;
    let held = if let Some(names) = listed(RotationStep::AwaitingCommit) {
        let message = format!(
            "A person has to commit to {names}: status.repositories shows the command to run in a clone of each."
        );
        Some((RotationPhase::AwaitingCommit, "AwaitingCommit", message, true))
    } else if let Some(names) = listed(RotationStep::RolledBack) {
        let message = format!(
            "A person took the commit back in {names}: it is not pushed again by itself. The old keys stay. To have it \
             pushed again, annotate this KeyRotation with signet.dev/requestedAt and a new value."
        );
        Some((RotationPhase::Blocked, "RolledBack", message, true))
    } else if let Some(names) = listed(RotationStep::AwaitingMerge) {
        let message = format!("A person has to merge the branch in {names}: status.repositories names it.");
        Some((RotationPhase::AwaitingMerge, "AwaitingMerge", message, true))
    } else if let Some((one, (_, why))) = unclean(RotationStep::Unknown).next() {
        let message = format!("Repository {}: {why}", name(one));
        Some((phase, "Resealing", message, false))
    } else if left > 0 && listed(RotationStep::Blocked).is_none() {
        let message = "What was pushed is being fetched.".to_owned();
        Some((phase, "Resealing", message, false))
    } else {
        None
    };
    if let Some((phase, reason, message, needs_person)) = held {
        phases.push((condition::RESEALED, false, message.clone()));
        let said = Said {
            stalled: needs_person,
            ..said(phase, reason, message)
        };
        let wait = if needs_person { LATER } else { AGAIN };
        return Err((Step::Rest(Some(soon(facts, wait))), said));
    }
    let blocked = blocked(facts);
    let hold = blocked.first().map(|first| {
        let more = match blocked.len() {
            1 => String::new(),
            many => format!(" There are {} more: status.blockers names them.", many - 1),
        };
        let object = if first.object.is_empty() {
            String::new()
        } else {
            format!(" {}:", first.object)
        };
        let message = format!(
            "The old keys stay. {}:{object} {}{more}",
            first.place, first.message
        );
        (
            Step::Rest(Some(soon(facts, LATER))),
            stalled(RotationPhase::Blocked, "Blocked", message),
        )
    });
    let count: u64 = facts.record.repositories.iter().map(|one| one.values).sum();
    phases.push((
        condition::RESEALED,
        hold.is_none(),
        match &hold {
            None => format!("{count} values were sealed again, in {} Repositories.", git.len()),
            Some((_, said)) => said.message.clone(),
        },
    ));
    Ok((git, hold))
}

/// Every Sync has applied it.
fn applied(
    facts: &Facts,
    git: &[Followed],
    phases: &mut Vec<(&'static str, bool, String)>,
) -> Result<(), Decided> {
    let behind: Vec<&Blocker> = git.iter().flat_map(|one| &one.behind).collect();
    let Some(first) = behind.first() else {
        phases.push((condition::APPLIED, true, "Every Sync has applied it.".into()));
        return Ok(());
    };
    let message = match behind.len() {
        1 => format!("{} {}", first.place, first.message),
        many => format!("{many} Syncs are behind. {} {}", first.place, first.message),
    };
    phases.push((condition::APPLIED, false, message.clone()));
    Err((
        Step::Rest(Some(soon(facts, AGAIN))),
        said(RotationPhase::Applying, "Applying", message),
    ))
}

/// Nothing needs the old keys, for a while now.
fn verified(
    facts: &Facts,
    blocked: Option<Decided>,
    phases: &mut Vec<(&'static str, bool, String)>,
) -> Result<(), Decided> {
    if let Some((step, said)) = blocked {
        phases.push((condition::VERIFIED, false, said.message.clone()));
        return Err((step, said));
    }
    let mut unread = facts.unread_keys.iter();
    if let Some((_, secret, why)) = unread.find(|(format, ..)| formats(facts).any(|one| one == *format)) {
        let message = format!(
            "Secret {secret} is labelled as a sealing key and cannot be used: {why}. What hangs on it is not known, so the old \
             keys stay: mend it, or take the label off."
        );
        phases.push((condition::VERIFIED, false, message.clone()));
        return Err((
            Step::Rest(Some(soon(facts, LATER))),
            stalled(RotationPhase::Blocked, "UnreadableKey", message),
        ));
    }
    let message = "Nothing that is followed, and no live SealedSecret, needs an old key.";
    phases.push((condition::VERIFIED, true, message.into()));
    let grace = duration::parse(&facts.spec.retire.grace).unwrap_or_default();
    let since = facts.record.unused_since.as_deref();
    let since: Timestamp = since.and_then(|text| text.parse().ok()).unwrap_or(facts.now);
    let due = jiff::SignedDuration::try_from(grace)
        .ok()
        .and_then(|grace| since.checked_add(grace).ok())
        .unwrap_or(Timestamp::MAX);
    if facts.now < due {
        let message = format!("Nothing needs the old keys. They are retired at {due} if it stays so.");
        return Err((
            Step::Rest(Some(due)),
            said(RotationPhase::Unused, "Unused", message),
        ));
    }
    Ok(())
}

/// A person has said that they may go, where one has to be asked: of the keys, and of what a report has not got.
fn confirmed(facts: &Facts, keys: &[KeySecret]) -> Result<(), Decided> {
    let retire = &facts.spec.retire;
    let incomplete = compromise::incomplete(facts);
    let left = || facts.record.old_keys.iter().filter(|old| !old.retired);
    let is_asked = retire.when == RetireWhen::Confirmed || incomplete.is_some();
    if !is_asked || left().next().is_none() {
        return Ok(());
    }
    let words = left()
        .map(|key| &key.id)
        .chain(incomplete.map(|report| &report.confirm));
    let unconfirmed: Vec<_> = words
        .filter(|word| !retire.confirmed.contains(word))
        .map(String::as_str)
        .collect();
    if unconfirmed.is_empty() {
        return Ok(());
    }
    let at = |step, said| Err((step, said));
    let phase = RotationPhase::AwaitingConfirmation;
    // Who confirms can look first whether the archives open.
    let stored = |old: &RotationKey| {
        let mut all = keys.iter();
        all.find(|key| (&key.id, &key.secret) == (&old.id, &old.secret))
    };
    let mut unarchived = left().filter(|old| retire.then == RetireThen::Archive && old.archive.is_empty());
    if let Some(stored) = unarchived.find_map(stored) {
        let message = "The old keys are archived, and stay until a person confirms that they are retired.";
        return at(Step::Archive(stored.clone()), said(phase, "Archiving", message));
    }
    let (reason, why) = match incomplete {
        Some(report) => ("ReportIncomplete", compromise::asks(report)),
        None => (
            "AwaitingConfirmation",
            "Nothing needs the old keys. To retire them".to_owned(),
        ),
    };
    let message = format!("{why}, add to spec.retire.confirmed: {}.", unconfirmed.join(", "));
    at(Step::Rest(None), stalled(phase, reason, message))
}

/// The old keys go, one after the other.
fn retired(
    facts: &Facts,
    keys: &[KeySecret],
    phases: &mut Vec<(&'static str, bool, String)>,
) -> Result<Decided, Decided> {
    let phase = RotationPhase::Retiring;
    let at = |step| (step, said(phase, "Retiring", "The old keys are retired."));
    if let Some(old) = facts.record.old_keys.iter().find(|old| !old.retired) {
        phases.push((condition::RETIRED, false, "They are being retired.".into()));
        let stored = keys
            .iter()
            .find(|key| (&key.id, &key.secret) == (&old.id, &old.secret));
        let Some(stored) = stored else {
            return Err(at(Step::NoteRetired(old.clone())));
        };
        let is_new = facts.record.new_keys.iter().any(|new| new.id == old.id);
        if is_new || facts.newest.values().any(|newest| *newest == old.id) {
            let message = format!("Key {} is what is sealed for: it stays.", old.id);
            return Err((
                Step::Rest(Some(soon(facts, LATER))),
                stalled(phase, "OldKeyIsNewest", message),
            ));
        }
        if !facts.fresh {
            return Err(at(Step::LookAgain));
        }
        if facts.spec.retire.then == RetireThen::Archive && old.archive.is_empty() {
            return Err(at(Step::Archive(stored.clone())));
        }
        return Err(at(Step::Delete(stored.clone())));
    }
    phases.push((condition::RETIRED, true, end(facts)));
    Ok((
        Step::Rest(None),
        said(RotationPhase::Complete, "Complete", end(facts)),
    ))
}

/// What is true from now on, in words.
fn end(facts: &Facts) -> String {
    let old: Vec<_> = facts.record.old_keys.iter().map(|key| key.id.as_str()).collect();
    if old.is_empty() {
        return "There was no key before; the new one is in use.".into();
    }
    let ranges: Vec<_> = facts.record.repositories.iter().filter_map(range).collect();
    let tail = if ranges.is_empty() {
        String::new()
    } else {
        format!(
            " No longer opened, so do not `git revert` to them: {}.",
            ranges.join("; ")
        )
    };
    format!("Retired: {}.{tail}{}", old.join(", "), compromise::end(facts))
}

/// The commits of a Repository that the old keys are needed for, as its own branch has them.
fn range(one: &crds::RepositoryRotation) -> Option<String> {
    let short = |id: &str| id.get(..12).unwrap_or(id).to_owned();
    let (last, first) = if one.first_clean.is_empty() {
        // An earlier controller wrote down what it had made, and nothing more.
        (&one.base, &one.commit)
    } else {
        (&one.last_needing, &one.first_clean)
    };
    if last.is_empty() {
        return None;
    }
    let (last, first) = (short(last), short(first));
    Some(format!(
        "{}/{} up to and with {last} (`git revert` of a commit of {last}..{first} brings back what does not open)",
        one.namespace, one.name
    ))
}

/// What holds it up, wherever.
pub(super) fn blocked(facts: &Facts) -> Vec<&Blocker> {
    let git = facts.git.iter().flatten();
    let objects = facts.objects.iter().flat_map(|objects| &objects.blockers);
    git.flat_map(|one| &one.blockers).chain(objects).collect()
}

/// `2/3 Repositories, 40 values`.
pub(super) fn progress(facts: &Facts) -> String {
    let all = &facts.record.repositories;
    let clean = all.iter().filter(|one| one.step == RotationStep::Clean).count();
    let count: u64 = all.iter().map(|one| one.values).sum();
    let objects = facts.record.objects.map_or(0, |objects| objects.resealed);
    let what = if count == 1 { "value" } else { "values" };
    match (all.len(), objects) {
        (0, 0) => String::new(),
        (many, 0) => format!("{clean}/{many} Repositories, {count} {what}"),
        (many, objects) => format!("{clean}/{many} Repositories, {count} {what}, {objects} objects"),
    }
}

/// The formats that get a new key.
pub(super) fn formats(facts: &Facts) -> impl Iterator<Item = KeyFormat> + use<> {
    let algorithm = facts.spec.algorithm;
    let v1 = algorithm.v1.map(|_| KeyFormat::V1);
    v1.into_iter().chain(algorithm.v2.map(|_| KeyFormat::V2))
}

/// The keys that are left where a key leaked: all that are stored.
pub(super) fn leaked(facts: &Facts, keys: &[KeySecret]) -> Vec<RotationKey> {
    let own = |key: &&KeySecret| key.rotation.as_deref() == Some(&facts.mark);
    let all = keys.iter().chain(&facts.shut).filter(|key| !own(key));
    let all = all.filter(|key| formats(facts).any(|format| format == key.format));
    all.map(of).collect()
}

/// Which keys are new, and which are left: those of the same formats that are older.
pub(super) fn note(facts: &Facts, keys: &[KeySecret]) -> (Vec<RotationKey>, Vec<RotationKey>) {
    let (mut new, mut old) = (Vec::new(), Vec::new());
    for format in formats(facts) {
        // Where it is written down, it may be one that another rotation has made since.
        let mut known = facts.record.new_keys.iter();
        let known = known.find(|new| new.format == format.as_str());
        let own = |key: &&KeySecret| match known {
            Some(known) => key.id == known.id,
            None => key.rotation.as_deref() == Some(&facts.mark),
        };
        let all: Vec<_> = keys.iter().filter(|key| key.format == format).collect();
        let Some(own) = all.iter().copied().find(own) else {
            continue;
        };
        // Two Secrets can hold one key.
        // One that was retired and is there again was brought back by somebody.
        let left = |key: &KeySecret| {
            let mut all = facts.record.old_keys.iter();
            all.any(|old| old.id == key.id && !old.retired)
        };
        let before = |key: &&&KeySecret| key.id != own.id && (key.created <= own.created || left(key));
        old.extend(all.iter().filter(before).map(|key| of(key)));
        new.push(of(own));
    }
    (new, old)
}

/// As it is written down.
pub(super) fn of(key: &KeySecret) -> RotationKey {
    RotationKey {
        format: key.format.as_str().to_owned(),
        id: key.id.clone(),
        secret: key.secret.clone(),
        retired: false,
        archive: String::new(),
        archive_uid: String::new(),
        archive_digest: String::new(),
    }
}

pub(super) fn said(phase: RotationPhase, reason: &'static str, message: impl Into<String>) -> Said {
    Said {
        phase,
        reason,
        message: message.into(),
        stalled: false,
        phases: Vec::new(),
    }
}

pub(super) fn stalled(phase: RotationPhase, reason: &'static str, message: impl Into<String>) -> Said {
    Said {
        stalled: true,
        ..said(phase, reason, message)
    }
}

pub(super) fn soon(facts: &Facts, seconds: i64) -> Timestamp {
    facts
        .now
        .checked_add(jiff::SignedDuration::from_secs(seconds))
        .unwrap_or(facts.now)
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
