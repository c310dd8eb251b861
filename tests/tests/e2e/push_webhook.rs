//! Webhooks of Git hosts: a push is applied at once where the next poll is an hour away, and nobody without the secret moves
//! anything.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use base64::Engine as _;
use crds::{LocalReference, Webhook, WebhookProvider};
use serde_json::json;
use tests::http::{Reply, post};
use tests::{Repo, Space, Stage, objects, run};

const TOKEN: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";

/// The Secret that a host signs with, and the right to read it.
fn install(team: &Space<'_>, token: &str) {
    let objects = objects::list(&[
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "push", "namespace": team.name()},
            "stringData": {"token": token}}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": "push", "namespace": team.name()},
            "rules": [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["push"], "verbs": ["get"]}]}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "push", "namespace": team.name()},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "push"},
            "subjects": [{"kind": "ServiceAccount", "name": "signet-controller", "namespace": "signet-system"}]}),
    ]);
    team.stage()
        .cluster
        .kubectl_with(
            ["apply", "--server-side", "--force-conflicts", "-f", "-"],
            &objects.to_string(),
        )
        .ok();
}

async fn follow(team: &Space<'_>, name: &str, repo: &Repo, branch: &str) {
    team.repository_with(name, repo, |spec| {
        spec.interval = "1h".into();
        spec.reference.branch = Some(branch.into());
        spec.webhook = Some(Webhook {
            provider: WebhookProvider::GitHub,
            secret_ref: LocalReference { name: "push".into() },
        });
    })
    .await;
}

fn signature(token: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes());
    let tag = hmac::sign(&key, body);
    tag.as_ref().iter().fold("sha256=".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What GitHub sends at a push.
fn body(repo: &str, branch: &str, after: &str) -> Vec<u8> {
    json!({"ref": format!("refs/heads/{branch}"), "after": after,
        "repository": {"full_name": format!("somebody/{repo}"), "clone_url": format!("https://elsewhere.example/{repo}.git")}})
    .to_string()
    .into_bytes()
}

async fn send(team: &Space<'_>, signature: &str, body: &[u8]) -> Reply {
    let url = format!("{}/v1/hooks/{}/push", team.stage().controller.url(), team.name());
    let headers = [
        ("X-GitHub-Event", "push"),
        // Another body, another delivery.
        ("X-GitHub-Delivery", signature),
        ("X-Hub-Signature-256", signature),
    ];
    post(&url, body, &headers).await.expect("an answer")
}

/// How often the remote was asked for its refs.
fn asked(team: &Space<'_>, repo: &Repo) -> usize {
    let requests = team.stage().git.requests(repo);
    requests.iter().filter(|line| line.contains("info/refs")).count()
}

#[test]
fn a_push_is_applied_at_once_and_only_for_those_who_follow_it() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("push");
        install(&team, TOKEN);
        let repo = stage.git.repository(team.name());
        let first = repo
            .write("app/map.yaml", objects::config_map("map", "one"))
            .commit("Begin");
        repo.git(["push", "--quiet", "origin", "HEAD:refs/heads/live"]);
        follow(&team, "app", &repo, "main").await;
        follow(&team, "live", &repo, "live").await;
        team.sync("app", "app").await;
        team.applied("app", &first).await;
        team.fetched("live", &first).await;

        let second = repo
            .write("app/map.yaml", objects::config_map("map", "two"))
            .commit("Change");
        let pushed = Instant::now();
        let body = body(team.name(), "main", &second);
        let reply = send(&team, &signature(TOKEN, &body), &body).await;
        assert_eq!(
            (reply.status, reply.body.as_str()),
            (202, "1 Repository looks at the remote now.\n")
        );
        team.applied("app", &second).await;
        eprintln!("push → applied: {} ms", pushed.elapsed().as_millis());

        // Once more the same: nobody asks the remote.
        let before = asked(&team, &repo);
        let again = send(&team, &signature(TOKEN, &body), &body).await;
        assert_eq!(
            (again.status, again.body.contains("before")),
            (200, true),
            "{again:?}"
        );
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert_eq!(asked(&team, &repo), before);
    });
}

