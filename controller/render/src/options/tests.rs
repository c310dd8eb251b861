use std::time::Duration;

use serde_json::{Value, json};

use super::*;

fn options(annotations: &Value) -> Result<Options, OptionError> {
    Options::of(&Facts::of(&json!({"metadata": {"annotations": annotations}})).unwrap())
}

fn read(pairs: &[(&str, &str)]) -> Options {
    let annotations: serde_json::Map<_, _> = pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), json!(value)))
        .collect();
    options(&annotations.into()).unwrap()
}

fn hook(when: &[HookPhase]) -> Hook {
    Hook {
        when: when.to_vec(),
        delete: DeletePolicy::default(),
        timeout: None,
    }
}

#[test]
fn nothing_said_is_nothing() {
    assert_eq!(read(&[]), Options::NONE);
    assert_eq!(Options::default(), Options::NONE);
    assert_eq!(
        read(&[("signet.dev/source", "x"), ("helm.sh/chart", "y")]),
        Options::NONE
    );
}

#[test]
fn waves() {
    let wave = |pairs: &[(&str, &str)]| read(pairs).wave;
    let argo = |text| ("argocd.argoproj.io/sync-wave", text);
    let weight = ("helm.sh/hook-weight", "7");
    assert_eq!(wave(&[("signet.dev/wave", "-5")]), Some(-5));
    assert_eq!(wave(&[argo("+5")]), Some(5));
    assert_eq!(wave(&[argo("5"), ("signet.dev/wave", "1")]), Some(1));
    assert_eq!(wave(&[weight]), None);
    assert_eq!(wave(&[weight, ("helm.sh/hook", "pre-install")]), Some(7));
    assert_eq!(
        wave(&[argo("x"), weight, ("helm.sh/hook", "pre-install")]),
        Some(7)
    );
    assert_eq!(wave(&[argo("99999999999")]), Some(i32::MAX));
    for bad in ["", "x", "1.5", "99999999999"] {
        assert!(options(&json!({"signet.dev/wave": bad})).is_err(), "{bad}");
    }
}

#[test]
fn argo_hooks() {
    use HookPhase::{Fail, Post, PostDelete, Pre, PreDelete, Sync};
    for (text, expected) in [
        ("PreSync", &[Pre] as &[_]),
        ("PostSync, PreSync,PostSync", &[Pre, Post]),
        ("Sync", &[Sync]),
        ("SyncFail,Unknown", &[Fail]),
        ("PostDelete,PreDelete", &[PreDelete, PostDelete]),
        ("Skip,PreSync", &[Pre]),
    ] {
        let found = read(&[("argocd.argoproj.io/hook", text)]);
        assert_eq!((found.hook, found.skip), (Some(hook(expected)), false), "{text}");
    }
    for text in ["Skip", "Unknown", ""] {
        let found = read(&[("argocd.argoproj.io/hook", text)]);
        assert_eq!((found.hook, found.skip), (None, true), "{text}");
    }
}

#[test]
fn helm_hooks() {
    use HookPhase::{Post, PostDelete, Pre, PreDelete};
    for (text, expected) in [
        ("pre-install,pre-upgrade", &[Pre] as &[_]),
        ("post-install, Post-Upgrade", &[Post]),
        ("pre-delete,post-delete", &[PreDelete, PostDelete]),
        ("post-upgrade,post-rollback", &[Post]),
        ("pre-install,test", &[Pre]),
    ] {
        let found = read(&[("helm.sh/hook", text)]);
        assert_eq!((found.hook, found.skip), (Some(hook(expected)), false), "{text}");
    }
    for text in [
        "test",
        "test-success",
        "test-failure",
        "pre-rollback,post-rollback",
        "unknown",
    ] {
        let found = read(&[("helm.sh/hook", text)]);
        assert_eq!((found.hook, found.skip), (None, true), "{text}");
    }
    assert_eq!(read(&[("helm.sh/hook", "crd-install")]), Options::NONE);
}

#[test]
fn whose_hook_counts() {
    let helm = ("helm.sh/hook", "post-install");
    let argo = |text| ("argocd.argoproj.io/hook", text);
    assert_eq!(read(&[helm, argo("PreSync")]).hook, Some(hook(&[HookPhase::Pre])));
    assert_eq!(
        read(&[helm, argo("Unknown")]).hook,
        Some(hook(&[HookPhase::Post]))
    );
    assert!(read(&[helm, argo("Skip")]).skip);
    let own = read(&[helm, argo("Skip"), ("signet.dev/hook", "Fail,Pre")]);
    assert_eq!(
        (own.hook, own.skip),
        (Some(hook(&[HookPhase::Pre, HookPhase::Fail])), false)
    );
    for bad in ["", "PreSync", "pre", "Pre;Post"] {
        assert!(options(&json!({"signet.dev/hook": bad})).is_err(), "{bad}");
    }
}

