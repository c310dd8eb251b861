//! Pins where commits have to be signed: good as long as their signer is, and no look more than it takes.

use crds::{Repository, Sync, VerifyMode, annotation};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tests::audit::{Mark, Request};
use tests::git::Mood;
use tests::{GitServer, Repo, Space, Stage, objects, run, wait};

use crate::signed::{People, change, ready, refused, trust_files, verify, write};
use crate::world::{A_WHILE, reason};

/// Follows `main` with signatures; looks only when it is asked to.
async fn follow(team: &Space<'_>, repo: &Repo) {
    team.repository_with("app", repo, |spec| {
        spec.interval = "1h".into();
        spec.verify = Some(verify(VerifyMode::Head));
    })
    .await;
    team.sync("app", "app").await;
}

async fn pin(team: &Space<'_>, commit: &str) {
    let until = (Timestamp::now() + SignedDuration::from_hours(1)).to_string();
    team.api::<Sync>()
        .patch(
            "app",
            &kube::api::PatchParams::default(),
            &kube::api::Patch::Merge(json!({"spec": {"pin": {"commit": commit, "until": until}}})),
        )
        .await
        .unwrap();
}

/// Follows a commit of Ada's, and pins the Sync to Bob's before it, which is applied then.
async fn pinned_to_bobs(team: &Space<'_>, people: &People, repo: &Repo) -> String {
    people.sign(repo, Some("bob"));
    write(repo, "app/map.yaml", "one");
    let bobs = repo.commit("By Bob");
    people.sign(repo, Some("ada"));
    write(repo, "app/map.yaml", "two");
    let adas = repo.commit("By Ada");
    follow(team, repo).await;
    team.applied("app", &adas).await;
    pin(team, &bobs).await;
    team.applied("app", &bobs).await;
    bobs
}

/// Asks for a look at the remote, and waits until it has ended.
async fn look(team: &Space<'_>, request: &str) -> Repository {
    change(
        team,
        "app",
        json!({"metadata": {"annotations": {annotation::REQUESTED_AT: request}}}),
    )
    .await;
    team.until("app", "the look to have ended", |found: &Repository| {
        let status = found.status.as_ref();
        status.is_some_and(|status| status.last_handled_request == request)
    })
    .await
}

async fn says(team: &Space<'_>, wanted: &str, words: &[&str]) -> Sync {
    let what = format!("the Sync to say {wanted} with {words:?}");
    team.until("app", &what, |sync: &Sync| {
        let message = objects::message(sync, "Ready");
        reason(sync) == wanted && words.iter().all(|word| message.contains(word))
    })
    .await
}

/// How often the remote was asked for its refs.
fn asked(team: &Space<'_>, repo: &Repo) -> usize {
    let requests = team.stage().git.requests(repo);
    requests.iter().filter(|line| line.contains("info/refs")).count()
}

/// What the controller has asked the API server about this namespace since then, but for watches.
fn requests(team: &Space<'_>, mark: Mark) -> Vec<Request> {
    let mut requests = team.stage().cluster.audit().by_controller(mark);
    requests.retain(|request| request.namespace == team.name() && request.verb != "watch");
    requests
}

fn reads_of_signers(requests: &[Request]) -> usize {
    let of = |request: &&Request| request.verb == "get" && request.name == "signers";
    requests.iter().filter(of).count()
}

