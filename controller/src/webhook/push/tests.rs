//! Bodies as hosts send them, and with every field dropped, nulled and retyped (the panics of others: CVE-2025-59531, 59537,
//! 59538).

use super::{Push, Read, read};
use axum::http::{HeaderMap, HeaderName};
use crds::WebhookProvider::{
    self, AzureDevOps, BitbucketCloud, BitbucketServer, Generic, GitHub, GitLab, Gitea,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn cases() -> Vec<(WebhookProvider, (&'static str, &'static str), Value, Push)> {
    let push = |repositories: &[&str], refs: &[&str]| Push {
        repositories: repositories.iter().map(|text| (*text).to_owned()).collect(),
        refs: Some(refs.iter().map(|text| (*text).to_owned()).collect()),
    };
    let hub = json!({"ref": "refs/heads/main", "before": "0", "after": "1", "repository":
        {"id": 1, "full_name": "team/app", "clone_url": "https://h/team/app.git", "ssh_url": "git@h:team/app.git"}});
    let hub_push = push(
        &["team/app", "https://h/team/app.git", "git@h:team/app.git"],
        &["refs/heads/main"],
    );
    vec![
        (GitHub, ("x-github-event", "push"), hub.clone(), hub_push.clone()),
        (Gitea, ("x-gitea-event", "push"), hub.clone(), hub_push.clone()),
        (Gitea, ("x-forgejo-event", "push"), hub, hub_push),
        (
            GitLab,
            ("x-gitlab-event", "Push Hook"),
            json!({"object_kind": "push", "ref": "refs/heads/main", "project": {"path_with_namespace": "team/app",
                "git_http_url": "https://h/team/app.git", "git_ssh_url": "git@h:team/app.git"}}),
            push(
                &["team/app", "https://h/team/app.git", "git@h:team/app.git"],
                &["refs/heads/main"],
            ),
        ),
        (
            BitbucketCloud,
            ("x-event-key", "repo:push"),
            json!({"push": {"changes": [{"old": null, "new": {"type": "branch", "name": "main"}},
                {"old": {"type": "tag", "name": "v1"}, "new": null}]},
                "repository": {"full_name": "team/app", "links": {"html": {"href": "https://bitbucket.org/team/app"}}}}),
            push(
                &["team/app", "https://bitbucket.org/team/app"],
                &["refs/heads/main", "refs/tags/v1"],
            ),
        ),
        (
            BitbucketServer,
            ("x-event-key", "repo:refs_changed"),
            json!({"changes": [{"ref": {"id": "refs/heads/main", "displayId": "main"}, "type": "UPDATE"}],
                "repository": {"slug": "app", "project": {"key": "TEAM"},
                    "links": {"clone": [{"href": "https://h/scm/team/app.git", "name": "http"}]}}}),
            push(&["TEAM/app", "https://h/scm/team/app.git"], &["refs/heads/main"]),
        ),
        (
            AzureDevOps,
            ("x-nothing", "x"),
            json!({"id": "03c164c2", "eventType": "git.push", "resource": {"refUpdates": [{"name": "refs/heads/main"}],
                "repository": {"remoteUrl": "https://dev.azure.com/o/p/_git/app"}}}),
            push(&["https://dev.azure.com/o/p/_git/app"], &["refs/heads/main"]),
        ),
        (
            Generic,
            ("x-nothing", "x"),
            json!({"ref": "refs/heads/main", "repository": "team/app"}),
            push(&["team/app"], &["refs/heads/main"]),
        ),
    ]
}

fn headers((name, value): (&str, &str)) -> HeaderMap {
    HeaderMap::from_iter([(name.parse::<HeaderName>().unwrap(), value.parse().unwrap())])
}

#[test]
fn every_providers_push_is_read() {
    for (provider, header, body, push) in cases() {
        let found = read(provider, &headers(header), body.to_string().as_bytes());
        assert_eq!(found, Read::Push(push), "{provider:?}");
    }
}

#[test]
fn trials_and_other_events_are_told_apart() {
    let event = |provider, name, value, body: &[u8]| read(provider, &headers((name, value)), body);
    assert_eq!(
        event(GitHub, "x-github-event", "ping", b"{\"zen\":\"x\"}"),
        Read::Ping
    );
    assert_eq!(
        event(
            BitbucketServer,
            "x-event-key",
            "diagnostics:ping",
            b"{\"test\":true}"
        ),
        Read::Ping
    );
    assert_eq!(event(GitHub, "x-github-event", "issues", b"{}"), Read::Other);
    assert_eq!(
        event(GitLab, "x", "y", b"{\"object_kind\":\"note\"}"),
        Read::Other
    );
    assert_eq!(
        event(AzureDevOps, "x", "y", b"{\"eventType\":\"build.complete\"}"),
        Read::Other
    );
    assert_eq!(
        event(GitHub, "x-github-event", "push", b"payload=%7B%7D"),
        Read::Unreadable
    );
    assert_eq!(
        event(GitHub, "x-github-event", "push", &b"[".repeat(1 << 20)),
        Read::Unreadable
    );
    // A new tag has its bare name: what moved is not known.
    let tag = br#"{"ref":"v1","ref_type":"tag","repository":{"full_name":"team/app"}}"#;
    assert!(matches!(
        event(GitHub, "x-github-event", "create", tag),
        Read::Push(Push { refs: None, .. })
    ));
    assert_eq!(event(Generic, "x", "y", b"anything"), Read::Push(Push::default()));
}

/// Every place in a body, as a pointer.
fn places(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                places(value, &format!("{at}/{name}"), all);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                places(value, &format!("{at}/{index}"), all);
            }
        }
        _ => {}
    }
}

