//! What happens to the secrets: every case at once, then commits, drift, and a bad day for the controller.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;

use crds::{LocalReference, Sync};
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;
use tests::{GitServer, Repo, Space, Stage, objects};

use super::case::{Case, End, secret};
use super::cli::Cli;
use super::values::Values;

/// Commits every case and waits until each has come to its end.
pub(super) async fn begin(
    team: &Space<'_>,
    repo: &Repo,
    cases: Vec<Case>,
    change: impl FnOnce(&mut crds::RepositorySpec),
) {
    let mut ends = Vec::new();
    for case in &cases {
        for (name, content) in &case.files {
            repo.write(&format!("{}/{name}", case.name), content);
        }
    }
    symlink("../tls", repo.work().join("linked")).expect("a symbolic link");
    let commit = repo.commit("Add everything");
    team.repository_with("app", repo, change).await;
    for case in cases {
        team.sync_with(&case.name, &case.name, case.change).await;
        ends.push((case.name, case.end));
    }
    team.sync("linked", "linked").await;
    ends.push(("linked".to_owned(), End::Failed));
    let mut came_to = BTreeMap::<_, Vec<_>>::new();
    for (name, end) in ends {
        let sync = team
            .until(&name, &format!("Sync {name} to end: {end:?}"), |sync: &Sync| {
                let ready = |status| objects::is(sync, "Ready", status);
                let applied = ready("True") && objects::applied(sync) == commit;
                match end {
                    End::Applied => applied,
                    End::Failed => ready("False"),
                    End::Either => applied || ready("False"),
                }
            })
            .await;
        came_to
            .entry(objects::is(&sync, "Ready", "True"))
            .or_default()
            .push(name);
    }
    eprintln!(
        "applied: {:?}\nfailed: {:?}",
        came_to.get(&true),
        came_to.get(&false)
    );
}

/// Changes what may change and what may not, lets two Syncs claim one Secret, and drops one.
pub(super) async fn change(team: &Space<'_>, repo: &Repo, values: &mut Values, cli: &mut Cli) {
    let mut write = |path: &str, name: &str, value: &str| {
        let mut plain = secret(team.name(), name, &values.sealed(value));
        if name == "immutable" {
            plain["immutable"] = true.into();
        }
        repo.write(path, cli.seal(&[], &plain).to_string());
    };
    write("tls/secret.yaml", "tls", "tls, mended");
    write("immutable/secret.yaml", "immutable", "immutable, changed");
    write("rival/secret.yaml", "conflict", "second of a conflict");
    repo.remove("pruned/secret.yaml");
    let commit = repo.commit("Change some");
    team.sync("rival", "rival").await;
    team.applied("tls", &commit).await;
    team.applied("pruned", &commit).await;
    team.gone::<Secret>("pruned").await;
    for name in ["immutable", "rival"] {
        let sync = team.failed(name, &commit).await;
        eprintln!("{name}: {}", objects::message(&sync, "Ready"));
    }
}

/// Changes and deletes opened Secrets behind Git's back.
pub(super) async fn drift(team: &Space<'_>, values: &mut Values) {
    let patch = json!({"stringData": {"password": values.sealed("drifted")}}).to_string();
    let kept: Secret = team.api().get("rendered").await.expect("it was applied");
    let cluster = &team.stage().cluster;
    let here = ["--namespace", team.name()];
    let arguments = [
        "patch",
        "secret",
        "rendered",
        "--type=merge",
        "--patch-file=/dev/stdin",
    ];
    cluster
        .kubectl_with(here.into_iter().chain(arguments), &patch)
        .ok();
    team.until("rendered", "the Secret to be as it was", |now: &Secret| {
        now.data == kept.data
    })
    .await;
    let deleted = ["delete", "secret", "shapes"];
    team.repaired("shapes", &deleted, |secret: &Secret| secret.data.is_some())
        .await;
}

/// Repositories whose own credentials are the secrets.
pub(super) async fn logins(team: &Space<'_>, stage: &Stage, values: &mut Values, cli: &mut Cli) {
    let server = GitServer::start(&stage.cluster.home().join("private-git")).await;
    let right = values.sealed("Git password");
    server.require_login("team", &right);
    let repo = server.repository("private");
    let sealed = cli.seal(
        &[],
        &secret(team.name(), "private", &values.sealed("behind a password")),
    );
    let commit = repo
        .write("app/secret.yaml", sealed.to_string())
        .commit("Private");
    let logins = [
        ("right-login", json!({"username": "team", "password": right})),
        (
            "wrong-login",
            json!({"username": "team", "password": values.sealed("wrong Git password")}),
        ),
        (
            "wrong-token",
            json!({"bearerToken": values.sealed("wrong Git token")}),
        ),
        (
            "bad-token",
            json!({"bearerToken": format!("{}\n", values.sealed("Git token with a line break"))}),
        ),
        (
            "both-logins",
            json!({"username": "team", "password": values.sealed("one of two logins"), "bearerToken": "x"}),
        ),
        (
            "bad-authority",
            json!({"ca.crt": values.sealed("no certificate")}),
        ),
        (
            "no-server",
            json!({"username": "team", "password": values.sealed("Git password for nobody")}),
        ),
    ];
    for (name, data) in logins {
        let login = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": team.name()}, "stringData": data});
        stage
            .cluster
            .kubectl_with(["create", "-f", "-"], &login.to_string())
            .ok();
        team.repository_with(name, &repo, |spec| {
            spec.secret_ref = Some(LocalReference {
                name: name.to_owned(),
            });
            if name == "no-server" {
                spec.url = "http://127.0.0.1:9/private.git".into();
            }
        })
        .await;
        team.sync_with(name, "app", |spec| spec.source_ref.name = name.into())
            .await;
        if name == "right-login" {
            team.applied(name, &commit).await;
        } else {
            let what = format!("Sync {name} to say that there is no source");
            let sync = team
                .until(name, &what, |sync: &Sync| objects::is(sync, "Ready", "False"))
                .await;
            eprintln!("{name}: {}", objects::message(&sync, "Ready"));
        }
    }
}
