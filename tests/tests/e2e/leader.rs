//! Two controllers of one namespace: one acts, and the other stands by until the Lease is free.

use crds::Sync;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::json;
use tests::{Cluster, Controller, ControllerOptions, Stage, http, objects, run, wait};

use crate::order_world::{end, hook_is, job, jobs_made, plain};
use crate::world::A_WHILE;

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
        stage.follow(&name, &repo);
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

/// Who stands by makes no key, and notices when the Lease is free; a Lease that is deleted under its holder is made again.
#[test]
fn who_stands_by_makes_nothing_and_a_deleted_lease_is_made_again() {
    run(async {
        let cluster = Cluster::own().await;
        let lease = |holder: &str| {
            json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": {"name": "signet-controller", "namespace": "signet-system"},
                "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15}})
            .to_string()
        };
        cluster
            .kubectl_with(["create", "-f", "-"], &lease("somebody"))
            .ok();
        let mut options = ControllerOptions::for_tests(&cluster);
        options.arguments.push("--identity=third".into());
        let controller = Controller::start_standing_by(&cluster, options).await;
        let secrets: Api<Secret> = Api::namespaced(cluster.client(), "signet-system");
        wait::throughout(A_WHILE, || async {
            let found = secrets
                .list(&ListParams::default())
                .await
                .map_err(|error| error.to_string())?;
            let names: Vec<_> = found.items.iter().map(ResourceExt::name_any).collect();
            let reply = http::get(&controller.certificate_url())
                .await
                .map(|reply| reply.status);
            if names.is_empty() && reply == Some(503) {
                Ok(())
            } else {
                Err(format!("{names:?}, {reply:?}"))
            }
        })
        .await;
        let hook = http::post(&format!("{}/v1/hooks/a/b", controller.url()), b"{}", &[]).await;
        assert_eq!(hook.unwrap().status, 503, "the one that acts may be reached next");

        // Given up by its holder, the Lease is taken at once.
        cluster.kubectl_with(["replace", "-f", "-"], &lease("")).ok();
        holder(&cluster, |holder| holder == "third").await;
        wait::poll("the key", || async {
            let reply = http::get(&controller.certificate_url())
                .await
                .map(|reply| reply.status);
            if reply == Some(200) {
                Ok(())
            } else {
                Err(format!("{reply:?}"))
            }
        })
        .await;

        // Deleted, it is made again by who holds it, in a handful of requests.
        let mark = cluster.audit().mark();
        cluster
            .kubectl(["delete", "lease", "signet-controller", "-n", "signet-system"])
            .ok();
        holder(&cluster, |holder| holder == "third").await;
        let asked = cluster.audit().since(mark, tests::audit::CONTROLLER);
        let asked = asked.iter().filter(|request| request.is_lease()).count();
        assert!(asked <= 8, "{asked} requests about one Lease");
        assert!(
            !controller.log().contains("another controller has taken"),
            "{}",
            controller.log()
        );
    });
}

/// Two of one name are two: the first one ends when the second one has taken its Lease.
#[test]
fn two_controllers_of_one_name_do_not_both_act() {
    run(async {
        let cluster = Cluster::own().await;
        let options = |home: &str| {
            let mut options = ControllerOptions::for_tests(&cluster);
            options.home = cluster.home().join(home);
            options.arguments.push("--identity=same".into());
            options
        };
        let mut first = Controller::start(&cluster, options("first")).await;
        let second = Controller::start(&cluster, options("second")).await;
        wait::poll("the first controller to end", || {
            let ended = first.process().ended().is_some();
            async move { if ended { Ok(()) } else { Err("it runs".to_owned()) } }
        })
        .await;
        assert!(
            first.log().contains("another controller has taken the Lease"),
            "{}",
            first.log()
        );
        holder(&cluster, |holder| holder == "same").await;
        assert!(
            !second.log().contains("another controller has taken"),
            "{}",
            second.log()
        );
    });
}
