//! Hooks in bad times: strangers under their names, other tools' words, a controller that is killed, failures.

use std::time::Duration;

use crds::Sync;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, ResourceExt};
use serde_json::json;
use tests::audit::{Mark, Request};
use tests::{Space, Stage, objects, paths, run, wait};

use crate::order_world::{
    begin, gated, gates, has, hook_is, job, job_spec, jobs_made, none_of, plain, reason, tell,
};

const HOOK: &str = "signet.dev/hook";
const TIMEOUT: &str = "signet.dev/hook-timeout";
/// Long enough for a controller that does what it must not to have done it.
const A_WHILE: Duration = Duration::from_secs(3);

fn mark(team: &Space<'_>) -> Mark {
    team.stage().cluster.audit().mark()
}

#[test]
fn what_has_a_hooks_name_and_is_no_hook_of_ours_stays() {
    run(async {
        let (team, repo) = begin("hostile").await;
        let create = |name: &str, labels: serde_json::Value| {
            let object = json!({"apiVersion": "batch/v1", "kind": "Job",
                "metadata": {"name": name, "namespace": team.name(), "labels": labels}, "spec": job_spec(true)});
            let object = object.to_string();
            team.stage()
                .cluster
                .kubectl_with(["create", "-f", "-"], &object)
                .ok();
        };
        create("theirs", json!({}));
        // It even says that it is ours.
        create(
            "forged",
            json!({crds::label::APPLYSET_PART_OF: apply::applyset::id(team.name(), "forged")}),
        );
        for name in ["theirs", "forged"] {
            repo.write(&format!("{name}/pre.yaml"), job(name, true, &[(HOOK, "Pre")]))
                .write(&format!("{name}/a.yaml"), plain(name, &[]));
        }
        repo.commit("Begin");
        let jobs = team.api::<Job>();
        for name in ["theirs", "forged"] {
            let before = jobs.get(name).await.unwrap().uid();
            team.sync(name, name).await;
            let failed = |sync: &Sync| reason(sync, "Ready") == "HookFailed";
            let sync: Sync = team.until(name, "it to be refused", failed).await;
            let said = objects::message(&sync, "Ready");
            assert!(said.contains("is no hook of this Sync"), "{said}");
            none_of(&team, &[name]).await;
            let now = jobs.get(name).await.unwrap();
            assert!(
                now.uid() == before && now.metadata.deletion_timestamp.is_none(),
                "{now:#?}"
            );
        }
    });
}

#[test]
fn hooks_of_other_tools_are_understood() {
    run(async {
        let (team, repo) = begin("tools").await;
        let start = mark(&team);
        let helm = |name: &str, when: &str, weight: &str| {
            job(
                name,
                false,
                &[
                    ("helm.sh/hook", when),
                    ("helm.sh/hook-weight", weight),
                    ("helm.sh/hook-delete-policy", "hook-succeeded"),
                ],
            )
        };
        repo.write("app/a.yaml", helm("second", "pre-install,pre-upgrade", "5"))
            .write("app/b.yaml", helm("first", "pre-install", "-5"))
            .write("app/c.yaml", helm("last", "post-install", "0"))
            .write("app/d.yaml", helm("tested", "test", "0"))
            .write(
                "app/e.yaml",
                job("skipped", false, &[("argocd.argoproj.io/hook", "Skip")]),
            )
            .write("app/f.yaml", plain("a", &[]));
        let commit = repo.commit("Begin");
        team.sync("app", "app").await;
        team.applied("app", &commit).await;
        assert_eq!(jobs_made(&team, start), ["first", "second", "last"]);
        for name in ["first", "second", "last"] {
            team.gone::<Job>(name).await;
        }
    });
}

