//! Widespread custom resources whose health kstatus's generic rules do not tell, as their projects document it.
//!
//! What is not here is judged by its condition `Ready`. Where a project does not say that `False` is final, it is not.

mod own;

use crate::object::{Condition, Object, conditions};
use crate::verdict::Verdict;
use serde_json::Value;

/// The verdict over a kind of the shipped set; nothing for others.
pub(crate) fn judge(object: &Object<'_>) -> Option<Verdict> {
    if let Some(verdict) = own::judge(object) {
        return Some(verdict);
    }
    let family = FAMILIES
        .iter()
        .find(|family| family.covers(object.group(), object.kind()))?;
    family.judge(object)
}

/// Kinds that say how they are in conditions.
#[derive(Clone, Copy)]
struct Family {
    /// The group; with a dot before it, all groups that end so.
    group: &'static str,
    /// The kinds; none stands for all.
    kinds: &'static [&'static str],
    /// Booleans of the spec that stop the object.
    stop: &'static [&'static str],
    /// Conditions that are true while the object is stopped.
    stopped: &'static [&'static str],
    /// Conditions that are true when it has failed.
    failed: &'static [&'static str],
    /// Conditions that all have to be true, as the project's controllers always set them in the end.
    good: &'static [&'static str],
    /// Those of them whose `False` is final: `Unknown` is the project's "not yet".
    last: &'static [&'static str],
}

const NONE: Family = Family {
    group: "",
    kinds: &[],
    stop: &[],
    stopped: &[],
    failed: &[],
    good: &[],
    last: &[],
};
const READY: &[&str] = &["Ready"];

const FAMILIES: &[Family] = &[
    // https://cert-manager.io/docs/reference/api-docs/
    Family {
        group: "cert-manager.io",
        kinds: &["Issuer", "ClusterIssuer"],
        good: READY,
        ..NONE
    },
    // https://fluxcd.io/flux/components/: kstatus's own conditions, and a switch.
    Family {
        group: ".toolkit.fluxcd.io",
        stop: &["spec.suspend"],
        ..NONE
    },
    // https://github.com/bitnami-labs/sealed-secrets: what cannot be opened now cannot be opened later.
    Family {
        group: "bitnami.com",
        kinds: &["SealedSecret"],
        good: &["Synced"],
        last: &["Synced"],
        ..NONE
    },
    // https://external-secrets.io/latest/api/
    Family {
        group: "external-secrets.io",
        kinds: &[
            "ExternalSecret",
            "ClusterExternalSecret",
            "SecretStore",
            "ClusterSecretStore",
            "PushSecret",
        ],
        good: READY,
        ..NONE
    },
    // https://docs.crossplane.io/: configuration has no conditions, what is managed has two.
    Family {
        group: ".crossplane.io",
        kinds: &[
            "ClusterProviderConfig",
            "Composition",
            "CompositionRevision",
            "ControllerConfig",
            "DeploymentRuntimeConfig",
            "EnvironmentConfig",
            "ProviderConfig",
            "ProviderConfigUsage",
        ],
        ..NONE
    },
    Family {
        group: ".upbound.io",
        kinds: &["ClusterProviderConfig", "ProviderConfig", "ProviderConfigUsage"],
        ..NONE
    },
    Family {
        group: "pkg.crossplane.io",
        kinds: &["Lock", "ImageConfig"],
        ..NONE
    },
    Family {
        group: "pkg.crossplane.io",
        good: &["Installed", "Healthy"],
        ..NONE
    },
    Family {
        group: "apiextensions.crossplane.io",
        good: &["Established"],
        ..NONE
    },
    Family {
        group: ".crossplane.io",
        good: &["Synced", "Ready"],
        ..NONE
    },
    Family {
        group: ".upbound.io",
        good: &["Synced", "Ready"],
        ..NONE
    },
    // https://aws-controllers-k8s.github.io/docs/
    Family {
        group: ".services.k8s.aws",
        kinds: &[],
        failed: &["ACK.Terminal"],
        good: &["ACK.ResourceSynced"],
        ..NONE
    },
    // https://github.com/knative/specs: `Unknown` is on its way, `False` has failed.
    Family {
        group: "serving.knative.dev",
        kinds: &["Service", "Route", "Configuration", "Revision", "DomainMapping"],
        good: READY,
        last: READY,
        ..NONE
    },
    Family {
        group: "eventing.knative.dev",
        kinds: &["Broker", "Trigger"],
        good: READY,
        last: READY,
        ..NONE
    },
    // https://gateway-api.sigs.k8s.io/reference/spec/
    Family {
        group: "gateway.networking.k8s.io",
        kinds: &["GatewayClass"],
        good: &["Accepted"],
        last: &["Accepted"],
        ..NONE
    },
    Family {
        group: "gateway.networking.k8s.io",
        kinds: &["Gateway"],
        good: &["Accepted", "Programmed"],
        last: &["Accepted"],
        ..NONE
    },
    // https://keda.sh/docs/latest/reference/
    Family {
        group: "keda.sh",
        kinds: &["ScaledObject", "ScaledJob"],
        stopped: &["Paused"],
        good: READY,
        ..NONE
    },
    // https://prometheus-operator.dev/docs/api-reference/api/
    Family {
        group: "monitoring.coreos.com",
        kinds: &["Prometheus", "PrometheusAgent", "Alertmanager", "ThanosRuler"],
        stop: &["spec.paused"],
        good: &["Reconciled", "Available"],
        last: &["Reconciled"],
        ..NONE
    },
    // https://strimzi.io/docs/operators/latest/configuring
    Family {
        group: "kafka.strimzi.io",
        kinds: &[
            "Kafka",
            "KafkaBridge",
            "KafkaConnect",
            "KafkaConnector",
            "KafkaMirrorMaker2",
            "KafkaTopic",
            "KafkaUser",
        ],
        stopped: &["ReconciliationPaused"],
        failed: &["NotReady"],
        good: READY,
        ..NONE
    },
    // https://argo-cd.readthedocs.io/en/stable/operator-manual/applicationset/
    Family {
        group: "argoproj.io",
        kinds: &["ApplicationSet"],
        failed: &["ErrorOccurred"],
        good: &["ResourcesUpToDate"],
        ..NONE
    },
    // Ours.
    Family {
        group: "signet.dev",
        stop: &["spec.suspend"],
        ..NONE
    },
];

