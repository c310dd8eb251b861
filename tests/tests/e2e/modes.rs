//! Who decides: Syncs that only look, and Syncs that ask first.

use crds::{Mode, Sync};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use serde_json::json;
use tests::{Stage, command, objects, run, wait};

use crate::order_world;
use crate::world::{A_WHILE, World, plan, reason, status, value_of};

#[test]
fn detect_writes_nothing_and_says_what_would_be_done() {
    run(async {
        let world = World::begin("detect").await;
        let (team, repo) = (&world.team, &world.repo);
        let theirs = objects::config_map("there", "old");
        let apply = ["apply", "--namespace", team.name(), "-f", "-"];
        team.stage().cluster.kubectl_with(apply, &theirs).ok();
        world.maps(&[("there", "new"), ("missing", "one")]);
        let mark = world.mark();
        team.sync_with("app", "app", |spec| spec.mode = Mode::Detect)
            .await;
        let sync = world.says("app", "Differs").await;
        let report = plan(&sync);
        assert_eq!(
            (report.create, report.update, report.delete),
            (1, 1, 0),
            "{report:#?}"
        );
        let create = format!("create ConfigMap {}/missing", team.name());
        assert!(report.actions.contains(&create), "{report:#?}");
        let takes = "(takes .data.value from kubectl-client-side-apply)";
        assert!(
            report.actions.iter().any(|line| line.ends_with(takes)),
            "{report:#?}"
        );
        assert!(objects::message(&sync, "Ready").starts_with("2 objects differ from main@"));
        world.stays(&[("there", Some("old")), ("missing", None)]).await;

        let second = repo.remove("app/missing.yaml").commit("Do without it");
        let sync = world
            .until("app", "Differs", |status| {
                status
                    .last_attempted_revision
                    .as_ref()
                    .is_some_and(|at| at.commit == second)
            })
            .await;
        assert_eq!((plan(&sync).create, plan(&sync).update), (0, 1), "{sync:#?}");
        assert!(
            sync.labels().is_empty() && sync.annotations().is_empty() && sync.finalizers().is_empty(),
            "{sync:#?}"
        );
        let writes = world.writes(mark);
        assert!(writes.is_empty(), "{writes:#?}");
    });
}

#[test]
fn detect_tells_of_drift_in_what_was_applied_before_and_automatic_repairs_it() {
    run(async {
        let world = World::begin("switched").await;
        let maps = [("a", "one"), ("b", "one"), ("c", "one"), ("d", "one")];
        world.applied(&maps, |_| {}).await;
        world.set("app", json!({"mode": "Detect"})).await;
        let sync = world.says("app", "Same").await;
        assert!(
            objects::is(&sync, "Ready", "True") && status(&sync).plan.is_none(),
            "{sync:#?}"
        );

        let mark = world.mark();
        world
            .edit("acme", "a", json!({"data": {"value": "edited"}}))
            .await;
        world.team.kubectl(["delete", "configmap", "b"]).ok();
        world.drop_maps(&["c"]);
        let sync = world
            .until("app", "Differs", |status| {
                status.drift.len() == 2 && status.plan.as_ref().is_some_and(|plan| plan.delete == 1)
            })
            .await;
        let drift = &status(&sync).drift;
        assert_eq!(
            (drift[0].change.as_str(), drift[0].manager.as_str()),
            ("Changed", "acme")
        );
        assert_eq!(drift[0].fields, [".data.value"], "{drift:#?}");
        assert_eq!(drift[1].change, "Deleted");
        let report = plan(&sync);
        assert_eq!(
            (report.create, report.update, report.delete),
            (1, 1, 1),
            "{report:#?}"
        );
        assert!(report.actions[0].starts_with("delete "), "{report:#?}");
        world
            .stays(&[("a", Some("edited")), ("b", None), ("c", Some("one"))])
            .await;
        let writes = world.writes(mark);
        assert!(writes.is_empty(), "{writes:#?}");

        world.set("app", json!({"mode": "Automatic"})).await;
        world.value("a", "one").await;
        world.value("b", "one").await;
        world.team.gone::<ConfigMap>("c").await;
        let sync = world
            .until("app", "Applied", |status| status.drift.is_empty())
            .await;
        assert!(status(&sync).plan.is_none(), "{sync:#?}");
    });
}

