//! Signet's own annotations, which win over those of other tools, and whose unknown values are errors.

use super::hook::{self, Hook};
use super::{OptionError, Options, duration};
use crate::Facts;

pub(super) const SUBSTITUTE: &str = "signet.dev/substitute";
const HOOK: &str = "signet.dev/hook";
const HOOK_DELETE: &str = "signet.dev/hook-delete-policy";
const HOOK_TIMEOUT: &str = "signet.dev/hook-timeout";

/// Reads them over what other tools' annotations said.
pub(super) fn read(facts: &Facts, options: &mut Options) -> Result<(), OptionError> {
    wave(facts, options)?;
    hooks(facts, options)?;
    prune(facts)?;
    if let Some(enabled) = switch(facts, "signet.dev/reconcile")? {
        options.reconcile_disabled = !enabled;
    }
    if let Some(enabled) = switch(facts, SUBSTITUTE)? {
        options.substitute_disabled = !enabled;
    }
    if let Some(enabled) = switch(facts, "signet.dev/replace")? {
        options.replace = Some(enabled);
    }
    if let Some(enabled) = switch(facts, "signet.dev/restart-on-secret-change")? {
        options.restart = Some(enabled);
    }
    options.create_only |= word(facts, "signet.dev/apply", "create-only")?;
    options.ignore_health |= word(facts, "signet.dev/health", "ignore")?;
    Ok(())
}

fn wave(facts: &Facts, options: &mut Options) -> Result<(), OptionError> {
    let key = "signet.dev/wave";
    if let Some(text) = facts.annotation(key) {
        let wave = text.trim().parse().map_err(|_| {
            OptionError::new(
                key,
                "write a whole number of at most 32 bits, such as `-5` or `10`",
            )
        })?;
        options.wave = Some(wave);
    }
    Ok(())
}

fn hooks(facts: &Facts, options: &mut Options) -> Result<(), OptionError> {
    if let Some(text) = facts.annotation(HOOK) {
        let when = hook::own(HOOK, text)?;
        let delete = options.hook.take().map(|hook| hook.delete).unwrap_or_default();
        options.skip = false;
        options.hook = Some(Hook {
            when,
            delete,
            timeout: None,
        });
    }
    let delete = facts
        .annotation(HOOK_DELETE)
        .map(|text| hook::own_policy(HOOK_DELETE, text))
        .transpose()?;
    let timeout = facts
        .annotation(HOOK_TIMEOUT)
        .map(|text| {
            duration::parse(text).ok_or_else(|| {
                OptionError::new(
                    HOOK_TIMEOUT,
                    "write a duration between `1s` and `24h`, such as `90s` or `1h30m`",
                )
            })
        })
        .transpose()?;
    if let Some(hook) = &mut options.hook {
        hook.delete = delete.unwrap_or(hook.delete);
        hook.timeout = timeout;
    }
    Ok(())
}

/// Of the live object it is read: here only a slip is found.
fn prune(facts: &Facts) -> Result<(), OptionError> {
    let key = "signet.dev/prune";
    match facts.annotation(key).map(str::trim) {
        None | Some("disabled" | "orphan" | "confirm" | "enabled") => Ok(()),
        Some(_) => Err(OptionError::new(
            key,
            "write `disabled`, `orphan`, `confirm` or `enabled`",
        )),
    }
}

fn switch(facts: &Facts, key: &str) -> Result<Option<bool>, OptionError> {
    match facts.annotation(key).map(str::trim) {
        None => Ok(None),
        Some("enabled") => Ok(Some(true)),
        Some("disabled") => Ok(Some(false)),
        Some(_) => Err(OptionError::new(key, "write `enabled` or `disabled`")),
    }
}

fn word(facts: &Facts, key: &str, word: &str) -> Result<bool, OptionError> {
    match facts.annotation(key).map(str::trim) {
        None => Ok(false),
        Some(found) if found == word => Ok(true),
        Some(_) => Err(OptionError::new(key, format!("write `{word}`, or remove it"))),
    }
}