impl Family {
    fn covers(&self, group: &str, kind: &str) -> bool {
        let in_group = if self.group.starts_with('.') {
            group.ends_with(self.group)
        } else {
            group == self.group
        };
        in_group && (self.kinds.is_empty() || self.kinds.contains(&kind))
    }

    /// Nothing where the conditions leave it to the generic rules.
    fn judge(&self, object: &Object<'_>) -> Option<Verdict> {
        if self.stop.iter().any(|path| object.flag(path)) {
            return Some(Verdict::suspended("Suspended", "The object is suspended."));
        }
        let set = |names: &[&str]| {
            object
                .conditions()
                .find(|c| c.is_true() && names.contains(&c.name))
        };
        if let Some(c) = set(self.stopped) {
            return Some(Verdict::suspended(c.reason(), &c.say()));
        }
        if let Some(c) = set(self.failed) {
            // Strimzi's reason while it makes the first pods.
            return Some(if c.reason == "Creating" {
                Verdict::in_progress(c.reason, &c.say())
            } else {
                Verdict::failed(c.reason(), &c.say())
            });
        }
        if self.good.is_empty() {
            return None;
        }
        let all: Vec<_> = object
            .conditions()
            .filter(|c| self.good.contains(&c.name))
            .collect();
        Some(all_true(object, &all, self.good, self.last).unwrap_or_else(|| {
            let last = all.last();
            Verdict::current(
                last.map_or("Ready", Condition::reason),
                &last.map_or_else(String::new, Condition::say),
            )
        }))
    }
}

/// What speaks against an object with these conditions.
fn all_true(
    object: &Object<'_>,
    conditions: &[Condition<'_>],
    good: &[&str],
    last: &[&str],
) -> Option<Verdict> {
    let generation = object.int("metadata.generation");
    good.iter()
        .find_map(|name| match conditions.iter().find(|c| c.name == *name) {
            None => {
                let message = format!("The object has no condition {name} yet.");
                Some(Verdict::in_progress("NotObserved", &message))
            }
            Some(c) if c.observed.is_some() && c.observed < generation => {
                let message = format!("Condition {name} is of an older generation.");
                Some(Verdict::in_progress("NotObserved", &message))
            }
            Some(c) if c.is_true() => None,
            // The Gateway API's reasons for "nobody has looked yet".
            Some(c) if c.is_false() && last.contains(name) && !matches!(c.reason, "Pending" | "Waiting") => {
                Some(Verdict::failed(c.reason(), &c.say()))
            }
            Some(c) => Some(Verdict::in_progress(c.reason(), &c.say())),
        })
}

/// A route of the Gateway API: every parent has taken it, and what it leads to is there.
fn route(object: &Object<'_>) -> Verdict {
    let parents = object.list("status.parents");
    if parents.is_empty() {
        return Verdict::in_progress("NotObserved", "No parent has looked at the route yet.");
    }
    let against = |parent: &Value| {
        let all: Vec<_> = conditions(parent, "conditions").collect();
        // `ResolvedRefs` may be missing where there is nothing to resolve.
        let has_refs = all.iter().any(|c| c.name == "ResolvedRefs");
        all_true(
            object,
            &all,
            if has_refs {
                &["Accepted", "ResolvedRefs"]
            } else {
                &["Accepted"]
            },
            &[],
        )
    };
    parents
        .iter()
        .find_map(against)
        .unwrap_or_else(|| Verdict::current("Accepted", "All parents have accepted the route."))
}
