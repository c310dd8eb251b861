//! Hooks: what runs before, during and after a revision, once for each.

use std::time::Duration;

use crds::{Mode, Sync};
use http::Method;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use tests::audit::Mark;
use tests::fault_proxy::{Fault, FaultProxy};
use tests::{Repo, Space, objects, run, wait};

use crate::faults::behind_faults;
use crate::order_world::{
    begin, end, gated, gates, has, hook, hook_is, job, jobs_made, next_job, none_of, plain, reason, status,
    tell, unhealthy,
};

const HOOK: &str = "signet.dev/hook";
const DELETE: &str = "signet.dev/hook-delete-policy";
const TIMEOUT: &str = "signet.dev/hook-timeout";
const WAVE: &str = "signet.dev/wave";
/// Long enough for a controller that does what it must not to have done it.
const A_WHILE: Duration = Duration::from_secs(3);

fn mark(team: &Space<'_>) -> Mark {
    team.stage().cluster.audit().mark()
}

fn id(team: &Space<'_>, name: &str) -> String {
    format!("Job {}/{name}", team.name())
}

async fn no_more_jobs(team: &Space<'_>, since: Mark, made: &[&str]) {
    wait::throughout(A_WHILE, || async {
        let jobs = jobs_made(team, since);
        if jobs == made {
            Ok(())
        } else {
            Err(format!("{jobs:?} were made, and not {made:?}"))
        }
    })
    .await;
}

#[test]
fn hooks_run_before_and_after_and_once_for_a_revision() {
    run(async {
        let (team, repo) = begin("hooks").await;
        let start = mark(&team);
        repo.write("app/pre.yaml", job("pre", true, &[(HOOK, "Pre")]))
            .write("app/a.yaml", gated("a", &[]))
            .write("app/b.yaml", plain("b", &[(WAVE, "-3")]))
            .write("app/post.yaml", job("post", true, &[(HOOK, "Post")]))
            .write("app/fail.yaml", job("fail", false, &[(HOOK, "Fail")]));
        let commit = repo.commit("Begin");
        team.sync_with("app", "app", gates).await;
        let pre = id(&team, "pre");
        let sync: Sync = team
            .until("app", "the first hook to run", |sync| {
                hook_is(sync, &pre, "Running")
            })
            .await;
        assert_eq!(
            (
                reason(&sync, "Ready").as_str(),
                hook(&sync, &pre).unwrap().phase.as_str()
            ),
            ("Progressing", "Pre")
        );
        assert!(unhealthy(&sync, &pre).is_some(), "{sync:#?}");
        none_of(&team, &["a", "b"]).await;
        assert_eq!(jobs_made(&team, start), ["pre"]);
        let first = end(&team, "pre", "Succeeded").await;

        team.until("a", "what comes after the hook", |_: &ConfigMap| true)
            .await;
        no_more_jobs(&team, start, &["pre"]).await;
        tell(&team, "a", "good").await;
        let post = id(&team, "post");
        let sync: Sync = team
            .until("app", "the last hook to run", |sync| {
                hook_is(sync, &post, "Running")
            })
            .await;
        assert_eq!(reason(&sync, "Ready"), "Progressing", "{sync:#?}");
        end(&team, "post", "Succeeded").await;
        let sync = team.applied("app", &commit).await;
        assert!(
            hook_is(&sync, &pre, "Succeeded") && hook_is(&sync, &post, "Succeeded"),
            "{sync:#?}"
        );
        assert_eq!(status(&sync).hooks.len(), 2, "{sync:#?}");

        // Neither drift nor a request runs them again, nor a commit that changes nothing here.
        let uid = team.api::<ConfigMap>().get("b").await.unwrap().uid();
        team.kubectl(["delete", "configmap", "b"]).ok();
        team.until("b", "b to be restored", |map: &ConfigMap| map.uid() != uid)
            .await;
        team.request("app", "once more").await;
        team.until("app", "the request to be handled", |sync| {
            status(sync).last_handled_request == "once more"
        })
        .await;
        let elsewhere = repo
            .write("elsewhere/readme.txt", "hello")
            .commit("Something else");
        team.fetched("app", &elsewhere).await;
        no_more_jobs(&team, start, &["pre", "post"]).await;

        // A commit that changes something does, with new objects.
        let commit = repo
            .write("app/b.yaml", gated("b", &[(WAVE, "-3")]))
            .commit("Change one");
        next_job(&team, "pre", &first).await;
        end(&team, "pre", "Succeeded").await;
        team.until("b", "b to be changed", |map: &ConfigMap| {
            map.data.as_ref().is_some_and(|data| data.contains_key("gate"))
        })
        .await;
        // Once b is good, the old Job goes.
        let last = team.api::<Job>().get("post").await.unwrap().uid();
        tell(&team, "b", "good").await;
        next_job(&team, "post", last.as_deref().unwrap_or_default()).await;
        end(&team, "post", "Succeeded").await;
        let sync = team.applied("app", &commit).await;
        assert_eq!(jobs_made(&team, start), ["pre", "post", "pre", "post"]);
        let counts = status(&sync).counts;
        assert_eq!(
            (counts.objects, counts.created, counts.changed),
            (5, 2, 1),
            "{counts:?}"
        );
    });
}

