//! Pull requests by the hosts' APIs: what each is asked, that one is made once, and what is said where none is.

use serde_json::{Value, json};
use source::{Auth, Host, PullRequest, Remote, SourceError};
use zeroize::Zeroizing;

use crate::support::forge::{Asked, Forge};

fn pull(host: Host, forge: &Forge) -> PullRequest {
    PullRequest {
        host,
        api: Some(forge.url.clone()),
        branch: "signet/rotation".into(),
        into: "main".into(),
        title: "Seal again".into(),
        text: "From a\nto b.\n".into(),
    }
}

fn remote(url: &str) -> Remote {
    let mut remote = Remote::new(url);
    remote.auth = Auth::Basic {
        username: Zeroizing::new("signet".into()),
        password: Zeroizing::new("t0ken".into()),
    };
    remote
}

/// As GitHub and Gitea show one, and as GitLab does.
fn shown(host: Host, branch: &str, state: &str) -> Value {
    match host {
        Host::GitHub | Host::Gitea => json!({"state": state, "html_url": "https://git.example/pull/7",
            "head": {"ref": branch, "repo": {"full_name": "shop/app"}},
            "base": {"ref": "main", "repo": {"full_name": "shop/app"}}}),
        Host::GitLab => json!({"state": state, "web_url": "https://git.example/-/merge_requests/7",
            "source_branch": branch, "target_branch": "main", "source_project_id": 1, "target_project_id": 1}),
    }
}

fn lines(forge: &Forge) -> Vec<String> {
    forge.asked().into_iter().map(|asked| asked.line).collect()
}

#[test]
fn each_host_is_asked_in_its_own_way_and_one_is_made_once() {
    for (host, url, find, make) in [
        (
            Host::GitHub,
            "https://github.com/shop/app.git",
            "GET /api/repos/shop/app/pulls?state=open&head=shop:signet%2Frotation&base=main&per_page=10",
            "POST /api/repos/shop/app/pulls",
        ),
        (
            Host::GitLab,
            "https://gitlab.com/group/shop/app.git",
            "GET /api/projects/group%2Fshop%2Fapp/merge_requests?state=opened&source_branch=signet%2Frotation&target_branch=main&per_page=10",
            "POST /api/projects/group%2Fshop%2Fapp/merge_requests",
        ),
        (
            Host::Gitea,
            "https://git.example/shop/app.git",
            "GET /api/repos/shop/app/pulls/main/signet%2Frotation",
            "POST /api/repos/shop/app/pulls",
        ),
    ] {
        let open = if host == Host::GitLab { "opened" } else { "open" };
        let one = shown(host, "signet/rotation", open);
        let of = |one: &Value| {
            if host == Host::Gitea {
                one.clone()
            } else {
                json!([one])
            }
        };
        let none = if host == Host::Gitea {
            (404, "", "{}".to_owned())
        } else {
            // Hosts that do not know a filter show others.
            (
                200,
                "",
                json!([
                    shown(host, "other", open),
                    shown(host, "signet/rotation", "closed")
                ])
                .to_string(),
            )
        };
        let forge = Forge::start(&[none, (201, "", one.to_string()), (200, "", of(&one).to_string())]);
        let pull = pull(host, &forge);
        let made = pull.open(&remote(url), None).unwrap();
        assert!(
            made.starts_with("https://git.example/") && made.ends_with("/7"),
            "{made}"
        );
        // Asked again, as after a restart.
        assert_eq!(pull.open(&remote(url), None).unwrap(), made);
        assert_eq!(lines(&forge), [find, make, find]);
        let asked = forge.asked();
        assert!(
            asked
                .iter()
                .all(|asked| asked.header("authorization") == "Bearer t0ken"),
            "{asked:?}"
        );
        let body = &asked[1].body;
        assert_eq!(body["title"], "Seal again");
        let (branch, into, text) = match host {
            Host::GitLab => ("source_branch", "target_branch", "description"),
            Host::GitHub | Host::Gitea => ("head", "base", "body"),
        };
        assert_eq!(
            (&body[branch], &body[into], &body[text]),
            (
                &json!("signet/rotation"),
                &json!("main"),
                &json!("From a\nto b.\n")
            )
        );
        let version = |asked: &Asked| asked.header("x-github-api-version").to_owned();
        assert_eq!(version(&asked[0]).is_empty(), host != Host::GitHub);
    }
}

#[test]
fn who_is_faster_is_found_and_nothing_that_a_host_says_is_repeated() {
    let url = "https://github.com/shop/app.git";
    let one = shown(Host::GitHub, "signet/rotation", "open");
    let taken = (
        422,
        "",
        json!({"message": "A pull request already exists"}).to_string(),
    );
    let none = || (200, "", "[]".to_owned());
    let forge = Forge::start(&[none(), taken.clone(), (200, "", json!([one]).to_string())]);
    assert_eq!(
        pull(Host::GitHub, &forge).open(&remote(url), None).unwrap(),
        "https://git.example/pull/7"
    );
    let words = |status: u16| (status, "", json!({"message": "hunter2 is no token"}).to_string());
    let elsewhere = Forge::start(&[none()]);
    let location = format!("Location: {}/repos\r\n", elsewhere.url);
    for (answers, part, count) in [
        (vec![none(), taken, none()], "HTTP status 422", 3),
        (vec![words(401)], "does not accept the token (HTTP status 401)", 1),
        (vec![none(), words(403)], "HTTP status 403", 2),
        (vec![none(), words(404)], "HTTP status 404", 2),
        (vec![words(500)], "HTTP status 500", 1),
        (vec![(302, location.as_str(), String::new())], "redirects", 1),
        (vec![(200, "", "hunter2".into())], "cannot be read", 1),
        (
            vec![none(), (201, "", json!({"html_url": "hunter2"}).to_string())],
            "cannot be read",
            2,
        ),
        (
            vec![(200, "", format!("[\"{}\"]", "x".repeat(2 << 20)))],
            "cannot be read",
            1,
        ),
    ] {
        let forge = Forge::start(&answers);
        let said = pull(Host::GitHub, &forge).open(&remote(url), None).unwrap_err();
        assert!(matches!(said, SourceError::Host(_)), "{said:?}");
        assert!(
            said.to_string().contains(part) && !said.to_string().contains("hunter2"),
            "{said}"
        );
        assert_eq!(lines(&forge).len(), count, "{part}");
    }
    assert!(elsewhere.asked().is_empty(), "the token went elsewhere");
}

#[test]
fn a_key_is_no_token() {
    let forge = Forge::start(&[
        (200, "", "[]".into()),
        (201, "", shown(Host::GitHub, "x", "open").to_string()),
    ]);
    let mut ssh = Remote::new("git@github.com:shop/app.git");
    ssh.auth = Auth::Key {
        identity: Zeroizing::new("hunter2".into()),
        passphrase: Some(Zeroizing::new("hunter2".into())),
        known_hosts: String::new(),
    };
    let pull = pull(Host::GitHub, &forge);
    let said = pull.open(&ssh, None).unwrap_err().to_string();
    assert!(said.contains("no apiToken"), "{said}");
    assert!(forge.asked().is_empty());
    let token = Zeroizing::new("t0ken".to_owned());
    assert!(pull.open(&ssh, Some(&token)).is_ok());
    assert_eq!(forge.asked()[1].header("authorization"), "Bearer t0ken");
}
