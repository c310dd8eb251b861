//! A Namespace that fails: what lives in it waits, what lives elsewhere does not.

use crds::Sync;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Api;
use kube::api::DeleteParams;
use tests::{objects, run};

use crate::bad_support::Case;

#[test]
fn members_of_a_namespace_that_fails_wait_and_others_do_not() {
    run(async {
        let case = Case::begin("namespace").await;
        case.team.make_platform();
        let (bad, good) = (
            format!("{}-bad", case.team.name()),
            format!("{}-good", case.team.name()),
        );
        let namespace = |name: &str, label: &str| {
            format!(
                "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{team: {label:?}}}}}\n"
            )
        };
        let map = |namespace: &str| {
            objects::config_map("map", "one")
                .replace("name: map", &format!("name: map\n  namespace: {namespace}"))
        };
        let sealed = case
            .team
            .stage()
            .seal(&objects::secret(&bad, "db", &[("password", "hunter2")]));
        let sync = case
            .spoil(|repo| {
                repo.write(
                    "app/bad.yaml",
                    format!("{}---\n{}", namespace(&bad, "not a label!"), map(&bad)),
                )
                .write("app/db.json", sealed)
                .write(
                    "app/good.yaml",
                    format!("{}---\n{}", namespace(&good, "label"), map(&good)),
                );
            })
            .await;
        // The members come up once the other Namespace is there.
        let all = |sync: &Sync| {
            sync.status
                .as_ref()
                .is_some_and(|status| status.failures.len() == 3)
        };
        let sync = if all(&sync) {
            sync
        } else {
            case.team.until("app", "all to be said", all).await
        };
        let waits = "waits for Namespace NS-bad, which failed";
        case.says(
            &sync,
            &[
                [
                    "app/bad.yaml document 1",
                    "Namespace NS-bad",
                    "metadata.labels",
                    "correct the object in Git",
                ],
                [
                    "app/bad.yaml document 2",
                    "ConfigMap NS-bad/map",
                    waits,
                    "mend the Namespace first",
                ],
                [
                    "app/db.json document 1",
                    "Secret NS-bad/db",
                    waits,
                    "mend the Namespace first",
                ],
            ],
        );
        let namespaces: Api<Namespace> = Api::all(case.team.stage().cluster.client());
        assert!(namespaces.get_opt(&bad).await.unwrap().is_none());
        let maps =
            |namespace: &str| Api::<ConfigMap>::namespaced(case.team.stage().cluster.client(), namespace);
        maps(&good).get("map").await.unwrap();

        // A Namespace that cannot even be read: its members name it.
        case.repo
            .write("app/bad.yaml", format!("kind: [Namespace\n---\n{}", map(&bad)));
        let commit = case.repo.commit("Worse");
        let sync = case.team.failed("app", &commit).await;
        let missing = "namespaces \"NS-bad\" not found";
        case.says(
            &sync,
            &[
                ["app/bad.yaml document 1, line 2", "", "", ""],
                [
                    "app/bad.yaml document 2",
                    "ConfigMap NS-bad/map",
                    missing,
                    "add what is missing to Git",
                ],
                [
                    "app/db.json document 1",
                    "Secret NS-bad/db",
                    "the namespace or the kind does not exist",
                    "",
                ],
            ],
        );
        case.stands().await;

        case.mend(|repo| {
            repo.write(
                "app/bad.yaml",
                format!("{}---\n{}", namespace(&bad, "label"), map(&bad)),
            );
        })
        .await;
        maps(&bad).get("map").await.unwrap();
        for name in [bad, good] {
            namespaces
                .delete(&name, &DeleteParams::background())
                .await
                .unwrap();
        }
    });
}
