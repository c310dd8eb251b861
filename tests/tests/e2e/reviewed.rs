//! What a reading of the engine found wrong: deletes of what was never sent, and writes past the gate.

use crds::{DeletionPolicy, ForeignFields, Mode, Sync, Window, WindowKind};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::json;
use tests::{Space, objects, run, wait};

use crate::order_world::{begin, gated, gates, plain};
use crate::world::{A_WHILE, World, status};

#[test]
fn what_a_sync_never_sent_it_never_deletes() {
    run(async {
        let (team, repo) = begin("unsent").await;
        let later: &[(&str, &str)] = &[("signet.dev/wave", "1")];
        let commit = repo.write("app/x.yaml", plain("x", later)).commit("Begin");
        team.sync_with("app", "app", gates).await;
        team.applied("app", &commit).await;
        let syncs = team.api::<Sync>();
        syncs.delete("app", &DeleteParams::default()).await.unwrap();
        team.gone::<Sync>("app").await;
        let before: ConfigMap = team.api().get("x").await.unwrap();

        // Made again under the same name, it never comes as far as x.
        repo.write("app/gate.yaml", gated("gate", &[]));
        let commit = repo.commit("A gate before it");
        team.fetched("app", &commit).await;
        team.sync_with("app", "app", |spec| {
            gates(spec);
            spec.deletion_policy = DeletionPolicy::Delete;
        })
        .await;
        team.until("app", "it to wait for the gate", |sync: &Sync| {
            objects::message(sync, "Ready").contains("gate")
        })
        .await;
        syncs.delete("app", &DeleteParams::default()).await.unwrap();
        team.gone::<Sync>("app").await;
        team.gone::<ConfigMap>("gate").await;
        let after: ConfigMap = team.api().get("x").await.unwrap();
        assert_eq!(before.uid(), after.uid());
        assert!(after.metadata.deletion_timestamp.is_none());
    });
}

#[test]
fn foreign_fields_are_not_removed_past_the_gate_nor_a_freeze_taken_away() {
    run(async {
        let world = World::begin("removal").await;
        world
            .applied(&[("a", "one")], |spec| {
                spec.foreign_fields = ForeignFields::Remove;
            })
            .await;
        let words = ["signet.dev/reconcile", "client.lifecycle.config.k8s.io/deletion"];
        let said = json!({(words[0]): "disabled", (words[1]): "detach"});
        world
            .edit("acme", "a", json!({"metadata": {"annotations": said}}))
            .await;
        world.edit("acme", "a", json!({"data": {"extra": "x"}})).await;
        let stays = || {
            wait::throughout(A_WHILE, || async {
                let map: ConfigMap = world.team.api().get("a").await.unwrap();
                if map.data.as_ref().is_some_and(|data| data.contains_key("extra")) {
                    Ok(())
                } else {
                    Err(format!("{map:?}"))
                }
            })
        };
        stays().await;
        let map: ConfigMap = world.team.api().get("a").await.unwrap();
        assert!(map.annotations().contains_key(words[0]), "{map:?}");

        // One watch shows the Sync, another the object: which is first is not said.
        let seen = |sync: &Sync| sync.metadata.generation == Some(status(sync).observed_generation);
        world.set("app", json!({"mode": Mode::Detect})).await;
        world.team.until("app", "the mode to be seen", seen).await;
        world
            .edit(
                "acme",
                "a",
                json!({"metadata": {"annotations": {"signet.dev/reconcile": null}}}),
            )
            .await;
        stays().await;

        let always = Window {
            kind: WindowKind::Deny,
            schedule: "* * * * *".into(),
            duration: "1h".into(),
            time_zone: String::new(),
        };
        world
            .set("app", json!({"mode": Mode::Automatic, "windows": [always]}))
            .await;
        world.team.until("app", "the window to be seen", seen).await;
        stays().await;
        world.set("app", json!({"windows": []})).await;
        world
            .team
            .until("a", "the field to go", |map: &ConfigMap| {
                map.data.as_ref().is_some_and(|data| !data.contains_key("extra"))
            })
            .await;
        let map: ConfigMap = world.team.api().get("a").await.unwrap();
        assert!(map.annotations().contains_key(words[1]), "{map:?}");
    });
}

/// What makes a kind that only tests have, and lets the controller watch it.
struct Definer<'a> {
    team: &'a Space<'a>,
    group: String,
}

impl<'a> Definer<'a> {
    fn new(team: &'a Space<'a>) -> Self {
        let group = format!("{}.example.com", team.name());
        let this = Self { team, group };
        this.put(
            &json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": this.role(), "labels": {"signet.dev/aggregate-to-observe": "true"}},
            "rules": [{"apiGroups": [this.group], "resources": ["*"], "verbs": ["get", "list", "watch"]}]}),
        );
        this
    }

    fn role(&self) -> String {
        format!("observe-{}", self.team.name())
    }

    fn put(&self, object: &serde_json::Value) {
        let apply = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
        let cluster = &self.team.stage().cluster;
        cluster.kubectl_with(apply, &object.to_string()).ok();
    }

    /// The definition's name.
    fn of(&self, kind: &str) -> String {
        format!("{}s.{}", kind.to_lowercase(), self.group)
    }

    fn define(&self, kind: &str, served: bool) {
        let any = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let singular = kind.to_lowercase();
        self.put(&json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": self.of(kind)},
            "spec": {"group": self.group, "scope": "Namespaced",
                "names": {"kind": kind, "plural": format!("{singular}s"), "singular": singular},
                "versions": [{"name": "v1", "served": served, "storage": true,
                    "schema": {"openAPIV3Schema": any}}]}}));
    }

    fn established(&self, kind: &str) {
        let definition = format!("crd/{}", self.of(kind));
        let wait = ["wait", &definition, "--for=condition=Established"];
        self.team.stage().cluster.kubectl(wait).ok();
    }

    fn object(&self, kind: &str, name: &str) -> String {
        json!({"apiVersion": format!("{}/v1", self.group), "kind": kind, "metadata": {"name": name}})
            .to_string()
    }

    async fn unserved(&self, kind: &str) {
        wait::poll("the kind not to be served", || async {
            let answer = self.team.kubectl(["get", &self.of(kind)]);
            if answer.code == 0 {
                Err(answer.to_string())
            } else {
                Ok(())
            }
        })
        .await;
    }

    fn remove(&self, kinds: &[&str]) {
        for kind in kinds {
            let definition = format!("crd/{}", self.of(kind));
            self.team.stage().cluster.kubectl(["delete", &definition]).ok();
        }
    }
}

