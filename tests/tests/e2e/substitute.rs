//! `spec.substitute`: where variables come from, how fast a change of them arrives, and what is never said of them.

use std::time::{Duration, Instant};

use crds::{PlaintextSecrets, Substitute, Sync, SyncSpec, VariableKind, VariableSource};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams};
use serde_json::json;
use tests::{Repo, Space, Stage, http, objects, run, wait};

const MAP: VariableKind = VariableKind::ConfigMap;
const SECRET: VariableKind = VariableKind::Secret;
/// Long enough for a controller that polls to have done so.
const A_WHILE: Duration = Duration::from_secs(4);

async fn begin(name: &str, manifest: &str) -> (Space<'static>, Repo, String) {
    let stage = Stage::shared().await;
    let team = stage.space(name);
    let repo = stage.git.repository(team.name());
    let commit = repo.write("app/all.yaml", manifest).commit("Begin");
    team.repository("app", &repo).await;
    (team, repo, commit)
}

fn from(sources: &[(VariableKind, &str)]) -> Vec<VariableSource> {
    let source = |(kind, name): &(VariableKind, &str)| VariableSource {
        kind: *kind,
        name: (*name).into(),
        optional: false,
    };
    sources.iter().map(source).collect()
}

/// What a Sync is told.
fn with(own: &[(&str, &str)], from: Vec<VariableSource>) -> impl FnOnce(&mut SyncSpec) + use<> {
    let variables = own
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect();
    move |spec| {
        spec.plaintext_secrets = PlaintextSecrets::Allow;
        spec.substitute = Some(Substitute {
            variables,
            from,
            allow_unset: false,
        });
    }
}

fn put_as(team: &Space<'_>, object: &serde_json::Value) {
    let here = ["apply", "--server-side", "--namespace", team.name(), "-f", "-"];
    team.stage().cluster.kubectl_with(here, &object.to_string()).ok();
}

fn put_map(team: &Space<'_>, name: &str, data: &serde_json::Value) {
    put_as(
        team,
        &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}),
    );
}

fn put_secret(team: &Space<'_>, name: &str, data: &serde_json::Value) {
    put_as(
        team,
        &json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}),
    );
}

fn value<'a>(map: &'a ConfigMap, key: &str) -> &'a str {
    map.data
        .as_ref()
        .and_then(|data| data.get(key))
        .map_or("", |value| value)
}

async fn shows(team: &Space<'_>, key: &str, wanted: &str) {
    let what = format!("{key} to be {wanted}");
    team.until("map", &what, |map: &ConfigMap| value(map, key) == wanted)
        .await;
}

async fn says(team: &Space<'_>, sync: &str, wanted: &str) -> Sync {
    let what = format!("Sync {sync} to say {wanted:?}");
    team.until(sync, &what, |sync: &Sync| {
        objects::is(sync, "Ready", "False") && objects::message(sync, "Ready").contains(wanted)
    })
    .await
}

const FROM_ALL: &str = r#"apiVersion: v1
kind: ConfigMap
metadata: {name: map}
data:
  own: www.${own}
  both: ${both}
  map: ${map^^}
  image: web:${tag:=stable}
---
apiVersion: v1
kind: Secret
metadata: {name: opened}
stringData: {password: "${password}"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: left, annotations: {signet.dev/substitute: disabled}}
data: {own: "${own}"}
"#;