/// A hook that ran well and that the API server does not delete: it answers with this code. Its uid.
async fn uncleared(
    team: &Space<'_>,
    repo: &Repo,
    faults: &FaultProxy,
    (name, phase): (&str, &str),
    code: u16,
) -> String {
    let hook = job(name, true, &[(HOOK, phase), (DELETE, "Succeeded")]);
    repo.write(&format!("app/{name}.yaml"), hook)
        .write("app/a.yaml", plain("a", &[]))
        .commit("Begin");
    team.repository("app", repo).await;
    faults.set(move |asked| {
        let delete = asked.method == Method::DELETE && asked.path.contains("/jobs/");
        delete.then_some(Fault::Refuse {
            code,
            retry_after: None,
        })
    });
    team.sync_with("app", "app", gates).await;
    let first = end(team, name, "Succeeded").await;
    wait::poll("the hook's deletion to be tried", || async {
        if faults.faults() > 0 {
            Ok(())
        } else {
            Err("not yet".to_owned())
        }
    })
    .await;
    first
}

/// What is left of a hook stands in nobody's way once it can be deleted, whatever commit came meanwhile.
#[test]
fn a_hook_that_could_not_be_cleared_away_is_before_it_runs_again() {
    run(async {
        let (stage, faults) = behind_faults().await;
        let team = stage.space("uncleared");
        let repo = stage.git.repository(team.name());
        let first = uncleared(&team, &repo, &faults, ("pre", "Pre"), 503).await;
        let commit = repo
            .write("app/a.yaml", plain("a", &[("x/y", "z")]))
            .commit("Change one");
        team.until("app", "the commit to be begun", |sync| {
            let attempted = status(sync).last_attempted_revision;
            attempted.is_some_and(|attempted| attempted.commit == commit)
        })
        .await;
        faults.clear();
        next_job(&team, "pre", &first).await;
        end(&team, "pre", "Succeeded").await;
        team.applied("app", &commit).await;
        team.keep();
    });
}

/// What cannot be deleted at all, because something in the API server fails, holds up its own next run, and nothing else.
#[test]
fn a_hook_that_is_never_cleared_away_holds_up_no_later_commit() {
    run(async {
        let (stage, faults) = behind_faults().await;
        let team = stage.space("stuckhook");
        let repo = stage.git.repository(team.name());
        let first = uncleared(&team, &repo, &faults, ("post", "Post"), 500).await;
        repo.write("app/a.yaml", plain("a", &[("x/y", "z")]))
            .commit("Change one");
        team.until("a", "the commit to be applied", |map: &ConfigMap| {
            map.annotations().get("x/y").is_some_and(|value| value == "z")
        })
        .await;
        let post: Job = team.api().get("post").await.unwrap();
        assert_eq!(
            post.uid().as_deref(),
            Some(first.as_str()),
            "its remains are not run over"
        );
        // Once it can be deleted, it runs for what came meanwhile.
        faults.clear();
        next_job(&team, "post", &first).await;
        end(&team, "post", "Succeeded").await;
        team.keep();
    });
}

