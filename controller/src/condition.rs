//! Conditions in a status: set in place, with a transition time that moves only when the status does.

use crds::{Condition, ConditionStatus};

use crate::text;

/// Longest message in a condition, in characters.
const MESSAGE_LIMIT: usize = 2048;

/// Sets the condition `type_`. `now` (RFC 3339) becomes its transition time if it is new or its status changes, so
/// that setting the same thing twice changes nothing.
pub fn set(
    conditions: &mut Vec<Condition>,
    type_: &str,
    status: ConditionStatus,
    generation: i64,
    reason: &str,
    message: impl Into<String>,
    now: &str,
) {
    let message = text::bounded(&message.into(), MESSAGE_LIMIT);
    if let Some(known) = conditions.iter_mut().find(|c| c.type_ == type_) {
        if known.status != status {
            known.status = status;
            now.clone_into(&mut known.last_transition_time);
        }
        known.observed_generation = generation;
        reason.clone_into(&mut known.reason);
        known.message = message;
    } else {
        conditions.push(Condition {
            type_: type_.to_owned(),
            status,
            observed_generation: generation,
            last_transition_time: now.to_owned(),
            reason: reason.to_owned(),
            message,
        });
    }
}

/// Finds the condition `type_`.
#[must_use]
pub fn get<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == type_)
}

/// The time as conditions carry it: RFC 3339, whole seconds, UTC.
#[must_use]
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A moment as a status carries it: RFC 3339, whole seconds, UTC.
#[must_use]
pub fn rfc3339(at: std::time::SystemTime) -> String {
    jiff::Timestamp::try_from(at).map_or_else(
        |_| String::new(),
        |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::{get, now, set};
    use crds::ConditionStatus::{False, True};

    const T1: &str = "2026-01-02T03:04:05Z";
    const T2: &str = "2026-01-02T03:05:00Z";

    #[test]
    fn a_new_condition_is_added() {
        let mut all = Vec::new();
        set(&mut all, "Ready", True, 3, "Fetched", "It is there.", T1);
        set(&mut all, "Stalled", False, 3, "Progress", "No.", T1);
        assert_eq!(all.len(), 2);
        let ready = get(&all, "Ready").unwrap();
        assert_eq!((ready.status, ready.observed_generation), (True, 3));
        assert_eq!(ready.last_transition_time, T1);
    }

    #[test]
    fn the_time_moves_only_with_the_status() {
        let mut all = Vec::new();
        set(&mut all, "Ready", True, 1, "A", "a", T1);
        set(&mut all, "Ready", True, 2, "B", "b", T2);
        assert_eq!(all[0].last_transition_time, T1);
        assert_eq!(
            (
                all[0].observed_generation,
                all[0].reason.as_str(),
                all[0].message.as_str()
            ),
            (2, "B", "b")
        );
        set(&mut all, "Ready", False, 2, "B", "b", T2);
        assert_eq!(all[0].last_transition_time, T2);
        assert_eq!(all.len(), 1);
    }

    #[test]
    fn the_same_twice_is_the_same() {
        let mut all = Vec::new();
        set(&mut all, "Ready", True, 1, "A", "a", T1);
        let before = all.clone();
        set(&mut all, "Ready", True, 1, "A", "a", T2);
        assert_eq!(all, before);
    }

    #[test]
    fn messages_are_bounded() {
        let mut all = Vec::new();
        set(&mut all, "Ready", True, 1, "A", "x".repeat(10_000), T1);
        assert!(all[0].message.chars().count() <= 2048);
    }

    #[test]
    fn time_is_rfc_3339_without_fractions() {
        let text = now();
        assert_eq!(text.len(), 20);
        assert!(text.parse::<jiff::Timestamp>().is_ok());
    }
}
