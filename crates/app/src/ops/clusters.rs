//! Clusters, as far as they are read: the public ones of the program itself (decision 15).

use foggara_db::clusters;
use foggara_domain::{
    Caller, ClusterId, Error, ProjectId, Result,
    cluster::Cluster,
    page::{ListQuery, Page},
};
use serde_json::Map;

use super::plugins;
use crate::App;

/// A visible cluster.
pub async fn get(app: &App, caller: &Caller, id: &ClusterId) -> Result<Cluster> {
    let cluster = clusters::get(&mut app.db().read().await?, &caller.project, id).await?;
    cluster.ok_or_else(|| Error::no_such_id(id))
}

/// A page of the visible ones.
pub async fn list(app: &App, caller: &Caller, query: &ListQuery) -> Result<Page<Cluster>> {
    clusters::list(&mut app.db().read().await?, &caller.project, query).await
}

/// Makes the public clusters that this server's engines call for, if they are not there yet.
pub async fn ensure_public(app: &App) -> Result<()> {
    let mut wanted = Vec::new();
    if app.engines().get("local").is_some() {
        wanted.push(("local", "local", "Active", ""));
    }
    if app.engines().get("sim").is_some() {
        wanted.push(("sim", "sim", "Active", ""));
        wanted.push(("sim-idle", "sim", "Error", "made not to run jobs, for tests of clients"));
    }
    let now = app.now();
    for (name, plugin, status, why) in wanted {
        let cluster = Cluster {
            id: ClusterId::new(),
            project: ProjectId::system(),
            name: name.to_owned(),
            description: None,
            plugin: plugin.to_owned(),
            version: plugins::VERSION.to_owned(),
            status: status.to_owned(),
            status_description: why.to_owned(),
            configs: Map::new(),
            is_public: true,
            is_protected: true,
            created_at: now,
            updated_at: None,
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