#[test]
fn a_plan_is_carried_out_when_it_is_approved_and_not_before() {
    run(async {
        let world = World::begin("approval").await;
        let (team, repo) = (&world.team, &world.repo);
        world.maps(&[("a", "one"), ("b", "one")]);
        let mark = world.mark();
        team.sync_with("app", "app", |spec| spec.mode = Mode::Approval)
            .await;
        let sync = world.says("app", "AwaitingApproval").await;
        let report = plan(&sync).clone();
        assert_eq!(
            (report.create, report.update, report.delete),
            (2, 0, 0),
            "{report:#?}"
        );
        assert!(report.reason.contains("waits for an approval"), "{report:#?}");
        world
            .approve("wrong", "app", "0123456789abcdef0123456789abcdef")
            .await;
        world.approve("another", "lib", &report.digest).await;
        world.stays(&[("a", None), ("b", None)]).await;
        let writes = world.writes(mark);
        assert!(writes.is_empty(), "{writes:#?}");
        world.approve("right", "app", &report.digest).await;
        world.value("a", "one").await;
        let sync = world.says("app", "Applied").await;
        assert!(status(&sync).plan.is_none(), "{sync:#?}");

        // Drift is put back by itself, also while something newer waits, and what is newer is not applied by that.
        world
            .edit("acme", "a", json!({"data": {"value": "edited"}}))
            .await;
        world.value("a", "one").await;
        let second = world.maps(&[("a", "two")]);
        let sync = world.says("app", "AwaitingApproval").await;
        assert_ne!(plan(&sync).digest, report.digest);
        assert_eq!(
            plan(&sync).actions,
            [format!("update ConfigMap {}/a", team.name())]
        );
        world
            .edit("acme", "b", json!({"data": {"value": "edited"}}))
            .await;
        world.value("b", "one").await;
        world.stays(&[("a", Some("one"))]).await;

        let mut signet = command::signet(team.stage().cluster.kubeconfig());
        signet
            .current_dir(repo.work())
            .args(["approve", "app", "--yes", "-n", team.name()]);
        command::run(signet, b"").ok();
        team.applied("app", &second).await;
        world.value("a", "two").await;

        // The same content again is the same plan.
        let third = repo.revert();
        team.applied("app", &third).await;
        world.value("a", "one").await;
    });
}

#[test]
fn a_hook_that_is_still_to_come_waits_for_the_approval_that_was_taken_back() {
    run(async {
        let (team, repo) = order_world::begin("approval-hook").await;
        let start = team.stage().cluster.audit().mark();
        repo.write("app/a.yaml", order_world::gated("a", &[])).write(
            "app/post.yaml",
            order_world::job("post", true, &[("signet.dev/hook", "Post")]),
        );
        let commit = repo.commit("Begin");
        let world = World { team, repo };
        let team = &world.team;
        team.sync_with("app", "app", |spec| {
            order_world::gates(spec);
            spec.mode = Mode::Approval;
        })
        .await;
        let sync = world.says("app", "AwaitingApproval").await;
        let digest = plan(&sync).digest.clone();
        // Whoever approves is shown what runs.
        let runs = format!("run Job {}/post (Post 0)", team.name());
        assert!(plan(&sync).actions.contains(&runs), "{sync:#?}");
        assert_eq!(plan(&sync).run, 1);
        world.approve("yes", "app", &digest).await;
        world.says("app", "Progressing").await;
        team.kubectl(["delete", "approval", "yes"]).ok();
        let sync = world.says("app", "AwaitingApproval").await;
        assert_eq!(plan(&sync).digest, digest, "nothing else is asked for");
        order_world::tell(team, "a", "good").await;
        wait::throughout(A_WHILE, || async {
            let made = order_world::jobs_made(team, start);
            if made.is_empty() {
                Ok(())
            } else {
                Err(format!("{made:?}"))
            }
        })
        .await;
        world.approve("again", "app", &digest).await;
        order_world::end(team, "post", "Succeeded").await;
        team.applied("app", &commit).await;
        // What is over needs no word any more.
        team.kubectl(["delete", "approval", "again"]).ok();
        team.request("app", "now").await;
        team.until("app", "the request to be answered", |sync: &Sync| {
            status(sync).last_handled_request == "now"
        })
        .await;
        world.says("app", "Applied").await;
    });
}

