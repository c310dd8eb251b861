//! Order: waves, dependencies, what waits for what, and pruning at the end.

use std::time::Duration;

use crds::Sync;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node};
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use tests::fault_proxy::Fault;
use tests::{Space, objects, run, wait};

use crate::faults::behind_faults;
use crate::order_world::{begin, gated, gates, has, none_of, plain, reason, status, tell, unhealthy};

const ARGO: &str = "argocd.argoproj.io/sync-wave";
const WAVE: &str = "signet.dev/wave";
const DEPENDS: &str = "config.kubernetes.io/depends-on";

#[test]
fn a_wave_begins_when_the_one_before_it_is_healthy() {
    run(async {
        let (team, repo) = begin("waves").await;
        repo.write("app/a.yaml", gated("first", &[(ARGO, "-1")]))
            .write("app/b.yaml", gated("second", &[]))
            .write("app/c.yaml", plain("third", &[(WAVE, "2")]));
        let commit = repo.commit("Three waves");
        team.sync_with("app", "app", gates).await;
        for (name, wave, later) in [
            ("first", "wave -1", &["second", "third"][..]),
            ("second", "wave 0", &["third"]),
        ] {
            let object = format!("ConfigMap {}/{name}", team.name());
            let sync: Sync = team
                .until("app", &format!("{name} to be waited for"), |sync| {
                    unhealthy(sync, &object).is_some_and(|said| said.starts_with("InProgress"))
                        && reason(sync, "Ready") == "Progressing"
                })
                .await;
            assert!(objects::is(&sync, "Ready", "False") && objects::is(&sync, "Reconciling", "True"));
            let said = objects::message(&sync, "Ready");
            assert!(said.contains(wave) && said.contains(&object), "{said}");
            none_of(&team, later).await;
            assert!(objects::applied(&sync).is_empty(), "{sync:#?}");
            tell(&team, name, "good").await;
        }
        let sync = team.applied("app", &commit).await;
        assert!(has(&team, "third").await);
        let status = status(&sync);
        assert!(
            status.unhealthy.is_empty() && status.health.current == 3,
            "{status:#?}"
        );
        assert_eq!(
            (status.counts.created, status.counts.unchanged),
            (3, 0),
            "{status:#?}"
        );
    });
}

#[test]
fn a_deployment_that_is_not_ready_holds_the_next_wave() {
    run(async {
        let (team, repo) = begin("rollout").await;
        let door = Door::of(&team);
        repo.write("app/web.yaml", door.deployment("web"))
            .write("app/next.yaml", plain("next", &[(WAVE, "1")]));
        let commit = repo.commit("Begin");
        team.sync("app", "app").await;
        let object = format!("Deployment {}/web", team.name());
        let sync: Sync = team
            .until("app", "the Deployment to be waited for", |sync| {
                unhealthy(sync, &object).is_some_and(|said| said.contains("0 of 1 pods are available"))
            })
            .await;
        assert_eq!(reason(&sync, "Ready"), "Progressing");
        none_of(&team, &["next"]).await;
        door.open().await;
        team.applied("app", &commit).await;
        assert!(has(&team, "next").await);

        // Renamed: the old one is there until the new one is ready.
        repo.remove("app/web.yaml").write(
            "app/shop.yaml",
            gated_deployment("shop", &format!("{}/later", door.0)),
        );
        let commit = repo.commit("Rename it");
        team.until("shop", "the new Deployment", |_: &Deployment| true)
            .await;
        wait::throughout(Duration::from_secs(2), || async {
            match team.api::<Deployment>().get_opt("web").await.unwrap() {
                Some(old) if old.metadata.deletion_timestamp.is_none() => Ok(()),
                old => Err(format!("{old:?}")),
            }
        })
        .await;
        Door(format!("{}/later", door.0)).open().await;
        team.applied("app", &commit).await;
        team.gone::<Deployment>("web").await;
    });
}

