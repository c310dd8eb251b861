//! Pull requests, by the REST APIs of Git hosts: the open one of a branch is found, or one is made.
//!
//! - GitHub: <https://docs.github.com/en/rest/pulls/pulls>
//! - GitLab: <https://docs.gitlab.com/api/merge_requests/>
//! - Gitea, and Forgejo: <https://docs.gitea.com/api/> (`repoGetPullRequestByBaseHead`, `repoCreatePullRequest`)
//!
//! All three take a token as a bearer token (RFC 6750). Nothing that a host writes is repeated but the address of the pull request:
//! its words may repeat what was sent.

use std::fmt::Write as _;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::transport::{Asked, Operation, ask};
use crate::url::Target;
use crate::{Auth, Remote, SourceError};

/// The longest answer that is read, in bytes.
const ANSWER: u64 = 1 << 20;
/// The longest address that is passed on, in bytes.
const LONGEST: usize = 512;

/// Whose API it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// github.com, and GitHub Enterprise Server.
    GitHub,
    /// gitlab.com, and GitLab on one's own machines.
    GitLab,
    /// Gitea, and Forgejo.
    Gitea,
}

/// A pull request as it is to be.
#[derive(Clone, Debug)]
pub struct PullRequest {
    /// Whose API it is.
    pub host: Host,
    /// Where the API is; left out, where it is by default on the repository's host.
    pub api: Option<String>,
    /// The branch that is to be merged.
    pub branch: String,
    /// The branch that it is to be merged into.
    pub into: String,
    /// One line.
    pub title: String,
    /// More lines.
    pub text: String,
}

/// Where the API of a repository is, and what the repository is called there.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    api: String,
    /// Parts of its path.
    project: Vec<String>,
}

impl PullRequest {
    /// Gives the address of the open pull request of the branch, and makes one if there is none. `remote` is the repository: trust,
    /// proxy and limits are those of it. The token is the one given, or else what logs in there.
    ///
    /// # Errors
    /// [`SourceError::Host`] where the host does not take it.
    pub fn open(&self, remote: &Remote, token: Option<&Zeroizing<String>>) -> Result<String, SourceError> {
        let token = match (token, &remote.auth) {
            (Some(token), _) | (None, Auth::Bearer(token)) => token.clone(),
            (None, Auth::Basic { password, .. }) => password.clone(),
            (None, Auth::Key { .. } | Auth::None) => {
                return Err(refused(
                    "the Secret holds no apiToken, and nothing else that its API takes",
                ));
            }
        };
        let place = self.place(&Target::parse(remote)?)?;
        let mut way = remote.clone();
        way.auth = Auth::Bearer(token);
        if way.proxy.is_some() && !place.api.starts_with("https://") {
            return Err(refused(
                "behind a proxy its API has to be one of https: the proxy would read the token",
            ));
        }
        if let Some(found) = self.find(&way, &place)? {
            return Ok(found);
        }
        let (path, body) = self.creation(&place);
        let (status, answer) = self.ask(&way, &format!("{}{path}", place.api), "", Some(&body))?;
        match status {
            201 => address(&answer),
            // Somebody was faster, or the host has not shown it yet.
            409 | 422 => self.find(&way, &place)?.ok_or_else(|| said(status)),
            _ => Err(said(status)),
        }
    }

    fn place(&self, target: &Target) -> Result<Place, SourceError> {
        let (authority, path, tls) = match target {
            Target::Http { base, tls } => {
                let (_, rest) = base.split_once("://").unwrap_or_default();
                let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
                (authority.to_owned(), path.to_owned(), *tls)
            }
            Target::Ssh(address) => {
                let host = match address.host.as_str() {
                    // Where they answer SSH on the port of HTTPS.
                    "ssh.github.com" => "github.com".to_owned(),
                    "altssh.gitlab.com" => "gitlab.com".to_owned(),
                    host if host.contains(':') => format!("[{host}]"),
                    host => host.to_owned(),
                };
                (host, address.path.clone(), true)
            }
            Target::File(_) => return Err(refused("a directory is on no host")),
        };
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        let mut project: Vec<String> = path.split('/').map(str::to_owned).collect();
        if project.len() < 2 || project.iter().any(String::is_empty) {
            return Err(refused("the repository's address does not end in OWNER/NAME"));
        }
        // GitLab has groups in groups; the others may be served below a path.
        let below = match self.host {
            Host::GitLab => Vec::new(),
            Host::GitHub | Host::Gitea => {
                let own = project.split_off(project.len() - 2);
                std::mem::replace(&mut project, own)
            }
        };
        let api = match &self.api {
            Some(api) => api.trim_end_matches('/').to_owned(),
            None if !tls => {
                return Err(refused(
                    "the repository's address is not one of https: name its API in api",
                ));
            }
            None => match self.host {
                Host::GitHub if authority == "github.com" => "https://api.github.com".to_owned(),
                Host::GitHub if authority.ends_with(".ghe.com") => format!("https://api.{authority}"),
                Host::GitHub => format!("https://{authority}/api/v3"),
                Host::GitLab => format!("https://{authority}/api/v4"),
                Host::Gitea => {
                    let top = std::iter::once(authority).chain(below);
                    format!("https://{}/api/v1", top.collect::<Vec<_>>().join("/"))
                }
            },
        };
        Ok(Place { api, project })
    }