#[test]
fn hooks_are_deleted_and_time_out() {
    let policy = |pairs: &[(&str, &str)]| {
        let mut all = vec![("argocd.argoproj.io/hook", "Sync")];
        all.extend(pairs);
        let DeletePolicy {
            before_creation,
            succeeded,
            failed,
        } = read(&all).hook.unwrap().delete;
        (before_creation, succeeded, failed)
    };
    let argo = "argocd.argoproj.io/hook-delete-policy";
    let helm = "helm.sh/hook-delete-policy";
    assert_eq!(policy(&[]), (true, false, false));
    assert_eq!(policy(&[(argo, "HookSucceeded")]), (false, true, false));
    assert_eq!(policy(&[(argo, "nonsense")]), (true, false, false));
    assert_eq!(
        policy(&[(argo, "HookSucceeded"), (helm, "hook-failed")]),
        (false, true, true)
    );
    assert_eq!(
        policy(&[(helm, "before-hook-creation,hook-succeeded")]),
        (true, true, false)
    );
    let own = "signet.dev/hook-delete-policy";
    assert_eq!(
        policy(&[(argo, "HookSucceeded"), (own, "Failed")]),
        (false, false, true)
    );
    for bad in ["", "HookFailed", "Failed,x"] {
        assert!(options(&json!({own: bad})).is_err(), "{bad}");
    }
    let timed = read(&[("helm.sh/hook", "pre-install"), ("signet.dev/hook-timeout", "1m")]);
    assert_eq!(timed.hook.unwrap().timeout, Some(Duration::from_mins(1)));
    assert!(options(&json!({"signet.dev/hook-timeout": "soon"})).is_err());
}

#[test]
fn switches() {
    let flux = |name: &str, value: &str| {
        options(&json!({format!("kustomize.toolkit.fluxcd.io/{name}"): value})).unwrap()
    };
    assert!(flux("reconcile", "disabled").reconcile_disabled);
    assert!(flux("ssa", "Ignore").reconcile_disabled);
    assert!(flux("ssa", "IfNotPresent").create_only);
    assert!(flux("ssa", "Merge").takeover_disabled);
    assert_eq!(flux("ssa", "Override"), Options::NONE);
    assert!(flux("substitute", "disabled").substitute_disabled);
    assert_eq!(flux("force", "enabled").replace, Some(true));
    let argo = |text| read(&[("argocd.argoproj.io/sync-options", text)]).replace;
    assert_eq!(argo("Replace=true"), Some(true));
    assert_eq!(argo("Force=true,Replace=false"), Some(true));
    assert_eq!(argo("Replace=false"), Some(false));
    assert!(read(&[("argocd.argoproj.io/ignore-healthcheck", "true")]).ignore_health);
    assert!(read(&[("client.lifecycle.config.k8s.io/mutation", "ignore")]).create_only);
    assert!(read(&[("signet.dev/reconcile", "disabled")]).reconcile_disabled);
    assert!(read(&[("signet.dev/apply", "create-only")]).create_only);
    assert!(read(&[("signet.dev/substitute", "disabled")]).substitute_disabled);
    assert!(read(&[("signet.dev/health", "ignore")]).ignore_health);
    assert_eq!(read(&[("signet.dev/replace", "disabled")]).replace, Some(false));
    for (text, restart) in [("enabled", true), ("disabled", false)] {
        let read = read(&[("signet.dev/restart-on-secret-change", text)]);
        assert_eq!(read.restart, Some(restart));
    }
    for word in ["disabled", "orphan", "confirm", "enabled"] {
        assert_eq!(read(&[("signet.dev/prune", word)]), Options::NONE);
    }
    let both = [
        ("signet.dev/replace", "disabled"),
        ("argocd.argoproj.io/sync-options", "Force=true"),
    ];
    assert_eq!(read(&both).replace, Some(false));
    let frozen = [
        ("signet.dev/reconcile", "enabled"),
        ("kustomize.toolkit.fluxcd.io/reconcile", "disabled"),
    ];
    assert!(!read(&frozen).reconcile_disabled);
}

#[test]
fn what_is_not_understood_is_said_without_its_value() {
    for key in [
        "wave",
        "hook",
        "hook-delete-policy",
        "hook-timeout",
        "prune",
        "reconcile",
        "substitute",
        "replace",
        "restart-on-secret-change",
        "apply",
        "health",
    ] {
        let key = format!("signet.dev/{key}");
        let error = options(&json!({&key: "hunter2"})).unwrap_err();
        assert_eq!(error.annotation, key);
        assert!(error.message.starts_with("write "), "{error}");
        assert!(!error.to_string().contains("hunter2"));
    }
    let error = options(&json!({"config.kubernetes.io/depends-on": "hunter2"})).unwrap_err();
    assert!(!error.to_string().contains("hunter2"));
}
