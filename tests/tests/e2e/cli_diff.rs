//! `signet diff` against a real API server: its defaults, its admission, its field management.

use std::path::Path;

use crds::{Substitute, VariableKind, VariableSource};
use serde_json::{Value, json};
use tests::command::Answer;
use tests::{Stage, command, objects, run};

#[test]
fn a_diff_says_what_the_next_commit_would_do_and_no_more() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("diff");
        let kubeconfig = team.kubeconfig().await;
        let repo = stage.git.repository(team.name());
        let seal =
            |password: &str| stage.seal(&objects::secret(team.name(), "db", &[("password", password)]));
        let plain =
            |password: &str| objects::secret(team.name(), "plain", &[("password", password)]).to_string();
        let commit = repo
            .write("app/a.yaml", objects::config_map("a", "one"))
            .write("app/old.yaml", objects::config_map("old", "one"))
            .write("app/db.yaml", seal("swordfish"))
            .write("app/plain.yaml", plain("swordfish"))
            .write("app/web.yaml", objects::deployment("web", "nginx:1", "db"))
            .commit("Begin");
        team.repository("app", &repo).await;
        // What this puts into a pod template is the controller's.
        team.sync_with("app", "app", |spec| spec.restart_on_secret_change = true)
            .await;
        team.applied("app", &commit).await;

        let diff = |arguments: &[&str]| {
            let all: Vec<_> = ["diff", "--sync=app"]
                .into_iter()
                .chain(arguments.iter().copied())
                .collect();
            signet(&kubeconfig, repo.work(), &all)
        };
        let answer = diff(&[]);
        assert_eq!(answer.code, 0, "what is applied differs in nothing: {answer}");

        repo.write("app/a.yaml", objects::config_map("a", "two"))
            .write("app/b.yaml", objects::config_map("b", "one"))
            .write("app/db.yaml", seal("mackerel"))
            .write("app/plain.yaml", plain("mackerel"))
            .write("app/web.yaml", objects::deployment("web", "nginx:2", "db"));
        std::fs::remove_file(repo.work().join("app/old.yaml")).unwrap();
        assert_eq!(diff(&[]).code, 0, "nothing is committed yet");
        let answer = diff(&["--worktree"]);
        assert_eq!(answer.code, 1, "{answer}");
        let ns = team.name();
        let expected = format!(
            "delete ConfigMap {ns}/old\n\
             create ConfigMap {ns}/b\n\
             update ConfigMap {ns}/a\n\
             \x20 - .data.value: \"one\"\n\
             \x20 + .data.value: \"two\"\n\
             update Secret {ns}/db: re-sealed\n\
             \x20 ! .data.password: its value changes\n\
             update Secret {ns}/plain\n\
             \x20 ! .data.password: its value changes\n\
             update Deployment {ns}/web\n\
             \x20 - .spec.template.spec.containers[name=main].image: \"nginx:1\"\n\
             \x20 + .spec.template.spec.containers[name=main].image: \"nginx:2\"\n\
             {ns}/app with the working tree: 1 to create, 4 to change, 1 to delete, 0 unchanged\n"
        );
        assert_eq!(answer.stdout, expected, "{answer}");

        repo.write(
            "app/web.yaml",
            objects::deployment("web", "nginx:2", "db").replace("replicas: 1", "replicas: -1"),
        );
        let answer = diff(&["--worktree", "-o=json"]);
        assert_eq!(answer.code, 2, "the API server would refuse it: {answer}");
        let said: Value = serde_json::from_str(&answer.stdout).unwrap();
        assert_eq!(said["objects"][0]["action"], "refused", "{answer}");
        assert!(
            said["objects"][0]["note"]
                .as_str()
                .unwrap()
                .contains("spec.replicas"),
            "{answer}"
        );
    });
}

