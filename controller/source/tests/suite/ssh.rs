//! Git over SSH: deploy keys, passphrases, host keys, and hosts that misbehave.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use source::{Auth, Remote, SourceError, list_head};
use zeroize::Zeroizing;

use crate::support::repo::Repo;
use crate::support::ssh::{Keys, Setup, SshServer, Sshd};
use crate::support::{fetch, main_branch, store};

/// A remote at `url` with this key and these known hosts.
fn remote(url: &str, identity: &str, passphrase: Option<&str>, known_hosts: &str) -> Remote {
    let mut remote = Remote::new(url);
    remote.limits.connect = Duration::from_secs(5);
    remote.limits.total = Duration::from_secs(30);
    remote.auth = Auth::Key {
        identity: Zeroizing::new(identity.into()),
        passphrase: passphrase.map(|text| Zeroizing::new(text.into())),
        known_hosts: known_hosts.into(),
    };
    remote
}

/// A repository behind a server with an ed25519 host key `host`, which knows the key `deploy`.
fn world() -> (Repo, Keys, SshServer) {
    let repo = Repo::with(&[("a", "1")]);
    let keys = Keys::new();
    keys.make("host", "ed25519", "").make("deploy", "ed25519", "");
    let server = Setup::default()
        .host_key(&keys, "host")
        .authorize(&keys, "deploy")
        .start(repo.root());
    (repo, keys, server)
}

fn known(keys: &Keys, server: &SshServer) -> String {
    server.known(&keys.public("host"))
}

#[test]
fn a_deploy_key_lists_fetches_and_pushes() {
    let (repo, keys, server) = world();
    let remote = remote(&server.url(), &keys.text("deploy"), None, &known(&keys, &server));
    assert_eq!(
        list_head(&remote, &main_branch()).unwrap().id.to_string(),
        repo.head()
    );
    assert_eq!(server.commands(), ["git-upload-pack '/repo.git'"]);
    assert_eq!(server.logins(), ["git in"]);

    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let first = fetch(&store, &remote).unwrap();
    assert_eq!(first.commit().id.to_string(), repo.head());
    repo.commit("second", &[("a", "2")]);
    repo.push();
    let second = fetch(&store, &remote).unwrap();
    assert_eq!(
        (second.previous, second.commit().id.to_string()),
        (Some(first.commit().id), repo.head())
    );
    // One connection a question, and one a fetch.
    assert_eq!(server.commands().len(), 3);
    assert!(store.snapshot(first.commit().id).is_ok());

    store
        .push(
            &remote,
            &source::RefSpec::Branch("copy".into()),
            second.commit().id,
        )
        .unwrap();
    assert_eq!(
        repo.git(&["ls-remote", "origin", "refs/heads/copy"])
            .split('\t')
            .next(),
        Some(&*repo.head())
    );
}

#[test]
fn a_passphrase_opens_a_key() {
    let (repo, keys, server) = world();
    keys.make("locked", "ed25519", "correct horse");
    let server_2 = Setup::default()
        .host_key(&keys, "host")
        .authorize(&keys, "locked")
        .start(repo.root());
    let known = server_2.known(&keys.public("host"));
    let ask = |passphrase| {
        list_head(
            &remote(&server_2.url(), &keys.text("locked"), passphrase, &known),
            &main_branch(),
        )
    };
    assert!(ask(Some("correct horse")).is_ok());
    for (passphrase, words) in [(Some("hunter2"), "does not open"), (None, "none is given")] {
        let error = ask(passphrase).unwrap_err();
        assert!(matches!(error, SourceError::BadKey(_)), "{error:?}");
        let said = format!("{error} {error:?}");
        assert!(said.contains(words) && !said.contains("hunter2"), "{said}");
    }
    assert!(server.logins().is_empty());
    // Rounds that would take minutes are not begun.
    keys.keygen(&["-q", "-t", "ed25519", "-N", "x", "-a", "300", "-f", "slow"]);
    let slow = remote(&server_2.url(), &keys.text("slow"), Some("x"), &known);
    let error = list_head(&slow, &main_branch()).unwrap_err();
    assert!(error.to_string().contains("rounds"), "{error}");
}

