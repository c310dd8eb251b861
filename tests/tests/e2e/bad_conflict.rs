//! Two Syncs that claim the same field: said with both names, without a war, and without harm to the one who has it.

use std::time::{Duration, Instant};

use crds::Sync;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use tests::{objects, run, wait};

use crate::bad_support::Case;

/// Long enough for several retries.
const A_WHILE: Duration = Duration::from_secs(6);

#[test]
fn two_syncs_that_claim_one_field_are_told_of_each_other_and_do_not_fight() {
    run(async {
        let case = Case::begin("conflict").await;
        let commit = case
            .repo
            .write("two/keep.yaml", objects::config_map("keep", "mine"))
            .write("two/other.yaml", objects::config_map("other", "one"))
            .commit("Claim what another has");
        let before: ConfigMap = case.team.api().get("keep").await.unwrap();
        let audit = case.team.stage().cluster.audit();
        let (mark, since) = (audit.mark(), Instant::now());
        case.team.sync("two", "two").await;
        let sync = case.team.failed("two", &commit).await;
        case.says(
            &sync,
            &[[
                "two/keep.yaml document 1",
                "ConfigMap NS/keep",
                "belong to Sync NS/app",
                "let one owner set these fields",
            ]],
        );
        case.value("other", "one").await;

        // The loser tries again now and then; the winner has nothing to do.
        wait::throughout(A_WHILE, || async {
            let now: ConfigMap = case.team.api().get("keep").await.unwrap();
            if now.resource_version() == before.resource_version() {
                Ok(())
            } else {
                Err(format!("it was written to: {now:#?}"))
            }
        })
        .await;
        let writes = |requests: Vec<tests::audit::Request>| {
            requests
                .into_iter()
                .filter(|r| r.writes() && r.namespace == case.team.name() && r.name == "keep")
                .count()
        };
        let (count, seconds) = (writes(audit.by_controller(mark)), since.elapsed().as_secs());
        eprintln!("{count} writes in {seconds} s");
        // Ever more slowly; new kinds, which other tests define, are a reason to look again, and a war has hundreds a second.
        let most = usize::try_from(8 + seconds).unwrap();
        assert!((1..=most).contains(&count), "{count} writes in {seconds} s");

        // The winner still looks after its object.
        let patch = r#"{"data":{"value":"theirs"}}"#;
        case.team
            .kubectl(["patch", "configmap", "keep", "--patch", patch])
            .ok();
        case.value("keep", "one").await;

        // The loser gives up: that does not delete what it never had.
        let commit = case.repo.remove("two/keep.yaml").commit("Give up");
        case.team.applied("two", &commit).await;
        case.another_pass_of("two").await;
        let now: ConfigMap = case.team.api().get("keep").await.unwrap();
        assert_eq!(now.uid(), before.uid(), "it was deleted, and made again");
        assert!(now.metadata.deletion_timestamp.is_none(), "it is being deleted");

        // Nor does it take the winner's eye off it.
        case.team
            .kubectl(["patch", "configmap", "keep", "--patch", patch])
            .ok();
        case.value("keep", "one").await;

        // And when the winner gives up, it goes.
        case.repo.remove("app/keep.yaml").commit("Give up, too");
        case.team.gone::<ConfigMap>("keep").await;
    });
}

#[test]
fn a_field_that_is_given_up_is_taken_over() {
    run(async {
        let case = Case::begin("handover").await;
        case.repo
            .write("two/keep.yaml", objects::config_map("keep", "mine"));
        let commit = case.repo.commit("Claim what another has");
        case.team.sync("two", "two").await;
        case.team.failed("two", &commit).await;
        let commit = case.repo.remove("app/keep.yaml").commit("Hand it over");
        case.team.applied("app", &commit).await;
        case.another_pass_of("two").await;
        // It may have had its way before it saw the commit, which changes nothing of its own.
        let ready = |sync: &Sync| objects::is(sync, "Ready", "True");
        case.team.until("two", "it to have its way", ready).await;
        case.value("keep", "mine").await;
    });
}
