//! Hooks of a Sync's deletion, and the order in which its objects go.

use crds::{DeletionPolicy, Mode, Sync};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::DeleteParams;
use serde_json::json;
use tests::{Repo, Space, Stage, objects, run, wait};

use crate::order_world::{begin, end, has, hook_is, job, jobs_made, none_of, plain, reason, status};
use crate::world::{World, plan};

const HOOK: &str = "signet.dev/hook";
const WAVE: &str = "signet.dev/wave";

/// A Sync that takes its objects along, applied.
async fn applied(team: &Space<'_>, repo: &Repo) {
    let commit = repo.commit("Begin");
    team.sync_with("app", "app", |spec| spec.deletion_policy = DeletionPolicy::Delete)
        .await;
    team.applied("app", &commit).await;
}

async fn delete(team: &Space<'_>) {
    let syncs = team.api::<Sync>();
    syncs.delete("app", &DeleteParams::default()).await.unwrap();
}

#[test]
fn hooks_run_before_and_after_the_objects_go() {
    run(async {
        let (team, repo) = begin("farewell").await;
        let start = team.stage().cluster.audit().mark();
        repo.write("app/backup.yaml", job("backup", true, &[(HOOK, "PreDelete")]))
            .write("app/a.yaml", plain("a", &[]))
            .write(
                "app/bye.yaml",
                job("bye", true, &[("argocd.argoproj.io/hook", "PostDelete")]),
            );
        applied(&team, &repo).await;
        assert_eq!(jobs_made(&team, start), [""; 0], "they are for the end");

        delete(&team).await;
        let backup = format!("Job {}/backup", team.name());
        let sync: Sync = team
            .until("app", "the hook before the end to run", |sync| {
                hook_is(sync, &backup, "Running")
            })
            .await;
        assert_eq!(reason(&sync, "Ready"), "Progressing", "{sync:#?}");
        assert!(objects::message(&sync, "Ready").contains(&backup), "{sync:#?}");
        assert_eq!(status(&sync).hooks[0].phase, "PreDelete");
        // A commit does not run it once more, and its objects stay as long as it takes.
        let commit = repo
            .write("app/a.yaml", plain("a", &[("x/y", "z")]))
            .commit("Late");
        team.fetched("app", &commit).await;
        assert!(has(&team, "a").await, "it is needed by the hook");
        end(&team, "backup", "Succeeded").await;
        team.gone::<ConfigMap>("a").await;

        let bye = format!("Job {}/bye", team.name());
        team.until("app", "the hook after the end to run", |sync| {
            hook_is(sync, &bye, "Running")
        })
        .await;
        assert_eq!(jobs_made(&team, start), ["backup", "bye"]);
        end(&team, "bye", "Succeeded").await;
        team.gone::<Sync>("app").await;
        // Nobody is left to clear them away later.
        team.gone::<Job>("backup").await;
        team.gone::<Job>("bye").await;
    });
}

#[test]
fn a_hook_that_fails_holds_the_deletion_until_somebody_decides() {
    run(async {
        let (team, repo) = begin("farewell-fails").await;
        let start = team.stage().cluster.audit().mark();
        repo.write("app/a.yaml", plain("a", &[])).write(
            "app/backup.yaml",
            job("backup", true, &[("helm.sh/hook", "pre-delete")]),
        );
        applied(&team, &repo).await;
        delete(&team).await;
        end(&team, "backup", "Failed").await;
        let failed = |sync: &Sync| reason(sync, "Ready") == "HookFailed";
        let sync: Sync = team.until("app", "the failure to be said", failed).await;
        let message = objects::message(&sync, "Ready");
        assert!(
            message.contains("hook Job") && message.contains("signet.dev/deletion-hooks=skip"),
            "{message}"
        );
        assert_eq!(reason(&sync, "Stalled"), "HookFailed", "{sync:#?}");
        assert!(has(&team, "a").await);

        // Once more, when somebody asks; and then without.
        team.request("app", "once more").await;
        let first = jobs_made(&team, start).len();
        team.until("app", "the hook to run once more", |sync: &Sync| {
            reason(sync, "Ready") == "Progressing"
        })
        .await;
        end(&team, "backup", "Failed").await;
        team.until("app", "the second failure", failed).await;
        assert_eq!((first, jobs_made(&team, start).len()), (1, 2));
        assert!(has(&team, "a").await);
        team.kubectl(["annotate", "sync", "app", "signet.dev/deletion-hooks=skip"])
            .ok();
        team.gone::<Sync>("app").await;
        team.gone::<ConfigMap>("a").await;
    });
}

