//! Node groups in bodies and answers, wherever they stand.

use foggara_app::ops::clusters::GivenGroup;
use foggara_domain::{ProjectId, cluster::Instance, node_group::NodeGroup};
use serde_json::{Map, Value, json};

use super::{members, view::View};
use crate::reply;

/// Takes the node groups out of a body; nothing when there are none or null.
pub fn given(body: &mut Map<String, Value>, key: &str) -> Option<Vec<GivenGroup>> {
    match body.remove(key) {
        Some(Value::Array(items)) => Some(items.into_iter().map(one).collect()),
        _ => None,
    }
}

fn one(item: Value) -> GivenGroup {
    let mut item = if let Value::Object(members) = item { members } else { Map::new() };
    GivenGroup {
        name: members::required_text(&mut item, "name"),
        count: members::count(&mut item).unwrap_or(0),
        template: members::text(&mut item, "node_group_template_id").map(Into::into),
        settings: item,
    }
}

/// A group of a cluster template.
pub fn show(group: &NodeGroup, project: &ProjectId, view: View) -> Value {
    let mut shown = settings(&group.settings);
    shown.extend([
        ("id".to_owned(), json!(group.id)),
        ("name".to_owned(), json!(group.name)),
        ("count".to_owned(), json!(group.count)),
        ("node_group_template_id".to_owned(), json!(group.template)),
        (view.member("tenant_id").to_owned(), json!(project)),
        ("created_at".to_owned(), json!(group.created_at.sahara())),
        ("updated_at".to_owned(), reply::time(group.updated_at)),
    ]);
    Value::Object(shown)
}

/// A group of a cluster, with its nodes.
pub fn show_with_nodes(group: &NodeGroup, nodes: &[Instance], project: &ProjectId, view: View) -> Value {
    let mut shown = show(group, project, view);
    let nodes = nodes.iter().filter(|node| node.group == group.id).map(|node| instance(node, project, view));
    shown["instances"] = nodes.collect();
    shown["open_ports"] = json!([]);
    shown["image_username"] = Value::Null;
    shown
}

/// The members that describe each node.
pub fn settings(settings: &foggara_domain::node_group::NodeSettings) -> Map<String, Value> {
    match serde_json::to_value(settings) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

fn instance(node: &Instance, project: &ProjectId, view: View) -> Value {
    let host = node.address.as_ref().map(|address| address.host.as_str());
    let mut shown = json!({
        "id": node.id,
        // Where the machine service would have an id of its own, ours stands.
        "instance_id": node.id,
        "instance_name": node.name,
        "internal_ip": host,
        "management_ip": host,
        "storage_devices_number": 0,
        "dns_hostname": null,
        "volumes": [],
        "created_at": node.created_at.sahara(),
        "updated_at": reply::time(node.updated_at),
    });
    shown[view.member("tenant_id")] = json!(project);
    shown
}
