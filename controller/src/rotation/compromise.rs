//! What is different where a key leaked: the old keys are barred before anything else, what was ever sealed for them is
//! reported, and they are not retired before that is done. Pure.

use crds::{ReportState, RotationPhase, RotationReason, RotationReport, condition};

use super::facts::Facts;
use super::machine::{Decided, Step, said, soon, stalled};
use crate::keys::{KeySecret, KeyState};

type Phases = Vec<(&'static str, bool, String)>;

/// Whether a key leaked.
pub(super) fn is_one(facts: &Facts) -> bool {
    facts.spec.reason == RotationReason::Compromised
}

/// The old keys are written down, and barred, before a new one is made.
#[allow(clippy::result_large_err, reason = "an `Err` is what is decided")]
pub(super) fn barred(facts: &Facts, keys: &[KeySecret], phases: &mut Phases) -> Result<(), Decided> {
    if !is_one(facts) {
        return Ok(());
    }
    let at = |step| {
        let message = "The keys that leaked are barred from sealing.";
        (step, said(RotationPhase::Publishing, "Barring", message))
    };
    if facts.record.started.is_none() {
        return Err(at(Step::NoteLeaked));
    }
    let left = || facts.record.old_keys.iter().filter(|old| !old.retired);
    for old in left() {
        let stored = keys.iter().chain(&facts.shut);
        let mut stored = stored.filter(|key| key.id == old.id && key.secret == old.secret);
        if let Some(key) = stored.find(|key| key.state != KeyState::Leaving) {
            if facts.bars.contains(&key.secret) {
                // Another Secret with the same key, which somebody labelled compromised by hand, shuts this one.
                let message = format!(
                    "Secret {} is barred, and does not open: another Secret holds the same key and is labelled compromised. \
                     Delete that one.",
                    key.secret
                );
                phases.push((condition::BARRED, false, message.clone()));
                let rest = Step::Rest(Some(soon(facts, 5)));
                return Err((rest, stalled(RotationPhase::Publishing, "KeyIsShut", message)));
            }
            phases.push((condition::BARRED, false, "They are being barred.".into()));
            return Err(at(Step::Bar(key.clone())));
        }
    }
    let is_stored = |id: &str| keys.iter().any(|key| key.id == id);
    let loaded = left().all(|old| !is_stored(&old.id) || facts.barred.contains(&old.id));
    if !loaded {
        return Err(at(Step::Rest(Some(soon(facts, 1)))));
    }
    let names: Vec<_> = facts.record.old_keys.iter().map(|key| key.id.as_str()).collect();
    let message = match names.as_slice() {
        [] => "There was no key before.".to_owned(),
        names => format!(
            "Nobody is offered them to seal for any more: {}. They open what is still sealed for them until they are retired.",
            names.join(", ")
        ),
    };
    phases.push((condition::BARRED, true, message));
    Ok(())
}

/// What is known of what was sealed with them.
pub(super) fn reported(facts: &Facts, phases: &mut Phases) {
    if !is_one(facts) {
        return;
    }
    let message = match &facts.record.report {
        None => "What was ever sealed for the old keys is being looked for.".to_owned(),
        Some(report) => sentence(&facts.name, report),
    };
    let holds = facts
        .record
        .report
        .as_ref()
        .is_some_and(|report| report.state == ReportState::Complete);
    phases.push((condition::REPORTED, holds, message));
}

/// In a sentence or two: what is to be done.
pub(super) fn sentence(name: &str, report: &RotationReport) -> String {
    let values = match report.values {
        1 => "1 value was".to_owned(),
        many => format!("{many} values were"),
    };
    let left = match report.unchanged + report.unknown {
        0 => "none of them has to be changed at its source any more".to_owned(),
        1 => "1 has to be changed at its source".to_owned(),
        many => format!("{many} have to be changed at their source"),
    };
    let all = format!(
        "{values} sealed for a key that leaked, or the same as one that was; {left}. A value that was ever public stays \
         public: `signet rotation report {name}` lists them."
    );
    match (report.state, report.gaps.first()) {
        (ReportState::Walking, _) if report.progress.is_empty() => {
            "What was ever sealed for the old keys is being looked for.".into()
        }
        (ReportState::Walking, _) => format!(
            "What was ever sealed for the old keys is being looked for. {}. So far: {values} found.",
            report.progress.trim_end_matches('.')
        ),
        (ReportState::Incomplete, Some(gap)) => format!("Incomplete: {gap} {all}"),
        _ => all,
    }
}

/// The old keys stay until it is known what was sealed for them, as far as that can be known: they are needed for that. Nobody is
/// asked before.
#[allow(clippy::result_large_err, reason = "an `Err` is what is decided")]
pub(super) fn hold(facts: &Facts) -> Result<(), Decided> {
    if !is_one(facts) || facts.record.old_keys.iter().all(|old| old.retired) {
        return Ok(());
    }
    // What is looked at has to be what was looked through: a commit that came since may have brought one more value.
    let is_walked = facts.walked.as_ref().is_some_and(|walked| {
        facts.git.iter().flatten().all(|one| match &one.head {
            Ok(head) => walked.get(&one.key) == Some(head),
            Err(_) => true, // holds by itself
        })
    });
    let report = facts.record.report.as_ref();
    let is_done = report.is_some_and(|report| match report.state {
        ReportState::Complete => true,
        ReportState::Incomplete => !report.confirm.is_empty(),
        ReportState::Walking => false,
    });
    if is_done && is_walked {
        return Ok(());
    }
    let passes = report.filter(|report| report.state == ReportState::Incomplete && !is_done);
    let gap = passes.and_then(|report| report.gaps.first());
    let gap = gap.map(|gap| format!(" {gap} It is tried again."));
    let message = format!(
        "Nothing needs the old keys. They stay until it is known what was ever sealed for them.{}",
        gap.unwrap_or_default()
    );
    Err((
        Step::Rest(None),
        said(RotationPhase::Reporting, "Reporting", message),
    ))
}

/// The report, where it is incomplete and a person has to accept that.
pub(super) fn incomplete(facts: &Facts) -> Option<&RotationReport> {
    let report = facts.record.report.as_ref();
    report.filter(|report| is_one(facts) && report.state == ReportState::Incomplete)
}

/// Why a person is asked to accept it.
pub(super) fn asks(report: &RotationReport) -> String {
    let gap = report.gaps.first().map(String::as_str).unwrap_or_default();
    let more = match report.gaps.len() {
        0 | 1 => String::new(),
        many => format!(" There are {} more: status.report.gaps names them.", many - 1),
    };
    format!(
        "Nothing needs the old keys, but the report of what was sealed for them is incomplete, and without them it stays so. \
         {gap}{more} To retire them all the same"
    )
}

/// What is said of the new keys when every controller publishes them.
pub(super) fn published(facts: &Facts) -> Option<&'static str> {
    is_one(facts).then_some(
        "Every controller publishes the new keys, and none of the old ones, which do not vouch for them: who has pinned one \
         compares and confirms the new ones (docs/rotation.md).",
    )
}

/// What is said at the end.
pub(super) fn end(facts: &Facts) -> String {
    match &facts.record.report {
        Some(report) if is_one(facts) => format!(" {}", sentence(&facts.name, report)),
        _ => String::new(),
    }
}