#[test]
fn keys_that_cannot_be_used_say_why() {
    let (_repo, keys, server) = world();
    keys.make("ecdsa", "ecdsa", "")
        .keygen(&["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", "rsa"]);
    let known = known(&keys, &server);
    let why = |identity: &str| {
        let error = list_head(&remote(&server.url(), identity, None, &known), &main_branch()).unwrap_err();
        assert!(!format!("{error:?}").contains("BEGIN"), "{error:?}");
        error
    };
    assert!(matches!(why(""), SourceError::BadKey(_)));
    assert!(why(&keys.text("deploy.pub")).to_string().contains("public half"));
    assert!(matches!(why(&keys.text("deploy")[..200]), SourceError::BadKey(_)));
    let signs = source::SigningKey::read(&keys.text("rsa"), None).unwrap_err();
    assert!(signs.to_string().contains("RSA"), "{signs}");
    assert!(matches!(why(&"x".repeat(100_000)), SourceError::BadKey(_)));
    // A good one that the host does not know: its fingerprint is what the host's page shows.
    let SourceError::KeyRefused(print) = why(&keys.text("ecdsa")) else {
        panic!()
    };
    assert!(print.starts_with("ecdsa-sha2-nistp256 SHA256:"), "{print}");
    assert_eq!(server.logins(), ["git out"]);
    let mut without = Remote::new(server.url());
    assert_eq!(list_head(&without, &main_branch()), Err(SourceError::NoKey));
    without.auth = Auth::Bearer(Zeroizing::new("t".into()));
    assert_eq!(list_head(&without, &main_branch()), Err(SourceError::NoKey));
}

#[test]
fn a_changed_or_unknown_host_key_ends_it_before_the_login() {
    let (_repo, keys, server) = world();
    keys.make("other", "ed25519", "").make("curve", "ecdsa", "");
    let ask = |known: &str| {
        let error = list_head(
            &remote(&server.url(), &keys.text("deploy"), None, known),
            &main_branch(),
        );
        error.unwrap_err()
    };
    let SourceError::HostKey(why) = ask(&server.known(&keys.public("other"))) else {
        panic!()
    };
    assert!(why.contains("changed, or somebody is in between"), "{why}");
    // Of a kind that the host does not have: they cannot agree.
    let error = ask(&server.known(&keys.public("curve")));
    assert!(matches!(error, SourceError::Ssh(_)), "{error:?}");
    let other_port = format!("127.0.0.1 {}\n", keys.public("host"));
    for unknown in ["", "# nothing\n", &other_port] {
        let error = ask(unknown);
        assert_eq!(
            error,
            SourceError::HostUnknown(format!("[127.0.0.1]:{}", server.port))
        );
    }
    let revoked = format!("{}@revoked * {}\n", known(&keys, &server), keys.public("host"));
    assert!(ask(&revoked).to_string().contains("revoked"));
    assert!(server.logins().is_empty(), "{:?}", server.logins());
}

#[test]
fn hashed_names_and_the_kind_of_key_that_is_known() {
    let repo = Repo::with(&[("a", "1")]);
    let keys = Keys::new();
    keys.make("ed", "ed25519", "")
        .make("curve", "ecdsa", "")
        .make("deploy", "ed25519", "");
    let server = Setup::default()
        .host_key(&keys, "ed")
        .host_key(&keys, "curve")
        .authorize(&keys, "deploy")
        .start(repo.root());
    for name in ["ed", "curve"] {
        std::fs::write(keys.path("known"), server.known(&keys.public(name))).unwrap();
        keys.keygen(&["-q", "-H", "-f", "known"]);
        let hashed = keys.text("known");
        assert!(hashed.starts_with("|1|"), "{hashed}");
        let remote = remote(&server.url(), &keys.text("deploy"), None, &hashed);
        assert!(list_head(&remote, &main_branch()).is_ok(), "{name}");
    }
}

