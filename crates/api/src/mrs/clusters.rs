//! Clusters as MRS's clients read them: `/cluster_infos`, and hosts and tags below `/clusters/{id}` (mrs-v1.1.md section 6).

use std::collections::BTreeMap;

use axum::response::Response;
use foggara_app::ops::clusters::{self, Shown};
use foggara_domain::{ClusterId, Error, page::ListQuery};
use serde_json::{Value, json};

use super::{
    asked::{self, Members},
    cluster_view,
    error::Code,
};
use crate::{
    call::Call,
    fault::{Fault, Outcome},
    page::Query,
    reply,
};

/// Words of the filter `clusterState`.
const STATES: [&str; 11] = [
    "existing",
    "history",
    "starting",
    "running",
    "terminated",
    "failed",
    "abnormal",
    "terminating",
    "frozen",
    "scaling-out",
    "scaling-in",
];
/// Largest page.
const LARGEST_PAGE: u64 = 2_147_483_646;
/// Longest key and value of a tag.
const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 255;

/// There is no such cluster for the caller.
pub fn unknown(id: &ClusterId) -> Fault {
    Code::NoCluster.fault(format!("Cluster {id}"))
}

fn fault(error: Error, id: &ClusterId) -> Fault {
    match error {
        Error::NotFound { .. } => unknown(id),
        other => other.into(),
    }
}

/// A cluster that the caller sees.
pub async fn known(call: &Call, id: &ClusterId) -> Outcome<Shown> {
    clusters::get(&call.app, &call.caller, id, false).await.map_err(|error| fault(error, id))
}

/// A page of a list.
struct Page {
    size: usize,
    skip: usize,
}

impl Page {
    /// `pageSize` and `currentPage`. Without both the list is whole: clients look up names in it (clients.md section 1).
    fn asked(query: &Query) -> Outcome<Self> {
        let whole = asked::given(query, "pageSize").or(asked::given(query, "currentPage")).is_none();
        let size = asked::number(query, "pageSize", if whole { LARGEST_PAGE } else { 10 }, 1, LARGEST_PAGE)?;
        let page = asked::number(query, "currentPage", 1, 1, u64::from(u32::MAX))?;
        let small = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Ok(Self { size: small(size), skip: small(size.saturating_mul(page - 1)) })
    }

    /// What is on it.
    fn of<T>(&self, all: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
        all.skip(self.skip).take(self.size)
    }
}

/// `GET /cluster_infos`
pub async fn list(call: Call) -> Outcome<Response> {
    let query = &call.query;
    let page = Page::asked(query)?;
    let wanted = asked::given(query, "clusterState");
    if wanted.is_some_and(|word| !STATES.contains(&word)) {
        return Err(Code::Parameter.fault(format!("clusterState: it has to be one of {}", STATES.join(", "))));
    }
    let name = asked::given(query, "clusterName");
    let tags = asked::given(query, "tags").unwrap_or_default();
    let enterprise = asked::given(query, "enterpriseProjectId").filter(|id| *id != "all_granted_eps");
    // A project has few clusters, and these filters are no columns.
    let all = clusters::list(&call.app, &call.caller, &ListQuery::default()).await?.items;
    let fits = |shown: &&Shown| {
        let cluster = &shown.cluster;
        let now = cluster_view::state(cluster.status);
        let in_state = match wanted {
            None | Some("existing") => true,
            Some("history") => false,
            Some(word) => now == word,
        };
        in_state
            && name.is_none_or(|name| cluster.name == name)
            && enterprise.is_none_or(|id| cluster_view::enterprise_project(cluster) == id)
            && has_tags(&cluster.settings.mrs.tags, tags)
    };
    let mut found: Vec<&Shown> = all.iter().filter(fits).collect();
    found.sort_by(|a, b| (b.cluster.created_at, &b.cluster.id).cmp(&(a.cluster.created_at, &a.cluster.id)));
    let clusters: Vec<Value> = page.of(found.iter()).map(|shown| cluster_view::show(shown)).collect();
    Ok(reply::ok(json!({"clusterTotal": found.len(), "clusters": clusters})))
}

/// Whether all of `k1*v1,k2,..` are among the tags.
fn has_tags(tags: &BTreeMap<String, String>, wanted: &str) -> bool {
    wanted.split(',').filter(|one| !one.is_empty()).all(|one| match one.split_once('*') {
        Some((key, value)) => tags.get(key).is_some_and(|have| have == value),
        None => tags.contains_key(one),
    })
}

