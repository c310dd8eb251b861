//! Paths that lead nowhere, or out of the repository.

use std::os::unix::fs::symlink;

use crds::Sync;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::PostParams;
use tests::{objects, run};

use crate::bad_support::{Case, is_said};

#[test]
fn a_path_that_does_not_exist_is_named_and_heals_when_it_does() {
    run(async {
        let case = Case::begin("nowhere").await;
        case.repo.write("file", "text\n").commit("A file");
        symlink("app", case.repo.work().join("link")).unwrap();
        let commit = case.repo.commit("A link");
        for (name, path, says) in [
            (
                "late",
                "late/er",
                "the path does not exist in this commit; correct the path, or commit the directory",
            ),
            ("file", "file", "the path is not a directory; name the directory"),
            (
                "link",
                "link",
                "the path goes through a symbolic link; name the directory that the link points to",
            ),
            ("through", "link/deeper", "the path goes through a symbolic link"),
        ] {
            case.team.sync(name, path).await;
            let sync = case.team.failed(name, &commit).await;
            let message = objects::message(&sync, "Ready");
            assert!(
                message.contains(says) && message.contains(&format!("Path {path} ")),
                "{message}"
            );
        }
        let commit = case
            .repo
            .write("late/er/map.yaml", objects::config_map("late", "one"))
            .commit("Now it exists");
        case.team.applied("late", &commit).await;
        case.value("late", "one").await;
    });
}

#[test]
fn a_path_that_vanishes_takes_nothing_with_it() {
    run(async {
        let case = Case::begin_with("vanished", |spec| spec.prune.allow_empty = true).await;
        let commit = case.repo.write("app/bad.yaml", "kind: [\n").commit("Spoil it");
        case.says(
            &case.team.failed("app", &commit).await,
            &[["app/bad.yaml document 1, line 2", "", "", ""]],
        );
        case.repo.git(["mv", "app", "elsewhere"]);
        let commit = case.repo.commit("Move the directory away");
        let sync = case.team.failed("app", &commit).await;
        is_said(&sync);
        let message = objects::message(&sync, "Ready");
        assert!(
            message.starts_with("Path app of main@") && message.contains("does not exist"),
            "{message}"
        );
        // Not a word of what failed in the commit before.
        case.says(&sync, &[]);
        case.stands().await;
        let _: ConfigMap = case.team.api().get("keep").await.unwrap();
        case.repo.revert();
        let commit = case.repo.remove("app/bad.yaml").commit("Mend it");
        case.team.applied("app", &commit).await;
    });
}

#[test]
fn links_submodules_and_odd_names_are_not_followed() {
    run(async {
        let case = Case::begin("links").await;
        let outside = case
            .repo
            .write("outside/secret.yaml", objects::config_map("outside", "one"))
            .head();
        let sync = case
            .spoil(|repo| {
                let app = repo.work().join("app");
                symlink("../outside/secret.yaml", app.join("file.yaml")).unwrap();
                symlink("../outside", app.join("dir")).unwrap();
                symlink("/etc/passwd", app.join("passwd.yaml")).unwrap();
                symlink("loop.yaml", app.join("loop.yaml")).unwrap();
                symlink("keep.yaml", app.join("inside.yaml")).unwrap();
                repo.git([
                    "update-index",
                    "--add",
                    "--cacheinfo",
                    &format!("160000,{outside},app/module"),
                ]);
                // `git add --all` would take it out again.
                std::fs::create_dir(app.join("module")).unwrap();
            })
            .await;
        let link = "this is a symbolic link, and none is followed";
        case.says(
            &sync,
            &[
                ["app/dir", "", link, "commit the file itself"],
                ["app/file.yaml", "", link, "commit the file itself"],
                ["app/inside.yaml", "", link, "commit the file itself"],
                ["app/loop.yaml", "", link, "commit the file itself"],
                [
                    "app/module",
                    "",
                    "this is a submodule, and none is fetched",
                    "a Repository of its own",
                ],
                ["app/passwd.yaml", "", link, "commit the file itself"],
            ],
        );
        let found = case.team.api::<ConfigMap>().get_opt("outside").await.unwrap();
        assert!(found.is_none(), "a link was followed");
        case.mend(|repo| {
            for name in [
                "file.yaml",
                "dir",
                "passwd.yaml",
                "loop.yaml",
                "inside.yaml",
                "module",
            ] {
                repo.git(["rm", "--quiet", "--force", &format!("app/{name}")]);
            }
        })
        .await;
    });
}

#[test]
fn a_path_that_leaves_the_repository_is_not_accepted() {
    run(async {
        let case = Case::begin("dots").await;
        let sync: Sync = case.team.api().get("app").await.unwrap();
        for path in ["..", "../x", "a/../../x", "app/..", "/etc"] {
            let mut spec = sync.spec.clone();
            path.clone_into(&mut spec.path);
            let answer = case
                .team
                .api()
                .create(&PostParams::default(), &Sync::new("dots", spec))
                .await;
            let error = answer.expect_err(path).to_string();
            assert!(error.contains("does not leave it"), "{path}: {error}");
        }
    });
}
