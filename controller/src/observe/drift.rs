//! How an object differs from what our apply left, and by whom.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde::Serialize;
use serde_json::Value;
use std::io::{self, Write};

/// The most that is kept of one drifted object, in bytes of JSON.
const MOST: usize = 64 * 1024;

/// How an object differs from what our apply left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    /// Somebody deleted it.
    Deleted,
    /// Somebody changed or removed a field that we own.
    Changed {
        /// The field manager that is likely to have done it.
        by: Option<String>,
    },
    /// Somebody deleted it and made another of the same name.
    Replaced {
        /// The field manager that is likely to have done it.
        by: Option<String>,
    },
    /// Its spec changed, and our `managedFields` entry did not. As a rule somebody changed fields that are not ours. But an
    /// admission webhook may have changed one of ours inside that write, which `managedFields` do not show: they are
    /// computed before admission. One dry-run of our apply tells.
    Suspect {
        /// The field manager that wrote, where it can be told.
        by: Option<String>,
    },
}

/// What is known of a drifted object, to say what was lost and to whom.
#[derive(Clone, Debug, PartialEq)]
pub struct DriftDetail {
    /// The field manager that is likely to have done it.
    pub by: Option<String>,
    /// When the set of its fields changed last, in whole seconds.
    pub at: Option<Timestamp>,
    /// The `fieldsV1` of our own entry as it is now. None where nothing is left of it, or too much.
    pub own: Option<Value>,
    /// All `managedFields` entries, the newest first; as many as find room.
    pub entries: Vec<ManagedFieldsEntry>,
}

impl DriftDetail {
    /// Keeps what finds room. With `whole` unset only the author is kept.
    pub(super) fn new(
        author: Option<&ManagedFieldsEntry>,
        own: Option<&ManagedFieldsEntry>,
        entries: &[ManagedFieldsEntry],
        whole: bool,
    ) -> Self {
        let mut room = if whole { MOST } else { 0 };
        let own = own
            .and_then(|entry| entry.fields_v1.as_ref())
            .filter(|fields| takes(&fields.0, &mut room))
            .map(|fields| fields.0.clone());
        let mut newest: Vec<_> = entries.iter().collect();
        newest.sort_by_key(|entry| std::cmp::Reverse(entry.time.as_ref().map(|time| time.0)));
        Self {
            by: author.and_then(|entry| entry.manager.clone()),
            at: author.and_then(|entry| Some(entry.time.as_ref()?.0)),
            own,
            entries: newest
                .into_iter()
                .filter(|entry| takes(entry, &mut room))
                .cloned()
                .collect(),
        }
    }
}

/// Whether `what` finds room as JSON, which is then taken.
fn takes(what: &impl Serialize, room: &mut usize) -> bool {
    let mut left = Room(*room);
    let fits = serde_json::to_writer(&mut left, what).is_ok();
    if fits {
        *room = left.0;
    }
    fits
}

/// Counts down, and fails where nothing is left.
struct Room(usize);

impl Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self
            .0
            .checked_sub(bytes.len())
            .ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(manager: &str, second: u8, fields: &Value) -> ManagedFieldsEntry {
        let time = format!("2026-01-01T00:00:{second:02}Z");
        serde_json::from_value(json!({"manager": manager, "time": time, "fieldsV1": fields})).unwrap()
    }

    #[test]
    fn what_finds_no_room_is_left_out_and_the_author_stays() {
        let huge = json!({"f:data": {("f:".to_owned() + &"x".repeat(MOST)): {}}});
        let entries = [
            entry("signet/a", 1, &json!({"f:a": {}})),
            entry("big", 5, &huge),
            entry("kubectl", 3, &json!({"f:b": {}})),
        ];
        let detail = DriftDetail::new(entries.get(1), entries.first(), &entries, true);
        assert_eq!(detail.by.as_deref(), Some("big"));
        assert_eq!(detail.at.unwrap().to_string(), "2026-01-01T00:00:05Z");
        assert_eq!(detail.own, Some(json!({"f:a": {}})));
        let kept: Vec<_> = detail
            .entries
            .iter()
            .filter_map(|entry| entry.manager.as_deref())
            .collect();
        assert_eq!(kept, ["kubectl", "signet/a"]);
        let brief = DriftDetail::new(entries.get(2), entries.first(), &entries, false);
        assert_eq!(brief.by.as_deref(), Some("kubectl"));
        assert_eq!((brief.own, brief.entries.len()), (None, 0));
    }
}
