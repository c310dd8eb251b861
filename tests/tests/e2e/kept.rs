//! What the controller writes down of what it owns, where that fails: it is tried again, nothing is applied before its intent
//! is written, and nothing is lost.

use std::sync::atomic::{AtomicUsize, Ordering};

use crds::Sync;
use k8s_openapi::api::core::v1::ConfigMap;
use tests::audit::CONTROLLER;
use tests::fault_proxy::{Asked, Fault, FaultProxy};
use tests::{Space, checkpoint, objects, run, wait};

use crate::faults::behind_faults;
use crate::world::value_of;

/// Where records are: no other Secret is written there after the start.
const RECORDS: &str = "/api/v1/namespaces/signet-system/secrets";
/// What goes wrong with their writes, one after the other.
const FAULTS: [Fault; 5] = [
    refuse(503),
    refuse(403),
    refuse(429),
    Fault::CutRequest,
    // It is written, and the controller does not learn of it: what it knows of the record is outdated then.
    Fault::CutAnswer,
];

const fn refuse(code: u16) -> Fault {
    Fault::Refuse {
        code,
        retry_after: None,
    }
}

fn is_record(asked: &Asked<'_>) -> bool {
    asked.writes() && asked.path.starts_with(RECORDS)
}

async fn hit_again(faults: &FaultProxy, before: u64) {
    wait::poll("the write to be tried again", || async {
        match faults.faults() - before {
            0 | 1 => Err("not yet".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
}

#[test]
fn records_that_cannot_be_written_are_written_later_and_nothing_is_lost() {
    run(async {
        let (mut stage, faults) = behind_faults().await;
        let team = stage.space("records");
        let sync = format!("{}/app", team.name());
        let repo = stage.git.repository(team.name());
        for name in ["a", "b", "c"] {
            repo.write(&format!("app/{name}.yaml"), objects::config_map(name, "0"));
        }
        let commit = repo.commit("Begin");
        team.repository("app", &repo).await;

        // What cannot be written down is not made.
        let before = faults.faults();
        faults.set(|asked| is_record(asked).then_some(refuse(503)));
        team.sync("app", "app").await;
        hit_again(&faults, before).await;
        let map = team.api::<ConfigMap>().get_opt("a").await.unwrap();
        assert!(map.is_none(), "its intent is not written: {map:?}");
        faults.clear();
        team.applied("app", &commit).await;

        // A change needs no intent: it is made, and then it cannot be written down.
        let (known, before) = (all_recorded(&team, &sync, None).await, faults.faults());
        let mark = stage.cluster.audit().mark();
        let tries = AtomicUsize::new(0);
        faults.set(move |asked| {
            let fault = || FAULTS.get(tries.fetch_add(1, Ordering::Relaxed)).copied();
            is_record(asked).then(fault).flatten()
        });
        let commit = repo
            .write("app/a.yaml", objects::config_map("a", "1"))
            .commit("Change one");
        team.applied("app", &commit).await;
        all_recorded(&team, &sync, Some(known)).await;
        // What came before the answer was cut off is seen; that is not known, and it is tried once more.
        wait::poll("each of them to be hit", || async {
            match faults.faults() - before {
                hit if hit == FAULTS.len() as u64 => Ok(()),
                hit => Err(format!("{hit} were")),
            }
        })
        .await;
        // Written and not known to be, it was written once more.
        wait::poll("the last try", || async {
            let answered = stage.cluster.audit().answered(mark, CONTROLLER).into_iter();
            let written = answered.filter(|(request, code)| {
                (request.verb.as_str(), request.resource.as_str(), *code) == ("update", "secrets", 200)
            });
            match written.count() {
                0 | 1 => Err("not yet".to_owned()),
                _ => Ok(()),
            }
        })
        .await;

        // And one that is never written: the process ends before. It is looked at again, and stays the same object.
        faults.set(|asked| is_record(asked).then_some(refuse(503)));
        let commit = repo
            .write("app/a.yaml", objects::config_map("a", "last"))
            .remove("app/c.yaml")
            .commit("Last");
        team.until("a", "the last value", |map: &ConfigMap| {
            value_of(map) == Some("last")
        })
        .await;
        team.gone::<ConfigMap>("c").await;
        let uid = |map: &ConfigMap| map.metadata.uid.clone();
        let old = uid(&team.api().get("a").await.unwrap());
        let name = team.keep();
        stage.controller.kill();
        faults.clear();
        stage.controller.start_again().await;
        let team = stage.space_of(&name);
        team.applied("app", &commit).await;
        wait::poll("the records to be those of what is there", || async {
            let records = checkpoint::of(&stage.cluster, &sync).await;
            let names: Vec<_> = records.keys().map(|key| &*key.name).collect();
            if records.len() == 2 && records.values().all(|record| record.owned.is_some()) {
                Ok(())
            } else {
                Err(format!("{names:?}"))
            }
        })
        .await;
        assert_eq!(uid(&team.api().get("a").await.unwrap()), old);
        let sync: Sync = team.api().get("app").await.unwrap();
        assert!(sync.status.unwrap().failures.is_empty());
        team.keep();
    });
}

/// Waits until all three maps are recorded as they are, that of `a` anew, and gives its digest.
async fn all_recorded(team: &Space<'_>, sync: &str, known: Option<[u8; 16]>) -> [u8; 16] {
    let cluster = &team.stage().cluster;
    wait::poll("the records to be written", || async {
        let records = checkpoint::of(cluster, sync).await;
        let whole = records.values().filter(|record| record.owned.is_some()).count();
        let a = records.iter().find(|(key, _)| &*key.name == "a");
        match a.map(|(_, record)| record.digest.0) {
            Some(digest) if whole == 3 && known != Some(digest) => Ok(digest),
            _ => Err(format!("{whole} are whole: {records:?}")),
        }
    })
    .await
}
