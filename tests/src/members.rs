//! Every object of a cluster that is a member of an ApplySet, whatever its kind.

use kube::api::{Api, DynamicObject, ListParams};
use kube::core::ApiResource;
use kube::discovery::{Discovery, verbs};

use crate::Cluster;

/// The kinds of a cluster that can be listed, looked up once.
#[derive(Debug)]
pub struct Kinds(Vec<ApiResource>);

impl Kinds {
    /// Those that the API server serves now.
    pub async fn of(cluster: &Cluster) -> Self {
        let discovery = Discovery::new(cluster.client())
            .run_aggregated()
            .await
            .expect("discovery works");
        let kinds = discovery
            .groups()
            .flat_map(kube::discovery::ApiGroup::recommended_resources);
        let listable = kinds.filter(|(_, can)| can.supports_operation(verbs::LIST));
        Self(listable.map(|(resource, _)| resource).collect())
    }

    /// All members of any ApplySet, each with its kind in `types`.
    pub async fn members(&self, cluster: &Cluster) -> Vec<DynamicObject> {
        let selector = ListParams::default().labels(crds::label::APPLYSET_PART_OF);
        let mut found = Vec::new();
        for resource in &self.0 {
            let api: Api<DynamicObject> = Api::all_with(cluster.client(), resource);
            let list = api.list(&selector).await;
            let list = list.unwrap_or_else(|error| panic!("{} cannot be listed: {error}", resource.plural));
            found.extend(list.items.into_iter().map(|mut object| {
                object.types = Some(kube::api::TypeMeta {
                    api_version: resource.api_version.clone(),
                    kind: resource.kind.clone(),
                });
                object
            }));
        }
        found
    }
}
