//! Waiting until the cluster has synced itself: the controller runs, the Repository is read, the Sync is ready.

use super::files::{NAME, NAMESPACE};
use crate::args::human;
use crate::cli::GlobalArgs;
use crate::cluster::Cluster;
use crate::command_error::CommandError;
use crate::commands::wait::Goal;
use crate::commands::wait::revision::Wanted;
use crate::commands::wait::verdict::{self, Verdict};
use crate::follow::{Seen, follow};
use crate::git;
use crate::progress::Progress;
use crate::ui::Ui;
use crds::{ConditionStatus, Repository, Sync, condition};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, Client};
use sealing::Printable;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The Deployment of the install manifest.
pub(super) const DEPLOYMENT: &str = "signet-controller";

/// What is waited for, and how long.
pub(super) struct Arrival<'a> {
    ui: &'a Ui,
    client: Client,
    deadline: Instant,
    timeout: Duration,
}

impl<'a> Arrival<'a> {
    pub(super) async fn new(
        ui: &'a Ui,
        global: &GlobalArgs,
        timeout: Duration,
    ) -> Result<Self, CommandError> {
        let deadline = Instant::now().checked_add(timeout);
        Ok(Self {
            ui,
            client: Cluster::connect_to_watch(global).await?.client,
            deadline: deadline
                .ok_or_else(|| CommandError::user("--timeout is too long", "give some days at most"))?,
            timeout,
        })
    }

