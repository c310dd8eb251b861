//! Managers whose fields are left alone: controllers whose work it is to write into other people's objects.
//!
//! A manager's name is what a writer calls itself, so this list keeps honest controllers from being fought. It protects
//! from nobody.

/// Trusted without being asked. `*` at the end stands for any rest.
///
/// A controller's name is that of its binary, unless it chose another. What a mutating webhook adds counts as the work of
/// whoever sent the request, so injectors (Linkerd's, VPA's admission) are not managers; and the horizontal pod autoscaler
/// writes as kube-controller-manager.
pub const TRUSTED: [&str; 17] = [
    // Kubernetes itself.
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-apiserver",
    "cloud-controller-manager",
    // A restart that a person asked for: without its annotation, pods would be replaced once more.
    "kubectl-rollout",
    // Autoscalers.
    "cluster-autoscaler",
    "karpenter",
    "vpa-*",
    "keda",
    "keda-operator",
    // Authorities of webhooks, definitions and API services; annotations of issued Secrets.
    "cainjector",
    "cert-manager-*",
    "pilot-discovery",
    // Progressive delivery: replicas, selectors, weights.
    "flagger",
    "rollouts-controller",
    "argo-rollouts",
];

/// Whether a manager is one of [`TRUSTED`], or of `more`, which may end in `*` too.
#[must_use]
pub fn is_trusted(manager: &str, more: &[String]) -> bool {
    let more = more.iter().map(String::as_str);
    TRUSTED
        .into_iter()
        .chain(more)
        .any(|pattern| matches(pattern, manager))
}

fn matches(pattern: &str, manager: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => manager.starts_with(start),
        None => pattern == manager,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_beginnings_of_names() {
        let more = ["acme-*".to_owned(), "bot".to_owned()];
        for (manager, trusted) in [
            ("kube-controller-manager", true),
            ("vpa-updater", true),
            ("vpa-", true),
            ("vpa", false),
            ("kubelet-x", false),
            ("kubectl-edit", false),
            ("acme-operator", true),
            ("bot", true),
            ("bots", false),
            ("", false),
        ] {
            assert_eq!(is_trusted(manager, &more), trusted, "{manager}");
        }
        assert!(!is_trusted("bot", &[]));
    }
}
