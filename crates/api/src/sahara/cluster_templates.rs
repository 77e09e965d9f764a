//! `/cluster-templates` (sahara-v1.1.md section 9).

use axum::response::Response;
use foggara_app::ops::cluster_templates::{self, NewClusterTemplate};
use foggara_domain::{ClusterTemplateId, cluster::ClusterTemplate};
use serde_json::{Map, Value, json};

use super::{
    members,
    node_group_templates::{change, exported},
    node_groups,
    view::View,
};
use crate::{call::Call, fault::Outcome, reply};

/// `GET /cluster-templates`
pub async fn list(call: Call) -> Outcome<Response> {
    let query = call.list()?;
    let found = cluster_templates::list(&call.app, &call.caller, &query).await?;
    let (given, view) = (query.marker.is_some(), call.view);
    Ok(reply::ok(view.list("cluster_templates", found, given, |template| show(&template, view))))
}

/// `POST /cluster-templates`
pub async fn create(mut call: Call) -> Outcome<Response> {
    let mut body = call.body("cluster_template_create")?;
    let new = NewClusterTemplate {
        name: members::required_text(&mut body, "name"),
        description: members::text(&mut body, "description"),
        plugin: members::required_text(&mut body, "plugin_name"),
        version: members::required_text(&mut body, "hadoop_version"),
        node_groups: node_groups::given(&mut body, "node_groups").unwrap_or_default(),
        is_public: members::kept_flag(&mut body, "is_public").unwrap_or_default(),
        is_protected: members::kept_flag(&mut body, "is_protected").unwrap_or_default(),
        settings: body,
    };
    let template = cluster_templates::create(&call.app, &call.caller, &call.token, new).await?;
    Ok(reply::accepted(call.view.under("cluster_template", show(&template, call.view))))
}

/// `GET /cluster-templates/{id}`
pub async fn get(call: Call) -> Outcome<Response> {
    let template = cluster_templates::get(&call.app, &call.caller, &call.id()).await?;
    call.check_params()?;
    Ok(reply::ok(call.view.under("cluster_template", show(&template, call.view))))
}

/// `GET /cluster-templates/{id}/export`
pub async fn export(call: Call) -> Outcome<Response> {
    let template = cluster_templates::get(&call.app, &call.caller, &call.id()).await?;
    call.check_params()?;
    let shown = exported(show(&template, call.view), &["default_image_id", "node_groups"]);
    let answer = reply::ok(call.view.under("cluster_template", shown));
    Ok(reply::attachment(answer, "cluster_template.json"))
}

/// `PUT /cluster-templates/{id}`, PATCH in v2: what the body does not name stays.
pub async fn update(mut call: Call) -> Outcome<Response> {
    let id: ClusterTemplateId = call.id();
    cluster_templates::get(&call.app, &call.caller, &id).await?;
    let mut body = call.body("cluster_template_update")?;
    let replaces_groups = body.contains_key("node_groups");
    let groups = node_groups::given(&mut body, "node_groups").unwrap_or_default();
    let change = change(&call, body)?;
    let groups = replaces_groups.then_some(groups);
    let template = cluster_templates::update(&call.app, &call.caller, &call.token, &id, change, groups).await?;
    Ok(reply::accepted(call.view.under("cluster_template", show(&template, call.view))))
}

/// `DELETE /cluster-templates/{id}`
pub async fn delete(call: Call) -> Outcome<Response> {
    call.check_params()?;
    cluster_templates::delete(&call.app, &call.caller, &call.id()).await?;
    Ok(reply::nothing())
}

fn show(template: &ClusterTemplate, view: View) -> Value {
    let mut shown = match serde_json::to_value(&template.settings) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    };
    let groups = template.node_groups.iter().map(|group| node_groups::show(group, &template.project, view));
    let own = json!({
        "id": template.id,
        "tenant_id": template.project,
        "name": template.name,
        "description": template.description,
        "plugin_name": template.plugin,
        "hadoop_version": template.version,
        "node_groups": groups.collect::<Vec<_>>(),
        "is_default": false,
        "is_public": template.is_public,
        "is_protected": template.is_protected,
        "created_at": template.created_at.sahara(),
        "updated_at": reply::time(template.updated_at),
    });
    if let Value::Object(own) = own {
        shown.extend(own);
    }
    Value::Object(shown)
}
