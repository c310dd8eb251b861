//! `signet plan`.

use crate::support::{ApiServer, Response, TestEnvironment, plan, sync};
use serde_json::{Value, json};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const DIGEST: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

fn serving(change: impl FnOnce(&mut Value)) -> TestEnvironment {
    let mut object = sync(COMMIT, "True");
    change(&mut object);
    let server = ApiServer::start(move |request| match request.path.rsplit('/').next() {
        Some("web") => Response::json(&object),
        _ => Response::error(404, "not found"),
    });
    let mut env = TestEnvironment::new();
    env.use_cluster(&server);
    env
}

#[test]
fn what_waits_and_why() {
    let env = serving(|sync| sync["status"]["plan"] = plan(DIGEST));
    let output = env.signet(&["plan", "web"]);
    assert_eq!((output.code, output.stderr.as_str()), (1, ""));
    assert_eq!(
        output.stdout,
        "shop/web main@fedcba987654: 1 to create, 2 to change, 1 to delete\n\
         waits:  it needs an approval\n\
         digest: 0f1e2d3c4b5a69788796a5b4c3d2e1f0\n\
         \n\
         \x20 delete Secret shop/old\n\
         \x20 create ConfigMap shop/new\n\
         \x20 update Deployment shop/web\\u{1b}\n\
         \x20 and 1 more\n"
    );
}

#[test]
fn the_reason_is_said_even_where_the_status_does_not() {
    let reason = |change: fn(&mut Value)| {
        let env = serving(|sync| {
            sync["status"]["plan"] = plan(DIGEST);
            sync["status"]["plan"]["reason"] = "".into();
            change(sync);
        });
        let output = env.signet(&["plan", "web"]);
        let line = output.stdout.lines().nth(1).unwrap_or_default().to_owned();
        (output.code, line.trim_start_matches("waits:").trim().to_owned())
    };
    let is = |text: &str| (1, text.to_owned());
    assert_eq!(
        reason(|sync| sync["spec"]["mode"] = "Detect".into()),
        is("the Sync only reports (mode Detect)")
    );
    assert_eq!(
        reason(|sync| sync["spec"]["mode"] = "Approval".into()),
        is("it needs an approval")
    );
    assert_eq!(
        reason(|sync| sync["spec"]["suspend"] = true.into()),
        is("the Sync is suspended")
    );
    // Nobody looks at a suspended one again, so its last plan is shown.
    assert_eq!(
        reason(|sync| {
            sync["spec"]["suspend"] = true.into();
            sync["metadata"]["generation"] = 3.into();
        }),
        is("the Sync is suspended")
    );
}

#[test]
fn nothing_to_do_is_a_success_and_not_knowing_is_trouble() {
    let env = serving(|_| {});
    let output = env.signet(&["plan", "web", "-n", "shop"]);
    assert_eq!(
        (output.code, output.stdout.as_str(), output.stderr.as_str()),
        (0, "", "There is nothing to do for shop/web.\n")
    );
    for change in [
        |sync: &mut Value| sync["metadata"]["generation"] = 3.into(),
        |sync: &mut Value| sync["status"] = Value::Null,
    ] {
        serving(change).signet(&["plan", "web"]).assert_failure(
            2,
            "error: the controller has not looked at Sync shop/web as it is now\n\
             hint: is it running? `signet wait web --for applied` waits for it\n",
        );
    }
    env.signet(&["plan", "gone"]).assert_failure(
        2,
        "error: there is no Sync shop/gone\n\
         hint: `signet status -A` lists all of them; -n chooses the namespace\n",
    );
    let mut nowhere = TestEnvironment::new();
    nowhere.use_url("http://127.0.0.1:9");
    assert_eq!(nowhere.signet(&["plan", "web"]).code, 2);
}

#[test]
fn json_has_the_same_shape_always() {
    let env = serving(|sync| sync["status"]["plan"] = plan(DIGEST));
    let output = env.signet(&["plan", "web", "-o", "json"]);
    assert_eq!(output.code, 1);
    let said: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(
        said,
        json!({
            "namespace": "shop", "name": "web", "mode": "Automatic", "suspended": false, "pending": true,
            "plan": {
                "digest": DIGEST, "revision": "main@fedcba987654", "reason": "it needs an approval",
                "create": 1, "update": 2, "delete": 1, "run": 0, "complete": false,
                "actions": ["delete Secret shop/old", "create ConfigMap shop/new", "update Deployment shop/web\u{1b}"],
            },
        })
    );
    let said = serving(|_| {}).signet(&["plan", "web", "-o", "json"]).success();
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said["pending"], &said["plan"]), (&json!(false), &Value::Null));
}
