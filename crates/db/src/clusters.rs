//! Clusters with their node groups.

use foggara_domain::{
    ClusterId, Code, Error, ProjectId, Result, Timestamp,
    cluster::{Cluster, ClusterStatus},
    node_group::NodeGroup,
    page::{ListQuery, Page},
};

use crate::{
    Conn, Row,
    json::{from_json, to_json},
    node_groups,
    page::{Column, ListSpec},
    sql,
};

const COLUMNS: &str = "id, project_id, name, description, plugin, version, status, status_description, settings, \
     template_id, keypair, is_transient, info, is_public, is_protected, host, revision, created_at, updated_at";

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
        ("cluster_template_id", Column::Text("template_id")),
        ("status", Column::Text("status")),
        ("is_public", Column::Flag("is_public")),
        ("is_protected", Column::Flag("is_protected")),
        ("is_transient", Column::Flag("is_transient")),
        ("created_at", Column::Time("created_at")),
        ("updated_at", Column::Time("updated_at")),
    ],
    unknown_marker_is_start: false,
};

fn taken(error: Error) -> Error {
    match error {
        Error::Refused { code: Code::DbDuplicateEntry, .. } => {
            Error::refused(Code::DbDuplicateEntry, "Duplicate entry for Cluster: ['name', 'tenant_id']")
        }
        other => other,
    }
}

/// Stores a new cluster. The name is taken: `DB_DUPLICATE_ENTRY`.
pub async fn insert(conn: &mut Conn, cluster: &Cluster) -> Result<()> {
    let text = format!(
        "INSERT INTO cluster ({COLUMNS}) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19)"
    );
    let query = sql(text)
        .bind(&cluster.id)
        .bind(&cluster.project)
        .bind(cluster.name.as_str())
        .bind(cluster.description.as_deref())
        .bind(cluster.plugin.as_str())
        .bind(cluster.version.as_str())
        .bind(cluster.status.name())
        .bind(cluster.status_description.as_str())
        .bind(to_json(&cluster.settings)?)
        .bind(cluster.template.as_ref())
        .bind(cluster.keypair.as_deref())
        .bind(cluster.is_transient)
        .bind(to_json(&cluster.info)?)
        .bind(cluster.is_public.stored())
        .bind(cluster.is_protected.stored())
        .bind(cluster.host.as_deref())
        .bind(cluster.revision)
        .bind(cluster.created_at)
        .bind(cluster.updated_at);
    conn.run(query).await.map_err(taken)?;
    node_groups::replace(conn, cluster.id.as_str(), &cluster.node_groups).await
}

/// Saves what a user can change: name, description, shares and flags. With who may see it, its engine is made anew: some show less
/// then.
pub async fn update(conn: &mut Conn, cluster: &Cluster) -> Result<()> {
    let query =
        sql("UPDATE cluster SET name = $2, description = $3, settings = $4, \
         revision = revision + CASE WHEN COALESCE(is_public, 0) = COALESCE($5, 0) THEN 0 ELSE 1 END, is_public = $5, is_protected = $6, \
         updated_at = $7 WHERE id = $1")
        .bind(&cluster.id)
        .bind(cluster.name.as_str())
        .bind(cluster.description.as_deref())
        .bind(to_json(&cluster.settings)?)
        .bind(cluster.is_public.stored())
        .bind(cluster.is_protected.stored())
        .bind(cluster.updated_at);
    conn.run(query).await.map_err(taken)?;
    Ok(())
}

/// Sets where a cluster stands. One that is being deleted stays so, and one that does not stand where the caller read it, if that
/// is said; then false is answered.
pub async fn set_status(
    conn: &mut Conn,
    id: &ClusterId,
    read: Option<ClusterStatus>,
    status: ClusterStatus,
    why: &str,
    now: Timestamp,
) -> Result<bool> {
    let query = sql("UPDATE cluster SET status = $2, status_description = $3, updated_at = $4 \
         WHERE id = $1 AND status <> $5 AND ($6 IS NULL OR status = $6)")
    .bind(id)
    .bind(status.name())
    .bind(why)
    .bind(now)
    .bind(ClusterStatus::Deleting.name())
    .bind(read.map(ClusterStatus::name));
    Ok(conn.run(query).await? == 1)
}

/// Stores what users may want to know of a cluster, and that its engine has to be made anew.
pub async fn set_info(conn: &mut Conn, cluster: &Cluster, now: Timestamp) -> Result<()> {
    let query = sql("UPDATE cluster SET info = $2, revision = revision + 1, updated_at = $3 WHERE id = $1");
    conn.run(query.bind(&cluster.id).bind(to_json(&cluster.info)?).bind(now)).await?;
    Ok(())
}

/// Stores the groups, new ones with those that were, and that the cluster's engine has to be made anew.
pub async fn set_groups(conn: &mut Conn, id: &ClusterId, groups: &[NodeGroup], now: Timestamp) -> Result<()> {
    node_groups::replace(conn, id.as_str(), groups).await?;
    let query = sql("UPDATE cluster SET revision = revision + 1, updated_at = $2 WHERE id = $1");
    conn.run(query.bind(id).bind(now)).await?;
    Ok(())
}

