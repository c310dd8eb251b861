//! A branch of its own for which the host opens a pull request: once, over TLS, with a token of its own, and whatever the host
//! says, the rotation waits for the branch to be merged.

use std::sync::{Arc, Mutex};

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use crds::{RotationPhase, RotationStep};
use serde_json::{Value, json};
use tests::tls::Tls;
use tests::{Stage, run};

use crate::rotation_world::{
    ask, commits, gone, keys, opened, phase, rotate, step, target_with, until, write,
};

/// A host with GitHub's API for one repository.
#[derive(Default)]
struct Forge {
    /// `METHOD path?query authorization`, and the body.
    asked: Mutex<Vec<(String, Value)>>,
    open: Mutex<Option<Value>>,
    /// What the next pull request is answered with, instead of being opened.
    refuses: Mutex<Vec<u16>>,
}

impl Forge {
    fn made(&self) -> Vec<Value> {
        let asked = self.asked.lock().unwrap();
        let made = asked.iter().filter(|(line, _)| line.starts_with("POST "));
        made.map(|(_, body)| body.clone()).collect()
    }
}

async fn answer(State(forge): State<Arc<Forge>>, request: Request) -> Response {
    let login = request.headers().get("authorization").cloned();
    let login = login.map_or(String::new(), |value| value.to_str().unwrap().to_owned());
    let line = format!("{} {} {login}", request.method(), request.uri());
    let is_new = request.method() == "POST";
    let body = to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    forge.asked.lock().unwrap().push((line, body.clone()));
    let words = json!({"message": "hunter2 says no"}).to_string();
    if !is_new {
        let open: Vec<_> = forge.open.lock().unwrap().clone().into_iter().collect();
        return json!(open).to_string().into_response();
    }
    if let Some(status) = forge.refuses.lock().unwrap().pop() {
        return (StatusCode::from_u16(status).unwrap(), words).into_response();
    }
    let repository = json!({"full_name": "shop/app"});
    let one = json!({"state": "open", "html_url": "https://git.example/shop/app/pull/7",
        "head": {"ref": body["head"], "repo": repository}, "base": {"ref": body["base"], "repo": repository}});
    *forge.open.lock().unwrap() = Some(one.clone());
    (StatusCode::CREATED, one.to_string()).into_response()
}

#[test]
fn a_pull_request_is_opened_once_and_a_host_that_refuses_holds_nothing_up() {
    run(async {
        let mut stage = Stage::own().await;
        let forge = Arc::new(Forge::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tls = Tls::start(listener.local_addr().unwrap()).await;
        let router = axum::Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&forge));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let (name, repo) = {
            let team = stage.space("pull");
            let repo = stage.git.repository(&format!("shop/{}", team.name()));
            write(&stage, &repo, team.name(), 0).await;
            let commit = repo.commit("Begin");
            team.repository("app", &repo).await;
            team.sync("app", "app").await;
            team.applied("app", &commit).await;
            (team.keep(), repo)
        };
        let old = keys(&stage).await;
        let login = json!({"username": "signet", "password": "push-right", "apiToken": "api-right",
            "ca.crt": tls.authority()});
        let mut reseal = target_with(&stage, &name, "app", "push", &login);
        reseal["branch"] = "signet/rotation".into();
        reseal["pullRequest"] = json!({"provider": "GitHub", "api": format!("{}/api/v3", tls.url())});
        forge.refuses.lock().unwrap().push(401);
        rotate(&stage, "spring", &json!({"reseal": [reseal]}));
        let message = |rotation: &crds::KeyRotation| {
            let all = &rotation.status.as_ref().unwrap().repositories;
            all.first().map_or(String::new(), |one| one.message.clone())
        };
        let rotation = until(&stage, "spring", "to say that the host refuses", |rotation| {
            message(rotation).contains("HTTP status 401")
        })
        .await;
        assert_eq!(step(&rotation, &name), Some(RotationStep::AwaitingMerge));
        assert_eq!(
            rotation.status.as_ref().unwrap().phase,
            RotationPhase::AwaitingMerge
        );
        let text = serde_json::to_string(&rotation).unwrap();
        assert!(!text.contains("hunter2") && !text.contains("-right"), "{text}");
        assert_eq!(forge.made().len(), 1);
        assert_eq!(commits(&repo, "signet/rotation").len(), 1);

        // A person asks again: now it does not take it, and then it does.
        forge.refuses.lock().unwrap().push(422);
        ask(&stage, "spring", "again").await;
        until(&stage, "spring", "to say that it is not taken", |rotation| {
            message(rotation).contains("HTTP status 422")
        })
        .await;
        ask(&stage, "spring", "once more").await;
        let url = "https://git.example/shop/app/pull/7";
        let rotation = until(&stage, "spring", "to show the pull request", |rotation| {
            message(rotation).contains(url)
        })
        .await;
        let known = &rotation.status.as_ref().unwrap().repositories[0];
        assert_eq!(
            (known.pull_request.as_str(), known.branch.as_str()),
            (url, "signet/rotation")
        );
        let shown = stage.cluster.signet(["rotation", "status", "spring"], "");
        assert!(
            shown.stdout.contains(&format!("to merge: {name}/app: {url}\n")),
            "{shown}"
        );
        let made = forge.made();
        assert_eq!(made.len(), 3);
        assert_eq!(
            (&made[2]["head"], &made[2]["base"]),
            (&json!("signet/rotation"), &json!("main"))
        );
        assert!(
            made[2]["body"].as_str().unwrap().contains(&old.ids[0]),
            "{}",
            made[2]
        );
        for (line, _) in forge.asked.lock().unwrap().iter() {
            let path = format!("/api/v3/repos/shop/{name}/pulls");
            assert!(
                line.contains(&path) && line.ends_with(" Bearer api-right"),
                "{line}"
            );
        }

        // Started again, it makes no other; and where it does not know of it, it finds it.
        stage.controller.kill();
        stage.controller.start_again().await;
        ask(&stage, "spring", "after a restart").await;
        until(&stage, "spring", "to have looked again", |rotation| {
            let status = rotation.status.as_ref().unwrap();
            status.last_handled_request == "after a restart" && message(rotation).contains(url)
        })
        .await;
        assert_eq!(forge.made().len(), 3);
        let log = stage.controller.log();
        for secret in ["hunter2", "push-right", "api-right"] {
            assert!(!log.contains(secret), "the log holds {secret}");
        }

        repo.git(["fetch", "--quiet", "origin"]);
        repo.git(["merge", "--quiet", "--no-edit", "origin/signet/rotation"]);
        repo.push();
        phase(&stage, "spring", RotationPhase::Complete).await;
        gone(&stage, &old).await;
        assert_eq!(opened(&repo, &name, &keys(&stage).await), (3, 3));
        stage.space_of(&name).keep();
    });
}
