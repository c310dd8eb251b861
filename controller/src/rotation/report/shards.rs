//! The report in ConfigMaps of the controller's namespace, which belong to the KeyRotation. Row `n` is always in the same one,
//! and rows are only added: so each is written by itself, and one that was not written before the controller was killed
//! costs nothing but another walk.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crds::{REPORT_DIGESTS, REPORT_ROWS, ReportRow, report_shard};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::rows::{Report, Walked};
use super::values::Digest;
use crate::request::{RequestError, bounded};
use crate::text;

const MANAGER: &str = "signet/rotation-report";
/// The field of the first one that says how far the walk is.
const WALKED: &str = "walked";
/// In one ConfigMap: with the longest names and files a row has 4.5 kB, and a ConfigMap holds 1 MiB.
const ROWS: usize = 160;
const DIGESTS: usize = 8_000;
/// More are not read.
const MOST: u64 = 128;

/// How far the walk is.
#[derive(Default, Serialize, Deserialize)]
struct Head {
    shards: u64,
    cluster: bool,
    #[serde(default)]
    leaked: BTreeSet<String>,
    repositories: BTreeMap<String, Walked>,
    #[serde(default)]
    cluster_judged: bool,
    #[serde(default)]
    cut: bool,
    #[serde(default)]
    digest_key: String,
    #[serde(default)]
    lost: bool,
}

/// What was written last, by number.
pub(super) type Written = HashMap<usize, BTreeMap<String, String>>;

/// The contents of all of them.
fn contents(report: &Report) -> Vec<BTreeMap<String, String>> {
    let count = report
        .rows
        .len()
        .div_ceil(ROWS)
        .max(report.digests.len().div_ceil(DIGESTS))
        .max(1);
    let mut all = Vec::with_capacity(count);
    for number in 0..count {
        let rows: Vec<&ReportRow> = report.rows.iter().skip(number * ROWS).take(ROWS).collect();
        let digests = report.digests.iter().skip(number * DIGESTS).take(DIGESTS);
        let digests: Vec<String> = digests.map(|digest| text::hex(digest)).collect();
        let mut fields = BTreeMap::from([
            (REPORT_ROWS.to_owned(), json!(rows).to_string()),
            (REPORT_DIGESTS.to_owned(), digests.join("\n")),
        ]);
        if number == 0 {
            let head = Head {
                shards: u64::try_from(count).unwrap_or(u64::MAX),
                cluster: report.cluster,
                leaked: report.leaked.clone(),
                repositories: report.walked.clone(),
                cluster_judged: report.cluster_judged,
                cut: report.cut,
                digest_key: report.digest_key.clone(),
                lost: report.lost,
            };
            fields.insert(WALKED.to_owned(), json!(head).to_string());
        }
        all.push(fields);
    }
    all
}

/// Writes what has changed, the first one last: what it says of the walk is then true. Gives how many there are.
pub(super) async fn write(
    api: &Api<ConfigMap>,
    (name, uid): (&str, &str),
    report: &Report,
    written: &mut Written,
) -> Result<usize, RequestError> {
    let all = contents(report);
    let count = all.len();
    for (number, fields) in all.into_iter().enumerate().rev() {
        if written.get(&number) == Some(&fields) {
            continue;
        }
        let object = report_shard(uid, u64::try_from(number).unwrap_or(u64::MAX));
        let body = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": object, "ownerReferences": [
                {"apiVersion": "signet.dev/v1alpha1", "kind": "KeyRotation", "name": name, "uid": uid}]},
            "data": fields,
        });
        let params = PatchParams::apply(MANAGER).force();
        bounded(api.patch(&object, &params, &Patch::Apply(&body))).await?;
        written.insert(number, fields);
    }
    Ok(count)
}

/// Reads what was written. What is missing or cannot be read counts as not walked.
pub(super) async fn read(
    api: &Api<ConfigMap>,
    uid: &str,
    written: &mut Written,
) -> Result<Option<Report>, RequestError> {
    let Some(first) = bounded(api.get_opt(&report_shard(uid, 0))).await? else {
        return Ok(None);
    };
    let head = first.data.as_ref().and_then(|data| data.get(WALKED));
    let head: Option<Head> = head.and_then(|text| serde_json::from_str(text).ok());
    let mut is_whole = head.is_some();
    let head = head.unwrap_or_default();
    let (mut rows, mut digests) = (Vec::new(), Vec::new());
    let mut next = Some(first);
    for number in 0..head.shards.min(MOST) {
        let map = match next.take() {
            Some(map) => Some(map),
            None => bounded(api.get_opt(&report_shard(uid, number))).await?,
        };
        let data = map.and_then(|map| map.data).unwrap_or_default();
        let parsed = data
            .get(REPORT_ROWS)
            .and_then(|text| serde_json::from_str::<Vec<ReportRow>>(text).ok());
        is_whole &= parsed.is_some();
        rows.extend(parsed.unwrap_or_default());
        let lines = data.get(REPORT_DIGESTS).map(String::as_str).unwrap_or_default();
        digests.extend(lines.lines().filter_map(digest));
        written.insert(usize::try_from(number).unwrap_or(usize::MAX), data);
    }
    let mut report = Report::of(rows, digests);
    (report.cut, report.digest_key, report.lost) = (head.cut, head.digest_key, head.lost);
    if is_whole {
        report.cluster_judged = head.cluster_judged;
        report.cluster = head.cluster;
        report.leaked = head.leaked;
        report.walked = head.repositories;
    } else {
        written.clear();
    }
    Ok(Some(report))
}

fn digest(text: &str) -> Option<Digest> {
    let mut digest = Digest::default();
    if text.len() != 2 * digest.len() || !text.is_ascii() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::ReportCommit;

    #[test]
    fn the_largest_rows_fit() {
        let text = |length: usize| "x".repeat(length);
        // Each of these is two characters in JSON.
        let odd = |length: usize| "\"".repeat(length);
        let commit = || {
            Some(ReportCommit {
                id: text(40),
                author: odd(200),
                date: text(20),
            })
        };
        let row = ReportRow {
            namespace: text(63),
            name: text(253),
            key: text(253),
            repository: text(317),
            files: vec![odd(256); 4],
            sealed_for: text(60),
            first: commit(),
            changed: crds::ValueChanged::Removed,
            since: commit(),
        };
        let rows = vec![row; ROWS + 1];
        let digests = vec![[7; 16]; DIGESTS];
        let all = contents(&Report::of(rows, digests));
        assert_eq!(all.len(), 2);
        for fields in all {
            let size: usize = fields.values().map(String::len).sum();
            assert!(size < 1_000_000, "{size}");
        }
    }

    #[test]
    fn digests_are_read_back() {
        assert_eq!(digest(&text::hex(&[171; 16])), Some([171; 16]));
        assert_eq!(digest("ab"), None);
        assert_eq!(digest(&"é".repeat(16)), None);
    }
}
