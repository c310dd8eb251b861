//! Dry runs: whether an apply would change an object, and what it would take from others.

use super::{Answer, One, Trouble};
use crate::sync::execute::Hand;
use crate::sync::inputs::Inputs;
use apply::plan::Step;
use apply::{Cause, FieldConflict, FieldSet, Meta};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::time::Duration;
use zeroize::Zeroizing;

/// `managedFields` keep times to the second: within so much of now, the last apply and this trial look alike.
const SAME_MOMENT: Duration = Duration::from_secs(2);

/// What an apply would do.
#[derive(Clone, Debug, Default)]
pub(in crate::sync) struct DryRun {
    /// Whether it would change anything.
    pub(in crate::sync) differs: bool,
    /// Whether it would make the object.
    pub(in crate::sync) creates: bool,
    /// Fields that it would take, with who has them.
    pub(in crate::sync) taken: Vec<FieldConflict>,
}

impl Hand {
    /// Asks what [`Hand::send`] would do. Writes nothing. Costs one request where nothing differs and the object is watched,
    /// otherwise one or two more.
    pub(in crate::sync) async fn dry_run(
        &self,
        inputs: &Inputs,
        step: Step,
        body: Zeroizing<Vec<u8>>,
    ) -> Result<DryRun, Answer> {
        let one = self.one(inputs, step)?;
        let result = self.try_one(&one, body).await;
        result.map_err(|trouble| self.answer(&one, trouble))
    }

    async fn try_one(&self, one: &One<'_>, mut body: Zeroizing<Vec<u8>>) -> Result<DryRun, Trouble> {
        let before = self.observer.live(one.key);
        if self.stays_as_it_is(one, before.as_ref()).await?.is_some() {
            return Ok(DryRun::default());
        }
        self.leave_out_ignored(one, &mut body).await?;
        let settled = match self.settle(one, &body, true).await {
            Err(Trouble::Api(error))
                if error.cause == Cause::NamespaceMissing && one.policy.create_namespaces =>
            {
                // Whether the object would be accepted there cannot be asked before the namespace exists.
                return Ok(DryRun {
                    differs: true,
                    creates: true,
                    ..DryRun::default()
                });
            }
            settled => settled?,
        };
        let (reply, known) = (&settled.reply, before.and_then(|live| live.owned));
        let differs = match verdict(&reply.meta, reply.created, known, &self.manager) {
            Verdict::Same => false,
            Verdict::Differs => true,
            Verdict::Compare => match self.server.metadata(&self.identity, one.info(), one.key).await? {
                None => true,
                Some(live) => differ(&live, &reply.meta, &self.manager),
            },
        };
        Ok(DryRun {
            differs,
            creates: settled.reply.created,
            taken: if differs { settled.taken } else { Vec::new() },
        })
    }
}

/// What a trial's answer tells.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Same,
    Differs,
    /// The live object has to be compared.
    Compare,
}

/// What the answer alone tells. `known` is what the watch saw that `manager` owns.
fn verdict(tried: &Meta, created: bool, known: Option<FieldSet>, manager: &str) -> Verdict {
    if created {
        return Verdict::Differs;
    }
    let Some(time) = tried.changed(manager) else {
        return Verdict::Same;
    };
    // The time is in the field set: an equal one was not touched, unless it was touched in this very moment.
    match known {
        Some(known) if FieldSet::of(&tried.0, manager) == Some(known) && !is_now(time) => Verdict::Same,
        _ => Verdict::Compare,
    }
}

/// Whether a trial changed an object. Its generation tells of the specification, as it was to be stored after webhooks had
/// their say; the rest is metadata. What has no generation is taken at the word of the merge.
fn differ(live: &Meta, tried: &Meta, manager: &str) -> bool {
    let same_time = live.changed(manager) == tried.changed(manager);
    if same_time && !tried.changed(manager).is_some_and(is_now) {
        return false;
    }
    let (live, tried) = (&live.0, &tried.0);
    live.generation.is_none()
        || live.generation != tried.generation
        || live.labels != tried.labels
        || live.annotations != tried.annotations
        || live.finalizers != tried.finalizers
        || live.owner_references != tried.owner_references
}

fn is_now(time: &Time) -> bool {
    jiff::Timestamp::now().duration_since(time.0).unsigned_abs() < SAME_MOMENT
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    use serde_json::{Value, json};

    const LONG_AGO: &str = "2026-01-01T00:00:00Z";
    const LATER: &str = "2026-01-01T00:05:00Z";

    fn meta(time: Option<&str>, generation: Option<i64>, label: &str) -> Meta {
        let entry = |manager: &str, time: Option<&str>| json!({"manager": manager, "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {}}, "time": time});
        let value: Value = json!({"name": "a", "generation": generation, "labels": {"l": label},
            "managedFields": [entry("other", Some(LATER)), entry("m", time)]});
        let object: ObjectMeta = serde_json::from_value(value).unwrap();
        Meta(Box::new(object))
    }

    fn now() -> String {
        jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    #[test]
    fn an_apply_that_changes_nothing_leaves_no_time_or_the_one_before() {
        let untouched = meta(Some(LONG_AGO), Some(1), "x");
        let known = FieldSet::of(&untouched.0, "m");
        assert_eq!(verdict(&meta(None, None, "x"), false, None, "m"), Verdict::Same);
        assert_eq!(verdict(&meta(None, None, "x"), true, None, "m"), Verdict::Differs);
        assert_eq!(verdict(&untouched, false, known, "m"), Verdict::Same);
        assert_eq!(verdict(&untouched, false, None, "m"), Verdict::Compare);
        let touched = meta(Some(LATER), Some(1), "x");
        assert_eq!(verdict(&touched, false, known, "m"), Verdict::Compare);
        let moment = meta(Some(&now()), None, "x");
        let known = FieldSet::of(&moment.0, "m");
        assert_eq!(verdict(&moment, false, known, "m"), Verdict::Compare);
    }

    #[test]
    fn the_live_object_decides_where_the_answer_alone_does_not() {
        let at = |time: &str, generation, label| meta(Some(time), generation, label);
        for (live, tried, differs) in [
            (at(LONG_AGO, None, "x"), at(LONG_AGO, None, "x"), false),
            (at(LONG_AGO, None, "x"), at(LATER, None, "x"), true),
            (at(LONG_AGO, Some(1), "x"), at(LATER, Some(2), "x"), true),
            (at(LONG_AGO, Some(1), "x"), at(LATER, Some(1), "y"), true),
            // A webhook put back what the merge changed.
            (at(LONG_AGO, Some(1), "x"), at(LATER, Some(1), "x"), false),
            // Applied a moment ago: the time tells nothing.
            (at(&now(), Some(1), "x"), at(&now(), Some(1), "x"), false),
            (at(&now(), Some(1), "x"), at(&now(), Some(2), "x"), true),
            (at(&now(), None, "x"), at(&now(), None, "x"), true),
        ] {
            assert_eq!(differ(&live, &tried, "m"), differs, "{live:?} {tried:?}");
        }
    }
}
