//! Plugin `local`: a share of this host with its own slots and limits. Its nodes are no processes; each stands for slots.

use std::{io, sync::Arc};

use async_trait::async_trait;
use foggara_domain::{
    cluster::{Cluster, Health, Instance},
    plan::PlanKind,
};
use serde_json::{Map, Value, json};

use super::metastore::{METASTORE, METASTORE_TEXT, metastore};
use crate::{
    Ability, Engine,
    local::{Local, LocalSettings, SqlSettings},
    plugin::{Binding, ConfigItem, ConfigKind, Description, HostSize, Look, Plugin, Proof, setting},
};

const TARGET: &str = "local";

/// The plugin.
pub struct LocalPlugin {
    settings: LocalSettings,
    description: Description,
    /// For questions that are not about one cluster.
    any: Local,
}

impl LocalPlugin {
    /// Makes the folder of attempts.
    pub fn new(settings: LocalSettings) -> io::Result<Self> {
        let node = |name, text, default: Value| ConfigItem {
            target: TARGET,
            name,
            text,
            kind: ConfigKind::Number,
            default,
            of_node: true,
            operator: false,
        };
        let description = Description {
            title: "Local processes",
            text: "Runs Shell, Java, Spark, MapReduce, Pig and SQL jobs as supervised processes of this host",
            versions: vec!["1.0".to_owned()],
            processes: vec![("Jobs", &["local"])],
            configs: vec![
                node("slots", "Jobs that run at once for each node of the group", json!(1)),
                node(
                    "memory_mb",
                    "MiB of memory that each process of a job may have; without it there is no limit",
                    Value::Null,
                ),
                ConfigItem {
                    target: TARGET,
                    name: METASTORE,
                    text: METASTORE_TEXT,
                    kind: ConfigKind::Text,
                    default: Value::Null,
                    of_node: false,
                    operator: false,
                },
            ],
        };
        Ok(Self { any: Local::new(settings.clone())?, settings, description })
    }

    /// Jobs that may run at once; without node groups as many as the server's settings say.
    fn slots(&self, cluster: &Cluster) -> Result<usize, String> {
        if cluster.node_groups.is_empty() {
            return Ok(self.settings.max_running);
        }
        let mut slots = 0u64;
        for group in &cluster.node_groups {
            let each = setting(cluster, Some(group), TARGET, "slots", 1)?;
            slots = slots.saturating_add(each.saturating_mul(u64::try_from(group.count).unwrap_or(0)));
        }
        usize::try_from(slots).map_err(|_| format!("{slots} slots are too many"))
    }

    /// The smallest limit of a group: a job may land on any of them.
    fn memory(cluster: &Cluster) -> Result<Option<u64>, String> {
        let mut least = None;
        let groups = cluster.node_groups.iter().map(Some).chain([None]);
        for group in groups {
            let limit = setting(cluster, group, TARGET, "memory_mb", u64::MAX)?;
            least = Some(least.map_or(limit, |least: u64| least.min(limit)));
        }
        Ok(least.filter(|limit| *limit < u64::MAX))
    }
}

#[async_trait]
impl Plugin for LocalPlugin {
    fn name(&self) -> &'static str {
        "local"
    }

    fn description(&self) -> &Description {
        &self.description
    }

    fn ability(&self, kind: PlanKind) -> Ability {
        self.any.ability(kind)
    }

    fn proof(&self, kind: PlanKind) -> Proof {
        match kind {
            // There is no package of Pig: a script that tells how it was called stands in for its client.
            PlanKind::Pig => Proof::Fake,
            _ => Proof::Real,
        }
    }

    fn refusal(&self, kind: PlanKind) -> &'static str {
        match kind {
            PlanKind::Storm => "a topology needs a cluster of Storm",
            PlanKind::Flink => "a program for Flink needs a cluster of Flink",
            _ => "it does not run as a process of this host",
        }
    }

    fn binding(&self) -> Binding {
        Binding::Host
    }

    fn check(&self, cluster: &Cluster, host: HostSize) -> Result<(), String> {
        metastore(cluster, TARGET)?;
        let slots = self.slots(cluster)?;
        if slots == 0 {
            return Err("the cluster has no slot: give a node group a count of at least 1".to_owned());
        }
        if let Some(each) = Self::memory(cluster)? {
            let all = each.saturating_mul(slots as u64);
            if all > host.memory_mb {
                return Err(format!(
                    "{slots} slots of {each} MiB need {all} MiB of memory, and this host has {} MiB: ask for fewer nodes, fewer \
                     slots or less memory",
                    host.memory_mb
                ));
            }
        }
        Ok(())
    }

    fn engine(&self, cluster: &Cluster) -> Result<Arc<dyn Engine>, String> {
        let settings = LocalSettings {
            max_running: self.slots(cluster)?,
            memory_mb: Self::memory(cluster)?,
            sql: SqlSettings { metastore: metastore(cluster, TARGET)?, ..self.settings.sql.clone() },
            ..self.settings.clone()
        };
        let engine = Local::new(settings).map_err(|error| format!("the local engine: {error}"))?;
        Ok(Arc::new(engine))
    }

    async fn look(&self, _: &Cluster, nodes: &[Instance]) -> Look {
        Look {
            serving: nodes.iter().map(|node| node.id.clone()).collect(),
            checks: vec![("Supervisor".to_owned(), Health::Green, "jobs can be started on this host".to_owned())],
        }
    }

    fn info(&self, cluster: &Cluster, _: &[Instance]) -> Map<String, Value> {
        let slots = self.slots(cluster).unwrap_or(0);
        Map::from_iter([("Local".to_owned(), json!({"Slots": slots}))])
    }
}
