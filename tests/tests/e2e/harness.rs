//! The harness itself: what it promises must hold before a test that stands on it means anything.

use std::process::Command;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::PostParams;
use tests::child::Child;
use tests::git::{Mood, git};
use tests::proxy::{Line, Proxy};
use tests::{Cluster, GitServer, command, http, run, wait};

#[test]
fn a_real_git_clones_from_the_server_and_pushes_to_it() {
    run(async {
        let home = tempfile::tempdir().unwrap();
        let server = GitServer::start(home.path()).await;
        let repo = server.repository("app");
        let first = repo.write("a/b.yaml", "one\n").commit("first");
        assert!(
            server.requests(&repo).is_empty(),
            "the clone pushes past the server"
        );

        let clone = home.path().join("elsewhere");
        let mut command = git(home.path());
        command
            .args(["clone", "--quiet", "--depth=1", repo.url()])
            .arg(&clone);
        command::run(command, b"").ok();
        assert_eq!(std::fs::read_to_string(clone.join("a/b.yaml")).unwrap(), "one\n");
        assert!(!server.requests(&repo).is_empty());

        // More than a megabyte and not compressible: git sends it chunked.
        let noise: Vec<u8> = (0..3_000_000_u32)
            .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
            .collect();
        std::fs::write(clone.join("noise"), noise).unwrap();
        for arguments in [
            &["add", "--all"][..],
            &["commit", "--quiet", "-m", "second"],
            &["push", "--quiet"],
        ] {
            let mut command = git(&clone);
            command.args(arguments);
            command::run(command, b"").ok();
        }
        repo.git(["pull", "--quiet", "--ff-only", "origin", "main"]);
        assert_ne!(repo.head(), first);
    });
}

#[test]
fn the_server_has_its_moods_and_a_door() {
    run(async {
        let home = tempfile::tempdir().unwrap();
        let server = GitServer::start(home.path()).await;
        let repo = server.repository("app");
        repo.commit("first");
        let refs = format!("{}/info/refs?service=git-upload-pack", repo.url());
        assert_eq!(http::get(&refs).await.unwrap().status, 200);

        server.set_mood(Mood::Unavailable);
        assert_eq!(http::get(&refs).await.unwrap().status, 503);

        server.set_mood(Mood::Stalled);
        let waiting = tokio::spawn({
            let refs = refs.clone();
            async move { http::get(&refs).await.unwrap().status }
        });
        wait::throughout(Duration::from_millis(300), || async {
            if waiting.is_finished() {
                Err("it was answered".to_owned())
            } else {
                Ok(())
            }
        })
        .await;
        server.set_mood(Mood::Serving);
        assert_eq!(waiting.await.unwrap(), 200);

        server.require_login("team", "hunter2");
        assert_eq!(http::get(&refs).await.unwrap().status, 401);
        let mut command = git(home.path());
        let url = repo.url().replace("http://", "http://team:hunter2@");
        command.args(["ls-remote", &url]);
        command::run(command, b"").ok();
    });
}

#[test]
fn a_child_ends_with_whoever_holds_it() {
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("log");
    let mut command = Command::new("sleep");
    command.arg("300");
    let mut child = Child::start(&command, &log);
    assert!(child.ended().is_none());
    let id = child.id();
    drop(child);
    assert!(!alive(id));

    let status = Child::start(&command, &log).terminate();
    assert_eq!(status.code(), Some(128 + 15));

    let mut missing = Child::start(&Command::new("/nonexistent/program"), &log);
    while missing.ended().is_none() {
        std::thread::yield_now();
    }
    assert!(
        std::fs::read_to_string(&log)
            .unwrap()
            .contains("/nonexistent/program")
    );
}

#[test]
fn a_proxied_line_is_cut_and_restored() {
    run(async {
        let home = tempfile::tempdir().unwrap();
        let server = GitServer::start(home.path()).await;
        let repo = server.repository("app");
        repo.commit("first");
        let proxy = Proxy::start(server.address()).await;
        let url = format!(
            "http://{}/app.git/info/refs?service=git-upload-pack",
            proxy.address()
        );
        assert_eq!(http::get(&url).await.unwrap().status, 200);

        proxy.set(Line::Reset);
        assert!(http::get(&url).await.is_none());

        proxy.set(Line::Silent);
        let waiting = tokio::spawn({
            let url = url.clone();
            async move { http::get(&url).await.unwrap().status }
        });
        wait::throughout(Duration::from_millis(300), || async {
            if waiting.is_finished() {
                Err("it was answered".to_owned())
            } else {
                Ok(())
            }
        })
        .await;
        proxy.set(Line::Open);
        assert_eq!(waiting.await.unwrap(), 200);
    });
}

#[test]
fn the_control_plane_is_real_and_remembers_who_asked() {
    run(async {
        let start = Instant::now();
        let cluster = Cluster::shared().await;
        eprintln!(
            "control plane ready after {:.1} s, with Signet's kinds after {:.1} s",
            cluster.ready_seconds(),
            start.elapsed().as_secs_f64()
        );
        let mark = cluster.audit().mark();
        let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), "default");
        let map = ConfigMap {
            metadata: kube::api::ObjectMeta {
                generate_name: Some("harness-".into()),
                ..Default::default()
            },
            ..ConfigMap::default()
        };
        let name = maps
            .create(&PostParams::default(), &map)
            .await
            .unwrap()
            .metadata
            .name
            .unwrap();
        wait::until(cluster, maps.clone(), &name, "the map", |_| true).await;
        maps.delete(&name, &kube::api::DeleteParams::default())
            .await
            .unwrap();
        wait::gone(cluster, maps, &name).await;
        let requests = cluster.audit().since(mark, "signet-cluster-admin");
        let writes: Vec<_> = requests
            .iter()
            .filter(|r| r.writes() && r.resource == "configmaps")
            .collect();
        assert!(writes.iter().any(|r| r.verb == "create"), "{requests:?}");
        assert!(
            writes.iter().any(|r| r.verb == "delete" && r.name == name),
            "{requests:?}"
        );
    });
}

fn alive(id: i32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // A zombie that nobody has waited for yet has ended.
    !state.is_empty() && !state.contains(") Z ")
}
