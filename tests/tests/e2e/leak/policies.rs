//! What the cluster has against some Secrets: admission policies that quote them, and an account without rights.

use serde_json::{Value, json};
use tests::{Space, objects, wait};

use super::case::secret;

/// The label that the policies look at: `deny` or `warn`.
pub(super) const LABEL: &str = "leak-test";
/// A service account that may do nothing.
pub(super) const POWERLESS: &str = "powerless";
/// What the policies say before the value.
pub(super) const QUOTE: &str = "the value is";

/// Installs all of it and waits until the policies are in force.
pub(super) async fn install(team: &Space<'_>) {
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": POWERLESS, "namespace": team.name()}});
    let reader = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": "git-login", "namespace": team.name()},
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]});
    let reading = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "git-login", "namespace": team.name()},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "git-login"},
        "subjects": [{"kind": "ServiceAccount", "name": "signet-controller", "namespace": "signet-system"}]});
    let mut all = vec![account, reader, reading];
    all.extend(policy("deny", "Deny"));
    all.extend(policy("warn", "Warn"));
    let cluster = &team.stage().cluster;
    cluster
        .kubectl_with(
            ["apply", "--server-side", "-f", "-"],
            &objects::list(&all).to_string(),
        )
        .ok();
    for value in ["deny", "warn"] {
        // CEL sees the data as the API has it, in base64.
        let mut probe = secret(team.name(), "probe", "open sesame");
        probe["metadata"]["labels"] = json!({LABEL: value});
        let quote = format!("{QUOTE} b3BlbiBzZXNhbWU=");
        wait::poll(&format!("the policy {value} to be in force"), || async {
            let answer = cluster.kubectl_with(["create", "--dry-run=server", "-f", "-"], &probe.to_string());
            if answer.stderr.contains(&quote) {
                Ok(())
            } else {
                Err(answer.to_string())
            }
        })
        .await;
    }
}

fn policy(name: &str, action: &str) -> [Value; 2] {
    let kind = |kind: &str| json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": format!("{LABEL}-{name}")}});
    let mut policy = kind("ValidatingAdmissionPolicy");
    policy["spec"] = json!({
        "failurePolicy": "Fail",
        "matchConstraints": {
            "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["secrets"]}],
            "objectSelector": {"matchLabels": {LABEL: name}},
        },
        "validations": [{"expression": "false", "messageExpression": format!("'{QUOTE} ' + object.data['password']")}],
    });
    let mut binding = kind("ValidatingAdmissionPolicyBinding");
    binding["spec"] = json!({"policyName": format!("{LABEL}-{name}"), "validationActions": [action]});
    [policy, binding]
}
