//! `signet sync`, against a made-up controller that answers requests after a few looks.

use crate::support::{ApiServer, Request, Response, TestEnvironment, repository, sync};
use serde_json::Value;
use std::sync::Mutex;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const SYNC: &str = "/apis/signet.dev/v1alpha1/namespaces/shop/syncs/web";
const REPOSITORY: &str = "/apis/signet.dev/v1alpha1/namespaces/shop/repositories/apps";

/// A controller that handles a request when it has been looked at this often; `None`: never.
struct Controller {
    sync: Value,
    repository: Value,
    looks: Option<usize>,
    looked: usize,
}

impl Controller {
    fn new() -> Self {
        Self {
            sync: sync(COMMIT, "True"),
            repository: repository(),
            looks: Some(2),
            looked: 0,
        }
    }

    fn start(self) -> (TestEnvironment, ApiServer) {
        let controller = Mutex::new(self);
        let server = ApiServer::start(move |request| controller.lock().unwrap().answer(request));
        let mut env = TestEnvironment::new();
        env.use_cluster(&server);
        (env, server)
    }

    fn answer(&mut self, request: &Request) -> Response {
        let object = match request.path.as_str() {
            SYNC => &mut self.sync,
            REPOSITORY => &mut self.repository,
            _ => return Response::error(404, "not found"),
        };
        if request.method == "PATCH" {
            let patch: Value = serde_json::from_str(&request.body).unwrap();
            object["metadata"]["annotations"] = patch["metadata"]["annotations"].clone();
            self.looked = 0;
        } else {
            self.looked += 1;
            if self.looks.is_some_and(|looks| self.looked > looks) {
                let asked = object["metadata"]["annotations"]["signet.dev/requestedAt"].clone();
                if asked.is_string() {
                    object["status"]["lastHandledRequest"] = asked;
                }
            }
        }
        Response::json(object)
    }
}

#[test]
fn it_waits_for_the_fetch_and_then_for_the_result() {
    let (env, server) = Controller::new().start();
    let table = env.signet(&["sync", "web"]).success();
    assert!(
        table.starts_with("NAMESPACE  NAME  READY") && table.contains("main@0123456789ab"),
        "{table}"
    );
    let patched: Vec<_> = server
        .requests()
        .into_iter()
        .filter(|request| request.starts_with("PATCH"))
        .collect();
    assert_eq!(patched, [format!("PATCH {REPOSITORY}"), format!("PATCH {SYNC}")]);
}

#[test]
fn a_failure_is_shown_and_ends_with_3() {
    let mut controller = Controller::new();
    controller.sync["status"]["conditions"][0]["status"] = "False".into();
    controller.sync["status"]["failures"] =
        serde_json::json!([{"object": "Secret shop/db", "message": "no key opens it"}]);
    let (env, _server) = controller.start();
    let output = env.signet(&["sync", "web", "-n", "shop"]);
    assert_eq!((output.code, output.stderr.as_str()), (3, ""));
    assert!(
        output
            .stdout
            .ends_with("\nfailed: Secret shop/db: no key opens it\n"),
        "{}",
        output.stdout
    );
}

#[test]
fn it_does_not_wait_for_ever() {
    let mut controller = Controller::new();
    controller.looks = None;
    let (env, _server) = controller.start();
    env.signet(&["sync", "web", "--timeout", "300ms"]).assert_failure(
        3,
        "error: the Repository shop/apps was not fetched within 300ms\n\
         hint: is the controller running? `signet status web -n shop` shows what is known\n",
    );
}

#[test]
fn or_not_at_all() {
    let mut controller = Controller::new();
    controller.looks = None;
    let (env, server) = controller.start();
    let output = env.signet(&["sync", "web", "--no-wait"]);
    assert_eq!((output.code, output.stdout.as_str()), (0, ""));
    assert_eq!(output.stderr, "Asked for shop/web.\n");
    assert_eq!(
        server
            .requests()
            .iter()
            .filter(|request| request.starts_with("PATCH"))
            .count(),
        2
    );
}

#[test]
fn what_would_do_nothing_is_refused() {
    for what in ["Sync", "Repository"] {
        let mut controller = Controller::new();
        let object = if what == "Sync" {
            &mut controller.sync
        } else {
            &mut controller.repository
        };
        object["spec"]["suspend"] = true.into();
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let (env, server) = controller.start();
        env.signet(&["sync", "web"]).assert_failure(
            1,
            &format!(
                "error: the {what} shop/{name} is suspended, so nothing would happen\n\
                 hint: set spec.suspend to false, and ask again\n"
            ),
        );
        assert!(server.requests().iter().all(|request| request.starts_with("GET")));
    }
    let mut controller = Controller::new();
    controller.sync["spec"]["sourceRef"]["name"] = "gone".into();
    let (env, _server) = controller.start();
    let hint = "hint: `signet status -A` lists all Syncs; -n chooses the namespace\n";
    env.signet(&["sync", "web"]).assert_failure(
        1,
        "error: there is no Repository shop/gone\nhint: create the Repository, or correct spec.sourceRef.name of the Sync\n",
    );
    env.signet(&["sync", "nothing"])
        .assert_failure(1, &format!("error: there is no Sync shop/nothing\n{hint}"));
}
