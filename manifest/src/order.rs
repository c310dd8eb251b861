//! Which objects have to be there before which others.
//!
//! A [`Phase`] is a barrier: everything in it is applied before anything of the next, and within it in any order. The
//! sequence agrees with Helm's `InstallOrder`, kustomize's legacy order and Argo CD's kind order wherever those three
//! agree with each other, folded into ten steps, since each step costs a wait. Deleting goes through the phases
//! backwards ([`Phase::DELETE_ORDER`]).
//!
//! Names that are known here are the built-in kinds and a few that everybody installs; every other kind is a custom
//! resource and comes after what it may refer to, before the workloads that may need it.

/// A step in the order of applying; the derived `Ord` is that order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// CustomResourceDefinitions: without them other objects have no kind.
    Definitions,
    /// Namespaces: without them other objects have no place.
    Namespaces,
    /// What others name and which names nothing itself: classes, quotas, limits, network policies, service accounts,
    /// roles. Quotas and limits act on what is created after them, so they come before it.
    Foundations,
    /// Role bindings (the API server looks up the role), ConfigMaps, Secrets, sealed secrets, volumes and claims.
    Configuration,
    /// Services: before the Pods, whose environment names them.
    Services,
    /// Every kind that is not known here.
    Custom,
    /// What runs Pods.
    Workloads,
    /// What acts on workloads or leads to them: autoscalers, disruption budgets, Ingresses.
    Edges,
    /// Aggregated APIs: an APIService without its backend breaks discovery for everyone.
    ApiServices,
    /// Admission webhooks and policies: from here on each write depends on them, so they come when all else is there.
    Admission,
}

impl Phase {
    /// All phases, in the order of applying.
    pub const APPLY_ORDER: [Self; 10] = [
        Self::Definitions,
        Self::Namespaces,
        Self::Foundations,
        Self::Configuration,
        Self::Services,
        Self::Custom,
        Self::Workloads,
        Self::Edges,
        Self::ApiServices,
        Self::Admission,
    ];

    /// All phases, in the order of deleting.
    pub const DELETE_ORDER: [Self; 10] = {
        let mut order = Self::APPLY_ORDER;
        let mut i = 0;
        while i < order.len() / 2 {
            let other = order.len() - 1 - i;
            (order[i], order[other]) = (order[other], order[i]);
            i += 1;
        }
        order
    };

    /// The phase of a kind. `group` is the API group, empty for the core group; the version does not matter.
    pub fn of(group: &str, kind: &str) -> Self {
        match (group, kind) {
            ("apiextensions.k8s.io", "CustomResourceDefinition") => Self::Definitions,
            ("", "Namespace") => Self::Namespaces,

            ("storage.k8s.io", "StorageClass" | "CSIDriver" | "VolumeAttributesClass")
            | ("snapshot.storage.k8s.io", "VolumeSnapshotClass")
            | ("scheduling.k8s.io", "PriorityClass")
            | ("node.k8s.io", "RuntimeClass")
            | ("resource.k8s.io", "DeviceClass")
            | ("networking.k8s.io", "IngressClass" | "NetworkPolicy")
            | ("gateway.networking.k8s.io", "GatewayClass")
            | ("flowcontrol.apiserver.k8s.io", "FlowSchema" | "PriorityLevelConfiguration")
            | ("policy", "PodSecurityPolicy")
            | ("rbac.authorization.k8s.io", "Role" | "ClusterRole")
            | ("", "ResourceQuota" | "LimitRange" | "ServiceAccount") => Self::Foundations,

            ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding")
            | ("bitnami.com" | "signet.dev", "SealedSecret")
            | ("", "ConfigMap" | "Secret" | "PersistentVolume" | "PersistentVolumeClaim") => {
                Self::Configuration
            }

            ("", "Service" | "Endpoints") | ("discovery.k8s.io", "EndpointSlice") => Self::Services,

            ("", "Pod" | "ReplicationController")
            | ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
            | ("batch", "Job" | "CronJob") => Self::Workloads,

            ("autoscaling", "HorizontalPodAutoscaler")
            | ("policy", "PodDisruptionBudget")
            | ("networking.k8s.io" | "extensions", "Ingress") => Self::Edges,

            ("apiregistration.k8s.io", "APIService") => Self::ApiServices,

            ("admissionregistration.k8s.io", _) => Self::Admission,

            _ => Self::Custom,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apply_order_is_the_derived_order() {
        assert!(Phase::APPLY_ORDER.is_sorted());
        let mut reversed = Phase::APPLY_ORDER;
        reversed.reverse();
        assert_eq!(reversed, Phase::DELETE_ORDER);
    }

    #[test]
    fn what_is_needed_comes_before_what_needs_it() {
        let pairs = [
            // (needed, needs it)
            (
                ("apiextensions.k8s.io", "CustomResourceDefinition"),
                ("monitoring.coreos.com", "ServiceMonitor"),
            ),
            (("", "Namespace"), ("", "ServiceAccount")),
            (("", "ServiceAccount"), ("apps", "Deployment")),
            (("", "ServiceAccount"), ("", "Secret")), // its token
            (
                ("rbac.authorization.k8s.io", "ClusterRole"),
                ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
            ),
            (
                ("rbac.authorization.k8s.io", "Role"),
                ("rbac.authorization.k8s.io", "RoleBinding"),
            ),
            (("storage.k8s.io", "StorageClass"), ("", "PersistentVolumeClaim")),
            (("scheduling.k8s.io", "PriorityClass"), ("batch", "CronJob")),
            (("", "LimitRange"), ("", "Pod")),
            (("signet.dev", "SealedSecret"), ("apps", "StatefulSet")),
            (("", "Service"), ("apps", "StatefulSet")),
            (("", "Service"), ("networking.k8s.io", "Ingress")),
            (("apps", "Deployment"), ("autoscaling", "HorizontalPodAutoscaler")),
            (("apps", "Deployment"), ("apiregistration.k8s.io", "APIService")),
            (
                ("apps", "Deployment"),
                ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
            ),
            (("cert-manager.io", "Certificate"), ("apps", "Deployment")),
        ];
        for (needed, needs) in pairs {
            assert!(
                Phase::of(needed.0, needed.1) < Phase::of(needs.0, needs.1),
                "{needed:?} {needs:?}"
            );
        }
    }

    #[test]
    fn a_sealed_secret_counts_as_the_secret_it_becomes() {
        assert_eq!(Phase::of("bitnami.com", "SealedSecret"), Phase::of("", "Secret"));
        assert_eq!(Phase::of("signet.dev", "SealedSecret"), Phase::of("", "Secret"));
    }

    #[test]
    fn the_group_decides_not_the_kind_alone() {
        assert_eq!(Phase::of("serving.knative.dev", "Service"), Phase::Custom);
        assert_eq!(Phase::of("example.com", "Namespace"), Phase::Custom);
    }
}
