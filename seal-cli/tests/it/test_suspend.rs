//! `signet suspend` and `signet resume`.

use crate::support::{ApiServer, Request, Response, TestEnvironment, sync};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const SYNCS: &str = "/apis/signet.dev/v1alpha1/namespaces/shop/syncs";

type Objects = Arc<Mutex<Vec<Value>>>;

/// Two Syncs, `web` and `db`, that can be patched; `db` refuses where `refuse` says so.
fn serving(refuse: bool) -> (TestEnvironment, ApiServer, Objects) {
    let named = |name: &str| {
        let mut object = sync("c", "True");
        object["metadata"]["name"] = name.into();
        object
    };
    let objects: Objects = Arc::new(Mutex::new(vec![named("web"), named("db")]));
    let shared = Arc::clone(&objects);
    let server = ApiServer::start(move |request| answer(&mut shared.lock().unwrap(), request, refuse));
    let mut env = TestEnvironment::new();
    env.use_cluster(&server);
    (env, server, objects)
}

fn answer(objects: &mut [Value], request: &Request, refuse: bool) -> Response {
    if request.path == SYNCS {
        return Response::json(
            &json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": objects}),
        );
    }
    let name = request.path.rsplit('/').next().unwrap();
    let Some(object) = objects
        .iter_mut()
        .find(|object| object["metadata"]["name"] == name)
    else {
        return Response::error(404, "not found");
    };
    if request.method == "PATCH" {
        if refuse && name == "db" {
            return Response::error(403, "you may not");
        }
        let patch: Value = serde_json::from_str(&request.body).unwrap();
        object["spec"]["suspend"] = patch["spec"]["suspend"].clone();
        let reason = patch["metadata"]["annotations"]["signet.dev/suspend-reason"].clone();
        object["metadata"]["annotations"] = match reason {
            Value::Null => json!({}),
            reason => json!({"signet.dev/suspend-reason": reason}),
        };
    }
    Response::json(object)
}

fn state(objects: &Objects) -> Vec<(Value, Value)> {
    let objects = objects.lock().unwrap();
    let of = |object: &Value| {
        let reason = &object["metadata"]["annotations"]["signet.dev/suspend-reason"];
        (object["spec"]["suspend"].clone(), reason.clone())
    };
    objects.iter().map(of).collect()
}

#[test]
fn there_and_back_with_a_reason() {
    let (env, server, objects) = serving(false);
    let output = env.signet(&["suspend", "web", "--reason", " incident 4711 "]);
    assert_eq!(
        (output.code, output.stdout.as_str(), output.stderr.as_str()),
        (0, "", "Suspended shop/web.\n")
    );
    assert_eq!(
        state(&objects),
        [(json!(true), json!("incident 4711")), (Value::Null, Value::Null)]
    );

    // The reason stays until there is another.
    let output = env.signet(&["suspend", "web"]);
    assert_eq!(output.stderr, "shop/web was suspended already.\n");
    let output = env.signet(&["suspend", "web", "--reason", "another", "-o", "json"]);
    let said: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(
        said,
        json!([{"namespace": "shop", "name": "web", "suspended": true, "reason": "another", "changed": true}])
    );

    let output = env.signet(&["resume", "web"]);
    assert_eq!((output.code, output.stderr.as_str()), (0, "Resumed shop/web.\n"));
    assert_eq!(state(&objects)[0], (json!(false), Value::Null));
    let patches = server
        .requests()
        .iter()
        .filter(|request| request.starts_with("PATCH"))
        .count();
    assert_eq!(patches, 3, "what is so already is not patched");
}

#[test]
fn all_of_a_namespace() {
    let (env, _server, objects) = serving(false);
    let output = env.signet(&["suspend", "--all"]);
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (0, "Suspended shop/web.\nSuspended shop/db.\n")
    );
    assert!(state(&objects).iter().all(|(suspend, _)| *suspend == true));
    let output = env.signet(&["resume", "--all"]);
    assert_eq!(output.code, 0);
    assert!(state(&objects).iter().all(|(suspend, _)| *suspend == false));
}

#[test]
fn a_mistyped_name_changes_nothing() {
    let (env, _server, objects) = serving(false);
    env.signet(&["suspend", "web", "bd"]).assert_failure(
        1,
        "error: there is no Sync shop/bd\n\
         hint: `signet status -A` lists all of them; -n chooses the namespace\n",
    );
    assert_eq!(state(&objects)[0], (Value::Null, Value::Null));
}

#[test]
fn what_fails_is_said_and_the_rest_is_done() {
    let (env, _server, objects) = serving(true);
    env.signet(&["suspend", "web", "db"]).assert_failure(
        1,
        "Suspended shop/web.\n\
         error: cannot suspend every Sync:\n\
         \x20 shop/db: cannot change it: you may not\n\
         hint: ask for `patch` on syncs.signet.dev in that namespace, or correct the names\n",
    );
    assert_eq!(state(&objects)[0].0, json!(true));
    assert_eq!(state(&objects)[1].0, Value::Null);
}
