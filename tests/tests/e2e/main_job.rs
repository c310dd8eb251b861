//! The main job: a secret sealed on a laptop, committed beside ordinary manifests, applied with the workload it is for.

use std::time::Duration;

use crds::{SealedSecret, Sync};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt;
use kube::api::ListParams;
use tests::{Stage, objects, run, wait};

const PASSWORD: &str = "correct horse battery staple";

#[test]
fn sealed_committed_and_applied_with_the_workload_that_needs_it() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("main-job");
        let repo = stage.git.repository(team.name());
        let sealed = stage.seal(&objects::secret(team.name(), "db", &[("password", PASSWORD)]));
        assert!(!sealed.contains(PASSWORD), "it is not sealed: {sealed}");
        repo.write("app/db.yaml", &sealed)
            .write("app/web.yaml", objects::deployment("web", "wordpress:6", "db"))
            .write("app/settings.yaml", objects::config_map("settings", "one"));
        let first = repo.commit("Add the shop");
        team.repository("app", &repo).await;

        // The first version of the Deployment that anybody could see: later ones have higher versions anyway.
        let (deployment, sync) = tokio::join!(
            wait::any(&stage.cluster, team.api::<Deployment>(), "a Deployment", |_| true),
            async {
                team.sync("shop", "app").await;
                team.applied("shop", &first).await
            }
        );

        let secret: Secret = team.api().get("db").await.unwrap();
        assert_eq!(text(&secret, "password"), PASSWORD);
        assert!(
            version(&secret) < version(&deployment),
            "the Secret has to be there before what needs it"
        );
        let sealed_objects = team
            .api::<SealedSecret>()
            .list(&ListParams::default())
            .await
            .unwrap();
        assert!(sealed_objects.items.is_empty(), "SealedSecrets stay in Git");

        let status = sync.status.clone().unwrap();
        let revision = status.last_applied_revision.clone().unwrap();
        assert_eq!(revision.subject, "Add the shop");
        assert_eq!(revision.author, "Ada Example <ada@example.com>");
        assert_eq!(revision.branch, "main");
        assert_eq!(status.last_attempted_revision.unwrap().commit, first);
        assert_eq!(status.revision, format!("main@{}", &first[..12]));
        assert_eq!(
            (status.counts.objects, status.counts.created, status.counts.failed),
            (3, 3, 0)
        );
        assert!(
            status.failures.is_empty() && status.warnings.is_empty(),
            "{sync:#?}"
        );
        assert!(objects::is(&sync, "Reconciling", "False") && objects::is(&sync, "Stalled", "False"));
        let note = team.event("Sync", "shop", "Applied").await;
        assert!(
            note.contains("Add the shop") && note.contains("Ada Example"),
            "{note}"
        );

        // Simulated kubelets run it, with the Secret it asked for.
        team.until(
            "web",
            "the Deployment to be available",
            |deployment: &Deployment| {
                let status = deployment.status.as_ref();
                status.and_then(|status| status.available_replicas) == Some(1)
            },
        )
        .await;
    });
}

#[test]
fn a_commit_changes_and_prunes_what_it_says() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("commits");
        let repo = stage.git.repository(team.name());
        repo.write(
            "app/db.yaml",
            stage.seal(&objects::secret(team.name(), "db", &[("password", "old")])),
        )
        .write("app/stays.yaml", objects::config_map("stays", "one"))
        .write("app/goes.yaml", objects::config_map("goes", "one"));
        let first = repo.commit("Begin");
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        team.applied("app", &first).await;
        let stays: ConfigMap = team.api().get("stays").await.unwrap();

        repo.write(
            "app/db.yaml",
            stage.seal(&objects::secret(team.name(), "db", &[("password", "new")])),
        );
        repo.remove("app/goes.yaml");
        let second = repo.commit("Change the password, drop a map");
        let sync = team.applied("app", &second).await;

        let secret: Secret = team.api().get("db").await.unwrap();
        assert_eq!(text(&secret, "password"), "new");
        team.gone::<ConfigMap>("goes").await;
        let counts = sync.status.unwrap().counts;
        assert_eq!(
            (counts.objects, counts.changed, counts.pruned),
            (2, 1, 1),
            "{counts:?}"
        );
        let still: ConfigMap = team.api().get("stays").await.unwrap();
        assert_eq!(
            still.resource_version(),
            stays.resource_version(),
            "it was written in vain"
        );

        // What a commit changes elsewhere is no business of this Sync.
        let before: Sync = team.api().get("app").await.unwrap();
        let elsewhere = repo
            .write("elsewhere/readme.txt", "hello")
            .commit("Something else");
        team.fetched("app", &elsewhere).await;
        wait::throughout(Duration::from_secs(2), || async {
            let now: Sync = team.api().get("app").await.unwrap();
            let same = now.resource_version() == before.resource_version();
            if same {
                Ok(())
            } else {
                Err(format!("the Sync was written to: {now:#?}"))
            }
        })
        .await;

        let third = repo
            .write("app/late.yaml", objects::config_map("late", "one"))
            .commit("Add a map");
        team.applied("app", &third).await;

        let reverted = repo.revert();
        team.applied("app", &reverted).await;
        team.gone::<ConfigMap>("late").await;
    });
}

#[test]
fn a_rewritten_branch_is_followed_and_reported() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("rewritten");
        let repo = stage.git.repository(team.name());
        let base = repo
            .write("app/a.yaml", objects::config_map("a", "one"))
            .commit("Begin");
        let first = repo
            .write("app/b.yaml", objects::config_map("b", "one"))
            .commit("Later undone");
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        team.applied("app", &first).await;

        repo.git(["reset", "--quiet", "--hard", &base]);
        repo.write("app/c.yaml", objects::config_map("c", "one"))
            .commit_only("Instead");
        repo.force_push();
        team.applied("app", &repo.head()).await;
        team.gone::<ConfigMap>("b").await;
        let _: ConfigMap = team.api().get("c").await.unwrap();
        let note = team.event("Repository", "app", "BranchRewritten").await;
        assert!(note.contains(&first[..12]) && note.contains("Instead"), "{note}");
    });
}

fn text(secret: &Secret, key: &str) -> String {
    let data = secret.data.as_ref().expect("the Secret has data");
    String::from_utf8(data[key].0.clone()).unwrap()
}

fn version(object: &impl ResourceExt) -> u64 {
    object.resource_version().unwrap().parse().unwrap()
}
