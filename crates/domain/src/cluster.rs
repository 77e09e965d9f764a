//! Clusters: where executions run (sahara-v1.1.md section 9), and the templates that they are made of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    ClusterId, ClusterTemplateId, InstanceId, NodeGroupId, ProjectId, Timestamp,
    flag::Flag,
    node_group::{Configs, NodeGroup},
};

/// Where a cluster stands; the words are Sahara's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterStatus {
    /// It is being checked.
    Validating,
    /// What its nodes need is being made.
    InfraUpdating,
    /// Its nodes are being started.
    Spawning,
    /// Its nodes are awaited.
    Waiting,
    /// Its nodes are being prepared.
    Preparing,
    /// Its nodes are being told of each other.
    Configuring,
    /// Its services are awaited.
    Starting,
    /// Jobs run.
    Active,
    /// Nodes are being taken out of service.
    Decommissioning,
    /// Nodes are being added or removed.
    Scaling,
    /// Removed nodes are being stopped.
    DeletingInstances,
    /// New nodes are being started.
    AddingInstances,
    /// It could not be made, or broke: the description says why.
    Error,
    /// It is going, and never comes back.
    Deleting,
}

impl ClusterStatus {
    /// All of them with their words.
    pub const ALL: [(Self, &'static str); 14] = [
        (Self::Validating, "Validating"),
        (Self::InfraUpdating, "InfraUpdating"),
        (Self::Spawning, "Spawning"),
        (Self::Waiting, "Waiting"),
        (Self::Preparing, "Preparing"),
        (Self::Configuring, "Configuring"),
        (Self::Starting, "Starting"),
        (Self::Active, "Active"),
        (Self::Decommissioning, "Decommissioning"),
        (Self::Scaling, "Scaling"),
        (Self::DeletingInstances, "Deleting Instances"),
        (Self::AddingInstances, "Adding Instances"),
        (Self::Error, "Error"),
        (Self::Deleting, "Deleting"),
    ];

    /// Sahara's word.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(status, _)| *status == self).map_or("Error", |(_, name)| name)
    }

    /// Reads the word.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(status, _)| *status)
    }

    /// Whether nothing is under way.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Active | Self::Error)
    }
}

/// What a cluster and a cluster template have in common beside their names and groups; all but `cluster_configs` is stored and
/// shown as it came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClusterSettings {
    /// Image of the nodes.
    pub default_image_id: Option<String>,
    /// Settings of the plugin, by target and name.
    pub cluster_configs: Configs,
    /// Processes that should not share a host.
    pub anti_affinity: Vec<String>,
    /// Neutron's network.
    pub neutron_management_network: Option<String>,
    /// Manila's shares.
    pub shares: Option<Value>,
    /// Whether the plugin chooses settings by itself.
    pub use_autoconfig: Option<bool>,
    /// Domain of the nodes' names.
    pub domain_name: Option<String>,
    /// What MRS's clients said of it; no request of Sahara's knows it.
    #[serde(skip_serializing_if = "MrsShape::is_empty")]
    pub mrs: MrsShape,
}

/// What MRS's clients said of a cluster. It changes nothing of what the cluster is, and is shown again to them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MrsShape {
    /// Tags by key.
    pub tags: BTreeMap<String, String>,
    /// Members of the request that made it, by their names there; never a password.
    pub shown: Map<String, Value>,
}

impl MrsShape {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for ClusterSettings {
    fn default() -> Self {
        Self {
            default_image_id: None,
            cluster_configs: Configs::new(),
            anti_affinity: Vec::new(),
            neutron_management_network: None,
            shares: None,
            use_autoconfig: Some(true),
            domain_name: None,
            mrs: MrsShape::default(),
        }
    }
}

/// Names of the members of [`ClusterSettings`] that a request of Sahara's can give.
pub const SETTINGS: [&str; 7] = [
    "default_image_id",
    "cluster_configs",
    "anti_affinity",
    "neutron_management_network",
    "shares",
    "use_autoconfig",
    "domain_name",
];

impl ClusterSettings {
    /// These settings with what a request names. Configs are put together when `merge` says so, else replaced.
    #[must_use]
    pub fn with(&self, given: &Map<String, Value>, merge: bool) -> Self {
        let mut merged = match serde_json::to_value(self) {
            Ok(Value::Object(members)) => members,
            _ => Map::new(),
        };
        for (name, value) in given.iter().filter(|(name, _)| SETTINGS.contains(&name.as_str())) {
            let value = match name.as_str() {
                "cluster_configs" if merge => {
                    Value::Object(crate::node_group::merge_configs(&self.cluster_configs, value.as_object()))
                }
                "cluster_configs" if value.is_null() => Value::Object(Map::new()),
                "anti_affinity" if value.is_null() => Value::Array(Vec::new()),
                _ => value.clone(),
            };
            merged.insert(name.clone(), value);
        }
        serde_json::from_value(Value::Object(merged)).unwrap_or_else(|_| self.clone())
    }
}

/// A cluster to be made again.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterTemplate {
    /// Its id.
    pub id: ClusterTemplateId,
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
    /// What a cluster of it is.
    pub settings: ClusterSettings,
    /// What it is made of, in order.
    pub node_groups: Vec<NodeGroup>,
    /// Others may use it.
    pub is_public: Flag,
    /// It may not be deleted or changed.
    pub is_protected: Flag,
    /// When it was made.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Option<Timestamp>,
}

