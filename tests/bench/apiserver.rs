//! What the API server itself counts: requests of everybody, by verb and resource.
//!
//! A watch is counted when it ends; who asked is not told. The audit log knows both.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use kube::Client;

use crate::numbers::count;

const METRIC: &str = "apiserver_request_total{";

/// Requests so far, by verb and resource.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Requests(BTreeMap<String, f64>);

impl Requests {
    pub(crate) async fn read(client: &Client) -> Self {
        let request = http::Request::get("/metrics")
            .body(Vec::new())
            .expect("a request");
        let text = client.request_text(request).await;
        Self::parse(&text.expect("the API server's metrics"))
    }

    fn parse(text: &str) -> Self {
        let mut all = BTreeMap::new();
        for line in text.lines().filter_map(|line| line.strip_prefix(METRIC)) {
            let Some((labels, value)) = line.rsplit_once("} ") else {
                continue;
            };
            let label = |name: &str| {
                let rest = labels.split_once(&format!("{name}=\""))?.1;
                rest.split_once('"').map(|(value, _)| value)
            };
            let (verb, resource) = (
                label("verb").unwrap_or_default(),
                label("resource").unwrap_or_default(),
            );
            let part = label("subresource").filter(|part| !part.is_empty());
            let what = part.map_or_else(
                || format!("{verb} {resource}"),
                |part| format!("{verb} {resource}/{part}"),
            );
            *all.entry(what).or_insert(0.0) += value.parse().unwrap_or(0.0);
        }
        Self(all)
    }

    /// What came after `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let more = self.0.iter().filter_map(|(what, now)| {
            let more = now - before.0.get(what).copied().unwrap_or_default();
            (more > 0.0).then(|| (what.clone(), more))
        });
        Self(more.collect())
    }

    pub(crate) fn total(&self) -> f64 {
        self.0.values().sum()
    }

    /// The most frequent ones, `scale` times as many.
    pub(crate) fn summary(&self, scale: f64) -> String {
        const SHOWN: usize = 12;
        let mut all: Vec<_> = self.0.iter().collect();
        all.sort_by(|a, b| b.1.total_cmp(a.1));
        let shown = all
            .iter()
            .take(SHOWN)
            .map(|(what, times)| format!("{:.0}× {what}", *times * scale));
        let mut text = shown.collect::<Vec<_>>().join(", ");
        if let Some(more) = all.get(SHOWN..).filter(|more| !more.is_empty()) {
            let rest: f64 = more.iter().map(|(_, times)| **times).sum();
            let _ = write!(text, ", {:.0}× {:.0} others", rest * scale, count(more.len()));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_scopes_are_summed() {
        let line = |code: &str, verb: &str, part: &str, value: &str| {
            format!(
                "apiserver_request_total{{code=\"{code}\",component=\"apiserver\",dry_run=\"\",group=\"\",\
                 resource=\"secrets\",scope=\"resource\",subresource=\"{part}\",verb=\"{verb}\",version=\"v1\"}} {value}\n"
            )
        };
        let text = line("200", "APPLY", "", "7")
            + &line("201", "APPLY", "", "3")
            + &line("200", "GET", "status", "2");
        let requests = Requests::parse(&text);
        assert_eq!(requests.summary(1.0), "10× APPLY secrets, 2× GET secrets/status");
        let later = Requests::parse(&line("200", "APPLY", "", "12"));
        assert!((later.since(&requests).total() - 2.0).abs() < 1e-9);
    }
}
