//! An object that moves from one Sync's path to another's is handed over: it is never deleted, and stays the same object.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use tests::{objects, run, wait};

use crate::bad_support::Case;

#[test]
fn an_object_that_moves_to_another_sync_stays_the_same_object() {
    run(async {
        let case = Case::begin("moved").await;
        case.repo
            .write("app/moves.yaml", objects::config_map("moves", "one"))
            .write("two/stays.yaml", objects::config_map("stays", "one"));
        let commit = case.repo.commit("Two Syncs");
        case.team.sync("two", "two").await;
        case.team.applied("two", &commit).await;
        case.team.applied("app", &commit).await;
        let before: ConfigMap = case.team.api().get("moves").await.unwrap();

        let audit = case.team.stage().cluster.audit();
        let mark = audit.mark();
        case.repo.remove("app/moves.yaml");
        let commit = case
            .repo
            .write("two/moves.yaml", objects::config_map("moves", "two"))
            .commit("Move it");
        case.team.applied("app", &commit).await;
        case.team.applied("two", &commit).await;
        let after: ConfigMap = case.team.api().get("moves").await.unwrap();
        assert_eq!(before.uid(), after.uid(), "it was made anew");
        assert_eq!(after.data.unwrap()["value"], "two");
        let deletes = |requests: Vec<tests::audit::Request>| {
            requests
                .into_iter()
                .filter(|r| r.verb == "delete" && r.name == "moves")
                .count()
        };
        assert_eq!(deletes(audit.by_controller(mark)), 0);

        // It is the second one's now: what the first one does not want is not put back, and the second one prunes it.
        case.repo.remove("two/moves.yaml");
        let commit = case.repo.commit("Take it away");
        case.team.applied("two", &commit).await;
        wait::poll("the ConfigMap to be gone", || async {
            match case.team.api::<ConfigMap>().get_opt("moves").await.unwrap() {
                None => Ok(()),
                Some(there) => Err(format!("{there:?}")),
            }
        })
        .await;
    });
}
