//! Annotations of Argo CD, Helm, Flux, kpt and Config Sync.

use super::hook::{self, DeletePolicy, Hook, Meaning};
use super::{OptionError, Options, dependency};
use crate::Facts;

/// Reads them as their tools do.
pub(super) fn read(facts: &Facts) -> Result<Options, OptionError> {
    let mut options = Options::NONE;
    hooks(facts, &mut options);
    argo(facts, &mut options);
    flux(facts, &mut options);
    // Config Sync creates such an object and never changes it.
    options.create_only |= facts
        .annotation("client.lifecycle.config.k8s.io/mutation")
        .is_some_and(says("ignore"));
    if let Some(text) = facts.annotation(dependency::DEPENDS_ON) {
        options.depends_on = dependency::parse(text)?;
    }
    Ok(options)
}

fn says(word: &'static str) -> impl Fn(&str) -> bool {
    move |text| text.trim().eq_ignore_ascii_case(word)
}

/// Helm's hooks count where Argo CD's annotation names no phase, as in Argo CD itself.
fn hooks(facts: &Facts, options: &mut Options) {
    let argo = facts.annotation("argocd.argoproj.io/hook").map(hook::argo);
    let helm = facts.annotation("helm.sh/hook").map(hook::helm);
    let when = match (argo, helm) {
        (Some(Meaning::Hook(when)), _) | (None, Some(Meaning::Hook(when))) => when,
        // `Skip` and phases that are not known: the object is no ordinary one, whatever Helm says.
        (Some(_), Some(Meaning::Hook(when))) if !is_skip(facts) => when,
        (Some(_), _) | (None, Some(Meaning::Skip)) => {
            options.skip = true;
            return;
        }
        (None, None | Some(Meaning::Ordinary)) => return,
    };
    let argo = facts
        .annotation("argocd.argoproj.io/hook-delete-policy")
        .and_then(hook::argo_policy);
    let helm = facts
        .annotation("helm.sh/hook-delete-policy")
        .and_then(hook::helm_policy);
    options.hook = Some(Hook {
        when,
        delete: match (argo, helm) {
            (Some(argo), Some(helm)) => argo.and(helm),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => DeletePolicy::default(),
        },
        timeout: None,
    });
}

fn is_skip(facts: &Facts) -> bool {
    facts
        .annotation("argocd.argoproj.io/hook")
        .is_some_and(|text| hook::list(text).any(|part| part == "Skip"))
}

fn argo(facts: &Facts, options: &mut Options) {
    // A wave that is no number counts for Argo CD as none, and Helm's weight comes next.
    options.wave = facts
        .annotation("argocd.argoproj.io/sync-wave")
        .and_then(number)
        .or_else(|| {
            facts.annotation("helm.sh/hook")?;
            facts.annotation("helm.sh/hook-weight").and_then(number)
        });
    options.ignore_health = facts
        .annotation("argocd.argoproj.io/ignore-healthcheck")
        .is_some_and(says("true"));
    let sync_options = facts
        .annotation("argocd.argoproj.io/sync-options")
        .unwrap_or_default();
    for option in hook::list(sync_options) {
        match option {
            "Replace=true" | "Force=true" => options.replace = Some(true),
            "Replace=false" | "Force=false" => options.replace = options.replace.or(Some(false)),
            _ => {}
        }
    }
}

fn flux(facts: &Facts, options: &mut Options) {
    options.reconcile_disabled = facts.flux_says("reconcile", "disabled") || facts.flux_says("ssa", "Ignore");
    options.create_only = facts.flux_says("ssa", "IfNotPresent");
    options.takeover_disabled = facts.flux_says("ssa", "Merge");
    options.substitute_disabled = facts.flux_says("substitute", "disabled");
    if facts.flux_says("force", "enabled") {
        options.replace = Some(true);
    }
}

/// A whole number; one beyond 32 bits is the first or the last.
fn number(text: &str) -> Option<i32> {
    let number: i64 = text.trim().parse().ok()?;
    Some(i32::try_from(number).unwrap_or(if number < 0 { i32::MIN } else { i32::MAX }))
}
