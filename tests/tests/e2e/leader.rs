//! Two controllers of one namespace: one acts, and the other stands by until the Lease is free.

use crds::{Sync, SyncSpec};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, ResourceExt};
use serde_json::json;
use tests::{Cluster, Controller, ControllerOptions, Stage, http, objects, run, wait};

use crate::order_world::{end, hook_is, job, jobs_made, plain};

const HOOK: &str = "signet.dev/hook";

/// Waits until the Lease is held by one that `accept` likes, and gives its identity.
async fn holder(cluster: &Cluster, accept: impl Fn(&str) -> bool) -> String {
    let leases: Api<Lease> = Api::namespaced(cluster.client(), "signet-system");
    let of = |lease: &Lease| lease.spec.as_ref()?.holder_identity.clone();
    let held = |lease: &Lease| of(lease).is_some_and(|holder| accept(&holder));
    let lease = wait::until(cluster, leases, "signet-controller", "another holder", held).await;
    of(&lease).unwrap()
}

#[test]
fn one_of_two_controllers_acts_and_the_other_takes_over() {
    run(async {
        let mut stage = Stage::own().await;
        let name = stage.space("leaders").keep();
        let repo = stage.git.repository(&name);
        repo.write("app/pre.yaml", job("pre", true, &[(HOOK, "Pre")]))
            .write("app/a.yaml", plain("a", &[]));
        repo.commit("Begin");
        let start = stage.cluster.audit().mark();
        let first = holder(&stage.cluster, |holder| !holder.is_empty()).await;

        // The second one is ready, gives the certificate, and does nothing.
        let mut options = ControllerOptions::for_tests(&stage.cluster);
        options.home = stage.cluster.home().join("second");
        options.arguments.push("--identity=second".into());
        let mut second = Controller::start(&stage.cluster, options).await;
        let mut certificates = Vec::new();
        for controller in [&second, &stage.controller] {
            let reply = http::get(&controller.certificate_url()).await.unwrap();
            certificates.push((reply.status, reply.body));
        }
        assert_eq!(certificates[0], certificates[1]);
        let both = objects::list(&[
            json!({"apiVersion": "signet.dev/v1alpha1", "kind": "Repository", "metadata": {"name": "app", "namespace": name},
                "spec": {"url": repo.url(), "interval": "1s"}}),
            json!({"apiVersion": "signet.dev/v1alpha1", "kind": "Sync", "metadata": {"name": "app", "namespace": name},
                "spec": serde_json::to_value(SyncSpec::new("app", "app", objects::DEPLOYER)).unwrap()}),
        ]);
        stage
            .cluster
            .kubectl_with(["create", "-f", "-"], &both.to_string())
            .ok();
        let syncs: Api<Sync> = Api::namespaced(stage.cluster.client(), &name);
        let object = format!("Job {name}/pre");
        wait::until(&stage.cluster, syncs.clone(), "app", "the hook to run", |sync| {
            hook_is(sync, &object, "Running")
        })
        .await;
        let log = second.log();
        assert!(
            log.contains("standing by") && !log.contains("new commit"),
            "{log}"
        );

        // Frozen, the first one cannot renew; the second one goes on with the very hook that runs.
        stage.controller.process().freeze();
        holder(&stage.cluster, |holder| holder == "second").await;
        let jobs: Api<Job> = Api::namespaced(stage.cluster.client(), &name);
        let uid = jobs.get("pre").await.unwrap().uid();
        let team = stage.space_of(&name);
        end(&team, "pre", "Succeeded").await;
        team.keep();
        let maps: Api<ConfigMap> = Api::namespaced(stage.cluster.client(), &name);
        wait::until(&stage.cluster, maps, "a", "what comes after the hook", |_| true).await;
        let ready = |sync: &Sync| objects::is(sync, "Ready", "True");
        wait::until(&stage.cluster, syncs.clone(), "app", "it to be applied", ready).await;
        assert!(
            jobs.get_opt("pre")
                .await
                .unwrap()
                .is_none_or(|job| job.uid() == uid),
            "the hook ran again"
        );

        // Thawed, it sees that its Lease is another's, and ends without a word to the cluster.
        let thawed = stage.cluster.audit().mark();
        stage.controller.process().thaw();
        wait::poll("the first controller to end", || {
            let ended = stage.controller.process().ended().is_some();
            async move { if ended { Ok(()) } else { Err("it runs".to_owned()) } }
        })
        .await;
        let wrote: Vec<_> = stage
            .cluster
            .audit()
            .by_controller(thawed)
            .into_iter()
            .filter(|request| request.writes() && !request.is_lease())
            .filter(|request| request.namespace == name && request.resource != "syncs")
            .collect();
        assert!(wrote.is_empty(), "{wrote:#?}");
        let team = stage.space_of(&name);
        assert_eq!(jobs_made(&team, start), ["pre"]);
        team.keep();

        // Started again it stands by, and takes over at once when the second one is stopped in order.
        stage.controller.kill();
        stage.controller.start_again().await;
        second.stop();
        holder(&stage.cluster, |holder| holder == first).await;
        let commit = {
            repo.remove("app/pre.yaml");
            repo.write("app/b.yaml", plain("b", &[]));
            repo.commit("One more")
        };
        wait::until(&stage.cluster, syncs, "app", "the next commit", |sync| {
            objects::applied(sync) == commit
        })
        .await;
    });
}
