//! One apply, until nobody else's field is in its way.

use super::conflicts;
use super::{One, Trouble};
use crate::sync::body;
use crate::sync::execute::Hand;
use apply::conflicts::Judgement;
use apply::fields::{self, FieldPath};
use apply::plan::Reason;
use apply::{ApiError, ErrorKind, FieldConflict, Manner, Reply};
use crds::Conflicts;
use std::time::Duration;
use zeroize::Zeroizing;

/// How often, and after how long at most, a request is sent again because the API server asked for patience. A worker does
/// not wait longer: its next pass does.
const PATIENCE: u32 = 2;
const PATIENCE_PAUSE: Duration = Duration::from_secs(2);
/// The most applies until an object is settled: as Git has it; without what is yielded; without what was taken meanwhile;
/// by force.
const APPLIES: usize = 4;

/// An apply that was accepted.
pub(super) struct Settled {
    pub(super) reply: Reply,
    /// Left out of it, with who has them.
    pub(super) yielded: Vec<(FieldPath, String)>,
    /// Taken by it, with who had them.
    #[allow(dead_code)] // said by trials
    pub(super) taken: Vec<FieldConflict>,
}

impl Hand {
    /// Applies, or with `dry_run` asks what would come of it. `body` stays as it is.
    pub(super) async fn settle(
        &self,
        one: &One<'_>,
        body: &Zeroizing<Vec<u8>>,
        dry_run: bool,
    ) -> Result<Settled, Trouble> {
        let mut without: Option<Zeroizing<Vec<u8>>> = None;
        let mut yielded = Vec::new();
        let mut taken = Vec::new();
        let mut manner = Manner {
            manager: &self.manager,
            // Where nobody has anything to say, a repair is one request.
            force: !dry_run
                && one.reason == Reason::Drifted
                && one.policy.conflicts == Conflicts::TakeOver
                && !self.observer.contested(one.key, one.policy.trusted()),
            dry_run,
            quote: one.quote(),
        };
        let mut unseen = !dry_run && one.reason == Reason::New && self.observer.live(one.key).is_none();
        for _ in 0..APPLIES {
            let current = without.as_ref().unwrap_or(body);
            let error = match self.patiently(one, &manner, current).await {
                Ok(reply) => {
                    return Ok(Settled {
                        reply,
                        yielded,
                        taken,
                    });
                }
                Err(error) if error.kind == ErrorKind::Conflict && !manner.force => error,
                Err(error) => return Err(error.into()),
            };
            if std::mem::take(&mut unseen) {
                // It is there, and somebody may have frozen it: what he set is not changed before that is known.
                self.spare_frozen(one).await?;
            }
            match conflicts::judge(&error.conflicts, one.key, &self.names, one.policy) {
                Judgement::Refuse { message, hint } => {
                    if self.names.is_claimed(&error.conflicts, one.key) {
                        self.names.refused(&self.manager, one.key);
                    }
                    return Err(Trouble::own(message, hint));
                }
                Judgement::TakeOver => {
                    manner.force = true;
                    taken = error.conflicts;
                }
                Judgement::Yield(conflicts) => {
                    let mut less = current.clone();
                    yielded.extend(leave_out(&mut less, &conflicts)?);
                    without = Some(less);
                }
            }
        }
        Err(Trouble::passing(
            "others keep taking fields of the object while it is applied",
            "this is tried again by itself",
        ))
    }

    /// One request, and again where the API server asks for patience.
    async fn patiently(&self, one: &One<'_>, manner: &Manner<'_>, body: &[u8]) -> Result<Reply, ApiError> {
        let mut tries = 0;
        loop {
            // The copy is wiped by the allocator when the request is done with it (`zeroizing_alloc`).
            let copy = body.to_vec();
            let answer = self
                .server
                .apply(&self.identity, one.info(), one.key, manner, copy);
            match answer.await {
                Err(error) if error.kind == ErrorKind::TooManyRequests && tries < PATIENCE => {
                    tries += 1;
                    let asked = error.retry_after.unwrap_or(PATIENCE_PAUSE);
                    tokio::time::sleep(asked.min(PATIENCE_PAUSE)).await;
                }
                answer => return answer,
            }
        }
    }
}

/// Leaves the fields of these conflicts out of a body.
fn leave_out(
    body: &mut Zeroizing<Vec<u8>>,
    conflicts: &[&FieldConflict],
) -> Result<Vec<(FieldPath, String)>, Trouble> {
    let left = body::edit(body, |object| {
        // All are looked up before the first is removed: the place of an item depends on those before it.
        let paths: Vec<_> = conflicts
            .iter()
            .map(|conflict| FieldPath::resolve(&conflict.field, object).ok_or(*conflict))
            .collect::<Result<_, _>>()?;
        for path in paths.iter().rev() {
            fields::remove(object, path);
        }
        let managers = conflicts.iter().map(|conflict| conflict.manager.clone());
        Ok(paths.into_iter().zip(managers).collect())
    });
    match left {
        Some(Ok(left)) => Ok(left),
        Some(Err(conflict)) => {
            let conflict: &FieldConflict = conflict;
            let field = crate::sync::names::shown(&conflict.field);
            Err(Trouble::own(
                format!(
                    "field {field} belongs to field manager {:?}, and cannot be left out",
                    conflict.manager
                ),
                "remove the field from Git",
            ))
        }
        None => Err(Trouble::own(
            "the object cannot be read again",
            "report this as a defect",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_left_out_and_named() {
        let mut body = Zeroizing::new(
            br#"{"metadata":{"annotations":{"a.b/c":"1"}},"spec":{"replicas":3,"list":[{"name":"x","v":1}]}}"#.to_vec(),
        );
        let conflict = |field: &str| FieldConflict {
            manager: "hpa".into(),
            field: field.into(),
        };
        let conflicts = [
            conflict(".spec.replicas"),
            conflict(".metadata.annotations.a.b/c"),
            conflict(r#".spec.list[name="x"].v"#),
        ];
        let refs: Vec<_> = conflicts.iter().collect();
        let Ok(left) = leave_out(&mut body, &refs) else {
            panic!("all three are there");
        };
        let shown: Vec<_> = left.iter().map(|(path, by)| format!("{path} {by}")).collect();
        assert_eq!(shown[0], ".spec.replicas hpa");
        assert_eq!(left.len(), 3);
        assert_eq!(
            std::str::from_utf8(&body).unwrap(),
            r#"{"metadata":{"annotations":{}},"spec":{"list":[{"name":"x"}]}}"#
        );
        let gone = conflict(".spec.replicas");
        assert!(leave_out(&mut body, &[&gone]).is_err());
    }
}
