//! Who may approve: the install's admission policies, asked by the real API server.

use crds::{Approval, ApprovalSpec, DeletionPolicy, LocalReference, Mode, Sync, annotation};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::DeleteParams;
use kube::{Api, ResourceExt};
use serde_json::json;
use tests::command::Answer;
use tests::{Space, Stage, objects, run, wait};

const DIGEST: &str = "0123456789abcdef0123456789abcdef";

/// Jana may approve for every Sync of the namespace, Karel for the one called `web`, Eva may edit all of it.
async fn people(team: &Space<'_>) {
    let bind = |name: &str, role: &str, user: &str| {
        let (role, user) = (format!("--clusterrole={role}"), format!("--user={user}"));
        team.kubectl(["create", "rolebinding", name, &role, &user]).ok();
    };
    bind("jana", "signet-approve", "jana");
    bind("jana-edits", "edit", "jana");
    bind("eva", "edit", "eva");
    bind("karel-edits", "edit", "karel");
    let approve_web = [
        "create",
        "role",
        "approve-web",
        "--verb=approve",
        "--resource=syncs.signet.dev",
        "--resource-name=web",
    ];
    team.kubectl(approve_web).ok();
    let make = [
        "create",
        "role",
        "make",
        "--verb=create,patch",
        "--resource=approvals.signet.dev",
    ];
    team.kubectl(make).ok();
    for (name, role, user) in [
        ("karel-web", "approve-web", "karel"),
        ("karel-makes", "make", "karel"),
        ("eva-makes", "make", "eva"),
    ] {
        let (role, user) = (format!("--role={role}"), format!("--user={user}"));
        team.kubectl(["create", "rolebinding", name, &role, &user]).ok();
    }
    // Policies and rights come into force a moment after they are written.
    wait::poll("the policies to be in force", async || {
        let refused = approve(team, "eva", "early", "web", Some("eva"), true);
        let granted = approve(team, "karel", "early", "web", Some("karel"), true);
        let other = mode(team, "jana", "web", "Detect", true);
        let edit = mode(team, "eva", "web", "Detect", true);
        let in_force = refused.stderr.contains("you may not approve")
            && granted.code == 0
            && other.code == 0
            && edit.stderr.contains("takes the right to approve");
        in_force
            .then_some(())
            .ok_or(format!("{refused}{granted}{other}{edit}"))
    })
    .await;
}

/// Makes an Approval as `user` that says `by` made it.
fn approve(team: &Space<'_>, user: &str, name: &str, sync: &str, by: Option<&str>, dry: bool) -> Answer {
    let mut approval = Approval::new(
        name,
        ApprovalSpec {
            sync_ref: LocalReference { name: sync.into() },
            digest: DIGEST.into(),
            expires: None,
        },
    );
    approval.metadata.namespace = Some(team.name().into());
    if let Some(by) = by {
        approval
            .annotations_mut()
            .insert(annotation::APPROVED_BY.into(), by.into());
    }
    let approval = serde_json::to_string(&approval).unwrap();
    let (user, dry) = (
        format!("--as={user}"),
        if dry { "--dry-run=server" } else { "--dry-run=none" },
    );
    team.stage()
        .cluster
        .kubectl_with(["create", &user, dry, "-f", "-"], &approval)
}

