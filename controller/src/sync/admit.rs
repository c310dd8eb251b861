//! What has to be so before a Sync is looked at: its spec can be followed, its account exists, its request is answered.

use super::policy::Policy;
use super::windows::Windows;
use super::worker::Worker;
use crds::Sync;

impl Worker {
    /// What the schema cannot check of a spec, once for each of its generations. Health rules are told to the watches.
    pub(super) fn check_spec(&mut self, sync: &Sync, generation: i64) -> Result<(), String> {
        if self.checked == Some(generation) {
            return Ok(());
        }
        Policy::of(&sync.spec).map_err(|error| format!("{}: {}.", error.field, error.message))?;
        Windows::parse(&sync.spec.windows).map_err(|error| format!("{error}."))?;
        if let Some(pin) = &sync.spec.pin
            && pin.until.parse::<jiff::Timestamp>().is_err()
        {
            return Err("spec.pin.until: write a time such as 2026-12-24T18:00:00Z.".to_owned());
        }
        for (field, text) in [
            ("timeout", &sync.spec.timeout),
            ("driftTimeout", &sync.spec.drift_timeout),
        ] {
            crate::duration::parse(text).map_err(|error| format!("spec.{field}: {error}."))?;
        }
        let specs: Vec<_> = sync
            .spec
            .health_checks
            .iter()
            .map(|check| health::RuleSpec {
                group: &check.group,
                kind: &check.kind,
                in_progress: check.in_progress.as_deref(),
                failed: check.failed.as_deref(),
                current: Some(&check.current),
            })
            .collect();
        let rules = health::Rules::compile(&specs).map_err(|error| {
            format!(
                "spec.healthChecks[{}].{}: {}.",
                error.index, error.field, error.message
            )
        })?;
        self.rooms
            .observer
            .rules(&self.id.manager, (!specs.is_empty()).then_some(rules));
        self.checked = Some(generation);
        Ok(())
    }

    /// A request is about the remote's newest commit: whether the look at the remote that it asks for is still to come.
    /// Its end wakes this worker.
    pub(super) fn awaits_look(&mut self, sync: &Sync, request: &str) -> bool {
        let repository = (self.id.namespace.to_string(), sync.spec.source_ref.name.clone());
        let heads = &self.rooms.context.heads;
        if self.asked.as_ref().is_none_or(|(asked, _)| asked != request) {
            self.asked = heads.look(&repository).map(|number| (request.to_owned(), number));
        }
        // Without a Repository there is nothing to look at, and nothing to wait for.
        self.asked
            .as_ref()
            .is_some_and(|(_, number)| heads.looks(&repository).is_some_and(|looks| looks < *number))
    }

    /// A Sync without its service account is a refusal: the API server lets anybody with the right impersonate one that
    /// does not exist.
    pub(super) async fn admit(&self, sync: &Sync) -> Result<(), (&'static str, String)> {
        let (namespace, account) = (&self.id.namespace, &sync.spec.service_account_name);
        let (accounts, server) = (&self.rooms.accounts, &self.rooms.server);
        match accounts.exists(server, namespace, account).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                let message = format!(
                    "There is no service account {account} in namespace {namespace}; nothing is applied or deleted \
                     without it."
                );
                Err(("ServiceAccountMissing", message))
            }
            Err(error) => Err((
                "ServiceAccountUnknown",
                format!("Service account {account} cannot be looked up: {error}."),
            )),
        }
    }
}
