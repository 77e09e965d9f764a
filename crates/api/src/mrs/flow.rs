//! Clusters made by MRS's calls: `run-job-flow` of both versions and `POST /v2/clusters` (mrs-v1.1.md section 6, spec/README.md
//! conflict 13). They are clusters of the plugin `local` with the server's own number of slots; what the request says of nodes and
//! networks is kept to be shown. Passwords in the request are not kept.

use std::collections::BTreeMap;

use axum::response::Response;
use foggara_app::ops::{
    clusters::{self, NewCluster},
    executions::{self, Refusal},
};
use foggara_domain::{
    ClusterId,
    cluster::MrsShape,
    direct::{Kind, Order},
};
use serde_json::{Map, Value, json};

use super::{
    asked::Members,
    clusters::tag,
    error::{self, Code},
    jobs_v2, submit,
};
use crate::{
    call::Call,
    fault::{Fault, Outcome},
    reply,
};

const PLUGIN: &str = "local";
const PLUGIN_VERSION: &str = "1.0";
const LONGEST_NAME: usize = 64;
/// Members that are kept to be shown.
const KEPT: [&str; 17] = [
    "cluster_version",
    "region",
    "data_center",
    "vpc",
    "vpc_id",
    "vpc_name",
    "subnet_id",
    "subnet_name",
    "security_groups_id",
    "availability_zone",
    "available_zone_id",
    "enterprise_project_id",
    "components",
    "master_node_size",
    "core_node_size",
    "log_uri",
    "cluster_type",
];
/// Members of a node group that are kept.
const KEPT_OF_GROUP: [&str; 10] = [
    "group_name",
    "node_num",
    "node_size",
    "root_volume",
    "root_volume_size",
    "root_volume_type",
    "data_volume",
    "data_volume_type",
    "data_volume_size",
    "data_volume_count",
];

/// `POST /v1.1/run-job-flow`
pub async fn run_v1(mut call: Call) -> Outcome<Response> {
    let members = Members::of(call.json.take())?;
    let (job, transient) = added_job(&members)?;
    let cluster = make(&call, &members, job, transient, submit::refused).await?;
    Ok(reply::ok(answer_v1(&cluster)))
}

/// The answer of V1.1.
pub fn answer_v1(cluster: &ClusterId) -> Value {
    json!({"cluster_id": cluster, "result": true, "msg": ""})
}

/// `POST /v2/run-job-flow`
pub async fn run_v2(mut call: Call) -> Outcome<Response> {
    let members = Members::of(call.json.take())?;
    let steps = members.list("steps");
    let job = match steps.as_slice() {
        [] => None,
        [step] => {
            let job = Members::of(step.get("job_execution").cloned().unwrap_or_default())?;
            Some(jobs_v2::order(&job, ClusterId::from(""))?)
        }
        _ => {
            let text = "steps: one is taken; submit the others to the cluster when it runs";
            return Err(Code::NotSupported.fault(text));
        }
    };
    let transient = members.flag("delete_when_no_steps")? && job.is_some();
    let cluster = make(&call, &members, job, transient, jobs_v2::refused).await?;
    Ok(reply::ok(answer_v2(&cluster)))
}

/// The answer of V2.
pub fn answer_v2(cluster: &ClusterId) -> Value {
    json!({"cluster_id": cluster})
}

/// Whether a body of `POST /v2/clusters` is MRS's and not Sahara's.
pub fn is_ours(body: &Value) -> bool {
    body.get("cluster_name").is_some() && body.get("plugin_name").is_none() && body.get("name").is_none()
}

/// `POST /v2/clusters` with a body of MRS.
pub async fn create(mut call: Call) -> Outcome<Response> {
    let made = async {
        let members = Members::of(call.json.take())?;
        let (job, transient) = added_job(&members)?;
        make(&call, &members, job, transient, submit::refused).await
    };
    match made.await {
        Ok(cluster) => Ok(reply::ok(answer_v2(&cluster))),
        Err(fault) => Err(error::of(&fault, true).into()),
    }
}

/// The job of `add_jobs`, and whether the cluster goes after it.
fn added_job(members: &Members) -> Outcome<(Option<Order>, bool)> {
    let jobs = members.list("add_jobs");
    let job = match jobs.as_slice() {
        [] => return Ok((None, false)),
        [job] => Members::of(job.clone())?,
        _ => return Err(Code::Parameter.fault("add_jobs: at most one job is taken")),
    };
    if !job.0.contains_key("submit_job_once_cluster_run") {
        return Err(Code::Parameter.fault("add_jobs: submit_job_once_cluster_run is missing"));
    }
    let (submits, shuts_down) = (job.flag("submit_job_once_cluster_run")?, job.flag("shutdown_cluster")?);
    let order = submit::order(&job, ClusterId::from(""))?;
    if order.direct.kind == Kind::DistCp {
        return Err(Code::NotSupported.fault("DistCp jobs are not taken by this call"));
    }
    Ok(if submits { (Some(order), shuts_down) } else { (None, false) })
}