/// A Job that goes by itself goes once its end is written down: if the controller is away just then, it did not fail.
#[test]
fn a_hook_that_goes_by_itself_is_seen_to_end() {
    run(async {
        let (team, repo) = begin("hookttl").await;
        let mut pre: serde_json::Value = serde_json::from_str(&job("pre", true, &[(HOOK, "Pre")])).unwrap();
        pre["spec"]["ttlSecondsAfterFinished"] = 0.into();
        repo.write("app/pre.yaml", pre.to_string())
            .write("app/a.yaml", plain("a", &[]));
        let commit = repo.commit("Begin");
        team.sync_with("app", "app", gates).await;
        let id = id(&team, "pre");
        team.until("app", "the hook to run", |sync| hook_is(sync, &id, "Running"))
            .await;
        let ttl = |job: &Job| job.spec.as_ref().and_then(|spec| spec.ttl_seconds_after_finished);
        let running: Job = team.api().get("pre").await.unwrap();
        assert_eq!(ttl(&running), None);
        end(&team, "pre", "Succeeded").await;
        let sync = team.applied("app", &commit).await;
        assert!(hook_is(&sync, &id, "Succeeded"), "{sync:#?}");
        wait::poll("the Job to go, or to be told when", || async {
            match team.api::<Job>().get_opt("pre").await.unwrap() {
                Some(job) if ttl(&job) != Some(0) => Err(format!("{:?}", ttl(&job))),
                _ => Ok(()),
            }
        })
        .await;
        // Its end is no drift, and nothing for the hook to run again for.
        team.request("app", "again").await;
        let sync = team
            .until("app", "the request to be handled", |sync| {
                status(sync).last_handled_request == "again"
            })
            .await;
        assert!(
            hook_is(&sync, &id, "Succeeded") && objects::is(&sync, "Ready", "True"),
            "{sync:#?}"
        );
    });
}

#[test]
fn hooks_stand_in_waves_and_after_namespaces() {
    run(async {
        let (team, repo) = begin("hookwave").await;
        team.make_platform();
        let other = format!("{}-other", team.name());
        repo.write(
            "app/ns.yaml",
            format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {other}}}\n"),
        )
        .write("app/one.yaml", job("one", true, &[(HOOK, "Pre"), (WAVE, "-1")]))
        .write("app/two.yaml", job("two", true, &[(HOOK, "Pre")]))
        .write("app/a.yaml", gated("a", &[]))
        .write(
            "app/during.yaml",
            job("during", true, &[(HOOK, "Sync"), (WAVE, "1")]),
        )
        .write("app/b.yaml", plain("b", &[(WAVE, "2")]));
        let commit = repo.commit("Begin");
        let start = mark(&team);
        team.sync_with("app", "app", gates).await;
        team.until("one", "the first hook", |_: &Job| true).await;
        let namespaces: Api<Namespace> = Api::all(team.stage().cluster.client());
        assert!(
            namespaces.get_opt(&other).await.unwrap().is_some(),
            "a hook may need it"
        );
        no_more_jobs(&team, start, &["one"]).await;
        end(&team, "one", "Succeeded").await;
        end(&team, "two", "Succeeded").await;
        team.until("a", "wave 0", |_: &ConfigMap| true).await;
        no_more_jobs(&team, start, &["one", "two"]).await;
        tell(&team, "a", "good").await;
        team.until("during", "the hook of wave 1", |_: &Job| true).await;
        none_of(&team, &["b"]).await;
        end(&team, "during", "Succeeded").await;
        team.applied("app", &commit).await;
        assert!(has(&team, "b").await);
        namespaces
            .delete(&other, &DeleteParams::background())
            .await
            .unwrap();
    });
}

