//! The leak test. It makes secrets that nobody has seen before, seals them, drives them through success and every
//! failure, and then searches everything that the controller and the command line have left anywhere, in every form in
//! which a value could stand there. What it finds outside the Secrets themselves is a leak.
//!
//! That the search would find a leak is shown by the tests of `scanner`, which plant every value in every sink in every
//! form, and by three traps that are armed here: an admission policy that makes the API server's answer quote a value,
//! one that makes it warn with a value, and plain text in Git, which has to be found there.

mod case;
mod cli;
mod committed;
mod drive;
mod encodings;
mod md5;
pub(crate) mod memory;
mod mistakes;
mod native;
mod policies;
mod remotes;
mod rotation;
mod scanner;

mod scanner_tests;
mod sealed;
mod sinks;
mod substituted;
mod tools;
mod trouble;
mod values;
mod verdict;
mod watch;
mod webhooks;

use std::time::{Duration, Instant};

use tests::proxy::Proxy;
use tests::{Cluster, ControllerOptions, Space, Stage, run};

use cli::Cli;
use sinks::{Capture, Sink};
use values::{Class, Values};

#[test]
fn no_secret_is_found_where_it_must_not_be() {
    run(async {
        let start = Instant::now();
        let cluster = Cluster::own().await;
        let proxy = Proxy::start(address(cluster.server())).await;
        let home = cluster.home().join("leak");
        let mut options = ControllerOptions::drop_in(&cluster);
        options.server = Some(format!("https://{}", proxy.address()));
        for (name, dir) in [("TMPDIR", "controller/tmp"), ("HOME", "controller/home")] {
            std::fs::create_dir_all(home.join(dir)).unwrap();
            options
                .environment
                .push((name.to_owned(), home.join(dir).display().to_string()));
        }
        for (name, value) in [("RUST_LOG", "trace"), ("RUST_BACKTRACE", "full")] {
            options.environment.push((name.to_owned(), value.to_owned()));
        }
        let (store, log) = (options.home.join("data"), options.home.join("controller.log"));
        let audit = cluster.data_dir().join("audit.log");
        let files = watch::Files::watch(vec![
            (Sink::File, home.join("controller")),
            (Sink::File, home.join("cli")),
            (Sink::GitStore, store.clone()),
        ]);
        let mut stage = Stage::on(tests::ClusterRef::Own(Box::new(cluster)), options).await;
        let watched = watch::Objects::watch(&stage.cluster);
        let mut cli = Cli::new(
            &stage.cluster,
            &home.join("cli"),
            stage.controller.certificate_url(),
        );
        let mut values = Values::default();
        let mut captures = Vec::new();
        eprintln!("{:.1} s: ready", start.elapsed().as_secs_f64());

        let team = stage.space("leak");
        let repo = stage.git.repository(team.name());
        policies::install(&team).await;
        let mut cases = sealed::cases(team.name(), &mut values, &mut cli);
        let committed = committed::cases(&mut values);
        mistakes::make(team.name(), &mut values, &mut cli, &committed);
        tools::use_them(team.name(), &mut values, &mut cli);
        cases.extend(committed);
        let recipients = crate::native::published(&stage).await;
        cases.extend(native::cases(team.name(), &recipients, &mut values));
        cases.extend(substituted::cases(&team, &mut values));
        eprintln!("{:.1} s: {} cases", start.elapsed().as_secs_f64(), cases.len());

        let noted = remotes::note_results(&team, &mut values);
        drive::begin(&team, &repo, cases, noted).await;
        native::objects(&team, &recipients, &mut values).await;
        eprintln!("{:.1} s: all came to their end", start.elapsed().as_secs_f64());
        captures.extend(sinks::objects(&stage.cluster, &[team.name()]).await);
        drive::change(&team, &repo, &mut values, &mut cli).await;
        drive::drift(&team, &mut values).await;
        drive::logins(&team, &stage, &mut values, &mut cli).await;
        remotes::deploy_key(&team, &repo, &mut values, &mut cli).await;
        captures.extend(webhooks::deliver(&team, &repo, &mut values).await);
        ask(&team, &repo, &mut cli);
        ask_controller(&stage, &repo, &mut values, &mut cli);
        trouble::cut(&team, &repo, &proxy, &mut values, &mut cli).await;
        captures.extend(sinks::replies(&stage.controller).await);
        eprintln!(
            "{:.1} s: changed, drifted, cut off",
            start.elapsed().as_secs_f64()
        );

        let namespace = team.keep(); // it stays: what is in it is looked at
        captures.extend(look(&mut stage, &[&store, &log]));
        let (cluster, controller) = (&stage.cluster, &mut stage.controller);
        let commit = trouble::kill(cluster, controller, &namespace, &repo, &mut values, &mut cli).await;
        captures.extend(sinks::replies(&stage.controller).await);
        assert!(stage.controller.stop().success(), "it ends in order");
        captures.extend(sinks::git_stores(&store));
        stage.controller.clear_caches();
        stage.controller.start_again().await;
        trouble::applied(&stage.cluster, &namespace, &commit).await;
        eprintln!("{:.1} s: killed, stopped, started", start.elapsed().as_secs_f64());

        captures.extend(look(&mut stage, &[&store, &log]));
        captures.extend(sinks::replies(&stage.controller).await);
        captures.extend(sinks::objects(&stage.cluster, &[&namespace]).await);
        let targets = sinks::secrets(&stage.cluster, &namespace).await;
        captures.extend(watched.end());
        captures.push(remotes::notes(&repo));
        captures.extend(sinks::git_stores(&store));
        // Without work, and without credentials that it needs: what is in memory now has been forgotten there.
        let delete = [
            "delete",
            "syncs,repositories",
            "--all",
            "--wait=false",
            "--namespace",
            &namespace,
        ];
        stage.cluster.kubectl(delete).ok();
        tokio::time::sleep(Duration::from_secs(3)).await;
        let memory = memory::writable(stage.controller.process().id());
        captures.push(Capture::new(Sink::Log, "controller.log", stage.controller.log()));
        let (requests, answers) = sinks::audit(&audit);
        captures.extend(requests);
        captures.extend(cli.end());
        captures.extend(files.end());
        eprintln!("{:.1} s: everything is read", start.elapsed().as_secs_f64());

        verdict::armed(values.all(), &targets, &answers);
        verdict::judge(values.all(), &captures, memory);
        eprintln!("{:.1} s: done", start.elapsed().as_secs_f64());
    });
}