#[test]
fn variables_come_from_everywhere_and_their_changes_arrive_by_themselves() {
    run(async {
        let (team, _repo, commit) = begin("variables", FROM_ALL).await;
        let beginning = team.stage().cluster.audit().mark();
        put_map(
            &team,
            "first",
            &json!({"map": "a", "both": "first", "own": "map"}),
        );
        put_map(&team, "second", &json!({"both": "second"}));
        put_secret(&team, "secret", &json!({"password": "hunter2\n"}));
        let sources = from(&[(MAP, "first"), (MAP, "second"), (SECRET, "secret")]);
        team.sync_with("app", "app", with(&[("own", "example.com")], sources))
            .await;
        team.applied("app", &commit).await;
        let map: ConfigMap = team.api().get("map").await.unwrap();
        let found = ["own", "both", "map", "image"].map(|key| value(&map, key));
        assert_eq!(found, ["www.example.com", "second", "A", "web:stable"]);
        let left: ConfigMap = team.api().get("left").await.unwrap();
        assert_eq!(value(&left, "own"), "${own}");
        let password = |secret: &Secret, wanted: &str| {
            let data = secret.data.as_ref().and_then(|data| data.get("password"));
            data.is_some_and(|data| data.0 == wanted.as_bytes())
        };
        let opened: Secret = team.api().get("opened").await.unwrap();
        assert!(password(&opened, "hunter2"));

        let start = Instant::now();
        put_map(
            &team,
            "first",
            &json!({"map": "b", "both": "first", "own": "map"}),
        );
        shows(&team, "map", "B").await;
        put_secret(&team, "secret", &json!({"password": "hunter3"}));
        team.until("opened", "the new password", |secret: &Secret| {
            password(secret, "hunter3")
        })
        .await;
        put_map(&team, "second", &json!({}));
        shows(&team, "both", "first").await;
        eprintln!(
            "three changes of variables arrived in {:.2} s",
            start.elapsed().as_secs_f64()
        );
        assert!(start.elapsed() < Duration::from_secs(20));

        // Then there is silence, and nothing was read with the controller's own rights.
        team.applied("app", &commit).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let audit = team.stage().cluster.audit();
        let mark = audit.mark();
        tokio::time::sleep(A_WHILE).await;
        let mut requests = audit.by_controller(mark);
        requests.retain(|request| request.namespace == team.name());
        assert!(requests.is_empty(), "{requests:#?}");
        // Whom a request stands for is in the log when it is answered.
        let all = audit.answered(beginning, tests::audit::CONTROLLER);
        let reads: Vec<_> = all
            .iter()
            .map(|(request, _)| request)
            .filter(|request| {
                request.namespace == team.name()
                    && ["first", "second", "secret"].contains(&request.name.as_str())
            })
            .collect();
        assert!(!reads.is_empty());
        for read in reads {
            let deployer = format!("system:serviceaccount:{}:{}", team.name(), objects::DEPLOYER);
            assert_eq!(read.impersonated.as_deref(), Some(&*deployer), "{read:#?}");
        }
    });
}

