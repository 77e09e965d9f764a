//! `/clusters` (sahara-v1.1.md section 9, sahara-v2.md section 4).

use axum::response::Response;
use foggara_app::ops::clusters::{self, ClusterChange, NewCluster, Resize, Scale, Shown};
use foggara_domain::{
    ClusterId, ProjectId,
    cluster::{HealthCheck, MrsShape, ProvisionEvent, ProvisionStep, Verification},
};
use serde_json::{Map, Value, json};

use super::{members, node_groups, view::View};
use crate::{call::Call, fault::Outcome, mrs::flow, reply};

/// `GET /clusters`
pub async fn list(call: Call) -> Outcome<Response> {
    let query = call.list()?;
    let found = clusters::list(&call.app, &call.caller, &query).await?;
    let (given, view) = (query.marker.is_some(), call.view);
    Ok(reply::ok(view.list("clusters", found, given, |shown| show(&shown, view, false))))
}

/// `GET /clusters/{id}`, with `show_progress=true` also the events of its steps.
pub async fn get(call: Call) -> Outcome<Response> {
    let events = call.query.get("show_progress").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let shown = clusters::get(&call.app, &call.caller, &call.id(), events).await?;
    call.check_params()?;
    Ok(reply::ok(call.view.under("cluster", show(&shown, call.view, events))))
}

/// `POST /clusters`; with a `count` in v2 several. In v2 MRS has a call of the same path (spec/README.md conflict 13).
pub async fn create(mut call: Call) -> Outcome<Response> {
    if call.view == View::V2 && flow::is_ours(&call.json) {
        return flow::create(call).await;
    }
    let mut body = call.body("cluster_create")?;
    let count = members::count(&mut body);
    let new = new_cluster(body);
    let Some(count) = count else {
        let shown = clusters::create(&call.app, &call.caller, &call.token, new).await?;
        return Ok(reply::accepted(call.view.under("cluster", show(&shown, call.view, false))));
    };
    let made = clusters::create_many(&call.app, &call.caller, &call.token, new, count).await?;
    let made: Vec<Value> = made.iter().map(|shown| call.view.under("cluster", show(shown, call.view, false))).collect();
    Ok(reply::accepted(json!({"clusters": made})))
}

/// `POST /clusters/multiple` of v1.1: the answer has only the ids.
pub async fn create_multiple(mut call: Call) -> Outcome<Response> {
    let mut body = call.body("cluster_create_multiple")?;
    let count = members::count(&mut body).unwrap_or(0);
    let made = clusters::create_many(&call.app, &call.caller, &call.token, new_cluster(body), count).await?;
    let ids: Vec<&ClusterId> = made.iter().map(|shown| &shown.cluster.id).collect();
    Ok(reply::accepted(json!({"clusters": ids})))
}

fn new_cluster(mut body: Map<String, Value>) -> NewCluster {
    NewCluster {
        name: members::required_text(&mut body, "name"),
        description: members::text(&mut body, "description"),
        plugin: members::required_text(&mut body, "plugin_name"),
        version: members::required_text(&mut body, "hadoop_version"),
        template: members::text(&mut body, "cluster_template_id").map(Into::into),
        node_groups: node_groups::given(&mut body, "node_groups"),
        keypair: members::text(&mut body, "user_keypair_id"),
        is_transient: members::flag(&mut body, "is_transient").unwrap_or(false),
        is_public: members::kept_flag(&mut body, "is_public").unwrap_or_default(),
        is_protected: members::kept_flag(&mut body, "is_protected").unwrap_or_default(),
        mrs: MrsShape::default(),
        // A null member takes the template's or the default, as an absent one.
        settings: body.into_iter().filter(|(_, value)| !value.is_null()).collect(),
    }
}

/// `PUT /clusters/{id}`: scale.
pub async fn scale(mut call: Call) -> Outcome<Response> {
    let id: ClusterId = call.id();
    clusters::get(&call.app, &call.caller, &id, false).await?;
    let mut body = call.body("cluster_scale")?;
    let resize = match body.remove("resize_node_groups") {
        Some(Value::Array(items)) => items.into_iter().map(resize).collect(),
        _ => Vec::new(),
    };
    let add = node_groups::given(&mut body, "add_node_groups").unwrap_or_default();
    let shown = clusters::scale(&call.app, &call.caller, &call.token, &id, Scale { resize, add }).await?;
    Ok(reply::accepted(call.view.under("cluster", show(&shown, call.view, false))))
}

fn resize(item: Value) -> Resize {
    let mut item = if let Value::Object(members) = item { members } else { Map::new() };
    Resize {
        name: members::required_text(&mut item, "name"),
        count: members::count(&mut item).unwrap_or(0),
        leaving: members::texts(&mut item, "instances"),
    }
}

