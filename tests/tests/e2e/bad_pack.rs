//! Repositories that hold more than they show: packs that are small and hold much, and links to other repositories.

use crds::{Repository, Submodules};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tests::{Repo, Stage, objects, run};

fn message(found: &Repository) -> String {
    let mut conditions = found.status.iter().flat_map(|status| &status.conditions);
    let ready = conditions.find(|condition| condition.type_ == "Ready");
    ready.map(|ready| ready.message.clone()).unwrap_or_default()
}

#[test]
fn a_small_pack_that_holds_much_is_refused_and_what_was_fetched_stays() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("bomb");
        let repo = stage.git.repository(team.name());
        let one = repo
            .write("app/map.yaml", objects::config_map("map", "one"))
            .commit("One");
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        team.applied("app", &one).await;
        // A hundred kilobytes in Git.
        let zeros = std::fs::File::create(repo.work().join("zeros")).unwrap();
        zeros.set_len(101 << 20).unwrap();
        repo.write("app/map.yaml", objects::config_map("map", "two"))
            .commit("Zeros");
        let refused = team
            .until("app", "the pack to be refused", |found: &Repository| {
                message(found).contains("an object over 104857600 bytes")
            })
            .await;
        assert!(
            message(&refused).contains("stays in use"),
            "{}",
            message(&refused)
        );
        assert_eq!(refused.status.unwrap().head.unwrap().commit, one);
        let three = repo
            .remove("zeros")
            .write("app/map.yaml", objects::config_map("map", "three"))
            .commit("Without");
        team.applied("app", &three).await;
    });
}

/// Commits a link to a commit of another repository, which lies beside it on the server.
fn link(repo: &Repo, path: &str, lib: &Repo) -> String {
    let name = lib.bare().file_name().unwrap().to_str().unwrap().to_owned();
    repo.write(
        ".gitmodules",
        format!("[submodule \"lib\"]\n\tpath = {path}\n\turl = ../{name}\n"),
    );
    std::fs::create_dir_all(repo.work().join(path)).unwrap();
    let entry = format!("160000,{},{path}", lib.head());
    repo.git(["update-index", "--add", "--cacheinfo", &entry]);
    repo.commit("Link")
}

#[test]
fn a_submodule_is_applied_where_the_repository_follows_it() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("submodules");
        let repo = stage.git.repository(team.name());
        let lib = stage.git.repository(&format!("{}-lib", team.name()));
        lib.write("map.yaml", objects::config_map("inner", "one"))
            .commit("One");
        repo.write("app/map.yaml", objects::config_map("outer", "one"));
        let one = link(&repo, "app/lib", &lib);
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        team.failed("app", &one).await;

        let repositories: kube::Api<Repository> = team.api();
        let follow = async |submodules: Option<Submodules>| {
            let patch = Patch::Merge(json!({"spec": {"submodules": submodules}}));
            let params = PatchParams::default();
            repositories.patch("app", &params, &patch).await.unwrap();
        };
        // The same commit, and more of it.
        follow(Some(Submodules::default())).await;
        team.applied("app", &one).await;
        let holds = |value: &'static str| {
            move |map: &ConfigMap| serde_json::to_string(&map.data).unwrap().contains(value)
        };
        team.until("inner", "the submodule's object", holds("one")).await;

        // It moves with the link, and not by itself.
        lib.write("map.yaml", objects::config_map("inner", "two"))
            .commit("Two");
        let beside = repo
            .write("app/map.yaml", objects::config_map("outer", "two"))
            .commit("Beside");
        team.applied("app", &beside).await;
        team.until("inner", "it to be as the link has it", holds("one"))
            .await;
        let two = link(&repo, "app/lib", &lib);
        team.applied("app", &two).await;
        team.until("inner", "it to be as the new link has it", holds("two"))
            .await;

        // A link that leads elsewhere stops at what is in use.
        repo.write(
            ".gitmodules",
            "[submodule \"lib\"]\n\tpath = app/lib\n\turl = https://169.254.169.254/latest\n",
        )
        .commit("Elsewhere");
        let refused = team
            .until("app", "the address to be refused", |found: &Repository| {
                message(found).contains("spec.submodules.hosts")
            })
            .await;
        assert!(message(&refused).contains("app/lib"), "{}", message(&refused));
        assert_eq!(refused.status.unwrap().head.unwrap().commit, two);
    });
}
