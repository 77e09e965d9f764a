//! The schemas of request bodies: files beside this one, and what is made of them. A schema of v2 is that of v1.1 with the names
//! of v2, and where v2 takes more, with that (sahara-v1.1.md section 9, sahara-v2.md sections 2 and 4).

use std::{collections::BTreeMap, sync::LazyLock};

use serde_json::{Map, Value, json};

use super::view::View;

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        /// What is written down.
        fn files() -> BTreeMap<String, Value> {
            BTreeMap::from([$((
                $name.to_owned(),
                serde_json::from_str(include_str!(concat!("schema/", $name, ".json")))
                    .expect(concat!("the schema ", $name, " is part of the program and is JSON")),
            )),*])
        }
    };
}

files! {
    "data_source_create", "data_source_update", "job_binary_create", "job_binary_update", "job_binary_internal_update",
    "job_create", "job_update", "job_execute", "job_execution_update", "node_group_template_create",
    "cluster_template_create", "cluster_update", "cluster_scale", "cluster_delete_v2", "image_register", "image_tags",
    "plugin_update",
}

/// Every schema by its name.
static SCHEMAS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(all);

/// All schemas by name, for the OpenAPI document.
pub fn all_by_name() -> &'static BTreeMap<String, Value> {
    &SCHEMAS
}

/// A schema in the words of a view.
pub fn find(name: &str, view: View) -> Option<&'static Value> {
    let of_v2 = (view == View::V2).then(|| SCHEMAS.get(&format!("{name}_v2"))).flatten();
    of_v2.or_else(|| SCHEMAS.get(name))
}

fn all() -> BTreeMap<String, Value> {
    let mut all = files();
    let groups =
        json!({"type": ["array", "null"], "items": {"oneOf": node_groups(&all["node_group_template_create"])}});
    put(&mut all, "cluster_template_create", [("node_groups", groups.clone())]);
    put(&mut all, "cluster_scale", [("add_node_groups", groups)]);
    let mut cluster = all["cluster_template_create"].clone();
    add(
        &mut cluster,
        [
            ("is_transient", json!({"type": "boolean"})),
            ("user_keypair_id", json!({"type": "string", "format": "valid_keypair_name"})),
            ("cluster_template_id", json!({"type": "string", "format": "uuid"})),
        ],
    );
    let mut multiple = cluster.clone();
    add(&mut multiple, [("count", json!({"type": "integer"}))]);
    all.insert("cluster_create_v2".to_owned(), of_v2(&multiple));
    require(&mut multiple, "count");
    all.insert("cluster_create_multiple".to_owned(), multiple);
    all.insert("cluster_create".to_owned(), cluster);
    for name in ["node_group_template", "cluster_template"] {
        let mut update = all[&format!("{name}_create")].clone();
        update["required"] = json!([]);
        all.insert(format!("{name}_update"), update);
    }
    for name in [
        "node_group_template_create",
        "node_group_template_update",
        "cluster_template_create",
        "cluster_template_update",
    ] {
        let schema = of_v2(&all[name]);
        all.insert(format!("{name}_v2"), schema);
    }
    for name in ["node_group_template_create_v2", "node_group_template_update_v2"] {
        put(&mut all, name, boot());
    }
    let mut update = all["cluster_update"].clone();
    add(&mut update, [("update_keypair", json!({"type": ["boolean", "null"]}))]);
    all.insert("cluster_update_v2".to_owned(), update);
    let mut scale = all["cluster_scale"].clone();
    let instances = json!({"type": "array", "items": {"type": "string"}});
    add(&mut scale["properties"]["resize_node_groups"]["items"], [("instances", instances)]);
    all.insert("cluster_scale_v2".to_owned(), scale);
    let mut execute = all["job_execute"].clone();
    add(&mut execute, [("job_template_id", json!({"type": "string", "format": "uuid"}))]);
    require(&mut execute, "job_template_id");
    all.insert("job_execute_v2".to_owned(), execute);
    all
}

/// A node group inside of a cluster or cluster template: with a template, or with everything named.
fn node_groups(template: &Value) -> [Value; 2] {
    let mut bare = template.clone();
    if let Some(Value::Object(properties)) = bare.get_mut("properties") {
        properties.retain(|name, _| !["plugin_name", "hadoop_version"].contains(&name.as_str()));
    }
    add(&mut bare, [("count", json!({"type": "integer"}))]);
    add(&mut bare, boot());
    let mut of_template = bare.clone();
    bare["required"] = json!(["name", "flavor_id", "node_processes", "count"]);
    add(&mut of_template, [("node_group_template_id", json!({"type": "string", "format": "uuid"}))]);
    of_template["required"] = json!(["node_group_template_id", "name", "count"]);
    [of_template, bare]
}

/// Members about the volume that a node boots from.
fn boot() -> [(&'static str, Value); 4] {
    [
        ("boot_from_volume", json!({"type": "boolean"})),
        ("boot_volume_type", json!({"type": "string"})),
        ("boot_volume_availability_zone", json!({"type": "string"})),
        ("boot_volume_local_to_instance", json!({"type": "boolean"})),
    ]
}

fn put<const N: usize>(all: &mut BTreeMap<String, Value>, name: &str, properties: [(&str, Value); N]) {
    if let Some(schema) = all.get_mut(name) {
        add(schema, properties);
    }
}

fn add<const N: usize>(schema: &mut Value, properties: [(&str, Value); N]) {
    for (name, property) in properties {
        schema["properties"][name] = property;
    }
}

fn require(schema: &mut Value, name: &str) {
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.push(json!(name));
    }
}

/// The schema with the names of v2, also of what it requires. Renamed members stand last, as in the original.
fn of_v2(schema: &Value) -> Value {
    let mut out = schema.clone();
    if let Some(Value::Object(properties)) = out.get_mut("properties") {
        let (same, renamed): (Vec<_>, Vec<_>) =
            std::mem::take(properties).into_iter().partition(|(name, _)| View::V2.member(name) == name);
        let renamed = renamed.into_iter().map(|(name, value)| (View::V2.member(&name).to_owned(), value));
        *properties = same.into_iter().chain(renamed).collect::<Map<_, _>>();
    }
    if let Some(Value::Array(required)) = out.get_mut("required") {
        let (same, renamed): (Vec<Value>, Vec<Value>) = std::mem::take(required)
            .into_iter()
            .partition(|name| name.as_str().is_none_or(|name| View::V2.member(name) == name));
        let renamed = renamed.iter().filter_map(Value::as_str).map(|name| json!(View::V2.member(name)));
        *required = same.into_iter().chain(renamed).collect();
    }
    out
}
