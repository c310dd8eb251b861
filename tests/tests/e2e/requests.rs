//! What the controller asks of the API server, counted in the audit log: for a new Sync, for one in which nothing changed,
//! for a repair, for a commit that concerns one of many, for a restart. Every request has to be one that we know.

use std::collections::BTreeMap;
use std::time::Duration;

use crds::Sync;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use tests::audit::{Mark, Request, summary};
use tests::{Repo, Space, Stage, objects, run};

const SYNCS: usize = 5;
/// Records wait for two seconds where nobody else is at work.
const SILENCE: Duration = Duration::from_secs(4);

#[test]
fn every_request_is_accounted_for() {
    run(async {
        let mut stage = Stage::own().await;
        let name = stage.space("requests").keep();
        let repo = stage.git.repository(&name);
        for number in 0..SYNCS {
            repo.write(&file(number), content(number, "one"));
        }
        let commit = repo.commit("Begin");
        let team = stage.space_of(&name);
        team.repository_with("app", &repo, |spec| spec.interval = "1h".into())
            .await;
        team.fetched("app", &commit).await;

        // A first one, so that the watches of its kinds are there.
        team.sync(&sync(0), &sync(0)).await;
        team.applied(&sync(0), &commit).await;
        quiet(&stage).await;
        let wrong = [
            fresh(&stage, &team, &commit).await,
            unchanged(&stage, &team, &repo).await,
            repaired(&stage, &team).await,
            one_of_many(&stage, &team, &repo).await,
        ];
        team.keep();
        restarted(&mut stage, &name).await;
        let wrong: Vec<_> = wrong.into_iter().filter_map(Result::err).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    });
}

/// Four new Syncs of two objects: for each its marks, the intent, the objects, one status, one event, the record.
async fn fresh(stage: &Stage, team: &Space<'_>, commit: &str) -> Result<(), String> {
    let mark = stage.cluster.audit().mark();
    for number in 1..SYNCS {
        team.sync(&sync(number), &sync(number)).await;
    }
    for number in 1..SYNCS {
        team.applied(&sync(number), commit).await;
    }
    let seen = quiet_since(stage, mark).await;
    let each = SYNCS - 1;
    let counted = expect(
        "fresh",
        &seen,
        &[
            ("patch syncs", each),
            ("create secrets", each),
            ("patch configmaps", each),
            ("patch deployments", each),
            ("patch syncs/status", each),
            ("create events", each),
            ("update secrets", each),
        ],
    );
    let order = |what: &str, who: &str| {
        let at = seen
            .iter()
            .position(|request| word(request) == what && request.name.contains(who));
        at.unwrap_or_else(|| panic!("no {what} of {who}: {seen:#?}"))
    };
    for number in 1..SYNCS {
        let name = sync(number);
        assert!(
            order("patch syncs", &name) < order("patch configmaps", &name),
            "KEP-3659: the parent is marked before its members are made"
        );
    }
    counted
}

/// All are asked, at once: each answers, in its status. The remote is looked at for all of them together.
async fn unchanged(stage: &Stage, team: &Space<'_>, repo: &Repo) -> Result<(), String> {
    let (mark, looks) = (stage.cluster.audit().mark(), stage.git.requests(repo).len());
    let names: Vec<String> = (0..SYNCS).map(sync).collect();
    futures::future::join_all(names.iter().map(|name| team.request(name, "again"))).await;
    for name in &names {
        team.until(name, "the request to be answered", |sync: &Sync| {
            sync.status
                .as_ref()
                .is_some_and(|status| status.last_handled_request == "again")
        })
        .await;
    }
    let seen = quiet_since(stage, mark).await;
    let looks = stage.git.requests(repo).len() - looks;
    if !(1..SYNCS).contains(&looks) {
        return Err(format!("unchanged: the remote was looked at {looks} times"));
    }
    expect("unchanged", &seen, &[("patch syncs/status", SYNCS)])
}

/// Somebody changes an object: one request puts it back. What is said and written down of it comes after.
async fn repaired(stage: &Stage, team: &Space<'_>) -> Result<(), String> {
    let mark = stage.cluster.audit().mark();
    let maps: Api<ConfigMap> = team.api();
    let somebody = PatchParams {
        field_manager: Some("somebody".into()),
        ..PatchParams::default()
    };
    for number in 0..SYNCS {
        let spoilt = Patch::Merge(json!({"data": {"value": "spoilt"}}));
        maps.patch(&sync(number), &somebody, &spoilt).await.unwrap();
        team.until(&sync(number), "it to be put back", |map: &ConfigMap| {
            map.data.as_ref().is_some_and(|data| data["value"] == "one")
        })
        .await;
    }
    expect(
        "repaired",
        &quiet_since(stage, mark).await,
        &[
            ("patch configmaps", SYNCS),
            ("create events", SYNCS),
            ("update secrets", SYNCS),
        ],
    )
}

