//! `/node-group-templates` (sahara-v1.1.md section 9).

use axum::response::Response;
use foggara_app::ops::node_group_templates::{self, NewNodeGroupTemplate, TemplateChange};
use foggara_domain::{Code, Error, NodeGroupTemplateId, node_group::NodeGroupTemplate};
use serde_json::{Map, Value, json};

use super::{members, node_groups, view::View};
use crate::{
    call::Call,
    fault::{Fault, Outcome},
    reply,
};

/// Members that `export` leaves for the reader to fill in.
const PLACEHOLDERS: [&str; 4] = ["flavor_id", "security_groups", "image_id", "floating_ip_pool"];

/// `GET /node-group-templates`
pub async fn list(call: Call) -> Outcome<Response> {
    let query = call.list()?;
    let found = node_group_templates::list(&call.app, &call.caller, &query).await?;
    let given = query.marker.is_some();
    Ok(reply::ok(call.view.list("node_group_templates", found, given, |template| show(&template))))
}

/// `POST /node-group-templates`
pub async fn create(mut call: Call) -> Outcome<Response> {
    let mut body = call.body("node_group_template_create")?;
    let new = NewNodeGroupTemplate {
        name: members::required_text(&mut body, "name"),
        description: members::text(&mut body, "description"),
        plugin: members::required_text(&mut body, "plugin_name"),
        version: members::required_text(&mut body, "hadoop_version"),
        is_public: members::kept_flag(&mut body, "is_public").unwrap_or_default(),
        is_protected: members::kept_flag(&mut body, "is_protected").unwrap_or_default(),
        settings: body,
    };
    let template = node_group_templates::create(&call.app, &call.caller, &call.token, new).await?;
    Ok(reply::accepted(call.view.under("node_group_template", show(&template))))
}

/// `GET /node-group-templates/{id}`
pub async fn get(call: Call) -> Outcome<Response> {
    let template = node_group_templates::get(&call.app, &call.caller, &call.id()).await?;
    call.check_params()?;
    Ok(reply::ok(call.view.under("node_group_template", show(&template))))
}

/// `GET /node-group-templates/{id}/export`
pub async fn export(call: Call) -> Outcome<Response> {
    let template = node_group_templates::get(&call.app, &call.caller, &call.id()).await?;
    call.check_params()?;
    let mut shown = exported(show(&template), &PLACEHOLDERS);
    if let (View::V1, Value::Object(members)) = (call.view, &mut shown) {
        // v1.1 takes no such members, and what is exported is to be taken.
        members.retain(|name, _| !name.starts_with("boot_"));
    }
    let answer = reply::ok(call.view.under("node_group_template", shown));
    Ok(reply::attachment(answer, "node_group_template.json"))
}

/// A template without what is this server's own, with placeholders for what is the reader's.
pub fn exported(mut shown: Value, placeholders: &[&str]) -> Value {
    if let Value::Object(members) = &mut shown {
        for own in ["id", "created_at", "updated_at", "tenant_id", "is_default"] {
            members.remove(own);
        }
        for name in placeholders {
            members.insert((*name).to_owned(), json!(format!("{{{name}}}")));
        }
    }
    shown
}

/// `PUT /node-group-templates/{id}`, PATCH in v2: what the body does not name stays.
pub async fn update(mut call: Call) -> Outcome<Response> {
    let id: NodeGroupTemplateId = call.id();
    node_group_templates::get(&call.app, &call.caller, &id).await?;
    let body = call.body("node_group_template_update")?;
    let change = change(&call, body)?;
    let template = node_group_templates::update(&call.app, &call.caller, &call.token, &id, change).await?;
    Ok(reply::accepted(call.view.under("node_group_template", show(&template))))
}

/// The changes of a body. A plugin changes only together with its version.
pub fn change(call: &Call, mut body: Map<String, Value>) -> Outcome<TemplateChange> {
    let change = TemplateChange {
        name: members::text(&mut body, "name"),
        description: members::nullable_text(&mut body, "description"),
        plugin: members::text(&mut body, "plugin_name"),
        version: members::text(&mut body, "hadoop_version"),
        is_public: members::kept_flag(&mut body, "is_public"),
        is_protected: members::kept_flag(&mut body, "is_protected"),
        settings: body,
    };
    if change.plugin.is_some() && change.version.is_none() {
        let text = format!("You must specify a {} value for your plugin_name", call.view.member("hadoop_version"));
        return Err(Fault::Domain(Error::refused(Code::InvalidReference, text)));
    }
    Ok(change)
}

/// `DELETE /node-group-templates/{id}`
pub async fn delete(call: Call) -> Outcome<Response> {
    call.check_params()?;
    node_group_templates::delete(&call.app, &call.caller, &call.id()).await?;
    Ok(reply::nothing())
}

fn show(template: &NodeGroupTemplate) -> Value {
    let mut shown = node_groups::settings(&template.settings);
    let own = json!({
        "id": template.id,
        "tenant_id": template.project,
        "name": template.name,
        "description": template.description,
        "plugin_name": template.plugin,
        "hadoop_version": template.version,
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
