//! SealedSecret objects of some namespaces, by a controller that has rights over Secrets in those alone.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use tests::{Cluster, ClusterRef, Controller, ControllerOptions, GitServer, Stage, objects, run, wait};

use crate::sealed_support::Sealed;

const ACCOUNT: &str = "signet-system:signet-controller";

/// Cluster-wide rights are taken away, so it is a cluster of its own.
#[test]
fn some_namespaces_need_rights_in_those_alone() {
    run(async {
        let cluster = Cluster::own().await;
        for gone in [
            ["clusterrolebinding", "signet-sealed-secrets"],
            ["clusterrole", "signet-observe-secrets"],
        ] {
            cluster.kubectl(["delete", gone[0], gone[1]]).ok();
        }
        let options = ControllerOptions::for_tests(&cluster);
        let mut stage = Stage {
            controller: Controller::start(&cluster, options).await,
            git: GitServer::start(&cluster.home().join("git")).await,
            cluster: ClusterRef::Own(Box::new(cluster)),
        };
        let spaces = ["sn-one", "sn-two", "sn-bare", "sn-other"].map(|name| stage.space(name).keep());
        let [one, two, bare, other] = spaces;
        for namespace in [&one, &two] {
            let account = format!("--serviceaccount={ACCOUNT}");
            let role = "--clusterrole=signet-sealed-secrets";
            stage
                .cluster
                .kubectl(["-n", namespace, "create", "rolebinding", "signet", role, &account])
                .ok();
        }
        let who = format!("system:serviceaccount:{ACCOUNT}");
        for (namespace, verb, allowed) in [
            (&one, "list", true),
            (&two, "patch", true),
            (&bare, "list", false),
            (&other, "list", false),
        ] {
            wait::poll("the rights to be as they were made", || async {
                let asks = ["auth", "can-i", verb, "secrets", "-n", namespace, "--as", &who];
                let answer = stage.cluster.kubectl(asks);
                if (answer.code == 0) == allowed {
                    Ok(())
                } else {
                    Err(answer.to_string())
                }
            })
            .await;
        }
        // One of those that are named has no binding: it stops no other.
        stage.controller.stop();
        let mut options = ControllerOptions::for_tests(&stage.cluster);
        options
            .arguments
            .push(format!("--sealed-secrets={one},{two},{bare}"));
        stage.controller = Controller::start(&stage.cluster, options).await;

        let on = Sealed::on(&stage, "sn-seal").await;
        let create = |namespace: &str| {
            let sealed = on.seal(&objects::secret(namespace, "db", &[("a", namespace)]));
            stage
                .cluster
                .kubectl_with(["create", "-f", "-"], &sealed.to_string())
                .ok();
        };
        for namespace in [&other, &bare, &one, &two] {
            create(namespace);
        }
        for namespace in [&one, &two] {
            let team = stage.space_of(namespace);
            let holds = |secret: &Secret| {
                secret
                    .data
                    .iter()
                    .flatten()
                    .any(|(_, value)| value.0 == namespace.as_bytes())
            };
            team.until("db", "the Secret to be there", holds).await;
            // Kept up as well: what deletes it meets the watch of this namespace.
            team.kubectl(["delete", "secret", "db"]).ok();
            team.until("db", "the Secret to be there again", holds).await;
            let _ = team.keep();
        }
        wait::throughout(Duration::from_secs(2), || async {
            for namespace in [&bare, &other] {
                let found = stage.cluster.kubectl(["-n", namespace, "get", "secret", "db"]);
                if found.code == 0 {
                    return Err(format!("a Secret was made in {namespace}"));
                }
            }
            Ok(())
        })
        .await;
        let _ = on.team.keep();
    });
}
