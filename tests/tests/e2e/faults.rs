//! A bad road to the API server: requests that are late, refused or cut off, watches that break. Afterwards everything is as
//! Git has it, nothing was deleted, and there is silence.
//!
//! `SIGNET_FAULTS=long` has each storm last for seconds; `SIGNET_SEED` has the same requests hit again.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures::future::join_all;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;
use tests::audit::{Mark, summary};
use tests::fault_proxy::{Asked, Fault, FaultProxy};
use tests::proxy::Line;
use tests::random::Random;
use tests::{Cluster, ControllerOptions, Repo, Space, Stage, objects, run, wait};

const MAPS: usize = 300;
/// Nothing but watches may be asked for all this time.
const SILENCE: Duration = Duration::from_secs(10);
/// Long enough for the controller to act, were it to know.
const A_WHILE: Duration = Duration::from_secs(2);

/// What goes wrong for a while.
#[derive(Clone, Copy, Debug)]
enum Storm {
    /// One request of two.
    Requests(Fault),
    /// Every request, and every watch breaks.
    Everything(Fault),
    /// The line itself.
    Line(Line),
}

const STORMS: [Storm; 8] = [
    Storm::Requests(Fault::Delay(Duration::from_millis(200))),
    Storm::Requests(UNAVAILABLE),
    Storm::Requests(Fault::Refuse {
        code: 429,
        retry_after: Some(1),
    }),
    Storm::Requests(Fault::CutAnswer),
    Storm::Requests(Fault::CutRequest),
    Storm::Everything(Fault::Refuse {
        code: 503,
        retry_after: Some(1),
    }),
    Storm::Line(Line::Reset),
    Storm::Line(Line::Silent),
];

const UNAVAILABLE: Fault = Fault::Refuse {
    code: 503,
    retry_after: None,
};

/// How a watch that goes on where it was is answered: by all that it missed, or not at all, and it has to list.
const GAPS: [Option<Fault>; 3] = [
    None,
    Some(Fault::Expire),
    // Kubernetes' own watch cache does not answer like this; other API servers may, and client-go lists then too.
    Some(Fault::Refuse {
        code: 410,
        retry_after: None,
    }),
];

#[test]
fn storms_delay_what_git_says_and_cost_no_object() {
    let mut random = Random::begin("storms");
    run(async {
        let (stage, faults) = behind_faults().await;
        let team = stage.space("storms");
        let repo = stage.git.repository(team.name());
        let begin = stage.cluster.audit().mark();
        let mut commit = write(&repo, 0);
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        team.until("map-0", "the apply to begin", |_: &ConfigMap| true)
            .await;
        for (round, storm) in STORMS.into_iter().enumerate() {
            let before = faults.faults();
            let mark = stage.cluster.audit().mark();
            begin_storm(&faults, storm, &mut random);
            commit = write(&repo, round + 1);
            tokio::join!(tokio::time::sleep(span()), edit(&team, &mut random));
            // It may take the controller longer than that to send something.
            wait::poll(&format!("{storm:?} to hit something"), || async {
                if faults.faults() > before || matches!(storm, Storm::Line(_)) {
                    Ok(())
                } else {
                    Err("nothing yet".to_owned())
                }
            })
            .await;
            faults.clear();
            faults.line().set(Line::Open);
            let (hit, requests) = (
                faults.faults() - before,
                stage.cluster.audit().by_controller(mark),
            );
            eprintln!(
                "{storm:?}: {hit} requests were hit; the API server saw {}",
                summary(&requests)
            );
        }
        let calm = Instant::now();
        team.applied("app", &commit).await;
        eprintln!(
            "applied {:.1} s after the last storm",
            calm.elapsed().as_secs_f64()
        );
        all_hold(&team, &STORMS.len().to_string()).await;
        let requests = stage.cluster.audit().by_controller(begin);
        let deletes: Vec<_> = requests
            .iter()
            .filter(|request| request.verb.starts_with("delete") && request.namespace == team.name())
            .collect();
        assert!(deletes.is_empty(), "nothing ever left Git: {deletes:#?}");
        silence(&stage).await;
        team.keep();
    });
}

#[test]
fn what_was_changed_while_no_watch_held_is_repaired_when_they_are_back() {
    run(async {
        let (mut stage, faults) = behind_faults().await;
        let process = stage.controller.process().id();
        let team = stage.space("gap");
        let repo = stage.git.repository(team.name());
        let commit = write(&repo, 0);
        team.repository_with("app", &repo, |spec| spec.interval = "1h".into())
            .await;
        team.sync("app", "app").await;
        team.applied("app", &commit).await;
        for gap in GAPS {
            let mark = stage.cluster.audit().mark();
            faults.set(|asked| asked.is_watch().then_some(UNAVAILABLE));
            faults.cut_watches();
            let spoilt = spoil(&team).await;
            wait::throughout(A_WHILE, || async {
                match good(&team, "0").await {
                    count if count == MAPS - spoilt => Ok(()),
                    count => Err(format!(
                        "{count} of {MAPS} are right, and nobody can know which are not"
                    )),
                }
            })
            .await;
            faults.set(move |asked| gap.filter(|_| goes_on(asked)));
            let back = Instant::now();
            all_hold(&team, "0").await;
            let requests = stage.cluster.audit().by_controller(mark);
            eprintln!(
                "{gap:?}: {spoilt} of {MAPS} repaired {:.1} s after the watches were let in: {}",
                back.elapsed().as_secs_f64(),
                summary(&requests)
            );
            faults.clear();
        }
        team.keep();
        assert_eq!(
            stage.controller.process().id(),
            process,
            "the controller was restarted"
        );
    });
}