/// A definition, and an object of the kind that it will bring.
#[test]
fn a_diff_shows_objects_whose_definition_is_not_there_yet() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("diff-kind");
        let kubeconfig = team.kubeconfig().await;
        let repo = stage.git.repository(team.name());
        let commit = repo
            .write("app/a.yaml", objects::config_map("a", "one"))
            .commit("Begin");
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        team.applied("app", &commit).await;
        let group = format!("{}.example.com", team.name());
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("lamps.{group}")},
            "spec": {"group": group, "scope": "Namespaced",
                "names": {"kind": "Lamp", "plural": "lamps", "singular": "lamp"},
                "versions": [{"name": "v1", "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": {"type": "object"}}}]}});
        let lamp = json!({"apiVersion": format!("{group}/v1"), "kind": "Lamp", "metadata": {"name": "lamp"}});
        repo.write("app/lamp.yaml", lamp.to_string());
        let answer = signet(&kubeconfig, repo.work(), &["diff", "--sync=app", "--worktree"]);
        assert_eq!(answer.code, 1, "{answer}");
        assert!(
            answer
                .stdout
                .contains(&format!("create Lamp.{group} lamp: new kind"))
                && answer
                    .stdout
                    .contains("1 to create, 0 to change, 0 to delete, 1 unchanged"),
            "{answer}"
        );
        // With its definition beside it, which this team may not make: that is what would be refused.
        repo.write("app/definition.yaml", definition.to_string());
        let all = ["diff", "--sync=app", "--worktree", "-o=json"];
        let answer = signet(&kubeconfig, repo.work(), &all);
        assert_eq!(answer.code, 2, "{answer}");
        let said: Value = serde_json::from_str(&answer.stdout).unwrap();
        let of = |kind: &str| {
            let all = said["objects"].as_array().unwrap().iter();
            let mut actions = all.filter(|one| one["object"].as_str().unwrap().starts_with(kind));
            actions.next().map(|one| one["action"].clone())
        };
        assert_eq!(
            (of("CustomResourceDefinition"), of("Lamp")),
            (Some(json!("refused")), Some(json!("create"))),
            "{answer}"
        );
    });
}

const HELD: &str = r#"apiVersion: v1
kind: ConfigMap
metadata: {name: holder}
data: {pin: "${pin}", zone: "${zone}"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: plain}
data: {zone: "${zone}"}
---
apiVersion: v1
kind: Secret
metadata: {name: filled}
stringData: {pin: "${pin}"}
"#;
const PIN: &str = "hunter2-swordfish";

/// Variables are filled in as the controller does it, and what comes out of a Secret is never shown.
#[test]
fn a_diff_knows_variables_and_shows_no_secret_one() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("diff-variables");
        let kubeconfig = team.kubeconfig().await;
        let repo = stage.git.repository(team.name());
        let put = |object: Value| {
            let here = ["apply", "--server-side", "--namespace", team.name(), "-f", "-"];
            stage.cluster.kubectl_with(here, &object.to_string()).ok();
        };
        let pin = |value: &str| {
            put(
                json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pin"}, "stringData": {"pin": value}}),
            );
        };
        pin(PIN);
        let commit = repo.write("app/all.yaml", HELD).commit("Begin");
        team.repository("app", &repo).await;
        team.sync_with("app", "app", |spec| {
            spec.substitute = Some(Substitute {
                variables: [("zone".to_owned(), "north".to_owned())].into(),
                from: vec![VariableSource {
                    kind: VariableKind::Secret,
                    name: "pin".into(),
                    optional: false,
                }],
                allow_unset: false,
            });
        })
        .await;
        team.applied("app", &commit).await;
        let diff = |arguments: &[&str]| {
            let all: Vec<_> = ["diff", "--sync=app", "--worktree"]
                .into_iter()
                .chain(arguments.iter().copied())
                .collect();
            let answer = signet(&kubeconfig, repo.work(), &all);
            let said = format!("{}{}", answer.stdout, answer.stderr);
            assert!(
                !said.contains(PIN) && !said.contains("mackerel-"),
                "it is shown: {said}"
            );
            answer
        };
        let answer = diff(&[]);
        assert_eq!(answer.code, 0, "what is applied differs in nothing: {answer}");

        // Suspended, so that the controller does not act on the new value first.
        signet(&kubeconfig, repo.work(), &["suspend", "app"]).ok();
        pin("mackerel-trout");
        let changed = HELD.replace("zone: \"${zone}\"", "zone: \"${zone}-1\"");
        repo.write("app/all.yaml", changed);
        for form in ["text", "json", "markdown"] {
            let answer = diff(&["-o", form]);
            assert_eq!(answer.code, 1, "{answer}");
        }
        let ns = team.name();
        let expected = format!(
            "update ConfigMap {ns}/holder\n\
             \x20 ! .data.pin: its value changes\n\
             \x20 ! .data.zone: its value changes\n\
             update ConfigMap {ns}/plain\n\
             \x20 - .data.zone: \"north\"\n\
             \x20 + .data.zone: \"north-1\"\n\
             update Secret {ns}/filled\n\
             \x20 ! .data.pin: its value changes\n\
             {ns}/app with the working tree: 0 to create, 3 to change, 0 to delete, 0 unchanged\n"
        );
        assert_eq!(diff(&[]).stdout, expected);

        // What the API server would refuse is not quoted.
        let refused = changed_kind(HELD);
        repo.write("app/all.yaml", refused);
        let answer = diff(&[]);
        assert_eq!(answer.code, 2, "{answer}");
        let unset = HELD.replace("${zone}", "${area}");
        repo.write("app/all.yaml", unset);
        let answer = diff(&[]);
        assert!(answer.code == 2 && answer.stderr.contains("area"), "{answer}");
    });
}

