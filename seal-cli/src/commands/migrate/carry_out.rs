//! Doing what the plan says: keys first, then nobody writes, then Signet does.

use super::keys;
use super::objects;
use super::plan::{Action, action, shown};
use super::record::Record;
use super::survey::{Object, Survey};
use crate::command_error::CommandError;
use crate::output::show;
use crate::progress::Progress;
use crate::ui::Ui;
use kube::Client;
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
    survey: &Survey,
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
    if let Some(workload) = survey.workload.as_ref().filter(|workload| workload.replicas != 0) {
        let _progress = Progress::start(ui, "stopping Bitnami's controller");
        workload.scale(client, 0).await?;
        ui.status(format!("Stopped Deployment {}.", workload.shown()));
    }
    let is = |object: &&Object, wanted| action(object, remove) == wanted;
    if remove {
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
        let wanted: BTreeSet<_> = survey
            .objects
            .iter()
            .filter(|object| is(object, Action::TakeOver))
            .map(|object| (object.namespace.clone(), object.name.clone()))
            .collect();
        for object in survey
            .objects
            .iter()
            .filter(|object| is(object, Action::TakeOver))
        {
            objects::permit(client, object).await?;
        }
        let _progress = Progress::start(ui, "waiting for Signet to take over");
        let left = objects::taken_over(client, wanted.clone(), patience).await?;
        done.taken = wanted
            .difference(&left)
            .map(|(namespace, name)| format!("{namespace}/{name}"))
            .collect();
        let why = "Signet has not taken it over: does its controller open SealedSecret objects (deploy/sealed-secrets.yaml)?";
        done.left.extend(
            left.iter()
                .map(|(namespace, name)| format!("{namespace}/{name}: {why}")),
        );
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

/// Notes a key that is copied, once.
fn note_key(record: &mut Record, name: &str, path: &Path) -> Result<(), CommandError> {
    if record.keys.iter().any(|known| known == name) {
        return Ok(());
    }
    record.keys.push(name.to_owned());
    record.write(path)
}
