use super::*;
use serde_json::json;

const OURS: &str = "signet/a";

fn entries(value: &Value) -> Vec<ManagedFieldsEntry> {
    serde_json::from_value(value.clone()).unwrap()
}

fn entry(manager: &str, operation: &str, version: &str, fields: &Value) -> Value {
    json!({"manager": manager, "operation": operation, "apiVersion": version, "fieldsType": "FieldsV1", "fieldsV1": fields,
        "time": "2026-01-01T00:00:00Z"})
}

fn now() -> Time {
    serde_json::from_value(json!("2026-11-21T06:00:00Z")).unwrap()
}

/// What API server 1.36 recorded of `kubectl apply` of a Service.
fn service() -> Value {
    json!({"f:metadata":{"f:annotations":{".":{},"f:kubectl.kubernetes.io/last-applied-configuration":{}},"f:finalizers":{".":{},
        "v:\"example.com/x\"":{}}},"f:spec":{"f:internalTrafficPolicy":{},"f:ports":{".":{},"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},
        "f:port":{},"f:protocol":{},"f:targetPort":{}}},"f:selector":{},"f:sessionAffinity":{},"f:type":{}}})
}

/// Us at first contact with an object that no Sync has left.
fn heir() -> Heir<'static> {
    Heir {
        manager: OURS,
        of_tools: true,
        is_left: &|_| false,
    }
}

#[test]
fn what_bootstrap_installed_becomes_the_syncs() {
    let all = entries(&json!([
        entry(OURS, "Apply", "v1", &json!({"f:data": {"f:a": {}}})),
        entry(
            "signet-bootstrap",
            "Apply",
            "v1",
            &json!({"f:data": {"f:a": {}, "f:b": {}}})
        ),
        entry("signet-cli", "Update", "v1", &json!({"f:data": {"f:c": {}}})),
    ]));
    assert_eq!(legacy(&all, &heir()).managers, ["signet-bootstrap"]);
    let after = merged(&all, &heir(), &now());
    let managers: Vec<_> = after
        .iter()
        .filter_map(|entry| entry.manager.as_deref())
        .collect();
    assert_eq!(managers, [OURS, "signet-cli"]);
}

#[test]
fn what_a_sync_left_is_taken_over_whenever_that_is_seen() {
    let all = entries(&json!([
        entry(OURS, "Apply", "v1", &json!({"f:data": {"f:a": {}}})),
        entry(
            "signet/gone",
            "Apply",
            "v1",
            &json!({"f:data": {"f:a": {}, "f:b": {}}})
        ),
        entry("signet/there", "Apply", "v1", &json!({"f:data": {"f:c": {}}})),
        entry("kubectl-edit", "Update", "v1", &json!({"f:data": {"f:d": {}}})),
    ]));
    let later = Heir {
        manager: OURS,
        of_tools: false,
        is_left: &|manager| manager == "signet/gone",
    };
    assert_eq!(legacy(&all, &later).managers, ["signet/gone"]);
    let after = merged(&all, &later, &now());
    let managers: Vec<_> = after
        .iter()
        .filter_map(|entry| entry.manager.as_deref())
        .collect();
    assert_eq!(managers, [OURS, "signet/there", "kubectl-edit"]);
    let own = after[0].fields_v1.as_ref().unwrap();
    assert_eq!(own.0, json!({"f:data": {"f:a": {}, "f:b": {}}}));
    assert!(legacy(&after, &later).is_empty());
}

#[test]
fn whose_entries_are_taken_over() {
    for (manager, operation, subresource, taken, tool) in [
        (
            "kubectl-client-side-apply",
            "Update",
            "",
            true,
            Some(Tool::Kubectl),
        ),
        ("kubectl", "Apply", "", true, Some(Tool::Kubectl)),
        ("kubectl-create", "Update", "", true, Some(Tool::Kubectl)),
        ("kubectl-edit", "Update", "", true, Some(Tool::Kubectl)),
        ("kubectl", "Update", "scale", false, None),
        ("kubectl-edit", "Update", "status", false, None),
        ("kubectl-rollout", "Update", "", false, Some(Tool::Kubectl)),
        ("before-first-apply", "Update", "", true, None),
        ("kustomize-controller", "Apply", "", true, Some(Tool::Flux)),
        ("helm-controller", "Apply", "", true, Some(Tool::Flux)),
        ("argocd-controller", "Apply", "", true, Some(Tool::ArgoCd)),
        (
            "argocd-application-controller",
            "Update",
            "",
            true,
            Some(Tool::ArgoCd),
        ),
        ("helm", "Apply", "", true, Some(Tool::Helm)),
        ("kapp", "Update", "", true, Some(Tool::Kapp)),
        ("kpt", "Apply", "", true, Some(Tool::Kpt)),
        ("configsync", "Apply", "", true, Some(Tool::ConfigSync)),
        (OURS, "Update", "", true, None),
        (OURS, "Apply", "", false, None),
        (OURS, "Apply", "status", false, None),
        ("signet/b", "Apply", "", false, None),
        ("kube-controller-manager", "Update", "", false, None),
        ("manager", "Update", "", false, None),
    ] {
        let mut one = entry(manager, operation, "v1", &json!({"f:a": {}}));
        one["subresource"] = json!(subresource);
        let all = entries(&json!([one]));
        let takeover = legacy(&all, &heir());
        assert_eq!(
            takeover.managers == [manager],
            taken,
            "{manager} {operation} {subresource}"
        );
        assert_eq!(takeover.apart, Vec::<String>::new());
        assert_eq!(super::tool(&all), tool, "{manager} {operation} {subresource}");
        let merged = merged(&all, &heir(), &now());
        if taken {
            assert!(is_own(&merged[0], OURS) && merged.len() == 1, "{manager}");
        } else {
            assert_eq!(merged, all, "{manager}");
        }
    }
}

