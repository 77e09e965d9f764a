//! `/clusters`, as far as clients need it to find where to run (sahara-v1.1.md section 9).

use axum::response::Response;
use foggara_app::ops::clusters;
use foggara_domain::cluster::Cluster;
use serde_json::{Value, json};

use crate::{call::Call, fault::Outcome, reply};

/// `GET /clusters`
pub async fn list(call: Call) -> Outcome<Response> {
    let query = call.list()?;
    let found = clusters::list(&call.app, &call.caller, &query).await?;
    Ok(reply::ok(call.view.list("clusters", found, query.marker.is_some(), |cluster| show(&cluster))))
}

/// `GET /clusters/{id}`; `show_progress` is known and has nothing to add to a cluster that was not provisioned.
pub async fn get(call: Call) -> Outcome<Response> {
    let cluster = clusters::get(&call.app, &call.caller, &call.id()).await?;
    call.check_params()?;
    Ok(reply::ok(call.view.under("cluster", show(&cluster))))
}

/// The cluster with every member that section 9 names: clients read them without asking whether they are there.
fn show(cluster: &Cluster) -> Value {
    json!({
        "id": cluster.id,
        "name": cluster.name,
        "description": cluster.description,
        "tenant_id": cluster.project,
        "trust_id": null,
        "is_transient": false,
        "plugin_name": cluster.plugin,
        "hadoop_version": cluster.version,
        "cluster_configs": cluster.configs,
        "default_image_id": null,
        "neutron_management_network": null,
        "anti_affinity": [],
        "anti_affinity_ratio": 1,
        "management_public_key": null,
        "user_keypair_id": null,
        "status": cluster.status,
        "status_description": cluster.status_description,
        "info": {},
        "use_autoconfig": true,
        "cluster_template_id": null,
        "shares": null,
        "is_public": cluster.is_public,
        "is_protected": cluster.is_protected,
        "domain_name": null,
        "created_at": cluster.created_at.sahara(),
        "updated_at": reply::time(cluster.updated_at),
        "node_groups": [],
        "provision_progress": [],
    })
}
