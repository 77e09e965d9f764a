//! Plugin `hive`: a HiveServer2, or Spark's Thrift server, that somebody else runs. Its settings give the address; jobs are
//! statements of SQL, each job a process of this host that talks to the server.

use std::{io, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use foggara_domain::{
    cluster::{Cluster, Health, Instance},
    plan::PlanKind,
};
use serde_json::{Map, Value, json};

use crate::{
    Ability, Engine,
    hive::{Address, Hive, HiveSettings, ability},
    local::LocalSettings,
    plugin::{Binding, ConfigItem, ConfigKind, Description, HostSize, Look, Plugin, Proof, setting},
};

const TARGET: &str = "hive";
/// Jobs that run at once when nobody says.
const JOBS: u64 = 4;
/// Who we are when nobody says.
const USER: &str = "foggara";

/// The plugin.
pub struct HivePlugin {
    settings: LocalSettings,
    description: Description,
}

impl HivePlugin {
    /// `settings` are those of the processes of this host.
    pub fn new(settings: LocalSettings) -> Self {
        let item = |name, text, default, operator| ConfigItem {
            target: TARGET,
            name,
            text,
            kind: ConfigKind::Text,
            default,
            of_node: false,
            operator,
        };
        let description = Description {
            title: "Apache Hive",
            text: "Statements of SQL on a HiveServer2 or a Spark Thrift server that runs elsewhere",
            versions: vec!["2.3".to_owned()],
            processes: vec![("Hive", &["hiveserver"])],
            configs: vec![
                item("url", "Address of the server, jdbc:hive2://host:port/database", Value::Null, false),
                item("server", "What it is: hive, or spark for Spark's Thrift server", json!("hive"), false),
                item("user", "Name at the server", json!(USER), false),
                item("password_file", "A file of this host with the password at the server", Value::Null, true),
                item("ca_file", "Certificates (PEM) to trust beside the system's, for ;ssl=true", Value::Null, true),
                ConfigItem {
                    kind: ConfigKind::Number,
                    ..item("max_running", "Jobs that run at once; further ones wait", json!(JOBS), false)
                },
            ],
        };
        Self { settings, description }
    }

    pub(crate) fn settings(cluster: &Cluster) -> Result<HiveSettings, String> {
        let text = |name: &str| match cluster.config(TARGET, name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
            Some(other) => Err(format!("the setting hive.{name} is {other}; it has to be text")),
        };
        let url =
            text("url")?.ok_or("the setting hive.url is missing: it looks like jdbc:hive2://host:10000/default")?;
        let is_spark = match text("server")?.unwrap_or("hive") {
            "hive" => false,
            "spark" => true,
            other => return Err(format!("the setting hive.server is '{other}'; it has to be hive or spark")),
        };
        Ok(HiveSettings {
            address: Address { ca_file: text("ca_file")?.map(PathBuf::from), ..Address::parse(url)? },
            user: text("user")?.unwrap_or(USER).to_owned(),
            password_file: text("password_file")?.map(PathBuf::from),
            is_spark,
        })
    }
}

#[async_trait]
impl Plugin for HivePlugin {
    fn name(&self) -> &'static str {
        TARGET
    }

    fn description(&self) -> &Description {
        &self.description
    }

    fn ability(&self, kind: PlanKind) -> Ability {
        ability(kind)
    }

    /// On Spark's Thrift server, which speaks the protocol of HiveServer2; Hive's own was never asked.
    fn proof(&self, _: PlanKind) -> Proof {
        Proof::Real
    }

    fn refusal(&self, kind: PlanKind) -> &'static str {
        if kind == PlanKind::Presto {
            "HiveServer2 does not speak Presto's words"
        } else {
            "a server of Hive runs statements"
        }
    }

    fn binding(&self) -> Binding {
        Binding::Host
    }

    fn check(&self, cluster: &Cluster, _: HostSize) -> Result<(), String> {
        setting(cluster, None, TARGET, "max_running", JOBS)?;
        Self::settings(cluster)?;
        if cluster.node_groups.iter().any(|group| group.count > 0) {
            return Err("a Hive cluster runs elsewhere and starts no nodes here: leave its node groups out".to_owned());
        }
        Ok(())
    }

    fn engine(&self, cluster: &Cluster) -> Result<Arc<dyn Engine>, String> {
        let jobs = setting(cluster, None, TARGET, "max_running", JOBS)?;
        let local = LocalSettings { max_running: usize::try_from(jobs).unwrap_or(usize::MAX), ..self.settings.clone() };
        let engine = Hive::new(Self::settings(cluster)?, local);
        Ok(Arc::new(engine.map_err(|error: io::Error| format!("the engine of hive: {error}"))?))
    }

    /// Opens a session and closes it: what a job will do first.
    async fn look(&self, cluster: &Cluster, _: &[Instance]) -> Look {
        let tried = match Self::settings(cluster) {
            Ok(settings) => {
                let server = settings.address.server();
                let tried = tokio::task::spawn_blocking(move || settings.try_out()).await;
                tried.unwrap_or_else(|error| Err(error.to_string())).map(|()| format!("{server} opens sessions"))
            }
            Err(why) => Err(why),
        };
        let (health, words) = match tried {
            Ok(words) => (Health::Green, words),
            Err(why) => (Health::Red, why),
        };
        Look { checks: vec![("HiveServer2".to_owned(), health, words)], ..Look::default() }
    }

    fn info(&self, cluster: &Cluster, _: &[Instance]) -> Map<String, Value> {
        let url = cluster.config(TARGET, "url").cloned().unwrap_or_default();
        Map::from_iter([("Hive".to_owned(), json!({"JDBC": url}))])
    }
}