#[test]
fn fields_become_ours_and_others_stay() {
    let controller = entry(
        "kube-controller-manager",
        "Update",
        "v1",
        &json!({"f:metadata": {"f:labels": {"f:x": {}}}}),
    );
    let all = entries(&json!([
        entry("kubectl-client-side-apply", "Update", "v1", &service()),
        controller,
        entry(
            OURS,
            "Apply",
            "v1",
            &json!({"f:spec": {"f:selector": {}, "f:clusterIP": {}}})
        ),
        entry(
            "kubectl-edit",
            "Update",
            "v1",
            &json!({"f:spec": {"f:sessionAffinityConfig": {}}})
        ),
    ]));
    assert_eq!(
        legacy(&all, &heir()).managers,
        ["kubectl-client-side-apply", "kubectl-edit"]
    );
    let after = merged(&all, &heir(), &now());
    assert_eq!(after.len(), 2);
    assert_eq!(after[1], all[1]);
    assert!(is_own(&after[0], OURS));
    assert_eq!(
        (after[0].api_version.as_deref(), after[0].time.as_ref()),
        (Some("v1"), Some(&now()))
    );
    let mut expected = service();
    expected["f:spec"]["f:clusterIP"] = json!({});
    expected["f:spec"]["f:sessionAffinityConfig"] = json!({});
    assert_eq!(after[0].fields_v1.as_ref().unwrap().0, expected);
    assert_eq!(
        merged(&after, &heir(), &now()),
        after,
        "a second time there is nothing to do"
    );
    assert!(legacy(&after, &heir()).is_empty());
}

#[test]
fn other_versions_and_what_is_too_large_stay_apart() {
    let old = entry(
        "kubectl-create",
        "Update",
        "autoscaling/v1",
        &json!({"f:spec": {"f:targetCPUUtilizationPercentage": {}}}),
    );
    let mut new = entry(
        "kubectl-edit",
        "Update",
        "autoscaling/v2",
        &json!({"f:spec": {"f:metrics": {}}}),
    );
    new["time"] = json!("2026-02-01T00:00:00Z");
    let all = entries(&json!([old, new]));
    let takeover = legacy(&all, &heir());
    assert_eq!(
        (takeover.managers, takeover.apart),
        (vec!["kubectl-edit".to_owned()], vec!["kubectl-create".to_owned()])
    );
    let after = merged(&all, &heir(), &now());
    assert_eq!(
        after[0].api_version.as_deref(),
        Some("autoscaling/v2"),
        "the newest decides"
    );
    assert_eq!(after[1], all[0]);

    let own = entry(OURS, "Apply", "autoscaling/v1", &json!({"f:spec": {}}));
    let all = entries(&json!([own, old, new]));
    assert_eq!(legacy(&all, &heir()).apart, ["kubectl-edit"], "our own decides");

    let wide: Value = Value::Object((0..=10_000).map(|i| (format!("f:{i}"), json!({}))).collect());
    let large = entries(&json!([entry("kubectl", "Apply", "v1", &wide)]));
    assert_eq!(legacy(&large, &heir()).apart, ["kubectl"]);
    assert_eq!(merged(&large, &heir(), &now()), large);
    let large = entries(&json!([
        entry(OURS, "Apply", "v1", &wide),
        entry("kubectl", "Apply", "v1", &json!({"f:a": {}}))
    ]));
    assert_eq!(legacy(&large, &heir()).apart, ["kubectl"]);
    assert_eq!(
        merged(&large, &heir(), &now()),
        large,
        "our own fields are never dropped"
    );
}

#[test]
fn the_tool_that_reconciles_is_named_first() {
    let all = |names: &[&str]| {
        let list: Vec<_> = names
            .iter()
            .map(|name| entry(name, "Apply", "v1", &json!({})))
            .collect();
        super::tool(&entries(&Value::Array(list)))
    };
    assert_eq!(
        all(&["kubectl-edit", "kustomize-controller", "helm"]),
        Some(Tool::Flux)
    );
    assert_eq!(all(&["kubectl-edit", "helm"]), Some(Tool::Helm));
    assert_eq!(all(&["manager"]), None);
    assert_eq!(Tool::ArgoCd.to_string(), "Argo CD");
}

#[test]
fn the_patch_carries_the_resource_version() {
    let all = entries(&json!([entry(OURS, "Apply", "v1", &json!({"f:a": {}}))]));
    let patch = patch(&all, "42");
    assert_eq!(patch[0]["value"][0]["manager"], OURS);
    assert_eq!(
        patch[1],
        json!({"op": "replace", "path": "/metadata/resourceVersion", "value": "42"})
    );
}
