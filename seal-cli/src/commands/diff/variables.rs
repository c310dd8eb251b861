//! What `${name}` stands for: read as the controller reads it, as the Sync's service account where one may.

use super::server::Server;
use crate::command_error::CommandError;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use crds::{Sync, VariableKind};
use render::Variables;
use render::gather::{self, Data, GatherError};
use serde_json::Value;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Reads a Sync's variables. None: it has none.
pub(super) async fn read(server: &Server, sync: &Sync) -> Result<Option<Arc<Variables>>, CommandError> {
    let Some(substitute) = &sync.spec.substitute else {
        return Ok(None);
    };
    gather::check(substitute).map_err(|error| said(&error))?;
    let mut reads = Vec::with_capacity(substitute.from.len());
    for source in &substitute.from {
        let found = server.source(source).await.map_err(|refusal| refusal.message);
        reads.push(found.map(|object| object.map(|object| data(source.kind, &object))));
    }
    // Digests are only compared with one another, here.
    let variables = gather::gather(
        substitute,
        reads,
        (server.namespace(), &server.reader()),
        &[0; 32],
    );
    variables
        .map(|known| Some(Arc::new(known)))
        .map_err(|error| said(&error))
}

fn said(error: &GatherError<String>) -> CommandError {
    let hint = match error {
        GatherError::Unread { .. } => {
            "ask for `get` on it, or for `impersonate` on the Sync's service account"
        }
        _ => "correct the Sync's spec.substitute, or its sources",
    };
    CommandError::user(format!("variables: {error}"), hint)
}

fn data(kind: VariableKind, object: &Value) -> Data {
    let values = object["data"].as_object().into_iter().flatten();
    let bytes = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        match kind {
            VariableKind::ConfigMap => text.as_bytes().to_vec(),
            // The API server has no other values than these.
            VariableKind::Secret => BASE64_STANDARD.decode(text).unwrap_or_default(),
        }
    };
    values
        .map(|(key, value)| (key.clone(), Zeroizing::new(bytes(value))))
        .collect()
}
