//! A sealing key has leaked: it is barred at once, what was ever sealed for it is found in Git's history, and it is told who
//! has changed what since.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crds::{KeyRotation, ReportState, RotationPhase};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{Patch, PatchParams};
use sealing::Scope;
use sealing::keyset::{Audience, EndorsementName, KeySet, Pins};
use serde_json::{Value, json};
use tests::fault_proxy::Fault;
use tests::git::Mood;
use tests::{GitServer, Repo, Space, Stage, command, http, objects, run, wait};

use crate::faults::behind_faults;
use crate::native::{published, seal};
use crate::rotation_safety::nameless;
use crate::rotation_world::{
    HOME, ask, begin, begin_on, gone, keys, opened, phase, pull, rotate, said, stay, target, until,
};

/// Every value of these tests says this, so that it is known wherever it turns up.
const WORD: &str = "pl4in-";

fn as_of(repo: &Repo, who: &str, subject: &str) -> String {
    let author = format!("{who} <{who}@example.org>");
    repo.git(["add", "--all"]);
    repo.git(["commit", "--quiet", "--author", &author, "--message", subject]);
    repo.push();
    repo.head()
}

fn v1(stage: &Stage, team: &Space<'_>, name: &str, values: &[(&str, &str)]) -> String {
    let values: Vec<_> = values
        .iter()
        .map(|(key, value)| (*key, format!("{WORD}{value}")))
        .collect();
    let values: Vec<_> = values.iter().map(|(key, value)| (*key, value.as_str())).collect();
    stage.seal(&objects::secret(team.name(), name, &values))
}

async fn v2(stage: &Stage, team: &Space<'_>, name: &str, values: &[(&str, &str)]) -> String {
    let values: Vec<_> = values
        .iter()
        .map(|(key, value)| (*key, format!("{WORD}{value}")))
        .collect();
    let values: Vec<_> = values.iter().map(|(key, value)| (*key, value.as_str())).collect();
    seal(
        &objects::secret(team.name(), name, &values),
        &published(stage).await,
        Scope::Strict,
    )
    .to_string()
}

/// What `signet rotation report` prints.
fn report(stage: &Stage, form: &str) -> command::Answer {
    stage
        .cluster
        .signet(["rotation", "report", "spring", "--output", form], "")
}

