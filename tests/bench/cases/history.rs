//! A long history that holds much: what it takes to have its head, beside `git fetch --depth 1`.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crds::Repository;
use futures::StreamExt;
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::runtime::watcher::watch_object;
use serde_json::json;
use tests::{Cluster, Repo, command, git, objects as harness};

use super::stop;
use crate::ground::Ground;
use crate::numbers::count;
use crate::process;
use crate::report::Report;

const CASE: &str = "history";
/// Bytes of a file, which do not shrink. Each commit writes one.
const FILE: usize = 10_000;
/// Files of the last tree: a tenth of a long history.
const FILES: usize = 1_000;
/// How often git's memory is read.
const LOOK: Duration = Duration::from_millis(2);

pub(super) async fn measure(commits: usize, report: &mut Report) {
    report.say("history: starting a cluster");
    let mut ground = Ground::start(Cluster::own().await).await;
    let repo = ground.git.repository(CASE);
    report.say(&format!("history: writing {commits} commits"));
    let head = write(&repo, commits);
    let held = size(&repo.bare().join("objects"));
    report.add_with(
        CASE,
        "the remote holds",
        held,
        "MiB",
        format!("{commits} commits"),
    );
    harness_objects(&ground);

    let plain = ground.cluster.home().join("plain.git");
    std::fs::create_dir_all(&plain).expect("a directory");
    let mut init = git::git(&plain);
    init.args(["init", "--quiet", "--bare"]);
    command::run(init, b"").ok();
    // Once for the page cache, into nothing.
    let warm = ground.cluster.home().join("warm.git");
    let mut clone = git::git(ground.cluster.home());
    clone
        .args(["clone", "--quiet", "--bare", "--depth=1", repo.url()])
        .arg(&warm);
    command::run(clone, b"").ok();

    let rounds = [
        ("git, first", "git, first: CPU", "git, first: peak RSS"),
        (
            "git, next commit",
            "git, next commit: CPU",
            "git, next commit: peak RSS",
        ),
    ];
    let ours = [
        (
            "Signet, first",
            "Signet, first: CPU, to rest",
            "Signet, first: peak RSS",
        ),
        (
            "Signet, next commit",
            "Signet, next commit: CPU, to rest",
            "Signet, next commit: peak RSS",
        ),
    ];
    let mut head = head;
    for (round, (git, ours)) in rounds.into_iter().zip(ours).enumerate() {
        if round > 0 {
            head = another(&repo);
        }
        let (seconds, cpu, peak) = fetch(&plain, repo.url());
        report.add(CASE, git.0, seconds, "s");
        report.add(CASE, git.1, cpu, "s");
        report.add_with(CASE, git.2, peak, "MiB", "git and all that it starts");

        let pid = ground.pid();
        let before = process::resident(pid);
        let start = ground.begin();
        let repositories: Api<Repository> = Api::namespaced(ground.client.clone(), CASE);
        if round == 0 {
            create(&ground, "app", &json!({"url": repo.url(), "interval": "1h"}));
        } else {
            let patch = json!({"metadata": {"annotations": {crds::annotation::REQUESTED_AT: "next"}}});
            let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
            let answer = repositories.patch("app", &params, &patch).await;
            answer.expect("the Repository can be annotated");
        }
        let visible = visible(&repositories, "app", &head).await;
        let peak = process::peak(pid);
        let cost = ground.rest(&start).await;
        report.add(CASE, ours.0, visible.duration_since(start.at).as_secs_f64(), "s");
        report.add(CASE, ours.1, cost.cpu, "s");
        let note = format!("{before:.1} MiB before, {:.1} MiB at rest after", cost.rss);
        report.add_with(CASE, ours.2, peak, "MiB", note);
    }
    let stored = size(&ground.controller.data_dir().join("repositories"));
    report.add(CASE, "Signet: its store", stored, "MiB");
    report.add(CASE, "git: its store", size(&plain), "MiB");
    part(&mut ground, &repo, &head, report).await;
    stop(ground);
}