#[test]
fn argos_examples_run() {
    let shared = paths::root().join("../shared/repos");
    let folder = std::env::var_os("SIGNET_REPOS").map_or(shared, Into::into);
    let Ok(waves) = std::fs::read_to_string(folder.join("argocd-sync-waves/manifests.yaml")) else {
        eprintln!("there are no real repositories here: nothing to try");
        return;
    };
    run(async {
        let (team, repo) = begin("argo").await;
        let start = mark(&team);
        repo.write("waves/all.yaml", waves);
        for name in ["pre-sync-job.yaml", "post-sync-job.yaml"] {
            let text = std::fs::read_to_string(folder.join("argocd-pre-post-sync").join(name)).unwrap();
            repo.write(&format!("hooks/{name}"), text);
        }
        repo.write("hooks/a.yaml", plain("a", &[]));
        let commit = repo.commit("Take the real ones");
        team.sync("waves", "waves").await;
        team.applied("waves", &commit).await;
        let made = jobs_made(&team, start);
        assert!(
            made.len() == 3 && made[0].starts_with("upgrade-sql-schema"),
            "{made:?}"
        );
        assert_eq!(made[1..], ["maint-page-up", "maint-page-down"]);
        let frontend: ReplicaSet = team.api().get("frontend").await.unwrap();
        assert_eq!(frontend.status.unwrap().ready_replicas, Some(1));
        team.sync("hooks", "hooks").await;
        team.applied("hooks", &commit).await;
        assert_eq!(jobs_made(&team, start)[3..], ["before", "after"]);
        team.gone::<Job>("before").await;
        team.gone::<Job>("after").await;
    });
}

#[test]
fn a_controller_that_is_killed_makes_no_hook_twice() {
    run(async {
        let mut stage = Stage::own().await;
        let name = stage.space("killed").keep();
        let repo = stage.git.repository(&name);
        repo.write("app/pre.yaml", job("pre", true, &[(HOOK, "Pre")]))
            .write("app/a.yaml", plain("a", &[]))
            .write("app/post.yaml", job("post", false, &[(HOOK, "Post")]));
        let commit = repo.commit("Begin");
        let start = stage.cluster.audit().mark();
        stage.follow(&name, &repo);
        let mut tail = stage.cluster.audit().tail(start);
        wait::poll("the hook to be made", || {
            let sent = tail
                .by_controller()
                .iter()
                .any(|request| request.resource == "jobs" && request.writes());
            async move { if sent { Ok(()) } else { Err("it is not".into()) } }
        })
        .await;
        stage.controller.kill();
        stage.controller.start_again().await;
        let syncs: Api<Sync> = Api::namespaced(stage.cluster.client(), &name);
        let object = format!("Job {name}/pre");
        wait::until(&stage.cluster, syncs.clone(), "app", "the hook to run", |sync| {
            hook_is(sync, &object, "Running")
        })
        .await;
        let jobs: Api<Job> = Api::namespaced(stage.cluster.client(), &name);
        let uid = jobs.get("pre").await.unwrap().uid().unwrap();
        stage.controller.kill();
        stage.controller.start_again().await;
        // It ends while nobody looks.
        stage.controller.kill();
        let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(stage.cluster.client(), &name);
        let pod = wait::poll("the Pod", || async {
            let pods = pods.list(&kube::api::ListParams::default()).await.unwrap();
            pods.items
                .first()
                .map(ResourceExt::name_any)
                .ok_or_else(String::new)
        })
        .await;
        let patch = kube::api::Patch::Merge(json!({"status": {"phase": "Succeeded"}}));
        pods.patch_status(&pod, &kube::api::PatchParams::default(), &patch)
            .await
            .unwrap();
        wait::until(
            &stage.cluster,
            jobs.clone(),
            "pre",
            "the Job to be complete",
            |job: &Job| {
                job.status
                    .as_ref()
                    .is_some_and(|status| status.completion_time.is_some())
            },
        )
        .await;
        stage.controller.start_again().await;
        let done = |sync: &Sync| objects::applied(sync) == commit && objects::is(sync, "Ready", "True");
        wait::until(&stage.cluster, syncs.clone(), "app", "it to be applied", done).await;
        assert_eq!(jobs.get("pre").await.unwrap().uid().unwrap(), uid);
        // Neither this end nor an orderly one makes anything again; after an orderly one nothing has to be looked at.
        stage.controller.kill();
        stage.controller.start_again().await;
        wait::throughout(A_WHILE, || async {
            // The first creation may have been cut off before its answer: then there is no status of it.
            let answered = stage.cluster.audit().answered(start, tests::audit::CONTROLLER);
            let of = |verb: &str, name: &str| {
                let is = |request: &Request| {
                    request.resource == "jobs" && request.verb == verb && request.name == name
                };
                let done = |code: u16| verb == "delete" || code == 201;
                answered
                    .iter()
                    .filter(|(request, code)| is(request) && done(*code))
                    .count()
            };
            let found = [
                of("patch", "pre"),
                of("patch", "post"),
                of("delete", "pre"),
                of("delete", "post"),
            ];
            if matches!(found, [0 | 1, 1, 0, 0]) {
                Ok(())
            } else {
                Err(format!("{found:?}"))
            }
        })
        .await;
        assert_eq!(jobs.get("pre").await.unwrap().uid().unwrap(), uid);
        assert!(stage.controller.stop().success());
        let restart = stage.cluster.audit().mark();
        stage.controller.start_again().await;
        wait::throughout(A_WHILE, || async {
            let mut writes = stage.cluster.audit().by_controller(restart);
            writes.retain(|request| request.namespace == name && request.writes());
            if writes.is_empty() {
                Ok(())
            } else {
                Err(format!("{writes:#?}"))
            }
        })
        .await;
    });
}

