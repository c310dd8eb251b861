//! What Signet keeps of itself in the repository: `PATH/signet/`, from this binary where the repository has none.

use super::login::{Login, SECRET};
use crate::command_error::CommandError;
use crate::git::{self, publish};
use manifest::{Limits, Manifest, Origin, manifests, read_stream, write_yaml};
use sealing::Printable;
use serde_json::{Value, json};
use std::path::Path;

/// The directory below the cluster's path.
const DIRECTORY: &str = "signet";
/// The name of the Repository and the Sync.
pub(super) const NAME: &str = "signet";
/// The controller's namespace in the install manifest.
pub(super) const NAMESPACE: &str = "signet-system";
/// The account of the platform team there.
const ACCOUNT: &str = "signet-platform";
const IMAGE: &str = "image: signet-controller:0.1.0";

const INSTALL: &str = include_str!("../../../../deploy/install.yaml");
const SEALED_SECRETS: &str = include_str!("../../../../deploy/sealed-secrets.yaml");

/// What is asked for.
pub(super) struct Wish<'a> {
    /// Where the controller finds the repository.
    pub(super) url: &'a str,
    pub(super) branch: &'a str,
    /// The cluster's path in it.
    pub(super) path: &'a str,
    pub(super) login: &'a Login,
    pub(super) image: Option<&'a str>,
    /// Whether it stands in the place of Bitnami's controller, too.
    pub(super) sealed_secrets: bool,
    /// Whether the files of an older version give way.
    pub(super) upgrade: bool,
}

/// The repository as it will be.
pub(super) struct Files {
    /// `PATH/signet`.
    pub(super) directory: String,
    /// To be committed: path and text.
    pub(super) new: Vec<(String, String)>,
    /// Every object of the directory that can be applied as it is.
    pub(super) objects: Vec<Manifest>,
    /// The Secret that the Repository logs in with, if it names one.
    pub(super) secret: Option<String>,
    /// Whether the controller makes a deploy key.
    pub(super) deploy_key: bool,
}

impl Files {
    /// What the last commit holds, and what it lacks.
    pub(super) fn plan(top: &Path, wish: &Wish<'_>) -> Result<Self, CommandError> {
        let directory = match wish.path {
            "." => DIRECTORY.to_owned(),
            path => format!("{path}/{DIRECTORY}"),
        };
        let there = publish::files_at_head(top, &directory);
        let mut new = Vec::new();
        let mut own = vec![
            ("crds.yaml", definitions()?),
            ("install.yaml", install(wish.image)?),
        ];
        if wish.sealed_secrets {
            own.push(("sealed-secrets.yaml", SEALED_SECRETS.to_owned()));
        }
        let sync = format!("{directory}/sync.yaml");
        for (name, text) in own {
            let path = format!("{directory}/{name}");
            let held = git::at_head(top, &path);
            let keeps = held.is_some() && !wish.upgrade;
            if !keeps && held.as_deref() != Some(text.as_bytes()) {
                new.push((path, text));
            }
        }
        if !there.contains(&sync) {
            new.push((sync.clone(), sync_of(wish)));
        }
        let mut objects = Vec::new();
        for path in there
            .iter()
            .filter(|path| !new.iter().any(|(name, _)| name == *path))
        {
            let is_manifest = [".yaml", ".yml", ".json"].iter().any(|end| path.ends_with(end));
            if let Some(bytes) = git::at_head(top, path).filter(|_| is_manifest) {
                read(path, &bytes, &mut objects)?;
            }
        }
        for (path, text) in &new {
            read(path, text.as_bytes(), &mut objects)?;
        }
        let repository = named(&objects, "Repository").ok_or_else(|| lacks(&sync, "Repository"))?;
        let spec = &repository.object["spec"];
        let text = |pointer: &str| spec.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let (secret, deploy_key) = (text("/secretRef/name"), spec.get("deployKey").is_some());
        if text("/ref/branch").as_deref().unwrap_or("main") != wish.branch {
            return Err(CommandError::user(
                format!(
                    "{} follows another branch than {}",
                    Printable(&sync),
                    Printable(wish.branch)
                ),
                "check out the branch that it follows",
            ));
        }
        if matches!(wish.login, Login::Secret(_)) && secret.as_deref() != Some(SECRET) {
            return Err(CommandError::user(
                format!(
                    "the Repository in {} does not log in with Secret {SECRET}",
                    Printable(&sync)
                ),
                "change spec.secretRef there, or leave the --git flags out",
            ));
        }
        let synced = named(&objects, "Sync").ok_or_else(|| lacks(&sync, "Sync"))?;
        let path = synced.object.pointer("/spec/path").and_then(Value::as_str);
        if path.map(git::tree_path) != Some(wish.path) {
            return Err(CommandError::user(
                format!(
                    "the Sync in {} applies another path than {}",
                    Printable(&sync),
                    Printable(wish.path)
                ),
                "--path is the directory that this cluster's Sync applies",
            ));
        }
        Ok(Self {
            directory,
            new,
            objects,
            secret,
            deploy_key,
        })
    }
}