/// An API server without streaming lists is listed in pages: what is there is known, and drift is seen.
#[test]
fn without_streaming_lists_all_is_seen_as_well() {
    run(async {
        let cluster = Cluster::own().await;
        let faults = FaultProxy::start(&cluster).await;
        faults.set(|_| Some(Fault::NoStreaming));
        let mut options = ControllerOptions::for_tests(&cluster);
        faults.lead(&mut options);
        let mut stage = Stage::on(tests::ClusterRef::Own(Box::new(cluster)), options).await;
        let team = stage.space("pages");
        let repo = stage.git.repository(team.name());
        let commit = write(&repo, 0);
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        team.applied("app", &commit).await;
        assert!(faults.faults() > 0, "nothing asked for a streaming list");
        // What is there already is seen by the list, what comes later by the watch.
        let mark = stage.cluster.audit().mark();
        let space = team.keep();
        stage.controller.stop();
        let client = stage.cluster.client();
        let maps: Api<ConfigMap> = Api::namespaced(client, &space);
        let name = maps.list(&ListParams::default()).await.unwrap();
        let name = name.items.iter().filter_map(|map| map.metadata.name.clone());
        let name = name.into_iter().find(|name| name != "kube-root-ca.crt").unwrap();
        maps.delete(&name, &DeleteParams::default()).await.unwrap();
        stage.controller.start_again().await;
        let team = stage.space_of(&space);
        all_hold(&team, "0").await;
        spoil(&team).await;
        all_hold(&team, "0").await;
        let requests = stage.cluster.audit().by_controller(mark);
        let streams = requests
            .iter()
            .filter(|request| request.uri.contains("sendInitialEvents"));
        assert_eq!(
            streams.count(),
            0,
            "the API server was asked for a streaming list"
        );
    });
}

/// A Sync that has nothing to do says that it is blind all the same, and when it sees again.
#[test]
fn a_watch_that_is_refused_later_is_told() {
    run(async {
        let (stage, faults) = behind_faults().await;
        let team = stage.space("blind");
        let repo = stage.git.repository(team.name());
        let commit = repo
            .write("app/a.yaml", objects::config_map("a", "one"))
            .commit("Begin");
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        team.applied("app", &commit).await;
        let refused = Fault::Refuse {
            code: 403,
            retry_after: None,
        };
        faults.set(move |asked| {
            let maps = asked.is_watch() && asked.path.ends_with("/configmaps");
            maps.then_some(refused)
        });
        faults.cut_watches();
        let blind = |sync: &crds::Sync| {
            let warnings = sync.status.as_ref().map(|status| &status.warnings[..]);
            let told = |one: &crds::ObjectReport| one.message.contains("cannot be watched");
            warnings.is_some_and(|warnings| warnings.iter().any(told))
        };
        team.until("app", "it to say that it is blind", blind).await;
        faults.clear();
        team.request("app", "now").await;
        team.until("app", "it to see again", |sync: &crds::Sync| !blind(sync))
            .await;
    });
}

/// An object that is only created where it is not there, and is somebody else's, has no label of ours: no list holds it.
#[test]
fn what_is_only_created_and_is_not_ours_is_not_restored_by_a_new_list() {
    run(async {
        let (stage, faults) = behind_faults().await;
        let team = stage.space("theirs");
        let repo = stage.git.repository(team.name());
        let theirs = objects::config_map("theirs", "ours").replace(
            "metadata:\n",
            "metadata:\n  annotations: {signet.dev/apply: create-only}\n",
        );
        let commit = repo
            .write("app/theirs.yaml", theirs)
            .write("app/mine.yaml", objects::config_map("mine", "one"))
            .commit("Begin");
        team.kubectl(["create", "configmap", "theirs", "--from-literal=value=theirs"])
            .ok();
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        team.applied("app", &commit).await;
        faults.set(|asked| asked.is_watch().then_some(UNAVAILABLE));
        faults.cut_watches();
        team.kubectl(["delete", "configmap", "mine"]).ok();
        faults.set(|asked| goes_on(asked).then_some(Fault::Expire));
        // Once this is told, the list has been read.
        let told = team.event("Sync", "app", "Restored").await;
        assert!(told.contains("/mine"), "{told}");
        let events = team.kubectl(["get", "events", "--output=json"]).ok();
        assert!(!events.contains("/theirs,"), "{events}");
        let map: ConfigMap = team.api().get("theirs").await.unwrap();
        assert_eq!(map.data.unwrap()["value"], "theirs");
    });
}

