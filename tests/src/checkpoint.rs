//! What the controller wrote down of what a Sync owns, read with the controller's own code and key.

use std::collections::HashMap;

use apply::Key;
use apply::checkpoint::{Record, decode};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ListParams};

use crate::Cluster;
use crate::controller::NAMESPACE;

/// The Secret with the key that authenticates records, its field, and the field with records.
const KEY: (&str, &str) = ("signet-digest-key", "key");
const RECORDS: &str = "records";
/// The annotation that names the Sync.
const SYNC: &str = "signet.dev/sync";

/// The records of the Sync `namespace/name`, of all shards. Each shard has to verify, and no object may stand in two.
pub async fn of(cluster: &Cluster, sync: &str) -> HashMap<Key, Record> {
    let secrets: Api<Secret> = Api::namespaced(cluster.client(), NAMESPACE);
    let key = secrets.get(KEY.0).await.expect("the digest key is there");
    let key = key.data.expect("it has data")[KEY.1].0.clone();
    let key: [u8; 32] = key.try_into().expect("it has 32 bytes");
    let ours = ListParams::default().labels(crds::label::CHECKPOINT);
    let shards = secrets.list(&ours).await.expect("checkpoints can be listed");
    let mut all = HashMap::new();
    for shard in shards {
        let name = shard.metadata.name.expect("a name");
        let whose = shard.metadata.annotations.unwrap_or_default().remove(SYNC);
        // Of hooks a journal is kept, which is no shard.
        if whose.as_deref() != Some(sync) || name.starts_with("signet-journal-") {
            continue;
        }
        let bytes = &shard.data.expect("a shard has data")[RECORDS].0;
        let records = decode(&key, &format!("{sync}#{name}"), bytes)
            .unwrap_or_else(|| panic!("checkpoint {name} does not verify"));
        for (key, record) in records {
            let before = all.insert(key.clone(), record);
            assert!(before.is_none(), "{key} stands in two shards");
        }
    }
    all
}
