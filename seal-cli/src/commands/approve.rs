//! `signet approve`.

use super::plan;
use crate::args::{Format, NamespaceArg, OutputArg, duration};
use crate::cli::GlobalArgs;
use crate::cluster;
use crate::command_error::CommandError;
use crate::progress::Progress;
use crate::syncs::{MANAGER, Syncs, full_name};
use crate::ui::Ui;
use clap::Args;
use crds::{Approval, ApprovalSpec, LocalReference, Mode, Sync};
use jiff::{SignedDuration, Timestamp};
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt as _};
use sealing::Printable;
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;

/// Who approved, by name: for people. What counts is who may create Approvals, and the API server's audit log.
const APPROVED_BY: &str = "signet.dev/approved-by";
/// Characters of the digest in the name of an Approval.
const SHORT: usize = 12;
/// The longest name that Kubernetes takes, in bytes.
const NAME_LIMIT: usize = 253;
const CONFLICT: u16 = 409;

/// Approve what a Sync would do
///
/// Shows the plan, asks, and creates an Approval that names the plan's digest.
/// The controller carries out that plan and no other. Without a terminal, say
/// --yes, or name the digest that was looked at.
///
/// Example: approve what `signet plan` has shown, if it is still that
///
///     signet approve shop --digest 0f1e2d3c4b5a69788796a5b4c3d2e1f0
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct ApproveArgs {
    /// The Sync
    name: String,
    #[command(flatten)]
    place: NamespaceArg,
    /// Approve this plan and no other; then nothing is asked
    #[arg(long, value_name = "DIGEST")]
    digest: Option<String>,
    /// The approval counts for this long, such as 1h [default: for ever]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    expires: Option<Duration>,
    /// Approve whatever the plan is, without asking
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    format: OutputArg,
}

/// The Approval that is there now.
struct Done {
    approval: Approval,
    created: bool,
}