/// `GET /cluster_infos/{id}`
pub async fn get(call: Call) -> Outcome<Response> {
    let shown = known(&call, &call.id()).await?;
    Ok(reply::ok(reply::under("cluster", cluster_view::show(&shown))))
}

/// `GET /clusters/{id}/hosts`
pub async fn hosts(call: Call) -> Outcome<Response> {
    let page = Page::asked(&call.query)?;
    let shown = known(&call, &call.id()).await?;
    let hosts = cluster_view::hosts(&shown);
    let total = hosts.len();
    let hosts: Vec<Value> = page.of(hosts.into_iter()).collect();
    Ok(reply::ok(json!({"total": total, "hosts": hosts})))
}

/// `GET /clusters/{id}/tags`
pub async fn tags(call: Call) -> Outcome<Response> {
    let shown = known(&call, &call.id()).await?;
    let tags = shown.cluster.settings.mrs.tags.iter().map(|(key, value)| json!({"key": key, "value": value}));
    Ok(reply::ok(json!({"tags": tags.collect::<Vec<_>>()})))
}

/// A tag of a request.
pub fn tag(value: &Value) -> Outcome<(String, String)> {
    let refuse = |why: &str| Err(Code::Parameter.fault(format!("tag: {why}")));
    let members = Members::at("tag", value.clone())?;
    let (key, value) = (members.text("key")?, members.text("value")?);
    // The filter of the list writes tags as `key*value,..`.
    if key.is_empty() || key.chars().count() > LONGEST_KEY || key.contains(['*', ',', '=']) {
        return refuse("key has to be 1 to 128 characters, and none of '*', ',' and '='");
    }
    if value.chars().count() > LONGEST_VALUE || value.contains(',') {
        return refuse("value has to be at most 255 characters without ','");
    }
    Ok((key, value))
}

async fn change(call: &Call, add: Vec<(String, String)>, remove: Vec<String>) -> Outcome<Response> {
    let id: ClusterId = call.id();
    let changed = clusters::set_tags(&call.app, &call.caller, &id, add, remove).await;
    changed.map_err(|error| fault(error, &id))?;
    Ok(reply::nothing())
}

/// `POST /clusters/{id}/tags`
pub async fn add_tag(mut call: Call) -> Outcome<Response> {
    let members = Members::of(call.json.take())?;
    let tag = tag(members.0.get("tag").unwrap_or(&Value::Null))?;
    change(&call, vec![tag], Vec::new()).await
}

/// `POST /clusters/{id}/tags/action`
pub async fn tags_action(mut call: Call) -> Outcome<Response> {
    let members = Members::of(call.json.take())?;
    let action = members.needed("action")?;
    let tags = members.list("tags").iter().map(tag).collect::<Outcome<Vec<_>>>()?;
    if tags.is_empty() {
        return Err(Code::Parameter.fault("tags: it has to hold at least one tag"));
    }
    match action.as_str() {
        "create" => change(&call, tags, Vec::new()).await,
        "delete" => change(&call, Vec::new(), tags.into_iter().map(|(key, _)| key).collect()).await,
        _ => Err(Code::Parameter.fault("action: it has to be create or delete")),
    }
}

/// `DELETE /clusters/{id}/tags/{key}`
pub async fn remove_tag(call: Call) -> Outcome<Response> {
    let key = call.parameter("key").to_owned();
    change(&call, Vec::new(), vec![key]).await
}

#[cfg(test)]
mod tests {
    use foggara_domain::cluster::ClusterStatus;

    use super::*;

    #[test]
    fn all_tags_of_a_filter_have_to_be_there() {
        let tags = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), String::new())]);
        for yes in ["", "a", "a*1", "a*1,b", "b*,"] {
            assert!(has_tags(&tags, yes), "{yes}");
        }
        for no in ["c", "a*2", "a,c"] {
            assert!(!has_tags(&tags, no), "{no}");
        }
    }

    #[test]
    fn every_status_has_a_word_that_the_filter_knows() {
        for (status, _) in ClusterStatus::ALL {
            assert!(STATES.contains(&cluster_view::state(status)), "{status:?}");
        }
    }
}
