//! A rotation from the first to the last phase: in Git and in the cluster, while others go on committing.
//!
//! `SIGNET_ROTATION_FILES=50` has so many files, of two SealedSecrets each, in each of three Repositories.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crds::{LocalReference, RotationPhase};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{Patch, PatchParams};
use sealing::v2::{Identity, Suite};
use serde_json::json;
use tests::tls::Tls;
use tests::{Repo, Space, Stage, command, http, objects, run, wait};

use crate::native::published;
use crate::rotation_world::{
    HOME, address, begin, begin_with, commits, files, git, gone, keys, masked, opened, phase, pull, rotate,
    said, target, target_with, versions, write,
};
use crate::ssh::server::{Keys, Setup};
use crate::ssh::{credentials, known};

/// Files in each Repository by default.
const FILES: usize = 2;

#[test]
fn a_rotation_seals_everything_again_and_the_old_keys_are_gone() {
    let count = std::env::var("SIGNET_ROTATION_FILES").map_or(FILES, |count| count.parse().unwrap());
    run(async {
        let stage = Stage::own().await;
        // One over http, one over https, one over SSH.
        let tls = Tls::start(stage.git.address()).await;
        let ssh = Keys::new();
        ssh.make("host", "ed25519", "").make("deploy", "ed25519", "");
        let server = Setup::default()
            .host_key(&ssh, "host")
            .authorize(&ssh, "deploy")
            .start(&stage.cluster.home().join("git/remotes"));
        let over_ssh = json!({"identity": ssh.text("deploy"), "known_hosts": known(&ssh, &server, "host")});
        let over_https = json!({"username": "signet", "password": "push-right", "ca.crt": tls.authority()});
        let deploy = || {
            Some(LocalReference {
                name: "deploy".into(),
            })
        };
        let remote = |repo: &Repo| repo.bare().file_name().unwrap().to_str().unwrap().to_owned();
        let worlds = [
            begin(&stage, "rotated-a", count).await,
            begin_with(&stage, "rotated-b", count, |team, repo, spec| {
                credentials(team, &over_https);
                spec.url = format!("{}/{}", tls.url(), remote(repo));
                spec.secret_ref = deploy();
            })
            .await,
            begin_with(&stage, "rotated-c", count, |team, repo, spec| {
                credentials(team, &over_ssh);
                spec.url = server.url().replace("repo.git", &remote(repo));
                spec.secret_ref = deploy();
            })
            .await,
        ];
        // A workload that reads Secrets, and is rolled when one changes.
        for (team, repo) in &worlds {
            let restart = json!({"spec": {"restartOnSecretChange": true}});
            team.api::<crds::Sync>()
                .patch("app", &PatchParams::default(), &Patch::Merge(restart))
                .await
                .unwrap();
            repo.write(
                "app/reader.yaml",
                objects::deployment("reader", "nginx:1", "v1-0"),
            );
            let commit = repo.commit("A workload");
            team.sent("app", &commit).await;
        }
        let old = keys(&stage).await;
        let cert = http::get(&stage.controller.certificate_url()).await.unwrap().body;
        let mut before = Vec::new();
        for (team, repo) in &worlds {
            let (open, all) = opened(repo, team.name(), &old);
            assert_eq!((open, all), (3 * count, 3 * count));
            before.push((
                versions(team).await,
                git(repo, &["rev-parse", "main"]).trim().to_owned(),
                rolled(team).await,
            ));
        }
        // Somebody goes on working, from another clone.
        let stop = Arc::new(AtomicBool::new(false));
        let busy = worlds[0].1.clone();
        let stopped = Arc::clone(&stop);
        let (namespace, certificate) = (worlds[0].0.name().to_owned(), stage.controller.certificate_url());
        let work = tokio::task::spawn_blocking(move || {
            let mut number = 0;
            while !stopped.load(Ordering::Relaxed) {
                number += 1;
                busy.write("notes.txt", format!("{number}\n"));
                // With kubeseal, for the certificate that is published now.
                let secret = objects::secret(&namespace, &format!("new-{number}"), &[("a", "b")]);
                let mut kubeseal = command::kubeseal();
                kubeseal.arg("--cert").arg(&certificate);
                let sealed = command::run(kubeseal, secret.to_string().as_bytes()).ok();
                busy.write(&format!("app/new-{number}.json"), sealed);
                busy.commit_only(&format!("Note {number}"));
                // As people do: pull and push until it goes.
                loop {
                    let mut push = tests::git::git(busy.work());
                    push.args(["push", "--quiet", "origin", "HEAD"]);
                    if command::run(push, b"").code == 0 {
                        break;
                    }
                    pull(&busy);
                }
                std::thread::sleep(Duration::from_millis(200));
            }
            number
        });

        let recovery = Identity::generate(Suite::X25519).unwrap();
        let reseal = [
            target(&stage, worlds[0].0.name(), "app"),
            target_with(&stage, worlds[1].0.name(), "app", "push-https", &over_https),
            target_with(&stage, worlds[2].0.name(), "app", "push-ssh", &over_ssh),
        ];
        for (target, scheme) in reseal.iter().zip(["http://", "https://", "ssh://"]) {
            assert!(target["url"].as_str().unwrap().starts_with(scheme), "{target}");
        }
        let started = Instant::now();
        rotate(
            &stage,
            "spring",
            &json!({"reseal": reseal, "retire": {"grace": "1s", "recipients": [recovery.recipient().to_string()]}}),
        );
        let rotation = phase(&stage, "spring", RotationPhase::Complete).await;
        eprintln!("{} values in {:?}", 9 * count, started.elapsed());
        stop.store(true, Ordering::Relaxed);
        let notes = work.await.unwrap();
        eprintln!("{notes} commits came meanwhile");

        let status = rotation.status.as_ref().unwrap();
        assert_eq!(status.blocked, 0, "{status:#?}");
        assert_eq!((status.new_keys.len(), status.old_keys.len()), (2, 2));
        gone(&stage, &old).await;
        for (index, ((team, repo), (versions_before, head, rolled_before))) in
            worlds.iter().zip(&before).enumerate()
        {
            // What kubeseal has sealed meanwhile is in the first.
            let more = if index == 0 { notes } else { 0 };
            let commit = pull(repo);
            team.sent("app", &commit).await;
            let versions_now = versions(team).await;
            for (name, version) in versions_before {
                assert_eq!(versions_now.get(name), Some(version), "{name} was written");
            }
            assert_eq!(versions_now.len(), versions_before.len() + more);
            assert_eq!(*rolled_before, rolled(team).await, "no workload was rolled");
            assert_eq!(opened(repo, team.name(), &old).0, 0, "the old keys open nothing");
            let all = opened(repo, team.name(), &keys(&stage).await);
            assert_eq!(
                all,
                (3 * count + more, 3 * count + more),
                "the new ones open everything"
            );
            let ours = commits(repo, "main");
            // Once more only for what was sealed for the old certificate after that.
            assert!(
                ours.len() == 1 || (index == 0 && !ours.is_empty()),
                "{} commits",
                ours.len()
            );
            let mut changed = 0;
            for commit in &ours {
                // Nothing but sealed values and recipients differs.
                let parent = format!("{commit}~1");
                let names = git(repo, &["diff", "--name-only", &parent, commit]);
                assert!(names.lines().all(|name| name.starts_with("app/")), "{names}");
                changed += names.lines().count();
                let (then, now) = (files(repo, &parent), files(repo, commit));
                for (name, text) in &then {
                    assert_eq!(masked(text), masked(&now[name]), "{name}");
                }
                assert_eq!(then.len(), now.len());
            }
            assert!((count..=count + more).contains(&changed), "{changed} files");
            let known = status
                .repositories
                .iter()
                .find(|known| known.namespace == team.name())
                .unwrap();
            assert_eq!(known.commit, ours[0]);
            assert!(index == 0 || known.values == 3 * count as u64, "{known:#?}");
            assert!(git(repo, &["merge-base", "--is-ancestor", head, "main"]).is_empty());
            // In words: what a revert would bring back. What others had committed since may be fetched with ours.
            let words = said(&rotation, "Retired");
            let range = (&known.last_needing, &known.first_clean);
            let among = git(repo, &["rev-list", &format!("{}..{}", range.0, range.1)]);
            assert!(among.lines().any(|commit| commit == ours[0]), "{known:#?}");
            assert_eq!(known.last_needing, known.base);
            let range = format!("{}..{}", &range.0[..12], &range.1[..12]);
            assert!(
                words.contains(&format!("`git revert` of a commit of {range} ")),
                "{words}"
            );
        }
        // The archive opens with the recovery key alone, and holds the keys.
        let secrets: Api<Secret> = Api::namespaced(stage.cluster.client(), HOME);
        let identity = stage.cluster.home().join("recovery.txt");
        std::fs::write(&identity, recovery.to_text().as_bytes()).unwrap();
        for key in &status.old_keys {
            assert!(key.retired && !key.archive.is_empty(), "{key:?}");
            let archive = secrets.get(&key.archive).await.unwrap();
            let file = stage.cluster.home().join(format!("{}.age", key.archive));
            std::fs::write(&file, &archive.data.unwrap()["key.age"].0).unwrap();
            let said = stage.cluster.signet(
                [
                    "keys",
                    "restore",
                    file.to_str().unwrap(),
                    "--identity",
                    identity.to_str().unwrap(),
                    "--dry-run",
                ],
                "",
            );
            assert!(said.code == 0 && said.stderr.contains(&key.secret), "{said}");
        }
        // Another certificate is published, and kubeseal seals for it.
        let new = http::get(&stage.controller.certificate_url()).await.unwrap().body;
        assert_ne!(new, cert);
        let (team, repo) = &worlds[2];
        pull(repo);
        let secret = objects::secret(team.name(), "later", &[("a", "b")]);
        let pem = stage.cluster.home().join("new.pem");
        std::fs::write(&pem, new).unwrap();
        let mut kubeseal = command::kubeseal();
        kubeseal.arg("--cert").arg(&pem);
        let sealed = command::run(kubeseal, secret.to_string().as_bytes()).ok();
        let commit = repo.write("app/later.json", sealed).commit("Later");
        team.sent("app", &commit).await;
        assert!(!published(&stage).await.key_ids().is_empty());
        // A controller that is asked again has nothing more to do.
        assert_eq!(commits(repo, "main").len(), 1);
        let log = stage.controller.log();
        for secret in ["one-0", "two-0", "push-right", "AGE-SECRET-KEY", "PRIVATE KEY"] {
            assert!(!log.contains(secret), "the log holds {secret}");
        }
        let text = serde_json::to_string(&rotation).unwrap();
        assert!(!text.contains("one-0") && !text.contains("push-right"));
        wait::throughout(Duration::from_secs(2), || async {
            if commits(repo, "main").len() == 1 {
                Ok(())
            } else {
                Err("it goes on committing".into())
            }
        })
        .await;
    });
}

