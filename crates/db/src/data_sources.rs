//! Data sources. Credentials are sealed.

use foggara_domain::{
    Code, DataSourceId, Error, ProjectId, Result,
    data_source::DataSource,
    page::{ListQuery, Page},
};

use crate::{
    Conn, Row,
    page::{Column, ListSpec},
    seal::{open_object, seal_object},
    sql,
};

const COLUMNS: &str =
    "id, project_id, name, description, kind, url, credentials, is_public, is_protected, created_at, updated_at";

const LIST: ListSpec = ListSpec {
    columns: COLUMNS,
    from: "data_source",
    visible: "(project_id = $1 OR is_public = 1)",
    sort: &[
        ("id", "id"),
        ("name", "name"),
        ("type", "kind"),
        ("created_at", "created_at"),
        ("updated_at", "COALESCE(updated_at, 0)"),
    ],
    filters: &[
        ("id", Column::Text("id")),
        ("tenant_id", Column::Text("project_id")),
        ("name", Column::Pattern("name")),
        ("description", Column::Pattern("description")),
        ("url", Column::Pattern("url")),
        ("type", Column::Text("kind")),
        ("is_public", Column::Flag("is_public")),
        ("is_protected", Column::Flag("is_protected")),
        ("created_at", Column::Time("created_at")),
        ("updated_at", Column::Time("updated_at")),
    ],
    unknown_marker_is_start: false,
};

fn place(id: &DataSourceId) -> String {
    format!("data_source.credentials.{id}")
}

fn taken(error: Error) -> Error {
    match error {
        Error::Refused { code: Code::DbDuplicateEntry, .. } => {
            Error::refused(Code::DbDuplicateEntry, "Duplicate entry for DataSource: ['name', 'tenant_id']")
        }
        other => other,
    }
}

/// Stores a new data source. The name is taken: `DB_DUPLICATE_ENTRY`.
pub async fn insert(conn: &mut Conn, source: &DataSource) -> Result<()> {
    let sealed = seal_object(conn, &place(&source.id), source.credentials.as_ref())?;
    let text = format!("INSERT INTO data_source ({COLUMNS}) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)");
    let query = sql(text)
        .bind(&source.id)
        .bind(&source.project)
        .bind(source.name.as_str())
        .bind(source.description.as_deref())
        .bind(source.kind.as_str())
        .bind(source.url.as_str())
        .bind(sealed)
        .bind(source.is_public.stored())
        .bind(source.is_protected.stored())
        .bind(source.created_at)
        .bind(source.updated_at);
    conn.run(query).await.map_err(taken)?;
    Ok(())
}

/// Saves what can change.
pub async fn update(conn: &mut Conn, source: &DataSource) -> Result<()> {
    let sealed = seal_object(conn, &place(&source.id), source.credentials.as_ref())?;
    let query = sql("UPDATE data_source SET name = $2, description = $3, kind = $4, url = $5, credentials = $6, \
         is_public = $7, is_protected = $8, updated_at = $9 WHERE id = $1")
    .bind(&source.id)
    .bind(source.name.as_str())
    .bind(source.description.as_deref())
    .bind(source.kind.as_str())
    .bind(source.url.as_str())
    .bind(sealed)
    .bind(source.is_public.stored())
    .bind(source.is_protected.stored())
    .bind(source.updated_at);
    conn.run(query).await.map_err(taken)?;
    Ok(())
}

/// A data source that a project may see: its own or a public one.
pub async fn get(conn: &mut Conn, project: &ProjectId, id: &DataSourceId) -> Result<Option<DataSource>> {
    let text = format!("SELECT {COLUMNS} FROM data_source WHERE id = $2 AND (project_id = $1 OR is_public = 1)");
    let row = conn.first(sql(text).bind(project).bind(id)).await?;
    row.map(|row| read(conn, &row)).transpose()
}

/// A visible data source by its name; the project's own before a public one.
pub async fn by_name(conn: &mut Conn, project: &ProjectId, name: &str) -> Result<Option<DataSource>> {
    let text = format!(
        "SELECT {COLUMNS} FROM data_source WHERE name = $2 AND (project_id = $1 OR is_public = 1) \
         ORDER BY CASE WHEN project_id = $1 THEN 0 ELSE 1 END, id LIMIT 1"
    );
    let row = conn.first(sql(text).bind(project).bind(name)).await?;
    row.map(|row| read(conn, &row)).transpose()
}

/// A page of the visible ones.
pub async fn list(conn: &mut Conn, project: &ProjectId, query: &ListQuery) -> Result<Page<DataSource>> {
    let page = LIST.page(conn, project, query).await?;
    let items = page.items.iter().map(|row| read(conn, row)).collect::<Result<Vec<_>>>()?;
    Ok(Page { items, prev: page.prev, next: page.next })
}

/// Removes a data source. An execution has it as input or output: `DELETION_FAILED`.
pub async fn delete(conn: &mut Conn, id: &DataSourceId) -> Result<()> {
    let refused = |error| match error {
        Error::Refused { code: Code::DeletionFailed, .. } => {
            Error::refused(Code::DeletionFailed, "Data Source deletion failed")
        }
        other => other,
    };
    conn.run(sql("DELETE FROM data_source WHERE id = $1").bind(id)).await.map_err(refused)?;
    Ok(())
}

fn read(conn: &Conn, row: &Row) -> Result<DataSource> {
    let id = DataSourceId::from(row.text("id")?);
    Ok(DataSource {
        project: row.text("project_id")?.into(),
        name: row.text("name")?,
        description: row.text_or_null("description")?,
        kind: row.text("kind")?,
        url: row.text("url")?,
        credentials: open_object(conn, &place(&id), row.bytes_or_null("credentials")?)?,
        is_public: row.flag_or_null("is_public")?.into(),
        is_protected: row.flag_or_null("is_protected")?.into(),
        created_at: row.time("created_at")?,
        updated_at: row.time_or_null("updated_at")?,
        id,
    })
}
