//! Signatures of OpenPGP, made by the real GnuPG, and keys that count for a time.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crds::{Verify, VerifyMode, VerifyRule};
use serde_json::json;
use tests::{Repo, Stage, command, run};

use crate::signed::{People, refused, trust_files, verify, write};

/// GnuPG with keys of its own.
struct Gnupg {
    home: tempfile::TempDir,
}

impl Gnupg {
    /// Nothing where it is not installed.
    fn new() -> Option<Self> {
        if Command::new("gpg").arg("--version").output().is_err() {
            eprintln!("skipped: gpg is not installed");
            return None;
        }
        // Its sockets need a short path.
        let home = tempfile::Builder::new().prefix("pg").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o700)).unwrap();
        let gnupg = Self { home };
        let program = gnupg.program();
        let text = format!(
            "#!/bin/sh\nexec gpg --homedir '{}' \"$@\"\n",
            gnupg.home.path().display()
        );
        std::fs::write(&program, text).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o700)).unwrap();
        Some(gnupg)
    }

    fn program(&self) -> std::path::PathBuf {
        self.home.path().join("gpg.sh")
    }

    fn run(&self, arguments: &[&str]) -> String {
        let mut gpg = Command::new(self.program());
        gpg.args([
            "--batch",
            "--quiet",
            "--passphrase",
            "",
            "--pinentry-mode",
            "loopback",
        ])
        .args(arguments);
        command::run(gpg, b"").ok()
    }

    /// Makes a key and gives its fingerprint.
    fn key(&self, name: &str, more: &[&str], ends: &str) -> String {
        let who = format!("{name} <{name}@example.org>");
        self.run(&[more, &["--quick-generate-key", &who, "ed25519", "sign", ends]].concat());
        let listed = self.run(&["--with-colons", "--list-keys", &who]);
        let line = listed.lines().find(|line| line.starts_with("fpr:")).unwrap();
        line.split(':').nth(9).unwrap().to_owned()
    }

    fn public(&self, key: &str) -> String {
        self.run(&["--armor", "--export", key])
    }

    /// From now on commits are signed with this key.
    fn sign(&self, repo: &Repo, key: &str) {
        let program = self.program().display().to_string();
        for (name, value) in [
            ("gpg.format", "openpgp"),
            ("gpg.program", &program),
            ("user.signingkey", key),
            ("commit.gpgsign", "true"),
        ] {
            repo.git(["config", name, value]);
        }
    }
}

impl Drop for Gnupg {
    fn drop(&mut self) {
        let mut end = Command::new("gpgconf");
        end.arg("--homedir").arg(self.home.path()).args(["--kill", "all"]);
        let _ = end.output();
    }
}

#[test]
fn commits_that_are_signed_with_openpgp_are_verified() {
    let Some(gnupg) = Gnupg::new() else { return };
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("signed-pgp");
        let (ada, bob, eve) = (
            gnupg.key("ada", &[], "never"),
            gnupg.key("bob", &[], "never"),
            gnupg.key("eve", &[], "never"),
        );
        let files = json!({"ada.asc": gnupg.public(&ada), "bob.asc": gnupg.public(&bob)});
        trust_files(&team, &files);
        let repo = stage.git.repository(team.name());
        gnupg.sign(&repo, &ada);
        write(&repo, "app/map.yaml", "one");
        let first = repo.commit("First");
        team.repository_with("app", &repo, |spec| {
            spec.verify = Some(Verify {
                rules: vec![VerifyRule {
                    paths: vec!["infra/".into()],
                    signers: vec!["ada@example.org".into()],
                }],
                ..verify(VerifyMode::Range)
            });
        })
        .await;
        team.sync("app", "app").await;
        let sync = team.applied("app", &first).await;
        let signer = sync
            .status
            .unwrap()
            .last_applied_revision
            .unwrap_or_default()
            .signer;
        assert!(
            signer.contains("ada@example.org") && signer.contains(&ada),
            "{signer}"
        );

        // Unsigned in the middle, and a stranger's key.
        repo.git(["config", "commit.gpgsign", "false"]);
        write(&repo, "app/map.yaml", "unsigned");
        let middle = repo.commit_only("Slipped in");
        gnupg.sign(&repo, &bob);
        write(&repo, "app/map.yaml", "on top");
        repo.commit("On top");
        let message = refused(&team, "app", "CommitUnsigned").await;
        assert!(message.contains(&middle[..12]), "{message}");
        repo.git(["reset", "--quiet", "--hard", &first]);
        gnupg.sign(&repo, &eve);
        write(&repo, "app/map.yaml", "eve");
        repo.commit_only("Eve was here");
        repo.force_push();
        refused(&team, "app", "SignerUnknown").await;

        // By the addresses of keys: who may change what.
        repo.git(["reset", "--quiet", "--hard", &first]);
        gnupg.sign(&repo, &bob);
        write(&repo, "infra/map.yaml", "bob");
        repo.commit_only("Infra by Bob");
        repo.force_push();
        let message = refused(&team, "app", "SignerNotAllowed").await;
        assert!(message.contains("only ada@example.org may"), "{message}");
        repo.git(["reset", "--quiet", "--hard", &first]);
        write(&repo, "app/map.yaml", "two");
        let second = repo.commit_only("Second");
        repo.force_push();
        team.applied("app", &second).await;

        // A key that is listed as revoked.
        let mut files = files;
        files["revoked_keys"] = bob.clone().into();
        trust_files(&team, &files);
        write(&repo, "app/map.yaml", "three");
        repo.commit("By whoever has Bob's key");
        refused(&team, "app", "SignerRevoked").await;
        team.sent("app", &second).await;
    });
}

