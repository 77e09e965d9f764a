//! Registered images of projects.

use foggara_domain::{ProjectId, Result, image::Image};

use crate::{
    Conn, Row,
    json::{from_json, to_json},
    sql,
};

const COLUMNS: &str = "id, name, username, description, tags, created_at, updated_at";

/// Stores an image, in the place of one with its id.
pub async fn put(conn: &mut Conn, project: &ProjectId, image: &Image) -> Result<()> {
    let query = sql("INSERT INTO image (project_id, id, name, username, description, tags, created_at, updated_at) \
         VALUES ($1,$2,$3,$4,$5,$6,$7,$8) ON CONFLICT (project_id, id) DO UPDATE SET name = excluded.name, \
         username = excluded.username, description = excluded.description, tags = excluded.tags, \
         updated_at = excluded.updated_at")
    .bind(project)
    .bind(image.id.as_str())
    .bind(image.name.as_str())
    .bind(image.username.as_deref())
    .bind(image.description.as_deref())
    .bind(to_json(&image.tags)?)
    .bind(image.created_at)
    .bind(image.updated_at);
    conn.run(query).await?;
    Ok(())
}

/// An image of a project.
pub async fn get(conn: &mut Conn, project: &ProjectId, id: &str) -> Result<Option<Image>> {
    let text = format!("SELECT {COLUMNS} FROM image WHERE project_id = $1 AND id = $2");
    conn.first(sql(text).bind(project).bind(id)).await?.map(|row| read(&row)).transpose()
}

/// The images of a project by id.
pub async fn all(conn: &mut Conn, project: &ProjectId) -> Result<Vec<Image>> {
    let text = format!("SELECT {COLUMNS} FROM image WHERE project_id = $1 ORDER BY id");
    conn.all(sql(text).bind(project)).await?.iter().map(read).collect()
}

/// Removes an image.
pub async fn delete(conn: &mut Conn, project: &ProjectId, id: &str) -> Result<()> {
    conn.run(sql("DELETE FROM image WHERE project_id = $1 AND id = $2").bind(project).bind(id)).await?;
    Ok(())
}

fn read(row: &Row) -> Result<Image> {
    Ok(Image {
        id: row.text("id")?,
        name: row.text("name")?,
        username: row.text_or_null("username")?,
        description: row.text_or_null("description")?,
        tags: from_json("image.tags", &row.text("tags")?)?,
        created_at: row.time("created_at")?,
        updated_at: row.time_or_null("updated_at")?,
    })
}