/// One directory of it, beside a sparse checkout of a partial clone.
async fn part(ground: &mut Ground, repo: &Repo, head: &str, report: &mut Report) {
    let clone = ground.cluster.home().join("part");
    let began = Instant::now();
    let mut cloned = git::git(ground.cluster.home());
    let partial = ["clone", "--quiet", "--depth=1", "--filter=blob:none", "--sparse"];
    cloned.args(partial).arg(repo.url()).arg(&clone);
    command::run(cloned, b"").ok();
    let mut set = git::git(&clone);
    set.args(["sparse-checkout", "set", "--no-cone", "/app/"]);
    command::run(set, b"").ok();
    report.add(CASE, "git, a part", began.elapsed().as_secs_f64(), "s");
    report.add(CASE, "git, a part: on disk", size(&clone), "MiB");

    let store = ground.controller.data_dir().join("repositories");
    let before = size(&store);
    let start = ground.begin();
    let spec = json!({"url": repo.url(), "interval": "1h", "sparsePaths": ["app"]});
    create(ground, "part", &spec);
    let repositories: Api<Repository> = Api::namespaced(ground.client.clone(), CASE);
    let seen = visible(&repositories, "part", head).await;
    let cost = ground.rest(&start).await;
    report.add(
        CASE,
        "Signet, a part",
        seen.duration_since(start.at).as_secs_f64(),
        "s",
    );
    report.add(CASE, "Signet, a part: CPU, to rest", cost.cpu, "s");
    report.add(CASE, "Signet, a part: on disk", size(&store) - before, "MiB");
}

fn create(ground: &Ground, name: &str, spec: &serde_json::Value) {
    let repository = json!({"apiVersion": "signet.dev/v1alpha1", "kind": "Repository",
        "metadata": {"name": name, "namespace": CASE}, "spec": spec});
    let apply = ["apply", "--server-side", "-f", "-"];
    ground.cluster.kubectl_with(apply, &repository.to_string()).ok();
}

/// A namespace with a team's account.
fn harness_objects(ground: &Ground) {
    let apply = ["apply", "--server-side", "-f", "-"];
    ground
        .cluster
        .kubectl_with(apply, &harness::team(CASE).to_string())
        .ok();
}

async fn visible(api: &Api<Repository>, name: &str, commit: &str) -> Instant {
    let mut states = watch_object(api.clone(), name).boxed();
    let seen = async {
        while let Some(state) = states.next().await {
            let status = state.ok().flatten().and_then(|found| found.status);
            if status
                .and_then(|status| status.head)
                .is_some_and(|head| head.commit == commit)
            {
                break;
            }
        }
        Instant::now()
    };
    let seen = tokio::time::timeout(Duration::from_mins(4), seen).await;
    seen.expect("the Repository is fetched")
}

/// Fetches the head alone: seconds, processor seconds, and highest memory in MiB, of git and all that it starts.
fn fetch(into: &Path, url: &str) -> (f64, f64, f64) {
    let mut command = git::git(into);
    command.args([
        "fetch",
        "--quiet",
        "--depth=1",
        "--no-tags",
        url,
        "+main:refs/heads/main",
    ]);
    let began = Instant::now();
    let mut child = command.stdin(Stdio::null()).spawn().expect("git starts");
    let pid = child.id().cast_signed();
    let (mut cpu, mut peak) = (0.0_f64, 0.0_f64);
    let status = loop {
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            break status;
        }
        let now = process::together(pid);
        (cpu, peak) = (cpu.max(now.0), peak.max(now.1));
        std::thread::sleep(LOOK);
    };
    assert!(status.success(), "git fetch fails");
    (began.elapsed().as_secs_f64(), cpu, peak)
}

/// Commits made by `git fast-import`, each of a file that does not shrink.
fn write(repo: &Repo, commits: usize) -> String {
    let mut stream = Vec::with_capacity(commits * (FILE + 200));
    let mut state = 1_u64;
    for number in 0..commits {
        let message = format!("Commit {number}");
        let _ = write!(
            stream,
            "commit refs/heads/main\ncommitter Ada <ada@example.com> {} +0000\ndata {}\n{message}\n",
            1_700_000_000 + number,
            message.len()
        );
        if number == 0 {
            let map = harness::config_map("map", "one");
            let _ = write!(stream, "M 644 inline app/map.yaml\ndata {}\n{map}\n", map.len());
        }
        let _ = write!(
            stream,
            "M 644 inline files/{:03}/data\ndata {FILE}\n",
            number % FILES
        );
        stream.extend((0..FILE).map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_be_bytes()[0]
        }));
        stream.push(b'\n');
    }
    let mut import = git::git(repo.bare());
    import.args(["fast-import", "--quiet"]);
    command::run(import, &stream).ok();
    repo.git(["pull", "--quiet", "--depth=1", "origin", "main"]);
    repo.head()
}

/// One more commit, of one file.
fn another(repo: &Repo) -> String {
    repo.write("app/map.yaml", harness::config_map("map", "two"));
    repo.commit("One more")
}

/// What a directory holds, in MiB.
fn size(dir: &Path) -> f64 {
    fn bytes(dir: &Path) -> u64 {
        let Ok(entries) = std::fs::read_dir(dir) else {
            return 0;
        };
        let each = entries.flatten().map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => bytes(&entry.path()),
            _ => entry.metadata().map_or(0, |data| data.len()),
        });
        each.sum()
    }
    count(usize::try_from(bytes(dir)).unwrap_or(usize::MAX)) / f64::from(1 << 20)
}
