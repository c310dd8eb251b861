//! A deleted Namespace takes along what is in it, and a definition the objects of its kind; nobody would have asked their owners.

use crds::Sync;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use tests::fault_proxy::Fault;
use tests::{objects, run, wait};

use crate::faults::behind_faults;
use crate::order_world::{gated, gates, tell};
use crate::world::{A_WHILE, World, plan};

fn namespace(name: &str) -> String {
    format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n")
}

fn map(name: &str, namespace: &str, annotations: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {namespace}, annotations: {{{annotations}}}}}\n"
    )
}

/// The definition of a kind of this group.
fn lodger_definition(group: &str) -> String {
    format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: lodgers.{group}}}\n\
         spec:\n  group: {group}\n  scope: Namespaced\n  names: {{plural: lodgers, singular: lodger, kind: Lodger, listKind: \
         LodgerList}}\n  versions:\n  - name: v1\n    served: true\n    storage: true\n    schema: {{openAPIV3Schema: {{type: \
         object}}}}\n"
    )
}

/// A team that may do everything, with the Sync `app`: a Namespace of its own, and two ConfigMaps in the team's.
async fn begin(name: &str, policy: crds::DeletionPolicy) -> (World<'static>, String) {
    let world = World::begin(name).await;
    world.team.make_platform();
    let inner = format!("{}-inner", world.team.name());
    world.repo.write("app/inner.yaml", namespace(&inner));
    world
        .applied(&[("a", "one"), ("b", "one")], |spec| {
            spec.deletion_policy = policy;
        })
        .await;
    (world, inner)
}

/// The same, with a Sync `guest` that has something in the Namespace.
async fn with_guest(name: &str, policy: crds::DeletionPolicy) -> (World<'static>, String) {
    let (world, inner) = begin(name, policy).await;
    world.repo.write("guest/guest.yaml", map("guest", &inner, ""));
    let commit = world.repo.commit("A guest");
    world
        .team
        .sync_with("guest", "guest", |spec| spec.prune.allow_empty = true)
        .await;
    world.team.applied("guest", &commit).await;
    (world, inner)
}

const NONE: [&str; 0] = [];

/// What the status warns of, each in a line.
fn warnings(sync: &Sync) -> Vec<String> {
    let warnings = sync.status.iter().flat_map(|status| &status.warnings);
    warnings
        .map(|one| format!("{}: {}", one.object, one.message))
        .collect()
}

fn namespaces(world: &World<'_>) -> Api<Namespace> {
    Api::all(world.team.stage().cluster.client())
}

async fn stays(world: &World<'_>, name: &str) {
    let api = namespaces(world);
    wait::throughout(A_WHILE, || async {
        let found = api.get(name).await.map_err(|error| error.to_string())?;
        match found.metadata.deletion_timestamp {
            None => Ok(()),
            Some(_) => Err("the namespace is being deleted".to_owned()),
        }
    })
    .await;
}