/// The secret variable becomes a label's value, which the API server finds invalid and quotes.
fn changed_kind(text: &str) -> String {
    text.replace(
        "metadata: {name: holder}",
        "metadata: {name: holder, labels: {pin: \"${pin} is no label!\"}}",
    )
}

/// What others own is judged as the controller judges it.
#[test]
fn a_diff_takes_and_leaves_fields_as_the_sync_does() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("diff-owners");
        let kubeconfig = team.kubeconfig().await;
        let repo = stage.git.repository(team.name());
        let commit = repo
            .write("app/a.yaml", objects::config_map("a", "one"))
            .write("app/web.yaml", objects::deployment("web", "nginx:1", "db"))
            .write("other/b.yaml", objects::config_map("b", "one"))
            .commit("Begin");
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        team.sync("other", "other").await;
        team.applied("app", &commit).await;
        team.applied("other", &commit).await;
        let scale = r#"{"spec":{"replicas":3}}"#;
        let as_autoscaler = [
            "patch",
            "deployment",
            "web",
            "--subresource=scale",
            "--type=merge",
        ];
        let manager = "--field-manager=kube-controller-manager";
        team.kubectl(as_autoscaler.into_iter().chain([manager, "--patch", scale]))
            .ok();
        signet(&kubeconfig, repo.work(), &["suspend", "app"]).ok();
        let edit = r#"{"data":{"value":"edited"}}"#;
        team.kubectl([
            "patch",
            "configmap",
            "a",
            "--type=merge",
            "--field-manager=jana",
            "--patch",
            edit,
        ])
        .ok();
        // What another Sync has may not be taken.
        repo.write("app/b.yaml", objects::config_map("b", "two"));
        let diff = || signet(&kubeconfig, repo.work(), &["diff", "--sync=app", "--worktree"]);
        let answer = diff();
        let ns = team.name();
        assert_eq!(answer.code, 2, "{answer}");
        for line in [
            format!("refused ConfigMap {ns}/b: "),
            format!("belongs to Sync {ns}/other"),
            format!("update ConfigMap {ns}/a: takes .data.value from jana"),
        ] {
            assert!(answer.stdout.contains(&line), "{line}: {answer}");
        }
        assert!(
            !answer.stdout.contains("replicas"),
            "the autoscaler's number stays: {answer}"
        );
        let fail = r#"{"spec":{"conflicts":"Fail"}}"#;
        team.kubectl(["patch", "sync", "app", "--type=merge", "--patch", fail])
            .ok();
        let answer = diff();
        let refused =
            format!("refused ConfigMap {ns}/a: field .data.value belongs to field manager \"jana\"");
        assert!(answer.stdout.contains(&refused), "{answer}");
    });
}

fn signet(kubeconfig: &Path, dir: &Path, arguments: &[&str]) -> Answer {
    let mut signet = command::signet(kubeconfig);
    signet.current_dir(dir).args(arguments);
    command::run(signet, b"")
}