impl ApproveArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        cluster::block_on(self.approve(ui, global))?
    }

    async fn approve(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        let syncs = Syncs::connect(global, self.place.namespace.as_deref()).await?;
        let sync = {
            let _progress = Progress::start(ui, "asking the cluster for the plan");
            syncs.get(&self.name).await?
        };
        let digest = self.agreed(ui, &sync)?;
        let _progress = Progress::start(ui, "approving");
        let Done { approval, created } = self.create(ui, &syncs, &digest).await?;
        let name = approval.name_any();
        match self.format.output {
            Format::Json => ui.write(format!("{:#}\n", self.as_json(&approval, created)))?,
            Format::Table => ui.write(format!("{}\n", Printable(&name)))?,
        }
        if !created {
            ui.status("It was approved already.");
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The digest of the plan that the user agrees to.
    fn agreed(&self, ui: &Ui, sync: &Sync) -> Result<String, CommandError> {
        let full_name = full_name(sync);
        let Some(plan) = plan::known(sync)? else {
            return Err(CommandError::user(
                format!("there is nothing to approve: nothing waits in Sync {full_name}"),
                "`signet plan` shows what waits; an approval is for one plan only",
            ));
        };
        if sync.spec.mode == Mode::Detect {
            return Err(CommandError::user(
                format!("Sync {full_name} only reports (mode Detect), so an approval would do nothing"),
                "set spec.mode to Approval or Automatic first",
            ));
        }
        if !is_digest(&plan.digest) {
            return Err(CommandError::user(
                format!("the plan of Sync {full_name} has no digest to approve"),
                "is the controller as new as this command?",
            ));
        }
        let text = plan::text(ui, sync, plan);
        if let Some(wanted) = &self.digest {
            if *wanted != plan.digest {
                return Err(CommandError::user(
                    format!(
                        "the plan has changed: {} is asked for, and it is {} now",
                        Printable(wanted),
                        plan.digest
                    ),
                    "look at it with `signet plan`, and approve the new digest",
                ));
            }
        } else if !self.yes {
            if !ui.can_ask() {
                return Err(CommandError::user(
                    "there is no terminal to ask whether the plan is approved",
                    format!("--digest {} approves this plan, --yes any", plan.digest),
                ));
            }
            ui.status(text);
            if !ui.confirm("Approve this plan?")? {
                return Err(CommandError::user(
                    "nothing was approved",
                    "answer y to approve, or name the digest with --digest",
                ));
            }
        }
        Ok(plan.digest.clone())
    }

    async fn create(&self, ui: &Ui, syncs: &Syncs, digest: &str) -> Result<Done, CommandError> {
        let expires = self.expires.map(|duration| self.end_of(duration)).transpose()?;
        let spec = ApprovalSpec {
            sync_ref: LocalReference {
                name: self.name.clone(),
            },
            digest: digest.to_owned(),
            expires,
        };
        let mut approval = Approval::new(&approval_name(&self.name, digest), spec);
        if let Some(user) = who_am_i(&syncs.client).await {
            approval.annotations_mut().insert(APPROVED_BY.to_owned(), user);
        } else {
            ui.warn(
                "the API server does not say who you are, so the approval names nobody",
                "`kubectl auth whoami` asks the same",
            );
        }
        let api: Api<Approval> = Api::namespaced(syncs.client.clone(), &syncs.namespace);
        let params = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        };
        match api.create(&params, &approval).await {
            Ok(approval) => Ok(Done {
                approval,
                created: true,
            }),
            Err(kube::Error::Api(status)) if status.code == CONFLICT && status.reason == "AlreadyExists" => {
                self.existing(&api, &approval).await
            }
            Err(err) => Err(cluster::explain(&err, "create the Approval")),
        }
    }

    /// One of this name is there: it has to say the same.
    async fn existing(&self, api: &Api<Approval>, wanted: &Approval) -> Result<Done, CommandError> {
        let name = wanted.name_any();
        let found = api
            .get(&name)
            .await
            .map_err(|err| cluster::explain(&err, "read the Approval"))?;
        let delete = format!("kubectl delete approval {name}, and approve again");
        if found.spec.digest != wanted.spec.digest || found.spec.sync_ref != wanted.spec.sync_ref {
            return Err(CommandError::user(
                format!("there is an Approval {name} already, and it approves something else"),
                delete,
            ));
        }
        let over = |time: &String| {
            time.parse::<Timestamp>()
                .is_ok_and(|time| time <= Timestamp::now())
        };
        if found.spec.expires.as_ref().is_some_and(over) {
            return Err(CommandError::user(
                format!("there is an Approval {name} already, and it has expired"),
                delete,
            ));
        }
        Ok(Done {
            approval: found,
            created: false,
        })
    }

    #[allow(clippy::unused_self)] // it is about the argument
    fn end_of(&self, duration: Duration) -> Result<String, CommandError> {
        let end = SignedDuration::try_from(duration)
            .ok()
            .and_then(|duration| Timestamp::now().checked_add(duration).ok());
        // Whole seconds, as Kubernetes writes times.
        end.map(|time| time.strftime("%FT%TZ").to_string())
            .ok_or_else(|| CommandError::user("--expires is too long", "leave it out for ever"))
    }

    fn as_json(&self, approval: &Approval, created: bool) -> Value {
        json!({
            "namespace": approval.metadata.namespace,
            "name": approval.metadata.name,
            "sync": self.name,
            "digest": approval.spec.digest,
            "expires": approval.spec.expires,
            "approvedBy": approval.annotations().get(APPROVED_BY),
            // False: it was there already.
            "created": created,
        })
    }
}

/// `SYNC-` and the first characters of the digest; a Sync's name that is too long for that is cut.
fn approval_name(sync: &str, digest: &str) -> String {
    let short = digest.get(..SHORT).unwrap_or(digest);
    let room = NAME_LIMIT - SHORT - 1;
    let sync = sync.get(..room).unwrap_or(sync).trim_end_matches(['.', '-']);
    format!("{sync}-{short}")
}

/// As the CRD has it: 32 hex digits.
fn is_digest(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The user's name, as the API server knows it (SelfSubjectReview, Kubernetes 1.28).
async fn who_am_i(client: &Client) -> Option<String> {
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let request = http::Request::post("/apis/authentication.k8s.io/v1/selfsubjectreviews")
        .header("content-type", "application/json")
        .body(review.to_string().into_bytes())
        .ok()?;
    let answer: Value = client.request(request).await.ok()?;
    let name = answer.pointer("/status/userInfo/username")?.as_str()?;
    (!name.is_empty()).then(|| name.to_owned())
}
