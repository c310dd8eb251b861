//! `signet keys usage`.

use super::stored;
use crate::args::{Format as Output, OutputArg};
use crate::cli::GlobalArgs;
use crate::cluster::{self, Cluster, ConnectionArgs};
use crate::command_error::CommandError;
use crate::controller::{CallerArgs, Controller, ControllerArgs};
use crate::kinds;
use crate::opening::{self, Outcome};
use crate::private_keys::PrivateKeyArgs;
use crate::progress::Progress;
use crate::repo_config::{self, RepoConfig};
use crate::repo_files;
use crate::sealed_file::{Format, SealedFile, SealedObject};
use crate::syncs::PAGE;
use crate::table::{self, Cell};
use crate::ui::{Style, Ui};
use clap::Args;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, ListParams};
use manifest::Path as Way;
use sealing::v1::Shape;
use sealing::{KeyRing, Printable, v2};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Show which key each sealed value is sealed for
///
/// Values of the native format say it themselves. Those of format v1 do not:
/// without a private key only the size of the key can be seen. With --controller
/// the controller is asked, object by object, and no private key leaves it. With
/// --cluster-keys the cluster's private keys are read (it takes the right to read
/// their Secrets), used here and forgotten; with --key those of a file.
///
/// Without PATH it takes what Git follows. --cluster takes the SealedSecrets that
/// are in the cluster too.
///
/// Exit codes: 0 every value has a key; 1 some value has none.
///
/// Example: what keeps an old key alive
///
///     signet keys usage --cluster --controller
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct UsageArgs {
    /// Files and directories to look at
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Look at the SealedSecrets in the cluster too
    #[arg(long)]
    cluster: bool,
    /// Find the keys of format v1 out with the cluster's private keys
    #[arg(long)]
    cluster_keys: bool,
    /// Find them out by asking the controller
    #[arg(long = "controller", conflicts_with_all = ["cluster_keys", "private_keys"])]
    ask_controller: bool,
    #[command(flatten)]
    private: PrivateKeyArgs,
    #[command(flatten)]
    output: OutputArg,
    #[command(flatten)]
    controller: ControllerArgs,
    #[command(flatten)]
    caller: CallerArgs,
}

/// The values of one key.
#[derive(Default)]
struct Users {
    values: Vec<(String, String, String)>,
    bad: bool,
}

impl UsageArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        let mut objects = self.in_git()?;
        let mut ring = if self.ask_controller {
            None
        } else {
            self.private.read()?.map(|keys| keys.ring)
        };
        if self.cluster || self.cluster_keys {
            let (live, keys) = cluster::block_on(self.in_cluster(global))??;
            objects.extend(live);
            if self.cluster_keys {
                ring = Some(keys);
            }
        }
        let told = if self.ask_controller {
            cluster::block_on(self.told(ui, global, &objects))??
        } else {
            BTreeMap::new()
        };
        let mut users: BTreeMap<String, Users> = BTreeMap::new();
        for (index, (place, object)) in objects.iter().enumerate() {
            let found = match told.get(&index) {
                Some(told) => told_keys(object, told),
                None => keys_of(object, ring.as_ref()),
            };
            for (key, sealed_for, bad) in found {
                let entry = users.entry(sealed_for).or_default();
                entry.bad |= bad;
                entry.values.push((object.shown(), key, place.clone()));
            }
        }
        self.print(ui, &users)?;
        Ok(ExitCode::from(u8::from(users.values().any(|users| users.bad))))
    }

    fn in_git(&self) -> Result<Vec<(String, SealedObject)>, CommandError> {
        let top = repo_config::top_of(self.paths.first().map_or(Path::new("."), PathBuf::as_path));
        let config = match &top {
            Some(top) => RepoConfig::read(top)?,
            None => RepoConfig::default(),
        };
        let mut objects = Vec::new();
        if top.is_none() && self.paths.is_empty() && self.cluster {
            return Ok(objects);
        }
        for text in repo_files::read(top.as_deref(), &self.paths, false, &config.lint)? {
            if text.is_manifest() && text.bytes.windows(12).any(|word| word == b"SealedSecret") {
                let file = SealedFile::parse(Path::new(&text.name), &text.bytes)?;
                objects.extend(file.objects.into_iter().map(|object| (text.name.clone(), object)));
            }
        }
        Ok(objects)
    }

    /// What the controller says of each object of format v1.
    async fn told(
        &self,
        ui: &Ui,
        global: &GlobalArgs,
        objects: &[(String, SealedObject)],
    ) -> Result<BTreeMap<usize, Told>, CommandError> {
        let doing = "find out which keys are used";
        let mut told = BTreeMap::new();
        let asked: Vec<_> = objects
            .iter()
            .enumerate()
            .filter(|(_, (_, object))| object.format == Format::V1)
            .collect();
        if asked.is_empty() {
            return Ok(told);
        }
        let controller =
            Controller::ask(&self.controller, &self.caller, global, &ConnectionArgs::default()).await?;
        for (number, (index, (_, object))) in asked.iter().enumerate() {
            let _progress = Progress::start(
                ui,
                format!("asking the controller, {} of {}", number + 1, asked.len()),
            );
            let body = object.value.to_string().into_bytes();
            let answer = controller.post("/v1/usage", body, doing).await?;
            match answer.status {
                200 => {
                    let answer: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                    let values = answer.get("values").and_then(Value::as_object).cloned();
                    told.insert(*index, values.unwrap_or_default());
                }
                // Not an object that could be opened at all.
                409 => {}
                _ => return Err(controller.refusal(&answer, doing)),
            }
        }
        Ok(told)
    }

    async fn in_cluster(
        &self,
        global: &GlobalArgs,
    ) -> Result<(Vec<(String, SealedObject)>, KeyRing), CommandError> {
        let cluster = Cluster::connect(global).await?;
        let mut objects = Vec::new();
        if self.cluster {
            let catalog = kinds::catalog(&cluster.client).await?;
            for (group, format) in [("bitnami.com", Format::V1), ("signet.dev", Format::V2)] {
                if catalog.resolve(group, "v1alpha1", "SealedSecret").is_none() {
                    continue;
                }
                let resource = ApiResource {
                    group: group.to_owned(),
                    version: "v1alpha1".to_owned(),
                    api_version: format!("{group}/v1alpha1"),
                    kind: "SealedSecret".to_owned(),
                    plural: "sealedsecrets".to_owned(),
                };
                let api: Api<DynamicObject> = Api::all_with(cluster.client.clone(), &resource);
                let mut params = ListParams::default().limit(PAGE);
                loop {
                    let page = api.list(&params).await;
                    let page = page.map_err(|err| cluster::explain(&err, "list SealedSecrets"))?;
                    for object in page.items {
                        objects.push(("the cluster".to_owned(), of_cluster(&object, format, &resource)?));
                    }
                    match page.metadata.continue_ {
                        Some(token) if !token.is_empty() => params.continue_token = Some(token),
                        _ => break,
                    }
                }
            }
        }
        let ring = if self.cluster_keys {
            stored::ring(&stored::secrets(&cluster.client, self.controller.namespace()).await?)
        } else {
            KeyRing::new([])
        };
        Ok((objects, ring))
    }

    fn print(&self, ui: &Ui, users: &BTreeMap<String, Users>) -> Result<(), CommandError> {
        if self.output.output == Output::Json {
            let all: Vec<Value> = users
                .iter()
                .map(|(key, users)| {
                    let values: Vec<Value> = users
                        .values
                        .iter()
                        .map(|(object, key, place)| json!({"object": object, "key": key, "place": place}))
                        .collect();
                    json!({"sealedFor": key, "values": values})
                })
                .collect();
            return Ok(ui.write(format!("{:#}\n", Value::from(all)))?);
        }
        let rows: Vec<Vec<Cell>> = users
            .iter()
            .flat_map(|(sealed_for, users)| {
                users.values.iter().map(move |(object, key, place)| {
                    let sealed_for = if users.bad {
                        Cell::styled(sealed_for, Style::Bad)
                    } else {
                        Cell::new(sealed_for)
                    };
                    vec![sealed_for, Cell::new(object), Cell::new(key), Cell::new(place)]
                })
            })
            .collect();
        Ok(ui.write(table::render(
            ui,
            &["SEALED FOR", "OBJECT", "VALUE", "PLACE"],
            &rows,
        ))?)
    }
}