impl Drop for Definer<'_> {
    fn drop(&mut self) {
        let role = format!("clusterrole/{}", self.role());
        let _ = self.team.stage().cluster.kubectl(["delete", &role]);
    }
}

/// An API server that does not serve a kind for a moment says nothing about its objects.
#[test]
fn objects_of_a_kind_that_is_not_served_for_a_moment_are_neither_lost_nor_forgotten() {
    run(async {
        let world = World::begin("unserved").await;
        let team = &world.team;
        team.make_platform();
        let definer = Definer::new(team);
        definer.define("Cup", true);
        definer.established("Cup");
        world
            .repo
            .write("app/keep.yaml", definer.object("Cup", "keep"))
            .write("app/goes.yaml", definer.object("Cup", "goes"));
        world
            .applied(&[("a", "one"), ("b", "one"), ("c", "one")], |_| {})
            .await;
        let plural = definer.of("Cup");
        let uid = |name: &str| {
            let found = team.kubectl(["get", &plural, name, "--output=jsonpath={.metadata.uid}"]);
            found.ok()
        };
        let before = (uid("keep"), uid("goes"));

        definer.define("Cup", false);
        definer.unserved("Cup").await;
        let last = world
            .repo
            .remove("app/goes.yaml")
            .write("app/a.yaml", plain("a", &[("x/y", "z")]));
        let commit = last.commit("Without one of them");
        // What is of other kinds goes on.
        team.until("a", "the commit to be applied", |map: &ConfigMap| {
            map.annotations().contains_key("x/y")
        })
        .await;
        team.failed("app", &commit).await;
        definer.define("Cup", true);
        team.applied("app", &commit).await;
        wait::poll("what left Git to be deleted", || async {
            let answer = team.kubectl(["get", &plural, "goes"]);
            if answer.stderr.contains("NotFound") {
                Ok(())
            } else {
                Err(answer.to_string())
            }
        })
        .await;
        assert_eq!(uid("keep"), before.0, "it is the same object");
        definer.remove(&["Cup"]);
    });
}

/// A group has many definitions: one that stays says nothing of objects whose own is gone.
#[test]
fn objects_whose_definition_is_gone_hold_no_sync_though_their_group_stays() {
    run(async {
        let world = World::begin("undefined").await;
        let team = &world.team;
        team.make_platform();
        let definer = Definer::new(team);
        for kind in ["Cup", "Mug"] {
            definer.define(kind, true);
            definer.established(kind);
        }
        world.repo.write("app/cup.yaml", definer.object("Cup", "cup"));
        world
            .applied(&[("a", "one"), ("b", "one")], |spec| {
                spec.deletion_policy = DeletionPolicy::Delete;
            })
            .await;
        // Not served is not gone.
        definer.define("Cup", false);
        definer.unserved("Cup").await;
        let syncs = team.api::<Sync>();
        syncs.delete("app", &DeleteParams::default()).await.unwrap();
        let sync = world.says("app", "DeletionWaits").await;
        let message = objects::message(&sync, "Ready");
        assert!(message.contains("does not serve it now"), "{message}");

        definer.remove(&["Cup"]);
        team.gone::<Sync>("app").await;
        team.gone::<ConfigMap>("a").await;
        definer.remove(&["Mug"]);
    });
}

/// A group may have hundreds of definitions, and each look at one is a request.
#[test]
fn a_definition_is_looked_at_once_however_many_kinds_are_not_served() {
    run(async {
        let world = World::begin("undefineds").await;
        let team = &world.team;
        team.make_platform();
        let definer = Definer::new(team);
        let kinds = ["Cup", "Mug", "Pot"];
        for kind in kinds {
            definer.define(kind, true);
            definer.established(kind);
            let file = format!("app/{kind}.yaml");
            world.repo.write(&file, definer.object(kind, "one"));
        }
        world
            .applied(&[("a", "one")], |spec| {
                spec.deletion_policy = DeletionPolicy::Delete;
            })
            .await;
        for kind in kinds {
            definer.define(kind, false);
            definer.unserved(kind).await;
        }
        let mark = world.mark();
        let syncs = team.api::<Sync>();
        syncs.delete("app", &DeleteParams::default()).await.unwrap();
        world.says("app", "DeletionWaits").await;
        let mut asked = team.stage().cluster.audit().by_controller(mark);
        asked.retain(|request| request.resource == "customresourcedefinitions");
        let count = |verb: &str, name: &str| {
            let of = asked.iter();
            of.filter(|request| request.verb == verb && (name.is_empty() || request.name == name))
                .count()
        };
        let (looks, lists) = (count("get", &definer.of("Cup")), count("list", ""));
        assert!(looks > 0 && looks <= lists, "{asked:#?}");
        definer.remove(&kinds);
        team.gone::<Sync>("app").await;
    });
}
