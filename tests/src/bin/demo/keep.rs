//! A demo that is left up: its parts outlive it, and `--stop` ends them.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tests::ui::Ui;
use tests::{Cluster, Controller, ControllerOptions, GitServer, child, run, wait};

use crate::ground::Ground;
use crate::story;

/// The hidden argument with which the demo serves Git for the one that goes away.
pub(crate) const SERVE_GIT: &str = "--serve-git";

/// The process ids of what outlives the demo, in the order in which they are stopped.
const PROCESSES: [&str; 3] = ["controller/controller.pid", "git.pid", "cluster.pid"];
const GIT_ADDRESS: &str = "git-address";

/// Tells the story below `home`, and leaves everything up.
pub(crate) fn tell(home: &Path) {
    fs::create_dir_all(home).expect("a directory for the demo");
    run(async {
        let mut ui = story::introduction();
        let cluster = Cluster::detached(&home.join("cluster")).await;
        story::installed(&ui, &cluster);
        let controller = Controller::start_detached(&cluster, ControllerOptions::plain(home)).await;
        let mut serve = Command::new(std::env::current_exe().expect("our own path"));
        serve.arg(SERVE_GIT).arg(home);
        child::detach(&mut serve, &home.join("git.log"));
        let address = wait::poll("the Git server", || async {
            let text = fs::read_to_string(home.join(GIT_ADDRESS)).map_err(|error| error.to_string())?;
            text.parse().map_err(|_| text)
        })
        .await;
        let ground = Ground {
            repo: GitServer::at(&home.join("git"), address).repository("shop"),
            controller,
            cluster,
        };
        let shell = story::tell_on(&mut ui, &ground).await;
        look_around(&ui, home, &ground, shell.bin());
    });
}

fn look_around(ui: &Ui, home: &Path, ground: &Ground, bin: &Path) {
    ui.title("The cluster stays up. To look around, in any shell:");
    ui.plain("");
    ui.plain(&format!(
        "export KUBECONFIG={}",
        ground.cluster.kubeconfig().display()
    ));
    ui.plain(&format!(
        "export PATH={}:$PATH    # kubectl and signet",
        bin.display()
    ));
    ui.plain(&format!("cd {}", ground.repo.work().display()));
    ui.plain("signet status -A");
    ui.plain("kubectl get pods -A");
    ui.plain("git push origin HEAD && signet sync shop -n signet-system    # after a commit of your own");
    ui.plain(&format!("tail -f {}/controller/controller.log", home.display()));
    ui.plain("");
    ui.plain("make demo-stop    # in the directory of the Makefile: stops and removes all of it");
}

/// Serves Git until somebody ends this process.
pub(crate) fn serve_git(home: &Path) -> ExitCode {
    run(async {
        let server = GitServer::start(&home.join("git")).await;
        let partial = home.join("git-address.partial");
        fs::write(&partial, server.address().to_string()).expect("the address can be written");
        fs::rename(partial, home.join(GIT_ADDRESS)).expect("the address can be written");
        std::future::pending::<()>().await;
    });
    ExitCode::SUCCESS
}

/// Ends what an earlier demo left up and removes its directory.
pub(crate) fn stop(ui: &Ui, home: &Path) {
    if !home.exists() {
        ui.say("No demo is up.");
        return;
    }
    for file in PROCESSES {
        let process = fs::read_to_string(home.join(file)).unwrap_or_default();
        let Some(pid) = process.trim().parse().ok().and_then(Pid::from_raw) else {
            continue; // it was never started
        };
        // An id may have been given to somebody else since: only what works below our directory is ours.
        if ours(pid, home) {
            let _ = kill_process(pid, Signal::TERM);
            let patience = Instant::now() + Duration::from_secs(15);
            while ours(pid, home) && Instant::now() < patience {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
    fs::remove_dir_all(home).expect("the demo's directory can be removed");
    ui.good("stopped, and its directory is removed");
}

/// Whether a process was started for this demo: its command line names the directory.
fn ours(pid: Pid, home: &Path) -> bool {
    let id = pid.as_raw_nonzero().get().to_string();
    let line = if Path::new("/proc/self").exists() {
        fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default()
    } else {
        let answer = Command::new("ps").args(["-o", "args=", "-p", &id]).output();
        answer.map(|answer| answer.stdout).unwrap_or_default()
    };
    String::from_utf8_lossy(&line).contains(&home.display().to_string())
}
