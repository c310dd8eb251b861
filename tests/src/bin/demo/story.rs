//! The story, step by step.

use std::time::Instant;

use crds::Sync;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use tests::ui::Ui;
use tests::{Cluster, Controller, ControllerOptions, GitServer, objects, run, wait};

use crate::ground::Ground;
use crate::shell::Shell;

/// Where Signet and its Sync are.
const PLATFORM: &str = "signet-system";

/// Tells the story on a ground that is gone with this process.
pub(crate) fn tell() {
    run(async {
        let start = Instant::now();
        let mut ui = introduction();
        let cluster = Cluster::held().await;
        installed(&ui, &cluster);
        let controller = Controller::start(&cluster, ControllerOptions::plain(cluster.home())).await;
        let git = GitServer::start(&cluster.home().join("git")).await;
        let ground = Ground {
            repo: git.repository("shop"),
            controller,
            cluster,
        };
        let shell = tell_on(&mut ui, &ground).await;
        drop(shell);
        ui.title(&format!("That was Signet, in {} s.", start.elapsed().as_secs()));
        ui.say("`make demo KEEP=1` leaves the cluster up, to look around.");
    });
}

/// Says what is coming.
pub(crate) fn introduction() -> Ui {
    let mut ui = Ui::default();
    ui.title("Signet: seal a secret, commit it, and it is applied with the workload that needs it.");
    ui.step("A Kubernetes control plane on this machine, and Signet on it");
    ui.say(
        "etcd, API server, controller manager and scheduler are real; the kubelets are simulated, so Pods",
    );
    ui.say("come up without images. Signet's controller runs as a process, with the rights that deploy/ gives it.");
    ui
}

/// Says that the cluster is there.
pub(crate) fn installed(ui: &Ui, cluster: &Cluster) {
    ui.good(&format!("ready after {:.1} s", cluster.ready_seconds()));
    ui.good("installed crds/yaml/ and deploy/install.yaml, without its Deployment");
}

/// The story itself, on whatever ground.
pub(crate) async fn tell_on(ui: &mut Ui, ground: &Ground) -> Shell {
    let bin = ground.repo.work().with_file_name("bin");
    let shell = Shell::new(ground.repo.work(), &bin, ground.cluster.kubeconfig());
    ground.controller.expose(&ground.cluster);
    shell.run(ui, "kubectl get nodes", 4);

    ui.step("A team's repository: WordPress and MySQL");
    ground.write_shop();
    shell.run(ui, "grep secretKeyRef shop/*.yaml", 2);
    ui.say("Both want a password from the Secret `mysql`, which is not here yet.");

    seal(ui, &shell);
    apply(ui, ground, &shell).await;
    restore(ui, ground, &shell).await;
    roll_back(ui, ground, &shell);

    ui.step("The audit trail is git log");
    shell.run(ui, "signet history shop", 6);
    shell
}

fn seal(ui: &mut Ui, shell: &Shell) {
    ui.step("Seal: the password is encrypted here, for this cluster, and never written to disk");
    shell.run(
        ui,
        "kubectl create secret generic mysql --namespace=shop --from-literal=password=swordfish \\\n    \
         --dry-run=client --output=yaml | signet seal > shop/mysql-password.yaml",
        4,
    );
    let sealed = shell.run(ui, "cat shop/mysql-password.yaml", 10);
    assert!(
        sealed.contains("SealedSecret") && !sealed.contains("swordfish"),
        "it is not sealed"
    );
    ui.good("only the controller in the cluster can open it");

    ui.step("Commit: the sealed password lies beside what needs it");
    shell.run(
        ui,
        "git add shop .signet.yaml && git commit --quiet -m 'Open the shop' && git push --quiet origin main",
        4,
    );
    shell.run(ui, "git log --oneline --stat", 6);
}

async fn apply(ui: &mut Ui, ground: &Ground, shell: &Shell) {
    ui.step("Apply: tell Signet to follow the repository");
    let file = ground.sync_file();
    ui.output(&std::fs::read_to_string(&file).expect("it was just written"), 20);
    let syncs: Api<Sync> = Api::namespaced(ground.cluster.client(), PLATFORM);
    let applied = wait::until(
        &ground.cluster,
        syncs,
        "shop",
        "the Sync to be applied",
        |sync: &Sync| objects::is(sync, "Ready", "True"),
    );
    shell.run(ui, "kubectl apply -f ../sync.yaml", 2);
    let start = Instant::now();
    applied.await;
    ui.good(&format!(
        "fetched, opened and applied {} ms later",
        start.elapsed().as_millis()
    ));
    shell.run(ui, "signet status --namespace=signet-system", 4);
    shell.run(
        ui,
        "kubectl rollout status deployment --namespace=shop --timeout=1m | tail -n 2",
        2,
    );
    shell.run(ui, "kubectl get pods --namespace=shop", 4);

    let password = "kubectl get secret mysql --namespace=shop --template='{{.data.password | base64decode}}'";
    assert_eq!(shell.run(ui, password, 1), "swordfish");
    ui.good("the Secret was there before the Deployments; the SealedSecret itself stays in Git");
}

async fn restore(ui: &mut Ui, ground: &Ground, shell: &Shell) {
    ui.step("Delete: what Git has comes back, without a new commit and without a poll (the interval is 1 h)");
    for (line, kind) in [
        (
            "kubectl delete deployment wordpress --namespace=shop",
            "Deployment",
        ),
        ("kubectl delete secret mysql --namespace=shop", "Secret"),
    ] {
        ui.command(line);
        let (client, cluster) = (ground.cluster.client(), &ground.cluster);
        let took = if kind == "Secret" {
            let api: Api<Secret> = Api::namespaced(client, "shop");
            wait::repaired(cluster, api, "mysql", shell.command(line), |_| true).await
        } else {
            let api: Api<Deployment> = Api::namespaced(client, "shop");
            wait::repaired(cluster, api, "wordpress", shell.command(line), |_| true).await
        };
        ui.good(&format!("restored {} ms after it was gone", took.as_millis()));
    }
    shell.run(
        ui,
        "kubectl rollout status deployment/wordpress --namespace=shop --timeout=1m | tail -n 1",
        1,
    );
}

fn roll_back(ui: &mut Ui, ground: &Ground, shell: &Shell) {
    ui.step("A mistake, and the way back");
    ground.close_the_shop();
    shell.run(ui, "git diff --unified=0 shop | tail -n 2", 2);
    shell.run(
        ui,
        "git commit --quiet -am 'Save some money' && git push --quiet origin main",
        2,
    );
    shell.run(ui, "signet sync shop --namespace=signet-system", 4);
    assert!(
        shell
            .run(ui, "kubectl get deployment wordpress --namespace=shop", 2)
            .contains("0/0")
    );
    ui.say("The shop is closed. Nobody has to remember what it was like before:");
    shell.run(ui, "git revert --no-edit HEAD && git push --quiet origin main", 1);
    shell.run(ui, "signet sync shop --namespace=signet-system", 4);
    shell.run(
        ui,
        "kubectl rollout status deployment/wordpress --namespace=shop --timeout=1m | tail -n 1",
        1,
    );
    assert!(
        shell
            .run(ui, "kubectl get deployment wordpress --namespace=shop", 2)
            .contains("2/2")
    );
    ui.good("rolled back");
}
