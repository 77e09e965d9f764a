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
/// Longest key and value of a tag.
const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 255;

/// A cluster that does not exist has a code of its own in MRS.
pub fn unknown(error: Error, id: &ClusterId) -> Fault {
    match error {
        Error::NotFound { .. } => Code::NoCluster.fault(format!("Cluster {id}")),
        other => other.into(),
    }
}

/// `GET /cluster_infos`
pub async fn list(call: Call) -> Outcome<Response> {
    let query = &call.query;
    let size = asked::number(query, "pageSize", 10, 1, 2_147_483_646)?;
    let page = asked::number(query, "currentPage", 1, 1, u64::from(u32::MAX))?;
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
            && enterprise
                .is_none_or(|id| cluster_view::text(&cluster.settings.mrs.shown, "enterprise_project_id") == id)
            && has_tags(&cluster.settings.mrs.tags, tags)
    };
    let mut found: Vec<&Shown> = all.iter().filter(fits).collect();
    found.sort_by(|a, b| (b.cluster.created_at, &b.cluster.id).cmp(&(a.cluster.created_at, &a.cluster.id)));
    let skip = usize::try_from(size.saturating_mul(page - 1)).unwrap_or(usize::MAX);
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let page: Vec<Value> = found.iter().skip(skip).take(size).map(|shown| cluster_view::show(shown)).collect();
    Ok(reply::ok(json!({"clusterTotal": found.len(), "clusters": page})))
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
    let id: ClusterId = call.id();
    let shown = clusters::get(&call.app, &call.caller, &id, false).await.map_err(|error| unknown(error, &id))?;
    Ok(reply::ok(reply::under("cluster", cluster_view::show(&shown))))
}

/// `GET /clusters/{id}/hosts`
pub async fn hosts(call: Call) -> Outcome<Response> {
    let id: ClusterId = call.id();
    let size = asked::number(&call.query, "pageSize", 10, 1, 2_147_483_646)?;
    let page = asked::number(&call.query, "currentPage", 1, 1, u64::from(u32::MAX))?;
    let shown = clusters::get(&call.app, &call.caller, &id, false).await.map_err(|error| unknown(error, &id))?;
    let hosts: Vec<Value> = shown
        .instances
        .iter()
        .map(|node| {
            let group = shown.cluster.node_groups.iter().find(|group| group.id == node.group);
            let master = group.is_some_and(|group| group.settings.node_processes.iter().any(|p| p == "master"));
            json!({
                "id": node.id,
                "resourceId": node.id,
                "name": node.name,
                "ip": node.address.as_ref().map_or("", |at| at.host.as_str()),
                "status": if node.address.is_some() { "ACTIVE" } else { "BUILD" },
                "flavor": group.and_then(|group| group.settings.flavor_id.as_deref()).unwrap_or_default(),
                "type": if master { "Master" } else { "Core" },
                "nodeGroupName": group.map_or("", |group| group.name.as_str()),
                "availabilityZoneId": "",
                "tags": [],
                "mem": "",
                "cpu": "",
                "rootVolumeSize": "",
                "dataVolumeType": "",
                "dataVolumeSize": 0,
                "dataVolumeCount": 0,
            })
        })
        .collect();
    let skip = usize::try_from(size.saturating_mul(page - 1)).unwrap_or(usize::MAX);
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let total = hosts.len();
    let page: Vec<Value> = hosts.into_iter().skip(skip).take(size).collect();
    Ok(reply::ok(json!({"total": total, "hosts": page})))
}

/// `GET /clusters/{id}/tags`
pub async fn tags(call: Call) -> Outcome<Response> {
    let id: ClusterId = call.id();
    let shown = clusters::get(&call.app, &call.caller, &id, false).await.map_err(|error| unknown(error, &id))?;
    let tags = shown.cluster.settings.mrs.tags.iter().map(|(key, value)| json!({"key": key, "value": value}));
    Ok(reply::ok(json!({"tags": tags.collect::<Vec<_>>()})))
}

/// A tag of a request.
pub fn tag(value: &Value) -> Outcome<(String, String)> {
    let refuse = |why: &str| Err(Code::Parameter.fault(format!("tag: {why}")));
    let key = value["key"].as_str().unwrap_or_default();
    let value = value["value"].as_str().unwrap_or_default();
    // The filter of the list writes tags as `key*value,..`.
    if key.is_empty() || key.chars().count() > LONGEST_KEY || key.contains(['*', ',', '=', '\0']) {
        return refuse("key has to be 1 to 128 characters, and none of '*', ',' and '='");
    }
    if value.chars().count() > LONGEST_VALUE || value.contains([',', '\0']) {
        return refuse("value has to be at most 255 characters without ','");
    }
    Ok((key.to_owned(), value.to_owned()))
}

async fn change(call: &Call, add: Vec<(String, String)>, remove: Vec<String>) -> Outcome<Response> {
    let id: ClusterId = call.id();
    let changed = clusters::set_tags(&call.app, &call.caller, &id, add, remove).await;
    changed.map_err(|error| unknown(error, &id))?;
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
