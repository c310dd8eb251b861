//! Remotes that keep us waiting, or send too much.

use std::time::{Duration, Instant};

use source::{Remote, SourceError, list_head};

use crate::support::http::{Mode, Server};
use crate::support::repo::Repo;
use crate::support::{fetch, main_branch, store};

fn impatient(server: &Server) -> Remote {
    let mut remote = server.remote();
    remote.limits.read = Duration::from_millis(300);
    remote.limits.total = Duration::from_millis(900);
    remote
}

fn assert_times_out(remote: &Remote) {
    let start = Instant::now();
    let error = list_head(remote, &main_branch()).unwrap_err();
    assert!(matches!(error, SourceError::Timeout(_)), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn silence_ends() {
    let repo = Repo::empty();
    assert_times_out(&impatient(&Server::start(repo.root(), Mode::Silent)));
}

#[test]
fn dripping_ends() {
    let repo = Repo::empty();
    assert_times_out(&impatient(&Server::start(repo.root(), Mode::Dripping)));
}

#[test]
fn an_answer_that_breaks_off_is_an_error() {
    let repo = Repo::with(&[("a", "1")]);
    // A length that never comes.
    let start = "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-result\r\n\
                 Content-Length: 100\r\n\r\n0008NAK\n";
    let server = Server::start(repo.root(), Mode::Good);
    server.set(Mode::CannedPost(start.into()));
    let dir = tempfile::tempdir().unwrap();
    let error = fetch(&store(dir.path()), &impatient(&server)).unwrap_err();
    assert!(
        matches!(error, SourceError::NotGit(_) | SourceError::Timeout(_)),
        "{error:?}"
    );
}

#[test]
fn a_handshake_that_never_ends_times_out() {
    // Accepts connections (the system does) and never answers.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut remote = Remote::new(format!("https://{}/r", listener.local_addr().unwrap()));
    remote.limits.connect = Duration::from_millis(300);
    remote.limits.total = Duration::from_millis(900);
    assert_times_out(&remote);
}

#[test]
fn refs_without_end_are_cut_off() {
    let repo = Repo::empty();
    let server = Server::start(repo.root(), Mode::Endless);
    let mut remote = server.remote();
    remote.limits.listing_bytes = 100_000;
    let error = list_head(&remote, &main_branch()).unwrap_err();
    assert!(matches!(error, SourceError::TooLarge(_)), "{error:?}");
}

#[test]
fn a_pack_over_the_limit_is_cut_off() {
    let repo = Repo::empty();
    // Does not compress.
    let mut state = 1u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    })
    .take(300_000)
    .collect();
    repo.write("noise", noise);
    repo.commit("noise", &[]);
    repo.push();
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let mut remote = server.remote();
    remote.limits.pack_bytes = 200_000;
    let error = fetch(&store, &remote).unwrap_err();
    assert!(matches!(error, SourceError::TooLarge(_)), "{error:?}");
    assert!(fetch(&store, &server.remote()).is_ok());
}

#[test]
fn too_many_objects_are_cut_off() {
    let repo = Repo::empty();
    for number in 0..50 {
        repo.write(&format!("f{number}"), number.to_string());
    }
    repo.commit("many", &[]);
    repo.push();
    let server = Server::start(repo.root(), Mode::Good);
    let dir = tempfile::tempdir().unwrap();
    let mut remote = server.remote();
    remote.limits.objects = 20;
    let error = fetch(&store(dir.path()), &remote).unwrap_err();
    assert_eq!(error, SourceError::TooLarge("over 20 objects".into()));
}