/// A host's headers, and what it sends of a push to `main`, which it signs as it does.
fn delivery(provider: WebhookProvider, repo: &str, now: u64) -> (Vec<(String, String)>, Vec<u8>) {
    let url = format!("https://elsewhere.example/team/{repo}.git");
    let full = format!("team/{repo}");
    let body = match provider {
        WebhookProvider::GitHub | WebhookProvider::Gitea => {
            json!({"ref": "refs/heads/main", "repository": {"full_name": full, "clone_url": url}})
        }
        WebhookProvider::GitLab => json!({"object_kind": "push", "ref": "refs/heads/main",
            "project": {"path_with_namespace": full, "git_http_url": url}}),
        WebhookProvider::BitbucketCloud => json!({
            "push": {"changes": [{"old": null, "new": {"type": "branch", "name": "main"}}]},
            "repository": {"full_name": full}}),
        WebhookProvider::BitbucketServer => json!({
            "changes": [{"ref": {"id": "refs/heads/main", "displayId": "main"}, "type": "UPDATE"}],
            "repository": {"slug": repo, "project": {"key": "TEAM"}}}),
        WebhookProvider::AzureDevOps => json!({"eventType": "git.push",
            "resource": {"refUpdates": [{"name": "refs/heads/main"}], "repository": {"remoteUrl": url}}}),
        WebhookProvider::Generic => json!({"ref": "refs/heads/main", "repository": full}),
    };
    let body = body.to_string().into_bytes();
    let signed = signature(TOKEN, &body);
    let hex = signed.trim_start_matches("sha256=").to_owned();
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("hook:{TOKEN}"));
    let headers = match provider {
        WebhookProvider::GitHub => vec![
            ("X-GitHub-Event", "push".to_owned()),
            ("X-Hub-Signature-256", signed),
        ],
        WebhookProvider::Gitea => vec![("X-Gitea-Event", "push".to_owned()), ("X-Gitea-Signature", hex)],
        WebhookProvider::GitLab => {
            let message = [format!("one.{now}.").as_bytes(), &body].concat();
            let key = hmac::Key::new(hmac::HMAC_SHA256, TOKEN.as_bytes());
            let tag = base64::engine::general_purpose::STANDARD.encode(hmac::sign(&key, &message));
            vec![
                ("X-Gitlab-Event", "Push Hook".to_owned()),
                ("webhook-id", "one".to_owned()),
                ("webhook-timestamp", now.to_string()),
                ("webhook-signature", format!("v1,{tag}")),
            ]
        }
        WebhookProvider::BitbucketCloud => vec![
            ("X-Event-Key", "repo:push".to_owned()),
            ("X-Hub-Signature", signed),
        ],
        WebhookProvider::BitbucketServer => {
            vec![
                ("X-Event-Key", "repo:refs_changed".to_owned()),
                ("X-Hub-Signature", signed),
            ]
        }
        WebhookProvider::AzureDevOps => vec![("Authorization", format!("Basic {basic}"))],
        WebhookProvider::Generic => vec![("X-Signature", signed)],
    };
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value));
    (headers.collect(), body)
}

#[test]
fn the_push_of_every_host_is_looked_at() {
    run(async {
        let stage = Stage::shared().await;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = now.unwrap().as_secs();
        for provider in [
            WebhookProvider::GitHub,
            WebhookProvider::GitLab,
            WebhookProvider::Gitea,
            WebhookProvider::BitbucketCloud,
            WebhookProvider::BitbucketServer,
            WebhookProvider::AzureDevOps,
            WebhookProvider::Generic,
        ] {
            let team = stage.space("push-hosts");
            install(&team, TOKEN);
            let repo = stage.git.repository(team.name());
            let first = repo
                .write("app/map.yaml", objects::config_map("map", "one"))
                .commit("Begin");
            team.repository_with("app", &repo, |spec| {
                spec.interval = "1h".into();
                spec.webhook = Some(Webhook {
                    provider,
                    secret_ref: LocalReference { name: "push".into() },
                });
            })
            .await;
            team.fetched("app", &first).await;
            let second = repo
                .write("app/map.yaml", objects::config_map("map", "two"))
                .commit("Change");
            let (headers, body) = delivery(provider, team.name(), now);
            let url = format!("{}/v1/hooks/{}/push", stage.controller.url(), team.name());
            let deliver = async |body: &[u8]| {
                let headers: Vec<(&str, &str)> =
                    headers.iter().map(|(name, value)| (&**name, &**value)).collect();
                post(&url, body, &headers).await.unwrap()
            };
            // Signed for another body, where the host signs bodies.
            if !matches!(provider, WebhookProvider::AzureDevOps) {
                let forged = deliver(&[&body[..], b" "].concat()).await;
                assert_eq!(forged.status, 401, "{provider:?}: {forged:?}");
            }
            let reply = deliver(&body).await;
            assert_eq!(reply.status, 202, "{provider:?}: {reply:?}");
            team.fetched("app", &second).await;
        }
    });
}

