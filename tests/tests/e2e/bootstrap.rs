//! `signet bootstrap`: a repository and a cluster from nothing, and a lost cluster that comes back from its repository and a backup
//! of its keys.
//!
//! Real: the API server, Git over HTTP with a login, every object of the install, and the controller's binary with the rights of
//! its service account. Simulated: the kubelet, so that the Deployment's Pod is said to run at once, whatever its image; the
//! controller's process is started here as soon as that Pod is there.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::ssh::server::{Keys, Setup};
use crds::{Repository, Sync};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::Api;
use sealing::v2::{Identity, Suite};
use serde_json::Value;
use tests::audit::Mark;
use tests::command::{self, Answer};
use tests::{Cluster, Controller, ControllerOptions, GitServer, Repo, objects, run, wait};

const NAMESPACE: &str = "signet-system";
const PATH: &str = "clusters/prod";

/// Runs `signet` beside the controller that it installs.
async fn bootstrap(cluster: &Cluster, arguments: &[&str]) -> (Answer, Controller) {
    let mut signet = command::signet(cluster.kubeconfig());
    signet.arg("bootstrap").args(arguments).args(["--output", "json"]);
    let running = tokio::task::spawn_blocking(move || command::run(signet, b""));
    let pods: Api<Pod> = Api::namespaced(cluster.client(), NAMESPACE);
    // What a kubelet would do.
    let started = async {
        wait::any(cluster, pods, "the controller's Pod to run", |pod: &Pod| {
            pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
        })
        .await;
        Controller::start(cluster, ControllerOptions::for_tests(cluster)).await
    };
    let ended = async {
        while !running.is_finished() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let controller = tokio::select! {
        controller = started => Some(controller),
        () = ended => None,
    };
    let answer = running.await.unwrap();
    match controller {
        Some(controller) => (answer, controller),
        None => panic!("it ended before the controller could run: {answer}"),
    }
}

fn again(cluster: &Cluster, arguments: &[&str]) -> Answer {
    let all = ["bootstrap", "--output", "json"].into_iter();
    cluster.signet(all.chain(arguments.iter().copied()), "")
}

fn json(answer: &Answer) -> Value {
    assert!(answer.code == 0, "{answer}");
    serde_json::from_str(&answer.stdout).unwrap()
}

fn changes(report: &Value, word: &str) -> Vec<String> {
    let objects = report["objects"].as_array().unwrap().iter();
    let changed = objects.filter(|object| object["change"] == word);
    changed
        .map(|object| object["object"].as_str().unwrap().to_owned())
        .collect()
}

/// Writes of whoever runs the command, dry runs aside.
fn writes(cluster: &Cluster, since: Mark) -> Vec<String> {
    let requests = cluster.audit().since(since, "signet-cluster-admin").into_iter();
    let writes = requests.filter(|request| request.writes() && !request.uri.contains("dryRun=All"));
    writes
        .map(|request| format!("{} {}", request.verb, request.uri))
        .collect()
}

async fn password(cluster: &Cluster) -> Vec<u8> {
    let secrets: Api<Secret> = Api::namespaced(cluster.client(), "shop");
    let secret = wait::until(
        cluster,
        secrets,
        "database",
        "the sealed value to be opened",
        |_: &Secret| true,
    )
    .await;
    secret.data.unwrap()["password"].0.clone()
}

/// What a team commits beside Signet.
fn shop(repo: &Repo, cluster: &Cluster, controller: &Controller) -> String {
    let secret = objects::secret("shop", "database", &[("password", "hunter2")]);
    let certificate = controller.certificate_url();
    let sealed = cluster
        .signet(["seal", "--cert", &certificate], &secret.to_string())
        .ok();
    repo.git(["pull", "--quiet", "--ff-only", "origin", "main"]);
    repo.write(
        &format!("{PATH}/shop/namespace.yaml"),
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n",
    )
    .write(&format!("{PATH}/shop/database.yaml"), sealed)
    .commit("Open the shop")
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_cluster_is_set_up_from_nothing_lost_and_set_up_again() {
    run(async {
        let home = tempfile::tempdir().unwrap();
        let git = GitServer::start(&home.path().join("git")).await;
        git.require_login("reader", "correct horse");
        let repo = git.repository("fleet");
        repo.git(["config", "user.name", "Ada Example"]);
        repo.git(["config", "user.email", "ada@example.org"]);
        let file = |name: &str, content: &str| {
            let path = home.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let token = file("token", "correct horse\n");
        let login = ["--git-username", "reader", "--git-password-file", text(&token)];
        let place = ["--path", PATH, "--url", repo.url()];
        let (backup, identity) = (home.path().join("keys.age"), home.path().join("recovery.txt"));

        // From nothing.
        let commit = {
            let cluster = Cluster::empty().await;
            let mark = cluster.audit().mark();
            let plan: Vec<&str> = [&[text(repo.work())][..], &place, &login].concat();
            let dry = again(&cluster, &[&plan[..], &["--dry-run"]].concat());
            let would = json(&dry);
            assert_eq!(
                (would["committed"].clone(), would["ready"].clone()),
                (false.into(), false.into())
            );
            assert!(
                changes(&would, "created").contains(&"Deployment signet-system/signet-controller".to_owned())
            );
            assert_eq!(writes(&cluster, mark), [""; 0], "a dry run writes nothing");
            assert_eq!(repo.git(["ls-remote", "origin"]), "");

            let began = Instant::now();
            let (answer, controller) = bootstrap(&cluster, &plan).await;
            let report = json(&answer);
            eprintln!(
                "from nothing: {:.1} s\n{}",
                began.elapsed().as_secs_f64(),
                answer.stderr
            );
            assert_eq!(
                (report["committed"].clone(), report["ready"].clone()),
                (true.into(), true.into())
            );
            assert_eq!(
                repo.head(),
                report["commit"].as_str().unwrap(),
                "the clone has the commit, too"
            );
            assert!(repo.git(["status", "--porcelain"]).is_empty());
            let files = repo.git(["ls-tree", "-r", "--name-only", "origin/main"]);
            let own = ["crds.yaml", "install.yaml", "sync.yaml"].map(|name| format!("{PATH}/signet/{name}"));
            assert_eq!(files.lines().collect::<Vec<_>>(), own);
            for word in ["correct horse", "Y29ycmVjdCBob3JzZQ"] {
                assert!(!answer.stdout.contains(word) && !answer.stderr.contains(word));
            }

            // Run again, nothing changes.
            let mark = cluster.audit().mark();
            let report = json(&again(&cluster, &plan));
            assert_eq!(report["committed"], false);
            for word in ["created", "changed"] {
                assert_eq!(changes(&report, word), Vec::<String>::new());
            }
            assert_eq!(repo.git(["rev-list", "--count", "origin/main"]), "1");
            assert_eq!(writes(&cluster, mark), [""; 0]);

            // A team moves in, and what it sealed is opened.
            let commit = shop(&repo, &cluster, &controller);
            cluster.signet(["sync", "signet", "-n", NAMESPACE], "").ok();
            let syncs: Api<Sync> = Api::namespaced(cluster.client(), NAMESPACE);
            wait::until(
                &cluster,
                syncs,
                "signet",
                "the shop to be applied",
                |sync: &Sync| objects::applied(sync) == commit && objects::is(sync, "Ready", "True"),
            )
            .await;
            assert_eq!(password(&cluster).await, b"hunter2");
            let offline = Identity::generate(Suite::MlKem768X25519).unwrap();
            std::fs::write(&identity, offline.to_text().as_str()).unwrap();
            let recipient = offline.recipient().to_string();
            let arguments = ["keys", "backup", "--recipient", &recipient, "-w", text(&backup)];
            cluster.signet(arguments, "").ok();
            commit
        };

        // The cluster is lost. What is left is the repository, the backup, and the password of the Git host.
        let cluster = Cluster::empty().await;
        let mark = cluster.audit().mark();
        let drill: Vec<&str> = [&[text(repo.bare())][..], &place, &login].concat();
        let refused = again(&cluster, &drill).refused();
        assert!(
            refused.contains("no key that opens them") && refused.contains("--keys"),
            "{refused}"
        );
        let without: Vec<&str> = [&[text(repo.bare())][..], &place].concat();
        let refused = again(&cluster, &without).refused();
        assert!(
            refused.contains("signet-git, which is not in the cluster"),
            "{refused}"
        );
        assert_eq!(
            writes(&cluster, mark),
            [""; 0],
            "what is refused leaves nothing behind"
        );

        let keys = ["--keys", text(&backup), "--identity", text(&identity)];
        let drill = [&drill[..], &keys].concat();
        let began = Instant::now();
        let (answer, _controller) = bootstrap(&cluster, &drill).await;
        let report = json(&answer);
        eprintln!(
            "the drill: {:.1} s\n{}",
            began.elapsed().as_secs_f64(),
            answer.stderr
        );
        assert_eq!(
            (report["committed"].clone(), report["ready"].clone()),
            (false.into(), true.into())
        );
        assert_eq!(
            (report["commit"].as_str().unwrap(), report["keysRestored"].clone()),
            (&*commit, 2.into())
        );
        assert_eq!(password(&cluster).await, b"hunter2");
        let repositories: Api<Repository> = Api::namespaced(cluster.client(), NAMESPACE);
        let found = repositories.get("signet").await.unwrap();
        assert_eq!(found.status.unwrap().head.unwrap().commit, commit);
    });
}

#[test]
fn a_deploy_key_is_made_shown_and_waited_for() {
    run(async {
        let home = tempfile::tempdir().unwrap();
        let git = GitServer::start(&home.path().join("git")).await;
        let repo = git.repository("fleet");
        repo.git(["config", "user.name", "Ada Example"]);
        repo.git(["config", "user.email", "ada@example.org"]);
        let keys = Keys::new();
        keys.make("host", "ed25519", "");
        let server = Setup::default()
            .host_key(&keys, "host")
            .start(repo.bare().parent().unwrap());
        let hosts = home.path().join("known_hosts");
        std::fs::write(&hosts, server.known(&keys.public("host"))).unwrap();
        let url = server.url().replace("repo.git", "fleet.git");
        let cluster = Cluster::empty().await;
        let arguments = [text(repo.work()), "--url", &url, "--known-hosts", text(&hosts)];

        // Somebody adds the key at the Git host once it is shown.
        let repositories: Api<Repository> = Api::namespaced(cluster.client(), NAMESPACE);
        let added = async {
            let key = wait::poll("a deploy key", || async {
                let found = repositories
                    .get("signet")
                    .await
                    .map_err(|error| error.to_string())?;
                let key = found.status.and_then(|status| status.deploy_key);
                key.map(|key| key.public_key).ok_or("no key yet".to_owned())
            })
            .await;
            wait::poll("it to be refused", || async {
                if server.logins().is_empty() {
                    Err("nobody came".to_owned())
                } else {
                    Ok(())
                }
            })
            .await;
            server.authorize(&[&key]);
            key
        };
        let ((answer, _controller), key) = tokio::join!(bootstrap(&cluster, &arguments), added);
        let report = json(&answer);
        assert_eq!(
            (report["deployKey"].as_str(), report["ready"].as_bool()),
            (Some(&*key), Some(true))
        );
        assert!(
            answer.stderr.contains(&key) && !answer.stderr.contains("PRIVATE"),
            "{answer}"
        );
        assert!(
            !repo
                .git(["show", "HEAD:clusters/default/signet/sync.yaml"])
                .contains("PRIVATE")
        );
    });
}

#[test]
fn what_somebody_else_installed_is_not_overwritten_unasked() {
    run(async {
        let home = tempfile::tempdir().unwrap();
        let git = GitServer::start(&home.path().join("git")).await;
        let repo = git.repository("fleet");
        repo.git(["config", "user.name", "Ada Example"]);
        repo.git(["config", "user.email", "ada@example.org"]);
        let cluster = Cluster::empty().await;
        let apply = |file: &str, change: (&str, &str)| {
            let text = std::fs::read_to_string(tests::paths::root().join("deploy").join(file)).unwrap();
            let arguments = [
                "apply",
                "--server-side",
                "--force-conflicts",
                "--field-manager=helm",
                "-f",
                "-",
            ];
            cluster
                .kubectl_with(arguments, &text.replace(change.0, change.1))
                .ok();
        };
        let plan = [text(repo.work()), "--path", PATH, "--url", repo.url()];
        // The same, by another hand: its NetworkPolicy has lists that are somebody's as a whole, with protocols that the API
        // server filled in.
        apply(
            "install.yaml",
            ("signet-controller:0.1.0", "signet-controller:0.1.0"),
        );
        let mark = cluster.audit().mark();
        let same = json(&again(&cluster, &[&plan[..], &["--dry-run"]].concat()));
        let unchanged = changes(&same, "unchanged");
        for object in ["NetworkPolicy", "Deployment"] {
            let object = format!("{object} signet-system/signet-controller");
            assert!(unchanged.contains(&object), "{same:#}");
        }
        assert_eq!(changes(&same, "changed"), [""; 0], "{same:#}");
        assert_eq!(writes(&cluster, mark), [""; 0]);

        apply(
            "install.yaml",
            ("signet-controller:0.1.0", "mine.example.org/signet:7"),
        );
        let mark = cluster.audit().mark();
        for more in [&["--dry-run"][..], &[]] {
            let said = again(&cluster, &[&plan[..], more].concat()).refused();
            assert!(
                said.contains("Deployment signet-system/signet-controller (.spec.template.spec.containers")
                    && said.contains(".image by helm")
                    && said.contains("--take-over"),
                "{said}"
            );
        }
        assert_eq!(writes(&cluster, mark), [""; 0]);
        assert_eq!(
            repo.git(["ls-remote", "origin"]),
            "",
            "nothing is committed either"
        );

        let taken = json(&again(
            &cluster,
            &[&plan[..], &["--take-over", "--dry-run"]].concat(),
        ));
        let deployment = "Deployment signet-system/signet-controller".to_owned();
        assert!(changes(&taken, "changed").contains(&deployment), "{taken:#}");
    });
}