#[test]
fn a_namespace_comes_first_and_its_members_after() {
    run(async {
        let (team, repo) = begin("early").await;
        team.make_platform();
        let other = format!("{}-other", team.name());
        let inside = plain("inside", &[(WAVE, "-5")]).replace(
            "\"name\":\"inside\"",
            &format!("\"name\":\"inside\",\"namespace\":{other:?}"),
        );
        repo.write(
            "app/z.yaml",
            format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {other}}}\n"),
        )
        .write("app/a.yaml", inside);
        let commit = repo.commit("A namespace and what is in it");
        team.sync("app", "app").await;
        let sync = team.applied("app", &commit).await;
        assert_eq!(status(&sync).counts.created, 2);
        let namespaces: Api<Namespace> = Api::all(team.stage().cluster.client());
        namespaces
            .delete(&other, &DeleteParams::background())
            .await
            .unwrap();
    });
}

#[test]
fn a_definition_comes_first_and_its_objects_are_waited_for() {
    run(async {
        let (team, repo) = begin("defined").await;
        team.make_platform();
        let group = format!("{}.example.com", team.name());
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": format!("observe-{}", team.name()), "labels": {"signet.dev/aggregate-to-observe": "true"}},
            "rules": [{"apiGroups": [group], "resources": ["*"], "verbs": ["get", "list", "watch"]}]});
        let cluster = &team.stage().cluster;
        cluster
            .kubectl_with(["create", "-f", "-"], &role.to_string())
            .ok();
        let any = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("ovens.{group}")},
            "spec": {"group": group, "scope": "Namespaced",
                "names": {"kind": "Oven", "plural": "ovens", "singular": "oven"},
                "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": any}}]}});
        let oven = json!({"apiVersion": format!("{group}/v1"), "kind": "Oven",
            "metadata": {"name": "oven", "annotations": {WAVE: "-2"}}, "spec": {}});
        repo.write("app/z.yaml", definition.to_string())
            .write("app/a.yaml", oven.to_string())
            .write("app/b.yaml", plain("bread", &[]));
        let commit = repo.commit("An oven, and what is baked in it");
        team.sync("app", "app").await;
        let ovens = format!("ovens.{group}");
        let say = |ready: &str| {
            let status =
                json!({"status": {"conditions": [{"type": "Ready", "status": ready, "reason": "Heat"}]}});
            let patch = status.to_string();
            team.kubectl([
                "patch",
                &ovens,
                "oven",
                "--subresource=status",
                "--type=merge",
                "--patch",
                &patch,
            ])
        };
        // Without a condition it would be ready as it is: then what comes after may be there already.
        wait::poll("the oven to be there", || async {
            let answer = say("False");
            if answer.code == 0 {
                Ok(())
            } else {
                Err(answer.to_string())
            }
        })
        .await;
        team.applied("app", &commit).await;
        let cold = |sync: &Sync| objects::is(sync, "Healthy", "False") && !status(sync).unhealthy.is_empty();
        team.until("app", "the oven to be cold", cold).await;
        // What a commit adds afterwards waits until it is warm.
        let commit = repo.write("app/c.yaml", plain("cake", &[])).commit("Cake");
        let waits =
            |sync: &Sync| objects::attempted(sync) == commit && reason(sync, "Ready") == "Progressing";
        team.until("app", "the oven to be waited for", waits).await;
        none_of(&team, &["cake"]).await;
        say("True").ok();
        team.applied("app", &commit).await;
        assert!(has(&team, "cake").await);
        let definition = format!("customresourcedefinition/{ovens}");
        cluster
            .kubectl([
                "delete",
                &definition,
                &format!("clusterrole/observe-{}", team.name()),
                "--wait=false",
            ])
            .ok();
    });
}

