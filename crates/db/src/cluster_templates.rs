//! Cluster templates with their node groups.

use foggara_domain::{
    ClusterTemplateId, Code, Error, NodeGroupTemplateId, ProjectId, Result,
    cluster::ClusterTemplate,
    page::{ListQuery, Page},
};

use crate::{
    Conn, Row,
    json::{from_json, to_json},
    node_groups,
    page::{Column, ListSpec},
    sql,
};

const COLUMNS: &str =
    "id, project_id, name, description, plugin, version, settings, is_public, is_protected, created_at, updated_at";

/// Also the list of node group templates, whose columns are the same.
pub(crate) const LIST: ListSpec = ListSpec {
    columns: COLUMNS,
    from: "cluster_template",
    visible: "(project_id = $1 OR is_public = 1)",
    sort: &[
        ("id", "id"),
        ("name", "name"),
        ("plugin_name", "plugin"),
        ("hadoop_version", "version"),
        ("created_at", "created_at"),
        ("updated_at", "COALESCE(updated_at, 0)"),
    ],
    filters: &[
        ("id", Column::Text("id")),
        ("tenant_id", Column::Pattern("project_id")),
        ("name", Column::Pattern("name")),
        ("description", Column::Pattern("description")),
        ("plugin_name", Column::Pattern("plugin")),
        ("hadoop_version", Column::Text("version")),
        ("is_public", Column::Flag("is_public")),
        ("is_protected", Column::Flag("is_protected")),
        ("created_at", Column::Time("created_at")),
        ("updated_at", Column::Time("updated_at")),
    ],
    unknown_marker_is_start: false,
};

fn taken(error: Error) -> Error {
    match error {
        Error::Refused { code: Code::DbDuplicateEntry, .. } => {
            Error::refused(Code::DbDuplicateEntry, "Duplicate entry for ClusterTemplate: ['name', 'tenant_id']")
        }
        other => other,
    }
}

/// Stores a new template. The name is taken: `DB_DUPLICATE_ENTRY`.
pub async fn insert(conn: &mut Conn, template: &ClusterTemplate) -> Result<()> {
    let text = format!("INSERT INTO cluster_template ({COLUMNS}) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)");
    let query = sql(text)
        .bind(&template.id)
        .bind(&template.project)
        .bind(template.name.as_str())
        .bind(template.description.as_deref())
        .bind(template.plugin.as_str())
        .bind(template.version.as_str())
        .bind(to_json(&template.settings)?)
        .bind(template.is_public.stored())
        .bind(template.is_protected.stored())
        .bind(template.created_at)
        .bind(template.updated_at);
    conn.run(query).await.map_err(taken)?;
    node_groups::replace(conn, template.id.as_str(), &template.node_groups).await
}

/// Saves everything but id, project and time of making.
pub async fn update(conn: &mut Conn, template: &ClusterTemplate) -> Result<()> {
    let query =
        sql("UPDATE cluster_template SET name = $2, description = $3, plugin = $4, version = $5, settings = $6, \
         is_public = $7, is_protected = $8, updated_at = $9 WHERE id = $1")
        .bind(&template.id)
        .bind(template.name.as_str())
        .bind(template.description.as_deref())
        .bind(template.plugin.as_str())
        .bind(template.version.as_str())
        .bind(to_json(&template.settings)?)
        .bind(template.is_public.stored())
        .bind(template.is_protected.stored())
        .bind(template.updated_at);
    conn.run(query).await.map_err(taken)?;
    node_groups::replace(conn, template.id.as_str(), &template.node_groups).await
}

/// A template that a project may see: its own or a public one.
pub async fn get(conn: &mut Conn, project: &ProjectId, id: &ClusterTemplateId) -> Result<Option<ClusterTemplate>> {
    let text = format!("SELECT {COLUMNS} FROM cluster_template WHERE id = $2 AND (project_id = $1 OR is_public = 1)");
    match conn.first(sql(text).bind(project).bind(id)).await? {
        Some(row) => Ok(Some(whole(conn, &row).await?)),
        None => Ok(None),
    }
}

/// The templates with a group of a node group template, whosever they are.
pub async fn using(conn: &mut Conn, template: &NodeGroupTemplateId) -> Result<Vec<ClusterTemplate>> {
    let text = format!(
        "SELECT {COLUMNS} FROM cluster_template WHERE id IN (SELECT owner_id FROM node_group WHERE template_id = $1) ORDER BY id"
    );
    let rows = conn.all(sql(text).bind(template)).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        found.push(whole(conn, row).await?);
    }
    Ok(found)
}

/// Whether a project sees one of the name.
pub async fn has_name(conn: &mut Conn, project: &ProjectId, name: &str) -> Result<bool> {
    let text = "SELECT id FROM cluster_template WHERE name = $2 AND (project_id = $1 OR is_public = 1)";
    Ok(conn.first(sql(text).bind(project).bind(name)).await?.is_some())
}

/// A page of the visible ones.
pub async fn list(conn: &mut Conn, project: &ProjectId, query: &ListQuery) -> Result<Page<ClusterTemplate>> {
    let page = LIST.page(conn, project, query).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for row in &page.items {
        items.push(whole(conn, row).await?);
    }
    Ok(Page { items, prev: page.prev, next: page.next })
}

/// Names of the clusters that were made of a template.
pub async fn users(conn: &mut Conn, id: &ClusterTemplateId) -> Result<Vec<String>> {
    let rows = conn.all(sql("SELECT name FROM cluster WHERE template_id = $1 ORDER BY name").bind(id)).await?;
    rows.iter().map(|row| row.text("name")).collect()
}

/// Removes a template.
pub async fn delete(conn: &mut Conn, id: &ClusterTemplateId) -> Result<()> {
    node_groups::delete(conn, id.as_str()).await?;
    conn.run(sql("DELETE FROM cluster_template WHERE id = $1").bind(id)).await?;
    Ok(())
}

async fn whole(conn: &mut Conn, row: &Row) -> Result<ClusterTemplate> {
    let id = ClusterTemplateId::from(row.text("id")?);
    Ok(ClusterTemplate {
        project: row.text("project_id")?.into(),
        name: row.text("name")?,
        description: row.text_or_null("description")?,
        plugin: row.text("plugin")?,
        version: row.text("version")?,
        settings: from_json("cluster_template.settings", &row.text("settings")?)?,
        node_groups: node_groups::of(conn, id.as_str()).await?,
        is_public: row.flag_or_null("is_public")?.into(),
        is_protected: row.flag_or_null("is_protected")?.into(),
        created_at: row.time("created_at")?,
        updated_at: row.time_or_null("updated_at")?,
        id,
    })
}
