//! An object that moves from one Sync's path to another's is handed over: it is never deleted, and stays the same object.

use crds::{Mode, Sync};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use serde_json::json;
use tests::audit::{CONTROLLER, Mark};
use tests::{objects, run};

use crate::bad_support::Case;

#[test]
fn an_object_that_moves_to_another_sync_stays_the_same_object() {
    run(async {
        let (case, before, mark) = begin("moved").await;
        case.repo.remove("app/moves.yaml");
        let commit = case
            .repo
            .write("two/moves.yaml", objects::config_map("moves", "two"))
            .commit("Move it");
        case.team.applied("app", &commit).await;
        case.team.applied("two", &commit).await;
        let after: ConfigMap = case.team.api().get("moves").await.unwrap();
        assert_eq!(after.data.unwrap()["value"], "two");
        is_the_same(&case, &before, mark).await;

        // It is the second one's now: what the first one does not want is not put back, and the second one prunes it.
        case.repo.remove("two/moves.yaml");
        let commit = case.repo.commit("Take it away");
        case.team.applied("two", &commit).await;
        case.team.gone::<ConfigMap>("moves").await;
    });
}

/// Two Syncs of one Repository, and the object that is to move from `app` to `two`.
async fn begin(name: &str) -> (Case<'static>, ConfigMap, Mark) {
    let case = Case::begin(name).await;
    case.repo
        .write("app/moves.yaml", objects::config_map("moves", "one"))
        .write("two/stays.yaml", objects::config_map("stays", "one"));
    let commit = case.repo.commit("Two Syncs");
    case.team.sync("two", "two").await;
    case.team.applied("two", &commit).await;
    case.team.applied("app", &commit).await;
    let before: ConfigMap = case.team.api().get("moves").await.unwrap();
    let mark = case.team.stage().cluster.audit().mark();
    (case, before, mark)
}

fn set(case: &Case<'_>, sync: &str, spec: &serde_json::Value) {
    let patch = json!({ "spec": spec }).to_string();
    case.team
        .kubectl(["patch", "sync", sync, "--type=merge", "--patch", &patch])
        .ok();
}

/// `app` does not delete what has left it, since `two` may want it, and says so.
async fn is_held(case: &Case<'_>) {
    let held = |sync: &Sync| {
        let message = objects::message(sync, "Ready");
        message.contains("moves left here and may have moved to Sync") && message.contains("/two,")
    };
    case.team.until("app", "what left it to be held", held).await;
    case.another_pass().await;
}

/// It was handed over as it was.
async fn is_the_same(case: &Case<'_>, before: &ConfigMap, mark: Mark) {
    let after: ConfigMap = case.team.api().get("moves").await.unwrap();
    assert_eq!(before.uid(), after.uid(), "it was made anew");
    let requests = case.team.stage().cluster.audit().since(mark, CONTROLLER);
    let deletes = |r: &&tests::audit::Request| {
        r.verb == "delete" && r.name == "moves" && r.namespace == case.team.name()
    };
    assert_eq!(requests.iter().filter(deletes).count(), 0);
}

#[test]
fn what_moves_to_a_sync_that_is_suspended_waits_for_it() {
    run(async {
        let (case, before, mark) = begin("to-suspended").await;
        set(&case, "two", &json!({"suspend": true}));
        let suspended = |sync: &Sync| objects::is(sync, "Reconciling", "False") && sync.spec.suspend;
        case.team.until("two", "it to be suspended", suspended).await;
        case.repo.remove("app/moves.yaml").remove("app/goes.yaml");
        let commit = case
            .repo
            .write("app/comes.yaml", objects::config_map("comes", "one"))
            .write("two/moves.yaml", objects::config_map("moves", "two"))
            .commit("Move it");
        is_held(&case).await;
        // What was done before it waited is counted all the same.
        let held: Sync = case.team.api().get("app").await.unwrap();
        assert_eq!(held.status.as_ref().unwrap().counts.created, 1, "{held:#?}");
        set(&case, "two", &json!({"suspend": false}));
        case.team.applied("two", &commit).await;
        case.team.applied("app", &commit).await;
        case.value("moves", "two").await;
        is_the_same(&case, &before, mark).await;
        case.team.gone::<ConfigMap>("goes").await;
    });
}

#[test]
fn what_moves_to_a_file_that_cannot_be_read_waits_for_it_and_what_does_not_goes() {
    run(async {
        let (case, before, mark) = begin("to-unreadable").await;
        case.repo.remove("app/moves.yaml");
        let broken = format!("{}\n  : [broken\n", objects::config_map("moves", "two"));
        let commit = case.repo.write("two/moves.yaml", broken).commit("Move it badly");
        case.team.failed("two", &commit).await;
        is_held(&case).await;
        is_the_same(&case, &before, mark).await;
        let commit = case
            .repo
            .write("two/moves.yaml", objects::config_map("moves", "two"))
            .commit("Move it well");
        case.team.applied("two", &commit).await;
        case.team.applied("app", &commit).await;
        case.value("moves", "two").await;
        is_the_same(&case, &before, mark).await;

        // What no file of the other names is not held up by its trouble.
        case.repo.write("two/odd.yaml", "a: [b\n");
        let commit = case.repo.remove("app/goes.yaml").commit("Trouble elsewhere");
        case.team.failed("two", &commit).await;
        case.team.applied("app", &commit).await;
        case.team.gone::<ConfigMap>("goes").await;
    });
}