    /// The address of the open one.
    fn find(&self, way: &Remote, place: &Place) -> Result<Option<String>, SourceError> {
        let (branch, into) = (escaped(&self.branch), escaped(&self.into));
        let (path, query) = match self.host {
            Host::GitHub => {
                let owner = place
                    .project
                    .first()
                    .map(|owner| escaped(owner))
                    .unwrap_or_default();
                let query = format!("state=open&head={owner}:{branch}&base={into}&per_page=10");
                (format!("{}/pulls", place.path(self.host)), query)
            }
            Host::GitLab => {
                let query = format!("state=opened&source_branch={branch}&target_branch={into}&per_page=10");
                (format!("{}/merge_requests", place.path(self.host)), query)
            }
            // Of the two branches, without a list to go through.
            Host::Gitea => (
                format!("{}/pulls/{into}/{branch}", place.path(self.host)),
                String::new(),
            ),
        };
        let (status, answer) = self.ask(way, &format!("{}{path}", place.api), &query, None)?;
        match (self.host, status) {
            (_, 200) => {}
            // None, or no such repository, which is found out when one is made.
            (Host::Gitea, 404) => return Ok(None),
            _ => return Err(said(status)),
        }
        let answer: Value = serde_json::from_slice(&answer).map_err(|_| unreadable())?;
        let all: &[Value] = match (self.host, &answer) {
            (Host::Gitea, one @ Value::Object(_)) => std::slice::from_ref(one),
            (Host::GitHub | Host::GitLab, Value::Array(all)) => all,
            _ => return Err(unreadable()),
        };
        // A host that does not know a filter may show all that there are.
        let found = all.iter().find(|one| self.is_it(one));
        found.map(address_in).transpose()
    }

    /// Whether it is the open one of these branches.
    fn is_it(&self, one: &Value) -> bool {
        let is = |pointer: &str, text: &str| one.pointer(pointer).and_then(Value::as_str) == Some(text);
        match self.host {
            Host::GitHub | Host::Gitea => {
                let own = one.pointer("/head/repo/full_name") == one.pointer("/base/repo/full_name");
                own && is("/state", "open") && is("/head/ref", &self.branch) && is("/base/ref", &self.into)
            }
            Host::GitLab => {
                let own = one.get("source_project_id") == one.get("target_project_id");
                own && is("/state", "opened")
                    && is("/source_branch", &self.branch)
                    && is("/target_branch", &self.into)
            }
        }
    }

    /// What makes one.
    fn creation(&self, place: &Place) -> (String, Value) {
        let path = place.path(self.host);
        match self.host {
            Host::GitHub | Host::Gitea => (
                format!("{path}/pulls"),
                json!({"title": self.title, "body": self.text, "head": self.branch, "base": self.into}),
            ),
            Host::GitLab => (
                format!("{path}/merge_requests"),
                json!({"title": self.title, "description": self.text, "source_branch": self.branch,
                    "target_branch": self.into, "remove_source_branch": true}),
            ),
        }
    }

    fn ask(
        &self,
        way: &Remote,
        url: &str,
        query: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Zeroizing<Vec<u8>>), SourceError> {
        let mut way = way.clone();
        url.clone_into(&mut way.url);
        let operation = Operation::new(Target::parse(&way)?, &way)?;
        let body = body.map(Value::to_string);
        let asked = Asked {
            accept: match self.host {
                Host::GitHub => "application/vnd.github+json",
                Host::GitLab | Host::Gitea => "application/json",
            },
            github: self.host == Host::GitHub,
            query,
            body: body.as_deref(),
        };
        ask(&operation, &asked, ANSWER)
    }
}