/// Binds a cluster to a host, unless it is bound already.
pub async fn bind_to_host(conn: &mut Conn, id: &ClusterId, host: &str) -> Result<bool> {
    let query = sql("UPDATE cluster SET host = $2 WHERE id = $1 AND host IS NULL");
    Ok(conn.run(query.bind(id).bind(host)).await? == 1)
}

/// A cluster that a project may see: its own or a public one.
pub async fn get(conn: &mut Conn, project: &ProjectId, id: &ClusterId) -> Result<Option<Cluster>> {
    let cluster = find(conn, id).await?;
    Ok(cluster.filter(|cluster| cluster.project == *project || cluster.is_public.is_on()))
}

/// A cluster, whosever it is: for duties.
pub async fn find(conn: &mut Conn, id: &ClusterId) -> Result<Option<Cluster>> {
    match conn.first(sql(format!("SELECT {COLUMNS} FROM cluster WHERE id = $1")).bind(id)).await? {
        Some(row) => Ok(Some(whole(conn, &row).await?)),
        None => Ok(None),
    }
}

/// A cluster of a project by its name.
pub async fn by_name(conn: &mut Conn, project: &ProjectId, name: &str) -> Result<Option<Cluster>> {
    let text = format!("SELECT {COLUMNS} FROM cluster WHERE project_id = $1 AND name = $2");
    match conn.first(sql(text).bind(project).bind(name)).await? {
        Some(row) => Ok(Some(whole(conn, &row).await?)),
        None => Ok(None),
    }
}

/// Whether a project sees one of the name.
pub async fn has_name(conn: &mut Conn, project: &ProjectId, name: &str) -> Result<bool> {
    let text = "SELECT id FROM cluster WHERE name = $2 AND (project_id = $1 OR is_public = 1)";
    Ok(conn.first(sql(text).bind(project).bind(name)).await?.is_some())
}

/// The ids of all clusters: for duties.
pub async fn ids(conn: &mut Conn) -> Result<Vec<ClusterId>> {
    conn.all(sql("SELECT id FROM cluster")).await?.iter().map(|row| row.text("id").map(Into::into)).collect()
}

/// Transient clusters whose work is done: they had an execution, and each has ended. Protected ones stay.
pub async fn done_transient(conn: &mut Conn) -> Result<Vec<ClusterId>> {
    let query = sql("SELECT id FROM cluster c WHERE c.is_transient = 1 AND c.status <> $1 \
         AND (c.is_protected IS NULL OR c.is_protected = 0) \
         AND EXISTS (SELECT 1 FROM execution e WHERE e.cluster_id = c.id) \
         AND NOT EXISTS (SELECT 1 FROM execution e WHERE e.cluster_id = c.id AND e.phase <> 'ended') ORDER BY id");
    let rows = conn.all(query.bind(ClusterStatus::Deleting.name())).await?;
    rows.iter().map(|row| row.text("id").map(Into::into)).collect()
}

/// All clusters: for duties.
pub async fn all(conn: &mut Conn) -> Result<Vec<Cluster>> {
    let rows = conn.all(sql(format!("SELECT {COLUMNS} FROM cluster ORDER BY id"))).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        found.push(whole(conn, row).await?);
    }
    Ok(found)
}

/// A page of the clusters that a project may see.
pub async fn list(conn: &mut Conn, project: &ProjectId, query: &ListQuery) -> Result<Page<Cluster>> {
    let page = LIST.page(conn, project, query).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for row in &page.items {
        items.push(whole(conn, row).await?);
    }
    Ok(Page { items, prev: page.prev, next: page.next })
}

/// Removes a cluster with all that belongs to it.
pub async fn delete(conn: &mut Conn, id: &ClusterId) -> Result<()> {
    node_groups::delete(conn, id.as_str()).await?;
    conn.run(sql("DELETE FROM ownership WHERE cluster_id = $1").bind(id)).await?;
    conn.run(sql("DELETE FROM cluster WHERE id = $1").bind(id)).await?;
    Ok(())
}

async fn whole(conn: &mut Conn, row: &Row) -> Result<Cluster> {
    let id = ClusterId::from(row.text("id")?);
    let status = row.text("status")?;
    Ok(Cluster {
        project: row.text("project_id")?.into(),
        name: row.text("name")?,
        description: row.text_or_null("description")?,
        plugin: row.text("plugin")?,
        version: row.text("version")?,
        status: ClusterStatus::parse(&status)
            .ok_or_else(|| Error::Internal(format!("cluster {id} has the unknown status {status}")))?,
        status_description: row.text("status_description")?,
        settings: from_json("cluster.settings", &row.text("settings")?)?,
        template: row.text_or_null("template_id")?.map(Into::into),
        keypair: row.text_or_null("keypair")?,
        is_transient: row.flag("is_transient")?,
        info: from_json("cluster.info", &row.text("info")?)?,
        is_public: row.flag_or_null("is_public")?.into(),
        is_protected: row.flag_or_null("is_protected")?.into(),
        host: row.text_or_null("host")?,
        revision: row.int("revision")?,
        created_at: row.time("created_at")?,
        updated_at: row.time_or_null("updated_at")?,
        node_groups: node_groups::of(conn, id.as_str()).await?,
        id,
    })
}