/// A cluster names a plugin (`local`, `spark`, `sim`), what it is made of, and how to reach it.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// Its id.
    pub id: ClusterId,
    /// The project it belongs to; the program's own belong to [`ProjectId::system`].
    pub project: ProjectId,
    /// Unique among the project's.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Which plugin.
    pub plugin: String,
    /// Version of the plugin.
    pub version: String,
    /// Where it stands; jobs run only on `Active`.
    pub status: ClusterStatus,
    /// Why it is in that status.
    pub status_description: String,
    /// What it is.
    pub settings: ClusterSettings,
    /// The template that it was made of.
    pub template: Option<ClusterTemplateId>,
    /// Nova's key pair, as text.
    pub keypair: Option<String>,
    /// It goes when its last job has ended: stored and shown.
    pub is_transient: bool,
    /// What a user may want to know of it: addresses, web pages.
    pub info: Map<String, Value>,
    /// Others may use it.
    pub is_public: Flag,
    /// It may not be deleted or changed.
    pub is_protected: Flag,
    /// The host whose processes its nodes are; nothing when it has none, or is not bound to one.
    pub host: Option<String>,
    /// Counts the changes after which its engine has to be made anew.
    pub revision: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Option<Timestamp>,
    /// What it is made of, in order.
    pub node_groups: Vec<NodeGroup>,
}

impl Cluster {
    /// A cluster of the program itself (decision 15): public, protected, active, without nodes; with these settings of its plugin.
    pub fn of_program(name: &str, plugin: &str, configs: Map<String, Value>, at: Timestamp) -> Self {
        let mut settings = ClusterSettings::default();
        if !configs.is_empty() {
            settings.cluster_configs.insert(plugin.to_owned(), Value::Object(configs));
        }
        Self {
            id: ClusterId::new(),
            project: ProjectId::system(),
            name: name.to_owned(),
            description: None,
            plugin: plugin.to_owned(),
            version: "1.0".to_owned(),
            status: ClusterStatus::Active,
            status_description: String::new(),
            settings,
            template: None,
            keypair: None,
            is_transient: false,
            info: Map::new(),
            is_public: Flag::On,
            is_protected: Flag::On,
            host: None,
            revision: 1,
            created_at: at,
            updated_at: None,
            node_groups: Vec::new(),
        }
    }

    /// Whether jobs may run on it.
    pub fn is_active(&self) -> bool {
        self.status == ClusterStatus::Active
    }

    /// A setting of the plugin for the whole cluster.
    pub fn config(&self, target: &str, name: &str) -> Option<&Value> {
        self.settings.cluster_configs.get(target)?.get(name)
    }
}

/// A node of a cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// The cluster.
    pub cluster: ClusterId,
    /// The group that it belongs to.
    pub group: NodeGroupId,
    /// Unique among the cluster's: `<cluster>-<group>-<n>`.
    pub name: String,
    /// How often it was started; part of its tag.
    pub attempt: u32,
    /// Where it is reached, once that is known: `host:port` of its main service and of its web page.
    pub address: Option<NodeAddress>,
    /// It is to go.
    pub leaving: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Option<Timestamp>,
}

/// Where a node is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeAddress {
    /// Address of the host.
    pub host: String,
    /// Port of its main service.
    pub port: u16,
    /// Port of its web page.
    pub web_port: u16,
}

/// A step on a cluster's way, as the event log shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct ProvisionStep {
    /// Its id.
    pub id: String,
    /// The cluster.
    pub cluster: ClusterId,
    /// What is done, in words.
    pub name: String,
    /// Kind of step.
    pub kind: String,
    /// How many parts it has.
    pub total: i64,
    /// How it ended; nothing while it runs.
    pub successful: Option<bool>,
    /// When it began.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Option<Timestamp>,
    /// Its parts that were done.
    pub events: Vec<ProvisionEvent>,
}

