//! Remotes that refuse, redirect, or are not there.

use std::fmt::Write as _;
use std::net::TcpListener;

use base64::Engine;
use source::{Auth, RefSpec, Remote, SourceError, list_head};
use zeroize::Zeroizing;

use crate::support::http::{Mode, Server};
use crate::support::repo::Repo;
use crate::support::{fetch, main_branch, store};

const PASSWORD: &str = "hunter2-and-more";

fn basic(user: &str, password: &str) -> Auth {
    Auth::Basic {
        username: Zeroizing::new(user.into()),
        password: Zeroizing::new(password.into()),
    }
}

fn header(user: &str, password: &str) -> String {
    let pair = format!("{user}:{password}");
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

fn status(line: &str, extra: &str) -> Mode {
    Mode::Canned(format!("HTTP/1.1 {line}\r\n{extra}Content-Length: 0\r\n\r\n").into_bytes())
}

#[test]
fn nobody_listens() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let error = list_head(&Remote::new(format!("http://127.0.0.1:{port}/r")), &main_branch()).unwrap_err();
    assert_eq!(error, SourceError::Unreachable("connection refused".into()));
    assert!(error.is_temporary());
}

#[test]
fn an_unknown_host() {
    let error = list_head(&Remote::new("http://host.invalid/r"), &main_branch()).unwrap_err();
    assert!(matches!(error, SourceError::Unreachable(_)), "{error:?}");
}

#[test]
fn metadata_services_are_not_asked() {
    for host in ["169.254.169.254", "[::ffff:a9fe:a9fe]", "[fe80::1]", "0.0.0.0"] {
        let error = list_head(
            &Remote::new(format!("http://{host}/latest/meta-data")),
            &main_branch(),
        )
        .unwrap_err();
        assert_eq!(
            error,
            SourceError::Unreachable("the address is not allowed".into()),
            "{host}"
        );
    }
}

#[test]
fn no_repository_there() {
    let repo = Repo::with(&[("a", "1")]);
    let server = Server::start(repo.root(), Mode::Good);
    let mut remote = server.remote();
    remote.url = remote.url.replace("repo.git", "other.git");
    assert_eq!(list_head(&remote, &main_branch()), Err(SourceError::NotFound));
}

#[test]
fn credentials_are_asked_for_checked_and_sent() {
    let repo = Repo::with(&[("a", "1")]);
    let server = Server::start(repo.root(), Mode::Guarded(header("ann", PASSWORD)));
    let mut remote = server.remote();
    assert_eq!(
        list_head(&remote, &main_branch()),
        Err(SourceError::Unauthorized { sent: false })
    );
    remote.auth = basic("ann", "wrong");
    assert_eq!(
        list_head(&remote, &main_branch()),
        Err(SourceError::Unauthorized { sent: true })
    );
    remote.auth = basic("ann", PASSWORD);
    let dir = tempfile::tempdir().unwrap();
    assert!(fetch(&store(dir.path()), &remote).is_ok());

    server.set(Mode::Guarded("Bearer t0ken".into()));
    remote.auth = Auth::Bearer(Zeroizing::new("t0ken".into()));
    assert!(list_head(&remote, &main_branch()).is_ok());
}

#[test]
fn redirects_are_refused_and_take_no_credentials_along() {
    let repo = Repo::with(&[("a", "1")]);
    let target = Server::start(repo.root(), Mode::Good);
    let to = format!(
        "http://u:p@127.0.0.1:{}/repo.git/info/refs?service=git-upload-pack",
        target.port
    );
    for code in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        let server = Server::start(repo.root(), status(code, &format!("Location: {to}\r\n")));
        let mut remote = server.remote();
        remote.auth = basic("ann", PASSWORD);
        let error = list_head(&remote, &main_branch()).unwrap_err();
        assert_eq!(
            error,
            SourceError::Redirected(format!("http://127.0.0.1:{}/repo.git", target.port))
        );
    }
    assert!(target.requests().is_empty());
}

#[test]
fn redirects_of_the_exchange_are_refused_too() {
    let repo = Repo::with(&[("a", "1")]);
    let target = Server::start(repo.root(), Mode::Good);
    let to = format!(
        "HTTP/1.1 307 x\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
        target.url()
    );
    let server = Server::start(repo.root(), Mode::CannedPost(to.into_bytes()));
    let dir = tempfile::tempdir().unwrap();
    let error = fetch(&store(dir.path()), &server.remote()).unwrap_err();
    assert!(matches!(error, SourceError::Redirected(_)), "{error:?}");
    assert!(target.requests().is_empty());
}

#[test]
fn statuses_have_names() {
    let repo = Repo::empty();
    let cases = [
        (status("403 Forbidden", ""), SourceError::Forbidden),
        (status("404 Not Found", ""), SourceError::NotFound),
        (status("410 Gone", ""), SourceError::NotFound),
        (status("500 Oops", ""), SourceError::Status(500)),
        (status("429 Slow down", ""), SourceError::Status(429)),
    ];
    for (mode, expected) in cases {
        let server = Server::start(repo.root(), mode);
        assert_eq!(list_head(&server.remote(), &main_branch()), Err(expected));
    }
}