#[test]
fn an_openpgp_key_counts_until_it_ends() {
    let Some(gnupg) = Gnupg::new() else { return };
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("signed-pgp-ends");
        let then = ["--faked-system-time", "20200101T000000!"];
        let ada = gnupg.key("ada", &then, "20200201T000000");
        trust_files(&team, &json!({"ada.asc": gnupg.public(&ada)}));
        let repo = stage.git.repository(team.name());
        gnupg.sign(&repo, &ada);
        // GnuPG signs with it while it is valid only.
        let clock = |time: &str| {
            let program = gnupg.home.path().join("then.sh");
            let text = format!(
                "#!/bin/sh\nexec gpg --homedir '{}' --faked-system-time {time} \"$@\"\n",
                gnupg.home.path().display()
            );
            std::fs::write(&program, text).unwrap();
            std::fs::set_permissions(&program, PermissionsExt::from_mode(0o700)).unwrap();
            repo.git(["config", "gpg.program", &program.display().to_string()]);
        };
        clock("20200115T000000!");
        write(&repo, "app/map.yaml", "one");
        let first = repo.commit("In its time");
        team.repository_with("app", &repo, |spec| spec.verify = Some(verify(VerifyMode::Range)))
            .await;
        team.sync("app", "app").await;
        team.applied("app", &first).await;

        // As whoever copies the key and does not care when it ends.
        let later = ["--faked-system-time", "20200102T000000!"];
        gnupg.run(&[&later[..], &["--quick-set-expire", &ada, "0"]].concat());
        clock("20200301T000000!");
        write(&repo, "app/map.yaml", "two");
        let late = repo.commit("After it");
        let message = refused(&team, "app", "SignerExpired").await;
        assert!(message.contains(&late[..12]), "{message}");
        // With the key as it is now, which somebody gives us, it counts.
        trust_files(&team, &json!({"ada.asc": gnupg.public(&ada)}));
        team.applied("app", &late).await;
    });
}

/// The lines of `allowed_signers` for one person, with what they say of times.
fn allowed(people: &People, options: &str) -> serde_json::Value {
    json!({"allowed_signers": format!("ada@example.org {options} {}\n", people.public("ada"))})
}

#[test]
fn an_ssh_key_counts_from_its_first_day_to_its_last() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("signed-expiry");
        let home = tempfile::tempdir().unwrap();
        let people = People::new(home.path(), &["ada"]);
        let repo = stage.git.repository(team.name());
        people.sign(&repo, Some("ada"));
        write(&repo, "app/map.yaml", "one");
        let first = repo.commit("First");
        trust_files(&team, &allowed(&people, "valid-before=\"20200101\""));
        team.repository_with("app", &repo, |spec| spec.verify = Some(verify(VerifyMode::Range)))
            .await;
        team.sync("app", "app").await;
        let message = refused(&team, "app", "SignerExpired").await;
        assert!(message.contains(&first[..12]), "{message}");
        trust_files(&team, &allowed(&people, "valid-after=\"29990101\""));
        refused(&team, "app", "SignerNotYetValid").await;
        let in_time = "valid-after=\"20200101\",valid-before=\"29990101\"";
        trust_files(&team, &allowed(&people, in_time));
        team.applied("app", &first).await;

        // It ends: what was applied stays, and nothing newer comes.
        trust_files(&team, &allowed(&people, "valid-before=\"20200101\""));
        write(&repo, "app/map.yaml", "two");
        repo.commit("Too late");
        refused(&team, "app", "SignerExpired").await;
        team.sent("app", &first).await;
    });
}