/// What `/proc` says of the controller now, which may not leave core dumps.
fn look(stage: &mut Stage, known: &[&std::path::Path]) -> Vec<Capture> {
    let id = stage.controller.process().id();
    assert!(
        !sinks::may_dump(id).expect("limits can be read by anybody"),
        "it may dump core"
    );
    sinks::process(id, known)
}

/// Has the command line show what it knows of all this.
fn ask(team: &Space<'_>, repo: &tests::Repo, cli: &mut Cli) {
    let here = ["--namespace", team.name()];
    for arguments in [
        &["status"][..],
        &["status", "--help"],
        &["cert"],
        &["sync", "tls", "--no-wait"],
        &["sync", "tls"],
    ] {
        cli.run(&[arguments, &here].concat(), "");
    }
    for arguments in [&["history"][..], &["history", "tls"], &["history", "shapes"]] {
        cli.run_in(repo.work(), &[arguments, &here].concat(), "");
    }
    // What everybody did to every secret, and none of what it was.
    for output in ["table", "json", "csv", "markdown"] {
        let audit = cli.run_in(repo.work(), &["audit", "--output", output], "");
        assert!(audit.ok().contains("SealedSecret"), "the audit has seen them");
    }
}

/// Has the controller say what it knows of sealed values, good and bad, as somebody whose token is nobody else's business.
fn ask_controller(stage: &Stage, repo: &tests::Repo, values: &mut Values, cli: &mut Cli) {
    let made = ["-n", "signet-system", "create", "token", "signet-client"];
    let audience = format!("--audience={}", crds::listener::AUDIENCE);
    let token = stage
        .cluster
        .kubectl(made.into_iter().chain([audience.as_str()]))
        .ok();
    let token = token.trim();
    let (_, signature) = token.rsplit_once('.').expect("a signed token");
    values.text("API token", Class::Sealed, signature.to_owned());
    let file = cli.input("api-token", token);
    let spoiled = cli.input("api-token-spoiled", format!("{}x", &token[..token.len() - 1]));
    let url = format!("--controller-url={}", stage.controller.api_url());
    for token in [&file, &spoiled] {
        let token = format!("--controller-token-file={token}");
        for path in [
            "shapes",
            "wrong-name",
            "tampered",
            "template-fail",
            "tls",
            "native-typed",
        ] {
            for what in [
                &["verify", "--controller"][..],
                &["keys", "usage", "--controller"],
            ] {
                cli.run_in(repo.work(), &[what, &[&url, &token, path]].concat(), "");
            }
            let path = format!("{path}/secret.yaml");
            let again = ["seal", "--re-encrypt", "-f", &path, "-w", "/dev/stdout"];
            cli.run_in(repo.work(), &[&again[..], &[&url, &token]].concat(), "");
        }
    }
}

/// Host and port of an https address.
fn address(url: &str) -> std::net::SocketAddr {
    let address = url
        .strip_prefix("https://")
        .and_then(|rest| rest.trim_end_matches('/').parse().ok());
    address.unwrap_or_else(|| panic!("no address: {url}"))
}
