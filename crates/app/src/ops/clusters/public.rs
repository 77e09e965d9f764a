//! The public clusters of the program itself (decision 15), and those that the operator's configuration names.

use std::collections::BTreeSet;

use foggara_db::{Conn, clusters};
use foggara_domain::{
    ProjectId, Result, Timestamp,
    cluster::{Cluster, ClusterStatus},
};
use foggara_engines::{Plugins, plugin::HostSize};
use serde_json::{Map, Value};

use crate::App;

/// A cluster of the configuration, `[clusters.NAME]`: its services run elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct OperatorCluster {
    /// Name; of the program's own it may not be.
    pub name: String,
    /// Name of the plugin.
    pub plugin: String,
    /// Free text.
    pub description: Option<String>,
    /// The plugin's settings.
    pub configs: Map<String, Value>,
}

/// The names that are the program's own.
pub const OWN: [&str; 3] = ["local", "sim", "sim-idle"];
const GONE: &str = "the server's configuration does not name it any more";

impl OperatorCluster {
    /// The cluster as it is stored. A status that is not Active says what is wrong with the configuration.
    pub fn cluster(&self, plugins: &Plugins, now: Timestamp) -> Cluster {
        let plugin = plugins.get(&self.plugin);
        let version = plugin.and_then(|plugin| plugin.description().versions.first().cloned());
        let mut cluster = Cluster {
            description: self.description.clone(),
            version: version.unwrap_or_else(|| "1.0".to_owned()),
            ..Cluster::of_program(&self.name, &self.plugin, self.configs.clone(), now)
        };
        let wrong = match plugin {
            None => {
                let known: Vec<&str> = plugins.iter().map(|plugin| plugin.name()).collect();
                Some(format!("there is no plugin '{}'; known are {}", self.plugin, known.join(", ")))
            }
            Some(plugin) => {
                let known = &plugin.description().configs;
                let is_known = |key: &String| known.iter().any(|item| item.target == self.plugin && item.name == key);
                match self.configs.keys().find(|key| !is_known(key)) {
                    Some(key) => {
                        let ours = known.iter().filter(|item| item.target == self.plugin).map(|item| item.name);
                        let known = ours.collect::<Vec<_>>().join(", ");
                        Some(format!("plugin '{}' has no setting '{key}'; known are {known}", self.plugin))
                    }
                    None => plugin.check(&cluster, HostSize::of_this_host()).err(),
                }
            }
        };
        match (wrong, plugin) {
            (Some(why), _) => {
                cluster.status = ClusterStatus::Error;
                cluster.status_description = why;
            }
            (None, Some(plugin)) => cluster.info = plugin.info(&cluster, &[]),
            (None, None) => {}
        }
        cluster
    }
}

/// Makes the public clusters that this server's plugins and configuration call for, and brings those that are there up to date. One
/// that the configuration names no more takes no more jobs.
pub async fn ensure_public(app: &App) -> Result<()> {
    let now = app.now();
    let mut wanted = Vec::new();
    if app.plugins().get("local").is_some() {
        wanted.push(Cluster::of_program("local", "local", Map::new(), now));
    }
    if app.plugins().get("sim").is_some() {
        wanted.push(Cluster::of_program("sim", "sim", Map::new(), now));
        wanted.push(Cluster {
            status: ClusterStatus::Error,
            status_description: "made not to run jobs, for tests of clients".to_owned(),
            ..Cluster::of_program("sim-idle", "sim", Map::new(), now)
        });
    }
    for given in &app.settings().clusters {
        let cluster = given.cluster(app.plugins(), now);
        if cluster.status == ClusterStatus::Error {
            tracing::error!(cluster = %cluster.name, "[clusters.{}]: {}", cluster.name, cluster.status_description);
        }
        wanted.push(cluster);
    }
    app.db()
        .write(move |conn| {
            let wanted = wanted.clone();
            Box::pin(async move {
                for cluster in &wanted {
                    match clusters::by_name(conn, &cluster.project, &cluster.name).await? {
                        Some(found) => bring_up_to_date(conn, &found, cluster, now).await?,
                        None => clusters::insert(conn, cluster).await?,
                    }
                }
                let names: BTreeSet<&str> = wanted.iter().map(|cluster| cluster.name.as_str()).chain(OWN).collect();
                for cluster in clusters::all(conn).await? {
                    if cluster.project == ProjectId::system() && !names.contains(cluster.name.as_str()) {
                        clusters::set_status(conn, &cluster.id, None, ClusterStatus::Error, GONE, now).await?;
                    }
                }
                Ok(())
            })
        })
        .await
}

/// Jobs keep their cluster: the row stays, with its new settings. Another plugin would be another cluster.
async fn bring_up_to_date(conn: &mut Conn, found: &Cluster, wanted: &Cluster, now: Timestamp) -> Result<()> {
    if OWN.contains(&found.name.as_str()) {
        return Ok(());
    }
    if found.plugin != wanted.plugin {
        let why = format!(
            "it was made with plugin '{}', and the configuration says '{}': give the other cluster another name",
            found.plugin, wanted.plugin
        );
        clusters::set_status(conn, &found.id, None, ClusterStatus::Error, &why, now).await?;
        return Ok(());
    }
    if found.settings != wanted.settings || found.description != wanted.description || found.info != wanted.info {
        let changed = Cluster {
            description: wanted.description.clone(),
            settings: wanted.settings.clone(),
            info: wanted.info.clone(),
            updated_at: Some(now),
            ..found.clone()
        };
        clusters::update(conn, &changed).await?;
        clusters::set_info(conn, &changed, now).await?;
    }
    if found.status != wanted.status || found.status_description != wanted.status_description {
        clusters::set_status(conn, &found.id, None, wanted.status, &wanted.status_description, now).await?;
    }
    Ok(())
}