/// `PATCH /clusters/{id}`
pub async fn update(mut call: Call) -> Outcome<Response> {
    let id: ClusterId = call.id();
    clusters::get(&call.app, &call.caller, &id, false).await?;
    let mut body = call.body("cluster_update")?;
    let change = ClusterChange {
        name: members::text(&mut body, "name"),
        description: members::nullable_text(&mut body, "description"),
        shares: body.remove("shares").filter(Value::is_array),
        is_public: members::kept_flag(&mut body, "is_public"),
        is_protected: members::kept_flag(&mut body, "is_protected"),
        // The schema knows one operation, START. `update_keypair` of v2 has nothing to do here: nodes have no key pairs.
        verify: members::object(&mut body, "verification").is_some_and(|asked| asked.contains_key("status")),
    };
    let shown = clusters::update(&call.app, &call.caller, &id, change).await?;
    Ok(reply::accepted(call.view.under("cluster", show(&shown, call.view, false))))
}

/// `DELETE /clusters/{id}`. A body of v2 may ask for force: it changes the answer, and what is done is the same, since a delete
/// of ours never gives up.
pub async fn delete(mut call: Call) -> Outcome<Response> {
    let id: ClusterId = call.id();
    let force = if call.view == View::V2 {
        clusters::get(&call.app, &call.caller, &id, false).await?;
        let mut body = call.body("cluster_delete")?;
        members::flag(&mut body, "force").unwrap_or(false)
    } else {
        false
    };
    let name = clusters::delete(&call.app, &call.caller, &id).await?;
    Ok(if force { reply::ok(json!({"stack_name": name})) } else { reply::nothing() })
}

/// The cluster with every member that section 9 names: clients read them without asking whether they are there.
fn show(shown: &Shown, view: View, events: bool) -> Value {
    let cluster = &shown.cluster;
    let project = &cluster.project;
    let groups =
        cluster.node_groups.iter().map(|group| node_groups::show_with_nodes(group, &shown.instances, project, view));
    let steps = shown.steps.iter().map(|step| view.object(show_step(step, project, events)));
    let settings = &cluster.settings;
    let mut object = json!({
        "id": cluster.id,
        "name": cluster.name,
        "description": cluster.description,
        "tenant_id": project,
        "trust_id": null,
        "is_transient": cluster.is_transient,
        "plugin_name": cluster.plugin,
        "hadoop_version": cluster.version,
        "cluster_configs": settings.cluster_configs,
        "default_image_id": settings.default_image_id,
        "neutron_management_network": settings.neutron_management_network,
        "anti_affinity": settings.anti_affinity,
        "anti_affinity_ratio": 1,
        "management_public_key": null,
        "user_keypair_id": cluster.keypair,
        "status": cluster.status.name(),
        "status_description": cluster.status_description,
        "info": cluster.info,
        "use_autoconfig": settings.use_autoconfig,
        "cluster_template_id": cluster.template,
        "shares": settings.shares,
        "is_public": cluster.is_public,
        "is_protected": cluster.is_protected,
        "domain_name": settings.domain_name,
        "created_at": cluster.created_at.sahara(),
        "updated_at": reply::time(cluster.updated_at),
        "node_groups": groups.collect::<Vec<_>>(),
        "provision_progress": steps.collect::<Vec<_>>(),
    });
    if let Some(verification) = &shown.verification {
        object["verification"] = show_verification(verification);
    }
    object
}

fn show_step(step: &ProvisionStep, project: &ProjectId, events: bool) -> Value {
    let mut shown = json!({
        "id": step.id,
        "cluster_id": step.cluster,
        "tenant_id": project,
        "step_name": step.name,
        "step_type": step.kind,
        "total": step.total,
        "successful": step.successful,
        "created_at": step.created_at.sahara(),
        "updated_at": reply::time(step.updated_at),
    });
    if events {
        shown["events"] = step.events.iter().map(|event| show_event(&step.id, event)).collect();
    }
    shown
}

fn show_event(step: &str, event: &ProvisionEvent) -> Value {
    json!({
        "id": event.id,
        "step_id": step,
        "node_group_id": event.group,
        "instance_id": event.instance,
        "instance_name": event.instance_name,
        "event_info": event.info,
        "successful": event.successful,
        "created_at": event.created_at.sahara(),
        "updated_at": null,
    })
}

fn show_verification(verification: &Verification) -> Value {
    let check = |check: &HealthCheck| {
        json!({
            "id": check.id,
            "verification_id": verification.id,
            "name": check.name,
            "status": check.status.name(),
            "description": check.description,
            "created_at": check.created_at.sahara(),
            "updated_at": null,
        })
    };
    json!({
        "id": verification.id,
        "cluster_id": verification.cluster,
        "status": verification.status.name(),
        "checks": verification.checks.iter().map(check).collect::<Vec<_>>(),
        "created_at": verification.created_at.sahara(),
        "updated_at": reply::time(verification.updated_at),
    })
}
