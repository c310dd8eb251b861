//! The audit of a Repository, by its controller, which has the history and the rights to it.

use super::AuditArgs;
use crate::cli::GlobalArgs;
use crate::cluster::{self, ConnectionArgs};
use crate::command_error::CommandError;
use crate::controller::{Answer, Controller};
use crate::progress::Progress;
use crate::ui::Ui;
use audit::{Line, Record};
use form_urlencoded::Serializer;
use sealing::Printable;

const PATH: &str = "/v1/audit";
/// The largest answer that is read; the controller gives none that is larger.
const LARGEST: usize = 9 << 20;
/// Characters of a sentence of the controller's.
const LONGEST: usize = 400;
const DOING: &str = "read the audit of this Repository";

pub(super) fn records(
    args: &AuditArgs,
    ui: &Ui,
    global: &GlobalArgs,
    repository: &str,
) -> Result<Vec<Record>, CommandError> {
    let answer = cluster::block_on(async {
        let connection = ConnectionArgs::default();
        let controller = Controller::ask(&args.controller, &args.caller, global, &connection).await?;
        let _progress = Progress::start(ui, "waiting for the controller to read the history");
        let path = format!("{PATH}?{}", query(args, repository)?);
        let answer = controller.get(&path, LARGEST, DOING).await?;
        match answer.status {
            200 => Ok(answer),
            _ => Err(refusal(&controller, &answer)),
        }
    })??;
    let mut records = Vec::new();
    for line in answer
        .body
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        match serde_json::from_slice(line) {
            Ok(Line::Record(record)) => records.push(*record),
            Ok(Line::Gap(sentence)) => {
                ui.warn(Printable(&sentence), "signet audit in a clone tells all of it");
            }
            Err(_) => {
                return Err(CommandError::user(
                    "the controller tells it otherwise than this version of signet reads it",
                    "take the version of signet that the controller has",
                ));
            }
        }
    }
    Ok(records)
}

fn query(args: &AuditArgs, repository: &str) -> Result<String, CommandError> {
    let mut query = Serializer::new(String::new());
    query.append_pair("repository", repository);
    if let Some(path) = &args.path {
        let path = path.to_str().ok_or_else(|| {
            CommandError::user("the path is not UTF-8", "it is one from the repository's root")
        })?;
        query.append_pair("path", path);
    }
    for (name, value) in [
        ("sync", &args.sync),
        ("secret", &args.secret),
        ("key", &args.key),
        ("since", &args.since),
        ("author", &args.author),
    ] {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    query.append_pair("limit", &args.limit.to_string());
    Ok(query.finish())
}

/// What the controller says itself is shown; else what the API server said in its place.
fn refusal(controller: &Controller, answer: &Answer) -> CommandError {
    let own = !answer.body.starts_with(b"{") && controller.is_somebody();
    let said = String::from_utf8_lossy(&answer.body);
    let said: String = said.trim().chars().take(LONGEST).collect();
    match answer.status {
        403 if own => CommandError::user(
            format!("cannot {DOING}: {}", Printable(&said)),
            "bind the ClusterRole signet-audit to the service account in the Repository's namespace, with a RoleBinding; or ask as \
             another, with --controller-account NAMESPACE/NAME",
        ),
        400 | 404 | 409 | 422 | 503 if own && !said.is_empty() => CommandError::user(
            format!("cannot {DOING}: {}", Printable(&said)),
            "signet audit in a clone needs no controller",
        ),
        _ => controller.refusal(answer, DOING),
    }
}