#[test]
fn a_hook_is_cleared_away_as_it_asks_for() {
    run(async {
        let (team, repo) = begin("policies").await;
        for (name, policy) in [("default", ""), ("done", "Succeeded"), ("broken", "Failed")] {
            let policy: &[_] = if policy.is_empty() {
                &[]
            } else {
                &[(DELETE, policy)]
            };
            let hook = |when, name: &str| job(name, true, &[&[(HOOK, when)], policy].concat());
            repo.write(&format!("good/{name}.yaml"), hook("Pre", &format!("good-{name}")))
                .write(&format!("bad/{name}.yaml"), hook("Pre", &format!("bad-{name}")));
        }
        let commit = repo.commit("Begin");
        team.sync("good", "good").await;
        team.sync("bad", "bad").await;
        for name in ["default", "done", "broken"] {
            end(&team, &format!("good-{name}"), "Succeeded").await;
            end(&team, &format!("bad-{name}"), "Failed").await;
        }
        team.applied("good", &commit).await;
        team.until("bad", "all to have failed", |sync| {
            ["default", "done", "broken"]
                .iter()
                .all(|name| hook_is(sync, &id(&team, &format!("bad-{name}")), "Failed"))
        })
        .await;
        team.gone::<Job>("good-done").await;
        team.gone::<Job>("bad-broken").await;
        for name in ["good-default", "good-broken", "bad-default", "bad-done"] {
            assert!(team.api::<Job>().get_opt(name).await.unwrap().is_some(), "{name}");
        }
    });
}

#[test]
fn a_generated_name_is_made_once_for_a_revision() {
    run(async {
        let (team, repo) = begin("generated").await;
        let start = mark(&team);
        let annotations = [("argocd.argoproj.io/hook", "PreSync")];
        let hook = job("migrate-", false, &annotations)
            .replace("\"name\":\"migrate-\"", "\"generateName\":\"migrate-\"");
        assert!(hook.contains("generateName"), "{hook}");
        let one = repo
            .write("app/job.yaml", hook)
            .write("app/a.yaml", plain("a", &[]))
            .commit("One");
        team.sync("app", "app").await;
        team.applied("app", &one).await;
        team.request("app", "again").await;
        team.until("app", "the request to be handled", |sync| {
            status(sync).last_handled_request == "again"
        })
        .await;
        let first = jobs_made(&team, start);
        assert!(first.len() == 1 && first[0].starts_with("migrate-"), "{first:?}");
        let two = repo.write("app/b.yaml", plain("b", &[])).commit("Two");
        team.applied("app", &two).await;
        let made = jobs_made(&team, start);
        assert!(made.len() == 2 && made[0] != made[1], "{made:?}");
        // What was once applied is a new operation when it comes again: a success of long ago does not count.
        let back = repo.revert();
        team.applied("app", &back).await;
        let made = jobs_made(&team, start);
        assert_eq!(made, [first[0].clone(), made[1].clone(), first[0].clone()]);
    });
}

