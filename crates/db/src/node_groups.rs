//! Node groups of clusters and cluster templates.

use foggara_domain::{Code, Error, NodeGroupTemplateId, Result, node_group::NodeGroup};

use crate::{
    Conn, Row,
    json::{from_json, to_json},
    sql,
};

const COLUMNS: &str = "id, name, count, template_id, settings, created_at, updated_at";

/// Stores a group behind those that its owner has.
pub(crate) async fn insert(conn: &mut Conn, owner: &str, position: i64, group: &NodeGroup) -> Result<()> {
    let query = sql("INSERT INTO node_group (id, owner_id, position, name, count, template_id, settings, created_at, \
         updated_at) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9)")
    .bind(&group.id)
    .bind(owner)
    .bind(position)
    .bind(group.name.as_str())
    .bind(group.count)
    .bind(group.template.as_ref())
    .bind(to_json(&group.settings)?)
    .bind(group.created_at)
    .bind(group.updated_at);
    let gone = |error| match error {
        // The template was deleted between the check and this write.
        Error::Refused { code: Code::DeletionFailed, .. } => {
            Error::refused(Code::NotFound, format!("NodeGroup template of '{}' not found", group.name))
        }
        other => other,
    };
    conn.run(query).await.map_err(gone)?;
    Ok(())
}

/// The groups of an owner in order.
pub(crate) async fn of(conn: &mut Conn, owner: &str) -> Result<Vec<NodeGroup>> {
    let text = format!("SELECT {COLUMNS} FROM node_group WHERE owner_id = $1 ORDER BY position");
    conn.all(sql(text).bind(owner)).await?.iter().map(read).collect()
}

/// Makes the groups of an owner those that are given.
pub(crate) async fn replace(conn: &mut Conn, owner: &str, groups: &[NodeGroup]) -> Result<()> {
    delete(conn, owner).await?;
    for (position, group) in (0i64..).zip(groups) {
        insert(conn, owner, position, group).await?;
    }
    Ok(())
}

/// Removes the groups of an owner.
pub(crate) async fn delete(conn: &mut Conn, owner: &str) -> Result<()> {
    conn.run(sql("DELETE FROM node_group WHERE owner_id = $1").bind(owner)).await?;
    Ok(())
}

/// Names of the clusters, or of the cluster templates, with a group of a template.
pub(crate) async fn users(conn: &mut Conn, table: &'static str, template: &NodeGroupTemplateId) -> Result<Vec<String>> {
    let text = format!(
        "SELECT DISTINCT o.name FROM {table} o JOIN node_group g ON g.owner_id = o.id WHERE g.template_id = $1 ORDER BY o.name"
    );
    conn.all(sql(text).bind(template)).await?.iter().map(|row| row.text("name")).collect()
}

fn read(row: &Row) -> Result<NodeGroup> {
    Ok(NodeGroup {
        id: row.text("id")?.into(),
        name: row.text("name")?,
        count: row.int("count")?,
        template: row.text_or_null("template_id")?.map(Into::into),
        settings: from_json("node_group.settings", &row.text("settings")?)?,
        created_at: row.time("created_at")?,
        updated_at: row.time_or_null("updated_at")?,
    })
}