/// A cluster and a controller whose every request goes by a faulty road.
pub(crate) async fn behind_faults() -> (Stage, FaultProxy) {
    let cluster = Cluster::own().await;
    let faults = FaultProxy::start(&cluster).await;
    let mut options = ControllerOptions::for_tests(&cluster);
    faults.lead(&mut options);
    let stage = Stage::on(tests::ClusterRef::Own(Box::new(cluster)), options).await;
    (stage, faults)
}

fn span() -> Duration {
    if std::env::var("SIGNET_FAULTS").is_ok_and(|word| word == "long") {
        Duration::from_secs(8)
    } else {
        Duration::from_millis(900)
    }
}

fn begin_storm(faults: &FaultProxy, storm: Storm, random: &mut Random) {
    match storm {
        Storm::Line(line) => faults.line().set(line),
        Storm::Requests(fault) => {
            let random = Mutex::new(Random::new(random.number()));
            faults
                .set(move |asked| (!asked.is_watch() && random.lock().unwrap().once_in(2)).then_some(fault));
        }
        Storm::Everything(fault) => {
            faults.set(move |_| Some(fault));
            faults.cut_watches();
        }
    }
}

/// A watch that goes on from where an earlier one was.
fn goes_on(asked: &Asked<'_>) -> bool {
    asked.is_watch() && !asked.query.contains("sendInitialEvents=true")
}

/// Commits all maps with a value.
fn write(repo: &Repo, value: usize) -> String {
    let maps: Vec<_> = (0..MAPS)
        .map(|n| objects::config_map(&format!("map-{n}"), &value.to_string()))
        .collect();
    repo.write("app/maps.yaml", maps.join("---\n"))
        .commit(&format!("Value {value}"))
}

/// Changes ten maps behind Git's back and deletes five, by the direct road.
async fn edit(team: &Space<'_>, random: &mut Random) {
    let names: Vec<_> = (0..15)
        .map(|_| format!("map-{}", random.within(0..MAPS)))
        .collect();
    let maps = team.api::<ConfigMap>();
    // One may not have been made yet, or be deleted twice.
    join_all(
        names[..10]
            .iter()
            .map(|name| change(&maps, name, json!({"data": {"value": "wrong"}}))),
    )
    .await;
    let params = DeleteParams::default();
    let _ = join_all(names[10..].iter().map(|name| maps.delete(name, &params))).await;
}

/// Changes, deletes, replaces and hides some maps; gives how many.
async fn spoil(team: &Space<'_>) -> usize {
    let maps = team.api::<ConfigMap>();
    let name = |n: usize| format!("map-{n}");
    for n in 0..10 {
        change(&maps, &name(n), json!({"data": {"value": "wrong"}})).await;
    }
    for n in 10..30 {
        maps.delete(&name(n), &DeleteParams::default()).await.unwrap();
    }
    for n in 25..30 {
        let map = ConfigMap {
            metadata: kube::api::ObjectMeta {
                name: Some(name(n)),
                ..Default::default()
            },
            ..ConfigMap::default()
        };
        match maps.create(&PostParams::default(), &map).await {
            // Put back already.
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            made => drop(made.unwrap()),
        }
    }
    for n in 30..35 {
        let label = json!({"metadata": {"labels": {crds::label::APPLYSET_PART_OF: null}}});
        change(&maps, &name(n), label).await;
    }
    35
}

async fn change(maps: &Api<ConfigMap>, name: &str, patch: serde_json::Value) {
    let _ = maps
        .patch(name, &PatchParams::default(), &Patch::Merge(patch))
        .await;
}

/// How many maps are members of the Sync and hold the value.
async fn good(team: &Space<'_>, value: &str) -> usize {
    let ours = ListParams::default().labels(crds::label::APPLYSET_PART_OF);
    let maps = team.api::<ConfigMap>().list(&ours).await.unwrap().items;
    let holds = |map: &ConfigMap| {
        map.data
            .as_ref()
            .and_then(|data| data.get("value"))
            .is_some_and(|found| found == value)
    };
    maps.iter().filter(|map| holds(map)).count()
}

async fn all_hold(team: &Space<'_>, value: &str) {
    wait::poll("every map to be as Git has it", || async {
        match good(team, value).await {
            MAPS => Ok(()),
            count => Err(format!(
                "{count} of {MAPS} hold {value:?}\n{}",
                team.stage().cluster.explain()
            )),
        }
    })
    .await;
}

/// Waits until the controller asks for nothing but watches for a while.
async fn silence(stage: &Stage) {
    let (mut since, patience) = (Instant::now(), Instant::now() + wait::LONG);
    let mut mark: Mark = stage.cluster.audit().mark();
    while since.elapsed() < SILENCE {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let mut requests = stage.cluster.audit().by_controller(mark);
        requests.retain(|request| request.verb != "watch");
        if !requests.is_empty() {
            eprintln!("not silent yet: {}", summary(&requests));
            assert!(
                Instant::now() < patience,
                "it does not come to rest: {requests:#?}"
            );
            (mark, since) = (stage.cluster.audit().mark(), Instant::now());
        }
    }
}