#[test]
fn what_depends_on_another_waits_for_it() {
    run(async {
        let (team, repo) = begin("depends").await;
        let on = |name: &str| format!("/namespaces/{}/ConfigMap/{name}", team.name());
        repo.write("app/a.yaml", plain("a", &[(DEPENDS, &on("b"))]))
            .write("app/b.yaml", gated("b", &[]))
            .write("app/c.yaml", plain("c", &[]))
            .write("bad/fine.yaml", plain("fine", &[]))
            .write("bad/x.yaml", plain("x", &[(DEPENDS, &on("y"))]))
            .write("bad/y.yaml", plain("y", &[(DEPENDS, &on("x"))]))
            .write("bad/z.yaml", plain("z", &[(DEPENDS, &on("elsewhere"))]))
            .write("bad/later.yaml", plain("later", &[(WAVE, "1")]));
        let commit = repo.commit("Depend on each other");
        team.sync_with("app", "app", gates).await;
        team.sync("bad", "bad").await;
        let object = format!("ConfigMap {}/a", team.name());
        team.until("app", "a to wait for b", |sync| {
            unhealthy(sync, &object).is_some_and(|said| said.starts_with("Waiting") && said.contains("/b"))
        })
        .await;
        assert!(has(&team, "c").await);
        none_of(&team, &["a"]).await;
        tell(&team, "b", "good").await;
        team.applied("app", &commit).await;
        assert!(has(&team, "a").await);

        let sync = team.failed("bad", &commit).await;
        let failures = status(&sync).failures;
        let of = |name: &str| {
            let object = format!("ConfigMap {}/{name}", team.name());
            let found = failures.iter().find(|failure| failure.object == object);
            found.map(|failure| failure.message.as_str()).unwrap_or_default()
        };
        assert_eq!(failures.len(), 3, "{failures:#?}");
        for (name, other) in [("x", "/y"), ("y", "/x")] {
            assert!(
                of(name).contains("depends on itself") && of(name).contains(other),
                "{failures:#?}"
            );
        }
        assert!(
            of("z").contains("/elsewhere, which is no part of this Sync"),
            "{failures:#?}"
        );
        assert!(has(&team, "fine").await, "neighbours are applied");
        none_of(&team, &["x", "y", "z", "later"]).await;
    });
}

#[test]
fn what_fails_stops_later_waves_and_not_its_neighbours() {
    run(async {
        let (team, repo) = begin("stops").await;
        let service = |port: u32| {
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "bad"},
                "spec": {"clusterIP": "None", "ports": [{"port": port}]}})
            .to_string()
        };
        repo.write("app/bad.yaml", service(99_999))
            .write("app/aa.yaml", plain("before", &[]))
            .write(
                "app/web.yaml",
                objects::deployment("after", "web:1", "none").replace("replicas: 1", "replicas: 0"),
            )
            .write("app/late.yaml", plain("late", &[(WAVE, "1")]));
        let commit = repo.commit("One is bad");
        team.sync("app", "app").await;
        let sync = team.failed("app", &commit).await;
        assert_eq!(
            (reason(&sync, "Ready").as_str(), status(&sync).counts.failed),
            ("ApplyFailed", 1),
            "{sync:#?}"
        );
        team.until("after", "the neighbour", |_: &Deployment| true).await;
        assert!(has(&team, "before").await);
        none_of(&team, &["late"]).await;
        let commit = repo.write("app/bad.yaml", service(80)).commit("Mend it");
        team.applied("app", &commit).await;
        assert!(has(&team, "late").await);
    });
}

#[test]
fn a_newer_commit_does_not_wait_for_an_older_one() {
    run(async {
        let (team, repo) = begin("supersede").await;
        repo.write("app/a.yaml", gated("a", &[]))
            .write("app/b.yaml", plain("b", &[(WAVE, "1")]));
        repo.commit("Never ready");
        team.sync_with("app", "app", gates).await;
        let waits = |sync: &Sync| reason(sync, "Ready") == "Progressing";
        team.until("app", "it to wait", waits).await;
        let commit = repo
            .write("app/a.yaml", plain("a", &[]))
            .remove("app/b.yaml")
            .commit("Think better of it");
        let sync = team.applied("app", &commit).await;
        assert_eq!(status(&sync).counts.objects, 1);
        let map: ConfigMap = team.api().get("a").await.unwrap();
        assert!(map.data.unwrap().contains_key("value"));
        assert!(!has(&team, "b").await);
    });
}

