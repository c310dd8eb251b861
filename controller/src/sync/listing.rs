//! Lists of metadata, page by page.

use apply::{ApiError, Identity, Server};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;

/// Objects in one answer.
const PAGE: usize = 500;

/// What `keep` makes of the objects of a collection, page after page, until there are `most` or more. `query`: more of the request, with
/// `&` at its end.
pub(super) async fn list<T>(
    (server, identity): (&Server, &Identity),
    collection: &str,
    query: &str,
    most: usize,
    mut keep: impl FnMut(ObjectMeta) -> Option<T>,
) -> Result<Vec<T>, ApiError> {
    let (mut found, mut more) = (Vec::new(), String::new());
    loop {
        let path = format!("{collection}?{query}limit={PAGE}{more}");
        let answer = server.metadata_list(identity, &path).await?;
        let list: List = serde_json::from_slice(&answer)
            .map_err(|_| ApiError::unavailable("the API server's list cannot be read"))?;
        let items = list.items.into_iter().flatten();
        found.extend(items.filter_map(|item| keep(item.metadata)));
        match list
            .metadata
            .token
            .filter(|token| !token.is_empty() && found.len() < most)
        {
            Some(token) => more = format!("&continue={token}"),
            None => return Ok(found),
        }
    }
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    metadata: ListMeta,
    /// An empty list is `null`.
    items: Option<Vec<Item>>,
}

#[derive(Default, Deserialize)]
struct ListMeta {
    #[serde(rename = "continue")]
    token: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    metadata: ObjectMeta,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_is_read() {
        for text in [r#"{"metadata": {}, "items": null}"#, r#"{"items": []}"#, "{}"] {
            let list: List = serde_json::from_str(text).unwrap();
            assert_eq!(list.items.into_iter().flatten().count(), 0, "{text}");
        }
    }
}