#[test]
fn what_the_former_sync_had_of_it_goes_when_git_drops_it() {
    run(async {
        let (case, before, mark) = begin("inherited").await;
        let both = |value: &str| {
            format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: moves}}\ndata: {{value: {value}, other: same}}\n"
            )
        };
        let commit = case
            .repo
            .write("app/moves.yaml", both("one"))
            .commit("Two values");
        case.team.applied("app", &commit).await;
        case.repo.remove("app/moves.yaml");
        let commit = case.repo.write("two/moves.yaml", both("one")).commit("Move it");
        case.team.applied("two", &commit).await;
        case.team.applied("app", &commit).await;
        is_the_same(&case, &before, mark).await;
        let commit = case
            .repo
            .write("two/moves.yaml", objects::config_map("moves", "one"))
            .commit("Drop one");
        case.team.applied("two", &commit).await;
        let after: ConfigMap = case.team.api().get("moves").await.unwrap();
        assert_eq!(
            after.data.unwrap().keys().collect::<Vec<_>>(),
            ["value"],
            "a field of nobody stays"
        );
        is_the_same(&case, &before, mark).await;
    });
}

#[test]
fn drift_is_repaired_by_who_wants_it_while_the_former_cannot_prune() {
    run(async {
        let (case, before, mark) = begin("kept-record").await;
        // It never gets as far as pruning.
        let stuck = "apiVersion: example.org/v1\nkind: Nowhere\nmetadata: {name: stuck}\n";
        case.repo.write("app/stuck.yaml", stuck).remove("app/moves.yaml");
        let commit = case
            .repo
            .write("two/moves.yaml", objects::config_map("moves", "one"))
            .commit("Move it");
        case.team.failed("app", &commit).await;
        case.team.applied("two", &commit).await;
        let commit = case
            .repo
            .write("app/new.yaml", objects::config_map("new", "one"))
            .commit("One more");
        case.team.failed("app", &commit).await;
        case.another_pass().await;
        case.team
            .kubectl([
                "patch",
                "configmap",
                "moves",
                "--patch",
                r#"{"data":{"value":"theirs"}}"#,
            ])
            .ok();
        case.value("moves", "one").await;
        is_the_same(&case, &before, mark).await;
    });
}

/// Naming an object takes nothing: neither a Sync that may not write it keeps it, nor one that only looks.
#[test]
fn who_names_an_object_does_not_keep_it_from_being_taken_away() {
    run(async {
        let (case, ..) = begin("named").await;
        let home = case.team.name();
        let other = case.team.stage().space("named-elsewhere");
        let theirs = case.team.stage().git.repository(other.name());
        let named = |name: &str| {
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": home},
                "data": {"value": "theirs"}})
            .to_string()
        };
        let commit = theirs
            .write("app/goes.yaml", named("goes"))
            .commit("What another team has");
        other.repository("app", &theirs).await;
        other.sync("app", "app").await;
        other.failed("app", &commit).await;
        case.repo.write("shadow/moves.yaml", named("moves"));
        let commit = case.repo.commit("For a shadow");
        case.team
            .sync_with("shadow", "shadow", |spec| spec.mode = Mode::Detect)
            .await;
        let looked = |sync: &Sync| objects::attempted(sync) == commit;
        case.team
            .until("shadow", "the shadow to have looked", looked)
            .await;

        for name in ["goes", "moves"] {
            case.repo.remove(&format!("app/{name}.yaml"));
            let commit = case.repo.commit("Take it away");
            case.team.gone::<ConfigMap>(name).await;
            case.team.applied("app", &commit).await;
        }
    });
}

#[test]
fn what_moves_to_a_sync_that_may_not_have_it_waits_for_it_and_is_said_to() {
    run(async {
        let (case, before, mark) = begin("to-powerless").await;
        let account = ["create", "serviceaccount", "powerless"];
        case.team.kubectl(account).ok();
        set(&case, "two", &json!({"serviceAccountName": "powerless"}));
        case.repo.remove("app/moves.yaml").remove("app/goes.yaml");
        let commit = case
            .repo
            .write("two/moves.yaml", objects::config_map("moves", "two"))
            .commit("Move it");
        case.team.failed("two", &commit).await;
        let held = |sync: &Sync| {
            let message = objects::message(sync, "Ready");
            message.contains("moves left here and waits for Sync") && message.contains("/two,")
        };
        case.team.until("app", "what moves to be waited for", held).await;
        // Its neighbours do not wait.
        case.team.gone::<ConfigMap>("goes").await;
        case.another_pass().await;
        is_the_same(&case, &before, mark).await;

        set(&case, "two", &json!({"serviceAccountName": objects::DEPLOYER}));
        case.team.applied("two", &commit).await;
        case.value("moves", "two").await;
        case.team.applied("app", &commit).await;
        is_the_same(&case, &before, mark).await;
        let told = case.team.event("Sync", "app", "HandedOver").await;
        assert!(told.contains("moves") && told.contains("/two"), "{told}");
    });
}

#[test]
fn an_object_moves_to_another_repository_that_has_waited_for_it() {
    run(async {
        let (case, before, mark) = begin("to-another-repository").await;
        let theirs = case.team.stage().git.repository("moved-theirs");
        let commit = theirs
            .write("app/moves.yaml", objects::config_map("moves", "theirs"))
            .commit("It is to be ours");
        case.team.repository("theirs", &theirs).await;
        case.team
            .sync_with("theirs", "app", |spec| spec.source_ref.name = "theirs".into())
            .await;
        let refused = |sync: &Sync| {
            let failures = sync.status.iter().flat_map(|status| &status.failures);
            failures
                .into_iter()
                .any(|failure| failure.message.contains("to Sync"))
        };
        case.team.until("theirs", "it to be refused", refused).await;
        case.value("moves", "one").await;
        case.repo.remove("app/moves.yaml");
        let left = case.repo.commit("It is theirs");
        case.team.applied("theirs", &commit).await;
        case.team.applied("app", &left).await;
        case.value("moves", "theirs").await;
        is_the_same(&case, &before, mark).await;
    });
}