/// A commit that changes the path of one Sync of five: the others do not ask for anything.
async fn one_of_many(stage: &Stage, team: &Space<'_>, repo: &Repo) -> Result<(), String> {
    let mark = stage.cluster.audit().mark();
    repo.write(&file(3), content(3, "two"));
    let commit = repo.commit("Change one");
    team.request(&sync(3), "changed").await;
    team.applied(&sync(3), &commit).await;
    let seen = quiet_since(stage, mark).await;
    // The Repository says its new head, and that it is news.
    expect(
        "one of many",
        &seen,
        &[
            ("patch repositories/status", 1),
            ("create events", 2),
            ("patch configmaps", 1),
            ("patch syncs/status", 1),
            ("update secrets", 1),
        ],
    )
}

/// Nothing is written after a restart, and nothing is read but what the watches show. Without a checkpoint, each object is
/// sent once, which changes none of them, and none is deleted.
async fn restarted(stage: &mut Stage, name: &str) {
    let versions = versions(stage, name).await;
    assert!(stage.controller.stop().success());
    let mark = stage.cluster.audit().mark();
    stage.controller.start_again().await;
    let seen = quiet_since(stage, mark).await;
    let touched: Vec<_> = seen
        .iter()
        .filter(|request| request.writes() || (request.verb == "get" && request.namespace == name))
        .collect();
    assert!(touched.is_empty(), "{touched:#?}");

    assert!(stage.controller.stop().success());
    let secrets: Api<Secret> = Api::namespaced(stage.cluster.client(), "signet-system");
    let all = ListParams::default().labels(crds::label::CHECKPOINT);
    secrets
        .delete_collection(&DeleteParams::default(), &all)
        .await
        .unwrap();
    let mark = stage.cluster.audit().mark();
    stage.controller.start_again().await;
    let seen = quiet_since(stage, mark).await;
    assert!(!seen.iter().any(|request| request.verb == "delete"), "{seen:#?}");
    let members = ["patch configmaps", "patch deployments"];
    let sent = seen
        .iter()
        .filter(|request| members.contains(&word(request).as_str()));
    assert_eq!(sent.count(), 2 * SYNCS, "{}", summary(&seen));
    assert_eq!(
        self::versions(stage, name).await,
        versions,
        "an object was written"
    );
}

async fn versions(stage: &Stage, namespace: &str) -> BTreeMap<String, Option<String>> {
    let maps: Api<ConfigMap> = Api::namespaced(stage.cluster.client(), namespace);
    let ours = ListParams::default().labels(crds::label::APPLYSET_PART_OF);
    let listed = maps.list(&ours).await.unwrap();
    let versions = |map: &ConfigMap| (map.name_any(), map.resource_version());
    listed.iter().map(versions).collect()
}

/// Waits until the controller asks for nothing.
async fn quiet(stage: &Stage) {
    let audit = stage.cluster.audit();
    for _ in 0..20 {
        let mark = audit.mark();
        tokio::time::sleep(SILENCE).await;
        if audit.by_controller(mark).is_empty() {
            return;
        }
    }
    panic!(
        "the controller does not come to rest\n{}",
        stage.cluster.explain()
    );
}

/// What the controller has asked for since `mark` when it comes to rest. Watches are renewed at any time.
async fn quiet_since(stage: &Stage, mark: Mark) -> Vec<Request> {
    quiet(stage).await;
    let mut seen = stage.cluster.audit().by_controller(mark);
    seen.retain(|request| request.verb != "watch");
    seen
}

/// These requests, so often each, and no others.
fn expect(what: &str, seen: &[Request], wanted: &[(&str, usize)]) -> Result<(), String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for request in seen {
        *counts.entry(word(request)).or_default() += 1;
    }
    let wanted: BTreeMap<String, usize> = wanted
        .iter()
        .map(|(what, count)| ((*what).to_owned(), *count))
        .collect();
    if counts == wanted {
        Ok(())
    } else {
        Err(format!("{what}: {counts:?}; expected {wanted:?}"))
    }
}

/// `verb resource`, or `verb resource/status`.
fn word(request: &Request) -> String {
    let path = request.uri.split('?').next().unwrap_or_default();
    let status = if path.ends_with("/status") { "/status" } else { "" };
    format!("{} {}{status}", request.verb, request.resource)
}

fn sync(number: usize) -> String {
    format!("team-{number}")
}

fn file(number: usize) -> String {
    format!("{}/all.yaml", sync(number))
}

/// A ConfigMap, and a Deployment without replicas: one kind without health of its own, and one that has to be waited for.
fn content(number: usize, value: &str) -> String {
    let name = sync(number);
    let deployment = objects::deployment(&name, "shop:1", &name).replace("replicas: 1", "replicas: 0");
    format!("{}---\n{deployment}", objects::config_map(&name, value))
}
