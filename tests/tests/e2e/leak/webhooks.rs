//! Webhooks whose tokens are the secrets: right ones, wrong ones, in every header that carries one in the clear.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use crds::{LocalReference, Webhook, WebhookProvider};
use serde_json::json;
use tests::{Repo, Space, http};

use super::sinks::{Capture, Sink};
use super::values::Values;

/// Sends deliveries, and gives what was answered.
pub(super) async fn deliver(team: &Space<'_>, repo: &Repo, values: &mut Values) -> Vec<Capture> {
    let stage = team.stage();
    let right = values.sealed("webhook token");
    let wrong = values.sealed("wrong webhook token");
    let short = "short".to_owned();
    let mut captures = Vec::new();
    for (name, provider, token) in [
        ("hook-gitlab", WebhookProvider::GitLab, &right),
        ("hook-azure", WebhookProvider::AzureDevOps, &right),
        ("hook-github", WebhookProvider::GitHub, &right),
        ("hook-short", WebhookProvider::Generic, &short),
    ] {
        let secret = json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": name, "namespace": team.name()}, "stringData": {"token": token}});
        stage
            .cluster
            .kubectl_with(["create", "-f", "-"], &secret.to_string())
            .ok();
        team.repository_with(name, repo, |spec| {
            spec.webhook = Some(Webhook {
                provider,
                secret_ref: LocalReference { name: name.into() },
            });
        })
        .await;
        let head = team
            .until(name, "to have fetched", |found: &crds::Repository| {
                found.status.as_ref().is_some_and(|status| status.head.is_some())
            })
            .await;
        assert!(head.status.is_some());
        let url = format!("{}/v1/hooks/{}/{name}", stage.controller.url(), team.name());
        for token in [&right, &wrong] {
            let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("x:{token}")));
            let headers = [
                ("X-Gitlab-Token", token.as_str()),
                ("Authorization", &basic),
                ("X-Hub-Signature-256", token),
                ("X-Signature", token),
            ];
            // The body of somebody careless: it names the token too.
            let body = json!({"object_kind": "push", "ref": token, "project": {"git_http_url": token}});
            for body in [body.to_string(), format!("not JSON: {token}")] {
                let reply = http::post(&url, body.as_bytes(), &headers)
                    .await
                    .expect("an answer");
                let expected = match (name, token == &right) {
                    ("hook-gitlab" | "hook-azure", true) => [202, 400, 200],
                    _ => [401; 3],
                };
                assert!(expected.contains(&reply.status), "{name}: {reply:?}");
                let text = format!("{}\n\n{}", reply.head, reply.body);
                captures.push(Capture::new(
                    Sink::Http,
                    format!("{name} ({})", reply.status),
                    text,
                ));
            }
        }
        if name.ends_with("short") {
            team.event("Repository", name, "WebhookSecretUnusable").await;
        }
    }
    captures
}
