//! What a rotation of sealing keys says, everywhere: its status, events, metrics and log, its commits, the archives, and the
//! command line. Nothing of it holds a value, a key or a credential.

use crds::RotationPhase;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use sealing::v2::{Identity, Suite};
use serde_json::json;
use tests::{Cluster, ClusterRef, ControllerOptions, Stage, objects, run};

use super::sinks::{self, Capture, Sink};
use super::values::{Class, Values};
use super::verdict;
use crate::native::{published, seal};
use crate::rotation_world::{HOME, gone, keys, phase, rotate, target_with, until};

#[test]
fn a_rotation_leaves_no_secret_anywhere() {
    run(async {
        let cluster = Cluster::own().await;
        let mut options = ControllerOptions::for_tests(&cluster);
        options.environment.push(("RUST_LOG".into(), "trace".into()));
        let (home, audit) = (options.home.clone(), cluster.data_dir().join("audit.log"));
        let mut stage = Stage::on(ClusterRef::Own(Box::new(cluster)), options).await;
        let mut values = Values::default();
        let mut captures = Vec::new();

        let team = stage.space("leak-rotation");
        let repo = stage.git.repository(team.name());
        let v1 = objects::secret(team.name(), "v1", &[("a", &values.sealed("rotated, v1"))]);
        repo.write("app/v1.json", stage.seal(&v1));
        let v2 = objects::secret(team.name(), "v2", &[("a", &values.sealed("rotated, v2"))]);
        let v2 = seal(&v2, &published(&stage).await, sealing::Scope::Strict);
        repo.write("app/v2.json", v2.to_string());
        let commit = repo.commit("Begin");
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        team.applied("app", &commit).await;
        // One that no key opens, which no Sync reads.
        let moved = objects::secret(team.name(), "moved", &[("a", &values.sealed("rotated, closed"))]);
        repo.write(
            "other/moved.json",
            stage.seal(&moved).replace("\"moved\"", "\"removed\""),
        )
        .commit("A value that does not open");

        let old = keys(&stage).await;
        for secret in &old.secrets {
            for (field, bytes) in secret.data.iter().flatten() {
                let text = String::from_utf8(bytes.0.clone()).unwrap();
                match field.as_str() {
                    "identity" => {
                        let line = text.lines().find(|line| line.starts_with("AGE-SECRET")).unwrap();
                        values.text("old key, v2", Class::Sealed, line.to_owned());
                    }
                    "tls.key" => {
                        let line = text.lines().nth(7).unwrap();
                        values.text("old key, v1", Class::Sealed, line.to_owned());
                    }
                    _ => {}
                }
            }
        }
        let recovery = Identity::generate(Suite::X25519).unwrap();
        values.text("recovery key", Class::Sealed, recovery.to_text().to_string());
        let login = json!({"username": "signet", "password": values.sealed("push password")});
        let reseal = [target_with(&stage, team.name(), "app", "push", &login)];
        let retire =
            json!({"grace": "0s", "when": "Confirmed", "recipients": [recovery.recipient().to_string()]});
        rotate(&stage, "spring", &json!({"reseal": reseal, "retire": retire}));
        let rotation = phase(&stage, "spring", RotationPhase::AwaitingConfirmation).await;
        captures.extend(said(&stage));
        captures.extend(sinks::objects(&stage.cluster, &[team.name(), HOME]).await);
        captures.extend(sinks::replies(&stage.controller).await);
        let ids: Vec<_> = rotation
            .status
            .unwrap()
            .old_keys
            .iter()
            .map(|key| key.id.clone())
            .collect();
        let confirm = json!({"spec": {"retire": {"confirmed": ids}}}).to_string();
        let patch = [
            "-n",
            HOME,
            "patch",
            "keyrotation",
            "spring",
            "--type=merge",
            "-p",
            &confirm,
        ];
        stage.cluster.kubectl(patch).ok();
        phase(&stage, "spring", RotationPhase::Complete).await;
        let done = until(&stage, "spring", "to name the archives", |rotation| {
            let keys = &rotation.status.as_ref().unwrap().old_keys;
            keys.iter().all(|key| !key.archive.is_empty())
        })
        .await;
        gone(&stage, &old).await;
        captures.extend(said(&stage));

        // The archives, file and all.
        let secrets: Api<Secret> = Api::namespaced(stage.cluster.client(), HOME);
        for key in &done.status.as_ref().unwrap().old_keys {
            let archive = secrets.get(&key.archive).await.unwrap();
            for (field, bytes) in archive.data.iter().flatten() {
                captures.push(Capture::new(
                    Sink::Object,
                    format!("{} {field}", key.archive),
                    bytes.0.clone(),
                ));
            }
            let metadata = serde_json::to_string(&archive.metadata).unwrap();
            captures.push(Capture::new(Sink::Object, key.archive.clone(), metadata));
        }
        captures.extend(sinks::objects(&stage.cluster, &[team.name(), HOME]).await);
        captures.extend(sinks::replies(&stage.controller).await);
        team.keep();
        captures.extend(sinks::process(stage.controller.process().id(), &[&home]));
        assert!(stage.controller.stop().success(), "it ends in order");
        // The remote, commits and all, and what the controller has on its disk.
        captures.extend(sinks::git_stores(repo.bare()));
        captures.extend(sinks::git_stores(&home.join("data")));
        captures.extend(sinks::read(Sink::File, &home.join("addresses.json")));
        captures.push(Capture::new(Sink::Log, "controller.log", stage.controller.log()));
        captures.extend(sinks::audit(&audit).0);
        verdict::judge(values.all(), &captures, None);
    });
}

/// What the command line and kubectl say of it.
fn said(stage: &Stage) -> Vec<Capture> {
    let status = |more: &[&str]| {
        let arguments = ["rotation", "status", "spring"]
            .into_iter()
            .chain(more.iter().copied());
        sinks::printed(&stage.cluster.signet(arguments, ""))
    };
    let kubectl = |arguments: &[&str]| {
        let arguments = ["-n", HOME].into_iter().chain(arguments.iter().copied());
        sinks::printed(&stage.cluster.kubectl(arguments))
    };
    vec![
        status(&[]),
        status(&["--output", "json"]),
        kubectl(&["get", "keyrotations", "-o", "wide"]),
        kubectl(&["describe", "keyrotation", "spring"]),
        kubectl(&["get", "events.events.k8s.io", "-o", "yaml"]),
    ]
}
