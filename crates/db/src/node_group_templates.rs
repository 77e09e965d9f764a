//! Node group templates.

use foggara_domain::{
    Code, Error, NodeGroupTemplateId, ProjectId, Result,
    node_group::NodeGroupTemplate,
    page::{ListQuery, Page},
};

use crate::{
    Conn, Row,
    json::{from_json, to_json},
    node_groups,
    page::ListSpec,
    sql,
};

const COLUMNS: &str =
    "id, project_id, name, description, plugin, version, settings, is_public, is_protected, created_at, updated_at";

const LIST: ListSpec = ListSpec { columns: COLUMNS, from: "node_group_template", ..crate::cluster_templates::LIST };

fn taken(error: Error) -> Error {
    match error {
        Error::Refused { code: Code::DbDuplicateEntry, .. } => {
            Error::refused(Code::DbDuplicateEntry, "Duplicate entry for NodeGroupTemplate: ['name', 'tenant_id']")
        }
        other => other,
    }
}

/// Stores a new template. The name is taken: `DB_DUPLICATE_ENTRY`.
pub async fn insert(conn: &mut Conn, template: &NodeGroupTemplate) -> Result<()> {
    let text = format!("INSERT INTO node_group_template ({COLUMNS}) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)");
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
    Ok(())
}

/// Saves everything but id, project and time of making.
pub async fn update(conn: &mut Conn, template: &NodeGroupTemplate) -> Result<()> {
    let query = sql("UPDATE node_group_template SET name = $2, description = $3, plugin = $4, version = $5, \
         settings = $6, is_public = $7, is_protected = $8, updated_at = $9 WHERE id = $1")
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
    Ok(())
}

/// A template that a project may see: its own or a public one.
pub async fn get(conn: &mut Conn, project: &ProjectId, id: &NodeGroupTemplateId) -> Result<Option<NodeGroupTemplate>> {
    let text =
        format!("SELECT {COLUMNS} FROM node_group_template WHERE id = $2 AND (project_id = $1 OR is_public = 1)");
    conn.first(sql(text).bind(project).bind(id)).await?.map(|row| read(&row)).transpose()
}

/// Whether a project sees one of the name.
pub async fn has_name(conn: &mut Conn, project: &ProjectId, name: &str) -> Result<bool> {
    let text = "SELECT id FROM node_group_template WHERE name = $2 AND (project_id = $1 OR is_public = 1)";
    Ok(conn.first(sql(text).bind(project).bind(name)).await?.is_some())
}

/// A page of the visible ones.
pub async fn list(conn: &mut Conn, project: &ProjectId, query: &ListQuery) -> Result<Page<NodeGroupTemplate>> {
    let page = LIST.page(conn, project, query).await?;
    let items = page.items.iter().map(read).collect::<Result<Vec<_>>>()?;
    Ok(Page { items, prev: page.prev, next: page.next })
}

/// Names of the cluster templates and of the clusters that use a template.
pub async fn users(conn: &mut Conn, id: &NodeGroupTemplateId) -> Result<(Vec<String>, Vec<String>)> {
    Ok((node_groups::users(conn, "cluster_template", id).await?, node_groups::users(conn, "cluster", id).await?))
}

/// Removes a template.
pub async fn delete(conn: &mut Conn, id: &NodeGroupTemplateId) -> Result<()> {
    conn.run(sql("DELETE FROM node_group_template WHERE id = $1").bind(id)).await?;
    Ok(())
}

fn read(row: &Row) -> Result<NodeGroupTemplate> {
    Ok(NodeGroupTemplate {
        id: row.text("id")?.into(),
        project: row.text("project_id")?.into(),
        name: row.text("name")?,
        description: row.text_or_null("description")?,
        plugin: row.text("plugin")?,
        version: row.text("version")?,
        settings: from_json("node_group_template.settings", &row.text("settings")?)?,
        is_public: row.flag_or_null("is_public")?.into(),
        is_protected: row.flag_or_null("is_protected")?.into(),
        created_at: row.time("created_at")?,
        updated_at: row.time_or_null("updated_at")?,
    })
}
