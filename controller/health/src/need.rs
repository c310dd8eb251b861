//! Which kinds have a health beyond being there.

/// What has to be seen of a kind's objects to judge them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Metadata is enough: an object that exists and is not being deleted is current.
    ByExistence,
    /// The status tells, so whole objects are watched.
    Content,
}

/// What has to be seen of a kind, without rules of users: where [`Rules::has`](crate::Rules::has) says so, it is content.
///
/// A kind that is not known needs its content, since it may have a status. A Secret never does: whoever watches its content
/// holds its values.
pub fn need(group: &str, kind: &str) -> Need {
    let known = KINDS
        .iter()
        .find(|(g, _)| *g == group)
        .is_some_and(|(_, kinds)| kinds.contains(&kind));
    if known || EXISTENCE_GROUPS.contains(&group) {
        Need::ByExistence
    } else {
        Need::Content
    }
}

/// Whether a kind's content is never looked at, whatever rules say.
pub(crate) fn is_secret(group: &str, kind: &str) -> bool {
    group.is_empty() && kind == "Secret"
}

/// Groups whose every kind is configuration that somebody reads, with no status that tells of health.
const EXISTENCE_GROUPS: &[&str] = &[
    "extensions.istio.io",
    "flowcontrol.apiserver.k8s.io",
    "networking.istio.io",
    "node.k8s.io",
    "rbac.authorization.k8s.io",
    "scheduling.k8s.io",
    "security.istio.io",
    "telemetry.istio.io",
];

const KINDS: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "Binding",
            "ConfigMap",
            "Endpoints",
            "Event",
            "LimitRange",
            "PodTemplate",
            "ResourceQuota",
            "Secret",
            "ServiceAccount",
        ],
    ),
    (
        "admissionregistration.k8s.io",
        &[
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
            "MutatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "ValidatingWebhookConfiguration",
        ],
    ),
    ("apps", &["ControllerRevision"]),
    ("certificates.k8s.io", &["ClusterTrustBundle"]),
    ("coordination.k8s.io", &["Lease", "LeaseCandidate"]),
    ("discovery.k8s.io", &["EndpointSlice"]),
    ("events.k8s.io", &["Event"]),
    ("gateway.networking.k8s.io", &["ReferenceGrant"]),
    (
        "keda.sh",
        &["ClusterTriggerAuthentication", "TriggerAuthentication"],
    ),
    (
        "monitoring.coreos.com",
        &["PodMonitor", "Probe", "PrometheusRule", "ServiceMonitor"],
    ),
    (
        "networking.k8s.io",
        &["Ingress", "IngressClass", "IPAddress", "NetworkPolicy"],
    ),
    (
        "resource.k8s.io",
        &["DeviceClass", "ResourceClaimTemplate", "ResourceSlice"],
    ),
    (
        "storage.k8s.io",
        &[
            "CSIDriver",
            "CSINode",
            "CSIStorageCapacity",
            "StorageClass",
            "VolumeAttributesClass",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_without_a_health_of_their_own() {
        for (group, kind) in [
            ("", "Secret"),
            ("", "ConfigMap"),
            ("", "ServiceAccount"),
            ("", "LimitRange"),
            ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
            ("networking.k8s.io", "NetworkPolicy"),
            ("scheduling.k8s.io", "PriorityClass"),
            ("storage.k8s.io", "StorageClass"),
            ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
            ("networking.istio.io", "VirtualService"),
        ] {
            assert_eq!(need(group, kind), Need::ByExistence, "{group}/{kind}");
        }
    }

    #[test]
    fn everything_else_is_looked_at() {
        for (group, kind) in [
            ("apps", "Deployment"),
            ("", "Pod"),
            ("", "Namespace"),
            ("", "PersistentVolumeClaim"),
            ("example.com", "Secret"),
            ("example.com", "ConfigMap"),
            ("example.com", "Widget"),
        ] {
            assert_eq!(need(group, kind), Need::Content, "{group}/{kind}");
        }
    }
}
