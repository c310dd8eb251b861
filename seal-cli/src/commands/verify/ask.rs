//! Asking the controller. It says yes or no; why not is found by asking about the likely reasons.

use super::open::{at_place, here};
use super::{Checked, Said};
use crate::cli::GlobalArgs;
use crate::cluster::{self, ConnectionArgs};
use crate::command_error::CommandError;
use crate::controller::{CallerArgs, Controller, ControllerArgs};
use crate::opening;
use crate::progress::Progress;
use crate::sealed_file::Format;
use crate::ui::Ui;
use serde_json::Value;

/// Reasons that are tried for one object: the controller limits the rate of its answers.
const MOST_REASONS: usize = 8;
const DOING: &str = "verify it with the controller";

pub(super) fn controller(
    ui: &Ui,
    global: &GlobalArgs,
    (args, caller): (&ControllerArgs, &CallerArgs),
    all: &mut [Checked],
    known: &[(String, String)],
) -> Result<(), CommandError> {
    cluster::block_on(async {
        let controller = Controller::ask(args, caller, global, &ConnectionArgs::default())
            .await
            .map_err(|err| {
                err.hint("without --controller nobody is asked; --key FILE takes a private key")
            })?;
        let count = all.len();
        for (number, checked) in all.iter_mut().enumerate() {
            let _progress = Progress::start(ui, format!("asking the controller, {} of {count}", number + 1));
            if opens(&controller, &checked.object.value, false).await? {
                checked.said = Some(Said::Opens);
                continue;
            }
            let reason = reason(&controller, checked, known).await?;
            match &mut checked.said {
                Some(Said::Closed(problems)) => problems.push(reason),
                _ => checked.said = Some(Said::Closed(vec![reason])),
            }
        }
        Ok(())
    })?
}

/// The place that it opens for, by asking.
async fn reason(
    controller: &Controller,
    checked: &Checked,
    known: &[(String, String)],
) -> Result<String, CommandError> {
    let object = &checked.object;
    // An object of the native format says itself what it is sealed for.
    let told = object.format == Format::V2 && checked.seen.iter().any(|seen| seen.fatal);
    let own = (
        object.scope(),
        object.namespace.clone().unwrap_or_default(),
        object.name.clone(),
    );
    let is_here = |place: &opening::Place| {
        place.scope.label(&place.namespace, &place.name) == own.0.label(&own.1, &own.2)
    };
    if !told {
        let others = opening::candidates(object, known).into_iter();
        for place in others.filter(|place| !is_here(place)).take(MOST_REASONS) {
            if opens(controller, &at_place(&object.value, &place), true).await? {
                return Ok(format!(
                    "the controller opens it for {place}, and here it stands as {}",
                    here(object)
                ));
            }
        }
    }
    Ok(
        "the controller does not open it, nor under the likely other names, namespaces and scopes; was it sealed for another \
        cluster, or for a key that is gone?"
            .to_owned(),
    )
}

/// A `guess` may be of a place that is none of the asker's business: then it stays one.
async fn opens(controller: &Controller, object: &Value, guess: bool) -> Result<bool, CommandError> {
    let answer = controller
        .post("/v1/verify", object.to_string().into_bytes(), DOING)
        .await?;
    match answer.status {
        200 => Ok(true),
        409 => Ok(false),
        403 if guess => Ok(false),
        _ => Err(controller.refusal(&answer, DOING)),
    }
}