#[test]
fn hooks_for_a_failure_run_once_and_those_that_come_after_do_not() {
    run(async {
        let (team, repo) = begin("fails").await;
        let start = mark(&team);
        let service = |port: u32| {
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "bad"},
                "spec": {"clusterIP": "None", "ports": [{"port": port}]}})
            .to_string()
        };
        for path in ["refused", "late", "broken", "unreadable", "hook"] {
            repo.write(
                &format!("{path}/fail.yaml"),
                job(&format!("{path}-fail"), false, &[(HOOK, "Fail"), (TIMEOUT, "5m")]),
            )
            .write(
                &format!("{path}/post.yaml"),
                job(&format!("{path}-post"), false, &[(HOOK, "Post"), (TIMEOUT, "5m")]),
            );
        }
        repo.write("refused/bad.yaml", service(99_999))
            .write("late/late.yaml", gated("late", &[]))
            .write("broken/broken.yaml", gated("broken", &[]))
            .write("unreadable/bad.yaml", "kind: [")
            .write("unreadable/good.yaml", plain("good", &[]))
            .write("hook/a.yaml", plain("a", &[]))
            .write(
                "hook/bad.yaml",
                service(99_999).replace(
                    "\"name\":\"bad\"",
                    "\"name\":\"bad-hook\",\"annotations\":{\"signet.dev/hook\":\"Pre\"}",
                ),
            );
        let commit = repo.commit("Begin");
        for path in ["refused", "broken", "unreadable", "hook"] {
            team.sync_with(path, path, gates).await;
        }
        team.sync_with("late", "late", |spec| {
            gates(spec);
            spec.timeout = "1s".into();
        })
        .await;
        team.until("broken", "what it waits for", |_: &ConfigMap| true)
            .await;
        tell(&team, "broken", "bad").await;
        for (path, why) in [
            ("refused", "ApplyFailed"),
            ("late", "HealthTimeout"),
            ("broken", "HealthFailed"),
            ("unreadable", "ApplyFailed"),
            ("hook", "HookFailed"),
        ] {
            team.until::<Job>(&format!("{path}-fail"), "the hook for the failure", |_| true)
                .await;
            team.until(path, &format!("{path} to say {why}"), |sync| {
                reason(sync, "Ready") == why
            })
            .await;
        }
        assert!(has(&team, "good").await && !has(&team, "a").await);
        // What was only late, or not well for a time, goes on when it is.
        tell(&team, "late", "good").await;
        tell(&team, "broken", "good").await;
        team.applied("late", &commit).await;
        team.applied("broken", &commit).await;
        let mut made = jobs_made(&team, start);
        made.sort();
        assert_eq!(
            made,
            [
                "broken-fail",
                "broken-post",
                "hook-fail",
                "late-fail",
                "late-post",
                "refused-fail",
                "unreadable-fail"
            ]
        );
        let commit = repo.write("refused/bad.yaml", service(80)).commit("Mend it");
        team.applied("refused", &commit).await;
        let made = jobs_made(&team, start);
        assert_eq!(
            made.iter().filter(|name| *name == "refused-post").count(),
            1,
            "{made:?}"
        );
        assert_eq!(
            made.iter().filter(|name| *name == "refused-fail").count(),
            1,
            "{made:?}"
        );
    });
}

#[test]
fn a_hook_that_is_ready_at_once_is_not_waited_for() {
    run(async {
        let (team, repo) = begin("instant").await;
        repo.write("app/a.yaml", plain("hook", &[(HOOK, "Pre,Post")]))
            .write("app/b.yaml", plain("b", &[]));
        let commit = repo.commit("Begin");
        let start = mark(&team);
        team.sync("app", "app").await;
        team.applied("app", &commit).await;
        let asked = team.stage().cluster.audit().by_controller(start).into_iter();
        let asked = asked.filter(|request| request.namespace == team.name() && request.name == "hook");
        // Looked up and made, looked up and deleted, looked up and made; and no loop.
        assert!(asked.count() < 12);
    });
}