/// What a workload's pods are made from, and how often that was changed.
async fn rolled(team: &Space<'_>) -> (Option<i64>, String) {
    let found: Deployment = team.api().get("reader").await.unwrap();
    let template = serde_json::to_string(&found.spec.unwrap().template).unwrap();
    (found.metadata.generation, template)
}

#[test]
fn over_ssh_the_commit_is_pushed_with_another_key_and_signed() {
    run(async {
        let stage = Stage::own().await;
        let team = stage.space("rotated-ssh");
        let repo = stage.git.repository(team.name());
        write(&stage, &repo, team.name(), 0).await;
        let commit = repo.commit("Begin");
        let ssh = Keys::new();
        ssh.make("host", "ed25519", "")
            .make("deploy", "ed25519", "")
            .make("push", "ed25519", "correct horse")
            .make("sign", "ed25519", "battery staple");
        let server = Setup::default()
            .host_key(&ssh, "host")
            .authorize(&ssh, "deploy")
            .authorize(&ssh, "push")
            .start(repo.bare().parent().unwrap());
        let name = repo.bare().file_name().unwrap().to_str().unwrap().to_owned();
        let known_hosts = known(&ssh, &server, "host");
        credentials(
            &team,
            &json!({"identity": ssh.text("deploy"), "known_hosts": known_hosts}),
        );
        team.repository_with("app", &repo, |spec| {
            spec.url = server.url().replace("repo.git", &name);
            spec.secret_ref = Some(crds::LocalReference {
                name: "deploy".into(),
            });
        })
        .await;
        team.sync("app", "app").await;
        team.applied("app", &commit).await;
        let secret = |name: &str, data: serde_json::Value| {
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": HOME},
                "stringData": data})
        };
        let secrets = objects::list(&[
            secret(
                "push",
                json!({"identity": ssh.text("push"), "password": "correct horse", "known_hosts": known_hosts}),
            ),
            secret(
                "sign",
                json!({"identity": ssh.text("sign"), "password": "battery staple"}),
            ),
        ]);
        stage
            .cluster
            .kubectl_with(["apply", "--server-side", "-f", "-"], &secrets.to_string())
            .ok();
        let old = keys(&stage).await;
        rotate(
            &stage,
            "spring",
            &json!({"reseal": [{"namespace": team.name(), "name": "app", "pushSecretRef": {"name": "push"},
                "url": address(&stage, team.name(), "app"), "signingSecretRef": {"name": "sign"}, "message": "Change the keys",
                "author": {"name": "Signet of the team", "email": "signet@example.org"}}]}),
        );
        phase(&stage, "spring", RotationPhase::Complete).await;
        gone(&stage, &old).await;
        assert_eq!(opened(&repo, team.name(), &keys(&stage).await), (3, 3));
        let line = git(&repo, &["log", "-1", "--format=%an <%ae> %s", "main"]);
        assert_eq!(line, "Signet of the team <signet@example.org> Change the keys\n");
        let allowed = stage.cluster.home().join("allowed");
        std::fs::write(&allowed, format!("signet@example.org {}", ssh.public("sign"))).unwrap();
        let file = format!("gpg.ssh.allowedSignersFile={}", allowed.display());
        git(&repo, &["-c", &file, "verify-commit", "main"]);
        let log = stage.controller.log();
        for word in ["correct horse", "battery staple", "PRIVATE KEY"] {
            assert!(!log.contains(word), "the log holds {word}");
        }
    });
}