#[test]
fn after_a_hook_failed_nothing_happens_until_somebody_asks() {
    run(async {
        let (team, repo) = begin("failed").await;
        let start = mark(&team);
        repo.write("app/pre.yaml", job("pre", true, &[(HOOK, "Pre")]))
            .write("app/a.yaml", plain("a", &[]))
            .write("app/fail.yaml", job("fail", false, &[(HOOK, "Fail")]));
        let commit = repo.commit("Begin");
        team.sync("app", "app").await;
        let first = end(&team, "pre", "Failed").await;
        let (pre, fail) = (id(&team, "pre"), id(&team, "fail"));
        let over = |sync: &Sync| reason(sync, "Ready") == "HookFailed" && hook_is(sync, &fail, "Succeeded");
        let sync: Sync = team.until("app", "the hook to have failed", over).await;
        assert!(
            objects::is(&sync, "Ready", "False") && hook_is(&sync, &pre, "Failed"),
            "{sync:#?}"
        );
        let said = objects::message(&sync, "Ready");
        assert!(said.contains(&pre), "{said}");
        let rests = objects::is(&sync, "Stalled", "True") && objects::is(&sync, "Reconciling", "False");
        assert!(rests, "nothing is tried again: {sync:#?}");
        none_of(&team, &["a"]).await;
        no_more_jobs(&team, start, &["pre", "fail"]).await;

        team.request("app", "try again").await;
        let second = next_job(&team, "pre", &first).await;
        none_of(&team, &["a"]).await;
        end(&team, "pre", "Failed").await;
        team.until("app", "it to have failed again", |sync| {
            over(sync) && status(sync).last_handled_request == "try again"
        })
        .await;
        // A new commit is another try.
        let commit_two = repo
            .write("app/a.yaml", plain("a", &[(WAVE, "1")]))
            .commit("Another try");
        next_job(&team, "pre", &second).await;
        end(&team, "pre", "Succeeded").await;
        let sync = team.applied("app", &commit_two).await;
        assert_ne!(commit, commit_two);
        assert_eq!(status(&sync).hooks.len(), 1, "{sync:#?}");
        assert_eq!(jobs_made(&team, start), ["pre", "fail", "pre", "fail", "pre"]);
    });
}

#[test]
fn a_hook_that_hangs_runs_out_of_time() {
    run(async {
        let (team, repo) = begin("hangs").await;
        repo.write(
            "app/pre.yaml",
            job("pre", true, &[(HOOK, "Pre"), (TIMEOUT, "2s")]),
        )
        .write("app/a.yaml", plain("a", &[]))
        // Its own limit is longer than that of the Sync.
        .write(
            "slow/pre.yaml",
            job("slow", true, &[(HOOK, "Pre"), (TIMEOUT, "1h")]),
        )
        .write("slow/fail.yaml", job("slow-fail", false, &[(HOOK, "Fail")]))
        .write("slow/b.yaml", plain("b", &[]));
        let commit = repo.commit("Begin");
        let start = mark(&team);
        team.sync("app", "app").await;
        team.sync_with("slow", "slow", |spec| spec.timeout = "1s".into())
            .await;
        let pre = id(&team, "pre");
        let sync: Sync = team
            .until("app", "the hook to be late", |sync| {
                hook_is(sync, &pre, "TimedOut")
            })
            .await;
        assert_eq!(reason(&sync, "Ready"), "HookFailed", "{sync:#?}");
        let waits = |sync: &Sync| reason(sync, "Ready") == "Progressing";
        team.until("slow", "the other hook to be waited for", waits).await;
        wait::throughout(A_WHILE, || async {
            let sync: Sync = team.api().get("slow").await.unwrap();
            match reason(&sync, "Ready").as_str() {
                "Progressing" => Ok(()),
                _ => Err(format!("{sync:#?}")),
            }
        })
        .await;
        none_of(&team, &["a"]).await;
        assert!(!jobs_made(&team, start).contains(&"slow-fail".to_owned()));
        end(&team, "slow", "Succeeded").await;
        team.applied("slow", &commit).await;
        // What was given up does not run on beside a newer revision.
        repo.remove("app/pre.yaml").commit("Do without it");
        team.gone::<Job>("pre").await;
    });
}