#[test]
fn what_came_last_goes_first() {
    run(async {
        let world = World::begin("backwards").await;
        let team = &world.team;
        for (name, wave) in [("a", "-1"), ("b", "0"), ("c", "1"), ("d", "2")] {
            world
                .repo
                .write(&format!("app/{name}.yaml"), plain(name, &[(WAVE, wave)]));
        }
        for name in ["k1", "k2", "k3", "k4", "k5"] {
            world.repo.write(&format!("app/{name}.yaml"), plain(name, &[]));
        }
        let commit = world.repo.commit("Begin");
        team.sync_with("app", "app", |spec| spec.deletion_policy = DeletionPolicy::Delete)
            .await;
        team.applied("app", &commit).await;

        // Two that leave Git.
        let mark = world.mark();
        let commit = world.drop_maps(&["b", "d", "a"]);
        team.applied("app", &commit).await;
        assert_eq!(deleted(&world, mark), ["d", "b", "a"]);

        // All of them, with their Sync: a wave that has not gone holds those before it.
        let commit = world
            .repo
            .write("app/a.yaml", plain("a", &[(WAVE, "-1")]))
            .write("app/d.yaml", plain("d", &[(WAVE, "2")]))
            .commit("Back");
        team.applied("app", &commit).await;
        world
            .edit(
                "acme",
                "c",
                json!({"metadata": {"finalizers": ["acme.example/wait"]}}),
            )
            .await;
        let mark = world.mark();
        delete(team).await;
        let held = format!("waits for ConfigMap {}/c", team.name());
        team.until("app", "the Sync to name what it waits for", |sync: &Sync| {
            objects::message(sync, "Ready").contains(&held)
        })
        .await;
        assert_eq!(deleted(&world, mark), ["d", "c"]);
        none_gone(team, &["a", "k1"]).await;

        // Whoever changes their mind meanwhile is heard: what is left stays, and so does what is on its way.
        world.set("app", json!({"deletionPolicy": "Orphan"})).await;
        team.gone::<Sync>("app").await;
        none_gone(team, &["a", "k1", "k5"]).await;
        assert_eq!(deleted(&world, mark), ["d", "c"]);
        world
            .edit("acme", "c", json!({"metadata": {"finalizers": null}}))
            .await;
        team.gone::<ConfigMap>("c").await;
        none_of(team, &["c", "d"]).await;
    });
}

#[test]
fn what_depends_on_another_goes_before_it() {
    run(async {
        let world = World::begin("dependants").await;
        let team = &world.team;
        let depends = |on: &str| format!("/namespaces/{}/ConfigMap/{on}", team.name());
        let on = |on: &str| [("config.kubernetes.io/depends-on", depends(on))];
        let needy = |name: &str, other: &str| {
            let annotations = on(other);
            plain(
                name,
                &annotations.each_ref().map(|(key, value)| (*key, value.as_str())),
            )
        };
        for name in ["a", "k1", "k2", "k3", "k4", "k5"] {
            world.repo.write(&format!("app/{name}.yaml"), plain(name, &[]));
        }
        world
            .repo
            .write("app/b.yaml", needy("b", "a"))
            .write("app/c.yaml", needy("c", "b"));
        let commit = world.repo.commit("Begin");
        team.sync_with("app", "app", |spec| spec.deletion_policy = DeletionPolicy::Delete)
            .await;
        team.applied("app", &commit).await;

        // Three that leave Git.
        let mark = world.mark();
        let commit = world.drop_maps(&["a", "b", "c"]);
        team.applied("app", &commit).await;
        assert_eq!(deleted(&world, mark), ["c", "b", "a"]);

        // All of them, with their Sync, after another one has come in between: what depends on it is not applied anew.
        world
            .repo
            .write("app/a.yaml", plain("a", &[]))
            .write("app/b.yaml", needy("b", "a"));
        let commit = world.repo.commit("Back");
        team.applied("app", &commit).await;
        let commit = world
            .repo
            .write("app/0.yaml", plain("0", &[]))
            .write("app/a.yaml", needy("a", "0"))
            .commit("Before them");
        team.applied("app", &commit).await;
        let held = json!({"metadata": {"finalizers": ["acme.example/wait"]}});
        for name in ["a", "b"] {
            world.edit("acme", name, held.clone()).await;
        }
        let mark = world.mark();
        delete(team).await;
        for (name, gone, left) in [
            ("b", vec!["b"], vec!["0", "a", "k1"]),
            ("a", vec!["b", "a"], vec!["0", "k1"]),
        ] {
            let waits = format!("waits for ConfigMap {}/{name}", team.name());
            team.until("app", "the Sync to name what it waits for", |sync: &Sync| {
                objects::message(sync, "Ready").contains(&waits)
            })
            .await;
            assert_eq!(deleted(&world, mark), gone);
            none_gone(team, &left).await;
            world
                .edit("acme", name, json!({"metadata": {"finalizers": null}}))
                .await;
        }
        team.gone::<Sync>("app").await;
        none_of(team, &["0", "a", "b", "k1", "k5"]).await;
    });
}

