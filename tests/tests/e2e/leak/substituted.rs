//! Cases in which a value comes from a Secret of the cluster, as a variable in manifests.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use crds::{PlaintextSecrets, Substitute, VariableKind, VariableSource};
use serde_json::json;
use tests::{Space, objects};

use super::case::{Case, End};
use super::policies;
use super::values::Values;

/// Name, end, and manifest; `NAME` stands for the name, `${v}` for the value.
const CASES: &[(&str, End, &str)] = &[
    (
        "substituted",
        End::Applied,
        "apiVersion: v1\nkind: Secret\nmetadata: {name: NAME}\nstringData: {password: \"${v}\"}\n",
    ),
    (
        "substituted-denied",
        End::Failed,
        "apiVersion: v1\nkind: Secret\nmetadata: {name: NAME, labels: {LABEL: deny}}\nstringData: {password: \"${v}\"}\n",
    ),
    (
        "substituted-number",
        End::Failed,
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: NAME}\nspec: {replicas: \"${v}\"}\n",
    ),
    (
        "substituted-choice",
        End::Failed,
        "apiVersion: v1\nkind: Service\nmetadata: {name: NAME}\nspec: {type: \"${v}\", ports: [{port: 80}]}\n",
    ),
    (
        "substituted-item",
        End::Failed,
        "apiVersion: v1\nkind: Pod\nmetadata: {name: NAME}\nspec: {containers: [{name: \"${v}\", image: [x], env: [{name: \"${v}\", value: 1}]}]}\n",
    ),
    (
        "substituted-set",
        End::Failed,
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME, finalizers: [\"${v}\"]}\n",
    ),
    (
        "substituted-name",
        End::Failed,
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"a-${v}\"}\n",
    ),
    (
        "substituted-kind",
        End::Failed,
        "apiVersion: v1\nkind: ${v}\nmetadata: {name: NAME}\n",
    ),
    (
        "substituted-wave",
        End::Failed,
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME, annotations: {signet.dev/wave: \"${v}\"}}\n",
    ),
    (
        "substituted-function",
        End::Failed,
        "apiVersion: v1\nkind: Secret\nmetadata: {name: NAME}\nstringData: {a: \"${v:${v}}\", b: \"${unset:?${v}}\"}\n",
    ),
];

/// All of them; the Secrets that they take values from are made.
pub(super) fn cases(team: &Space<'_>, values: &mut Values) -> Vec<Case> {
    let mut sources = Vec::new();
    let mut cases = Vec::new();
    let mut source = |name: &str| {
        let value = values.sealed(name);
        sources.push(objects::secret(
            team.name(),
            &format!("{name}-source"),
            &[("v", &value)],
        ));
    };
    for (name, end, text) in CASES {
        source(name);
        let text = text.replace("NAME", name).replace("LABEL", policies::LABEL);
        cases.push(case(name, *end, text, objects::DEPLOYER));
    }
    let map = objects::config_map("substituted-map", "${v}");
    source("substituted-forbidden");
    cases.push(case(
        "substituted-forbidden",
        End::Failed,
        map.clone(),
        policies::POWERLESS,
    ));
    source("substituted-not-text");
    cases.push(case("substituted-not-text", End::Failed, map, objects::DEPLOYER));
    let mut bytes = values.sealed("substituted-not-text, beside").into_bytes();
    bytes.extend([0xff, 0xfe]);
    if let Some(last) = sources.last_mut() {
        last["data"] = json!({"w": BASE64_STANDARD.encode(bytes)});
    }
    let cluster = &team.stage().cluster;
    cluster
        .kubectl_with(["create", "-f", "-"], &objects::list(&sources).to_string())
        .ok();
    cases
}

fn case(name: &str, end: End, text: String, account: &'static str) -> Case {
    let from = VariableSource {
        kind: VariableKind::Secret,
        name: format!("{name}-source"),
        optional: false,
    };
    Case::new(name, end, text).with(move |spec| {
        spec.plaintext_secrets = PlaintextSecrets::Allow;
        spec.service_account_name = account.into();
        spec.substitute = Some(Substitute {
            from: vec![from],
            ..Substitute::default()
        });
    })
}