/// What a commit did before it was taken back is undone, though the commit before it was settled once.
#[test]
fn a_commit_that_is_taken_back_in_the_middle_leaves_nothing_of_itself() {
    run(async {
        let (stage, faults) = behind_faults().await;
        let team = stage.space("back");
        let repo = stage.git.repository(team.name());
        let names: Vec<String> = (10..90).map(|n| format!("m{n}")).collect();
        let write = |value: &str| {
            for name in &names {
                repo.write(&format!("app/{name}.yaml"), objects::config_map(name, value));
            }
            repo.commit(value)
        };
        let commit = write("one");
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        team.applied("app", &commit).await;

        faults.set(|asked| {
            let write = asked.writes() && asked.path.contains("/configmaps/");
            write.then_some(Fault::Delay(Duration::from_secs(2)))
        });
        write("two");
        let holds = |value: &'static str| {
            move |map: &ConfigMap| map.data.as_ref().is_some_and(|data| data["value"] == value)
        };
        team.until(&names[0], "it to begin", holds("two")).await;
        let back = repo.revert();
        team.fetched("app", &back).await;
        faults.clear();
        for name in &names {
            team.until(name, "what it was before", holds("one")).await;
        }
        team.applied("app", &back).await;
        team.keep();
    });
}

#[test]
fn what_takes_too_long_is_said_and_waited_for_all_the_same() {
    run(async {
        let (team, repo) = begin("late").await;
        repo.write("app/a.yaml", gated("a", &[]))
            .write("app/b.yaml", gated("b", &[(WAVE, "1")]));
        let commit = repo.commit("Slow");
        team.sync_with("app", "app", |spec| {
            gates(spec);
            // Long enough to see the next wave wait, on a busy machine too.
            spec.timeout = "8s".into();
        })
        .await;
        let late = |sync: &Sync| reason(sync, "Ready") == "HealthTimeout";
        let sync = team.until("app", "it to be late", late).await;
        assert!(objects::is(&sync, "Ready", "False"));
        let said = objects::message(&sync, "Ready");
        assert!(
            said.contains("wave 0") && said.contains(&format!("ConfigMap {}/a", team.name())),
            "{said}"
        );
        none_of(&team, &["b"]).await;
        // The next wave has time of its own.
        tell(&team, "a", "good").await;
        let object = format!("ConfigMap {}/b", team.name());
        let sync = team
            .until("app", "the next wave", |sync| {
                unhealthy(sync, &object).is_some_and(|said| said.starts_with("InProgress"))
            })
            .await;
        assert_eq!(reason(&sync, "Ready"), "Progressing", "{sync:#?}");
        team.until("app", "it to be late again", late).await;
        tell(&team, "b", "good").await;
        team.applied("app", &commit).await;
    });
}

/// Pods that only nodes with a label take: a test opens the door.
struct Door(String);

impl Door {
    fn of(team: &Space<'_>) -> Self {
        Self(format!("door-{}", team.name()))
    }

    fn deployment(&self, name: &str) -> String {
        gated_deployment(name, &self.0)
    }

    async fn open(&self) {
        let cluster = &tests::Stage::shared().await.cluster;
        let nodes: Api<Node> = Api::all(cluster.client());
        let node = nodes.list(&ListParams::default()).await.unwrap().items[0].name_any();
        cluster
            .kubectl(["label", "node", &node, &format!("{}=open", self.0)])
            .ok();
    }
}

fn gated_deployment(name: &str, label: &str) -> String {
    objects::deployment(name, "web:1", "none").replace(
        "      containers:",
        &format!("      nodeSelector: {{{label}: open}}\n      containers:"),
    )
}