#[test]
fn a_certificate_from_a_known_authority_is_enough() {
    let repo = Repo::with(&[("a", "1")]);
    let keys = Keys::new();
    keys.make("ca", "ed25519", "").make("deploy", "ed25519", "");
    let serve = |name: &str, arguments: &[&str]| {
        keys.make(name, "ed25519", "");
        let public = format!("{name}.pub");
        let mut all = vec!["-q", "-s", "ca", "-I", "a host"];
        all.extend(arguments);
        all.push(&public);
        keys.keygen(&all);
        let setup = Setup::default().host_key(&keys, name).certificate(&keys, name);
        setup.authorize(&keys, "deploy").start(repo.root())
    };
    let ask = |server: &SshServer, authority: &str| {
        let known = format!("@cert-authority [127.0.0.1]:* {}\n", keys.public(authority));
        list_head(
            &remote(&server.url(), &keys.text("deploy"), None, &known),
            &main_branch(),
        )
    };
    let good = serve("good", &["-h", "-n", "127.0.0.1"]);
    assert!(ask(&good, "ca").is_ok());
    let why = |server: &SshServer, authority: &str| match ask(server, authority) {
        Err(SourceError::HostKey(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(why(&good, "deploy").contains("not from an authority"));
    assert!(why(&serve("name", &["-h", "-n", "git.example"]), "ca").contains("another name"));
    assert!(why(&serve("all", &["-h"]), "ca").contains("another name"));
    assert!(why(&serve("user", &["-n", "127.0.0.1"]), "ca").contains("not one for hosts"));
    let old = serve("old", &["-h", "-n", "127.0.0.1", "-V", "20200101:20200201"]);
    assert!(why(&old, "ca").contains("not valid now"));
}

#[test]
fn what_the_host_says_is_understood_and_bounded() {
    let (repo, keys, server) = world();
    let known = known(&keys, &server);
    let url = server.url().replace("repo.git", "none.git");
    let error = list_head(&remote(&url, &keys.text("deploy"), None, &known), &main_branch()).unwrap_err();
    assert_eq!(error, SourceError::NotFound);
    let quoted = server.url().replace("repo.git", "a';touch${IFS}x;'b");
    let _ = list_head(
        &remote(&quoted, &keys.text("deploy"), None, &known),
        &main_branch(),
    );
    assert!(!repo.root().join("x").exists() && !std::path::Path::new("x").exists());
}

#[test]
fn limits_hold_over_ssh() {
    let (repo, keys, server) = world();
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
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let good = remote(&server.url(), &keys.text("deploy"), None, &known(&keys, &server));
    let mut small = good.clone();
    small.limits.pack_bytes = 200_000;
    let error = fetch(&store, &small).unwrap_err();
    assert!(matches!(error, SourceError::TooLarge(_)), "{error:?}");
    small.limits.listing_bytes = 20;
    let error = list_head(&small, &main_branch()).unwrap_err();
    assert!(matches!(error, SourceError::TooLarge(_)), "{error:?}");
    assert!(fetch(&store, &good).is_ok());
}

#[test]
fn silence_dripping_and_garbage_end() {
    let (_repo, keys, _server) = world();
    let behave: [fn(&mut std::net::TcpStream) -> std::io::Result<()>; 4] = [
        |stream| {
            stream
                .read(&mut [0; 64])
                .map(|_| std::thread::sleep(Duration::from_secs(10)))
        },
        |stream| loop {
            stream.write_all(b"x")?;
            std::thread::sleep(Duration::from_millis(20));
        },
        |stream| stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        |stream| {
            stream.write_all(b"SSH-2.0-x\r\n")?;
            stream.write_all(&[0xff; 4096])?;
            std::thread::sleep(Duration::from_secs(10));
            Ok(())
        },
    ];
    for (number, behave) in behave.into_iter().enumerate() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || listener.accept().and_then(|(mut stream, _)| behave(&mut stream)));
        let known = format!("[127.0.0.1]:{port} {}\n", keys.public("host"));
        let mut remote = remote(
            &format!("ssh://127.0.0.1:{port}/r"),
            &keys.text("deploy"),
            None,
            &known,
        );
        remote.limits.read = Duration::from_millis(500);
        remote.limits.total = Duration::from_millis(900);
        let start = Instant::now();
        let error = list_head(&remote, &main_branch()).unwrap_err();
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "{number}: {:?}",
            start.elapsed()
        );
        assert!(
            matches!(
                error,
                SourceError::Timeout(_) | SourceError::Ssh(_) | SourceError::Unreachable(_)
            ),
            "{number}: {error:?}"
        );
    }
    for host in ["169.254.169.254", "[fe80::1]", "0.0.0.0"] {
        let name = host.trim_matches(['[', ']']);
        let known = format!("{name} {}\n", keys.public("host"));
        let remote = remote(&format!("ssh://{host}/r"), &keys.text("deploy"), None, &known);
        let error = list_head(&remote, &main_branch()).unwrap_err();
        assert_eq!(
            error,
            SourceError::Unreachable("the address is not allowed".into()),
            "{host}"
        );
    }
}