async fn goes(world: &World<'_>, name: &str) {
    let api = namespaces(world);
    wait::poll("the namespace to go", || async {
        match api.get_opt(name).await.map_err(|error| error.to_string())? {
            Some(found) if found.metadata.deletion_timestamp.is_none() => Err("it is there".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
}

/// Makes a Deployment by hand.
fn run_something(world: &World<'_>, name: &str, namespace: &str) {
    let namespace = format!("--namespace={namespace}");
    let made = ["create", "deployment", name, "--image=nginx:1", "--replicas=0"];
    let cluster = &world.team.stage().cluster;
    cluster.kubectl(made.into_iter().chain([namespace.as_str()])).ok();
}

/// Makes an object of the lodgers' kind by hand, as soon as that is served.
async fn make_lodger(world: &World<'_>, group: &str) {
    let lodger = format!("apiVersion: {group}/v1\nkind: Lodger\nmetadata: {{name: one}}\n");
    wait::poll("the kind to be served", || async {
        let here = ["apply", "-n", world.team.name(), "-f", "-"];
        let made = world.team.stage().cluster.kubectl_with(here, &lodger);
        if made.code == 0 {
            Ok(())
        } else {
            Err(made.to_string())
        }
    })
    .await;
}

#[test]
fn a_namespace_that_others_live_in_waits_for_them_or_for_a_person() {
    run(async {
        let (world, inner) = with_guest("lodgers", crds::DeletionPolicy::Orphan).await;
        world.repo.remove("app/inner.yaml");
        world.repo.commit("The namespace leaves, the guest does not");
        let sync = world.says("app", "PruneRefused").await;
        let message = objects::message(&sync, "Ready");
        let guest = format!("Sync {}/guest", world.team.name());
        let who = format!("{guest} has objects that would go with it");
        assert!(
            message.contains(&format!("Namespace {inner}")) && message.contains(&who),
            "{message}"
        );
        let delete = format!("delete Namespace {inner}, with what {guest} has in it");
        assert_eq!(plan(&sync).actions, [delete]);
        stays(&world, &inner).await;

        // A file that cannot be read says nothing of what is there: it still counts.
        world.repo.write("guest/guest.yaml", "kind: [\n");
        let broken = world.repo.commit("The guest cannot be read");
        world.team.failed("guest", &broken).await;
        stays(&world, &inner).await;

        // With the guest gone nobody is asked any more.
        world.repo.remove("guest/guest.yaml");
        world.repo.write("guest/README.md", "Nobody.\n");
        let commit = world.repo.commit("The guest leaves");
        world.team.applied("guest", &commit).await;
        world.team.applied("app", &commit).await;
        goes(&world, &inner).await;
    });
}

#[test]
fn an_approval_lets_a_namespace_go_with_those_in_it_that_it_named() {
    run(async {
        let (world, inner) = with_guest("informed", crds::DeletionPolicy::Orphan).await;
        world.set("app", serde_json::json!({"mode": "Approval"})).await;
        world.repo.remove("app/inner.yaml");
        world.repo.commit("The namespace leaves");
        let sync = world
            .until("app", "AwaitingApproval", |status| {
                status.plan.as_ref().is_some_and(|plan| plan.delete == 1)
            })
            .await;
        let guest = format!("Sync {}/guest", world.team.name());
        assert_eq!(
            plan(&sync).actions,
            [format!("delete Namespace {inner}, with what {guest} has in it")]
        );
        let first = plan(&sync).digest.clone();

        // Another one moves in: whoever approved did not know of it.
        world.repo.write("second/second.yaml", map("second", &inner, ""));
        let commit = world.repo.commit("A second guest");
        world.team.sync("second", "second").await;
        world.team.applied("second", &commit).await;
        world.approve("old", "app", &first).await;
        let sync = world
            .until("app", "AwaitingApproval", |status| {
                let plan = status.plan.as_ref();
                plan.is_some_and(|plan| plan.digest != first && plan.actions[0].contains("second"))
            })
            .await;
        stays(&world, &inner).await;
        world.approve("new", "app", &plan(&sync).digest).await;
        goes(&world, &inner).await;
    });
}

#[test]
fn what_stays_by_its_own_word_keeps_the_namespace_around_it() {
    run(async {
        let (world, inner) = begin("kept", crds::DeletionPolicy::Delete).await;
        let words = [
            ("orphan", "helm.sh/resource-policy: keep"),
            ("kept", "signet.dev/prune: disabled"),
        ];
        for (name, word) in words {
            world
                .repo
                .write(&format!("app/{name}.yaml"), map(name, &inner, word));
        }
        let commit = world.repo.commit("What stays");
        world.team.applied("app", &commit).await;
        world
            .set("app", serde_json::json!({"prune": {"limit": "100%"}}))
            .await;
        for file in ["inner", "orphan", "kept"] {
            world.repo.remove(&format!("app/{file}.yaml"));
        }
        let commit = world.repo.commit("All of it leaves");
        world.team.applied("app", &commit).await;
        world.told("Kept", &[&inner, "stays, and would go with it"]).await;
        let sync: Sync = world.team.api().get("app").await.unwrap();
        let said = warnings(&sync);
        let itself = "left Git and stays: it says so itself";
        assert_eq!(said.len(), 3, "{said:#?}");
        for name in ["kept", "orphan"] {
            assert!(
                said.contains(&format!("ConfigMap {inner}/{name}: {itself}")),
                "{said:#?}"
            );
        }
        stays(&world, &inner).await;
        let maps: Api<ConfigMap> = Api::namespaced(world.team.stage().cluster.client(), &inner);
        let there = || async {
            let found = maps.list(&ListParams::default()).await.unwrap().items;
            let mut names: Vec<_> = found.iter().map(ResourceExt::name_any).collect();
            names.retain(|name| name != "kube-root-ca.crt");
            names
        };
        assert_eq!(there().await, ["kept", "orphan"]);

        // The Sync is deleted with its objects: what stays by its own word keeps its namespace as well.
        world.team.kubectl(["delete", "sync", "app"]).ok();
        world.team.gone::<ConfigMap>("a").await;
        world
            .told("Deleted", &[&format!("Namespace {inner} ("), "stays in it"])
            .await;
        stays(&world, &inner).await;
        assert_eq!(there().await, ["kept", "orphan"]);
    });
}

#[test]
fn a_namespace_that_git_still_has_objects_in_stays() {
    run(async {
        let (world, inner) = begin("inhabited", crds::DeletionPolicy::Orphan).await;
        world.repo.write("app/own.yaml", map("own", &inner, ""));
        let commit = world.repo.commit("In it");
        world.team.applied("app", &commit).await;
        world.repo.remove("app/inner.yaml");
        let commit = world.repo.commit("The namespace leaves, what is in it does not");
        world.team.applied("app", &commit).await;
        let held = format!("Git still holds ConfigMap {inner}/own");
        world.told("Kept", &[&inner, &held]).await;
        let sync: Sync = world.team.api().get("app").await.unwrap();
        let said = format!("Namespace {inner}: left Git and stays: {held}");
        assert_eq!(warnings(&sync), [said]);
        stays(&world, &inner).await;
        // What Git holds again, and what is gone, is not spoken of any more.
        let commit = world
            .repo
            .write("app/inner.yaml", namespace(&inner))
            .commit("It is back");
        assert_eq!(warnings(&world.team.applied("app", &commit).await), NONE);
        world.repo.remove("app/inner.yaml").remove("app/own.yaml");
        let commit = world.repo.commit("Both leave");
        assert_eq!(warnings(&world.team.applied("app", &commit).await), NONE);
        goes(&world, &inner).await;
    });
}

#[test]
fn a_namespace_that_others_live_in_outlives_its_sync() {
    run(async {
        let (world, inner) = with_guest("outlived", crds::DeletionPolicy::Delete).await;
        world.team.kubectl(["delete", "sync", "app"]).ok();
        world.team.gone::<ConfigMap>("a").await;
        let said = format!(
            "Sync {}/guest has objects that would go with it",
            world.team.name()
        );
        world.told("Deleted", &[&inner, &said]).await;
        stays(&world, &inner).await;
    });
}

/// A prune would ask about it, and so does the deletion of a Sync with its objects: another Sync may have pruned that.
#[test]
fn a_namespace_in_which_somebody_runs_something_does_not_go_with_its_sync_unasked() {
    run(async {
        let (world, inner) = begin("parting", crds::DeletionPolicy::Delete).await;
        run_something(&world, "handmade", &inner);
        world.team.kubectl(["delete", "sync", "app", "--wait=false"]).ok();
        let sync = world.says("app", "DeletionWaits").await;
        let message = objects::message(&sync, "Ready");
        let delete = format!("delete Namespace {inner}, and with it Deployment {inner}/handmade");
        for part in [
            delete.as_str(),
            "signet.dev/prune: orphan",
            "spec.deletionPolicy to Orphan",
        ] {
            assert!(message.contains(part), "{part}: {message}");
        }
        assert_eq!(plan(&sync).actions, [delete.as_str()]);
        world.stays(&[("a", None), ("b", None)]).await;
        stays(&world, &inner).await;
        // Whoever comes after that is in no approval of it.
        run_something(&world, "second", &inner);
        world.approve("old", "app", &plan(&sync).digest).await;
        let sync = world
            .until("app", "DeletionWaits", |status| {
                let plan = status.plan.as_ref();
                plan.is_some_and(|plan| plan.actions[0].ends_with(" and 1 more"))
            })
            .await;
        stays(&world, &inner).await;
        world.approve("yes", "app", &plan(&sync).digest).await;
        goes(&world, &inner).await;
        world.team.gone::<Sync>("app").await;
    });
}

/// The object's own word is another way out.
#[test]
fn a_definition_of_which_somebody_has_objects_stays_by_its_own_word_when_its_sync_goes() {
    run(async {
        let world = World::begin("parting-kind").await;
        world.team.make_platform();
        let group = format!("{}.example.com", world.team.name());
        world.repo.write("app/definition.yaml", lodger_definition(&group));
        world
            .applied(&[("a", "one")], |spec| {
                spec.deletion_policy = crds::DeletionPolicy::Delete;
            })
            .await;
        make_lodger(&world, &group).await;
        world.team.kubectl(["delete", "sync", "app", "--wait=false"]).ok();
        let sync = world.says("app", "DeletionWaits").await;
        let message = objects::message(&sync, "Ready");
        assert!(message.contains(&format!("Lodger.{group}")), "{message}");
        let cluster = &world.team.stage().cluster;
        let definition = format!("crd/lodgers.{group}");
        cluster
            .kubectl(["annotate", &definition, "signet.dev/prune=orphan"])
            .ok();
        // It may be gone by now: the word is seen by itself.
        world
            .team
            .kubectl(["annotate", "sync", "app", "signet.dev/requestedAt=now"]);
        world.team.gone::<Sync>("app").await;
        world
            .team
            .kubectl(["get", &format!("lodgers.{group}"), "one"])
            .ok();
        cluster.kubectl(["delete", &definition]).ok();
    });
}

#[test]
fn a_definition_whose_objects_others_have_is_not_deleted_without_a_person() {
    run(async {
        let world = World::begin("defined").await;
        world.team.make_platform();
        let group = format!("{}.example.com", world.team.name());
        world.repo.write("app/definition.yaml", lodger_definition(&group));
        world.applied(&[("a", "one"), ("b", "one")], |_| {}).await;
        let lodger = format!("apiVersion: {group}/v1\nkind: Lodger\nmetadata: {{name: one}}\n");
        world.repo.write("guest/one.yaml", lodger);
        let commit = world.repo.commit("One of its kind");
        world.team.sync("guest", "guest").await;
        world.team.applied("guest", &commit).await;
        world.repo.remove("app/definition.yaml");
        world.repo.commit("The definition leaves");
        let sync = world.says("app", "PruneRefused").await;
        let message = objects::message(&sync, "Ready");
        assert!(
            message.contains(&format!("Sync {}/guest", world.team.name())),
            "{message}"
        );
        let definitions: Api<CustomResourceDefinition> = Api::all(world.team.stage().cluster.client());
        let name = format!("lodgers.{group}");
        wait::throughout(A_WHILE, || async {
            let found = definitions.get(&name).await.map_err(|error| error.to_string())?;
            found
                .metadata
                .deletion_timestamp
                .map_or(Ok(()), |_| Err("it is being deleted".to_owned()))
        })
        .await;
        // Objects of it hold no definition for ever.
        world.approve("yes", "app", &plan(&sync).digest).await;
        wait::poll("the definition to go", || async {
            match definitions
                .get_opt(&name)
                .await
                .map_err(|error| error.to_string())?
            {
                Some(found) if found.metadata.deletion_timestamp.is_none() => Err("it is there".to_owned()),
                _ => Ok(()),
            }
        })
        .await;
    });
}

/// What was made by hand, or by another tool, is in nobody's plan.
#[test]
fn a_namespace_in_which_somebody_runs_something_is_not_deleted_without_a_person() {
    run(async {
        let (world, inner) = begin("handmade", crds::DeletionPolicy::Orphan).await;
        run_something(&world, "handmade", &inner);
        world.repo.remove("app/inner.yaml");
        let commit = world.repo.commit("The namespace leaves");
        let sync = world.says("app", "PruneRefused").await;
        let message = objects::message(&sync, "Ready");
        let who = format!("Deployment {inner}/handmade, which no Sync has, would go with it");
        assert!(
            message.contains(&format!("Namespace {inner} left Git")) && message.contains(&who),
            "{message}"
        );
        let first = plan(&sync).digest.clone();
        assert_eq!(
            plan(&sync).actions,
            [format!(
                "delete Namespace {inner}, and with it Deployment {inner}/handmade"
            )]
        );
        stays(&world, &inner).await;
        // Another one comes: whoever approved did not know of it.
        run_something(&world, "second", &inner);
        world.approve("old", "app", &first).await;
        let sync = world
            .until("app", "PruneRefused", |status| {
                status.plan.as_ref().is_some_and(|plan| plan.digest != first)
            })
            .await;
        stays(&world, &inner).await;
        world.approve("yes", "app", &plan(&sync).digest).await;
        world.team.applied("app", &commit).await;
        goes(&world, &inner).await;
    });
}

/// Changes of health, of which there may be many, are nothing to look at everybody in a Namespace for.
#[test]
fn a_plan_that_waits_is_not_looked_at_anew_at_every_wake() {
    run(async {
        let (world, inner) = begin("patient", crds::DeletionPolicy::Orphan).await;
        let mut spec = crds::SyncSpec::new("app", "app", "deployer");
        gates(&mut spec);
        let checks = serde_json::json!({"healthChecks": spec.health_checks});
        world.set("app", checks).await;
        world.repo.write("app/gate.yaml", gated("gate", &[]));
        let commit = world.repo.commit("A gate");
        world.team.until("gate", "the gate", |_: &ConfigMap| true).await;
        tell(&world.team, "gate", "good").await;
        world.team.applied("app", &commit).await;
        run_something(&world, "handmade", &inner);
        world.repo.remove("app/inner.yaml");
        world.repo.commit("The namespace leaves");
        world.says("app", "PruneRefused").await;
        let mark = world.mark();
        for _ in 0..5 {
            for (state, says) in [("shut", "Progressing"), ("good", "PruneRefused")] {
                tell(&world.team, "gate", state).await;
                world.says("app", says).await;
            }
        }
        let mut lists = world.team.stage().cluster.audit().by_controller(mark);
        lists.retain(|request| request.verb == "list" && request.namespace == inner);
        // One look asks for five kinds, and counts for half a minute.
        assert!(lists.len() <= 15, "{lists:#?}");
    });
}

/// Who moves in while something else of the plan goes slowly is in no approval of it, and in the next.
#[test]
fn who_moves_in_while_a_plan_is_carried_out_is_in_the_next_approval() {
    run(async {
        let (world, inner) = begin("movers", crds::DeletionPolicy::Orphan).await;
        world.repo.write(
            "app/slow.yaml",
            map("slow", world.team.name(), "signet.dev/wave: \"1\""),
        );
        let commit = world.repo.commit("One that goes slowly");
        world.team.applied("app", &commit).await;
        let hold = |held: bool| {
            let finalizers = held.then_some(["example.com/hold"]);
            serde_json::json!({"metadata": {"finalizers": finalizers}})
        };
        world.edit("somebody", "slow", hold(true)).await;
        world
            .set("app", serde_json::json!({"prune": {"policy": "Confirm"}}))
            .await;
        world.repo.remove("app/inner.yaml").remove("app/slow.yaml");
        let commit = world.repo.commit("Both leave");
        let sync = world.says("app", "PruneRefused").await;
        let first = plan(&sync).digest.clone();
        world.approve("first", "app", &first).await;
        world
            .until("app", "Progressing", |status| {
                let ready = status.conditions.iter().find(|one| one.type_ == "Ready");
                ready.is_some_and(|ready| ready.message.contains("/slow to be gone"))
            })
            .await;
        run_something(&world, "late", &inner);
        world.edit("somebody", "slow", hold(false)).await;
        let sync = world
            .until("app", "PruneRefused", |status| {
                let names = |plan: &crds::PlanReport| plan.actions.iter().any(|one| one.contains("/late"));
                status.plan.as_ref().is_some_and(names)
            })
            .await;
        stays(&world, &inner).await;
        world.approve("second", "app", &plan(&sync).digest).await;
        world.team.applied("app", &commit).await;
        goes(&world, &inner).await;
    });
}

/// The same of a definition of which somebody has objects that no Sync knows of.
#[test]
fn a_definition_of_which_somebody_has_objects_is_not_deleted_without_a_person() {
    run(async {
        let world = World::begin("definedby").await;
        world.team.make_platform();
        let group = format!("{}.example.com", world.team.name());
        world.repo.write("app/definition.yaml", lodger_definition(&group));
        world.applied(&[("a", "one"), ("b", "one")], |_| {}).await;
        make_lodger(&world, &group).await;
        world.repo.remove("app/definition.yaml");
        let commit = world.repo.commit("The definition leaves");
        let sync = world.says("app", "PruneRefused").await;
        let message = objects::message(&sync, "Ready");
        assert!(
            message.contains("would go with it") && message.contains(&format!("lodgers.{group} left Git")),
            "{message}"
        );
        // Once they are gone nobody is asked.
        world
            .team
            .kubectl(["delete", &format!("lodgers.{group}"), "one"])
            .ok();
        world.team.request("app", "now").await;
        world.team.applied("app", &commit).await;
    });
}

/// What is inside and waits for a person goes with the approval, and the Namespace after it: whoever approves sees both.
#[test]
fn an_approval_of_what_is_in_a_namespace_shows_who_would_go_with_that() {
    run(async {
        let (world, inner) = begin("inside", crds::DeletionPolicy::Orphan).await;
        world
            .repo
            .write("app/c.yaml", map("c", &inner, "signet.dev/prune: confirm"));
        let commit = world.repo.commit("In it");
        world.team.applied("app", &commit).await;
        world
            .set("app", serde_json::json!({"prune": {"limit": "100%"}}))
            .await;
        run_something(&world, "handmade", &inner);
        world.repo.remove("app/inner.yaml").remove("app/c.yaml");
        let commit = world.repo.commit("Both leave");
        let sync = world.says("app", "PruneRefused").await;
        let shown = &plan(&sync).actions;
        let delete = format!("delete Namespace {inner}, and with it Deployment {inner}/handmade");
        assert!(shown.contains(&delete), "{shown:#?}");
        assert!(
            shown.contains(&format!("delete ConfigMap {inner}/c")),
            "{shown:#?}"
        );
        assert_eq!((shown.len(), plan(&sync).delete), (2, 2));
        let message = objects::message(&sync, "Ready");
        let who = format!("Deployment {inner}/handmade, which no Sync has, would go with it");
        assert!(message.contains(&who), "{message}");
        stays(&world, &inner).await;
        world.approve("yes", "app", &plan(&sync).digest).await;
        world.team.applied("app", &commit).await;
        goes(&world, &inner).await;
    });
}

/// Where nobody can look, a person is asked: a Sync is not held for good by what fails in the API server.
#[test]
fn a_sync_goes_with_a_definition_whose_objects_cannot_be_listed_once_that_is_approved() {
    run(async {
        let (stage, faults) = behind_faults().await;
        let world = World::on(&stage, "unlisted").await;
        world.team.make_platform();
        let group = format!("{}.example.com", world.team.name());
        world.repo.write("app/definition.yaml", lodger_definition(&group));
        world
            .applied(&[("a", "one")], |spec| {
                spec.deletion_policy = crds::DeletionPolicy::Delete;
            })
            .await;
        let of = format!("/apis/{group}/");
        faults.set(move |asked| {
            let list = asked.path.starts_with(&of) && asked.path.ends_with("/lodgers");
            list.then_some(Fault::Refuse {
                code: 500,
                retry_after: None,
            })
        });
        world.team.kubectl(["delete", "sync", "app", "--wait=false"]).ok();
        let sync = world.says("app", "DeletionWaits").await;
        let message = objects::message(&sync, "Ready");
        assert!(message.contains("which cannot be listed"), "{message}");
        world.approve("yes", "app", &plan(&sync).digest).await;
        world.team.gone::<Sync>("app").await;
    });
}

/// The same of a deletion that waits.
#[test]
fn a_deletion_that_waits_does_not_look_anew_at_every_wake() {
    run(async {
        let (world, inner) = begin("restful", crds::DeletionPolicy::Delete).await;
        run_something(&world, "handmade", &inner);
        world.team.kubectl(["delete", "sync", "app", "--wait=false"]).ok();
        world.says("app", "DeletionWaits").await;
        let start = world.mark();
        let audit = world.team.stage().cluster.audit();
        for number in 0..5 {
            let mark = world.mark();
            // Of another plan: it wakes the Sync, and is nothing to it.
            let digest = format!("{number:032x}");
            world.approve(&format!("other-{number}"), "app", &digest).await;
            wait::poll("the namespace to be looked at", || async {
                let mut asked = audit.by_controller(mark).into_iter();
                let look = asked.any(|request| request.verb == "get" && request.name == inner);
                if look { Ok(()) } else { Err("not yet".to_owned()) }
            })
            .await;
        }
        let mut lists = audit.by_controller(start);
        lists.retain(|request| request.verb == "list" && request.namespace == inner);
        // One look asks for five kinds, and counts for half a minute.
        assert!(lists.len() <= 10, "{lists:#?}");
    });
}
