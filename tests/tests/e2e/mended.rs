//! What went wrong beside the objects and is made up for later: a kind that cannot be listed, a status that cannot be
//! written, a store that is damaged, a watch on service accounts that breaks, a Sync that is deleted and made again while its
//! worker is busy.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crds::Sync;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use tests::audit::{CONTROLLER, Mark};
use tests::fault_proxy::Fault;
use tests::{Space, Stage, checkpoint, objects, run, wait};

use crate::faults::behind_faults;

/// The API group of the kind that cannot be converted.
const GROUP: &str = "mended.example.com";
/// Objects of each path of the Sync that is made again and again, how many of them are applied at once, and how late the
/// others are.
const MAPS: usize = 120;
const AT_ONCE: usize = 8;
const LATE: Duration = Duration::from_millis(800);

#[test]
fn a_kind_that_cannot_be_listed_stops_nothing_else() {
    run(async {
        let stage = Stage::own().await;
        let apply = |object: &Value| {
            let apply = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
            stage.cluster.kubectl_with(apply, &object.to_string()).ok();
        };
        // It may be watched, and one is stored in a version that has to be converted.
        apply(&json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": "observe-mended", "labels": {"signet.dev/aggregate-to-observe": "true"}},
            "rules": [{"apiGroups": [GROUP], "resources": ["*"], "verbs": ["get", "list", "watch"]}],
        }));
        apply(&definition(&json!({"strategy": "None"})));
        let team = stage.space("unlistable");
        team.make_platform();
        let crd = format!("customresourcedefinition/gadgets.{GROUP}");
        stage
            .cluster
            .kubectl(["wait", &crd, "--for=condition=Established"])
            .ok();
        wait::poll("the kind to be served", || async {
            let old = json!({"apiVersion": format!("{GROUP}/v1"), "kind": "Gadget",
                "metadata": {"name": "old", "namespace": team.name()}});
            let answer = stage.cluster.kubectl_with(["apply", "-f", "-"], &old.to_string());
            if answer.code == 0 {
                Ok(())
            } else {
                Err(answer.to_string())
            }
        })
        .await;
        apply(&definition(&broken()));
        let gadgets = gadgets(&stage, team.name());
        // The API server may let a list wait for a minute before it fails; this is answered at once.
        wait::poll("the conversion to fail", || async {
            match gadgets.get("old").await {
                Err(error) if error.to_string().contains("conversion webhook") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;

        let repo = stage.git.repository(team.name());
        for name in ["one", "two", "three"] {
            repo.write(&format!("app/{name}.yaml"), objects::config_map(name, "1"));
        }
        let gadget = format!("apiVersion: {GROUP}/v2\nkind: Gadget\nmetadata: {{name: new}}\n");
        repo.write("app/gadget.yaml", gadget);
        repo.write(
            "app/web.yaml",
            objects::deployment("web", "web:1", "none").replace("replicas: 1", "replicas: 0"),
        );
        let commit = repo.commit("One of them cannot be listed");
        team.repository("app", &repo).await;
        let began = Instant::now();
        team.sync("app", "app").await;
        let sync = team.failed("app", &commit).await;
        eprintln!(
            "the others were applied after {:.1} s at most",
            began.elapsed().as_secs_f64()
        );
        let status = sync.status.as_ref().unwrap();
        let failed: Vec<_> = status.failures.iter().map(|failure| &*failure.object).collect();
        assert_eq!(
            failed,
            [format!("Gadget.{GROUP} {}/new", team.name())],
            "{status:#?}"
        );
        let kind = format!("Gadget.{GROUP}");
        let named = |sync: &Sync| {
            let warnings = sync.status.iter().flat_map(|status| &status.warnings);
            warnings
                .filter(|said| said.object == kind && said.message.contains("cannot be watched"))
                .count()
                == 1
        };
        team.until("app", "the kind to be named", named).await;
        for name in ["one", "two", "three"] {
            let _: ConfigMap = team.api().get(name).await.unwrap();
        }
        // What can be watched is, and repaired.
        let delete = ["delete", "configmap", "two"];
        team.repaired("two", &delete, |_: &ConfigMap| true).await;

        // Mended without a commit.
        apply(&definition(&json!({"strategy": "None"})));
        team.applied("app", &commit).await;
        team.until("app", "the kind to be named no more", |sync: &Sync| !named(sync))
            .await;
        gadgets.get("new").await.expect("it is made");
        // And its watch is back: what somebody deletes comes again, and nobody asks.
        let before = gadgets.get("new").await.unwrap().metadata.uid;
        gadgets.delete("new", &DeleteParams::default()).await.unwrap();
        wait::poll("the object to be made again", || async {
            match gadgets.get_opt("new").await {
                Ok(Some(object)) if object.metadata.uid != before => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        team.keep();
    });
}

#[test]
fn a_status_that_could_not_be_written_is_written_later() {
    run(async {
        let (stage, faults) = behind_faults().await;
        let team = stage.space("unsaid");
        let repo = stage.git.repository(team.name());
        let mut commit = repo
            .write("app/map.yaml", objects::config_map("map", "0"))
            .commit("Begin");
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        team.applied("app", &commit).await;
        let refuse = |code| Fault::Refuse {
            code,
            retry_after: None,
        };
        for (round, fault) in [refuse(403), refuse(503), Fault::CutRequest]
            .into_iter()
            .enumerate()
        {
            let (before, last) = (faults.faults(), commit);
            let status = format!("/namespaces/{}/syncs/app/status", team.name());
            faults.set(move |asked| (asked.writes() && asked.path.ends_with(&status)).then_some(fault));
            let value = (round + 1).to_string();
            commit = repo
                .write("app/map.yaml", objects::config_map("map", &value))
                .commit(&value);
            team.until("map", "the new value", |map: &ConfigMap| holds(map, &value))
                .await;
            wait::poll("the status to be tried twice", || async {
                match faults.faults() - before {
                    0 | 1 => Err("not yet".to_owned()),
                    _ => Ok(()),
                }
            })
            .await;
            let sync: Sync = team.api().get("app").await.unwrap();
            assert_eq!(objects::applied(&sync), last, "{fault:?}: it was written");
            faults.clear();
            let calm = Instant::now();
            let sync = team.applied("app", &commit).await;
            eprintln!(
                "{fault:?}: said {:.1} s after it could be",
                calm.elapsed().as_secs_f64()
            );
            assert!(sync.status.unwrap().failures.is_empty());
        }
        team.keep();
    });
}

#[test]
fn a_store_that_is_damaged_is_built_anew_and_read_from_then_on() {
    run(async {
        let stage = Stage::own().await;
        let team = stage.space("damaged");
        let repo = stage.git.repository(team.name());
        for path in ["one", "two"] {
            repo.write(&format!("{path}/map.yaml"), objects::config_map(path, "1"));
        }
        let commit = repo.commit("Begin");
        // Nobody looks at the remote by himself before the test is over.
        team.repository_with("app", &repo, |spec| spec.interval = "1h".into())
            .await;
        team.sync("one", "one").await;
        team.applied("one", &commit).await;

        // What was not read yet cannot be any more.
        let stores = stage.controller.data_dir().join("repositories");
        let packs = files(&stores, "pack");
        assert!(!packs.is_empty(), "there is none below {}", stores.display());
        for pack in &packs {
            spoil(pack);
        }
        team.sync("two", "two").await;
        team.applied("two", &commit).await;
        let map: ConfigMap = team.api().get("two").await.unwrap();
        assert!(holds(&map, "1"));
        assert_ne!(files(&stores, "pack"), packs, "the store is another one");
        // Those that had read it before go on.
        let delete = ["delete", "configmap", "one"];
        team.repaired("one", &delete, |map: &ConfigMap| holds(map, "1"))
            .await;
        team.keep();
    });
}

#[test]
fn a_broken_watch_on_service_accounts_is_not_believed_and_heals() {
    run(async {
        let (stage, faults) = behind_faults().await;
        let team = stage.space("accounts");
        let repo = stage.git.repository(team.name());
        let write = |value: &str| {
            repo.write("app/map.yaml", objects::config_map("map", value))
                .commit(value)
        };
        let commit = write("0");
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        team.applied("app", &commit).await;
        // How often the controller asked for the account since then.
        let asked = |mark: Mark| {
            let requests = stage.cluster.audit().by_controller(mark).into_iter();
            requests
                .filter(|request| request.verb == "get" && request.resource == "serviceaccounts")
                .count()
        };

        // Neither listed nor watched: the account goes, and nobody tells.
        let before = faults.faults();
        faults.set(|asked| {
            let refused = Fault::Refuse {
                code: 503,
                retry_after: None,
            };
            (asked.path == "/api/v1/serviceaccounts").then_some(refused)
        });
        faults.cut_watches();
        wait::poll("the watch to be seen broken", || async {
            if faults.faults() > before {
                Ok(())
            } else {
                Err("it is not".to_owned())
            }
        })
        .await;
        team.kubectl(["delete", "serviceaccount", objects::DEPLOYER]).ok();
        let commit = write("1");
        team.until("app", "the account to be missed", |sync: &Sync| {
            objects::message(sync, "Ready").starts_with("There is no service account")
        })
        .await;
        let map: ConfigMap = team.api().get("map").await.unwrap();
        assert!(holds(&map, "0"), "nothing is applied as nobody: {map:?}");
        // It comes back, and still nobody tells.
        team.kubectl(["create", "serviceaccount", objects::DEPLOYER]).ok();
        team.applied("app", &commit).await;

        // Once the watch is back, nobody has to ask.
        faults.clear();
        let mut value = 1;
        wait::poll("a pass that does not ask for the account", || {
            value += 1;
            let (mark, commit) = (stage.cluster.audit().mark(), write(&value.to_string()));
            let (team, asked) = (&team, &asked);
            async move {
                team.applied("app", &commit).await;
                match asked(mark) {
                    0 => Ok(()),
                    count => Err(format!("it was asked for {count} times")),
                }
            }
        })
        .await;
        team.keep();
    });
}

#[test]
fn two_syncs_of_one_name_never_work_at_once() {
    run(async {
        let (mut stage, faults) = behind_faults().await;
        let team = stage.space("twice");
        let repo = stage.git.repository(team.name());
        for path in ["one", "two"] {
            let maps: Vec<_> = (0..MAPS)
                .map(|n| objects::config_map(&format!("{path}-{n}"), "1"))
                .collect();
            repo.write(&format!("{path}/maps.yaml"), maps.join("---\n"));
        }
        let commit = repo.commit("Begin");
        team.repository_with("app", &repo, |spec| spec.interval = "1h".into())
            .await;
        team.fetched("app", &commit).await;
        let begin = stage.cluster.audit().mark();
        let mut written = stage.cluster.audit().tail(begin);
        let mut last = String::new();
        for path in ["one", "two", "one", "two"] {
            if !last.is_empty() {
                team.api::<Sync>()
                    .delete("app", &DeleteParams::default())
                    .await
                    .unwrap();
            }
            // The first few are written at once, and the worker is in the middle of the rest when its Sync goes.
            let (sent, prefix) = (AtomicUsize::new(0), format!("/configmaps/{path}-"));
            faults.set(move |asked| {
                let late = asked.path.contains(&prefix) && sent.fetch_add(1, Ordering::Relaxed) >= AT_ONCE;
                late.then_some(Fault::Delay(LATE))
            });
            again(&team, path).await;
            path.clone_into(&mut last);
            wait::poll("the new one to begin", || {
                let begun = written
                    .by_controller()
                    .iter()
                    .any(|r| r.verb == "patch" && r.name.starts_with(path));
                async move { if begun { Ok(()) } else { Err("not yet".to_owned()) } }
            })
            .await;
        }
        faults.clear();
        team.applied("app", &commit).await;

        // Each Sync's objects in one stretch: nothing of the one before comes after the first of the next.
        let requests = stage.cluster.audit().since(begin, CONTROLLER);
        let applied = requests
            .iter()
            .filter(|r| r.verb == "patch" && r.resource == "configmaps");
        let mut stretches: Vec<(&str, usize)> = Vec::new();
        for request in applied {
            let path = request.name.split('-').next().unwrap_or_default();
            match stretches.last_mut() {
                Some((known, count)) if *known == path => *count += 1,
                _ => stretches.push((path, 1)),
            }
        }
        eprintln!("applied: {stretches:?}");
        let order: Vec<_> = stretches.iter().map(|(path, _)| *path).collect();
        assert_eq!(order, ["one", "two", "one", "two"]);
        assert!(
            stretches[..3].iter().any(|(_, count)| *count < MAPS),
            "each was over before the next came"
        );

        // The last one owns its objects and nothing else.
        let name = team.keep();
        assert!(stage.controller.stop().success());
        let records = checkpoint::of(&stage.cluster, &format!("{name}/app")).await;
        assert_eq!(records.len(), MAPS);
        assert!(
            records.keys().all(|key| key.name.starts_with("two-")),
            "{records:?}"
        );
    });
}

fn holds(map: &ConfigMap, value: &str) -> bool {
    let data = map.data.as_ref();
    data.and_then(|data| data.get("value"))
        .is_some_and(|found| found == value)
}

/// The files below a directory that end so.
fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|end| end == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Turns all bits of a pack's objects, in place: whoever has it open sees that.
fn spoil(pack: &Path) {
    fs::set_permissions(pack, PermissionsExt::from_mode(0o600)).unwrap();
    let bytes: Vec<u8> = fs::read(pack).unwrap().iter().map(|byte| !byte).collect();
    let file = OpenOptions::new().write(true).open(pack).unwrap();
    file.write_all_at(&bytes[12..], 12).unwrap();
}

/// Creates the Sync `app` as soon as its name is free.
async fn again(team: &Space<'_>, path: &str) {
    let spec = crds::SyncSpec::new("app", path, objects::DEPLOYER);
    let syncs = team.api::<Sync>();
    wait::poll("the name to be free", || async {
        let sync = Sync::new("app", spec.clone());
        syncs
            .create(&PostParams::default(), &sync)
            .await
            .map_err(|error| error.to_string())
    })
    .await;
}

fn gadgets(stage: &Stage, namespace: &str) -> Api<DynamicObject> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, "v2", "Gadget"));
    Api::namespaced_with(stage.cluster.client(), namespace, &kind)
}

/// A webhook that nobody answers for.
fn broken() -> Value {
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    json!({"strategy": "Webhook", "webhook": {
        "conversionReviewVersions": ["v1"], "clientConfig": {"url": format!("https://{closed}/")},
    }})
}

fn definition(conversion: &Value) -> Value {
    let version = |name: &str, storage: bool| json!({"name": name, "served": true, "storage": storage, "schema": {"openAPIV3Schema": {"type": "object"}}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("gadgets.{GROUP}")},
        "spec": {
            "group": GROUP, "scope": "Namespaced", "conversion": conversion,
            "names": {"kind": "Gadget", "plural": "gadgets", "singular": "gadget"},
            "versions": [version("v1", true), version("v2", false)],
        },
    })
}