#[test]
fn nobody_without_the_secret_moves_anything() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("push-refused");
        install(&team, "hunter2-hunter2-hunter2");
        let repo = stage.git.repository(team.name());
        let commit = repo
            .write("app/map.yaml", objects::config_map("map", "one"))
            .commit("Begin");
        follow(&team, "app", &repo, "main").await;
        team.fetched("app", &commit).await;
        let before = asked(&team, &repo);
        let body = body(team.name(), "main", &commit);

        let wrong = send(&team, &signature("another-token-altogether", &body), &body).await;
        let sha1 = send(&team, "sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59", &body).await;
        let url = format!("{}/v1/hooks/{}/nothing", stage.controller.url(), team.name());
        let nowhere = post(&url, &body, &[]).await.unwrap();
        // One answer: it cannot be told whether there is such an address.
        for reply in [&wrong, &sha1, &nowhere] {
            assert_eq!((reply.status, &reply.body), (401, &wrong.body));
            assert!(!reply.body.contains("hunter2"), "{reply:?}");
        }
        let told = team.event("Repository", "app", "WebhookRefused").await;
        assert!(
            told.contains("not signed with the token") || told.contains("no HMAC-SHA256"),
            "{told}"
        );
        assert!(!told.contains("hunter2"), "{told}");

        // Oversized, whether it is said beforehand or found out.
        let large = vec![b'x'; (1 << 20) + 1];
        let url = format!("{}/v1/hooks/{}/push", stage.controller.url(), team.name());
        let reply = post(&url, &large, &[]).await;
        assert!(reply.is_none_or(|reply| reply.status == 413));
        let packed = post(&url, &body, &[("Content-Encoding", "gzip")]).await.unwrap();
        assert_eq!(packed.status, 415);
        assert_eq!(asked(&team, &repo), before, "the remote was not asked");

        // A new token is taken up without anybody's doing, once it has been a while since the last was read.
        install(&team, TOKEN);
        let accepted = tests::wait::poll("the new token to be taken up", || async {
            let reply = send(&team, &signature(TOKEN, &body), &body).await;
            if reply.status == 202 {
                Ok(())
            } else {
                Err(format!("{reply:?}"))
            }
        });
        accepted.await;
    });
}

#[test]
fn a_flood_is_a_few_looks() {
    run(async {
        let stage = Stage::own().await;
        let team = stage.space("push-flood");
        install(&team, TOKEN);
        let repo = stage.git.repository(team.name());
        let commit = repo
            .write("app/map.yaml", objects::config_map("map", "one"))
            .commit("Begin");
        follow(&team, "app", &repo, "main").await;
        team.fetched("app", &commit).await;
        let before = asked(&team, &repo);
        let began = Instant::now();
        let (mut taken, mut limited) = (0, 0);
        for n in 0..300 {
            let body = body(team.name(), "main", &n.to_string());
            match send(&team, &signature(TOKEN, &body), &body).await.status {
                202 => taken += 1,
                429 => limited += 1,
                other => panic!("{other}"),
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        // A hundred at once, then twenty a second; and looks at most every 200 ms.
        assert!(
            taken >= 100 && taken + limited == 300,
            "{taken} taken, {limited} limited"
        );
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let most = (seconds / 0.2).ceil() as usize + 2;
        let looks = asked(&team, &repo) - before;
        assert!((1..=most).contains(&looks), "{looks} looks in {seconds} s");
        eprintln!("{taken} taken, {limited} limited, {looks} looks in {seconds:.1} s");
        assert!(
            stage.controller.log().lines().all(|line| !line.contains(TOKEN)),
            "the token is in the log"
        );
    });
}