#[test]
fn another_spec_takes_an_approval_even_where_nothing_is_to_be_applied() {
    run(async {
        let world = World::begin("approval-spec").await;
        let team = &world.team;
        let commit = world.maps(&[("a", "one")]);
        team.sync_with("app", "app", |spec| spec.mode = Mode::Approval)
            .await;
        let sync = world.says("app", "AwaitingApproval").await;
        let first = plan(&sync).digest.clone();
        world.approve("first", "app", &first).await;
        team.applied("app", &commit).await;

        // It may do nothing: whatever is put back now is put back by the account that was approved.
        team.kubectl(["create", "serviceaccount", "powerless"]).ok();
        world.set("app", json!({"serviceAccountName": "powerless"})).await;
        let sync = world.says("app", "AwaitingApproval").await;
        let report = plan(&sync);
        assert_ne!(report.digest, first);
        assert_eq!(
            (report.create, report.update, report.delete),
            (0, 0, 0),
            "{report:#?}"
        );
        world
            .edit("acme", "a", json!({"data": {"value": "edited"}}))
            .await;
        world.value("a", "one").await;

        // Back to what was approved, and on to what is approved now. When, and not what, takes no word.
        world
            .set("app", json!({"serviceAccountName": objects::DEPLOYER}))
            .await;
        world.says("app", "Applied").await;
        world.set("app", json!({"timeout": "7m"})).await;
        world.says("app", "Applied").await;
        world.set("app", json!({"prune": {"limit": "10%"}})).await;
        let sync = world.says("app", "AwaitingApproval").await;
        world.approve("second", "app", &plan(&sync).digest).await;
        world.says("app", "Applied").await;
        team.kubectl(["delete", "approval", "second"]).ok();
        team.request("app", "now").await;
        team.until("app", "the request to be answered", |sync: &Sync| {
            status(sync).last_handled_request == "now"
        })
        .await;
        world.says("app", "Applied").await;
    });
}

#[test]
fn a_restart_forgets_neither_the_plan_nor_its_approval() {
    run(async {
        let mut stage = Stage::own().await;
        let (name, digest, repo) = {
            let world = World::on(&stage, "restart").await;
            world.maps(&[("a", "one"), ("b", "one")]);
            world
                .team
                .sync_with("app", "app", |spec| spec.mode = Mode::Approval)
                .await;
            let sync = world.says("app", "AwaitingApproval").await;
            let digest = plan(&sync).digest.clone();
            (world.team.keep(), digest, world.repo)
        };
        let client = stage.cluster.client();
        stage.controller.kill();
        stage.controller.start_again().await;
        let syncs: kube::Api<Sync> = kube::Api::namespaced(client.clone(), &name);
        let same = |sync: &Sync| reason(sync) == "AwaitingApproval" && plan(sync).digest == digest;
        assert!(same(&syncs.get("app").await.unwrap()));
        assert!(stage.controller.stop().success());
        let approval = json!({"apiVersion": "signet.dev/v1alpha1", "kind": "Approval", "metadata": {"name": "right",
            "namespace": name, "annotations": {"signet.dev/approved-by": "signet-cluster-admin"}},
            "spec": {"syncRef": {"name": "app"}, "digest": digest}});
        stage
            .cluster
            .kubectl_with(["create", "-f", "-"], &approval.to_string())
            .ok();
        stage.controller.start_again().await;
        let what = "the approved plan to be carried out";
        tests::wait::until(&stage.cluster, syncs.clone(), "app", what, |sync: &Sync| {
            reason(sync) == "Applied"
        })
        .await;

        // What was approved is put back after another restart, too, with nothing in memory, while something newer waits.
        assert!(stage.controller.stop().success());
        let edit = r#"{"data":{"value":"edited"}}"#;
        for map in ["a", "b"] {
            let arguments = ["patch", "configmap", map, "--namespace", &name, "--patch", edit];
            stage.cluster.kubectl(arguments).ok();
        }
        repo.write("app/a.yaml", objects::config_map("a", "two"))
            .commit("Say two");
        stage.controller.start_again().await;
        let maps: kube::Api<ConfigMap> = kube::Api::namespaced(client, &name);
        let what = "the drift to be repaired";
        tests::wait::until(&stage.cluster, maps.clone(), "b", what, |map| {
            value_of(map) == Some("one")
        })
        .await;
        let what = "the new plan to wait, and to be all that waits";
        tests::wait::until(&stage.cluster, syncs, "app", what, |sync: &Sync| {
            reason(sync) == "AwaitingApproval" && plan(sync).actions.len() == 1
        })
        .await;
        let a = maps.get("a").await.unwrap();
        assert_eq!(
            value_of(&a),
            Some("edited"),
            "what was approved of it is not known any more"
        );
    });
}