#[test]
fn a_newer_commit_cancels_a_running_hook() {
    run(async {
        let (team, repo) = begin("cancel").await;
        repo.write("app/pre.yaml", job("pre", true, &[(HOOK, "Pre")]))
            .write("app/a.yaml", plain("a", &[]));
        repo.write("same/same.yaml", job("same", true, &[(HOOK, "Pre")]))
            .write("same/b.yaml", plain("b", &[]));
        repo.commit("Hangs");
        team.sync("app", "app").await;
        team.sync("same", "same").await;
        let running = |name: &'static str| {
            let id = id(&team, name);
            move |sync: &Sync| hook_is(sync, &id, "Running")
        };
        team.until("app", "the hook to run", running("pre")).await;
        team.until("same", "the hook to run", running("same")).await;
        let old = team.api::<Job>().get("same").await.unwrap().uid().unwrap();
        repo.remove("app/pre.yaml")
            .write("same/b.yaml", plain("b", &[(WAVE, "1")]));
        let commit = repo.commit("Without it");
        let sync = team.applied("app", &commit).await;
        assert!(status(&sync).hooks.is_empty(), "{sync:#?}");
        team.gone::<Job>("pre").await;
        let said = team.event("Sync", "app", "HookCancelled").await;
        assert!(said.contains(&id(&team, "pre")), "{said}");
        // Where it is still wanted, it runs anew.
        next_job(&team, "same", &old).await;
        end(&team, "same", "Succeeded").await;
        team.applied("same", &commit).await;
    });
}

/// The status of a Sync that only detects speaks of its inputs, and none of their hooks has run.
#[test]
fn hooks_run_when_a_sync_that_only_detected_begins_to_apply() {
    run(async {
        let (team, repo) = begin("hooks-detect").await;
        let start = mark(&team);
        repo.write("app/pre.yaml", job("pre", true, &[(HOOK, "Pre")]))
            .write("app/a.yaml", plain("a", &[]));
        let commit = repo.commit("Begin");
        team.sync_with("app", "app", |spec| spec.mode = Mode::Detect)
            .await;
        team.until("app", "the commit to be compared", |sync: &Sync| {
            objects::attempted(sync) == commit && reason(sync, "Ready") == "Differs"
        })
        .await;
        no_more_jobs(&team, start, &[]).await;
        let patch = Patch::Merge(serde_json::json!({"spec": {"mode": "Automatic"}}));
        let syncs = team.api::<Sync>();
        syncs.patch("app", &PatchParams::default(), &patch).await.unwrap();
        end(&team, "pre", "Succeeded").await;
        team.applied("app", &commit).await;
        assert_eq!(jobs_made(&team, start), ["pre"]);
    });
}

/// A newer commit does not wait for a right that is missing.
#[test]
fn a_hook_that_may_not_be_cancelled_is_left_and_said() {
    run(async {
        let (team, repo) = begin("cancel-refused").await;
        repo.write("app/pre.yaml", job("pre", true, &[(HOOK, "Pre")]))
            .write("app/a.yaml", plain("a", &[]));
        repo.commit("Hangs");
        team.sync("app", "app").await;
        let pre = id(&team, "pre");
        team.until("app", "the hook to run", |sync: &Sync| {
            hook_is(sync, &pre, "Running")
        })
        .await;
        // From now on the account may do with maps what it likes, and with Jobs nothing.
        team.kubectl(["delete", "rolebinding", objects::DEPLOYER]).ok();
        team.kubectl(["create", "role", "maps", "--resource=configmaps", "--verb=*"])
            .ok();
        let account = format!("--serviceaccount={}:{}", team.name(), objects::DEPLOYER);
        team.kubectl(["create", "rolebinding", "maps", "--role=maps", &account])
            .ok();
        let asks = ["auth", "can-i", "delete", "jobs", "--as"];
        let who = format!("system:serviceaccount:{}:{}", team.name(), objects::DEPLOYER);
        wait::poll("the right to be gone", || async {
            let answer = team.kubectl(asks.into_iter().chain([who.as_str()]));
            if answer.code == 0 {
                Err(answer.to_string())
            } else {
                Ok(())
            }
        })
        .await;
        let commit = repo.remove("app/pre.yaml").commit("Without it");
        let sync = team.applied("app", &commit).await;
        assert!(status(&sync).hooks.is_empty(), "{sync:#?}");
        assert!(has(&team, "a").await);
        let said = team.event("Sync", "app", "HookLeft").await;
        assert!(
            said.contains(&pre) && said.contains("cannot be cancelled"),
            "{said}"
        );
        team.api::<Job>().get("pre").await.expect("it is left to itself");
    });
}