async fn make(
    call: &Call,
    members: &Members,
    job: Option<Order>,
    is_transient: bool,
    refused: fn(Kind, Refusal) -> Fault,
) -> Outcome<ClusterId> {
    let new = new_cluster(members, is_transient)?;
    let Some(order) = job else {
        let made = clusters::create(&call.app, &call.caller, &call.token, new).await?;
        return Ok(made.cluster.id);
    };
    let kind = order.direct.kind;
    let row = executions::run_flow(&call.app, &call.caller, &call.token, new, order).await;
    Ok(row.map_err(|refusal| refused(kind, refusal))?.cluster)
}

fn new_cluster(members: &Members, is_transient: bool) -> Outcome<NewCluster> {
    let name = members.text("cluster_name")?;
    let known = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(known) {
        return Err(Code::ClusterName.fault("cluster_name has to be 1 to 64 letters, digits, '_' and '-'"));
    }
    members.needed("cluster_version")?;
    let safe = members.0.get("safe_mode").unwrap_or(&Value::Null);
    if safe == &json!(1) || safe.as_str().is_some_and(|mode| mode == "1" || mode.eq_ignore_ascii_case("kerberos")) {
        return Err(Code::NotSupported.fault("safe_mode: clusters with Kerberos are not supported"));
    }
    let tags = members.list("tags").iter().map(tag).collect::<Outcome<BTreeMap<_, _>>>()?;
    if tags.len() > clusters::MOST_TAGS {
        return Err(Code::Parameter.fault(format!("tags: at most {} are allowed", clusters::MOST_TAGS)));
    }
    Ok(NewCluster {
        name,
        description: None,
        plugin: PLUGIN.to_owned(),
        version: PLUGIN_VERSION.to_owned(),
        template: None,
        settings: Map::new(),
        node_groups: None,
        // The name of a key pair at Huawei's names none here.
        keypair: None,
        is_transient,
        is_public: Some(false).into(),
        is_protected: Some(false).into(),
        mrs: MrsShape { tags, shown: kept(members) },
    })
}

/// What is shown again. Groups of V1.1 without a list of groups are a master's and a core's.
fn kept(members: &Members) -> Map<String, Value> {
    let of = |members: &Map<String, Value>, names: &[&str]| -> Map<String, Value> {
        let found = names.iter().filter_map(|name| Some(((*name).to_owned(), members.get(*name)?.clone())));
        found.filter(|(_, value)| !value.is_null()).collect()
    };
    let mut shown = of(&members.0, &KEPT);
    let mut groups: Vec<Value> = members
        .list("node_groups")
        .iter()
        .filter_map(|group| Some(Value::Object(of(group.as_object()?, &KEPT_OF_GROUP))))
        .collect();
    if groups.is_empty() {
        for (name, count, size) in [
            ("master_node_default_group", "master_node_num", "master_node_size"),
            ("core_node_analysis_group", "core_node_num", "core_node_size"),
        ] {
            if let Some(count) = members.0.get(count) {
                groups.push(json!({"group_name": name, "node_num": count, "node_size": members.0.get(size)}));
            }
        }
    }
    shown.insert("node_groups".to_owned(), Value::Array(groups));
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_kept() {
        let body = json!({
            "cluster_name": "c", "cluster_version": "MRS 3.1.0", "manager_admin_password": "secret-1",
            "node_root_password": "secret-2", "cluster_admin_secret": "secret-3",
            "node_groups": [{"group_name": "g", "node_num": 1, "password": "secret-4"}],
        });
        let new = new_cluster(&Members::of(body).expect("an object"), false).expect("a cluster");
        let text = serde_json::to_string(&new.mrs.shown).expect("JSON");
        assert!(text.contains("MRS 3.1.0") && !text.contains("secret"), "{text}");
    }

    #[test]
    fn bodies_are_told_apart() {
        assert!(is_ours(&json!({"cluster_name": "c", "cluster_version": "v"})));
        assert!(!is_ours(&json!({"name": "c", "plugin_name": "local"})));
        assert!(!is_ours(&json!({"cluster_name": "c", "plugin_name": "local"})));
    }
}
