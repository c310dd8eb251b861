//! How one tool lets go, and the other takes over.

use super::Tool;
use super::find::Owner;
use crds::{Mode, Sync};
use sealing::Printable;

/// The steps in their order, each a sentence with its command.
pub(super) fn of(tool: Tool, owner: &Owner, sync: Option<&Sync>) -> Vec<String> {
    let field = |field: Option<&String>| Printable(field.map_or("", String::as_str)).to_string();
    let (name, namespace) = match sync {
        Some(sync) => (
            field(sync.metadata.name.as_ref()),
            field(sync.metadata.namespace.as_ref()),
        ),
        None => ("SYNC".to_owned(), "NAMESPACE".to_owned()),
    };
    let mut steps = Vec::new();
    if sync.is_none_or(|sync| sync.spec.mode != Mode::Detect) {
        steps.push(format!(
            "have a Sync of the same path in mode Detect, and look at what it would do: signet plan {name} -n {namespace}"
        ));
    }
    steps.push(stop(tool, owner));
    steps.push(format!(
        "let the Sync apply: kubectl patch syncs.signet.dev {name} -n {namespace} --type merge -p '{{\"spec\":{{\"mode\":\"Automatic\"}}}}'"
    ));
    steps.push(format!(
        "wait until all is well: signet wait {name} -n {namespace} --for healthy"
    ));
    steps.push(remove(tool, owner));
    steps
}

fn place(owner: &Owner) -> String {
    let namespace = match owner.namespace.as_str() {
        "" => "NAMESPACE",
        namespace => namespace,
    };
    format!("{} -n {}", Printable(&owner.name), Printable(namespace))
}

fn resource(owner: &Owner) -> &'static str {
    match owner.kind {
        "Kustomization" => "kustomizations.kustomize.toolkit.fluxcd.io",
        "HelmRelease" => "helmreleases.helm.toolkit.fluxcd.io",
        _ => "applications.argoproj.io",
    }
}

fn stop(tool: Tool, owner: &Owner) -> String {
    let patch = match tool {
        Tool::Flux => "{\"spec\":{\"suspend\":true}}",
        Tool::Argocd => "{\"spec\":{\"syncPolicy\":{\"automated\":null}}}",
    };
    let (what, also) = match tool {
        Tool::Flux => ("suspend it", "in Git too, if it is applied from there"),
        Tool::Argocd => (
            "stop its automatic sync",
            "in Git too, if an ApplicationSet or another Application makes it",
        ),
    };
    format!(
        "{what}, {also}: kubectl patch {} {} --type merge -p '{patch}'",
        resource(owner),
        place(owner)
    )
}

fn remove(tool: Tool, owner: &Owner) -> String {
    let delete = format!("kubectl delete {} {}", resource(owner), place(owner));
    match tool {
        // Both of Flux's controllers leave the objects of what is suspended alone when it is deleted.
        Tool::Flux => format!("delete it while it is suspended, which leaves the objects: {delete}"),
        // With the finalizer the deletion cascades.
        Tool::Argocd => format!(
            "delete it without its objects: kubectl patch {} {} --type merge -p '{{\"metadata\":{{\"finalizers\":null}}}}' && {delete}",
            resource(owner),
            place(owner)
        ),
    }
}
