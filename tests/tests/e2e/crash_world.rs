//! What the crash test keeps in Git: five hundred objects of many kinds, two hundred others with every commit.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::{Value, json};
use tests::{Repo, Stage, http, objects};

/// Kind, namespace (empty for cluster-scoped kinds), name.
pub(crate) type Id = (String, String, String);

/// Numbers that an object can have, how many of them are in Git at a time, and how many move on with every commit.
const NUMBERS: usize = 696;
const AT_A_TIME: usize = 496;
const MOVE: usize = 200;
/// The API group of the defined kind.
const GROUP: &str = "crash.example.com";
const PER_FILE: usize = 50;

/// The objects, in some namespaces of their own beside the Sync's.
pub(crate) struct World {
    namespaces: [String; 4],
    sealed: HashMap<(usize, usize), String>,
    /// The sealing certificate's file: sealing goes on while the controller is down.
    certificate: PathBuf,
}

impl World {
    /// Three namespaces of its own, named after that of the Sync.
    pub(crate) async fn new(stage: &Stage, home: &str) -> Self {
        let certificate = stage.cluster.home().join("sealing.pem");
        let answer = http::get(&stage.controller.certificate_url()).await.unwrap();
        std::fs::write(&certificate, answer.body).unwrap();
        Self {
            certificate,
            namespaces: [0, 1, 2, 3].map(|n| {
                if n == 0 {
                    home.to_owned()
                } else {
                    format!("{home}-{n}")
                }
            }),
            sealed: HashMap::new(),
        }
    }

    /// What Git holds in a round, with each object's value.
    pub(crate) fn wanted(&self, round: usize) -> BTreeMap<Id, usize> {
        let fixed = self.namespaces[1..]
            .iter()
            .map(|name| ("Namespace".to_owned(), String::new(), name.clone()))
            .chain([(
                "CustomResourceDefinition".to_owned(),
                String::new(),
                format!("widgets.{GROUP}"),
            )]);
        let moving = numbers(round).map(|number| {
            let id = (
                kind(number).to_owned(),
                self.namespace(number).to_owned(),
                name(number),
            );
            (id, value(number, round))
        });
        fixed.map(|id| (id, 0)).chain(moving).collect()
    }

    /// What runs before and after each round, with its value: objects that have done what they are for as soon as they are there.
    pub(crate) fn hooks(&self, round: usize) -> [(Id, usize); 2] {
        ["hook-before", "hook-after"].map(|name| {
            let id = (
                "ConfigMap".to_owned(),
                self.namespaces[0].clone(),
                name.to_owned(),
            );
            (id, round)
        })
    }

    /// Commits and pushes a round.
    pub(crate) fn commit(&mut self, stage: &Stage, repo: &Repo, round: usize) -> String {
        self.seal(stage, round);
        if round > 0 {
            repo.remove("app");
        }
        let mut fixed = definition().to_string();
        for namespace in &self.namespaces[1..] {
            let _ = write!(
                fixed,
                "\n---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}"
            );
        }
        for (((_, namespace, name), _), when) in self.hooks(round).iter().zip(["Pre", "Post"]) {
            let _ = write!(
                fixed,
                "\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {namespace}, annotations: \
                 {{signet.dev/hook: {when}}}}}\ndata: {{value: \"{round}\"}}"
            );
        }
        repo.write("app/fixed.yaml", fixed);
        let all: Vec<_> = numbers(round).collect();
        for (file, part) in all.chunks(PER_FILE).enumerate() {
            let documents: Vec<_> = part.iter().map(|number| self.document(*number, round)).collect();
            repo.write(&format!("app/{file:02}.yaml"), documents.join("\n---\n"));
        }
        repo.commit(&format!("Round {round}"))
    }

    fn namespace(&self, number: usize) -> &str {
        &self.namespaces[number / 10 % self.namespaces.len()]
    }

