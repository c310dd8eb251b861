//! What is there before an object is applied: objects that are created and never changed, and namespaces.

use super::{One, Trouble};
use crate::sync::execute::Hand;
use apply::words::is_frozen;
use apply::{ApiError, ErrorKind, LiveMeta};
use std::sync::Arc;

impl Hand {
    /// The live object, where it is there and is not to be changed any more.
    pub(super) async fn stays_as_it_is(
        &self,
        one: &One<'_>,
        seen: Option<&LiveMeta>,
    ) -> Result<Option<LiveMeta>, ApiError> {
        if !one.wanted.item.options().create_only {
            return Ok(None);
        }
        if let Some(seen) = seen {
            return Ok(Some(seen.clone()));
        }
        self.server
            .look(&self.identity, one.info(), one.key, &self.manager)
            .await
    }

    /// Refuses an object that no watch shows, which is to say one without our label, if it is there and somebody froze it.
    pub(super) async fn spare_frozen(&self, one: &One<'_>) -> Result<(), Trouble> {
        match self.server.metadata(&self.identity, one.info(), one.key).await {
            Ok(Some(found)) if is_frozen(&found.0) => Err(frozen()),
            Ok(_) => Ok(()),
            // Who may not look may apply all the same.
            Err(error) if error.kind == ErrorKind::Forbidden => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the namespace that `error` says is missing, if the Sync wants that. Whatever is tried is tried once for all
    /// objects of an attempt.
    pub(super) async fn make_namespace(&self, one: &One<'_>, error: ApiError) -> Result<(), Trouble> {
        let Some(namespace) = one
            .key
            .namespace
            .as_ref()
            .filter(|_| one.policy.create_namespaces)
        else {
            return Err(error.into());
        };
        // Others that want the same wait here.
        let mut tried = self.namespaces.lock().await;
        let result = if let Some(result) = tried.get(namespace) {
            result.clone()
        } else {
            let result = self.server.create_namespace(&self.identity, namespace).await;
            tried.insert(Arc::clone(namespace), result.clone());
            result
        };
        result.map_err(|error| match error.kind {
            ErrorKind::Unavailable | ErrorKind::Unreachable | ErrorKind::Impersonation => error.into(),
            ErrorKind::Forbidden => Trouble::own(
                format!("namespace {namespace} does not exist, and may not be created: {error}"),
                "grant the Sync's service account the right to create namespaces, or create it",
            ),
            _ => Trouble::Own {
                message: format!("namespace {namespace} does not exist, and cannot be created: {error}"),
                hint: error.hint().into(),
                transient: error.is_transient(),
            },
        })
    }
}

/// What is said of an object that is out of the watches' sight and frozen.
pub(super) fn frozen() -> Trouble {
    Trouble::own(
        "somebody froze it in the cluster, where no watch shows it: it is left alone",
        "take the annotation or label off that freezes it; if it lost its label applyset.kubernetes.io/part-of, put that back",
    )
}
