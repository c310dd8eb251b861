//! A bad day for the controller: the API server cut off while it applies, killed while it applies, started again.

use std::time::Duration;

use crds::Sync;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::ListParams;
use tests::proxy::{Line, Proxy};
use tests::{Cluster, Controller, Repo, Space, objects, wait};

use super::case::secret;
use super::cli::Cli;
use super::values::Values;

/// Enough to be in the middle of.
const MANY: usize = 120;

/// Writes many Secrets, sealed, and commits them.
fn commit(namespace: &str, repo: &Repo, round: &str, values: &mut Values, cli: &mut Cli) -> String {
    let mut stream = String::new();
    for number in 0..MANY {
        // One value for all: it is the same code that opens each of them.
        if number == 0 {
            stream = secret(namespace, "many-0", &values.sealed(&format!("many, {round}"))).to_string();
        } else {
            let first = stream.lines().next().expect("the first").to_owned();
            stream = format!(
                "{stream}\n---\n{}",
                first.replace("many-0", &format!("many-{number}"))
            );
        }
    }
    repo.write(
        "many/secrets.yaml",
        cli.seal_with(&["--output", "yaml"], stream).ok(),
    );
    repo.commit(&format!("Many Secrets, {round}"))
}

/// Cuts the controller off while it applies, for as long as it takes to notice.
pub(super) async fn cut(team: &Space<'_>, repo: &Repo, proxy: &Proxy, values: &mut Values, cli: &mut Cli) {
    let commit = commit(team.name(), repo, "cut off", values, cli);
    let (first, ()) = tokio::join!(
        wait::any(
            &team.stage().cluster,
            team.api::<Secret>(),
            "the first of many",
            is_one_of_many
        ),
        team.sync("many", "many"),
    );
    proxy.set(Line::Reset);
    let seen = count(&team.api(), &first).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    proxy.set(Line::Open);
    team.applied("many", &commit).await;
    eprintln!("cut off after {seen} of {MANY} Secrets");
}

/// Commits new values for the many, kills the controller while it applies them, and starts it again.
pub(super) async fn kill(
    cluster: &Cluster,
    controller: &mut Controller,
    namespace: &str,
    repo: &Repo,
    values: &mut Values,
    cli: &mut Cli,
) -> String {
    let secrets: Api<Secret> = Api::namespaced(cluster.client(), namespace);
    let old = secrets.get("many-0").await.expect("it was applied").data;
    let commit = commit(namespace, repo, "killed", values, cli);
    let first = wait::any(
        cluster,
        secrets.clone(),
        "the first of many to change",
        |secret| is_one_of_many(secret) && secret.data != old,
    )
    .await;
    controller.kill();
    eprintln!("killed after {} of {MANY} Secrets", count(&secrets, &first).await);
    controller.start_again().await;
    applied(cluster, namespace, &commit).await;
    commit
}

/// Waits until the many are applied.
pub(super) async fn applied(cluster: &Cluster, namespace: &str, commit: &str) {
    let syncs: Api<Sync> = Api::namespaced(cluster.client(), namespace);
    wait::until(cluster, syncs, "many", "the many to be applied", |sync| {
        objects::applied(sync) == commit && objects::is(sync, "Ready", "True")
    })
    .await;
}

fn is_one_of_many(secret: &Secret) -> bool {
    secret
        .metadata
        .name
        .as_deref()
        .is_some_and(|name| name.starts_with("many-"))
}

async fn count(secrets: &Api<Secret>, like: &Secret) -> usize {
    let list = secrets
        .list(&ListParams::default())
        .await
        .expect("Secrets can be listed");
    list.items
        .iter()
        .filter(|secret| is_one_of_many(secret) && secret.data == like.data)
        .count()
}