fn lacks(file: &str, kind: &str) -> CommandError {
    CommandError::user(
        format!("{} holds no {kind} {NAMESPACE}/{NAME}", Printable(file)),
        "remove the file from the repository: it is written anew",
    )
}

fn named<'a>(objects: &'a [Manifest], kind: &str) -> Option<&'a Manifest> {
    objects.iter().find(|found| {
        found.id.gvk.is(crds::GROUP, kind)
            && found.id.name == NAME
            && found.id.namespace.as_deref() == Some(NAMESPACE)
    })
}

/// Every kind that this version knows.
fn definitions() -> Result<String, CommandError> {
    let all = crds::all().into_iter();
    let values = all.map(|(_, definition)| serde_json::to_value(definition));
    let values = values.collect::<Result<Vec<Value>, _>>();
    values
        .map(|values| write_yaml(&values))
        .map_err(|_| CommandError::internal("a definition is no JSON"))
}

fn install(image: Option<&str>) -> Result<String, CommandError> {
    let Some(image) = image else {
        return Ok(INSTALL.to_owned());
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "./:@_-".contains(c);
    if image.is_empty() || !image.chars().all(plain) {
        return Err(CommandError::user(
            format!("`{}` is not the name of an image", Printable(image)),
            "--image takes a name such as registry.example.com/signet-controller:0.1.0",
        ));
    }
    Ok(INSTALL.replace(IMAGE, &format!("image: {image}")))
}

/// The Repository and the Sync, which applies itself with the rest.
fn sync_of(wish: &Wish<'_>) -> String {
    let metadata =
        |annotations: Value| json!({"name": NAME, "namespace": NAMESPACE, "annotations": annotations});
    let api = format!("{}/{}", crds::GROUP, crds::VERSION);
    let mut spec = json!({"url": wish.url, "ref": {"branch": wish.branch}});
    wish.login.write(&mut spec);
    let kept = json!({crds::annotation::PRUNE: "disabled"});
    // It cannot wait for its own being ready.
    let own = json!({crds::annotation::PRUNE: "disabled", "signet.dev/health": "ignore"});
    let texts = write_yaml(&[
        json!({"apiVersion": api, "kind": "Repository", "metadata": metadata(kept), "spec": spec}),
        json!({"apiVersion": api, "kind": "Sync", "metadata": metadata(own), "spec": {
            "sourceRef": {"name": NAME}, "path": wish.path, "serviceAccountName": ACCOUNT,
        }}),
    ]);
    format!("# Made by `signet bootstrap`: this cluster's way to Git. Yours from now on.\n{texts}")
}

/// Reads the objects of a file. SealedSecrets are the Sync's to open.
fn read(path: &str, bytes: &[u8], objects: &mut Vec<Manifest>) -> Result<(), CommandError> {
    let limits = Limits::default();
    let refused = |what: String| {
        CommandError::user(
            format!("{}: {}", Printable(path), Printable(&what)),
            "mend the file in the repository, or remove it: what is missing is written anew",
        )
    };
    let documents = read_stream(bytes, &limits).map_err(|err| refused(err.to_string()))?;
    for document in documents {
        let value = document.value.map_err(|err| refused(err.to_string()))?;
        let origin = Origin {
            file: path.into(),
            document: document.number,
            item: None,
            line: document.line,
        };
        for found in manifests(value, &origin, &limits) {
            let found = found.map_err(|err| refused(err.to_string()))?;
            if found.id.gvk.kind != "SealedSecret" {
                objects.push(found);
            }
        }
    }
    Ok(())
}
