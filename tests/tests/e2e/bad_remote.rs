//! Remotes that cannot be read: the Repository says why, the Sync that follows it too, and what is applied stays.

use crds::{LocalReference, Repository, Sync};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use tests::git::{Mood, git};
use tests::{GitServer, Space, Stage, command, objects, run};

use crate::bad_support::Case;

#[test]
fn a_remote_that_cannot_be_read_is_said_in_both_places_and_heals() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("bad-remote");
        let home = tempfile::tempdir().unwrap();
        let server = GitServer::start(home.path()).await;
        let (empty, full) = (server.repository("empty"), server.repository("full"));
        let commit = full
            .write("app/map.yaml", objects::config_map("map", "one"))
            .commit("Begin");
        // A port that nobody listens on: taken and given back.
        let closed = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let unreachable = format!("http://{closed}/x.git");
        team.repository("empty", &empty).await;
        team.repository_with("branch", &full, |spec| {
            spec.reference.branch = Some("release".into());
        })
        .await;
        team.repository_with("unreachable", &full, |spec| spec.url = unreachable)
            .await;
        team.repository_with("missing", &full, |spec| {
            spec.url = full.url().replace("full", "nothing");
        })
        .await;
        for (name, what, hint) in [
            ("empty", "The repository is empty.", "Push a first commit."),
            (
                "branch",
                "There is no branch \"release\".",
                "Push the branch, or correct its name.",
            ),
            (
                "unreachable",
                "The remote cannot be reached:",
                "Check host, port, DNS and network policies.",
            ),
            ("missing", "No repository at this address.", "Check the URL;"),
        ] {
            refused(&team, name, what, hint).await;
        }

        let commit_of_empty = empty
            .write("app/late.yaml", objects::config_map("late", "one"))
            .commit("First");
        team.applied("empty", &commit_of_empty).await;
        full.git(["push", "--quiet", "origin", "HEAD:release"]);
        team.applied("branch", &commit).await;
        for name in ["unreachable", "missing"] {
            change(&team, name, &json!({"spec": {"url": full.url()}})).await;
            // Three Syncs want the same object now; this one has to be told that it is not alone.
            team.fetched(name, &commit).await;
        }
    });
}

#[test]
fn wrong_credentials_are_said_and_right_ones_are_taken_up() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("bad-login");
        let home = tempfile::tempdir().unwrap();
        let server = GitServer::start(home.path()).await;
        server.require_login("team", "hunter2");
        let repo = server.repository("app");
        let commit = repo
            .write("app/map.yaml", objects::config_map("map", "one"))
            .commit("Begin");

        team.repository("none", &repo).await;
        let (what, hint) = (
            "The remote asks for credentials.",
            "Reference a Secret with username and password",
        );
        refused(&team, "none", what, hint).await;

        team.repository_with("wrong", &repo, |spec| {
            spec.secret_ref = Some(LocalReference { name: "git".into() });
        })
        .await;
        refused(
            &team,
            "wrong",
            "may not read Secret git in namespace",
            "Grant it with a Role",
        )
        .await;
        let rule = [
            "create",
            "role",
            "git",
            "--verb=get",
            "--resource=secrets",
            "--resource-name=git",
        ];
        team.kubectl(rule).ok();
        let account = "--serviceaccount=signet-system:signet-controller";
        team.kubectl(["create", "rolebinding", "git", "--role=git", account])
            .ok();
        refused(
            &team,
            "wrong",
            "Secret git of spec.secretRef does not exist in namespace",
            "Create it",
        )
        .await;
        login(&team, "hunter3").await;
        let hint = "Renew the token, and check that it can read this repository.";
        let said = refused(
            &team,
            "wrong",
            "The remote does not accept the credentials.",
            hint,
        )
        .await;
        assert!(!said.contains("hunter"), "{said}");

        login(&team, "hunter2").await;
        team.applied("wrong", &commit).await;
    });
}