#[test]
fn a_pin_is_judged_again_when_other_signatures_count_and_only_then() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("signed-pin");
        let home = tempfile::tempdir().unwrap();
        let people = People::new(home.path(), &["ada", "bob"]);
        people.trust(&team, &["ada", "bob"], &[]);
        let repo = stage.git.repository(team.name());
        let bobs = pinned_to_bobs(&team, &people, &repo).await;

        // Bob's key is stolen; then he is not in the list any more; then nobody can tell who is. Each costs one look.
        let key = &bobs[..12];
        for (request, names, revoked, words) in [
            ("revoked", &["ada", "bob"][..], &["bob"][..], [key, "is revoked"]),
            ("back", &["ada", "bob"], &[], ["", ""]),
            ("removed", &["ada"], &[], [key, "nobody is trusted with"]),
            ("back again", &["ada", "bob"], &[], ["", ""]),
        ] {
            people.trust(&team, names, revoked);
            let before = asked(&team, &repo);
            let found = look(&team, request).await;
            assert_eq!(ready(&found).unwrap().reason, "Fetched", "the head is Ada's");
            if request.starts_with("back") {
                team.applied("app", &bobs).await;
            } else {
                let sync = says(&team, "PinUnavailable", &words).await;
                assert_eq!(objects::applied(&sync), bobs, "nothing moves");
            }
            assert_eq!(asked(&team, &repo) - before, 1, "{request}");
        }
        // Nor is a list believed that cannot be read: what was meant by it may have been to take him out.
        let before = asked(&team, &repo);
        trust_files(
            &team,
            &json!({"allowed_signers": "", "revoked": people.public("bob")}),
        );
        look(&team, "misspelt").await;
        says(&team, "PinUnavailable", &["signers", "cannot be used"]).await;
        people.trust(&team, &["ada", "bob"], &[]);
        look(&team, "mended").await;
        team.applied("app", &bobs).await;
        team.kubectl(["delete", "configmap", "signers"]).ok();
        look(&team, "gone").await;
        says(&team, "PinUnavailable", &["signers", "does not exist"]).await;
        people.trust(&team, &["ada", "bob"], &[]);
        look(&team, "there again").await;
        team.applied("app", &bobs).await;
        assert_eq!(asked(&team, &repo) - before, 4);

        // As long as the same signatures count, a look is one question to the remote and one to the API server, and the Sync
        // hears nothing of it.
        for request in ["one", "two", "three"] {
            let (mark, before) = (stage.cluster.audit().mark(), asked(&team, &repo));
            look(&team, request).await;
            wait::throughout(A_WHILE, || async {
                let seen = requests(&team, mark);
                // Of what was done before, events and records may come late.
                let others = |request: &&Request| {
                    request.resource == "syncs"
                        || (request.resource == "configmaps" && request.name != "signers")
                };
                let counts = (
                    asked(&team, &repo) - before,
                    reads_of_signers(&seen),
                    seen.iter().filter(others).count(),
                );
                if counts == (1, 1, 0) {
                    Ok(())
                } else {
                    Err(format!("{counts:?}: {seen:#?}"))
                }
            })
            .await;
        }
    });
}

#[test]
fn a_refused_head_and_a_pin_that_is_not_of_the_branch_cost_one_look_each_time() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("signed-lost");
        let home = tempfile::tempdir().unwrap();
        let people = People::new(home.path(), &["ada"]);
        people.trust(&team, &["ada"], &[]);
        let repo = stage.git.repository(team.name());
        people.sign(&repo, Some("ada"));
        write(&repo, "app/map.yaml", "one");
        let first = repo.commit("First");
        repo.git(["checkout", "--quiet", "-b", "side"]);
        write(&repo, "app/map.yaml", "side");
        let side = repo.commit_only("On the side");
        repo.git(["push", "--quiet", "origin", "side"]);
        repo.git(["checkout", "--quiet", "main"]);
        follow(&team, &repo).await;
        team.applied("app", &first).await;
        people.sign(&repo, None);
        write(&repo, "app/other.yaml", "unsigned");
        repo.commit("Unsigned");
        pin(&team, &side).await;
        refused(&team, "app", "CommitUnsigned").await;
        says(&team, "PinUnavailable", &[&side[..12], "is not among the last"]).await;

        // Retries are a minute apart after this many, so that what is counted is what was asked for.
        for number in 0..8 {
            look(&team, &format!("early {number}")).await;
        }
        for number in 0..3 {
            let before = asked(&team, &repo);
            look(&team, &number.to_string()).await;
            // A question, and a fetch of what was refused before.
            wait::throughout(A_WHILE, || async {
                match asked(&team, &repo) - before {
                    2 => Ok(()),
                    other => Err(format!("{other} questions in look {number}")),
                }
            })
            .await;
        }

        // Where the branch has moved the pin is looked for again, in the look that finds it out.
        people.sign(&repo, Some("ada"));
        repo.git(["merge", "--quiet", "--no-ff", "--message", "Merge", "side"]);
        repo.push();
        look(&team, "moved").await;
        team.applied("app", &side).await;
    });
}

/// Pins are for bad days: what is here is judged without the remote.
#[test]
fn a_pin_is_judged_again_while_the_remote_is_away() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("signed-away");
        let home = tempfile::tempdir().unwrap();
        let people = People::new(home.path(), &["ada", "bob", "carol"]);
        people.trust(&team, &["ada", "bob"], &[]);
        let server = GitServer::start(home.path()).await;
        let repo = server.repository("away");
        let bobs = pinned_to_bobs(&team, &people, &repo).await;

        server.set_mood(Mood::Unavailable);
        people.trust(&team, &["ada", "bob", "carol"], &[]);
        let found = look(&team, "one more").await;
        assert_eq!(ready(&found).unwrap().reason, "HttpStatus");
        wait::throughout(A_WHILE, || async {
            let sync: Sync = team.api().get("app").await.unwrap();
            if objects::is(&sync, "Ready", "True") {
                Ok(())
            } else {
                Err(format!("{sync:#?}"))
            }
        })
        .await;
        people.trust(&team, &["ada", "bob", "carol"], &["bob"]);
        look(&team, "stolen").await;
        says(&team, "PinUnavailable", &[&bobs[..12], "is revoked"]).await;
    });
}