impl Place {
    fn path(&self, host: Host) -> String {
        let parts: Vec<String> = self.project.iter().map(|part| escaped(part)).collect();
        match host {
            Host::GitLab => format!("/projects/{}", parts.join("%2F")),
            Host::GitHub | Host::Gitea => format!("/repos/{}", parts.join("/")),
        }
    }
}

/// All but unreserved characters as their bytes' numbers (RFC 3986, 2.1).
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn address(answer: &[u8]) -> Result<String, SourceError> {
    let answer: Value = serde_json::from_slice(answer).map_err(|_| unreadable())?;
    address_in(&answer)
}

/// Where people see it, fit to print.
fn address_in(one: &Value) -> Result<String, SourceError> {
    let text = one
        .get("html_url")
        .or_else(|| one.get("web_url"))
        .and_then(Value::as_str);
    text.filter(|text| text.starts_with("https://") || text.starts_with("http://"))
        .filter(|text| text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_graphic()))
        .map(str::to_owned)
        .ok_or_else(unreadable)
}

fn unreadable() -> SourceError {
    refused("its API's answer cannot be read")
}

fn refused(why: &str) -> SourceError {
    SourceError::Host(why.to_owned())
}

fn said(status: u16) -> SourceError {
    let what = match status {
        300..=399 => "its API redirects, which is not followed",
        401 => "its API does not accept the token",
        403 => "its API does not allow the token to do that",
        404 => "its API knows no such repository, or does not show it to the token",
        409 | 422 => "its API does not take the pull request",
        429 => "its API wants to be asked less often",
        _ => "its API does not do it",
    };
    refused(&format!("{what} (HTTP status {status})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(host: Host, api: Option<&str>, url: &str) -> Result<(String, String), String> {
        let pull = PullRequest {
            host,
            api: api.map(str::to_owned),
            branch: "signet/rotation".into(),
            into: "main".into(),
            title: "t".into(),
            text: String::new(),
        };
        let place = pull.place(&Target::parse(&Remote::new(url)).unwrap());
        place
            .map(|place| (place.api.clone(), place.path(host)))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_api_is_on_the_repositorys_host() {
        use Host::{GitHub, GitLab, Gitea};
        for (host, url, api, path) in [
            (
                GitHub,
                "https://github.com/shop/app.git",
                "https://api.github.com",
                "/repos/shop/app",
            ),
            (
                GitHub,
                "git@github.com:shop/app.git",
                "https://api.github.com",
                "/repos/shop/app",
            ),
            (
                GitHub,
                "ssh://git@ssh.github.com:443/shop/app.git",
                "https://api.github.com",
                "/repos/shop/app",
            ),
            (
                GitHub,
                "https://ghe.example.com/shop/app",
                "https://ghe.example.com/api/v3",
                "/repos/shop/app",
            ),
            (
                GitHub,
                "https://x.ghe.com/shop/app",
                "https://api.x.ghe.com",
                "/repos/shop/app",
            ),
            (
                GitLab,
                "https://gitlab.com/group/team/app.git",
                "https://gitlab.com/api/v4",
                "/projects/group%2Fteam%2Fapp",
            ),
            (
                Gitea,
                "https://git.example.com:8443/below/shop/app.git",
                "https://git.example.com:8443/below/api/v1",
                "/repos/shop/app",
            ),
        ] {
            assert_eq!(place(host, None, url), Ok((api.into(), path.into())), "{url}");
        }
        let named = place(
            Gitea,
            Some("http://127.0.0.1:1/api/v1/"),
            "http://127.0.0.1:2/shop/app.git",
        );
        assert_eq!(
            named,
            Ok(("http://127.0.0.1:1/api/v1".into(), "/repos/shop/app".into()))
        );
        let plain = place(Gitea, None, "http://127.0.0.1:2/shop/app.git").unwrap_err();
        assert!(plain.contains("not one of https"), "{plain}");
        assert!(
            place(GitHub, None, "https://github.com/app")
                .unwrap_err()
                .contains("OWNER/NAME")
        );
    }

    #[test]
    fn nothing_breaks_out_of_an_address() {
        assert_eq!(escaped("a/b?c&d é"), "a%2Fb%3Fc%26d%20%C3%A9");
        for bad in [
            "javascript:alert(1)",
            "https://x/ y",
            "https://x/\u{1b}",
            "",
            "/a",
        ] {
            assert!(address_in(&json!({"html_url": bad})).is_err(), "{bad:?}");
        }
        assert!(address_in(&json!({"web_url": "https://x/1"})).is_ok());
    }
}
