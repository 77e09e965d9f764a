//! Nodes of clusters.

use foggara_domain::{ClusterId, InstanceId, Result, Timestamp, cluster::Instance};

use crate::{
    Conn, Row,
    json::{from_json, to_json},
    sql,
};

const COLUMNS: &str = "id, cluster_id, group_id, name, attempt, address, leaving, created_at, updated_at";

/// Stores a new node.
pub async fn insert(conn: &mut Conn, node: &Instance) -> Result<()> {
    let text = format!("INSERT INTO instance ({COLUMNS}) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9)");
    let query = sql(text)
        .bind(&node.id)
        .bind(&node.cluster)
        .bind(&node.group)
        .bind(node.name.as_str())
        .bind(node.attempt)
        .bind(node.address.as_ref().map(to_json).transpose()?)
        .bind(node.leaving)
        .bind(node.created_at)
        .bind(node.updated_at);
    conn.run(query).await?;
    Ok(())
}

/// Saves what changes: attempt, address, and whether it is to go.
pub async fn update(conn: &mut Conn, node: &Instance, now: Timestamp) -> Result<()> {
    let query = sql("UPDATE instance SET attempt = $2, address = $3, leaving = $4, updated_at = $5 WHERE id = $1")
        .bind(&node.id)
        .bind(node.attempt)
        .bind(node.address.as_ref().map(to_json).transpose()?)
        .bind(node.leaving)
        .bind(now);
    conn.run(query).await?;
    Ok(())
}

/// The nodes of a cluster by name.
pub async fn of(conn: &mut Conn, cluster: &ClusterId) -> Result<Vec<Instance>> {
    let text = format!("SELECT {COLUMNS} FROM instance WHERE cluster_id = $1 ORDER BY name");
    conn.all(sql(text).bind(cluster)).await?.iter().map(read).collect()
}

/// A node: for the sweep.
pub async fn find(conn: &mut Conn, id: &InstanceId) -> Result<Option<Instance>> {
    let row = conn.first(sql(format!("SELECT {COLUMNS} FROM instance WHERE id = $1")).bind(id)).await?;
    row.map(|row| read(&row)).transpose()
}

/// Removes a node.
pub async fn delete(conn: &mut Conn, id: &InstanceId) -> Result<()> {
    conn.run(sql("DELETE FROM instance WHERE id = $1").bind(id)).await?;
    Ok(())
}

fn read(row: &Row) -> Result<Instance> {
    let address = row.text_or_null("address")?;
    Ok(Instance {
        id: row.text("id")?.into(),
        cluster: row.text("cluster_id")?.into(),
        group: row.text("group_id")?.into(),
        name: row.text("name")?,
        attempt: u32::try_from(row.int("attempt")?).unwrap_or(1),
        address: address.map(|text| from_json("instance.address", &text)).transpose()?,
        leaving: row.flag("leaving")?,
        created_at: row.time("created_at")?,
        updated_at: row.time_or_null("updated_at")?,
    })
}
