//! An API server that is cut off in the middle of an apply: afterwards everything is as Git has it, and nothing was lost.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::ListParams;
use tests::audit::Mark;
use tests::proxy::{Line, Proxy};
use tests::{Cluster, ControllerOptions, Repo, Space, Stage, objects, run, wait};

const MAPS: usize = 300;
const SECRETS: usize = 30;
const CUT: Duration = Duration::from_secs(10);

#[test]
fn an_api_server_cut_off_in_the_middle_of_an_apply_costs_nothing() {
    run(async {
        let cluster = Cluster::own().await;
        let address = cluster
            .server()
            .strip_prefix("https://")
            .unwrap()
            .parse()
            .unwrap();
        let proxy = Proxy::start(address).await;
        let mut options = ControllerOptions::for_tests(&cluster);
        options.server = Some(format!("https://{}", proxy.address()));
        let stage = Stage::on(tests::ClusterRef::Own(Box::new(cluster)), options).await;
        let team = stage.space("cut");
        let repo = stage.git.repository(team.name());
        let secrets: Vec<_> = (0..SECRETS).map(|n| stage.seal(&sealed(&team, n))).collect();
        for (n, secret) in secrets.iter().enumerate() {
            repo.write(&format!("app/secret-{n}.json"), secret);
        }
        repo.commit("Secrets");
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        let (mut round, mut uids) = (0, BTreeMap::new());
        for line in [Line::Reset, Line::Silent] {
            let (mark, commit, value) = loop {
                round += 1;
                assert!(round < 10, "the apply is always over before the line is cut");
                let mark = stage.cluster.audit().mark();
                let value = format!("round {round}");
                let commit = write(&repo, &value);
                if cut(&stage, &team, &proxy, line, &value).await {
                    break (mark, commit, value);
                }
                team.applied("app", &commit).await;
            };
            let sync = team.applied("app", &commit).await;
            let after = exactly(&team, &value).await;
            written_once(&stage, mark, line);
            eprintln!("{line:?}: {:?}", sync.status.unwrap().counts);
            if uids.is_empty() {
                uids = after;
            } else {
                assert_eq!(uids, after, "objects were deleted and made again");
            }
        }
        // It was said: by the status while it lasted, as far as it could be written, and by an event that stays.
        let note = team.event("Sync", "app", "ApplyFailed").await;
        assert!(
            note.contains("the API server") && note.contains("are not applied yet"),
            "{note}"
        );
    });
}

/// Cuts the line once some objects are written, and opens it again. False: the apply was over by then.
async fn cut(stage: &Stage, team: &Space<'_>, proxy: &Proxy, line: Line, value: &str) -> bool {
    wait::any(
        &stage.cluster,
        team.api::<ConfigMap>(),
        "the apply to be under way",
        |map: &ConfigMap| holds(map, value),
    )
    .await;
    proxy.set(line);
    let done = count(team, value).await;
    if done == MAPS {
        proxy.set(Line::Open);
        return false;
    }
    eprintln!("{line:?}: cut when {done} of {MAPS} were written");
    wait::throughout(CUT, || async {
        let now = count(team, value).await;
        // What the API server had received already is still written.
        if now < MAPS {
            Ok(())
        } else {
            Err(format!("{now} of {MAPS} were written through a cut line"))
        }
    })
    .await;
    proxy.set(Line::Open);
    true
}

fn holds(map: &ConfigMap, value: &str) -> bool {
    map.data
        .as_ref()
        .and_then(|data| data.get("value"))
        .is_some_and(|found| found == value)
}

async fn count(team: &Space<'_>, value: &str) -> usize {
    let maps = team
        .api::<ConfigMap>()
        .list(&ListParams::default())
        .await
        .unwrap();
    maps.items.iter().filter(|map| holds(map, value)).count()
}

/// Everything is there once, as Git has it; gives the uids.
async fn exactly(team: &Space<'_>, value: &str) -> BTreeMap<String, String> {
    let ours = ListParams::default().labels("applyset.kubernetes.io/part-of");
    let maps = team.api::<ConfigMap>().list(&ours).await.unwrap().items;
    assert_eq!(maps.iter().filter(|map| holds(map, value)).count(), MAPS);
    assert_eq!(maps.len(), MAPS);
    let secrets = team.api::<Secret>().list(&ours).await.unwrap().items;
    assert_eq!(secrets.len(), SECRETS);
    for secret in &secrets {
        assert_eq!(secret.data.as_ref().unwrap()["password"].0, b"hunter2");
    }
    let names = maps
        .into_iter()
        .map(|map| map.metadata)
        .chain(secrets.into_iter().map(|secret| secret.metadata));
    names
        .map(|metadata| (metadata.name.unwrap(), metadata.uid.unwrap()))
        .collect()
}

/// No object is deleted, and none is written more often than an answer was lost.
fn written_once(stage: &Stage, mark: Mark, line: Line) {
    let mut writes: BTreeMap<String, usize> = BTreeMap::new();
    for request in stage.cluster.audit().by_controller(mark) {
        if request.writes()
            && ["configmaps", "secrets"].contains(&request.resource.as_str())
            && request.verb != "create"
        {
            if request.namespace == "signet-system" {
                continue; // its own records
            }
            assert!(!request.verb.starts_with("delete"), "{request:?}");
            *writes
                .entry(format!("{} {}", request.resource, request.name))
                .or_default() += 1;
        }
    }
    let (most, all) = (
        writes.values().max().copied().unwrap_or_default(),
        writes.values().sum::<usize>(),
    );
    eprintln!(
        "{line:?}: {all} writes of {} objects, at most {most} of one",
        writes.len()
    );
    assert!(most <= 2, "{writes:?}");
    assert!(all <= MAPS + SECRETS + 64, "{all} writes");
}

fn sealed(team: &Space<'_>, n: usize) -> serde_json::Value {
    objects::secret(team.name(), &format!("secret-{n}"), &[("password", "hunter2")])
}

fn write(repo: &Repo, value: &str) -> String {
    let maps: Vec<_> = (0..MAPS)
        .map(|n| objects::config_map(&format!("map-{n}"), value))
        .collect();
    repo.write("app/maps.yaml", maps.join("---\n")).commit(value)
}
