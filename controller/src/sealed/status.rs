//! A SealedSecret's status: conditions in Bitnami's shape, `Synced` first, then `Ready` and, where somebody has to act,
//! `Stalled`, as kstatus reads them. Pure.

use super::record::Record;
use crate::text;
use crds::condition::{READY, STALLED};
use crds::{SealedSecretCondition, SealedSecretStatus};

const SYNCED: &str = "Synced";
/// Longest message, in characters.
const MESSAGE_LIMIT: usize = 2048;

/// What is to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// One word.
    pub(super) reason: &'static str,
    /// A sentence; empty where all is well.
    pub(super) message: String,
    /// Whether the Secret is there as sealed.
    pub(super) synced: bool,
    /// Whether nothing will improve until a person changes something.
    pub(super) stalled: bool,
}

impl Verdict {
    /// All is well.
    pub(super) fn good() -> Self {
        Self {
            reason: "Unsealed",
            message: String::new(),
            synced: true,
            stalled: false,
        }
    }
}

/// The status that says so. The same as `old`, times and all, where that says it already.
pub(super) fn next(
    old: &SealedSecretStatus,
    verdict: &Verdict,
    generation: i64,
    record: Option<Record>,
    now: &str,
) -> SealedSecretStatus {
    let message = text::bounded(&verdict.message, MESSAGE_LIMIT);
    let known = old.conditions.as_deref().unwrap_or_default();
    let status = |holds: bool| if holds { "True" } else { "False" };
    let ready_message = if verdict.synced {
        "The Secret is as sealed.".to_owned()
    } else {
        message.clone()
    };
    // Bitnami's controller sets no reason on Synced.
    let mut said = vec![
        (SYNCED, status(verdict.synced), None, message.clone()),
        (READY, status(verdict.synced), Some(verdict.reason), ready_message),
    ];
    if verdict.stalled {
        said.push((STALLED, "True", Some(verdict.reason), message));
    }
    let is_news = old.observed_generation != Some(generation)
        || known.len() != said.len()
        || said
            .iter()
            .zip(known)
            .any(|((type_, status, reason, message), known)| {
                let known = (
                    known.type_.as_str(),
                    known.status.as_str(),
                    known.reason.as_deref().filter(|text| !text.is_empty()),
                    known.message.as_deref().unwrap_or_default(),
                );
                known != (*type_, *status, *reason, message.as_str())
            });
    if !is_news {
        return SealedSecretStatus {
            inputs: record.map(|record| record.to_string()),
            ..old.clone()
        };
    }
    let conditions = said
        .into_iter()
        .map(|(type_, status, reason, message)| {
            let before = known
                .iter()
                .find(|known| known.type_ == type_ && known.status == status);
            SealedSecretCondition {
                last_transition_time: before
                    .and_then(|known| known.last_transition_time.clone())
                    .or_else(|| Some(now.to_owned())),
                last_update_time: Some(now.to_owned()),
                message: Some(message).filter(|text| !text.is_empty()),
                reason: reason.map(str::to_owned),
                status: status.to_owned(),
                type_: type_.to_owned(),
            }
        })
        .collect();
    SealedSecretStatus {
        observed_generation: Some(generation),
        conditions: Some(conditions),
        inputs: record.map(|record| record.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T1: &str = "2026-01-02T03:04:05Z";
    const T2: &str = "2026-01-02T03:05:00Z";

    fn bad(message: &str) -> Verdict {
        Verdict {
            reason: "ErrUnsealFailed",
            message: message.into(),
            synced: false,
            stalled: true,
        }
    }

    fn shown(status: &SealedSecretStatus) -> Vec<String> {
        let conditions = status.conditions.as_deref().unwrap();
        conditions
            .iter()
            .map(|known| format!("{}={}", known.type_, known.status))
            .collect()
    }

    #[test]
    fn synced_comes_first_and_stalled_only_while_it_holds() {
        let failed = next(&SealedSecretStatus::default(), &bad("no"), 1, None, T1);
        assert_eq!(shown(&failed), ["Synced=False", "Ready=False", "Stalled=True"]);
        assert_eq!(
            failed.conditions.as_ref().unwrap()[0].message.as_deref(),
            Some("no")
        );
        let good = next(&failed, &Verdict::good(), 2, None, T2);
        assert_eq!(shown(&good), ["Synced=True", "Ready=True"]);
        let synced = &good.conditions.as_ref().unwrap()[0];
        assert_eq!(
            (synced.reason.as_deref(), synced.message.as_deref()),
            (None, None)
        );
        assert_eq!(good.observed_generation, Some(2));
    }

    #[test]
    fn the_transition_time_moves_with_the_status_and_the_update_time_with_the_news() {
        let first = next(&SealedSecretStatus::default(), &Verdict::good(), 1, None, T1);
        assert_eq!(
            next(&first, &Verdict::good(), 1, None, T2),
            first,
            "nothing new, nothing written"
        );
        let second = next(&first, &Verdict::good(), 2, None, T2);
        let synced = &second.conditions.as_ref().unwrap()[0];
        assert_eq!(
            (
                synced.last_transition_time.as_deref(),
                synced.last_update_time.as_deref()
            ),
            (Some(T1), Some(T2))
        );
        // Another message of the same generation is news: upstream keeps the old one.
        let failed = next(&second, &bad("a"), 2, None, T1);
        let again = next(&failed, &bad("b"), 2, None, T2);
        assert_eq!(
            again.conditions.as_ref().unwrap()[0].message.as_deref(),
            Some("b")
        );
        assert_eq!(
            again.conditions.as_ref().unwrap()[0]
                .last_transition_time
                .as_deref(),
            Some(T1)
        );
    }

    #[test]
    fn bitnamis_own_status_is_taken_over() {
        let theirs: SealedSecretStatus =
            serde_json::from_value(serde_json::json!({"observedGeneration": 1, "conditions": [
            {"type": "Synced", "status": "True", "lastTransitionTime": T1, "lastUpdateTime": T1}]}))
            .unwrap();
        let ours = next(&theirs, &Verdict::good(), 1, None, T2);
        assert_eq!(shown(&ours), ["Synced=True", "Ready=True"]);
        assert_eq!(
            ours.conditions.as_ref().unwrap()[0]
                .last_transition_time
                .as_deref(),
            Some(T1)
        );
    }
}
