//! `signet wait`, against an API server whose watches tell a story.

use crate::support::{ApiServer, Request, Response, TestEnvironment, repository, sync};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Mutex;

const OLD: &str = "0123456789abcdef0123456789abcdef01234567";
const NEW: &str = "fedcba9876543210fedcba9876543210fedcba98";
const SYNCS: &str = "/apis/signet.dev/v1alpha1/namespaces/shop/syncs";
const REPOSITORIES: &str = "/apis/signet.dev/v1alpha1/namespaces/shop/repositories";

/// What is there at first, and what each watch of Syncs brings.
struct Story {
    syncs: Vec<Value>,
    watches: VecDeque<Vec<Value>>,
    /// The heads that the Repository has, one a look.
    heads: VecDeque<&'static str>,
    /// What a patch makes of the Sync.
    patched: fn(&mut Value),
}

impl Story {
    fn of(syncs: Vec<Value>, watches: Vec<Vec<Value>>) -> Self {
        Self {
            syncs,
            watches: watches.into(),
            heads: VecDeque::new(),
            patched: |_| {},
        }
    }

    fn start(self) -> (TestEnvironment, ApiServer) {
        let story = Mutex::new(self);
        let server = ApiServer::start(move |request| story.lock().unwrap().answer(request));
        let mut env = TestEnvironment::new();
        env.use_cluster(&server);
        (env, server)
    }

    fn answer(&mut self, request: &Request) -> Response {
        let list = |items: &[Value]| {
            Response::json(
                &json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "7"}, "items": items}),
            )
        };
        let watches = request.query.contains("watch=true");
        match request.path.as_str() {
            SYNCS if watches => {
                assert!(request.query.contains("resourceVersion="), "{}", request.query);
                let events = self.watches.pop_front().unwrap_or_default();
                Response::lines(&events)
            }
            SYNCS => list(&self.syncs),
            REPOSITORIES => {
                let mut object = repository();
                let head = self.heads.pop_front().unwrap_or(OLD);
                object["metadata"]["resourceVersion"] = "8".into();
                object["status"]["head"] = json!({"commit": head});
                if watches {
                    Response::text(format!("{}\n", json!({"type": "MODIFIED", "object": object})))
                } else {
                    list(&[object])
                }
            }
            path => {
                let name = path.rsplit('/').next().unwrap();
                let Some(object) = self
                    .syncs
                    .iter_mut()
                    .find(|sync| sync["metadata"]["name"] == name)
                else {
                    return Response::error(404, "not found");
                };
                if request.method == "PATCH" {
                    let patch: Value = serde_json::from_str(&request.body).unwrap();
                    let asked = patch["metadata"]["annotations"]["signet.dev/requestedAt"].clone();
                    object["status"]["lastHandledRequest"] = asked;
                    (self.patched)(object);
                }
                Response::json(object)
            }
        }
    }
}

/// The Sync `web` as a list or a watch has it.
fn web(ready: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut object = sync(OLD, ready);
    object["metadata"]["resourceVersion"] = "9".into();
    object["status"]["lastAttemptedRevision"] = object["status"]["lastAppliedRevision"].clone();
    change(&mut object);
    object
}

/// One object has failed.
fn crashing(sync: &mut Value) {
    sync["status"]["health"] = json!({"current": 2, "inProgress": 0, "failed": 1});
    sync["status"]["unhealthy"] =
        json!([{"object": "Pod shop/web", "status": "Failed", "message": "it crashes"}]);
}

fn modified(object: &Value) -> Value {
    json!({"type": "MODIFIED", "object": object})
}

