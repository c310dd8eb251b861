//! The stream of one kind's objects: whole where their content tells their health, else metadata only. Of a whole object
//! the verdict stays, and the rest is dropped at once.

use super::rules::{Rulebook, manager_of};
use crate::watch;
use apply::KindInfo;
use crds::label;
use futures::StreamExt;
use futures::stream::BoxStream;
use health::{Rules, Verdict};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ApiResource, DynamicObject};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use serde_json::{Value, json};

/// An object as the watch shows it.
pub(super) struct Shown {
    pub(super) metadata: ObjectMeta,
    /// The field manager of the Sync whose label it carries.
    pub(super) manager: String,
    pub(super) verdict: Option<Verdict>,
}

/// Watches the objects of a kind that carry an ApplySet's label.
pub(super) fn stream(
    client: Client,
    info: &KindInfo,
    rules: Rulebook,
    content: bool,
) -> BoxStream<'static, Result<Event<Shown>, watcher::Error>> {
    let resource = ApiResource {
        group: info.kind.group.to_string(),
        version: info.version.to_string(),
        api_version: info.api_version(),
        kind: info.kind.kind.to_string(),
        plural: info.plural.to_string(),
    };
    let config = watcher::Config::default().labels(label::APPLYSET_PART_OF);
    if content {
        let api: Api<DynamicObject> = Api::all_with(client, &resource);
        watch::watch(api, config)
            .map(move |event| event.map(|event| map(event, |object| whole(object, &resource, &rules))))
            .boxed()
    } else {
        let api: Api<PartialObjectMeta<DynamicObject>> = Api::all_with(client, &resource);
        watch::watch(api, config)
            .map(|event| event.map(|event| map(event, |object| bare(object.metadata))))
            .boxed()
    }
}

fn map<K>(event: Event<K>, shown: impl FnOnce(K) -> Shown) -> Event<Shown> {
    match event {
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
        Event::Apply(object) => Event::Apply(shown(object)),
        Event::InitApply(object) => Event::InitApply(shown(object)),
        Event::Delete(object) => Event::Delete(shown(object)),
    }
}

fn whole(object: DynamicObject, resource: &ApiResource, rules: &Rulebook) -> Shown {
    let mut metadata = object.metadata;
    let manager = manager_of(&metadata);
    // Rules do not look at managedFields, which are the greater part of many objects.
    let managed = metadata.managed_fields.take();
    let mut content = object.data;
    if let Value::Object(fields) = &mut content {
        // Items of a list say neither.
        fields.insert("apiVersion".into(), resource.api_version.as_str().into());
        fields.insert("kind".into(), resource.kind.as_str().into());
        fields.insert(
            "metadata".into(),
            serde_json::to_value(&metadata).unwrap_or_default(),
        );
    }
    let verdict = health::of(&content, &rules.of(&manager));
    metadata.managed_fields = managed;
    Shown {
        metadata,
        manager,
        verdict: Some(verdict),
    }
}

/// Of an object that is healthy by being there, all that is to be said is that it goes away.
fn bare(metadata: ObjectMeta) -> Shown {
    let verdict = metadata.deletion_timestamp.as_ref().map(|time| {
        let object = json!({"metadata": {"deletionTimestamp": time, "finalizers": metadata.finalizers}});
        health::of(&object, &Rules::default())
    });
    Shown {
        manager: manager_of(&metadata),
        metadata,
        verdict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use health::Status;

    fn object(value: Value) -> DynamicObject {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_whole_object_is_judged_with_its_metadata_and_keeps_its_managed_fields() {
        let resource = ApiResource {
            group: "apps".into(),
            version: "v1".into(),
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
            plural: "deployments".into(),
        };
        let deployment = object(json!({
            "metadata": {"name": "a", "generation": 2, "managedFields": [{"manager": "x"}],
                "labels": {"applyset.kubernetes.io/part-of": "applyset-abc-v1"}},
            "spec": {"replicas": 1},
            "status": {"observedGeneration": 1},
        }));
        let shown = whole(deployment, &resource, &Rulebook::default());
        assert_eq!(shown.verdict.unwrap().status, Status::InProgress);
        assert_eq!(shown.manager, "signet/abc");
        assert_eq!(shown.metadata.managed_fields.unwrap().len(), 1);
    }

    #[test]
    fn of_metadata_only_an_end_is_told() {
        let metadata = |value: Value| serde_json::from_value(value).unwrap();
        assert_eq!(bare(metadata(json!({"name": "a"}))).verdict, None);
        let going = bare(metadata(
            json!({"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"}),
        ));
        assert_eq!(going.verdict.unwrap().status, Status::Terminating);
    }
}
