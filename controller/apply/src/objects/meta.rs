//! What the API server answers of an object: metadata.

use super::LiveMeta;
use crate::error::ApiError;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde::Deserialize;
use std::fmt;

/// An object's metadata. Annotations can hold what must not be seen, such as a Secret that kubectl applied once, so
/// Debug shows none of them.
#[derive(Clone, Default, PartialEq)]
pub struct Meta(pub Box<ObjectMeta>);

/// The answer to an apply.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Whether it made the object.
    pub created: bool,
    /// The object's metadata after it. After a dry run its resource version, if it has one, is the one before it.
    pub meta: Meta,
}

impl Meta {
    /// When an apply of `manager` last changed the object. None: it never did.
    ///
    /// The API server sets the time where a merge changes the object, and only there (apimachinery, `managedfields`), in
    /// dry runs too, and keeps it to the second.
    #[must_use]
    pub fn changed(&self, manager: &str) -> Option<&Time> {
        crate::managed::own_time(&self.0, manager)
    }
}

#[derive(Deserialize)]
struct Partial {
    metadata: ObjectMeta,
}

impl Meta {
    pub(super) fn read(body: &[u8]) -> Result<Self, ApiError> {
        let partial: Partial = serde_json::from_slice(body).map_err(|_| {
            ApiError::unavailable("the API server answered with something that is not an object")
        })?;
        Ok(Self(Box::new(partial.metadata)))
    }

    /// What `manager` has to know of it.
    ///
    /// # Errors
    /// Where uid or resource version are missing, as in the answer to a trial.
    pub fn live(&self, manager: &str) -> Result<LiveMeta, ApiError> {
        LiveMeta::read(&self.0, manager)
            .ok_or_else(|| ApiError::unavailable("the API server's answer lacks uid or resourceVersion"))
    }
}

impl fmt::Debug for Meta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Meta({:?}, resourceVersion {:?})",
            self.0.name.as_deref().unwrap_or_default(),
            self.0.resource_version.as_deref().unwrap_or_default()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_are_not_shown() {
        let body = br#"{"metadata": {"name": "db", "annotations": {"last-applied": "hunter2"}}}"#;
        let meta = Meta::read(body).unwrap();
        assert_eq!(
            meta.0.annotations.as_ref().map(std::collections::BTreeMap::len),
            Some(1)
        );
        let shown = format!("{meta:?}");
        assert!(shown.contains("db") && !shown.contains("hunter2"), "{shown}");
        assert!(meta.live("m").is_err());
        assert!(Meta::read(b"{\"kind\": \"Status\"}").is_err());
    }
}
