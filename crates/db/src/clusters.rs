//! Clusters.

use foggara_domain::{
    ClusterId, Error, ProjectId, Result,
    cluster::Cluster,
    page::{ListQuery, Page},
};
use serde_json::Value as Json;

use crate::{
    Conn, Row,
    page::{Column, ListSpec},
    sql,
};

const COLUMNS: &str = "id, project_id, name, description, plugin, version, status, status_description, configs, is_public, \
     is_protected, created_at, updated_at";

const LIST: ListSpec = ListSpec {
    columns: COLUMNS,
    from: "cluster",
    visible: "(project_id = $1 OR is_public = 1)",
    sort: &[
        ("id", "id"),
        ("name", "name"),
        ("plugin_name", "plugin"),
        ("hadoop_version", "version"),
        ("status", "status"),
    ],
    filters: &[
        ("id", Column::Text("id")),
        ("name", Column::Pattern("name")),
        ("description", Column::Pattern("description")),
        ("plugin_name", Column::Pattern("plugin")),
        ("tenant_id", Column::Pattern("project_id")),
        ("hadoop_version", Column::Text("version")),
        ("status", Column::Text("status")),
        ("is_public", Column::Flag("is_public")),
        ("is_protected", Column::Flag("is_protected")),
    ],
    unknown_marker_is_start: false,
};

/// Stores a new cluster.
pub async fn insert(conn: &mut Conn, cluster: &Cluster) -> Result<()> {
    let text = format!("INSERT INTO cluster ({COLUMNS}) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13)");
    let query = sql(text)
        .bind(&cluster.id)
        .bind(&cluster.project)
        .bind(cluster.name.as_str())
        .bind(cluster.description.as_deref())
        .bind(cluster.plugin.as_str())
        .bind(cluster.version.as_str())
        .bind(cluster.status.as_str())
        .bind(cluster.status_description.as_str())
        .bind(Json::Object(cluster.configs.clone()).to_string())
        .bind(cluster.is_public)
        .bind(cluster.is_protected)
        .bind(cluster.created_at)
        .bind(cluster.updated_at);
    conn.run(query).await?;
    Ok(())
}

/// A cluster that a project may see: its own or a public one.
pub async fn get(conn: &mut Conn, project: &ProjectId, id: &ClusterId) -> Result<Option<Cluster>> {
    let cluster = find(conn, id).await?;
    Ok(cluster.filter(|cluster| cluster.project == *project || cluster.is_public))
}

/// A cluster, whosever it is: for duties.
pub async fn find(conn: &mut Conn, id: &ClusterId) -> Result<Option<Cluster>> {
    let row = conn.first(sql(format!("SELECT {COLUMNS} FROM cluster WHERE id = $1")).bind(id)).await?;
    row.map(|row| read(&row)).transpose()
}

/// A cluster of a project by its name.
pub async fn by_name(conn: &mut Conn, project: &ProjectId, name: &str) -> Result<Option<Cluster>> {
    let text = format!("SELECT {COLUMNS} FROM cluster WHERE project_id = $1 AND name = $2");
    let row = conn.first(sql(text).bind(project).bind(name)).await?;
    row.map(|row| read(&row)).transpose()
}

/// All clusters: for duties.
pub async fn all(conn: &mut Conn) -> Result<Vec<Cluster>> {
    let rows = conn.all(sql(format!("SELECT {COLUMNS} FROM cluster ORDER BY id"))).await?;
    rows.iter().map(read).collect()
}

/// A page of the clusters that a project may see.
pub async fn list(conn: &mut Conn, project: &ProjectId, query: &ListQuery) -> Result<Page<Cluster>> {
    let page = LIST.page(conn, project, query).await?;
    let items = page.items.iter().map(read).collect::<Result<Vec<_>>>()?;
    Ok(Page { items, prev: page.prev, next: page.next })
}

/// Removes a cluster.
pub async fn delete(conn: &mut Conn, id: &ClusterId) -> Result<()> {
    conn.run(sql("DELETE FROM cluster WHERE id = $1").bind(id)).await?;
    Ok(())
}

fn read(row: &Row) -> Result<Cluster> {
    let configs = serde_json::from_str(&row.text("configs")?)
        .map_err(|error| Error::Internal(format!("cluster.configs: {error}")))?;
    Ok(Cluster {
        id: row.text("id")?.into(),
        project: row.text("project_id")?.into(),
        name: row.text("name")?,
        description: row.text_or_null("description")?,
        plugin: row.text("plugin")?,
        version: row.text("version")?,
        status: row.text("status")?,
        status_description: row.text("status_description")?,
        configs,
        is_public: row.flag("is_public")?,
        is_protected: row.flag("is_protected")?,
        created_at: row.time("created_at")?,
        updated_at: row.time_or_null("updated_at")?,
    })
}