#[test]
fn garbage_is_not_git() {
    let repo = Repo::with(&[("a", "1")]);
    let refs = "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n\r\n";
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi".to_owned(),
        "SSH-2.0-OpenSSH_9\r\n".to_owned(),
        String::new(),
        refs.to_owned(),
        format!("{refs}zzzz"),
        format!("{refs}001e# service=git-upload-pack\n0000"),
        format!("{refs}001e# service=git-upload-pack\n0000ffff"),
        format!("{refs}001e# service=git-upload-pack\n0000003fnot an id refs/heads/main\u{0}caps\n0000"),
        format!("{refs}001e# service=git-upload-pack\n00000019ERR no \u{1b}[31m access\n0000"),
    ];
    for answer in answers {
        let server = Server::start(repo.root(), Mode::Canned(answer.clone().into_bytes()));
        let error = list_head(&server.remote(), &main_branch()).unwrap_err();
        let known = matches!(error, SourceError::NotGit(_) | SourceError::Unreachable(_));
        assert!(
            known && !error.to_string().contains('\u{1b}'),
            "{answer:?}: {error:?}"
        );
    }
}

#[test]
fn a_broken_pack_leaves_the_store_usable() {
    let repo = Repo::with(&[("a", "1")]);
    let result = "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-result\r\n\r\n";
    let bodies: [&[u8]; 4] = [
        b"",
        b"0008NAK\n",
        b"0008NAK\nPACK\0\0\0\x02\0\0\0\x01garbage",
        b"000dunpack bad\n",
    ];
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    for body in bodies {
        server.set(Mode::CannedPost([result.as_bytes(), body].concat()));
        let error = fetch(&store, &server.remote()).unwrap_err();
        assert!(
            matches!(error, SourceError::NotGit(_) | SourceError::Unreachable(_)),
            "{body:?}: {error:?}"
        );
    }
    server.set(Mode::Good);
    assert!(fetch(&store, &server.remote()).is_ok());
}

#[test]
fn no_error_repeats_a_credential() {
    let repo = Repo::with(&[("a", "1")]);
    let sent = header("ann", PASSWORD);
    let encoded = sent.strip_prefix("Basic ").unwrap();
    let refs = "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n\r\n";
    let echo = |text: &str| {
        let line = format!("ERR you sent {text}");
        format!(
            "{refs}001e# service=git-upload-pack\n0000{:04x}{line}",
            line.len() + 4
        )
    };
    let answers = [
        echo(PASSWORD),
        echo(encoded),
        format!("HTTP/1.1 302 x\r\nLocation: http://{PASSWORD}@x/y?{PASSWORD}\r\nContent-Length: 0\r\n\r\n"),
        format!("HTTP/1.1 200 {PASSWORD}\r\nContent-Type: {PASSWORD}\r\nContent-Length: 0\r\n\r\n"),
        format!("HTTP/1.1 500 {PASSWORD}\r\nContent-Length: 0\r\n\r\n"),
        format!("{PASSWORD}\r\n\r\n"),
        "HTTP/1.1 401 x\r\nContent-Length: 0\r\n\r\n".to_owned(),
    ];
    for answer in answers {
        let server = Server::start(repo.root(), Mode::Canned(answer.clone().into_bytes()));
        let mut remote = server.remote();
        remote.auth = basic("ann", PASSWORD);
        let error = list_head(&remote, &main_branch()).unwrap_err();
        let shown = format!("{error} {error:?} {}", error.hint());
        assert!(
            !shown.contains(PASSWORD) && !shown.contains(encoded),
            "{answer:?}: {shown}"
        );
    }
    let mut remote = Remote::new(format!("http://ann:{PASSWORD}@127.0.0.1/r"));
    remote.auth = basic("ann", PASSWORD);
    let error = list_head(&remote, &main_branch()).unwrap_err();
    assert!(!format!("{error:?} {error}").contains(PASSWORD));
}

#[test]
fn names_of_refs_that_lead_elsewhere_lead_nowhere() {
    let repo = Repo::with(&[("a", "1")]);
    let server = Server::start(repo.root(), Mode::Good);
    let head = repo.head();
    let mut body = String::from("001e# service=git-upload-pack\n0000");
    let names = [
        "HEAD\0multi_ack side-band-64k ofs-delta shallow",
        "refs/heads/../../../config",
        "refs/heads/..",
        "/etc/passwd",
        "refs/heads/a.lock",
        "refs/heads/main",
    ];
    for name in names {
        let line = format!("{head} {name}\n");
        let _ = write!(body, "{:04x}{line}", line.len() + 4);
    }
    body += "0000";
    let head_line = "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n\r\n";
    server.set(Mode::Canned(format!("{head_line}{body}").into_bytes()));
    let found = list_head(&server.remote(), &main_branch());
    assert_eq!(found.map(|found| found.id.to_string()), Ok(head));
    for name in ["../../../config", "..", "a.lock"] {
        let asked = list_head(&server.remote(), &RefSpec::Branch(name.into()));
        assert_eq!(asked, Err(SourceError::BadRef), "{name}");
    }
}
