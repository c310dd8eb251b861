//! What a delivery says was pushed. Every field may be missing, null or of another type: then it is not known, and what is
//! not known is looked at. Pure; never panics.

use axum::http::HeaderMap;
use crds::WebhookProvider;
use serde_json::Value;

/// Refs and names of one delivery that are read; hosts cut their own lists far below.
const MOST: usize = 1000;

/// A push, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Push {
    /// Names and addresses of the repository. Empty: not known.
    pub(super) repositories: Vec<String>,
    /// Full names of the refs that moved. `None`: not known.
    pub(super) refs: Option<Vec<String>>,
}

/// What a delivery is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// A push.
    Push(Push),
    /// A trial.
    Ping,
    /// Something else that the host tells of.
    Other,
    /// Not JSON.
    Unreadable,
}

/// Reads a verified body.
pub(super) fn read(provider: WebhookProvider, headers: &HeaderMap, body: &[u8]) -> Read {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if provider == WebhookProvider::Generic {
        // Anything goes; what it may say is read where it is there.
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        return Read::Push(Push {
            repositories: texts(
                &body,
                &["/repository", "/repository/full_name", "/repository/url"],
            ),
            refs: one_ref(&body, "/ref"),
        });
    }
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return Read::Unreadable;
    };
    let event = match provider {
        WebhookProvider::GitHub => header("x-github-event"),
        WebhookProvider::Gitea => header("x-forgejo-event").or_else(|| header("x-gitea-event")),
        WebhookProvider::GitLab => text(&body, "/object_kind"),
        WebhookProvider::BitbucketCloud | WebhookProvider::BitbucketServer => header("x-event-key"),
        WebhookProvider::AzureDevOps => text(&body, "/eventType"),
        WebhookProvider::Generic => None,
    };
    match event {
        // What does not say what it is is looked at.
        None
        | Some("push" | "create" | "delete" | "tag_push" | "repo:push" | "repo:refs_changed" | "git.push") => {
        }
        Some("ping" | "diagnostics:ping") => return Read::Ping,
        Some(_) => return Read::Other,
    }
    Read::Push(match provider {
        WebhookProvider::GitHub | WebhookProvider::Gitea => hub(&body, event),
        WebhookProvider::GitLab => Push {
            repositories: texts(
                &body,
                &[
                    "/project/path_with_namespace",
                    "/project/git_http_url",
                    "/project/git_ssh_url",
                ],
            ),
            refs: one_ref(&body, "/ref"),
        },
        WebhookProvider::BitbucketCloud => cloud(&body),
        WebhookProvider::BitbucketServer => server(&body),
        WebhookProvider::AzureDevOps => Push {
            repositories: texts(
                &body,
                &["/resource/repository/remoteUrl", "/resource/repository/sshUrl"],
            ),
            refs: many_refs(&body, "/resource/refUpdates", |update| {
                Some(update.get("name")?.as_str()?.to_owned())
            }),
        },
        WebhookProvider::Generic => Push::default(),
    })
}

/// GitHub's form, which Gitea and Forgejo share. `create` and `delete` name a ref without its prefix.
fn hub(body: &Value, event: Option<&str>) -> Push {
    Push {
        repositories: texts(
            body,
            &[
                "/repository/full_name",
                "/repository/clone_url",
                "/repository/ssh_url",
            ],
        ),
        refs: match event {
            Some("create" | "delete") => None,
            _ => one_ref(body, "/ref"),
        },
    }
}

fn cloud(body: &Value) -> Push {
    Push {
        repositories: texts(body, &["/repository/full_name", "/repository/links/html/href"]),
        refs: many_refs(body, "/push/changes", |change| {
            // A deleted ref has no `new`.
            let target = ["new", "old"]
                .iter()
                .find_map(|side| change.get(*side).filter(|side| side.is_object()))?;
            let name = target.get("name")?.as_str()?;
            let prefix = match target.get("type")?.as_str()? {
                "tag" | "annotated_tag" => "refs/tags/",
                _ => "refs/heads/",
            };
            Some(format!("{prefix}{name}"))
        }),
    }
}

fn server(body: &Value) -> Push {
    let mut repositories = Vec::new();
    if let (Some(project), Some(slug)) = (
        text(body, "/repository/project/key"),
        text(body, "/repository/slug"),
    ) {
        repositories.push(format!("{project}/{slug}"));
    }
    let links = body.pointer("/repository/links/clone").and_then(Value::as_array);
    let hrefs = links.into_iter().flatten().take(MOST);
    repositories.extend(hrefs.filter_map(|link| Some(link.get("href")?.as_str()?.to_owned())));
    Push {
        repositories,
        refs: many_refs(body, "/changes", |change| {
            let id = change.pointer("/ref/id").or_else(|| change.get("refId"))?;
            Some(id.as_str()?.to_owned())
        }),
    }
}

fn text<'a>(body: &'a Value, pointer: &str) -> Option<&'a str> {
    body.pointer(pointer).and_then(Value::as_str)
}

fn texts(body: &Value, pointers: &[&str]) -> Vec<String> {
    let found = pointers.iter().filter_map(|pointer| text(body, pointer));
    found.filter(|text| !text.is_empty()).map(str::to_owned).collect()
}

fn one_ref(body: &Value, pointer: &str) -> Option<Vec<String>> {
    let name = text(body, pointer).filter(|name| name.starts_with("refs/"))?;
    Some(vec![name.to_owned()])
}

/// All refs of a list, or `None` where one of them cannot be read or the list is cut: then any may have moved.
fn many_refs(body: &Value, pointer: &str, read: impl Fn(&Value) -> Option<String>) -> Option<Vec<String>> {
    let list = body.pointer(pointer)?.as_array()?;
    if list.is_empty() || list.len() > MOST {
        return None;
    }
    list.iter()
        .map(|one| read(one).filter(|name| name.starts_with("refs/")))
        .collect()
}

#[cfg(test)]
mod tests;