#[test]
fn what_cannot_be_deleted_stops_what_goes_after_its_wave() {
    run(async {
        let world = World::begin("undeletable").await;
        let team = &world.team;
        for (name, wave) in [("a", "-1"), ("b", "0"), ("c", "0"), ("d", "1")] {
            let file = format!("app/{name}.yaml");
            world.repo.write(&file, plain(name, &[(WAVE, wave)]));
        }
        for name in ["k1", "k2", "k3", "k4", "k5"] {
            world.repo.write(&format!("app/{name}.yaml"), plain(name, &[]));
        }
        let commit = world.repo.commit("Begin");
        team.sync("app", "app").await;
        team.applied("app", &commit).await;

        // One of them the account may not delete any more.
        let account = format!("--serviceaccount={}:{}", team.name(), objects::DEPLOYER);
        let maps = "--resource=configmaps";
        team.kubectl([
            "create",
            "role",
            "write",
            maps,
            "--verb=get,list,watch,create,patch,update",
        ])
        .ok();
        let mut delete = vec!["create", "role", "delete", maps, "--verb=delete"];
        delete.extend(["--resource-name=a", "--resource-name=c", "--resource-name=d"]);
        team.kubectl(delete).ok();
        for role in ["write", "delete"] {
            let of = format!("--role={role}");
            team.kubectl(["create", "rolebinding", role, &of, &account]).ok();
        }
        team.kubectl(["delete", "rolebinding", objects::DEPLOYER]).ok();
        let who = format!("system:serviceaccount:{}:{}", team.name(), objects::DEPLOYER);
        wait::poll("the right to be gone", || async {
            let answer = team.kubectl(["auth", "can-i", "delete", "configmap/b", "--as", &who]);
            if answer.code == 0 {
                Err(answer.to_string())
            } else {
                Ok(())
            }
        })
        .await;
        let commit = world.drop_maps(&["a", "b", "c", "d"]);
        let sync = team.failed("app", &commit).await;
        let failures = status(&sync).failures;
        let said = |object: &str, start: &str| {
            let mut failures = failures.iter();
            failures.any(|failure| failure.object == object && failure.message.starts_with(start))
        };
        let b = format!("ConfigMap {}/b", team.name());
        assert!(
            failures.len() == 2
                && said(&b, "left Git and cannot be deleted")
                && said("", "1 more object that left Git"),
            "{failures:#?}"
        );
        // Its neighbour and what came later are gone; what it may need is not.
        team.gone::<ConfigMap>("c").await;
        team.gone::<ConfigMap>("d").await;
        none_gone(team, &["a", "b"]).await;

        team.kubectl(["create", "rolebinding", "again", "--clusterrole=admin", &account])
            .ok();
        team.request("app", "again").await;
        team.gone::<ConfigMap>("a").await;
        team.gone::<ConfigMap>("b").await;
        team.applied("app", &commit).await;
    });
}

fn deleted(world: &World<'_>, mark: tests::audit::Mark) -> Vec<String> {
    let writes = world.writes(mark).into_iter();
    writes
        .filter(|request| request.verb == "delete" && request.resource == "configmaps")
        .map(|request| request.name)
        .collect()
}

async fn none_gone(team: &Space<'_>, names: &[&str]) {
    for name in names {
        let map = team.api::<ConfigMap>().get(name).await.expect("it stays");
        assert!(
            map.metadata.deletion_timestamp.is_none(),
            "{name} is being deleted"
        );
    }
}

#[test]
fn a_hook_of_a_deletion_that_nobody_approved_does_not_run_after_a_restart() {
    run(async {
        let mut stage = Stage::own().await;
        let (space, start, repo, hook) = {
            let world = World::on(&stage, "farewell-approval").await;
            let start = stage.cluster.audit().mark();
            let hook = |image: &str| {
                let text = job("backup", true, &[(HOOK, "PreDelete")]);
                text.replace("main:1", image)
            };
            world
                .repo
                .write("app/a.yaml", plain("a", &[]))
                .write("app/backup.yaml", hook("main:1"));
            let commit = world.repo.commit("Begin");
            world
                .team
                .sync_with("app", "app", |spec| {
                    spec.mode = Mode::Approval;
                    spec.deletion_policy = DeletionPolicy::Delete;
                })
                .await;
            let sync = world.says("app", "AwaitingApproval").await;
            world.approve("yes", "app", &plan(&sync).digest).await;
            world.team.applied("app", &commit).await;
            world
                .repo
                .write("app/backup.yaml", hook("evil:1"))
                .commit("Another hook");
            let sync = world.says("app", "AwaitingApproval").await;
            let runs = format!("run Job {}/backup (PreDelete 0)", world.team.name());
            assert_eq!(plan(&sync).actions, [runs]);
            (world.team.keep(), start, world.repo, hook("main:1"))
        };
        assert!(stage.controller.stop().success());
        stage.controller.start_again().await;
        let team = stage.space_of(&space);
        delete(&team).await;
        let waits = |sync: &Sync| {
            reason(sync, "Ready") == "DeletionWaits"
                && objects::message(sync, "Ready").contains("are not those that were approved")
        };
        team.until("app", "the deletion to wait", waits).await;
        assert_eq!(jobs_made(&team, start), [""; 0]);
        assert!(has(&team, "a").await);

        repo.write("app/backup.yaml", hook)
            .commit("The approved one again");
        end(&team, "backup", "Succeeded").await;
        team.gone::<Sync>("app").await;
        team.gone::<ConfigMap>("a").await;
    });
}
