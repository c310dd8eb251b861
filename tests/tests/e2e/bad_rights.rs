//! Service accounts that are missing or may not do what Git asks for. Nothing is ever done with other rights instead.

use crds::Sync;
use k8s_openapi::api::core::v1::{ConfigMap, ResourceQuota, ServiceAccount};
use kube::api::DeleteParams;
use tests::{Space, objects, run};

use crate::bad_support::Case;

#[test]
fn a_missing_service_account_is_named_and_nothing_is_applied_without_it() {
    run(async {
        let case = Case::begin("account").await;
        let commit = case
            .repo
            .write("two/map.yaml", objects::config_map("map", "one"))
            .commit("Another path");
        case.team
            .sync_with("two", "two", |spec| spec.service_account_name = "nobody".into())
            .await;
        let says = format!(
            "There is no service account nobody in namespace {}; nothing is applied or deleted without it.",
            case.team.name()
        );
        let sync = said(&case.team, "two", &says).await;
        assert!(objects::is(&sync, "Ready", "False"), "{sync:#?}");
        assert!(
            case.team
                .api::<ConfigMap>()
                .get_opt("map")
                .await
                .unwrap()
                .is_none()
        );

        case.team.kubectl(["create", "serviceaccount", "nobody"]).ok();
        // It exists, and has no rights; then it has.
        let cannot = format!(
            ":nobody\" cannot patch resource \"configmaps\" in API group \"\" in the namespace \"{}\"",
            case.team.name()
        );
        said(&case.team, "two", &cannot).await;
        let account = format!("--serviceaccount={}:nobody", case.team.name());
        case.team
            .kubectl(["create", "rolebinding", "nobody", "--clusterrole=edit", &account])
            .ok();
        case.another_pass_of("two").await;
        case.team.applied("two", &commit).await;
        case.value("map", "one").await;
    });
}

#[test]
fn a_service_account_that_is_deleted_later_stops_everything_and_loses_nothing() {
    run(async {
        let case = Case::begin("account-gone").await;
        let accounts = case.team.api::<ServiceAccount>();
        accounts
            .delete(objects::DEPLOYER, &DeleteParams::default())
            .await
            .unwrap();
        case.team.gone::<ServiceAccount>(objects::DEPLOYER).await;
        let says = format!(
            "There is no service account deployer in namespace {}; nothing is applied or deleted without it.",
            case.team.name()
        );
        case.repo
            .write("app/keep.yaml", objects::config_map("keep", "two"))
            .write("app/new.yaml", objects::config_map("new", "one"))
            .remove("app/goes.yaml");
        case.repo.commit("While nobody may apply it");
        said(&case.team, "app", &says).await;
        case.stands().await;
        case.value("keep", "one").await;
        assert!(
            case.team
                .api::<ConfigMap>()
                .get_opt("new")
                .await
                .unwrap()
                .is_none()
        );

        // An account of the same name has the rights that were bound to the name.
        case.team
            .kubectl(["create", "serviceaccount", objects::DEPLOYER])
            .ok();
        case.mend(|repo| {
            repo.write("app/more.yaml", objects::config_map("more", "one"));
        })
        .await;
    });
}

#[test]
fn what_the_service_account_may_not_do_is_named_and_its_neighbours_are_applied() {
    run(async {
        let case = Case::begin("rights").await;
        let quota =
            "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: a}\nspec: {hard: {pods: \"1000\"}}\n";
        let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: evil}\nrules: []\n";
        let grant = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: evil}\nrules:\n\
                     - {apiGroups: [\"*\"], resources: [\"*\"], verbs: [\"*\"]}\n";
        let sync = case
            .spoil(|repo| {
                let map = objects::config_map("evil", "one");
                repo.write("app/quota.yaml", quota)
                    .write("app/role.yaml", role)
                    .write("app/grant.yaml", grant)
                    .write(
                        "app/abroad.yaml",
                        map.replace("name: evil", "name: evil\n  namespace: kube-system"),
                    )
                    .write(
                        "app/nowhere.yaml",
                        map.replace("name: evil", "name: evil\n  namespace: no-such-place"),
                    );
            })
            .await;
        let hint = "grant the Sync's service account this right";
        case.says(
            &sync,
            &[
                [
                    "app/abroad.yaml document 1",
                    "ConfigMap kube-system/evil",
                    "NS:deployer\" cannot patch resource \"configmaps\" in API group \"\" in the namespace \"kube-system\"",
                    hint,
                ],
                ["app/grant.yaml document 1", "Role NS/evil", "attempting to grant RBAC permissions not currently held", hint],
                ["app/nowhere.yaml document 1", "ConfigMap no-such-place/evil", "cannot patch resource", hint],
                ["app/quota.yaml document 1", "ResourceQuota NS/a", "cannot patch resource \"resourcequotas\"", hint],
                [
                    "app/role.yaml document 1",
                    "ClusterRole evil",
                    "cannot patch resource \"clusterroles\" in API group \"rbac.authorization.k8s.io\" at the cluster scope",
                    hint,
                ],
            ],
        );
        // The right that is granted later is used without a commit.
        let rule = ["create", "role", "quota", "--verb=*", "--resource=resourcequotas"];
        case.team.kubectl(rule).ok();
        let account = format!("--serviceaccount={}:deployer", case.team.name());
        case.team
            .kubectl(["create", "rolebinding", "quota", "--role=quota", &account])
            .ok();
        case.another_pass().await;
        let _: ResourceQuota = case.team.api().get("a").await.unwrap();
        case.mend(|repo| {
            for name in ["role", "grant", "abroad", "nowhere"] {
                repo.remove(&format!("app/{name}.yaml"));
            }
        })
        .await;
    });
}

#[test]
fn a_controller_that_may_not_act_for_the_account_says_so_once_and_says_what_to_do() {
    run(async {
        let case = Case::begin("impersonate").await;
        case.team
            .kubectl(["delete", "rolebinding", "signet-impersonator"])
            .ok();
        let sealed = case.team.stage().seal(&objects::secret(
            case.team.name(),
            "db",
            &[("password", "hunter2")],
        ));
        let sync = case
            .spoil_all(|repo| {
                repo.write("app/db.json", sealed);
            })
            .await;
        case.says(
            &sync,
            &[[
                "",
                "",
                "the controller may not act as service account deployer",
                "bind the ClusterRole signet-impersonator",
            ]],
        );
        case.value("keep", "one").await;
        let bind = [
            "create",
            "rolebinding",
            "signet-impersonator",
            "--clusterrole=signet-impersonator",
        ];
        let account = "--serviceaccount=signet-system:signet-controller";
        case.team.kubectl(bind.into_iter().chain([account])).ok();
        case.mend(|repo| {
            repo.write("app/more.yaml", objects::config_map("more", "one"));
        })
        .await;
    });
}

/// Waits until the Sync says this.
async fn said(team: &Space<'_>, sync: &str, what: &str) -> Sync {
    let wanted = format!("Sync {sync} to say {what:?}");
    team.until(sync, &wanted, |sync: &Sync| {
        objects::message(sync, "Ready").contains(what)
    })
    .await
}