const ONE: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: map}\ndata: {x: \"${x}\"}\n";

#[test]
fn a_source_that_is_missing_stops_everything_until_it_comes() {
    run(async {
        let (team, repo, commit) = begin("variables-missing", ONE).await;
        let pruned = objects::config_map("goes", "one");
        let commit_two = repo.write("app/goes.yaml", pruned).commit("Another");
        assert_ne!(commit, commit_two);
        put_map(&team, "cluster", &json!({"x": "one"}));
        team.sync_with("app", "app", with(&[], from(&[(MAP, "cluster")])))
            .await;
        team.applied("app", &commit_two).await;

        let maps = team.api::<ConfigMap>();
        maps.delete("cluster", &DeleteParams::default()).await.unwrap();
        let wanted = format!("there is no ConfigMap cluster in namespace {}", team.name());
        let sync = says(&team, "app", &wanted).await;
        let ready = sync.status.unwrap().conditions;
        assert!(ready.iter().any(|found| found.reason == "SubstituteFailed"));
        let commit = repo.remove("app/goes.yaml").commit("Remove one");
        team.failed("app", &commit).await;
        wait::throughout(A_WHILE, || async {
            let there = maps.get_opt("goes").await.unwrap().is_some();
            there.then_some(()).ok_or_else(|| "it was pruned".to_owned())
        })
        .await;
        let start = Instant::now();
        put_map(&team, "cluster", &json!({"x": "two"}));
        team.applied("app", &commit).await;
        eprintln!("healed in {:.2} s", start.elapsed().as_secs_f64());
        shows(&team, "x", "two").await;
        team.gone::<ConfigMap>("goes").await;
    });
}

#[test]
fn what_is_not_set_is_named_with_its_file_and_what_is_no_variable_too() {
    run(async {
        let (team, _repo, commit) = begin("variables-unset", ONE).await;
        team.sync_with("app", "app", with(&[("y", "1")], Vec::new()))
            .await;
        let sync = team.failed("app", &commit).await;
        let failures = format!("{:?}", sync.status.unwrap().failures);
        assert!(
            failures.contains("app/all.yaml") && failures.contains("`x`"),
            "{failures}"
        );
        put_secret(&team, "tls", &json!({"tls.crt": "hunter2"}));
        team.sync_with("dots", "app", with(&[], from(&[(SECRET, "tls")])))
            .await;
        let sync = says(&team, "dots", "Secret tls: `tls.crt` is no name of a variable").await;
        assert!(!format!("{sync:?}").contains("hunter2"));
    });
}

#[test]
fn a_secret_that_the_account_may_not_read_is_not_read_for_it() {
    run(async {
        let (team, _repo, _) = begin("variables-rights", ONE).await;
        put_secret(&team, "theirs", &json!({"x": "hunter2"}));
        put_map(&team, "ours", &json!({"x": "one"}));
        team.kubectl(["create", "serviceaccount", "poor"]).ok();
        let account = format!("--serviceaccount={}:poor", team.name());
        let maps = [
            "create",
            "role",
            "maps",
            "--verb=get,create,patch",
            "--resource=configmaps",
        ];
        team.kubectl(maps).ok();
        team.kubectl(["create", "rolebinding", "maps", "--role=maps", &account])
            .ok();
        let poor = |from| {
            let change = with(&[], from);
            move |spec: &mut SyncSpec| {
                change(spec);
                spec.service_account_name = "poor".into();
            }
        };
        team.sync_with("theirs", "app", poor(from(&[(SECRET, "theirs")])))
            .await;
        let wanted = "Secret theirs cannot be read as service account poor: secrets \"theirs\" is forbidden";
        says(&team, "theirs", wanted).await;
        let applied = team.api::<ConfigMap>().get_opt("map").await.unwrap();
        assert!(applied.is_none(), "{applied:#?}");

        // It may read this one, and not watch it.
        team.sync_with("ours", "app", poor(from(&[(MAP, "ours")]))).await;
        shows(&team, "x", "one").await;
        let said = team.event("Sync", "ours", "SubstituteUnwatched").await;
        assert!(said.contains("ConfigMap ours"), "{said}");
        tokio::time::sleep(Duration::from_secs(1)).await;
        put_map(&team, "ours", &json!({"x": "two"}));
        team.request("ours", "now").await;
        shows(&team, "x", "two").await;
    });
}

const PIN: &str = "hunter2-b7Qz";

/// Objects that cannot be applied, so that the API server answers with the value.
const REFUSED: &str = r#"apiVersion: apps/v1
kind: Deployment
metadata: {name: number}
spec: {replicas: "${pin}"}
---
apiVersion: v1
kind: Service
metadata: {name: choice}
spec: {type: "${pin}", ports: [{port: 80}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: "${pin}"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: annotated, annotations: {signet.dev/wave: "${pin}"}}
---
apiVersion: v1
kind: Pod
metadata: {name: pod}
spec:
  containers: [{name: main, image: "x", env: [{name: "${pin}", value: [1]}], resources: {limits: {cpu: "${pin}"}}}]
"#;

#[test]
fn a_secret_value_is_never_said() {
    run(async {
        let (team, _repo, commit) = begin("variables-leak", REFUSED).await;
        put_secret(&team, "pin", &json!({"pin": PIN}));
        team.sync_with("app", "app", with(&[], from(&[(SECRET, "pin")])))
            .await;
        let sync = team.failed("app", &commit).await;
        let failures = &sync.status.as_ref().unwrap().failures;
        eprintln!("{failures:#?}");
        assert_eq!(failures.len(), 5, "{failures:#?}");
        let events = team.api::<Event>().list(&ListParams::default()).await.unwrap();
        let stage = team.stage();
        let metrics = http::get(&format!("{}/metrics", stage.controller.metrics_url())).await;
        for (place, text) in [
            ("status", format!("{sync:?}")),
            ("events", format!("{:?}", events.items)),
            ("log", stage.controller.log()),
            ("metrics", metrics.unwrap().body),
        ] {
            let at = text.to_lowercase().find(&PIN.to_lowercase());
            let near = at.map(|at| text.get(at.saturating_sub(200)..at + 50));
            assert!(at.is_none(), "{place}: {near:?}");
        }
    });
}

const FILLED: &str = r#"apiVersion: v1
kind: Secret
metadata: {name: filled}
stringData: {password: "${pin}"}
---
apiVersion: v1
kind: Secret
metadata: {name: written}
stringData: {password: "${pin}", user: admin}
"#;

/// Git holds no value of a Secret whose values are all variables: that is what variables are for.
#[test]
fn a_secret_of_nothing_but_variables_does_not_stand_in_git() {
    run(async {
        let (team, _repo, commit) = begin("variables-filled", FILLED).await;
        put_secret(&team, "pin", &json!({"pin": PIN}));
        let refuse = |spec: &mut SyncSpec| spec.plaintext_secrets = PlaintextSecrets::Refuse;
        team.sync_with("app", "app", |spec| {
            with(&[], from(&[(SECRET, "pin")]))(spec);
            refuse(spec);
        })
        .await;
        let sync = team.failed("app", &commit).await;
        let failures = &sync.status.as_ref().unwrap().failures;
        let of: Vec<_> = failures.iter().map(|failure| failure.object.as_str()).collect();
        assert_eq!(of, [format!("Secret {}/written", team.name())], "{failures:#?}");
        let filled: Secret = team.api().get("filled").await.expect("it is applied");
        assert_eq!(filled.data.unwrap()["password"].0, PIN.as_bytes());
    });
}

const HOLDER: &str = r#"apiVersion: v1
kind: ConfigMap
metadata: {name: holder, labels: {quoted: "yes"}}
data: {pin: "${pin}"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: b}
"#;

/// What the API server says of a deletion may quote the object, and the object has left Git: it is known all the same that
/// it holds a secret.
#[test]
fn what_held_a_secret_is_not_quoted_when_it_cannot_be_deleted() {
    run(async {
        let (team, repo, commit) = begin("variables-gone", HOLDER).await;
        put_secret(&team, "pin", &json!({"pin": PIN}));
        team.sync_with("app", "app", with(&[], from(&[(SECRET, "pin")])))
            .await;
        team.applied("app", &commit).await;
        let name = team.name();
        let policy = objects::list(&[
            json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name},
                "spec": {"failurePolicy": "Fail",
                    "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["DELETE"], "resources": ["configmaps"]}]},
                    "validations": [{"expression": "!has(oldObject.metadata.labels) || !('quoted' in oldObject.metadata.labels)",
                        "messageExpression": "'it stays: ' + oldObject.data.pin"}]}}),
            json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name},
                "spec": {"policyName": name, "validationActions": ["Deny"],
                    "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}}}),
        ]);
        let cluster = &team.stage().cluster;
        cluster
            .kubectl_with(["create", "-f", "-"], &policy.to_string())
            .ok();
        let tries = ["delete", "configmap", "holder", "--dry-run=server"];
        wait::poll("the policy to be in force", || async {
            let answer = team.kubectl(tries);
            if answer.stderr.contains(PIN) {
                Ok(())
            } else {
                Err(answer.to_string())
            }
        })
        .await;

        let rest = HOLDER.split_once("---\n").unwrap().1;
        let commit = repo.write("app/all.yaml", rest).commit("Without it");
        let sync = team.failed("app", &commit).await;
        let failures = &sync.status.as_ref().unwrap().failures;
        assert_eq!(failures.len(), 1, "{failures:#?}");
        assert!(
            failures[0].message.starts_with("left Git and cannot be deleted"),
            "{failures:#?}"
        );
        let events = team.api::<Event>().list(&ListParams::default()).await.unwrap();
        for (place, text) in [
            ("status", format!("{sync:?}")),
            ("events", format!("{:?}", events.items)),
            ("log", team.stage().controller.log()),
        ] {
            assert!(!text.contains(PIN), "{place} quotes it");
        }
        let both = "validatingadmissionpolicybinding,validatingadmissionpolicy";
        cluster.kubectl(["delete", both, name]).ok();
        team.request("app", "now").await;
        team.gone::<ConfigMap>("holder").await;
    });
}

