//! Job binaries. Credentials (`extra`) are sealed.

use foggara_domain::{
    BinaryId, Code, Error, ProjectId, Result,
    binary::JobBinary,
    page::{ListQuery, Page},
};

use crate::{
    Conn, Row,
    page::{Column, ListSpec},
    seal::{open_object, seal_object},
    sql,
};

pub(crate) const COLUMNS: &str =
    "id, project_id, name, description, url, extra, is_public, is_protected, created_at, updated_at";

const LIST: ListSpec = ListSpec {
    columns: COLUMNS,
    from: "job_binary",
    visible: "(project_id = $1 OR is_public = 1)",
    sort: &[("id", "id"), ("name", "name"), ("created_at", "created_at"), ("updated_at", "COALESCE(updated_at, 0)")],
    filters: &[
        ("id", Column::Text("id")),
        ("tenant_id", Column::Text("project_id")),
        ("name", Column::Pattern("name")),
        ("description", Column::Pattern("description")),
        ("url", Column::Pattern("url")),
        ("is_public", Column::Flag("is_public")),
        ("is_protected", Column::Flag("is_protected")),
        ("created_at", Column::Time("created_at")),
        ("updated_at", Column::Time("updated_at")),
    ],
    unknown_marker_is_start: true,
};

fn place(id: &BinaryId) -> String {
    format!("job_binary.extra.{id}")
}

fn taken(error: Error) -> Error {
    match error {
        Error::Refused { code: Code::DbDuplicateEntry, .. } => {
            Error::refused(Code::DbDuplicateEntry, "Duplicate entry for JobBinary: ['name', 'tenant_id']")
        }
        other => other,
    }
}

/// Stores a new job binary. The name is taken: `DB_DUPLICATE_ENTRY`.
pub async fn insert(conn: &mut Conn, binary: &JobBinary) -> Result<()> {
    let sealed = seal_object(conn, &place(&binary.id), binary.extra.as_ref())?;
    let text = format!("INSERT INTO job_binary ({COLUMNS}) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)");
    let query = sql(text)
        .bind(&binary.id)
        .bind(&binary.project)
        .bind(binary.name.as_str())
        .bind(binary.description.as_deref())
        .bind(binary.url.as_str())
        .bind(sealed)
        .bind(binary.is_public.stored())
        .bind(binary.is_protected.stored())
        .bind(binary.created_at)
        .bind(binary.updated_at);
    conn.run(query).await.map_err(taken)?;
    Ok(())
}

/// Saves what can change.
pub async fn update(conn: &mut Conn, binary: &JobBinary) -> Result<()> {
    let sealed = seal_object(conn, &place(&binary.id), binary.extra.as_ref())?;
    let query = sql("UPDATE job_binary SET name = $2, description = $3, url = $4, extra = $5, is_public = $6, \
         is_protected = $7, updated_at = $8 WHERE id = $1")
    .bind(&binary.id)
    .bind(binary.name.as_str())
    .bind(binary.description.as_deref())
    .bind(binary.url.as_str())
    .bind(sealed)
    .bind(binary.is_public.stored())
    .bind(binary.is_protected.stored())
    .bind(binary.updated_at);
    conn.run(query).await.map_err(taken)?;
    Ok(())
}

/// A job binary that a project may see: its own or a public one.
pub async fn get(conn: &mut Conn, project: &ProjectId, id: &BinaryId) -> Result<Option<JobBinary>> {
    let text = format!("SELECT {COLUMNS} FROM job_binary WHERE id = $2 AND (project_id = $1 OR is_public = 1)");
    let row = conn.first(sql(text).bind(project).bind(id)).await?;
    row.map(|row| read(conn, &row)).transpose()
}

/// A page of the visible ones.
pub async fn list(conn: &mut Conn, project: &ProjectId, query: &ListQuery) -> Result<Page<JobBinary>> {
    let page = LIST.page(conn, project, query).await?;
    let items = page.items.iter().map(|row| read(conn, row)).collect::<Result<Vec<_>>>()?;
    Ok(Page { items, prev: page.prev, next: page.next })
}

/// Removes a job binary. A job template has it: `DELETION_FAILED`.
pub async fn delete(conn: &mut Conn, id: &BinaryId) -> Result<()> {
    let refused = |error| match error {
        Error::Refused { code: Code::DeletionFailed, .. } => {
            Error::refused(Code::DeletionFailed, "JobBinary is referenced and cannot be deleted")
        }
        other => other,
    };
    conn.run(sql("DELETE FROM job_binary WHERE id = $1").bind(id)).await.map_err(refused)?;
    Ok(())
}

pub(crate) fn read(conn: &Conn, row: &Row) -> Result<JobBinary> {
    let id = BinaryId::from(row.text("id")?);
    Ok(JobBinary {
        project: row.text("project_id")?.into(),
        name: row.text("name")?,
        description: row.text_or_null("description")?,
        url: row.text("url")?,
        extra: open_object(conn, &place(&id), row.bytes_or_null("extra")?)?,
        is_public: row.flag_or_null("is_public")?.into(),
        is_protected: row.flag_or_null("is_protected")?.into(),
        created_at: row.time("created_at")?,
        updated_at: row.time_or_null("updated_at")?,
        id,
    })
}
