//! Doing what the plan says: keys first, then Signet takes over, and only then Bitnami's controller stops.

use super::keys;
use super::objects;
use super::plan::{Action, action, shown};
use super::record::Record;
use super::survey::{Object, Survey};
use super::workload::Workload;
use crate::command_error::CommandError;
use crate::output::show;
use crate::progress::Progress;
use crate::ui::Ui;
use kube::Client;
use sealing::Printable;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// How far it goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// Keys are copied.
    Keys,
    /// And Signet stands in the place of Bitnami's controller.
    TakeOver,
    /// Or the SealedSecret objects go, and their Secrets stay.
    Removal,
}

/// What came of it.
pub(super) struct Done {
    pub(super) keys: Vec<String>,
    pub(super) taken: Vec<String>,
    pub(super) removed: Vec<String>,
    /// What is not as it was meant to be.
    pub(super) left: Vec<String>,
    pub(super) record: String,
}

pub(super) async fn carry_out(
    ui: &Ui,
    client: &Client,
    survey: &mut Survey,
    mut record: Record,
    path: &Path,
    extent: Extent,
    patience: Duration,
) -> Result<Done, CommandError> {
    let remove = extent == Extent::Removal;
    if remove {
        record.note_removals(survey);
    }
    record.write(path)?;
    let mut done = Done {
        keys: Vec::new(),
        taken: Vec::new(),
        removed: Vec::new(),
        left: Vec::new(),
        record: show(path),
    };
    for key in survey.keys.iter().filter(|key| key.is_wanted()) {
        note_key(&mut record, &key.name, path)?;
        let name = keys::copy(client, key, &survey.ours).await?;
        note_key(&mut record, &name, path)?;
        ui.status(format!("Copied key {} to {}/{name}.", key.name, survey.ours));
        done.keys.push(name);
    }
    if extent == Extent::Keys {
        return Ok(done);
    }
    let is = |object: &&Object, wanted| action(object, remove) == wanted;
    let runs = survey.workload.clone().filter(|workload| workload.replicas != 0);
    if remove {
        if let Some(workload) = &runs {
            // Of the others Signet has said nothing: their Secrets stay, and a Sync goes on with them.
            let kept_up = survey.objects.iter().filter(|object| is(object, Action::Remove));
            let kept_up: Vec<&Object> = kept_up.filter(|object| object.touched).collect();
            let left = proven(ui, client, &kept_up, patience).await?;
            if !left.is_empty() {
                done.left.extend(said_nothing(&left));
                done.left.push(still_runs(workload));
                return Ok(done);
            }
            for object in survey.objects.iter_mut().filter(|object| object.touched) {
                object.taken |= action(object, remove) == Action::Remove;
            }
            stop(ui, client, workload).await?;
        }
        let (wanted, busy): (Vec<&Object>, Vec<&Object>) = survey
            .objects
            .iter()
            .filter(|object| is(object, Action::Remove))
            .partition(|object| object.taken || !object.touched);
        // It might set an owner at this very moment, which would be gone in the next.
        let at_work =
            "Signet is at work on it, and has not taken it over: do that first, without --remove-objects";
        done.left
            .extend(busy.iter().map(|object| format!("{}: {at_work}", shown(object))));
        let kept = {
            let _progress = Progress::start(ui, "having Signet let go of the Secrets");
            objects::let_go(client, &wanted, patience).await?
        };
        for (number, object) in wanted.iter().enumerate() {
            let _progress = Progress::start(
                ui,
                format!("removing SealedSecrets, {} of {}", number + 1, wanted.len()),
            );
            if kept.contains(&(object.namespace.clone(), object.name.clone())) {
                let why = "Signet did not let go of its Secret in time; is its controller running?";
                done.left.push(format!("{}: {why}", shown(object)));
                continue;
            }
            // One that fails is told with the others: it is still there, and so is its Secret.
            match objects::remove(client, object).await {
                Ok(true) => done.removed.push(shown(object)),
                Ok(false) => done.left.push(format!("{}: {at_work}", shown(object))),
                Err(err) => done.left.push(format!("{}: {}", shown(object), err.message())),
            }
        }
    } else {
        // While Bitnami's controller runs, what Signet is said to keep up is asked about as well: it may be long ago.
        let wanted: Vec<&Object> = survey
            .objects
            .iter()
            .filter(|object| is(object, Action::TakeOver) || (runs.is_some() && is(object, Action::None)))
            .collect();
        for object in &wanted {
            objects::permit(client, object).await?;
        }
        let left = proven(ui, client, &wanted, patience).await?;
        let taken = wanted
            .iter()
            .filter(|object| !left.contains(&(object.namespace.clone(), object.name.clone())));
        done.taken = taken.map(|object| shown(object)).collect();
        done.left.extend(said_nothing(&left));
        match &runs {
            // Whoever keeps the Secrets up now goes on with it.
            Some(workload) if !left.is_empty() => {
                done.left.push(still_runs(workload));
                return Ok(done);
            }
            Some(workload) => stop(ui, client, workload).await?,
            None => {}
        }
    }
    if let Some(workload) = &survey.workload
        && workload.replicas(client).await? != 0
    {
        done.left.push(format!(
            "Deployment {} runs again: whoever applies it (Helm, Flux, Argo CD) has to let go of it",
            workload.shown()
        ));
    }
    Ok(done)
}

/// Waits until Signet says of all of these that it keeps their Secrets up, and says so now. Gives those of which it does not.
async fn proven(
    ui: &Ui,
    client: &Client,
    wanted: &[&Object],
    patience: Duration,
) -> Result<BTreeSet<(String, String)>, CommandError> {
    let _progress = Progress::start(ui, "waiting for Signet to take over");
    for object in wanted.iter().filter(|object| object.touched) {
        objects::ask_again(client, object).await?;
    }
    let places = wanted
        .iter()
        .map(|object| (object.namespace.clone(), object.name.clone()));
    objects::taken_over(client, places.collect(), patience).await
}

fn said_nothing(left: &BTreeSet<(String, String)>) -> impl Iterator<Item = String> {
    left.iter().map(|(namespace, name)| {
        format!(
            "{}/{}: Signet does not say that it keeps its Secret up: is its controller running, and does it open SealedSecret \
             objects (deploy/sealed-secrets.yaml)?",
            Printable(namespace),
            Printable(name)
        )
    })
}

async fn stop(ui: &Ui, client: &Client, workload: &Workload) -> Result<(), CommandError> {
    let _progress = Progress::start(ui, "stopping Bitnami's controller");
    workload.scale(client, 0).await?;
    ui.status(format!("Stopped Deployment {}.", workload.shown()));
    Ok(())
}

fn still_runs(workload: &Workload) -> String {
    format!("Deployment {} was not stopped, and goes on", workload.shown())
}

/// Notes a key that is copied, once.
fn note_key(record: &mut Record, name: &str, path: &Path) -> Result<(), CommandError> {
    if record.keys.iter().any(|known| known == name) {
        return Ok(());
    }
    record.keys.push(name.to_owned());
    record.write(path)
}