fn mode(team: &Space<'_>, user: &str, sync: &str, mode: &str, dry: bool) -> Answer {
    let patch = format!(r#"{{"spec":{{"mode":"{mode}"}}}}"#);
    let (user, dry) = (
        format!("--as={user}"),
        if dry { "--dry-run=server" } else { "--dry-run=none" },
    );
    team.kubectl([
        "patch",
        "sync",
        sync,
        "--type=merge",
        "--patch",
        &patch,
        &user,
        dry,
    ])
}

#[test]
fn only_who_holds_the_verb_approves_and_under_their_own_name() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("approving");
        team.sync("web", "web").await;
        team.sync("api", "api").await;
        people(&team).await;

        let says = approve(&team, "eva", "eva", "web", Some("eva"), false).refused();
        assert!(
            says.contains("you may not approve for Sync web: that takes the verb approve on it, as in ClusterRole signet-approve"),
            "{says}"
        );
        let says = approve(&team, "karel", "karel", "api", Some("karel"), false).refused();
        assert!(says.contains("you may not approve for Sync api"), "{says}");
        for forged in [Some("eva"), None, Some("")] {
            let says = approve(&team, "jana", "forged", "web", forged, false).refused();
            assert!(
                says.contains("signet.dev/approved-by has to name you: jana"),
                "{says}"
            );
        }
        approve(&team, "jana", "jana", "web", Some("jana"), false).ok();
        approve(&team, "jana", "jana-api", "api", Some("jana"), false).ok();
        approve(&team, "karel", "karel", "web", Some("karel"), false).ok();

        // Who approved is not rewritten afterwards, not even by an administrator; nor is what.
        let approvals: Api<Approval> = team.api();
        for (user, change) in [
            (
                "karel",
                r#"{"metadata":{"annotations":{"signet.dev/approved-by":"karel"}}}"#,
            ),
            (
                "karel",
                r#"{"metadata":{"annotations":{"signet.dev/approved-by":null}}}"#,
            ),
            (
                "system:admin",
                r#"{"metadata":{"annotations":{"signet.dev/approved-by":"eva"}}}"#,
            ),
        ] {
            let user = format!("--as={user}");
            let patch = [
                "patch",
                "approval",
                "jana",
                "--type=merge",
                "--patch",
                change,
                &user,
            ];
            let group = (user == "--as=system:admin").then_some("--as-group=system:masters");
            let says = team.kubectl(patch.into_iter().chain(group)).refused();
            assert!(says.contains("approved-by is not changed"), "{says}");
        }
        let digest = r#"{"spec":{"digest":"ffffffffffffffffffffffffffffffff"}}"#;
        let says = team
            .kubectl(["patch", "approval", "jana", "--type=merge", "--patch", digest])
            .refused();
        assert!(says.contains("an approval is not changed"), "{says}");
        team.kubectl(["label", "approval", "jana", "kept=true"]).ok();
        let kept = approvals.get("jana").await.unwrap();
        assert_eq!(kept.annotations()[annotation::APPROVED_BY], "jana");
        assert_eq!(kept.spec.digest, DIGEST);
        // To take it back is the approvers' as well.
        team.kubectl(["delete", "approval", "jana", "--as=eva"]).refused();
        team.kubectl(["delete", "approval", "jana", "--as=jana"]).ok();
    });
}