/// With OpenSSH's own server, where there is one; works with and without root.
#[test]
fn openssh_serves_too() {
    let repo = Repo::with(&[("a", "1")]);
    let keys = Keys::new();
    keys.make("host", "ed25519", "")
        .make("deploy", "ed25519", "")
        .make("wrong", "ed25519", "");
    let Some(sshd) = Sshd::start(&keys, "host", "deploy") else {
        eprintln!("skipped: there is no sshd (Debian: apt-get install openssh-server)");
        return;
    };
    let user = std::process::Command::new("id")
        .arg("-un")
        .output()
        .unwrap()
        .stdout;
    let user = String::from_utf8(user).unwrap();
    let url = format!(
        "ssh://{}@127.0.0.1:{}{}",
        user.trim(),
        sshd.port,
        repo.bare().display()
    );
    let known = format!("[127.0.0.1]:{} {}\n", sshd.port, keys.public("host"));
    let dir = tempfile::tempdir().unwrap();
    let good = remote(&url, &keys.text("deploy"), None, &known);
    assert_eq!(
        fetch(&store(dir.path()), &good).unwrap().commit().id.to_string(),
        repo.head(),
        "{}",
        keys.text("sshd.log")
    );
    let refused = list_head(&remote(&url, &keys.text("wrong"), None, &known), &main_branch());
    assert!(matches!(refused, Err(SourceError::KeyRefused(_))), "{refused:?}");
    // RSA keys too, in each of their forms.
    for (name, more) in [
        ("rsa", &["-N", ""][..]),
        ("rsa-pem", &["-m", "PEM", "-N", ""]),
        ("rsa-pkcs8", &["-m", "PKCS8", "-N", ""]),
        ("rsa-locked", &["-N", "correct horse"]),
    ] {
        keys.keygen(&[&["-q", "-t", "rsa", "-b", "3072", "-f", name], more].concat());
        let listed = std::fs::read_to_string(keys.path("deploy.pub")).unwrap();
        std::fs::write(
            keys.path("deploy.pub"),
            format!("{listed}{}\n", keys.public(name)),
        )
        .unwrap();
        let passphrase = (name == "rsa-locked").then_some("correct horse");
        let listed = list_head(
            &remote(&url, &keys.text(name), passphrase, &known),
            &main_branch(),
        );
        assert!(listed.is_ok(), "{name}: {listed:?} {}", keys.text("sshd.log"));
    }
    keys.keygen(&["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", "rsa-wrong"]);
    let refused = list_head(
        &remote(&url, &keys.text("rsa-wrong"), None, &known),
        &main_branch(),
    );
    assert!(
        matches!(&refused, Err(SourceError::KeyRefused(print)) if print.starts_with("ssh-rsa SHA256:")),
        "{refused:?}"
    );
    let changed = format!("[127.0.0.1]:{} {}\n", sshd.port, keys.public("wrong"));
    let changed = list_head(
        &remote(&url, &keys.text("deploy"), None, &changed),
        &main_branch(),
    );
    assert!(matches!(changed, Err(SourceError::HostKey(_))), "{changed:?}");
}