#[test]
fn every_field_may_be_missing_null_or_of_another_type() {
    let others = [
        Value::Null,
        json!(true),
        json!(-1.5e300),
        json!("text"),
        json!(""),
        json!([]),
        json!([null, [], {}]),
        json!({}),
        json!({"name": null, "href": [], "ref": 1}),
    ];
    let mut tried = 0;
    for (provider, header, body, whole) in cases() {
        let mut all = Vec::new();
        places(&body, "", &mut all);
        for place in all {
            let mut variants: Vec<Value> = others
                .iter()
                .map(|other| {
                    let mut changed = body.clone();
                    *changed.pointer_mut(&place).unwrap() = other.clone();
                    changed
                })
                .collect();
            if let Some((parent, name)) = place.rsplit_once('/') {
                let mut dropped = body.clone();
                if let Some(Value::Object(fields)) = dropped.pointer_mut(parent) {
                    fields.remove(name);
                }
                variants.push(dropped);
            }
            for changed in variants {
                // What is left is never more than what the whole said.
                if let Read::Push(push) = read(provider, &headers(header), changed.to_string().as_bytes()) {
                    let known = |name: &String| whole.repositories.contains(name) || !name.contains("team");
                    assert!(
                        push.repositories.iter().all(known),
                        "{provider:?} {place} {push:?}"
                    );
                    let refs = push.refs.unwrap_or_default();
                    assert!(
                        refs.iter().all(|name| name.starts_with("refs/")),
                        "{provider:?} {place}"
                    );
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 500, "{tried}");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z/]{0,12}".prop_map(Value::from),
    ];
    let names = prop::sample::select(vec![
        "ref",
        "repository",
        "project",
        "push",
        "changes",
        "new",
        "old",
        "name",
        "type",
        "links",
        "clone",
        "href",
        "key",
        "slug",
        "resource",
        "refUpdates",
        "full_name",
        "object_kind",
        "eventType",
        "id",
    ]);
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..6).prop_map(|fields| fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
}

proptest! {
    #[test]
    fn no_json_panics(body in any_json()) {
        for (provider, header, ..) in cases() {
            read(provider, &headers(header), body.to_string().as_bytes());
        }
    }

    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..256)) {
        for (provider, header, ..) in cases() {
            read(provider, &headers(header), &body);
        }
    }
}
