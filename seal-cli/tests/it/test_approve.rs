//! `signet approve`.

use crate::support::{ApiServer, Request, Response, TestEnvironment, plan, sync};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const DIGEST: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
const APPROVALS: &str = "/apis/signet.dev/v1alpha1/namespaces/shop/approvals";
const NAME: &str = "web-0f1e2d3c4b5a";

/// An API server with a Sync whose plan waits, and at most one Approval.
struct Cluster {
    sync: Value,
    approval: Option<Value>,
    /// What a SelfSubjectReview says; `None`: it is not served.
    user: Option<&'static str>,
}

impl Cluster {
    fn new() -> Self {
        let mut sync = sync(COMMIT, "Unknown");
        sync["spec"]["mode"] = "Approval".into();
        sync["status"]["plan"] = plan(DIGEST);
        Self {
            sync,
            approval: None,
            user: Some("ada@example.com"),
        }
    }

    fn start(self) -> (TestEnvironment, ApiServer, Arc<Mutex<Self>>) {
        let cluster = Arc::new(Mutex::new(self));
        let shared = Arc::clone(&cluster);
        let server = ApiServer::start(move |request| shared.lock().unwrap().answer(request));
        let mut env = TestEnvironment::new();
        env.use_cluster(&server);
        (env, server, cluster)
    }

    fn answer(&mut self, request: &Request) -> Response {
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/apis/signet.dev/v1alpha1/namespaces/shop/syncs/web") => Response::json(&self.sync),
            ("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews") => match self.user {
                Some(user) => Response::json(&json!({
                    "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview",
                    "status": {"userInfo": {"username": user}},
                })),
                None => Response::error(404, "not found"),
            },
            ("POST", APPROVALS) if self.approval.is_some() => Response::error(409, "it exists"),
            ("POST", APPROVALS) => {
                assert_eq!(request.query, "&fieldManager=signet-cli");
                let mut approval: Value = serde_json::from_str(&request.body).unwrap();
                approval["metadata"]["namespace"] = "shop".into();
                self.approval.insert(approval).clone().into()
            }
            ("GET", path) if path == format!("{APPROVALS}/{NAME}") => self.approval.clone().unwrap().into(),
            _ => Response::error(404, "not found"),
        }
    }
}

impl From<Value> for Response {
    fn from(value: Value) -> Self {
        Self::json(&value)
    }
}

#[test]
fn an_approval_names_the_sync_the_digest_and_the_person() {
    let (env, _server, cluster) = Cluster::new().start();
    assert_eq!(
        env.signet(&["approve", "web", "--yes"]).success(),
        format!("{NAME}\n")
    );
    let approval = cluster.lock().unwrap().approval.clone().unwrap();
    assert_eq!(approval["metadata"]["name"], NAME);
    assert_eq!(
        approval["metadata"]["annotations"],
        json!({"signet.dev/approved-by": "ada@example.com"})
    );
    assert_eq!(
        approval["spec"],
        json!({"syncRef": {"name": "web"}, "digest": DIGEST})
    );

    // Again: the same is there.
    let output = env.signet(&["approve", "web", "--digest", DIGEST, "-o", "json"]);
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (0, "It was approved already.\n")
    );
    let said: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(
        said,
        json!({
            "namespace": "shop", "name": NAME, "sync": "web", "digest": DIGEST, "expires": null,
            "approvedBy": "ada@example.com", "created": false,
        })
    );
}

#[test]
fn an_approval_can_end() {
    let (env, _server, cluster) = Cluster::new().start();
    let _ = env
        .signet(&["approve", "web", "--yes", "--expires", "1h"])
        .success();
    let set =
        |time: &str| cluster.lock().unwrap().approval.as_mut().unwrap()["spec"]["expires"] = time.into();
    let said = cluster.lock().unwrap().approval.clone().unwrap()["spec"]["expires"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        said.len() == "2026-01-01T00:00:00Z".len() && said.ends_with('Z'),
        "{said}"
    );
    set("2020-01-01T00:00:00Z");
    env.signet(&["approve", "web", "--yes"]).assert_failure(
        1,
        "error: there is an Approval web-0f1e2d3c4b5a already, and it has expired\n\
         hint: kubectl delete approval web-0f1e2d3c4b5a, and approve again\n",
    );
}

#[test]
fn another_plan_is_not_approved() {
    let (env, server, cluster) = Cluster::new().start();
    let other = "f".repeat(32);
    env.signet(&["approve", "web", "--digest", &other])
        .assert_failure(
            1,
            &format!(
                "error: the plan has changed: {other} is asked for, and it is {DIGEST} now\n\
             hint: look at it with `signet plan`, and approve the new digest\n"
            ),
        );
    assert!(server.requests().iter().all(|request| request.starts_with("GET")));
    cluster.lock().unwrap().approval = Some(json!({
        "apiVersion": "signet.dev/v1alpha1", "kind": "Approval", "metadata": {"name": NAME, "namespace": "shop"},
        "spec": {"syncRef": {"name": "web"}, "digest": other},
    }));
    let output = env.signet(&["approve", "web", "--yes"]);
    assert_eq!((output.code, output.stdout.as_str()), (1, ""));
    assert!(
        output.stderr.contains("it approves something else"),
        "{}",
        output.stderr
    );
}

#[test]
fn nothing_is_approved_unasked_or_in_vain() {
    let (env, server, _cluster) = Cluster::new().start();
    env.signet(&["approve", "web"]).assert_failure(
        1,
        &format!(
            "error: there is no terminal to ask whether the plan is approved\n\
             hint: --digest {DIGEST} approves this plan, --yes any\n"
        ),
    );
    assert_eq!(server.requests().len(), 1);

    let mut cluster = Cluster::new();
    cluster.sync["status"]["plan"] = Value::Null;
    let (env, _server, _cluster) = cluster.start();
    let output = env.signet(&["approve", "web", "--yes"]);
    assert_eq!(output.code, 1);
    assert!(
        output.stderr.starts_with("error: there is nothing to approve: "),
        "{}",
        output.stderr
    );

    let mut cluster = Cluster::new();
    cluster.sync["spec"]["mode"] = "Detect".into();
    let (env, _server, _cluster) = cluster.start();
    let output = env.signet(&["approve", "web", "--yes"]);
    assert_eq!(output.code, 1);
    assert!(
        output.stderr.contains("an approval would do nothing"),
        "{}",
        output.stderr
    );
}

#[test]
fn an_api_server_that_does_not_know_its_users_is_no_obstacle() {
    let mut cluster = Cluster::new();
    cluster.user = None;
    let (env, _server, cluster) = cluster.start();
    let output = env.signet(&["approve", "web", "--yes"]);
    assert_eq!((output.code, output.stdout), (0, format!("{NAME}\n")));
    assert!(
        output
            .stderr
            .starts_with("warning: the API server does not say who you are"),
        "{}",
        output.stderr
    );
    let approval = cluster.lock().unwrap().approval.clone().unwrap();
    assert_eq!(approval["metadata"].get("annotations"), None);
}
