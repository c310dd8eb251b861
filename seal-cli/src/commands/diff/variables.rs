//! What `${name}` stands for: read as the controller reads it, as the Sync's service account where one may.

use super::server::Server;
use crate::command_error::CommandError;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use crds::{Sync, VariableKind, VariableSource};
use render::Variables;
use sealing::Printable;
use serde_json::Value;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Reads a Sync's variables. None: it has none.
pub(super) async fn read(server: &Server, sync: &Sync) -> Result<Option<Arc<Variables>>, CommandError> {
    let Some(substitute) = &sync.spec.substitute else {
        return Ok(None);
    };
    // Digests are only compared with one another, here.
    let mut variables = Variables::new([0; 32]);
    variables.allow_unset(substitute.allow_unset);
    let wrong = |what: String| CommandError::user(what, "correct the Sync's spec.substitute, or its sources");
    for source in &substitute.from {
        let (kind, name) = (kind(source), Printable(&source.name).to_string());
        let found = server.source(source).await.map_err(|refusal| {
            CommandError::user(
                format!(
                    "cannot read {kind} {name}, whose keys are variables: {}",
                    refusal.message
                ),
                "ask for `get` on it, or for `impersonate` on the Sync's service account",
            )
        })?;
        let Some(found) = found else {
            if source.optional {
                continue;
            }
            return Err(wrong(format!(
                "there is no {kind} {name}, whose keys are variables"
            )));
        };
        for (key, value) in found["data"].as_object().into_iter().flatten() {
            let text = text(source, value).ok_or_else(|| {
                wrong(format!(
                    "the value of {:?} in {kind} {name} is not UTF-8",
                    Printable(key).to_string()
                ))
            })?;
            let secret = source.kind == VariableKind::Secret;
            variables
                .set(key, &text, secret)
                .map_err(|error| wrong(format!("{kind} {name}: {error}")))?;
        }
    }
    for (name, value) in &substitute.variables {
        variables
            .set(name, value, false)
            .map_err(|error| wrong(format!("spec.substitute.variables: {error}")))?;
    }
    Ok(Some(Arc::new(variables)))
}

fn kind(source: &VariableSource) -> &'static str {
    match source.kind {
        VariableKind::ConfigMap => "ConfigMap",
        VariableKind::Secret => "Secret",
    }
}

fn text(source: &VariableSource, value: &Value) -> Option<Zeroizing<String>> {
    let value = value.as_str()?;
    if source.kind == VariableKind::ConfigMap {
        return Some(Zeroizing::new(value.to_owned()));
    }
    let bytes = Zeroizing::new(BASE64_STANDARD.decode(value).ok()?);
    std::str::from_utf8(&bytes)
        .ok()
        .map(|text| Zeroizing::new(text.to_owned()))
}