/// An object of a list, whose items do not say of which kind they are.
fn of_cluster(
    object: &DynamicObject,
    format: Format,
    resource: &ApiResource,
) -> Result<SealedObject, CommandError> {
    let mut value = serde_json::to_value(object)
        .map_err(|err| CommandError::internal(format!("an object is no JSON: {err}")))?;
    value["apiVersion"] = resource.api_version.as_str().into();
    value["kind"] = resource.kind.as_str().into();
    Ok(SealedObject::new(1, 1, &Way::default(), format, &value))
}

/// The key of each value, as the controller says.
type Told = serde_json::Map<String, Value>;

/// The same as `keys_of`, where the controller was asked.
fn told_keys(object: &SealedObject, told: &Told) -> Vec<(String, String, bool)> {
    let all = object.sealed().into_iter().map(|(key, _)| {
        let by = told.get(key).and_then(Value::as_str);
        let sealed_for = by.unwrap_or("no key of the controller");
        (key.to_owned(), Printable(sealed_for).to_string(), by.is_none())
    });
    all.collect()
}

/// Each value's key name, the key that it is sealed for, and whether none was found.
fn keys_of(object: &SealedObject, ring: Option<&KeyRing>) -> Vec<(String, String, bool)> {
    if object.format == Format::V2 {
        let Ok(parsed) = v2::SealedSecret::parse(&object.value) else {
            return vec![("?".to_owned(), "damaged".to_owned(), true)];
        };
        return parsed
            .outline()
            .flat_map(|(key, outline)| {
                let ids = outline.recipients.iter().map(|id| id.as_str().to_owned());
                ids.map(|id| (key.to_owned(), id, false)).collect::<Vec<_>>()
            })
            .collect();
    }
    let all = object.sealed().into_iter().map(|(key, sealed)| {
        let (sealed_for, bad) = match (Shape::of(sealed), ring) {
            (Err(_), _) => ("damaged".to_owned(), true),
            (Ok(shape), None) => (format!("a key of {} bits", shape.key_bits), false),
            (Ok(_), Some(ring)) => match opening::open(ring, object, sealed, &[]) {
                Outcome::Opened { by, .. } => (by.as_str().to_owned(), false),
                Outcome::Elsewhere(place) => (format!("another place: {place}"), true),
                Outcome::Closed(_) => ("none of these keys".to_owned(), true),
            },
        };
        (key.to_owned(), sealed_for, bad)
    });
    all.collect()
}
