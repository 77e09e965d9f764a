//! The public clusters of the program itself (decision 15).

use foggara_db::clusters;
use foggara_domain::{
    ClusterId, ProjectId, Result,
    cluster::{Cluster, ClusterSettings, ClusterStatus},
    flag::Flag,
};
use serde_json::Map;

use crate::App;

/// Makes the public clusters that this server's plugins call for, if they are not there yet.
pub async fn ensure_public(app: &App) -> Result<()> {
    let mut wanted = Vec::new();
    if app.plugins().get("local").is_some() {
        wanted.push(("local", "local", ClusterStatus::Active, ""));
    }
    if app.plugins().get("sim").is_some() {
        wanted.push(("sim", "sim", ClusterStatus::Active, ""));
        wanted.push(("sim-idle", "sim", ClusterStatus::Error, "made not to run jobs, for tests of clients"));
    }
    let now = app.now();
    for (name, plugin, status, why) in wanted {
        let cluster = Cluster {
            id: ClusterId::new(),
            project: ProjectId::system(),
            name: name.to_owned(),
            description: None,
            plugin: plugin.to_owned(),
            version: "1.0".to_owned(),
            status,
            status_description: why.to_owned(),
            settings: ClusterSettings::default(),
            template: None,
            keypair: None,
            is_transient: false,
            info: Map::new(),
            is_public: Flag::On,
            is_protected: Flag::On,
            host: None,
            revision: 1,
            created_at: now,
            updated_at: None,
            node_groups: Vec::new(),
        };
        app.db()
            .write(move |conn| {
                let cluster = cluster.clone();
                Box::pin(async move {
                    match clusters::by_name(conn, &cluster.project, &cluster.name).await? {
                        Some(_) => Ok(()),
                        None => clusters::insert(conn, &cluster).await,
                    }
                })
            })
            .await?;
    }
    Ok(())
}