#[test]
fn what_goes_round_an_approval_takes_the_same_right() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("mode");
        team.sync_with("web", "web", |spec| spec.mode = Mode::Approval)
            .await;
        team.sync_with("all", "all", |spec| {
            spec.mode = Mode::Approval;
            spec.deletion_policy = DeletionPolicy::Delete;
        })
        .await;
        people(&team).await;

        let says = mode(&team, "eva", "web", "Automatic", false).refused();
        let expected = "to change spec.mode of Sync web takes the right to approve: the verb approve on it";
        assert!(says.contains(expected), "{says}");
        // Left out it is Automatic.
        let remove = r#"[{"op":"remove","path":"/spec/mode"}]"#;
        let says = team
            .kubectl([
                "patch",
                "sync",
                "web",
                "--type=json",
                "--patch",
                remove,
                "--as=eva",
            ])
            .refused();
        assert!(says.contains(expected), "{says}");
        mode(&team, "karel", "web", "Detect", false).ok();
        mode(&team, "karel", "all", "Detect", false).refused();
        mode(&team, "jana", "web", "Automatic", false).ok();

        // Everything else stays the editors'.
        let path = r#"{"spec":{"path":"other","suspend":true}}"#;
        team.kubectl([
            "patch",
            "sync",
            "web",
            "--type=merge",
            "--patch",
            path,
            "--as=eva",
        ])
        .ok();
        team.request("web", "now").await;

        let says = team.kubectl(["delete", "sync", "all", "--as=eva"]).refused();
        assert!(
            says.contains("to delete Sync all and its objects with it takes the right to approve"),
            "{says}"
        );
        // A whole collection at once: each of its Syncs is looked at.
        let sweep = [
            "create",
            "role",
            "sweep",
            "--verb=deletecollection",
            "--resource=syncs.signet.dev",
        ];
        team.kubectl(sweep).ok();
        team.kubectl(["create", "rolebinding", "sweep", "--role=sweep", "--user=karel"])
            .ok();
        let collection = format!("/apis/signet.dev/v1alpha1/namespaces/{}/syncs", team.name());
        let says = wait::poll("the right to sweep", async || {
            let answer = team.kubectl(["delete", "--raw", &collection, "--as=karel"]);
            let asked = answer.stderr.contains("ValidatingAdmissionPolicy");
            if asked {
                Ok(answer.stderr)
            } else {
                Err(answer.to_string())
            }
        })
        .await;
        assert!(says.contains("to delete Sync all and its objects"), "{says}");
        let says = team.kubectl(["delete", "syncs", "--all", "--as=eva"]).refused();
        assert!(says.contains("to delete Sync all and its objects"), "{says}");
        team.gone::<Sync>("web").await;
    });
}

#[test]
fn a_namespace_goes_without_asking_for_approvals() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("leaving");
        team.sync("web", "web").await;
        team.sync_with("all", "all", |spec| {
            spec.mode = Mode::Approval;
            spec.deletion_policy = DeletionPolicy::Delete;
        })
        .await;
        people(&team).await;
        team.kubectl(["delete", "sync", "all", "--as=eva"]).refused();
        let name = team.name().to_owned();
        let namespaces: Api<Namespace> = Api::all(stage.cluster.client());
        namespaces.delete(&name, &DeleteParams::default()).await.unwrap();
        wait::gone(&stage.cluster, namespaces, &name).await;
    });
}

#[test]
fn the_controller_may_hold_a_sync_if_it_is_the_one_that_was_read() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("holding");
        // Suspended, so that nobody else writes it once that is said.
        team.sync_with("web", "web", |spec| spec.suspend = true).await;
        let suspended = |sync: &Sync| objects::is(sync, "Reconciling", "False");
        let sync: Sync = team.until("web", "web to be suspended", suspended).await;
        let (uid, version) = (sync.uid().unwrap(), sync.resource_version().unwrap());
        let hold = |uid: &str, version: &str, finalizers: &[&str]| {
            let patch =
                json!({"metadata": {"uid": uid, "resourceVersion": version, "finalizers": finalizers}});
            let patch = patch.to_string();
            let controller = "--as=system:serviceaccount:signet-system:signet-controller";
            team.kubectl([
                "patch",
                "sync",
                "web",
                "--type=merge",
                "--patch",
                &patch,
                controller,
            ])
        };
        hold(&uid, "1", &[crds::FINALIZER]).refused();
        let another = "00000000-0000-0000-0000-000000000000";
        let says = hold(another, &version, &[crds::FINALIZER]).refused();
        assert!(
            says.contains("metadata.uid") && says.contains("field is immutable"),
            "{says}"
        );
        hold(&uid, &version, &[crds::FINALIZER]).ok();
        let held: Sync = team.api().get("web").await.unwrap();
        assert_eq!(held.finalizers(), [crds::FINALIZER]);
        hold(&uid, &held.resource_version().unwrap(), &[]).ok();
        let free: Sync = team.api().get("web").await.unwrap();
        assert!(free.finalizers().is_empty());
    });
}