    /// Until the controller's Deployment is available.
    pub(super) async fn controller(&self) -> Result<(), CommandError> {
        let _progress = Progress::start(self.ui, "waiting for the controller to run");
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), NAMESPACE);
        let mut last = "it is not there".to_owned();
        let judge = |deployment: &Deployment| {
            if is_available(deployment) {
                return Ok(());
            }
            let conditions = deployment
                .status
                .iter()
                .flat_map(|status| status.conditions.iter().flatten());
            let mut messages = conditions.filter(|found| found.status == "False");
            let message = messages.find_map(|found| found.message.clone());
            Err(message.unwrap_or_else(|| "its Pods have not started".to_owned()))
        };
        let waiting = self.until(
            &api,
            DEPLOYMENT,
            "watch the controller's Deployment",
            &mut last,
            judge,
        );
        if self.in_time(waiting).await? {
            return Ok(());
        }
        Err(self.late(
            &format!("the controller does not run: {}", Printable(&last)),
            "kubectl -n signet-system describe pods says why; --upgrade --image NAME installs another image",
        ))
    }

    /// Until the Repository holds the commit. A deploy key that the host does not know yet is handed to `show`.
    pub(super) async fn repository(
        &self,
        commit: &str,
        top: &Path,
        mut show: impl FnMut(&str),
    ) -> Result<(), CommandError> {
        let _progress = Progress::start(self.ui, "waiting for the Repository to be read");
        let api: Api<Repository> = Api::namespaced(self.client.clone(), NAMESPACE);
        let mut last = "the controller has not looked at it".to_owned();
        let mut said = String::new();
        let judge = |repository: &Repository| {
            let Some(status) = &repository.status else {
                return Err("the controller has not looked at it".to_owned());
            };
            let held = status
                .head
                .as_ref()
                .is_some_and(|head| head.commit == commit || git::is_ancestor(top, commit, &head.commit));
            let mut conditions = status.conditions.iter();
            let ready = conditions.find(|found| found.type_ == condition::READY);
            if held && ready.is_some_and(|ready| ready.status == ConditionStatus::True) {
                return Ok(());
            }
            if let Some(key) = &status.deploy_key
                && ready.is_some_and(|ready| ready.reason == "KeyRefused")
            {
                show(&key.public_key);
            }
            let message = ready.map(|ready| ready.message.clone()).unwrap_or_default();
            if message != said && ready.is_some_and(|ready| ready.status == ConditionStatus::False) {
                self.ui
                    .status(format!("Repository {NAME}: {}", Printable(&message)));
                said.clone_from(&message);
            }
            Err(message)
        };
        let waiting = self.until(&api, NAME, "watch the Repository", &mut last, judge);
        if self.in_time(waiting).await? {
            return Ok(());
        }
        Err(self.late(
            &format!("the Repository is not read: {}", Printable(&last)),
            "mend what it says, and run the same command again",
        ))
    }

    /// Until the Sync is ready as of the commit.
    pub(super) async fn sync(&self, commit: &str, top: &Path) -> Result<Sync, CommandError> {
        let _progress = Progress::start(self.ui, "waiting for the cluster to sync itself");
        let api: Api<Sync> = Api::namespaced(self.client.clone(), NAMESPACE);
        let mut wanted = Wanted::in_clone(commit, top);
        let mut last = String::new();
        let mut judge = |sync: &Sync, last: &mut String| match verdict::of(
            sync,
            Goal::Ready,
            Some(&mut wanted),
        ) {
            Verdict::Done => ControlFlow::Break(Ok(sync.clone())),
            Verdict::Failed(why) => ControlFlow::Break(Err(CommandError::user(
                format!("the Sync will not become ready by itself: {why}"),
                "`signet status signet -n signet-system` shows each failure with what to do; mend it in Git",
            ))),
            Verdict::Waiting(why) => {
                if why != *last && self.ui.shows_progress() {
                    self.ui.status(format!("Sync {NAME}: {why}"));
                }
                *last = why;
                ControlFlow::Continue(())
            }
        };
        let fields = format!("metadata.name={NAME}");
        let watching = follow(&api, Some(&fields), "watch the Sync", |seen| match seen {
            Seen::All(all) => all
                .first()
                .map_or(ControlFlow::Continue(()), |sync| judge(sync, &mut last)),
            Seen::One(sync) => judge(&sync, &mut last),
            Seen::Gone(_) => ControlFlow::Continue(()),
        });
        match timeout_at(self.deadline, watching).await {
            Ok(ended) => ended?,
            Err(_) => Err(self.late(
                &format!("the Sync is not ready: {last}"),
                "`signet status signet -n signet-system` shows what is known; --timeout waits longer",
            )),
        }
    }

    async fn until<K>(
        &self,
        api: &Api<K>,
        name: &str,
        doing: &str,
        last: &mut String,
        mut judge: impl FnMut(&K) -> Result<(), String>,
    ) -> Result<(), CommandError>
    where
        K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
    {
        let fields = format!("metadata.name={name}");
        let mut look = |object: &K| match judge(object) {
            Ok(()) => ControlFlow::Break(()),
            Err(why) => {
                *last = why;
                ControlFlow::Continue(())
            }
        };
        follow(api, Some(&fields), doing, |seen| match seen {
            Seen::All(all) => all.first().map_or(ControlFlow::Continue(()), &mut look),
            Seen::One(object) => look(&object),
            Seen::Gone(_) => ControlFlow::Continue(()),
        })
        .await
    }

    async fn in_time(
        &self,
        waiting: impl Future<Output = Result<(), CommandError>>,
    ) -> Result<bool, CommandError> {
        match timeout_at(self.deadline, waiting).await {
            Ok(ended) => ended.map(|()| true),
            Err(_) => Ok(false),
        }
    }

    fn late(&self, what: &str, hint: &str) -> CommandError {
        CommandError::not_ready(format!("{what} (after {})", human(self.timeout)), hint)
    }
}

/// Whether the controller's Deployment, as it is wanted now, has a Pod that is ready.
pub(super) fn is_available(deployment: &Deployment) -> bool {
    let generation = deployment.metadata.generation.unwrap_or(0);
    deployment.status.as_ref().is_some_and(|status| {
        status.observed_generation.unwrap_or(0) >= generation
            && status.updated_replicas.unwrap_or(0) >= 1
            && status.available_replicas.unwrap_or(0) >= 1
    })
}