/// Its values, each as `name/key changed since-author first-commit author files`.
fn rows(stage: &Stage) -> BTreeSet<String> {
    let answer = report(stage, "json");
    assert!([0, 3].contains(&answer.code), "{answer}");
    let shown: Value = serde_json::from_str(&answer.stdout).unwrap();
    let rows = shown["values"].as_array().unwrap().iter().map(|row| {
        let text = |at: &str| row.pointer(at).and_then(Value::as_str).unwrap_or("-").to_owned();
        let files: Vec<_> = row["files"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let author = |at: &str| text(at).split(' ').next().unwrap().to_owned();
        format!(
            "{}/{} {} {} {} {} {}",
            text("/name"),
            text("/key"),
            text("/changed").to_lowercase(),
            author("/since/author"),
            text("/first/id"),
            author("/first/author"),
            files.join(",")
        )
    });
    rows.collect()
}

fn set(rows: &[String]) -> BTreeSet<String> {
    rows.iter().cloned().collect()
}

async fn until_rows(stage: &Stage, what: &str, expected: &[String]) {
    let expected = set(expected);
    wait::poll(what, || async {
        let found = rows(stage);
        (found == expected)
            .then_some(())
            .ok_or(format!("{found:#?}, not {expected:#?}"))
    })
    .await;
}

/// Nothing that was sealed is anywhere that a report goes, open or as a plain digest.
async fn no_leak(stage: &Stage, values: &[&str]) {
    let mut texts = vec![("log", stage.controller.log())];
    for form in ["table", "json", "csv", "markdown"] {
        let answer = report(stage, form);
        texts.push(("report", answer.stdout + &answer.stderr));
    }
    for kind in ["configmaps", "keyrotations", "events"] {
        let listed = stage
            .cluster
            .kubectl(["get", kind, "--all-namespaces", "--output=json"]);
        texts.push((kind, listed.ok()));
    }
    texts.push((
        "metrics",
        http::get(&stage.controller.metrics_url()).await.unwrap().body,
    ));
    for (place, text) in texts {
        assert!(!text.contains(WORD), "{place}");
        for value in values {
            let value = format!("{WORD}{value}");
            let hash = digest(&SHA256, value.as_bytes());
            let hex = hex(hash.as_ref());
            let encoded = STANDARD.encode(&value);
            for form in [
                encoded.trim_end_matches('='),
                &hex[..16],
                &STANDARD.encode(hash.as_ref())[..16],
            ] {
                assert!(!text.contains(form), "{place}: {value}");
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

/// How often which keys were published.
#[derive(Debug, Default)]
struct Offered {
    old: usize,
    none: usize,
    new: usize,
}

/// Watches what is published until it is stopped: whether an old key was ever offered beside a new one, or after one.
fn watched(stage: &Stage, old: Vec<String>) -> (Arc<AtomicBool>, tokio::task::JoinHandle<Offered>) {
    let stop = Arc::new(AtomicBool::new(false));
    let (url, stopped) = (stage.controller.key_set_url(), Arc::clone(&stop));
    let task = tokio::spawn(async move {
        let mut offered = Offered::default();
        while !stopped.load(Ordering::Relaxed) {
            if let Some(answer) = http::get(&url).await
                && let Ok(set) = KeySet::read(&answer.body)
            {
                let ids: Vec<_> = set.untrusted().keys.iter().map(|key| key.id.clone()).collect();
                let has_old = ids.iter().any(|id| old.contains(id));
                let has_new = ids.iter().any(|id| !old.contains(id));
                assert!(
                    !(has_old && (has_new || offered.none + offered.new > 0)),
                    "an old key is published beside a new one, or after it was barred: {ids:?} {offered:?}"
                );
                match (has_old, has_new) {
                    (true, _) => offered.old += 1,
                    (_, true) => offered.new += 1,
                    _ => offered.none += 1,
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(3)).await;
        }
        offered
    });
    (stop, task)
}

#[test]
fn what_was_ever_sealed_for_a_leaked_key_is_reported_and_who_changed_it_since() {
    run(async {
        let stage = Stage::own().await;
        let team = stage.space("leaked");
        let repo = stage.git.repository(team.name());
        // Ada begins, Bob adds, Cyd changes, renames, removes and seals again.
        repo.write(
            "app/one.yaml",
            v1(&stage, &team, "one", &[("password", "one"), ("user", "app")]),
        )
        .write(
            "app/two.json",
            v2(&stage, &team, "two", &[("token", "two"), ("salt", "salt")]).await,
        );
        let ada = as_of(&repo, "ada", "Begin");
        repo.write("app/three.yaml", v1(&stage, &team, "three", &[("key", "three")]))
            .write(
                "app/four.json",
                v2(&stage, &team, "four", &[("key", "four")]).await,
            );
        let bob = as_of(&repo, "bob", "More");
        repo.git(["mv", "app/one.yaml", "app/renamed.yaml"]);
        as_of(&repo, "cyd", "Rename");
        // The same value sealed again, another one, and one that goes.
        repo.write("app/three.yaml", v1(&stage, &team, "three", &[("key", "three")]))
            .write(
                "app/two.json",
                v2(
                    &stage,
                    &team,
                    "two",
                    &[("token", "two-changed"), ("salt", "salt")],
                )
                .await,
            )
            .remove("app/four.json");
        let last = as_of(&repo, "cyd", "Change");
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        team.applied("app", &last).await;

        let old = keys(&stage).await;
        let document = http::get(&stage.controller.key_set_url()).await.unwrap().body;
        let before = KeySet::read(&document).unwrap();
        let pins: Vec<_> = before
            .untrusted()
            .keys
            .iter()
            .map(|key| key.endorsement_key.clone())
            .collect();
        let pins: Vec<_> = pins
            .iter()
            .map(|key| EndorsementName::of_public_text(key).unwrap())
            .collect();
        let cert = http::get(&stage.controller.certificate_url()).await.unwrap().body;
        assert!(cert.contains("BEGIN CERTIFICATE"), "{cert}");
        let (stop, watching) = watched(&stage, old.ids.clone());
        let first = &before.untrusted().keys;
        assert!(
            first.len() == 2 && first.iter().all(|key| old.ids.contains(&key.id)),
            "the old keys are published before"
        );
        let of_old = opened(&repo, team.name(), &old);
        assert_eq!(of_old, (5, 5), "and open everything");
        let reseal = [target(&stage, team.name(), "app")];
        rotate(
            &stage,
            "spring",
            &json!({"reason": "Compromised", "reseal": reseal}),
        );
        let rotation = phase(&stage, "spring", RotationPhase::Complete).await;
        stop.store(true, Ordering::Relaxed);
        let offered = watching.await.unwrap();
        assert!(offered.old > 0 && offered.new > 0, "{offered:?}");
        gone(&stage, &old).await;
        let new = keys(&stage).await;
        assert!(new.ids.len() == 2 && new.ids.iter().all(|id| !old.ids.contains(id)));
        assert_eq!(opened(&repo, team.name(), &new), (5, 5));
        assert_eq!(
            opened(&repo, team.name(), &old),
            (0, 5),
            "the old ones open nothing"
        );
        let status = rotation.status.as_ref().unwrap();
        let sum = status.report.as_ref().unwrap();
        assert_eq!(
            (sum.state, sum.values, sum.unchanged, sum.removed),
            (ReportState::Complete, 6, 5, 1),
            "{sum:#?}"
        );
        assert!(
            said(&rotation, "Ready").contains("stays public"),
            "{}",
            said(&rotation, "Ready")
        );
        assert!(
            said(&rotation, "Published").contains("do not vouch"),
            "{}",
            said(&rotation, "Published")
        );
        let mut expected = vec![
            format!("one/password no - {ada} ada app/one.yaml,app/renamed.yaml"),
            format!("one/user no - {ada} ada app/one.yaml,app/renamed.yaml"),
            format!("two/token no - {ada} ada app/two.json"),
            format!("two/salt no - {ada} ada app/two.json"),
            format!("three/key no - {bob} bob app/three.yaml"),
            format!("four/key removed - {bob} bob app/four.json"),
        ];
        assert_eq!(rows(&stage), set(&expected));
        assert_eq!(report(&stage, "table").code, 3);
        let note = wait::poll("an event about it", || async {
            let note = stage.cluster.kubectl([
                "get",
                "events",
                "--namespace=signet-system",
                "--field-selector=reason=LeakReported",
                "--output=jsonpath={.items[*].message}",
            ]);
            let note = note.ok();
            if note.is_empty() {
                Err("none".to_owned())
            } else {
                Ok(note)
            }
        })
        .await;
        assert!(note.contains("5 have to be changed at their source"), "{note}");

        // Who pinned the old keys is not led to the new ones, which is told apart in the set: they stay named when they are gone.
        let document = http::get(&stage.controller.key_set_url()).await.unwrap().body;
        let after = KeySet::read(&document).unwrap();
        let time = "2030-01-01T00:00:00Z";
        assert!(
            after
                .trusted(&Pins::of(pins.clone()), &Audience::Cluster, time)
                .is_err()
        );
        assert!(
            pins.iter().all(|pin| after.untrusted().compromised.contains(pin)),
            "{document}"
        );

        // kubeseal fetches the new certificate and seals for it.
        let url = stage.controller.certificate_url();
        assert_ne!(http::get(&url).await.unwrap().body, cert);
        pull(&repo);
        let value = format!("{WORD}three-changed");
        let mut kubeseal = command::kubeseal();
        kubeseal.arg("--cert").arg(&url);
        let changed = objects::secret(team.name(), "three", &[("key", &value)]);
        let changed = command::run(kubeseal, changed.to_string().as_bytes()).ok();
        repo.write("app/three.yaml", changed);
        // Changed and committed by Dan; by Eve only sealed again; and by Flo moved under another name.
        let dan = as_of(&repo, "dan", "Another key");
        repo.write(
            "app/two.json",
            v2(
                &stage,
                &team,
                "two",
                &[("token", "two-changed"), ("salt", "pepper")],
            )
            .await,
        );
        as_of(&repo, "eve", "Seal again, and other salt");
        repo.remove("app/renamed.yaml").write(
            "app/moved.json",
            v2(&stage, &team, "moved", &[("password", "one")]).await,
        );
        let flo = as_of(&repo, "flo", "Move");
        team.applied("app", &flo).await;
        expected[0] = format!("one/password removed - {ada} ada app/one.yaml,app/renamed.yaml");
        expected[1] = format!("one/user removed - {ada} ada app/one.yaml,app/renamed.yaml");
        expected[3] = format!("two/salt yes eve {ada} ada app/two.json");
        expected[4] = format!("three/key yes dan {bob} bob app/three.yaml");
        expected.push(format!("moved/password no - {flo} flo app/moved.json"));
        until_rows(&stage, "the report to follow the branch", &expected).await;
        let csv = report(&stage, "csv").stdout;
        assert!(csv.contains(&dan) && csv.contains("dan@example.org"), "{csv}");
        // The same when it is read from what is kept, and nothing is asked for anew.
        no_leak(
            &stage,
            &[
                "one",
                "two",
                "two-changed",
                "salt",
                "three",
                "four",
                "pepper",
                "three-changed",
            ],
        )
        .await;
        until(&stage, "spring", "to count it", |rotation| {
            let sum = rotation.status.as_ref().unwrap().report.as_ref().unwrap();
            (sum.values, sum.unchanged, sum.changed, sum.removed) == (7, 2, 2, 3)
        })
        .await;
        // It goes with its rotation.
        stage
            .cluster
            .kubectl(["-n", HOME, "delete", "keyrotation", "spring"])
            .ok();
        wait::poll("the report to go", || async {
            let left = stage
                .cluster
                .kubectl(["-n", HOME, "get", "configmaps", "--output=name"])
                .ok();
            (!left.contains("signet-report")).then_some(()).ok_or(left)
        })
        .await;
    });
}

#[test]
fn a_repository_that_cannot_be_reached_makes_the_report_incomplete_and_the_key_stays() {
    run(async {
        let stage = Stage::own_drop_in().await;
        let team = stage.space("leaked-near");
        let repo = stage.git.repository(team.name());
        repo.write("app/a.json", v2(&stage, &team, "a", &[("a", "near")]).await);
        let commit = repo.commit("Begin");
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        team.applied("app", &commit).await;
        let far = GitServer::start(&stage.cluster.home().join("far")).await;
        let (away, _away_repo) = begin_on(&stage, &far, "leaked-far").await;
        // And an object of the cluster that no Repository has.
        let object = v1(&stage, &team, "by-hand", &[("b", "by-hand")]);
        stage.cluster.kubectl_with(["create", "-f", "-"], &object).ok();
        team.until("by-hand", "to be opened", |secret: &Secret| secret.data.is_some())
            .await;

        let old = keys(&stage).await;
        far.set_mood(Mood::Unavailable);
        wait::poll("it to be known", || async {
            let said = away.kubectl([
                "get",
                "repository",
                "app",
                "-o=jsonpath={.status.conditions[?(@.type=='Ready')].status}",
            ]);
            let said = said.ok();
            (said == "False").then_some(()).ok_or(said)
        })
        .await;
        let reseal = [
            target(&stage, team.name(), "app"),
            target(&stage, away.name(), "app"),
        ];
        rotate(
            &stage,
            "spring",
            &json!({"reason": "Compromised", "reseal": reseal}),
        );
        let incomplete = |rotation: &KeyRotation| {
            let report = rotation.status.as_ref().unwrap().report.as_ref();
            report.is_some_and(|report| report.state == ReportState::Incomplete && report.cluster)
        };
        let rotation = until(&stage, "spring", "an incomplete report", incomplete).await;
        let gap = &rotation.status.as_ref().unwrap().report.as_ref().unwrap().gaps[0];
        assert!(
            gap.starts_with(&format!("Repository {}/app: It cannot be followed.", away.name())),
            "{gap}"
        );
        let answer = report(&stage, "table");
        assert!(
            answer.code == 3 && answer.stderr.contains("not complete"),
            "{answer}"
        );
        let found: BTreeSet<_> = rows(&stage)
            .iter()
            .map(|row| row.split(' ').next().unwrap().to_owned())
            .collect();
        assert_eq!(found, BTreeSet::from(["a/a".to_owned(), "by-hand/b".to_owned()]));
        stay(&stage, &old).await;

        far.set_mood(Mood::Serving);
        phase(&stage, "spring", RotationPhase::Complete).await;
        assert_eq!(rows(&stage).len(), 5);
        gone(&stage, &old).await;
    });
}

#[test]
fn an_object_that_comes_meanwhile_is_in_the_report_before_it_is_sealed_again() {
    run(async {
        let stage = Stage::own_drop_in().await;
        let (team, _repo) = begin(&stage, "leaked-late", 1).await;
        let late = v1(&stage, &team, "late", &[("b", "late")]);
        // Nothing may be pushed: the rotation waits for a person.
        rotate(&stage, "spring", &json!({"reason": "Compromised"}));
        until(&stage, "spring", "to wait with a report", |rotation| {
            let status = rotation.status.as_ref().unwrap();
            let report = status.report.as_ref();
            status.phase == RotationPhase::AwaitingCommit
                && report.is_some_and(|report| report.state == ReportState::Complete)
        })
        .await;
        assert_eq!(rows(&stage).len(), 3);
        stage.cluster.kubectl_with(["create", "-f", "-"], &late).ok();
        team.until("late", "to be opened", |secret: &Secret| secret.data.is_some())
            .await;
        ask(&stage, "spring", "there is another one").await;
        until(&stage, "spring", "to have sealed it again", |rotation| {
            let objects = rotation.status.as_ref().unwrap().objects;
            objects.is_some_and(|count| (count.resealed, count.left) == (1, 0))
        })
        .await;
        let all = rows(&stage);
        assert!(
            all.len() == 4 && all.iter().any(|row| row.starts_with("late/b no ")),
            "{all:#?}"
        );
    });
}

#[test]
fn what_is_not_listed_is_told_and_holds_the_keys() {
    run(async {
        let stage = Stage::own().await;
        let (team, repo) = begin(&stage, "leaked-odd", 1).await;
        // No Sync reads it, and nothing can be called so: whoever may commit does not fill the controller's memory with it.
        let long = "n".repeat(5_000);
        let odd = v1(&stage, &team, "odd-name", &[("a", "odd"), ("b", "odd-too")]);
        let odd = odd.replace("odd-name", &long);
        let hidden = v2(&stage, &team, "hidden", &[("c", "hidden")]).await;
        let written = hidden.replace("\"SealedSecret\"", "\"Sealed\\u0053ecret\"");
        assert_ne!(written, hidden);
        // In history only, of a namespace that nobody knows of here.
        repo.write("base/adrift.json", nameless(&stage, "nobody-knows", "adrift"))
            .commit("A value of who knows where");
        repo.remove("base/adrift.json")
            .write("base/odd.json", odd)
            .write("base/hidden.json", written);
        let commit = repo.commit("Odd names");
        team.fetched("app", &commit).await;
        let old = keys(&stage).await;
        let reseal = [target(&stage, team.name(), "app")];
        rotate(
            &stage,
            "spring",
            &json!({"reason": "Compromised", "reseal": reseal}),
        );
        let rotation = phase(&stage, "spring", RotationPhase::AwaitingConfirmation).await;
        let report = rotation.status.as_ref().unwrap().report.as_ref().unwrap();
        assert_eq!(report.state, ReportState::Incomplete);
        assert!(report.gaps[0].contains("2 values are not listed"), "{report:#?}");
        assert!(
            report.gaps.len() == 2
                && report.gaps[1].contains("1 values of format v1 name no namespace")
                && report.gaps[1].contains("base/adrift.json in commit "),
            "{report:#?}"
        );
        let all = rows(&stage);
        assert!(all.iter().any(|row| row.starts_with("hidden/c no")), "{all:#?}");
        assert_eq!((all.len(), report.values), (4, 4), "{all:#?}");
        stay(&stage, &old).await;
        let maps = stage
            .cluster
            .kubectl(["-n", HOME, "get", "configmaps", "--output=json"])
            .ok();
        assert!(!maps.contains(&long[..300]));
        // Who confirms the keys alone has not said that what is missing may be missing.
        let word = report.confirm.clone();
        let ready = said(&rotation, "Ready");
        assert!(word.starts_with("gaps-") && ready.contains(&word), "{ready}");
        let api: Api<KeyRotation> = Api::namespaced(stage.cluster.client(), HOME);
        let confirm = async |confirmed: &[String]| {
            let patch = Patch::Merge(json!({"spec": {"retire": {"confirmed": confirmed}}}));
            api.patch("spring", &PatchParams::default(), &patch)
                .await
                .unwrap();
        };
        confirm(&old.ids).await;
        until(&stage, "spring", "to ask for the word", |rotation| {
            said(rotation, "Ready").ends_with(&format!("spec.retire.confirmed: {word}."))
        })
        .await;
        stay(&stage, &old).await;
        confirm(&[old.ids.as_slice(), &[word]].concat()).await;
        phase(&stage, "spring", RotationPhase::Complete).await;
        gone(&stage, &old).await;
        // What cannot be called so never opened.
        assert_eq!(opened(&repo, team.name(), &keys(&stage).await), (4, 6));
    });
}

#[test]
fn a_confirmation_that_was_given_early_does_not_count_where_the_remote_fails_for_a_moment() {
    run(async {
        let stage = Stage::own().await;
        let (team, repo) = begin(&stage, "leaked-moment", 1).await;
        repo.write("app/old.yaml", v1(&stage, &team, "old", &[("a", "old")]))
            .commit("Another one");
        let blob = repo.git(["rev-parse", "HEAD:app/old.yaml"]);
        let commit = repo.remove("app/old.yaml").commit("Without it");
        team.fetched("app", &commit).await;
        // The remote serves its head, and not all of its history.
        let object = repo.bare().join("objects").join(&blob[..2]).join(&blob[2..]);
        let away = repo.bare().join("away");
        std::fs::rename(&object, &away).unwrap();
        let old = keys(&stage).await;
        let reseal = [target(&stage, team.name(), "app")];
        let retire = json!({"then": "Destroy", "grace": "0s", "when": "Confirmed", "confirmed": old.ids});
        rotate(
            &stage,
            "spring",
            &json!({"reason": "Compromised", "reseal": reseal, "retire": retire}),
        );
        let rotation = until(&stage, "spring", "to hold for the report", |rotation| {
            said(rotation, "Ready").ends_with("It is tried again.")
        })
        .await;
        let status = rotation.status.as_ref().unwrap();
        let report = status.report.as_ref().unwrap();
        assert_eq!(
            (status.phase, report.state, report.confirm.as_str()),
            (RotationPhase::Reporting, ReportState::Incomplete, ""),
        );
        assert!(
            report.gaps[0].contains("its history cannot be read"),
            "{report:#?}"
        );
        stay(&stage, &old).await;

        std::fs::rename(&away, &object).unwrap();
        pull(&repo);
        repo.write("notes.txt", "one").commit("News");
        phase(&stage, "spring", RotationPhase::Complete).await;
        let all = rows(&stage);
        assert!(
            all.len() == 4 && all.iter().any(|row| row.starts_with("old/a removed ")),
            "{all:#?}"
        );
        gone(&stage, &old).await;
    });
}

#[test]
fn without_the_key_of_its_digests_a_report_does_not_say_that_a_value_was_changed() {
    run(async {
        let mut stage = Stage::own().await;
        let (name, repo) = {
            let team = stage.space("leaked-digests");
            let repo = stage.git.repository(team.name());
            for value in ["one", "two", "three"] {
                let sealed = v2(&stage, &team, value, &[("a", value)]).await;
                repo.write(&format!("app/{value}.json"), sealed);
            }
            let commit = repo.commit("Begin");
            team.repository("app", &repo).await;
            team.sync("app", "app").await;
            team.applied("app", &commit).await;
            (team.keep(), repo)
        };
        let reseal = [target(&stage, &name, "app")];
        rotate(
            &stage,
            "spring",
            &json!({"reason": "Compromised", "reseal": reseal}),
        );
        phase(&stage, "spring", RotationPhase::Complete).await;
        pull(&repo);
        {
            let team = stage.space_of(&name);
            repo.write(
                "app/one.json",
                v2(&stage, &team, "one", &[("a", "another")]).await,
            )
            .remove("app/three.json");
            repo.commit("Change one, remove three");
            team.keep();
        }
        let said = |stage: &Stage| -> BTreeSet<String> {
            let rows = rows(stage);
            rows.iter()
                .map(|row| row.split(' ').take(2).collect::<Vec<_>>().join(" "))
                .collect()
        };
        let until_said = async |stage: &Stage, expected: [&str; 3]| {
            let expected = BTreeSet::from(expected.map(str::to_owned));
            wait::poll("what is said of each", || async {
                let found = said(stage);
                (found == expected).then_some(()).ok_or(format!("{found:?}"))
            })
            .await;
        };
        until_said(&stage, ["one/a yes", "two/a no", "three/a removed"]).await;

        assert!(stage.controller.stop().success());
        stage
            .cluster
            .kubectl(["-n", HOME, "delete", "secret", "signet-digest-key"])
            .ok();
        stage.controller.start_again().await;
        until_said(&stage, ["one/a unknown", "two/a unknown", "three/a removed"]).await;
        let rotation = until(
            &stage,
            "spring",
            "to say that it is not whole any more",
            |rotation| {
                let report = rotation.status.as_ref().unwrap().report.as_ref();
                report.is_some_and(|report| report.state == ReportState::Incomplete && report.unknown == 2)
            },
        )
        .await;
        let report = rotation.status.as_ref().unwrap().report.as_ref().unwrap();
        assert!(report.gaps[0].contains("signet-digest-key"), "{report:#?}");
        stage.space_of(&name).keep();
    });
}

#[test]
fn a_leaked_key_is_barred_at_once_whatever_rotation_is_under_way() {
    run(async {
        let stage = Stage::own().await;
        let (team, repo) = begin(&stage, "leaked-during", 1).await;
        let old = keys(&stage).await;
        let names = async || {
            let document = http::get(&stage.controller.key_set_url()).await.unwrap().body;
            let set = KeySet::read(&document).unwrap();
            let keys = &set.untrusted().keys;
            let signs: Vec<_> = keys
                .iter()
                .map(|key| EndorsementName::of_public_text(&key.endorsement_key).unwrap())
                .collect();
            let ids: BTreeSet<_> = keys.iter().map(|key| key.id.clone()).collect();
            (ids, signs, set.untrusted().compromised.clone())
        };
        let (_, leaked, _) = names().await;
        // A routine rotation is under way, with new keys, and waits for a person.
        rotate(&stage, "routine", &json!({}));
        let routine = phase(&stage, "routine", RotationPhase::AwaitingCommit).await;
        let ids = |rotation: &KeyRotation| -> BTreeSet<String> {
            let status = rotation.status.as_ref().unwrap();
            status.new_keys.iter().map(|key| key.id.clone()).collect()
        };
        let made = ids(&routine);
        let (published, between, _) = names().await;
        assert_eq!(published, old.ids.iter().cloned().chain(made.clone()).collect());
        stay(&stage, &old).await;

        let reseal = [target(&stage, team.name(), "app")];
        rotate(
            &stage,
            "leak",
            &json!({"reason": "Compromised", "reseal": reseal}),
        );
        let leak = until(&stage, "leak", "to have barred the keys", |rotation| {
            said(rotation, "Barred").contains("Nobody is offered them")
        })
        .await;
        // Until the new keys are there, nothing is published at all.
        wait::poll("the new keys to be published", || async {
            let answer = http::get(&stage.controller.key_set_url()).await;
            let set = answer.and_then(|answer| KeySet::read(&answer.body).ok());
            let known = set.map(|set| set.untrusted().keys.len());
            known.filter(|count| *count > 0).ok_or("none yet".to_owned())
        })
        .await;
        let (now, _, compromised) = names().await;
        assert!(
            old.ids.iter().chain(&made).all(|id| !now.contains(id)),
            "a leaked key is published: {now:?}"
        );
        assert!(
            leaked.iter().all(|name| compromised.contains(name)),
            "{compromised:?}"
        );
        assert_eq!(leak.status.as_ref().unwrap().old_keys.len(), 4);
        let leak = phase(&stage, "leak", RotationPhase::Complete).await;
        gone(&stage, &old).await;
        assert_eq!(opened(&repo, team.name(), &keys(&stage).await), (3, 3));
        // The other one goes on with the keys that there are now, and has nothing left to do.
        let routine = phase(&stage, "routine", RotationPhase::Complete).await;
        assert_eq!(ids(&routine), ids(&leak));

        // Compromised for ever: the keys that say so are left in their turn.
        rotate(
            &stage,
            "later",
            &json!({"reseal": [target(&stage, team.name(), "app")]}),
        );
        phase(&stage, "later", RotationPhase::Complete).await;
        let (now, _, compromised) = names().await;
        assert!(ids(&leak).iter().all(|id| !now.contains(id)), "{now:?}");
        for name in leaked.iter().chain(&between) {
            assert!(compromised.contains(name), "{name:?} is forgotten");
        }
    });
}

#[test]
fn a_walk_that_is_killed_goes_on() {
    run(async {
        let mut stage = Stage::own().await;
        let (name, repo, expected) = {
            let team = stage.space("leaked-killed");
            let repo = stage.git.repository(team.name());
            let mut expected = BTreeSet::new();
            for number in 0..12 {
                let name = format!("v{number}");
                let sealed = v1(&stage, &team, &name, &[("a", &name), ("b", "same")]);
                repo.write(&format!("app/{name}.yaml"), sealed);
                let commit = repo.commit(&name);
                for key in ["a", "b"] {
                    expected.insert(format!("{name}/{key} no - {commit} Test app/{name}.yaml"));
                }
            }
            team.repository("app", &repo).await;
            team.sync("app", "app").await;
            team.applied("app", &repo.head()).await;
            (team.keep(), repo, expected)
        };
        let old = keys(&stage).await;
        let reseal = [target(&stage, &name, "app")];
        rotate(
            &stage,
            "spring",
            &json!({"reason": "Compromised", "reseal": reseal}),
        );
        let api: Api<KeyRotation> = Api::namespaced(stage.cluster.client(), HOME);
        // Once in each state: what was looked through is not known to the rotation right after a start, so that it says so again.
        let (mut seen, mut kills, mut walking) = (BTreeSet::new(), 0, 0);
        let deadline = std::time::Instant::now() + wait::LONG * 6;
        loop {
            assert!(std::time::Instant::now() < deadline, "it does not end: {seen:#?}");
            let status = api.get("spring").await.unwrap().status.unwrap_or_default();
            if status.phase == RotationPhase::Complete {
                break;
            }
            let report = status.report.clone().unwrap_or_default();
            let conditions: Vec<_> = status
                .conditions
                .iter()
                .map(|one| (&one.type_, one.status))
                .collect();
            let now = format!(
                "{:?} {:?} {} {}",
                status.phase, conditions, report.progress, report.values
            );
            if seen.insert(now.clone()) {
                walking += usize::from(now.contains("(\"Reported\", False)"));
                stage.controller.kill();
                kills += 1;
                eprintln!("killed at {now}");
                stage.controller.start_again().await;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert!(kills >= 4 && walking >= 1, "{kills} {walking}");
        let found: BTreeSet<_> = rows(&stage)
            .into_iter()
            .map(|row| {
                let mut parts: Vec<_> = row.split(' ').map(str::to_owned).collect();
                parts[4] = "Test".into();
                parts.join(" ")
            })
            .collect();
        assert_eq!(found, expected);
        gone(&stage, &old).await;
        assert_eq!(opened(&repo, &name, &keys(&stage).await), (24, 24));
        stage.space_of(&name).keep();
    });
}

#[test]
fn what_a_rotation_could_not_list_is_looked_through_again() {
    run(async {
        let (stage, faults) = behind_faults().await;
        let (team, repo) = begin(&stage, "unlisted", 1).await;
        rotate(
            &stage,
            "spring",
            &json!({"reason": "Compromised", "reseal": [target(&stage, team.name(), "app")],
                "retire": {"then": "Destroy", "grace": "1h"}}),
        );
        let is = |rotation: &KeyRotation, state| {
            let report = &rotation.status.as_ref().unwrap().report;
            report.as_ref().is_some_and(|report| report.state == state)
        };
        phase(&stage, "spring", RotationPhase::Unused).await;
        until(&stage, "spring", "to have a whole report", |rotation| {
            is(rotation, ReportState::Complete)
        })
        .await;
        faults.set(|asked| {
            let lists = !asked.writes() && !asked.is_watch();
            let is_it = lists && asked.path.ends_with("/bitnami.com/v1alpha1/sealedsecrets");
            is_it.then_some(Fault::Refuse {
                code: 500,
                retry_after: None,
            })
        });
        // Something is new, so that all is looked at.
        pull(&repo);
        repo.write("notes.txt", "one").commit("A note");
        let rotation = until(&stage, "spring", "to miss the cluster", |rotation| {
            is(rotation, ReportState::Incomplete)
        })
        .await;
        let report = rotation.status.as_ref().unwrap().report.as_ref().unwrap();
        assert_eq!(report.confirm, "", "it may pass by itself");
        faults.clear();
        until(&stage, "spring", "to have a whole report again", |rotation| {
            is(rotation, ReportState::Complete)
        })
        .await;
    });
}