#[test]
fn a_remote_that_is_lost_later_takes_nothing_with_it() {
    run(async {
        let stage = Stage::shared().await;
        let home = tempfile::tempdir().unwrap();
        let server = GitServer::start(home.path()).await;
        let case = Case::on(stage, &server, "lost", |_| {}).await;
        let first = case.repo.head();

        server.set_mood(Mood::Unavailable);
        case.repo.remove("app/goes.yaml");
        let second = case
            .repo
            .write("app/keep.yaml", objects::config_map("keep", "two"))
            .write("app/new.yaml", objects::config_map("new", "one"))
            .commit("Unseen");
        let what = "the Repository to say that its remote is lost";
        let repository: Repository = case
            .team
            .until("app", what, |found| {
                said(found).contains("The remote answers with HTTP status 503.")
            })
            .await;
        let stays = format!("main@{} stays in use.", &first[..12]);
        assert!(said(&repository).ends_with(&stays), "{}", said(&repository));

        // What was fetched is still kept in place.
        let before: ConfigMap = case.team.api().get("keep").await.unwrap();
        case.team
            .kubectl(["delete", "configmap", "keep", "--wait=false"])
            .ok();
        case.team
            .until("keep", "the map to be made again", |now: &ConfigMap| {
                now.uid() != before.uid()
            })
            .await;
        case.value("keep", "one").await;

        // The branch disappears as well: not a word about deleting.
        server.set_mood(Mood::Serving);
        case.team.applied("app", &second).await;
        let mut rename = git(case.repo.bare());
        rename.args(["branch", "-m", "main", "other"]);
        command::run(rename, b"").ok();
        let what = "the Repository to say that its branch is lost";
        case.team
            .until("app", what, |found: &Repository| {
                said(found).contains("There is no branch \"main\".")
            })
            .await;
        case.value("keep", "two").await;
        case.repo.remove("app/new.yaml");
        let third = case.repo.commit("Back again");
        case.team.applied("app", &third).await;
        case.team.gone::<ConfigMap>("new").await;
    });
}

/// Waits until the Repository and a Sync of the same name that follows it say this, and gives what the Sync says.
async fn refused(team: &Space<'_>, name: &str, what: &str, hint: &str) -> String {
    if team.api::<Sync>().get_opt(name).await.unwrap().is_none() {
        team.sync_with(name, "app", |spec| spec.source_ref.name = name.into())
            .await;
    }
    let told = |message: &str| message.contains(what) && message.contains(hint);
    let wanted = format!("Repository {name} to say {what:?} and {hint:?}");
    team.until(name, &wanted, |found: &Repository| told(&said(found)))
        .await;
    let wanted = format!("Sync {name} to say {what:?} and {hint:?}");
    let start = format!("Repository {name} has no commit to apply: ");
    let sync = team
        .until(name, &wanted, |sync: &Sync| {
            let message = objects::message(sync, "Ready");
            objects::is(sync, "Ready", "False") && message.starts_with(&start) && told(message)
        })
        .await;
    objects::message(&sync, "Ready").to_owned()
}

fn said(repository: &Repository) -> String {
    let status = repository.status.as_ref();
    let mut conditions = status.into_iter().flat_map(|status| &status.conditions);
    let ready = conditions.find(|condition| condition.type_ == "Ready");
    ready.map(|ready| ready.message.clone()).unwrap_or_default()
}

async fn change(team: &Space<'_>, repository: &str, patch: &serde_json::Value) {
    let patch = Patch::Merge(patch);
    team.api::<Repository>()
        .patch(repository, &PatchParams::default(), &patch)
        .await
        .unwrap();
}

/// Creates or changes the Secret `git`.
async fn login(team: &Space<'_>, password: &str) {
    let secret = objects::secret(
        team.name(),
        "git",
        &[("username", "team"), ("password", password)],
    );
    let secret: Secret = serde_json::from_value(secret).unwrap();
    if team
        .api::<Secret>()
        .create(&PostParams::default(), &secret)
        .await
        .is_err()
    {
        let patch = Patch::Merge(&secret);
        team.api::<Secret>()
            .patch("git", &PatchParams::default(), &patch)
            .await
            .unwrap();
    }
}