    fn document(&self, number: usize, round: usize) -> String {
        let (value, place) = (
            value(number, round),
            json!({"name": name(number), "namespace": self.namespace(number)}),
        );
        let object = |api: &str, rest: (&str, Value)| {
            json!({"apiVersion": api, "kind": kind(number), "metadata": place, rest.0: rest.1}).to_string()
        };
        match kind(number) {
            "ConfigMap" => object("v1", ("data", json!({"value": value.to_string()}))),
            // Headless, and without a selector: nobody makes an EndpointSlice with its labels.
            "Service" => object(
                "v1",
                (
                    "spec",
                    json!({"clusterIP": "None", "ports": [{"port": 1000 + value}]}),
                ),
            ),
            "Deployment" => object(
                "apps/v1",
                (
                    "spec",
                    json!({
                        "replicas": 0, "selector": {"matchLabels": {"app": "none"}},
                        "template": {"metadata": {"labels": {"app": "none"}}, "spec": {
                            "containers": [{"name": "main", "image": format!("none:{value}")}]}},
                    }),
                ),
            ),
            "Widget" => object(&format!("{GROUP}/v1"), ("spec", json!({"size": value}))),
            _ => self.sealed[&(number, value)].clone(),
        }
    }

    /// Seals in one call what this round needs and no round before did.
    fn seal(&mut self, stage: &Stage, round: usize) {
        let missing: Vec<_> = numbers(round)
            .filter(|number| kind(*number) == "Secret")
            .map(|number| (number, value(number, round)))
            .filter(|key| !self.sealed.contains_key(key))
            .collect();
        if missing.is_empty() {
            return;
        }
        let secrets: Vec<_> = missing
            .iter()
            .map(|(number, value)| {
                let value = value.to_string();
                objects::secret(self.namespace(*number), &name(*number), &[("value", &value)])
            })
            .collect();
        let (certificate, list) = (
            self.certificate.to_str().unwrap(),
            objects::list(&secrets).to_string(),
        );
        let sealed = stage
            .cluster
            .signet(["seal", "--output=yaml", "--cert", certificate], &list)
            .ok();
        let documents: Vec<_> = sealed
            .split("\n---")
            .filter(|text| text.contains("SealedSecret"))
            .map(|text| text.trim_start_matches("---").to_owned())
            .collect();
        assert_eq!(documents.len(), missing.len(), "{sealed}");
        self.sealed.extend(missing.into_iter().zip(documents));
    }
}

/// Lets the controller watch the defined kind.
pub(crate) fn observe(stage: &Stage) {
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "observe-crash", "labels": {"signet.dev/aggregate-to-observe": "true"}},
        "rules": [{"apiGroups": [GROUP], "resources": ["*"], "verbs": ["get", "list", "watch"]}],
    });
    let apply = ["apply", "--server-side", "-f", "-"];
    stage.cluster.kubectl_with(apply, &role.to_string()).ok();
}

/// What a live object is, and its value.
pub(crate) fn found(object: &DynamicObject) -> (Id, usize) {
    let kind = object
        .types
        .as_ref()
        .map_or_else(String::new, |types| types.kind.clone());
    let text = |path: &str| match object.data.pointer(path) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let value = match &*kind {
        "ConfigMap" => text("/data/value"),
        "Secret" => BASE64_STANDARD
            .decode(text("/data/value"))
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .unwrap_or_default(),
        "Service" => text("/spec/ports/0/port").split_off(1),
        "Deployment" => text("/spec/template/spec/containers/0/image").replace("none:", ""),
        "Widget" => text("/spec/size"),
        _ => "0".to_owned(),
    };
    let id = (kind, object.namespace().unwrap_or_default(), object.name_any());
    (id, value.parse().unwrap_or(usize::MAX))
}

/// Objects that came to Git with a round, and those that left it.
pub(crate) fn moved<'a>(
    before: &'a BTreeMap<Id, usize>,
    now: &'a BTreeMap<Id, usize>,
) -> [BTreeSet<&'a Id>; 2] {
    let (before, now): (BTreeSet<_>, BTreeSet<_>) = (before.keys().collect(), now.keys().collect());
    [&now - &before, &before - &now]
}

fn numbers(round: usize) -> impl Iterator<Item = usize> {
    (0..AT_A_TIME).map(move |n| (n + round * MOVE) % NUMBERS)
}

fn name(number: usize) -> String {
    format!("object-{number}")
}

fn kind(number: usize) -> &'static str {
    match number % 10 {
        0..=3 => "ConfigMap",
        4 => "Secret",
        5 | 6 => "Service",
        7 | 8 => "Deployment",
        _ => "Widget",
    }
}

/// A third of the objects change with every round.
fn value(number: usize, round: usize) -> usize {
    if number.is_multiple_of(3) { round } else { 0 }
}

fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("widgets.{GROUP}")},
        "spec": {
            "group": GROUP, "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets", "singular": "widget"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}},
            }}}],
        },
    })
}