/// A hook's object may hold what came from a Secret, and who refuses its deletion may quote it.
#[test]
fn who_refuses_the_deletion_of_a_hook_is_not_quoted() {
    run(async {
        const VALUE: &str = "open-sesame-4711";
        let stage = Stage::shared().await;
        let team = stage.space("hook-quoted");
        let repo = stage.git.repository(team.name());
        // Nobody deletes what carries this label.
        let label = format!("stays-{}", team.name());
        repo.write(
            "app/all.yaml",
            format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: hook\n  labels: {{signet-test/stays: {label}}}\n  \
                 annotations: {{signet.dev/hook: Pre, signet.dev/hook-delete-policy: Succeeded}}\n\
                 data: {{value: \"${{password}}\"}}\n"
            ),
        );
        repo.commit("Begin");
        team.repository("app", &repo).await;
        put_secret(&team, "secret", &json!({"password": VALUE}));
        let kind = |kind: &str| json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": label}});
        let mut policy = kind("ValidatingAdmissionPolicy");
        policy["spec"] = json!({
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["DELETE"], "resources": ["configmaps"]}],
                "objectSelector": {"matchLabels": {"signet-test/stays": label}},
            },
            "validations": [{"expression": "false", "messageExpression": "'the value is ' + oldObject.data['value']"}],
        });
        let mut binding = kind("ValidatingAdmissionPolicyBinding");
        binding["spec"] = json!({"policyName": label, "validationActions": ["Deny"]});
        let both = objects::list(&[policy, binding]).to_string();
        let cluster = &stage.cluster;
        cluster
            .kubectl_with(["apply", "--server-side", "-f", "-"], &both)
            .ok();
        put_as(
            &team,
            &json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"value": VALUE},
                "metadata": {"name": "probe", "labels": {"signet-test/stays": label}}}),
        );
        wait::poll("the policy to be in force", || async {
            let answer = team.kubectl(["delete", "configmap", "probe", "--dry-run=server"]);
            if answer.stderr.contains(VALUE) {
                Ok(())
            } else {
                Err(answer.to_string())
            }
        })
        .await;
        team.sync_with("app", "app", with(&[], from(&[(SECRET, "secret")])))
            .await;
        let sync: Sync = team
            .until("app", "the refusal to be told", |sync: &Sync| {
                let failures = sync.status.iter().flat_map(|status| &status.failures);
                failures
                    .clone()
                    .any(|failure| failure.message.contains("the hook cannot be deleted"))
            })
            .await;
        let events = team.kubectl(["get", "events", "--output=json"]).ok();
        for kind in ["validatingadmissionpolicybinding", "validatingadmissionpolicy"] {
            cluster.kubectl(["delete", kind, &label]).ok();
        }
        let said = serde_json::to_string(&sync).unwrap();
        assert!(!said.contains(VALUE), "{said}");
        assert!(!events.contains(VALUE), "{events}");
    });
}
