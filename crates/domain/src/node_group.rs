//! Node groups: what a cluster is made of. The same settings stand in a node group template, in a node group of a cluster
//! template and in one of a cluster (sahara-v1.1.md section 9).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{NodeGroupId, NodeGroupTemplateId, ProjectId, Timestamp, flag::Flag};

/// Settings per target and name: `{"spark": {"cores": 2}}`.
pub type Configs = Map<String, Value>;

/// What each node of a group is. Only `node_processes`, `node_configs` and `use_autoconfig` mean something to our plugins; the
/// rest describes machines of an OpenStack that is not there, and is stored and shown as it came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeSettings {
    /// Nova's flavor, as text.
    pub flavor_id: Option<String>,
    /// Image of the nodes; nothing takes the cluster's.
    pub image_id: Option<String>,
    /// What runs on a node, in the plugin's words (`master`, `slave`).
    pub node_processes: Vec<String>,
    /// Settings of the plugin.
    pub node_configs: Configs,
    /// Volumes of a node.
    pub volumes_per_node: i64,
    /// Gigabytes of each.
    pub volumes_size: Option<i64>,
    /// Where volumes are made.
    pub volumes_availability_zone: Option<String>,
    /// Where they are mounted.
    pub volume_mount_prefix: Option<String>,
    /// Kind of volume.
    pub volume_type: Option<String>,
    /// Whether a node boots from a volume.
    pub boot_from_volume: bool,
    /// Kind of that volume.
    pub boot_volume_type: Option<String>,
    /// Where that volume is made.
    pub boot_volume_availability_zone: Option<String>,
    /// Whether that volume lies on the node's host.
    pub boot_volume_local_to_instance: Option<bool>,
    /// Whether the plugin chooses settings by itself.
    pub use_autoconfig: Option<bool>,
    /// Where public addresses come from.
    pub floating_ip_pool: Option<String>,
    /// Neutron's security groups.
    pub security_groups: Option<Vec<String>>,
    /// Whether a group is made for the node group.
    pub auto_security_group: Option<bool>,
    /// Where nodes are made.
    pub availability_zone: Option<String>,
    /// Whether the other nodes are reached through these.
    pub is_proxy_gateway: Option<bool>,
    /// Whether volumes lie on the node's host.
    pub volume_local_to_instance: Option<bool>,
    /// Manila's shares.
    pub shares: Option<Value>,
}

impl Default for NodeSettings {
    fn default() -> Self {
        Self {
            flavor_id: None,
            image_id: None,
            node_processes: Vec::new(),
            node_configs: Configs::new(),
            volumes_per_node: 0,
            volumes_size: Some(0),
            volumes_availability_zone: None,
            volume_mount_prefix: Some("/volumes/disk".to_owned()),
            volume_type: None,
            boot_from_volume: false,
            boot_volume_type: None,
            boot_volume_availability_zone: None,
            boot_volume_local_to_instance: Some(false),
            use_autoconfig: Some(true),
            floating_ip_pool: None,
            security_groups: None,
            auto_security_group: Some(false),
            availability_zone: None,
            is_proxy_gateway: Some(false),
            volume_local_to_instance: Some(false),
            shares: None,
        }
    }
}

/// The members that a request names, in their place; null is kept where the original keeps it.
pub type Given = Map<String, Value>;

impl NodeSettings {
    /// These settings with what a request names. Configs of the same target are put together, the request's winning.
    #[must_use]
    pub fn with(&self, given: &Given) -> Self {
        let mut merged = match serde_json::to_value(self) {
            Ok(Value::Object(members)) => members,
            _ => Map::new(),
        };
        for (name, value) in given.iter().filter(|(name, _)| FIELDS.contains(&name.as_str())) {
            let value = match name.as_str() {
                "node_configs" => Value::Object(merge_configs(&self.node_configs, value.as_object())),
                // A number and a text mean the same flavor.
                "flavor_id" if value.is_number() => Value::String(value.to_string()),
                "node_processes" | "volumes_per_node" | "boot_from_volume" if value.is_null() => continue,
                _ => value.clone(),
            };
            merged.insert(name.clone(), value);
        }
        // The schema of the request made sure of the types.
        serde_json::from_value(Value::Object(merged)).unwrap_or_else(|_| self.clone())
    }
}

/// Names of the members of [`NodeSettings`].
pub const FIELDS: [&str; 21] = [
    "flavor_id",
    "image_id",
    "node_processes",
    "node_configs",
    "volumes_per_node",
    "volumes_size",
    "volumes_availability_zone",
    "volume_mount_prefix",
    "volume_type",
    "boot_from_volume",
    "boot_volume_type",
    "boot_volume_availability_zone",
    "boot_volume_local_to_instance",
    "use_autoconfig",
    "floating_ip_pool",
    "security_groups",
    "auto_security_group",
    "availability_zone",
    "is_proxy_gateway",
    "volume_local_to_instance",
    "shares",
];

/// Two levels of settings put together; those that are given win.
pub fn merge_configs(base: &Configs, given: Option<&Configs>) -> Configs {
    let mut merged = base.clone();
    for (target, settings) in given.into_iter().flatten() {
        match (merged.get_mut(target), settings) {
            (Some(Value::Object(have)), Value::Object(more)) => have.extend(more.clone()),
            _ => {
                merged.insert(target.clone(), settings.clone());
            }
        }
    }
    merged
}

/// A node group of a cluster template or of a cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeGroup {
    /// Its id.
    pub id: NodeGroupId,
    /// Unique among the cluster's.
    pub name: String,
    /// How many nodes are wanted.
    pub count: i64,
    /// The template that it was made of.
    pub template: Option<NodeGroupTemplateId>,
    /// What each node is.
    pub settings: NodeSettings,
    /// When it was made.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Option<Timestamp>,
}

impl NodeGroup {
    /// Whether a process runs on the nodes of this group.
    pub fn runs(&self, process: &str) -> bool {
        self.settings.node_processes.iter().any(|have| have == process)
    }
}

/// A node group to be used again.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeGroupTemplate {
    /// Its id.
    pub id: NodeGroupTemplateId,
    /// The project that it belongs to.
    pub project: ProjectId,
    /// Unique among the project's.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Which plugin.
    pub plugin: String,
    /// Version of the plugin.
    pub version: String,
    /// What each node is.
    pub settings: NodeSettings,
    /// Others may use it.
    pub is_public: Flag,
    /// It may not be deleted or changed.
    pub is_protected: Flag,
    /// When it was made.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn the_names_of_the_members_are_those_of_the_struct() {
        let shown = map(serde_json::to_value(NodeSettings::default()).expect("a value"));
        assert_eq!(
            shown.keys().map(String::as_str).collect::<std::collections::BTreeSet<_>>(),
            FIELDS.into_iter().collect()
        );
    }

    #[test]
    fn what_is_given_wins_and_configs_are_put_together() {
        let base = NodeSettings::default().with(&map(json!({
            "flavor_id": 2, "node_processes": ["master"], "node_configs": {"spark": {"cores": 1, "memory_mb": 512}},
            "name": "not a setting", "volumes_size": null
        })));
        assert_eq!((base.flavor_id.as_deref(), base.volumes_size), (Some("2"), None));
        let after =
            base.with(&map(json!({"node_configs": {"spark": {"cores": 4}, "x": {"y": 1}}, "is_proxy_gateway": null})));
        assert_eq!(Value::Object(after.node_configs), json!({"spark": {"cores": 4, "memory_mb": 512}, "x": {"y": 1}}));
        assert_eq!((after.is_proxy_gateway, after.node_processes), (None, vec!["master".to_owned()]));
    }
}
