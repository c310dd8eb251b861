//! What is said of a rotation: conditions, events, and the command for a person.

use crds::ConditionStatus::{False, True};
use crds::{
    Blocker, KeyRotation, KeyRotationSpec, KeyRotationStatus, RotationPhase, RotationReport, condition,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use kube::api::{Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Resource, ResourceExt};
use sealing::v2::{Recipient, Recipients};
use serde_json::{Value, json};

use super::facts::Facts;
use super::machine::{self, Said, Step};
use crate::cron::Cron;
use crate::events::{Events, Severity};
use crate::repository::Key;
use crate::request::{RequestError, bounded};
use crate::{condition as conditions, duration, text};

/// How many blockers are shown.
const SHOWN: usize = 100;
/// Longest text of a blocker, in characters.
const LONGEST: usize = 512;

/// What cannot be carried out of a specification, as a sentence.
pub(super) fn unusable(spec: &KeyRotationSpec) -> Option<String> {
    if let Err(error) = duration::parse(&spec.retire.grace) {
        return Some(format!("The field spec.retire.grace cannot be read: {error}."));
    }
    if let Err(why) = schedule(spec) {
        return Some(why);
    }
    for (field, texts) in [
        ("recipients", &spec.recipients),
        ("retire.recipients", &spec.retire.recipients),
    ] {
        let parsed: Result<Vec<Recipient>, _> = texts.iter().map(|text| text.parse()).collect();
        let all = match parsed {
            Ok(all) => all,
            Err(error) => return Some(format!("The field spec.{field} names no age recipient: {error}.")),
        };
        if field == "retire.recipients"
            && !all.is_empty()
            && let Err(error) = Recipients::new(all)
        {
            return Some(format!("The field spec.{field} cannot be used: {error}."));
        }
    }
    None
}

/// The schedule and its time zone, if there is one.
fn schedule(spec: &KeyRotationSpec) -> Result<Option<(Cron, TimeZone)>, String> {
    let zone = match &spec.time_zone {
        Some(name) => TimeZone::get(name)
            .map_err(|_| "The field spec.timeZone is not the name of a time zone, such as Europe/Berlin.")?,
        None => TimeZone::UTC,
    };
    let cron = spec.schedule.as_deref().map(Cron::parse).transpose();
    let cron = cron.map_err(|error| format!("The field spec.schedule cannot be read: {error}."))?;
    Ok(cron.map(|cron| (cron, zone)))
}

/// With a schedule: when the next run begins. None while one is under way.
pub(super) fn due(object: &KeyRotation, record: &KeyRotationStatus) -> Option<Timestamp> {
    if record.started.is_some() && record.completed.is_none() {
        return None;
    }
    let (cron, zone) = schedule(&object.spec).ok()??;
    let created = object.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let ended = record.completed.as_deref().and_then(|text| text.parse().ok());
    cron.next(ended.or(created)?, &zone)
}

/// What a person runs in a clone.
pub(super) fn command(facts: &Facts, namespace: &str) -> String {
    let secrets: Vec<_> = facts
        .record
        .old_keys
        .iter()
        .map(|key| key.secret.as_str())
        .collect();
    let leaving = facts
        .record
        .old_keys
        .iter()
        .map(|key| format!(" --leaving {}", key.id));
    format!(
        "signet reseal --from-key <(kubectl -n {namespace} get secret {} -o yaml){}",
        secrets.join(" "),
        leaving.collect::<String>()
    )
}

/// Whether the status is written before a step is carried out.
pub(super) fn is_written_before(step: &Step) -> bool {
    matches!(
        step,
        Step::Rest(_)
            | Step::Bar(_)
            | Step::MakeKey(_)
            | Step::TakeKey(_)
            | Step::Follow(_)
            | Step::Reseal(_)
            | Step::Push(_)
            | Step::LookAgain
            | Step::Delete(_)
    )
}

/// Notes of each Repository that what a person asked for was done there, unless it is still to be sealed again: what becomes of
/// one that has gone on is not asked for any more.
pub(super) fn handled(facts: &mut Facts) {
    let Some(git) = facts.git.as_ref().filter(|_| !facts.request.is_empty()) else {
        return;
    };
    let open: Vec<_> = git
        .iter()
        .filter(|one| one.is_open(facts.step_of(&one.key)))
        .map(|one| &one.key)
        .collect();
    let record = &mut facts.record;
    for known in &mut record.repositories {
        let is_it = |key: &&Key| (&key.0, &key.1) == (&known.namespace, &known.name);
        if !open.iter().any(is_it) {
            known.last_handled_request.clone_from(&facts.request);
        }
    }
    if open.is_empty() {
        record.last_handled_request.clone_from(&facts.request);
    }
}

/// Takes in what the machine says.
pub(super) fn note(facts: &mut Facts, said: &Said) {
    let now = conditions::now();
    let generation = facts.generation;
    let progress = machine::progress(facts);
    let behind = facts.git.iter().flatten().flat_map(|one| &one.behind);
    let blocked: Vec<Blocker> = machine::blocked(facts)
        .into_iter()
        .chain(behind)
        .cloned()
        .collect();
    let is_known = facts.git.is_some();
    let record = &mut facts.record;
    record.observed_generation = generation;
    record.phase = said.phase;
    record.progress = progress;
    if is_known {
        record.blocked = u64::try_from(blocked.len()).unwrap_or(u64::MAX);
        record.blockers = blocked.iter().take(SHOWN).map(bounded_texts).collect();
    }
    let mut fails = false;
    for (type_, holds, message) in &said.phases {
        // A later phase does not hold where an earlier one does not.
        fails |= !holds && ![condition::RETIRED, condition::REPORTED].contains(type_);
        let status = if *holds { True } else { False };
        let reason = if *holds { "Done" } else { said.reason };
        conditions::set(
            &mut record.conditions,
            type_,
            status,
            generation,
            reason,
            message,
            &now,
        );
    }
    let verified = said
        .phases
        .iter()
        .any(|(type_, holds, _)| *type_ == condition::VERIFIED && *holds);
    // Who waits looks at nothing: what it found then says nothing of now.
    let waits = said.phase == RotationPhase::Waiting;
    if verified {
        record.unused_since.get_or_insert_with(|| now.clone());
    } else if fails || waits {
        record.unused_since = None;
        if conditions::get(&record.conditions, condition::VERIFIED).is_some() {
            let message = if waits {
                "It is looked at again when nobody goes first."
            } else {
                "Something needs an old key again."
            };
            let type_ = condition::VERIFIED;
            conditions::set(
                &mut record.conditions,
                type_,
                False,
                generation,
                said.reason,
                message,
                &now,
            );
        }
    }
    let complete = said.phase == RotationPhase::Complete;
    if complete {
        record.completed.get_or_insert_with(|| now.clone());
        record.blockers.clear();
        record.blocked = 0;
    }
    let flags = [
        (condition::READY, complete),
        (condition::RECONCILING, !complete && !said.stalled),
        (condition::STALLED, said.stalled),
    ];
    for (type_, holds) in flags {
        let status = if holds { True } else { False };
        conditions::set(
            &mut record.conditions,
            type_,
            status,
            generation,
            said.reason,
            said.message.as_str(),
            &now,
        );
    }
}

fn bounded_texts(blocker: &Blocker) -> Blocker {
    Blocker {
        place: text::bounded(&blocker.place, LONGEST),
        object: text::bounded(&blocker.object, LONGEST),
        message: text::bounded(&blocker.message, LONGEST),
    }
}

/// Whether nothing but how far the report is differs: that need not be written each time.
pub(super) fn is_only_further(known: &KeyRotationStatus, record: &KeyRotationStatus) -> bool {
    let but_counts = |record: &KeyRotationStatus| {
        let mut record = record.clone();
        record.report = record.report.map(|report| RotationReport {
            state: report.state,
            cluster: report.cluster,
            gaps: report.gaps,
            ..RotationReport::default()
        });
        for one in &mut record.conditions {
            if one.type_ == condition::REPORTED {
                one.message.clear();
            }
        }
        record
    };
    let is_walking = |record: &KeyRotationStatus| {
        let report = record.report.as_ref();
        report.is_some_and(|report| report.state == crds::ReportState::Walking)
    };
    is_walking(known) && is_walking(record) && but_counts(known) == but_counts(record)
}

/// Whether there is something else to be told than before.
pub(super) fn is_news(known: &KeyRotationStatus, said: &Said) -> bool {
    conditions::get(&known.conditions, condition::READY).is_none_or(|ready| ready.reason != said.reason)
}

/// As an event, and in the log.
pub(super) fn tell(events: &Events, object: &KeyRotation, phase: RotationPhase, said: &Said) {
    tracing::info!(
        name = object.name_any(),
        phase = phase.as_str(),
        "{}",
        said.message
    );
    let severity = if said.stalled {
        Severity::Warning
    } else {
        Severity::Normal
    };
    events.publish(&object.object_ref(&()), severity, said.reason, &said.message);
}

/// As an event, and in the log: what was sealed with the keys that leaked.
pub(super) fn tell_report(events: &Events, object: &KeyRotation, report: &RotationReport) {
    let name = object.name_any();
    let message = super::compromise::sentence(&name, report);
    tracing::warn!(
        name,
        values = report.values,
        unchanged = report.unchanged,
        "{message}"
    );
    events.publish(
        &object.object_ref(&()),
        Severity::Warning,
        "LeakReported",
        &message,
    );
}

/// Writes a status.
pub(super) async fn write(
    client: &Client,
    object: &KeyRotation,
    record: &KeyRotationStatus,
) -> Result<(), RequestError> {
    let namespace = object.namespace().unwrap_or_default();
    let api: Api<PartialObjectMeta<KeyRotation>> = Api::namespaced(client.clone(), &namespace);
    let patch = Patch::Merge(body(&object.uid().unwrap_or_default(), record));
    let name = object.name_any();
    bounded(api.patch_status(&name, &PatchParams::default(), &patch))
        .await
        .map(|_| ())
}

/// A merge patch leaves out what it does not name: absent fields are named as null. The uid makes it fail on another object of
/// the same name.
fn body(uid: &str, record: &KeyRotationStatus) -> Value {
    let mut value = json!(record);
    if let Value::Object(fields) = &mut value {
        for name in [
            "progress",
            "newKeys",
            "oldKeys",
            "repositories",
            "objects",
            "report",
            "blockers",
            "lastHandledRequest",
            "started",
            "unusedSince",
            "completed",
        ] {
            fields.entry(name).or_insert(Value::Null);
        }
    }
    json!({"metadata": {"uid": uid}, "status": value})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_a_report_is_need_not_be_written_each_time() {
        let record = |values, progress: &str, state| {
            let mut record = KeyRotationStatus {
                report: Some(RotationReport {
                    state,
                    values,
                    progress: progress.into(),
                    ..RotationReport::default()
                }),
                ..KeyRotationStatus::default()
            };
            let (message, now) = (format!("{progress} {values}"), conditions::now());
            conditions::set(
                &mut record.conditions,
                condition::REPORTED,
                False,
                1,
                "Reporting",
                &message,
                &now,
            );
            record
        };
        let (walking, complete) = (crds::ReportState::Walking, crds::ReportState::Complete);
        let first = record(1, "1 of 9 commits", walking);
        let second = record(4, "5 of 9 commits", walking);
        assert!(first != second && is_only_further(&first, &second));
        assert!(!is_only_further(&first, &record(4, "", complete)));
        assert!(!is_only_further(
            &record(1, "", complete),
            &record(2, "", complete)
        ));
        let mut elsewhere = second.clone();
        elsewhere.phase = RotationPhase::Resealing;
        assert!(!is_only_further(&first, &elsewhere));
        assert!(!is_only_further(&KeyRotationStatus::default(), &first));
    }

    #[test]
    fn absent_fields_are_cleared() {
        let empty = body("u", &KeyRotationStatus::default());
        let full = KeyRotationStatus {
            progress: "x".into(),
            completed: Some("x".into()),
            last_handled_request: "x".into(),
            ..KeyRotationStatus::default()
        };
        let full = body("u", &full);
        for (name, _) in full["status"].as_object().unwrap() {
            assert!(empty["status"].get(name).is_some(), "{name}");
        }
        assert_eq!(empty["status"]["completed"], Value::Null);
    }
}
