//! Fields that others added to our objects, removed where a Sync says so.

use crate::sync::execute::Hand;
use apply::fields::{self, FieldPath};
use apply::{ApiError, ErrorKind, Key, KindInfo, LiveMeta};
use serde_json::{Value, json};

/// How often a removal is tried when somebody else writes the object in between.
const TRIES: u32 = 3;

/// What became of a removal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sync) struct Removed {
    /// How many fields, or items of lists, were removed. Some never are: identity, finalizers, keys of items, status.
    pub(in crate::sync) count: usize,
    /// The object as it is now; none where it is gone, or there was nothing to do.
    pub(in crate::sync) live: Option<LiveMeta>,
}

impl Hand {
    /// Removes fields from a live object, as the Sync. Whether they may go is for the caller to say: it looks at whose they
    /// are. Values of a Secret are not read for it.
    ///
    /// # Errors
    /// As the API server answers, never in its own words.
    pub(in crate::sync) async fn remove_foreign(
        &self,
        info: &KindInfo,
        key: &Key,
        paths: &[FieldPath],
    ) -> Result<Removed, ApiError> {
        const NOTHING: Removed = Removed { count: 0, live: None };
        for _ in 0..TRIES {
            let Some(mut live) = self.server.object(&self.identity, info, key).await? else {
                return Ok(NOTHING);
            };
            if key.kind.is_secret() {
                name_values(&mut live, paths);
            }
            let Some((count, patch)) = patch(&live, paths) else {
                return Ok(NOTHING);
            };
            // The watch is not told: our own fields stay as they are, and whoever changed them meanwhile made a drift.
            let edited = self
                .server
                .edit(&self.identity, info, key, &self.manager, &patch)
                .await
                .and_then(|meta| meta.live(&self.manager));
            match edited {
                Ok(live) => {
                    return Ok(Removed {
                        count,
                        live: Some(live),
                    });
                }
                Err(error) if error.kind == ErrorKind::Precondition => {}
                // A value of a Secret that was thought to be there.
                Err(error) if error.kind == ErrorKind::Invalid && key.kind.is_secret() => {
                    return Ok(NOTHING);
                }
                Err(error) if error.kind == ErrorKind::NotFound => return Ok(NOTHING),
                Err(error) => return Err(error),
            }
        }
        Err(ApiError::unavailable(
            "the object keeps changing while fields are removed from it",
        ))
    }
}

/// Puts a place where the live Secret, of which only metadata is read, must have a value: its name is all that a removal
/// needs.
fn name_values(live: &mut Value, paths: &[FieldPath]) {
    for path in paths
        .iter()
        .filter(|path| path.is_under(&["data"]) && path.0.len() == 2)
    {
        fields::set(live, path, Value::Null);
    }
}

/// The patch, with the resource version that it is made for, and how much it removes. None: nothing.
fn patch(live: &Value, paths: &[FieldPath]) -> Option<(usize, Value)> {
    let version = live["metadata"]["resourceVersion"].as_str()?;
    let Value::Array(mut steps) = fields::removal(paths, live) else {
        return None;
    };
    let count = steps.iter().filter(|step| step["op"] == "remove").count();
    // Replaced, not tested: a stale one is answered with a conflict.
    steps.push(json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version}));
    (count > 0).then_some((count, Value::Array(steps)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removal_is_for_one_version_of_the_object() {
        let live = json!({"metadata": {"resourceVersion": "7"}, "data": {"a": "1", "b": "2"}});
        let (count, steps) = patch(&live, &[FieldPath::of_names(&["data", "b"])]).unwrap();
        assert_eq!(count, 1);
        assert_eq!(
            steps,
            json!([{"op": "remove", "path": "/data/b"},
                {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}])
        );
        assert_eq!(patch(&live, &[FieldPath::of_names(&["data", "gone"])]), None);
    }

    #[test]
    fn a_secrets_value_is_removed_unseen() {
        let mut live = json!({"metadata": {"resourceVersion": "7"}});
        let paths = [FieldPath::of_names(&["data", "b"])];
        name_values(&mut live, &paths);
        let (_, steps) = patch(&live, &paths).unwrap();
        assert_eq!(steps[0], json!({"op": "remove", "path": "/data/b"}));
    }
}
