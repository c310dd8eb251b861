//! The same SealedSecrets, for the same key, opened by the real sealed-secrets controller and then by Signet.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use serde_json::Value;
use tests::Cluster;
use tests::audit::{self, Mark};

use super::sealed;
use crate::follow::Follow;
use crate::ground::Ground;
use crate::numbers::count;
use crate::objects;
use crate::process::{self, Machine};
use crate::report::Report;
use tests::bitnami::{Bitnami, Running, USER};

const CASE: &str = "bitnami";
const NAMESPACE: &str = "bitnami";
/// Who has sent nothing for so long is done.
const SILENCE: Duration = Duration::from_secs(3);

pub(super) async fn measure(secrets: usize, report: &mut Report) {
    report.say("starting a cluster for sealed-secrets and Signet");
    let mut ground = Ground::start(Cluster::own().await).await;
    let key = sealing_key(&ground.cluster);
    let sealed = sealed_objects(&ground, secrets);
    assert!(ground.controller.stop().success(), "the controller ends in order");

    let cluster = &ground.cluster;
    let bitnami = Bitnami::install(cluster, &key);
    cluster.kubectl(["create", "namespace", NAMESPACE]).ok();
    report.say("creating the SealedSecret objects");
    cluster
        .kubectl_with(["create", "--namespace", NAMESPACE, "-f", "-"], &sealed)
        .ok();

    report.say("sealed-secrets, fresh");
    let follow = Follow::start::<Secret>(
        ground.client.clone(),
        NAMESPACE,
        objects::expected_secrets(secrets),
    );
    let (mark, machine) = (cluster.audit().mark(), Machine::now());
    let running = bitnami.start().await;
    let live = follow.all_good().await;
    let seconds = live.duration_since(running.ready).as_secs_f64();
    report.add_with(
        CASE,
        "sealed-secrets: ready → live",
        seconds,
        "s",
        format!(
            "{secrets} SealedSecrets of 2 values that were there before it started; RSA 4096; no rate limit"
        ),
    );
    let begun = running.ready.duration_since(running.started).as_secs_f64();
    report.add(CASE, "sealed-secrets: started → ready", begun, "s");
    report.add(
        CASE,
        "sealed-secrets: Secrets a second",
        count(secrets) / seconds,
        "/s",
    );
    costs(cluster, "fresh", &running, mark, machine, report).await;
    running.stop();

    report.say("sealed-secrets, started again with nothing changed");
    let (mark, machine) = (cluster.audit().mark(), Machine::now());
    let running = bitnami.start().await;
    costs(cluster, "restart", &running, mark, machine, report).await;
    running.stop();

    // Signet opens SealedSecrets that live in the cluster too: these are not its to open.
    report.say("removing what sealed-secrets made");
    for kind in ["sealedsecrets.bitnami.com", "secrets"] {
        cluster
            .kubectl(["delete", kind, "--all", "--namespace", NAMESPACE])
            .ok();
    }
    drop(follow);
    ground.controller.start_again().await;
    sealed::measure(
        &mut ground,
        ["bitnami: Signet", "bitnami: Signet, restart"],
        secrets,
        report,
    )
    .await;
    super::stop(ground);
}

/// What it did until it had nothing left to do.
async fn costs(
    cluster: &Cluster,
    round: &'static str,
    running: &Running,
    mark: Mark,
    machine: Machine,
    report: &mut Report,
) {
    loop {
        let mark = cluster.audit().mark();
        tokio::time::sleep(SILENCE).await;
        if cluster.audit().since(mark, USER).is_empty() {
            break;
        }
    }
    let requests = cluster.audit().since(mark, USER);
    let fresh = round == "fresh";
    let named = |first, again| if fresh { first } else { again };
    let cpu = process::cpu_seconds(running.pid());
    report.add(
        CASE,
        named(
            "sealed-secrets: CPU, to rest",
            "sealed-secrets, restart: CPU, to rest",
        ),
        cpu,
        "s",
    );
    let what = named(
        "sealed-secrets: control plane CPU",
        "sealed-secrets, restart: control plane CPU",
    );
    let used = machine.used();
    report.add(CASE, what, used.cluster, "s");
    let what = named(
        "sealed-secrets: processors busy with others",
        "sealed-secrets, restart: processors busy with others",
    );
    report.add(CASE, what, used.others, "");
    let what = named("sealed-secrets: peak RSS", "sealed-secrets, restart: peak RSS");
    report.add(CASE, what, process::peak(running.pid()), "MiB");
    let what = named(
        "sealed-secrets: API requests",
        "sealed-secrets, restart: API requests",
    );
    report.add_with(CASE, what, count(requests.len()), "", audit::summary(&requests));
    let writes = requests.iter().filter(|request| request.writes()).count();
    let what = named("sealed-secrets: writes", "sealed-secrets, restart: writes");
    report.add(CASE, what, count(writes), "");
}

/// The data of the key that Signet made, as Bitnami's controller keeps its own.
fn sealing_key(cluster: &Cluster) -> Value {
    let label = "sealedsecrets.bitnami.com/sealed-secrets-key=active";
    let answer = cluster.kubectl([
        "get",
        "secrets",
        "--namespace",
        "signet-system",
        "-l",
        label,
        "-o",
        "json",
    ]);
    let list: Value = serde_json::from_str(&answer.ok()).expect("JSON");
    let data = &list["items"][0]["data"];
    assert!(data["tls.key"].is_string(), "Signet made a key");
    data.clone()
}

fn sealed_objects(ground: &Ground, secrets: usize) -> String {
    let plain: Vec<_> = (0..secrets)
        .map(|index| objects::secret(NAMESPACE, index).to_string())
        .collect();
    let certificate = ground.controller.certificate_url();
    ground
        .cluster
        .signet(
            ["seal", "--cert", &certificate, "--output", "yaml"],
            &plain.join("\n---\n"),
        )
        .ok()
}
