//! A GitHub App: its JWT, the token that it gets for it, and Git with that.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use source::{GitHubApp, SourceError, list_head};
use zeroize::Zeroizing;

use crate::support::github::GitHub;
use crate::support::http::{Mode, Server};
use crate::support::main_branch;
use crate::support::repo::Repo;

fn app(github: &GitHub) -> GitHubApp {
    GitHubApp {
        id: "1234".into(),
        installation: "99".into(),
        key_pem: Zeroizing::new(github.key_pem.clone()),
        api: Some(github.url.clone()),
    }
}

#[test]
fn an_app_gets_a_token_and_git_takes_it() {
    let repo = Repo::with(&[("a", "1")]);
    let github = GitHub::start("1234", "99", "ghs_abc");
    let login = format!("Basic {}", STANDARD.encode("x-access-token:ghs_abc"));
    let server = Server::start(repo.root(), Mode::Guarded(login));
    let mut remote = server.remote();
    assert_eq!(
        list_head(&remote, &main_branch()),
        Err(SourceError::Unauthorized { sent: false })
    );
    let token = app(&github).token(&remote).unwrap();
    assert_eq!(token.expires, "2099-01-01T00:00:00Z");
    remote.auth = token.auth;
    assert_eq!(
        list_head(&remote, &main_branch()).unwrap().id.to_string(),
        repo.head()
    );
    assert_eq!(github.asked(), ["201"]);
}

#[test]
fn what_github_does_not_take_is_said_without_a_secret() {
    let repo = Repo::with(&[("a", "1")]);
    let github = GitHub::start("1234", "99", "ghs_abc");
    let remote = Server::start(repo.root(), Mode::Good).remote();
    let why = |change: fn(&mut GitHubApp)| {
        let mut app = app(&github);
        change(&mut app);
        match app.token(&remote) {
            Err(SourceError::App(why)) => why,
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("it is given a token"),
        }
    };
    assert_eq!(
        why(|app| app.id = "1".into()),
        "the API answers with HTTP status 401"
    );
    assert_eq!(
        why(|app| app.installation = "1".into()),
        "the API answers with HTTP status 404"
    );
    assert_eq!(
        why(|app| app.installation = "9/../8".into()),
        "the installation's id is not a number"
    );
    let other = GitHub::start("1234", "99", "x").key_pem;
    let mut with_other = app(&github);
    with_other.key_pem = Zeroizing::new(other);
    assert!(with_other.token(&remote).is_err(), "another app's key");
    assert_eq!(
        why(|app| app.key_pem =
            Zeroizing::new("-----BEGIN RSA PRIVATE KEY-----\naGk=\n-----END RSA PRIVATE KEY-----".into())),
        "the private key is no RSA key in PEM"
    );
    assert!(
        github.asked().iter().all(|answer| !answer.starts_with("201")),
        "{:?}",
        github.asked()
    );

    // An API that answers with something else, or leads elsewhere with the JWT.
    for (answer, part) in [
        (
            &b"HTTP/1.1 201 X\r\nContent-Length: 2\r\n\r\nhi"[..],
            "cannot be read",
        ),
        (b"HTTP/1.1 201 X\r\nContent-Length: 2\r\n\r\n{}", "no token"),
        (
            b"HTTP/1.1 302 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            "status 302",
        ),
    ] {
        let server = Server::start(repo.root(), Mode::Canned(answer.to_vec()));
        let mut app = app(&github);
        app.api = Some(server.url().trim_end_matches("/repo.git").to_owned());
        let said = app.token(&remote).err().unwrap().to_string();
        assert!(said.contains(part), "{said}");
    }
}