/// One part of a step that was done.
#[derive(Clone, Debug, PartialEq)]
pub struct ProvisionEvent {
    /// Its id.
    pub id: String,
    /// The group of the node.
    pub group: Option<NodeGroupId>,
    /// The node.
    pub instance: Option<InstanceId>,
    /// The node's name.
    pub instance_name: Option<String>,
    /// What went wrong.
    pub info: Option<String>,
    /// How it ended.
    pub successful: bool,
    /// When.
    pub created_at: Timestamp,
}

/// Health of a cluster or of one part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// All is well.
    Green,
    /// It works, and something is not as it should be.
    Yellow,
    /// It does not work.
    Red,
    /// It is being looked at.
    Checking,
}

impl Health {
    /// All of them with their words.
    pub const ALL: [(Self, &'static str); 4] =
        [(Self::Green, "GREEN"), (Self::Yellow, "YELLOW"), (Self::Red, "RED"), (Self::Checking, "CHECKING")];

    /// Sahara's word.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(health, _)| *health == self).map_or("RED", |(_, name)| name)
    }

    /// Reads the word.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(health, _)| *health)
    }

    /// The health of a whole from that of its parts.
    pub fn of_all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Self::Green;
        for part in parts {
            match part {
                Self::Red => return Self::Red,
                Self::Yellow | Self::Checking => all = Self::Yellow,
                Self::Green => {}
            }
        }
        all
    }
}

/// A look at a cluster's health.
#[derive(Clone, Debug, PartialEq)]
pub struct Verification {
    /// Its id.
    pub id: String,
    /// The cluster.
    pub cluster: ClusterId,
    /// What came of it.
    pub status: Health,
    /// What was looked at.
    pub checks: Vec<HealthCheck>,
    /// When it began.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Option<Timestamp>,
}

/// One part of a look at a cluster's health.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthCheck {
    /// Its id.
    pub id: String,
    /// What was looked at.
    pub name: String,
    /// What came of it.
    pub status: Health,
    /// The same in words.
    pub description: String,
    /// When.
    pub created_at: Timestamp,
}

/// Longest name of a node with its domain (a host name's limit).
pub const HOST_NAME: usize = 64;

/// The name of a node: its cluster, its group and a number from 1.
pub fn instance_name(cluster: &str, group: &str, number: i64) -> String {
    format!("{}-{}-{number}", cluster.to_lowercase(), group.to_lowercase())
}

/// Names of several clusters of one request: the number is filled with zeros to the width of the count.
pub fn numbered_name(name: &str, number: i64, count: i64) -> String {
    let width = count.to_string().len();
    format!("{name}-{number:0width$}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn statuses_read_what_they_write() {
        for (status, name) in ClusterStatus::ALL {
            assert_eq!((status.name(), ClusterStatus::parse(name)), (name, Some(status)));
        }
        assert_eq!(ClusterStatus::parse("active"), None);
    }

    #[test]
    fn settings_are_named_as_they_are_called() {
        let shown = serde_json::to_value(ClusterSettings::default()).expect("a value");
        let names = shown.as_object().expect("an object").keys().map(String::as_str);
        assert_eq!(names.collect::<std::collections::BTreeSet<_>>(), SETTINGS.into_iter().collect());
        let given = json!({"cluster_configs": {"a": {"x": 1}}, "anti_affinity": null, "domain_name": "d."});
        let one = ClusterSettings::default().with(given.as_object().expect("an object"), false);
        let more = json!({"cluster_configs": {"a": {"y": 2}}});
        let both = one.with(more.as_object().expect("an object"), true);
        assert_eq!(Value::Object(both.cluster_configs), json!({"a": {"x": 1, "y": 2}}));
        let other = one.with(more.as_object().expect("an object"), false);
        assert_eq!(Value::Object(other.cluster_configs), json!({"a": {"y": 2}}));
    }

    #[test]
    fn numbers_have_the_width_of_the_count() {
        assert_eq!((numbered_name("c", 7, 10), numbered_name("c", 1, 9)), ("c-07".to_owned(), "c-1".to_owned()));
    }

    #[test]
    fn the_worst_part_decides() {
        use Health::{Green, Red, Yellow};
        assert_eq!(Health::of_all([Green, Yellow, Red]), Red);
        assert_eq!(Health::of_all([Green, Yellow]), Yellow);
        assert_eq!(Health::of_all([]), Green);
    }
}
