//! Plugin `storm`: a Storm cluster that somebody else runs. Its settings give the address of Storm's UI; topologies are submitted by
//! Storm's client on this host.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use foggara_domain::{
    cluster::{Cluster, Health, Instance},
    plan::PlanKind,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    Ability, Engine,
    local::LocalSettings,
    plugin::{Binding, ConfigItem, ConfigKind, Description, HostSize, Look, Plugin, number, setting},
    remote::{
        Remote, RemoteSettings,
        rest::{Auth, Rest, RestSettings},
    },
    storm::{Storm, StormSettings},
};

const TARGET: &str = "storm";
/// Topologies that run at once when nobody says.
const JOBS: u64 = 8;
/// Seconds between a gentle kill and its effect when nobody says.
const WAIT: u64 = 10;

/// The plugin.
pub struct StormPlugin {
    local: LocalSettings,
    remote: RemoteSettings,
    description: Description,
}

/// What `/api/v1/cluster/summary` answers; other members are of no interest.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClusterSummary {
    storm_version: String,
    supervisors: u64,
    #[serde(default)]
    slots_free: u64,
}

impl StormPlugin {
    /// `local` are the settings of processes of this host.
    pub fn new(local: LocalSettings, remote: RemoteSettings) -> Self {
        let item = |name, text, default, operator| ConfigItem {
            target: TARGET,
            name,
            text,
            kind: ConfigKind::Text,
            default,
            of_node: false,
            operator,
        };
        let number = |name, text, default: u64| ConfigItem {
            kind: ConfigKind::Number,
            ..item(name, text, json!(default), false)
        };
        let description = Description {
            title: "Apache Storm",
            text: "Topologies of Storm and Pyleus on a Storm cluster that runs elsewhere",
            versions: vec!["1.2".to_owned()],
            processes: vec![("Storm", &["nimbus", "supervisor"])],
            configs: vec![
                item("ui", "Address of Storm's UI, http://host:8080", Value::Null, false),
                item("nimbus", "Hosts of Nimbus with commas between them, for the client", Value::Null, false),
                number("kill_wait", "Seconds that a topology has to finish what it began when it is stopped", WAIT),
                number("max_running", "Topologies that run at once; further ones wait", JOBS),
                item("home", "Storm's home on this host, with bin/storm", Value::Null, true),
                item("token_file", "A file of this host with a bearer token for the UI", Value::Null, true),
                item(
                    "ca_file",
                    "A file of this host with certificates (PEM) that the UI is trusted by",
                    Value::Null,
                    true,
                ),
            ],
        };
        Self { local, remote, description }
    }

    fn settings(cluster: &Cluster) -> Result<StormSettings, String> {
        let text = |name: &str| match cluster.config(TARGET, name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
            Some(other) => Err(format!("the setting storm.{name} is {other}; it has to be text")),
        };
        let nimbus = text("nimbus")?;
        if let Some(hosts) = &nimbus
            && hosts.split(',').any(|host| host.trim().is_empty() || host.contains(['/', ':', ' ', '"']))
        {
            return Err(format!(
                "the setting storm.nimbus is '{hosts}'; it has to be names of hosts with commas between them"
            ));
        }
        let kill_wait = match cluster.config(TARGET, "kill_wait") {
            None | Some(Value::Null) => WAIT,
            Some(value) => {
                number(value).ok_or_else(|| format!("the setting storm.kill_wait is {value}; it has to be seconds"))?
            }
        };
        let jobs = setting(cluster, None, TARGET, "max_running", JOBS)?;
        Ok(StormSettings {
            ui: RestSettings {
                service: "Storm's UI",
                urls: text("ui")?.ok_or("the setting storm.ui is missing: it looks like http://host:8080")?,
                ca_file: text("ca_file")?.map(PathBuf::from),
                auth: text("token_file")?.map_or(Auth::None, |file| Auth::TokenFile(PathBuf::from(file))),
            },
            home: text("home")?.map(PathBuf::from),
            nimbus,
            kill_wait,
            max_running: usize::try_from(jobs).unwrap_or(usize::MAX),
        })
    }

    async fn ask(cluster: &Cluster) -> Result<ClusterSummary, String> {
        let rest = Rest::new(Self::settings(cluster)?.ui)?;
        rest.get("/api/v1/cluster/summary").await.map_err(|error| error.to_string())
    }
}

#[async_trait]
impl Plugin for StormPlugin {
    fn name(&self) -> &'static str {
        TARGET
    }

    fn description(&self) -> &Description {
        &self.description
    }

    /// Where a cluster's settings name a client, that one counts; without one nothing is submitted.
    fn ability(&self, kind: PlanKind) -> Ability {
        if kind == PlanKind::Storm { Ability::Yes } else { Ability::Never }
    }

    fn refusal(&self, _: PlanKind) -> &'static str {
        "a cluster of Storm runs topologies"
    }

    /// Its clients are processes of a host.
    fn binding(&self) -> Binding {
        Binding::Host
    }

    fn check(&self, cluster: &Cluster, _: HostSize) -> Result<(), String> {
        let settings = Self::settings(cluster)?;
        if cluster.node_groups.iter().any(|group| group.count > 0) {
            return Err("a Storm cluster runs elsewhere and starts no nodes here: leave its node groups out".to_owned());
        }
        if let Ability::Lacks(what) = Storm::ability_with(settings.home.as_ref(), PlanKind::Storm) {
            return Err(what);
        }
        Rest::new(settings.ui).map(drop)
    }

    fn engine(&self, cluster: &Cluster) -> Result<Arc<dyn Engine>, String> {
        let folder = self.remote.data_dir.join("storm").join(cluster.id.as_str());
        let local = LocalSettings { data_dir: folder, ..self.local.clone() };
        let storm = Storm::new(Self::settings(cluster)?, local, self.remote.prefix.clone())?;
        Ok(Arc::new(Remote::new(storm, self.remote.clone())))
    }

    async fn look(&self, cluster: &Cluster, _: &[Instance]) -> Look {
        let (health, words) = match Self::ask(cluster).await {
            Ok(ClusterSummary { storm_version, supervisors: 0, .. }) => {
                (Health::Yellow, format!("Storm {storm_version} answers and has no supervisors"))
            }
            Ok(summary) => (
                Health::Green,
                format!(
                    "Storm {} answers; {} supervisors, {} slots free",
                    summary.storm_version, summary.supervisors, summary.slots_free
                ),
            ),
            Err(why) => (Health::Red, why),
        };
        Look { checks: vec![("Storm UI".to_owned(), health, words)], ..Look::default() }
    }

    fn info(&self, cluster: &Cluster, _: &[Instance]) -> Map<String, Value> {
        let page = cluster.config(TARGET, "ui").cloned().unwrap_or_default();
        Map::from_iter([("Storm".to_owned(), json!({"Web UI": page}))])
    }
}