fn condition(type_: &str, status: &str, message: &str) -> Value {
    json!({
        "type": type_, "status": status, "observedGeneration": 2, "reason": "R", "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    })
}

/// On its way: an object is in progress.
fn coming(sync: &mut Value) {
    sync["status"]["health"] = json!({"current": 2, "inProgress": 1, "failed": 0});
    sync["status"]["unhealthy"] = json!([{"object": "Deployment shop/web", "status": "InProgress", "message": "1 of 3 replicas\u{1b}"}]);
}

#[test]
fn it_watches_until_all_are_ready() {
    let other = |ready| {
        web(ready, |sync| {
            sync["metadata"]["name"] = "db".into();
        })
    };
    let (env, server) = Story::of(
        vec![web("Unknown", coming), other("True")],
        vec![
            vec![modified(&web("Unknown", coming))],
            // A watch that ends is made again.
            vec![],
            vec![modified(&web("True", |_| {}))],
        ],
    )
    .start();
    let table = env.signet(&["wait", "web", "db"]).success();
    assert_eq!(
        table.lines().filter(|line| line.contains("True")).count(),
        2,
        "{table}"
    );
    let lists = server
        .requests()
        .iter()
        .filter(|request| request.ends_with("/syncs"))
        .count();
    assert_eq!(lists, 4, "one list and three watches: {:?}", server.requests());
}

#[test]
fn a_list_is_read_again_where_a_watch_cannot_go_on() {
    let gone = json!({"type": "ERROR", "object": {
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": 410, "reason": "Expired", "message": "too old",
    }});
    let (env, server) = Story::of(
        vec![web("Unknown", coming)],
        vec![vec![gone], vec![modified(&web("True", |_| {}))]],
    )
    .start();
    let _ = env.signet(&["wait", "web"]).success();
    let lists = server
        .requests()
        .iter()
        .filter(|request| request.ends_with("/syncs"))
        .count();
    assert_eq!(lists, 4, "two lists and two watches: {:?}", server.requests());
}

#[test]
fn in_time_or_not_with_the_reason() {
    let (env, _server) = Story::of(vec![web("Unknown", coming)], vec![]).start();
    let output = env.signet(&["wait", "web", "--timeout", "300ms"]);
    assert_eq!(output.code, 3);
    assert!(output.stdout.contains("Unknown"), "{}", output.stdout);
    assert_eq!(
        output.stderr,
        "error: not ready within 300ms:\n\
         \x20 shop/web: Deployment shop/web: 1 of 3 replicas\\u{1b}\n\
         hint: `signet status NAME` shows what is known; --timeout waits longer\n"
    );
    let reason = |change: fn(&mut Value)| {
        let (env, _server) = Story::of(vec![web("Unknown", change)], vec![]).start();
        let output = env.signet(&["wait", "--all", "--timeout", "200ms", "-o", "json"]);
        let rows: Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!((output.code, &rows[0]["state"]), (3, &json!("waiting")));
        rows[0]["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        reason(|sync| sync["metadata"]["generation"] = 3.into()),
        "the controller has not looked at it as it is now"
    );
    assert_eq!(
        reason(|sync| sync["status"]["plan"] = json!({"digest": "d", "reason": "no window is open"})),
        "no window is open"
    );
    assert_eq!(reason(|_| {}), "it is not ready: 3 objects are as Git has them");
}

#[test]
fn what_cannot_become_ready_is_not_waited_for() {
    let reason = |arguments: &[&str], change: fn(&mut Value)| {
        let (env, _server) = Story::of(vec![web("False", change)], vec![]).start();
        let mut all = vec!["wait", "web", "--timeout", "300ms"];
        all.extend(arguments);
        let output = env.signet(&all);
        (
            output.code,
            output.stderr.lines().nth(1).unwrap_or_default().trim().to_owned(),
        )
    };
    let failed = |text: &str| (1, format!("shop/web: {text}"));
    assert_eq!(
        reason(&[], |sync| {
            let stalled = condition("Stalled", "True", "the path does not exist");
            sync["status"]["conditions"].as_array_mut().unwrap().push(stalled);
        }),
        failed("the path does not exist")
    );
    assert_eq!(reason(&[], crashing), failed("Pod shop/web: it crashes"));
    // Applied it is all the same.
    assert_eq!(reason(&["--for", "applied"], crashing).0, 0);
    assert_eq!(reason(&["--for", "healthy"], crashing).0, 1);
    assert_eq!(
        reason(&[], |sync| sync["spec"]["suspend"] = true.into()),
        failed("it is suspended, so nothing would happen")
    );
    assert_eq!(
        reason(&[], |sync| sync["metadata"]["deletionTimestamp"] =
            "2026-01-01T00:00:00Z".into()),
        failed("it is being deleted")
    );
    // A Stalled of the generation before is over.
    assert_eq!(
        reason(&[], |sync| {
            let mut stalled = condition("Stalled", "True", "x");
            stalled["observedGeneration"] = 1.into();
            sync["status"]["conditions"].as_array_mut().unwrap().push(stalled);
        })
        .0,
        3
    );
    let deleted = json!({"type": "DELETED", "object": web("Unknown", |_| {})});
    let (env, _server) = Story::of(vec![web("Unknown", |_| {})], vec![vec![deleted]]).start();
    let output = env.signet(&["wait", "web"]);
    assert_eq!(output.code, 1);
    assert!(
        output.stderr.contains("shop/web: it was deleted\n"),
        "{}",
        output.stderr
    );
}

#[test]
fn healthy_is_more_than_ready() {
    let well = |sync: &mut Value| {
        let healthy = condition("Healthy", "True", "");
        sync["status"]["conditions"].as_array_mut().unwrap().push(healthy);
    };
    let (env, _server) = Story::of(
        vec![web("True", |_| {})],
        vec![vec![modified(&web("True", well))]],
    )
    .start();
    let _ = env.signet(&["wait", "web", "--for", "healthy"]).success();
    let (env, _server) = Story::of(vec![web("True", |_| {})], vec![]).start();
    assert_eq!(
        env.signet(&["wait", "web", "--for", "healthy", "--timeout", "200ms"])
            .code,
        3
    );
}

#[test]
fn a_commit_is_waited_for_and_asked_for_once_it_is_fetched() {
    let mut story = Story::of(vec![web("True", |_| {})], vec![]);
    story.heads = [OLD, OLD, NEW].into();
    let (env, server) = story.start();
    // The Sync's status does not name the new commit, which touches nothing of it: that it looked is enough.
    let _ = env.signet(&["wait", "web", "--revision", NEW]).success();
    let requests = server.requests();
    let asked = requests
        .iter()
        .position(|request| request.starts_with("PATCH"))
        .unwrap();
    let looks = requests[..asked]
        .iter()
        .filter(|request| request.ends_with("/repositories"))
        .count();
    assert_eq!(looks, 3, "{requests:?}");

    let (env, server) = Story::of(vec![web("True", |_| {})], vec![]).start();
    let _ = env.signet(&["wait", "web", "--revision", OLD]).success();
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.starts_with("GET ") && !request.contains("repositories"))
    );

    let (env, _server) = Story::of(vec![web("True", |_| {})], vec![]).start();
    let output = env.signet(&["wait", "web", "--revision", NEW, "--timeout", "200ms"]);
    assert_eq!(output.code, 3);
    assert!(
        output
            .stderr
            .contains("shop/web: its Repository has not fetched fedcba987654\n"),
        "{}",
        output.stderr
    );
    let output = env.signet(&["wait", "web", "--revision", "HEAD"]);
    assert_eq!(output.code, 1);
    assert!(
        output.stderr.contains("--revision takes its full id"),
        "{}",
        output.stderr
    );
}

#[test]
fn an_old_failure_does_not_count_against_a_new_commit() {
    let stalled = |sync: &mut Value| {
        let stalled = condition("Stalled", "True", "the path does not exist");
        sync["status"]["conditions"].as_array_mut().unwrap().push(stalled);
    };
    let mut before = web("False", stalled);
    before["status"]["lastHandledRequest"] = "".into();
    let good = web("True", |sync| {
        sync["status"]["lastAppliedRevision"]["commit"] = NEW.into();
        sync["status"]["lastAttemptedRevision"]["commit"] = NEW.into();
    });
    let mut story = Story::of(vec![before], vec![vec![modified(&good)]]);
    story.heads = [NEW].into();
    story.patched = |sync| sync["status"]["lastHandledRequest"] = "another".into();
    let (env, _server) = story.start();
    let _ = env.signet(&["wait", "web", "--revision", NEW]).success();
}

#[test]
fn inside_a_clone_git_knows_what_a_commit_changes() {
    let env = TestEnvironment::new();
    env.git(&["init", "-q"]);
    std::fs::create_dir_all(env.path("apps/web")).unwrap();
    let commit = |file: &str| {
        env.write(file, file);
        env.git(&["add", file]);
        env.git(&["commit", "-q", "-m", file]);
        env.git(&["rev-parse", "HEAD"])
    };
    let first = commit("apps/web/a.yaml");
    let _elsewhere = commit("other.yaml");
    let later = commit("apps/web/b.yaml");
    let run = |has: &str, wanted: &str| {
        let object = web("True", |sync| {
            for field in ["lastAppliedRevision", "lastAttemptedRevision"] {
                sync["status"][field]["commit"] = has.into();
            }
        });
        let mut story = Story::of(vec![object], vec![]);
        story.patched = |_| panic!("nothing is asked");
        let (place, server) = story.start();
        let kubeconfig = place.path("../home/kubeconfig");
        let arguments = [
            "wait",
            "web",
            "--timeout",
            "300ms",
            "--revision",
            wanted,
            "--kubeconfig",
        ];
        let output: crate::support::CommandOutput = env
            .command(env!("CARGO_BIN_EXE_signet"))
            .args(arguments)
            .arg(kubeconfig)
            .output()
            .unwrap()
            .into();
        drop(server);
        output.code
    };
    assert_eq!(run(&first, "HEAD~1"), 0, "it touches nothing of the Sync");
    assert_eq!(run(&later, "HEAD~2"), 0, "a later one is applied");
    assert_eq!(run(&first, "HEAD"), 3, "it changes the path");
    assert_eq!(
        run("--output=x", "HEAD"),
        3,
        "what is not an id is no argument of git"
    );
}
